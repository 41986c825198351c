use proptest::prelude::*;

use crate::console::{LineAssembler, LineRef, MAX_LINE};

fn lines_of(input: &[u8]) -> Vec<(u64, String)> {
    let mut lines = Vec::new();
    let mut keep = |line: LineRef<'_>| lines.push((line.number(), line.text().to_owned()));
    let mut assembler = LineAssembler::new();
    assembler.push(input, &mut keep);
    assembler.finish(&mut keep);
    lines
}

fn texts(input: &str) -> Vec<String> {
    lines_of(input.as_bytes())
        .into_iter()
        .map(|(_, text)| text)
        .collect()
}

/// As a terminal of 80 columns does.
fn folded(text: &str) -> String {
    let mut output = String::new();
    for line in text.lines() {
        let characters: Vec<char> = line.chars().collect();
        for columns in characters.chunks(80) {
            output.extend(columns);
            output.push('\n');
        }
        if characters.is_empty() {
            output.push('\n');
        }
    }
    output
}

#[test]
fn joined_messages_come_apart() {
    assert_eq!(
        lines_of(b"first\n[   12.300000] one[   12.400000] two [   12.500000][  T1]  ? x\nlast"),
        [
            (1, "first".into()),
            (2, "[   12.300000] one".into()),
            (2, "[   12.400000] two".into()),
            (2, "[   12.500000][  T1]  ? x".into()),
            (3, "last".into()),
        ]
    );
    assert_eq!(
        texts("some bmc's own words: [ 1.234567] text\n"),
        ["some bmc's own words:", "[ 1.234567] text"]
    );
    assert_eq!(
        texts("[ 1.234567] [ 1.234568] Stack:"),
        ["[ 1.234567]", "[ 1.234568] Stack:"]
    );
}

#[test]
fn what_looks_like_a_stamp_stays() {
    for text in [
        "foo [1.5] bar",
        "foo [1.234567]",
        "foo [1.2345678] bar",
        "[    1.234567] RIP: 0010:[<ffffffff8105641d>]  [<ffffffff8105641d>] f+0x9d/0x100",
        "Nov 22 10:00:00 host kernel: [    1.234567] text",
        "[2026-11-22 10:00:00] [    1.234567][  T12] text",
        "usb 1-1: new device [ 12 ] [ 1.5 %] found",
    ] {
        assert_eq!(texts(text), [text]);
    }
}

#[test]
fn the_field_report() {
    let report = include_bytes!("../../../tests/logs/field-report.txt");
    let lines = lines_of(report);
    let trace: Vec<&str> = lines
        .iter()
        .filter(|(number, _)| *number == 4)
        .map(|(_, text)| text.as_str())
        .collect();
    assert_eq!(
        trace[0],
        "[ 17.428239] ------------[ cut here ]------------"
    );
    assert_eq!(
        trace[1],
        "[ 17.433467] kernel BUG at arch/x86/kernel/apic/io_apic.c:1358!"
    );
    assert!(trace.contains(
        &"[ 17.493359] RIP: 0010:[<ffffffff8105641d>] [<ffffffff8105641d>] __clear_irq_vector+0x9d/0x100"
    ));
    assert!(trace.contains(&"[ 17.616697] [<ffffffff8105803e>] arch_teardown_hwirq+0x3e/0x70"));
    assert!(trace.iter().any(|line| {
        line.starts_with("[ 17.698028] [<ffffffffc019f748>] mpt3sas_base_map_resources+0x188/0x710")
    }));
    let stamped = |line: &&str| LineRef::new(1, line).stamp().is_some();
    assert!(trace.iter().all(stamped));
    let failed = "[ 18.419317] mpt3sas0: unable to allocate interrupt 214!";
    assert!(lines.iter().any(|(_, text)| text == failed));
    // Every stamp of it begins a line, and no text is lost.
    let whole = String::from_utf8_lossy(report);
    let stamp = regex::Regex::new(r"\[ ?\d+\.\d{6}\] ").unwrap();
    let stamps = stamp.find_iter(&whole).count();
    let found = lines
        .iter()
        .filter(|(_, text)| stamped(&text.as_str()))
        .count();
    assert_eq!(stamps, found);
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    let all: String = lines.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(squeezed(&all), squeezed(&whole));
}

