//! The one event type that goes from the runner to every reporter.

use std::time::Duration;

use super::{DrillResult, HarnessError};
use crate::scenario::DrillId;
use crate::verdict::outcome::Phase;

/// Something happened in a run.
#[derive(Debug)]
pub enum Event {
    /// A drill's machine is about to start.
    Started {
        /// Which drill.
        id: DrillId,
    },
    /// A drill reached a phase.
    Phase {
        /// Which drill.
        id: DrillId,
        /// The phase that began.
        phase: Phase,
        /// Since QEMU's start.
        at: Duration,
    },
    /// A drill is over: an outcome, or a failure of the harness, which is never a verdict.
    Finished {
        /// Which drill.
        id: DrillId,
        /// What came of it.
        result: Result<Box<DrillResult>, HarnessError>,
    },
}
