//! The serial console: bytes become lines, lines become phases.

pub mod boots;
mod lines;
mod phases;
pub mod splat;

pub use lines::{CUT_MARK, Caller, Line, LineAssembler, LineRef, MAX_LINE};
pub use phases::{PhaseMark, PhaseTracker, Terminal};
