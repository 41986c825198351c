//! Every device that a scenario can name, as data.
//!
//! Table sizes and their limits were tried on QEMU 7.2 and 11.1.3, which refuse anything beyond.

use crate::pci::Id;
use crate::scenario::identity::Ids;
use crate::scenario::model::DeviceKind;
use crate::scenario::{DeviceFacts, TableRule};
use crate::units::TableSize;

/// One device.
#[derive(Debug)]
pub struct Entry {
    /// What a scenario calls it.
    pub kind: DeviceKind,
    /// The same as text.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// QEMU's device types: the PCI function first, then what it needs to carry a disk.
    pub qemu: &'static [&'static str],
    /// Its MSI-X table.
    pub table: Table,
    /// Guest drivers (modules), in load order; empty where every kernel has it built in.
    pub drivers: &'static [&'static str],
    /// How the guest names the disk behind it; `None` when it cannot carry one.
    pub disk: Option<Node>,
    /// A network adapter. Only the dump target has something at the other end of its cable.
    pub network: bool,
    /// Needs a PCI Express bus, which `pc` does not have.
    pub express: bool,
    /// Its SR-IOV functions lie ready on the bus, see [`super::slots`].
    pub virtual_functions: bool,
    /// What it shows where crashdrill itself is the device ([`crate::device`]); none where QEMU is.
    pub model: Option<Model>,
}

/// What a device that crashdrill models shows on its bus, where a scenario does not say.
#[derive(Debug)]
pub struct Model {
    /// The ids that it can have; none for any.
    pub ids: &'static [Id],
    /// The usual one.
    pub id: Id,
    /// It is a card with one port or several.
    pub ports: bool,
}

/// The rule for a device's MSI-X table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// No MSI-X capability; MSI or an interrupt line.
    None,
    /// QEMU fixes the number of entries.
    Fixed(u16),
    /// A scenario may choose.
    Free {
        /// Smallest table.
        min: u16,
        /// Largest table.
        max: u16,
        /// What `msix` is when it is not stated.
        default: Usual,
    },
}

/// The table that a device has when a scenario does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usual {
    /// A plain number.
    Entries(u16),
    /// One entry a CPU of the machine, and so many more.
    CpusPlus(u16),
}

/// Naming of a disk in the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// `/dev/nvme0n1`
    Nvme,
    /// `/dev/vda`
    Vd,
    /// `/dev/sda`
    Sd,
}

impl Node {
    /// The device node of the disk that its naming counts as `index`, from 0.
    pub fn path(self, index: usize) -> String {
        match self {
            Self::Nvme => format!("/dev/nvme{index}n1"),
            Self::Vd => format!("/dev/vd{}", letters(index)),
            Self::Sd => format!("/dev/sd{}", letters(index)),
        }
    }
}

/// a … z, aa … az, ba …: the kernel's `sd_format_disk_name`.
fn letters(mut index: usize) -> String {
    let mut name = Vec::new();
    loop {
        name.push(char::from(b'a' + (index % 26) as u8));
        match index / 26 {
            0 => break,
            rest => index = rest - 1,
        }
    }
    name.iter().rev().collect()
}

/// A table that a device does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// No MSI-X at all.
    #[error("{0} has no MSI-X table; remove `msix`")]
    None(&'static str),
    /// Fixed, and not to this.
    #[error("{name}'s MSI-X table has {fixed} entries, which cannot be changed to {asked}")]
    Fixed {
        /// The device.
        name: &'static str,
        /// What it has.
        fixed: u16,
        /// What was asked for.
        asked: u16,
    },
    /// Outside the range.
    #[error("{name}'s MSI-X table has {min} to {max} entries, not {asked}")]
    Range {
        /// The device.
        name: &'static str,
        /// Smallest.
        min: u16,
        /// Largest.
        max: u16,
        /// What was asked for.
        asked: u16,
    },
}

