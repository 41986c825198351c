use proptest::prelude::*;

use super::*;
use crate::machine::catalogue;
use crate::scenario::model::{Device as Line, Machine};
use crate::units::{Cpus, TableSize};

fn kernel(release: &str) -> Kernel {
    Kernel::of_release(release).unwrap()
}

/// The RHEL 7.3 kernel of the measurements was built without IA32 emulation.
fn measured_3_10() -> Kernel {
    Kernel {
        ia32: false,
        ..kernel("3.10.0-514")
    }
}

fn line(device: DeviceKind, msix: Option<u16>, count: u16) -> Line {
    Line {
        msix: msix.map(|size| TableSize::new(size).unwrap()),
        count,
        ..Line::new(device)
    }
}

fn slots(slots: &[&str]) -> Option<Vec<Slot>> {
    Some(slots.iter().map(|slot| slot.parse().unwrap()).collect())
}

fn machine(cpus: u16, devices: Vec<Line>) -> MachinePlan {
    MachinePlan::new(&Machine {
        cpus: Cpus(cpus.try_into().unwrap()),
        devices,
        ..Machine::default()
    })
    .unwrap()
}

fn loaded(names: &[&str]) -> Vec<Driver> {
    let driver = |name: &&str| Driver {
        name: (*name).to_owned(),
        kept_out_by: None,
    };
    names.iter().map(driver).collect()
}

/// All drivers of the machine's devices.
fn setting(kernel: Kernel, machine: &MachinePlan, commandline: &str) -> Setting {
    Setting::new(kernel, machine, commandline, 0, loaded(&machine.drivers()))
}

fn granted(prediction: &Prediction) -> Vec<(&str, u32)> {
    let devices = prediction.devices.iter();
    devices
        .filter(|device| !device.device.contains(':'))
        .map(|device| (device.device, device.granted))
        .collect()
}

#[test]
fn releases() {
    for (release, version) in [
        ("3.10.0-693.5.2.el7.x86_64", Some((3, 10))),
        ("6.1.0-50-amd64", Some((6, 1))),
        ("6.12", Some((6, 12))),
        ("5.14-rc3", Some((5, 14))),
        ("7", None),
        ("vmlinuz", None),
        ("", None),
        ("99999.1", None),
    ] {
        assert_eq!(
            Kernel::of_release(release).map(|kernel| kernel.version),
            version,
            "{release}"
        );
    }
}

/// Facts: 190 beyond the 16 ISA vectors on 3.10, 195 on 6.1.
#[test]
fn the_budget_is_what_was_measured() {
    assert_eq!(measured_3_10().for_devices(), 190);
    for (release, vectors) in [
        ("3.10.0-514.el7", 189),
        ("4.18.0-477.el8", 195),
        ("5.14.0-427.el9", 195),
        ("6.1.0-50-amd64", 195),
        ("6.12.0", 195),
    ] {
        assert_eq!(kernel(release).for_devices(), vectors, "{release}");
    }
}

/// Facts: table as the guest sees it, vectors on one CPU, on four.
#[test]
fn each_driver_takes_what_was_measured() {
    use DeviceKind::*;
    for (device, table, one, four) in [
        (VirtioSerial, Some(64), 64, 64),
        (VirtioSerial, Some(256), 2, 256),
        (VirtioSerial, Some(3), 3, 3),
        (VirtioSerial, Some(16), 16, 16),
        (VirtioNet, Some(32), 3, 3),
        (Nvme, Some(96), 2, 5),
        (VirtioScsi, Some(67), 4, 7),
        (VirtioBlk, Some(65), 2, 5),
        (Vmxnet3, None, 3, 5),
        (E1000e, None, 3, 3),
        (Igb, None, 3, 9),
        (MegasasGen2, None, 1, 1),
        (Xhci, None, 2, 5),
        (PcieRootPort, None, 1, 1),
        (I40e, None, 3, 14),
        (Mpt3sas, None, 1, 4),
    ] {
        let machine = machine(8, vec![line(device, table, 1)]);
        for (cpus, vectors) in [(1, one), (4, four)] {
            let setting = setting(kernel("6.1.0"), &machine, &format!("nr_cpus={cpus}"));
            let prediction = predict(&setting);
            assert_eq!(
                prediction.devices[0].granted,
                vectors,
                "{} on {cpus}",
                catalogue::entry(device).name
            );
        }
    }
    let large = machine(8, vec![line(VirtioSerial, Some(1024), 1)]);
    for (cpus, vectors) in [(1, 2), (8, 1024)] {
        let setting = setting(kernel("6.1.0"), &large, &format!("nr_cpus={cpus}"));
        assert_eq!(predict(&setting).devices[0].granted, vectors);
    }
}

