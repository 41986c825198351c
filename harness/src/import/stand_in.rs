//! What stands for a customer's PCI function, as data: by the name of its driver, then by vendor and
//! device, then by class.

use super::facts::{Express, PciFunction};
use crate::scenario::model::DeviceKind;

/// A device of the catalogue in place of a customer's, and what is lost by it.
pub(super) struct StandIn {
    pub(super) kind: DeviceKind,
    /// In a sentence without its full stop; empty where it is the same device.
    pub(super) lost: &'static str,
}

/// Devices whose drivers are those of the customer's.
const BY_DRIVER: [(&str, StandIn); 16] = [
    (
        "i40e",
        StandIn {
            kind: DeviceKind::I40e,
            lost: "no packets go through it",
        },
    ),
    (
        "mpt3sas",
        StandIn {
            kind: DeviceKind::Mpt3sas,
            lost: "one SAS disk behind it, no expander and no RAID",
        },
    ),
    (
        "mpt2sas",
        StandIn {
            kind: DeviceKind::Mpt3sas,
            lost: "an SAS3 adapter with the driver mpt3sas for an SAS2 adapter with mpt2sas",
        },
    ),
    (
        "nvme",
        StandIn {
            kind: DeviceKind::Nvme,
            lost: "QEMU's controller with its own ids",
        },
    ),
    (
        "ahci",
        StandIn {
            kind: DeviceKind::Ahci,
            lost: "QEMU's ICH9 with one message",
        },
    ),
    (
        "megaraid_sas",
        StandIn {
            kind: DeviceKind::MegasasGen2,
            lost: "QEMU's SAS 2108, which goes on with the interrupt line where it gets no vector",
        },
    ),
    (
        "mptsas",
        StandIn {
            kind: DeviceKind::Mptsas1068,
            lost: "QEMU's SAS1068",
        },
    ),
    (
        "e1000e",
        StandIn {
            kind: DeviceKind::E1000e,
            lost: "QEMU's 82574L",
        },
    ),
    (
        "igb",
        StandIn {
            kind: DeviceKind::Igb,
            lost: "QEMU's 82576",
        },
    ),
    (
        "vmxnet3",
        StandIn {
            kind: DeviceKind::Vmxnet3,
            lost: "QEMU's own",
        },
    ),
    (
        "virtio_net",
        StandIn {
            kind: DeviceKind::VirtioNet,
            lost: "one queue a direction",
        },
    ),
    (
        "virtio_blk",
        StandIn {
            kind: DeviceKind::VirtioBlk,
            lost: "",
        },
    ),
    (
        "virtio_scsi",
        StandIn {
            kind: DeviceKind::VirtioScsi,
            lost: "",
        },
    ),
    (
        "virtio_console",
        StandIn {
            kind: DeviceKind::VirtioSerial,
            lost: "",
        },
    ),
    (
        "xhci_hcd",
        StandIn {
            kind: DeviceKind::Xhci,
            lost: "QEMU's controller with its own ids, and nothing plugged in",
        },
    ),
    (
        "pcieport",
        StandIn {
            kind: DeviceKind::PcieRootPort,
            lost: "an empty port: what is behind it lies on bus 0 here",
        },
    ),
];

/// The driver of a device that no driver serves in the files: by vendor and device.
const DRIVER_BY_ID: [(u16, &[u16], &str); 9] = [
    // drivers/net/ethernet/intel/i40e/i40e_devids.h: X710, XL710, XXV710, X722.
    (
        0x8086,
        &[
            0x1572, 0x1574, 0x1580, 0x1581, 0x1583, 0x1584, 0x1585, 0x1586, 0x1587, 0x1588, 0x1589,
            0x158a, 0x158b, 0x37d0, 0x37d1, 0x37d2, 0x37d3,
        ],
        "i40e",
    ),
    // drivers/scsi/mpt3sas/mpi/mpi2_cnfg.h.
    (
        0x1000,
        &[0x0090, 0x0091, 0x0094, 0x0095, 0x0096, 0x0097, 0x00c9],
        "mpt3sas",
    ),
    // 82576, I350.
    (0x8086, &[0x10c9, 0x1521], "igb"),
    // 82574L.
    (0x8086, &[0x10d3], "e1000e"),
    (0x15ad, &[0x07b0], "vmxnet3"),
    // Virtual I/O Device 1.x, 5: transitional and modern ids.
    (0x1af4, &[0x1000, 0x1041], "virtio_net"),
    (0x1af4, &[0x1001, 0x1042], "virtio_blk"),
    (0x1af4, &[0x1004, 0x1048], "virtio_scsi"),
    (0x1af4, &[0x1003, 0x1043], "virtio_console"),
];

/// The driver of a device that neither tells: by class and interface (PCI Code and ID Assignment
/// Specification).
const DRIVER_BY_CLASS: [(u16, Option<u8>, &str); 3] = [
    (0x0108, Some(0x02), "nvme"),
    (0x0106, Some(0x01), "ahci"),
    (0x0c03, Some(0x30), "xhci_hcd"),
];

/// The driver that serves a function: the one that the files name. `shown` is whether they name any
/// function's; if not, it is the one that everyone's kernel has for such a function.
pub(super) fn driver(function: &PciFunction, shown: bool) -> Option<&str> {
    let named = function.driver.as_deref();
    // lspci names the bus of a virtio device, not what serves it.
    if shown && named != Some("virtio_pci") {
        return named;
    }
    let named = named.filter(|name| *name != "virtio_pci");
    named
        .or_else(|| {
            let id = function.id?;
            let of = |(vendor, devices, _): &&(u16, &[u16], &str)| {
                *vendor == id.vendor && devices.contains(&id.device)
            };
            DRIVER_BY_ID.iter().find(of).map(|(.., driver)| *driver)
        })
        .or_else(|| {
            let all = DRIVER_BY_CLASS.iter();
            let of = |(class, interface, _): &&(u16, Option<u8>, &str)| {
                function.class == Some(*class) && function.prog_if == *interface
            };
            all.clone().find(of).map(|(.., driver)| *driver)
        })
}

/// The device that this driver serves, too.
pub(super) fn stand_in(function: &PciFunction, driver: &str) -> Option<&'static StandIn> {
    let (_, found) = BY_DRIVER.iter().find(|(name, _)| *name == driver)?;
    let port = matches!(
        function.express,
        Some(Express::RootPort | Express::DownstreamPort | Express::UpstreamPort) | None
    );
    (found.kind != DeviceKind::PcieRootPort || port).then_some(found)
}

/// A dump target whose adapter nothing here is: by class, what a dump can go to instead.
pub(super) fn target(network: bool) -> StandIn {
    match network {
        true => StandIn {
            kind: DeviceKind::E1000e,
            lost: "QEMU's 82574L with the driver e1000e in its place, as dumps are sent through few \
                   adapters here",
        },
        false => StandIn {
            kind: DeviceKind::MegasasGen2,
            lost: "QEMU's MegaRAID SAS 2108 with the driver megaraid_sas in its place, which goes on \
                   with the interrupt line where it gets no vector",
        },
    }
}
