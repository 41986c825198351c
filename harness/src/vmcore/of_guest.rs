//! What QEMU's dump-guest-memory writes, made a dump of the kernel that ran last in the guest.
//!
//! QEMU adds a VMCOREINFO note when its vmcoreinfo device was told where it is. A capture kernel
//! does not tell: drivers/firmware/qemu_fw_cfg.c writes the address only where !is_kdump_kernel(),
//! so that the note would be the one of the kernel that had crashed before. But every kernel makes
//! its own note when it boots (crash_save_vmcoreinfo_init), so it lies in the memory that is dumped.
//! It is looked for there, and put beside QEMU's notes of the CPUs, where drgn and crash expect it.
//!
//! QEMU's segments have physical addresses alone. /proc/vmcore has one more, of the kernel's text,
//! with its virtual address. Without it, drgn before 0.0.27 looks for the kernel's page tables by
//! means of these very page tables, and finds nothing. One is added for the page that they begin in.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use memchr::memmem;

use super::bytes::{u16_at, u32_at, u64_at};
use super::elf::{ElfFile, SIGNATURE};
use super::log;
use super::paging::{KERNEL_MAP, KernelMemory};
use super::vmcoreinfo::VmcoreInfo;

const HEADER: usize = 64;
const SEGMENT: usize = 56;
/// e_phnum's way to say "see section 0".
const PN_XNUM: u16 = 0xffff;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const PAGE: u64 = 4096;
const CRASHTIME: &str = "CRASHTIME";
/// Room for one more note: the kernel gives its text one page (VMCOREINFO_BYTES).
const MAX_TEXT: usize = PAGE as usize;
/// Header of a note, and the name `VMCOREINFO` with its end, padded.
const NOTE_HEAD: usize = 12;
const NOTE_NAME: &[u8; 12] = b"VMCOREINFO\0\0";
/// What comes before the memory: a few segments, and some 800 bytes a CPU.
const MAX_HEAD: usize = 4 << 20;
/// Runs of zeros of this size become holes of the file.
const BLOCK: usize = 64 << 10;
/// Read at once when the memory is searched.
const WINDOW: usize = 1 << 20;
/// Notes that are looked at: the kernel's own, the crashed kernel's, and copies of both.
const MAX_NOTES: usize = 64;

/// QEMU's dump cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum GuestDumpError {
    /// What comes is no ELF core dump as QEMU writes it.
    #[error("QEMU's dump of the guest's memory is not understood: {0}")]
    NotUnderstood(&'static str),
    /// It does not fit.
    #[error(
        "the dump of the guest's memory may take {needs} bytes, and only {free} are free there"
    )]
    NoRoom {
        /// Its size when no page is left out.
        needs: u64,
        /// Free on the file system.
        free: u64,
    },
    /// The file.
    #[error("the dump of the guest's memory cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// Takes QEMU's stream, which cannot be rewound, and writes it to a file with room for a note.
#[derive(Debug)]
pub struct Intake {
    file: File,
    /// The most that may be written.
    free: u64,
    /// What came before the memory, until all of that is there.
    head: Vec<u8>,
    layout: Option<Layout>,
    /// Bytes of the stream that were taken.
    taken: u64,
}

/// Where things are, in QEMU's stream and in the file.
#[derive(Debug)]
struct Layout {
    /// Program headers, behind which there is room for one more.
    segments: u16,
    /// Of the notes' program header.
    header: u64,
    /// Where the notes begin, and how many bytes they are.
    notes: (u64, u64),
    /// Where the memory begins in the file.
    memory: u64,
    /// How much further back it lies there than in the stream.
    gap: u64,
    loads: Vec<Load>,
    /// Of the stream, as far as it is wanted.
    len: u64,
}

/// A piece of the memory.
#[derive(Debug)]
struct Load {
    physical: u64,
    /// In the file.
    offset: u64,
    size: u64,
}

/// A dump that all of the memory is in.
#[derive(Debug)]
pub struct GuestDump {
    /// The dump.
    pub file: File,
    /// Its length; holes take no room on the disk.
    pub len: u64,
    /// `uname -r` of the kernel whose note was found. Without the note, crash finds its way by the
    /// CPUs' registers; drgn does not.
    pub release: Option<String>,
}

