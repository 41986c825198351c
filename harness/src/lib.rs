//! Fire drills for kdump: boot a machine, crash it, and prove that a dump was left behind.

pub mod census;
mod child;
pub mod cli;
pub mod console;
pub mod device;
pub mod diagnose;
pub mod image;
pub mod import;
pub mod initramfs;
pub mod kdump;
pub mod lint;
mod lzo;
pub mod machine;
pub mod project;
pub mod proof;
pub mod report;
pub mod run;
pub mod scenario;
pub mod search;
pub mod snapshot;
pub mod suggest;
pub mod target;
pub mod units;
pub mod vectors;
pub mod verdict;
pub mod vmcore;
mod zstd;
