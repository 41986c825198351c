use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::import::facts::{
    Bar, BarKind, Capabilities, Distribution, Express, Line, Msi, Msix, PciAddress, PciFunction,
    PciId, Pin, Routing, Source, Sourced, Vendor, Version,
};
use crate::import::read;
use crate::kdump::commandline::last_value;
use crate::kdump::flavour::Flavour;
use crate::lint;
use crate::units::{Slot, TableSize};

const HOST: Host = Host {
    memory: Bytes(16 * Bytes::GIB),
    cpus: 2,
};

fn offered() -> Vec<Offered> {
    let offer = |name: &str, release: &str, boot| Offered {
        name: name.to_owned(),
        kernel: Kernel::of_release(release).unwrap(),
        release: release.parse().ok().filter(|_| release.contains('-')),
        boot,
    };
    vec![
        offer("centos-7.4", "3.10.0-693.5.2.el7.x86_64", Boot::Direct),
        offer("rocky-9", "5.14.0-284.11.1.el9_2.x86_64", Boot::Direct),
        offer("debian-12", "6.1", Boot::Direct),
        offer("debian-12-disk", "6.1", Boot::Disk),
    ]
}

fn options() -> Options {
    Options {
        name: "customer".to_owned(),
        ..Options::default()
    }
}

fn report() -> Facts {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/customer/sosreport");
    read(&[directory]).unwrap()
}

fn written(facts: &Facts, options: &Options) -> Imported {
    write(facts, &offered(), HOST, options).unwrap_or_else(|error| panic!("{error}"))
}

fn sourced<T>(value: T) -> Sourced<T> {
    Sourced {
        value,
        source: Source {
            file: "x".into(),
            line: None,
        },
    }
}

/// Errors of `crashdrill check`.
fn errors(text: &str) -> Vec<String> {
    let input = lint::Input {
        name: "customer.yaml",
        bytes: text.as_bytes(),
    };
    let checked = lint::check(&[input], lint::Settings::default());
    let all = checked.files.iter().flat_map(|file| &file.findings);
    all.filter(|finding| finding.level == lint::Level::Error)
        .map(|finding| finding.message.clone())
        .collect()
}

#[test]
fn a_server_that_ran_out_of_vectors() {
    let options = Options {
        image: Some("debian-12".to_owned()),
        ..options()
    };
    let imported = written(&report(), &options);
    assert_eq!(errors(&imported.text), Vec::<String>::new());
    // What is asked for there is asked for here, one vector of the USB controller more.
    let sum = |of: fn(&Row) -> u32| imported.rows.iter().map(of).sum::<u32>();
    assert_eq!(sum(|row| row.capture) + 1, sum(|row| row.ours));
    let expect = imported.expect.clone().unwrap();
    assert_eq!(
        expect.to_string(),
        "capture-panicked (irq-vector-exhaustion)"
    );
    let [drill] = imported.scenario.drills.as_slice() else {
        panic!("{:?}", imported.scenario);
    };
    assert_eq!(drill.scenario.expect, Some(expect));
    assert_eq!(drill.scenario.fidelity, imported.lost);
    assert_eq!(imported.capture_cpus, (1, 1));
    insta::assert_snapshot!("server", imported.text);
    let table = crate::report::import_text(&imported, 100);
    insta::assert_snapshot!("table", anstream::adapter::strip_str(&table).to_string());
}

#[test]
fn on_its_own_kernel_the_model_asks_by_itself() {
    let imported = written(&report(), &options());
    assert!(
        imported.text.contains("image: centos-7.4\n"),
        "{}",
        imported.text
    );
    let cards = imported
        .rows
        .iter()
        .find(|row| row.driver.as_deref() == Some("i40e"))
        .unwrap();
    assert_eq!(cards.stands.as_deref(), Some("i40e with 4 ports"));
    assert_eq!((cards.capture, cards.ours), (44, 44));
    assert!(!imported.text.contains("Another kernel may end otherwise"));
}

