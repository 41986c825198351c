//! The boots that a log holds, and which kernel each is.

use schemars::JsonSchema;
use serde::Serialize;

use super::splat::Headline;
use crate::verdict::outcome::Phase;

/// Which kernel of kdump's two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The one that runs the machine, and crashes.
    First,
    /// The one that dumps the first.
    Capture,
    /// The log does not say.
    Unknown,
}

/// How a kernel's part of a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BootEnd {
    /// The log ends, or goes on with something else, and nothing says why.
    Open,
    /// It crashed and started a capture kernel.
    Kexec,
    /// It panicked, and nothing was started after it.
    Panicked,
    /// It halted.
    Halted,
    /// It powered off.
    PoweredOff,
    /// It restarted the machine.
    Restarted,
    /// The machine was reset: firmware, or another kernel's first line, without a word before.
    Reset,
}

/// One run of one kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Boot {
    /// Which kernel of the two.
    pub role: Role,
    /// What the role rests on: the capture kernel's command line, a clue. None for a kernel that
    /// is called the first because it came up first.
    pub why: Option<Headline>,
    /// Boots of one crash have the same number, from 0: a first kernel and its capture kernel.
    pub cycle: u32,
    /// `3.10.0-693.5.2.el7.x86_64`.
    pub release: Option<String>,
    /// Its parameters.
    pub command_line: Option<String>,
    /// Line of the file, from 1.
    pub first_line: u64,
    /// Line of the file.
    pub last_line: u64,
    /// The kernel's clock at its last line, in microseconds.
    pub last_stamp: Option<u64>,
    /// Phases that it reached, with the line that began each.
    pub phases: Vec<Began>,
    /// How its part ends.
    pub end: BootEnd,
}

/// A phase and the line that began it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Began {
    /// The phase.
    pub phase: Phase,
    /// The line.
    #[serde(flatten)]
    pub line: Headline,
}
