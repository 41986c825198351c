//! One function: a model with its configuration space, as vfio-user's commands reach it.

use std::fs::File;

use super::config::Effect;
use super::interrupts::{Change, Mode, Trigger};
use super::wire::{self, Action, CONFIG_REGION, Command, Data, Errno, SetInterrupts};
use super::{Bus, ConfigSpace, Model};

/// A device that can be served.
pub struct Function {
    model: Box<dyn Model>,
    bus: Bus,
}

impl Function {
    /// A device as it is at power-on.
    pub fn new(model: Box<dyn Model>, config: ConfigSpace) -> Self {
        Self {
            model,
            bus: Bus::new(config),
        }
    }

    /// Lines that the device has had to say since the last time.
    pub(super) fn notes(&mut self) -> Vec<String> {
        self.bus.notes()
    }

    /// Does what a command asks for; gives the body of the reply.
    ///
    /// # Errors
    /// What the reply has to say instead.
    pub fn execute(
        &mut self,
        command: Command<'_>,
        mut descriptors: Vec<File>,
    ) -> Result<Vec<u8>, Errno> {
        match command {
            Command::Version { major: 0 } => Ok(wire::version()),
            Command::Version { .. } => Err(Errno::NotSupported),
            Command::Map {
                address,
                size,
                offset,
                writable,
            } => match descriptors.pop() {
                Some(file) => {
                    let mapped = self
                        .bus
                        .memory
                        .map((address, size), (file, offset), writable);
                    mapped.map(|()| Vec::new()).map_err(|_| Errno::Invalid)
                }
                // Registers of other devices. Nobody sends those anything here.
                None => Ok(Vec::new()),
            },
            Command::Unmap { range, body } => {
                match range {
                    Some((address, size)) => self.bus.memory.unmap(address, size),
                    None => self.bus.memory.unmap_all(),
                }
                Ok(body.to_vec())
            }
            Command::DeviceInfo => Ok(wire::device_info()),
            Command::RegionInfo(index) => match index < wire::REGIONS {
                true => Ok(wire::region_info(index, self.region(index))),
                false => Err(Errno::Invalid),
            },
            Command::InterruptInfo(index) => {
                let count = mode(index).map_or(0, |mode| self.bus.interrupts.count(mode));
                match index < wire::INTERRUPTS {
                    true => Ok(wire::interrupt_info(index, count)),
                    false => Err(Errno::Invalid),
                }
            }
            Command::SetInterrupts(set) => self.set_interrupts(set, descriptors),
            Command::Read {
                region,
                offset,
                count,
            } => {
                let mut data = vec![0; count];
                self.read(region, offset, &mut data)?;
                Ok(wire::read_reply(region, offset, &data))
            }
            Command::Write {
                region,
                offset,
                data,
            } => {
                self.write(region, offset, data)?;
                Ok(wire::write_reply(region, offset, data.len()))
            }
            Command::Reset => {
                self.bus.config.reset();
                self.reset();
                Ok(Vec::new())
            }
        }
    }

    /// But for the configuration space.
    fn reset(&mut self) {
        self.model.reset();
        self.bus.interrupts.reset();
        self.bus.configured();
    }

    /// The size of a region, 0 where there is none.
    fn region(&self, index: u32) -> u64 {
        match index {
            CONFIG_REGION => self.bus.config.size(),
            index => {
                let bars = self.bus.config.bars();
                let bar = bars.get(index as usize).copied().flatten();
                bar.map_or(0, |bar| bar.size())
            }
        }
    }

    /// Whether all of a range lies in a region, and is what a CPU would ask of a BAR for.
    fn within(&self, region: u32, offset: u64, count: usize) -> Result<(), Errno> {
        let asked = region == CONFIG_REGION
            || matches!(count, 1 | 2 | 4 | 8) && offset.is_multiple_of(count as u64);
        match offset.checked_add(count as u64) {
            Some(end) if asked && end <= self.region(region) => Ok(()),
            _ => Err(Errno::Invalid),
        }
    }

    fn read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        self.within(region, offset, data.len())?;
        match region {
            CONFIG_REGION => self.bus.config.read(offset as usize, data),
            bar => self.model.read(bar as u8, offset, data, &mut self.bus),
        }
        Ok(())
    }

    fn write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.within(region, offset, data.len())?;
        match region {
            CONFIG_REGION => match self.bus.config.write(offset as usize, data) {
                Effect::Reset => self.reset(),
                Effect::None => self.bus.configured(),
            },
            bar => self.model.write(bar as u8, offset, data, &mut self.bus),
        }
        Ok(())
    }

    fn set_interrupts(
        &mut self,
        set: SetInterrupts<'_>,
        descriptors: Vec<File>,
    ) -> Result<Vec<u8>, Errno> {
        let mode = mode(set.index).ok_or(Errno::Invalid)?;
        let change = match (set.action, set.data) {
            (Action::Trigger, Data::None) if set.count == 0 => Change::Disable,
            (Action::Trigger, Data::Eventfds) => {
                let triggers = descriptors.into_iter().map(|it| Trigger::new(it).map(Some));
                let triggers: Result<Vec<_>, _> = triggers.collect();
                let mut triggers = triggers.map_err(|_| Errno::Invalid)?;
                // Without a descriptor it means: none from now on.
                if triggers.is_empty() && set.count <= self.bus.interrupts.count(mode) {
                    triggers.resize_with(set.count as usize, || None);
                }
                Change::Triggers(triggers)
            }
            (Action::Trigger, Data::None) => Change::Raise,
            (Action::Mask, Data::None) => Change::Mask,
            (Action::Unmask, Data::None) => Change::Unmask,
            // Unmasking by descriptor is KVM's short cut; QEMU does without when it is refused.
            (Action::Mask | Action::Unmask, Data::Eventfds) | (_, Data::Bools(_)) => {
                return Err(Errno::NotSupported);
            }
        };
        let changed = self
            .bus
            .interrupts
            .change(mode, (set.start, set.count), change);
        changed.map(|()| Vec::new()).map_err(|_| Errno::Invalid)
    }
}

fn mode(index: u32) -> Option<Mode> {
    match index {
        0 => Some(Mode::Line),
        1 => Some(Mode::Msi),
        2 => Some(Mode::MsiX),
        _ => None,
    }
}