#[test]
fn folded_lines_are_put_together() {
    let log = "\
[   17.428239] ------------[ cut here ]------------
[   17.465081] CPU: 0 PID: 234 Comm: systemd-udevd Tainted: G           OE  ------------   3.10.0-693.5.2.el7.x86_64 #1
[   17.444670] Modules linked in: mpt3sas(OE+) raid_class scsi_transport_sas i40e(OE) ast i2c_algo_bit ptp drm_kms_helper pps_core syscopyarea sysfillrect sysimgblt fb_sys_fops ttm drm
[   17.524295] RBP: ffff88002bfbf8d0 R08: 0000000000000000 R09: ffff88002e10eb68
[   14.831130] RAX: ffffffffffffffda RBX: 0000000000000001 RCX: 000000000047b7a0
[   14.831131] RDX: 0000000000000002 RSI: 0000000031331fd0 RDI: 0000000000000001
";
    let expected: Vec<&str> = log.lines().collect();
    assert_eq!(texts(&folded(log)), expected);
    assert_eq!(texts(&folded(log).replace('\n', "\r\n")), expected);
    let numbers: Vec<u64> = lines_of(folded(log).as_bytes())
        .iter()
        .map(|(n, _)| *n)
        .collect();
    assert_eq!(numbers, [1, 2, 4, 7, 8, 9]);
}

#[test]
fn unstamped_lines_fold_only_within_a_word() {
    let long = "Modules linked in: mpt3sas(OE+) raid_class scsi_transport_sas i40e(OE) ast i2c_algo_bit ptp";
    assert_eq!(texts(&folded(long)), [long]);
    let full = "x".repeat(80);
    for next in [
        "[    1.000000] text",
        "RIP: 0010:f",
        "Call Trace:",
        "",
        " indented",
        "<4>text",
        "> text",
    ] {
        assert_eq!(
            texts(&format!("{full}\n{next}\nlast")),
            [&full, next, "last"]
        );
    }
    let spaced = format!("{} ", "x".repeat(79));
    assert_eq!(texts(&format!("{spaced}\nword")), [&spaced, "word"]);
}

#[test]
fn where_lines_are_wider_nobody_folds() {
    let wide = format!("[    1.000000] {}", "w".repeat(80));
    let full = format!("[    1.000000] {}", "f".repeat(65));
    assert_eq!(
        texts(&format!("{wide}\n{full}\nroot")),
        [&*wide, &full, "root"]
    );
    // Prose of any width proves nothing for the kernel's lines.
    let prose = "p".repeat(100);
    assert_eq!(
        texts(&format!("{prose}\n{full}\nroot")),
        [prose, format!("{full}root")]
    );
    // Nor does what is long ago.
    let between = "short\n".repeat(1000);
    let lines = texts(&format!("{wide}\n{between}{full}\nroot"));
    assert_eq!(lines.last(), Some(&format!("{full}root")));
}

#[test]
fn a_line_is_there_as_soon_as_it_is_complete() {
    let mut lines = 0;
    let mut assembler = LineAssembler::new();
    assembler.push(b"[    1.000000] text\n", |_| lines += 1);
    assert_eq!(lines, 1);
    let full = format!("[    1.000000] {}\n", "f".repeat(65));
    assembler.push(full.as_bytes(), |_| lines += 1);
    assert_eq!(lines, 1);
    assembler.push(b"[    1.000001] text\n", |_| lines += 1);
    assert_eq!(lines, 3);
}

#[test]
fn a_log_that_lost_all_its_line_feeds() {
    let count = 20_000;
    let log: String = (0..count)
        .map(|index| format!("[{:5}.{:06}] some message {index} ", index / 100, index))
        .collect();
    assert!(log.len() > 10 * MAX_LINE);
    let lines = lines_of(log.as_bytes());
    assert_eq!(lines.len(), count);
    for (index, (number, text)) in lines.iter().enumerate() {
        assert_eq!(*number, 1);
        let trimmed = text.trim_end();
        assert!(trimmed.ends_with(&format!("message {index}")), "{text}");
    }
}

#[test]
fn a_message_after_a_monster_is_found() {
    for length in [
        MAX_LINE + 1,
        2 * MAX_LINE - 9,
        2 * MAX_LINE + 5,
        5 * MAX_LINE,
    ] {
        let log = format!("{}[    1.234567] kernel BUG\nnext", "x".repeat(length));
        let lines = texts(&log);
        assert_eq!(lines.len(), 3, "{length}");
        assert!(lines[0].len() < MAX_LINE + 20);
        assert_eq!(lines[1..], ["[    1.234567] kernel BUG", "next"]);
    }
}

