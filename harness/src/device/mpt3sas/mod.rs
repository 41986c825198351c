//! A SAS3 I/O controller of Broadcom's (LSI's), as the mpt3sas driver knows it, with one SAS disk.
//!
//! This file is its registers and its states (drivers/scsi/mpt3sas/mpi/mpi2.h,
//! MPI2_SYSTEM_INTERFACE_REGS). A crash of the host's kernel changes nothing: the adapter stays
//! operational, with the queues of the dead kernel, until a driver resets it. Every request is carried
//! out before the next register is looked at, so that after a reset nothing is left that could write
//! into the guest's memory.

mod chip;
mod doorbell;
mod firmware;
mod message;
mod pages;
mod queues;
mod sgl;
mod target;
#[cfg(test)]
mod tests;
mod topology;

use std::fs::File;
use std::io;

pub use chip::{Chip, Sas3108};

use super::{Bus, ConfigSpace, Identity, Model};
use doorbell::{Doorbell, Order};
use firmware::{Answer, Firmware};
use message::{Message, REPLY, Status, function};
use queues::{Descriptor, Queues, Stuck};
use target::Target;
use topology::is_masked;

/// To what depth this is the adapter.
pub const FIDELITY: &str = "registers, queues, configuration pages, discovery and SCSI I/O as the \
    mpt3sas driver uses them, with one SAS disk on a file; it answers at once and never fails by \
    itself; no RAID, expanders, SATA, protection information, diagnostic buffers or firmware updates";

/// NAA names are of the locally assigned kind (3h): "crash", the adapter's number, and its part.
const NAMES: u64 = 0x3637_2617_3680_0000;

/// Registers.
const DOORBELL: u64 = 0x00;
const WRITE_SEQUENCE: u64 = 0x04;
const HOST_DIAGNOSTIC: u64 = 0x08;
const INTERRUPT_STATUS: u64 = 0x30;
const INTERRUPT_MASK: u64 = 0x34;
const REPLY_FREE_INDEX: u64 = 0x48;
const REPLY_POST_INDEX: u64 = 0x6c;
const REQUEST_LOW: u64 = 0xc0;
const REQUEST_HIGH: u64 = 0xc4;
/// From here on, every 16 bytes, one for eight queues: MPI25_SUP_REPLY_POST_HOST_INDEX_OFFSET.
const MORE_POST_INDEXES: u64 = 0x30c;
const LAST_POST_INDEX: u64 = MORE_POST_INDEXES + 11 * 0x10;

/// HostInterruptStatus and HostInterruptMask.
const DOORBELL_INTERRUPT: u32 = 0x1;
const REPLY_INTERRUPT: u32 = 0x8;
const RESET_INTERRUPT: u32 = 0x4000_0000;
const ALL_MASKED: u32 = RESET_INTERRUPT | REPLY_INTERRUPT | DOORBELL_INTERRUPT;

/// HostDiagnostic.
const RESET_HISTORY: u32 = 0x20;
const RESET_ADAPTER: u32 = 0x04;
const WRITE_ENABLE: u32 = 0x80;
/// What is written to WriteSequence, four bits each, before HostDiagnostic may be written.
const KEYS: [u8; 6] = [0xf, 0x4, 0xb, 0x2, 0x7, 0xd];

/// Fault codes, of the range that is the product's own (below MPI2_FAULT_PRODUCT_SPECIFIC_MAX).
const FAULT_QUEUES: u16 = 0x2100;
const FAULT_MEMORY: u16 = 0x2200;

/// The adapter.
#[derive(Debug)]
pub struct Mpt3sas {
    state: State,
    doorbell: Doorbell,
    /// WhoInit of the last IOCInit.
    who: u8,
    mask: u32,
    diagnostic: Diagnostic,
    /// Written by half: the request descriptor's lower half.
    low: u32,
    firmware: Firmware,
}

/// MPI2_IOC_STATE_. It is never seen in RESET: a reset takes no time.
#[derive(Debug)]
enum State {
    Ready,
    Operational {
        queues: Box<Queues>,
        /// Events that the host does not want; all of them until it says so.
        masks: [u32; 4],
    },
    Fault(u16),
}

impl State {
    fn bits(&self) -> u32 {
        match self {
            Self::Ready => 0x1000_0000,
            Self::Operational { .. } => 0x2000_0000,
            Self::Fault(code) => 0x4000_0000 | u32::from(*code),
        }
    }
}

/// The diagnostic register and its lock.
#[derive(Debug, Default)]
struct Diagnostic {
    /// How many of the keys have been written.
    keys: usize,
    /// It was reset by way of this register.
    history: bool,
}

