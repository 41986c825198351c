//! Bytes of a serial console to lines.
//!
//! Works in one pass over pieces of any size; however the input is cut, the lines are the same.
//! Holds one unfinished line at most.

use std::borrow::Cow;

/// Bytes of a line that are kept. The longest that a kernel prints is about 1 KiB; a command line
/// may have 2 KiB (x86's COMMAND_LINE_SIZE); user space may print anything.
pub const MAX_LINE: usize = 64 * 1024;

/// Stands at the end of a line that was longer than [`MAX_LINE`].
pub const CUT_MARK: &str = " [line cut]";

/// Bytes of an escape sequence after which it is taken for text: on a damaged line the end of the
/// sequence may be missing.
const MAX_ESCAPE: u8 = 64;

/// A line, borrowed from the assembler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRef<'a> {
    number: u64,
    text: &'a str,
    message_at: usize,
    stamp: Option<u64>,
    caller: Option<Caller>,
}

/// Who printed a line, with CONFIG_PRINTK_CALLER.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// `[  T123]`: a task.
    Task(u32),
    /// `[    C0]`: a CPU, in an interrupt.
    Cpu(u32),
}

impl<'a> LineRef<'a> {
    /// A line that is already text. `number` counts from 1.
    pub fn new(number: u64, text: &'a str) -> Self {
        let (stamp, caller, message_at) = prefix(text);
        Self {
            number,
            text,
            message_at,
            stamp,
            caller,
        }
    }

    /// Counts line feeds from 1, as `less -N` does on the log file. Parts of one such line that a
    /// carriage return or a cleared screen separates have the same number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What a terminal would show.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The text without log level, time stamp and caller: `<4>[    1.234567][  T123] `.
    pub fn message(&self) -> &'a str {
        self.text.get(self.message_at..).unwrap_or(self.text)
    }

    /// The kernel's time stamp in microseconds, if the line has one.
    pub fn stamp(&self) -> Option<u64> {
        self.stamp
    }

    /// Who printed it, if the line says so.
    pub fn caller(&self) -> Option<Caller> {
        self.caller
    }

    /// A copy that can be kept.
    pub fn to_line(&self) -> Line {
        Line {
            number: self.number,
            text: self.text.to_owned(),
        }
    }
}

/// A line that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// See [`LineRef::number`].
    pub number: u64,
    /// See [`LineRef::text`].
    pub text: String,
}

impl Line {
    /// The same, borrowed, with its prefix understood.
    pub fn as_ref(&self) -> LineRef<'_> {
        LineRef::new(self.number, &self.text)
    }

    /// See [`LineRef::message`].
    pub fn message(&self) -> &str {
        self.as_ref().message()
    }
}

/// Time stamp in microseconds, caller, and where the message begins.
/// Formats: kernel/printk/printk.c, print_prefix(), print_time(), print_caller() of Linux 6.1.
fn prefix(text: &str) -> (Option<u64>, Option<Caller>, usize) {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut stamp = None;
    if let Some(after) = level(bytes) {
        at = after;
    }
    if let Some((micros, length)) = time(&bytes[at..]) {
        stamp = Some(micros);
        at += length;
    }
    let mut who = None;
    if let Some((caller, length)) = caller(&bytes[at..]) {
        who = Some(caller);
        at += length;
    }
    if at > 0 && bytes.get(at) == Some(&b' ') {
        at += 1;
    }
    (stamp, who, at)
}

/// `<4>`: where it ends.
fn level(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"<")?;
    let digits = rest.iter().take(4).take_while(|b| b.is_ascii_digit());
    let digits = digits.count();
    (digits > 0 && rest.get(digits) == Some(&b'>')).then_some(digits + 2)
}

