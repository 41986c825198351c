//! The cable between a drill's machine and its dump server: a socket pair that the two QEMUs
//! inherit. It reaches nothing else, and has neither a name nor a port on the host.

use std::os::fd::{OwnedFd, RawFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::MachineError;

/// Hardware address of the network device that a drill's dump goes to.
pub const DRILL_MAC: &str = "52:54:00:c7:a5:01";
/// That of the dump server's.
pub const SERVER_MAC: &str = "52:54:00:c7:a5:02";

/// What is at the other end of a target network device's cable. In either case the device has a
/// carrier, as it has at a switch's port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Link {
    /// Nobody.
    #[default]
    Nobody,
    /// Another QEMU, through this end of [`cable`].
    Socket(RawFd),
}

/// Both ends. A stream: what is sent while the other guest is busy waits, and none of it is lost.
///
/// # Errors
/// No descriptor left.
pub fn cable() -> Result<(OwnedFd, OwnedFd), MachineError> {
    socketpair(
        AddressFamily::Unix,
        SockType::Stream,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .map_err(|errno| MachineError::Host {
        step: "making a socket pair between two QEMUs",
        source: errno.into(),
    })
}
