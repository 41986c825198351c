//! The report channel: an I/O port that needs no driver and no interrupt.

use std::arch::asm;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use crashdrill_guest::order::REPORT_PORT;
use crashdrill_guest::report::Report;
use nix::errno::Errno;

use crate::error::errno_name;

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
        // SAFETY: changes this process's I/O permission bitmap and touches no memory.
        let granted = unsafe { libc::ioperm(REPORT_PORT.into(), 1, 1) };
        let way = match Errno::result(granted) {
            Ok(_) => Way::Direct,
            Err(ioperm) => match OpenOptions::new().write(true).open("/dev/port") {
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

    fn write(&mut self, bytes: &[u8]) {
        match &self.0 {
            Way::Direct => bytes.iter().for_each(|&byte| out(byte)),
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
fn out(byte: u8) {
    // SAFETY: `out` reads two registers, writes no memory and no flags. The port is the debug
    // console's, which has no effect on the machine.
    unsafe {
        asm!(
            "out dx, al",
            in("dx") REPORT_PORT,
            in("al") byte,
            options(nomem, nostack, preserves_flags),
        );
    }
}
