//! PCI functions as lspci and kernels show them.

use std::fmt;
use std::str::FromStr;

use super::Source;
use crate::units::{Bytes, Slot, TableSize, UnitError};

/// Where a PCI function is: `0000:3b:00.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    /// Segment group. Has 16 bits but for Intel's VMD, whose begin at 0x10000.
    pub domain: u32,
    /// Bus.
    pub bus: u8,
    /// Place on the bus.
    pub slot: Slot,
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Slot { device, function } = self.slot;
        write!(
            f,
            "{:04x}:{:02x}:{device:02x}.{function}",
            self.domain, self.bus
        )
    }
}

impl PciAddress {
    /// As lspci shows it: without a domain of zero.
    pub fn short(self) -> String {
        let whole = self.to_string();
        match self.domain {
            0 => whole[5..].to_owned(),
            _ => whole,
        }
    }
}

impl FromStr for PciAddress {
    type Err = UnitError;

    /// With or without domain.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let hex = |text: &str, digits: std::ops::RangeInclusive<usize>| {
            let plain = text.bytes().all(|byte| byte.is_ascii_hexdigit());
            (plain && digits.contains(&text.len())).then(|| u32::from_str_radix(text, 16).ok())?
        };
        let parse = || {
            let (rest, function) = text.rsplit_once('.')?;
            let (rest, device) = rest.rsplit_once(':')?;
            let (domain, bus) = match rest.rsplit_once(':') {
                Some((domain, bus)) => (hex(domain, 4..=8)?, bus),
                None => (0, rest),
            };
            let slot = Slot {
                device: u8::try_from(hex(device, 2..=2)?).ok()?,
                function: u8::try_from(hex(function, 1..=1)?).ok()?,
            };
            (slot.device < 32 && slot.function < 8).then_some(Self {
                domain,
                bus: u8::try_from(hex(bus, 2..=2)?).ok()?,
                slot,
            })
        };
        parse().ok_or_else(|| UnitError {
            given: text.chars().take(80).collect(),
            wanted: "a PCI address such as 0000:3b:00.1",
        })
    }
}

/// One PCI function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PciFunction {
    /// Where most of it was read.
    pub source: Source,
    /// As lspci puts it into words, without numbers and revision; may be empty.
    pub description: String,
    /// Class and subclass, as in lspci's brackets: 0x0107.
    pub class: Option<u16>,
    /// Programming interface.
    pub prog_if: Option<u8>,
    /// Vendor and device.
    pub id: Option<PciId>,
    /// Vendor and device of the subsystem.
    pub subsystem: Option<PciId>,
    /// Revision; lspci leaves out a zero.
    pub revision: u8,
    /// The buses behind it, of a bridge.
    pub buses: Option<Buses>,
    /// What it is on PCI Express.
    pub express: Option<Express>,
    /// Whether the capabilities were seen at all: without root, lspci shows none.
    pub capabilities: Capabilities,
    /// MSI.
    pub msi: Option<Msi>,
    /// MSI-X.
    pub msix: Option<Msix>,
    /// Its interrupt line.
    pub line: Option<Line>,
    /// Base address registers that are used.
    pub bars: Vec<Bar>,
    /// Single root I/O virtualization.
    pub sriov: Option<Sriov>,
    /// NUMA node.
    pub numa: Option<u16>,
    /// Driver in use in the first kernel, with underscores.
    pub driver: Option<String>,
    /// Modules that would serve it, with underscores.
    pub modules: Vec<String>,
    /// Interrupts that it had in the first kernel, MSI and MSI-X, by /proc/interrupts; none where
    /// that does not tell.
    pub vectors: Option<u16>,
}

impl PciFunction {
    /// One of which nothing but its place is known.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            description: String::new(),
            class: None,
            prog_if: None,
            id: None,
            subsystem: None,
            revision: 0,
            buses: None,
            express: None,
            capabilities: Capabilities::Hidden,
            msi: None,
            msix: None,
            line: None,
            bars: Vec::new(),
            sriov: None,
            numa: None,
            driver: None,
            modules: Vec::new(),
            vectors: None,
        }
    }
}

/// Vendor and device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciId {
    /// Vendor.
    pub vendor: u16,
    /// Device.
    pub device: u16,
}

impl fmt::Display for PciId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.device)
    }
}

/// The buses behind a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buses {
    /// The one right behind it.
    pub secondary: u8,
    /// The last one behind it.
    pub subordinate: u8,
}

/// Device/port type of the PCI Express capability, as lspci names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Express {
    /// `Endpoint`.
    Endpoint,
    /// `Legacy Endpoint`.
    LegacyEndpoint,
    /// `Root Port`.
    RootPort,
    /// `Upstream Port`.
    UpstreamPort,
    /// `Downstream Port`.
    DownstreamPort,
    /// `PCI-Express to PCI/PCI-X Bridge`, and the other way round.
    Bridge,
    /// `Root Complex Integrated Endpoint`.
    IntegratedEndpoint,
    /// `Root Complex Event Collector`.
    EventCollector,
}

/// Whether capabilities were seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Capabilities {
    /// Not known whether there are any: a listing without `-v`, or `<access denied>`.
    #[default]
    Hidden,
    /// Those that are there were shown.
    Shown,
}

/// The MSI capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Msi {
    /// In use.
    pub enabled: bool,
    /// Messages that were granted: 1 to 32.
    pub granted: u8,
    /// Messages that it can send: 1 to 32.
    pub most: u8,
    /// Each can be masked.
    pub maskable: bool,
}

/// The MSI-X capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Msix {
    /// In use.
    pub enabled: bool,
    /// Entries of its table.
    pub size: TableSize,
    /// Where the table is.
    pub table: Option<InBar>,
    /// Where the pending bits are.
    pub pending: Option<InBar>,
}

/// A place in a base address register's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InBar {
    /// Number of the register, 0 to 5.
    pub bar: u8,
    /// Bytes from its beginning.
    pub offset: u32,
}

/// `Interrupt: pin A routed to IRQ 16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// INTA# to INTD#; absent where the machine has none, as with virtual functions.
    pub pin: Option<Pin>,
    /// The kernel's number. When MSI is enabled it is that of the message, not of the line.
    pub irq: Option<u32>,
}

/// An interrupt pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pin {
    /// INTA#.
    A,
    /// INTB#.
    B,
    /// INTC#.
    C,
    /// INTD#.
    D,
}

/// A base address register, or the expansion ROM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// 0 to 5; 6 is the expansion ROM.
    pub index: u8,
    /// What it decodes.
    pub kind: BarKind,
    /// How much; lspci does not know it without /sys.
    pub size: Option<Bytes>,
}

/// What a base address register decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarKind {
    /// Ports.
    Io,
    /// Memory.
    Memory {
        /// May lie above 4 GiB, and takes two registers.
        wide: bool,
        /// May be read ahead.
        prefetchable: bool,
    },
}

/// The SR-IOV capability.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sriov {
    /// Virtual functions that it can have.
    pub total: u16,
    /// That it had.
    pub enabled: u16,
    /// Of the first one's routing id from its own.
    pub offset: u16,
    /// Between two of them.
    pub stride: u16,
}
