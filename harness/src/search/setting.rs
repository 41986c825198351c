//! What a search makes smaller.

use std::fmt;

use miette::Diagnostic;
use serde_yaml::Value as Yaml;

use crate::kdump::capture_cpus;
use crate::kdump::crashkernel::{Crashkernel, Reserved};
use crate::scenario::model::Scenario;
use crate::scenario::{BadScenario, Drill, FactsOf, Path, Setting, Step};
use crate::suggest;
use crate::units::Bytes;

use super::{Boot, Bounds, Unit, Value, Values};

/// Between two values of `crashkernel=`.
const CRASHKERNEL_STEP: u64 = 4 * Bytes::MIB;

/// What is made smaller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Minimised {
    /// The size in `crashkernel=`.
    Crashkernel(Crashkernel),
    /// `nr_cpus=` or `maxcpus=` on the capture kernel's command line.
    CaptureCpus {
        /// The setting that holds it.
        path: Path,
        /// The setting's text, up to the number and behind it.
        around: (String, String),
    },
    /// Any number or size of a scenario.
    Setting(Path),
}

/// A search that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Diagnostic)]
pub enum SearchError {
    /// Nothing of that name.
    #[error("a scenario has no `{key}`")]
    #[diagnostic(help("{help}"))]
    Unknown {
        /// What was asked for.
        key: String,
        /// What may have been meant.
        help: String,
    },
    /// It has no order.
    #[error("`{0}` is neither a number nor a size, so it has no smallest value")]
    #[diagnostic(help(
        "--minimise takes crashkernel, nr_cpus, memory, or the path of a number or a size in the \
         scenario, such as `machine.devices[0].count`"
    ))]
    NoNumber(Path),
    /// Nowhere to begin.
    #[error("{what}, so there is no value to begin with")]
    #[diagnostic(help("{help}"))]
    NoStart {
        /// What the scenario has instead.
        what: String,
        /// What to write.
        help: String,
    },
    /// The capture kernel's CPUs.
    #[error("{0}")]
    #[diagnostic(help(
        "write it into the scenario, such as `kdump.sysconfig.KDUMP_COMMANDLINE_APPEND: irqpoll \
         nr_cpus=1 reset_devices`"
    ))]
    NoCpus(String),
    /// `--from`, `--to` or `--step`.
    #[error("--{option} {given}: {why}")]
    Bounds {
        /// Which.
        option: &'static str,
        /// What was written.
        given: String,
        /// What is wrong with it.
        why: String,
    },
    /// The scenario could not be laid out.
    #[error("{0}")]
    Scenario(String),
}

impl fmt::Display for Minimised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crashkernel(_) => f.write_str("crashkernel"),
            Self::CaptureCpus { around, .. } => f.write_str(cpu_parameter(&around.0)),
            Self::Setting(path) => write!(f, "{path}"),
        }
    }
}

/// The one that a text ends with.
fn cpu_parameter(text: &str) -> &'static str {
    capture_cpus::PARAMETERS
        .into_iter()
        .find(|name| text.ends_with(&format!("{name}=")))
        .unwrap_or(capture_cpus::PARAMETERS[0])
}

/// What is to be made smaller, by the user's name for it, and between which values.
///
/// # Errors
/// There is no such thing in the scenario, or no such range.
pub fn plan(
    scenario: &Scenario,
    key: &str,
    bounds: &Bounds,
) -> Result<(Minimised, Values), SearchError> {
    let whole =
        serde_yaml::to_value(scenario).map_err(|error| SearchError::Scenario(error.to_string()))?;
    match key {
        "crashkernel" => crashkernel(scenario, bounds),
        "nr_cpus" | "maxcpus" => capture_cpus(scenario, &whole, bounds),
        "memory" => setting("machine.memory", &whole, bounds),
        path => setting(path, &whole, bounds),
    }
}

