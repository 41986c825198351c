//! qcow2 disk images, read once from beginning to end and written as a sparse raw disk.
//!
//! After QEMU's docs/interop/qcow2.rst. The image may come from anywhere: no other file is opened
//! for it, and no table or cluster of it is believed further than its file reaches.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use flate2::read::DeflateDecoder;

use crate::units::Bytes;

const MAGIC: [u8; 4] = *b"QFI\xfb";
/// The header of version 3, with the compression's type behind it.
const HEADER: usize = 112;
/// QEMU's own bounds (block/qcow2.h).
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;
const MAX_L1: u64 = 32 << 20;
/// Largest disk, and most of it that may hold something: a few compressed clusters can stand for
/// any amount.
const MAX_SIZE: Bytes = Bytes(1024 * Bytes::GIB);
const MAX_DATA: Bytes = Bytes(64 * Bytes::GIB);
/// Bits of `incompatible_features`. A dirty image has wrong reference counts, which nobody reads.
const DIRTY: u64 = 1;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
const COMPRESSION_TYPE: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;
/// Of entries of both tables: where something is in the file.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
/// The cluster reads as zeros, whatever is there (version 3).
const ZERO: u64 = 1;

/// An image that cannot be converted.
#[derive(Debug, thiserror::Error)]
pub(super) enum Qcow2Error {
    /// Reading it, or writing the disk.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Something that it uses.
    #[error(
        "it {0}; make a plain image of it on the machine that it comes from: \
         `qemu-img convert -O qcow2 OLD NEW`"
    )]
    Refused(String),
    /// It is not as QEMU writes it.
    #[error("it is damaged: {0}; `qemu-img check` tells more")]
    Damaged(String),
    /// There is too much in it.
    #[error("{0}")]
    Large(String),
}

/// Whether a file begins as qcow2 images do.
///
/// # Errors
/// It cannot be read.
pub(super) fn is_qcow2(file: &File) -> io::Result<bool> {
    let mut magic = [0; MAGIC.len()];
    match file.read_exact_at(&mut magic, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| magic == MAGIC),
    }
}

/// Writes the disk that `image` holds to `disk`, which is empty. What is zero stays a hole.
///
/// # Errors
/// [`Qcow2Error`].
pub(super) fn convert(image: &File, disk: &File) -> Result<(), Qcow2Error> {
    let header = Header::read(image)?;
    disk.set_len(header.size)?;
    let cluster = 1u64 << header.cluster_bits;
    let entries = cluster / 8;
    let mut table = vec![0; usize::try_from(header.l1_entries * 8).map_err(io::Error::other)?];
    whole(image, &mut table, header.l1_offset, "its first table")?;
    let mut second = vec![0; usize::try_from(cluster).map_err(io::Error::other)?];
    let mut data = second.clone();
    let mut left = MAX_DATA.0;
    for (nth, entry) in (0..).zip(words(&table)) {
        if entry & OFFSET == 0 {
            continue;
        }
        whole(image, &mut second, entry & OFFSET, "one of its tables")?;
        for (within, entry) in (0..entries).zip(words(&second)) {
            let at = (nth * entries + within) * cluster;
            if at >= header.size {
                break;
            }
            if !header.cluster(image, entry, &mut data)? {
                continue;
            }
            left = left.checked_sub(cluster).ok_or_else(|| {
                Qcow2Error::Large(format!("it holds more than {MAX_DATA} of data"))
            })?;
            let len = (header.size - at).min(cluster);
            let data = data.get(..len as usize).unwrap_or(&data);
            if data.iter().any(|byte| *byte != 0) {
                disk.write_all_at(data, at)?;
            }
        }
    }
    Ok(())
}

