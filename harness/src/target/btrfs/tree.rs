//! Trees: items by key, in blocks that carry a checksum.

use std::ops::ControlFlow;

use super::chunks::Chunks;
use super::superblock::{Root, refused};
use crate::target::budget::Budget;
use crate::target::bytes::{le32, le64};
use crate::target::checksum::crc32c;
use crate::target::device::BlockDevice;
use crate::target::error::TargetError;
use crate::vmcore::ReadAt;

/// Length of a key on the disk.
pub(super) const KEY: usize = 17;
/// Of the header of a block, of an item of a leaf, of a pointer of a node.
const HEADER: usize = 101;
const ITEM: usize = KEY + 8;
const POINTER: usize = KEY + 16;
/// BTRFS_MAX_LEVEL.
const MAX_LEVEL: u8 = 8;

/// What an item is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) object: u64,
    pub(super) kind: u8,
    pub(super) offset: u64,
}

impl Key {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self {
            object: le64(bytes, 0),
            kind: bytes.get(8).copied().unwrap_or_default(),
            offset: le64(bytes, 9),
        }
    }
}

/// The device, by logical addresses.
pub(super) struct Volume {
    pub(super) device: BlockDevice,
    pub(super) chunks: Chunks,
    pub(super) node_size: u64,
    pub(super) budget: Budget,
}

impl Volume {
    /// Gives every item of `object` and `kind`, in the order of their offsets, until told to
    /// stop. A tree that leads back into itself has an end: every block is of the level below.
    pub(super) fn items(
        &self,
        root: Root,
        object: u64,
        kind: u8,
        mut each: impl FnMut(Key, &[u8]) -> Result<ControlFlow<()>, TargetError>,
    ) -> Result<(), TargetError> {
        let key = |offset| Key {
            object,
            kind,
            offset,
        };
        let (first, last) = (key(0), key(u64::MAX));
        if root.level >= MAX_LEVEL {
            return Err(broken());
        }
        let mut waiting = vec![root];
        while let Some(Root { at, level }) = waiting.pop() {
            let block = self.block(at, level)?;
            let count = le32(&block, 96) as usize;
            let entry = if level == 0 { ITEM } else { POINTER };
            let entries = count.checked_mul(entry).map(|len| HEADER + len);
            let entries = entries.and_then(|end| block.get(HEADER..end));
            let entries: Vec<&[u8]> = entries.ok_or_else(broken)?.chunks_exact(entry).collect();
            if level > 0 {
                // What lies below a pointer ends where the next one begins.
                for (index, pointer) in entries.iter().enumerate().rev() {
                    let next = entries.get(index + 1).map(|next| Key::of(next));
                    if Key::of(pointer) <= last && next.is_none_or(|next| next > first) {
                        waiting.push(Root {
                            at: le64(pointer, KEY),
                            level: level - 1,
                        });
                    }
                }
                continue;
            }
            for item in entries {
                let key = Key::of(item);
                if key < first || key > last {
                    continue;
                }
                let start = HEADER + le32(item, KEY) as usize;
                let end = start + le32(item, KEY + 4) as usize;
                if each(key, block.get(start..end).ok_or_else(broken)?)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// A copy whose checksum is right, and which is the block that was meant.
    fn block(&self, at: u64, level: u8) -> Result<Vec<u8>, TargetError> {
        let (copies, left) = self.chunks.locate(at).ok_or_else(broken)?;
        if left < self.node_size {
            return Err(broken());
        }
        let mut block = vec![0; self.node_size as usize];
        for copy in copies {
            self.budget.spend(self.node_size)?;
            if self.device.read_exact_at(copy, &mut block).is_ok()
                && crc32c(&block[32..]) == le32(&block, 0)
                && le64(&block, 48) == at
                && block[100] == level
            {
                return Ok(block);
            }
        }
        Err(refused(format!(
            "no copy of the tree block at {at} is whole"
        )))
    }
}

fn broken() -> TargetError {
    refused("a tree makes no sense")
}
