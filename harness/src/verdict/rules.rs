//! The rules: classes of outcome as data, read and checked.
//!
//! A rule file is a list; one entry is one class. `rules.yaml` beside this file holds what
//! crashdrill comes with and is the example to follow.

use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use super::evidence::{Dump, End, Evidence};
use super::outcome::{Cause, Phase, Verdict};
use super::told::Told;
use crate::console::splat::{Kind, Splat};

/// One class of outcome. It holds when one of its alternatives does; a rule without a verdict and
/// without a cause is a finding that only contributes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rule {
    /// Unique: small letters, digits and hyphens.
    pub name: String,
    /// Phases in which its lines and reports count; all when empty.
    #[serde(default)]
    pub phases: Vec<Phase>,
    /// The alternatives.
    pub when: Vec<When>,
    /// Regular expressions over a line's text: quoted as evidence when they match; no condition.
    #[serde(default)]
    pub also: Vec<String>,
    /// What happened, if the rule holds and wins.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// Why. Counts for the rule's own verdict and for those that it `explains`.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// Verdicts that the cause explains.
    #[serde(default)]
    pub explains: Vec<Verdict>,
    /// Drivers that are likely to be behind it when the log names them, the likeliest first.
    #[serde(default)]
    pub suspects: Vec<String>,
    /// The drivers in the report's call trace are the ones to blame. They are victims otherwise, and
    /// no suspects.
    #[serde(default)]
    pub blames_trace: bool,
    /// For the one who has to do something about it.
    pub explanation: String,
    /// What to try, best first.
    #[serde(default)]
    pub remedies: Vec<Remedy>,
    /// Where the lines are known from.
    pub source: String,
}

/// Conditions that all have to be met.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct When {
    /// Phases in which its lines and reports count, if others than the rule's.
    #[serde(default)]
    pub phases: Vec<Phase>,
    /// Regular expressions over a line's text. At least one must match, if there are any.
    #[serde(default)]
    pub lines: Vec<String>,
    /// Each of these must match some line.
    #[serde(default)]
    pub requires: Vec<String>,
    /// None of these may match any line.
    #[serde(default)]
    pub unless: Vec<String>,
    /// A kernel's report must look like this.
    #[serde(default)]
    pub report: Option<Looks>,
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
    /// True: only of a drill. False: only of somebody's log.
    #[serde(default)]
    pub drill: Option<bool>,
    /// The highest wins; among equals the one whose first line came first.
    #[serde(default)]
    pub priority: u8,
}

/// What a kernel's report must look like. Every condition given must be met.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Looks {
    /// One of these kinds.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// Fatal, or not.
    #[serde(default)]
    pub fatal: Option<bool>,
    /// Regular expression over its headlines, one by one.
    #[serde(default)]
    pub title: Option<String>,
    /// Regular expression over the source file that it names.
    #[serde(default)]
    pub file: Option<String>,
    /// Each must match the name of a function: the faulting one, or one of the call trace.
    #[serde(default)]
    pub functions: Vec<String>,
}

/// Something to try.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Remedy {
    /// What to do. `{drivers}` stands for the suspects that the log names.
    pub action: String,
    /// How, on which distribution.
    #[serde(default)]
    pub config: Vec<Config>,
}

/// A line of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// `RHEL 7, CentOS 7`.
    pub on: String,
    /// `/etc/sysconfig/kdump`.
    pub file: String,
    /// The exact line. `{drivers}` as above, between commas; `{drivers spaced}` between blanks.
    pub line: String,
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
    /// [`End::LogEnds`].
    LogEnds,
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
            End::LogEnds => Self::LogEnds,
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

impl When {
    /// The conditions that do not depend on lines or reports.
    pub(super) fn fits(&self, evidence: &Evidence) -> bool {
        let reached = |phase: &Phase| evidence.phases.iter().any(|mark| mark.phase == *phase);
        one_of(&self.end, &evidence.end.into())
            && one_of(&self.dump, &DumpKind::from(&evidence.dump))
            && one_of(&self.last_phase, &evidence.phase())
            && !self.never_reached.iter().any(reached)
            && self
                .drill
                .is_none_or(|drill| drill == evidence.expectations.is_some())
    }

    /// Whether there is anything that has to be seen.
    pub(super) fn is_empty(&self) -> bool {
        let When {
            phases: _,
            lines,
            requires,
            unless: _,
            report,
            told,
            not_told: _,
            end,
            dump,
            last_phase,
            never_reached: _,
            drill: _,
            priority: _,
        } = self;
        lines.is_empty()
            && requires.is_empty()
            && report.is_none()
            && told.is_empty()
            && end.is_empty()
            && dump.is_empty()
            && last_phase.is_empty()
    }
}

pub(super) fn one_of<T: PartialEq>(wanted: &[T], given: &T) -> bool {
    wanted.is_empty() || wanted.contains(given)
}

/// [`Looks`] with its regular expressions compiled.
#[derive(Debug, Clone, Default)]
pub(super) struct Pattern {
    kinds: Vec<Kind>,
    fatal: Option<bool>,
    title: Option<Regex>,
    file: Option<Regex>,
    functions: Vec<Regex>,
}

impl Pattern {
    /// # Errors
    /// The expression that is none, and why.
    pub(super) fn compile(looks: &Looks) -> Result<Self, (String, regex::Error)> {
        let one = |text: &String| regex(text).map_err(|why| (text.clone(), why));
        Ok(Self {
            kinds: looks.kinds.clone(),
            fatal: looks.fatal,
            title: looks.title.as_ref().map(one).transpose()?,
            file: looks.file.as_ref().map(one).transpose()?,
            functions: looks.functions.iter().map(one).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn matches(&self, splat: &Splat) -> bool {
        let Self {
            kinds,
            fatal,
            title,
            file,
            functions,
        } = self;
        let headlines = || {
            std::iter::once(splat.title.as_str()).chain(splat.also.iter().map(|also| &*also.text))
        };
        let frames = || {
            let at = splat.at.iter().chain(splat.trace.iter().map(|f| &f.symbol));
            let names = at.map(|symbol| symbol.name.as_str());
            names.chain(splat.function.as_deref())
        };
        one_of(kinds, &splat.kind)
            && fatal.is_none_or(|fatal| fatal == splat.fatal)
            && title
                .as_ref()
                .is_none_or(|title| headlines().any(|text| title.is_match(text.as_bytes())))
            && file.as_ref().is_none_or(|file| {
                let source = splat.source.as_ref();
                source.is_some_and(|source| file.is_match(source.file.as_bytes()))
            })
            && functions
                .iter()
                .all(|function| frames().any(|name| function.is_match(name.as_bytes())))
    }
}

/// Letters, digits and white space are those of ASCII, which is all that a kernel prints; a line
/// may hold anything.
pub(super) fn regex(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).unicode(false).build()
}