/// Facts: on 3.10 an i40e port takes 11 on one CPU, and an mpt3sas as many as there are CPUs.
#[test]
fn modelled_devices_on_3_10() {
    use DeviceKind::*;
    let machine = machine(12, vec![line(I40e, None, 1), line(Mpt3sas, None, 1)]);
    for (cpus, i40e, mpt3sas) in [(1, 11, 1), (4, 14, 4), (12, 22, 12)] {
        let setting = setting(measured_3_10(), &machine, &format!("nr_cpus={cpus}"));
        let prediction = predict(&setting);
        assert_eq!(
            granted(&prediction),
            [("i40e", i40e), ("mpt3sas", mpt3sas)],
            "{cpus}"
        );
    }
}

/// Seen on 6.1 with four CPUs: one queue for a capture kernel that is told to reset devices.
#[test]
fn mpt3sas_with_reset_devices() {
    let machine = machine(4, vec![line(DeviceKind::Mpt3sas, None, 1)]);
    let fate = |release: &str, text: &str| {
        let prediction = predict(&setting(kernel(release), &machine, text));
        (prediction.devices[0].granted, prediction.taken)
    };
    assert_eq!(fate("6.1", "nr_cpus=4"), (4, 4));
    // It may be on any CPU, so that it is set aside on each.
    assert_eq!(fate("6.1", "nr_cpus=4 reset_devices"), (1, 4));
    // Its line comes on top.
    assert_eq!(fate("3.10.0-514", "nr_cpus=4 reset_devices"), (4, 5));
}

/// Of an i40e port's three vectors Linux 6.1 requests two when it finds the port; the third waits for an
/// interface that nobody opens. 3.10 assigns all of them.
#[test]
fn a_port_that_is_not_opened() {
    let card = Line {
        ports: serde_json::from_str("4").ok(),
        ..line(DeviceKind::I40e, None, 1)
    };
    let machine = machine(4, vec![card]);
    for (release, granted, taken) in [("6.1", 3, 2), ("3.10", 11, 11)] {
        let prediction = predict(&setting(kernel(release), &machine, "nr_cpus=1"));
        assert_eq!(prediction.devices.len(), 4);
        let line = u32::from(release == "3.10");
        assert_eq!(prediction.taken, 4 * taken + line, "{release}");
        for port in &prediction.devices {
            assert_eq!((port.granted, &port.got), (granted, &Got::All), "{release}");
        }
    }
}

/// What the drivers do when vectors run short: on 3.10 i40e makes do with what there is, at last with its
/// line; mpt3sas has all or its line.
#[test]
fn modelled_devices_short_of_vectors() {
    use DeviceKind::*;
    let port = |slot| Line {
        slots: slots(&[slot]),
        ..line(I40e, None, 1)
    };
    let machine = |filler| {
        let filler = Line {
            slots: slots(&["0x4", "0x8", "0xc"]),
            ..line(VirtioSerial, Some(filler), 3)
        };
        let target = Line {
            slots: slots(&["0x5"]),
            target: true,
            ..line(Mpt3sas, None, 1)
        };
        machine(1, vec![filler, port("0x10"), port("0x14"), target])
    };
    let fate = |release: &str, filler| {
        let prediction = predict(&setting(kernel(release), &machine(filler), "nr_cpus=1"));
        let devices = prediction.devices.into_iter().skip(3);
        devices.map(|it| (it.granted, it.got)).collect::<Vec<_>>()
    };
    // 189 less the shared line and 180.
    assert_eq!(
        fate("3.10", 60),
        [(8, Got::Fewer), (0, Got::Line), (0, Got::Nothing)]
    );
    // 195 less 192: one is not enough for the second port, which gives it back (seen on 6.1).
    assert_eq!(
        fate("6.1", 64),
        [(3, Got::All), (0, Got::Nothing), (1, Got::All)]
    );
    assert_eq!(
        fate("6.1", 62),
        [(3, Got::All), (3, Got::All), (1, Got::All)]
    );
}

