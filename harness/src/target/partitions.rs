//! Partition tables: GPT, and the four primary partitions of an MBR.

use crc::{CRC_32_ISO_HDLC, Crc};

use super::bytes::{le16, le32, le64};
use super::device::BlockDevice;
use super::error::TargetError;
use crate::vmcore::ReadAt;

/// Of a disk's logical sectors: nearly all have the first size.
const SECTORS: [u64; 2] = [512, 4096];
const GPT_MAGIC: &[u8] = b"EFI PART";
/// Length of a GPT header (UEFI specification, 5.3.2).
const GPT_HEADER: usize = 92;
/// Far more than the 128 that everyone makes.
const MAX_ENTRIES: u32 = 1024;
const ENTRY: u32 = 128;
/// MBR: the signature at the end of the first sector, and the type that says that a GPT counts.
const SIGNATURE: u16 = 0xaa55;
const PROTECTIVE: u8 = 0xee;

/// A partition of a disk.
#[derive(Debug, Clone)]
pub struct Partition {
    /// As Linux counts them: `vda1` is 1.
    pub number: u32,
    /// What is on it.
    pub device: BlockDevice,
}

/// The partitions of a disk, in the order of their numbers; none when the disk has no partition
/// table. An extended partition of an MBR is one, those within it are not looked for.
///
/// A file system without a partition table may look as if it had one: ask for
/// [`super::filesystem`] first.
///
/// # Errors
/// A GPT of which neither copy is whole; a partition that ends behind the disk.
pub fn partitions(disk: &BlockDevice) -> Result<Vec<Partition>, TargetError> {
    let mut mbr = [0; 512];
    if disk.read_exact_at(0, &mut mbr).is_err() || le16(&mbr, 510) != SIGNATURE {
        return Ok(Vec::new());
    }
    let primaries: Vec<&[u8]> = mbr[446..510].chunks_exact(16).collect();
    if primaries.iter().any(|entry| entry[4] == PROTECTIVE) {
        return gpt(disk);
    }
    let mut partitions = Vec::new();
    for (number, entry) in (1..).zip(primaries) {
        let (start, sectors) = (le32(entry, 8), le32(entry, 12));
        if entry[4] == 0 || sectors == 0 {
            continue;
        }
        let sector = SECTORS[0];
        let (start, len) = (u64::from(start) * sector, u64::from(sectors) * sector);
        partitions.push(partition(disk, number, start, len)?);
    }
    Ok(partitions)
}

fn gpt(disk: &BlockDevice) -> Result<Vec<Partition>, TargetError> {
    for sector in SECTORS {
        // The copy is in the last sector.
        let copy = (disk.len() / sector).saturating_sub(1) * sector;
        for at in [sector, copy] {
            if let Some(entries) = entries(disk, at, sector) {
                return entries
                    .into_iter()
                    .map(|(number, start, len)| partition(disk, number, start, len))
                    .collect();
            }
        }
    }
    Err(TargetError::FileSystem(
        "neither copy of its GPT is whole".to_owned(),
    ))
}

/// Number, start and length of every partition, if header and entries are as they were written.
fn entries(disk: &BlockDevice, at: u64, sector: u64) -> Option<Vec<(u32, u64, u64)>> {
    let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    let mut header = [0; GPT_HEADER];
    disk.read_exact_at(at, &mut header).ok()?;
    let written = le32(&header, 16);
    header[16..20].fill(0);
    let (count, size) = (le32(&header, 80), le32(&header, 84));
    if !header.starts_with(GPT_MAGIC)
        || le32(&header, 12) as usize != GPT_HEADER
        || crc.checksum(&header) != written
        || count > MAX_ENTRIES
        || size != ENTRY
    {
        return None;
    }
    let mut table = vec![0; (count * size) as usize];
    let at = le64(&header, 72).checked_mul(sector)?;
    disk.read_exact_at(at, &mut table).ok()?;
    if crc.checksum(&table) != le32(&header, 88) {
        return None;
    }
    let used = (1..)
        .zip(table.chunks_exact(size as usize))
        .filter(|(_, entry)| entry[..16] != [0; 16]);
    used.map(|(number, entry)| {
        let (first, last) = (le64(entry, 32), le64(entry, 40));
        let sectors = last.checked_sub(first)?.checked_add(1)?;
        Some((
            number,
            first.checked_mul(sector)?,
            sectors.checked_mul(sector)?,
        ))
    })
    .collect()
}

fn partition(
    disk: &BlockDevice,
    number: u32,
    start: u64,
    len: u64,
) -> Result<Partition, TargetError> {
    let device = disk.part(start, len).ok_or_else(|| {
        TargetError::FileSystem(format!(
            "partition {number} ends behind the disk of {} bytes",
            disk.len()
        ))
    })?;
    Ok(Partition { number, device })
}
