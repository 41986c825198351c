//! The boots that a log holds, and which kernel each is.

mod clock;
mod doubt;
mod follow;
mod resolve;
mod segment;
mod signs;

use schemars::JsonSchema;
use serde::Serialize;

use super::splat::Headline;
use crate::verdict::outcome::Phase;

pub use follow::{Boots, KEPT, Step};

/// Time stamps of the same kernel may be this much out of order (several CPUs write to one log);
/// a clock that goes back further is another kernel's. Microseconds.
const DISORDER: u64 = 1_000_000;

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

impl Role {
    /// The phase in which such a kernel begins.
    pub fn first_phase(self) -> Phase {
        match self {
            Role::First => Phase::FirstKernel,
            Role::Capture => Phase::CaptureKernel,
            Role::Unknown => Phase::Firmware,
        }
    }
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

/// The kernels that a log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In the order of their first lines; of a log with very many, the first and the last. An
    /// excerpt that cannot be told from the others is part of the kernel that it is likely to
    /// belong to: the lines of two boots may overlap.
    pub boots: Vec<Boot>,
    /// Boots that are not listed.
    pub omitted: u64,
    because: Vec<Option<&'static str>>,
    places: Vec<Place>,
}

/// Where a stretch of the log belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    number: usize,
    first_line: u64,
    boot: Option<usize>,
}

impl Found {
    /// Index into [`Found::boots`] and phase of a line: what [`Boots::current`] gave for it, and
    /// its number. None for firmware without a kernel, and for a boot that is not listed. The
    /// phase is [`Phase::Firmware`] as long as nothing says which kernel it is.
    pub fn place(&self, current: usize, line: u64) -> Option<(usize, Phase)> {
        let find = |number: usize| {
            self.places
                .binary_search_by_key(&number, |place| place.number)
                .ok()
                .and_then(|at| self.places.get(at))
        };
        // While it was in doubt where the line belongs, the stretch before it was current.
        let mut place = find(current + 1)
            .filter(|next| next.first_line <= line)
            .or_else(|| find(current))?;
        // A report that goes on where an excerpt begins is told when it ends.
        while place.first_line > line
            && let Some(before) = place.number.checked_sub(1).and_then(find)
        {
            place = before;
        }
        let index = place.boot?;
        let boot = self.boots.get(index)?;
        let phase = boot
            .phases
            .iter()
            .take_while(|began| began.line.line <= line)
            .last()
            .map(|began| began.phase);
        Some((index, phase.unwrap_or(boot.role.first_phase())))
    }

    /// Why [`Boot::why`] of this boot tells its role, in words.
    pub fn because(&self, boot: usize) -> Option<&'static str> {
        self.because.get(boot).copied().flatten()
    }
}

#[cfg(test)]
mod tests;
