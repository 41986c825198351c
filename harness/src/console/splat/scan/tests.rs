use proptest::prelude::*;

use super::super::BEGINNINGS;
use super::*;

fn reports(text: &str) -> Vec<Splat> {
    let mut found = Vec::new();
    let mut scanner = Scanner::new();
    for (number, line) in (1..).zip(text.lines()) {
        scanner.observe(LineRef::new(number, line), &mut |splat| found.push(splat));
    }
    scanner.finish(&mut |splat| found.push(splat));
    found
}

/// Reports as kernels print them, each below a line that says what is in it.
const REPORTS: &str = include_str!("reports.txt");

/// What stands below each line `### ...`, with those lines.
fn samples() -> Vec<(Vec<&'static str>, String)> {
    let mut samples: Vec<(Vec<&str>, String)> = Vec::new();
    for line in REPORTS.lines() {
        match (line.strip_prefix("### "), samples.last_mut()) {
            (Some(expected), Some((all, text))) if text.is_empty() => all.push(expected),
            (Some(expected), _) => samples.push((vec![expected], String::new())),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    samples
}

/// `kernel-bug fatal fn=f file=f.c:1 comm=c/1 cpu=0 frames=2 more=1 also=2`
fn summary(splat: &Splat) -> String {
    let mut text = splat.kind.to_string();
    if splat.fatal {
        text += " fatal";
    }
    if splat.cut {
        text += " cut";
    }
    if let Some(function) = &splat.function {
        text += &format!(" fn={function}");
    }
    if let Some(source) = &splat.source {
        text += &format!(" file={}:{}", source.file, source.line);
    }
    if let Some(process) = &splat.process {
        text += &format!(" comm={}/{}", process.comm, process.pid.unwrap_or(0));
    }
    if let Some(cpu) = splat.cpu {
        text += &format!(" cpu={cpu}");
    }
    let counts = [
        ("modules", splat.modules.len()),
        ("frames", splat.trace.len()),
        ("more", splat.more_traces.len()),
        ("also", splat.also.len()),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        text += &format!(" {name}={count}");
    }
    text
}

fn summaries(text: &str) -> Vec<String> {
    reports(text).iter().map(summary).collect()
}

#[test]
fn whole_reports() {
    let mut wrong = String::new();
    for (expected, text) in samples() {
        let expected: Vec<_> = expected.iter().filter(|line| **line != "nothing").collect();
        let found = summaries(&text);
        if found.iter().collect::<Vec<_>>() != expected {
            wrong += &format!("{text}\nexpected {expected:#?}\nfound {found:#?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What the caller does: lines that cannot matter are not handed over.
fn filtered(text: &str) -> Vec<Splat> {
    let passes = |line: &str| {
        let line = line.to_ascii_lowercase();
        BEGINNINGS
            .iter()
            .any(|word| line.contains(&word.to_ascii_lowercase()))
    };
    let mut found = Vec::new();
    let mut scanner = Scanner::new();
    for (number, line) in (1..).zip(text.lines()) {
        if scanner.wants_all() || passes(line) {
            scanner.observe(LineRef::new(number, line), &mut |splat| found.push(splat));
        }
    }
    scanner.finish(&mut |splat| found.push(splat));
    found
}

#[test]
fn the_filter_changes_nothing() {
    for (_, text) in samples() {
        assert_eq!(filtered(&text), reports(&text), "{text}");
    }
    let all: String = samples().into_iter().map(|(_, text)| text).collect();
    assert_eq!(filtered(&all), reports(&all));
}

#[test]
fn a_report_is_found_again_in_its_own_lines() {
    for (_, text) in samples() {
        for splat in reports(&text) {
            let own = text.lines().skip(splat.line as usize - 1);
            let own: Vec<_> = own
                .take((splat.last_line - splat.line + 1) as usize)
                .collect();
            let again = reports(&own.join("\n"));
            let again = again.iter().find(|again| again.title == splat.title);
            let again = again.unwrap_or_else(|| panic!("{}", own.join("\n")));
            assert_eq!(again.kind, splat.kind, "{text}");
            assert_eq!(again.function, splat.function, "{text}");
            assert_eq!(again.fatal, splat.fatal, "{text}");
            assert_eq!(again.trace, splat.trace, "{text}");
        }
    }
}

#[test]
fn every_report_stands_beside_others() {
    let whole: Vec<_> = samples()
        .into_iter()
        .filter(|(expected, _)| !expected[0].contains(" cut"))
        .collect();
    for (expected, text) in &whole {
        for (before, first) in &whole {
            // Another boot.
            let mut found = Vec::new();
            let mut scanner = Scanner::new();
            for (number, line) in (1..).zip(first.lines()) {
                scanner.observe(LineRef::new(number, line), &mut |splat| {
                    found.push(summary(&splat))
                });
            }
            scanner.boundary(&mut |splat| found.push(summary(&splat)));
            for (number, line) in (1000..).zip(text.lines()) {
                scanner.observe(LineRef::new(number, line), &mut |splat| {
                    found.push(summary(&splat))
                });
            }
            scanner.finish(&mut |splat| found.push(summary(&splat)));
            let both = before
                .iter()
                .chain(expected)
                .filter(|line| **line != "nothing");
            assert_eq!(found.iter().collect::<Vec<_>>(), both.collect::<Vec<_>>());
        }
    }
}

#[test]
fn clean_lines_are_no_reports() {
    for line in [
        "Kernel command line: root=/dev/vda ro panic=10 oops=panic crashkernel=256M",
        "CPU: 0 PID: 1 Comm: sh Not tainted 5.10.0 #1",
        "Call Trace:",
        "---[ end trace 389c806a74c30735 ]---",
        "Modules linked in: a b c",
        "RIP: 0010:foo+0x1/0x2",
        "Code: 00 11 <22>",
        "systemd-journald[123]: BUG: not from the kernel",
    ] {
        assert_eq!(summaries(line), [""; 0], "{line}");
    }
}

#[test]
fn a_million_bugs_are_bounded() {
    let mut scanner = Scanner::new();
    let mut found = 0u64;
    for number in 1..=20_000 {
        scanner.observe(
            LineRef::new(number, "[    1.000000] BUG: again"),
            &mut |_| found += 1,
        );
        assert!(scanner.open.len() <= MAX_OPEN && scanner.waiting.len() <= MAX_WAITING);
    }
    scanner.finish(&mut |_| found += 1);
    assert_eq!(found, 20_000);
}

#[test]
fn an_endless_trace_is_bounded() {
    let mut scanner = Scanner::new();
    let mut found = Vec::new();
    let mut number = 0;
    let mut observe = |line: &str, found: &mut Vec<Splat>| {
        number += 1;
        scanner.observe(LineRef::new(number, line), &mut |splat| found.push(splat));
    };
    observe("kernel BUG at a.c:1!", &mut found);
    for _ in 0..20_000 {
        observe(" foo+0x1/0x2", &mut found);
        observe("NMI backtrace for cpu 1", &mut found);
        observe("Call Trace:", &mut found);
        observe("Modules linked in: a b c", &mut found);
        observe(" d e f", &mut found);
    }
    scanner.finish(&mut |splat| found.push(splat));
    assert_eq!(found.len(), 1);
    let splat = &found[0];
    assert!(splat.trace.len() <= crate::console::splat::MAX_FRAMES);
    assert!(splat.more_traces.len() <= crate::console::splat::MAX_TRACES);
    assert!(splat.modules.len() <= crate::console::splat::MAX_MODULES);
}

#[test]
fn a_clock_that_jumps_ends_a_report() {
    let text = "\
[   10.000000] BUG: spinlock bad magic on CPU#0, a/1
[   10.000001] Call Trace:
[   10.000002]  foo+0x1/0x2
[   50.000000] something else
[   50.000001]  bar+0x1/0x2
[   50.000002]  baz+0x1/0x2
";
    assert_eq!(reports(text)[0].trace.len(), 1);
    // One damaged stamp is none.
    let text = text
        .replace("[   50.000000]", "[   10.000003]")
        .replace("[   50.000002]", "[   10.000004]");
    assert_eq!(reports(&text)[0].trace.len(), 3);
}

#[test]
fn a_symbolizers_headlines_may_stand_apart() {
    let inlined = "BUG: KMSAN: kernel-infoleak in bar include/linux/foo.h:114 [inline]";
    let outer = "BUG: KMSAN: kernel-infoleak in foo+0xbc/0x110 lib/foo.c:37";
    let found = reports(&format!("{inlined}\n\n{inlined}\n\n\n{outer}\n"));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].also.len(), 2);
    assert_eq!(found[0].function.as_deref(), Some("foo"));
    // The outermost function was named: what comes then is another report.
    assert_eq!(
        reports(&format!("{inlined}\n{outer}\n\n{outer}\n")).len(),
        2
    );
}

/// The machine check is over when something else begins; but a panic may still follow it. The
/// caller leaves the lines in between out.
#[test]
fn a_jump_in_lines_that_are_left_out_ends_nothing() {
    let text = "\
[    9.000000] mce: [Hardware Error]: CPU 1: Machine Check Exception: 5 Bank 0: be00000000800400
[    9.000001] BUG: KCSAN: data-race in foo / bar
[    9.000002] ---[ end trace 389c806a74c30735 ]---
"
    .to_owned()
        + &"[    9.000003] something else\n".repeat(80)
        + "\
[   50.000000] something else
[   50.000001] something else
[    9.000004] Kernel panic - not syncing: Fatal machine check
";
    assert_eq!(filtered(&text), reports(&text));
}

#[test]
fn only_lines_that_are_handed_over_begin_what_has_lost_its_headline() {
    let begins = "IP  [<ffffffff8105641d>] foo+0x9d/0x100\n---[ end trace 0000000000000000 ]---\n";
    assert_eq!(summaries(begins), ["oops fatal cut fn=foo"]);
    assert_eq!(filtered(begins), reports(begins));
    let begins_not = "\
task:cp state:D stack:0 pid:456
 foo+0x1/0x2
---[ end trace 0000000000000000 ]---
";
    assert_eq!(summaries(begins_not), [""; 0]);
    assert_eq!(filtered(begins_not), reports(begins_not));
}

fn sample_lines() -> Vec<String> {
    let lines = REPORTS.lines().filter(|line| !line.starts_with("### "));
    lines.map(str::to_owned).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn anything_is_survived(lines in proptest::collection::vec("\\PC{0,120}", 0..40)) {
        reports(&lines.join("\n"));
    }

    #[test]
    fn lines_in_any_order_are_survived(
        order in proptest::collection::vec(0usize..400, 0..200),
        cuts in proptest::collection::vec(0usize..200, 200),
    ) {
        let all = sample_lines();
        let mut text = String::new();
        for (index, cut) in order.into_iter().zip(cuts) {
            let line = &all[index % all.len()];
            // Some are damaged at their begin.
            let cut = if cut < 20 { cut.min(line.len()) } else { 0 };
            text.push_str(line.get(cut..).unwrap_or_default());
            text.push('\n');
        }
        let found = reports(&text);
        prop_assert!(found.is_sorted_by_key(|splat| splat.line));
        prop_assert_eq!(filtered(&text), found);
    }

    #[test]
    fn what_else_is_printed_changes_nothing(
        index in 0usize..100,
        places in proptest::collection::vec(0usize..60, 0..6),
        words in "[a-z ]{0,40}",
    ) {
        let samples = samples();
        let (_, text) = &samples[index % samples.len()];
        let mut lines: Vec<_> = text.lines().collect();
        for place in places {
            lines.insert(place.min(lines.len()), &words);
        }
        let mut found = summaries(&lines.join("\n"));
        let mut expected = summaries(text);
        // Whether the log ends there is what has changed.
        for text in found.iter_mut().chain(&mut expected) {
            *text = text.replace(" cut", "");
        }
        prop_assert_eq!(found, expected);
    }
}
