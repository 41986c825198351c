//! The smallest value of one setting with which a drill still leaves a dump.

mod bisection;
mod setting;
mod values;

use std::path::PathBuf;
use std::time::Duration;

pub use bisection::{Answer, Bisection};
pub use setting::{Minimised, SearchError, plan};
pub use values::{Bounds, Unit, Value, Values};

use crate::scenario::DrillId;
use crate::units::Bytes;
use crate::verdict::outcome::{Outcome, Verdict};

/// A search that is over.
#[derive(Debug, Clone)]
pub struct Search {
    /// The drill that it began with.
    pub id: DrillId,
    /// What was made smaller.
    pub minimised: Minimised,
    /// The values that could have been tried.
    pub values: Values,
    /// Those that were, in this order.
    pub trials: Vec<Trial>,
    /// What is known by that.
    pub answer: Answer,
}

/// A value that was tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Its place in the values.
    pub at: usize,
    /// What came of it.
    pub result: TrialResult,
}

/// What came of trying a value.
#[derive(Debug, Clone)]
pub enum TrialResult {
    /// A machine ran.
    Booted(Box<Boot>),
    /// The scenario is wrong with this value, which needs no machine to find out.
    Refused(String),
}

impl TrialResult {
    /// A machine ran, and left a complete dump.
    pub fn works(&self) -> bool {
        matches!(self, TrialResult::Booted(boot) if boot.leaves_dump())
    }
}

/// A drill with one of the values.
#[derive(Debug, Clone)]
pub struct Boot {
    /// What it came to, normalised.
    pub outcome: Outcome,
    /// From QEMU's start to its end.
    pub elapsed: Duration,
    /// The capture kernel's MemTotal, if it came up.
    pub capture_total: Option<Bytes>,
    /// The most memory that it had in use, if it lived to tell.
    pub capture_memory: Option<Bytes>,
    /// Size of its initramfs, where that is known.
    pub capture_initramfs: Option<Bytes>,
    /// Where its logs were kept, if they were.
    pub kept: Option<PathBuf>,
}

impl Boot {
    /// It left a complete dump.
    pub fn leaves_dump(&self) -> bool {
        self.outcome.verdict == Verdict::VmcoreSaved
    }
}

impl Search {
    /// How many machines ran.
    pub fn boots(&self) -> usize {
        let booted = |trial: &&Trial| matches!(trial.result, TrialResult::Booted(_));
        self.trials.iter().filter(booted).count()
    }

    /// What came of the value with this number.
    pub fn trial(&self, at: usize) -> Option<&TrialResult> {
        let trial = self.trials.iter().find(|trial| trial.at == at);
        trial.map(|trial| &trial.result)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A boot that came to this.
    pub(crate) fn boot(outcome: Outcome) -> Boot {
        let dump = outcome.verdict == Verdict::VmcoreSaved;
        Boot {
            outcome,
            elapsed: Duration::from_millis(7_600),
            capture_total: Some(Bytes(52 * Bytes::MIB + 512 * Bytes::KIB)),
            capture_memory: dump.then_some(Bytes(28 * Bytes::MIB)),
            capture_initramfs: Some(Bytes(7 * Bytes::MIB)),
            kept: None,
        }
    }
}
