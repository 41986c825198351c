use std::path::Path as File;

use proptest::prelude::*;

use super::model::{DeviceKind, LoadOrder, Scenario, SysconfigFile};
use super::*;
use crate::kdump::sysconfig::Sysconfig;
use crate::machine::catalogue::facts as facts_of;
use crate::units::{Bytes, TableSize};

/// The scenario of the design.
const GOOD: &str = "\
name: vector-exhaustion-nvme
about: Four 65-vector devices leave the NVMe dump target without an interrupt.
image: debian-12
machine:
  cpus: 4
  memory: 1G
  devices:
    - {device: virtio-serial, msix: 64, count: 4}
    - {device: nvme, target: true}
crashkernel: 256M
kdump:
  flavour: rhel7
  conf: |
    ext4 /dev/nvme0n1
    core_collector makedumpfile -l -d 31
  sysconfig:
    KDUMP_COMMANDLINE_APPEND: irqpoll nr_cpus=1 reset_devices
variants:
  exhausted: {}
  fixed-by-cpus: {kdump.sysconfig.KDUMP_COMMANDLINE_APPEND: irqpoll nr_cpus=4 reset_devices}
  fixed-by-blacklist: {kdump.sysconfig.KDUMP_COMMANDLINE_APPEND: irqpoll nr_cpus=1 reset_devices rd.driver.blacklist=virtio_console}
";

fn load(text: &str) -> Result<ScenarioFile, BadScenario> {
    let stem = text
        .lines()
        .find_map(|line| line.trim_start_matches('\u{feff}').strip_prefix("name: "))
        .unwrap_or("x");
    parse(File::new(&format!("{}.yaml", stem.trim())), text, facts_of)
}

fn good(text: &str) -> Vec<Drill> {
    load(text)
        .unwrap_or_else(|bad| panic!("{}", bad.render(100, false)))
        .drills
}

fn keys(drill: &Drill) -> &Sysconfig {
    match &drill.scenario.kdump.sysconfig {
        SysconfigFile::Keys(keys) => keys,
        SysconfigFile::Text(text) => panic!("{text}"),
    }
}

fn append(drill: &Drill) -> &str {
    keys(drill).kdump_commandline_append.as_deref().unwrap()
}

#[test]
fn design() {
    let drills = good(GOOD);
    let ids: Vec<String> = drills.iter().map(|drill| drill.id.to_string()).collect();
    assert_eq!(
        ids,
        [
            "vector-exhaustion-nvme@exhausted",
            "vector-exhaustion-nvme@fixed-by-cpus",
            "vector-exhaustion-nvme@fixed-by-blacklist"
        ]
    );
    assert_eq!(append(&drills[0]), "irqpoll nr_cpus=1 reset_devices");
    assert_eq!(append(&drills[1]), "irqpoll nr_cpus=4 reset_devices");
    assert!(append(&drills[2]).ends_with("rd.driver.blacklist=virtio_console"));
    let scenario: &Scenario = &drills[0].scenario;
    assert_eq!(scenario.machine.cpus.get(), 4);
    assert_eq!(scenario.machine.memory, Bytes(Bytes::GIB));
    assert_eq!(scenario.machine.devices[0].msix, TableSize::new(64));
    assert_eq!(scenario.machine.devices[0].count, 4);
    assert!(scenario.machine.devices[1].target);
    let conf = scenario.kdump.conf.as_deref();
    assert_eq!(
        conf,
        Some("ext4 /dev/nvme0n1\ncore_collector makedumpfile -l -d 31\n")
    );
}

#[test]
fn newlines_of_windows() {
    let drills = good(&GOOD.replace('\n', "\r\n"));
    assert_eq!(drills.len(), 3);
    assert_eq!(drills[0].scenario, good(GOOD)[0].scenario);
}

const SMALL: &str = "\
name: small
about: A drill.
image: debian-12
machine:
  devices: [{device: nvme, target: true}, {device: virtio-serial, msix: 8}, {device: xhci}]
crashkernel: 256M
";

#[test]
fn one_drill_without_variants() {
    let drills = good(SMALL);
    assert_eq!(drills.len(), 1);
    assert_eq!(drills[0].id.to_string(), "small");
    assert_eq!(drills[0].scenario.machine.cpus.get(), 1);
}

