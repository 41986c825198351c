//! The socket that QEMU finds a modelled device by.
//!
//! QEMU connects to a name and takes no connected descriptor. So the socket gets a name, which is
//! opened and removed before anybody may connect: QEMU inherits the open name, and nothing is left
//! in any directory while a drill runs.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use nix::sys::stat::Mode;

use crate::machine::fd_path;

/// A socket that listens, and its name, to be connected to by [`fd_path`].
pub(super) fn listener() -> io::Result<(UnixListener, OwnedFd)> {
    let directory = std::env::temp_dir();
    listener_in(&directory).map_err(|error| {
        let place = directory.display();
        let text = format!("no socket in {place}: {error}; TMPDIR can name another directory");
        io::Error::new(error.kind(), text)
    })
}

fn listener_in(directory: &Path) -> io::Result<(UnixListener, OwnedFd)> {
    let opened = |path: &Path, flag| {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC | flag;
        Ok::<_, io::Error>(open(path, flags, Mode::empty())?)
    };
    // A socket's name may have 107 bytes, and a directory's own may have more.
    let directory = opened(directory, OFlag::O_DIRECTORY)?;
    let bound = tempfile::Builder::new().prefix("crashdrill-").make_in(
        fd_path(directory.as_raw_fd()),
        |path| {
            let flags = SockFlag::SOCK_CLOEXEC;
            let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
            bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
            Ok(socket)
        },
    )?;
    let name = opened(bound.path(), OFlag::O_NOFOLLOW)?;
    let (socket, path) = bound.into_parts();
    path.close()?;
    // From here on it can be connected to, by the descriptor alone.
    listen(&socket, Backlog::new(1)?)?;
    Ok((socket.into(), name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn nothing_is_left_and_it_can_be_found() {
        let outer = tempfile::tempdir().unwrap();
        let directory = outer.path().join("a".repeat(200));
        std::fs::create_dir(&directory).unwrap();
        let (listener, name) = listener_in(&directory).unwrap();
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
        std::fs::remove_dir_all(&directory).unwrap();
        let _client = UnixStream::connect(fd_path(name.as_raw_fd())).unwrap();
        listener.accept().unwrap();
        drop(listener);
        let error = UnixStream::connect(fd_path(name.as_raw_fd())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn no_directory_for_it() {
        let error = listener_in(Path::new("/does/not/exist")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        // Nothing can be made there, not even by root.
        let error = listener_in(Path::new("/proc/self")).unwrap_err();
        assert!(!error.to_string().is_empty());
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = listener_in(file.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }
}
