//! The firmware: what it answers to the commands of the admin queue (drivers/net/ethernet/intel/
//! i40e/i40e_adminq_cmd.h; datasheet, chapter 7.10.5 and following).

use super::admin::{Code, Command, get, put};
use super::link::Link;
use super::nvm::ShadowRam;
use super::registers::{GLLAN_RCTL_0, QUEUES, Registers};
use super::switch::{Switch, VSIS};
use super::{Port, VECTORS, VECTORS_VF};

/// Queue pairs and VSIs of the whole device.
const ALL_QUEUES: u32 = 1536;
const ALL_VSIS: u32 = 384;
/// Entries of the table of receive-side scaling, and bits of one.
const RSS: (u32, u32) = (512, 6);
/// Filters of the flow director: guaranteed, and as long as there are some.
const FLOW_DIRECTOR: (u32, u32) = (512, 7168);
/// Addresses that the switch can hold.
const ADDRESSES: u16 = 1536;
/// Milliseconds that the NVM may be held for, to read and to write.
const NVM_TO_READ: u32 = 3000;
const NVM_TO_WRITE: u32 = 180_000;

/// What of a list of capabilities is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Function,
    Device,
}

/// Its state.
#[derive(Debug)]
pub(super) struct Firmware {
    port: Port,
    /// The address that the driver may change.
    address: [u8; 6],
    pub(super) link: Link,
    switch: Switch,
    pub(super) nvm: ShadowRam,
}

impl Firmware {
    pub(super) fn new(port: Port) -> Self {
        Self {
            port,
            address: port.mac(),
            link: Link::new(&port),
            switch: Switch::new(&port),
            nvm: ShadowRam::new(),
        }
    }

    /// What it forgets when its function is reset: it stays up itself.
    pub(super) fn reset_function(&mut self) {
        self.link.reset_function();
        self.switch = Switch::new(&self.port);
    }