fn crashkernel(scenario: &Scenario, bounds: &Bounds) -> Result<(Minimised, Values), SearchError> {
    let now = &scenario.crashkernel;
    let own = match now {
        Crashkernel::Simple { size, .. } | Crashkernel::High { size, .. } => Some(size.0),
        Crashkernel::None | Crashkernel::Auto | Crashkernel::Ranges { .. } => None,
    };
    if own.is_none() && bounds.to.is_none() {
        let memory = scenario.machine.memory;
        let help = match now.reserved(memory) {
            Reserved::Bytes(size) => format!(
                "--to {size} begins with what the range reserves for {memory} of memory; the \
                 values that are tried are plain sizes"
            ),
            _ => "give one with --to, such as `--to 256M`; the values that are tried are plain \
                  sizes"
                .to_owned(),
        };
        let what = format!("the scenario's crashkernel is `{now}`");
        return Err(SearchError::NoStart { what, help });
    }
    let values = Values::new(Unit::Bytes, own, own, Some(CRASHKERNEL_STEP), bounds)?;
    Ok((Minimised::Crashkernel(now.clone()), values))
}

fn capture_cpus(
    scenario: &Scenario,
    whole: &Yaml,
    bounds: &Bounds,
) -> Result<(Minimised, Values), SearchError> {
    let kdump = Path::default().key("kdump");
    let mut found = Vec::new();
    if let Some(settings) = at(whole, &kdump) {
        find_cpus(kdump, settings, &mut found);
    }
    let (minimised, own) = match found.len() {
        1 => found.remove(0),
        0 => {
            return Err(SearchError::NoCpus(
                "nothing in the scenario's kdump settings says nr_cpus= or maxcpus=".to_owned(),
            ));
        }
        times => {
            return Err(SearchError::NoCpus(format!(
                "the scenario's kdump settings say nr_cpus= or maxcpus= {times} times: keep one \
                 of them"
            )));
        }
    };
    let most = own.max(u64::from(scenario.machine.cpus.get()));
    let values = Values::new(Unit::Number, Some(own), Some(most), None, bounds)?;
    Ok((minimised, values))
}

/// Whatever the file and the flavour: a word of a command line, outside of comments. kdump.conf has
/// no say in the capture kernel's command line.
fn find_cpus(path: Path, value: &Yaml, found: &mut Vec<(Minimised, u64)>) {
    match value {
        Yaml::Mapping(entries) => {
            for (key, value) in entries {
                if let Some(key) = key.as_str().filter(|key| *key != "conf") {
                    find_cpus(path.clone().key(key), value, found);
                }
            }
        }
        Yaml::String(text) => {
            for (number, own) in capture_cpus::numbers(text) {
                let around = (
                    text[..number.start].to_owned(),
                    text[number.end..].to_owned(),
                );
                let path = path.clone();
                found.push((Minimised::CaptureCpus { path, around }, own));
            }
        }
        _ => {}
    }
}

fn setting(key: &str, whole: &Yaml, bounds: &Bounds) -> Result<(Minimised, Values), SearchError> {
    let unknown = |help: String| SearchError::Unknown {
        key: key.to_owned(),
        help,
    };
    let path: Path = key
        .parse()
        .map_err(|error: crate::scenario::PathError| unknown(error.to_string()))?;
    let value = at(whole, &path).ok_or_else(|| unknown(instead(whole, &path)))?;
    let (unit, own) = match value {
        Yaml::Number(number) => match number.as_u64() {
            Some(number) => (Unit::Number, Some(number)),
            None => return Err(SearchError::NoNumber(path)),
        },
        Yaml::String(text) => match text.parse::<Bytes>() {
            Ok(size) => (Unit::Bytes, Some(size.0)),
            Err(_) => return Err(SearchError::NoNumber(path)),
        },
        Yaml::Null => match &bounds.to {
            Some(to) if to.parse::<u64>().is_ok() => (Unit::Number, None),
            Some(_) => (Unit::Bytes, None),
            None => {
                let help = "give one with --to, such as `--to 64M`, or `--to 8` if it is a number";
                return Err(SearchError::NoStart {
                    what: format!("the scenario does not set `{path}`"),
                    help: help.to_owned(),
                });
            }
        },
        _ => return Err(SearchError::NoNumber(path)),
    };
    let values = Values::new(unit, own, own, None, bounds)?;
    Ok((Minimised::Setting(path), values))
}