impl Intake {
    /// Into an empty `file`, on a file system where `free` bytes are free.
    pub fn new(file: File, free: u64) -> Self {
        Self {
            file,
            free,
            head: Vec::new(),
            layout: None,
            taken: 0,
        }
    }

    /// All of the memory has come.
    pub fn is_complete(&self) -> bool {
        let layout = self.layout.as_ref();
        layout.is_some_and(|layout| self.taken >= layout.len)
    }

    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// They are not what QEMU writes; the file cannot hold them.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<(), GuestDumpError> {
        if self.layout.is_none() {
            self.head.extend_from_slice(bytes);
            let Some((layout, begin, memory)) = Layout::read(&self.head)? else {
                return match self.head.len() > MAX_HEAD {
                    true => Err(GuestDumpError::NotUnderstood("its headers have no end")),
                    false => Ok(()),
                };
            };
            let needs = layout.len + layout.gap;
            if needs > self.free {
                let free = self.free;
                return Err(GuestDumpError::NoRoom { needs, free });
            }
            self.layout = Some(layout);
            let head = std::mem::take(&mut self.head);
            self.file.write_all_at(&begin, 0)?;
            self.taken = memory as u64;
            return self.take(&head[memory..]);
        }
        let Some(layout) = &self.layout else {
            return Ok(());
        };
        // Sections come behind the memory.
        let memory = (layout.len - self.taken).min(bytes.len() as u64);
        bytes = &bytes[..memory as usize];
        static ZEROS: [u8; BLOCK] = [0; BLOCK];
        while !bytes.is_empty() {
            let at = self.taken + layout.gap;
            let left = BLOCK - (at % BLOCK as u64) as usize;
            let (block, rest) = bytes.split_at(left.min(bytes.len()));
            if block != &ZEROS[..block.len()] {
                self.file.write_all_at(block, at)?;
            }
            self.taken += block.len() as u64;
            bytes = rest;
        }
        Ok(())
    }

    /// Adds the kernel's note and its page tables to what has been taken.
    ///
    /// # Errors
    /// The stream ended early; the file cannot be read or written.
    pub fn finish(self) -> Result<GuestDump, GuestDumpError> {
        let complete = self.is_complete();
        let Some(layout) = self.layout.filter(|_| complete) else {
            return Err(GuestDumpError::NotUnderstood("it ends too early"));
        };
        let len = layout.len + layout.gap;
        self.file.set_len(len)?;
        let found = last_kernels(&self.file, layout.memory, len)?;
        if let Some((text, info)) = &found {
            let (begin, size) = layout.notes;
            let note = note(text);
            self.file.write_all_at(&note, begin + size)?;
            // p_filesz and p_memsz.
            let size = (size + note.len() as u64).to_le_bytes();
            self.file.write_all_at(&size, layout.header + 32)?;
            self.file.write_all_at(&size, layout.header + 40)?;
            if let Some(segment) = layout.page_tables(info) {
                let at = HEADER + usize::from(layout.segments) * SEGMENT;
                self.file.write_all_at(&segment, at as u64)?;
                let segments = (layout.segments + 1).to_le_bytes();
                self.file.write_all_at(&segments, 56)?;
            }
        }
        Ok(GuestDump {
            release: found.and_then(|(_, info)| info.text("OSRELEASE").map(str::to_owned)),
            file: self.file,
            len,
        })
    }
}