impl Diagnostic {
    fn is_open(&self) -> bool {
        self.keys == KEYS.len()
    }

    fn read(&self) -> u32 {
        let bit = |set, bit| if set { bit } else { 0 };
        bit(self.is_open(), WRITE_ENABLE) | bit(self.history, RESET_HISTORY)
    }

    /// A key: the next one opens further, a wrong one shuts.
    fn key(&mut self, value: u32) {
        let key = (value & 0xf) as u8;
        self.keys = match KEYS.get(self.keys) {
            Some(&next) if next == key => self.keys + 1,
            _ if key == KEYS[0] => 1,
            _ => 0,
        };
    }
}

impl Mpt3sas {
    /// The adapter that counts as `index` of its machine, at power-on, with a disk on a file or
    /// without one.
    ///
    /// # Errors
    /// The file's size cannot be read.
    pub fn new(chip: Chip, entries: u16, index: u16, disk: Option<File>) -> io::Result<Self> {
        let name = NAMES | u64::from(index) << 4;
        let target = disk.map(|file| Target::new(file, name | 2)).transpose()?;
        Ok(Self {
            state: State::Ready,
            doorbell: Doorbell::default(),
            who: 0,
            mask: ALL_MASKED,
            diagnostic: Diagnostic::default(),
            low: 0,
            firmware: Firmware::new(chip, entries, name, target),
        })
    }

    /// What such an adapter shows on the bus, with an MSI-X table of so many entries.
    pub fn config(identity: &Identity, entries: u16) -> ConfigSpace {
        chip::config(identity, entries)
    }

    /// Registers lie at the beginning of the I/O ports and of the first memory BAR.
    fn register(&self, bar: u8, offset: u64) -> u32 {
        if bar > 1 {
            return 0;
        }
        match offset {
            DOORBELL => {
                let who = u32::from(self.who & 7) << 24;
                match self.state {
                    State::Fault(_) => self.state.bits() | who,
                    _ => self.state.bits() | who | self.doorbell.read(),
                }
            }
            HOST_DIAGNOSTIC => self.diagnostic.read(),
            INTERRUPT_STATUS => self.interrupts(),
            INTERRUPT_MASK => self.mask,
            _ => 0,
        }
    }

    /// HostInterruptStatus. Its bit 31, that the doorbell is still busy, is never seen.
    fn interrupts(&self) -> u32 {
        let replies = match &self.state {
            State::Operational { queues, .. } => queues.unseen().next().is_some(),
            _ => false,
        };
        let bit = |set, bit| if set { bit } else { 0 };
        bit(replies, REPLY_INTERRUPT) | bit(self.doorbell.interrupts(), DOORBELL_INTERRUPT)
    }

    fn set(&mut self, offset: u64, value: u32, bus: &mut Bus) {
        match offset {
            DOORBELL => self.ring(value, bus),
            WRITE_SEQUENCE => self.diagnostic.key(value),
            HOST_DIAGNOSTIC if self.diagnostic.is_open() => {
                if value & RESET_ADAPTER != 0 {
                    self.diagnostic_reset();
                } else if value & RESET_HISTORY == 0 {
                    self.diagnostic.history = false;
                }
            }
            INTERRUPT_STATUS => self.doorbell.acknowledge(),
            INTERRUPT_MASK => self.unmask(value, bus),
            REPLY_FREE_INDEX => {
                if let State::Operational { queues, .. } = &mut self.state {
                    queues.lent(value);
                }
            }
            REPLY_POST_INDEX => self.seen((value >> 24) as usize, value),
            MORE_POST_INDEXES..=LAST_POST_INDEX if offset & 0xf == 0xc => {
                let eighth = (offset - MORE_POST_INDEXES) as usize / 0x10;
                self.seen(8 * eighth + (value >> 24 & 7) as usize, value);
            }
            REQUEST_LOW => self.low = value,
            REQUEST_HIGH => {
                let bits = u64::from(value) << 32 | u64::from(self.low);
                self.request(Descriptor::new(bits), bus);
            }
            _ => {
                bus.note(|| format!("{value:#x} written to register {offset:#x}, unknown or shut"))
            }
        }
    }

    fn seen(&mut self, queue: usize, value: u32) {
        if let State::Operational { queues, .. } = &mut self.state {
            queues.seen(queue, value & 0x00ff_ffff);
        }
    }

    /// Interrupts that were held back come when they are let through.
    fn unmask(&mut self, value: u32, bus: &mut Bus) {
        let opened = self.mask & REPLY_INTERRUPT != 0 && value & REPLY_INTERRUPT == 0;
        self.mask = value & ALL_MASKED;
        if let (true, State::Operational { queues, .. }) = (opened, &self.state) {
            queues.unseen().for_each(|vector| bus.message(vector));
        }
    }

