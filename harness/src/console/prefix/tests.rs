use proptest::prelude::*;

use super::*;
use crate::console::LineRef;

fn check(table: &[(&str, &str, Option<u64>)]) {
    for (text, message, stamp) in table {
        let line = LineRef::new(1, text);
        assert_eq!((line.message(), line.stamp()), (*message, *stamp), "{text}");
    }
}

const T: Option<u64> = Some(12_345_678);

#[test]
fn kernel() {
    check(&[
        ("[   12.345678] text", "text", T),
        ("[   12.345678]  ? foo+0x1/0x2", " ? foo+0x1/0x2", T),
        ("[   12.345678]", "", T),
        ("[   12.345678] ", "", T),
        ("[   12.345678]text", "text", T),
        ("[12.345678] text", "text", T),
        ("[ 12.345678] text", "text", T),
        ("[99999.999999] x", "x", Some(99_999_999_999)),
        ("[123456.000001] x", "x", Some(123_456_000_001)),
        ("[    0.000000] x", "x", Some(0)),
        ("<4>[   12.345678] text", "text", T),
        ("<4>text", "text", None),
        ("<0>  RIP", "  RIP", None),
        ("[   12.345678] <4>text", "text", T),
        ("[   12.345678][  T123] text", "text", T),
        ("[   12.345678][    C0]  ? x", " ? x", T),
        ("[   12.345678] [  T1] text", "text", T),
        ("[  T123] text", "text", None),
        ("6,339,12345678,-;text", "text", T),
        ("4,339,12345678,-,caller=T12; text", " text", T),
        // What is not its clock.
        ("[   12.34567] text", "[   12.34567] text", None),
        ("[   12.3456789] text", "[   12.3456789] text", None),
        ("[    !.345678] text", "[    !.345678] text", None),
        ("[     .345678] text", "[     .345678] text", None),
        ("[   12.345678} text", "[   12.345678} text", None),
        ("[99999999999.000000] x", "[99999999999.000000] x", None),
        ("[ 17.9 %] x", "[ 17.9 %] x", None),
        ("[  OK  ] Started x", "[  OK  ] Started x", None),
        ("[<ffffffff8103243d>] f", "[<ffffffff8103243d>] f", None),
        (
            "[   12.345678] [<ffffffff8103243d>] f",
            "[<ffffffff8103243d>] f",
            T,
        ),
        ("[   12.345678] <IRQ> f", "<IRQ> f", T),
        // A clock that ran below zero, or counts from 1970.
        ("[18446744004.990806] x", "x", None),
        ("[1774173600.123456] x", "x", None),
    ]);
    let line = LineRef::new(1, "[   12.345678][  T123] x");
    assert_eq!(line.caller(), Some(Caller::Task(123)));
    let line = LineRef::new(1, "Nov 22 10:00:00 h kernel: [   12.345678][   C12] x");
    assert_eq!(line.caller(), Some(Caller::Cpu(12)));
}

#[test]
fn vendors() {
    check(&[
        ("<6>[   12.345678,0] text", "text", T),
        ("[   12.345678@3] text", "text", T),
        ("[   12.345678] [0:      swapper/0:    1] text", "text", T),
        ("[   12.345678]  [2:kworker/u8:1:  234]  ? x", " ? x", T),
        ("[   12.345678] (0)[1:swapper/0]text", "text", T),
        ("[   12.345678] [0:0:0:0] disk", "[0:0:0:0] disk", T),
        ("[   12.345678] [0000:00:1f.2] x", "[0000:00:1f.2] x", T),
        ("[   12.345678] (0) x", "(0) x", T),
    ]);
}

#[test]
fn dmesg() {
    check(&[
        ("[Sun Nov 22 10:00:00 2026] text", "text", None),
        ("[Sun Nov  1 10:00:00 2026]  ? x", " ? x", None),
        ("[Nov22 10:00] text", "text", None),
        ("[  +0.000012]  ? x", " ? x", None),
        ("[<    0.000012>] text", "text", None),
        ("[   12.345678 <    0.000012>] text", "text", T),
        ("kern  :emerg : [   12.345678] text", "text", T),
        (
            "kern  :warn  : [Sun Nov 22 10:00:00 2026]  ? x",
            " ? x",
            None,
        ),
        ("daemon:info  : text", "text", None),
        // Copied without the first column.
        ("   12.345678] text", "text", T),
        ("12.34567] text", "12.34567] text", None),
        ("2026-11-22T10:00:00,123456+00:00 text", "text", None),
        (
            "kern  :err   : 2026-11-22T10:00:00,123456+00:00 text",
            "text",
            None,
        ),
        ("kern: text", "kern: text", None),
    ]);
}

