//! What a dump is, whether all of it is there, and what it says about the crash.

use std::fmt;
use std::io;

use schemars::JsonSchema;
use serde::Serialize;

use super::bytes::ReadAt;
use super::codec::Compression;
use super::elf::{self, ElfFile};
use super::flat::{self, FlatFile};
use super::kdump::{self, KdumpFile};
use super::log::{self, LogError};
use super::memory::{Memory, PAGE};
use super::paging::KernelMemory;
use super::vmcoreinfo::VmcoreInfo;
use crate::verdict::outcome;

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
    /// A flattened dump that ended before it began.
    #[error("the dump is empty: its flattened stream holds no record")]
    NoRecords,
    /// So little of a flattened dump is there that nothing can be said of it.
    #[error("{lack}; what is there of the dump cannot be read: {source}")]
    Unfinished {
        /// How the stream ends.
        lack: Lack,
        /// Why the rest is of no use.
        source: Box<VmcoreError>,
    },
    /// Neither format's signature.
    #[error("not a dump: it begins with `{begins}`")]
    NotADump {
        /// The first bytes, escaped.
        begins: String,
    },
    /// Somebody made it smaller. A compressed file cannot be read at random.
    #[error("it is compressed with {format}; decompress it first: `{by}`")]
    Compressed {
        /// E.g. `gzip`.
        format: &'static str,
        /// The command, with FILE for the file.
        by: &'static str,
    },
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

impl Completeness {
    /// What is missing.
    pub fn lack(self) -> Option<Lack> {
        match self {
            Completeness::Complete => None,
            Completeness::Incomplete(lack) => Some(lack),
        }
    }
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
    #[error(
        "{absent} of its {pages} pages are missing: they were never written, or what says where they are is damaged"
    )]
    PagesMissing {
        /// Pages without data.
        absent: u64,
        /// Pages announced.
        pages: u64,
    },
    /// One file of several.
    #[error(
        "it is one part of a split dump: page frames {start:#x} to {end:#x}; `makedumpfile --reassemble` joins the parts"
    )]
    Split {
        /// First page frame.
        start: u64,
        /// The one after the last.
        end: u64,
    },
    /// A flattened dump whose writer, or whose pipe, died.
    #[error("its flattened stream has no end: it was cut off after {len} bytes")]
    StreamCut {
        /// Bytes there are.
        len: u64,
    },
    /// The same, on a device that held something else before; or damage.
    #[error("its flattened stream breaks off at byte {at}, where no record begins")]
    StreamBroken {
        /// Where in the file.
        at: u64,
    },
}

/// makedumpfile's -d: which page frames were left out (makedumpfile(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DumpLevel(pub u32);

impl DumpLevel {
    /// What each of the five bits leaves out.
    const KINDS: [(u32, &str); 5] = [
        (1, "zero"),
        (2, "cache"),
        (4, "private cache"),
        (8, "user"),
        (16, "free"),
    ];

    /// Kinds of pages that were left out.
    pub fn left_out(self) -> impl Iterator<Item = &'static str> {
        Self::KINDS
            .into_iter()
            .filter(move |(bit, _)| self.0 & bit != 0)
            .map(|(_, kind)| kind)
    }
}

/// Page frames, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frames {
    /// Memory of the machine that died, without what was reserved for the capture kernel.
    pub memory: u64,
    /// In the dump.
    pub dumped: u64,
    /// Of those, the ones that hold nothing but zeros and share one page in the file, which is how
    /// makedumpfile leaves them out of a compressed dump.
    pub zeros: u64,
}

impl Frames {
    /// Memory that is not in the dump. A damaged dump may say anything, so it stops at 0.
    pub fn left_out(self) -> u64 {
        self.memory.saturating_sub(self.dumped)
    }
}

/// Pages that are packed in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Packed {
    /// How.
    pub compression: Compression,
    /// How many.
    pub pages: u64,
    /// Bytes that they take in the dump.
    pub bytes: u64,
}

impl Packed {
    pub(super) fn none(compression: Compression) -> Self {
        Self {
            compression,
            pages: 0,
            bytes: 0,
        }
    }
}

/// The stream that a flattened dump came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stream {
    /// Records.
    pub records: u64,
    /// Bytes up to its end.
    pub bytes: u64,
    /// Bytes behind its end, which are no part of it: a raw device's.
    pub behind: u64,
}

