//! What a device can do by itself: reach the guest's memory, and interrupt it.

use super::config::ConfigSpace;
use super::interrupts::{Interrupts, Mode};
use super::memory::{Memory, Unreachable};

/// Lines of what a device has to say, at most.
const MOST_NOTES: usize = 10_000;

/// A device's side of its bus.
#[derive(Debug)]
pub struct Bus {
    pub(super) memory: Memory,
    pub(super) interrupts: Interrupts,
    pub(super) config: ConfigSpace,
    notes: Vec<String>,
}

impl Bus {
    /// A device with this configuration space, on a bus with nothing else.
    pub fn new(config: ConfigSpace) -> Self {
        let (msi, msix) = config.vectors();
        let mut bus = Self {
            memory: Memory::default(),
            interrupts: Interrupts::new(msi, msix),
            config,
            notes: Vec::new(),
        };
        bus.configured();
        bus
    }

    /// To be called after each change of the configuration space: it may open or close the line.
    pub(super) fn configured(&mut self) {
        let open = self.config.mode() == Mode::Line && !self.config.line_disabled();
        self.interrupts.open_line(open);
    }

    /// Reads the guest's memory.
    ///
    /// # Errors
    /// There is none, or the guest has not made the device a bus master.
    pub fn read(&self, address: u64, data: &mut [u8]) -> Result<(), Unreachable> {
        self.mastering(address, data.len())?;
        self.memory.read(address, data)
    }

    /// Reads a few bytes of it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn get<const N: usize>(&self, address: u64) -> Result<[u8; N], Unreachable> {
        let mut data = [0; N];
        self.read(address, &mut data)?;
        Ok(data)
    }

    /// Writes the guest's memory.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), Unreachable> {
        self.mastering(address, data.len())?;
        self.memory.write(address, data)
    }

    fn mastering(&self, address: u64, length: usize) -> Result<(), Unreachable> {
        match self.config.masters() {
            true => Ok(()),
            false => Err(Unreachable { address, length }),
        }
    }

    /// How the guest wants to be interrupted.
    pub fn mode(&self) -> Mode {
        self.config.mode()
    }

    /// Sends the message of an MSI-X (or MSI) vector; nothing while the guest uses the line. One whose
    /// entry is masked waits.
    pub fn message(&mut self, vector: u16) {
        let mode = self.config.mode();
        if self.config.masters() {
            self.interrupts.message(mode, vector);
        }
    }

    /// Raises or lowers the interrupt line; it interrupts only while the guest uses it, and as long
    /// as it is raised. So it has to be lowered once the guest has heard: QEMU lowers its own when
    /// the guest reaches for a BAR, and a handler that does not would be called for ever.
    pub fn line(&mut self, raised: bool) {
        self.interrupts.line(raised);
    }

    /// Something that a person would want to know of the device, such as a request that it does not
    /// know.
    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(text());
        }
    }

    pub(super) fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }
}