    fn ring(&mut self, value: u32, bus: &mut Bus) {
        if let State::Fault(_) = self.state {
            bus.note(|| format!("{value:#x} written to the doorbell of an adapter at fault"));
            return;
        }
        match self.doorbell.write(value) {
            Ok(None) => {}
            Ok(Some(Order::Reset)) => self.message_unit_reset(),
            Ok(Some(Order::Request(request))) => {
                let reply = match request.function() {
                    function::INIT => self.init(&request, bus),
                    _ => self.firmware.by_doorbell(&request, self.who, bus),
                };
                self.doorbell.reply(&reply);
            }
            Err(value) => bus.note(|| format!("{value:#x} written to the doorbell, unknown")),
        }
    }

    /// IOCInit: from here on there are queues.
    fn init(&mut self, request: &Message, bus: &mut Bus) -> Message {
        let reply = Message::reply(request, REPLY).with_u8(0x00, request.u8(0x00));
        let State::Ready = self.state else {
            return reply.with_status(Status::InvalidState);
        };
        match Queues::new(request, self.firmware.vectors, bus) {
            Ok(queues) => {
                self.who = request.u8(0x00);
                self.state = State::Operational {
                    queues: Box::new(queues),
                    masks: [u32::MAX; 4],
                };
                reply
            }
            Err(status) => {
                bus.note(|| format!("IOCInit: {status:?}"));
                reply.with_status(status)
            }
        }
    }

    fn request(&mut self, descriptor: Descriptor, bus: &mut Bus) {
        let State::Operational { queues, masks } = &mut self.state else {
            let state = self.state.bits();
            bus.note(|| format!("a request in state {state:#x}, which nobody reads"));
            return;
        };
        let done = queues
            .request(descriptor.frame, bus)
            .map_err(Stuck::from)
            .and_then(|request| {
                let firmware = &mut self.firmware;
                let shut = self.mask & REPLY_INTERRUPT != 0;
                let tell = |vector, bus: &mut Bus| {
                    if !shut {
                        bus.message(vector);
                    }
                };
                match firmware.by_queue(&request, self.who, queues, masks, bus) {
                    Answer::Good => tell(queues.succeed(descriptor, bus)?, bus),
                    Answer::Reply { events, reply } => {
                        for event in events.iter().filter(|event| !is_masked(masks, event)) {
                            tell(queues.event(event, bus)?, bus);
                        }
                        tell(queues.reply(descriptor, &reply, bus)?, bus);
                    }
                }
                Ok(())
            });
        if let Err(stuck) = done {
            bus.note(|| format!("fault: {stuck}"));
            self.state = State::Fault(match stuck {
                Stuck::NoFrame | Stuck::Full(_) => FAULT_QUEUES,
                Stuck::Unreachable(_) => FAULT_MEMORY,
            });
        }
    }

    /// Back to READY: queues and events are gone, links and masks stay.
    fn message_unit_reset(&mut self) {
        self.state = State::Ready;
        self.who = 0;
        self.doorbell.reset();
        self.firmware.restart(false);
    }

    /// Everything anew, but what the registers say of it.
    fn diagnostic_reset(&mut self) {
        self.message_unit_reset();
        self.mask = ALL_MASKED;
        self.low = 0;
        // The lock stays open until the driver shuts it.
        self.diagnostic.history = true;
        self.firmware.restart(true);
    }
}

impl Model for Mpt3sas {
    fn read(&mut self, bar: u8, offset: u64, data: &mut [u8], _: &mut Bus) {
        for (at, byte) in (offset..).zip(data) {
            let register = self.register(bar, at & !3).to_le_bytes();
            *byte = register[(at & 3) as usize];
        }
    }

    fn write(&mut self, bar: u8, offset: u64, data: &[u8], bus: &mut Bus) {
        let registers = data.chunks_exact(4);
        if bar > 1 || offset & 3 != 0 || !registers.remainder().is_empty() {
            let length = data.len();
            bus.note(|| format!("{length} bytes written to BAR {bar} at {offset:#x}"));
            return;
        }
        for (at, bytes) in (offset..).step_by(4).zip(registers) {
            let value = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            self.set(at, value, bus);
        }
        bus.line(self.interrupts() & !self.mask != 0);
    }

    fn reset(&mut self) {
        self.diagnostic_reset();
        self.diagnostic = Diagnostic::default();
        self.doorbell = Doorbell::default();
        self.firmware.power_on();
    }
}