impl Entry {
    /// Entries of the MSI-X table, 0 for none, when a scenario asks for `asked` on a machine with
    /// `cpus` CPUs.
    ///
    /// # Errors
    /// The device has no such table.
    pub fn table(&self, asked: Option<TableSize>, cpus: u16) -> Result<u16, TableError> {
        let name = self.name;
        match (self.table, asked.map(TableSize::get)) {
            (Table::None, None) => Ok(0),
            (Table::None, Some(_)) => Err(TableError::None(name)),
            (Table::Fixed(fixed), asked) => match asked {
                Some(asked) if asked != fixed => Err(TableError::Fixed { name, fixed, asked }),
                _ => Ok(fixed),
            },
            (Table::Free { default, max, .. }, None) => Ok(match default {
                Usual::Entries(entries) => entries,
                Usual::CpusPlus(more) => cpus.saturating_add(more).min(max),
            }),
            (Table::Free { min, max, .. }, Some(asked)) if (min..=max).contains(&asked) => {
                Ok(asked)
            }
            (Table::Free { min, max, .. }, Some(asked)) => Err(TableError::Range {
                name,
                min,
                max,
                asked,
            }),
        }
    }

    /// Whether crashdrill itself is the device ([`crate::device`]).
    pub fn is_modelled(&self) -> bool {
        self.model.is_some()
    }

    /// Whether the dump can go to it.
    pub fn can_be_target(&self) -> bool {
        self.disk.is_some() || self.network
    }
}

/// The entry of a device.
pub fn entry(kind: DeviceKind) -> &'static Entry {
    match kind {
        DeviceKind::VirtioSerial => &VIRTIO_SERIAL,
        DeviceKind::Nvme => &NVME,
        DeviceKind::VirtioBlk => &VIRTIO_BLK,
        DeviceKind::VirtioScsi => &VIRTIO_SCSI,
        DeviceKind::Ahci => &AHCI,
        DeviceKind::MegasasGen2 => &MEGASAS_GEN2,
        DeviceKind::Mptsas1068 => &MPTSAS1068,
        DeviceKind::E1000e => &E1000E,
        DeviceKind::Igb => &IGB,
        DeviceKind::Vmxnet3 => &VMXNET3,
        DeviceKind::VirtioNet => &VIRTIO_NET,
        DeviceKind::Xhci => &XHCI,
        DeviceKind::PcieRootPort => &PCIE_ROOT_PORT,
        DeviceKind::Generic => &GENERIC,
        DeviceKind::I40e => &I40E,
        DeviceKind::Mpt3sas => &MPT3SAS,
    }
}

/// All of them, in the order in which they are shown.
pub const ALL: [DeviceKind; 16] = [
    DeviceKind::VirtioSerial,
    DeviceKind::Nvme,
    DeviceKind::VirtioBlk,
    DeviceKind::VirtioScsi,
    DeviceKind::Ahci,
    DeviceKind::MegasasGen2,
    DeviceKind::Mptsas1068,
    DeviceKind::E1000e,
    DeviceKind::Igb,
    DeviceKind::Vmxnet3,
    DeviceKind::VirtioNet,
    DeviceKind::Xhci,
    DeviceKind::PcieRootPort,
    DeviceKind::Generic,
    DeviceKind::I40e,
    DeviceKind::Mpt3sas,
];

static VIRTIO_SERIAL: Entry = Entry {
    kind: DeviceKind::VirtioSerial,
    name: "virtio-serial",
    about: "the vector filler: its driver fills the table on a single CPU",
    qemu: &["virtio-serial-pci"],
    table: Table::Free {
        min: 1,
        max: TableSize::MAX,
        default: Usual::Entries(64),
    },
    drivers: &["virtio_pci", "virtio_console"],
    disk: None,
    network: false,
    express: false,
    virtual_functions: false,
    model: None,
};

static NVME: Entry = Entry {
    kind: DeviceKind::Nvme,
    name: "nvme",
    about: "NVM Express controller, one namespace",
    qemu: &["nvme"],
    table: Table::Free {
        min: 1,
        max: TableSize::MAX,
        default: Usual::Entries(65),
    },
    drivers: &["nvme"],
    disk: Some(Node::Nvme),
    network: false,
    express: false,
    virtual_functions: false,
    model: None,
};

static VIRTIO_BLK: Entry = Entry {
    kind: DeviceKind::VirtioBlk,
    name: "virtio-blk",
    about: "virtio disk",
    qemu: &["virtio-blk-pci"],
    table: Table::Free {
        min: 1,
        max: VIRTIO_QUEUES + 1,
        default: Usual::CpusPlus(1),
    },
    drivers: &["virtio_pci", "virtio_blk"],
    disk: Some(Node::Vd),
    network: false,
    express: false,
    virtual_functions: false,
    model: None,
};

