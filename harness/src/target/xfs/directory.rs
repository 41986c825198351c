//! Directories: inline, or blocks of entries. The index of large ones is not needed.

use super::extents;
use super::inode::{Format, Inode};
use super::superblock::refused;
use super::volume::Volume;
use crate::target::bytes::{be16, be32, be64};
use crate::target::error::TargetError;
use crate::target::tree::{Entry, Kind, MAX_ENTRIES, too_many_files};

/// Entries are below, the index and the list of free space above (XFS_DIR2_LEAF_OFFSET).
const INDEX: u64 = 1 << 35;
/// Far more than [`MAX_ENTRIES`] of the longest names need.
const MAX_BYTES: u64 = 64 << 20;
/// Marks unused space where an entry would begin.
const UNUSED: u16 = 0xffff;

/// Inode numbers by name.
pub(super) fn entries(volume: &Volume, inode: &Inode) -> Result<Vec<Entry<u64>>, TargetError> {
    let mut entries = Vec::new();
    let types = volume.geometry.file_types;
    if inode.format == Format::Local {
        let len = usize::try_from(inode.stat.len).unwrap_or(usize::MAX);
        inline(
            inode.fork().get(..len).ok_or_else(broken)?,
            types,
            &mut entries,
        )?;
        return Ok(entries);
    }
    let block_size = volume.geometry.directory_block_size;
    let mut blocks = Vec::new();
    // A block may lie in several extents.
    for extent in extents::of(volume, inode)? {
        if extent.offset >= INDEX {
            break;
        }
        let mut done = 0;
        while done < extent.len {
            let part = volume.geometry.block_size.min(extent.len - done);
            blocks.extend(volume.read(extent.at + done, part)?);
            done += part;
            if blocks.len() as u64 > MAX_BYTES {
                return Err(too_many_files());
            }
        }
    }
    for bytes in blocks.chunks(block_size as usize) {
        block(bytes, volume.geometry.checksums, types, &mut entries)?;
    }
    Ok(entries)
}

/// struct xfs_dir2_sf_hdr and what follows.
fn inline(fork: &[u8], types: bool, entries: &mut Vec<Entry<u64>>) -> Result<(), TargetError> {
    let (Some(&short), Some(&long)) = (fork.first(), fork.get(1)) else {
        return Err(broken());
    };
    // Either all numbers have 8 bytes, or all have 4.
    let wide = long > 0;
    let number = if wide { 8 } else { 4 };
    let mut rest = fork.get(2 + number..).ok_or_else(broken)?;
    for _ in 0..short.max(long) {
        let name_len = usize::from(*rest.first().ok_or_else(broken)?);
        let kind_at = 3 + name_len;
        let number_at = kind_at + usize::from(types);
        let end = number_at + number;
        let entry = rest.get(..end).ok_or_else(broken)?;
        let inode = match wide {
            true => be64(entry, number_at),
            false => u64::from(be32(entry, number_at)),
        };
        let kind = types.then(|| kind(entry[kind_at])).flatten();
        push(&entry[3..kind_at], inode, kind, entries)?;
        rest = &rest[end..];
    }
    Ok(())
}

/// A block of entries; a directory of one block has its index at the end of it.
fn block(
    block: &[u8],
    checksums: bool,
    types: bool,
    entries: &mut Vec<Entry<u64>>,
) -> Result<(), TargetError> {
    let (single, header) = match (block.get(..4), checksums) {
        (Some(b"XD2B"), false) => (true, 16),
        (Some(b"XD2D"), false) => (false, 16),
        (Some(b"XDB3"), true) => (true, 64),
        (Some(b"XDD3"), true) => (false, 64),
        _ => return Err(broken()),
    };
    let end = match single {
        true => {
            let index = be32(block, block.len() - 8) as usize;
            let index = index.checked_mul(8).and_then(|index| index.checked_add(8));
            index.and_then(|index| block.len().checked_sub(index))
        }
        false => Some(block.len()),
    };
    let mut rest = block
        .get(header..end.ok_or_else(broken)?)
        .ok_or_else(broken)?;
    while !rest.is_empty() {
        let len = if be16(rest, 0) == UNUSED {
            usize::from(be16(rest, 2))
        } else {
            let name_len = usize::from(*rest.get(8).ok_or_else(broken)?);
            let kind_at = 9 + name_len;
            let name = rest.get(9..kind_at).ok_or_else(broken)?;
            let kind = match types {
                true => kind(*rest.get(kind_at).ok_or_else(broken)?),
                false => None,
            };
            if name != b"." && name != b".." {
                push(name, be64(rest, 0), kind, entries)?;
            }
            // The entry ends with its own offset; all of it is a multiple of 8.
            (kind_at + usize::from(types) + 2).next_multiple_of(8)
        };
        if len < 8 {
            return Err(broken());
        }
        rest = rest.get(len..).ok_or_else(broken)?;
    }
    Ok(())
}

fn push(
    name: &[u8],
    node: u64,
    kind: Option<Kind>,
    entries: &mut Vec<Entry<u64>>,
) -> Result<(), TargetError> {
    if entries.len() == MAX_ENTRIES {
        return Err(too_many_files());
    }
    entries.push(Entry {
        name: name.to_vec(),
        node,
        kind,
    });
    Ok(())
}

/// XFS_DIR3_FT_…; 0 is unknown.
fn kind(file_type: u8) -> Option<Kind> {
    match file_type {
        1 => Some(Kind::Regular),
        2 => Some(Kind::Directory),
        7 => Some(Kind::Link),
        3..=6 => Some(Kind::Special),
        _ => None,
    }
}

fn broken() -> TargetError {
    refused("a directory makes no sense")
}
