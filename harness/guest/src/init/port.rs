//! The report channel: an I/O port that needs no driver and no interrupt.

use std::arch::asm;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use crashdrill_guest::order::{ANSWER_PORT, REPORT_PORT};
use crashdrill_guest::report::Report;
use nix::errno::Errno;

use crate::error::errno_name;

/// Longest wait for an answer: the harness may be busy, or nobody may be there.
const ANSWER: Duration = Duration::from_secs(20);
/// Between two looks. The port raises no interrupt to wait for.
const LOOK: Duration = Duration::from_millis(1);

/// Open way to the port.
pub(crate) struct Port(Way);

enum Way {
    /// ioperm(2) was granted.
    Direct,
    /// /dev/port: one write(2) a byte run, slower.
    Device(File),
    /// Neither, and why.
    None(String),
}

impl Port {
    /// Also ends the line that a kernel before this one may have left unfinished.
    pub(crate) fn open() -> Self {
        let device = || OpenOptions::new().read(true).write(true).open("/dev/port");
        // SAFETY: changes this process's I/O permission bitmap and touches no memory.
        let granted = |port: u16| Errno::result(unsafe { libc::ioperm(port.into(), 1, 1) });
        let way = match granted(REPORT_PORT).and_then(|_| granted(ANSWER_PORT)) {
            Ok(_) => Way::Direct,
            Err(ioperm) => match device() {
                Ok(file) => Way::Device(file),
                Err(error) => Way::None(format!(
                    "ioperm: {}; /dev/port: {error} (kernel lockdown?)",
                    errno_name(ioperm)
                )),
            },
        };
        let mut port = Self(way);
        port.write(b"\n");
        port
    }

    /// Why nothing can be reported, if so.
    pub(crate) fn trouble(&self) -> Option<&str> {
        match &self.0 {
            Way::None(why) => Some(why),
            _ => None,
        }
    }

    pub(crate) fn send(&mut self, report: &Report) {
        self.write(report.encode().as_bytes());
    }

    /// What is reported next is to be answered.
    pub(crate) fn expect_answer(&mut self) {
        self.answer_with(0);
    }

    /// Stands still until the harness has answered what was reported since
    /// [`Port::expect_answer`]. Nobody does when the machine was started by hand.
    pub(crate) fn wait_for_answer(&self) {
        let begin = Instant::now();
        while self.answered() == Some(0) && begin.elapsed() < ANSWER {
            std::thread::sleep(LOOK);
        }
    }

    fn answer_with(&mut self, byte: u8) {
        match &self.0 {
            Way::Direct => out(ANSWER_PORT, byte),
            Way::Device(file) => {
                let _ = file.write_at(&[byte], ANSWER_PORT.into());
            }
            Way::None(_) => {}
        }
    }

    fn answered(&self) -> Option<u8> {
        match &self.0 {
            Way::Direct => Some(in_byte(ANSWER_PORT)),
            Way::Device(file) => {
                let mut byte = [0];
                let read = file.read_at(&mut byte, ANSWER_PORT.into()).ok()?;
                (read == 1).then_some(byte[0])
            }
            Way::None(_) => None,
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        match &self.0 {
            Way::Direct => bytes.iter().for_each(|&byte| out(REPORT_PORT, byte)),
            // The offset in /dev/port is the port's number: every byte goes to the same one.
            Way::Device(file) => {
                for byte in bytes {
                    let _ = file.write_at(std::slice::from_ref(byte), REPORT_PORT.into());
                }
            }
            Way::None(_) => {}
        }
    }
}

/// Only called once ioperm(2) has granted the port: without it this is a SIGSEGV.
fn out(port: u16, byte: u8) {
    // SAFETY: `out` reads two registers, writes no memory and no flags. The ports are the debug
    // console's, which has no effect on the machine, and a UART's scratch register, likewise.
    unsafe {
        asm!(
            "out dx, al",
            in("dx") port,
            in("al") byte,
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// As [`out`].
fn in_byte(port: u16) -> u8 {
    let byte;
    // SAFETY: `in` reads one register and writes another. Reading a scratch register has no effect.
    unsafe {
        asm!(
            "in al, dx",
            in("dx") port,
            out("al") byte,
            options(nomem, nostack, preserves_flags),
        );
    }
    byte
}