#[test]
fn nothing_private() {
    let imported = written(&report(), &options());
    for name in [
        "acme", "jsmith", "db7", "CHG0042", "A1B2C3D4", "a0-31-98", "be-12-3",
    ] {
        assert!(!imported.text.contains(name), "{name}: {}", imported.text);
    }
    assert!(
        imported
            .text
            .contains("xfs UUID=00000000-0000-4000-8000-000000000001")
    );
}

#[test]
fn devices_without_a_driver_in_the_capture_kernel_are_left_out() {
    let mut facts = report();
    if let Some(sysconfig) = &mut facts.kdump.sysconfig {
        sysconfig.value = sysconfig
            .value
            .replace("nr_cpus=1", "nr_cpus=1 rd.driver.blacklist=i40e,hfi1");
    }
    let all = written(&facts, &options());
    let of = |imported: &Imported, driver: &str| {
        let rows = imported.rows.iter();
        rows.clone()
            .find(|row| row.driver.as_deref() == Some(driver))
            .cloned()
            .unwrap()
    };
    // Its driver is kept out here as there; the table of the other is there to be seen.
    assert_eq!(
        of(&all, "i40e").stands.as_deref(),
        Some("i40e with 4 ports")
    );
    assert_eq!(of(&all, "i40e").capture, 0);
    assert_eq!(of(&all, "hfi1").stands.as_deref(), Some("generic"));
    assert!(all.text.contains("id: \"8086:24f0\""), "{}", all.text);
    let few = written(
        &facts,
        &Options {
            capture_only: true,
            ..options()
        },
    );
    for driver in ["i40e", "hfi1"] {
        assert_eq!(of(&few, driver).stands, None, "{driver}");
    }
    assert_eq!(errors(&few.text), Vec::<String>::new());
}

/// What the drill's devices of no driver show, and what the comments above them say.
fn shown(facts: &Facts) -> (Vec<String>, String) {
    let mut facts = facts.clone();
    if let Some(sysconfig) = &mut facts.kdump.sysconfig {
        sysconfig.value = sysconfig
            .value
            .replace("nr_cpus=1", "nr_cpus=1 rd.driver.blacklist=hfi1");
    }
    let imported = written(&facts, &options());
    assert_eq!(errors(&imported.text), Vec::<String>::new());
    let lines = imported.text.lines().map(str::trim);
    let lines = lines.filter(|line| line.contains("device: generic"));
    // All but the slots, which are not theirs.
    let lines = lines.map(|line| line.split(", slots").next().unwrap().to_owned());
    (lines.collect(), imported.text.replace("\n    # ", " "))
}

#[test]
fn what_nobody_models_shows_what_lspci_shows() {
    let hfi = |facts: &mut Facts, change: &dyn Fn(&mut PciFunction)| {
        let all = facts.functions.values_mut();
        all.filter(|it| it.driver.as_deref() == Some("hfi1"))
            .for_each(change);
    };
    let bar = |index, kind, size| Bar { index, kind, size };
    let below = BarKind::Memory {
        wide: false,
        prefetchable: false,
    };
    let (lines, text) = shown(&report());
    let as_there = "- {device: generic, id: \"8086:24f0\", subsystem: \"8086:24f0\", class: \"0208\", \
                    rev: \"11\", bars: [\"64M 64-bit\"], msix: 256";
    assert_eq!(lines, [as_there; 2]);
    assert!(!text.contains("without its BARs"), "{text}");

    let mut facts = report();
    hfi(&mut facts, &|it| {
        it.bars = vec![
            bar(0, BarKind::Io, Some(Bytes(32))),
            bar(1, below, Some(Bytes(256 * Bytes::MIB))),
            bar(3, below, Some(Bytes(256 * Bytes::MIB))),
            bar(6, below, Some(Bytes(Bytes::MIB))),
        ];
    });
    let (lines, text) = shown(&facts);
    assert!(
        lines[0].contains("bars: [\"32 I/O\", \"256M\", \"256M\"]"),
        "{lines:?}"
    );
    assert!(!lines[1].contains("bars"), "{lines:?}");
    let no_room = "without its BARs: the regions of 32-bit memory of all devices together have room for \
                   768M";
    assert_eq!(text.matches(no_room).count(), 2, "{text}");

    for (bars, why) in [
        (vec![], "the files do not show them"),
        (vec![bar(0, below, None)], "lspci does not show their sizes"),
        (
            vec![bar(0, below, Some(Bytes(4096)))],
            "none holds the table of 256 entries",
        ),
        (
            vec![bar(0, below, Some(Bytes(Bytes::GIB)))],
            "a region of 32-bit memory has 16 to 256M, not 1G",
        ),
    ] {
        hfi(&mut facts, &|it| it.bars.clone_from(&bars));
        let (lines, text) = shown(&facts);
        assert!(lines.iter().all(|line| !line.contains("bars")), "{lines:?}");
        assert!(text.contains(&format!("without its BARs: {why}")), "{text}");
    }
}

