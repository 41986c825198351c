//! A file of shell assignments, read as the shell that sources it does, without running anything.
//!
//! kdumpctl and openSUSE's scripts are bash's, Debian's kdump-config is dash's. What is not an
//! assignment is an error: a shell would run it, and what it then sets is not known.

use std::collections::BTreeMap;
use std::ops::Range;

use super::error::{Fault, Faults, shown};

/// Whose shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `+=` appends.
    Bash,
    /// It has no `+=`.
    Dash,
}

/// `NAME=value`, the last of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) value: String,
    pub(super) name_at: Range<usize>,
    /// As it is written, quotes included.
    pub(super) value_at: Range<usize>,
    /// `+=` to a variable that the file has not set before.
    pub(super) appended_to_nothing: bool,
}

/// All that a file sets.
#[derive(Debug, Default)]
pub(super) struct Assignments {
    pub(super) by_name: BTreeMap<String, Assignment>,
    pub(super) errors: Faults,
    pub(super) warnings: Faults,
}

/// `known` are the names that the distribution's kdump reads: another one behind a value on the
/// same line is the rest of a value that lacks its quotes.
pub(super) fn read(text: &str, dialect: Dialect, known: &[&str]) -> Assignments {
    let mut reader = Reader {
        text,
        at: 0,
        dialect,
        known,
        copied: 0,
        found: Assignments::default(),
    };
    reader.bytes_that_do_harm();
    reader.file();
    reader.found
}

