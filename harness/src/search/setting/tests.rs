use std::path::Path as File;

use proptest::prelude::*;

use super::*;
use crate::machine::catalogue;
use crate::proof::tests::{bad, good};
use crate::scenario::parse;
use crate::search::tests::boot;

const SCENARIO: &str = "\
name: x
about: A drill.
image: debian-12
machine:
  cpus: 4
  devices:
    - {device: virtio-serial, msix: 64, count: 4}
    - {device: nvme, target: true}
crashkernel: 256M@16M
kdump:
  sysconfig:
    KDUMP_COMMANDLINE_APPEND: irqpoll nr_cpus=2 reset_devices
";

fn drill(text: &str) -> Drill {
    parse(File::new("x.yaml"), text, catalogue::facts)
        .unwrap_or_else(|bad| panic!("{}", bad.render(100, false)))
        .drills
        .remove(0)
}

fn range(from: &str, to: &str, step: &str) -> Bounds {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Bounds {
        from: some(from),
        to: some(to),
        step: some(step),
    }
}

fn planned(text: &str, key: &str, range: &Bounds) -> Result<(Minimised, Values), SearchError> {
    plan(&drill(text).scenario, key, range)
}

/// Smallest, largest, how many, and where to start.
fn shape(values: &Values) -> (String, String, usize, Vec<String>) {
    let text = |at: usize| values.get(at).to_string();
    let starts = values.starts().into_iter().map(text).collect();
    (text(0), text(values.count() - 1), values.count(), starts)
}

#[test]
fn defaults() {
    for (key, least, most, count, starts) in [
        ("crashkernel", "4M", "256M", 64, vec!["256M"]),
        ("nr_cpus", "1", "4", 4, vec!["4", "2"]),
        ("memory", "16M", "1G", 64, vec!["1G"]),
        ("machine.devices[0].count", "1", "4", 4, vec!["4"]),
    ] {
        let (_, values) = planned(SCENARIO, key, &Bounds::default()).unwrap();
        let starts = starts.into_iter().map(str::to_owned).collect();
        assert_eq!(
            shape(&values),
            (least.to_owned(), most.to_owned(), count, starts),
            "{key}"
        );
    }
}

#[test]
fn ranges() {
    let values = |key, range| planned(SCENARIO, key, &range).unwrap().1;
    let shape_of = |key, range| shape(&values(key, range));
    assert_eq!(
        shape_of("crashkernel", range("64M", "90M", "8M")),
        (
            "66M".to_owned(),
            "90M".to_owned(),
            4,
            vec!["90M".to_owned()]
        )
    );
    assert_eq!(
        shape_of("machine.devices[1].size", range("", "64M", "")).0,
        "1M"
    );
    let some = values("crashkernel", range("64M", "90M", "8M"));
    for (number, at) in [(0, 0), (66, 0), (67, 1), (74, 1), (90, 3), (200, 3)] {
        assert_eq!(some.at_least(number * Bytes::MIB), at, "{number}M");
    }
}

#[test]
fn mistakes() {
    let plain = Bounds::default();
    for (key, range, error) in [
        ("machine.cpsu", &plain, "a scenario has no `machine.cpsu`"),
        ("crashkernl", &plain, "a scenario has no `crashkernl`"),
        ("image", &plain, "`image` is neither a number nor a size"),
        (
            "machine",
            &plain,
            "`machine` is neither a number nor a size",
        ),
        (
            "machine.devices[1].size",
            &plain,
            "the scenario does not set `machine.devices[1].size`",
        ),
        (
            "crashkernel",
            &range("512M", "", ""),
            "--from 512M: it is more",
        ),
        (
            "crashkernel",
            &range("", "lots", ""),
            "--to lots: `lots` is not a size",
        ),
        (
            "nr_cpus",
            &range("", "4M", ""),
            "--to 4M: `4M` is not a whole number",
        ),
        (
            "nr_cpus",
            &range("", "", "0"),
            "--step 0: it must be more than zero",
        ),
    ] {
        let found = planned(SCENARIO, key, range).unwrap_err();
        assert!(found.to_string().starts_with(error), "{found}");
    }
    let help = |key| {
        planned(SCENARIO, key, &plain)
            .unwrap_err()
            .help()
            .unwrap()
            .to_string()
    };
    assert_eq!(help("machine.cpsu"), "did you mean `machine.cpus`?");
    assert_eq!(
        help("machine.devices[7].count"),
        "the items are `machine.devices[0]` to `machine.devices[1]`"
    );
}

#[test]
fn a_crashkernel_without_one_size() {
    for (crashkernel, help) in [
        (
            "1G-4G:160M,4G-:256M",
            "--to 160M begins with what the range reserves",
        ),
        ("none", "give one with --to"),
        ("auto", "give one with --to"),
    ] {
        let text = SCENARIO.replace("256M@16M", crashkernel);
        let error = planned(&text, "crashkernel", &Bounds::default()).unwrap_err();
        assert!(error.to_string().contains(crashkernel), "{error}");
        assert!(error.help().unwrap().to_string().starts_with(help));
        let (minimised, values) = planned(&text, "crashkernel", &range("", "160M", "")).unwrap();
        let small = minimised.drill(&drill(&text), values.get(0), catalogue::facts);
        assert_eq!(small.unwrap().scenario.crashkernel.to_string(), "4M");
    }
}

