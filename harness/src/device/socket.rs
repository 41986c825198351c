//! The sockets that QEMU finds a machine's devices by.
//!
//! QEMU connects to a name and takes no connected descriptor. So the sockets lie in a directory that
//! only this user can enter, QEMU inherits that directory, and each name goes when its connection is
//! made; what is left is an empty directory, until the machine ends.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

/// The directory.
#[derive(Debug)]
pub(super) struct Directory {
    /// Removed with everything in it.
    _directory: tempfile::TempDir,
    open: OwnedFd,
}

impl Directory {
    pub(super) fn new() -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("crashdrill-").tempdir()?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let open = open(directory.path(), flags, Mode::empty())?;
        Ok(Self {
            _directory: directory,
            open,
        })
    }

    /// Listens by this name.
    pub(super) fn listen(&self, name: &str) -> io::Result<(UnixListener, Name)> {
        let path = path(self.open.as_fd()).join(name);
        Ok((UnixListener::bind(&path)?, Name(path)))
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.open.as_fd()
    }
}

/// A socket's name; it goes with this.
pub(super) struct Name(PathBuf);

impl Drop for Name {
    fn drop(&mut self) {
        // It may have gone with its directory.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The name of an inherited directory: short, where a socket's name may have 107 bytes and a
/// temporary directory's may have more.
pub(crate) fn path(directory: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}
