//! One customer's machine, as their files tell it.
//!
//! Every fact carries the place it was read from. Serial numbers, MAC addresses and host names are
//! no facts, except where the kernel's command lines and kdump's own files, which are kept word for
//! word, have them.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;

use crate::kdump::conf::DumpTarget;
use crate::kdump::flavour::Flavour;
use crate::units::{Bytes, Slot, TableSize, UnitError};

/// All that is known of the machine. Empty where no file said anything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// `uname -r` of the first kernel.
    pub kernel: Option<Sourced<Release>>,
    /// What is installed.
    pub distribution: Option<Sourced<Distribution>>,
    /// Version of kexec-tools, without the release of its package: `2.0.15`.
    pub kexec_tools: Option<Sourced<String>>,
    /// Version of makedumpfile, where it is a package of its own.
    pub makedumpfile: Option<Sourced<String>>,
    /// The processors.
    pub cpus: Cpus,
    /// How the first kernel routes interrupts. Where a whole log says nothing of it, what such a
    /// kernel begins with; the source is then the line that names the kernel.
    pub routing: Option<Sourced<Routing>>,
    /// Memory that the kernel was given by the firmware, or less exactly, that it has (MemTotal).
    pub memory: Option<Sourced<Bytes>>,
    /// What it runs on, when that is no bare metal, as the kernel says it: `KVM`, `VMware`.
    pub hypervisor: Option<Sourced<String>>,
    /// `OEM ID` and `OEM Table ID` of the ACPI table FADT, by which kernels choose the routing.
    pub acpi: Option<Sourced<AcpiIds>>,
    /// Of the first kernel, word for word.
    pub command_line: Option<Sourced<String>>,
    /// Of the capture kernel, word for word, where a log or a file shows one.
    pub capture_command_line: Option<Sourced<String>>,
    /// What the kernel said about `crashkernel=`, in its order.
    pub reservations: Vec<Sourced<Reservation>>,
    /// All PCI functions that any file shows.
    pub functions: BTreeMap<PciAddress, PciFunction>,
    /// /proc/interrupts of the first kernel, without the lines that are not numbered.
    pub interrupts: Vec<Sourced<Interrupt>>,
    /// kdump's own files.
    pub kdump: KdumpFiles,
    /// Where the dump goes.
    pub target: Option<Target>,
    /// Kernel logs, each a candidate for a diagnosis, in the order of `Log::kind`.
    pub logs: Vec<Log>,
    /// What was not understood, cut or missing.
    pub notes: Vec<Note>,
}

/// A place in the customer's files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The file's path: below the directory or inside of the archive that was given, or the
    /// given path's own name. For a section of supportconfig's files, with the section's name.
    pub file: Arc<str>,
    /// Counts from 1; absent where the whole file says it.
    pub line: Option<NonZeroU32>,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// A fact, and where it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The fact.
    pub value: T,
    /// The place.
    pub source: Source,
}

/// What `uname -r` says: `3.10.0-693.5.2.el7.x86_64`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release(String);

impl Release {
    /// As `uname -r` prints it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Release {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        // UTS_RELEASE has at most 64 characters (__NEW_UTS_LEN of <linux/utsname.h>).
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-+~".contains(c);
        let mut numbers = text.split(['.', '-']);
        let mut number = || {
            numbers
                .next()
                .is_some_and(|part| part.parse::<u16>().is_ok())
        };
        match number() && number() && text.len() <= 64 && text.chars().all(plain) {
            true => Ok(Self(text.to_owned())),
            false => Err(UnitError {
                given: text.chars().take(80).collect(),
                wanted: "a kernel's release such as 3.10.0-693.5.2.el7.x86_64",
            }),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A distribution and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// Which.
    pub vendor: Vendor,
    /// Its version; Debian's testing has none.
    pub version: Option<Version>,
}

/// Who makes a distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vendor {
    /// Red Hat Enterprise Linux.
    Rhel,
    /// CentOS, Stream too.
    Centos,
    /// Rocky Linux.
    Rocky,
    /// AlmaLinux.
    Alma,
    /// Oracle Linux.
    Oracle,
    /// Fedora.
    Fedora,
    /// Debian.
    Debian,
    /// Ubuntu.
    Ubuntu,
    /// SUSE Linux Enterprise.
    Sle,
    /// openSUSE.
    Opensuse,
    /// Any other, by its own name.
    Other(String),
}

