//! Everything that can go wrong while an image is made ready.

use std::io;
use std::path::{Path, PathBuf};

use super::apt::AptError;
use super::cache::CacheError;
use super::fetch::FetchError;
use super::host::HostError;
use super::kernel::KernelError;
use super::modules::ModuleError;
use super::rpm::RpmError;
use super::url::ArchiveError;
use super::userland::UserlandError;

/// An image, or QEMU, that cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A mistake in images/NAME.yaml.
    #[error("{}:{line}:{column}: {message}", file.display())]
    Manifest {
        /// The manifest.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A file operation failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Fetching packages.
    #[error(transparent)]
    Apt(#[from] AptError),
    /// RPM packages.
    #[error(transparent)]
    Rpm(#[from] RpmError),
    /// The kernel.
    #[error("{}: {source}", path.display())]
    Kernel {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<KernelError>,
    },
    /// The modules.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// A program or library.
    #[error(transparent)]
    Userland(#[from] UserlandError),
    /// The packages hold no kernel, or more than one.
    #[error("image {image}: {}", one_kernel(found))]
    Kernels {
        /// The image.
        image: String,
        /// The releases of those that there are.
        found: Vec<String>,
    },
    /// The packages hold a kernel without its modules.
    #[error(
        "image {image}: there is kernel {release} in it and not its modules{}",
        their_packages(others)
    )]
    NoModules {
        /// The image.
        image: String,
        /// The kernel's release.
        release: String,
        /// Releases of which there are modules.
        others: Vec<String>,
    },
    /// The kernel that this machine runs.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A root disk could not be made.
    #[error("image {image}: {message}")]
    RootDisk {
        /// The image.
        image: String,
        /// Why not, and what to do.
        message: String,
    },
    /// A file of the manifest, on this machine or at a URL.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// An archive that is refused.
    #[error("{archive}: {source}")]
    Archive {
        /// Path or URL.
        archive: String,
        /// What is wrong with it.
        source: Box<ArchiveError>,
    },
    /// A local image borrows from another local image.
    #[error(
        "image {image}: userland `{lender}` has none of its own to lend; name an image whose source is apt, such as debian-12"
    )]
    Lender {
        /// The image.
        image: String,
        /// Whom it names.
        lender: String,
    },
    /// The index of a cache entry does not parse.
    #[error("{}: not what this crashdrill wrote ({message}); `crashdrill image prune NAME` removes the entry", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// ssh-keygen failed.
    #[error("ssh-keygen could not make a key: {0}")]
    Keys(String),
    /// A QEMU that does not run.
    #[error("{}: {message}", program.display())]
    Qemu {
        /// The program.
        program: PathBuf,
        /// What happened.
        message: String,
    },
}

fn one_kernel(found: &[String]) -> String {
    match found.is_empty() {
        true => "there is no kernel in it, neither boot/vmlinuz-RELEASE nor \
                 lib/modules/RELEASE/vmlinuz; add the package of one: `linux-image-amd64` of \
                 Debian, `kernel` of RHEL 7, `kernel-core` since RHEL 8"
            .to_owned(),
        false => format!(
            "there are {} kernels in it ({}), but one is needed; leave out the others",
            found.len(),
            found.join(", ")
        ),
    }
}

fn their_packages(others: &[String]) -> String {
    let add = "since RHEL 8 they are in packages of their own: kernel-modules and, since RHEL 9, \
               kernel-modules-core";
    match others.is_empty() {
        true => format!("; {add}"),
        false => format!(
            ", but modules of {}; all of its packages must be of one version. {}",
            others.join(", "),
            add.replacen("since", "Since", 1)
        ),
    }
}

/// For `map_err`.
pub(super) fn io<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> ImageError + 'a {
    move |source| ImageError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}
