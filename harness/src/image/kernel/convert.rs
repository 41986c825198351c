//! A kernel file from anywhere, turned into what the two kernels of a drill need.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::bzimage::{BzImage, BzImageError};
use super::config::{ConfigError, KernelConfig};
use super::payload::{PayloadError, decompress};
use super::unpacked;
use super::vmlinux::{Vmlinux, VmlinuxError};

/// What QEMU's `-kernel` is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootKernel {
    /// An ELF kernel that is entered through PVH, without firmware and decompression.
    Pvh(PathBuf),
    /// A bzImage, started by firmware.
    BzImage(PathBuf),
}

/// What kexec loads for the crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaptureKernel {
    /// A bzImage made of the uncompressed kernel: no decompressor, no KASLR.
    Unpacked(PathBuf),
    /// The bzImage as it is.
    BzImage(PathBuf),
}

/// The kernel of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// What `uname -r` says.
    pub release: String,
    /// For the first kernel.
    pub boot: BootKernel,
    /// For the capture kernel.
    pub capture: CaptureKernel,
    /// The bzImage as it was given or packaged; none when a vmlinux was given.
    pub stock: Option<PathBuf>,
    /// The configuration that it was built with, if that is known.
    pub config: Option<PathBuf>,
}

impl Kernel {
    /// What it was built with; unknown when it came without a configuration.
    ///
    /// # Errors
    /// There is one, and it cannot be read.
    pub fn built_with(&self) -> Result<KernelConfig, ConfigError> {
        match &self.config {
            Some(path) => KernelConfig::read(path),
            None => Ok(KernelConfig::UNKNOWN),
        }
    }
}

/// How a kernel was stored by [`convert`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Converted {
    /// Uncompressed: an ELF file to boot, a bzImage for kexec.
    Uncompressed,
    /// As it was.
    BzImage,
}

impl Converted {
    pub(in super::super) fn kernel(self, directory: &Path, release: String) -> Kernel {
        let file = |name| directory.join(name);
        let (boot, capture) = match self {
            Self::Uncompressed => (
                BootKernel::Pvh(file(BOOT)),
                CaptureKernel::Unpacked(file(KEXEC)),
            ),
            Self::BzImage => (
                BootKernel::BzImage(file(BZIMAGE)),
                CaptureKernel::BzImage(file(BZIMAGE)),
            ),
        };
        let there = |name| Some(file(name)).filter(|file| file.is_file());
        Kernel {
            release,
            boot,
            capture,
            stock: there(BZIMAGE),
            config: there(CONFIG),
        }
    }
}

const BOOT: &str = "vmlinux";
const KEXEC: &str = "bzImage-unpacked";
const BZIMAGE: &str = "bzImage";
/// Beside them: what the kernel was built with, as `.config` of its source has it.
pub const CONFIG: &str = "config";

/// A kernel that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Not a bzImage.
    #[error(transparent)]
    BzImage(#[from] BzImageError),
    /// The compressed kernel in it.
    #[error("the compressed kernel inside: {0}")]
    Payload(#[from] PayloadError),
    /// The kernel itself.
    #[error(transparent)]
    Vmlinux(#[from] VmlinuxError),
    /// An ELF kernel that QEMU cannot start.
    #[error(
        "an ELF vmlinux without the PVH note (kernels before 5.0 or without CONFIG_PVH): QEMU \
         cannot start it; give the bzImage instead (/boot/vmlinuz-...)"
    )]
    NoPvhNote,
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Reads a bzImage or vmlinux and writes into `directory` what boots and what kexec loads; a
/// bzImage is kept there too, and the configuration if the kernel has its own inside.
/// Returns how, and the kernel's release.
///
/// # Errors
/// [`KernelError`].
pub fn convert(kernel: &[u8], directory: &Path) -> Result<(Converted, String), KernelError> {
    if kernel.starts_with(b"\x7fELF") {
        let vmlinux = Vmlinux::parse(kernel)?;
        if !vmlinux.has_pvh_note() {
            return Err(KernelError::NoPvhNote);
        }
        write_config(kernel, directory)?;
        return write_elf(&vmlinux, directory);
    }
    let image = BzImage::parse(kernel)?;
    let plain = decompress(image.payload)?;
    // A 32-bit kernel is no kernel for this, so its ELF must parse as an x86-64 one.
    let vmlinux = Vmlinux::parse(&plain)?;
    fs::write(directory.join(BZIMAGE), kernel)?;
    write_config(&plain, directory)?;
    if vmlinux.has_pvh_note() {
        return write_elf(&vmlinux, directory);
    }
    let release = match image.release {
        Some(release) => release,
        None => vmlinux.release()?,
    };
    Ok((Converted::BzImage, release.to_owned()))
}

/// CONFIG_IKCONFIG: the configuration lies in the kernel itself.
fn write_config(plain: &[u8], directory: &Path) -> io::Result<()> {
    match KernelConfig::inside(plain) {
        Some(text) => fs::write(directory.join(CONFIG), text),
        None => Ok(()),
    }
}

fn write_elf(vmlinux: &Vmlinux<'_>, directory: &Path) -> Result<(Converted, String), KernelError> {
    let release = vmlinux.release()?.to_owned();
    fs::write(directory.join(BOOT), vmlinux.trimmed()?)?;
    fs::write(directory.join(KEXEC), unpacked::bzimage(vmlinux, &release)?)?;
    Ok((Converted::Uncompressed, release))
}
