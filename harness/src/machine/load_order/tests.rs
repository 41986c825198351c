use proptest::prelude::*;

use super::*;
use crate::scenario::model::{Device, Machine};

fn device(kind: DeviceKind, slot: u8, target: bool) -> Device {
    Device {
        slots: Some(vec![Slot {
            device: slot,
            function: 0,
        }]),
        target,
        ..Device::new(kind)
    }
}

fn machine(devices: &[(DeviceKind, u8)]) -> MachinePlan {
    let count = devices.len();
    let devices = devices.iter().enumerate();
    MachinePlan::new(&Machine {
        devices: devices
            .map(|(nth, (kind, slot))| device(*kind, *slot, nth + 1 == count))
            .collect(),
        ..Machine::default()
    })
    .unwrap()
}

fn capture(order: LoadOrder, drivers: Option<&[&str]>) -> Capture {
    Capture {
        order,
        drivers: drivers.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        ..Capture::default()
    }
}

fn order(devices: &[(DeviceKind, u8)], order: LoadOrder, drivers: Option<&[&str]>) -> Vec<String> {
    machine(devices).load_order(&capture(order, drivers))
}

use DeviceKind::*;

#[test]
fn by_address_the_lowest_first() {
    let devices = [(VirtioSerial, 8), (Nvme, 5)];
    for (by, wanted) in [
        (
            LoadOrder::Explicit,
            ["virtio_pci", "virtio_console", "nvme"],
        ),
        (LoadOrder::Pci, ["nvme", "virtio_pci", "virtio_console"]),
    ] {
        assert_eq!(order(&devices, by, None), wanted);
    }
    // The lowest of all its devices counts.
    let devices = [(VirtioSerial, 8), (VirtioSerial, 3), (Nvme, 5)];
    assert_eq!(
        order(&devices, LoadOrder::Pci, None),
        ["virtio_pci", "virtio_console", "nvme"]
    );
}

#[test]
fn what_several_need_comes_with_the_first() {
    let devices = [
        (VirtioSerial, 9),
        (Ahci, 6),
        (MegasasGen2, 4),
        (VirtioBlk, 3),
    ];
    assert_eq!(
        order(&devices, LoadOrder::Pci, None),
        [
            "virtio_pci",
            "virtio_blk",
            "megaraid_sas",
            "sd_mod",
            "ahci",
            "virtio_console"
        ]
    );
}

#[test]
fn the_scenario_says_which_and_the_order_when() {
    let devices = [(VirtioSerial, 9), (VirtioBlk, 3), (Nvme, 5)];
    // virtio-blk's own driver is left out: it has no turn of its own.
    let drivers = ["i40e", "virtio-console", "virtio_pci", "nvme"];
    let asked = Some(&drivers[..]);
    assert_eq!(order(&devices, LoadOrder::Explicit, asked), drivers);
    assert_eq!(
        order(&devices, LoadOrder::Pci, asked),
        ["nvme", "virtio_pci", "virtio-console", "i40e"]
    );
    let units = |drivers| machine(&devices).load_units(&capture(LoadOrder::Pci, drivers));
    assert_eq!(units(asked), 3);
    assert_eq!(units(Some(&["virtio_pci"])), 1);
    assert_eq!(units(Some(&[])), 0);
    assert_eq!(units(None), 3);
    // A root port's driver is part of every kernel.
    assert_eq!(
        order(&[(PcieRootPort, 4), (Nvme, 5)], LoadOrder::Pci, None),
        ["nvme"]
    );
}

#[test]
fn a_seed_is_an_order() {
    let devices = [(VirtioSerial, 4), (E1000e, 8), (Nvme, 5)];
    let orders: std::collections::BTreeSet<_> = (1..=50)
        .map(|seed| order(&devices, LoadOrder::Shuffled(seed), None))
        .collect();
    assert_eq!(orders.len(), 6);
}

fn any_devices() -> impl Strategy<Value = Vec<(DeviceKind, u8)>> {
    let kinds = super::super::catalogue::ALL.to_vec();
    let kinds = prop::sample::subsequence(kinds, 0..13).prop_shuffle();
    // The last one is the target, which not every device can be.
    let slots = Just((3u8..30).collect::<Vec<_>>()).prop_shuffle();
    (kinds, slots).prop_map(|(mut kinds, slots)| {
        kinds.retain(|kind| !matches!(kind, Nvme | Igb));
        kinds.push(Nvme);
        kinds.into_iter().zip(slots).collect()
    })
}

proptest! {
    #[test]
    fn no_order_loses_a_driver_or_breaks_up_a_device(
        devices in any_devices(),
        seed: u64,
        pci: bool,
    ) {
        let by = if pci { LoadOrder::Pci } else { LoadOrder::Shuffled(seed) };
        let loaded = order(&devices, by, None);
        let mut sorted = loaded.clone();
        sorted.sort();
        let mut wanted = order(&devices, LoadOrder::Explicit, None);
        wanted.sort();
        prop_assert_eq!(sorted, wanted);
        let at = |name: &str| loaded.iter().position(|driver| driver == name);
        for (kind, _) in &devices {
            let drivers = entry(*kind).drivers;
            if drivers.first() == Some(&"virtio_pci") {
                prop_assert!(at("virtio_pci") < at(drivers[1]));
            }
        }
        prop_assert_eq!(loaded, order(&devices, by, None));
    }
}
