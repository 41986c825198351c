//! What is different in the configuration of two drills.

use serde::Serialize;
use serde_yaml::Value;
use similar::{ChangeTag, TextDiff};

use crate::kdump::kernel_words;
use crate::run::Job;
use crate::scenario::Path;
use crate::scenario::model::Scenario;

/// What names and describes a scenario configures nothing.
const NO_CONFIGURATION: [&str; 2] = ["name", "about"];

/// Everything that a drill is configured with.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// The scenario with all defaults written out.
    scenario: Value,
    /// The words of the first kernel's command line, without the token that no two drills share.
    first_kernel: Vec<String>,
    /// The words of the capture kernel's command line, likewise.
    capture_kernel: Vec<String>,
}

impl Configuration {
    /// A job's.
    ///
    /// # Errors
    /// None that a scenario can cause.
    pub fn of(job: &Job) -> Result<Self, serde_yaml::Error> {
        let plan = &job.plan;
        Self::new(
            &job.drill.scenario,
            &plan.machine.append,
            plan.capture_commandline(),
            &plan.token,
        )
    }

    pub(super) fn new(
        scenario: &Scenario,
        first_kernel: &str,
        capture_kernel: &str,
        token: &str,
    ) -> Result<Self, serde_yaml::Error> {
        let words = |commandline| {
            kernel_words(commandline)
                .into_iter()
                .filter(|word| word.split_once('=').is_none_or(|(_, value)| value != token))
                .map(str::to_owned)
                .collect()
        };
        Ok(Self {
            scenario: serde_yaml::to_value(scenario)?,
            first_kernel: words(first_kernel),
            capture_kernel: words(capture_kernel),
        })
    }
}

/// What is different.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Changes {
    /// In the scenario, in its own order.
    pub settings: Vec<Change>,
    /// In the first kernel's command line.
    pub first_kernel: Words,
    /// In the capture kernel's command line.
    pub capture_kernel: Words,
}

impl Changes {
    /// Nothing is different.
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.first_kernel.is_empty() && self.capture_kernel.is_empty()
    }
}

/// A value of the scenario that is different. Null where it is not set.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// Where it stands: `machine.devices[0].count`.
    #[serde(serialize_with = "as_text")]
    pub path: Path,
    /// The first drill's.
    pub before: Value,
    /// The second drill's.
    pub after: Value,
}

fn as_text<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(path)
}

/// Words of a command line that are only in one of two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Words {
    /// Only in the first. A word that moved is in both lists.
    pub removed: Vec<String>,
    /// Only in the second.
    pub added: Vec<String>,
}

impl Words {
    /// Both have the same words in the same order.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

/// What is different in the second.
pub fn changes(before: &Configuration, after: &Configuration) -> Changes {
    let mut settings = Vec::new();
    compare(
        Path::default(),
        &before.scenario,
        &after.scenario,
        &mut settings,
    );
    Changes {
        settings,
        first_kernel: words(&before.first_kernel, &after.first_kernel),
        capture_kernel: words(&before.capture_kernel, &after.capture_kernel),
    }
}

/// Goes as deep as a scenario is.
fn compare(path: Path, before: &Value, after: &Value, changes: &mut Vec<Change>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Mapping(one), Value::Mapping(other)) => {
            let new = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(new) {
                let Some(name) = key.as_str() else { continue };
                if path.0.is_empty() && NO_CONFIGURATION.contains(&name) {
                    continue;
                }
                let value = |mapping: &serde_yaml::Mapping| {
                    mapping.get(key).cloned().unwrap_or(Value::Null)
                };
                compare(path.clone().key(name), &value(one), &value(other), changes);
            }
        }
        (Value::Sequence(one), Value::Sequence(other)) => {
            for index in 0..one.len().max(other.len()) {
                let value = |list: &[Value]| list.get(index).cloned().unwrap_or(Value::Null);
                compare(
                    path.clone().index(index),
                    &value(one),
                    &value(other),
                    changes,
                );
            }
        }
        _ => changes.push(Change {
            path,
            before: before.clone(),
            after: after.clone(),
        }),
    }
}

fn words(before: &[String], after: &[String]) -> Words {
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let after: Vec<&str> = after.iter().map(String::as_str).collect();
    let mut words = Words::default();
    for change in TextDiff::from_slices(&before, &after).iter_all_changes() {
        match change.tag() {
            ChangeTag::Delete => words.removed.push(change.value().to_owned()),
            ChangeTag::Insert => words.added.push(change.value().to_owned()),
            ChangeTag::Equal => {}
        }
    }
    words
}
