//! `matrix:` to variants: every combination of the values of some fields.

use std::collections::BTreeSet;

use super::advice::first_line;
use super::check::is_name;
use super::diagnostics::Found;
use super::path::{Path, Step};
use super::tree::{Entry, Node, Value};

/// Of one scenario. Each is a machine for half a minute, so this is two hours.
pub(super) const MAX_DRILLS: usize = 256;
/// Two values each, and the drills are 256.
const MAX_AXES: usize = 8;
/// Of a value that a name is made of.
const MAX_WORD: usize = 24;
/// A variant's name is a part of the names of files.
const MAX_NAME: usize = 120;

/// What varies: one field of the scenario, or the variants of the file.
#[derive(Debug, Default)]
pub(super) struct Axis {
    pub(super) choices: Vec<Choice>,
}

/// One value of an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    /// Its part of the drill's name.
    pub(super) name: String,
    /// For people: `count 4`, or the name that the file gives.
    pub(super) heading: String,
    pub(super) patches: Vec<Entry>,
}

/// One choice of each axis; of no axes, the scenario as it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell<'a>(Vec<&'a Choice>);

impl Cell<'_> {
    pub(super) fn name(&self) -> Option<String> {
        let names: Vec<&str> = self.0.iter().map(|choice| choice.name.as_str()).collect();
        (!names.is_empty()).then(|| names.join("-"))
    }

    pub(super) fn headings(&self) -> Vec<String> {
        let headings = self.0.iter().map(|choice| choice.heading.clone());
        headings.collect()
    }

    pub(super) fn patches(&self) -> Vec<Entry> {
        let patches = self.0.iter().flat_map(|choice| &choice.patches);
        patches.cloned().collect()
    }
}

/// All combinations, in the order of the file: the last axis changes fastest. `None` for more than
/// [`MAX_DRILLS`].
pub(super) fn cells(axes: &[Axis]) -> Option<Vec<Cell<'_>>> {
    let mut cells = vec![Cell::default()];
    for axis in axes {
        if cells.len() * axis.choices.len() > MAX_DRILLS {
            return None;
        }
        cells = cells
            .iter()
            .flat_map(|cell| {
                axis.choices.iter().map(|choice| {
                    let mut choices = cell.0.clone();
                    choices.push(choice);
                    Cell(choices)
                })
            })
            .collect();
    }
    Some(cells)
}

