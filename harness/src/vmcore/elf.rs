//! ELF core dumps of x86_64 kernels: /proc/vmcore as it is, or `makedumpfile -E`.

use super::bytes::{ReadAt, u16_at, u32_at, u64_at};
use super::inspect::{Completeness, Frames, Lack, VmcoreError};
use super::memory::{Memory, MemoryError, PAGE, Page};
use super::notes::Notes;
use super::paging::KERNEL_MAP;

pub(super) const SIGNATURE: &[u8; 4] = b"\x7fELF";

const HEADER_LEN: usize = 64;
const SEGMENT_LEN: usize = 56;
const ET_CORE: u16 = 4;
const EM_X86_64: u16 = 62;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
/// e_phnum's way to say "see section 0".
const PN_XNUM: u16 = 0xffff;

/// `makedumpfile -E` begins a segment after every run of pages that it left out.
const MAX_SEGMENTS: u32 = 1 << 20;

/// A dump in this format, its headers read.
pub(super) struct ElfFile<'a> {
    reader: &'a dyn ReadAt,
    len: u64,
    loads: Vec<Load>,
    /// End of the file, as the headers have it.
    needs: u64,
    pub(super) notes: Notes,
    /// From the segment that maps the kernel's text, for kernels whose VMCOREINFO lacks it.
    pub(super) phys_base: Option<u64>,
}

struct Load {
    offset: u64,
    physical: u64,
    in_file: u64,
    in_memory: u64,
}

impl<'a> ElfFile<'a> {
    pub(super) fn open(reader: &'a dyn ReadAt, len: u64) -> Result<Self, VmcoreError> {
        let mut header = [0; HEADER_LEN];
        read(reader, len, 0, &mut header, "the ELF header")?;
        let (class, order) = (header[4], header[5]);
        let (kind, machine) = (u16_at(&header, 16), u16_at(&header, 18));
        if (class, order, kind, machine) != (2, 1, ET_CORE, EM_X86_64) {
            return Err(VmcoreError::Unsupported {
                what: format!(
                    "an ELF file of class {class}, byte order {order}, type {kind}, machine \
                     {machine} (a dump has 2, 1, 4, 62)"
                ),
            });
        }
        if usize::from(u16_at(&header, 54)) != SEGMENT_LEN {
            return Err(VmcoreError::Corrupt {
                what: format!("ELF program headers of {} bytes", u16_at(&header, 54)),
            });
        }
        let count = match u16_at(&header, 56) {
            PN_XNUM => {
                let mut section = [0; 64];
                let at = u64_at(&header, 40);
                read(reader, len, at, &mut section, "ELF section 0")?;
                u32_at(&section, 44)
            }
            count => u32::from(count),
        };
        if count > MAX_SEGMENTS {
            return Err(VmcoreError::Unsupported {
                what: format!("an ELF dump with {count} segments"),
            });
        }
        let table = u64_at(&header, 32);
        let end = table.saturating_add(u64::from(count) * SEGMENT_LEN as u64);
        if end > len {
            return Err(VmcoreError::Truncated {
                part: "the ELF program headers",
                needs: end,
                len,
            });
        }
        let mut file = Self {
            reader,
            len,
            loads: Vec::new(),
            needs: end,
            notes: Notes::default(),
            phys_base: None,
        };
        let mut raw = vec![0; count as usize * SEGMENT_LEN];
        read(reader, len, table, &mut raw, "the ELF program headers")?;
        for segment in raw.chunks_exact(SEGMENT_LEN) {
            file.segment(segment)?;
        }
        file.loads.sort_by_key(|load| load.physical);
        Ok(file)
    }

