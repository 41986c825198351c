use super::*;
use crate::scenario::model::{Device, Machine};
use crate::units::TableSize;

fn device(kind: DeviceKind) -> Device {
    Device::new(kind)
}

fn target(kind: DeviceKind) -> Device {
    Device {
        target: true,
        ..device(kind)
    }
}

fn sized(kind: DeviceKind) -> Device {
    Device {
        size: Some(Bytes(Bytes::GIB)),
        ..device(kind)
    }
}

fn plan(devices: Vec<Device>) -> Result<MachinePlan, PlanError> {
    MachinePlan::new(&Machine {
        devices,
        ..Machine::default()
    })
}

fn nodes(devices: Vec<Device>) -> Vec<String> {
    let plan = plan(devices).unwrap();
    let disks = plan.functions.iter().filter_map(|f| f.disk.as_ref());
    disks.map(|disk| disk.node.clone()).collect()
}

#[test]
fn the_scenario_of_the_field_report() {
    let filler = Device {
        msix: TableSize::new(64),
        count: 4,
        ..device(DeviceKind::VirtioSerial)
    };
    let plan = plan(vec![filler, target(DeviceKind::Nvme)]).unwrap();
    let places: Vec<_> = plan
        .functions
        .iter()
        .map(|f| (f.id(), f.slot.to_string(), f.table))
        .collect();
    let place = |id: &str, slot: &str, table| (id.to_owned(), slot.to_owned(), table);
    assert_eq!(
        places,
        [
            place("virtio-serial-0", "0x4", 64),
            place("virtio-serial-1", "0x8", 64),
            place("virtio-serial-2", "0xc", 64),
            place("virtio-serial-3", "0x10", 64),
            place("nvme-0", "0x5", 65),
        ]
    );
    let disk = plan.target().unwrap().disk.as_ref().unwrap();
    assert_eq!(disk.node, "/dev/nvme0n1");
    assert_eq!(disk.size, Bytes(1280 * Bytes::MIB));
    assert_eq!(plan.drivers(), ["virtio_pci", "virtio_console", "nvme"]);
}

#[test]
fn a_cards_ports_are_functions_of_its_slot() {
    let card = Device {
        ports: serde_json::from_str("4").ok(),
        count: 2,
        ..device(DeviceKind::I40e)
    };
    let plan = plan(vec![
        card,
        device(DeviceKind::Generic),
        target(DeviceKind::Nvme),
    ])
    .unwrap();
    let places: Vec<_> = plan
        .functions
        .iter()
        .map(|f| {
            let port = f.shown.as_ref().map(|shown| shown.port);
            (f.id(), f.slot.to_string(), f.multifunction, port, f.line)
        })
        .collect();
    let place = |id: &str, slot: &str, first, port, line| {
        (id.to_owned(), slot.to_owned(), first, port, line)
    };
    assert_eq!(
        places,
        [
            place("i40e-0", "0x4", true, Some(0), 0),
            place("i40e-1", "0x4.1", false, Some(1), 0),
            place("i40e-2", "0x4.2", false, Some(2), 0),
            place("i40e-3", "0x4.3", false, Some(3), 0),
            place("i40e-4", "0x8", true, Some(0), 0),
            place("i40e-5", "0x8.1", false, Some(1), 0),
            place("i40e-6", "0x8.2", false, Some(2), 0),
            place("i40e-7", "0x8.3", false, Some(3), 0),
            place("generic-0", "0xc", false, Some(0), 1),
            place("nvme-0", "0x5", false, None, 2),
        ]
    );
    let shown = plan.functions[0].shown.as_ref().unwrap();
    assert_eq!(shown.id.to_string(), "8086:1572");
    assert_eq!(plan.drivers(), ["i40e", "nvme"]);
}

#[test]
fn what_a_device_is_not_is_refused() {
    let wrong = Device {
        id: "8086:1521".parse().ok(),
        ..device(DeviceKind::I40e)
    };
    let error = plan(vec![wrong]).unwrap_err().to_string();
    assert!(
        error.starts_with("device 1: 8086:1521 is none of the devices that i40e models: one of"),
        "{error}"
    );
}

#[test]
fn every_target_has_a_node() {
    for (kind, node) in [
        (DeviceKind::Nvme, "/dev/nvme0n1"),
        (DeviceKind::VirtioBlk, "/dev/vda"),
        (DeviceKind::VirtioScsi, "/dev/sda"),
        (DeviceKind::Ahci, "/dev/sda"),
        (DeviceKind::MegasasGen2, "/dev/sda"),
        (DeviceKind::Mptsas1068, "/dev/sda"),
        (DeviceKind::Mpt3sas, "/dev/sda"),
    ] {
        assert_eq!(nodes(vec![target(kind)]), [node]);
    }
}

#[test]
fn disks_are_numbered_as_the_guest_meets_them() {
    // An nvme controller without a disk takes a number; the target at 0x5 comes after 0x4.
    assert_eq!(
        nodes(vec![device(DeviceKind::Nvme), target(DeviceKind::Nvme)]),
        ["/dev/nvme1n1"]
    );
    // A SCSI adapter without a disk takes none.
    assert_eq!(
        nodes(vec![device(DeviceKind::Ahci), target(DeviceKind::Ahci)]),
        ["/dev/sda"]
    );
    // The target's driver is loaded last.
    assert_eq!(
        nodes(vec![
            target(DeviceKind::MegasasGen2),
            sized(DeviceKind::Ahci)
        ]),
        ["/dev/sdb", "/dev/sda"]
    );
    // virtio-blk cannot be without a disk.
    assert_eq!(
        nodes(vec![
            target(DeviceKind::VirtioBlk),
            device(DeviceKind::VirtioBlk)
        ]),
        ["/dev/vdb", "/dev/vda"]
    );
}