#[test]
fn patches() {
    let drills = good(&format!(
        "{SMALL}variants:
  deep: {{'machine.devices[1].msix': 66, machine.cpus: 8, crashkernel: none}}
  made: {{kdump.sysconfig.KEXEC_ARGS: --reset-vga, capture.files: {{/bin/x.sh: hi}}}}
  nested: {{machine: {{devices: [{{device: ahci, target: true}}]}}}}
  items: {{'machine.devices[1]': ~, 'machine.devices[2].slots': [0x5]}}
  removed:
    machine.devices[1].msix: null
  file: {{'capture.files[\"/etc/a.conf\"]': text}}
  same:
"
    ));
    let scenario = |nth: usize| &drills[nth].scenario;
    assert_eq!(scenario(0).machine.devices[1].msix, TableSize::new(66));
    assert_eq!(scenario(0).machine.cpus.get(), 8);
    assert_eq!(scenario(0).crashkernel.to_string(), "none");
    assert_eq!(keys(&drills[1]).kexec_args.as_deref(), Some("--reset-vga"));
    assert_eq!(scenario(1).capture.files["/bin/x.sh"], "hi");
    assert_eq!(scenario(2).machine.devices.len(), 1);
    assert_eq!(scenario(3).machine.devices.len(), 2);
    assert_eq!(scenario(3).machine.devices[1].device, DeviceKind::Xhci);
    assert_eq!(
        scenario(3).machine.devices[1].slots.as_ref().unwrap()[0].to_string(),
        "0x5"
    );
    assert_eq!(scenario(4).machine.devices[1].msix, None);
    assert_eq!(scenario(5).capture.files["/etc/a.conf"], "text");
    assert_eq!(scenario(6), &good(SMALL)[0].scenario);
}

/// Digits are those of lspci, whatever YAML takes them for.
#[test]
fn what_lspci_shows() {
    let drill = good(
        "\
name: lspci
about: A drill.
image: debian-12
machine:
  devices:
    - device: generic
      id: 8086:1572
      subsystem: 15d9:0808
      class: 0200
      rev: 10
      bars: [8M 64-bit prefetchable, 32K 64-bit prefetchable]
      msix: 129
      msi: true
    - {device: generic, id: '0014:0e10', class: 0e00, rev: 0x02}
    - {device: generic, id: 1000:0097, class: 0x010700, rev: 02}
    - {device: i40e, ports: 4, count: 2}
    - {device: mpt3sas, target: true}
crashkernel: 256M
",
    )
    .remove(0);
    let devices = &drill.scenario.machine.devices;
    let shown = |nth: usize| {
        let device: &model::Device = &devices[nth];
        let [id, class, rev] = [
            device.id.map(|it| it.to_string()),
            device.class.map(|it| it.to_string()),
            device.rev.map(|it| it.to_string()),
        ]
        .map(Option::unwrap);
        format!("{id} {class} {rev}")
    };
    assert_eq!(shown(0), "8086:1572 0200 10");
    assert_eq!(shown(1), "0014:0e10 0e00 02");
    assert_eq!(shown(2), "1000:0097 0107 02");
    assert_eq!(devices[0].bars.as_ref().unwrap()[1].size(), 32 << 10);
    assert_eq!(devices[3].functions(), 4);
    // What is written out can be read again.
    let text = serde_yaml::to_string(&devices).unwrap();
    let again: Vec<model::Device> = serde_yaml::from_str(&text).unwrap();
    assert_eq!(&again, devices);
}

#[test]
fn load_orders() {
    let drills = good(&format!(
        "{SMALL}variants:
  usual:
  explicit: {{capture.order: explicit}}
  pci: {{capture: {{order: pci, drivers: [nvme]}}}}
  shuffled: {{capture.order: {{shuffled: 18446744073709551615}}}}
  patched: {{capture.order.shuffled: 4}}
"
    ));
    let orders: Vec<_> = drills.iter().map(|d| d.scenario.capture.order).collect();
    let wanted = [
        LoadOrder::Explicit,
        LoadOrder::Explicit,
        LoadOrder::Pci,
        LoadOrder::Shuffled(u64::MAX),
        LoadOrder::Shuffled(4),
    ];
    assert_eq!(orders, wanted);
    // What is written out can be read again.
    for order in wanted {
        let text = serde_yaml::to_string(&order).unwrap();
        assert_eq!(serde_yaml::from_str::<LoadOrder>(&text).unwrap(), order);
    }
}

#[test]
fn load_orders_that_are_none() {
    for (order, message, help) in [
        (
            "udev",
            "`udev` is not known here",
            "one of explicit, pci, {shuffled: SEED}",
        ),
        ("pic", "`pic` is not known here", "did you mean `pci`?"),
        (
            "{seed: 4}",
            "unknown key `seed`",
            "this mapping has shuffled",
        ),
        (
            "{shuffled: -1}",
            "expected a whole number, found the number -1",
            "",
        ),
        ("{}", "`shuffled` is missing", "add it: `shuffled: 1`"),
        (
            "4",
            "expected `explicit`, `pci` or `{shuffled: SEED}`, found the number 4",
            "",
        ),
    ] {
        let bad = load(&format!("{SMALL}capture: {{order: {order}}}\n")).unwrap_err();
        let fault = bad.faults.last().unwrap();
        assert_eq!(fault.message, message, "{order}");
        let said = fault.help.as_deref().unwrap_or_default();
        assert!(help.is_empty() || said == help, "{order}: {said}");
    }
    let disk = format!("{SMALL}boot: disk\ncapture: {{order: pci}}\n");
    let bad = load(&disk).unwrap_err();
    let message =
        "with `boot: disk` udev loads the capture kernel's drivers, in an order of its own";
    assert!(bad.faults.iter().any(|fault| fault.message == message));
}

