use std::path::Path as File;

use proptest::prelude::*;

use super::*;
use crate::machine::catalogue;
use crate::scenario::{Drill, parse};
use crate::verdict::outcome::{Cause, Function, Phase, Vectors, Vmcore};

/// The drills of a scenario text named `x`.
fn drills(text: &str) -> Vec<Drill> {
    parse(File::new("x.yaml"), text, catalogue::facts)
        .unwrap_or_else(|bad| panic!("{}", bad.render(100, false)))
        .drills
}

const SCENARIO: &str = "\
name: x
about: A drill.
image: debian-12
machine:
  devices:
    - {device: virtio-serial, msix: 64, count: 4}
    - {device: nvme, target: true}
crashkernel: 256M
kdump:
  conf: |
    ext4 /dev/nvme0n1
    core_collector makedumpfile -l -d 31
variants:
  plain: {}
  defaults-written-out: {machine.memory: 1024M, limits.silence: 60s}
  other:
    machine.memory: 2G
    machine.devices[0].count: 3
    crashkernel: 1G-:160M
    kdump.conf: |
      ext4 /dev/nvme0n1
      core_collector makedumpfile -c -d 31
    capture.files: {/a.sh: 'true'}
  fewer-devices:
    machine.devices[0]:
";

fn between(before: &str, after: &str) -> Changes {
    let drills = drills(SCENARIO);
    let find = |name: &str| {
        let drill = drills
            .iter()
            .find(|drill| drill.id.variant.as_deref() == Some(name))
            .unwrap();
        Configuration::new(&drill.scenario, "console=ttyS0", "irqpoll", "token").unwrap()
    };
    changes(&find(before), &find(after))
}

fn lines(changes: &Changes) -> Vec<String> {
    let text = |value| serde_json::to_string(value).unwrap();
    changes
        .settings
        .iter()
        .map(|change| {
            let (before, after) = (text(&change.before), text(&change.after));
            format!("{} {before} {after}", change.path)
        })
        .collect()
}

#[test]
fn only_what_is_different_and_in_effect() {
    assert!(between("plain", "defaults-written-out").is_empty());
    assert_eq!(
        lines(&between("plain", "other")),
        [
            r#"machine.memory "1G" "2G""#,
            "machine.devices[0].count 4 3",
            r#"crashkernel "256M" "1G-:160M""#,
            r#"kdump.conf "ext4 /dev/nvme0n1\ncore_collector makedumpfile -l -d 31\n" "ext4 /dev/nvme0n1\ncore_collector makedumpfile -c -d 31\n""#,
            r#"capture.files["/a.sh"] null "true""#,
        ]
    );
    let fewer = between("plain", "fewer-devices");
    assert_eq!(
        fewer.settings.last().unwrap().after,
        serde_yaml::Value::Null
    );
}

#[test]
fn command_lines_word_by_word_and_without_the_token() {
    let drill = drills(SCENARIO).remove(0);
    let configuration = |first: &str, capture: &str, token: &str| {
        Configuration::new(&drill.scenario, first, capture, token).unwrap()
    };
    let before = configuration(
        "console=ttyS0 crashkernel=256M crashdrill=aa",
        "irqpoll nr_cpus=1 dyndbg=\"file a +p\" crashdrill=aa",
        "aa",
    );
    let after = configuration(
        "console=ttyS0 crashkernel=256M crashdrill=bb",
        "irqpoll nr_cpus=4 dyndbg=\"file a +p\" x crashdrill=bb",
        "bb",
    );
    let changes = changes(&before, &after);
    assert!(changes.first_kernel.is_empty());
    assert_eq!(changes.capture_kernel.removed, ["nr_cpus=1"]);
    assert_eq!(changes.capture_kernel.added, ["nr_cpus=4", "x"]);
}

