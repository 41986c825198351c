//! Inodes. Layout: struct xfs_dinode.

use super::superblock::refused;
use super::volume::Volume;
use crate::target::bytes::{be16, be32, be64};
use crate::target::error::TargetError;
use crate::target::tree::{Kind, Stat};

pub(super) const MAGIC: [u8; 2] = *b"IN";
/// Where the forks begin: after the core of version 1 and 2, or 3.
const CORE_V2: usize = 100;
const CORE_V3: usize = 176;
/// `di_flags`: its content is on the realtime device.
const REALTIME: u16 = 1;
/// `di_flags2`: timestamps are nanoseconds since 1901; extents are counted in 64 bits.
pub(super) const BIG_TIME: u64 = 1 << 3;
const LARGE_COUNTS: u64 = 1 << 4;
/// Seconds from 1901, where big timestamps begin, to 1970.
const BIG_TIME_EPOCH: i64 = 1 << 31;

/// How the data fork names what is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// It is the content.
    Local,
    /// A list of extents.
    Extents,
    /// The root of a tree of lists of extents.
    Tree,
    /// A device number.
    Device,
}

/// An inode that is in use.
pub(super) struct Inode {
    pub(super) stat: Stat,
    pub(super) format: Format,
    /// How many extents, in all lists together.
    pub(super) extents: u64,
    pub(super) realtime: bool,
    bytes: Vec<u8>,
    fork: std::ops::Range<usize>,
}

/// Where the forks of an inode begin.
pub(super) fn core_len(version: u8) -> usize {
    match version {
        3.. => CORE_V3,
        _ => CORE_V2,
    }
}

/// The bytes of an inode that are its data fork.
pub(super) fn data_fork(inode: &[u8]) -> std::ops::Range<usize> {
    let start = core_len(inode[4]);
    let end = match usize::from(inode[82]) * 8 {
        0 => inode.len(),
        attributes => (start + attributes).min(inode.len()),
    };
    start..end
}

impl Inode {
    pub(super) fn read(volume: &Volume, number: u64) -> Result<Self, TargetError> {
        let at = volume.geometry.inode(number)?;
        let bytes = volume.read(at, volume.geometry.inode_size)?;
        if !bytes.starts_with(&MAGIC) || be16(&bytes, 2) == 0 {
            return Err(refused(format!("inode {number} is not in use")));
        }
        let flags2 = match bytes[4] {
            3.. => be64(&bytes, 120),
            _ => 0,
        };
        let format = match bytes[5] {
            0 => Format::Device,
            1 => Format::Local,
            2 => Format::Extents,
            3 => Format::Tree,
            other => {
                return Err(refused(format!(
                    "inode {number} has a fork of unknown format {other}"
                )));
            }
        };
        Ok(Self {
            stat: Stat {
                kind: Kind::of_mode(be16(&bytes, 2)),
                len: be64(&bytes, 56),
                modified: modified(&bytes, flags2),
            },
            format,
            extents: match flags2 & LARGE_COUNTS {
                0 => u64::from(be32(&bytes, 76)),
                _ => be64(&bytes, 24),
            },
            realtime: be16(&bytes, 90) & REALTIME != 0,
            fork: data_fork(&bytes),
            bytes,
        })
    }

    /// The data fork.
    pub(super) fn fork(&self) -> &[u8] {
        &self.bytes[self.fork.clone()]
    }
}

fn modified(inode: &[u8], flags2: u64) -> (i64, u32) {
    const BILLION: u64 = 1_000_000_000;
    if flags2 & BIG_TIME == 0 {
        let seconds = be32(inode, 40) as i32;
        return (i64::from(seconds), be32(inode, 44));
    }
    let since_1901 = be64(inode, 40);
    let seconds = (since_1901 / BILLION) as i64 - BIG_TIME_EPOCH;
    (seconds, (since_1901 % BILLION) as u32)
}
