//! A scenario file to its drills.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path;
use std::sync::Arc;

use super::advice::{first_line, found_error, found_problem, removed_by};
use super::check::{self, FactsOf, Problem};
use super::decode;
use super::diagnostics::{BadScenario, Found, Source};
use super::matrix::{self, Axis, Choice};
use super::model::Scenario;
use super::patch;
use super::path::Path;
use super::tree::{self, Entry, Node, Refusal, Value};

/// A scenario is a page or two of text.
const MAX_SIZE: usize = 1 << 20;

/// One scenario file without errors.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioFile {
    /// As it was given.
    pub file: path::PathBuf,
    /// The scenario's name.
    pub name: String,
    /// One for each variant in the order of the file, for each combination of the matrix, or the
    /// only one. Never empty.
    pub drills: Vec<Drill>,
}

/// One concrete run: a variant of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Drill {
    /// How it is called.
    pub id: DrillId,
    /// What it is.
    pub scenario: Scenario,
    /// Its place in the scenario's matrix: what each axis is called there. Empty without a matrix.
    pub cell: Vec<String>,
    /// The file that describes it.
    pub file: path::PathBuf,
    source: Source,
    tree: Arc<Node>,
}

/// `scenario`, or `scenario@variant`; with ` on image` where that is not the scenario's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DrillId {
    /// The scenario's name.
    pub scenario: String,
    /// The variant's name, if the scenario has variants or a matrix.
    pub variant: Option<String>,
    /// The image, if it is another one than the scenario says.
    pub image: Option<String>,
}

impl DrillId {
    /// `scenario@variant`, in a directory with the image's name where that is not the scenario's
    /// own: what is kept of a drill lies there.
    pub fn path(&self) -> path::PathBuf {
        let name = match &self.variant {
            Some(variant) => format!("{}@{variant}", self.scenario),
            None => self.scenario.clone(),
        };
        match &self.image {
            Some(image) => path::Path::new(image).join(name),
            None => name.into(),
        }
    }
}

impl fmt::Display for DrillId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scenario)?;
        if let Some(variant) = &self.variant {
            write!(f, "@{variant}")?;
        }
        match &self.image {
            Some(image) => write!(f, " on {image}"),
            None => Ok(()),
        }
    }
}

impl Drill {
    /// The same drill on an image.
    pub fn on(mut self, image: &str) -> Self {
        if self.scenario.image != image {
            self.id.image = Some(image.to_owned());
            self.scenario.image = image.to_owned();
        }
        self
    }

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

    /// The same drill with another value at `path`, as a variant would put it there, and checked as
    /// a variant is.
    ///
    /// # Errors
    /// What is wrong with it, underlined at what the file has there.
    pub fn with(
        &self,
        path: &Path,
        value: Setting,
        facts_of: FactsOf,
    ) -> Result<Self, BadScenario> {
        let there = (0..=path.0.len())
            .rev()
            .find_map(|depth| self.tree.get(&Path(path.0[..depth].to_vec())));
        let span = there.map_or(0..0, |node| first_line(&self.source.text, &node.span));
        let value = match value {
            Setting::Number(number) => Value::Unsigned(number),
            Setting::Text(text) => Value::Text(text),
        };
        let patches = [Entry {
            key: path.to_string(),
            key_span: span.clone(),
            value: Node::new(value, span),
        }];
        let (tree, refusals) = patch::apply(&self.tree, &patches);
        let mut all = Collected::default();
        let refused = !refusals.is_empty();
        for refusal in refusals {
            all.add(None, refusal.into());
        }
        let variant = self.id.variant.as_deref();
        let drill = drill(
            &self.source,
            tree,
            variant,
            &patches,
            refused,
            facts_of,
            &mut all,
        );
        match drill {
            Some(mut drill) if all.0.is_empty() => {
                drill.cell = self.cell.clone();
                Ok(match &self.id.image {
                    Some(image) => drill.on(image),
                    None => drill,
                })
            }
            _ => Err(self.source.bad(all.sorted(usize::MAX))),
        }
    }
}

