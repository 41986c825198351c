//! The journal of a file system that was not unmounted, replayed in memory.
//!
//! A capture kernel that syncs and dies leaves the newest directory entries in the journal only.
//! The file system's reader replays journals with checksums alone, which a 3.10 kernel cannot
//! write; this does the others. Layout: the kernel's Documentation/filesystems/ext4/journal.rst.
//! The journal's numbers are big-endian, the file system's little-endian.

use std::cell::Cell;
use std::collections::HashMap;

use crate::target::bytes::{be32, le16, le32};
use crate::target::device::BlockDevice;
use crate::target::error::TargetError;
use crate::vmcore::ReadAt;

const MAGIC: u32 = 0xc03b_3998;
const DESCRIPTOR: u32 = 1;
const COMMIT: u32 = 2;
const REVOKE: u32 = 5;

/// Journal features (incompatible ones).
const WIDE: u32 = 0x2;
const CHECKSUM_V2: u32 = 0x8;
const CHECKSUM_V3: u32 = 0x10;
/// Those three, revoke records, and asynchronous commits.
const KNOWN: u32 = 0x1f;

/// Tag flags.
const ESCAPED: u32 = 1;
const SAME_UUID: u32 = 2;
const LAST: u32 = 8;

/// mke2fs makes journals of up to 1 GiB; 2^22 blocks are 4 GiB at least.
const MAX_BLOCKS: usize = 1 << 22;
const MAX_NODES: u32 = 1 << 15;

/// Superblock features.
const HAS_JOURNAL: u32 = 0x4;
const RECOVERY: u32 = 0x4;
const IS_64BIT: u32 = 0x80;
const METADATA_CSUM: u32 = 0x400;
/// Inode flag: the block list is an extent tree.
const EXTENTS: u32 = 0x8_0000;
const EXTENT_MAGIC: u16 = 0xf30a;
const EXTENT_DEPTH: u32 = 5;

/// Offset of the byte of the superblock that holds the "needs recovery" flag, on the disk.
const RECOVERY_BYTE: u64 = 1024 + 0x60;

/// Blocks whose newest version lies in the journal.
#[derive(Debug)]
pub(super) struct Replay {
    block_size: u64,
    blocks: HashMap<u64, Newer>,
}

/// Where the newest version of a block is.
#[derive(Debug, Clone, Copy)]
struct Newer {
    at: u64,
    /// Its first four bytes are the journal's magic number, stored as zeros.
    escaped: bool,
}

impl Replay {
    /// Reads the journal; `None` when there is nothing to replay, or when the file system's
    /// reader will do it.
    pub(super) fn load(disk: &BlockDevice) -> Result<Option<Self>, TargetError> {
        let mut superblock = [0; 1024];
        disk.read_exact_at(1024, &mut superblock)?;
        let field = |at| le32(&superblock, at);
        if field(0x5c) & HAS_JOURNAL == 0
            || field(0x60) & RECOVERY == 0
            || field(0x64) & METADATA_CSUM != 0
        {
            return Ok(None);
        }
        let block_size = 1024u64 << field(0x18).min(6);
        let disk = Blocks {
            disk,
            size: block_size,
            len: disk.len(),
            nodes: Cell::new(0),
        };
        let inode = disk.inode(&superblock)?;
        let journal = Journal::open(&disk, inode)?;
        let blocks = match journal.start {
            0 => HashMap::new(),
            _ => journal.replay()?,
        };
        Ok(Some(Self { block_size, blocks }))
    }

    /// Brings `bytes`, read from `start` of the disk, up to date.
    pub(super) fn apply(
        &self,
        disk: &BlockDevice,
        start: u64,
        bytes: &mut [u8],
    ) -> std::io::Result<()> {
        let mut done = 0;
        while done < bytes.len() && !self.blocks.is_empty() {
            let at = start + done as u64;
            let within = at % self.block_size;
            let take = ((self.block_size - within) as usize).min(bytes.len() - done);
            if let Some(newer) = self.blocks.get(&(at / self.block_size)) {
                let part = &mut bytes[done..done + take];
                disk.read_exact_at(newer.at + within, part)?;
                if newer.escaped {
                    let magic = MAGIC.to_be_bytes();
                    for (byte, original) in part.iter_mut().zip(&magic[within.min(4) as usize..]) {
                        *byte = *original;
                    }
                }
            }
            done += take;
        }
        // The journal is accounted for: nobody else need look at it.
        let flag = RECOVERY_BYTE
            .checked_sub(start)
            .and_then(|at| bytes.get_mut(usize::try_from(at).ok()?));
        if let Some(byte) = flag {
            *byte &= !(RECOVERY as u8);
        }
        Ok(())
    }
}

