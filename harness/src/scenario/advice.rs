//! Where to underline an error, in which words to say it, and what to write instead.

use std::ops::Range;

use super::check::Problem;
use super::decode::{DecodeError, Kind};
use super::diagnostics::{Found, Source};
use super::path::{Path, Step};
use super::schema;
use super::tree::{Entry, Node, Value};
use crate::kdump::crashkernel::Crashkernel;
use crate::suggest;
use crate::units::Bytes;

pub(super) fn found_problem(root: &Node, source: &Source, problem: &Problem) -> Found {
    let text = &source.text;
    let part = problem
        .inside
        .as_ref()
        .and_then(|part| root.get(&problem.path)?.inside(text, part));
    let at = part.unwrap_or_else(|| underline(root, text, &problem.path, problem.on_key));
    Found {
        label: problem.path.to_string(),
        ..Found::new(at, problem.message.clone(), problem.help.clone())
    }
}

pub(super) fn found_error(root: &Node, text: &str, error: &DecodeError) -> Found {
    let place = error.place();
    let (at, help) = match &error.kind {
        Kind::UnknownKey { key, expected } => (
            underline(root, text, &place, true),
            Some(help_for_key(&error.path, key, expected)),
        ),
        Kind::MissingKey(_) => (
            underline(root, text, &error.path, true),
            Some(help_for_missing(&place)),
        ),
        Kind::UnknownChoice { given, expected } => (
            underline(root, text, &place, false),
            Some(help_for_choice(given, expected)),
        ),
        Kind::WrongType { .. } | Kind::Other(_) => {
            let node = root.get(&place);
            let part = node.and_then(|node| crashkernel_part(&place, node, text));
            let (part, help) = part.unzip();
            let at = part.unwrap_or_else(|| underline(root, text, &place, false));
            (
                at,
                help.or_else(|| {
                    node.and_then(|node| help_for_value(&place, node, &error.kind, text))
                }),
            )
        }
    };
    Found {
        label: match error.kind {
            Kind::UnknownKey { .. } | Kind::MissingKey(_) => error.path.to_string(),
            _ => place.to_string(),
        },
        ..Found::new(at, error_message(root, text, error, &place), help)
    }
}

/// In the words of the file: types by what they are for, numbers as they are written.
fn error_message(root: &Node, text: &str, error: &DecodeError, place: &Path) -> String {
    let mut message = error.to_string();
    if let Kind::WrongType { found, wanted } = &error.kind
        && wanted == "text"
    {
        let type_name = schema::wanted(place).map(|wanted| wanted.type_name);
        let wanted = match type_name.as_deref() {
            Some("Bytes") => "a size such as 256M",
            Some("Millis") => "a time such as 90s",
            Some("Crashkernel") => "a value of crashkernel= such as 256M",
            _ => wanted,
        };
        message = format!("expected {wanted}, found {found}");
    }
    if let Some(Node {
        value: Value::Unsigned(number),
        span,
        ..
    }) = root.get(place)
        && let Some(written) = text.get(span.clone())
        && written.starts_with("0x")
    {
        message = message
            .replace(&format!("`{number}`"), &format!("`{written}`"))
            .replace(&format!("number {number}"), &format!("number {written}"));
    }
    message
}

fn help_for_key(mapping: &Path, key: &str, expected: &'static [&'static str]) -> String {
    // Keys of the file that are gone when a drill is decoded.
    let expanded: &[&str] = match mapping.0.is_empty() {
        true => &["variants", "matrix"],
        false => &[],
    };
    let known: Vec<&str> = expected.iter().chain(expanded).copied().collect();
    if let Some(closest) = suggest::closest(key, known.iter().copied()) {
        return format!("did you mean `{closest}`?");
    }
    if let Some(home) = schema::homes(key).first() {
        return match home.as_str() {
            "" => format!("`{key}` belongs at the top of the file, without indentation"),
            home => format!("`{key}` belongs in `{home}`"),
        };
    }
    let place = if mapping.0.is_empty() {
        "a scenario"
    } else {
        "this mapping"
    };
    format!("{place} has {}", known.join(", "))
}

/// The patch that has taken a missing key out.
pub(super) fn removed_by(patches: &[Entry], error: &DecodeError) -> Option<Range<usize>> {
    let Kind::MissingKey(_) = error.kind else {
        return None;
    };
    let place = error.place();
    patches
        .iter()
        .find(|patch| patch.value.value == Value::Null && patch.key.parse() == Ok(place.clone()))
        .map(|patch| patch.key_span.clone())
}

fn help_for_missing(place: &Path) -> String {
    let example = match place.to_string().as_str() {
        "name" => "name: vector-exhaustion",
        "image" => "image: debian-12",
        "crashkernel" => return "write `256M`, or `none` for no such parameter".to_owned(),
        "about" => "about: What the drill shows, in a sentence.",
        "capture.order.shuffled" => "shuffled: 1",
        "expect.verdict" => "verdict: no-vmcore",
        _ => "device: nvme",
    };
    format!("add it: `{example}`")
}

fn help_for_choice(given: &str, expected: &'static [&'static str]) -> String {
    if let [only] = expected {
        return format!("so far there is only `{only}`");
    }
    match suggest::closest(given, expected.iter().copied()) {
        Some(closest) => format!("did you mean `{closest}`?"),
        None => format!("one of {}", expected.join(", ")),
    }
}

