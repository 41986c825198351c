//! The serial console: bytes become lines, lines become phases.

pub mod boots;
mod entities;
pub mod filter;
mod lines;
mod phases;
mod prefix;
pub mod splat;
mod unfold;

pub use lines::{CUT_MARK, Line, LineAssembler, LineRef, MAX_LINE};
pub use phases::{Cycle, Terminal};
pub use prefix::Caller;
