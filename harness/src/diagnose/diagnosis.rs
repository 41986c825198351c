//! What a log says, as data.

use schemars::JsonSchema;
use serde::Serialize;

use crate::console::boots::Boot;
use crate::console::splat::Splat;
use crate::verdict::outcome::{Cause, Phase, Verdict};

/// Counts up when a field changes its meaning.
pub const FORMAT: u32 = 1;

/// What one log says.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Diagnosis {
    /// Version of this document: [`FORMAT`].
    pub format: u32,
    /// The file; absent for standard input.
    pub file: Option<String>,
    /// Bytes read, after decompression.
    pub bytes: u64,
    /// Lines read.
    pub lines: u64,
    /// Whether a kernel died or reported a fault of its own.
    pub crash: bool,
    /// Index into `reports` of the one that matters most: the one behind the verdict, else the
    /// first fatal one, else the first.
    pub headline: Option<usize>,
    /// What happened: the verdict of the last of `cases`.
    pub verdict: Verdict,
    /// Why.
    pub cause: Cause,
    /// The kernels that ran, in the order of the log.
    pub boots: Vec<Boot>,
    /// What the kernels reported, in the order of the log. Repetitions are counted, not listed.
    pub reports: Vec<Reported>,
    /// One for each crash: what became of it.
    pub cases: Vec<Case>,
    /// What is not listed because there is too much of it.
    pub omitted: Omitted,
}

/// A kernel's report, and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Reported {
    /// Index into [`Diagnosis::boots`].
    pub boot: usize,
    /// Phase in which it came.
    pub phase: Phase,
    /// How often it came: reports of the same kind, function and source line of the same boot.
    pub count: u64,
    /// The first of them.
    #[serde(flatten)]
    pub splat: Splat,
}

/// One crash: a first kernel, its capture kernel, and what became of the dump.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Case {
    /// Indexes into [`Diagnosis::boots`].
    pub boots: Vec<usize>,
    /// What happened.
    pub verdict: Verdict,
    /// Why.
    pub cause: Cause,
    /// The last phase reached.
    pub phase: Phase,
    /// Index into [`Diagnosis::reports`] of the report that the verdict rests on.
    pub report: Option<usize>,
    /// What verdict and cause rest on.
    pub evidence: Vec<Quote>,
    /// What the verdict means, and what the cause: one sentence or two each.
    pub explanation: Vec<String>,
    /// Drivers that are likely to be behind it, by what the log names.
    pub suspects: Vec<String>,
    /// What was seen besides, and decides nothing.
    pub contributing: Vec<Noted>,
    /// Other causes whose evidence is there, best first.
    pub runners_up: Vec<Noted>,
    /// What to try next, best first.
    pub remedies: Vec<Remedy>,
}

/// Something quoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Quote {
    /// Line of the file, from 1; absent for what is no line: how the machine ended.
    pub line: Option<u64>,
    /// The text.
    pub text: String,
}

/// A rule that holds without deciding.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Noted {
    /// The rule's name.
    pub rule: String,
    /// What it means.
    pub explanation: String,
    /// What it rests on.
    pub evidence: Vec<Quote>,
}

/// Something to try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Remedy {
    /// What to do.
    pub action: String,
    /// How, on which distribution.
    pub config: Vec<Config>,
}

/// A line of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Config {
    /// `RHEL 7, CentOS 7`.
    pub on: String,
    /// `/etc/sysconfig/kdump`.
    pub file: String,
    /// The exact line.
    pub line: String,
}

/// What is not listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Omitted {
    /// Boots.
    pub boots: u64,
    /// Reports.
    pub reports: u64,
}
