//! What each driver asks for, as data: one entry a device.

use super::kernel::{Assignment, Kernel};
use crate::scenario::model::DeviceKind;

/// What a driver knows when it asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking {
    pub(super) kernel: Kernel,
    /// Entries of the MSI-X table.
    pub(super) table: u32,
    /// `num_possible_cpus`, `nr_cpu_ids`.
    pub(super) possible: u32,
    /// `num_online_cpus`.
    pub(super) online: u32,
    /// The kernel's command line tells drivers that devices may still be at work.
    pub(super) reset_devices: bool,
}

/// One thing that a driver tries; when it fails, it tries the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// MSI-X, all or nothing.
    Msix(Msix),
    /// MSI-X, and as many of the spread ones as there are; without the others there is no device.
    UpTo(Msix),
    /// One MSI vector. None of QEMU's devices can mask it, so it is assigned at once on every kernel
    /// (kernel/irq/msi.c, `msi_check_reservation_mode`).
    Msi,
    /// The interrupt line.
    Line,
}

/// Vectors of one MSI-X allocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Msix {
    /// Assigned on any CPU when they are requested.
    pub(super) plain: u32,
    /// Set aside on the CPUs that the kernel spreads them over (PCI_IRQ_AFFINITY); before 4.15 like
    /// any other.
    pub(super) spread: u32,
    /// Never requested: from 4.15 on they cost nothing.
    pub(super) idle: u32,
}

impl Msix {
    const fn plain(plain: u32) -> Self {
        Self {
            plain,
            spread: 0,
            idle: 0,
        }
    }

    pub(super) fn count(self) -> u32 {
        self.plain + self.spread + self.idle
    }
}

impl Attempt {
    /// Vectors, the line's among them.
    pub(super) fn count(self) -> u32 {
        match self {
            Self::Msix(vectors) | Self::UpTo(vectors) => vectors.count(),
            Self::Msi | Self::Line => 1,
        }
    }

    /// Whether the device has so many entries.
    fn fits(self, table: u32) -> bool {
        match self {
            Self::Msix(vectors) | Self::UpTo(vectors) => vectors.count() <= table,
            Self::Msi | Self::Line => true,
        }
    }
}

/// When a driver requests its interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Requested {
    /// When it finds the device.
    Probe,
    /// When the network interface is opened, and then falls back as it does when it finds the device.
    Open,
    /// When the network interface is opened, and that fails without a fall-back.
    OpenOrFail,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// Every kernel, before any module is loaded.
    Kernel,
    /// A module.
    Module(&'static str),
    /// Nobody: no driver knows the device.
    Nobody,
}

impl Asks {
    pub(super) fn module(self) -> Option<&'static str> {
        match self {
            Self::Module(name) => Some(name),
            Self::Kernel | Self::Nobody => None,
        }
    }
}

/// How the driver of one kind of device asks.
pub(super) struct Rule {
    pub(super) asks: Asks,
    /// The module without which there is no device to find.
    pub(super) bus: Option<&'static str>,
    pub(super) requested: Requested,
    /// From the best to the worst.
    attempts: fn(Asking) -> Vec<Attempt>,
}

impl Rule {
    /// What this device can be asked for; the first is what its driver wants.
    pub(super) fn attempts(&self, asking: Asking, msi: bool) -> Vec<Attempt> {
        let all = (self.attempts)(asking).into_iter();
        let mut attempts: Vec<Attempt> = match msi {
            true => all.filter(|attempt| attempt.fits(asking.table)).collect(),
            false => Vec::new(),
        };
        // With `pci=nomsi` everybody is left with the line, whatever the driver does for want of
        // vectors.
        if attempts.is_empty() {
            attempts.push(Attempt::Line);
        }
        attempts
    }
}