/// Nobody drives it, so it takes nothing and is not lost.
#[test]
fn a_generic_device_has_no_driver() {
    let machine = machine(1, vec![line(DeviceKind::Generic, Some(2048), 3)]);
    let prediction = predict(&setting(kernel("6.1"), &machine, "nr_cpus=1"));
    assert_eq!((prediction.demand, prediction.taken), (0, 0));
    for device in &prediction.devices {
        assert_eq!((device.driver, &device.got), (None, &Got::NoDriver));
    }
}

/// Facts: with four possible CPUs and `maxcpus=1` nvme took 5, virtio-blk 5, virtio-scsi 7.
#[test]
fn maxcpus_leaves_cpus_possible() {
    use DeviceKind::*;
    let devices = vec![
        line(Nvme, None, 1),
        line(VirtioBlk, Some(65), 1),
        line(VirtioScsi, Some(67), 1),
    ];
    let machine = machine(4, devices);
    let prediction = predict(&setting(kernel("6.1.0"), &machine, "maxcpus=1"));
    let mut granted = granted(&prediction);
    granted.sort_unstable();
    assert_eq!(
        granted,
        [("nvme", 5), ("virtio-blk", 5), ("virtio-scsi", 7)]
    );
    assert_eq!((prediction.cpus, prediction.possible_cpus), (1, 4));
    // The spread ones lie on the CPUs that do not run.
    assert_eq!(prediction.taken, (1 + 1) + (1 + 1) + (3 + 1));
}

/// Facts: these fill one CPU of 6.1 to the last vector, and nvme, loaded last, fails.
#[test]
fn fills_of_one_cpu() {
    use DeviceKind::*;
    let fills = [
        vec![
            line(VirtioSerial, Some(64), 2),
            line(VirtioSerial, Some(16), 3),
            line(VirtioSerial, Some(3), 8),
        ],
        vec![
            line(VirtioSerial, Some(64), 3),
            line(VirtioSerial, Some(3), 1),
        ],
    ];
    for fill in fills {
        for (target, got) in [
            (Nvme, Got::Nothing),
            (Mptsas1068, Got::Nothing),
            (Vmxnet3, Got::Refused),
        ] {
            let mut devices = fill.clone();
            devices.push(Line {
                target: true,
                ..line(target, None, 1)
            });
            let machine = machine(4, devices);
            let full = predict(&setting(kernel("6.1.0"), &machine, "nr_cpus=1"));
            assert_eq!((full.available, full.taken), (195, 195));
            let last = full.devices.last().unwrap();
            assert_eq!(last.got, got, "{}", last.device);
            let more = predict(&setting(kernel("6.1.0"), &machine, "nr_cpus=4"));
            assert!(more.first_refused().is_none(), "{more:?}");
            assert!(full.needed_cpus == Some(2), "{:?}", full.needed_cpus);
        }
    }
}

/// Facts: nothing is left, and ahci still gets a shared line.
#[test]
fn a_line_that_another_device_has_is_there() {
    use DeviceKind::*;
    let machine = machine(
        1,
        vec![
            Line {
                slots: slots(&["0x4", "0x8", "0xc"]),
                ..line(VirtioSerial, Some(64), 3)
            },
            // 192, 194, and the third of these falls back to its line.
            Line {
                slots: slots(&["0x10", "0x14"]),
                ..line(VirtioSerial, Some(64), 2)
            },
            Line {
                slots: slots(&["0x18"]),
                target: true,
                ..line(Ahci, None, 1)
            },
        ],
    );
    let prediction = predict(&setting(kernel("6.1.0"), &machine, "nr_cpus=1"));
    let got: Vec<_> = prediction
        .devices
        .iter()
        .map(|device| (device.slot.as_str(), device.granted, &device.got))
        .collect();
    assert_eq!(
        got,
        [
            ("00:04.0", 64, &Got::All),
            ("00:08.0", 64, &Got::All),
            ("00:0c.0", 64, &Got::All),
            ("00:10.0", 2, &Got::Fewer),
            ("00:14.0", 0, &Got::Line),
            ("00:18.0", 0, &Got::Line),
            ("00:1f.2", 0, &Got::Nothing),
        ]
    );
}

