use super::*;
use crate::proof::tests::{bad, good, outcome};
use crate::scenario::{Path, parse};
use crate::search::tests::boot;
use crate::search::{Bisection, Bounds, plan};
use crate::verdict::outcome::{Cause, Verdict};

const SCENARIO: &str = "\
name: x
about: A drill.
image: debian-12
machine:
  cpus: 4
  devices: [{device: nvme, target: true}]
crashkernel: 256M
kdump: {sysconfig: {KDUMP_COMMANDLINE_APPEND: nr_cpus=2}}
";

/// A search in which `result` says what comes of a value.
fn search(key: &str, range: Bounds, result: impl Fn(u64) -> TrialResult) -> Search {
    let file = std::path::Path::new("x.yaml");
    let drill = parse(file, SCENARIO, crate::machine::catalogue::facts)
        .unwrap_or_else(|bad| panic!("{}", bad.render(100, false)))
        .drills
        .remove(0);
    let (minimised, values) = plan(&drill.scenario, key, &range).unwrap();
    let mut bisection = Bisection::new(values.count(), &values.starts());
    let mut trials = Vec::new();
    while let Some(at) = bisection.next() {
        let result = result(values.get(at).number);
        bisection.take(at, result.works());
        trials.push(Trial { at, result });
    }
    Search {
        id: drill.id,
        minimised,
        values,
        trials,
        answer: bisection.answer(),
    }
}

/// Everything that a user sees, without styles.
fn shown(search: &Search, width: usize) -> String {
    let id = search.id.to_string();
    let mut text = search_head(&id, &search.minimised, &search.values, width);
    for trial in &search.trials {
        text.push_str(&trial_line(trial, &search.values));
    }
    text.push_str(&search_text(search, width));
    anstream::adapter::strip_str(&text).to_string()
}

fn booted(outcome: Outcome) -> TrialResult {
    TrialResult::Booted(Box::new(boot(outcome)))
}

fn oom() -> Outcome {
    outcome(Verdict::CaptureOom, Cause::named("crashkernel-too-small"))
}

#[test]
fn a_smallest_crashkernel() {
    let range = Bounds {
        step: Some("32M".to_owned()),
        ..Bounds::default()
    };
    let search = search("crashkernel", range, |size| match size >> 20 {
        ..96 => TrialResult::Refused("a reservation of 64M holds no kernel".to_owned()),
        96 => booted(oom()),
        _ => booted(good()),
    });
    insta::assert_snapshot!("crashkernel", shown(&search, 100));
    insta::assert_snapshot!("crashkernel-json", search_json(&search).unwrap());
    let narrow = shown(&search, 60);
    let prose = narrow.lines().skip_while(|line| !line.is_empty());
    assert!(prose.clone().count() > 10);
    assert!(prose.into_iter().all(|line| line.len() <= 60), "{narrow}");
}

#[test]
fn more_is_not_always_better() {
    let search = search("nr_cpus", Bounds::default(), |cpus| match cpus {
        2 | 3 => booted(good()),
        1 => booted(bad()),
        _ => booted(oom()),
    });
    insta::assert_snapshot!("more-is-not-better", shown(&search, 100));
}

#[test]
fn nothing_works() {
    let search = search("nr_cpus", Bounds::default(), |_| booted(oom()));
    insta::assert_snapshot!("nothing", shown(&search, 100));
}

#[test]
fn the_smallest_of_the_range() {
    let search = search("memory", Bounds::default(), |_| booted(good()));
    let text = shown(&search, 100);
    assert!(
        text.contains("\n16M is the smallest machine.memory of the range, and it leaves a dump."),
        "{text}"
    );
    assert_eq!(
        search.minimised,
        Minimised::Setting("machine.memory".parse::<Path>().unwrap())
    );
}
