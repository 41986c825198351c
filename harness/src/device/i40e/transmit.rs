//! Transmit queues without a wire: what a driver posts is done at once, and goes nowhere.
//!
//! A queue's context lies in host memory, behind segments of 2 MiB that the driver has named (host
//! memory cache; drivers/net/ethernet/intel/i40e/i40e_hmc.h, i40e_lan_hmc.c; datasheet, chapter 7.9).

use std::collections::BTreeMap;

use super::registers::{
    GLHMC_LANTXBASE, PFHMC_SDDATAHIGH, PFHMC_SDDATALOW, QTX_ENA, QTX_HEAD, QUEUES, Registers,
};
use crate::device::Bus;

/// QTX_ENA and QRX_ENA: wanted, and so it is.
const WANTED: u32 = 1 << 0;
const ENABLED: u32 = 1 << 2;

/// PFHMC_SDCMD: the segment, and that it is written.
const SEGMENT: u32 = 0xfff;
const WRITE: u32 = 1 << 31;
/// PFHMC_SDDATALOW: there is one; it is memory itself, not a page of 512 addresses of pages.
const VALID: u64 = 1 << 0;
const DIRECT: u64 = 1 << 1;
const PAGE_ADDRESS: u64 = !0xfff;

/// Bytes of a transmit queue's context (GLHMC_LANTXOBJSZ).
const CONTEXT: usize = 128;

/// The function's segments, as PFHMC_SDDATA had them.
#[derive(Debug, Default)]
pub(super) struct HostMemory(BTreeMap<u16, u64>);

impl HostMemory {
    /// PFHMC_SDCMD has been written.
    pub(super) fn command(&mut self, command: u32, registers: &Registers) {
        let segment = (command & SEGMENT) as u16;
        let data = registers.address(PFHMC_SDDATALOW, PFHMC_SDDATAHIGH);
        match (command & WRITE, data & VALID) {
            (0, _) => {}
            (_, 0) => _ = self.0.remove(&segment),
            (_, _) => _ = self.0.insert(segment, data),
        }
    }

    /// Where in host memory a private address of the function is.
    fn translate(&self, address: u64, bus: &Bus) -> Option<u64> {
        let segment = u16::try_from(address >> 21).ok()?;
        let data = self.0.get(&segment)?;
        let base = data & PAGE_ADDRESS;
        if data & DIRECT != 0 {
            return base.checked_add(address & 0x1f_ffff);
        }
        let entry = base.checked_add((address >> 12 & 0x1ff) * 8)?;
        let page = u64::from_le_bytes(bus.get(entry).ok()?);
        (page & VALID != 0).then_some(page & PAGE_ADDRESS | address & 0xfff)
    }
}

/// What the model needs of a transmit queue's context (`i40e_hmc_txq_ce_info` of i40e_lan_hmc.c).
#[derive(Debug, PartialEq, Eq)]
struct Context {
    entries: u32,
    /// Where the queue's head is written to, so that the driver need not ask.
    head: Option<u64>,
}

impl Context {
    fn parse(bytes: &[u8; CONTEXT]) -> Self {
        // Bits 160 and 161 to 173; and 192 to 255.
        let second = u16::from_le_bytes([bytes[20], bytes[21]]);
        let [a, b, c, d, e, f, g, h] = [24, 25, 26, 27, 28, 29, 30, 31].map(|at: usize| bytes[at]);
        let address = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        Self {
            entries: u32::from(second >> 1 & 0x1fff),
            head: (second & 1 != 0).then_some(address),
        }
    }
}

/// Queues that are wanted are, at once.
pub(super) fn enable(value: u32) -> u32 {
    match value & WANTED {
        0 => value & !ENABLED,
        _ => value | ENABLED,
    }
}

/// A driver has posted descriptors up to `tail`; gives whether it is to be told that they are done.
pub(super) fn post(
    (queue, tail): (u32, u32),
    function: u8,
    memory: &HostMemory,
    registers: &mut Registers,
    bus: &mut Bus,
) -> bool {
    if queue >= QUEUES || registers.get(QTX_ENA + 4 * queue) & ENABLED == 0 {
        return false;
    }
    let base = registers.get(GLHMC_LANTXBASE + 4 * u32::from(function)) & 0xff_ffff;
    let address = u64::from(base) * 512 + u64::from(queue) * CONTEXT as u64;
    let place = memory.translate(address, bus);
    let Some(context) = place.and_then(|place| bus.get::<CONTEXT>(place).ok()) else {
        bus.note(|| format!("transmit queue {queue} has no context in memory"));
        return false;
    };
    let context = Context::parse(&context);
    // A driver that sets the tail to where the queue begins has posted nothing yet.
    if tail >= context.entries || tail == registers.get(QTX_HEAD + 4 * queue) {
        return false;
    }
    registers.set(QTX_HEAD + 4 * queue, tail);
    match context.head {
        Some(head) => bus.write(head, &tail.to_le_bytes()).is_ok(),
        // No driver for this device does without it.
        None => {
            bus.note(|| format!("transmit queue {queue} wants no head in memory: it will hang"));
            false
        }
    }
}

#[cfg(test)]
mod tests;
