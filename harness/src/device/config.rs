//! The configuration space of one function (PCI Local Bus Specification 3.0, chapter 6; PCI Express
//! Base Specification, chapter 7).

use super::interrupts::Mode;

/// PCI Express: 4 KiB a function.
const SIZE: usize = 4096;

const COMMAND: usize = 0x04;
const COMMAND_MASTER: u8 = 1 << 2;
/// In the command register's upper byte.
const COMMAND_NO_LINE: u8 = 1 << 2;
const STATUS: usize = 0x06;
const STATUS_CAPABILITIES: u16 = 1 << 4;
const FIRST_BAR: usize = 0x10;
const CAPABILITIES: usize = 0x34;

const POWER_MANAGEMENT: u8 = 0x01;
const MSI: u8 = 0x05;
const EXPRESS: u8 = 0x10;
const MSIX: u8 = 0x11;

/// In the upper byte of Device Control: Initiate Function Level Reset.
const INITIATE_RESET: u8 = 1 << 7;

/// Who a device says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Subsystem Vendor ID.
    pub subvendor: u16,
    /// Subsystem ID.
    pub subdevice: u16,
    /// Class code, 24 bits: class, subclass, programming interface.
    pub class: u32,
    /// Revision ID.
    pub revision: u8,
}

/// A stretch of registers. Sizes are powers of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bar {
    /// I/O ports.
    Io(u32),
    /// Memory below 4 GiB.
    Memory32 {
        /// Its size.
        size: u32,
        /// It has no side effects.
        prefetchable: bool,
    },
    /// Memory anywhere; takes the next BAR's register, too.
    Memory64 {
        /// Its size.
        size: u64,
        /// It has no side effects.
        prefetchable: bool,
    },
}

impl Bar {
    /// In bytes.
    pub fn size(self) -> u64 {
        match self {
            Self::Io(size) | Self::Memory32 { size, .. } => u64::from(size),
            Self::Memory64 { size, .. } => size,
        }
    }
}

/// Where a device has its MSI-X table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MsiXLayout {
    /// Entries.
    pub entries: u16,
    /// The BAR that both lie in.
    pub bar: u8,
    /// Offset of the table in it, a multiple of 8.
    pub table: u32,
    /// Offset of the pending bits, a multiple of 8.
    pub pending: u32,
}

/// What a guest finds of a function on its bus, and what of it it may change.
#[derive(Debug, Clone)]
pub struct ConfigSpace {
    data: Box<[u8; SIZE]>,
    writable: Box<[u8; SIZE]>,
    reset: Box<[u8; SIZE]>,
    bars: [Option<Bar>; 6],
    /// The pointer that the next capability's offset goes to.
    tail: usize,
    power: Option<usize>,
    msi: Option<usize>,
    msix: Option<usize>,
    express: Option<usize>,
}

/// What a write to the configuration space asks the device for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    /// Function-level reset.
    Reset,
}

impl ConfigSpace {
    /// A function with these BARs, by index, and interrupt pin A.
    pub fn new(identity: &Identity, bars: &[(u8, Bar)]) -> Self {
        let mut space = Self {
            data: Box::new([0; SIZE]),
            writable: Box::new([0; SIZE]),
            reset: Box::new([0; SIZE]),
            bars: [None; 6],
            tail: CAPABILITIES,
            power: None,
            msi: None,
            msix: None,
            express: None,
        };
        space.set(0x00, identity.vendor.to_le_bytes());
        space.set(0x02, identity.device.to_le_bytes());
        // I/O, memory, master, parity, SERR, no interrupt line.
        space.open(COMMAND, 0x0547u16.to_le_bytes());
        space.set(0x08, [identity.revision]);
        let [interface, subclass, class, _] = identity.class.to_le_bytes();
        space.set(0x09, [interface, subclass, class]);
        // Cache line size.
        space.open(0x0c, [0xff]);
        for &(index, bar) in bars {
            space.bar(usize::from(index), bar);
        }
        space.set(0x2c, identity.subvendor.to_le_bytes());
        space.set(0x2e, identity.subdevice.to_le_bytes());
        // Interrupt line and pin.
        space.open(0x3c, [0xff]);
        space.set(0x3d, [1]);
        space.kept()
    }

    fn bar(&mut self, index: usize, bar: Bar) {
        let at = FIRST_BAR + 4 * index;
        let mask = !(bar.size().wrapping_sub(1));
        match bar {
            Bar::Io(_) => {
                self.set(at, 1u32.to_le_bytes());
                self.open(at, (mask as u32).to_le_bytes());
            }
            Bar::Memory32 { prefetchable, .. } => {
                self.set(at, (u32::from(prefetchable) << 3).to_le_bytes());
                self.open(at, (mask as u32).to_le_bytes());
            }
            Bar::Memory64 { prefetchable, .. } => {
                let flags = 4 | u32::from(prefetchable) << 3;
                self.set(at, flags.to_le_bytes());
                self.open(at, mask.to_le_bytes());
            }
        }
        self.bars[index] = Some(bar);
    }

    /// Adds the power management capability at `at`.
    #[must_use]
    pub fn with_power_management(mut self, at: u8) -> Self {
        let at = self.capability(POWER_MANAGEMENT, at);
        self.power = Some(at);
        // Version 3, no PME; the power state can be written.
        self.set(at + 2, 0x0003u16.to_le_bytes());
        self.open(at + 4, 0x0003u16.to_le_bytes());
        // No soft reset when it comes back from D3hot.
        self.set(at + 4, 0x0008u16.to_le_bytes());
        self.kept()
    }