#[test]
fn clean_logs_are_left_alone() {
    for log in [
        include_str!("../../../tests/logs/field-report-reproduced-3.10-i40e-mpt3sas.log"),
        include_str!("../../../tests/logs/more-cpus-do-not-cure-flat-apic-3.10.log"),
        include_str!("../../../tests/logs/exhausted-nvme-3.10.log"),
        include_str!("../../../tests/logs/exhausted-mpt3sas-6.1.log"),
    ] {
        // But for the firmware's escape sequences, what users' programs print, and where two CPUs
        // spoke in one line.
        let lines = texts(log);
        let stamped =
            |text: &&str| text.starts_with('[') && LineRef::new(1, text).stamp().is_some();
        let before: Vec<&str> = log.lines().filter(stamped).collect();
        let after: Vec<&str> = lines.iter().map(String::as_str).filter(stamped).collect();
        assert!(before.len() > 30);
        assert!(after.len() >= before.len());
        for line in after.iter().filter(|line| !before.contains(line)) {
            let joined = |whole: &str| whole.contains(line) && whole.matches("[    ").count() > 1;
            let within = |whole: &str| whole.find(line).is_some_and(|at| at > 0);
            assert!(
                log.lines().any(|whole| joined(whole) || within(whole)),
                "{line}"
            );
        }
    }
}

/// Three times what is held of one line, in pieces. What is emitted cannot be more than what came
/// in, and no line is longer than lines may be.
#[test]
fn hostile_floods_stay_bounded() {
    for unit in [
        &b"x"[..],
        b"[",
        b"\r",
        b"\x1b",
        b"\0",
        b"[ 1.234567] ",
        b"[ 1.234567] x\x1b[J",
        b"x\r",
        b"%\r",
        b"[      ",
        b"&lt;",
        b"\xff",
        b"> ",
        b"\n",
        b"[    1.234567] aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
        b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
    ] {
        let flood: Vec<u8> = unit.iter().copied().cycle().take(3 << 17).collect();
        let mut size = 0;
        let mut assembler = LineAssembler::new();
        for piece in flood.chunks(7777) {
            assembler.push(piece, |line| {
                assert!(line.text().len() < MAX_LINE + 20);
                size += line.text().len();
            });
        }
        assembler.finish(|line| size += line.text().len());
        assert!(size <= flood.len(), "{:?}", unit.escape_ascii().to_string());
    }
}

/// Lines of all kinds, of about 80 columns.
fn log() -> impl Strategy<Value = Vec<u8>> {
    let line = (
        proptest::sample::select(vec!["", "[    1.234567] ", "> ", "<4>"]),
        "([a-z:]{1,9} ?){0,4}",
        proptest::sample::select(vec![
            "",
            "[    1.234567] ",
            "[    1.234568][  T1] ",
            "&lt;",
            "\u{e4}",
            "\0",
            "\r",
        ]),
        proptest::option::of(78usize..84),
        proptest::sample::select(vec!["\n", "\r\n", "\n\r", ""]),
    );
    let line = line.prop_map(|(prefix, text, middle, width, end)| {
        let mut line = format!("{prefix}{text}{middle}{text}");
        if let Some(width) = width {
            while line.len() < width {
                line.push('w');
            }
        }
        (line + end).into_bytes()
    });
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_lines(log in log(), cuts in proptest::collection::vec(0usize..1000, 0..4)) {
        let whole = lines_of(&log);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(log.len())).collect();
        cuts.extend([0, log.len()]);
        cuts.sort_unstable();
        let mut lines = Vec::new();
        let mut keep = |line: LineRef<'_>| lines.push((line.number(), line.text().to_owned()));
        let mut assembler = LineAssembler::new();
        for pair in cuts.windows(2) {
            assembler.push(&log[pair[0]..pair[1]], &mut keep);
        }
        assembler.finish(&mut keep);
        prop_assert_eq!(lines, whole);
    }

    #[test]
    fn folding_is_undone(messages in proptest::collection::vec("[a-z][a-z0-9+/:=. ]{0,200}[a-z]", 1..8)) {
        let log: String = messages.iter().map(|message| format!("[    1.234567] {message}\n")).collect();
        let expected: Vec<&str> = log.lines().collect();
        // What begins at the margin as a record of its own cannot be told from one.
        let cuts_are_plain = folded(&log).lines().all(|line| {
            line.starts_with("[    1.234567] ") || LineRef::new(1, line).message() == line
        });
        prop_assume!(cuts_are_plain);
        prop_assert_eq!(texts(&folded(&log)), expected);
    }

    #[test]
    fn joining_is_undone(messages in proptest::collection::vec("[a-z][a-z0-9+/:=. ]{0,60}[a-z]", 1..20), gap in " ?") {
        let lines: Vec<String> = messages.iter().map(|message| format!("[    1.234567] {message}")).collect();
        prop_assert_eq!(texts(&lines.join(&gap)), lines);
    }
}
