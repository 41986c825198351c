//! The superblock and its copies. Everything on a btrfs is little-endian.

use crate::target::bytes::{le16, le32, le64};
use crate::target::checksum::crc32c;
use crate::target::device::BlockDevice;
use crate::target::error::TargetError;
use crate::vmcore::ReadAt;

const MAGIC: &[u8] = b"_BHRfS_M";
const SIZE: usize = 4096;
/// Where copies are, as far as the device reaches.
const COPIES: [u64; 3] = [64 << 10, 64 << 20, 256 << 30];
/// `csum_type`: CRC-32C, the only one before Linux 5.5.
const CRC32C: u16 = 0;
/// `sys_chunk_array`: the chunks of the chunk tree itself.
const CHUNKS: usize = 811;
const MAX_CHUNKS: usize = 2048;

/// `incompat_flags` that change nothing here, or that are refused where they matter (compression,
/// profiles): backrefs, default subvolume, mixed groups, lzo, zstd, big metadata, inode references,
/// raid56, skinny metadata, no holes, metadata UUID, raid1c34.
const KNOWN_INCOMPATIBLE: u64 = 0xfff;
const NAMED_INCOMPATIBLE: [(u64, &str); 3] = [
    (0x1000, "zoned"),
    (0x2000, "extent tree v2"),
    (0x4000, "raid stripe tree"),
];

/// Where a tree is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Root {
    /// Logical address of its topmost block.
    pub(super) at: u64,
    pub(super) level: u8,
}

/// What the superblock says.
#[derive(Debug)]
pub(super) struct Superblock {
    pub(super) roots: Root,
    pub(super) chunks: Root,
    pub(super) sector_size: u64,
    pub(super) node_size: u64,
    /// The directory in the tree of roots that names the default subvolume.
    pub(super) root_directory: u64,
    /// Chunks that the chunk tree is in: keys and items.
    pub(super) system_chunks: Vec<u8>,
    pub(super) device: u64,
}

/// Whether the device has such a superblock where the first one is.
pub(in crate::target) fn is_here(device: &BlockDevice) -> bool {
    let mut magic = [0; 8];
    device.read_exact_at(COPIES[0] + 64, &mut magic).is_ok() && magic == *MAGIC
}

impl Superblock {
    /// The newest copy that is whole.
    pub(super) fn read(device: &BlockDevice) -> Result<Self, TargetError> {
        let mut newest: Option<Vec<u8>> = None;
        for at in COPIES {
            let mut copy = vec![0; SIZE];
            if device.read_exact_at(at, &mut copy).is_err() || copy[64..72] != *MAGIC {
                continue;
            }
            let checksum = le16(&copy, 196);
            if checksum != CRC32C {
                return Err(refused(format!(
                    "btrfs with checksums of type {checksum} is not read, only crc32c"
                )));
            }
            let generation = |copy: &[u8]| le64(copy, 72);
            let newer = newest
                .as_deref()
                .is_none_or(|newest| generation(newest) < generation(&copy));
            if newer && crc32c(&copy[32..]) == le32(&copy, 0) && le64(&copy, 48) == at {
                newest = Some(copy);
            }
        }
        let copy = newest.ok_or_else(|| refused("no superblock of it is whole"))?;
        Self::parse(&copy)
    }

    fn parse(sb: &[u8]) -> Result<Self, TargetError> {
        let incompatible = le64(sb, 188);
        if let Some((_, name)) = NAMED_INCOMPATIBLE
            .iter()
            .find(|(flag, _)| incompatible & flag != 0)
        {
            return Err(refused(format!("btrfs with `{name}` is not read")));
        }
        if incompatible & !KNOWN_INCOMPATIBLE != 0 {
            return Err(refused(format!(
                "btrfs with features {:#x} is not read",
                incompatible & !KNOWN_INCOMPATIBLE
            )));
        }
        let devices = le64(sb, 136);
        if devices != 1 {
            return Err(refused(format!("it is a btrfs of {devices} disks")));
        }
        if le64(sb, 96) != 0 {
            return Err(refused(
                "it was not unmounted, and what was written last is in its tree log alone, which \
                 is not replayed here: sync the file system before the machine is reset",
            ));
        }
        let (sector_size, node_size) = (le32(sb, 144), le32(sb, 148));
        let size = |size: u32| size.is_power_of_two() && (4096..=64 << 10).contains(&size);
        let chunks_len = le32(sb, 160) as usize;
        if !size(sector_size) || !size(node_size) || chunks_len > MAX_CHUNKS {
            return Err(refused("its superblock makes no sense"));
        }
        Ok(Self {
            roots: Root {
                at: le64(sb, 80),
                level: sb[198],
            },
            chunks: Root {
                at: le64(sb, 88),
                level: sb[199],
            },
            sector_size: u64::from(sector_size),
            node_size: u64::from(node_size),
            root_directory: le64(sb, 128),
            system_chunks: sb[CHUNKS..CHUNKS + chunks_len].to_vec(),
            device: le64(sb, 201),
        })
    }
}

pub(super) fn refused(why: impl Into<String>) -> TargetError {
    TargetError::FileSystem(why.into())
}
