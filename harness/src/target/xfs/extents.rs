//! Where the content of a file is: the extents of its data fork.

use std::io;

use super::inode::{Format, Inode};
use super::superblock::refused;
use super::volume::Volume;
use crate::target::bytes::{be16, be64};
use crate::target::device::BlockDevice;
use crate::target::error::TargetError;
use crate::target::reader::ReadFile;
use crate::vmcore::ReadAt;

/// Memory for a list of extents: 32 MiB. A file of 4 TiB in pieces of 4 MiB has as many.
const MAX_EXTENTS: u64 = 1 << 20;
/// A file ends before 2^63 bytes, and a block has at most 2^16.
const MAX_FILE_BLOCKS: u64 = 1 << 47;
/// XFS_BTREE_MAXLEVELS.
const MAX_LEVELS: u16 = 9;
const RECORD: usize = 16;

/// Adjacent bytes of a file that are adjacent on the device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// In the file, in bytes.
    pub(super) offset: u64,
    pub(super) len: u64,
    /// On the device, in bytes.
    pub(super) at: u64,
    /// Allocated, never written: reads as zeros.
    pub(super) unwritten: bool,
}

/// All extents of a file that is not inline, in the order of their offsets.
pub(super) fn of(volume: &Volume, inode: &Inode) -> Result<Vec<Extent>, TargetError> {
    if inode.realtime {
        return Err(refused("the file is on the realtime device"));
    }
    if inode.extents > MAX_EXTENTS {
        return Err(TargetError::Unreasonable(format!(
            "has a file of {} extents",
            inode.extents
        )));
    }
    let fork = inode.fork();
    let mut list = List {
        volume,
        left: inode.extents,
        extents: Vec::new(),
    };
    match inode.format {
        Format::Extents => {
            let len = inode.extents as usize * RECORD;
            list.records(fork.get(..len).ok_or_else(broken)?)?;
        }
        Format::Tree => {
            let level = be16(fork, 0);
            if level == 0 || level > MAX_LEVELS {
                return Err(broken());
            }
            list.tree(level, children(fork, 4)?)?;
        }
        Format::Local | Format::Device => return Err(broken()),
    }
    Ok(list.extents)
}

fn broken() -> TargetError {
    refused("a file's list of extents makes no sense")
}

/// Block numbers in a node: keys, then pointers, each with room for all that fit.
fn children(node: &[u8], header: usize) -> Result<Vec<u64>, TargetError> {
    // The root counts its records in the second field, a block in the fourth.
    let count = usize::from(be16(node, if header == 4 { 2 } else { 6 }));
    let room = node.len().saturating_sub(header) / RECORD;
    let start = header + room * 8;
    let pointers = node.get(start..start + count * 8).ok_or_else(broken)?;
    Ok(pointers.chunks_exact(8).map(|p| be64(p, 0)).collect())
}

struct List<'a> {
    volume: &'a Volume,
    /// Records that the inode counts and that have not come yet.
    left: u64,
    extents: Vec<Extent>,
}

impl List<'_> {
    /// Walks the blocks below a node of `level`, which are one level lower. A tree that leads back
    /// into itself ends with the inode's count of records: extents must ascend.
    fn tree(&mut self, level: u16, roots: Vec<u64>) -> Result<(), TargetError> {
        let geometry = &self.volume.geometry;
        let header = geometry.tree_header();
        let magic = match geometry.checksums {
            true => b"BMA3",
            false => b"BMAP",
        };
        let below =
            |level: u16, blocks: Vec<u64>| blocks.into_iter().rev().map(move |b| (level, b));
        let mut waiting: Vec<(u16, u64)> = below(level - 1, roots).collect();
        while let Some((level, number)) = waiting.pop() {
            let at = geometry.block(number)?;
            let block = self.volume.read(at, geometry.block_size)?;
            if !block.starts_with(magic) || be16(&block, 4) != level {
                return Err(broken());
            }
            if level > 0 {
                waiting.extend(below(level - 1, children(&block, header)?));
                continue;
            }
            let end = header + usize::from(be16(&block, 6)) * RECORD;
            self.records(block.get(header..end).ok_or_else(broken)?)?;
        }
        Ok(())
    }

    fn records(&mut self, records: &[u8]) -> Result<(), TargetError> {
        let geometry = &self.volume.geometry;
        for record in records.chunks_exact(RECORD) {
            let (high, low) = (be64(record, 0), be64(record, 8));
            // 1 bit: unwritten; 54: offset in the file; 52: block; 21: number of blocks.
            let offset = (high & !(1 << 63)) >> 9;
            if offset > MAX_FILE_BLOCKS {
                return Err(broken());
            }
            let offset = offset * geometry.block_size;
            let block = ((high & 0x1ff) << 43) | (low >> 21);
            let len = (low & 0x1f_ffff) * geometry.block_size;
            let at = geometry.block(block)?;
            let after = self.extents.last().map_or(0, |last| last.offset + last.len);
            self.left = self.left.checked_sub(1).ok_or_else(broken)?;
            if len == 0 || offset < after || at + len > self.volume.device.len() {
                return Err(broken());
            }
            self.extents.push(Extent {
                offset,
                len,
                at,
                unwritten: high >> 63 != 0,
            });
        }
        Ok(())
    }
}

/// A file's content.
pub(super) struct Content {
    pub(super) device: BlockDevice,
    pub(super) extents: Vec<Extent>,
}

impl ReadFile for Content {
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        bytes.fill(0);
        let end = offset + bytes.len() as u64;
        let first = self
            .extents
            .partition_point(|extent| extent.offset + extent.len <= offset);
        for extent in &self.extents[first..] {
            if extent.offset >= end {
                break;
            }
            if extent.unwritten {
                continue;
            }
            let from = extent.offset.max(offset);
            let to = (extent.offset + extent.len).min(end);
            let part = &mut bytes[(from - offset) as usize..(to - offset) as usize];
            self.device
                .read_exact_at(extent.at + (from - extent.offset), part)?;
        }
        Ok(())
    }
}