/// A dump, looked into.
#[derive(Debug)]
pub struct Inspection {
    /// How it is laid out.
    pub format: Format,
    /// The stream around it, if it was flattened (`makedumpfile -F`).
    pub stream: Option<Stream>,
    /// Bytes of the dump; of a flattened one, as `makedumpfile -R` would write it.
    pub bytes: u64,
    /// Version of makedumpfile's header, where there is one.
    pub header_version: Option<u32>,
    /// makedumpfile's -d, where the format records it.
    pub dump_level: Option<DumpLevel>,
    /// makedumpfile erased data in it by a configuration of its user's.
    pub erased: bool,
    /// Whether all of it is there.
    pub complete: Completeness,
    /// `uname -r` of the kernel that died.
    pub release: Option<String>,
    /// When it died, in seconds since 1970 by its own clock.
    pub crash_time: Option<u64>,
    /// Bytes of a page.
    pub page_size: u64,
    /// CPUs whose registers were saved.
    pub cpus: Option<u32>,
    /// Page frames announced.
    pub frames: Frames,
    /// How the pages in the file are packed, without those of zeros that share one; only ways that
    /// occur.
    pub packed: Vec<Packed>,
    /// What the kernel left for readers of its dump.
    pub vmcoreinfo: VmcoreInfo,
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
    let head = head(reader, len)?;
    if !head.starts_with(flat::SIGNATURE) {
        return rearranged(reader, len, &head);
    }
    let file = FlatFile::open(reader, len)?;
    if file.len() == 0 {
        return Err(VmcoreError::NoRecords);
    }
    let found = self::head(&file, file.len())
        .and_then(|head| rearranged(&file, file.len(), &head))
        .map_err(|error| match (file.lack, error) {
            // The device's own words are the better ones.
            (None, error) | (_, error @ VmcoreError::Io { .. }) => error,
            (Some(lack), error) => VmcoreError::Unfinished {
                lack,
                source: Box::new(error),
            },
        });
    let mut inspection = found?;
    inspection.stream = Some(Stream {
        records: file.records,
        bytes: file.stream,
        behind: len - file.stream,
    });
    if let Some(lack) = file.lack {
        inspection.complete = Completeness::Incomplete(lack);
    }
    Ok(inspection)
}

/// The first 16 bytes, or as many as there are.
fn head(reader: &dyn ReadAt, len: u64) -> Result<Vec<u8>, VmcoreError> {
    let mut head = vec![0; len.min(16) as usize];
    reader
        .read_exact_at(0, &mut head)
        .map_err(|source| VmcoreError::Io { offset: 0, source })?;
    Ok(head)
}

fn rearranged(reader: &dyn ReadAt, len: u64, head: &[u8]) -> Result<Inspection, VmcoreError> {
    if head.starts_with(kdump::SIGNATURE) {
        let file = KdumpFile::open(reader, len)?;
        let survey = file.survey()?;
        let (dmesg, panic) = log_of(&file, &file.info, file.phys_base);
        Ok(Inspection {
            format: Format::KdumpCompressed,
            stream: None,
            bytes: len,
            header_version: Some(file.version),
            dump_level: Some(DumpLevel(file.dump_level)),
            erased: file.erased,
            complete: survey.complete,
            release: file
                .info
                .text("OSRELEASE")
                .map(str::to_owned)
                .or(file.release),
            crash_time: crash_time(&file.info),
            page_size: PAGE as u64,
            cpus: file.cpus,
            frames: survey.frames,
            packed: survey.packed,
            vmcoreinfo: file.info,
            dmesg,
            panic,
        })
    } else if head.starts_with(elf::SIGNATURE) {
        let file = ElfFile::open(reader, len)?;
        let frames = file.frames();
        let (dmesg, panic) = log_of(&file, &file.notes.info, file.phys_base);
        Ok(Inspection {
            format: Format::Elf,
            stream: None,
            bytes: len,
            header_version: None,
            dump_level: None,
            erased: file.notes.erased,
            complete: file.completeness(),
            release: file.notes.info.text("OSRELEASE").map(str::to_owned),
            crash_time: crash_time(&file.notes.info),
            page_size: PAGE as u64,
            cpus: Some(file.notes.cpus).filter(|cpus| *cpus > 0),
            frames,
            packed: vec![Packed {
                compression: Compression::None,
                pages: frames.dumped,
                bytes: frames.dumped.saturating_mul(PAGE as u64),
            }],
            vmcoreinfo: file.notes.info,
            dmesg,
            panic,
        })
    } else {
        Err(no_dump(head))
    }
}

/// Says what a file is that is no dump.
fn no_dump(head: &[u8]) -> VmcoreError {
    let compressed = |format, by| VmcoreError::Compressed { format, by };
    match head {
        [0x1f, 0x8b, ..] => compressed("gzip", "gunzip -k FILE"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => compressed("xz", "xz -dk FILE"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => compressed("zstd", "zstd -d FILE"),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => compressed("bzip2", "bunzip2 -k FILE"),
        [0x04 | 0x02, 0x22 | 0x21, 0x4d | 0x4c, 0x18, ..] => compressed("lz4", "lz4 -d FILE"),
        [b'D', b'I', b'S', b'K', b'D', b'U', b'M', b'P', ..] => VmcoreError::Unsupported {
            what: "a dump of diskdump, which Red Hat had before kdump,".to_owned(),
        },
        _ => VmcoreError::NotADump {
            begins: head.escape_ascii().to_string(),
        },
    }
}

fn crash_time(info: &VmcoreInfo) -> Option<u64> {
    info.text("CRASHTIME")?.parse().ok()
}

/// The log, and what in it tells of the crash.
fn log_of(
    memory: &dyn Memory,
    info: &VmcoreInfo,
    phys_base: Option<u64>,
) -> (Result<String, LogError>, Option<String>) {
    let dmesg = KernelMemory::new(memory, info, phys_base)
        .map_err(LogError::from)
        .and_then(|mut kernel| log::read(&mut kernel, info));
    let panic = dmesg.as_deref().ok().and_then(panic_line);
    (dmesg, panic)
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
            format: match self.stream {
                None => self.format.to_string(),
                Some(_) => format!("flattened {}", self.format),
            },
            dump_level: self.dump_level.map(|level| level.0),
            complete: self.complete == Completeness::Complete,
            panic: self.panic.clone(),
            this_drill: self.has_token(token),
        }
    }
}
