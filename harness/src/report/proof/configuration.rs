//! What is different in the configuration.

use serde_yaml::Value;

use super::{DIM, NEW, OLD, arrow, heading};
use crate::proof::{Change, Changes, Words};
use crate::report::page::{Page, Text};
use crate::snapshot::diff;

pub(super) fn show(page: &mut Page, changes: &Changes, width: usize) {
    heading(page, "Configuration");
    if changes.is_empty() {
        page.flow(
            &Text::new().plain("  "),
            &Text::new().plain("no difference"),
        );
    }
    for change in &changes.settings {
        setting(page, change, width);
    }
    words(
        page,
        "the first kernel's command line",
        &changes.first_kernel,
    );
    words(
        page,
        "the capture kernel's command line",
        &changes.capture_kernel,
    );
}

/// On one line if it fits, else one below the other; texts of several lines as a diff.
fn setting(page: &mut Page, change: &Change, width: usize) {
    let path = change.path.to_string();
    let texts = (multiline(&change.before), multiline(&change.after));
    if let (Some(before), Some(after)) = texts
        && (before.contains('\n') || after.contains('\n'))
    {
        page.flow(&Text::new().plain("  "), &Text::new().plain(&path));
        for (sign, line) in diff(before, after) {
            let style = match sign {
                '-' => OLD,
                '+' => NEW,
                _ => DIM,
            };
            let lead = Text::new().styled(style, &format!("    {sign} "));
            page.flow(&lead, &Text::new().styled(style, &line));
        }
        return;
    }
    let (before, after) = (shown(&change.before), shown(&change.after));
    let lead = Text::new().plain(&format!("  {path}  "));
    let both = arrow(&before, &after);
    if lead.width() + both.width() <= width {
        page.flow(&lead, &both);
        return;
    }
    page.flow(&Text::new().plain("  "), &Text::new().plain(&path));
    for (style, sign, text) in [(OLD, '-', before), (NEW, '+', after)] {
        let lead = Text::new().styled(style, &format!("    {sign} "));
        page.flow(&lead, &Text::new().styled(style, &text));
    }
}

fn words(page: &mut Page, name: &str, words: &Words) {
    if words.is_empty() {
        return;
    }
    page.flow(&Text::new().plain("  "), &Text::new().plain(name));
    for (style, sign, words) in [(OLD, '-', &words.removed), (NEW, '+', &words.added)] {
        if !words.is_empty() {
            let lead = Text::new().styled(style, &format!("    {sign} "));
            page.flow(&lead, &Text::new().styled(style, &words.join(" ")));
        }
    }
}

fn multiline(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Null => Some(""),
        _ => None,
    }
}

/// As one would write it in a scenario, on one line.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not set".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Sequence(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Mapping(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| format!("{}: {}", shown(key), shown(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Tagged(tagged) => shown(&tagged.value),
    }
}
