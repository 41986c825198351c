//! The interrupts of one device: eventfds that QEMU hands over, by index of `<linux/vfio.h>`
//! (VFIO_PCI_INTX_IRQ_INDEX and so on).

use std::fs::File;
use std::io::{Read, Write};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Through which of its three ways a device interrupts now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The interrupt line.
    Line,
    /// Message-signalled.
    Msi,
    /// Message-signalled, by table.
    MsiX,
}

/// Where a device's interrupts go.
#[derive(Debug)]
pub(super) struct Interrupts {
    line: Line,
    messages: Vec<Vector>,
    table: Vec<Vector>,
}

/// VFIO's interrupt line is level-triggered and masked by each interrupt until QEMU unmasks it,
/// which it does when the guest has next reached for a BAR: QEMU cannot see the level itself.
#[derive(Debug, Default)]
struct Line {
    trigger: Option<Trigger>,
    /// The device wants to interrupt.
    raised: bool,
    /// The guest lets it.
    open: bool,
    masked: bool,
}

impl Line {
    fn change(&mut self, change: Change) -> Result<(), BadChange> {
        match change {
            Change::Triggers(triggers) => {
                let [trigger] = <[_; 1]>::try_from(triggers).map_err(|_| BadChange)?;
                self.trigger = trigger;
                self.masked = false;
            }
            Change::Disable => self.trigger = None,
            Change::Raise => self.trigger.iter_mut().for_each(Trigger::fire),
            Change::Mask => self.masked = true,
            Change::Unmask => self.masked = false,
        }
        self.signal();
        Ok(())
    }

    fn signal(&mut self) {
        if self.raised
            && self.open
            && !self.masked
            && let Some(trigger) = &mut self.trigger
        {
            self.masked = true;
            trigger.fire();
        }
    }
}

impl Line {
    /// An interrupt that QEMU has not heard of yet is none any more: it would be one that nobody
    /// handles, and so goes on until the guest next reaches for a BAR.
    fn take_back(&mut self) {
        if self.masked
            && let Some(trigger) = &mut self.trigger
            && trigger.take_back()
        {
            self.masked = false;
        }
    }
}

/// One message.
#[derive(Debug, Default)]
struct Vector {
    trigger: Option<Trigger>,
    /// Sent while its entry was masked, which is when QEMU has handed over nothing for it: it goes
    /// out when the mask does (PCI Local Bus Specification 3.0, 6.8.2.10).
    pending: bool,
}

impl Vector {
    fn send(&mut self) {
        match &mut self.trigger {
            Some(trigger) => trigger.fire(),
            None => self.pending = true,
        }
    }

    fn set(&mut self, trigger: Option<Trigger>) {
        self.trigger = trigger;
        if self.trigger.is_some() && std::mem::take(&mut self.pending) {
            self.send();
        }
    }
}

/// An eventfd, or whatever else QEMU has handed over for one: no write to it ever waits.
#[derive(Debug)]
pub(super) struct Trigger(File);

impl Trigger {
    pub(super) fn new(file: File) -> Result<Self, BadChange> {
        match fcntl(&file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)) {
            Ok(_) => Ok(Self(file)),
            Err(_) => Err(BadChange),
        }
    }

    /// An eventfd adds what is written (eventfd(2)), and has room for 2^64 interrupts. What else it
    /// may be is QEMU's own loss.
    fn fire(&mut self) {
        let _ = self.0.write(&1u64.to_ne_bytes());
    }

    /// Whether there was something to take back: reading an eventfd resets it.
    fn take_back(&mut self) -> bool {
        self.0.read(&mut [0; 8]).is_ok_and(|read| read == 8)
    }
}

/// What QEMU wants done to a range of a device's interrupts (VFIO_DEVICE_SET_IRQS).
#[derive(Debug)]
pub(super) enum Change {
    /// Signal these from now on; `None` for none.
    Triggers(Vec<Option<Trigger>>),
    /// Forget all of the index.
    Disable,
    /// Behave as if they had been raised.
    Raise,
    /// Hold back.
    Mask,
    /// Go on.
    Unmask,
}

/// Something that QEMU may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadChange;

impl Interrupts {
    /// For a device with so many MSI and MSI-X vectors.
    pub(super) fn new(msi: u16, msix: u16) -> Self {
        let vectors = |count: u16| (0..count).map(|_| Vector::default()).collect();
        Self {
            line: Line::default(),
            messages: vectors(msi),
            table: vectors(msix),
        }
    }

    /// How many vectors an index has.
    pub(super) fn count(&self, mode: Mode) -> u32 {
        match mode {
            Mode::Line => 1,
            Mode::Msi => self.messages.len() as u32,
            Mode::MsiX => self.table.len() as u32,
        }
    }

    /// Applies `change` to `count` vectors from `start` on.
    pub(super) fn change(
        &mut self,
        mode: Mode,
        (start, count): (u32, u32),
        change: Change,
    ) -> Result<(), BadChange> {
        let end = start.checked_add(count).ok_or(BadChange)?;
        if end > self.count(mode) {
            return Err(BadChange);
        }
        let range = start as usize..end as usize;
        let vectors = match mode {
            Mode::Line => return self.line.change(change),
            Mode::Msi => &mut self.messages,
            Mode::MsiX => &mut self.table,
        };
        match change {
            Change::Triggers(triggers) if triggers.len() == range.len() => {
                for (vector, trigger) in vectors[range].iter_mut().zip(triggers) {
                    vector.set(trigger);
                }
            }
            Change::Triggers(_) => return Err(BadChange),
            Change::Disable => vectors.iter_mut().for_each(|it| *it = Vector::default()),
            Change::Raise => vectors[range].iter_mut().for_each(Vector::send),
            // QEMU masks entries of its table itself.
            Change::Mask | Change::Unmask => return Err(BadChange),
        }
        Ok(())
    }

    /// Sends the message of a vector; nothing where there is no such vector.
    pub(super) fn message(&mut self, mode: Mode, vector: u16) {
        let vectors = match mode {
            Mode::Line => return,
            Mode::Msi => &mut self.messages,
            Mode::MsiX => &mut self.table,
        };
        if let Some(vector) = vectors.get_mut(usize::from(vector)) {
            vector.send();
        }
    }

    /// Sets the level of the line.
    pub(super) fn line(&mut self, raised: bool) {
        self.line.raised = raised;
        match raised {
            true => self.line.signal(),
            false => self.line.take_back(),
        }
    }

    /// Whether the guest wants to be interrupted by the line.
    pub(super) fn open_line(&mut self, open: bool) {
        self.line.open = open;
        self.line.signal();
    }

    /// Of a device that is reset, nothing is left to be sent. Where it goes is QEMU's to say.
    pub(super) fn reset(&mut self) {
        self.line.raised = false;
        let all = self.messages.iter_mut().chain(&mut self.table);
        all.for_each(|vector| vector.pending = false);
    }
}

#[cfg(test)]
mod tests;
