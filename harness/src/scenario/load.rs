//! A scenario file to its drills.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path;
use std::sync::Arc;

use super::check::{self, FactsOf, Problem};
use super::decode::{self, DecodeError, Kind};
use super::diagnostics::{BadScenario, Found, Source};
use super::model::Scenario;
use super::patch;
use super::path::{Path, Step};
use super::schema;
use super::tree::{self, Entry, Node, Refusal, Value};
use crate::kdump::crashkernel::Crashkernel;
use crate::suggest;

/// A scenario is a page or two of text.
const MAX_SIZE: usize = 1 << 20;

/// One scenario file without errors.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioFile {
    /// As it was given.
    pub file: path::PathBuf,
    /// The scenario's name.
    pub name: String,
    /// One for each variant in the order of the file, or the only one. Never empty.
    pub drills: Vec<Drill>,
}

/// One concrete run: a variant of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Drill {
    /// How it is called.
    pub id: DrillId,
    /// What it is.
    pub scenario: Scenario,
    /// The file that describes it.
    pub file: path::PathBuf,
    source: Source,
    tree: Arc<Node>,
}

/// `scenario`, or `scenario@variant`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DrillId {
    /// The scenario's name.
    pub scenario: String,
    /// The variant's name, if the scenario has variants.
    pub variant: Option<String>,
}

impl fmt::Display for DrillId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.variant {
            Some(variant) => write!(f, "{}@{variant}", self.scenario),
            None => f.write_str(&self.scenario),
        }
    }
}

impl Drill {
    /// Errors that only show later (a device that this QEMU lacks), in the file that they are in.
    /// `problems` is not empty.
    pub fn refuse(&self, problems: &[Problem]) -> BadScenario {
        let mut all = Collected::default();
        let variant = self.id.variant.as_deref();
        for problem in problems {
            all.add(variant, found_problem(&self.tree, &self.source, problem));
        }
        self.source.bad(all.sorted(usize::MAX))
    }
}

/// Reads and parses a file.
pub fn read(file: &path::Path, facts_of: FactsOf) -> Result<ScenarioFile, BadScenario> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(MAX_SIZE as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| BadScenario::unreadable(file, format!("cannot be read: {error}"), None))?;
    parse_bytes(file, &bytes, facts_of)
}

/// Parses a file's bytes.
pub fn parse_bytes(
    file: &path::Path,
    bytes: &[u8],
    facts_of: FactsOf,
) -> Result<ScenarioFile, BadScenario> {
    if bytes.len() > MAX_SIZE {
        let message = "larger than 1 MiB, which no scenario is".to_owned();
        return Err(BadScenario::unreadable(file, message, None));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = good.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        BadScenario::unreadable(
            file,
            format!("not UTF-8 at line {line}, byte {column}"),
            Some("save it as UTF-8".to_owned()),
        )
    })?;
    parse(file, text, facts_of)
}

