//! The uncompressed kernel: an ELF file, rewritten into what boots fastest.
//!
//! QEMU starts an ELF kernel directly when it has the note of PVH, so that the guest need not
//! decompress it, which under emulation costs seconds.

use object::elf::{self, FileHeader64, ProgramHeader64};
use object::endian::{LittleEndian, U16, U64};
use object::pod::bytes_of;
use object::read::elf::{FileHeader, ProgramHeader};

use super::bzimage::first_word;

const XEN_ELFNOTE_PHYS32_ENTRY: u32 = 18;
type E = LittleEndian;

/// A vmlinux that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VmlinuxError {
    /// Not ELF, or headers that point outside the file.
    #[error("not a usable ELF file: {0}")]
    Elf(#[from] object::read::Error),
    /// For another machine.
    #[error("an ELF file for another machine; an x86-64 kernel is needed")]
    Machine,
    /// Not a kernel.
    #[error("no \"Linux version\" in it: not a Linux kernel")]
    NoVersion,
    /// Too large for the format.
    #[error("its segments do not fit into a file")]
    Segments,
}

/// A decompressed kernel.
#[derive(Debug)]
pub struct Vmlinux<'a> {
    file: &'a [u8],
    header: &'a FileHeader64<E>,
    segments: &'a [ProgramHeader64<E>],
}

impl<'a> Vmlinux<'a> {
    /// Checks the headers.
    ///
    /// # Errors
    /// When it is not an ELF file for x86-64 whose segments lie within it.
    pub fn parse(file: &'a [u8]) -> Result<Self, VmlinuxError> {
        let header = FileHeader64::<E>::parse(file)?;
        let endian = header.endian()?;
        if header.e_machine(endian) != elf::EM_X86_64 {
            return Err(VmlinuxError::Machine);
        }
        let segments = header.program_headers(endian, file)?;
        for segment in segments {
            segment
                .data(endian, file)
                .map_err(|()| VmlinuxError::Segments)?;
        }
        Ok(Self {
            file,
            header,
            segments,
        })
    }

    /// The whole file.
    pub(super) fn file(&self) -> &'a [u8] {
        self.file
    }

    /// Its program headers.
    pub(super) fn segments(&self) -> &'a [ProgramHeader64<E>] {
        self.segments
    }

    /// Physical address of `startup_64`.
    pub(super) fn entry(&self) -> u64 {
        self.header.e_entry(LittleEndian)
    }

    /// Whether QEMU can start it: it has the note `XEN_ELFNOTE_PHYS32_ENTRY`.
    pub fn has_pvh_note(&self) -> bool {
        self.segments.iter().any(|segment| {
            let Ok(Some(mut notes)) = segment.notes(LittleEndian, self.file) else {
                return false;
            };
            std::iter::from_fn(|| notes.next().ok().flatten()).any(|note| {
                note.name() == b"Xen" && note.n_type(LittleEndian).0 == XEN_ELFNOTE_PHYS32_ENTRY
            })
        })
    }

    /// What `uname -r` will say, from the kernel's banner.
    ///
    /// # Errors
    /// [`VmlinuxError::NoVersion`].
    pub fn release(&self) -> Result<&'a str, VmlinuxError> {
        const BANNER: &[u8] = b"Linux version ";
        let mut rest = self.file;
        while let Some(at) = find(rest, BANNER) {
            rest = &rest[at + BANNER.len()..];
            // A format string contains the same words with a placeholder.
            if let Some(release) = first_word(rest) {
                return Ok(release);
            }
        }
        Err(VmlinuxError::NoVersion)
    }

    /// Rewrites it: segments one after the other, without sections, symbols, and the zeros that end
    /// a segment (they become memory that the loader clears).
    ///
    /// # Errors
    /// [`VmlinuxError::Segments`].
    pub fn trimmed(&self) -> Result<Vec<u8>, VmlinuxError> {
        let kept = |segment: &&ProgramHeader64<E>| {
            matches!(segment.p_type(LittleEndian), elf::PT_LOAD | elf::PT_NOTE)
        };
        let segments: Vec<_> = self.segments.iter().filter(kept).collect();
        let (header, entry) = (
            size_of::<FileHeader64<E>>(),
            size_of::<ProgramHeader64<E>>(),
        );
        let mut headers = Vec::with_capacity(segments.len());
        let mut contents = Vec::new();
        let contents_at = (header + entry * segments.len()).next_multiple_of(ALIGNMENT);
        for segment in segments {
            let data = segment
                .data(LittleEndian, self.file)
                .map_err(|()| VmlinuxError::Segments)?;
            let data = match segment.p_type(LittleEndian) {
                elf::PT_LOAD => without_trailing_zeros(data),
                _ => data,
            };
            contents.resize(contents.len().next_multiple_of(ALIGNMENT), 0);
            let mut moved = *segment;
            moved.p_offset = U64::new(LittleEndian, (contents_at + contents.len()) as u64);
            moved.p_filesz = U64::new(LittleEndian, data.len() as u64);
            headers.push(moved);
            contents.extend_from_slice(data);
        }
        let mut first = *self.header;
        first.e_phoff = U64::new(LittleEndian, header as u64);
        first.e_phentsize = U16::new(LittleEndian, entry as u16);
        let count = u16::try_from(headers.len()).map_err(|_| VmlinuxError::Segments)?;
        first.e_phnum = U16::new(LittleEndian, count);
        first.e_ehsize = U16::new(LittleEndian, header as u16);
        first.e_shoff = U64::new(LittleEndian, 0);
        first.e_shnum = U16::new(LittleEndian, 0);
        first.e_shstrndx = U16::new(LittleEndian, elf::SymbolSection(0));
        let mut out = Vec::with_capacity(contents_at + contents.len());
        out.extend_from_slice(bytes_of(&first));
        for header in &headers {
            out.extend_from_slice(bytes_of(header));
        }
        out.resize(contents_at, 0);
        out.append(&mut contents);
        Ok(out)
    }
}

/// Notes need 4; a cache line costs nothing.
const ALIGNMENT: usize = 64;

pub(super) fn without_trailing_zeros(data: &[u8]) -> &[u8] {
    let end = data
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    &data[..end]
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        from += haystack
            .get(from..)?
            .iter()
            .position(|byte| *byte == first)?;
        if haystack[from..].starts_with(needle) {
            return Some(from);
        }
        from += 1;
    }
}
