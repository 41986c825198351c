//! makedumpfile's kdump-compressed format, x86_64, header versions 1 to 6.
//!
//! Blocks of one page: the header; the sub-header; two bitmaps, one bit a page frame (the frames
//! that are memory, the frames that were dumped); one descriptor for every dumped frame, in
//! order; then the pages' data, which descriptors may share. Layout: makedumpfile's
//! IMPLEMENTATION text and its diskdump_mod.h.

use std::cell::RefCell;
use std::io;

use super::bytes::{ReadAt, u32_at, u64_at};
use super::codec::{self, Compression};
use super::inspect::{Completeness, Frames, Lack, Packed, VmcoreError};
use super::memory::{Memory, MemoryError, PAGE, Page};
use super::notes::Notes;
use super::vmcoreinfo::{self, VmcoreInfo};

pub(super) const SIGNATURE: &[u8; 8] = b"KDUMP   ";

const HEADER_LEN: usize = 464;
const SUB_HEADER_LEN: usize = 104;
const DESCRIPTOR_LEN: u64 = 24;
const BLOCK: u64 = PAGE as u64;

/// Status bit: the file system was full, pages are missing.
const STATUS_INCOMPLETE: u32 = 0x8;
/// Dump level bit: pages of zeros were left out.
const LEVEL_NO_ZEROS: u32 = 0x1;

/// 8 TiB of physical addresses; keeps what a header says from costing more than a moment.
const MAX_FRAMES: u64 = 1 << 31;

/// More than any x86_64 kernel can have (NR_CPUS_RANGE_END with MAXSMP).
const MAX_CPUS: u32 = 8192;

/// Bytes of bitmap that share one prefix count.
const CHUNK: usize = 4096;

/// A dump in this format, its header read.
pub(super) struct KdumpFile<'a> {
    reader: &'a dyn ReadAt,
    len: u64,
    /// Physical address of the kernel's text minus where it was linked to be, where recorded.
    pub(super) phys_base: Option<u64>,
    /// uts.release of the header.
    pub(super) release: Option<String>,
    pub(super) version: u32,
    pub(super) dump_level: u32,
    pub(super) cpus: Option<u32>,
    pub(super) erased: bool,
    pub(super) info: VmcoreInfo,
    status: u32,
    frames: u64,
    /// Frames of the first bitmap.
    memory: u64,
    bitmap_memory: u64,
    bitmap_dumped: u64,
    descriptors: u64,
    /// First frame that this file has descriptors for, and the one after the last, of a dump that
    /// is split over several files.
    part: Option<(u64, u64)>,
    /// Dumped frames before the first that this file has a descriptor for, and up to the last.
    ranks_here: (u64, u64),
    /// Dumped frames before each chunk of the second bitmap, and in all.
    ranks: Vec<u64>,
    bitmap_chunk: RefCell<Option<(usize, Vec<u8>)>>,
}