#[test]
fn exact_or_not_at_all() {
    let exact = Options {
        exact: true,
        ..options()
    };
    let refused = |host| write(&report(), &offered(), host, &exact).unwrap_err();
    assert!(matches!(refused(HOST), ImportError::Memory { .. }));
    let large = Host {
        memory: Bytes(512 * Bytes::GIB),
        cpus: 2,
    };
    assert!(matches!(
        refused(large),
        ImportError::Cpus {
            needed: 32,
            host: 2
        }
    ));
    let host = Host { cpus: 64, ..large };
    let imported = write(&report(), &offered(), host, &exact).unwrap();
    assert!(imported.text.contains("  cpus: 32\n"), "{}", imported.text);
    let unknown = write(&Facts::default(), &offered(), HOST, &exact).unwrap_err();
    assert!(matches!(unknown, ImportError::Unknown(_)));
}

#[test]
fn scaled_so_that_what_decides_stays() {
    let scenario = |facts: &Facts| {
        written(facts, &options()).scenario.drills[0]
            .scenario
            .clone()
    };
    let base = scenario(&report());
    assert_eq!(base.crashkernel.to_string(), "168M");
    assert_eq!(base.machine.cpus.get(), 4);
    assert_eq!(base.machine.memory, Bytes(4 * Bytes::GIB));

    // All CPUs are counted where nr_cpus= does not say how many.
    let mut facts = report();
    let sysconfig = facts.kdump.sysconfig.as_mut().unwrap();
    sysconfig.value = sysconfig.value.replace("nr_cpus=1", "maxcpus=1");
    assert_eq!(scenario(&facts).machine.cpus.get(), 16);

    for (routing, apic) in [
        (Routing::PhysicalFlat, Apic::Physical),
        (Routing::Flat, Apic::Flat),
        (Routing::X2apicPhysical, Apic::X2apic),
    ] {
        facts.routing = Some(sourced(routing));
        facts.cpus.online = Some(sourced(8));
        facts.cpus.possible = Some(sourced(8));
        assert_eq!(scenario(&facts).machine.apic, apic, "{routing:?}");
    }
    for (crashkernel, drilled) in [
        ("crashkernel=512M", "512M"),
        ("crashkernel=1G-4G:160M,4G-64G:192M,64G-:256M", "256M"),
        (
            "crashkernel=512M,high crashkernel=72M,low",
            "512M,high 72M,low",
        ),
        ("quiet", "none"),
    ] {
        facts.command_line = Some(sourced(crashkernel.to_owned()));
        assert_eq!(
            scenario(&facts).crashkernel.to_string(),
            drilled,
            "{crashkernel}"
        );
    }
}

#[test]
fn files_that_say_nothing() {
    let imported = written(&Facts::default(), &options());
    assert_eq!(errors(&imported.text), Vec::<String>::new());
    assert!(
        imported
            .text
            .contains("{device: nvme, slots: [\"0x1\"], target: true"),
        "{}",
        imported.text
    );
    assert_eq!(imported.expect, None);
    // Said above its line, and in the outcome: once each.
    assert_eq!(
        imported.text.matches("made up").count(),
        2,
        "{}",
        imported.text
    );
    assert!(imported.lost.iter().any(|lost| lost.contains("made up")));
}

