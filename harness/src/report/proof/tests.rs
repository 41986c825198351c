use serde_yaml::Value;

use super::*;
use crate::proof::tests::{bad, good, outcome, side};
use crate::proof::{Change, Changes, Words};
use crate::verdict::outcome::Cause;

fn cured(width: usize, before: Vec<Outcome>, after: Vec<Outcome>) -> (Proof, String) {
    let text = |text: &str| Value::String(text.to_owned());
    let change = |path: &str, before, after| Change {
        path: path.parse().unwrap(),
        before,
        after,
    };
    let proof = Proof {
        changes: Changes {
            settings: vec![
                change("machine.cpus", Value::from(4), Value::from(8)),
                change(
                    "machine.devices[2]",
                    Value::Null,
                    serde_yaml::from_str("{device: igb, msix: null, count: 2}").unwrap(),
                ),
                change(
                    "kdump.conf",
                    text("ext4 /dev/nvme0n1\ncore_collector makedumpfile -l -d 31\n"),
                    text("ext4 /dev/nvme0n1\ncore_collector makedumpfile -c -d 31\n"),
                ),
                change(
                    "kdump.sysconfig.KDUMP_COMMANDLINE_APPEND",
                    text("irqpoll nr_cpus=1 reset_devices"),
                    text("irqpoll nr_cpus=1 reset_devices rd.driver.blacklist=virtio_console"),
                ),
            ],
            first_kernel: Words::default(),
            capture_kernel: Words {
                removed: vec!["nr_cpus=1".to_owned()],
                added: vec!["rd.driver.blacklist=virtio_console".to_owned()],
            },
        },
        before: side("exhausted", before),
        after: side("fixed-by-blacklist", after),
    };
    let text = anstream::adapter::strip_str(&proof_text(&proof, width)).to_string();
    (proof, text)
}

#[test]
fn a_cure() {
    let (proof, text) = cured(100, vec![bad()], vec![good()]);
    insta::assert_snapshot!("cure", text);
    insta::assert_snapshot!("cure-json", proof_json(&proof).unwrap());
}

#[test]
fn a_cure_on_a_narrow_terminal() {
    let (_, text) = cured(60, vec![bad()], vec![good()]);
    insta::assert_snapshot!("cure-narrow", text);
}

#[test]
fn a_cure_that_does_not_always_work() {
    let mut after = vec![good(); 10];
    after[3] = outcome(Verdict::CaptureHung, Cause::UNKNOWN);
    after[5].evidence.pop();
    let (proof, text) = cured(100, vec![bad(); 10], after);
    insta::assert_snapshot!("unsteady", text);
    let json: serde_json::Value = serde_json::from_str(&proof_json(&proof).unwrap()).unwrap();
    assert_eq!(json["times"], 9);
    assert_eq!(json["steady"], false);
    assert_eq!(json["after"]["runs"][3]["outcome"], 1);
}

#[test]
fn conclusions() {
    let oom = || outcome(Verdict::CaptureOom, Cause::named("crashkernel-too-small"));
    for (before, after, last) in [
        (
            vec![bad(), bad()],
            vec![good(), good()],
            "fixes 2 times out of 2: no-vmcore (irq-vector-exhaustion) before, a complete dump after",
        ),
        (
            vec![good()],
            vec![bad()],
            "breaks: a complete dump before, no-vmcore (irq-vector-exhaustion) after",
        ),
        (
            vec![good()],
            vec![good()],
            "no difference: a complete dump both before and after",
        ),
        (
            vec![bad()],
            vec![bad()],
            "does not fix: no-vmcore (irq-vector-exhaustion) both before and after",
        ),
        (
            vec![bad()],
            vec![oom()],
            "does not fix: it fails otherwise, no-vmcore (irq-vector-exhaustion) before, \
             capture-oom (crashkernel-too-small) after",
        ),
    ] {
        let (_, text) = cured(200, before, after);
        assert_eq!(text.lines().last(), Some(last));
    }
}

#[test]
fn another_machine_is_shown() {
    let mut after = good();
    after.machine = "pc-i440fx-7.2, qemu64".to_owned();
    let (_, text) = cured(100, vec![good()], vec![after]);
    let row = text.lines().find(|line| line.starts_with("  machine "));
    assert!(
        row.is_some_and(|row| row.ends_with("pc-i440fx-7.2, qemu64")),
        "{text}"
    );
    let (_, text) = cured(100, vec![good()], vec![good()]);
    assert!(!text.contains("\n  machine "), "{text}");
}

#[test]
fn what_a_log_holds_does_not_steer_the_terminal() {
    let mut before = bad();
    before.evidence = vec!["\u{1b}[2J\u{202e}".to_owned()];
    let (_, text) = cured(100, vec![before], vec![good()]);
    assert!(text.contains("\\x1b[2J\\u{202e}"), "{text}");
}