static VIRTIO_SCSI: Entry = Entry {
    kind: DeviceKind::VirtioScsi,
    name: "virtio-scsi",
    about: "virtio SCSI adapter, one disk",
    qemu: &["virtio-scsi-pci", "scsi-hd"],
    table: Table::Free {
        min: 1,
        max: VIRTIO_QUEUES,
        default: Usual::CpusPlus(3),
    },
    drivers: &["virtio_pci", "virtio_scsi", "sd_mod"],
    disk: Some(Node::Sd),
    network: false,
    express: false,
    virtual_functions: false,
    model: None,
};

static AHCI: Entry = Entry {
    kind: DeviceKind::Ahci,
    name: "ahci",
    about: "ICH9 SATA controller, one disk; MSI only",
    qemu: &["ich9-ahci", "ide-hd"],
    table: Table::None,
    drivers: &["ahci", "sd_mod"],
    disk: Some(Node::Sd),
    network: false,
    express: false,
    virtual_functions: false,
    model: None,
};

static MEGASAS_GEN2: Entry = Entry {
    kind: DeviceKind::MegasasGen2,
    name: "megasas-gen2",
    about: "LSI MegaRAID SAS 2108, one disk",
    qemu: &["megasas-gen2", "scsi-hd"],
    table: Table::Fixed(15),
    drivers: &["megaraid_sas", "sd_mod"],
    disk: Some(Node::Sd),
    network: false,
    express: false,
    virtual_functions: false,
    model: None,
};

static MPTSAS1068: Entry = Entry {
    kind: DeviceKind::Mptsas1068,
    name: "mptsas1068",
    about: "LSI SAS1068, one disk; MSI only",
    qemu: &["mptsas1068", "scsi-hd"],
    table: Table::None,
    drivers: &["mptsas", "sd_mod"],
    disk: Some(Node::Sd),
    network: false,
    express: false,
    virtual_functions: false,
    model: None,
};

static E1000E: Entry = Entry {
    kind: DeviceKind::E1000e,
    name: "e1000e",
    about: "Intel 82574L network adapter",
    qemu: &["e1000e"],
    table: Table::Fixed(5),
    drivers: &["e1000e"],
    disk: None,
    network: true,
    express: false,
    virtual_functions: false,
    model: None,
};

static IGB: Entry = Entry {
    kind: DeviceKind::Igb,
    name: "igb",
    about: "Intel 82576 network adapter; QEMU 8 or newer",
    qemu: &["igb"],
    table: Table::Fixed(10),
    drivers: &["igb"],
    disk: None,
    network: true,
    express: false,
    virtual_functions: true,
    model: None,
};

static VMXNET3: Entry = Entry {
    kind: DeviceKind::Vmxnet3,
    name: "vmxnet3",
    about: "VMware network adapter",
    qemu: &["vmxnet3"],
    table: Table::Fixed(25),
    drivers: &["vmxnet3"],
    disk: None,
    network: true,
    express: false,
    virtual_functions: false,
    model: None,
};

static VIRTIO_NET: Entry = Entry {
    kind: DeviceKind::VirtioNet,
    name: "virtio-net",
    about: "virtio network adapter, one queue a direction; its driver takes 3 vectors",
    qemu: &["virtio-net-pci"],
    table: Table::Free {
        min: 1,
        max: TableSize::MAX,
        default: Usual::Entries(4),
    },
    drivers: &["virtio_pci", "virtio_net"],
    disk: None,
    network: true,
    express: false,
    virtual_functions: false,
    model: None,
};

static XHCI: Entry = Entry {
    kind: DeviceKind::Xhci,
    name: "xhci",
    about: "USB 3 host controller",
    qemu: &["qemu-xhci"],
    table: Table::Fixed(16),
    drivers: &["xhci_pci"],
    disk: None,
    network: false,
    express: false,
    virtual_functions: false,
    model: None,
};

