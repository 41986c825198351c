//! Whether the capture kernel's CPUs have enough interrupt vectors for a scenario's devices.

use crate::machine::catalogue::{self, Table};
use crate::scenario::model::{DeviceKind, Machine};

/// Vectors that one x86 CPU has for devices: 190 on 3.10, 195 on 6.1, measured.
pub(super) const PER_CPU: u32 = 190;

/// Vectors that the drivers of a machine's devices take on a kernel with `cpus` CPUs, leaving out
/// those of `kept_out`. Measured on 6.1: a queue for each CPU, and what the driver wants besides.
pub(super) fn demand(machine: &Machine, cpus: u16, kept_out: &[String]) -> u32 {
    machine
        .devices
        .iter()
        .filter(|device| {
            let drivers = catalogue::entry(device.device).drivers;
            !drivers
                .iter()
                .any(|driver| kept_out.iter().any(|kept| kept == driver))
        })
        .map(|device| {
            let entry = catalogue::entry(device.device);
            let table = match entry.table {
                Table::None => 1,
                _ => entry
                    .table(device.msix, machine.cpus.get())
                    .unwrap_or_default(),
            };
            let cpus = u32::from(cpus);
            let wanted = match device.device {
                DeviceKind::VirtioSerial => u32::from(table),
                DeviceKind::Nvme | DeviceKind::VirtioBlk | DeviceKind::Xhci => cpus + 1,
                DeviceKind::VirtioScsi => cpus + 3,
                DeviceKind::Vmxnet3
                | DeviceKind::E1000e
                | DeviceKind::Igb
                | DeviceKind::VirtioNet => 3,
                DeviceKind::Ahci
                | DeviceKind::MegasasGen2
                | DeviceKind::Mptsas1068
                | DeviceKind::PcieRootPort => 1,
            };
            wanted.min(u32::from(table)) * u32::from(device.count)
        })
        .sum()
}
