//! Records: what the kernel writes to the log in one go.

use std::collections::BTreeMap;

use super::{broken, transaction};
use crate::target::bytes::{be32, be64, le32};
use crate::target::checksum;
use crate::target::device::BlockDevice;
use crate::target::error::TargetError;
use crate::target::xfs::superblock::Geometry;
use crate::units::Bytes;
use crate::vmcore::ReadAt;

/// The log is written in basic blocks. Each begins with the number of times that the log has been
/// gone through; the bytes that were there are kept in the record's header.
const BLOCK: u64 = 512;
const MAGIC: u32 = 0xfeed_babe;
/// `h_version`: headers may have more than one block.
const VERSION_2: u32 = 2;
/// `h_fmt`: XLOG_FMT_LINUX_LE.
const LITTLE_ENDIAN: u32 = 1;
/// Bytes of a record for which one header block keeps what the cycle numbers replaced.
const PER_HEADER: u64 = 32 << 10;
const CYCLES: u64 = PER_HEADER / BLOCK;
/// Bytes of a header that the checksum covers: struct xlog_rec_header of x86_64, struct
/// xlog_rec_ext_header.
const HEADER: usize = 328;
const FURTHER_HEADER: usize = 260;
/// The largest record (XLOG_MAX_RECORD_BSIZE) is 256 KiB.
const MAX_RECORD: u64 = 256 << 10;
/// A log of 1 GiB has as many of the smallest.
const MAX_RECORDS: usize = 1 << 20;
/// What is replayed at most. The kernel writes metadata back long before a log of common size
/// (64 MiB on a disk of 100 GiB) is full.
const MAX_ACTIVE: u64 = 256 << 20;
/// XLOG_MAX_ICLOGS: so many records are on their way to the disk at once, in any order.
const IN_FLIGHT: usize = 8;
/// Read at once when the log is searched for records.
const CHUNK: u64 = 1 << 20;

/// Number of a record: how often the log had been gone through, and the block that it begins in.
type Lsn = (u32, u64);

/// The records that may be missing from the rest of the file system, oldest first: none after a
/// clean unmount.
pub(super) struct Log {
    start: u64,
    blocks: u64,
    pub(super) records: Vec<Record>,
}

/// A record whose header makes sense.
#[derive(Debug, Clone)]
pub(super) struct Record {
    lsn: Lsn,
    tail: Lsn,
    /// Of what it carries, in bytes.
    pub(super) len: u64,
    header_blocks: u64,
    pub(super) operations: u32,
}

impl Log {
    pub(super) fn read(device: &BlockDevice, geometry: &Geometry) -> Result<Self, TargetError> {
        let mut log = Self {
            start: geometry.log_start,
            blocks: geometry.log_len / BLOCK,
            records: Vec::new(),
        };
        let mut found = log.search(device)?;
        // The newest that is whole says where the oldest is that matters.
        let mut torn = 0;
        while let Some((_, newest)) = found.last_key_value()
            && log.payload(device, newest).is_err()
        {
            found.pop_last();
            torn += 1;
            if torn > IN_FLIGHT {
                return Err(broken("is damaged"));
            }
        }
        let Some((&head, newest)) = found.last_key_value() else {
            return Err(broken("has no records"));
        };
        if transaction::is_unmount(newest.operations, &log.payload(device, newest)?) {
            return Ok(log);
        }
        let records: Vec<Record> = match newest.tail <= head {
            true => found
                .range(newest.tail..=head)
                .map(|(_, record)| record.clone())
                .collect(),
            false => return Err(broken("ends before it begins")),
        };
        if records.first().map(|record| record.lsn) != Some(newest.tail) {
            return Err(broken("begins outside itself"));
        }
        let active = records.iter().map(|record| record.len).sum();
        if active > MAX_ACTIVE {
            return Err(TargetError::Unreasonable(format!(
                "has {} of log to replay",
                Bytes(active)
            )));
        }
        // Each follows the one before it; after a gap nothing counts.
        let mut whole = 0;
        let mut next = newest.tail;
        for record in &records {
            if record.lsn != next || log.payload(device, record).is_err() {
                break;
            }
            whole += 1;
            next = log.after(record);
        }
        if records.len() - whole > IN_FLIGHT {
            return Err(broken("is damaged"));
        }
        log.records = records;
        log.records.truncate(whole);
        Ok(log)
    }

