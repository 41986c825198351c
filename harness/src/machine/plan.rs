//! The machine of one drill, decided to the last detail: `scenario::model::Machine` with every
//! slot, table and disk filled in.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::catalogue::{self, Entry, Node, TableError, entry};
use super::link::DRILL_MAC;
use super::load_order::is;
use super::slots::{Request, SlotError, place};
use crate::pci::{Class, Id, Ports, Region, Revision};
use crate::scenario::identity;
use crate::scenario::model::{self, Apic, Chipset, DeviceKind};
use crate::units::{Bytes, Cpus, Slot};

/// Everything about the machine that is no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachinePlan {
    /// Chipset.
    pub chipset: Chipset,
    /// QEMU's name of the CPU model.
    pub cpu: String,
    /// APIC routing.
    pub apic: Apic,
    /// CPUs.
    pub cpus: Cpus,
    /// Memory.
    pub memory: Bytes,
    /// Hardware address of the network device that the dump goes to, if it goes to one.
    pub mac: &'static str,
    /// PCI functions, in the order of the scenario.
    pub functions: Vec<PlacedFunction>,
    /// The first kernel's command line; empty until the caller fills it in.
    pub append: String,
    /// What runs the guest's instructions; [`Accel::Tcg`] until the caller decides.
    pub accel: Accel,
}

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accel {
    /// The host's CPU.
    Kvm,
    /// QEMU's translator, one thread a CPU.
    Tcg,
}

impl fmt::Display for Accel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        })
    }
}

/// One PCI function on bus 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedFunction {
    /// What it is.
    pub kind: DeviceKind,
    /// The line of `machine.devices` that it comes from, by index.
    pub line: usize,
    /// Counts functions of this kind from 0, in the order of the scenario.
    pub index: u16,
    /// Where it is.
    pub slot: Slot,
    /// Function 0 of a slot that has others.
    pub multifunction: bool,
    /// Entries of its MSI-X table; 0 for none.
    pub table: u16,
    /// The dump goes here.
    pub target: bool,
    /// The root file system is here.
    pub root: bool,
    /// The disk behind it.
    pub disk: Option<Disk>,
    /// What it shows on the bus, where crashdrill itself is the device.
    pub shown: Option<Shown>,
}

/// What a modelled function shows on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Vendor and device.
    pub id: Id,
    /// Subsystem; the model has a usual one.
    pub subsystem: Option<Id>,
    /// Class; likewise.
    pub class: Option<Class>,
    /// Revision; likewise.
    pub revision: Option<Revision>,
    /// Regions of registers; likewise.
    pub regions: Option<Vec<Region>>,
    /// It has the MSI capability.
    pub msi: bool,
    /// Which port of its card it is, from 0.
    pub port: u8,
    /// Ports of its card.
    pub ports: Ports,
}

impl PlacedFunction {
    /// QEMU's id, unique in the machine: `virtio-serial-0`.
    pub fn id(&self) -> String {
        format!("{}-{}", entry(self.kind).name, self.index)
    }
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its size.
    pub size: Bytes,
    /// What is behind it.
    pub backing: Backing,
    /// Its device node in a capture kernel, which depends on the order in which it loads drivers:
    /// the default one, unless [`MachinePlan::name_disks`] was told another. Where a
    /// machine has several disks of one naming and the guest's drivers probe asynchronously (nvme
    /// since Linux 6.3, SCSI disks always), a UUID is the safer name.
    pub node: String,
}

/// What is behind a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backing {
    /// A file of the harness; takes the next of [`super::Files::disks`].
    File,
    /// Nothing: reads zeros and forgets writes. For devices that QEMU refuses without a disk.
    Null,
}

