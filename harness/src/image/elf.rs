//! What an ELF file says about what it needs. Read from the file, as ldd would have to run it.

use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::ReadRef;
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader};

/// A file that is not the ELF file it should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum ElfError {
    #[error("not a usable ELF file: {0}")]
    Format(#[from] object::read::Error),
    #[error("not a program for x86-64")]
    Machine,
    #[error("damaged: a string of its dynamic section lies outside the file")]
    String,
    #[error("damaged: a file name in it is not text")]
    Text,
}

type Result<T> = std::result::Result<T, ElfError>;

/// The dynamic section, as far as it names files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dynamic {
    /// The dynamic loader's absolute path; none in libraries and static programs.
    pub(super) interpreter: Option<String>,
    /// DT_NEEDED.
    pub(super) needed: Vec<String>,
    /// DT_RPATH, split at colons.
    pub(super) rpath: Vec<String>,
    /// DT_RUNPATH, split at colons.
    pub(super) runpath: Vec<String>,
}

/// Reads an x86-64 program or library.
pub(super) fn dynamic(file: &[u8]) -> Result<Dynamic> {
    let header = FileHeader64::<LittleEndian>::parse(file)?;
    let endian = header.endian()?;
    if header.e_machine(endian) != elf::EM_X86_64 {
        return Err(ElfError::Machine);
    }
    let segments = header.program_headers(endian, file)?;
    let mut found = Dynamic::default();
    for segment in segments {
        if let Some(path) = segment.interpreter(endian, file)? {
            found.interpreter = Some(text(path)?);
        }
    }
    for segment in segments {
        let Some(entries) = segment.dynamic(endian, file)? else {
            continue;
        };
        let entries = || {
            let pairs = entries
                .iter()
                .map(|entry| (entry.d_tag(endian), entry.d_val(endian)));
            pairs.take_while(|(tag, _)| *tag != elf::DT_NULL)
        };
        let strings = entries().find(|(tag, _)| *tag == elf::DT_STRTAB);
        let Some((_, table)) = strings else { continue };
        let string = |at: u64| -> Result<String> {
            // The table's address, not its place in the file, is stated.
            let address = table.checked_add(at).ok_or(ElfError::String)?;
            let place = segments.iter().find_map(|segment| {
                let inside = address.checked_sub(segment.p_vaddr(endian))?;
                (segment.p_type(endian) == elf::PT_LOAD && inside < segment.p_filesz(endian))
                    .then(|| segment.p_offset(endian).checked_add(inside))?
            });
            let place = place.ok_or(ElfError::String)?;
            let bytes = file
                .read_bytes_at_until(place..file.len() as u64, 0)
                .map_err(|()| ElfError::String)?;
            text(bytes)
        };
        let split = |text: String| text.split(':').map(str::to_owned).collect::<Vec<_>>();
        for (tag, value) in entries() {
            match tag {
                elf::DT_NEEDED => found.needed.push(string(value)?),
                elf::DT_RPATH => found.rpath.extend(split(string(value)?)),
                elf::DT_RUNPATH => found.runpath.extend(split(string(value)?)),
                _ => {}
            }
        }
    }
    Ok(found)
}

/// The bytes of a section of a 64-bit file.
pub(super) fn section<'a>(file: &'a [u8], name: &str) -> Result<Option<&'a [u8]>> {
    let header = FileHeader64::<LittleEndian>::parse(file)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, file)?;
    match sections.section_by_name(endian, name.as_bytes()) {
        Some((_, section)) => Ok(Some(section.data(endian, file)?)),
        None => Ok(None),
    }
}

fn text(bytes: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(bytes).map_err(|_| ElfError::Text)?;
    Ok(text.to_owned())
}

#[cfg(test)]
pub(super) mod made;