#[test]
fn disks_are_named_in_load_order() {
    let devices = || {
        vec![
            sized(DeviceKind::Ahci),
            target(DeviceKind::MegasasGen2),
            sized(DeviceKind::VirtioScsi),
            sized(DeviceKind::Nvme),
        ]
    };
    let named = |drivers: &[&str]| {
        let mut plan = plan(devices()).unwrap();
        plan.name_disks(drivers);
        let disks = plan.functions.iter().filter_map(|f| f.disk.as_ref());
        disks.map(|disk| disk.node.clone()).collect::<Vec<_>>()
    };
    let all = [
        "nvme",
        "sd_mod",
        "megaraid-sas",
        "virtio_pci",
        "virtio_scsi",
    ];
    assert_eq!(
        named(&all),
        ["/dev/sdc", "/dev/sda", "/dev/sdb", "/dev/nvme0n1"]
    );
    let all = ["virtio_scsi", "ahci", "megaraid_sas"];
    assert_eq!(
        named(&all),
        ["/dev/sdb", "/dev/sdc", "/dev/sda", "/dev/nvme0n1"]
    );
    // One adapter of the target's kind is loaded early: its driver finds the target with it.
    assert_eq!(
        nodes(vec![
            sized(DeviceKind::Ahci),
            sized(DeviceKind::MegasasGen2),
            target(DeviceKind::Ahci)
        ]),
        ["/dev/sda", "/dev/sdc", "/dev/sdb"]
    );
}

#[test]
fn names_of_many_disks() {
    let name = |index| Node::Sd.path(index);
    assert_eq!(
        [name(0), name(25), name(26), name(701), name(702)],
        [
            "/dev/sda",
            "/dev/sdz",
            "/dev/sdaa",
            "/dev/sdzz",
            "/dev/sdaaa"
        ]
    );
}

#[test]
fn tables_follow_the_catalogue() {
    let table = |kind, asked: Option<u16>| {
        let device = Device {
            msix: asked.and_then(TableSize::new),
            ..device(kind)
        };
        let machine = Machine {
            cpus: Cpus(4.try_into().unwrap()),
            devices: vec![device],
            ..Machine::default()
        };
        MachinePlan::new(&machine)
            .map(|plan| plan.functions[0].table)
            .map_err(|error| error.to_string())
    };
    assert_eq!(table(DeviceKind::VirtioBlk, None), Ok(5));
    assert_eq!(table(DeviceKind::VirtioScsi, None), Ok(7));
    assert_eq!(table(DeviceKind::VirtioSerial, Some(2048)), Ok(2048));
    assert_eq!(table(DeviceKind::E1000e, Some(5)), Ok(5));
    assert_eq!(
        table(DeviceKind::E1000e, Some(6)).unwrap_err(),
        "device 1: e1000e's MSI-X table has 5 entries, which cannot be changed to 6"
    );
    assert_eq!(
        table(DeviceKind::Ahci, Some(1)).unwrap_err(),
        "device 1: ahci has no MSI-X table; remove `msix`"
    );
    assert_eq!(
        table(DeviceKind::VirtioScsi, Some(1025)).unwrap_err(),
        "device 1: virtio-scsi's MSI-X table has 1 to 1024 entries, not 1025"
    );
}

#[test]
fn impossible_machines() {
    let problem = |device| match plan(vec![device]) {
        Err(PlanError::Device { problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        problem(target(DeviceKind::Xhci)),
        DeviceError::NoTarget("xhci")
    );
    assert_eq!(
        problem(Device {
            count: 0,
            ..device(DeviceKind::Igb)
        }),
        DeviceError::NoCount
    );
    assert_eq!(
        problem(Device {
            slots: Some(vec![]),
            ..device(DeviceKind::Igb)
        }),
        DeviceError::SlotCount { slots: 0, count: 1 }
    );
    assert_eq!(
        problem(Device {
            size: Some(Bytes(Bytes::GIB)),
            ..device(DeviceKind::Igb)
        }),
        DeviceError::NoDisk("igb")
    );
    assert_eq!(
        problem(Device {
            size: Some(Bytes(512)),
            ..target(DeviceKind::Nvme)
        }),
        DeviceError::DiskSize(Bytes(512))
    );
    assert_eq!(
        plan(vec![target(DeviceKind::Nvme), target(DeviceKind::Ahci)]),
        Err(PlanError::Targets(2))
    );
    let machine = |change: fn(&mut Machine)| {
        let mut machine = Machine::default();
        change(&mut machine);
        MachinePlan::new(&machine).unwrap_err()
    };
    let nine = || Cpus(9.try_into().unwrap());
    assert_eq!(
        machine(|m| {
            m.apic = Apic::Flat;
            m.cpus = Cpus(9.try_into().unwrap());
        }),
        PlanError::FlatCpus(nine())
    );
    assert!(matches!(
        machine(|m| m.cpus = Cpus(256.try_into().unwrap())),
        PlanError::Cpus(_)
    ));
    assert!(matches!(
        machine(|m| m.memory = Bytes(Bytes::MIB)),
        PlanError::Memory(_)
    ));
    assert!(matches!(
        machine(|m| m.cpu = Some("qemu64,+x2apic".to_owned())),
        PlanError::CpuModel(_)
    ));
    assert!(matches!(
        machine(|m| {
            m.chipset = Chipset::Pc;
            m.devices = vec![device(DeviceKind::PcieRootPort)];
        }),
        PlanError::Device {
            problem: DeviceError::Express(_),
            ..
        }
    ));
}
