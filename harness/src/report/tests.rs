use super::*;
use crate::proof::tests::{bad, good};
use crate::run::Assembled;
use crate::verdict::outcome::Verdict;

#[test]
fn long_times_are_minutes() {
    assert_eq!(seconds(Duration::from_millis(9_840)), "9.8 s");
    assert_eq!(seconds(Duration::from_secs(125)), "2 m 05 s");
}

fn finished(outcome: Outcome, comparison: Comparison) -> Finished {
    let drill = DrillResult {
        outcome,
        console: Vec::new(),
        reports: Vec::new(),
        server_console: None,
        timeline: Vec::new(),
        qemu_said: String::new(),
        devices_said: Default::default(),
        elapsed: Duration::from_secs(20),
        capture_total: None,
        capture_memory: None,
        files: Assembled {
            initramfs: tempfile::tempfile().unwrap(),
            capture_initramfs: None,
            disks: Vec::new(),
            medium: None,
            server: None,
        },
        postmortem: None,
    };
    Finished {
        id: DrillId {
            scenario: "customer".to_owned(),
            variant: None,
            image: None,
        },
        result: Ok(Compared {
            drill: Box::new(drill),
            comparison,
            expected: Some(Expect {
                verdict: Verdict::NoVmcore,
                cause: Some(Cause::named("irq-vector-exhaustion")),
            }),
            kept: None,
        }),
    }
}

/// JUnit's and JSON's text.
fn written(drill: Finished) -> (String, String) {
    let directory = tempfile::tempdir().unwrap();
    let (junit, json) = (
        directory.path().join("x.xml"),
        directory.path().join("x.json"),
    );
    let all = [drill];
    write_junit(&junit, &all, &[], Duration::ZERO).unwrap();
    write_json(&json, &all, &[]).unwrap();
    let read = |file| std::fs::read_to_string(file).unwrap();
    (read(junit), read(json))
}

#[test]
fn a_drill_that_ends_as_its_scenario_expects_needs_no_snapshot() {
    let drill = finished(bad(), Comparison::NotNeeded);
    assert_eq!(Totals::of(std::slice::from_ref(&drill)).as_expected, 1);
    let (junit, json) = written(drill);
    assert!(!junit.contains("<failure"), "{junit}");
    assert!(
        json.contains("\"as-expected\"") && json.contains("\"met\": true"),
        "{json}"
    );
}

#[test]
fn a_drill_that_ends_otherwise_has_changed() {
    for comparison in [Comparison::NotNeeded, Comparison::Same] {
        let drill = finished(good(), comparison);
        assert_eq!(Totals::of(std::slice::from_ref(&drill)).changed, 1);
        let shown = terminal::explain(drill.result.as_ref().unwrap());
        assert!(shown.contains("the scenario expects"), "{shown}");
        let (junit, json) = written(drill);
        let message = "vmcore-saved, not no-vmcore (irq-vector-exhaustion)";
        assert!(
            junit.contains(message) && junit.contains("type=\"expect\""),
            "{junit}"
        );
        assert!(
            json.contains("\"unexpected\"") && json.contains("\"met\": false"),
            "{json}"
        );
    }
}