/// Facts: the recipe of the 3.10 kernel. A root port and the fillers' shared line take two, so that
/// 188 vectors are left, and the target has a line of its own that gets none.
fn recipe(cpus: u16, apic: Apic) -> MachinePlan {
    use DeviceKind::*;
    let filler = |slot, table| Line {
        slots: slots(&[slot]),
        ..line(VirtioSerial, Some(table), 1)
    };
    MachinePlan::new(&Machine {
        cpus: Cpus(cpus.try_into().unwrap()),
        apic,
        devices: vec![
            Line {
                slots: slots(&["0x14"]),
                ..line(PcieRootPort, None, 1)
            },
            filler("0x4", 64),
            filler("0x8", 64),
            filler("0xc", 60),
            Line {
                slots: slots(&["0x5"]),
                target: true,
                ..line(Nvme, None, 1)
            },
        ],
        ..Machine::default()
    })
    .unwrap()
}

#[test]
fn the_recipe_of_3_10() {
    let machine = recipe(1, Apic::Auto);
    let prediction = predict(&setting(measured_3_10(), &machine, "nr_cpus=1"));
    assert_eq!(prediction.routing, Routing::Shared);
    assert_eq!((prediction.available, prediction.taken), (190, 190));
    let granted: Vec<u32> = prediction.devices.iter().map(|d| d.granted).collect();
    assert_eq!(granted, [1, 64, 64, 60, 0]);
}

#[test]
fn flat_routing_takes_a_vector_on_every_cpu() {
    for (apic, nr_cpus, saved) in [
        (Apic::Auto, 1, false),
        (Apic::Auto, 2, false),
        (Apic::Auto, 4, false),
        (Apic::Flat, 4, false),
        (Apic::Auto, 9, true),
        (Apic::Physical, 4, true),
        (Apic::X2apic, 4, true),
    ] {
        let cpus = if apic == Apic::Flat { 8 } else { 9 };
        let machine = recipe(cpus, apic);
        let setting = setting(measured_3_10(), &machine, &format!("nr_cpus={nr_cpus}"));
        let prediction = predict(&setting);
        assert_eq!(
            prediction.first_refused().is_none(),
            saved,
            "{apic:?} {nr_cpus}"
        );
        let needed = match apic {
            Apic::Auto => Some(9),
            Apic::Flat => None,
            Apic::Physical | Apic::X2apic => Some(2),
        };
        assert_eq!(prediction.needed_cpus, needed, "{apic:?}");
    }
}

#[test]
fn the_command_line_decides() {
    let plain = machine(4, vec![line(DeviceKind::PcieRootPort, None, 1)]);
    let of =
        |crash_cpu, text: &str| Setting::new(kernel("6.1"), &plain, text, crash_cpu, Vec::new());
    for (text, crash_cpu, possible, online) in [
        ("", 0, 4, 4),
        ("nr_cpus=1", 0, 1, 1),
        ("nr_cpus=1 nr_cpus=3", 0, 3, 3),
        ("nr_cpus=9", 0, 4, 4),
        ("nr_cpus=x", 0, 4, 4),
        ("nr_cpus=0", 0, 4, 4),
        ("maxcpus=1", 0, 4, 1),
        ("nr_cpus=2 maxcpus=3", 0, 2, 2),
        ("maxcpus=0", 0, 4, 1),
        // The first CPU is left alone by a capture kernel that starts on another.
        ("disable_cpu_apicid=0", 0, 4, 4),
        ("disable_cpu_apicid=0", 2, 3, 3),
    ] {
        let setting = of(crash_cpu, text);
        assert_eq!(
            (setting.possible, setting.online),
            (possible, online),
            "{text}"
        );
    }
    assert!(of(0, "pci=nommconf pcie_ports=native").msi);
    assert!(!of(0, "pci=nommconf,nomsi").msi);
    let compat = predict(&of(0, "pcie_ports=compat"));
    assert_eq!((compat.taken, &compat.devices[0].got), (0, &Got::NoDriver));
    let lines = predict(&of(0, "pci=nomsi"));
    assert_eq!((lines.taken, lines.devices[0].granted), (1, 0));
    assert!(lines.first_refused().is_none());
}