static PCIE_ROOT_PORT: Entry = Entry {
    kind: DeviceKind::PcieRootPort,
    name: "pcie-root-port",
    about: "PCI Express root port, nothing behind it",
    qemu: &["pcie-root-port"],
    table: Table::Fixed(1),
    drivers: &[],
    disk: None,
    network: false,
    express: true,
    virtual_functions: false,
    model: None,
};

static GENERIC: Entry = Entry {
    kind: DeviceKind::Generic,
    name: "generic",
    about: "any PCI function by its ids, with its MSI-X table; nothing answers in it",
    qemu: &[VFIO_USER],
    table: Table::Free {
        min: 1,
        max: TableSize::MAX,
        default: Usual::Entries(0),
    },
    drivers: &[],
    disk: None,
    network: false,
    express: false,
    virtual_functions: false,
    model: Some(Model {
        ids: &[],
        // Of those that Red Hat leaves to anybody's experiments (QEMU's docs/specs/pci-ids.rst).
        id: Id::new(0x1af4, 0x10f0),
        ports: false,
    }),
};

static I40E: Entry = Entry {
    kind: DeviceKind::I40e,
    name: "i40e",
    about: "Intel X710 or XL710 network card with 1, 2 or 4 ports; modelled, no packets",
    qemu: &[VFIO_USER],
    table: Table::Fixed(129),
    drivers: &["i40e"],
    disk: None,
    network: false,
    express: false,
    virtual_functions: false,
    model: Some(Model {
        ids: &X710,
        id: X710[0],
        ports: true,
    }),
};

/// The devices of the X710 and XL710 controllers that drivers since Linux 4.2 know
/// (drivers/net/ethernet/intel/i40e/i40e_devids.h), the most common first.
static X710: [Id; 8] = [
    Id::new(0x8086, 0x1572),
    Id::new(0x8086, 0x1580),
    Id::new(0x8086, 0x1581),
    Id::new(0x8086, 0x1583),
    Id::new(0x8086, 0x1584),
    Id::new(0x8086, 0x1585),
    Id::new(0x8086, 0x1586),
    Id::new(0x8086, 0x1589),
];

static MPT3SAS: Entry = Entry {
    kind: DeviceKind::Mpt3sas,
    name: "mpt3sas",
    about: "Broadcom (LSI) SAS3 adapter such as SAS3008, one disk; modelled",
    qemu: &[VFIO_USER],
    table: Table::Fixed(96),
    drivers: &["mpt3sas", "sd_mod"],
    disk: Some(Node::Sd),
    network: false,
    express: false,
    virtual_functions: false,
    model: Some(Model {
        ids: &SAS3,
        id: SAS3[0],
        ports: false,
    }),
};

/// SAS3008, SAS3004, the SAS3108s, SAS3216 and SAS3224 (drivers/scsi/mpt3sas/mpi/mpi2_cnfg.h).
static SAS3: [Id; 8] = [
    Id::new(0x1000, 0x0097),
    Id::new(0x1000, 0x0096),
    Id::new(0x1000, 0x0090),
    Id::new(0x1000, 0x0091),
    Id::new(0x1000, 0x0094),
    Id::new(0x1000, 0x0095),
    Id::new(0x1000, 0x00c9),
    Id::new(0x1000, 0x00c4),
];

/// The device that lives in another process: QEMU 10.1 and newer.
pub(super) const VFIO_USER: &str = "vfio-user-pci";

/// QEMU's VIRTIO_QUEUE_MAX: virtqueues that one virtio device may have. virtio-scsi spends two of
/// them on control and events, virtio-blk none; both add one vector for configuration changes.
pub(super) const VIRTIO_QUEUES: u16 = 1024;

/// What the checks of a scenario have to know about a device.
pub fn facts(kind: DeviceKind) -> DeviceFacts {
    let entry = entry(kind);
    DeviceFacts {
        table: match entry.table {
            Table::None => TableRule::None,
            Table::Fixed(entries) => TableRule::Fixed(entries),
            Table::Free { min, max, .. } => TableRule::Free { min, max },
        },
        disk: entry.disk.is_some(),
        network: entry.network,
        ids: match &entry.model {
            None => Ids::Own,
            Some(Model { ids: [], .. }) => Ids::Any,
            Some(model) => Ids::OneOf(model.ids),
        },
        ports: entry.model.as_ref().is_some_and(|model| model.ports),
    }
}