impl Assignments {
    /// The value, if there is one and it is not empty.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.by_name
            .get(name)
            .map(|assignment| assignment.value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The value, even an empty one.
    pub(super) fn set(&self, name: &str) -> Option<&str> {
        self.by_name
            .get(name)
            .map(|assignment| assignment.value.as_str())
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    dialect: Dialect,
    known: &'a [&'a str],
    /// Bytes of values that were copied into others so far.
    copied: usize,
    found: Assignments,
}

/// Why a value could not be read.
enum Stop {
    /// What stands there is not followed; go on behind the line.
    Line(Fault),
    /// The shell would read on to the end of the file, or it is no configuration at all.
    File(Fault),
}

/// What one line sets; it counts only if no command follows.
#[derive(Default)]
struct OneLine {
    by_name: BTreeMap<String, Assignment>,
    /// The first name, and where its value begins.
    first: Option<(String, usize)>,
}

/// A mebibyte of `A=$A$A` doubles with every line.
const MAX_VALUE: usize = 64 * 1024;

/// And a mebibyte of `A=$B` is a hundred thousand values, each as long as B's.
const MAX_COPIED: usize = 1024 * 1024;

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn skip(&mut self, which: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !which(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn skip_line(&mut self) {
        self.skip(|c| c != '\n');
    }

    fn bytes_that_do_harm(&mut self) {
        if let Some(at) = self.text.find('\0') {
            self.found.errors.push(
                Fault::new(
                    at..at + 1,
                    "a NUL byte: the shell that reads the file drops it",
                )
                .help("save it as plain text, in UTF-8"),
            );
        }
        if let Some(at) = self.text.find("\r\n") {
            self.found.errors.push(
                Fault::new(
                    at..at + 1,
                    "newlines of Windows: the carriage return becomes part of the value",
                )
                .help("convert the file: `sed -i 's/\\r$//' FILE`"),
            );
        }
    }

    fn file(&mut self) {
        while !self.found.errors.full() {
            self.skip(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | ';'));
            match self.peek() {
                None => return,
                Some('#') => self.skip_line(),
                Some('\\') if self.rest().starts_with("\\\n") => self.at += 2,
                Some(_) => match self.command() {
                    Ok(()) => {}
                    Err(Stop::Line(fault)) => {
                        self.found.errors.push(fault);
                        self.skip_line();
                    }
                    Err(Stop::File(fault)) => {
                        self.found.errors.push(fault);
                        return;
                    }
                },
            }
        }
    }

    /// One line of assignments, `export` in front of them or not.
    fn command(&mut self) -> Result<(), Stop> {
        let start = self.at;
        let mut exporting = false;
        for word in ["export", "readonly", "declare", "local"] {
            if self.rest().starts_with(word) && self.rest()[word.len()..].starts_with([' ', '\t']) {
                if word != "export" {
                    return Err(Stop::Line(self.not_run(start)));
                }
                exporting = true;
                self.at += word.len();
                self.skip(|c| matches!(c, ' ' | '\t'));
            }
        }
        let mut set = OneLine::default();
        loop {
            let name_at = self.at;
            let name = self.name();
            let append = self.rest().starts_with("+=");
            if name.is_empty() || !(append || self.rest().starts_with('=')) {
                self.at = name_at;
                if exporting && !name.is_empty() && self.ends_word(name_at + name.len()) {
                    // `export NAME` sets nothing.
                    self.at = name_at + name.len();
                } else {
                    return Err(Stop::Line(self.stray(start, &set)));
                }
            } else {
                self.at += if append { 2 } else { 1 };
                let name_range = name_at..name_at + name.len();
                if append && self.dialect == Dialect::Dash {
                    return Err(Stop::Line(self.no_append(name, name_at)));
                }
                if let Some((first, value_at)) = &set.first
                    && !exporting
                    && !self.known.contains(&name)
                {
                    return Err(Stop::Line(self.unquoted(first, *value_at, name_range)));
                }
                let value_start = self.at;
                let mut value = self.value(&set)?;
                let value_at = value_start..self.at;
                let earlier = self.earlier(name, &set);
                let appended_to_nothing =
                    append && earlier.is_none_or(|earlier| earlier.appended_to_nothing);
                if append && let Some(earlier) = earlier {
                    let length = earlier.value.len();
                    value.insert_str(0, &earlier.value);
                    value.truncate(value.floor_char_boundary(MAX_VALUE));
                    self.copies(length, name_at)?;
                }
                set.first
                    .get_or_insert_with(|| (name.to_owned(), value_start));
                set.by_name.insert(
                    name.to_owned(),
                    Assignment {
                        value,
                        name_at: name_range,
                        value_at,
                        appended_to_nothing,
                    },
                );
            }
            self.skip(|c| matches!(c, ' ' | '\t' | '\r'));
            while self.rest().starts_with("\\\n") {
                self.at += 2;
                self.skip(|c| matches!(c, ' ' | '\t'));
            }
            match self.peek() {
                None | Some('\n' | ';') => break,
                Some('#') => {
                    self.skip_line();
                    break;
                }
                Some(_) => {}
            }
        }
        for (name, assignment) in set.by_name {
            self.assign(name, assignment);
        }
        Ok(())
    }

    fn earlier<'b>(&'b self, name: &str, set: &'b OneLine) -> Option<&'b Assignment> {
        set.by_name
            .get(name)
            .or_else(|| self.found.by_name.get(name))
    }

    fn assign(&mut self, name: String, assignment: Assignment) {
        let written = &self.text[assignment.value_at.clone()];
        if written.contains('\n') && !written.contains("\\\n") {
            let lines = written.matches('\n').count() + 1;
            self.found.warnings.push(
                Fault::new(
                    assignment.value_at.clone(),
                    format!("the value of {name} goes over {lines} lines"),
                )
                .help("is a quote missing on the first of them?"),
            );
        }
        self.found.by_name.insert(name, assignment);
    }

    fn name(&mut self) -> &'a str {
        let rest = self.rest();
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            return "";
        }
        self.skip(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    fn ends_word(&self, at: usize) -> bool {
        self.text[at..]
            .chars()
            .next()
            .is_none_or(|c| matches!(c, ' ' | '\t' | '\r' | '\n' | ';'))
    }

    /// The value of an assignment: words joined without a blank, quoted in every way.
    fn value(&mut self, set: &OneLine) -> Result<String, Stop> {
        let mut value = String::new();
        loop {
            let start = self.at;
            match self.peek() {
                None | Some(' ' | '\t' | '\n' | ';') => break,
                Some('\r') if self.rest().starts_with("\r\n") => break,
                Some('&' | '|' | '<' | '>' | '(' | ')') => {
                    return Err(Stop::Line(self.not_run(start)));
                }
                Some('\'') => {
                    self.at += 1;
                    let Some(length) = self.rest().find('\'') else {
                        return Err(Stop::File(self.unclosed(start, '\'')));
                    };
                    value.push_str(&self.rest()[..length]);
                    self.at += length + 1;
                }
                Some('"') => {
                    self.at += 1;
                    self.double_quoted(start, &mut value, set)?;
                }
                Some('\\') => {
                    self.at += 1;
                    match self.bump() {
                        // A line that goes on.
                        Some('\n') => {}
                        Some(c) => value.push(c),
                        None => value.push('\\'),
                    }
                }
                Some('$' | '`') => self.expansion(&mut value, set)?,
                Some(c) => {
                    self.at += c.len_utf8();
                    value.push(c);
                }
            }
            if value.len() > MAX_VALUE {
                return Err(Stop::File(self.too_long(start)));
            }
        }
        Ok(value)
    }

    fn double_quoted(
        &mut self,
        start: usize,
        value: &mut String,
        set: &OneLine,
    ) -> Result<(), Stop> {
        loop {
            match self.peek() {
                None => return Err(Stop::File(self.unclosed(start, '"'))),
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some('\\') => {
                    self.at += 1;
                    match self.bump() {
                        None => return Err(Stop::File(self.unclosed(start, '"'))),
                        Some('\n') => {}
                        Some(c @ ('"' | '\\' | '$' | '`')) => value.push(c),
                        Some(c) => value.extend(['\\', c]),
                    }
                }
                Some('$' | '`') => self.expansion(value, set)?,
                Some(c) => {
                    self.at += c.len_utf8();
                    value.push(c);
                }
            }
            if value.len() > MAX_VALUE {
                return Err(Stop::File(self.too_long(start)));
            }
        }
    }

    /// `$NAME` and `${NAME}` of what the file has set; nothing else is followed.
    fn expansion(&mut self, value: &mut String, set: &OneLine) -> Result<(), Stop> {
        let start = self.at;
        if self.bump() == Some('`') {
            return Err(Stop::Line(self.not_run(start)));
        }
        let name = if self.rest().starts_with('{') {
            self.at += 1;
            let name = self.name();
            if !self.rest().starts_with('}') {
                return Err(Stop::Line(
                    Fault::new(
                        self.to_line_end(start),
                        "of the shell's expansions, `$NAME` and `${NAME}` are followed, and no other",
                    )
                    .help("write the value itself"),
                ));
            }
            self.at += 1;
            name
        } else if self.rest().starts_with('(') {
            return Err(Stop::Line(self.not_run(start)));
        } else {
            self.name()
        };
        if name.is_empty() {
            value.push('$');
            return Ok(());
        }
        match self.earlier(name, set) {
            Some(assignment) => {
                let length = assignment.value.len();
                value.push_str(&assignment.value);
                self.copies(length, start)?;
            }
            None => self.found.warnings.push(
                Fault::new(
                    start..self.at,
                    format!(
                        "`${}` is not set in this file: nothing stands here",
                        shown(name)
                    ),
                )
                .help("write the value itself"),
            ),
        }
        Ok(())
    }

    /// Counts what a value has taken from another one.
    fn copies(&mut self, length: usize, start: usize) -> Result<(), Stop> {
        self.copied += length;
        if self.copied > MAX_COPIED {
            return Err(Stop::File(
                Fault::new(
                    start..self.at,
                    format!(
                        "the file's values take more than {} KiB from each other",
                        MAX_COPIED / 1024
                    ),
                )
                .help("write the value itself"),
            ));
        }
        Ok(())
    }

    fn to_line_end(&self, start: usize) -> Range<usize> {
        let rest = &self.text[start..];
        let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
        start
            ..start
                + line
                    .trim_end()
                    .len()
                    .max(line.chars().next().map_or(0, char::len_utf8))
    }

    fn not_run(&self, start: usize) -> Fault {
        Fault::new(
            self.to_line_end(start),
            "a command: crashdrill runs nothing, so what it would set is not known",
        )
        .help("write an assignment of the value itself: NAME=\"value\"")
    }

    fn unclosed(&self, start: usize, quote: char) -> Fault {
        let mut range = self.to_line_end(start);
        range.end = range.end.max(start + 1);
        Fault::new(
            range,
            format!("unexpected EOF while looking for matching `{quote}'"),
        )
        .help("close the quote: NAME=\"value\"")
    }

    fn too_long(&self, start: usize) -> Fault {
        Fault::new(
            start..self.text.len().min(self.at),
            format!("the value is longer than {} KiB", MAX_VALUE / 1024),
        )
        .help("a kernel command line has at most 2048 bytes on x86")
    }

    fn no_append(&self, name: &str, start: usize) -> Fault {
        let range = self.to_line_end(start);
        let value = &self.text[self.at..range.end.max(self.at)];
        let value = shown(value.trim().trim_matches(['"', '\'']));
        Fault::new(
            range,
            format!("{name}+=: not found: dash, which reads this file, has no `+=`"),
        )
        .help(format!("{name}=\"${name} {}\"", value.trim()))
    }

    /// `NAME=a b=c`: `b=c` is a variable of its own.
    fn unquoted(&self, first: &str, value_at: usize, at: Range<usize>) -> Fault {
        let line = self.to_line_end(value_at);
        let value = shown(self.text[line].trim().trim_matches(['"', '\'']));
        Fault::new(
            at,
            format!("the value of {first} ends at the blank in front of this"),
        )
        .help(format!("{first}=\"{value}\""))
    }

    /// A word that is no assignment, where there should be one.
    fn stray(&self, start: usize, set: &OneLine) -> Fault {
        if let Some((first, value_at)) = &set.first {
            let word = self.to_line_end(self.at);
            let mut fault = self.unquoted(first, *value_at, word);
            fault.message = format!(
                "the value of {first} ends at the blank in front of this, which is run as a \
                 command: {first} stays unset"
            );
            return fault;
        }
        let line = self.to_line_end(start);
        let text = &self.text[line.clone()];
        let word = text.split([' ', '\t']).next().unwrap_or(text);
        let rest = text[word.len()..].trim_start();
        if let Some(value) = rest.strip_prefix('=') {
            let value = shown(value.trim().trim_matches(['"', '\'']));
            let word = shown(word);
            return Fault::new(
                line,
                format!("{word}: command not found: no blanks around `=`"),
            )
            .help(format!("{word}=\"{value}\""));
        }
        if let Some((name, value)) = text.split_once('=')
            && name.contains('-')
            && !name.contains([' ', '\t', '$'])
        {
            return Fault::new(
                line,
                format!("`{}` cannot be the name of a variable", shown(name)),
            )
            .help(format!(
                "{}={}",
                shown(&name.replace('-', "_")),
                shown(value)
            ));
        }
        self.not_run(start)
    }
}

#[cfg(test)]
mod tests;