struct Journal<'a> {
    disk: &'a Blocks<'a>,
    /// The journal's blocks in order, as block numbers of the file system.
    map: Vec<u64>,
    features: u32,
    first: usize,
    /// Block with the oldest transaction that may be missing from the file system; 0 for none.
    start: usize,
    sequence: u32,
}

/// One version of a block.
struct Logged {
    sequence: u32,
    block: u64,
    newer: Newer,
}

impl<'a> Journal<'a> {
    fn open(disk: &'a Blocks<'a>, inode: [u8; 128]) -> Result<Self, TargetError> {
        let mut map = Vec::new();
        let root = &inode[40..100];
        if le32(&inode, 32) & EXTENTS != 0 {
            disk.extents(root, EXTENT_DEPTH, &mut map)?;
        } else {
            for (index, &pointer) in words(root).iter().enumerate() {
                disk.block_map(pointer, index.saturating_sub(11) as u32, &mut map)?;
            }
        }
        let superblock = disk.read(*map.first().ok_or_else(|| broken("has no blocks"))?)?;
        let field = |at| be32(&superblock, at);
        let version_2 = match (field(0), field(4)) {
            (MAGIC, 4) => true,
            (MAGIC, 3) => false,
            _ => return Err(broken("has no superblock")),
        };
        let features = if version_2 { field(0x28) } else { 0 };
        if features & !KNOWN != 0 {
            return Err(TargetError::FileSystem(format!(
                "its journal has features {features:#x}, and needs to be replayed"
            )));
        }
        if u64::from(field(0xc)) != disk.size {
            return Err(broken("has blocks of another size"));
        }
        map.truncate(field(0x10) as usize);
        let journal = Self {
            disk,
            features,
            first: field(0x14) as usize,
            sequence: field(0x18),
            start: field(0x1c) as usize,
            map,
        };
        if journal.first == 0
            || journal.first >= journal.map.len()
            || journal.start >= journal.map.len()
        {
            return Err(broken("begins outside itself"));
        }
        Ok(journal)
    }

    /// Whole transactions only: what follows the last commit never happened.
    fn replay(&self) -> Result<HashMap<u64, Newer>, TargetError> {
        let mut committed = Vec::new();
        let mut pending = Vec::new();
        let mut revoked: HashMap<u64, u32> = HashMap::new();
        let mut pending_revoked = Vec::new();
        let mut sequence = self.sequence;
        let mut cursor = self.start;
        let mut walked = 0;
        while walked < self.map.len() {
            let block = self.disk.read(self.map[cursor])?;
            if be32(&block, 0) != MAGIC || be32(&block, 8) != sequence {
                break;
            }
            cursor = self.after(cursor);
            walked += 1;
            match be32(&block, 4) {
                DESCRIPTOR => {
                    for (target, escaped) in self.tags(&block) {
                        let at = self.map[cursor] * self.disk.size;
                        pending.push(Logged {
                            sequence,
                            block: target,
                            newer: Newer { at, escaped },
                        });
                        cursor = self.after(cursor);
                        walked += 1;
                    }
                }
                REVOKE => pending_revoked.extend(self.revocations(&block)),
                COMMIT => {
                    committed.append(&mut pending);
                    revoked.extend(pending_revoked.drain(..).map(|block| (block, sequence)));
                    sequence = sequence.wrapping_add(1);
                }
                _ => break,
            }
            if committed.len() + revoked.len() + pending_revoked.len() > 2 * MAX_BLOCKS {
                return Err(broken("is too large"));
            }
        }
        let mut newest = HashMap::new();
        for logged in committed {
            // A block revoked in a transaction is not to be replayed from it nor from older ones.
            let stale = revoked
                .get(&logged.block)
                .is_some_and(|&revoked| revoked.wrapping_sub(logged.sequence) as i32 >= 0);
            if !stale {
                newest.insert(logged.block, logged.newer);
            }
        }
        Ok(newest)
    }

    fn after(&self, cursor: usize) -> usize {
        match cursor + 1 {
            next if next < self.map.len() => next,
            _ => self.first,
        }
    }

    /// Block numbers that a descriptor block announces, and whether they are escaped.
    fn tags(&self, block: &[u8]) -> Vec<(u64, bool)> {
        let wide = self.features & WIDE != 0;
        let v3 = self.features & CHECKSUM_V3 != 0;
        let tag_len = match (v3, wide) {
            (true, _) => 16,
            (false, wide) => {
                8 + if wide { 4 } else { 0 }
                    + if self.features & CHECKSUM_V2 != 0 {
                        2
                    } else {
                        0
                    }
            }
        };
        let mut tags = Vec::new();
        let mut at = 12;
        while at + tag_len <= block.len() {
            let flags = match v3 {
                true => be32(block, at + 4),
                false => be32(block, at + 4) & 0xffff,
            };
            let high = if wide { be32(block, at + 8) } else { 0 };
            let target = (u64::from(high) << 32) | u64::from(be32(block, at));
            tags.push((target, flags & ESCAPED != 0));
            if flags & LAST != 0 {
                break;
            }
            at += tag_len + if flags & SAME_UUID == 0 { 16 } else { 0 };
        }
        tags
    }