    /// Does a command. `buffer` goes in and comes back.
    pub(super) fn execute(
        &mut self,
        command: &mut Command,
        buffer: &mut [u8],
        registers: &mut Registers,
    ) -> Result<(), Code> {
        let parameters = &mut command.parameters;
        match command.opcode {
            // Get Version: firmware 5.0, interface 1.5, which is the last that RHEL 7.3's driver
            // knows, and no driver since has called it old.
            0x0001 => {
                put(parameters, 4, &40043u32.to_le_bytes());
                for (at, word) in (8..).step_by(2).zip([5u16, 0, 1, 5]) {
                    put(parameters, at, &word.to_le_bytes());
                }
            }
            // Driver Version, Queue Shutdown, Set PF Context.
            0x0002..=0x0004 => {}
            0x0008 => request(parameters)?,
            // Release Resource.
            0x0009 => {}
            0x000a => self.capabilities(Scope::Function, command, buffer)?,
            0x000b => self.capabilities(Scope::Device, command, buffer)?,
            0x0107 => {
                let reply = buffer.get_mut(..24).ok_or(Code::Invalid)?;
                reply.fill(0);
                put(reply, 0, &self.address);
                put(reply, 12, &self.port.mac());
                // LAN and port addresses are valid.
                put(parameters, 0, &0x0050u16.to_le_bytes());
            }
            // Manage MAC Address Write: the high half is a big-endian word.
            0x0108 => {
                let [_, _, b, a, f, e, d, c, ..] = *parameters;
                self.address = [a, b, c, d, e, f];
            }
            0x0110 => clear_pxe(registers)?,
            0x0200 => self.switch.configuration(parameters, buffer)?,
            // Set Port Parameters, Set Switch Configuration.
            0x0203 | 0x0205 => {}
            // Receive registers, and debug access to any, through the firmware.
            0x0206 => {
                let value = registers.get(wide(parameters, 4));
                put(parameters, 12, &value.to_le_bytes());
            }
            0xff03 => {
                let value = registers.get(wide(parameters, 4));
                put(parameters, 8, &0u32.to_le_bytes());
                put(parameters, 12, &value.to_le_bytes());
            }
            0x0207 | 0xff04 => registers.set(wide(parameters, 4), wide(parameters, 12)),
            0x0210 => self.switch.add_vsi(parameters, buffer)?,
            0x0211 => self.switch.update_vsi(parameters, buffer)?,
            0x0212 => self.switch.vsi(parameters, buffer)?,
            0x0230 => self.switch.add_veb(parameters)?,
            0x0232 => self.switch.veb(parameters)?,
            0x0243 => self.switch.delete(parameters)?,
            // Add and Remove MAC, VLAN pairs: by perfect match; no error.
            0x0250 => addresses(parameters, buffer, 1)?,
            0x0251 => addresses(parameters, buffer, 0)?,
            // Add and Remove VLAN: no error.
            0x0252 | 0x0253 => each(parameters, buffer, 8, |element| element[4] = 0)?,
            // Set VSI Promiscuous Modes.
            0x0254 => self.switch.queue_sets(get(parameters, 4)).map(drop)?,
            // Add and Remove Control Packet Filter.
            0x025a | 0x025b => {}
            0x0400..=0x041c => self.schedule(command.opcode, parameters, buffer)?,
            // Query and Set HMC Resource Profile: the default.
            0x0500 | 0x0501 => parameters[0] = 1,
            0x0600 => self.link.abilities(buffer)?,
            0x0601 => self.link.configure(parameters),
            0x0603 => self.link.configure_mac(parameters),
            0x0605 => self.link.restart(parameters),
            0x0607 => self.link.status(parameters),
            0x0613 => self.link.set_mask(parameters),
            // Set Loopback Modes, Set PHY Debug.
            0x0618 | 0x0622 => {}
            0x0701 => {
                let length = usize::from(get(parameters, 2));
                let into = buffer.get_mut(..length).ok_or(Code::Invalid)?;
                let read = self.nvm.read(parameters[1], wide(parameters, 4), into);
                read.ok_or(Code::Invalid)?;
            }
            // The agent of LLDP runs, and has heard of nobody: there is no MIB, no configuration of
            // DCBX. It may tell of changes, stop and start; there are none.
            0x0a00 | 0x0a07 => return Err(Code::NoEntry),
            0x0a01 | 0x0a05 | 0x0a06 => {}
            _ => return Err(Code::NoCommand),
        }
        Ok(())
    }

    /// List Capabilities.
    fn capabilities(
        &self,
        scope: Scope,
        command: &mut Command,
        buffer: &mut [u8],
    ) -> Result<(), Code> {
        let (nth, ports) = (u32::from(self.port.nth()), u32::from(self.port.ports()));
        let vectors = u32::from(VECTORS);
        let (queues, first, vsis, vectors) = match scope {
            Scope::Function => (QUEUES, nth * QUEUES, u32::from(VSIS), vectors),
            Scope::Device => (ALL_QUEUES, 0, ALL_VSIS, vectors * ports),
        };
        // Id; number, logical id, physical id (`enum i40e_aq_capabilities`). Virtual functions,
        // iWARP and FCoE are not among them.
        let capabilities = [
            // Functions, a bit each.
            (0x05, [(1 << ports) - 1, 0, 0]),
            // VMDq2.
            (0x14, [1, 0, 0]),
            (0x17, [vsis, 0, 0]),
            // DCB: eight traffic classes, the first enabled.
            (0x18, [1, 1, 8]),
            (0x40, [RSS.0, RSS.1, 0]),
            // Queues to receive and to transmit.
            (0x41, [queues, 0, first]),
            (0x42, [queues, 0, first]),
            // MSI-X: of a function, of a virtual one.
            (0x43, [vectors, 0, 0]),
            (0x44, [VECTORS_VF, 0, 0]),
            (0x45, [FLOW_DIRECTOR.0, FLOW_DIRECTOR.1, 0]),
            // IEEE 1588.
            (0x46, [1, 0, 0]),
        ];
        let needed = capabilities.len() * 32;
        command.length = needed as u16;
        put(
            &mut command.parameters,
            4,
            &(capabilities.len() as u32).to_le_bytes(),
        );
        let reply = buffer.get_mut(..needed).ok_or(Code::NoMemory)?;
        reply.fill(0);
        for (element, (id, numbers)) in reply.chunks_exact_mut(32).zip(capabilities) {
            put(element, 0, &u16::to_le_bytes(id));
            // Its version, 1.0.
            element[2] = 1;
            for (at, number) in (4..).step_by(4).zip(numbers) {
                put(element, at, &u32::to_le_bytes(number));
            }
        }
        Ok(())
    }

