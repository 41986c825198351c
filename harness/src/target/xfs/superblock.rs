//! The superblock: geometry and features. Everything on an XFS is big-endian, but for its log.

use crate::target::bytes::{be16, be32, be64};
use crate::target::device::BlockDevice;
use crate::target::error::TargetError;
use crate::vmcore::ReadAt;

const MAGIC: &[u8] = b"XFSB";

/// `sb_versionnum`: directories of version 2, the only ones that Linux ever mounted by default.
const DIR_V2: u16 = 0x2000;
/// `sb_features2`: file types in directory entries, in a file system of version 4.
const FTYPE_V4: u32 = 0x200;

/// `sb_features_incompat`: file types, sparse inode chunks, a metadata UUID, big timestamps, large
/// extent counts, exchanged ranges, parent pointers. None but the first two and the timestamps and
/// counts changes what is read here.
const KNOWN_INCOMPATIBLE: u32 = 0xff & !NEEDS_REPAIR;
const FTYPE_V5: u32 = 0x1;
const NEEDS_REPAIR: u32 = 0x10;

/// Where things are. Every shift is checked to be small.
#[derive(Debug, Clone)]
pub(super) struct Geometry {
    pub(super) block_size: u64,
    /// Blocks of an allocation group but the last.
    group_blocks: u64,
    groups: u64,
    /// Bits of a block's number in its group.
    group_bits: u32,
    pub(super) inode_size: u64,
    /// Bits of an inode's number in its block.
    inode_bits: u32,
    pub(super) root: u64,
    pub(super) directory_block_size: u64,
    /// Whether directory entries have a file type.
    pub(super) file_types: bool,
    /// Version 5: blocks have longer headers, with a checksum.
    pub(super) checksums: bool,
    /// The log, in bytes of the device.
    pub(super) log_start: u64,
    pub(super) log_len: u64,
}

/// Whether the device begins with such a superblock.
pub(in crate::target) fn is_here(device: &BlockDevice) -> bool {
    let mut magic = [0; 4];
    device.read_exact_at(0, &mut magic).is_ok() && magic == *MAGIC
}

impl Geometry {
    pub(super) fn read(device: &BlockDevice) -> Result<Self, TargetError> {
        let mut sb = [0; 512];
        device.read_exact_at(0, &mut sb)?;
        if !sb.starts_with(MAGIC) {
            return Err(refused("it is not xfs"));
        }
        let (block_bits, inode_log, group_bits) = (sb[120], sb[122], sb[124]);
        let directory_log = sb[192];
        let version = be16(&sb, 100);
        let checksums = match version & 0xf {
            4 if version & DIR_V2 != 0 => false,
            5 => true,
            other => return Err(refused(format!("xfs of version {other} is not read"))),
        };
        let incompatible = if checksums { be32(&sb, 216) } else { 0 };
        if incompatible & NEEDS_REPAIR != 0 {
            return Err(refused("xfs_repair has begun a repair of it and not ended"));
        }
        if incompatible & !KNOWN_INCOMPATIBLE != 0 {
            return Err(refused(format!(
                "xfs with features {:#x} is not read",
                incompatible & !KNOWN_INCOMPATIBLE
            )));
        }
        if !(9..=16).contains(&block_bits)
            || !(8..=11).contains(&inode_log)
            || inode_log > block_bits
            || !(1..=31).contains(&group_bits)
            || block_bits + directory_log.min(16) > 16
        {
            return Err(refused("its superblock makes no sense"));
        }
        let block_size = 1 << block_bits;
        let geometry = Self {
            block_size,
            group_blocks: u64::from(be32(&sb, 84)),
            groups: u64::from(be32(&sb, 88)),
            group_bits: u32::from(group_bits),
            inode_size: 1 << inode_log,
            inode_bits: u32::from(block_bits - inode_log),
            root: be64(&sb, 56),
            directory_block_size: block_size << directory_log,
            file_types: match checksums {
                true => incompatible & FTYPE_V5 != 0,
                false => be32(&sb, 200) & FTYPE_V4 != 0,
            },
            checksums,
            log_start: 0,
            log_len: u64::from(be32(&sb, 96)) * block_size,
        };
        let blocks = be64(&sb, 8);
        if blocks > device.len() / block_size {
            return Err(TargetError::Unreasonable(format!(
                "claims {blocks} blocks on a disk of {} bytes",
                device.len()
            )));
        }
        let others = geometry.groups.saturating_sub(1);
        if geometry.group_blocks > blocks
            || geometry
                .group_blocks
                .checked_mul(others)
                .is_none_or(|all| all >= blocks)
        {
            return Err(refused("its superblock makes no sense"));
        }
        let log_start = match be64(&sb, 48) {
            0 => return Err(refused("its log is on another disk")),
            block => geometry.block(block)?,
        };
        if log_start + geometry.log_len > device.len() {
            return Err(refused("its log is outside the disk"));
        }
        Ok(Self {
            log_start,
            ..geometry
        })
    }

    /// Where a block of the file system is on the device, in bytes.
    pub(super) fn block(&self, number: u64) -> Result<u64, TargetError> {
        let group = number >> self.group_bits;
        self.in_group(group, number & ((1 << self.group_bits) - 1))
    }

    /// Where a block of an allocation group is on the device, in bytes.
    pub(super) fn in_group(&self, group: u64, block: u64) -> Result<u64, TargetError> {
        if group >= self.groups || block >= self.group_blocks {
            return Err(refused("it points outside the disk"));
        }
        Ok((group * self.group_blocks + block) * self.block_size)
    }

    /// Length of the header of a block of a tree of extents.
    pub(super) fn tree_header(&self) -> usize {
        match self.checksums {
            true => 72,
            false => 24,
        }
    }

    /// Where an inode is on the device, in bytes.
    pub(super) fn inode(&self, number: u64) -> Result<u64, TargetError> {
        let in_block = number & ((1 << self.inode_bits) - 1);
        Ok(self.block(number >> self.inode_bits)? + in_block * self.inode_size)
    }
}

pub(super) fn refused(why: impl Into<String>) -> TargetError {
    TargetError::FileSystem(why.into())
}
