//! Text for people: wrapped at the terminal's width, and safe to show whatever a log holds.

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthChar;

pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const NEW: Style = AnsiColor::Yellow.on_default();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const BOLD: Style = Style::new().bold();

/// A character and how it looks.
type Styled = (Style, char);

/// Words with styles. Whatever could steer a terminal, or turn the text around, is escaped when it
/// is put in, so that a page holds no control sequences but its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Text(Vec<Styled>);

impl Text {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn plain(self, text: &str) -> Self {
        self.styled(Style::new(), text)
    }

    pub(super) fn styled(mut self, style: Style, text: &str) -> Self {
        for char in text.chars() {
            if char == '\t' {
                self.0.push((style, ' '));
            } else if steers(char) {
                let escaped = match u32::from(char) {
                    code @ 0..=0x7f => format!("\\x{code:02x}"),
                    code => format!("\\u{{{code:x}}}"),
                };
                self.0.extend(escaped.chars().map(|char| (style, char)));
            } else {
                self.0.push((style, char));
            }
        }
        self
    }

    pub(super) fn then(mut self, more: Text) -> Self {
        self.0.extend(more.0);
        self
    }

    /// No more than `most` characters, and a mark where something is missing.
    pub(super) fn cut(mut self, most: usize) -> Self {
        let more = self.0.len().saturating_sub(most);
        // The mark itself takes some twenty.
        if more <= 20 {
            return self;
        }
        self.0.truncate(most);
        self.plain(&format!(" [... {more} more characters]"))
    }

    /// With blanks behind it, up to a column.
    pub(super) fn padded(self, columns: usize) -> Self {
        let missing = columns.saturating_sub(self.width());
        self.plain(&" ".repeat(missing))
    }

    /// With blanks before it, up to a column: for numbers.
    pub(super) fn right(self, columns: usize) -> Self {
        let missing = columns.saturating_sub(self.width());
        Text::new().plain(&" ".repeat(missing)).then(self)
    }

    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, char)| columns(*char)).sum()
    }
}

/// What one could be deceived with: controls, marks that change the direction of writing, and what
/// has no width.
fn steers(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Text without styles, on one line: for messages.
pub(crate) fn safe(text: &str) -> String {
    let text = Text::new().plain(text);
    text.0.into_iter().map(|(_, char)| char).collect()
}

/// Lines of text without styles, none wider than `width` columns.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    let mut page = Page::new(width);
    for line in text.lines() {
        page.flow(&Text::new(), &Text::new().plain(line));
    }
    page.out.truncate(page.out.trim_end().len());
    page.finish()
}

fn columns(char: char) -> usize {
    char.width().unwrap_or(0)
}

/// Lines, one below the other.
#[derive(Debug)]
pub(super) struct Page {
    width: usize,
    out: String,
}

impl Page {
    /// Wraps at `width` columns.
    pub(super) fn new(width: usize) -> Self {
        let out = String::new();
        Self { width, out }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    pub(super) fn blank(&mut self) {
        self.out.push('\n');
    }

    /// `lead` begins the first line, and the text follows; further lines are indented as far as
    /// the lead is wide. Breaks between words; words longer than a line break anywhere.
    pub(super) fn flow(&mut self, lead: &Text, text: &Text) {
        self.flow_at(lead, lead.width(), text);
    }

    /// As [`Page::flow`], with further lines at `indent`.
    pub(super) fn flow_at(&mut self, lead: &Text, indent: usize, text: &Text) {
        self.put(&lead.0);
        let mut column = lead.width();
        let mut rest = &text.0[..];
        loop {
            let room = self.width.saturating_sub(column).max(20);
            let (line, next) = split(rest, room);
            self.put(line);
            self.out.push('\n');
            rest = next;
            if rest.is_empty() {
                return;
            }
            self.out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        }
    }

    /// One line, however long: for what is copied from the page.
    pub(super) fn verbatim(&mut self, indent: usize, text: &Text) {
        self.out.extend(std::iter::repeat_n(' ', indent));
        self.put(&text.0);
        self.out.push('\n');
    }

    fn put(&mut self, text: &[Styled]) {
        for run in text.chunk_by(|(one, _), (other, _)| one == other) {
            let style = run.first().map(|(style, _)| *style).unwrap_or_default();
            self.out.push_str(&style.render().to_string());
            self.out.extend(run.iter().map(|(_, char)| *char));
            self.out.push_str(&style.render_reset().to_string());
        }
    }
}

pub(super) fn heading(page: &mut Page, text: &str) {
    page.blank();
    page.flow(&Text::new(), &Text::new().styled(BOLD, text));
}

/// Rows of a name and what is said of it.
pub(super) fn facts(page: &mut Page, indent: usize, rows: &[(&str, Text)]) {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, text) in rows {
        let lead = format!("{:indent$}{name:width$}  ", "");
        page.flow(&Text::new().styled(DIM, &lead), text);
    }
}

