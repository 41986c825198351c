//! Lines of kdump's files: what they say, and those that kdump or a drill refuses turned off.

use std::collections::BTreeMap;

use crate::kdump::error::ConfError;

/// Lines that say something; comments hold whatever their authors wished. A line that the next
/// continues is one with it.
pub(super) fn stated(text: &str) -> Vec<String> {
    /// More than any has.
    const LINES: usize = 1000;
    const COLUMNS: usize = 4000;
    const CHARACTERS: usize = 64 << 10;
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    let mut all = 0;
    for line in text.lines() {
        if lines.len() == LINES || all > CHARACTERS {
            lines.push("# the file goes on; the rest is left out".to_owned());
            break;
        }
        let line: String = line
            .chars()
            .take(COLUMNS)
            .map(|c| if c == '\t' { ' ' } else { c })
            .filter(|c| !c.is_control())
            .collect();
        let line = line.trim();
        let (part, more) = match line.strip_suffix('\\') {
            Some(part) => (part.trim_end(), true),
            None => (line, false),
        };
        match (open, lines.last_mut()) {
            (true, Some(last)) if last.len() < COLUMNS => {
                last.push(' ');
                last.push_str(part);
            }
            _ if part.is_empty() || part.starts_with('#') => continue,
            _ => lines.push(part.to_owned()),
        }
        all += part.len() + 1;
        open = more;
    }
    lines
}

pub(super) fn joined(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

/// A line that stays to be seen.
pub(super) fn off(line: &str, why: &str) -> String {
    format!("# left out, {why}: {line}")
}

/// Turns off every line that is refused, until none is.
pub(super) fn without_errors(
    lines: &mut [String],
    lost: &mut Vec<String>,
    refused: impl Fn(&str) -> Vec<ConfError>,
) {
    /// Files have one mistake or two; one with so many is no configuration.
    const MOST: usize = 64;
    // Each round turns a line off.
    for round in 0..=lines.len() {
        let errors = refused(&lines.join("\n"));
        if let Some(error) = errors.first().filter(|_| round == MOST) {
            lost.push(format!("{}: all of it is left out", error.file));
            for line in lines.iter_mut().filter(|line| !line.starts_with('#')) {
                *line = off(line, "there are too many mistakes");
            }
            return;
        }
        let mut first: BTreeMap<usize, ConfError> = BTreeMap::new();
        for error in errors {
            first.entry(error.line).or_insert(error);
        }
        let before = lines.to_vec();
        for (number, error) in first {
            // A quote that nothing closes is missed where the file ends, behind lines that are off.
            let on = |nth: &usize| lines.get(*nth).is_some_and(|line| !line.starts_with('#'));
            let above = (0..number.min(lines.len())).rev().find(on);
            let Some(nth) = above.or_else(|| (0..lines.len()).find(on)) else {
                return;
            };
            let line = &mut lines[nth];
            // The message may quote the line.
            let option: String = line
                .split([' ', '='])
                .next()
                .unwrap_or_default()
                .chars()
                .take(40)
                .collect();
            if lost.len() < MOST {
                lost.push(format!(
                    "{}: `{option}` is left out, {}",
                    error.file, error.message
                ));
            }
            *line = off(line, &error.message);
        }
        if before == lines {
            return;
        }
    }
}
