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
    /// Of the place, in characters of the line as it is, from 0.
    column: usize,
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
        let next = text.get(line_end + 1..);
        // Half of a line's end on Windows, unless it is what is wrong.
        let whole = line_start + without_return(&text[line_start..line_end]).len();
        let line_end = whole.max(at.end.min(line_end));
        let end = at.end.clamp(at.start, line_end);
        let before = &text[line_start..at.start];
        let column = before.chars().count();
        let cut = column.saturating_sub(BEFORE);
        let mut shown = String::new();
        let mut first_line = text[..line_start].matches('\n').count();
        if let Some(previous) = line_start.checked_sub(1) {
            let start = text[..previous]
                .rfind('\n')
                .map_or(0, |newline| newline + 1);
            let line = without_return(&text[start..previous]);
            shown.extend(line.chars().take(BEHIND).map(plain));
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
        if let Some(next) = next.filter(|next| !next.is_empty()) {
            let next = without_return(next.split('\n').next().unwrap_or(next));
            shown.extend(next.chars().take(BEHIND).map(plain));
            shown.push('\n');
        }
        Self {
            name: name.to_owned(),
            text: shown,
            at: start..marked_end,
            first_line,
            column,
        }
    }

    /// What to underline.
    pub(crate) fn label(&self) -> LabeledSpan {
        LabeledSpan::underline(self.at.clone())
    }
}

fn without_return(line: &str) -> &str {
    line.strip_suffix('\r').unwrap_or(line)
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
        // miette asks for the place alone when it looks for the column to name, and counts bytes.
        let column = match (before, after) {
            (0, 0) => self.column,
            _ => contents.column(),
        };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            contents.data(),
            *contents.span(),
            contents.line() + self.first_line,
            column,
            contents.line_count(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line and column that miette names, from 1, and what it shows.
    fn shown(text: &str, at: Range<usize>) -> (usize, usize, String) {
        let snippet = Snippet::new("x", text, at);
        let span = *snippet.label().inner();
        let place = snippet.read_span(&span, 0, 0).unwrap();
        let around = snippet.read_span(&span, 1, 1).unwrap();
        (
            place.line() + 1,
            place.column() + 1,
            String::from_utf8(around.data().to_vec()).unwrap(),
        )
    }

    #[test]
    fn lines_around() {
        assert_eq!(
            shown("a\nbé c\nd\ne\n", 6..7),
            (2, 4, "a\nbé c\nd\n".to_owned())
        );
        assert_eq!(shown("abc", 1..2), (1, 2, "abc\n".to_owned()));
        assert_eq!(shown("a\x1b[2J\tb\n", 6..7).2, "a\u{fffd}[2J b\n");
        assert_eq!(shown("a\r\nb\r\nc\r\n", 3..4).2, "a\nb\nc\n");
        assert_eq!(shown("a\r\nb\r\nc\r\n", 4..5).2, "a\nb\u{fffd}\nc\n");
    }

    #[test]
    fn a_mebibyte_on_one_line() {
        let text = "x".repeat(1 << 20) + "HERE" + &"y".repeat(1 << 20);
        let (line, column, around) = shown(&text, 1 << 20..(1 << 20) + 4);
        assert_eq!((line, column), (1, (1 << 20) + 1));
        assert!(around.starts_with('…') && around.contains("xHEREy"));
        assert!(around.len() < 300, "{}", around.len());
    }
}
