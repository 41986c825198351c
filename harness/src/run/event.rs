//! The one event type that goes from the runner to every reporter.

use std::time::Duration;

use super::{DrillResult, HarnessError};
use crate::verdict::outcome::Phase;

/// Something happened in a run. Jobs go by their place in the list that was given: a list may hold
/// the same drill several times.
#[derive(Debug)]
pub enum Event {
    /// A drill's machine is about to start.
    Started {
        /// Which job.
        job: usize,
    },
    /// A drill reached a phase.
    Phase {
        /// Which job.
        job: usize,
        /// The phase that began.
        phase: Phase,
        /// Since QEMU's start.
        at: Duration,
    },
    /// A drill is over: an outcome, or a failure of the harness, which is never a verdict.
    Finished {
        /// Which job.
        job: usize,
        /// What came of it.
        result: Result<Box<DrillResult>, HarnessError>,
    },
}