/// What fits into `room` columns, and the rest without the spaces between.
fn split(text: &[Styled], room: usize) -> (&[Styled], &[Styled]) {
    let mut used = 0;
    let mut space = None;
    for (at, (_, char)) in text.iter().enumerate() {
        if *char == ' ' {
            space = Some(at);
        }
        used += columns(*char);
        if used > room {
            let at = space.filter(|space| *space > 0).unwrap_or(at.max(1));
            let (line, rest) = text.split_at(at);
            let spaces = rest.iter().take_while(|(_, char)| *char == ' ').count();
            return (trimmed(line), &rest[spaces..]);
        }
    }
    (trimmed(text), &[])
}

fn trimmed(line: &[Styled]) -> &[Styled] {
    let spaces = line.iter().rev().take_while(|(_, char)| *char == ' ');
    &line[..line.len() - spaces.count()]
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;
    use proptest::prelude::*;

    use super::*;

    fn flowed(width: usize, lead: &str, text: &str) -> String {
        let mut page = Page::new(width);
        page.flow(&Text::new().plain(lead), &Text::new().plain(text));
        page.finish()
    }

    #[test]
    fn words_wrap_below_their_lead() {
        assert_eq!(
            flowed(30, "  1. ", "keep  i40e out of the capture kernel"),
            "  1. keep  i40e out of the\n     capture kernel\n"
        );
        assert_eq!(
            flowed(24, "- ", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b"),
            "- aaaaaaaaaaaaaaaaaaaaaa\n  aaaaaaaa b\n"
        );
        assert_eq!(flowed(24, "- ", ""), "- \n");
        // Twice as wide.
        assert_eq!(
            flowed(24, "- ", "小内核因为分配中断号失败而触发"),
            "- 小内核因为分配中断号失\n  败而触发\n"
        );
    }

    #[test]
    fn names_stay_whole() {
        assert_eq!(
            wrapped("here is no more-than-that\n  b", 24),
            "here is no\nmore-than-that\n  b"
        );
        assert_eq!(wrapped("", 24), "");
    }

    #[test]
    fn styles_end_where_their_text_does() {
        let mut page = Page::new(80);
        let red = AnsiColor::Red.on_default();
        page.flow(
            &Text::new(),
            &Text::new().plain("a ").styled(red, "b").plain(" c"),
        );
        assert_eq!(page.finish(), "a \u{1b}[31mb\u{1b}[0m c\n");
    }

    #[test]
    fn what_is_cut_is_marked() {
        let text = Text::new().plain(&"x".repeat(100));
        let mut page = Page::new(200);
        page.flow(&Text::new(), &text.clone().cut(90));
        page.flow(&Text::new(), &text.cut(10));
        let short = format!("{} [... 90 more characters]\n", "x".repeat(10));
        assert_eq!(page.finish(), format!("{}\n{short}", "x".repeat(100)));
    }

    #[test]
    fn controls_are_shown() {
        assert_eq!(
            safe("a\x1b[31m\tb\r\n\u{9b}2J\u{202e}\u{7f}"),
            "a\\x1b[31m b\\x0d\\x0a\\u{9b}2J\\u{202e}\\x7f"
        );
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_line_too_wide(text in "\\PC{0,200}", width in 40usize..100) {
            let page = flowed(width, "    ", &text);
            let visible = |text: &str| text.chars().filter(|char| !char.is_whitespace()).collect::<String>();
            prop_assert_eq!(visible(&page), visible(&safe(&text)));
            for line in page.lines() {
                prop_assert!(line.chars().map(columns).sum::<usize>() <= width);
            }
        }
    }
}