/// `[    1.234567]`: microseconds and length.
fn time(bytes: &[u8]) -> Option<(u64, usize)> {
    let rest = bytes.strip_prefix(b"[")?;
    let spaces = rest.iter().take_while(|b| **b == b' ').count();
    let rest = &rest[spaces..];
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    // Ten digits are three centuries; more would overflow.
    if !(1..=10).contains(&digits) || rest.get(digits) != Some(&b'.') {
        return None;
    }
    let fraction = rest.get(digits + 1..digits + 7)?;
    if !fraction.iter().all(u8::is_ascii_digit) || rest.get(digits + 7) != Some(&b']') {
        return None;
    }
    let number = |digits: &[u8]| {
        digits
            .iter()
            .fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'))
    };
    let micros = number(&rest[..digits]) * 1_000_000 + number(fraction);
    Some((micros, 1 + spaces + digits + 8))
}

/// `[  T123]` or `[    C0]`, and its length.
fn caller(bytes: &[u8]) -> Option<(Caller, usize)> {
    let rest = bytes.strip_prefix(b"[")?;
    let spaces = rest.iter().take_while(|b| **b == b' ').count();
    let rest = &rest[spaces..];
    let digits = rest.get(1..)?.iter().take(10);
    let digits = digits.take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 || rest.get(1 + digits) != Some(&b']') {
        return None;
    }
    let number = std::str::from_utf8(&rest[1..=digits]).ok()?.parse().ok()?;
    let caller = match rest[0] {
        b'T' => Caller::Task(number),
        b'C' => Caller::Cpu(number),
        _ => return None,
    };
    Some((caller, spaces + digits + 3))
}

/// Puts lines together.
#[derive(Debug, Clone)]
pub struct LineAssembler {
    text: Vec<u8>,
    number: u64,
    /// A byte of the current line has been seen.
    begun: bool,
    /// Carriage return seen: a line feed ends the line, anything else writes over it.
    returned: bool,
    cut: bool,
    escape: Escape,
}

/// Where in an escape sequence (ECMA-48) the input stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    /// After ESC.
    Begun,
    /// After ESC and an intermediate byte: `ESC ( B`.
    Intermediate,
    /// After `ESC [`, with the number of bytes seen.
    Control(u8),
    /// In a command string, which BEL or `ESC \` ends, with the number of bytes seen.
    Text(u8),
}

impl Default for LineAssembler {
    fn default() -> Self {
        Self::new()
    }
}

impl LineAssembler {
    /// Before the first byte.
    pub fn new() -> Self {
        Self {
            text: Vec::new(),
            number: 1,
            begun: false,
            returned: false,
            cut: false,
            escape: Escape::None,
        }
    }

    /// Takes the next bytes; calls `emit` for each line that they complete.
    pub fn push(&mut self, bytes: &[u8], mut emit: impl FnMut(LineRef<'_>)) {
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            if !self.begun
                && let Some((text, length)) = clean_line(rest)
            {
                emit(LineRef::new(self.number, text));
                self.number += 1;
                rest = &rest[length..];
                continue;
            }
            // Until the next line feed: whatever keeps a line off the fast path is looked for
            // once a line, not once a byte.
            self.begun = true;
            let run = match self.escape {
                Escape::None => rest.iter().take_while(|b| is_text(**b)).count(),
                _ => 0,
            };
            if run > 0 {
                self.append(&rest[..run], &mut emit);
                rest = &rest[run..];
            } else {
                self.step(*first, &mut emit);
                rest = &rest[1..];
            }
        }
    }