/// `7.4`, `12`, `22.04`: two numbers, of which a distribution may leave out the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first.
    pub major: u16,
    /// The second.
    pub minor: Option<u16>,
}

impl Distribution {
    /// Whose kdump it has; none for what is not known here. Red Hat's 10 is taken for its 9.
    pub fn flavour(&self) -> Option<Flavour> {
        match &self.vendor {
            Vendor::Rhel | Vendor::Centos | Vendor::Rocky | Vendor::Alma | Vendor::Oracle => {
                match self.version?.major {
                    6 => Some(Flavour::Rhel6),
                    7 => Some(Flavour::Rhel7),
                    8 => Some(Flavour::Rhel8),
                    9.. => Some(Flavour::Rhel9),
                    _ => None,
                }
            }
            Vendor::Fedora => Some(Flavour::Fedora),
            Vendor::Debian | Vendor::Ubuntu => Some(Flavour::Debian),
            Vendor::Sle | Vendor::Opensuse => Some(Flavour::Opensuse),
            Vendor::Other(_) => None,
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.vendor {
            Vendor::Rhel => "Red Hat Enterprise Linux",
            Vendor::Centos => "CentOS",
            Vendor::Rocky => "Rocky Linux",
            Vendor::Alma => "AlmaLinux",
            Vendor::Oracle => "Oracle Linux",
            Vendor::Fedora => "Fedora",
            Vendor::Debian => "Debian",
            Vendor::Ubuntu => "Ubuntu",
            Vendor::Sle => "SUSE Linux Enterprise",
            Vendor::Opensuse => "openSUSE",
            Vendor::Other(name) => name,
        })?;
        match (self.version, &self.vendor) {
            (None, _) => Ok(()),
            (Some(Version { major, minor: None }), _) => write!(f, " {major}"),
            // The month of a year.
            (
                Some(Version {
                    major,
                    minor: Some(minor),
                }),
                Vendor::Ubuntu,
            ) => {
                write!(f, " {major}.{minor:02}")
            }
            (
                Some(Version {
                    major,
                    minor: Some(minor),
                }),
                _,
            ) => write!(f, " {major}.{minor}"),
        }
    }
}

/// The processors of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpus {
    /// That the kernel ran on (/proc/cpuinfo, "Brought up").
    pub online: Option<Sourced<u16>>,
    /// That it could have had (nr_cpu_ids, "Allowing N CPUs").
    pub possible: Option<Sourced<u16>>,
    /// What they are.
    pub model: Option<Sourced<CpuModel>>,
}

/// What /proc/cpuinfo says of a processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuModel {
    /// `model name`, blanks made one; of a log the kernel's own words.
    pub name: String,
    /// `cpu family`.
    pub family: u16,
    /// `model`.
    pub model: u16,
    /// `stepping`.
    pub stepping: u16,
    /// Has the x2APIC; unknown from a log.
    pub x2apic: Option<bool>,
}

/// APIC driver, as the kernel names it: `Setting APIC routing to flat.` or `Switched APIC routing to
/// cluster x2apic.`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// Logical flat: before 4.15 a vector is taken on all CPUs at once.
    Flat,
    /// Physical flat: each CPU has vectors of its own.
    PhysicalFlat,
    /// x2APIC with clusters.
    X2apicCluster,
    /// x2APIC with physical destinations.
    X2apicPhysical,
}

/// Ids of an ACPI table, without the blanks at their ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcpiIds {
    /// Up to six characters.
    pub oem: String,
    /// Up to eight characters.
    pub table: String,
}

