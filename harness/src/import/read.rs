//! Readers of single texts: pure, one file each. What one does not understand it passes over; where
//! that leaves out a thing that somebody would miss, it says so in a note.

pub(super) mod cpuinfo;
pub(super) mod interrupts;
pub(super) mod log;
pub(super) mod lspci;
pub(super) mod lspci_tree;
pub(super) mod storage;
pub(super) mod system;

use std::num::NonZeroU32;
use std::sync::Arc;

use super::facts::{Note, Source, Sourced};

/// A text and where it is from.
#[derive(Debug, Clone)]
pub(super) struct Text<'a> {
    /// Of its file.
    pub(super) label: Arc<str>,
    /// Of its first line in the file, from 1.
    pub(super) first: u32,
    /// All of it.
    pub(super) text: &'a str,
}

impl<'a> Text<'a> {
    /// The lines with their numbers, without what ends them.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u32, &'a str)> + use<'a> {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(self.text);
        (self.first..).zip(text.lines().map(str::trim_end))
    }

    /// The place of a line.
    pub(super) fn at(&self, line: u32) -> Source {
        Source {
            file: Arc::clone(&self.label),
            line: NonZeroU32::new(line),
        }
    }

    /// The whole file.
    pub(super) fn whole(&self) -> Source {
        self.at(0)
    }

    /// A fact of that line.
    pub(super) fn fact<T>(&self, line: u32, value: T) -> Sourced<T> {
        let source = self.at(line);
        Sourced { value, source }
    }

    /// A note on that line.
    pub(super) fn note(&self, line: u32, text: impl Into<String>) -> Note {
        let source = Some(self.at(line));
        let text = text.into();
        Note { source, text }
    }
}

/// The number that a text begins with, and what is behind it.
fn leading<T: std::str::FromStr>(text: &str) -> Option<(T, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    Some((digits.parse().ok()?, rest))
}

/// What stands between two words; the first place where both are.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

/// A line without the marks of mails that quote it: `> >> \tSubsystem: …`.
fn unquoted(line: &str) -> &str {
    let mut rest = line;
    while let Some(quoted) = rest.trim_start_matches(' ').strip_prefix('>') {
        rest = quoted.strip_prefix(' ').unwrap_or(quoted);
    }
    rest
}

/// As the kernel calls a module: with underscores.
fn module(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests;