/// Parses a file's text. All errors are found, of all variants; what several variants share is
/// said once.
pub fn parse(
    file: &path::Path,
    text: &str,
    facts_of: FactsOf,
) -> Result<ScenarioFile, BadScenario> {
    let source = Source {
        file: file.to_owned(),
        text: text.into(),
    };
    if text.len() > MAX_SIZE {
        let message = "larger than 1 MiB, which no scenario is".to_owned();
        return Err(BadScenario::unreadable(file, message, None));
    }
    let (root, refusals) = tree::parse(text).map_err(|refusal| source.bad([refusal.into()]))?;
    let mut all = Collected::default();
    for refusal in refusals {
        all.add(None, refusal.into());
    }
    let Value::Mapping(entries) = root.value else {
        let found = Found::new(
            first_line(text, &root.span),
            "a scenario is a mapping of keys to values",
            Some("begin with `name: …`; see `crashdrill schema`".to_owned()),
        );
        return Err(source.bad([found]));
    };
    let (variants, entries): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|entry| entry.key == "variants");
    let base = Node::new(Value::Mapping(entries), root.span);
    name_of_file(file, &base, &mut all);

    let variants = match variants.first() {
        Some(entry) => variant_list(entry, text, &mut all),
        None => vec![(None, &[] as &[Entry])],
    };
    let mut drills = Vec::new();
    for (variant, patches) in &variants {
        let (tree, refusals) = patch::apply(&base, patches);
        let refused = !refusals.is_empty();
        for refusal in refusals {
            all.add(*variant, refusal.into());
        }
        let decoded = decode::decode::<Scenario>(&tree);
        for error in &decoded.errors {
            all.add(*variant, found_error(&tree, text, error));
        }
        let Some(scenario) = decoded.value else {
            continue;
        };
        for problem in check::check(&scenario, facts_of) {
            let touched = |path: &Path| {
                decoded
                    .replaced
                    .iter()
                    .any(|place| place.holds(path) || path.holds(place))
            };
            // What rests on a value that is wrong itself is not known.
            if !refused && !touched(&problem.path) && !problem.rests_on.iter().any(touched) {
                all.add(*variant, found_problem(&tree, &source, &problem));
            }
        }
        drills.push(Drill {
            id: DrillId {
                scenario: scenario.name.clone(),
                variant: variant.map(str::to_owned),
            },
            scenario,
            file: file.to_owned(),
            source: source.clone(),
            tree: Arc::new(tree),
        });
    }
    if !all.0.is_empty() {
        return Err(source.bad(all.sorted(variants.len())));
    }
    let name = drills
        .first()
        .map(|drill| drill.id.scenario.clone())
        .unwrap_or_default();
    Ok(ScenarioFile {
        file: file.to_owned(),
        name,
        drills,
    })
}

/// Errors, each with the variants that it is in.
#[derive(Default)]
struct Collected(BTreeMap<Found, Vec<String>>);

impl Collected {
    fn add(&mut self, variant: Option<&str>, found: Found) {
        let variants = self.0.entry(found).or_default();
        variants.extend(variant.map(str::to_owned));
    }

    /// In the order of the file. An error of some but not all variants says which.
    fn sorted(self, variants: usize) -> Vec<Found> {
        self.0
            .into_iter()
            .map(|(mut found, within)| {
                if !within.is_empty() && within.len() < variants {
                    let comma = if found.label.is_empty() { "" } else { ", " };
                    found.label += &format!("{comma}in variant {}", within.join(", "));
                }
                found
            })
            .collect()
    }
}

impl From<Refusal> for Found {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.span, refusal.message, refusal.help)
    }
}

fn name_of_file(file: &path::Path, base: &Node, all: &mut Collected) {
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    let name = base.get(&Path::default().key("name"));
    if let (
        Some(stem),
        Some(Node {
            value: Value::Text(name),
            span,
            ..
        }),
    ) = (stem, name)
        && stem != name
    {
        let message = format!("the file is called `{stem}`, the scenario `{name}`");
        let help = format!("write `name: {stem}`, or rename the file to `{name}.yaml`");
        all.add(None, Found::new(span.clone(), message, Some(help)));
    }
}

fn variant_list<'a>(
    variants: &'a Entry,
    text: &str,
    all: &mut Collected,
) -> Vec<(Option<&'a str>, &'a [Entry])> {
    let mut list = Vec::new();
    let Value::Mapping(entries) = &variants.value.value else {
        let message = "`variants` is a mapping of names to what is different";
        let help = "variants:\n  more-cpus:\n    machine.cpus: 8".to_owned();
        all.add(
            None,
            Found::new(variants.key_span.clone(), message, Some(help)),
        );
        return list;
    };
    if entries.is_empty() {
        let help = "remove the key: a scenario without variants is one drill".to_owned();
        let message = "`variants` is empty";
        all.add(
            None,
            Found::new(variants.key_span.clone(), message, Some(help)),
        );
    }
    for entry in entries {
        if !check::is_name(&entry.key) {
            let message = format!("`{}` cannot be a variant's name", entry.key);
            let help = "small letters and digits, with hyphens between them".to_owned();
            all.add(
                None,
                Found::new(entry.key_span.clone(), message, Some(help)),
            );
        }
        match &entry.value.value {
            Value::Mapping(patches) => list.push((Some(entry.key.as_str()), patches.as_slice())),
            Value::Null => list.push((Some(entry.key.as_str()), &[] as &[Entry])),
            _ => {
                let message = format!("`{}` is a mapping of paths to values", entry.key);
                let help = format!("such as `{}: {{machine.cpus: 8}}`", entry.key);
                let at = first_line(text, &entry.value.span);
                all.add(None, Found::new(at, message, Some(help)));
            }
        }
    }
    list
}