#[test]
fn other_distributions() {
    let of = |vendor, major, kernel: &str| {
        let mut facts = report();
        facts.distribution = Some(sourced(Distribution {
            vendor,
            version: Some(Version { major, minor: None }),
        }));
        facts.kernel = Some(sourced(kernel.parse().unwrap()));
        facts.kdump.conf = None;
        facts
    };
    let mut debian = of(Vendor::Debian, 12, "6.1.0-13-amd64");
    debian.kdump.kdump_tools = Some(sourced(
        "USE_KDUMP=1\nSSH=\"jdoe@vault.acme.com\"\nKDUMP_CMDLINE_APPEND=\"reset_devices nr_cpus=1 irqpoll\"\n"
            .to_owned(),
    ));
    let imported = written(&debian, &options());
    let scenario = &imported.scenario.drills[0].scenario;
    assert_eq!(
        (scenario.boot, scenario.kdump.flavour),
        (Boot::Disk, Flavour::Debian)
    );
    assert_eq!(scenario.image, "debian-12-disk");
    let tools = scenario.kdump.kdump_tools.as_deref().unwrap();
    assert!(
        !tools.contains("acme") && tools.contains("nr_cpus=1"),
        "{tools}"
    );
    assert_eq!(errors(&imported.text), Vec::<String>::new());

    let mut suse = of(Vendor::Sle, 15, "5.14.21-150500.53-default");
    suse.kdump.sysconfig = Some(sourced(
        "KDUMP_CPUS=\"2\"\nKDUMP_COMMANDLINE_APPEND=\"pci=nomsi\"\nKDUMP_SAVEDIR=\"nfs://files.acme.com/x\"\n"
            .to_owned(),
    ));
    let imported = written(&suse, &options());
    let scenario = &imported.scenario.drills[0].scenario;
    assert_eq!(
        (scenario.kdump.flavour, scenario.image.as_str()),
        (Flavour::Rhel9, "rocky-9")
    );
    let SysconfigFile::Keys(keys) = &scenario.kdump.sysconfig else {
        panic!("{:?}", scenario.kdump.sysconfig);
    };
    let append = keys.kdump_commandline_append.as_deref().unwrap();
    assert!(
        append.contains("pci=nomsi") && last_value(append, "nr_cpus") == Some("2"),
        "{append}"
    );
    assert!(!imported.text.contains("acme"));
}

#[test]
fn over_the_network_and_to_a_raw_disk() {
    let of = |conf: &str| {
        let mut facts = report();
        facts.target = None;
        facts.kdump.conf.as_mut().unwrap().value = conf.to_owned();
        written(&facts, &options())
    };
    let imported = of("nfs files.acme.com:/srv/dumps\npath /\n");
    let target = |imported: &Imported| {
        let devices = imported.scenario.drills[0].scenario.machine.devices.clone();
        devices
            .into_iter()
            .find(|device| device.target)
            .unwrap()
            .device
    };
    // No card of theirs can send a dump here.
    assert_eq!(target(&imported), DeviceKind::E1000e);
    assert!(
        imported.text.contains("nfs dump-server:/srv/dumps"),
        "{}",
        imported.text
    );
    let imported = of("raw /dev/sdb\n");
    assert_eq!(target(&imported), DeviceKind::Mpt3sas);
    assert!(
        imported.text.contains("    raw /dev/sda\n"),
        "{}",
        imported.text
    );
}

fn address() -> impl Strategy<Value = PciAddress> {
    (0..2_u32, 0..6_u8, 0..32_u8, 0..8_u8).prop_map(|(domain, bus, device, function)| PciAddress {
        domain,
        bus,
        slot: Slot { device, function },
    })
}

fn bar() -> impl Strategy<Value = Bar> {
    let kind = prop_oneof![
        Just(BarKind::Io),
        (any::<bool>(), any::<bool>())
            .prop_map(|(wide, prefetchable)| BarKind::Memory { wide, prefetchable }),
    ];
    let size = prop_oneof![
        8 => (2..38_u32).prop_map(|power| Some(1 << power)),
        1 => any::<Option<u64>>(),
    ];
    (0..=6_u8, kind, size).prop_map(|(index, kind, size)| Bar {
        index,
        kind,
        size: size.map(Bytes),
    })
}