    /// The input has ended: what stands there without a line feed is a line too.
    pub fn finish(mut self, mut emit: impl FnMut(LineRef<'_>)) {
        if !self.text.is_empty() {
            self.emit(&mut emit);
        }
    }

    fn step(&mut self, byte: u8, emit: &mut impl FnMut(LineRef<'_>)) {
        if self.escape != Escape::None && self.escaped(byte, emit) {
            return;
        }
        match byte {
            b'\n' => {
                self.emit(emit);
                self.number += 1;
                self.begun = false;
                self.returned = false;
            }
            b'\r' => self.returned = true,
            0x1b => self.escape = Escape::Begun,
            byte if is_text(byte) => self.append(&[byte], emit),
            // NUL, BEL, backspace and the like: noise on a serial line.
            _ => {}
        }
    }

    /// Whether the byte belongs to the escape sequence.
    fn escaped(&mut self, byte: u8, emit: &mut impl FnMut(LineRef<'_>)) -> bool {
        let (next, taken) = match (self.escape, byte) {
            (Escape::Begun, b'[') => (Escape::Control(0), true),
            (Escape::Begun, b']' | b'P' | b'X' | b'^' | b'_') => (Escape::Text(0), true),
            (Escape::Begun | Escape::Intermediate, 0x20..=0x2f) => (Escape::Intermediate, true),
            // A reset terminal is a new page: SeaBIOS sends this right before the kernel's first
            // line, in the middle of its own.
            (Escape::Begun, b'c') => {
                self.break_line(emit);
                (Escape::None, true)
            }
            (Escape::Begun | Escape::Intermediate, 0x30..=0x7e) => (Escape::None, true),
            (Escape::Control(seen), 0x20..=0x3f) if seen < MAX_ESCAPE => {
                (Escape::Control(seen + 1), true)
            }
            (Escape::Control(_), 0x40..=0x7e) => {
                if matches!(byte, b'H' | b'J' | b'f') {
                    self.break_line(emit);
                }
                (Escape::None, true)
            }
            (Escape::Text(_), 0x07) => (Escape::None, true),
            // `ESC \` or a new sequence: the next byte tells.
            (Escape::Text(_), 0x1b) => (Escape::Begun, true),
            (Escape::Text(seen), _) if byte >= 0x20 && seen < MAX_ESCAPE => {
                (Escape::Text(seen + 1), true)
            }
            _ => (Escape::None, false),
        };
        self.escape = next;
        taken
    }

    fn append(&mut self, bytes: &[u8], emit: &mut impl FnMut(LineRef<'_>)) {
        if std::mem::take(&mut self.returned) && !self.text.is_empty() {
            // A progress bar writes over itself; only its last state is of interest. Anything
            // else before a lone carriage return is a line whose line feed got lost.
            if self.text.contains(&b'%') {
                self.clear();
            } else {
                self.break_line(emit);
            }
        }
        let room = MAX_LINE - self.text.len();
        self.text.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.cut |= bytes.len() > room;
    }

    fn break_line(&mut self, emit: &mut impl FnMut(LineRef<'_>)) {
        if !self.text.trim_ascii().is_empty() {
            self.emit(emit);
        }
        self.clear();
    }

    fn emit(&mut self, emit: &mut impl FnMut(LineRef<'_>)) {
        let mut text = String::from_utf8_lossy(&self.text);
        if self.cut {
            text = Cow::Owned(text.into_owned() + CUT_MARK);
        }
        emit(LineRef::new(self.number, &text));
        drop(text);
        self.clear();
    }

    fn clear(&mut self) {
        self.text.clear();
        // An ordinary line needs a fraction of what a monster left behind.
        self.text.shrink_to(4096);
        self.cut = false;
    }
}

fn is_text(byte: u8) -> bool {
    (byte >= 0x20 && byte != 0x7f) || byte == b'\t'
}

/// The first line of the input and its length with the line feed, if it is complete and what a
/// terminal shows is what it says: nearly every line of nearly every log.
fn clean_line(bytes: &[u8]) -> Option<(&str, usize)> {
    let end = memchr::memchr(b'\n', &bytes[..bytes.len().min(MAX_LINE)])?;
    let mut line = &bytes[..end];
    while let Some(shorter) = line.strip_suffix(b"\r") {
        line = shorter;
    }
    // Without an early exit, so that it compiles to vector instructions.
    let clean = line.iter().fold(true, |all, byte| all & is_text(*byte));
    if !clean {
        return None;
    }
    Some((std::str::from_utf8(line).ok()?, end + 1))
}

#[cfg(test)]
mod tests {
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
        let bar =
            b"\rCopying data : [ 17.9 %] \\ eta: 3s\rCopying data : [100.0 %] | eta: 0s\r\nnext";
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
}