/// A value for [`Drill::with`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// A whole number.
    Number(u64),
    /// Text, also for sizes.
    Text(String),
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
    let (expanded, entries): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|entry| matches!(entry.key.as_str(), "variants" | "matrix"));
    let base = Node::new(Value::Mapping(entries), root.span);
    name_of_file(file, &base, &mut all);

    let key = |key: &str| expanded.iter().find(|entry| entry.key == key);
    let mut axes = Vec::new();
    if let Some(variants) = key("variants") {
        axes.push(variant_list(variants, text, &mut all));
    }
    if let Some(matrix) = key("matrix") {
        let (more, found) = matrix::axes(matrix, text);
        axes.extend(more);
        found.into_iter().for_each(|found| all.add(None, found));
    }
    let cells = match (matrix::cells(&axes), key("matrix")) {
        (Some(cells), matrix) => {
            let wrong = matrix.and_then(|matrix| matrix::wrong_name(matrix, &cells));
            wrong.into_iter().for_each(|found| all.add(None, found));
            cells
        }
        (None, matrix) => {
            let numbers = axes.iter().map(|axis| axis.choices.len().to_string());
            let message = format!(
                "{} are more than {} drills",
                numbers.collect::<Vec<_>>().join(" x "),
                matrix::MAX_DRILLS
            );
            let help = "leave values out, or put some into a scenario of their own".to_owned();
            let at = matrix.map_or(0..0, |matrix| matrix.key_span.clone());
            all.add(None, Found::new(at, message, Some(help)));
            Vec::new()
        }
    };
    let mut drills = Vec::new();
    for cell in &cells {
        let name = cell.name();
        let patches = cell.patches();
        let (tree, refusals) = patch::apply(&base, &patches);
        let refused = !refusals.is_empty();
        for refusal in refusals {
            all.add(name.as_deref(), refusal.into());
        }
        let drill = drill(
            &source,
            tree,
            name.as_deref(),
            &patches,
            refused,
            facts_of,
            &mut all,
        );
        drills.extend(drill.map(|mut drill| {
            if key("matrix").is_some() {
                drill.cell = cell.headings();
            }
            drill
        }));
    }
    if !all.0.is_empty() {
        return Err(source.bad(all.sorted(cells.len())));
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

/// One variant's tree to its drill; what is wrong with it goes to `all`.
fn drill(
    source: &Source,
    tree: Node,
    variant: Option<&str>,
    patches: &[Entry],
    refused: bool,
    facts_of: FactsOf,
    all: &mut Collected,
) -> Option<Drill> {
    let text = &source.text;
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
        all.add(variant, found);
    }
    let scenario = decoded.value?;
    for problem in check::check(&scenario, facts_of) {
        let touched = |path: &Path| {
            decoded
                .replaced
                .iter()
                .any(|place| place.holds(path) || path.holds(place))
        };
        // What rests on a value that is wrong itself is not known.
        if !refused && !touched(&problem.path) && !problem.rests_on.iter().any(touched) {
            all.add(variant, found_problem(&tree, source, &problem));
        }
    }
    Some(Drill {
        id: DrillId {
            scenario: scenario.name.clone(),
            variant: variant.map(str::to_owned),
            image: None,
        },
        scenario,
        cell: Vec::new(),
        file: source.file.clone(),
        source: source.clone(),
        tree: Arc::new(tree),
    })
}

/// Each is decoded and checked on its own, so a file of a mebibyte could ask for a long wait.
const MAX_VARIANTS: usize = 200;

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
                    found.label += &format!("{comma}in variant {}", some_of(&within));
                }
                found
            })
            .collect()
    }
}

/// Variants by their names; a matrix may have hundreds.
pub(crate) fn some_of(variants: &[String]) -> String {
    match variants {
        [first, _, _, _, ..] => format!("{first} and {} more", variants.len() - 1),
        few => few.join(", "),
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
        && check::is_name(name)
    {
        let message = format!("the file is called `{stem}`, the scenario `{name}`");
        let help = match check::is_name(stem) {
            true => format!("write `name: {stem}`, or rename the file to `{name}.yaml`"),
            false => format!("rename the file to `{name}.yaml`"),
        };
        all.add(None, Found::new(span.clone(), message, Some(help)));
    }
}

fn variant_list(variants: &Entry, text: &str, all: &mut Collected) -> Axis {
    let mut axis = Axis::default();
    let Value::Mapping(entries) = &variants.value.value else {
        let message = "`variants` is a mapping of names to what is different";
        let help = "variants:\n  more-cpus:\n    machine.cpus: 8".to_owned();
        all.add(
            None,
            Found::new(variants.key_span.clone(), message, Some(help)),
        );
        return axis;
    };
    if entries.is_empty() {
        let help = "remove the key: a scenario without variants is one drill".to_owned();
        let message = "`variants` is empty";
        all.add(
            None,
            Found::new(variants.key_span.clone(), message, Some(help)),
        );
    }
    if let Some(entry) = entries.get(MAX_VARIANTS) {
        let message = format!("more than {MAX_VARIANTS} variants");
        let help = "put the others into a scenario of their own".to_owned();
        all.add(
            None,
            Found::new(entry.key_span.clone(), message, Some(help)),
        );
    }
    for entry in entries.iter().take(MAX_VARIANTS) {
        if !check::is_name(&entry.key) {
            let message = format!("`{}` cannot be a variant's name", entry.key);
            let help = "small letters and digits, with hyphens between them".to_owned();
            all.add(
                None,
                Found::new(entry.key_span.clone(), message, Some(help)),
            );
        }
        let patches = match &entry.value.value {
            Value::Mapping(patches) => patches.clone(),
            Value::Null => Vec::new(),
            _ => {
                let message = format!("`{}` is a mapping of paths to values", entry.key);
                let help = format!("such as `{}: {{machine.cpus: 8}}`", entry.key);
                let at = first_line(text, &entry.value.span);
                all.add(None, Found::new(at, message, Some(help)));
                continue;
            }
        };
        axis.choices.push(Choice {
            name: entry.key.clone(),
            heading: entry.key.clone(),
            patches,
        });
    }
    axis
}