/// A machine that cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// About one line of `machine.devices`, counted from 0.
    #[error("device {}: {problem}", device + 1)]
    Device {
        /// Index into `machine.devices`.
        device: usize,
        /// What is wrong with it.
        problem: DeviceError,
    },
    /// Functions that do not fit together.
    #[error(transparent)]
    Slots(#[from] SlotError),
    /// Several dump targets.
    #[error("one device can be the dump target, not {0}")]
    Targets(usize),
    /// Logical flat mode has eight destination bits.
    #[error("flat APIC routing stops at 8 CPUs, not {0}; use apic: physical")]
    FlatCpus(Cpus),
    /// 8-bit APIC ids, of which 255 is the broadcast.
    #[error("the machine can have up to 255 CPUs, not {0}")]
    Cpus(Cpus),
    /// No kernel boots in so little.
    #[error("{0} of memory is too little for a machine; use at least 64M")]
    Memory(Bytes),
    /// The CPU model goes into an option string and must not bring options of its own.
    #[error("`{0}` is no CPU model of QEMU, such as qemu64; features cannot be added here")]
    CpuModel(String),
}

/// What is wrong with one line of `machine.devices`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// `msix`.
    #[error(transparent)]
    Table(#[from] TableError),
    /// `count` is zero.
    #[error("count must be at least 1")]
    NoCount,
    /// `slots` and `count` disagree.
    #[error("{slots} slots are stated for {count} devices; state one each, or none")]
    SlotCount {
        /// Slots stated.
        slots: usize,
        /// Devices.
        count: u16,
    },
    /// Neither a disk nor a network can be behind it.
    #[error("{0} carries no disk and is no network device, so it cannot be the dump target")]
    NoTarget(&'static str),
    /// It cannot be what it is said to be.
    #[error("{0}")]
    Identity(String),
    /// No disk can be behind it.
    #[error("{0} carries no disk; remove `size`")]
    NoDisk(&'static str),
    /// QEMU wants whole sectors.
    #[error("a disk of {0} cannot be made; use a multiple of 1M, up to 1T")]
    DiskSize(Bytes),
    /// No PCI Express on `pc`.
    #[error("{0} needs PCI Express, which `pc` does not have; use chipset: q35")]
    Express(&'static str),
}

/// Size of the disk behind a dump target when the scenario does not state one: it holds the whole
/// memory uncompressed, and the file is sparse.
pub(crate) fn usual_disk(memory: Bytes) -> Bytes {
    let wanted = memory.0.saturating_add(256 * Bytes::MIB).max(Bytes::GIB);
    Bytes(wanted.div_ceil(Bytes::MIB).saturating_mul(Bytes::MIB))
}

/// What a device that must have a disk gets when nobody asked for one.
const NULL_DISK: Bytes = Bytes(64 * Bytes::MIB);

impl MachinePlan {
    /// Decides slots, tables and disks.
    ///
    /// # Errors
    /// The machine cannot be built. Errors of single devices come before those of the whole.
    pub fn new(machine: &model::Machine) -> Result<Self, PlanError> {
        check(machine)?;
        let mut functions = Vec::new();
        let mut requests = Vec::new();
        let mut counts: BTreeMap<DeviceKind, u16> = BTreeMap::new();
        for (line, device) in machine.devices.iter().enumerate() {
            let problem = |problem| PlanError::Device {
                device: line,
                problem,
            };
            let entry = entry(device.device);
            let table = table(machine, device, entry).map_err(problem)?;
            for nth in 0..device.count {
                let target = device.target && nth == 0;
                let root = device.root && nth == 0;
                let stated = device.slots.as_ref();
                requests.push(Request {
                    slot: stated.and_then(|slots| slots.get(usize::from(nth)).copied()),
                    functions: device.functions(),
                    line: device.line,
                    target,
                    virtual_functions: entry.virtual_functions,
                });
                for port in 0..device.functions() {
                    let index = counts.entry(device.device).or_default();
                    functions.push(PlacedFunction {
                        kind: device.device,
                        line,
                        index: *index,
                        slot: Slot {
                            device: 0,
                            function: 0,
                        },
                        multifunction: false,
                        table,
                        target,
                        root,
                        disk: disk(machine, device, entry, target || root),
                        shown: entry.model.as_ref().map(|model| shown(device, model, port)),
                    });
                    // `count` is a u16, so that only absurd scenarios come near; the bus is full at
                    // 240.
                    *index = index.saturating_add(1);
                }
            }
        }
        let slots = place(machine.chipset, &requests)?;
        let each = slots.iter().zip(&requests);
        let slots: Vec<Slot> = each
            .flat_map(|(slot, request)| {
                (0..request.functions).map(|port| Slot {
                    function: slot.function + port,
                    ..*slot
                })
            })
            .collect();
        for (function, slot) in functions.iter_mut().zip(&slots) {
            function.slot = *slot;
            function.multifunction = slot.function == 0
                && slots
                    .iter()
                    .any(|other| other.device == slot.device && other.function > 0);
        }
        let mut plan = Self {
            chipset: machine.chipset,
            cpu: machine.cpu.as_deref().unwrap_or(USUAL_CPU).to_owned(),
            apic: machine.apic,
            cpus: machine.cpus,
            memory: machine.memory,
            mac: DRILL_MAC,
            functions,
            append: String::new(),
            accel: Accel::Tcg,
        };
        plan.name_disks(&plan.drivers());
        Ok(plan)
    }

    /// QEMU's name of the machine type: fixed, so that a newer QEMU builds the same machine.
    pub fn machine_type(&self) -> &'static str {
        match self.chipset {
            Chipset::Q35 => "pc-q35-7.2",
            Chipset::Pc => "pc-i440fx-7.2",
        }
    }

    /// The CPU with its features, as QEMU's `-cpu` has it. x2APIC is always stated: KVM would
    /// switch it on by itself and TCG not, and with it the routing of interrupts would depend on
    /// the accelerator.
    pub fn cpu_model(&self) -> String {
        let x2apic = match self.apic {
            Apic::X2apic => "on",
            Apic::Auto | Apic::Flat | Apic::Physical => "off",
        };
        format!("{},x2apic={x2apic}", self.cpu)
    }

    /// The function that the dump goes to.
    pub fn target(&self) -> Option<&PlacedFunction> {
        self.functions.iter().find(|function| function.target)
    }

    /// Functions that live in crashdrill and not in QEMU, in the order of [`super::Files::devices`].
    pub fn models(&self) -> impl Iterator<Item = &PlacedFunction> {
        let functions = self.functions.iter();
        functions.filter(|function| entry(function.kind).is_modelled())
    }

    /// Whether there are any.
    pub fn has_models(&self) -> bool {
        self.models().next().is_some()
    }

    /// Whether a function is the network device that the dump goes to.
    pub fn is_linked(&self, function: &PlacedFunction) -> bool {
        function.target && entry(function.kind).network
    }

    /// Disks that need a file, in the order of [`super::Files::disks`].
    pub fn file_disks(&self) -> impl Iterator<Item = (&PlacedFunction, &Disk)> {
        self.functions
            .iter()
            .filter_map(|function| Some((function, function.disk.as_ref()?)))
            .filter(|(_, disk)| disk.backing == Backing::File)
    }

    /// Guest drivers of all devices, in the order of the scenario, the dump target's last, none
    /// twice.
    pub fn drivers(&self) -> Vec<&'static str> {
        let (target, others): (Vec<_>, Vec<_>) =
            self.functions.iter().partition(|function| function.target);
        let mut drivers = Vec::new();
        for function in others.into_iter().chain(target) {
            for driver in entry(function.kind).drivers {
                if !drivers.contains(driver) {
                    drivers.push(*driver);
                }
            }
        }
        drivers
    }

    /// Numbers the disks of each naming as a guest meets them that loads its drivers in this order:
    /// driver by driver, each one's devices by slot. An nvme controller takes a number even without
    /// a namespace. Disks whose driver is not loaded come last.
    pub fn name_disks(&mut self, drivers: &[impl AsRef<str>]) {
        let turn = |kind| {
            let finder = finder(kind)?;
            drivers
                .iter()
                .position(|driver| is(driver.as_ref(), finder))
        };
        let mut order: Vec<&mut PlacedFunction> = self.functions.iter_mut().collect();
        order.sort_by_key(|function| (turn(function.kind).unwrap_or(usize::MAX), function.slot));
        for naming in [Node::Nvme, Node::Vd, Node::Sd] {
            let mut number = 0;
            for function in &mut order {
                if entry(function.kind).disk != Some(naming) {
                    continue;
                }
                if let Some(disk) = &mut function.disk {
                    disk.node = naming.path(number);
                }
                if function.disk.is_some() || naming == Node::Nvme {
                    number += 1;
                }
            }
        }
    }
}

/// The model of a machine for which neither scenario nor image names one: the oldest kernels know
/// it.
const USUAL_CPU: &str = "qemu64";

/// Whether `name` can be QEMU's name of a CPU model, and nothing more than a name.
pub(crate) fn is_cpu_model(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.bytes().all(inside)
}

fn check(machine: &model::Machine) -> Result<(), PlanError> {
    if let Some(cpu) = &machine.cpu
        && !is_cpu_model(cpu)
    {
        return Err(PlanError::CpuModel(cpu.clone()));
    }
    if machine.cpus.get() > 255 {
        return Err(PlanError::Cpus(machine.cpus));
    }
    if machine.apic == Apic::Flat && machine.cpus.get() > 8 {
        return Err(PlanError::FlatCpus(machine.cpus));
    }
    if machine.memory.0 < 64 * Bytes::MIB {
        return Err(PlanError::Memory(machine.memory));
    }
    let targets = machine.devices.iter().filter(|device| device.target);
    match targets.count() {
        0 | 1 => Ok(()),
        several => Err(PlanError::Targets(several)),
    }
}

fn table(
    machine: &model::Machine,
    device: &model::Device,
    entry: &Entry,
) -> Result<u16, DeviceError> {
    if device.count == 0 {
        return Err(DeviceError::NoCount);
    }
    if let Some(slots) = &device.slots
        && slots.len() != usize::from(device.count)
    {
        return Err(DeviceError::SlotCount {
            slots: slots.len(),
            count: device.count,
        });
    }
    if entry.express && machine.chipset == Chipset::Pc {
        return Err(DeviceError::Express(entry.name));
    }
    if device.target && !entry.can_be_target() {
        return Err(DeviceError::NoTarget(entry.name));
    }
    if let Some(size) = device.size {
        if entry.disk.is_none() {
            return Err(DeviceError::NoDisk(entry.name));
        }
        if size.0 == 0 || size.0 % Bytes::MIB != 0 || size.0 > 1024 * Bytes::GIB {
            return Err(DeviceError::DiskSize(size));
        }
    }
    let facts = catalogue::facts(device.device);
    if let Some(fault) = identity::faults(device, entry.name, &facts)
        .into_iter()
        .next()
    {
        return Err(DeviceError::Identity(format!(
            "{}: {}",
            fault.message, fault.help
        )));
    }
    Ok(entry.table(device.msix, machine.cpus.get())?)
}

fn shown(device: &model::Device, usual: &catalogue::Model, port: u8) -> Shown {
    Shown {
        id: device.id.unwrap_or(usual.id),
        subsystem: device.subsystem,
        class: device.class,
        revision: device.rev,
        regions: device.bars.clone(),
        msi: device.msi,
        port,
        ports: device.ports.unwrap_or(Ports::ONE),
    }
}

fn disk(
    machine: &model::Machine,
    device: &model::Device,
    entry: &Entry,
    holds_dumps: bool,
) -> Option<Disk> {
    entry.disk?;
    let (size, backing) = match (device.size, holds_dumps) {
        (Some(size), _) => (size, Backing::File),
        (None, true) => (usual_disk(machine.memory), Backing::File),
        (None, false) if device.device == DeviceKind::VirtioBlk => (NULL_DISK, Backing::Null),
        (None, false) => return None,
    };
    Some(Disk {
        size,
        backing,
        node: String::new(),
    })
}

/// The driver that finds the disks of a device: sd_mod names them in the order in which it does.
fn finder(kind: DeviceKind) -> Option<&'static str> {
    let mut drivers = entry(kind).drivers.iter().copied();
    drivers.rfind(|driver| *driver != "sd_mod")
}

#[cfg(test)]
mod tests;
