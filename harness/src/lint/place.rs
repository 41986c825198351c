//! Findings, and where they are.

use std::ops::Range;

use super::{Level, Lint};

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What it was found by.
    pub lint: Lint,
    /// The bytes of the text that it is about; 0..0 for the whole file.
    pub at: Range<usize>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong, in the distribution's own words where it has some.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Finding {
    pub(super) fn new(
        level: Level,
        lint: Lint,
        at: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            level,
            lint,
            at,
            line: 1,
            column: 1,
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A hostile file has millions, and nobody reads more than these.
pub(super) const MAX_FINDINGS: usize = 100;

/// Puts them in the order of the text, with line and column.
pub(super) fn finish(findings: &mut Vec<Finding>, text: &str) {
    findings
        .sort_by(|a, b| (a.at.start, a.level, &a.message).cmp(&(b.at.start, b.level, &b.message)));
    findings.dedup();
    findings.truncate(MAX_FINDINGS);
    let (mut line, mut line_start, mut scanned) = (1, 0, 0);
    for finding in findings {
        let start = finding.at.start;
        for (at, _) in text[scanned..start].match_indices('\n') {
            line += 1;
            line_start = scanned + at + 1;
        }
        scanned = start;
        finding.line = line;
        finding.column = text[line_start..start].chars().count() + 1;
        crop(&mut finding.message);
        if let Some(help) = &mut finding.help {
            crop(help);
        }
    }
}

/// Messages quote what they are about, and that can be a mebibyte.
fn crop(message: &mut String) {
    const MOST: usize = 1000;
    if message.len() > MOST {
        message.truncate(message.floor_char_boundary(MOST));
        message.push('…');
    }
}