    /// Adds an MSI capability for one message with a mask at `at`.
    #[must_use]
    pub fn with_msi(mut self, at: u8) -> Self {
        let at = self.capability(MSI, at);
        self.msi = Some(at);
        // 64-bit addresses, per-vector masking, one message.
        self.set(at + 2, 0x0180u16.to_le_bytes());
        self.open(at + 2, 0x0001u16.to_le_bytes());
        self.open(at + 4, 0xffff_fffcu32.to_le_bytes());
        self.open(at + 8, u32::MAX.to_le_bytes());
        self.open(at + 12, u16::MAX.to_le_bytes());
        self.open(at + 16, 1u32.to_le_bytes());
        self.kept()
    }

    /// Adds an MSI-X capability at `at`.
    #[must_use]
    pub fn with_msix(mut self, at: u8, layout: MsiXLayout) -> Self {
        let at = self.capability(MSIX, at);
        self.msix = Some(at);
        self.set(at + 2, layout.entries.saturating_sub(1).to_le_bytes());
        // Enable, and mask all.
        self.open(at + 2, 0xc000u16.to_le_bytes());
        let bar = u32::from(layout.bar);
        self.set(at + 4, (layout.table | bar).to_le_bytes());
        self.set(at + 8, (layout.pending | bar).to_le_bytes());
        self.kept()
    }

    /// Adds the PCI Express capability of an endpoint with function-level reset at `at`.
    #[must_use]
    pub fn with_express(mut self, at: u8) -> Self {
        let at = self.capability(EXPRESS, at);
        self.express = Some(at);
        // Version 2, endpoint.
        self.set(at + 2, 0x0002u16.to_le_bytes());
        // 512 bytes of payload, extended tags, role-based errors, function-level reset.
        self.set(at + 4, 0x1000_8022u32.to_le_bytes());
        // The bit that starts the reset reads as zero.
        self.open(at + 8, 0x7fffu16.to_le_bytes());
        // 8 GT/s, eight lanes, both as they can be and as they are.
        self.set(at + 12, 0x0000_0083u32.to_le_bytes());
        self.open(at + 16, 0x0fffu16.to_le_bytes());
        self.set(at + 18, 0x0083u16.to_le_bytes());
        self.kept()
    }

    fn capability(&mut self, id: u8, at: u8) -> usize {
        self.set(STATUS, STATUS_CAPABILITIES.to_le_bytes());
        self.set(self.tail, [at]);
        let at = usize::from(at);
        self.set(at, [id, 0]);
        self.tail = at + 1;
        at
    }

    fn set<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        self.data[at..at + N].copy_from_slice(&bytes);
    }

    fn open<const N: usize>(&mut self, at: usize, mask: [u8; N]) {
        self.writable[at..at + N].copy_from_slice(&mask);
    }

    /// What has been set so far is what a reset brings back.
    fn kept(mut self) -> Self {
        self.reset = self.data.clone();
        self
    }

    /// Its BARs, by index.
    pub(super) fn bars(&self) -> &[Option<Bar>; 6] {
        &self.bars
    }

    /// MSI messages and MSI-X entries that it has.
    pub(super) fn vectors(&self) -> (u16, u16) {
        let entries = self.msix.map_or(0, |at| {
            let control = u16::from_le_bytes([self.data[at + 2], self.data[at + 3]]);
            (control & 0x07ff) + 1
        });
        (u16::from(self.msi.is_some()), entries)
    }

    pub(super) fn size(&self) -> u64 {
        SIZE as u64
    }

    pub(super) fn read(&self, offset: usize, data: &mut [u8]) {
        let there = self.data.get(offset..).unwrap_or_default();
        let count = there.len().min(data.len());
        let (within, beyond) = data.split_at_mut(count);
        within.copy_from_slice(&there[..count]);
        beyond.fill(0xff);
    }

    pub(super) fn write(&mut self, offset: usize, data: &[u8]) -> Effect {
        let mut effect = Effect::None;
        for (at, &byte) in (offset..SIZE).zip(data) {
            if self.express.is_some_and(|it| at == it + 9) && byte & INITIATE_RESET != 0 {
                effect = Effect::Reset;
            }
            let mask = self.writable[at];
            self.data[at] = self.data[at] & !mask | byte & mask;
        }
        if effect == Effect::Reset {
            self.reset();
        }
        effect
    }

    /// As it was at power-on.
    pub(super) fn reset(&mut self) {
        self.data = self.reset.clone();
    }

    /// Whether it may reach memory, which is also how it sends messages: the guest lets it, and it
    /// is not asleep.
    pub(super) fn masters(&self) -> bool {
        let awake = self.power.is_none_or(|at| self.data[at + 4] & 0x03 == 0);
        awake && self.data[COMMAND] & COMMAND_MASTER != 0
    }

    pub(super) fn line_disabled(&self) -> bool {
        self.data[COMMAND + 1] & COMMAND_NO_LINE != 0
    }

    pub(super) fn mode(&self) -> Mode {
        let set =
            |at: Option<usize>, byte, bit| at.is_some_and(|at| self.data[at + byte] & bit != 0);
        match () {
            () if set(self.msix, 3, 0x80) => Mode::MsiX,
            () if set(self.msi, 2, 0x01) => Mode::Msi,
            () => Mode::Line,
        }
    }
}

#[cfg(test)]
mod tests;