#[test]
fn syslog_and_journald() {
    check(&[
        ("Nov 22 10:00:00 host kernel: text", "text", None),
        ("Nov  2 10:00:00 host kernel:  ? x", " ? x", None),
        (
            "Nov 22 10:00:00 host kernel: [   12.345678] text",
            "text",
            T,
        ),
        (
            "Nov 22 10:00:00 a-b.example.com kernel[123]: [   12.345678] text",
            "text",
            T,
        ),
        ("Nov 22 10:00:00 kernel: [   12.345678]  ? x", " ? x", T),
        (
            "Nov 22 10:00:00 host kern.warn kernel: [   12.345678] text",
            "text",
            T,
        ),
        ("Nov 22 10:00:00 192.0.2.1 text", "text", None),
        ("Nov 22 10:00:00 2001:db8::1 [   12.345678] text", "text", T),
        ("Nov 22 10:00:00 host [   12.345678] text", "text", T),
        ("Nov 22 10:00:00.123456 host kernel: text", "text", None),
        ("Nov 22 2026 10:00:00 host kernel: text", "text", None),
        (
            "2026-11-22T10:00:00.123456+00:00 host kernel: [   12.345678] text",
            "text",
            T,
        ),
        ("2026-11-22T10:00:00+0000 host kernel: text", "text", None),
        (
            "Sun 2026-11-22 10:00:00 UTC host kernel: text",
            "text",
            None,
        ),
        ("1774173600.123456 host kernel: text", "text", None),
        ("[   12.345678] host kernel: text", "text", T),
        (
            "[   12.345678] a-very-long-host.name.example.org kernel:  ? x",
            " ? x",
            T,
        ),
        (
            "<4>Nov 22 10:00:00 host kernel: [   12.345678] text",
            "text",
            T,
        ),
        (
            "<4>1 2026-11-22T10:00:00.123456+00:00 host kernel - - - [   12.345678] text",
            "text",
            T,
        ),
        (
            "Sun Nov 22 10:00:00 2026 kern.warn kernel: [   12.345678] text",
            "text",
            T,
        ),
        ("kernel: [   12.345678] text", "text", T),
        // Somebody else's.
        (
            "Nov 22 10:00:00 host systemd[1]: Started x",
            "host systemd[1]: Started x",
            None,
        ),
        (
            "-- Logs begin at Sun 2026-11-22 10:00:00 UTC, end at x. --",
            "-- Logs begin at Sun 2026-11-22 10:00:00 UTC, end at x. --",
            None,
        ),
        ("November rain", "November rain", None),
        ("May I", "May I", None),
    ]);
}

#[test]
fn terminal_servers() {
    check(&[
        ("[2026-11-22 10:00:00] text", "text", None),
        ("[2026-11-22 10:00:00.123] [   12.345678] text", "text", T),
        ("[2026-11-22T10:00:00.123Z] [   12.345678]  ? x", " ? x", T),
        ("2026-11-22 10:00:00 [   12.345678] text", "text", T),
        ("2026-11-22 10:00:00: text", "text", None),
        ("2026-11-22T10:00:00Z [   12.345678] text", "text", T),
        (
            "2026-11-22T10:00:00.1234567Z [   12.345678] text",
            "text",
            T,
        ),
        ("2026/11/22 10:00:00 text", "text", None),
        ("11/22/2026 10:00:00 text", "text", None),
        ("10:00:00.123 [   12.345678] text", "text", T),
        ("10:00:00  ? x", " ? x", None),
        ("[10:00:00] text", "text", None),
        ("[timestamp: 2026, anything] [   12.345678] text", "text", T),
        ("host login: [   12.345678] text", "text", T),
        ("host-1.example login: Kernel panic", "Kernel panic", None),
        ("host console: [   12.345678] text", "text", T),
        ("SOL> [   12.345678] text", "text", T),
        (
            "[Sun Nov 22 10:00:00 2026] <4>[   12.345678] text",
            "text",
            T,
        ),
        // A prompt at which nobody has said anything.
        ("host login: ", "host login: ", None),
        ("00:05: ttyS0 at I/O", "00:05: ttyS0 at I/O", None),
        ("52:54:00:12:34:56 x", "52:54:00:12:34:56 x", None),
        ("10:00:00 CPU 0", "CPU 0", None),
        ("99:00:00 x", "99:00:00 x", None),
        ("0000:00:1f.2 x", "0000:00:1f.2 x", None),
    ]);
}