    /// Every header there is, also of records that are long over.
    fn search(&self, device: &BlockDevice) -> Result<BTreeMap<Lsn, Record>, TargetError> {
        let mut found = BTreeMap::new();
        let mut chunk = vec![0; CHUNK as usize];
        for first in (0..self.blocks).step_by((CHUNK / BLOCK) as usize) {
            let blocks = (self.blocks - first).min(CHUNK / BLOCK);
            let chunk = &mut chunk[..(blocks * BLOCK) as usize];
            device.read_exact_at(self.start + first * BLOCK, chunk)?;
            for (block, bytes) in (first..).zip(chunk.chunks_exact(BLOCK as usize)) {
                if be32(bytes, 0) != MAGIC {
                    continue;
                }
                if let Some(record) = self.header(block, bytes)? {
                    found.insert(record.lsn, record);
                }
                if found.len() > MAX_RECORDS {
                    return Err(broken("has too many records"));
                }
            }
        }
        Ok(found)
    }

    fn header(&self, block: u64, bytes: &[u8]) -> Result<Option<Record>, TargetError> {
        let lsn = |at| {
            let lsn = be64(bytes, at);
            ((lsn >> 32) as u32, lsn & 0xffff_ffff)
        };
        let len = u64::from(be32(bytes, 12));
        let size = u64::from(be32(bytes, 320));
        let record = Record {
            lsn: lsn(16),
            tail: lsn(24),
            len,
            header_blocks: match be32(bytes, 8) & VERSION_2 {
                0 => 1,
                _ => size.div_ceil(PER_HEADER).max(1),
            },
            operations: be32(bytes, 40),
        };
        let sensible = record.lsn == (be32(bytes, 4), block)
            && record.lsn.0 != 0
            && len <= MAX_RECORD
            && size <= MAX_RECORD
            && len.div_ceil(BLOCK) <= record.header_blocks * CYCLES
            && record.header_blocks + len.div_ceil(BLOCK) < self.blocks;
        if sensible && be32(bytes, 300) != LITTLE_ENDIAN {
            return Err(broken("is not of a little-endian machine"));
        }
        Ok(sensible.then_some(record))
    }

    /// Where the next record begins.
    fn after(&self, record: &Record) -> Lsn {
        let (cycle, block) = record.lsn;
        let next = block + record.header_blocks + record.len.div_ceil(BLOCK);
        match next < self.blocks {
            true => (cycle, next),
            false => (next_cycle(cycle), next - self.blocks),
        }
    }

    /// What a record carries, with the bytes back in place that the cycle numbers replaced.
    ///
    /// # Errors
    /// When not all of it was written, or it is damaged.
    pub(super) fn payload(
        &self,
        device: &BlockDevice,
        record: &Record,
    ) -> Result<Vec<u8>, TargetError> {
        let data_blocks = record.len.div_ceil(BLOCK);
        let (cycle, first) = record.lsn;
        let mut bytes = vec![0; ((record.header_blocks + data_blocks) * BLOCK) as usize];
        let until_end = ((self.blocks - first) * BLOCK).min(bytes.len() as u64) as usize;
        let (before, behind) = bytes.split_at_mut(until_end);
        device.read_exact_at(self.start + first * BLOCK, before)?;
        device.read_exact_at(self.start, behind)?;

        let torn = || broken("is damaged");
        let stamps = bytes
            .chunks_exact(BLOCK as usize)
            .map(|block| be32(block, 0));
        for (block, stamp) in (first..).zip(stamps).skip(1) {
            let expected = match block < self.blocks {
                true => cycle,
                false => next_cycle(cycle),
            };
            if stamp != expected {
                return Err(torn());
            }
        }
        let (headers, data) = bytes.split_at_mut((record.header_blocks * BLOCK) as usize);
        if !checksum_matches(headers, &data[..record.len as usize]) {
            return Err(torn());
        }
        for (index, block) in data.chunks_exact_mut(BLOCK as usize).enumerate() {
            let (header, slot) = (index / CYCLES as usize, index % CYCLES as usize);
            let kept = header * BLOCK as usize + if header == 0 { 44 } else { 4 } + slot * 4;
            block[..4].copy_from_slice(&headers[kept..kept + 4]);
        }
        bytes.truncate((record.header_blocks * BLOCK + record.len) as usize);
        Ok(bytes.split_off((record.header_blocks * BLOCK) as usize))
    }
}

/// The number that would look like the beginning of a record is left out.
fn next_cycle(cycle: u32) -> u32 {
    match cycle.wrapping_add(1) {
        MAGIC => MAGIC + 1,
        next => next,
    }
}

/// Kernels before 3.8 and mkfs write no checksum.
fn checksum_matches(headers: &[u8], data: &[u8]) -> bool {
    let written = le32(headers, 32);
    if written == 0 {
        return true;
    }
    let mut digest = checksum::digest();
    digest.update(&headers[..32]);
    digest.update(&[0; 4]);
    digest.update(&headers[36..HEADER]);
    for further in headers.chunks_exact(BLOCK as usize).skip(1) {
        digest.update(&further[..FURTHER_HEADER]);
    }
    digest.update(data);
    digest.finalize() == written
}
