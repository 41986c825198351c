//! The console: what an operator reads. A console that cannot be written to is no reason to stop.

use std::io::Write;
use std::os::fd::AsFd;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::termios::tcdrain;
use nix::unistd::alarm;

/// Longest time that the last lines get to leave the UART, in seconds: 16 KiB at 115200 baud take
/// less than two. `console=ttyS0` alone is 9600 baud to every kernel (8250's console setup), which
/// QEMU's UART does not act out: it sends at once.
const DRAIN_SECONDS: u32 = 5;

/// One line, in one write so that the kernel's own lines do not come between its parts.
pub(crate) fn print(line: &str) {
    let mut text = String::with_capacity(line.len() + 1);
    text.push_str(line);
    text.push('\n');
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Waits until the UART has sent what was printed: neither a crash nor a power-off would. A
/// capture kernel may have lost the serial port's interrupt, so the wait ends with an alarm.
pub(crate) fn drain() {
    extern "C" fn wake(_: libc::c_int) {}
    // Without SA_RESTART: the signal is there to interrupt tcdrain.
    let action = SigAction::new(SigHandler::Handler(wake), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing, so it is async-signal-safe.
    if unsafe { sigaction(Signal::SIGALRM, &action) }.is_err() {
        return;
    }
    alarm::set(DRAIN_SECONDS);
    let _ = tcdrain(std::io::stderr().as_fd());
    alarm::cancel();
}
