//! Bytes of a serial console to lines.
//!
//! Works in one pass over pieces of any size; however the input is cut, the lines are the same.
//! Holds one unfinished line at most, and one that a terminal may have folded.

use memchr::{memchr, memrchr};

use super::entities;
use super::prefix::{self, Caller, Prefix};
use super::unfold::{Unfolder, next_message};

/// Bytes of a line that are kept. The longest that a kernel prints is about 1 KiB; a command line
/// may have 2 KiB (x86's COMMAND_LINE_SIZE); user space may print anything.
pub const MAX_LINE: usize = 64 * 1024;

/// Stands at the end of a line that was longer than [`MAX_LINE`].
pub const CUT_MARK: &str = " [line cut]";

/// Bytes of an escape sequence after which it is taken for text: on a damaged line the end of the
/// sequence may be missing.
const MAX_ESCAPE: u8 = 64;

/// Bytes that are looked at together: enough to be fast, few enough to stay in the first cache.
const BLOCK: usize = 16 * 1024;

/// Bytes of an endless line that are held: after a time stamp in its second half, a message may
/// begin.
const MAX_HELD: usize = 2 * MAX_LINE;

/// Longer than a time stamp, which may stand half in what is thrown away.
const MAX_STAMP: usize = 32;

/// A line, borrowed from the assembler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRef<'a> {
    number: u64,
    text: &'a str,
    prefix: Prefix,
}

impl<'a> LineRef<'a> {
    /// A line that is already text. `number` counts from 1.
    #[inline]
    pub fn new(number: u64, text: &'a str) -> Self {
        Self {
            number,
            text,
            prefix: prefix::parse(text.as_bytes()),
        }
    }