/// An interrupt with several CPUs to choose from takes a vector on each of them.
#[test]
fn spread_interrupts_lie_on_all_their_cpus() {
    let of = |table| {
        let machine = machine(4, vec![line(DeviceKind::Nvme, Some(table), 1)]);
        predict(&setting(kernel("6.1"), &machine, "")).taken
    };
    assert_eq!(of(5), 1 + 4);
    assert_eq!(of(3), 1 + 4);
    assert_eq!(of(2), 1 + 4);
    assert_eq!(of(1), 1);
}

fn any_kind() -> impl Strategy<Value = DeviceKind> {
    proptest::sample::select(catalogue::ALL.to_vec())
}

prop_compose! {
    fn any_setting()(
        version in proptest::sample::select(vec![(2, 6), (3, 10), (4, 14), (4, 15), (4, 18), (5, 14), (6, 1), (6, 12)]),
        ia32: bool,
        possible in 1u16..20,
        online in 1u16..20,
        apic in proptest::sample::select(vec![Apic::Auto, Apic::Flat, Apic::Physical, Apic::X2apic]),
        chipset in proptest::sample::select(vec![Chipset::Q35, Chipset::Pc]),
        msi: bool,
        devices in proptest::collection::vec((0u8..32, 0u8..8, any_kind(), 0u16..300, any::<bool>()), 0..20),
        names in proptest::sample::subsequence(
            catalogue::ALL.iter().flat_map(|kind| catalogue::entry(*kind).drivers).copied().collect::<Vec<_>>(), 0..12),
    ) -> Setting {
        let devices = devices.into_iter().map(|(device, function, kind, table, opened)| Device {
            slot: Slot { device, function },
            kind: Kind::Scenario(kind),
            table,
            opened,
        });
        Setting {
            kernel: Kernel { version, ia32 },
            possible,
            online: online.min(possible),
            most: 4,
            apic,
            chipset,
            msi,
            port_services: true,
            reset_devices: true,
            devices: devices.collect(),
            drivers: loaded(&names),
        }
    }
}

proptest! {
    #[test]
    fn nobody_gets_more_than_there_is(setting in any_setting()) {
        let prediction = predict(&setting);
        prop_assert_eq!(prediction.devices.len(), setting.devices.len());
        prop_assert!(prediction.taken <= prediction.available);
        let taken: u32 = prediction.devices.iter().map(|device| device.taken).sum();
        prop_assert!(taken <= prediction.taken);
        for device in &prediction.devices {
            prop_assert!(device.granted <= device.asked, "{device:?}");
            prop_assert!(!device.got.is_lost() || device.taken == 0, "{device:?}");
        }
        if let Some(cpus) = prediction.needed_cpus {
            let enough = predict(&setting.with_cpus(cpus));
            prop_assert!(enough.first_refused().is_none());
            prop_assert!(cpus == 1 || predict(&setting.with_cpus(cpus - 1)).first_refused().is_some());
        }
    }
}

