//! Intel's X710 and XL710 (Fortville): one port of such a network adapter, on a function of its own.
//!
//! The unmodified i40e driver finds registers, firmware and shadow RAM behind it, takes its vectors
//! and has a link; there are no packets. What is not known here is answered as the device answers
//! what it does not know, and noted.

mod admin;
mod firmware;
mod interrupts;
mod link;
mod nvm;
mod registers;
mod reset;
mod switch;
mod transmit;

use super::{Bar, Bus, ConfigSpace, Identity, Model, MsiXLayout};
use firmware::Firmware;
use interrupts::Interrupts;
use registers::Registers;
use reset::{Kind, Reset};
use transmit::HostMemory;

/// To what depth this is the device.
pub const FIDELITY: &str = "registers, resets, interrupts, admin queues and their firmware, shadow \
    RAM and link of one port as the i40e driver uses them; transmitted packets are completed and \
    dropped, none is received, and a global reset does not reach the card's other ports";

/// Entries of the MSI-X table, and what a virtual function would have.
const VECTORS: u16 = 129;
const VECTORS_VF: u32 = 5;

/// How fast a port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speed {
    /// 10 Gb/s.
    Ten,
    /// 40 Gb/s.
    Forty,
}

/// One port of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    device: u16,
    card: u8,
    nth: u8,
    ports: u8,
}

impl Port {
    /// Port `nth`, from 0, of the `ports` of a card, one to four; `card` tells the cards of a machine
    /// apart. `device` is its PCI device ID: 1583 and 1584 are XL710 and have 40 Gb/s, the others
    /// are X710.
    pub fn new(device: u16, card: u8, nth: u8, ports: u8) -> Self {
        let ports = ports.clamp(1, 4);
        Self {
            device,
            card,
            nth: nth.min(ports - 1),
            ports,
        }
    }

    fn nth(&self) -> u8 {
        self.nth
    }

    fn ports(&self) -> u8 {
        self.ports
    }

    fn speed(&self) -> Speed {
        match self.device {
            0x1583 | 0x1584 => Speed::Forty,
            _ => Speed::Ten,
        }
    }

    /// The first address of a card, and one more for each port.
    fn mac(&self) -> [u8; 6] {
        [0x3c, 0xfd, 0xfe, 0, self.card, self.nth]
    }
}

/// The device.
#[derive(Debug)]
pub struct I40e {
    port: Port,
    registers: Registers,
    interrupts: Interrupts,
    reset: Reset,
    firmware: Firmware,
    memory: HostMemory,
    /// It has been said that packets go nowhere.
    said: bool,
}

impl I40e {
    /// What an X710-4 of Intel's own shows.
    pub const USUAL: Identity = Identity {
        vendor: 0x8086,
        device: 0x1572,
        subvendor: 0x8086,
        subdevice: 0x0001,
        class: 0x02_0000,
        revision: 2,
    };

    /// A port at power-on.
    pub fn new(port: Port) -> Self {
        let mut this = Self {
            port,
            registers: Registers::new(),
            interrupts: Interrupts::new(),
            reset: Reset::new(),
            firmware: Firmware::new(port),
            memory: HostMemory::default(),
            said: false,
        };
        this.reset_device();
        this
    }

    /// Its configuration space, with BARs and capabilities where a card has them.
    pub fn config(identity: &Identity) -> ConfigSpace {
        let memory = |size| Bar::Memory64 {
            size,
            prefetchable: true,
        };
        let bars = [
            (0, memory(u64::from(registers::SIZE))),
            (3, memory(32 << 10)),
        ];
        let table = MsiXLayout {
            entries: VECTORS,
            bar: 3,
            table: 0,
            pending: 0x1000,
        };
        ConfigSpace::new(identity, &bars)
            .with_power_management(0x40)
            .with_msi(0x50)
            .with_msix(0x70, table)
            .with_express(0xa0)
    }

    /// What a reset of the whole device does to this function.
    fn reset_device(&mut self) {
        self.registers = Registers::new();
        for (at, value) in registers::after_reset(&self.port) {
            self.registers.set(at, value);
        }
        self.reset_function_state();
    }

    /// What a reset of this function alone does (PFSWR).
    fn reset_function(&mut self) {
        self.registers.reset_function();
        self.reset_function_state();
    }

    fn reset_function_state(&mut self) {
        self.interrupts = Interrupts::new();
        self.memory = HostMemory::default();
        self.firmware.reset_function();
    }

    fn get(&mut self, at: u32, bus: &mut Bus) -> u32 {
        match at {
            registers::PFINT_ICR0 => self.interrupts.take_causes(bus),
            registers::PFINT_ICR0_ENA => self.interrupts.enabled(),
            registers::PRTMAC_LINKSTA => self.firmware.link.register(),
            registers::GLGEN_RSTAT => {
                let status = self.reset.status();
                if let Some(kind) = self.reset.step() {
                    if kind != Kind::Core {
                        self.firmware = Firmware::new(self.port);
                    }
                    self.reset_device();
                    bus.line(false);
                }
                status
            }
            at => match control_of(at) {
                Some(vector) => self.interrupts.control(vector),
                None => self.registers.get(at),
            },
        }
    }

