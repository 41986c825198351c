//! What a dump is, whether all of it is there, and what it says about the crash.

use std::fmt;
use std::io;

use super::bytes::ReadAt;
use super::elf::{self, ElfFile};
use super::kdump::{self, KdumpFile};
use super::log::{self, LogError};
use super::memory::Memory;
use super::paging::KernelMemory;
use super::vmcoreinfo::VmcoreInfo;
use crate::verdict::outcome;

/// First bytes of what `makedumpfile -F` writes.
const FLATTENED: &[u8] = b"makedumpfile\0";

/// The file is no dump that can be read at all.
#[derive(Debug, thiserror::Error)]
pub enum VmcoreError {
    /// The medium failed.
    #[error("the dump cannot be read at byte {offset}: {source}")]
    Io {
        /// Where in the dump.
        offset: u64,
        /// What the medium says.
        source: io::Error,
    },
    /// Nothing was written.
    #[error("the dump is empty")]
    Empty,
    /// Neither format's signature.
    #[error("not a dump: it begins with `{begins}`")]
    NotADump {
        /// The first bytes, escaped.
        begins: String,
    },
    /// `makedumpfile -F`, for pipes.
    #[error(
        "a flattened dump (makedumpfile -F) is not read yet: rearrange it with `makedumpfile -R`, \
         or have the core collector write to the target without -F"
    )]
    Flattened,
    /// A dump, but not one of those that can be read.
    #[error("{what} is not supported")]
    Unsupported {
        /// E.g. `a dump of the machine aarch64`.
        what: String,
    },
    /// Its headers contradict themselves.
    #[error("the dump's headers are damaged: {what}")]
    Corrupt {
        /// The contradiction.
        what: String,
    },
    /// It ends before its headers do.
    #[error("the dump is cut off in {part}: it has {len} bytes and needs {needs}")]
    Truncated {
        /// What is cut off.
        part: &'static str,
        /// Bytes up to its end.
        needs: u64,
        /// Bytes there are.
        len: u64,
    },
}

/// How the dump is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// makedumpfile -c, -l, -p, -z, or no letter.
    KdumpCompressed,
    /// A copy of /proc/vmcore, or makedumpfile -E.
    Elf,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::KdumpCompressed => "kdump-compressed",
            Format::Elf => "elf",
        })
    }
}

/// Whether every page that the dump's own headers announce is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// It is.
    Complete,
    /// It is not.
    Incomplete(Lack),
}

/// What makes a dump incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// makedumpfile says so itself.
    #[error("makedumpfile marked it incomplete (the dump target was full)")]
    Flagged,
    /// Headers alone.
    #[error("it holds no pages")]
    NoPages,
    /// The file ends too early.
    #[error("it is cut off: {len} of at least {needs} bytes are there")]
    Truncated {
        /// Bytes that the headers need.
        needs: u64,
        /// Bytes there are.
        len: u64,
    },
    /// Descriptors that were never written, or point to nowhere.
    #[error("{absent} of its {pages} pages were never written")]
    PagesMissing {
        /// Pages without data.
        absent: u64,
        /// Pages announced.
        pages: u64,
    },
    /// One file of several.
    #[error("it is one part of a split dump: page frames {start:#x} to {end:#x}")]
    Split {
        /// First page frame.
        start: u64,
        /// The one after the last.
        end: u64,
    },
}

/// A dump, looked into.
#[derive(Debug)]
pub struct Inspection {
    /// How it is laid out.
    pub format: Format,
    /// makedumpfile's -d, where the format records it.
    pub dump_level: Option<u32>,
    /// Whether all of it is there.
    pub complete: Completeness,
    /// `uname -r` of the kernel that died.
    pub release: Option<String>,
    /// When it died, in seconds since 1970 by its own clock.
    pub crash_time: Option<u64>,
    /// Pages announced.
    pub pages: u64,
    /// The dead kernel's log, one line a record, `[    1.234567] text`.
    pub dmesg: Result<String, LogError>,
    /// The line of the log that says what killed the kernel, without its time.
    pub panic: Option<String>,
}