#[test]
fn cpus_that_nothing_or_too_much_says() {
    for (append, error) in [
        (
            "irqpoll",
            "nothing in the scenario's kdump settings says nr_cpus=",
        ),
        (
            "maxcpus=all",
            "nothing in the scenario's kdump settings says nr_cpus=",
        ),
        (
            "nr_cpus=1 maxcpus=2",
            "the scenario's kdump settings say nr_cpus= or maxcpus= 2 times",
        ),
    ] {
        let text = SCENARIO.replace("irqpoll nr_cpus=2 reset_devices", append);
        let found = planned(&text, "nr_cpus", &Bounds::default()).unwrap_err();
        assert!(found.to_string().starts_with(error), "{found}");
    }
}

#[test]
fn cpus_in_the_text_of_a_file() {
    let mut found = Vec::new();
    let text =
        "# nr_cpus=9 is too much\nAPPEND=\"irqpoll nr_cpus=3 reset_devices\"\nX=xnr_cpus=4\n";
    find_cpus(Path::default(), &Yaml::String(text.to_owned()), &mut found);
    let [(Minimised::CaptureCpus { around, .. }, 3)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(
        format!("{}1{}", around.0, around.1),
        text.replace("nr_cpus=3", "nr_cpus=1")
    );
}

#[test]
fn values_in_their_place() {
    let first = drill(SCENARIO);
    let with = |key: &str, number: u64, unit: Unit| {
        let (minimised, _) = planned(SCENARIO, key, &range("", "900M", ""))
            .or_else(|_| planned(SCENARIO, key, &Bounds::default()))
            .unwrap();
        let value = Value { number, unit };
        minimised
            .drill(&first, value, catalogue::facts)
            .unwrap()
            .scenario
    };
    let scenario = with("crashkernel", 84 * Bytes::MIB, Unit::Bytes);
    assert_eq!(scenario.crashkernel.to_string(), "84M@16M");
    let scenario = with("nr_cpus", 3, Unit::Number);
    assert_eq!(
        at(
            &serde_yaml::to_value(&scenario).unwrap(),
            &"kdump.sysconfig.KDUMP_COMMANDLINE_APPEND".parse().unwrap()
        )
        .and_then(Yaml::as_str),
        Some("irqpoll nr_cpus=3 reset_devices")
    );
    let scenario = with("memory", 512 * Bytes::MIB, Unit::Bytes);
    assert_eq!(scenario.machine.memory, Bytes(512 * Bytes::MIB));
    let scenario = with("machine.devices[0].count", 2, Unit::Number);
    assert_eq!(scenario.machine.devices[0].count, 2);
}

#[test]
fn a_value_that_the_scenario_cannot_have() {
    let (minimised, values) = planned(SCENARIO, "memory", &Bounds::default()).unwrap();
    let bad = minimised.drill(&drill(SCENARIO), values.get(0), catalogue::facts);
    assert!(bad.unwrap_err().render(100, false).contains("16M"));
}

#[test]
fn a_guess_by_what_was_in_use() {
    let (minimised, values) = planned(SCENARIO, "crashkernel", &Bounds::default()).unwrap();
    let top = values.get(values.count() - 1);
    // 202.3 MiB of 256 MiB are the capture kernel's to use; it used 34.1 MiB, and its initramfs
    // has 7.5 MiB.
    let mut boot = boot(good());
    boot.capture_total = Some(Bytes(212_140_032));
    boot.capture_memory = Some(Bytes(35_749_888));
    boot.capture_initramfs = Some(Bytes(7_907_748));
    let guess = minimised.guess(&values, top, &boot);
    assert_eq!(
        guess.map(|at| values.get(at).to_string()),
        Some("96M".to_owned())
    );
    boot.outcome = bad();
    assert_eq!(minimised.guess(&values, top, &boot), None);
}

proptest! {
    #[test]
    fn values_are_evenly_spaced(from in 1u64..5000, more in 0u64..5000, step in 1u64..600) {
        let range = range(&from.to_string(), &(from + more).to_string(), &step.to_string());
        let (_, values) = planned(SCENARIO, "machine.devices[0].count", &range).unwrap();
        let numbers: Vec<u64> = (0..values.count()).map(|at| values.get(at).number).collect();
        prop_assert_eq!(numbers.last(), Some(&(from + more)));
        prop_assert!(numbers[0] >= from && numbers[0] - from < step);
        prop_assert!(numbers.windows(2).all(|pair| pair[1] - pair[0] == step));
        for (at, number) in numbers.iter().enumerate() {
            prop_assert_eq!(values.at_least(*number), at);
        }
    }
}