    /// The transmit scheduler: one traffic class, no limits.
    fn schedule(&self, opcode: u16, parameters: &[u8; 16], buffer: &mut [u8]) -> Result<(), Code> {
        // Suspend and Resume Port Tx name no element.
        if matches!(opcode, 0x041b | 0x041c) {
            return Ok(());
        }
        let sets = self.switch.queue_sets(get(parameters, 0) & 0x3ff)?;
        // Where the reply has the classes that are valid, and the queue sets.
        let (valid, sets_at) = match opcode {
            // Limits.
            0x0400 | 0x0410 | 0x0413..=0x0417 => return Ok(()),
            0x0406 | 0x0407 => (None, Some(16)),
            0x0408 => (Some(0), Some(16)),
            0x040a | 0x0418 | 0x041a => (Some(0), None),
            0x0419 => (Some(4), None),
            _ => return Err(Code::NoCommand),
        };
        if buffer.len() < 32 {
            return Err(Code::Invalid);
        }
        if let Some(at) = valid {
            buffer.fill(0);
            buffer[at] = 1;
            // All the bandwidth is the first class's.
            match opcode {
                0x0419 => buffer[8] = 100,
                0x040a | 0x041a => buffer[4] = 1,
                _ => {}
            }
        }
        if let Some(at) = sets_at {
            put(buffer, at, &sets);
        }
        Ok(())
    }
}

/// Request Resource Ownership: nobody else wants the NVM.
fn request(parameters: &mut [u8; 16]) -> Result<(), Code> {
    let timeout = match (get(parameters, 0), get(parameters, 2)) {
        (1, 1) => NVM_TO_READ,
        (1, 2) => NVM_TO_WRITE,
        _ => return Err(Code::Invalid),
    };
    put(parameters, 4, &timeout.to_le_bytes());
    Ok(())
}

/// Clear PXE Mode; only once.
fn clear_pxe(registers: &mut Registers) -> Result<(), Code> {
    match registers.get(GLLAN_RCTL_0) & 1 {
        0 => Err(Code::Exists),
        _ => {
            registers.set(GLLAN_RCTL_0, 0);
            Ok(())
        }
    }
}

/// The double word at `at`.
fn wide(parameters: &[u8; 16], at: usize) -> u32 {
    u32::from(get(parameters, at + 2)) << 16 | u32::from(get(parameters, at))
}

/// For each of the elements that a command counts first, `size` bytes each.
fn each(
    parameters: &[u8; 16],
    buffer: &mut [u8],
    size: usize,
    mut what: impl FnMut(&mut [u8]),
) -> Result<(), Code> {
    let length = usize::from(get(parameters, 0)) * size;
    let elements = buffer.get_mut(..length).ok_or(Code::Invalid)?;
    elements.chunks_exact_mut(size).for_each(&mut what);
    Ok(())
}

/// Add or Remove MAC, VLAN pairs: 16 bytes an element, with the result in byte 12.
fn addresses(parameters: &mut [u8; 16], buffer: &mut [u8], result: u8) -> Result<(), Code> {
    each(parameters, buffer, 16, |element| element[12] = result)?;
    // Used and free, free in both hash tables.
    for (at, word) in (0..).step_by(2).zip([0, ADDRESSES, ADDRESSES, ADDRESSES]) {
        put(parameters, at, &word.to_le_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
