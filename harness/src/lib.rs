//! Fire drills for kdump: boot a machine, crash it, and prove that a dump was left behind.

pub mod kdump;
pub mod machine;
pub mod scenario;
pub mod units;
pub mod verdict;