fn function() -> impl Strategy<Value = PciFunction> {
    let ids = prop_oneof![
        Just((0x8086, 0x1572)),
        Just((0x1000, 0x0097)),
        Just((0x8086, 0x1521)),
        (any::<u16>(), any::<u16>())
    ];
    let class = prop_oneof![
        Just(0x0200_u16),
        Just(0x0107),
        Just(0x0106),
        Just(0x0108),
        Just(0x0604),
        any::<u16>()
    ];
    let driver = prop::sample::select(vec![
        "i40e",
        "mpt3sas",
        "ixgbe",
        "igb",
        "ahci",
        "nvme",
        "pcieport",
        "megaraid_sas",
        "unknown",
        "virtio_pci",
        "xhci_hcd",
        "e1000e",
        "ioatdma",
    ]);
    (
        (
            ids,
            class,
            prop::option::of(driver),
            prop::option::of(0..300_u16),
        ),
        (
            prop::option::of(1..=2048_u16),
            prop::option::of(any::<bool>()),
            any::<bool>(),
            prop::option::of(0..64_u32),
            "\\PC{0,80}",
        ),
        prop::collection::vec(bar(), 0..8),
    )
        .prop_map(
            |((id, class, driver, vectors), (table, msi, shown, irq, description), bars)| {
                PciFunction {
                    source: Source {
                        file: "lspci".into(),
                        line: None,
                    },
                    description,
                    class: Some(class),
                    prog_if: None,
                    id: Some(PciId {
                        vendor: id.0,
                        device: id.1,
                    }),
                    subsystem: None,
                    revision: 1,
                    buses: None,
                    express: (class == 0x0604).then_some(Express::RootPort),
                    capabilities: match shown {
                        true => Capabilities::Shown,
                        false => Capabilities::Hidden,
                    },
                    msi: msi.map(|enabled| Msi {
                        enabled,
                        granted: 1,
                        most: 8,
                        maskable: false,
                    }),
                    msix: table.and_then(TableSize::new).map(|size| Msix {
                        enabled: true,
                        size,
                        table: None,
                        pending: None,
                    }),
                    line: irq.map(|irq| Line {
                        pin: Some(Pin::A),
                        irq: Some(irq),
                    }),
                    bars,
                    sriov: None,
                    numa: None,
                    driver: driver.map(str::to_owned),
                    modules: Vec::new(),
                    vectors,
                }
            },
        )
}

