//! The serial console: bytes become lines, lines become phases.

mod lines;
mod phases;

pub use lines::{CUT_MARK, Line, LineAssembler, LineRef, MAX_LINE};
pub use phases::{PhaseMark, PhaseTracker, Terminal};
