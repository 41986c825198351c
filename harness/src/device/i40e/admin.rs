//! The admin queues: a ring of commands to the firmware, and one of events from it (datasheet,
//! chapter 7.10; drivers/net/ethernet/intel/i40e/i40e_adminq.c, i40e_adminq_cmd.h).

use super::interrupts::{ADMIN_QUEUE, Interrupts};
use super::registers::{
    PF_ARQBAH, PF_ARQBAL, PF_ARQH, PF_ARQLEN, PF_ARQT, PF_ATQBAH, PF_ATQBAL, PF_ATQH, PF_ATQLEN,
    PF_ATQT, Registers,
};
use crate::device::Bus;

/// Bytes of a descriptor, and of a buffer at most.
const DESCRIPTOR: usize = 32;
const MOST: usize = 4096;

/// PF_ATQLEN and PF_ARQLEN: entries, no room for an event, memory that is not there, enabled.
const ENTRIES: u32 = 0x3ff;
const OVERFLOW: u32 = 1 << 29;
const CRITICAL: u32 = 1 << 30;
const ENABLE: u32 = 1 << 31;

/// Flags of a descriptor: done, complete, failed; with a buffer; no interrupt when it is done, but
/// one if it failed.
const DONE: u16 = 0x0001 | 0x0002;
const ERROR: u16 = 0x0004;
const BUFFER: u16 = 0x1000;
const SILENT: u16 = 0x2000;
const UNLESS_FAILED: u16 = 0x4000;

/// Why a command failed (`enum i40e_admin_queue_err`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Code {
    /// ENOENT.
    NoEntry = 2,
    /// ESRCH: no such command.
    NoCommand = 3,
    /// ENOMEM: the buffer is too small.
    NoMemory = 9,
    /// EEXIST.
    Exists = 13,
    /// EINVAL.
    Invalid = 14,
    /// ENOSPC.
    NoSpace = 16,
    /// BAD_ADDR: the buffer is not in memory.
    BadAddress = 20,
}

/// One command, and then the answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    flags: u16,
    pub(super) opcode: u16,
    /// Bytes of the buffer.
    pub(super) length: u16,
    pub(super) parameters: [u8; 16],
}

impl Command {
    fn parse(bytes: &[u8; DESCRIPTOR]) -> Self {
        let mut parameters = [0; 16];
        parameters.copy_from_slice(&bytes[16..]);
        Self {
            flags: get(bytes, 0),
            opcode: get(bytes, 2),
            length: get(bytes, 4),
            parameters,
        }
    }

    /// Where the buffer is.
    fn address(&self) -> u64 {
        let [_, _, _, _, _, _, _, _, a, b, c, d, e, f, g, h] = self.parameters;
        u64::from_le_bytes([e, f, g, h, a, b, c, d])
    }

    /// Writes what the firmware says into the descriptor; it leaves the driver's cookie.
    fn complete(&self, code: u16, bytes: &mut [u8; DESCRIPTOR]) {
        let failed = if code == 0 { 0 } else { ERROR };
        put(
            bytes,
            0,
            &(self.flags & !ERROR | DONE | failed).to_le_bytes(),
        );
        put(bytes, 4, &self.length.to_le_bytes());
        put(bytes, 6, &code.to_le_bytes());
        put(bytes, 16, &self.parameters);
    }

    fn interrupts(&self, code: u16) -> bool {
        self.flags & SILENT == 0 || code != 0 && self.flags & UNLESS_FAILED != 0
    }
}

/// The two bytes at `at`. Zero beyond the end.
pub(super) fn get(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..at + 2) {
        Some(&[low, high]) => u16::from_le_bytes([low, high]),
        _ => 0,
    }
}

/// Writes `what` at `at`. Nothing beyond the end.
pub(super) fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    if let Some(there) = bytes.get_mut(at..at + what.len()) {
        there.copy_from_slice(what);
    }
}

