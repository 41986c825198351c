//! makedumpfile's flattened format (`makedumpfile -F`, and what QEMU's dump-guest-memory writes): a
//! dump for a pipe or a raw device, where nothing can be sought.
//!
//! A page with a signature, then records: where in the dump, how many bytes (both big-endian, 64
//! bits, signed), and the bytes. A record may lie over earlier ones, and what no record covers is
//! zeros. -1 and -1 are the end: behind it lies whatever the device held before. Layout:
//! makedumpfile's IMPLEMENTATION text and its makedumpfile.h.

use std::collections::BTreeMap;
use std::io;

use super::bytes::ReadAt;
use super::inspect::{Lack, VmcoreError};

/// First bytes of the stream.
pub(super) const SIGNATURE: &[u8; 16] = b"makedumpfile\0\0\0\0";

/// MAX_SIZE_MDF_HEADER.
const HEADER_LEN: u64 = 4096;
const RECORD_HEADER: u64 = 16;
/// TYPE_FLAT_HEADER and VERSION_FLAT_HEADER.
const KNOWN: (i64, i64) = (1, 1);

/// makedumpfile writes two records for 64 KiB of dump, so this is 128 GiB of compressed pages; the
/// index then takes some 200 MiB.
const MAX_RECORDS: u64 = 1 << 22;

/// Bytes read at once while looking for records: small ones share a read, large ones cost little.
const WINDOW: u64 = 4096;

/// The dump that the stream stands for, as `makedumpfile -R` would write it.
pub struct FlatFile<'a> {
    reader: &'a dyn ReadAt,
    /// By where they begin in the dump; none overlaps another.
    segments: BTreeMap<u64, Segment>,
    /// Bytes of the dump.
    len: u64,
    /// Bytes of the stream, its end marker included.
    pub(super) stream: u64,
    /// Records of the stream.
    pub(super) records: u64,
    /// What is wrong with the stream's end.
    pub(super) lack: Option<Lack>,
}

/// Bytes of the dump that lie together in the stream.
#[derive(Debug, Clone, Copy)]
struct Segment {
    len: u64,
    /// In the stream.
    at: u64,
}

impl<'a> FlatFile<'a> {
    /// Walks the stream of at most `len` bytes.
    ///
    /// # Errors
    /// It has no header of this format, more records than can be remembered, or cannot be read. A
    /// stream that ends too early is read as far as it goes.
    pub fn open(reader: &'a dyn ReadAt, len: u64) -> Result<Self, VmcoreError> {
        if len < HEADER_LEN {
            return Err(VmcoreError::Truncated {
                part: "the header of the flattened format",
                needs: HEADER_LEN,
                len,
            });
        }
        let mut window = Window::new(reader, len);
        let known = window.pair(SIGNATURE.len() as u64)?;
        if known != KNOWN {
            let (kind, version) = known;
            return Err(VmcoreError::Unsupported {
                what: format!("a flattened dump of type {kind}, version {version}"),
            });
        }
        let mut file = Self {
            reader,
            segments: BTreeMap::new(),
            len: 0,
            stream: HEADER_LEN,
            records: 0,
            lack: None,
        };
        file.walk(window, len)?;
        Ok(file)
    }

    /// Bytes of the dump.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> u64 {
        self.len
    }

    fn walk(&mut self, mut window: Window<'_>, len: u64) -> Result<(), VmcoreError> {
        loop {
            if len - self.stream < RECORD_HEADER {
                self.lack = Some(Lack::StreamCut { len });
                return Ok(());
            }
            let pair = window.pair(self.stream)?;
            if pair == (-1, -1) {
                self.stream += RECORD_HEADER;
                return Ok(());
            }
            // makedumpfile writes no record without bytes. Zeros are a device that was never
            // written, and must not be walked to its end.
            let (Ok(offset), Ok(size @ 1..)) = (u64::try_from(pair.0), u64::try_from(pair.1))
            else {
                self.lack = Some(Lack::StreamBroken { at: self.stream });
                return Ok(());
            };
            if self.records == MAX_RECORDS {
                return Err(VmcoreError::Unsupported {
                    what: format!(
                        "a flattened dump of more than {MAX_RECORDS} records (rearrange it with \
                         `makedumpfile -R`)"
                    ),
                });
            }
            let at = self.stream + RECORD_HEADER;
            let there = size.min(len - at);
            if there > 0 {
                self.records += 1;
                self.put(offset, Segment { len: there, at });
            }
            if there < size {
                self.stream = len;
                self.lack = Some(Lack::StreamCut { len });
                return Ok(());
            }
            self.stream = at + size;
        }
    }

    /// Lays a record over what is there.
    fn put(&mut self, start: u64, segment: Segment) {
        // Both are below 2^63 or within the file.
        let end = start.saturating_add(segment.len);
        self.len = self.len.max(end);
        let before = self.segments.range_mut(..start).next_back();
        if let Some((&first, under)) = before {
            let whole = *under;
            under.len = whole.len.min(start - first);
            self.put_rest(first, whole, end);
        }
        while let Some((&first, &under)) = self.segments.range(start..end).next() {
            self.segments.remove(&first);
            self.put_rest(first, under, end);
        }
        self.segments.insert(start, segment);
    }

    /// What of a segment at `first` reaches beyond `end` stays.
    fn put_rest(&mut self, first: u64, segment: Segment, end: u64) {
        let covered = end - first;
        if segment.len > covered {
            let rest = Segment {
                len: segment.len - covered,
                at: segment.at + covered,
            };
            self.segments.insert(end, rest);
        }
    }
}

impl ReadAt for FlatFile<'_> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset
            .checked_add(buf.len() as u64)
            .filter(|end| *end <= self.len)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.fill(0);
        let before = self.segments.range(..offset).next_back();
        for (&first, segment) in before.into_iter().chain(self.segments.range(offset..end)) {
            let from = first.max(offset);
            let to = (first + segment.len).min(end);
            if from < to {
                let piece = &mut buf[(from - offset) as usize..(to - offset) as usize];
                self.reader
                    .read_exact_at(segment.at + (from - first), piece)?;
            }
        }
        Ok(())
    }
}

/// A piece of the stream.
struct Window<'a> {
    reader: &'a dyn ReadAt,
    len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(reader: &'a dyn ReadAt, len: u64) -> Self {
        Self {
            reader,
            len,
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// Two big-endian integers at `at`, which are within the stream.
    fn pair(&mut self, at: u64) -> Result<(i64, i64), VmcoreError> {
        let held = self.start..self.start + self.bytes.len() as u64;
        if at < held.start || at + RECORD_HEADER > held.end {
            self.bytes.resize(WINDOW.min(self.len - at) as usize, 0);
            self.start = at;
            self.reader
                .read_exact_at(at, &mut self.bytes)
                .map_err(|source| VmcoreError::Io { offset: at, source })?;
        }
        let bytes = &self.bytes[(at - self.start) as usize..];
        let mut one = [0; 8];
        let mut two = [0; 8];
        one.copy_from_slice(&bytes[..8]);
        two.copy_from_slice(&bytes[8..16]);
        Ok((i64::from_be_bytes(one), i64::from_be_bytes(two)))
    }
}