impl<'a> KdumpFile<'a> {
    pub(super) fn open(reader: &'a dyn ReadAt, len: u64) -> Result<Self, VmcoreError> {
        let header = read_vec(reader, len, 0, HEADER_LEN)?;
        let version = u32_at(&header, 8);
        if !(1..=6).contains(&version) {
            return Err(VmcoreError::Unsupported {
                what: format!("kdump-compressed header version {version}"),
            });
        }
        if &header[272..278] != b"x86_64" {
            let machine = &header[272..337];
            return Err(VmcoreError::Unsupported {
                what: format!("a dump of the machine `{}`", c_text(machine)),
            });
        }
        if u64::from(u32_at(&header, 428)) != BLOCK {
            return Err(VmcoreError::Unsupported {
                what: format!("block size {}", u32_at(&header, 428)),
            });
        }
        let sub_header_blocks = u64::from(u32_at(&header, 432));
        let bitmap_blocks = u64::from(u32_at(&header, 436));
        let sub = read_vec(reader, len, BLOCK, SUB_HEADER_LEN)?;

        let since = |first: u32, value: u64| (version >= first).then_some(value);
        let frames = since(6, u64_at(&sub, 96)).unwrap_or(u64::from(u32_at(&header, 440)));
        let bitmap_len = bitmap_blocks / 2 * BLOCK;
        if frames > MAX_FRAMES || frames.div_ceil(8) > bitmap_len {
            return Err(VmcoreError::Corrupt {
                what: format!("bitmaps of {bitmap_len} bytes for {frames} page frames"),
            });
        }
        let split = version >= 2 && u32_at(&sub, 12) != 0;
        let part = split.then(|| match version {
            6.. => (u64_at(&sub, 80), u64_at(&sub, 88)),
            _ => (u64_at(&sub, 16), u64_at(&sub, 24)),
        });
        let bitmap_memory = BLOCK + sub_header_blocks * BLOCK;
        let info = match since(3, u64_at(&sub, 40)) {
            None | Some(0) => VmcoreInfo::default(),
            Some(size) => {
                let size = size.min(vmcoreinfo::MAX_LEN) as usize;
                let text = read_vec(reader, len, u64_at(&sub, 32), size)?;
                VmcoreInfo::parse(&text)
            }
        };
        let mut notes = Notes::default();
        if let (Some(at @ 1..), Some(size)) =
            (since(4, u64_at(&sub, 48)), since(4, u64_at(&sub, 56)))
        {
            notes.read(reader, at, at.saturating_add(size));
        }
        // The header's own count is of the capture kernel in old versions, and 0 in others.
        let announced = u32_at(&header, 460);
        let cpus = match notes.cpus {
            0 => Some(announced).filter(|cpus| (1..=MAX_CPUS).contains(cpus)),
            cpus => Some(cpus),
        };
        let mut file = Self {
            reader,
            len,
            version,
            phys_base: Some(u64_at(&sub, 0)),
            release: Some(c_text(&header[142..207])).filter(|release| !release.is_empty()),
            dump_level: u32_at(&sub, 8),
            cpus,
            erased: notes.erased || since(5, u64_at(&sub, 72)).is_some_and(|size| size > 0),
            info,
            status: u32_at(&header, 424),
            frames,
            memory: 0,
            bitmap_memory,
            bitmap_dumped: bitmap_memory + bitmap_len,
            descriptors: bitmap_memory + bitmap_blocks * BLOCK,
            part: part.map(|(start, end)| (start.min(frames), end.min(frames))),
            ranks_here: (0, 0),
            ranks: Vec::new(),
            bitmap_chunk: RefCell::default(),
        };
        file.memory = file.count(bitmap_memory)?.last().copied().unwrap_or(0);
        file.ranks = file.count(file.bitmap_dumped)?;
        file.ranks_here = match file.part {
            None => (0, file.pages()),
            Some((start, end)) => (file.before(start)?, file.before(end.max(start))?),
        };
        Ok(file)
    }

    fn pages(&self) -> u64 {
        self.ranks.last().copied().unwrap_or(0)
    }

    /// Where the descriptors end and the pages' data begins.
    fn data(&self) -> u64 {
        let (first, end) = self.ranks_here;
        self.descriptors
            .saturating_add((end - first).saturating_mul(DESCRIPTOR_LEN))
    }

    /// Walks every descriptor that is there: whether its page is, and how it is packed.
    pub(super) fn survey(&self) -> Result<Survey, VmcoreError> {
        let pages = self.ranks_here.1 - self.ranks_here.0;
        let data = self.data();
        let zeros_at = self.zeros_at()?;
        let mut zeros = 0;
        let mut packed = Compression::ALL.map(Packed::none);
        let mut absent = 0;
        let mut needs = data;
        let mut buffer = vec![0; DESCRIPTOR_LEN as usize * 4096];
        let mut at = self.descriptors;
        // A last descriptor of which a part is there is not there.
        let last = data.min(self.len);
        let last = last - last.saturating_sub(at) % DESCRIPTOR_LEN;
        while at < last {
            let take = (last - at).min(buffer.len() as u64) as usize;
            read_exact(self.reader, at, &mut buffer[..take])?;
            for raw in buffer[..take].chunks_exact(DESCRIPTOR_LEN as usize) {
                let descriptor = Descriptor::parse(raw);
                let packing = Compression::of(descriptor.flags);
                let count = packed
                    .iter_mut()
                    .find(|count| Some(count.compression) == packing);
                match (descriptor.end().filter(|_| descriptor.sane(data)), count) {
                    (Some(_), Some(_)) if zeros_at == Some(descriptor.offset) => zeros += 1,
                    (Some(end), Some(count)) => {
                        needs = needs.max(end);
                        count.pages += 1;
                        count.bytes += u64::from(descriptor.size);
                    }
                    _ => absent += 1,
                }
            }
            at += take as u64;
        }
        let lack = if self.status & STATUS_INCOMPLETE != 0 {
            Some(Lack::Flagged)
        } else if pages == 0 && self.part.is_none() {
            Some(Lack::NoPages)
        } else if needs > self.len {
            Some(Lack::Truncated {
                needs,
                len: self.len,
            })
        } else if absent > 0 {
            Some(Lack::PagesMissing { absent, pages })
        } else {
            self.part.map(|(start, end)| Lack::Split { start, end })
        };
        let complete = lack.map_or(Completeness::Complete, Completeness::Incomplete);
        let packed = packed.into_iter().filter(|count| count.pages > 0);
        Ok(Survey {
            complete,
            frames: Frames {
                memory: self.memory,
                dumped: self.pages(),
                zeros,
            },
            packed: packed.collect(),
        })
    }

