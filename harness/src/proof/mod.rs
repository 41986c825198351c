//! Two drills held against each other: what is different in them, what came of either, and whether
//! the second cures what is wrong with the first. Pure: the drills have been run.

mod configuration;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

pub use configuration::{Change, Changes, Configuration, Words, changes};

use crate::scenario::DrillId;
use crate::units::Bytes;
use crate::verdict::outcome::{Outcome, Verdict};

/// One drill, run once or several times.
#[derive(Debug, Clone)]
pub struct Side {
    /// Which drill.
    pub id: DrillId,
    /// Every time that it was run; at least once.
    pub runs: Vec<Run>,
}

/// A drill, run once.
#[derive(Debug, Clone)]
pub struct Run {
    /// What it came to, normalised: without times, addresses, versions.
    pub outcome: Outcome,
    /// From QEMU's start to its end.
    pub elapsed: Duration,
    /// The most memory that the capture kernel had in use, if it lived to tell.
    pub capture_memory: Option<Bytes>,
    /// Where its logs were kept, if they were.
    pub kept: Option<PathBuf>,
}

/// An outcome, and how often a drill came to it.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// How often.
    pub times: usize,
    /// The outcome.
    pub outcome: &'a Outcome,
}

impl Side {
    /// The different outcomes, the most frequent first.
    pub fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for run in &self.runs {
            match groups
                .iter_mut()
                .find(|group| *group.outcome == run.outcome)
            {
                Some(group) => group.times += 1,
                None => groups.push(Group {
                    times: 1,
                    outcome: &run.outcome,
                }),
            }
        }
        groups.sort_by_key(|group| std::cmp::Reverse(group.times));
        groups
    }

    fn steady(&self) -> bool {
        self.groups().len() <= 1
    }
}

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// No complete dump before, a complete dump after.
    Fixes,
    /// No complete dump, neither before nor after.
    DoesNotFix,
    /// A complete dump before, none after.
    Breaks,
    /// A complete dump both times.
    NoDifference,
}

impl Effect {
    /// Of two outcomes.
    pub fn of(before: &Outcome, after: &Outcome) -> Self {
        match (leaves_dump(before), leaves_dump(after)) {
            (false, true) => Effect::Fixes,
            (false, false) => Effect::DoesNotFix,
            (true, false) => Effect::Breaks,
            (true, true) => Effect::NoDifference,
        }
    }
}

fn leaves_dump(outcome: &Outcome) -> bool {
    outcome.verdict == Verdict::VmcoreSaved
}

/// Whether a change leaves the failure as it was: the same verdict, for the same cause.
pub fn same_failure(before: &Outcome, after: &Outcome) -> bool {
    before.verdict == after.verdict && before.cause == after.cause
}

/// What was shown of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// What it did most often; of two that are as frequent, the worse.
    pub effect: Effect,
    /// How often it did.
    pub times: usize,
    /// How often both drills were run.
    pub of: usize,
    /// Each drill came to the very same outcome each time.
    pub steady: bool,
}

impl Finding {
    /// Of the runs of both drills, the first with the first and so on.
    pub fn of(before: &Side, after: &Side) -> Self {
        let effects: Vec<Effect> = before
            .runs
            .iter()
            .zip(&after.runs)
            .map(|(before, after)| Effect::of(&before.outcome, &after.outcome))
            .collect();
        let times = |effect| effects.iter().filter(|other| **other == effect).count();
        // The worst first: the first of the most frequent is taken.
        let mut best = (Effect::Breaks, times(Effect::Breaks));
        for effect in [Effect::DoesNotFix, Effect::NoDifference, Effect::Fixes] {
            if times(effect) > best.1 {
                best = (effect, times(effect));
            }
        }
        Self {
            effect: best.0,
            times: best.1,
            of: effects.len(),
            steady: before.steady() && after.steady(),
        }
    }

    /// Whether one may rely on a dump with the second drill's configuration.
    pub fn is_good(&self) -> bool {
        self.steady && matches!(self.effect, Effect::Fixes | Effect::NoDifference)
    }
}

/// All that is known of two drills.
#[derive(Debug, Clone)]
pub struct Proof {
    /// What is different in the second.
    pub changes: Changes,
    /// The first drill.
    pub before: Side,
    /// The second drill.
    pub after: Side,
}

impl Proof {
    /// What was shown.
    pub fn finding(&self) -> Finding {
        Finding::of(&self.before, &self.after)
    }
}

#[cfg(test)]
pub(crate) mod tests;