impl Layout {
    /// Reads what comes before the memory, when all of it is there. Also gives what the file has
    /// instead, and the length of what comes before.
    fn read(head: &[u8]) -> Result<Option<(Self, Vec<u8>, usize)>, GuestDumpError> {
        use GuestDumpError::NotUnderstood;
        if head.len() < HEADER {
            return Ok(None);
        }
        if !head.starts_with(SIGNATURE) || head[4..6] != [2, 1] {
            return Err(NotUnderstood("it is no 64-bit ELF file"));
        }
        let table = usize::try_from(u64_at(head, 32)).unwrap_or(usize::MAX);
        let count = u16_at(head, 56);
        let segments = table.checked_add(usize::from(count) * SEGMENT);
        let Some(segments) = segments.filter(|end| *end <= MAX_HEAD && count < PN_XNUM - 1) else {
            return Err(NotUnderstood("its segments are out of reach"));
        };
        if usize::from(u16_at(head, 54)) != SEGMENT || table < HEADER {
            return Err(NotUnderstood("its headers have another size"));
        }
        if head.len() < segments {
            return Ok(None);
        }
        let mut notes = None;
        let mut loads = Vec::new();
        for at in (table..segments).step_by(SEGMENT) {
            let (begin, size) = (u64_at(head, at + 8), u64_at(head, at + 32));
            let end = begin.checked_add(size);
            let end = end.ok_or(NotUnderstood("a segment has no end"))?;
            match u32_at(head, at) {
                PT_NOTE if notes.is_none() => notes = Some((at, begin, size, end)),
                PT_LOAD if size > 0 => loads.push((at, begin, size, end)),
                _ => {}
            }
        }
        let memory = loads.iter().map(|(_, begin, ..)| *begin).min();
        let len = loads.iter().map(|(.., end)| *end).max();
        let (Some((header, notes, size, end)), Some(memory), Some(len)) = (notes, memory, len)
        else {
            return Err(NotUnderstood("it lacks notes or memory"));
        };
        if end != memory || notes < segments as u64 || memory > MAX_HEAD as u64 {
            return Err(NotUnderstood(
                "its notes do not end where the memory begins",
            ));
        }
        let memory = memory as usize;
        if head.len() < memory {
            return Ok(None);
        }
        if len > u64::MAX / 2 {
            return Err(NotUnderstood("a segment has no end"));
        }
        // QEMU 7.2 and later put a table of sections before the segments, and their names behind the
        // memory, which nobody needs, and say that the header has the size of a pointer
        // (dump/dump.c: write_elf64_header).
        let mut file = head[..HEADER].to_vec();
        file[32..40].copy_from_slice(&(HEADER as u64).to_le_bytes());
        file[40..48].fill(0);
        file[52..54].copy_from_slice(&(HEADER as u16).to_le_bytes());
        file[60..64].fill(0);
        file.extend(&head[table..segments]);
        file.resize(file.len() + SEGMENT, 0);
        let header = header - table + HEADER;
        let notes_at = file.len() as u64;
        file[header + 8..header + 16].copy_from_slice(&notes_at.to_le_bytes());
        file.extend(&head[notes as usize..memory]);
        let room = file.len() + NOTE_HEAD + NOTE_NAME.len() + MAX_TEXT;
        let gap = end.max(room as u64).next_multiple_of(PAGE) - end;
        let loads = loads.into_iter().map(|(at, begin, size, _)| {
            let at = at - table + HEADER;
            let offset = begin + gap;
            file[at + 8..at + 16].copy_from_slice(&offset.to_le_bytes());
            let physical = u64_at(&file, at + 24);
            Load {
                physical,
                offset,
                size,
            }
        });
        let layout = Self {
            segments: count,
            header: header as u64,
            notes: (notes_at, size),
            memory: end + gap,
            gap,
            loads: loads.collect(),
            len,
        };
        Ok(Some((layout, file, memory)))
    }

    /// A program header for the page that the kernel's page tables begin in. Before 4.10 nobody says
    /// where it is.
    fn page_tables(&self, info: &VmcoreInfo) -> Option<Vec<u8>> {
        let base = info.number("phys_base")? as u64;
        let root = info.symbol("swapper_pg_dir")? & !(PAGE - 1);
        let physical = root.checked_sub(KERNEL_MAP)?.wrapping_add(base);
        let offset = self.loads.iter().find_map(|load| {
            let into = physical.checked_sub(load.physical)?;
            let left = load.size.checked_sub(into)?;
            (left >= PAGE).then_some(load.offset + into)
        })?;
        let mut segment = u64::from(PT_LOAD).to_le_bytes().to_vec();
        for word in [offset, root, physical, PAGE, PAGE, 0] {
            segment.extend(word.to_le_bytes());
        }
        Some(segment)
    }
}