#[test]
fn quoted_and_indented() {
    check(&[
        ("> [   12.345678]  ? x", " ? x", T),
        (">> [   12.345678] text", "text", T),
        (
            "> > > Nov 22 10:00:00 host kernel: [   12.345678] text",
            "text",
            T,
        ),
        ("> Kernel panic", "Kernel panic", None),
        (">  ? x", " ? x", None),
        ("    [   12.345678] text", "text", T),
        ("\t[   12.345678] text", "text", T),
        ("    > <4>[   12.345678] text", "text", T),
        (" ? foo+0x1/0x2", " ? foo+0x1/0x2", None),
        (" 0: 232 IO-APIC", " 0: 232 IO-APIC", None),
        ("plain", "plain", None),
        ("", "", None),
        ("[", "[", None),
        ("\u{e4}", "\u{e4}", None),
    ]);
}

proptest! {
    #[test]
    fn the_quick_way_reads_what_the_thorough_one_reads(
        seconds in 0u32..120_000, micros in 0u32..1_000_000, damage in proptest::option::of((0usize..15, "[ -~]")),
        rest in "[ \\[<(]?[ -~]{0,20}",
    ) {
        let mut line = format!("[{seconds:5}.{micros:06}] {rest}");
        if let Some((at, by)) = damage {
            line.replace_range(at..=at, &by);
        }
        let quick = parse(line.as_bytes());
        if quick.plain {
            let stamp = line[..quick.end].bytes();
            prop_assert!(stamp.into_iter().all(|byte| b"[] .0123456789".contains(&byte)), "{line}");
        }
        let quick = Prefix { plain: false, ..quick };
        let thorough = general(line.as_bytes());
        // Only the thorough one minds spaces among the digits.
        let spaced = thorough.stamp.is_none() && line[1..6].trim_start().contains(' ');
        prop_assert!(quick == thorough || spaced, "{line}");
    }

    #[test]
    fn anything_is_survived(text in "\\PC{0,60}", pieces in proptest::collection::vec(
        proptest::sample::select(vec![
            "[", "]", "<", ">", "4", "12.345678", " ", ":", "Nov", "Sun", "10:00:00", "2026", "-",
            "11-22", "T", "Z", "host", "kernel", "login: ", "kern", "err", "+", "@", ",", ";", "(", ")",
            "\u{e4}", "timestamp:", "SOL> ", "UTC",
        ]), 0..20)) {
        let text = pieces.concat() + &text;
        let line = LineRef::new(1, &text);
        prop_assert!(text.ends_with(line.message()));
        // A boundary, or the message would be the whole text.
        prop_assert!(text.is_char_boundary(parse(text.as_bytes()).end));
    }

    #[test]
    fn any_order_and_repetition(
        before in proptest::collection::vec(proptest::sample::select(vec![
            "> ", "    ", "<4>", "[2026-11-22 10:00:00] ", "2026-11-22T10:00:00Z ", "SOL> ", "kern  :err   : ",
            "Nov 22 10:00:00 host kernel: ",
        ]), 0..6),
        caller in proptest::sample::select(vec!["", "[  T123]", "[    C0]"]),
        message in " ?[a-z]{1,8}( [a-z+/0-9]{1,8}){0,3}",
    ) {
        let text = format!("{}[   12.345678]{caller} {message}", before.concat());
        let line = LineRef::new(1, &text);
        prop_assert_eq!((line.message(), line.stamp()), (message.as_str(), T), "{}", text);
    }
}