/// The rule of a device.
pub(super) fn rule(kind: DeviceKind) -> &'static Rule {
    match kind {
        DeviceKind::VirtioSerial => &VIRTIO_CONSOLE,
        DeviceKind::Nvme => &NVME,
        DeviceKind::VirtioBlk => &VIRTIO_BLK,
        DeviceKind::VirtioScsi => &VIRTIO_SCSI,
        DeviceKind::Ahci => &AHCI,
        DeviceKind::MegasasGen2 => &MEGARAID_SAS,
        DeviceKind::Mptsas1068 => &MPTSAS,
        DeviceKind::E1000e => &E1000E,
        DeviceKind::Igb => &IGB,
        DeviceKind::Vmxnet3 => &VMXNET3,
        DeviceKind::VirtioNet => &VIRTIO_NET,
        DeviceKind::Xhci => &XHCI,
        DeviceKind::PcieRootPort => &PCIEPORT,
        DeviceKind::Generic => &GENERIC,
        DeviceKind::I40e => &I40E,
        DeviceKind::Mpt3sas => &MPT3SAS,
    }
}

const VIRTIO_PCI: Option<&str> = Some("virtio_pci");

/// drivers/virtio/virtio_pci_common.c, `vp_find_vqs`: one vector a queue with a callback and one for
/// changes of configuration, or one for all queues and one for configuration, or the line.
fn virtio(vectors: Msix) -> Vec<Attempt> {
    vec![
        Attempt::Msix(vectors),
        Attempt::Msix(Msix::plain(2)),
        Attempt::Line,
    ]
}

/// drivers/char/virtio_console.c, `init_vqs`: two queues a port and two for control, of which the
/// second has no callback; a device with one port has no control queues. As many ports as fill the
/// table: see [`crate::machine`]'s arguments.
static VIRTIO_CONSOLE: Rule = Rule {
    asks: Asks::Module("virtio_console"),
    bus: VIRTIO_PCI,
    requested: Requested::Probe,
    attempts: |asking| {
        let vectors = match virtio_serial_ports(asking.table) {
            1 => 3,
            ports => 2 * (ports + 1),
        };
        virtio(Msix::plain(vectors))
    },
};

/// Ports of a virtio-serial device with a table of this size.
fn virtio_serial_ports(table: u32) -> u32 {
    (table / 2).saturating_sub(1).clamp(1, 511)
}

/// drivers/block/virtio_blk.c, `init_vq`: every queue of the device, but not always more than
/// `nr_cpu_ids`.
static VIRTIO_BLK: Rule = Rule {
    asks: Asks::Module("virtio_blk"),
    bus: VIRTIO_PCI,
    requested: Requested::Probe,
    attempts: |asking| {
        virtio(Msix {
            plain: 1,
            spread: virtio_queues(asking, asking.table.saturating_sub(1)),
            idle: 0,
        })
    },
};

/// drivers/scsi/virtio_scsi.c, `virtscsi_init`: control, events, and the request queues, but
/// not always more than `nr_cpu_ids`.
static VIRTIO_SCSI: Rule = Rule {
    asks: Asks::Module("virtio_scsi"),
    bus: VIRTIO_PCI,
    requested: Requested::Probe,
    attempts: |asking| {
        virtio(Msix {
            plain: 3,
            spread: virtio_queues(asking, asking.table.saturating_sub(3)),
            idle: 0,
        })
    },
};

fn virtio_queues(asking: Asking, device: u32) -> u32 {
    let device = device.max(1);
    // virtio-blk from 5.1, virtio-scsi from 5.2, and RHEL 8's 4.18.
    match asking.kernel.is(4, 18) {
        true => device.min(asking.possible),
        false => device,
    }
}

/// drivers/net/virtio_net.c, `virtnet_find_vqs`: two queues a pair, and QEMU's devices have one pair
/// here; the control queue has no callback.
static VIRTIO_NET: Rule = Rule {
    asks: Asks::Module("virtio_net"),
    bus: VIRTIO_PCI,
    requested: Requested::Probe,
    attempts: |_| virtio(Msix::plain(3)),
};

