//! What a transaction changes: buffers, inodes, new chunks of inodes.

use super::broken;
use crate::target::bytes::{be16, be32, le16, le32, le64};
use crate::target::error::TargetError;
use crate::target::xfs::inode;
use crate::target::xfs::superblock::Geometry;
use crate::target::xfs::volume::{SECTOR, Volume};

/// Types of items.
const INODE: u16 = 0x123b;
const BUFFER: u16 = 0x123c;
const INODE_CREATE: u16 = 0x123f;

/// `blf_flags`: pointers of the list of unlinked inodes only; cancelled; quota, which is the
/// quotas' business.
const INODE_BUFFER: u16 = 0x1;
const CANCEL: u16 = 0x2;
const QUOTA: u16 = 0x4 | 0x8 | 0x10;
/// Buffers are logged in pieces of so many bytes, one bit of a map for each.
const PIECE: u64 = 128;
/// The largest buffer: 64 KiB.
const MAX_BUFFER: u64 = 64 << 10;

/// `ilf_fields`: the data fork, inline or a list; the root of a tree.
const DATA: u32 = 0x2 | 0x4;
const ROOT: u32 = 0x8;

/// A chunk has 64 inodes of at most 2 KiB.
const MAX_CHUNK: u64 = 64 << 11;

/// One change.
pub(super) enum Item {
    /// A buffer that is no longer metadata. Buffers are named by where they begin, in sectors.
    Cancel { at: u64 },
    /// Pieces of a buffer: where in the device, in bytes, and what is there.
    Buffer {
        at: u64,
        pieces: Vec<(u64, Vec<u8>)>,
    },
    /// A chunk of inodes that are free.
    Create { at: u64, inodes: u64 },
    /// An inode, and which buffer it is in.
    Inode {
        buffer: u64,
        at: u64,
        core: Vec<u8>,
        fork: Option<Fork>,
    },
}

/// The data fork of a logged inode.
pub(super) enum Fork {
    /// As it is on the disk.
    Bytes(Vec<u8>),
    /// The root of a tree, as a block.
    Root(Vec<u8>),
}

impl Item {
    /// A transaction's items have no order of their own: a chunk is made before what is in it,
    /// and a buffer is cancelled last (xlog_recover_reorder_trans).
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Create { .. } => 0,
            Self::Buffer { .. } => 1,
            Self::Inode { .. } => 2,
            Self::Cancel { .. } => 3,
        }
    }

    /// The buffer that is changed, by its first sector.
    pub(super) fn buffer(&self) -> Option<u64> {
        match self {
            Self::Buffer { at, .. } | Self::Cancel { at } => Some(*at),
            Self::Inode { buffer, .. } => Some(*buffer),
            Self::Create { at, .. } => Some(at / SECTOR),
        }
    }

    pub(super) fn apply(self, volume: &mut Volume) -> Result<(), TargetError> {
        match self {
            Self::Cancel { .. } => Ok(()),
            Self::Buffer { pieces, .. } => pieces
                .into_iter()
                .try_for_each(|(at, mut bytes)| volume.patch(at, &mut bytes)),
            Self::Create { at, inodes } => {
                let size = volume.geometry.inode_size;
                let mut free = vec![0; size as usize];
                free[..2].copy_from_slice(&inode::MAGIC);
                free[4] = 3;
                (0..inodes).try_for_each(|index| volume.patch(at + index * size, &mut free))
            }
            Self::Inode {
                at, mut core, fork, ..
            } => {
                swap_core(&mut core);
                volume.patch(at, &mut core)?;
                let start = at + core.len() as u64;
                let room = inode::data_fork(&volume.read(at, volume.geometry.inode_size)?).len();
                let mut bytes = match fork {
                    None => return Ok(()),
                    Some(Fork::Bytes(bytes)) => bytes,
                    Some(Fork::Root(block)) => root(&block, room, &volume.geometry)?,
                };
                bytes.truncate(room);
                volume.patch(start, &mut bytes)
            }
        }
    }
}

/// The items of a transaction, of those kinds that matter to a reader. Intents (frees, reference
/// counts) do not: what they intend changes no file's content.
pub(super) fn items(regions: Vec<Vec<u8>>, geometry: &Geometry) -> Result<Vec<Item>, TargetError> {
    let mut items = Vec::new();
    let mut regions = regions.into_iter();
    while let Some(format) = regions.next() {
        let count = usize::from(le16(&format, 2)).max(1);
        let parts: Vec<Vec<u8>> = regions.by_ref().take(count - 1).collect();
        if parts.len() + 1 < count {
            return Err(broken("has an item that lacks a part"));
        }
        match le16(&format, 0) {
            BUFFER => items.extend(buffer(&format, parts)?),
            INODE => items.push(inode(&format, parts, geometry)?),
            INODE_CREATE => items.push(create(&format, geometry)?),
            _ => {}
        }
    }
    Ok(items)
}