/// Does the commands that the driver has added, by `execute`, which may change a command's
/// parameters and its buffer; tells whether to interrupt.
pub(super) fn serve(
    registers: &mut Registers,
    bus: &mut Bus,
    mut execute: impl FnMut(&mut Command, &mut [u8], &mut Registers, &mut Bus) -> Result<(), Code>,
) -> bool {
    let control = registers.get(PF_ATQLEN);
    let entries = control & ENTRIES;
    if control & ENABLE == 0 || entries == 0 {
        return false;
    }
    let base = registers.address(PF_ATQBAL, PF_ATQBAH);
    let tail = registers.get(PF_ATQT) % entries;
    let mut head = registers.get(PF_ATQH) % entries;
    let mut interrupt = false;
    // At most once around: each step takes the head on by one.
    while head != tail {
        let at = base.wrapping_add(u64::from(head) * DESCRIPTOR as u64);
        let Ok(mut descriptor) = bus.get::<DESCRIPTOR>(at) else {
            registers.set(PF_ATQLEN, control | CRITICAL);
            bus.note(|| format!("the admin send queue is at {at:#x}, where no memory is"));
            return true;
        };
        let mut command = Command::parse(&descriptor);
        let code = match with_buffer(&mut command, registers, bus, &mut execute) {
            Ok(()) => 0,
            Err(code) => code as u16,
        };
        command.complete(code, &mut descriptor);
        if bus.write(at, &descriptor).is_err() {
            registers.set(PF_ATQLEN, control | CRITICAL);
            return true;
        }
        interrupt |= command.interrupts(code);
        head = (head + 1) % entries;
        registers.set(PF_ATQH, head);
    }
    interrupt
}

fn with_buffer(
    command: &mut Command,
    registers: &mut Registers,
    bus: &mut Bus,
    execute: &mut impl FnMut(&mut Command, &mut [u8], &mut Registers, &mut Bus) -> Result<(), Code>,
) -> Result<(), Code> {
    if command.flags & BUFFER == 0 {
        return execute(command, &mut [], registers, bus);
    }
    let address = command.address();
    let mut buffer = vec![0; usize::from(command.length)];
    if buffer.len() > MOST {
        return Err(Code::Invalid);
    }
    let read = bus.read(address, &mut buffer);
    read.map_err(|_| Code::BadAddress)?;
    execute(command, &mut buffer, registers, bus)?;
    let written = bus.write(address, &buffer);
    written.map_err(|_| Code::BadAddress)
}

/// Tells the driver of an event that has no buffer.
pub(super) fn tell(
    opcode: u16,
    parameters: [u8; 16],
    registers: &mut Registers,
    interrupts: &mut Interrupts,
    bus: &mut Bus,
) {
    let control = registers.get(PF_ARQLEN);
    let entries = control & ENTRIES;
    if control & ENABLE == 0 || entries == 0 {
        return;
    }
    let head = registers.get(PF_ARQH) % entries;
    if head == registers.get(PF_ARQT) % entries {
        registers.set(PF_ARQLEN, control | OVERFLOW);
        bus.note(|| format!("the admin receive queue has no room for event {opcode:#06x}"));
        return;
    }
    let base = registers.address(PF_ARQBAL, PF_ARQBAH);
    let at = base.wrapping_add(u64::from(head) * DESCRIPTOR as u64);
    let event = Command {
        flags: 0,
        opcode,
        length: 0,
        parameters,
    };
    let mut descriptor = [0; DESCRIPTOR];
    event.complete(0, &mut descriptor);
    put(&mut descriptor, 2, &opcode.to_le_bytes());
    match bus.write(at, &descriptor) {
        Ok(()) => {
            registers.set(PF_ARQH, (head + 1) % entries);
            interrupts.raise(ADMIN_QUEUE, bus);
        }
        Err(_) => registers.set(PF_ARQLEN, control | CRITICAL),
    }
}

#[cfg(test)]
mod tests;
