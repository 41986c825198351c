//! The interrupts of one device: eventfds that QEMU hands over, by index of `<linux/vfio.h>`
//! (VFIO_PCI_INTX_IRQ_INDEX and so on).

use std::fs::File;
use std::io::Write;

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
#[derive(Debug, Default)]
pub struct Interrupts {
    line: Line,
    messages: Messages,
    table: Messages,
}

/// VFIO's interrupt line is level-triggered and masked by each interrupt until QEMU unmasks it.
#[derive(Debug, Default)]
struct Line {
    trigger: Option<File>,
    raised: bool,
    masked: bool,
}

impl Line {
    fn signal(&mut self) {
        if self.raised
            && !self.masked
            && let Some(trigger) = &mut self.trigger
        {
            self.masked = true;
            raise(trigger);
        }
    }
}

/// Eventfds by vector.
#[derive(Debug, Default)]
struct Messages(Vec<Option<File>>);

/// An eventfd adds what is written. It cannot be full before 2^64 interrupts; what else QEMU may have
/// handed over is its own loss.
fn raise(trigger: &mut File) {
    let _ = trigger.write(&1u64.to_ne_bytes());
}

/// What QEMU wants done to a range of a device's interrupts (VFIO_DEVICE_SET_IRQS).
#[derive(Debug)]
pub(super) enum Change {
    /// Signal these from now on; `None` for none.
    Triggers(Vec<Option<File>>),
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
    pub fn new(msi: u16, msix: u16) -> Self {
        let none = |count: u16| Messages((0..count).map(|_| None).collect());
        Self {
            line: Line::default(),
            messages: none(msi),
            table: none(msix),
        }
    }

    /// How many vectors an index has.
    pub(super) fn count(&self, mode: Mode) -> u32 {
        match mode {
            Mode::Line => 1,
            Mode::Msi => self.messages.0.len() as u32,
            Mode::MsiX => self.table.0.len() as u32,
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
        let messages = match mode {
            Mode::Line => return self.change_line(change),
            Mode::Msi => &mut self.messages,
            Mode::MsiX => &mut self.table,
        };
        match change {
            Change::Triggers(triggers) if triggers.len() == range.len() => {
                for (to, trigger) in messages.0[range].iter_mut().zip(triggers) {
                    *to = trigger;
                }
            }
            Change::Triggers(_) => return Err(BadChange),
            Change::Disable => messages.0.iter_mut().for_each(|trigger| *trigger = None),
            Change::Raise => messages.0[range].iter_mut().flatten().for_each(raise),
            // QEMU masks entries of its table itself.
            Change::Mask | Change::Unmask => return Err(BadChange),
        }
        Ok(())
    }

    fn change_line(&mut self, change: Change) -> Result<(), BadChange> {
        match change {
            Change::Triggers(mut triggers) => {
                self.line.trigger = triggers.pop().flatten();
                self.line.masked = false;
                self.line.signal();
            }
            Change::Disable => self.line.trigger = None,
            Change::Raise => self.line.trigger.iter_mut().for_each(raise),
            Change::Mask => self.line.masked = true,
            Change::Unmask => {
                self.line.masked = false;
                self.line.signal();
            }
        }
        Ok(())
    }

    /// Sends the message of a vector; nothing where the guest has not asked for it.
    pub(super) fn message(&mut self, mode: Mode, vector: u16) {
        let messages = match mode {
            Mode::Line => return,
            Mode::Msi => &mut self.messages,
            Mode::MsiX => &mut self.table,
        };
        if let Some(Some(trigger)) = messages.0.get_mut(usize::from(vector)) {
            raise(trigger);
        }
    }

    /// Sets the level of the line.
    pub(super) fn line(&mut self, raised: bool) {
        self.line.raised = raised;
        self.line.signal();
    }
}