fn note(text: &[u8]) -> Vec<u8> {
    let mut note = Vec::new();
    for word in [NOTE_NAME.len() as u32 - 1, text.len() as u32, 0] {
        note.extend(word.to_le_bytes());
    }
    note.extend(NOTE_NAME);
    note.extend(text);
    note.resize(note.len().next_multiple_of(4), 0);
    note
}

/// The note of the kernel that ran last. A kernel that crashed into another one has added
/// CRASHTIME to its own (crash_save_vmcoreinfo); one that has no capture kernel never does. Copies of
/// the crashed kernel's from before that lie about as well: kexec reads it to load the other kernel.
fn last_kernels(
    file: &File,
    memory: u64,
    len: u64,
) -> Result<Option<(Vec<u8>, VmcoreInfo)>, GuestDumpError> {
    let elf = ElfFile::open(file, len)
        .map_err(|_| GuestDumpError::NotUnderstood("it is no dump of an x86_64 machine"))?;
    let parsed = texts(file, memory, len)?.into_iter().map(|text| {
        let info = VmcoreInfo::parse(&text);
        (text, info)
    });
    let (crashed, mut others): (Vec<_>, Vec<_>) =
        parsed.partition(|(_, info)| info.text(CRASHTIME).is_some());
    // Before 4.10 a note does not say where its kernel lies, so that it fits either kernel.
    let placed = |(_, info): &(Vec<u8>, VmcoreInfo)| info.number("phys_base").is_some();
    if !crashed.iter().chain(&others).any(placed) {
        return Ok(match others.len() {
            1 => others.pop(),
            _ => None,
        });
    }
    let stale = |info: &VmcoreInfo| {
        let same = |(_, crashed): &(Vec<u8>, VmcoreInfo)| {
            let before = crashed.lines().filter(|(key, _)| *key != CRASHTIME);
            before.eq(info.lines())
        };
        crashed.iter().any(same)
    };
    Ok(others.into_iter().find(|(_, info)| {
        // What is left of a note in somebody's buffer does not fit the memory around it.
        let has_log = || {
            KernelMemory::new(&elf, info, None)
                .is_ok_and(|mut kernel| log::read(&mut kernel, info).is_ok())
        };
        !stale(info) && has_log()
    }))
}

/// The different texts of notes in the memory.
fn texts(file: &File, begin: u64, len: u64) -> io::Result<Vec<Vec<u8>>> {
    let name = memmem::Finder::new(NOTE_NAME);
    let mut texts: Vec<Vec<u8>> = Vec::new();
    let mut window = vec![0; WINDOW];
    let zeros = vec![0; WINDOW];
    let mut at = begin;
    while at < len && texts.len() < MAX_NOTES {
        let bytes = &mut window[..(len - at).min(WINDOW as u64) as usize];
        file.read_exact_at(bytes, at)?;
        let found = match *bytes == zeros[..bytes.len()] {
            true => Vec::new(),
            false => name.find_iter(bytes).collect(),
        };
        for found in found {
            if let Some(text) = text(file, begin, at + found as u64, len)?
                && !texts.contains(&text)
            {
                texts.push(text);
            }
        }
        // A name may lie across the end of a window.
        match bytes.len() {
            WINDOW => at += (WINDOW - NOTE_NAME.len() + 1) as u64,
            _ => break,
        }
    }
    Ok(texts)
}

/// The text of the note whose name is at `name`, if it is one.
fn text(file: &File, begin: u64, name: u64, len: u64) -> io::Result<Option<Vec<u8>>> {
    const FIRST: &[u8] = b"OSRELEASE=";
    let mut head = [0; NOTE_HEAD];
    if name < begin + NOTE_HEAD as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut head, name - NOTE_HEAD as u64)?;
    let size = u32_at(&head, 4) as usize;
    let text = name + NOTE_NAME.len() as u64;
    let is_note = u32_at(&head, 0) as usize == NOTE_NAME.len() - 1 && u32_at(&head, 8) == 0;
    if !is_note || !(FIRST.len()..=MAX_TEXT).contains(&size) || text + size as u64 > len {
        return Ok(None);
    }
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, text)?;
    Ok(Some(bytes).filter(|bytes| bytes.starts_with(FIRST)))
}

#[cfg(test)]
mod tests;