/// struct xfs_buf_log_format.
fn buffer(format: &[u8], parts: Vec<Vec<u8>>) -> Result<Option<Item>, TargetError> {
    let flags = le16(format, 4);
    let len = u64::from(le16(format, 6)) * SECTOR;
    let at = le64(format, 8);
    if flags & CANCEL != 0 {
        return Ok(Some(Item::Cancel { at }));
    }
    if flags & (INODE_BUFFER | QUOTA) != 0 {
        return Ok(None);
    }
    let start = at.checked_mul(SECTOR).filter(|_| len <= MAX_BUFFER);
    let start = start.ok_or_else(|| broken("has a buffer outside the disk"))?;
    let words = format.get(20..).unwrap_or_default().chunks_exact(4);
    let words: Vec<u32> = words
        .take(le32(format, 16) as usize)
        .map(|word| le32(word, 0))
        .collect();
    let changed = |piece: u64| {
        let word = words.get((piece / 32) as usize);
        piece < len / PIECE && word.is_some_and(|word| word >> (piece % 32) & 1 != 0)
    };
    let mut pieces = Vec::new();
    let mut piece = 0;
    for part in parts {
        while piece < len / PIECE && !changed(piece) {
            piece += 1;
        }
        // As many pieces as are adjacent, or as the part has.
        let first = piece;
        while changed(piece) && (piece - first) * PIECE < part.len() as u64 {
            piece += 1;
        }
        let mut part = part;
        part.truncate(((piece - first) * PIECE) as usize);
        pieces.push((start.saturating_add(first * PIECE), part));
    }
    Ok(Some(Item::Buffer { at, pieces }))
}

/// struct xfs_inode_log_format.
fn inode(format: &[u8], parts: Vec<Vec<u8>>, geometry: &Geometry) -> Result<Item, TargetError> {
    let fields = le32(format, 4);
    let buffer = le64(format, 40);
    let within = u64::from(le32(format, 52));
    let at = buffer
        .checked_mul(SECTOR)
        .and_then(|start| start.checked_add(within))
        .filter(|at| at % geometry.inode_size == 0)
        .ok_or_else(|| broken("has an inode outside the disk"))?;
    let mut parts = parts.into_iter();
    let mut core = parts
        .next()
        .ok_or_else(|| broken("has an inode without a core"))?;
    let core_len = inode::core_len(*core.get(4).unwrap_or(&0));
    // Versions 1 and 2 end with the pointer to the next unlinked inode; version 3 goes on.
    if core.len() < core_len.min(96) || le16(&core, 0) != be16(&inode::MAGIC, 0) {
        return Err(broken("has an inode without a core"));
    }
    core.resize(core_len, 0);
    // Attributes, the other fork, are not read here.
    let fork = match (fields & DATA != 0, fields & ROOT != 0) {
        (true, false) => parts.next().map(Fork::Bytes),
        (false, true) => parts.next().map(Fork::Root),
        (false, false) => None,
        (true, true) => return Err(broken("has an inode with two data forks")),
    };
    Ok(Item::Inode {
        buffer,
        at,
        core,
        fork,
    })
}

/// struct xfs_icreate_log, the one that is big-endian.
fn create(format: &[u8], geometry: &Geometry) -> Result<Item, TargetError> {
    let (group, block) = (be32(format, 4), be32(format, 8));
    let inodes = u64::from(be32(format, 12));
    if inodes * geometry.inode_size > MAX_CHUNK {
        return Err(broken("has a chunk of too many inodes"));
    }
    Ok(Item::Create {
        at: geometry.in_group(u64::from(group), u64::from(block))?,
        inodes,
    })
}

/// From the order of the machine to that of the disk. Bytes that are no numbers, and the checksum,
/// stay.
fn swap_core(core: &mut [u8]) {
    const TWO: [usize; 8] = [0, 2, 6, 20, 22, 80, 88, 90];
    const FOUR: [usize; 10] = [8, 12, 16, 72, 76, 84, 92, 96, 100, 128];
    const EIGHT: [usize; 6] = [56, 64, 104, 112, 120, 152];
    const TIMES: [usize; 4] = [32, 40, 48, 144];
    /// Not read here, but copied: extents counted in 64 bits, or the flush counter of version 2.
    const COUNTS: usize = 24;

    let version_3 = core.len() > 100;
    let flags2 = le64(core, 120);
    let mut swap = |at: usize, len: usize| {
        if let Some(number) = core.get_mut(at..at + len) {
            number.reverse();
        }
    };
    TWO.into_iter().for_each(|at| swap(at, 2));
    FOUR.into_iter().for_each(|at| swap(at, 4));
    EIGHT.into_iter().for_each(|at| swap(at, 8));
    let big_time = version_3 && flags2 & inode::BIG_TIME != 0;
    for at in TIMES {
        if big_time {
            swap(at, 8);
        } else {
            swap(at, 4);
            swap(at + 4, 4);
        }
    }
    if version_3 {
        swap(COUNTS, 8);
    }
}

/// From the root of a tree as a block, to what fits an inode: level, number of records, keys,
/// pointers.
fn root(block: &[u8], room: usize, geometry: &Geometry) -> Result<Vec<u8>, TargetError> {
    let header = geometry.tree_header();
    let in_block = block.len().saturating_sub(header) / 16;
    let in_inode = room.saturating_sub(4) / 16;
    let records = usize::from(be16(block, 6));
    let pointers = header + in_block * 8;
    let keys = block.get(header..header + records * 8);
    let (Some(keys), Some(pointers)) = (keys, block.get(pointers..pointers + records * 8)) else {
        return Err(broken("has a tree without a root"));
    };
    if records > in_inode {
        return Err(broken("has a root that is too large"));
    }
    let mut root = vec![0; 4 + in_inode * 16];
    root[..4].copy_from_slice(&block[4..8]);
    root[4..4 + keys.len()].copy_from_slice(keys);
    let at = 4 + in_inode * 8;
    root[at..at + pointers.len()].copy_from_slice(pointers);
    Ok(root)
}
