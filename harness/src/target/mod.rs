//! The dump target: its disk is made here, and read back here, without root and without a mount.

mod btrfs;
mod budget;
mod bytes;
mod checksum;
mod content;
mod device;
mod disk;
mod error;
mod ext;
mod partitions;
mod reader;
#[cfg(test)]
mod tests;
mod tree;
mod volume;
mod xfs;

pub(crate) use content::ext_features;
pub use content::{Content, Format, FormatError};
pub use device::BlockDevice;
pub use disk::{DiskError, make_disk};
pub use error::TargetError;
pub use partitions::{Partition, partitions};
pub use reader::DumpReader;
pub use tree::{DumpFile, Found};
pub use volume::{Target, filesystem, filesystem_uuid};