/// What to write for a value that was refused.
fn help_for_value(place: &Path, node: &Node, kind: &Kind, text: &str) -> Option<String> {
    let wanted = schema::wanted(place)?;
    let written = text.get(node.span.clone()).unwrap_or_default();
    let key = match place.0.last() {
        Some(Step::Key(key)) => key.as_str(),
        _ => "",
    };
    let expected = match kind {
        Kind::WrongType { wanted, .. } => wanted.as_str(),
        _ => "",
    };
    if node.value == Value::Null && wanted.type_name != "Crashkernel" {
        return Some("to have the default, remove the key".to_owned());
    }
    match (wanted.type_name.as_str(), &node.value) {
        ("Bytes" | "Crashkernel", Value::Unsigned(number)) => Some(size_help(*number)),
        ("Crashkernel", Value::Null | Value::Bool(_)) => {
            Some("for no such parameter write `none`".to_owned())
        }
        ("Bytes", Value::Text(size)) => bytes_help(size),
        ("Millis", Value::Unsigned(_)) => {
            Some(format!("a time has its unit with it: `{written}s`"))
        }
        ("Cpus" | "", Value::Text(number)) if number.parse::<u64>().is_ok() => {
            Some(format!("a number stands without quotes: `{key}: {number}`"))
        }
        ("Cpus", _) => Some(format!("such as `{key}: 4`")),
        ("TableSize", _) if !matches!(kind, Kind::Other(_)) => {
            Some("a whole number, such as `msix: 64`".to_owned())
        }
        ("Device", _) => Some("such as `- {device: nvme, target: true}`".to_owned()),
        (_, Value::List(_) | Value::Mapping(_)) if expected == "a list" => {
            Some("each item stands behind a `- `".to_owned())
        }
        (_, _) if expected == "a list" => {
            Some(format!("one item is a list, too: `{key}: [{written}]`"))
        }
        (_, Value::Unsigned(_) | Value::Signed(_) | Value::Float(_) | Value::Bool(_))
            if expected == "text" =>
        {
            Some(format!("if it is text, put it into quotes: \"{written}\""))
        }
        (_, Value::Text(word)) if expected.contains("`true`") => {
            match word.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => Some(format!("`{key}: true`")),
                "no" | "off" | "n" | "false" => Some(format!("`{key}: false`")),
                _ => None,
            }
        }
        _ if expected == "a mapping" && !wanted.keys.is_empty() => {
            Some(format!("its keys are {}", wanted.keys.join(", ")))
        }
        // The message of a refused text already says what is accepted.
        _ if matches!(kind, Kind::Other(_)) || expected.starts_with("a PCI slot") => None,
        _ => wanted.description,
    }
}

/// A bare number was meant as mebibytes if it is small, as bytes if it is large.
fn size_help(number: u64) -> String {
    if number < Bytes::MIB {
        return format!("a size has its unit with it: `{number}M`");
    }
    format!(
        "a size has its unit with it: `{}`; bytes go into quotes",
        Bytes(number)
    )
}

/// `256MB` and `1GiB` are what people write.
fn bytes_help(size: &str) -> Option<String> {
    let split = size.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = size.split_at(split);
    let letter = unit.trim().chars().next()?.to_ascii_uppercase();
    let known = matches!(
        unit.trim().to_ascii_lowercase().get(1..),
        Some("" | "b" | "ib")
    );
    let meant = format!("{number}{letter}");
    let help = match meant.eq_ignore_ascii_case(size) {
        true => "it does not fit into 64 bits; write a smaller one".to_owned(),
        false => meant,
    };
    (known && !number.is_empty() && "KMGT".contains(letter)).then_some(help)
}

/// crashkernel= says itself where it is wrong.
fn crashkernel_part(place: &Path, node: &Node, text: &str) -> Option<(Range<usize>, String)> {
    let Value::Text(value) = &node.value else {
        return None;
    };
    if *place != Path::default().key("crashkernel") {
        return None;
    }
    let error = value.parse::<Crashkernel>().err()?;
    let at = node.inside(text, &error.at)?;
    // At the value's end there is nothing to underline but the value.
    let at = if at.is_empty() { node.span.clone() } else { at };
    Some((at, error.help.to_owned()))
}

/// The bytes to underline for a place: its value if that is on one line, else its key; of a place
/// that is not in the file, the nearest one around it that is.
fn underline(root: &Node, text: &str, path: &Path, on_key: bool) -> Range<usize> {
    let mut node = root;
    let mut key = None;
    let mut whole = true;
    for step in &path.0 {
        let next = match (step, &node.value) {
            (Step::Key(wanted), Value::Mapping(entries)) => entries
                .iter()
                .find(|entry| entry.key == *wanted)
                .map(|entry| (Some(entry.key_span.clone()), &entry.value)),
            (Step::Index(index), Value::List(items)) => items.get(*index).map(|item| (None, item)),
            _ => None,
        };
        let Some((next_key, next_node)) = next else {
            whole = false;
            break;
        };
        key = next_key;
        node = next_node;
    }
    let line = first_line(text, &node.span);
    let one_line = line == node.span && !line.is_empty() && !node.literal;
    match key {
        Some(key) if on_key || !whole || !one_line => key,
        _ => line,
    }
}

/// The part of a span that is on its first line.
pub(super) fn first_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let line = text
        .get(span.clone())
        .and_then(|text| text.lines().next())
        .unwrap_or_default();
    span.start..span.start + line.trim_end().len()
}
