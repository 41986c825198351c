//! Fire drills for kdump: boot a machine, crash it, and prove that a dump was left behind.

pub mod kdump;
pub mod scenario;
pub mod suggest;
pub mod units;
pub mod verdict;