    /// Counts line feeds from 1, as `less -N` does on the log file. Parts of one such line, that a
    /// carriage return, a cleared screen or the kernel's next time stamp separates, have the same
    /// number; a line that a terminal folded has that of its beginning.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What a terminal would show.
    #[inline]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The text without what stands before the kernel's own: log level, time stamp and caller,
    /// `<4>[    1.234567][  T123] `, and the clock, host and quoting of whoever kept the log.
    #[inline]
    pub fn message(&self) -> &'a str {
        self.text.get(self.prefix.end..).unwrap_or(self.text)
    }

    /// Bytes of the time stamp that the text begins with, if nothing else stands before the message.
    #[inline]
    pub fn stamp_length(&self) -> usize {
        if self.prefix.plain {
            self.prefix.end
        } else {
            0
        }
    }

    /// The kernel's time stamp in microseconds, if the line has one.
    #[inline]
    pub fn stamp(&self) -> Option<u64> {
        self.prefix.stamp
    }

    /// Who printed it, if the line says so.
    #[inline]
    pub fn caller(&self) -> Option<Caller> {
        self.prefix.caller
    }

    /// Where the message begins, and whether anything before it begins a record.
    #[inline]
    pub(super) fn prefix(&self) -> Prefix {
        self.prefix
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

/// Puts lines together.
#[derive(Debug, Clone)]
pub struct LineAssembler {
    text: Vec<u8>,
    number: u64,
    /// A byte of the current line has been seen.
    begun: bool,
    /// Messages of the current line have been emitted because it is so long.
    long: bool,
    /// Carriage return seen: a line feed ends the line, anything else writes over it.
    returned: bool,
    escape: Escape,
    unfolder: Unfolder,
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
            long: false,
            returned: false,
            escape: Escape::None,
            unfolder: Unfolder::default(),
        }
    }

    /// Takes the next bytes; calls `emit` for each line that they complete. A line that fills a
    /// terminal of 80 columns to the last may wait for the next.
    pub fn push(&mut self, bytes: &[u8], mut emit: impl FnMut(LineRef<'_>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let window = &rest[..rest.len().min(BLOCK)];
            // A line that has begun must end before whole lines can.
            let whole = if self.begun {
                None
            } else {
                memrchr(b'\n', window)
            };
            let length = match whole {
                Some(last) => {
                    self.whole_lines(&window[..=last], &mut emit);
                    last + 1
                }
                None => {
                    let length = memchr(b'\n', window).map_or(window.len(), |end| end + 1);
                    self.bytes(&window[..length], &mut emit);
                    length
                }
            };
            rest = &rest[length..];
        }
    }

    /// The input has ended: what stands there without a line feed is a line too.
    pub fn finish(mut self, mut emit: impl FnMut(LineRef<'_>)) {
        if !self.text.is_empty() {
            self.emit(&mut emit);
        }
        self.unfolder.finish(&mut emit);
    }

    /// Lines with their line feeds.
    fn whole_lines(&mut self, block: &[u8], emit: &mut impl FnMut(LineRef<'_>)) {
        let seen = Seen::in_block(block);
        let text = if seen.noise {
            None
        } else {
            std::str::from_utf8(block).ok()
        };
        let Some(text) = text else {
            for line in block.split_inclusive(|byte| *byte == b'\n') {
                self.whole_line(line, emit);
            }
            return;
        };
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', block) {
            let mut line = &text[begin..end];
            if seen.returns {
                line = line.trim_matches('\r');
            }
            if (seen.returns && memchr(b'\r', line.as_bytes()).is_some()) || seen.entities {
                self.whole_line(&block[begin..=end], emit);
            } else {
                self.unfolder.line(self.number, line, emit);
                self.number += 1;
            }
            begin = end + 1;
        }
    }

    /// A line with its line feed.
    fn whole_line(&mut self, line: &[u8], emit: &mut impl FnMut(LineRef<'_>)) {
        match clean_line(line) {
            Some(text) => {
                self.unfolder
                    .line(self.number, &entities::decode(text), emit);
                self.number += 1;
            }
            None => self.bytes(line, emit),
        }
    }

    /// Bytes of one line, the line feed last if it is there.
    fn bytes(&mut self, bytes: &[u8], emit: &mut impl FnMut(LineRef<'_>)) {
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            self.begun = true;
            let run = match self.escape {
                Escape::None => rest.iter().take_while(|b| is_text(**b)).count(),
                _ => 0,
            };
            if run > 0 {
                self.append(&rest[..run], emit);
                rest = &rest[run..];
            } else {
                self.step(*first, emit);
                rest = &rest[1..];
            }
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
                self.long = false;
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
        let mut rest = bytes;
        while !rest.is_empty() {
            // To the byte, so that the same is thrown away however the input is cut.
            let room = MAX_HELD - self.text.len();
            let (now, later) = rest.split_at(rest.len().min(room));
            self.text.extend_from_slice(now);
            rest = later;
            if self.text.len() == MAX_HELD {
                self.relieve(emit);
            }
        }
    }

    /// Makes room in a line that does not end: the messages that do are emitted, and of the last
    /// that much is thrown away as is too much for a line.
    fn relieve(&mut self, emit: &mut impl FnMut(LineRef<'_>)) {
        let mut begin = 0;
        while let Some(length) = next_message(&self.text[begin..]) {
            let piece = String::from_utf8_lossy(&self.text[begin..begin + length]);
            self.unfolder.long(self.number, &piece, emit);
            begin += length;
        }
        self.long |= begin > 0;
        self.text.drain(..begin);
        let tail = self.text.len().saturating_sub(MAX_STAMP);
        if tail > MAX_LINE {
            self.text.copy_within(tail.., MAX_LINE + 1);
            self.text.truncate(MAX_LINE + 1 + MAX_STAMP);
            // Parts the two halves, and is itself beyond what is kept.
            self.text[MAX_LINE] = b'\n';
        }
    }

    fn break_line(&mut self, emit: &mut impl FnMut(LineRef<'_>)) {
        if !self.text.trim_ascii().is_empty() {
            self.emit(emit);
        }
        self.clear();
    }

    fn emit(&mut self, emit: &mut impl FnMut(LineRef<'_>)) {
        let text = String::from_utf8_lossy(&self.text);
        let text = entities::decode(&text);
        if self.long {
            self.unfolder.long(self.number, &text, emit);
        } else {
            self.unfolder.line(self.number, &text, emit);
        }
        self.clear();
    }

    fn clear(&mut self) {
        self.text.clear();
        // An ordinary line needs a fraction of what a monster left behind.
        self.text.shrink_to(4096);
    }
}

fn is_text(byte: u8) -> bool {
    (byte >= 0x20 && byte != 0x7f) || byte == b'\t'
}

/// What a block holds that needs more than cutting it at line feeds.
struct Seen {
    returns: bool,
    entities: bool,
    /// Bytes that a terminal would not show.
    noise: bool,
}

impl Seen {
    fn in_block(block: &[u8]) -> Self {
        let mut seen = Self {
            returns: false,
            entities: false,
            noise: false,
        };
        // Without an early exit, so that it compiles to vector instructions.
        for byte in block.iter().copied() {
            seen.returns |= byte == b'\r';
            seen.entities |= byte == b'&';
            seen.noise |= !(is_text(byte) | (byte == b'\n') | (byte == b'\r'));
        }
        seen
    }
}

/// The text of a line, if what a terminal shows is what it says: nearly every line of nearly
/// every log.
fn clean_line(line: &[u8]) -> Option<&str> {
    let mut line = line.strip_suffix(b"\n")?;
    while let Some(shorter) = line.strip_suffix(b"\r") {
        line = shorter;
    }
    while let Some(shorter) = line.strip_prefix(b"\r") {
        line = shorter;
    }
    let clean = line.iter().fold(true, |all, byte| all & is_text(*byte));
    std::str::from_utf8(line).ok().filter(|_| clean)
}

#[cfg(test)]
mod tests;