    /// Where the page is that all pages of zeros share, if the dump level leaves such pages out:
    /// makedumpfile and QEMU write it first of all. A part of a split dump has room for the
    /// descriptors of the whole before it.
    fn zeros_at(&self) -> Result<Option<u64>, VmcoreError> {
        let room = self.pages().saturating_mul(DESCRIPTOR_LEN);
        let at = self.descriptors.saturating_add(room);
        if self.dump_level & LEVEL_NO_ZEROS == 0 || at.saturating_add(BLOCK) > self.len {
            return Ok(None);
        }
        let mut page = [0; PAGE];
        read_exact(self.reader, at, &mut page)?;
        Ok(page.iter().all(|&byte| byte == 0).then_some(at))
    }

    /// Set bits of a bitmap before each of its chunks, and in all.
    fn count(&self, bitmap: u64) -> Result<Vec<u64>, VmcoreError> {
        let bytes = self.frames.div_ceil(8);
        if bitmap.saturating_add(bytes) > self.len {
            return Err(VmcoreError::Truncated {
                part: "the page bitmaps",
                needs: bitmap.saturating_add(bytes),
                len: self.len,
            });
        }
        let mut total = 0u64;
        let mut counts = vec![0];
        let mut buffer = vec![0; CHUNK];
        for index in 0..bytes.div_ceil(CHUNK as u64) {
            let at = index * CHUNK as u64;
            let take = (bytes - at).min(CHUNK as u64) as usize;
            read_exact(self.reader, bitmap + at, &mut buffer[..take])?;
            if at + take as u64 == bytes && !self.frames.is_multiple_of(8) {
                buffer[take - 1] &= (1 << (self.frames % 8)) - 1;
            }
            let (words, rest) = buffer[..take].as_chunks::<8>();
            total += words
                .iter()
                .map(|word| u64::from(u64::from_le_bytes(*word).count_ones()))
                .sum::<u64>();
            total += rest
                .iter()
                .map(|byte| u64::from(byte.count_ones()))
                .sum::<u64>();
            counts.push(total);
        }
        Ok(counts)
    }

    /// How many frames before `pfn` were dumped.
    fn before(&self, pfn: u64) -> Result<u64, VmcoreError> {
        let byte = pfn / 8;
        let chunk = byte / CHUNK as u64;
        let at = chunk * CHUNK as u64;
        let mut bits = vec![0; (pfn.div_ceil(8) - at) as usize];
        read_exact(self.reader, self.bitmap_dumped + at, &mut bits)?;
        if !pfn.is_multiple_of(8)
            && let Some(last) = bits.last_mut()
        {
            *last &= (1 << (pfn % 8)) - 1;
        }
        let within: u64 = bits.iter().map(|byte| u64::from(byte.count_ones())).sum();
        Ok(self.ranks.get(chunk as usize).copied().unwrap_or(0) + within)
    }

    /// How many frames before `pfn` were dumped, if `pfn` itself was.
    fn rank(&self, pfn: u64) -> Result<Option<u64>, MemoryError> {
        let byte = pfn / 8;
        let index = (byte / CHUNK as u64) as usize;
        let within = (byte % CHUNK as u64) as usize;
        let mut cached = self.bitmap_chunk.borrow_mut();
        if cached.as_ref().is_none_or(|(held, _)| *held != index) {
            let at = index as u64 * CHUNK as u64;
            let take = (self.frames.div_ceil(8) - at).min(CHUNK as u64) as usize;
            let mut chunk = vec![0; take];
            read_memory(self.reader, self.bitmap_dumped + at, &mut chunk)?;
            *cached = Some((index, chunk));
        }
        let Some((_, chunk)) = cached.as_ref() else {
            return Ok(None);
        };
        if chunk[within] & (1 << (pfn % 8)) == 0 {
            return Ok(None);
        }
        let before: u64 = chunk[..within]
            .iter()
            .map(|byte| u64::from(byte.count_ones()))
            .sum();
        let below = u64::from((chunk[within] & ((1 << (pfn % 8)) - 1)).count_ones());
        Ok(Some(self.ranks[index] + before + below))
    }

