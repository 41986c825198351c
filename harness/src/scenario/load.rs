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
use crate::units::Bytes;

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
            let found = match removed_by(patches, error) {
                Some(key_span) => Found {
                    start: key_span.start,
                    end: key_span.end,
                    ..found_error(&tree, text, error)
                },
                None => found_error(&tree, text, error),
            };
            all.add(*variant, found);
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

/// The patch that has taken a missing key out.
fn removed_by(patches: &[Entry], error: &DecodeError) -> Option<Range<usize>> {
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
