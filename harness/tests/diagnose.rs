//! What must hold of a diagnosis whatever the log.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

use crashdrill::diagnose::{Diagnosis, Reader, Reported};
use crashdrill::verdict::RuleBook;
use proptest::prelude::*;
use proptest::sample::select;

fn diagnose<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Diagnosis {
    let mut reader = Reader::new(RuleBook::builtin());
    pieces.into_iter().for_each(|piece| reader.push(piece));
    reader.finish(None)
}

/// Every log that the tests have, by path.
fn logs() -> Vec<(String, Vec<u8>)> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut found = Vec::new();
    let mut directories = vec![tests.join("logs"), tests.join("corpus")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path
                .extension()
                .is_some_and(|end| end == "log" || end == "txt")
            {
                found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// What identifies a report, without its place in the file.
fn what(report: &Reported) -> (crashdrill::console::splat::Kind, String, Option<String>) {
    let splat = &report.splat;
    (splat.kind, splat.title.clone(), splat.function.clone())
}

#[test]
fn a_report_is_found_again_in_its_own_lines() {
    let mut lost = Vec::new();
    for (name, log) in logs() {
        let lines: Vec<&[u8]> = log.split_inclusive(|byte| *byte == b'\n').collect();
        for report in &diagnose([&log[..]]).reports {
            let (first, last) = (report.splat.line as usize, report.splat.last_line as usize);
            let own = lines[first - 1..last].concat();
            let again = diagnose([&own[..]]);
            if !again
                .reports
                .iter()
                .any(|found| what(found) == what(report))
            {
                let found: Vec<_> = again.reports.iter().map(what).collect();
                lost.push(format!("{name}:{first}: {:?}, but {found:?}", what(report)));
            }
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

/// What the fuzzer starts from, and what it once found.
#[test]
fn the_fuzzers_corpus_is_survived() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/diagnose");
    let mut seeds = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let log = std::fs::read(entry.unwrap().path()).unwrap();
        assert_eq!(diagnose(log.chunks(1)), diagnose([&log[..]]));
        seeds += 1;
    }
    assert!(seeds > 50);
}

#[test]
fn a_hostile_log_ends_promptly_and_briefly() {
    let million = 1_000_000;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a long line", vec![b'x'; 8 << 20]),
        ("brackets", vec![b'['; 8 << 20]),
        ("escapes", vec![0x1b; 8 << 20]),
        ("carriage returns", b"a\r".repeat(4 << 20)),
        ("stamps", b"[    1.234567] ".repeat(500_000)),
        ("BUG:", b"BUG: \n".repeat(million)),
        ("BUG: in one line", b"BUG: unable to handle ".repeat(300_000)),
        ("kernels", b"[    0.000000] Linux version 6.1.0 (x)\n".repeat(200_000)),
        ("panics", b"[    1.000000] Kernel panic - not syncing: x\n".repeat(200_000)),
        ("frames", b"[    1.000000]  foo+0x1/0x2 [bar]\n".repeat(200_000)),
        ("modules", [b"Modules linked in:".to_vec(), b" abc(O)".repeat(million)].concat()),
        (
            "oopses",
            (0..20_000)
                .flat_map(|n| {
                    format!("[{n:5}.000000] kernel BUG at fs/x{n}.c:{n}!\n[{n:5}.000000] RIP: 0010:f{n}+0x1/0x2\n")
                        .into_bytes()
                })
                .collect(),
        ),
    ];
    for (name, log) in cases {
        let diagnosis = diagnose(log.chunks(4096));
        let size = serde_json::to_string(&diagnosis).unwrap().len();
        assert!(size < 1 << 20, "{name}: {size} bytes of JSON");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn splitting_changes_nothing(
        (_, log) in select(logs()),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 1..12),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(log.len() + 1)).collect();
        cuts.extend([0, log.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &log[pair[0]..pair[1]]);
        prop_assert_eq!(diagnose(pieces), diagnose([&log[..]]));
    }

    #[test]
    fn unrelated_text_around_changes_nothing(
        (name, log) in select(logs()),
        before in "([a-zA-Z ,.äöß小内核]{0,60}\n){0,6}",
        after in "\n([a-zA-Z ,.äöß小内核]{0,60}\n){0,6}",
    ) {
        let framed = diagnose([before.as_bytes(), &log, after.as_bytes()]);
        let plain = diagnose([&log[..]]);
        let of = |diagnosis: &Diagnosis| {
            let reports: Vec<_> = diagnosis.reports.iter().map(what).collect();
            (diagnosis.crash, diagnosis.verdict, diagnosis.cause.clone(), reports)
        };
        prop_assert_eq!(of(&framed), of(&plain), "{}", name);
    }

    #[test]
    fn any_bytes_are_survived(log in proptest::collection::vec(any::<u8>(), 0..5000)) {
        let whole = diagnose([&log[..]]);
        prop_assert_eq!(diagnose(log.chunks(1)), whole);
    }

    /// Made of what kernels print, in any order.
    #[test]
    fn scrambled_lines_are_survived(
        log in select(logs()),
        order in proptest::collection::vec((any::<proptest::sample::Index>(), 0usize..200), 0..400),
    ) {
        let lines: Vec<&[u8]> = log.1.split_inclusive(|byte| *byte == b'\n').collect();
        if lines.is_empty() {
            return Ok(());
        }
        let picked: Vec<u8> = order
            .iter()
            .flat_map(|(at, length)| {
                let line = lines[at.index(lines.len())];
                line[..line.len().min(*length)].to_vec()
            })
            .collect();
        let whole = diagnose([&picked[..]]);
        prop_assert_eq!(diagnose(picked.chunks(7)), whole);
    }
}
