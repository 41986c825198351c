//! Every log of tests/corpus/ against what is expected of it.
//!
//! A group is a directory with logs and `expected.yaml`. What a group may miss is written here, by
//! name, so that a change in either direction is seen.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crashdrill::console::splat::Kind;
use crashdrill::diagnose::{Diagnosis, Reader};
use crashdrill::verdict::RuleBook;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    log: String,
    crash: bool,
    kind: Option<Kind>,
    function: Option<String>,
    file: Option<String>,
    /// A remark for the reader.
    #[serde(default, rename = "kernel")]
    _kernel: Option<String>,
    #[serde(default, rename = "why")]
    _why: Option<String>,
}

/// `group/log: what`, for what is known to come out differently.
const KNOWN: &[&str] = &[
    // The headline says paging request; only the abort's ESR says alignment.
    "debian-12-arm64/unaligned-atomic.log: kind is Some(PagingRequest), not oops (Unable to handle kernel paging request at virtual address ffffabf94fb503a1)",
];

#[test]
fn corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut wrong = Vec::new();
    let mut tally: BTreeMap<String, [usize; 6]> = BTreeMap::new();
    for group in groups(&root) {
        let name = group.file_name().unwrap().to_string_lossy().into_owned();
        let list = std::fs::read_to_string(group.join("expected.yaml")).unwrap();
        let list: Vec<Expected> = serde_yaml::from_str(&list).unwrap();
        every_log_is_expected(&group, &list);
        let counts = tally.entry(name.clone()).or_default();
        for expected in &list {
            let log = std::fs::read(group.join(&expected.log)).unwrap();
            let diagnosis = diagnose(&log);
            let misses = compare(expected, &diagnosis, counts);
            wrong.extend(
                misses
                    .iter()
                    .map(|miss| format!("{name}/{}: {miss}", expected.log)),
            );
        }
    }
    for (group, [crash, crashes, kind, kinds, function, functions]) in &tally {
        println!(
            "{group}: crash or not {crash}/{crashes}, kind {kind}/{kinds}, function {function}/{functions}"
        );
    }
    let known: Vec<String> = KNOWN.iter().map(|known| (*known).to_owned()).collect();
    let new: Vec<&String> = wrong.iter().filter(|miss| !known.contains(miss)).collect();
    let gone: Vec<&String> = known.iter().filter(|miss| !wrong.contains(miss)).collect();
    assert!(new.is_empty(), "not as expected:\n{}", lines(&new));
    assert!(
        gone.is_empty(),
        "as expected now, so no longer KNOWN:\n{}",
        lines(&gone)
    );
}

fn lines(list: &[&String]) -> String {
    list.iter().map(|line| format!("  {line}\n")).collect()
}

fn groups(root: &Path) -> Vec<PathBuf> {
    let mut groups: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("expected.yaml").exists())
        .collect();
    groups.sort();
    groups
}

fn every_log_is_expected(group: &Path, list: &[Expected]) {
    for entry in std::fs::read_dir(group).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let listed = list.iter().any(|expected| expected.log == name);
        assert!(
            listed || !name.ends_with(".log"),
            "{name} is not in expected.yaml"
        );
    }
}

fn diagnose(log: &[u8]) -> Diagnosis {
    let mut reader = Reader::new(RuleBook::builtin());
    reader.push(log);
    reader.finish(None)
}

fn compare(expected: &Expected, diagnosis: &Diagnosis, counts: &mut [usize; 6]) -> Vec<String> {
    let mut misses = Vec::new();
    let mut check = |at: usize, right: bool, miss: String| {
        counts[at + 1] += 1;
        counts[at] += usize::from(right);
        if !right {
            misses.push(miss);
        }
    };
    let headline = diagnosis.headline.map(|at| &diagnosis.reports[at].splat);
    let title = headline
        .map(|splat| splat.title.as_str())
        .unwrap_or_default();
    check(
        0,
        diagnosis.crash == expected.crash,
        format!("crash is {} ({title})", diagnosis.crash),
    );
    if !expected.crash {
        return misses;
    }
    if let Some(kind) = expected.kind {
        let found = headline.map(|splat| splat.kind);
        let miss = format!("kind is {found:?}, not {kind} ({title})");
        check(2, found == Some(kind), miss);
    }
    if let Some(function) = &expected.function {
        let found = headline.and_then(|splat| splat.function.as_ref());
        let miss = format!("function is {found:?}, not {function} ({title})");
        check(4, found == Some(function), miss);
    }
    if let Some(file) = &expected.file {
        let source = headline.and_then(|splat| splat.source.as_ref());
        let found = source.map(|source| source.file.as_str());
        if found != Some(file) {
            misses.push(format!("file is {found:?}, not {file} ({title})"));
        }
    }
    misses
}
