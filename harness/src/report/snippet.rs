//! A part of a text to underline, however long the line is that it is in and whatever is in it.

use std::ops::Range;

use miette::{LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

/// A few lines around a place, cropped and safe to show.
#[derive(Debug, Clone)]
pub(crate) struct Snippet {
    name: String,
    text: String,
    at: Range<usize>,
    /// From 0.
    first_line: usize,
    /// Characters of the place's line that were cut off at its start.
    cut: usize,
}

/// Of a line, what stands before and behind the place.
const BEFORE: usize = 70;
const BEHIND: usize = 100;

impl Snippet {
    /// `at` are bytes of `text`, on one line.
    pub(crate) fn new(name: &str, text: &str, at: Range<usize>) -> Self {
        let at = text.floor_char_boundary(at.start)..text.floor_char_boundary(at.end);
        let line_start = text[..at.start]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let line_end = text[at.start..]
            .find('\n')
            .map_or(text.len(), |newline| at.start + newline);
        let end = at.end.clamp(at.start, line_end);
        let before = &text[line_start..at.start];
        let cut = before.chars().count().saturating_sub(BEFORE);
        let mut shown = String::new();
        let mut first_line = text[..line_start].matches('\n').count();
        if let Some(previous) = line_start.checked_sub(1) {
            let start = text[..previous]
                .rfind('\n')
                .map_or(0, |newline| newline + 1);
            shown.extend(text[start..previous].chars().take(BEHIND).map(plain));
            shown.push('\n');
            first_line -= 1;
        }
        if cut > 0 {
            shown.push('…');
            shown.extend(before.chars().skip(cut + 1).map(plain));
        } else {
            shown.extend(before.chars().map(plain));
        }
        let start = shown.len();
        let marked = &text[at.start..end];
        shown.extend(marked.chars().take(BEHIND).map(plain));
        let marked_end = shown.len();
        shown.extend(text[end..line_end].chars().take(BEHIND).map(plain));
        shown.push('\n');
        if let Some(next) = text.get(line_end + 1..).filter(|next| !next.is_empty()) {
            let next = next.split('\n').next().unwrap_or(next);
            shown.extend(next.chars().take(BEHIND).map(plain));
            shown.push('\n');
        }
        Self {
            name: name.to_owned(),
            text: shown,
            at: start..marked_end,
            first_line,
            cut,
        }
    }

    /// What to underline.
    pub(crate) fn label(&self) -> LabeledSpan {
        LabeledSpan::underline(self.at.clone())
    }
}

/// One character for one, so that columns stay what they are.
fn plain(c: char) -> char {
    let steers = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    match c {
        '\t' => ' ',
        c if c.is_control() || steers => '\u{fffd}',
        c => c,
    }
}

impl SourceCode for Snippet {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let contents = self.text.read_span(span, before, after)?;
        // miette asks for the place alone when it looks for the column to name.
        let cut = if contents.column() > 0 || before == 0 && after == 0 {
            self.cut
        } else {
            0
        };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            contents.data(),
            *contents.span(),
            contents.line() + self.first_line,
            contents.column() + cut,
            contents.line_count(),
        )))
    }
}
