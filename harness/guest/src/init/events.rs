//! Waiting for something to become readable.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Until one of them can be read, or for `left` at most.
pub(crate) fn wait(fds: &[BorrowedFd<'_>], left: Duration) {
    let mut fds: Vec<PollFd> = fds
        .iter()
        .map(|fd| PollFd::new(*fd, PollFlags::POLLIN))
        .collect();
    // Rounded up: a wait of 0 ms before the deadline would spin.
    let milliseconds = u32::try_from(left.as_millis().saturating_add(1)).unwrap_or(u32::MAX);
    let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
    let _ = poll(&mut fds, timeout);
}