    fn revocations(&self, block: &[u8]) -> Vec<u64> {
        // The count is in bytes and includes the header.
        let end = (be32(block, 12) as usize).clamp(16, block.len());
        let records = &block[16..end];
        match self.features & WIDE {
            0 => records
                .chunks_exact(4)
                .map(|r| u64::from(be32(r, 0)))
                .collect(),
            _ => records
                .chunks_exact(8)
                .map(|r| (u64::from(be32(r, 0)) << 32) | u64::from(be32(r, 4)))
                .collect(),
        }
    }
}

/// The disk as blocks.
struct Blocks<'a> {
    disk: &'a BlockDevice,
    size: u64,
    len: u64,
    nodes: Cell<u32>,
}

impl Blocks<'_> {
    /// A block of a block list; a journal of [`MAX_BLOCKS`] has far fewer than the limit, a list
    /// that points back into itself has no end.
    fn node(&self, block: u64) -> Result<Vec<u8>, TargetError> {
        self.nodes.set(self.nodes.get() + 1);
        match self.nodes.get() > MAX_NODES {
            true => Err(broken("has a block list without end")),
            false => self.read(block),
        }
    }

    fn read(&self, block: u64) -> Result<Vec<u8>, TargetError> {
        let start = block
            .checked_mul(self.size)
            .filter(|start| *start < self.len)
            .ok_or_else(|| broken("points outside the disk"))?;
        let mut bytes = vec![0; self.size as usize];
        self.disk.read_exact_at(start, &mut bytes)?;
        Ok(bytes)
    }

    /// The journal's inode; it is always in the first block group.
    fn inode(&self, superblock: &[u8]) -> Result<[u8; 128], TargetError> {
        let number = u64::from(le32(superblock, 0xe0));
        let inodes_per_group = u64::from(le32(superblock, 0x28));
        if number == 0 || number > inodes_per_group {
            return Err(broken("is not in the file system"));
        }
        let inode_size = u64::from(le32(superblock, 0x58) & 0xffff).max(128);
        let descriptors = self.read(u64::from(le32(superblock, 0x14)) + 1)?;
        let high = match le32(superblock, 0x60) & IS_64BIT {
            0 => 0,
            _ => le32(&descriptors, 0x28),
        };
        let table = (u64::from(high) << 32) | u64::from(le32(&descriptors, 8));
        let at = table
            .checked_mul(self.size)
            .and_then(|table| table.checked_add((number - 1) * inode_size))
            .filter(|at| *at < self.len)
            .ok_or_else(|| broken("has its inode outside the disk"))?;
        let mut inode = [0; 128];
        self.disk.read_exact_at(at, &mut inode)?;
        Ok(inode)
    }

    fn extents(&self, node: &[u8], depth: u32, map: &mut Vec<u64>) -> Result<(), TargetError> {
        let entries = usize::from(le16(node, 2));
        let level = le16(node, 6);
        if le16(node, 0) != EXTENT_MAGIC || depth == 0 {
            return Err(broken("has a broken extent tree"));
        }
        for entry in node[12..].chunks_exact(12).take(entries) {
            if level > 0 {
                let child = (u64::from(le16(entry, 8)) << 32) | u64::from(le32(entry, 4));
                self.extents(&self.node(child)?, depth - 1, map)?;
                continue;
            }
            let start = (u64::from(le16(entry, 6)) << 32) | u64::from(le32(entry, 8));
            if le32(entry, 0) as usize != map.len() {
                return Err(broken("has holes"));
            }
            for offset in 0..u64::from(le16(entry, 4)) {
                self.push(start + offset, map)?;
            }
        }
        Ok(())
    }

    /// Direct pointers (level 0) and trees of pointers, up to three levels.
    fn block_map(&self, pointer: u32, level: u32, map: &mut Vec<u64>) -> Result<(), TargetError> {
        match (pointer, level) {
            (0, _) => Ok(()),
            (block, 0) => self.push(u64::from(block), map),
            (block, level) => words(&self.node(u64::from(block))?)
                .iter()
                .try_for_each(|&pointer| self.block_map(pointer, level - 1, map)),
        }
    }

    fn push(&self, block: u64, map: &mut Vec<u64>) -> Result<(), TargetError> {
        if block >= self.len / self.size {
            return Err(broken("points outside the disk"));
        }
        if map.len() >= MAX_BLOCKS {
            return Err(broken("is too large"));
        }
        map.push(block);
        Ok(())
    }
}

fn broken(how: &str) -> TargetError {
    TargetError::FileSystem(format!(
        "it was not unmounted, and its journal {how}, so it cannot be replayed"
    ))
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|word| le32(word, 0)).collect()
}
