//! The rules, read from data and checked.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Regex, RegexSet};
use serde::Deserialize;

use super::evidence::{Dump, End, Evidence};
use super::outcome::{Cause, Phase, Verdict};
use super::told::Told;

/// One class of outcome. It holds when every condition that it has is met; a rule without a
/// verdict and without a cause is a finding that only contributes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rule {
    /// Unique: small letters, digits and hyphens.
    pub name: String,
    /// Phases in which its lines count; all when empty.
    #[serde(default)]
    pub phases: Vec<Phase>,
    /// Regular expressions over a line's text. At least one must match, if there are any.
    #[serde(default)]
    pub lines: Vec<String>,
    /// Each of these must match some line.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Quoted as evidence when they match; no condition.
    #[serde(default)]
    pub also: Vec<String>,
    /// None of these may match any line.
    #[serde(default)]
    pub unless: Vec<String>,
    /// All of these must have been told.
    #[serde(default)]
    pub told: Vec<Told>,
    /// None of these may have been told.
    #[serde(default)]
    pub not_told: Vec<Told>,
    /// The machine's end must be one of these, if there are any.
    #[serde(default)]
    pub end: Vec<EndKind>,
    /// The dump must be one of these, if there are any.
    #[serde(default)]
    pub dump: Vec<DumpKind>,
    /// The last phase must be one of these, if there are any.
    #[serde(default)]
    pub last_phase: Vec<Phase>,
    /// None of these may have begun.
    #[serde(default)]
    pub never_reached: Vec<Phase>,
    /// What happened, if the rule holds and wins.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// Why. Counts for the rule's own verdict and for those that it `explains`.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// Verdicts that the cause explains.
    #[serde(default)]
    pub explains: Vec<Verdict>,
    /// The highest wins; among equals the one whose first line came first.
    #[serde(default)]
    pub priority: u8,
    /// For the one who has to do something about it.
    pub explanation: String,
    /// Where the lines are known from.
    pub source: String,
}

/// [`End`] without its figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndKind {
    /// [`End::PoweredOff`].
    PoweredOff,
    /// [`End::Reset`].
    Reset,
    /// [`End::Silent`].
    Silent,
    /// [`End::TotalLimit`].
    TotalLimit,
    /// [`End::Panicked`].
    Panicked,
    /// [`End::Halted`].
    Halted,
}

impl From<End> for EndKind {
    fn from(end: End) -> Self {
        match end {
            End::PoweredOff => Self::PoweredOff,
            End::Reset => Self::Reset,
            End::Silent(_) => Self::Silent,
            End::TotalLimit(_) => Self::TotalLimit,
            End::Panicked => Self::Panicked,
            End::Halted => Self::Halted,
        }
    }
}

/// What a dump proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DumpKind {
    /// [`Dump::NotLookedFor`].
    NotLookedFor,
    /// [`Dump::None`].
    None,
    /// [`Dump::Unreadable`].
    Unreadable,
    /// Pages are missing.
    Incomplete,
    /// Complete, but of another drill, or of no crash.
    Foreign,
    /// A complete dump of this drill's crash.
    Proven,
}

impl From<&Dump> for DumpKind {
    fn from(dump: &Dump) -> Self {
        match dump {
            Dump::NotLookedFor => Self::NotLookedFor,
            Dump::None => Self::None,
            Dump::Unreadable(_) => Self::Unreadable,
            Dump::Found(vmcore) if !vmcore.complete => Self::Incomplete,
            Dump::Found(vmcore) if !vmcore.this_drill || vmcore.panic.is_none() => Self::Foreign,
            Dump::Found(_) => Self::Proven,
        }
    }
}

impl Rule {
    /// The conditions that do not depend on lines or reports.
    pub(super) fn fits(&self, evidence: &Evidence) -> bool {
        let phase = evidence.phase();
        let reached = |phase: &Phase| evidence.phases.iter().any(|mark| mark.phase == *phase);
        one_of(&self.end, &evidence.end.into())
            && one_of(&self.dump, &DumpKind::from(&evidence.dump))
            && one_of(&self.last_phase, &phase)
            && !self.never_reached.iter().any(reached)
    }

    fn patterns(&self) -> impl Iterator<Item = (Role, &str)> {
        [
            (Role::Line, &self.lines),
            (Role::Required, &self.requires),
            (Role::Also, &self.also),
            (Role::Unless, &self.unless),
        ]
        .into_iter()
        .flat_map(|(role, list)| list.iter().map(move |pattern| (role, pattern.as_str())))
    }
}