/// Looks into the dump of `len` bytes behind `reader`.
///
/// # Errors
/// When the file is no dump or its headers cannot be read. A dump that is recognised but cut
/// short, or whose log cannot be read, is no error here: the inspection says so.
pub fn inspect(reader: &dyn ReadAt, len: u64) -> Result<Inspection, VmcoreError> {
    if len == 0 {
        return Err(VmcoreError::Empty);
    }
    let mut head = [0; 16];
    let head = &mut head[..len.min(16) as usize];
    reader
        .read_exact_at(0, head)
        .map_err(|source| VmcoreError::Io { offset: 0, source })?;
    if head.starts_with(kdump::SIGNATURE) {
        let file = KdumpFile::open(reader, len)?;
        let mut inspection = about(
            Format::KdumpCompressed,
            &file,
            &file.info,
            file.phys_base,
            file.completeness()?,
        );
        inspection.pages = file.pages();
        inspection.dump_level = file.dump_level;
        inspection.release = inspection.release.or(file.release);
        Ok(inspection)
    } else if head.starts_with(elf::SIGNATURE) {
        let file = ElfFile::open(reader, len)?;
        let mut inspection = about(
            Format::Elf,
            &file,
            &file.info,
            file.phys_base,
            file.completeness(),
        );
        inspection.pages = file.pages();
        Ok(inspection)
    } else if head.starts_with(FLATTENED) {
        Err(VmcoreError::Flattened)
    } else {
        Err(VmcoreError::NotADump {
            begins: head.escape_ascii().to_string(),
        })
    }
}

fn about(
    format: Format,
    memory: &dyn Memory,
    info: &VmcoreInfo,
    phys_base: Option<u64>,
    complete: Completeness,
) -> Inspection {
    let dmesg = KernelMemory::new(memory, info, phys_base)
        .map_err(LogError::from)
        .and_then(|mut kernel| log::read(&mut kernel, info));
    Inspection {
        format,
        dump_level: None,
        complete,
        release: info.text("OSRELEASE").map(str::to_owned),
        crash_time: info.text("CRASHTIME").and_then(|time| time.parse().ok()),
        pages: 0,
        panic: dmesg.as_deref().ok().and_then(panic_line),
        dmesg,
    }
}

/// The line that names the crash best. A panic's own line comes first; an oops with kdump armed
/// jumps into the capture kernel before it is printed, and leaves a `BUG:` line.
pub(super) fn panic_line(dmesg: &str) -> Option<String> {
    const TELLING: [&[&str]; 3] = [
        &["Kernel panic - not syncing"],
        &[
            "BUG: ",
            "kernel BUG at ",
            "Oops: ",
            "general protection fault",
        ],
        &["sysrq: Trigger a crash", "SysRq : Trigger a crash"],
    ];
    TELLING.iter().find_map(|words| {
        dmesg
            .lines()
            .map(|line| line.split_once("] ").map_or(line, |(_, text)| text))
            .find(|text| words.iter().any(|word| text.starts_with(word)))
            .map(str::to_owned)
    })
}

impl Inspection {
    /// Whether `token` stands in the dead kernel's log as a word of its own: between the log's
    /// spaces, or as the value of a `name=token` on its command line.
    pub fn has_token(&self, token: &str) -> bool {
        let Ok(dmesg) = &self.dmesg else {
            return false;
        };
        let value = |word: &str| {
            word.split_once('=')
                .is_some_and(|(_, value)| value == token)
        };
        !token.is_empty()
            && dmesg
                .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
                .any(|word| word == token || value(word))
    }

    /// What of it belongs in an outcome.
    pub fn outcome(&self, token: &str) -> outcome::Vmcore {
        outcome::Vmcore {
            format: self.format.to_string(),
            dump_level: self.dump_level,
            complete: self.complete == Completeness::Complete,
            panic: self.panic.clone(),
            this_drill: self.has_token(token),
        }
    }
}
