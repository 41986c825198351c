//! Programs that help for a moment: apt-get, dpkg-deb, mke2fs.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, getppid};

/// The child is killed when the thread that starts it dies, however that comes.
pub(crate) fn dying_with_us(command: &mut Command) -> &mut Command {
    dying_with_us_by(command, Signal::SIGKILL)
}

/// [`dying_with_us`] with another signal, for a child that has something to put away.
pub(crate) fn dying_with_us_by(command: &mut Command, signal: Signal) -> &mut Command {
    let parent = getpid();
    // SAFETY: between fork and exec only prctl and getppid are called, which are async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            prctl::set_pdeathsig(signal)?;
            match getppid() == parent {
                true => Ok(()),
                // It died before the call above: nobody would tell us.
                false => Err(io::ErrorKind::Interrupted.into()),
            }
        })
    }
}