/// What is wrong with the names of the drills, at the file's `matrix`.
pub(super) fn wrong_name(matrix: &Entry, cells: &[Cell<'_>]) -> Option<Found> {
    let mut names = BTreeSet::new();
    let (message, help) = cells.iter().filter_map(Cell::name).find_map(|name| {
        if name.len() > MAX_NAME {
            let message = format!("a drill would be called `{name}`, which is too long");
            let help = "give the values short names: `path: {short: value, other: value}`";
            return Some((message, help));
        }
        match names.insert(name.clone()) {
            true => None,
            false => Some((
                format!("two drills would be called `{name}`"),
                "call one of the values otherwise",
            )),
        }
    })?;
    let at = matrix.key_span.clone();
    Some(Found::new(at, message, Some(help.to_owned())))
}

/// The axes of a file's `matrix`, and what is wrong with them. A value that is wrong is left out.
pub(super) fn axes(matrix: &Entry, text: &str) -> (Vec<Axis>, Vec<Found>) {
    let at = matrix.key_span.clone();
    let Value::Mapping(entries) = &matrix.value.value else {
        let message = "`matrix` is a mapping of paths to lists of values";
        let help = "matrix:\n  nr_cpus: [1, 2]\n  machine.devices[0].count: [3, 4]".to_owned();
        return (Vec::new(), vec![Found::new(at, message, Some(help))]);
    };
    let mut found = Vec::new();
    if entries.is_empty() {
        let help = "remove the key, or say what varies, such as `nr_cpus: [1, 2]`".to_owned();
        found.push(Found::new(at, "`matrix` is empty", Some(help)));
    }
    if let Some(entry) = entries.get(MAX_AXES) {
        let message = format!("more than {MAX_AXES} fields vary");
        let help = "put what has one value into the scenario itself".to_owned();
        found.push(Found::new(entry.key_span.clone(), message, Some(help)));
    }
    let entries = &entries[..entries.len().min(MAX_AXES)];
    let axes = entries
        .iter()
        .zip(fields(entries))
        .map(|(entry, field)| axis(entry, &field, text, &mut found))
        .collect();
    (axes, found)
}

fn axis(entry: &Entry, field: &str, text: &str, found: &mut Vec<Found>) -> Axis {
    let key = &entry.key;
    let mut axis = Axis::default();
    let values: Vec<_> = match &entry.value.value {
        Value::List(items) => items.iter().map(|item| (None, item)).collect(),
        Value::Mapping(named) => named.iter().map(|it| (Some(it), &it.value)).collect(),
        single => {
            let short = |words: &String| *single != Value::Null && words.len() <= MAX_WORD;
            let written = words(single).filter(short);
            let written = written.as_deref().unwrap_or("1, 2");
            let message = format!("`{key}` is a list of values, or a mapping of names to values");
            let help = format!("`{key}: [{written}]`");
            found.push(Found::new(entry.key_span.clone(), message, Some(help)));
            return axis;
        }
    };
    if values.is_empty() {
        let message = format!("`{key}` has no values, so there is no drill");
        let help = "write some, or remove the key".to_owned();
        found.push(Found::new(entry.key_span.clone(), message, Some(help)));
    }
    if values.len() > MAX_DRILLS {
        let message = format!("`{key}` has {} values", values.len());
        let help = format!("a scenario has at most {MAX_DRILLS} drills");
        found.push(Found::new(entry.key_span.clone(), message, Some(help)));
    }
    for (label, value) in values.into_iter().take(MAX_DRILLS) {
        let at = match label {
            Some(label) => label.key_span.clone(),
            None => first_line(text, &value.span),
        };
        let (name, heading) = match named(key, field, label, value, text) {
            Ok(names) => names,
            Err((message, help)) => {
                found.push(Found::new(at, message, Some(help)));
                continue;
            }
        };
        let twin = axis.choices.iter().find(|choice| {
            let patch = choice.patches.first();
            choice.name == name || patch.is_some_and(|it| same(&it.value.value, &value.value))
        });
        if let Some(twin) = twin {
            let message = match label {
                Some(_) => format!("`{name}` is the same value as `{}`", twin.name),
                None if heading == twin.heading => format!("`{heading}` is there twice"),
                None => format!("`{heading}` and `{}` are the same", twin.heading),
            };
            let help = "remove one of them, or change it: each drill is run once".to_owned();
            found.push(Found::new(at, message, Some(help)));
            continue;
        }
        axis.choices.push(Choice {
            name,
            heading,
            patches: vec![Entry {
                key: key.clone(),
                key_span: entry.key_span.clone(),
                value: value.clone(),
            }],
        });
    }
    axis
}

/// The name and the heading of a value: as the file says, or made of the value. Otherwise what is
/// wrong, and what to write.
fn named(
    key: &str,
    field: &str,
    label: Option<&Entry>,
    value: &Node,
    text: &str,
) -> Result<(String, String), (String, String)> {
    if let Some(Entry { key: label, .. }) = label {
        return match is_name(label) {
            true => Ok((label.clone(), label.clone())),
            false => Err((
                format!("`{label}` cannot be a part of a drill's name"),
                "small letters and digits, with hyphens between them".to_owned(),
            )),
        };
    }
    let words = words(&value.value).filter(|words| words.len() <= MAX_WORD);
    match words {
        Some(words) if !slug(&words).is_empty() => {
            let heading = format!("{field} {words}");
            Ok((slug(&heading), heading))
        }
        _ => {
            let line = text.get(first_line(text, &value.span)).unwrap_or_default();
            Err((
                "no short name can be made of this value".to_owned(),
                format!("give all values of `{key}` a name:\n{key}:\n  short: {line}"),
            ))
        }
    }
}

/// A value, or a list of some, in a few words.
fn words(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => "unset".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Unsigned(number) => number.to_string(),
        Value::Signed(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::List(items) => {
            let words: Option<Vec<_>> = items.iter().map(|item| words(&item.value)).collect();
            words?.join(" ")
        }
        Value::Mapping(_) => return None,
    })
}

/// Small letters and digits, with hyphens between them, as far as a text has any.
fn slug(text: &str) -> String {
    let parts = text.split(|c: char| !c.is_ascii_alphanumeric());
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("-").to_ascii_lowercase()
}

/// What the fields are called in the names of drills: the last key of the path, and as much before
/// it as tells it from the others.
fn fields(entries: &[Entry]) -> Vec<String> {
    let all: Vec<Vec<String>> = entries.iter().map(|entry| ends(&entry.key)).collect();
    let choose = |(nth, ends): (usize, &Vec<String>)| {
        let others = |end: &String| {
            let others = all.iter().enumerate().filter(|(other, _)| *other != nth);
            others
                .flat_map(|(_, ends)| ends)
                .any(|other| slug(other) == slug(end))
        };
        let unique = ends
            .iter()
            .find(|end| !slug(end).is_empty() && !others(end));
        unique.or(ends.last()).cloned().unwrap_or_default()
    };
    all.iter().enumerate().map(choose).collect()
}

/// `count`, `devices[0].count`, `machine.devices[0].count`. A text that is no path is refused where
/// it is used.
fn ends(key: &str) -> Vec<String> {
    let Ok(Path(steps)) = key.parse::<Path>() else {
        return vec![key.to_owned()];
    };
    (0..steps.len())
        .rev()
        .filter(|at| matches!(steps[*at], Step::Key(_)))
        .map(|at| Path(steps[at..].to_vec()).to_string())
        .collect()
}

/// Equal, wherever they stand.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::List(one), Value::List(other)) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.all(|(a, b)| same(&a.value, &b.value))
        }
        (Value::Mapping(one), Value::Mapping(other)) => {
            let mut pairs = one.iter().zip(other);
            let equal =
                |(a, b): (&Entry, &Entry)| a.key == b.key && same(&a.value.value, &b.value.value);
            one.len() == other.len() && pairs.all(equal)
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests;