/// drivers/nvme/host/pci.c, `nvme_setup_irqs`: a queue a possible CPU, and from 4.17 the admin queue
/// has a vector of its own. QEMU's controller has 64 queues. With fewer vectors there are fewer
/// queues; without the admin queue's the controller is removed.
static NVME: Rule = Rule {
    asks: Asks::Module("nvme"),
    bus: None,
    requested: Requested::Probe,
    attempts: |asking| {
        let admin = u32::from(asking.kernel.is(4, 17));
        let queues = asking.possible.min(64) + admin;
        let all = queues.min(asking.table).max(1);
        let vectors = Attempt::UpTo(Msix {
            plain: 1,
            spread: all - 1,
            idle: 0,
        });
        match asking.kernel.assignment() {
            Assignment::AtAllocation => vec![vectors, Attempt::Line],
            // The allocation succeeds, so that the line is not tried; the request fails.
            Assignment::AtRequest => vec![vectors],
        }
    },
};

/// drivers/ata/ahci.c, `ahci_init_msi`: one, as QEMU's controllers have no more.
static AHCI: Rule = Rule {
    asks: Asks::Module("ahci"),
    bus: None,
    requested: Requested::Probe,
    attempts: |_| vec![Attempt::Msi, Attempt::Line],
};

/// drivers/scsi/megaraid/megaraid_sas_base.c, `megasas_init_fw`: one, unless it is a fusion adapter;
/// `megasas_setup_irqs_ioapic` is the fall-back.
static MEGARAID_SAS: Rule = Rule {
    asks: Asks::Module("megaraid_sas"),
    bus: None,
    requested: Requested::Probe,
    attempts: |_| vec![Attempt::Msix(Msix::plain(1)), Attempt::Line],
};

/// drivers/message/fusion/mptsas.c: `mpt_msi_enable_sas` is 0, so the line alone.
static MPTSAS: Rule = Rule {
    asks: Asks::Module("mptsas"),
    bus: None,
    requested: Requested::Probe,
    attempts: |_| vec![Attempt::Line],
};

/// drivers/net/ethernet/intel/e1000e/netdev.c, `e1000e_set_interrupt_capability`: receive, transmit
/// and other of an 82574 (`e1000_82574_info`, FLAG_HAS_MSIX); `e1000_request_irq` when it is opened. It
/// tries MSI before the line, but QEMU's device does not pass `e1000_test_msi` (seen with 6.1).
static E1000E: Rule = Rule {
    asks: Asks::Module("e1000e"),
    bus: None,
    requested: Requested::Open,
    attempts: |_| vec![Attempt::Msix(Msix::plain(3)), Attempt::Line],
};

/// drivers/net/ethernet/intel/igb/igb_main.c, `igb_set_interrupt_capability`: a queue an online CPU,
/// eight at most, each with a vector a direction; above four a vector does for both directions
/// (`igb_set_flag_queue_pairs`); and one for the link.
static IGB: Rule = Rule {
    asks: Asks::Module("igb"),
    bus: None,
    requested: Requested::Open,
    attempts: |asking| {
        let queues = asking.online.min(8);
        let directions = if queues > 4 { 1 } else { 2 };
        vec![
            Attempt::Msix(Msix::plain(directions * queues + 1)),
            Attempt::Msi,
            Attempt::Line,
        ]
    },
};

/// drivers/net/vmxnet3/vmxnet3_drv.c, `vmxnet3_alloc_intr_resources`: a queue an online CPU, a power
/// of two up to eight, whose two directions share a vector, and one for events; at least
/// VMXNET3_LINUX_MIN_MSIX_VECT, which it tries when it cannot have more. `vmxnet3_request_irqs` has no
/// fall-back.
static VMXNET3: Rule = Rule {
    asks: Asks::Module("vmxnet3"),
    bus: None,
    requested: Requested::OpenOrFail,
    attempts: |asking| {
        const LEAST: u32 = 3;
        let queues = 1 << asking.online.clamp(1, 8).ilog2();
        let mut attempts = vec![Attempt::Msix(Msix::plain(LEAST.max(queues + 1)))];
        if queues + 1 > LEAST {
            attempts.push(Attempt::Msix(Msix::plain(LEAST)));
        }
        attempts.extend([Attempt::Msi, Attempt::Line]);
        attempts
    },
};

