//! Everything that can go wrong while an image is made ready.

use std::io;
use std::path::{Path, PathBuf};

use super::apt::AptError;
use super::cache::CacheError;
use super::kernel::KernelError;
use super::modules::ModuleError;
use super::rpm::RpmError;
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
    #[error(
        "image {image}: the packages hold {found} kernels, but one is needed; list one kernel \
         package: `linux-image-...` of Debian, `kernel` of RHEL 7, `kernel-core` of later ones"
    )]
    Kernels {
        /// The image.
        image: String,
        /// How many.
        found: usize,
    },
    /// A root disk could not be made.
    #[error("image {image}: {message}")]
    RootDisk {
        /// The image.
        image: String,
        /// Why not, and what to do.
        message: String,
    },
    /// A file that has to come from a URL.
    #[error("fetching {0} is not supported yet")]
    Url(String),
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
    #[error("{}: not what this crashdrill wrote ({message}); remove the entry with `crashdrill image prune`", path.display())]
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