#[test]
fn what_the_variants_share_may_be_left_out() {
    let text = SMALL.replace(
        "crashkernel: 256M\n",
        "variants:\n  a: {crashkernel: 256M}\n",
    );
    assert_eq!(good(&text).len(), 1);
}

#[test]
fn a_flood_of_variants() {
    let variants: String = (0..2_000)
        .map(|nth| format!("  v{nth}: {{machine.cpus: 0}}\n"))
        .collect();
    let bad = load(&format!("{SMALL}variants:\n{variants}")).unwrap_err();
    assert!(
        bad.faults
            .iter()
            .any(|fault| fault.message == "more than 200 variants")
    );
}

#[test]
fn a_shared_error_is_said_once() {
    let text = GOOD.replace("cpus: 4", "cpu: a b").replace("256M", "256Q");
    let bad = load(&text).unwrap_err();
    let messages: Vec<_> = bad
        .faults
        .iter()
        .map(|fault| fault.message.as_str())
        .collect();
    assert_eq!(
        messages,
        ["`a b` is no CPU model", "crashkernel: unrecognized char"]
    );
}

#[test]
fn help_can_be_followed() {
    let first = |text: &str| {
        let fault = load(text).unwrap_err().faults.remove(0);
        (fault.message, fault.help.unwrap_or_default())
    };
    let (_, help) = first(&GOOD.replace("memory: 1G", "memory: 999999999T"));
    assert_eq!(help, "it does not fit into 64 bits; write a smaller one");
    // No file is to have a name that no scenario can have.
    let named = |name: &str| GOOD.replace("name: vector-exhaustion-nvme", name);
    let bad = load(&named("name: Odd Name")).unwrap_err();
    assert_eq!(bad.faults.len(), 1, "{bad:?}");
    let bad = parse(File::new("it's.yaml"), &named("name: its"), facts_of).unwrap_err();
    let help = bad.faults[0].help.as_deref();
    assert_eq!(help, Some("rename the file to `its.yaml`"));
}

#[test]
fn later_errors_point_into_the_file() {
    let drills = good(GOOD);
    let path: Path = "machine.devices[1].device".parse().unwrap();
    let bad = drills[1].refuse(&[Problem::new(path, "this QEMU has no nvme").help("QEMU 2")]);
    let text = bad.render(100, false);
    assert!(text.contains("vector-exhaustion-nvme.yaml:9:16"), "{text}");
}

/// A scenario may come from anyone, and be anything: what is shown of it steers no terminal, and is
/// not a hundred thousand columns wide.
#[test]
fn errors_are_safe_to_show() {
    let text = GOOD.replace("debian-12", "\"\\e]0;x\\a\" # \u{1b}[31m");
    let bad = load(&text).unwrap_err().render(100, false);
    assert!(bad.contains("`\\x1b]0;x\\x07` cannot be an image"), "{bad}");
    assert!(!bad.contains('\u{1b}'), "{bad}");
    let bad = load::parse_bytes(File::new("\u{1b}.yaml"), b"\xff", facts_of).unwrap_err();
    assert!(bad.render(100, false).starts_with("\\x1b.yaml: 1 error"));

    let bad = load(&"[".repeat(100_000)).unwrap_err().render(100, false);
    assert!(bad.len() < 2000, "{}", bad.len());
}

#[test]
fn bytes_that_are_no_text() {
    let bad = load::parse_bytes(File::new("x.yaml"), b"name: x\nabout: \xff\n", facts_of);
    assert_eq!(
        bad.unwrap_err().faults[0].message,
        "not UTF-8 at line 2, byte 8"
    );
    let huge = vec![b'#'; (1 << 20) + 1];
    let bad = load::parse_bytes(File::new("x.yaml"), &huge, facts_of);
    assert!(bad.unwrap_err().faults[0].message.contains("1 MiB"));
    let bad = read(File::new("no/such/file.yaml"), facts_of).unwrap_err();
    assert!(bad.render(100, false).contains("cannot be read"));
}

