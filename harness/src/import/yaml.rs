//! A scenario as a person would write it: keys in the order in which one thinks of them, comments
//! above what they are about.

use std::fmt::Write;

use super::scale::Chosen;
use crate::scenario::model::{Device, DeviceKind};

/// Columns of a comment.
const WIDTH: usize = 100;

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Yaml(String);

impl Yaml {
    /// A paragraph as a comment, at a depth of two blanks each.
    pub(super) fn comment(&mut self, depth: usize, text: &str) {
        let indent = "  ".repeat(depth);
        // What stands in columns stays so.
        if text.starts_with("  ") {
            let _ = writeln!(self.0, "{indent}# {text}");
            return;
        }
        let mut line = format!("{indent}#");
        let mut words = 0;
        for word in text.split_whitespace() {
            if words > 0 && line.chars().count() + 1 + word.chars().count() > WIDTH {
                let _ = writeln!(self.0, "{line}");
                line = format!("{indent}#");
            }
            line.push(' ');
            line.push_str(word);
            words += 1;
        }
        if words > 0 {
            let _ = writeln!(self.0, "{line}");
        }
    }

    /// A line as it is.
    pub(super) fn line(&mut self, depth: usize, text: &str) {
        let _ = writeln!(self.0, "{}{text}", "  ".repeat(depth));
    }

    /// `key: value` below its comments.
    pub(super) fn chosen<T>(&mut self, depth: usize, key: &str, chosen: &Chosen<T>, value: &str) {
        self.comment(depth, &sentence(&chosen.comment));
        self.line(depth, &format!("{key}: {value}"));
    }

    /// `key: |` and the text below.
    pub(super) fn block(&mut self, depth: usize, key: &str, text: &str) {
        // A first line that is indented, or nothing at all, would need an indicator.
        if text.trim().is_empty() || text.starts_with([' ', '\t', '\n']) {
            return self.line(depth, &format!("{key}: {}", quoted(text)));
        }
        self.line(depth, &format!("{key}: |"));
        for line in text.lines() {
            self.line(depth + 1, line);
        }
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Parts of a sentence together.
pub(super) fn sentence(parts: &[String]) -> String {
    let text = parts.join("; ");
    let mut chars = text.chars();
    match chars.next() {
        // A parameter's name is no word of ours.
        Some(first) if !text.starts_with("crashkernel=") => {
            first.to_uppercase().chain(chars).chain(['.']).collect()
        }
        Some(_) => text + ".",
        None => text,
    }
}

/// A scalar in double quotes, which take every text.
pub(super) fn quoted(text: &str) -> String {
    // JSON's strings are YAML's.
    serde_json::Value::from(text).to_string()
}

/// A device on one line.
pub(super) fn device(device: &Device) -> String {
    let kind = kind(device.device);
    let mut parts = vec![format!("device: {kind}")];
    let mut part = |key: &str, value: Option<String>| {
        parts.extend(value.map(|value| format!("{key}: {value}")));
    };
    let text = |value: &dyn std::fmt::Display| quoted(&value.to_string());
    part("id", device.id.map(|id| text(&id)));
    part("subsystem", device.subsystem.map(|id| text(&id)));
    part("class", device.class.map(|class| text(&class)));
    part("rev", device.rev.map(|rev| text(&rev)));
    let bars = device.bars.as_ref().map(|bars| {
        let bars: Vec<String> = bars.iter().map(|bar| text(bar)).collect();
        format!("[{}]", bars.join(", "))
    });
    part("bars", bars);
    part("msix", device.msix.map(|size| size.get().to_string()));
    part("msi", device.msi.then(|| "true".to_owned()));
    part("ports", device.ports.map(|ports| ports.get().to_string()));
    part(
        "count",
        (device.count > 1).then(|| device.count.to_string()),
    );
    let slots = device.slots.as_ref().map(|slots| {
        let slots: Vec<String> = slots.iter().map(|slot| text(slot)).collect();
        format!("[{}]", slots.join(", "))
    });
    part("slots", slots);
    part("target", device.target.then(|| "true".to_owned()));
    part("root", device.root.then(|| "true".to_owned()));
    part("line", device.line.map(|line| kind_of(&line)));
    format!("- {{{}}}", parts.join(", "))
}

/// As scenarios spell it.
pub(super) fn kind_of(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

fn kind(kind: DeviceKind) -> &'static str {
    crate::machine::catalogue::entry(kind).name
}