fn one_of<T: PartialEq>(wanted: &[T], given: &T) -> bool {
    wanted.is_empty() || wanted.contains(given)
}

/// What a pattern is to its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Line,
    Required,
    Also,
    Unless,
}

/// A pattern's place: index in the set is index in the list of these.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Index into the rules.
    pub(super) rule: usize,
    pub(super) role: Role,
}

/// Rules whose patterns have been compiled together.
#[derive(Debug)]
pub struct RuleBook {
    rules: Vec<Rule>,
    pub(super) patterns: RegexSet,
    pub(super) places: Vec<Place>,
}

/// A rule file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Not YAML, or not rules.
    #[error("the rules cannot be read: {0}")]
    Syntax(#[from] serde_yaml::Error),
    /// A regular expression is wrong.
    #[error("rule `{rule}`: `{pattern}` is no regular expression: {why}")]
    Pattern {
        /// The rule's name.
        rule: String,
        /// The text.
        pattern: String,
        /// What is wrong with it.
        why: Box<regex::Error>,
    },
    /// All patterns together are too much.
    #[error("the rules' patterns cannot be compiled together: {0}")]
    Size(Box<regex::Error>),
    /// A rule contradicts itself or another.
    #[error("rule `{rule}`: {why}")]
    Nonsense {
        /// The rule's name.
        rule: String,
        /// What is wrong.
        why: &'static str,
    },
}

static BUILTIN: LazyLock<RuleBook> = LazyLock::new(|| {
    // A unit test reads the same text, so that no release can come here.
    RuleBook::parse(include_str!("rules.yaml"))
        .unwrap_or_else(|error| unreachable!("built-in rules: {error}"))
});

impl RuleBook {
    /// The rules that crashdrill comes with.
    pub fn builtin() -> &'static RuleBook {
        &BUILTIN
    }

    /// Reads a list of rules.
    ///
    /// # Errors
    /// Not YAML, an unknown key, a wrong regular expression, a rule that contradicts itself.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let rules: Vec<Rule> = serde_yaml::from_str(text)?;
        let mut names = BTreeSet::new();
        let mut patterns = Vec::new();
        let mut places = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            check(rule, names.insert(rule.name.as_str()))?;
            for (role, pattern) in rule.patterns() {
                Regex::new(pattern).map_err(|why| RulesError::Pattern {
                    rule: rule.name.clone(),
                    pattern: pattern.to_owned(),
                    why: Box::new(why),
                })?;
                patterns.push(pattern);
                places.push(Place { rule: index, role });
            }
        }
        let patterns = RegexSet::new(patterns).map_err(|why| RulesError::Size(Box::new(why)))?;
        Ok(Self {
            rules,
            patterns,
            places,
        })
    }

    /// In the order of the file.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

fn check(rule: &Rule, new: bool) -> Result<(), RulesError> {
    let why = if !new {
        "another rule has the same name"
    } else if rule.name.is_empty() || rule.explanation.is_empty() || rule.source.is_empty() {
        "name, explanation and source must not be empty"
    } else if rule.cause.is_some() && rule.verdict.is_none() && rule.explains.is_empty() {
        "a cause needs a verdict, or `explains`"
    } else if rule.cause.is_none() && !rule.explains.is_empty() {
        "`explains` needs a cause"
    } else if !rule.unless.is_empty() && rule.lines.is_empty() && rule.requires.is_empty() {
        "`unless` needs `lines` or `requires`"
    } else {
        return Ok(());
    };
    Err(RulesError::Nonsense {
        rule: rule.name.clone(),
        why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builtin_rules_are_sound() {
        let book = RuleBook::parse(include_str!("rules.yaml")).unwrap();
        assert!(book.rules().len() > 20);
    }

    #[test]
    fn a_wrong_rule_is_named() {
        let rest = "explanation: x, source: x";
        for (text, wanted) in [
            (format!("[{{name: a, colour: red, {rest}}}]"), "colour"),
            (
                format!("[{{name: a, lines: ['('], {rest}}}]"),
                "rule `a`: `(` is no",
            ),
            (
                format!("[{{name: a, {rest}}}, {{name: a, {rest}}}]"),
                "same name",
            ),
            (
                format!("[{{name: a, cause: unknown, {rest}}}]"),
                "needs a verdict",
            ),
            (
                format!("[{{name: a, explains: [no-vmcore], {rest}}}]"),
                "needs a cause",
            ),
            (format!("[{{name: a, told: [gossip], {rest}}}]"), "gossip"),
        ] {
            let error = RuleBook::parse(&text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