    fn set(&mut self, at: u32, value: u32, bus: &mut Bus) {
        match at {
            registers::PFGEN_CTRL => {
                if value & 1 != 0 {
                    self.reset_function();
                    bus.line(false);
                }
            }
            registers::GLGEN_RTRIG => {
                if let Some(kind) = Kind::asked(value) {
                    self.reset.request(kind);
                    self.interrupts.raise(interrupts::GLOBAL_RESET, bus);
                }
            }
            registers::PFINT_ICR0_ENA => self.interrupts.set_enabled(value, bus),
            registers::GLNVM_SRCTL => {
                let (control, data) = self.firmware.nvm.access(value);
                self.registers.set(at, control);
                if let Some(data) = data {
                    self.registers.set(registers::GLNVM_SRDATA, data);
                }
            }
            // A one clears it.
            registers::GLLAN_RCTL_0 => {
                let left = self.registers.get(at) & !(value & 1);
                self.registers.set(at, left);
            }
            registers::PF_ATQT => {
                self.registers.set(at, value);
                self.serve_admin(bus);
            }
            registers::PFHMC_SDCMD => self.memory.command(value, &self.registers),
            at if registers::is_read_only(at) => {}
            at => self.set_many(at, value, bus),
        }
    }

    /// Registers that there are many of; and all that only hold what is written.
    fn set_many(&mut self, at: u32, value: u32, bus: &mut Bus) {
        let nth = |first: u32| at.checked_sub(first).map(|bytes| bytes / 4);
        let queue = |first| nth(first).filter(|&queue| queue < registers::QUEUES);
        if let Some(vector) = control_of(at) {
            self.interrupts.set_control(vector, value, bus);
        } else if queue(registers::QTX_ENA).is_some() || queue(registers::QRX_ENA).is_some() {
            self.registers.set(at, transmit::enable(value));
        } else if let Some(queue) = queue(registers::QTX_TAIL) {
            self.registers.set(at, value);
            self.transmit(queue, value, bus);
        } else {
            self.registers.set(at, value);
        }
    }

    fn serve_admin(&mut self, bus: &mut Bus) {
        let firmware = &mut self.firmware;
        let done = admin::serve(
            &mut self.registers,
            bus,
            |command, buffer, registers, bus| {
                let result = firmware.execute(command, buffer, registers);
                if let Err(code) = result {
                    let opcode = command.opcode;
                    bus.note(|| format!("admin command {opcode:#06x}: {code:?}"));
                }
                result
            },
        );
        if done {
            self.interrupts.raise(interrupts::ADMIN_QUEUE, bus);
        }
        if let Some(event) = self.firmware.link.take_event() {
            admin::tell(
                0x0607,
                event,
                &mut self.registers,
                &mut self.interrupts,
                bus,
            );
        }
    }

    fn transmit(&mut self, queue: u32, tail: u32, bus: &mut Bus) {
        let posted = (queue, tail);
        let function = self.port.nth();
        if transmit::post(posted, function, &self.memory, &mut self.registers, bus) {
            let control = self.registers.get(registers::QINT_TQCTL + 4 * queue);
            self.interrupts.raise_queue(control, bus);
            if !std::mem::replace(&mut self.said, true) {
                bus.note(|| format!("packets are sent on queue {queue}: they are dropped"));
            }
        }
    }
}

/// The vector that a PFINT_DYN_CTL controls.
fn control_of(at: u32) -> Option<u16> {
    if at == registers::PFINT_DYN_CTL0 {
        return Some(0);
    }
    let vector = at.checked_sub(registers::PFINT_DYN_CTLN)? / 4 + 1;
    u16::try_from(vector)
        .ok()
        .filter(|&vector| vector < VECTORS)
}

impl Model for I40e {
    fn read(&mut self, bar: u8, offset: u64, data: &mut [u8], bus: &mut Bus) {
        data.fill(0);
        // BAR 3 is the MSI-X table, which QEMU keeps.
        let Some(offset) = u32::try_from(offset).ok().filter(|_| bar == 0) else {
            return;
        };
        let mut word = None;
        for (at, byte) in (offset..).zip(data) {
            let aligned = at & !3;
            let value = match word {
                Some((read, value)) if read == aligned => value,
                _ => self.get(aligned, bus),
            };
            word = Some((aligned, value));
            *byte = value.to_le_bytes()[(at % 4) as usize];
        }
    }

    fn write(&mut self, bar: u8, offset: u64, data: &[u8], bus: &mut Bus) {
        let Some(offset) = u32::try_from(offset).ok().filter(|_| bar == 0) else {
            return;
        };
        let (words, rest) = data.as_chunks::<4>();
        if offset % 4 != 0 || !rest.is_empty() {
            bus.note(|| format!("{} bytes written at {offset:#x}, not words", data.len()));
            return;
        }
        for (at, word) in (offset..).step_by(4).zip(words) {
            self.set(at, u32::from_le_bytes(*word), bus);
        }
    }

    fn reset(&mut self) {
        *self = Self::new(self.port);
    }
}

#[cfg(test)]
mod tests;