    fn segment(&mut self, raw: &[u8]) -> Result<(), VmcoreError> {
        let (offset, in_file) = (u64_at(raw, 8), u64_at(raw, 32));
        let end = offset
            .checked_add(in_file)
            .ok_or_else(|| VmcoreError::Corrupt {
                what: format!("a segment of {in_file} bytes at {offset}"),
            })?;
        match u32_at(raw, 0) {
            PT_NOTE => {
                self.needs = self.needs.max(end);
                self.notes.read(self.reader, offset, end);
            }
            PT_LOAD => {
                self.needs = self.needs.max(end);
                let (virt, physical) = (u64_at(raw, 16), u64_at(raw, 24));
                if virt >= KERNEL_MAP {
                    self.phys_base = Some(physical.wrapping_sub(virt - KERNEL_MAP));
                }
                self.loads.push(Load {
                    offset,
                    physical,
                    in_file,
                    in_memory: u64_at(raw, 40),
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// Page frames that the segments cover, and those of them that the file holds: makedumpfile
    /// gives a segment with frames left out fewer bytes in the file than in memory.
    pub(super) fn frames(&self) -> Frames {
        Frames {
            memory: self.covered(|load| load.in_memory),
            dumped: self.covered(|load| load.in_file),
            zeros: 0,
        }
    }

    /// Whole pages of that many bytes of each segment. The kernel's text has a segment of its own
    /// beside the one of the memory it lies in, and counts once.
    fn covered(&self, bytes: fn(&Load) -> u64) -> u64 {
        let mut pages = 0u64;
        let mut behind = 0u64;
        for load in &self.loads {
            let end = load.physical.saturating_add(bytes(load));
            let start = load.physical.max(behind);
            pages += end.saturating_sub(start) / PAGE as u64;
            behind = behind.max(end);
        }
        pages
    }

    pub(super) fn completeness(&self) -> Completeness {
        if self.frames().dumped == 0 {
            Completeness::Incomplete(Lack::NoPages)
        } else if self.needs > self.len {
            Completeness::Incomplete(Lack::Truncated {
                needs: self.needs,
                len: self.len,
            })
        } else {
            Completeness::Complete
        }
    }

    /// The segment that holds `address`, and how far into it that is.
    fn find(&self, address: u64) -> Option<(&Load, u64)> {
        let after = self.loads.partition_point(|load| load.physical <= address);
        // The kernel's text has a segment of its own beside the one of the memory it lies in, so
        // the nearest beginning need not be the segment that reaches this far.
        self.loads[..after]
            .iter()
            .rev()
            .take(OVERLAPS)
            .map(|load| (load, address - load.physical))
            .find(|(load, into)| *into < load.in_memory)
    }
}

/// How many segments may begin inside another one before the outer is lost from sight.
const OVERLAPS: usize = 16;

impl Memory for ElfFile<'_> {
    fn read_page(&self, pfn: u64, page: &mut Page) -> Result<(), MemoryError> {
        let base = pfn
            .checked_mul(PAGE as u64)
            .ok_or(MemoryError::Missing { pfn })?;
        page.fill(0);
        let mut done = 0;
        let mut found = false;
        while done < PAGE {
            let Some((load, into)) = self.find(base + done as u64) else {
                // A segment may begin or end inside a page; the rest was never memory.
                done += 1;
                continue;
            };
            found = true;
            let left = PAGE - done;
            let in_file = load.in_file.saturating_sub(into).min(left as u64) as usize;
            if in_file > 0 {
                let offset = load.offset + into;
                self.reader
                    .read_exact_at(offset, &mut page[done..done + in_file])
                    .map_err(|source| MemoryError::Io { offset, source })?;
            }
            done += (load.in_memory - into).min(left as u64) as usize;
        }
        match found {
            true => Ok(()),
            false => Err(MemoryError::Missing { pfn }),
        }
    }
}

fn read(
    reader: &dyn ReadAt,
    len: u64,
    offset: u64,
    buf: &mut [u8],
    part: &'static str,
) -> Result<(), VmcoreError> {
    let needs = offset.saturating_add(buf.len() as u64);
    if needs > len {
        return Err(VmcoreError::Truncated { part, needs, len });
    }
    reader
        .read_exact_at(offset, buf)
        .map_err(|source| VmcoreError::Io { offset, source })
}