fn found_problem(root: &Node, source: &Source, problem: &Problem) -> Found {
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

fn found_error(root: &Node, text: &str, error: &DecodeError) -> Found {
    let place = error.place();
    let (at, help) = match &error.kind {
        Kind::UnknownKey { key, expected } => (
            underline(root, text, &place, true),
            Some(help_for_key(&error.path, key, expected)),
        ),
        Kind::MissingKey(_) => {
            let wanted = schema::wanted(&place).and_then(|wanted| wanted.description);
            (underline(root, text, &error.path, true), wanted)
        }
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
                help.or_else(|| node.and_then(|node| help_for_value(&place, node, text))),
            )
        }
    };
    Found {
        label: match error.kind {
            Kind::UnknownKey { .. } | Kind::MissingKey(_) => error.path.to_string(),
            _ => place.to_string(),
        },
        ..Found::new(at, error.to_string(), help)
    }
}

fn help_for_key(mapping: &Path, key: &str, expected: &'static [&'static str]) -> String {
    if let Some(closest) = suggest::closest(key, expected.iter().copied()) {
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
    let variants = if mapping.0.is_empty() {
        ", variants"
    } else {
        ""
    };
    format!("{place} has {}{variants}", expected.join(", "))
}

fn help_for_choice(given: &str, expected: &'static [&'static str]) -> String {
    match suggest::closest(given, expected.iter().copied()) {
        Some(closest) => format!("did you mean `{closest}`?"),
        None => format!("one of {}", expected.join(", ")),
    }
}

/// What to write for a value of the wrong type.
fn help_for_value(place: &Path, node: &Node, text: &str) -> Option<String> {
    let wanted = schema::wanted(place)?;
    let written = text.get(node.span.clone()).unwrap_or_default();
    match (wanted.type_name.as_str(), &node.value) {
        ("Bytes", Value::Unsigned(_) | Value::Float(_)) => Some(format!(
            "a size has its unit with it: `{written}M`, `{written}G`"
        )),
        ("Crashkernel", Value::Unsigned(_) | Value::Float(_)) => {
            Some(format!("a size has its unit with it: `{written}M`"))
        }
        ("Crashkernel", Value::Null | Value::Bool(_)) => {
            Some("for no such parameter write `none`".to_owned())
        }
        ("Bytes", Value::Text(size)) => bytes_help(size).or(wanted.description),
        ("Millis", Value::Unsigned(_) | Value::Float(_)) => {
            Some(format!("a time has its unit with it: `{written}s`"))
        }
        ("", Value::Unsigned(_) | Value::Signed(_) | Value::Float(_) | Value::Bool(_)) => {
            Some(format!("if it is text, put it into quotes: \"{written}\""))
        }
        ("Cpus" | "", Value::Text(number)) if number.parse::<u64>().is_ok() => {
            Some(format!("a number stands without quotes: {number}"))
        }
        (_, Value::Null) => Some(match wanted.description {
            Some(description) => format!("{description} To have the default, remove the key."),
            None => "to have the default, remove the key".to_owned(),
        }),
        _ => wanted.description,
    }
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
    (known && !number.is_empty() && "KMGT".contains(letter)).then(|| format!("{number}{letter}"))
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
fn first_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let line = text
        .get(span.clone())
        .and_then(|text| text.lines().next())
        .unwrap_or_default();
    span.start..span.start + line.trim_end().len()
}