fn at<'a>(whole: &'a Yaml, path: &Path) -> Option<&'a Yaml> {
    path.0.iter().try_fold(whole, |value, step| match step {
        Step::Key(key) => value.as_mapping()?.get(key.as_str()),
        Step::Index(index) => value.as_sequence()?.get(*index),
    })
}

/// What may have been meant with a path that leads nowhere.
fn instead(whole: &Yaml, path: &Path) -> String {
    let end = (0..path.0.len())
        .rev()
        .find(|depth| at(whole, &Path(path.0[..*depth].to_vec())).is_some())
        .unwrap_or(0);
    let parent = Path(path.0[..end].to_vec());
    match (at(whole, &parent), path.0.get(end)) {
        (Some(Yaml::Mapping(entries)), Some(Step::Key(key))) => {
            let keys = || entries.keys().filter_map(Yaml::as_str);
            match suggest::closest(key, keys()) {
                Some(near) => format!("did you mean `{}`?", parent.key(near)),
                None if end == 0 => {
                    "crashkernel, nr_cpus and memory are names; anything else is a path such as \
                     `machine.devices[0].count`"
                        .to_owned()
                }
                None => format!("`{parent}` holds {}", keys().collect::<Vec<_>>().join(", ")),
            }
        }
        (Some(Yaml::Sequence(items)), _) if items.is_empty() => format!("`{parent}` is empty"),
        (Some(Yaml::Sequence(items)), _) => {
            format!(
                "the items are `{parent}[0]` to `{parent}[{}]`",
                items.len() - 1
            )
        }
        _ => format!("`{parent}` is a single value"),
    }
}

impl Minimised {
    /// The drill with another value.
    ///
    /// # Errors
    /// The scenario is wrong with it.
    pub fn drill(
        &self,
        drill: &Drill,
        value: Value,
        facts_of: FactsOf,
    ) -> Result<Drill, BadScenario> {
        match self {
            Self::Crashkernel(now) => {
                let size = Bytes(value.number);
                let new = match now {
                    Crashkernel::Simple { offset, .. } => Crashkernel::Simple {
                        size,
                        offset: *offset,
                    },
                    Crashkernel::High { low, .. } => Crashkernel::High { size, low: *low },
                    _ => Crashkernel::Simple { size, offset: None },
                };
                let path = Path::default().key("crashkernel");
                drill.with(&path, Setting::Text(new.to_string()), facts_of)
            }
            Self::CaptureCpus { path, around } => {
                let text = format!("{}{value}{}", around.0, around.1);
                drill.with(path, Setting::Text(text), facts_of)
            }
            Self::Setting(path) => {
                let setting = match value.unit {
                    Unit::Bytes => Setting::Text(value.to_string()),
                    Unit::Number => Setting::Number(value.number),
                };
                drill.with(path, setting, facts_of)
            }
        }
    }

    /// A guess at the smallest value that works, by what a capture kernel needed whose drill went
    /// well: what it had in use, what it never saw because its own image lies there, and its
    /// initramfs, which is in memory twice while it is unpacked, before /init can look.
    pub fn guess(&self, values: &Values, value: Value, boot: &Boot) -> Option<usize> {
        let (Self::Crashkernel(_), true) = (self, boot.leaves_dump()) else {
            return None;
        };
        let never_free = value.number.saturating_sub(boot.capture_total?.0);
        // The guest says how much it has and uses: any number.
        let needed = never_free
            .saturating_add(boot.capture_memory?.0)
            .saturating_add(boot.capture_initramfs?.0);
        Some(values.at_least(needed))
    }
}

#[cfg(test)]
mod tests;
