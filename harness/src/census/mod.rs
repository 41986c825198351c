//! Interrupt vectors, counted from outside: what every PCI function holds, read out of a stopped
//! machine's configuration space and MSI-X tables. No help from the guest; it may be dead.

mod config;
mod message;
mod monitor;
mod ports;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

pub use config::{CONFIG_SIZE, Config, Msi, MsiX};
pub use message::{Destination, ENTRY_SIZE, Entry, Message};
pub use monitor::CensusError;
pub use read::take;

use crate::scenario::model::Chipset;
use crate::units::Slot;

/// A PCI function of segment 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Its bus.
    pub bus: u8,
    /// Its place on the bus.
    pub slot: Slot,
}

/// `00:05.0`, as lspci writes it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Slot { device, function } = self.slot;
        write!(f, "{:02x}:{device:02x}.{function}", self.bus)
    }
}

/// What holds vectors in a machine at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    /// The machine's.
    pub chipset: Chipset,
    /// Every PCI function that answers.
    pub functions: BTreeMap<Address, Function>,
    /// The interrupt lines by number (GSI), as the I/O APIC has them.
    pub lines: BTreeMap<u8, Entry>,
}

/// When it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// The capture kernel's drivers are loaded, and the target was waited for.
    DriversLoaded,
    /// The capture kernel has printed the first line of a BUG, an oops or a panic. The console is
    /// read some 20 ms after that, at most, and the kernel goes on meanwhile: as a rule the rest of
    /// the report has come, and a machine that resets itself at once is counted when it has ended.
    FirstFatalLine,
    /// The capture kernel has panicked, or halted.
    Dead,
    /// A limit was reached.
    Hung,
    /// The machine has ended by itself.
    Ended,
}

/// `first-fatal-line`.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its registers.
    pub config: Config,
    /// The entries of its MSI-X table; empty while that has no address.
    pub entries: Vec<Entry>,
}

impl Function {
    /// The messages that it may send now: vectors that it holds, each with whom it goes to.
    pub fn held(&self) -> Vec<(Destination, u8)> {
        if let Some(msix) = self.config.msix
            && msix.enabled
        {
            let open = |entry: &&Entry| !msix.masked && !entry.masked;
            let entries = self.entries.iter().filter(open);
            return entries.filter_map(|entry| entry.message.target()).collect();
        }
        match self.config.msi {
            Some(msi) if msi.enabled => {
                let first = msi.message.target();
                let others = first.into_iter().flat_map(|(to, vector)| {
                    (0..msi.granted).filter_map(move |more| Some((to, vector.checked_add(more)?)))
                });
                others.collect()
            }
            _ => Vec::new(),
        }
    }

    /// Entries of its MSI-X table that hold a message, masked or not.
    pub fn programmed(&self) -> usize {
        let holds = |entry: &&Entry| entry.message.target().is_some();
        self.entries.iter().filter(holds).count()
    }
}

impl Census {
    /// The interrupt lines that PCI functions raise. On q35 those above the ISA bus's; on pc the two
    /// of the ISA bus's that QEMU's firmware gives to them (see [`crate::machine::slots::line`]).
    pub fn pci_lines(&self) -> impl Iterator<Item = (u8, &Entry)> {
        let lines = match self.chipset {
            Chipset::Q35 => 16..=u8::MAX,
            Chipset::Pc => 10..=11,
        };
        self.lines.range(lines).map(|(line, entry)| (*line, entry))
    }

    /// The vectors that PCI functions hold on each CPU: their messages', and those of the lines that
    /// they raise. Two functions on one vector count once.
    pub fn vectors(&self) -> BTreeMap<u8, BTreeSet<u8>> {
        let mut vectors = BTreeMap::<u8, BTreeSet<u8>>::new();
        let lines = self.pci_lines().filter_map(|(_, line)| line.open());
        let messages = self.functions.values().flat_map(Function::held);
        for (to, vector) in messages.chain(lines) {
            for cpu in to.cpus() {
                vectors.entry(cpu).or_default().insert(vector);
            }
        }
        vectors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(cpu: u64, vector: u32, masked: bool) -> Entry {
        Entry {
            message: Message {
                address: 0xfee0_0000 | cpu << 12,
                data: vector,
            },
            masked,
        }
    }

    fn function(msix: MsiX, entries: Vec<Entry>) -> Function {
        let config = Config {
            vendor: 1,
            device: 2,
            pin: None,
            pin_enabled: false,
            msi: None,
            msix: Some(msix),
        };
        Function { config, entries }
    }

    const ENABLED: MsiX = MsiX {
        enabled: true,
        masked: false,
        size: 3,
        table: Some(0xfe00_0000),
    };

    #[test]
    fn what_is_held() {
        let entries = vec![
            entry(0, 0x31, false),
            entry(1, 0x41, true),
            Entry::default(),
        ];
        let open = function(ENABLED, entries.clone());
        assert_eq!(open.held(), [(Destination::Physical(0), 0x31)]);
        assert_eq!(open.programmed(), 2);
        for msix in [
            MsiX {
                enabled: false,
                ..ENABLED
            },
            MsiX {
                masked: true,
                ..ENABLED
            },
        ] {
            assert_eq!(function(msix, entries.clone()).held(), []);
        }
    }

    #[test]
    fn msi_counts_every_message() {
        let mut function = function(ENABLED, Vec::new());
        function.config.msix = None;
        function.config.msi = Some(Msi {
            enabled: true,
            capable: 8,
            granted: 4,
            message: entry(2, 0x40, false).message,
        });
        let vectors: Vec<u8> = function.held().iter().map(|(_, vector)| *vector).collect();
        assert_eq!(vectors, [0x40, 0x41, 0x42, 0x43]);
    }

    #[test]
    fn a_flat_vector_is_on_every_cpu_of_its_mask() {
        let logical = Entry {
            message: Message {
                address: 0xfee0_3004,
                data: 0x31,
            },
            masked: false,
        };
        let address = |device| Address {
            bus: 0,
            slot: Slot {
                device,
                function: 0,
            },
        };
        let census = Census {
            chipset: Chipset::Q35,
            functions: [
                (address(4), function(ENABLED, vec![logical])),
                (
                    address(5),
                    function(ENABLED, vec![entry(1, 0x31, false), entry(1, 0x32, false)]),
                ),
            ]
            .into(),
            lines: [
                (10, Entry::redirection(0x41)),
                (17, Entry::redirection(0x51)),
                (20, Entry::redirection(0x1_0061)),
            ]
            .into(),
        };
        let vectors = census.vectors();
        assert_eq!(vectors[&0], [0x31, 0x51].into());
        assert_eq!(vectors[&1], [0x31, 0x32].into());
        let on_pc = Census {
            chipset: Chipset::Pc,
            ..census
        };
        assert_eq!(on_pc.vectors()[&0], [0x31, 0x41].into());
        assert_eq!(address(0x1f).to_string(), "00:1f.0");
    }
}