    /// Left out because it held nothing but zeros: it is memory, and the dump level says so.
    fn left_out_as_zeros(&self, pfn: u64) -> Result<bool, MemoryError> {
        if self.dump_level & LEVEL_NO_ZEROS == 0 {
            return Ok(false);
        }
        let mut byte = [0];
        read_memory(self.reader, self.bitmap_memory + pfn / 8, &mut byte)?;
        Ok(byte[0] & (1 << (pfn % 8)) != 0)
    }
}

impl Memory for KdumpFile<'_> {
    fn read_page(&self, pfn: u64, page: &mut Page) -> Result<(), MemoryError> {
        if pfn >= self.frames {
            return Err(MemoryError::Missing { pfn });
        }
        let Some(rank) = self.rank(pfn)? else {
            if self.left_out_as_zeros(pfn)? {
                page.fill(0);
                return Ok(());
            }
            return Err(MemoryError::Missing { pfn });
        };
        // In another part of a split dump.
        let (first, end) = self.ranks_here;
        if !(first..end).contains(&rank) {
            return Err(MemoryError::Missing { pfn });
        }
        let mut raw = [0; DESCRIPTOR_LEN as usize];
        read_memory(
            self.reader,
            self.descriptors + (rank - first) * DESCRIPTOR_LEN,
            &mut raw,
        )?;
        let descriptor = Descriptor::parse(&raw);
        if !descriptor.sane(self.data()) {
            return Err(MemoryError::Damaged {
                pfn,
                how: match descriptor {
                    Descriptor {
                        offset: 0, size: 0, ..
                    } => "it was never written".to_owned(),
                    Descriptor { offset, size, .. } => format!("{size} bytes at {offset}"),
                },
            });
        }
        let mut packed = [0; PAGE];
        let packed = &mut packed[..descriptor.size as usize];
        read_memory(self.reader, descriptor.offset, packed)?;
        codec::unpack(descriptor.flags, packed, page)
            .map_err(|how| MemoryError::Damaged { pfn, how })
    }
}

/// What the descriptors and bitmaps say. The frames are those of the whole dump if this is a part
/// of it, but for the zeros.
pub(super) struct Survey {
    pub(super) complete: Completeness,
    pub(super) frames: Frames,
    pub(super) packed: Vec<Packed>,
}

/// Where a page's data lies.
struct Descriptor {
    offset: u64,
    size: u32,
    flags: u32,
}

impl Descriptor {
    fn parse(raw: &[u8]) -> Self {
        Self {
            offset: u64_at(raw, 0),
            size: u32_at(raw, 8),
            flags: u32_at(raw, 12),
        }
    }

    /// A descriptor that was never written is all zeros.
    fn sane(&self, data: u64) -> bool {
        self.offset >= data && (1..=PAGE as u32).contains(&self.size)
    }

    fn end(&self) -> Option<u64> {
        self.offset.checked_add(u64::from(self.size))
    }
}

fn c_text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn read_exact(reader: &dyn ReadAt, offset: u64, buf: &mut [u8]) -> Result<(), VmcoreError> {
    reader
        .read_exact_at(offset, buf)
        .map_err(|source| VmcoreError::Io { offset, source })
}

fn read_vec(
    reader: &dyn ReadAt,
    len: u64,
    offset: u64,
    count: usize,
) -> Result<Vec<u8>, VmcoreError> {
    let truncated = VmcoreError::Truncated {
        part: "the headers",
        needs: offset.saturating_add(count as u64),
        len,
    };
    // No file has more, and pread(2) takes it for a wrong argument.
    if offset > i64::MAX as u64 {
        return Err(truncated);
    }
    let mut buf = vec![0; count];
    match reader.read_exact_at(offset, &mut buf) {
        Ok(()) => Ok(buf),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(truncated),
        Err(source) => Err(VmcoreError::Io { offset, source }),
    }
}

fn read_memory(reader: &dyn ReadAt, offset: u64, buf: &mut [u8]) -> Result<(), MemoryError> {
    reader
        .read_exact_at(offset, buf)
        .map_err(|source| MemoryError::Io { offset, source })
}