/// Each file is one realistic mistake, and what a user is shown for it is the snapshot.
#[test]
fn corpus_of_mistakes() {
    let folder = File::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 40, "{} files", files.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../tests/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            let name = File::new(file.file_name().unwrap());
            let stem = name.file_stem().unwrap().to_str().unwrap();
            let shown = match load::parse_bytes(name, &bytes, facts_of) {
                Ok(_) => panic!("{stem}: no error was found"),
                Err(bad) => bad.render(100, false),
            };
            insta::assert_snapshot!(format!("bad-scenario-{stem}"), shown);
        }
    });
}

/// Cuts, doubles and changes pieces of a good scenario.
fn mutated() -> impl Strategy<Value = String> {
    let edit = (
        any::<prop::sample::Index>(),
        0..12_usize,
        "[\\[\\]{}:,|>&*!%@`'\"# \n\t~-]{0,3}|\\PC",
    );
    proptest::collection::vec(edit, 1..6).prop_map(|edits| {
        let mut text: Vec<char> = GOOD.chars().collect();
        for (at, length, insert) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            text.splice(at..end, insert.chars());
        }
        text.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn mutations_never_panic(text in mutated()) {
        if let Err(bad) = load(&text) {
            prop_assert!(!bad.faults.is_empty());
            for fault in &bad.faults {
                let label = miette::Diagnostic::labels(fault).unwrap().next().unwrap();
                let end = label.offset() + label.len();
                prop_assert!(text.get(label.offset()..end).is_some(), "{fault:?}");
            }
            bad.render(100, false);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Err(bad) = load::parse_bytes(File::new("x.yaml"), &bytes, facts_of) {
            bad.render(100, false);
        }
    }

    #[test]
    fn random_yaml_never_panics(text in "([a-z]{1,3}: |- |\\[|\\{|\\}|\\]|, |&a |\\*a |\n {0,4}|\\||\"|'|é|[0-9]){0,30}") {
        if let Err(bad) = load(&text) {
            bad.render(100, false);
        }
    }
}

#[test]
fn a_drill_with_another_value() {
    let drill = good(GOOD).remove(1);
    let path = |text: &str| text.parse::<Path>().unwrap();
    let with = |text: &str, value| drill.with(&path(text), value, facts_of);

    let more = with("machine.devices[0].count", Setting::Number(7)).unwrap();
    assert_eq!(more.scenario.machine.devices[0].count, 7);
    // Everything else is as it was, the variant's own value too.
    assert_eq!(more.id, drill.id);
    assert_eq!(append(&more), append(&drill));
    // What the file does not say can be said.
    let disk = with("machine.devices[1].size", Setting::Text("96M".to_owned())).unwrap();
    assert_eq!(
        disk.scenario.machine.devices[1].size,
        Some(Bytes(96 * Bytes::MIB))
    );
    // And again.
    let back = disk.with(
        &path("machine.devices[1].size"),
        Setting::Text("64M".to_owned()),
        facts_of,
    );
    assert_eq!(
        back.unwrap().scenario.machine.devices[1].size,
        Some(Bytes(64 * Bytes::MIB))
    );

    for (at, value, complaint) in [
        ("machine.memory", Setting::Text("1M".to_owned()), "1M"),
        ("machine.devices[7].count", Setting::Number(1), "no item 7"),
        ("machine.cpus", Setting::Number(0), "1 to 65535"),
        ("nonsense", Setting::Number(0), "nonsense"),
    ] {
        let error = with(at, value).unwrap_err().render(100, false);
        assert!(error.contains(complaint), "{at}: {error}");
        assert!(error.contains("vector-exhaustion-nvme.yaml:"), "{error}");
    }
}

#[test]
fn how_a_drill_is_to_end_by_variant() {
    use crate::proof::tests::{bad, good as saved};
    let text = format!(
        "{GOOD}  saved: {{expect.verdict: vmcore-saved, expect.cause: none}}\n\
         expect: {{verdict: no-vmcore, cause: irq-vector-exhaustion}}\n"
    );
    let drills = good(&text);
    let expect = |nth: usize| drills[nth].scenario.expect.clone().unwrap();
    assert_eq!(expect(0).to_string(), "no-vmcore (irq-vector-exhaustion)");
    assert!(expect(0).is_met(&bad()) && !expect(0).is_met(&saved()));
    assert_eq!(expect(3).to_string(), "vmcore-saved");
    assert!(expect(3).is_met(&saved()) && !expect(3).is_met(&bad()));
    // Without a cause any will do.
    let any = text.replace(", cause: irq-vector-exhaustion", "");
    let any = good(&any)[0].scenario.expect.clone().unwrap();
    let unknown = crate::verdict::outcome::Outcome {
        cause: crate::verdict::outcome::Cause::UNKNOWN,
        ..bad()
    };
    assert!(any.is_met(&unknown) && !expect(0).is_met(&unknown));
}