fn facts() -> impl Strategy<Value = Facts> {
    let text = "([a-z0-9_]{1,8}[ =][a-z0-9/=.:@,\"' -]{0,20}|# \\PC{0,10}|\\PC{0,20}|\n){0,6}";
    (
        prop::collection::btree_map(address(), function(), 0..40),
        (
            prop::option::of(text),
            prop::option::of(text),
            prop::option::of(text),
        ),
        prop::option::of(
            "(crashkernel=(auto|256M|1G-:128M|lots) ?|[a-z.]{1,9}=[a-z0-9:/.,]{0,9} ?|\\PC ?){0,5}",
        ),
        prop::option::of(1..=2048_u16),
        prop::option::of(1_u64 << 20..1 << 45),
        any::<Option<prop::sample::Index>>(),
    )
        .prop_map(
            |(functions, (conf, sysconfig, tools), line, cpus, memory, target)| {
                let mut facts = Facts::default();
                let at: Vec<PciAddress> = functions.keys().copied().collect();
                facts.target =
                    target
                        .filter(|_| !at.is_empty())
                        .map(|nth| super::super::facts::Target {
                            source: Source {
                                file: "x".into(),
                                line: None,
                            },
                            given: None,
                            steps: Vec::new(),
                            filesystem: None,
                            functions: vec![at[nth.index(at.len())]],
                        });
                facts.functions = functions;
                facts.kdump.conf = conf.map(sourced);
                facts.kdump.sysconfig = sysconfig.map(sourced);
                facts.kdump.kdump_tools = tools.map(sourced);
                facts.command_line = line.map(sourced);
                facts.cpus.online = cpus.map(sourced);
                facts.memory = memory.map(|memory| sourced(Bytes(memory)));
                facts
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever the files say: what is written is a scenario whose machine can be built, in the
    /// customer's order, and that has a dump target.
    #[test]
    fn every_scenario_is_one(facts in facts()) {
        let imported = match write(&facts, &offered(), HOST, &options()) {
            Ok(imported) => imported,
            // A bus can be too full.
            Err(error) => {
                prop_assert!(matches!(error, ImportError::Bus(_)), "{}", error);
                return Ok(());
            }
        };
        let scenario = &imported.scenario.drills[0].scenario;
        let plan = MachinePlan::new(&scenario.machine);
        prop_assert!(plan.is_ok(), "{:?}\n{}", plan, imported.text);
        prop_assert!(plan.unwrap().target().is_some());
        // Each function once.
        let mut seen = BTreeMap::new();
        for at in imported.rows.iter().flat_map(|row| &row.at) {
            *seen.entry(*at).or_insert(0) += 1;
        }
        prop_assert!(facts.functions.keys().eq(seen.keys()), "{:?}", seen);
        prop_assert!(seen.values().all(|count| *count == 1));
    }
}

/// SR-IOV is off when the capture kernel looks for functions (drivers/pci/iov.c, sriov_init).
#[test]
fn virtual_functions_are_not_there_in_the_capture_kernel() {
    let mut facts = report();
    let (at, card) = facts
        .functions
        .iter_mut()
        .find(|(_, it)| it.driver.as_deref() == Some("hfi1"))
        .unwrap();
    let (at, mut virtual_one) = (*at, card.clone());
    card.sriov = Some(crate::import::facts::Sriov {
        total: 8,
        enabled: 2,
        offset: 8,
        stride: 1,
    });
    virtual_one.driver = Some("mlx5_core".to_owned());
    for function in 0..3 {
        let mut address = at;
        address.slot = Slot {
            device: at.slot.device + 1,
            function,
        };
        facts.functions.insert(address, virtual_one.clone());
    }
    let imported = written(&facts, &options());
    assert_eq!(errors(&imported.text), Vec::<String>::new());
    let rows = imported.rows.iter();
    let rows: Vec<&Row> = rows
        .filter(|row| row.driver.as_deref() == Some("mlx5_core"))
        .collect();
    // Not one that the adapter did not make.
    let [gone, there] = rows.as_slice() else {
        panic!("{rows:?}");
    };
    assert_eq!((gone.at.len(), gone.capture, &gone.stands), (2, 0, &None));
    assert!(gone.lost.contains("turns SR-IOV off"), "{}", gone.lost);
    assert_eq!((there.at.len(), there.capture > 0), (1, true));
}

/// A machine that has its root on a SAN has nothing else.
#[test]
fn fibre_channel_is_storage() {
    let of = |listing: &str| {
        let facts = crate::import::read_bytes("lspci", listing.as_bytes());
        let imported = written(&facts, &options());
        let target = imported.text.find("target: true").unwrap();
        let above = &imported.text[..target];
        let row = above.lines().rfind(|line| line.starts_with("    # 0"));
        row.unwrap_or_default()
            .chars()
            .skip(6)
            .take(7)
            .collect::<String>()
    };
    let fibre =
        "06:00.0 Fibre Channel [0c04]: QLogic [1077:2532]\n\tKernel driver in use: qla2xxx\n\n";
    let sata =
        "00:1f.2 SATA controller [0106]: Intel [8086:a182]\n\tKernel driver in use: ahci\n\n";
    let sas = "07:00.0 RAID bus controller [0104]: Adaptec [9005:028f]\n\tKernel driver in use: smartpqi\n\n";
    assert_eq!(of(fibre), "06:00.0");
    assert_eq!(of(&[sata, fibre].concat()), "06:00.0");
    assert_eq!(of(&[sata, fibre, sas].concat()), "07:00.0");
}
