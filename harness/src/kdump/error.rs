//! What is wrong with a file of kdump's configuration, and where.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

/// A file of kdump's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigFile {
    /// /etc/kdump.conf.
    KdumpConf,
    /// /etc/sysconfig/kdump, Red Hat's or SUSE's.
    Sysconfig,
    /// /etc/default/kdump-tools.
    KdumpTools,
}

impl fmt::Display for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KdumpConf => "kdump.conf",
            Self::Sysconfig => "sysconfig/kdump",
            Self::KdumpTools => "default/kdump-tools",
        })
    }
}

/// One thing wrong with a file of kdump's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}, column {column}: {message}")]
pub struct ConfError {
    /// The file.
    pub file: ConfigFile,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The bytes of the whole text that it is about; never over the end of the line.
    pub at: Range<usize>,
    /// The distribution's own words where it has some.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// A file as its distribution takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading<T> {
    /// What it says; where it is wrong, the defaults.
    pub value: T,
    /// Why the distribution does not take it, or takes it for something else than it looks like.
    pub errors: Vec<ConfError>,
    /// What it takes, and should not stay.
    pub warnings: Vec<ConfError>,
}

impl<T> Reading<T> {
    /// The value of a file without errors.
    ///
    /// # Errors
    /// All that are in the file.
    pub fn into_result(self) -> Result<T, Vec<ConfError>> {
        if self.errors.is_empty() {
            Ok(self.value)
        } else {
            Err(self.errors)
        }
    }
}

/// A [`ConfError`] before its line is known. The bytes are those of the whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Faults of one text.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

/// A hostile file has millions of faults, and nobody reads more than these.
const MAX_FAULTS: usize = 100;

impl Faults {
    pub(super) fn push(&mut self, fault: Fault) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(fault);
        }
    }

    /// Whether it is no use to read on.
    pub(super) fn full(&self) -> bool {
        self.0.len() == MAX_FAULTS
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
}

/// Gives every fault its line and column, in the order of the text.
pub(super) fn placed(file: ConfigFile, text: &str, faults: Faults) -> Vec<ConfError> {
    let mut faults = faults.0;
    faults.sort_by_key(|fault| fault.at.start);
    let mut line = 1;
    let mut line_start = 0;
    let mut scanned = 0;
    faults
        .into_iter()
        .map(|fault| {
            let start = fault.at.start;
            for (at, _) in text[scanned..start].match_indices('\n') {
                line += 1;
                line_start = scanned + at + 1;
            }
            scanned = start;
            let rest = &text[start..fault.at.end];
            let length = rest.find('\n').unwrap_or(rest.len());
            ConfError {
                file,
                line,
                column: text[line_start..start].chars().count() + 1,
                at: start..start + length,
                message: fault.message,
                help: fault.help,
            }
        })
        .collect()
}

/// The start of a text, for a message: no file makes a message of a mebibyte or drives a terminal.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 200;
    let mut shown: String = text
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