/// drivers/usb/host/xhci-pci.c, `xhci_setup_msix`: one an online CPU and one more. From 6.8
/// `xhci_try_enable_msi` requests only the first of them.
static XHCI: Rule = Rule {
    asks: Asks::Module("xhci_pci"),
    bus: None,
    requested: Requested::Probe,
    attempts: |asking| {
        let all = (asking.online + 1).min(asking.table).max(1);
        let plain = match asking.kernel.is(6, 8) {
            true => 1,
            false => all,
        };
        vec![
            Attempt::Msix(Msix {
                plain,
                spread: 0,
                idle: all - plain,
            }),
            Attempt::Msi,
            Attempt::Line,
        ]
    },
};

/// drivers/pci/pcie/portdrv_core.c, `pcie_init_service_irqs`: one, before any driver is loaded.
static PCIEPORT: Rule = Rule {
    asks: Asks::Kernel,
    bus: None,
    requested: Requested::Probe,
    attempts: |_| vec![Attempt::Msix(Msix::plain(1)), Attempt::Line],
};

/// No driver knows it, or one would find a device in which nothing answers.
static GENERIC: Rule = Rule {
    asks: Asks::Nobody,
    bus: None,
    requested: Requested::Probe,
    attempts: |_| Vec::new(),
};

/// drivers/net/ethernet/intel/i40e/i40e_main.c, `i40e_init_msix`: one for everything but traffic, a
/// queue pair an online CPU, one for flow director, and one for each of eight VMDq devices (X710
/// and XL710 have no iWARP); from 4.17 no VMDq on a single CPU (`i40e_sw_init`; "i40e: Fix kdump
/// failure"). It takes what it can get down to two (I40E_MIN_MSIX), then MSI or the line
/// (`i40e_init_interrupt_scheme`). Finding the device it requests flow director's and then the first,
/// and gives both back when it has not that one (`i40e_probe`); all others wait for the interface to
/// be opened, which nobody does: no packets go through the model.
static I40E: Rule = Rule {
    asks: Asks::Module("i40e"),
    bus: None,
    requested: Requested::Probe,
    attempts: |asking| {
        const VMDQ: u32 = 8;
        let vmdq = match asking.online == 1 && asking.kernel.is(4, 17) {
            true => 0,
            false => VMDQ,
        };
        let wanted = 1 + asking.online + 1 + vmdq;
        let all = wanted.min(asking.table);
        let vectors = Attempt::UpTo(Msix {
            plain: 2,
            spread: 0,
            idle: all.saturating_sub(2),
        });
        match asking.kernel.assignment() {
            Assignment::AtAllocation => vec![vectors, Attempt::Msi, Attempt::Line],
            // The allocation succeeds, so that nothing else is tried.
            Assignment::AtRequest => vec![vectors],
        }
    },
};

/// drivers/scsi/mpt3sas/mpt3sas_base.c, `_base_enable_msix`: a reply queue an online CPU, all or
/// nothing, and then the line. The kernel chooses their CPUs (PCI_IRQ_AFFINITY). The model has reply
/// queues in arrays (RDPQ), without which the driver would stop at eight. With `reset_devices` newer
/// drivers do without, and with one queue (`_base_get_ioc_facts`; seen on 6.1, and RHEL 8's have it).
static MPT3SAS: Rule = Rule {
    asks: Asks::Module("mpt3sas"),
    bus: None,
    requested: Requested::Probe,
    attempts: |asking| {
        let queues = match asking.reset_devices && asking.kernel.is(4, 18) {
            true => 1,
            false => asking.online,
        };
        let spread = queues.min(asking.table).max(1);
        vec![
            Attempt::Msix(Msix {
                plain: 0,
                spread,
                idle: 0,
            }),
            Attempt::Line,
        ]
    },
};

/// drivers/i2c/busses/i2c-i801.c, `i801_probe`: the line alone.
pub(super) static I801: Rule = Rule {
    asks: Asks::Module("i2c_i801"),
    bus: None,
    requested: Requested::Probe,
    attempts: |_| vec![Attempt::Line],
};