fn words(table: &[u8]) -> impl Iterator<Item = u64> {
    table
        .chunks_exact(8)
        .map(|word| word.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// Fills `bytes`; the image has to reach that far.
fn whole(image: &File, bytes: &mut [u8], at: u64, what: &str) -> Result<(), Qcow2Error> {
    image.read_exact_at(bytes, at).map_err(|error| {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Qcow2Error::Damaged(format!("the file ends before {what} at {at:#x} does"))
            }
            // Beyond what the system has offsets for.
            io::ErrorKind::InvalidInput => {
                Qcow2Error::Damaged(format!("{what} is said to be at {at:#x}"))
            }
            _ => error.into(),
        }
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    Zlib,
    Zstd,
}

struct Header {
    version: u32,
    cluster_bits: u32,
    /// Of the disk, in bytes.
    size: u64,
    l1_offset: u64,
    /// As many as the disk's size needs.
    l1_entries: u64,
    compression: Compression,
}

impl Header {
    fn read(image: &File) -> Result<Self, Qcow2Error> {
        let len = image.metadata()?.len().min(HEADER as u64);
        // What a short file lacks is zero, and refused below.
        let mut bytes = [0; HEADER];
        image.read_exact_at(&mut bytes[..len as usize], 0)?;
        let number = |at: usize, len: usize| {
            let field = bytes.iter().skip(at).take(len);
            field.fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let refused = |what: &str| Err(Qcow2Error::Refused(what.to_owned()));
        let damaged = |what: String| Err(Qcow2Error::Damaged(what));
        if number(0, 4) != u64::from(u32::from_be_bytes(MAGIC)) {
            return damaged("it does not begin as qcow2 images do".to_owned());
        }
        let version = number(4, 4) as u32;
        if !matches!(version, 2 | 3) {
            return Err(Qcow2Error::Refused(format!(
                "has version {version} of the format, where 2 and 3 are known"
            )));
        }
        if number(8, 8) != 0 {
            return refused("has a backing file, and no other file is opened for it");
        }
        if number(32, 4) != 0 {
            return refused("is encrypted");
        }
        // Version 2 ends before them.
        let features = if version == 3 { number(72, 8) } else { 0 };
        if features & CORRUPT != 0 {
            return damaged("QEMU has marked it as corrupt".to_owned());
        }
        if features & EXTERNAL_DATA != 0 {
            return refused("has an external data file, and no other file is opened for it");
        }
        if features & EXTENDED_L2 != 0 {
            return refused("has extended L2 entries, which are not read");
        }
        let known = DIRTY | CORRUPT | EXTERNAL_DATA | COMPRESSION_TYPE | EXTENDED_L2;
        if features & !known != 0 {
            return Err(Qcow2Error::Refused(format!(
                "uses features {:#x}, which are not known",
                features & !known
            )));
        }
        let compression = match (features & COMPRESSION_TYPE != 0, number(104, 1)) {
            (false, _) | (true, 0) => Compression::Zlib,
            (true, 1) => Compression::Zstd,
            (true, other) => {
                return Err(Qcow2Error::Refused(format!(
                    "is compressed with method {other}, where zlib and zstd are known"
                )));
            }
        };
        let cluster_bits = number(20, 4) as u32;
        if !CLUSTER_BITS.contains(&cluster_bits) {
            return damaged(format!("it says that clusters have 2^{cluster_bits} bytes"));
        }
        let size = number(24, 8);
        if size > MAX_SIZE.0 {
            return Err(Qcow2Error::Large(format!(
                "it is a disk of {size} bytes, where up to {MAX_SIZE} are possible"
            )));
        }
        // A table of the second level fills a cluster.
        let l1_entries = size.div_ceil(1 << (2 * cluster_bits - 3));
        if number(36, 4) < l1_entries {
            return damaged(format!(
                "its first table has {} entries, where its size needs {l1_entries}",
                number(36, 4)
            ));
        }
        if l1_entries * 8 > MAX_L1 {
            return Err(Qcow2Error::Large(format!(
                "its first table has more than {} bytes",
                MAX_L1
            )));
        }
        Ok(Self {
            version,
            cluster_bits,
            size,
            l1_offset: number(40, 8),
            l1_entries,
            compression,
        })
    }

    /// Reads the cluster of an entry of the second table; false when there is nothing in it.
    fn cluster(&self, image: &File, entry: u64, into: &mut [u8]) -> Result<bool, Qcow2Error> {
        let offset = entry & OFFSET;
        if entry & COMPRESSED != 0 {
            self.compressed(image, entry, into)?;
            return Ok(true);
        }
        if offset == 0 || (self.version == 3 && entry & ZERO != 0) {
            return Ok(false);
        }
        whole(image, into, offset, "a cluster")?;
        Ok(true)
    }

    /// The entry has an offset in bytes, and above it how many further sectors of 512 bytes the
    /// compressed cluster reaches into.
    fn compressed(&self, image: &File, entry: u64, into: &mut [u8]) -> Result<(), Qcow2Error> {
        let bits = 62 - (self.cluster_bits - 8);
        let offset = entry & ((1 << bits) - 1);
        let sectors = ((entry & (COMPRESSED - 1)) >> bits) + 1;
        let most = sectors * 512 - offset % 512;
        // The last one of a file need not fill its sectors.
        let there = image.metadata()?.len().saturating_sub(offset);
        let mut packed = vec![0; most.min(there) as usize];
        whole(image, &mut packed, offset, "a compressed cluster")?;
        let unpacked = match self.compression {
            Compression::Zlib => DeflateDecoder::new(&packed[..]).read_exact(into),
            Compression::Zstd => zstd(&packed, into),
        };
        unpacked.map_err(|error| {
            Qcow2Error::Damaged(format!(
                "the compressed cluster at {offset:#x} cannot be unpacked ({error})"
            ))
        })
    }
}

fn zstd(packed: &[u8], into: &mut [u8]) -> io::Result<()> {
    // A window is never larger than the cluster that was compressed; zstd's least is 1 KiB.
    let window = (into.len() as u64).max(1 << 10);
    ruzstd::decoding::StreamingDecoder::new_with_max_window_size(packed, window)
        .map_err(io::Error::other)?
        .read_exact(into)
}

#[cfg(test)]
mod tests;
