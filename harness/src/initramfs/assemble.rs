//! What is in the two archives.

use std::path::PathBuf;
use std::sync::Arc;

use crashdrill_guest::order::{
    CaptureOrder, Driver, FirstOrder, Module, ORDER_PATH, Order, ServerOrder,
};

use super::archive::{Archive, ArchiveError, Content};

/// /init of both kernels: a static x86-64 program.
pub const GUEST_INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/crashdrill-init"));

/// Where the capture kernel lies in the first kernel's initramfs: kexec's argument.
pub const CAPTURE_KERNEL: &str = "/crashdrill/capture-kernel";
/// Where the capture kernel's initramfs lies in the first one's: kexec's `--initrd=`.
pub const CAPTURE_INITRAMFS: &str = "/crashdrill/capture-initramfs";

const BUSYBOX: &str = "/bin/busybox";

/// The files of one initramfs besides /init and its order. Paths in the guest are absolute.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// Programs and the libraries they need: path in the guest, file of the host.
    pub userland: Vec<(String, PathBuf)>,
    /// Kernel modules, decompressed: path in the guest, bytes.
    pub modules: Vec<(String, Arc<[u8]>)>,
    /// The user's own scripts: path in the guest, text.
    pub scripts: Vec<(String, String)>,
    /// Configuration files: path in the guest, permission bits, text.
    pub texts: Vec<(String, u32, String)>,
    /// busybox of the host, for scripts and for a shell; /bin/sh is it. /init itself does
    /// without.
    pub busybox: Option<PathBuf>,
}

/// An initramfs that would not do what its order says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// Two files for one path, or a path that is none.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The order loads a module that is not among the files.
    #[error("the order loads module {name} from {path}, which is not among the initramfs' files")]
    MissingModule {
        /// The module.
        name: String,
        /// Where it should be.
        path: String,
    },
}

/// The first kernel's initramfs, with the capture kernel and its initramfs inside.
///
/// # Errors
/// See [`AssembleError`].
pub fn first(
    order: &FirstOrder,
    parts: &Parts,
    capture_kernel: Content,
    capture_initramfs: Content,
) -> Result<Archive, AssembleError> {
    let mut archive = base(&Order::First(order.clone()), parts)?;
    archive.add_file(CAPTURE_KERNEL, 0o644, capture_kernel)?;
    archive.add_file(CAPTURE_INITRAMFS, 0o644, capture_initramfs)?;
    have_modules(&archive, driver_modules(&order.drivers))?;
    Ok(archive)
}

/// The capture kernel's initramfs.
///
/// # Errors
/// See [`AssembleError`].
pub fn capture(order: &CaptureOrder, parts: &Parts) -> Result<Archive, AssembleError> {
    let mut archive = base(&Order::Capture(Box::new(order.clone())), parts)?;
    archive.add_directory(order.script.mount_point(), 0o755)?;
    let root = order.failure_action.root();
    have_modules(
        &archive,
        driver_modules(&order.drivers)
            .chain(order.target.modules())
            .chain(root.into_iter().flat_map(|root| &root.modules)),
    )?;
    Ok(archive)
}

/// The dump server's initramfs.
///
/// # Errors
/// See [`AssembleError`].
pub fn server(order: &ServerOrder, parts: &Parts) -> Result<Archive, AssembleError> {
    let archive = base(&Order::Server(order.clone()), parts)?;
    have_modules(&archive, driver_modules(&order.drivers))?;
    Ok(archive)
}

fn base(order: &Order, parts: &Parts) -> Result<Archive, AssembleError> {
    let mut archive = Archive::new();
    archive.add_file("/init", 0o755, Content::Static(GUEST_INIT))?;
    archive.add_file(ORDER_PATH, 0o644, order.encode().into_bytes().into())?;
    for mount_point in ["/dev", "/proc", "/sys", "/run"] {
        archive.add_directory(mount_point, 0o755)?;
    }
    archive.add_directory("/tmp", 0o1777)?;
    // The kernel opens the console before /init can mount devtmpfs.
    archive.add_character_device("/dev/console", 0o600, (5, 1))?;
    archive.add_character_device("/dev/null", 0o666, (1, 3))?;
    for (path, host) in &parts.userland {
        archive.add_file(path, 0o755, Content::HostFile(host.clone()))?;
    }
    for (path, bytes) in &parts.modules {
        archive.add_file(path, 0o644, Content::Bytes(bytes.clone()))?;
    }
    for (path, text) in &parts.scripts {
        archive.add_file(path, 0o755, text.clone().into_bytes().into())?;
    }
    for (path, mode, text) in &parts.texts {
        archive.add_file(path, *mode, text.clone().into_bytes().into())?;
    }
    if let Some(busybox) = &parts.busybox {
        archive.add_file(BUSYBOX, 0o755, Content::HostFile(busybox.clone()))?;
        archive.add_symlink("/bin/sh", "busybox")?;
    }
    Ok(archive)
}

/// Of the drivers that are loaded.
fn driver_modules(drivers: &[Driver]) -> impl Iterator<Item = &Module> {
    drivers
        .iter()
        .filter(|driver| driver.kept_out_by.is_none())
        .flat_map(|driver| &driver.modules)
}

fn have_modules<'a>(
    archive: &Archive,
    mut modules: impl Iterator<Item = &'a Module>,
) -> Result<(), AssembleError> {
    match modules.find(|module| archive.get(&module.path).is_none()) {
        None => Ok(()),
        Some(Module { name, path, .. }) => Err(AssembleError::MissingModule {
            name: name.clone(),
            path: path.clone(),
        }),
    }
}