/// What a kernel said about crashkernel memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    /// `Reserving 161MB of memory at 688MB for crashkernel (System RAM: 32681MB)`, and of 6.x
    /// `crashkernel reserved: 0x000000009f000000 - 0x00000000af000000 (256 MB)`.
    Reserved {
        /// How much.
        size: Bytes,
        /// Where it begins.
        at: Bytes,
        /// Which part of a reservation it is.
        part: Part,
        /// What the kernel counts, where the line says it.
        system_ram: Option<Bytes>,
    },
    /// There is a crashkernel=, and nothing was reserved: the kernel's own words.
    Failed(String),
    /// `Using crashkernel=auto, the size choosed is a best effort estimation.` and the like.
    Remark(String),
}

/// Part of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The only one, or the upper one of two.
    Main,
    /// The one below 4 GiB of a `,high` reservation.
    Low,
}

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

/// A numbered line of /proc/interrupts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupt {
    /// The kernel's number.
    pub irq: u32,
    /// What raises it.
    pub kind: InterruptKind,
    /// Whose it is, where the line or the driver's name tell it.
    pub function: Option<PciAddress>,
    /// The names behind it: `eth0-TxRx-0`; several share a line.
    pub actions: Vec<String>,
}

/// What raises an interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterruptKind {
    /// An input of an I/O APIC; its number (GSI), which before 4.4 is the interrupt's own.
    Line(u32),
    /// MSI or MSI-X.
    Message,
    /// Anything else: HPET, DMAR, the PIC.
    Other,
}

/// kdump's own files, word for word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KdumpFiles {
    /// /etc/kdump.conf.
    pub conf: Option<Sourced<String>>,
    /// /etc/sysconfig/kdump, of Red Hat or of SUSE.
    pub sysconfig: Option<Sourced<String>>,
    /// /etc/default/kdump-tools of Debian and Ubuntu.
    pub kdump_tools: Option<Sourced<String>>,
}

/// Where the dump goes, followed as far as the files allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What says so; the whole file where its default decides.
    pub source: Source,
    /// What kdump.conf says; none where the dump goes to the root file system by default.
    pub given: Option<DumpTarget>,
    /// From there to the disk, in this order.
    pub steps: Vec<Sourced<Step>>,
    /// Type of the file system that the dump is written to: `xfs`.
    pub filesystem: Option<Sourced<String>>,
    /// The functions that the dump goes through: several with multipath, none when the files do
    /// not tell.
    pub functions: Vec<PciAddress>,
}

/// From one thing to what it lies on: `/var/crash` to `/dev/mapper/rhel-root` because it is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The upper one.
    pub from: String,
    /// The lower one.
    pub to: String,
    /// Why.
    pub by: By,
}

/// Why one thing lies on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A file system on a device.
    Mount,
    /// `UUID=`, `LABEL=`, a link below /dev/disk or /dev/mapper: the same device by another name.
    Name,
    /// A logical volume on a physical one.
    Lvm,
    /// A partition of a disk.
    Partition,
    /// A path of a multipath device.
    Multipath,
    /// An array's member.
    Raid,
    /// An encrypted device.
    Crypt,
    /// A disk on its host adapter.
    Adapter,
}

/// A kernel's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The file.
    pub source: Source,
    /// What it is.
    pub kind: LogKind,
    /// The text.
    pub bytes: Vec<u8>,
    /// Bytes are missing at its end or in front.
    pub cut: bool,
}

/// What kept a kernel's log, the likeliest to hold a failure first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogKind {
    /// A console: several kernels one after the other.
    Console,
    /// `vmcore-dmesg.txt`: of a first kernel that died, and was saved.
    VmcoreDmesg,
    /// A journal or /var/log/messages.
    Journal,
    /// The ring buffer of a kernel that lived.
    Dmesg,
}

/// Something that a user should know about their files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Where; none where a file is missing.
    pub source: Option<Source>,
    /// A sentence without its full stop.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{source}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl Facts {
    /// The bridge right above a function: the one whose secondary bus it is on.
    pub fn bridge_above(&self, address: PciAddress) -> Option<PciAddress> {
        let mut all = self.functions.iter();
        all.find_map(|(at, function)| {
            let right_above = at.domain == address.domain
                && *at != address
                && function.buses?.secondary == address.bus;
            right_above.then_some(*at)
        })
    }
}