/// Drills that were run for this: slot, vectors granted and what it takes of the CPUs, as
/// /proc/interrupts counted them.
#[test]
fn drills_of_full_and_of_nearly_full_machines() {
    use DeviceKind::*;
    let target = Line {
        target: true,
        ..line(Nvme, None, 1)
    };
    // 6.12 requests only the first of xhci's two.
    let xhci = [
        line(VirtioSerial, Some(64), 3),
        line(Xhci, None, 1),
        line(VirtioSerial, Some(64), 1),
        target.clone(),
    ];
    // Two of 396 are left: one for each CPU's queue, none for nvme's admin queue.
    let two_left = [
        line(VirtioSerial, Some(256), 1),
        line(VirtioSerial, Some(128), 1),
        line(VirtioSerial, Some(10), 1),
        target.clone(),
    ];
    // To the last vector.
    let fits = [
        line(VirtioSerial, Some(64), 3),
        line(PcieRootPort, None, 1),
        target.clone(),
    ];
    // The last vector goes to virtio-blk's line, which megasas shares; nobody else has one. The
    // network adapter's are never requested.
    let lines = [
        line(VirtioSerial, Some(64), 3),
        line(Xhci, None, 1),
        line(VirtioBlk, Some(65), 1),
        line(MegasasGen2, None, 1),
        line(E1000e, None, 1),
        line(Ahci, None, 1),
        line(Mptsas1068, None, 1),
        target,
    ];
    for (release, cpus, devices, wanted, taken) in [
        (
            "6.1",
            1,
            lines.to_vec(),
            &[64, 64, 64, 2, 0, 0, 3, 0, 0, 0, 0][..],
            195,
        ),
        ("6.12", 1, xhci.to_vec(), &[64, 64, 64, 2, 2, 0], 195),
        ("6.1", 2, two_left.to_vec(), &[256, 128, 10, 0], 394),
        ("6.1", 1, fits.to_vec(), &[1, 64, 64, 64, 2], 195),
    ] {
        let machine = machine(4, devices);
        let setting = setting(kernel(release), &machine, &format!("nr_cpus={cpus}"));
        let prediction = predict(&setting);
        let granted: Vec<u32> = prediction.devices.iter().map(|it| it.granted).collect();
        assert_eq!(
            (&granted[..], prediction.taken),
            (wanted, taken),
            "{release}"
        );
    }
}

/// 6.1 hands a network adapter what it asks for, and refuses when it is opened. Drills ended in a
/// dump with the first, and in none with the second.
#[test]
fn network_adapters_fall_back_when_they_are_opened() {
    let of = |adapter, last| {
        let machine = machine(
            1,
            vec![
                line(DeviceKind::VirtioSerial, Some(64), 3),
                line(DeviceKind::VirtioSerial, Some(last), 1),
                Line {
                    target: true,
                    ..line(adapter, None, 1)
                },
            ],
        );
        let prediction = predict(&setting(kernel("6.1"), &machine, "nr_cpus=1"));
        let last = prediction.devices.last().unwrap();
        (last.granted, last.taken, last.got.clone())
    };
    assert_eq!(of(DeviceKind::E1000e, 2), (0, 1, Got::Line));
    assert_eq!(of(DeviceKind::E1000e, 3), (0, 0, Got::Refused));
    assert_eq!(of(DeviceKind::Vmxnet3, 2), (3, 0, Got::Refused));
}

/// Facts: on `pc` nothing fails at 190 of 190, as its lines have the vectors of ISA interrupts.
#[test]
fn lines_of_pc_cost_3_10_nothing() {
    let fill = [64, 64, 62].map(|table| line(DeviceKind::VirtioSerial, Some(table), 1));
    let target = Line {
        target: true,
        ..line(DeviceKind::Nvme, None, 1)
    };
    let of = |chipset| {
        let machine = MachinePlan::new(&Machine {
            chipset,
            devices: fill.iter().cloned().chain([target.clone()]).collect(),
            ..Machine::default()
        });
        let prediction = predict(&setting(measured_3_10(), &machine.unwrap(), "nr_cpus=1"));
        let last = prediction.devices.last().unwrap();
        (prediction.taken, last.got.clone())
    };
    assert_eq!(of(Chipset::Pc), (190, Got::Line));
    // The fillers' line takes one, so that the third goes down to two, and nvme finds what it wants.
    assert_eq!(of(Chipset::Q35), (1 + 128 + 2 + 1 + 1, Got::All));
}