/// An outcome with little in it.
pub(crate) fn outcome(verdict: Verdict, cause: Cause) -> Outcome {
    let saved = verdict == Verdict::VmcoreSaved;
    let function = |slot: &str, device: &str, table, granted, driver: Option<&str>| Function {
        slot: slot.to_owned(),
        device: device.to_owned(),
        table,
        granted,
        driver: driver.map(str::to_owned),
        asked: None,
        planned: None,
        counted: None,
        fell_back: false,
    };
    Outcome {
        verdict,
        cause,
        phase: if saved {
            Phase::Saved
        } else {
            Phase::CaptureDrivers
        },
        evidence: match saved {
            true => vec![
                "kdump: saving vmcore complete".to_owned(),
                "end: the machine powered off".to_owned(),
            ],
            false => vec![
                "Interrupt reservation exceeds available resources".to_owned(),
                "nvme nvme0: Removing after probe failure status: -28".to_owned(),
                "end: the machine powered off".to_owned(),
            ],
        },
        vectors: Some(Vectors {
            capture_cpus: 1,
            allocated: Some(if saved { 2 } else { 194 }),
            available: Some(195),
            planned: Some(258),
            used: vec![if saved { 2 } else { 194 }],
            first_refused: None,
            disagreements: Vec::new(),
        }),
        devices: vec![
            function(
                "00:04.0",
                "virtio-serial",
                64,
                if saved { 0 } else { 64 },
                Some("virtio-pci"),
            ),
            match saved {
                true => function("00:05.0", "nvme", 65, 2, Some("nvme")),
                false => function("00:05.0", "nvme", 65, 0, None),
            },
            function("00:1f.2", "8086:2922", 0, 0, None),
        ],
        vmcore: saved.then(|| Vmcore {
            format: "kdump-compressed".to_owned(),
            dump_level: Some(31),
            complete: true,
            panic: Some("Kernel panic - not syncing: sysrq triggered crash".to_owned()),
            this_drill: true,
        }),
        machine: "pc-q35-7.2, qemu64,x2apic=off".to_owned(),
        fidelity: vec!["the capture initramfs is crashdrill's own, not dracut's".to_owned()],
    }
}

pub(crate) fn good() -> Outcome {
    outcome(Verdict::VmcoreSaved, Cause::NONE)
}

pub(crate) fn bad() -> Outcome {
    outcome(Verdict::NoVmcore, Cause::named("irq-vector-exhaustion"))
}

/// A side of runs with these outcomes.
pub(crate) fn side(variant: &str, outcomes: Vec<Outcome>) -> Side {
    let run = |outcome: Outcome| Run {
        capture_memory: (outcome.verdict == Verdict::VmcoreSaved)
            .then_some(Bytes(61_300 * Bytes::KIB)),
        outcome,
        elapsed: Duration::from_millis(12_340),
        kept: None,
    };
    Side {
        id: DrillId {
            scenario: "vector-exhaustion-nvme".to_owned(),
            variant: Some(variant.to_owned()),
            image: None,
        },
        runs: outcomes.into_iter().map(run).collect(),
    }
}

fn finding(before: &[Outcome], after: &[Outcome]) -> Finding {
    Finding::of(&side("a", before.to_vec()), &side("b", after.to_vec()))
}

#[test]
fn effects() {
    for (before, after, effect, is_good) in [
        (bad(), good(), Effect::Fixes, true),
        (bad(), bad(), Effect::DoesNotFix, false),
        (good(), bad(), Effect::Breaks, false),
        (good(), good(), Effect::NoDifference, true),
    ] {
        let found = finding(&[before], &[after]);
        assert_eq!((found.effect, found.times, found.of), (effect, 1, 1));
        assert!(found.steady);
        assert_eq!(found.is_good(), is_good, "{effect:?}");
    }
    let oom = outcome(Verdict::CaptureOom, Cause::named("crashkernel-too-small"));
    assert!(same_failure(&bad(), &bad()));
    assert!(!same_failure(&bad(), &oom));
    assert!(!same_failure(
        &bad(),
        &outcome(Verdict::NoVmcore, Cause::UNKNOWN)
    ));
}

#[test]
fn one_other_outcome_in_ten_is_no_proof() {
    let mut after = vec![good(); 10];
    after[7] = bad();
    let found = finding(&vec![bad(); 10], &after);
    assert_eq!(
        (found.effect, found.times, found.of),
        (Effect::Fixes, 9, 10)
    );
    assert!(!found.steady && !found.is_good());
    let side = side("b", after);
    let groups: Vec<usize> = side.groups().iter().map(|group| group.times).collect();
    assert_eq!(groups, [9, 1]);
}

#[test]
fn the_same_effect_with_other_details_is_not_steady() {
    let mut other = good();
    other.evidence.pop();
    let found = finding(&[bad(), bad()], &[good(), other]);
    assert_eq!((found.effect, found.times), (Effect::Fixes, 2));
    assert!(!found.is_good());
}

#[test]
fn of_two_that_are_as_frequent_the_worse() {
    let found = finding(&[bad(), good()], &[good(), bad()]);
    assert_eq!(
        (found.effect, found.times, found.of),
        (Effect::Breaks, 1, 2)
    );
}

proptest! {
    #[test]
    fn good_only_if_every_run_after_left_a_dump(
        runs in prop::collection::vec((any::<bool>(), any::<bool>()), 1..12),
    ) {
        let pick = |dump: bool| if dump { good() } else { bad() };
        let before: Vec<Outcome> = runs.iter().map(|run| pick(run.0)).collect();
        let after: Vec<Outcome> = runs.iter().map(|run| pick(run.1)).collect();
        let found = finding(&before, &after);
        prop_assert!(found.times >= 1 && found.times <= found.of && found.of == runs.len());
        let steady = runs.iter().all(|run| *run == runs[0]);
        prop_assert_eq!(found.is_good(), steady && runs[0].1);
    }
}
