//! One customer's machine, as their files tell it.
//!
//! Every fact carries the place it was read from. Serial numbers and MAC addresses are no facts,
//! except where the kernel's command lines and kdump's own files, which are kept word for word, have
//! them; host names are, to be found in these.

mod pci;
mod system;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

pub use pci::{
    Bar, BarKind, Buses, Capabilities, Express, InBar, Line, Msi, Msix, PciAddress, PciFunction,
    PciId, Pin, Sriov,
};
pub use system::{Distribution, Release, Vendor, Version};

use crate::kdump::conf::DumpTarget;
use crate::units::Bytes;

/// All that is known of the machine. Empty where no file said anything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// `uname -r` of the first kernel.
    pub kernel: Option<Sourced<Release>>,
    /// `uname -n`, for nothing but to be taken out of what is written.
    pub host: Option<String>,
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
    /// No file told anything: there are notes at most.
    pub fn is_empty(&self) -> bool {
        let nothing = Self {
            notes: self.notes.clone(),
            ..Self::default()
        };
        *self == nothing
    }

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
