//! The dump target: its disk is made here, and read back here, without root and without a mount.

mod disk;
mod filesystem;
mod journal;
#[cfg(test)]
mod tests;

pub use disk::{DiskError, Ext, make_disk, make_disk_with};
pub use filesystem::{DumpFile, DumpReader, Target, TargetError, find_dumps};
