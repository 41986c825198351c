use proptest::prelude::*;

use super::*;

fn lines_of(pieces: &[&[u8]]) -> Vec<(u64, String)> {
    let mut lines = Vec::new();
    let mut assembler = LineAssembler::new();
    for piece in pieces {
        assembler.push(piece, |line| {
            lines.push((line.number, line.text.to_owned()))
        });
    }
    assembler.finish(|line| lines.push((line.number, line.text.to_owned())));
    lines
}

fn texts(input: &[u8]) -> Vec<String> {
    lines_of(&[input])
        .into_iter()
        .map(|(_, text)| text)
        .collect()
}

#[test]
fn line_ends() {
    assert_eq!(texts(b"a\nb\r\nc\r\r\n\nd"), ["a", "b", "c", "", "d"]);
}

#[test]
fn numbers_are_those_of_the_file() {
    assert_eq!(
        lines_of(&[b"a\nx\ry\nb"]),
        [
            (1, "a".into()),
            (2, "x".into()),
            (2, "y".into()),
            (3, "b".into())
        ]
    );
}

#[test]
fn a_progress_bar_leaves_its_last_state() {
    let bar = b"\rCopying data : [ 17.9 %] \\ eta: 3s\rCopying data : [100.0 %] | eta: 0s\r\nnext";
    assert_eq!(texts(bar), ["Copying data : [100.0 %] | eta: 0s", "next"]);
}

#[test]
fn a_lost_line_feed_loses_no_line() {
    assert_eq!(
        texts(b"Kernel panic - not syncing: x\rRebooting\r\n"),
        ["Kernel panic - not syncing: x", "Rebooting"]
    );
}

#[test]
fn seabios_is_kept_apart_from_the_kernel() {
    let input = b"\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS (version 1.16.2)\r\nProbing EDD... o\x1bc\x1b[?7l\x1b[2J[    0.000000] Linux version 6.1\r\n";
    assert_eq!(
        texts(input),
        [
            "SeaBIOS (version 1.16.2)",
            "Probing EDD... o",
            "[    0.000000] Linux version 6.1"
        ]
    );
}

#[test]
fn noise_is_left_out() {
    assert_eq!(texts(b"a\0b\x07c\x08\x7f\td\n"), ["abc\td"]);
    assert_eq!(texts(b"\x1b[1;31mred\x1b[0m \x1b(Bplain\n"), ["red plain"]);
    assert_eq!(
        texts(b"\x1b]0;title\x07text\x1b]0;t\x1b\\more\n"),
        ["textmore"]
    );
    assert_eq!(texts(b"\xff\xfeok\n"), ["\u{fffd}\u{fffd}ok"]);
}

#[test]
fn an_escape_sequence_ends_with_its_line() {
    assert_eq!(texts(b"a\x1b[\nb\x1b]\r\nc\x1b\nd"), ["a", "b", "c", "d"]);
}

#[test]
fn a_monster_is_cut_and_what_follows_is_read() {
    let mut input = vec![b'x'; 3 * MAX_LINE];
    input.extend_from_slice(b"\nnext\n");
    let lines = texts(&input);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].len(), MAX_LINE + CUT_MARK.len());
    assert!(lines[0].ends_with(CUT_MARK));
    assert_eq!(lines[1], "next");
}

#[test]
fn prefixes() {
    for (text, message, stamp) in [
        ("[    1.234567] text", "text", Some(1_234_567)),
        ("<4>[   12.000001] text", "text", Some(12_000_001)),
        ("[    0.000000][    T0] text", "text", Some(0)),
        (
            "[    2.500000][   C12]  indented",
            " indented",
            Some(2_500_000),
        ),
        ("[  T123] text", "text", None),
        ("<14>text", "text", None),
        (
            "[<ffffffff8103243d>] f+0x1/0x2",
            "[<ffffffff8103243d>] f+0x1/0x2",
            None,
        ),
        ("[ 17.9 %] x", "[ 17.9 %] x", None),
        ("[99999999999.000000] x", "[99999999999.000000] x", None),
        ("plain", "plain", None),
        (" 0: 232 IO-APIC", " 0: 232 IO-APIC", None),
    ] {
        let line = LineRef::new(1, text);
        assert_eq!((line.message(), line.stamp()), (message, stamp), "{text}");
    }
}

/// Bytes that take every path: text, ends, escapes, noise.
fn console() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        "[ -~]{0,12}".prop_map(String::into_bytes),
        proptest::sample::select(vec![
            &b"\n"[..],
            b"\r\n",
            b"\r",
            b"\x1b[2J",
            b"\x1bc",
            b"\x1b[",
            b"\x1b]0;",
            b"\x07",
            b"\x1b",
            b"\0",
            b"\xff",
            b"\xc3\xa4",
            b"[ 3.0 %]",
            b"[    1.000000] ",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_lines(input in console(), cuts in proptest::collection::vec(0usize..400, 0..6)) {
        let whole = lines_of(&[&input]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&lines_of(&pieces), &whole);
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        prop_assert_eq!(&lines_of(&bytes), &whole);
    }

    #[test]
    fn random_bytes_are_survived(input in proptest::collection::vec(any::<u8>(), 0..2000)) {
        for (_, text) in lines_of(&[&input]) {
            prop_assert!(!text.contains(['\n', '\r', '\0', '\x1b']));
            LineRef::new(1, &text).message();
        }
    }
}
