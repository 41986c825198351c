//! Physical lines to the kernel's: a line that holds several messages is taken apart, one that a
//! terminal of 80 columns folded is put together.

use std::borrow::Cow;

use memchr::memchr_iter;

use super::lines::{CUT_MARK, LineRef, MAX_LINE};
use super::prefix;

/// Width at which terminals and the virtual consoles of BMCs fold.
const COLUMNS: usize = 80;

/// Lines for which one wider than [`COLUMNS`] proves that nobody folds.
const PROOF_HOLDS: u64 = 1000;

/// Where the first message of the text ends because the next one's time stamp follows.
pub(super) fn next_message(text: &[u8]) -> Option<usize> {
    next_stamp(text, prefix::parse(text).end)
}

#[inline]
fn next_stamp(text: &[u8], begin: usize) -> Option<usize> {
    memchr_iter(b'[', text.get(begin..)?)
        .map(|at| begin + at)
        .filter(|at| matches!(text.get(at + 1), Some(b' ' | b'0'..=b'9')))
        .find(|at| prefix::embedded_stamp(&text[*at..]).is_some())
}

/// Makes logical lines. Holds back one line at most: one that the next may continue.
#[derive(Debug, Clone, Default)]
pub(super) struct Unfolder {
    held: Option<Held>,
    /// The last line that was wider than a terminal, and the last such record.
    wide: Option<u64>,
    wide_record: Option<u64>,
}

#[derive(Debug, Clone)]
struct Held {
    number: u64,
    text: String,
    /// The log's own records begin with a clock or a level, so what has none continues them.
    record: bool,
}

impl Unfolder {
    /// A physical line.
    #[inline]
    pub(super) fn line(&mut self, number: u64, text: &str, emit: &mut impl FnMut(LineRef<'_>)) {
        let line = LineRef::new(number, text);
        if text.len() >= COLUMNS || self.held.is_some() {
            self.folded(line, emit);
        } else {
            apart(line, emit);
        }
    }

    /// A part of a line that is longer than any that was folded.
    pub(super) fn long(&mut self, number: u64, text: &str, emit: &mut impl FnMut(LineRef<'_>)) {
        self.finish(emit);
        let line = LineRef::new(number, text);
        self.note_wide(line);
        apart(line, emit);
    }

    /// Nothing follows that could continue what is held.
    pub(super) fn finish(&mut self, emit: &mut impl FnMut(LineRef<'_>)) {
        if let Some(held) = self.held.take() {
            apart(LineRef::new(held.number, &held.text), emit);
        }
    }

    fn folded(&mut self, line: LineRef<'_>, emit: &mut impl FnMut(LineRef<'_>)) {
        let width = width(line.text());
        match &mut self.held {
            Some(held) if held.is_continued_by(line) => {
                held.text.push_str(line.text());
                if width != COLUMNS {
                    self.finish(emit);
                }
                return;
            }
            Some(_) => self.finish(emit),
            None => {}
        }
        if width > COLUMNS {
            self.note_wide(line);
        }
        let record = line.prefix().record;
        let proof = if record { self.wide_record } else { self.wide };
        let holds = |at: u64| line.number().saturating_sub(at) <= PROOF_HOLDS;
        if width == COLUMNS && !proof.is_some_and(holds) {
            self.held = Some(Held {
                number: line.number(),
                text: line.text().to_owned(),
                record,
            });
        } else {
            apart(line, emit);
        }
    }

    fn note_wide(&mut self, line: LineRef<'_>) {
        self.wide = Some(line.number());
        if line.prefix().record {
            self.wide_record = Some(line.number());
        }
    }
}

impl Held {
    fn is_continued_by(&self, next: LineRef<'_>) -> bool {
        let text = next.text();
        if text.is_empty() || next.prefix().end > 0 || self.text.len() + text.len() > MAX_LINE {
            return false;
        }
        let (Some(before), Some(after)) = (self.text.bytes().last(), text.bytes().next()) else {
            return false;
        };
        self.record || (in_word(before) && in_word(after) && !looks_like_a_record(text))
    }
}

fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.+/-".contains(&byte)
}

/// Whether a line without clock or level looks like the kernel's own and not like the second half
/// of one: `RIP: ...`, `Call Trace:`, `Modules linked in: ...`, `---[ end trace`.
fn looks_like_a_record(text: &str) -> bool {
    const BEGINNINGS: [&str; 12] = [
        "Call Trace",
        "Modules linked in",
        "Hardware name",
        "Kernel ",
        "kernel BUG",
        "BUG",
        "WARNING",
        "INFO",
        "---",
        "Oops",
        "general protection",
        "Stack",
    ];
    let word = text.split([' ', '\t']).next().unwrap_or_default();
    word.ends_with(':') || BEGINNINGS.iter().any(|begins| text.starts_with(begins))
}

/// Columns that a text takes: an approximation for scripts with wide characters, which kernels do
/// not print.
fn width(text: &str) -> usize {
    if text.is_ascii() || text.len() > 4 * COLUMNS {
        text.len()
    } else {
        text.chars().count()
    }
}

/// Emits the messages of a line.
#[inline]
fn apart(line: LineRef<'_>, emit: &mut impl FnMut(LineRef<'_>)) {
    let text = line.text();
    match next_stamp(text.as_bytes(), line.prefix().end) {
        None if text.len() <= MAX_LINE => emit(line),
        first => pieces(line.number(), text, first, emit),
    }
}

#[cold]
fn pieces(
    number: u64,
    mut text: &str,
    mut next: Option<usize>,
    emit: &mut impl FnMut(LineRef<'_>),
) {
    while let Some((piece, rest)) = next.and_then(|next| text.split_at_checked(next)) {
        // What joined the lines put a space in the place of the line feed.
        let trimmed = piece.trim_ascii_end();
        if piece.len() > MAX_LINE {
            emit(LineRef::new(number, &cut(piece)));
        } else if !trimmed.is_empty() {
            emit(LineRef::new(number, trimmed));
        }
        text = rest;
        next = next_message(text.as_bytes());
    }
    emit(LineRef::new(number, &cut(text)));
}

fn cut(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_LINE {
        return Cow::Borrowed(text);
    }
    let end = (0..=MAX_LINE).rev().find(|end| text.is_char_boundary(*end));
    let kept = &text[..end.unwrap_or(0)];
    Cow::Owned(format!("{kept}{CUT_MARK}"))
}

#[cfg(test)]
mod tests;
