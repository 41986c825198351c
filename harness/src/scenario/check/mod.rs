//! What the types cannot say: fields that have to fit each other, the machine and the grammars
//! inside of strings.

mod devices;
mod expect;
mod kernels;
mod machine;

use std::ops::Range;

use super::identity::Ids;
use super::model::{DeviceKind, Scenario};
use super::path::Path;

/// What a check has to know about a kind of device. The machine's catalogue says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Its MSI-X table.
    pub table: TableRule,
    /// It can carry the disk that the dump goes to.
    pub disk: bool,
    /// It is a network adapter, over which the dump can go.
    pub network: bool,
    /// Which ids it takes.
    pub ids: Ids,
    /// It is a card with as many ports as a scenario wants.
    pub ports: bool,
}

/// Which MSI-X tables a device can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableRule {
    /// It has none.
    None,
    /// Always one of this size.
    Fixed(u16),
    /// A scenario may choose.
    Free {
        /// Least number of entries.
        min: u16,
        /// Greatest number of entries.
        max: u16,
    },
}

/// The catalogue, asked for one kind.
pub type FactsOf = fn(DeviceKind) -> DeviceFacts;

/// Something wrong with a decoded scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The value it is about; if it is not in the file, the place where it would be.
    pub path: Path,
    /// The key is wrong, not what stands behind it.
    pub on_key: bool,
    /// Bytes of the value's text, where only a part of it is wrong.
    pub inside: Option<Range<usize>>,
    /// Other values that it would not be wrong without.
    pub rests_on: Vec<Path>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Problem {
    /// A problem with one value.
    pub fn new(path: Path, message: impl Into<String>) -> Self {
        Self {
            path,
            on_key: false,
            inside: None,
            rests_on: Vec::new(),
            message: message.into(),
            help: None,
        }
    }

    /// With what to write instead.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Wrong only together with another value.
    pub fn rests_on(mut self, path: Path) -> Self {
        self.rests_on.push(path);
        self
    }
}

/// Everything that is wrong with a scenario whose parts are each of the right type.
pub fn check(scenario: &Scenario, facts_of: FactsOf) -> Vec<Problem> {
    let mut problems = Vec::new();
    let found = &mut problems;
    names(scenario, found);
    machine::machine(scenario, found);
    devices::devices(scenario, facts_of, found);
    machine::regions(&scenario.machine.devices, found);
    machine::slots(scenario, found);
    kernels::kernels(scenario, found);
    kernels::kdump(scenario, found);
    limits(scenario, found);
    expect::expect(scenario, found);
    super::userland::check(scenario, found);
    problems
}

fn root(key: &str) -> Path {
    Path::default().key(key)
}

fn device_path(nth: usize) -> Path {
    root("machine").key("devices").index(nth)
}

fn names(scenario: &Scenario, found: &mut Vec<Problem>) {
    if !is_name(&scenario.name) {
        found.push(
            Problem::new(
                root("name"),
                format!("`{}` cannot be a scenario's name", scenario.name),
            )
            .help("small letters and digits, with hyphens between them"),
        );
    }
    if scenario.about.trim().is_empty() {
        found.push(
            Problem::new(root("about"), "`about` is empty")
                .help("say in a sentence what the drill shows"),
        );
    }
    if scenario.image.trim().is_empty() {
        let help = "the name of a file in images/, such as `debian-12`";
        found.push(Problem::new(root("image"), "`image` is empty").help(help));
    } else if !scenario
        .image
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        || scenario.image.starts_with('.')
    {
        let message = format!("`{}` cannot be an image's name", scenario.image);
        let help = "the name of a file in images/ without `.yaml`, such as `debian-12`";
        found.push(Problem::new(root("image"), message).help(help));
    }
}

/// Small letters and digits, with hyphens between them.
pub(super) fn is_name(name: &str) -> bool {
    name.split('-').all(|part| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    })
}

fn limits(scenario: &Scenario, found: &mut Vec<Problem>) {
    let limits = &scenario.limits;
    let path = |key| root("limits").key(key);
    for (key, value) in [
        ("total", limits.total),
        ("silence", limits.silence),
        ("target", limits.target),
    ] {
        if value.0 == 0 {
            let problem = Problem::new(path(key), format!("`{key}` is no time at all"));
            found.push(problem.help("a time such as 90s, 2m or 500ms"));
        }
    }
    for (key, value) in [("silence", limits.silence), ("target", limits.target)] {
        if value >= limits.total && value.0 > 0 && limits.total.0 > 0 {
            found.push(
                Problem::new(
                    path(key),
                    format!(
                        "`{key}` ({value}) never comes before `total` ({})",
                        limits.total
                    ),
                )
                .help("the whole drill takes longer than any part of it")
                .rests_on(path("total")),
            );
        }
    }
}
