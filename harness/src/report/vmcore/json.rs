//! What a dump is, for programs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Looked, State};
use crate::report::{json_line, json_schema};
use crate::vmcore::{Inspection, Packed, Stream};

/// Counts up when a field changes its meaning.
const FORMAT: u32 = 1;

/// A file that was looked into.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    /// Version of this document.
    format: u32,
    /// The file.
    file: &'a str,
    /// Its size in bytes, or that of the device.
    bytes: u64,
    /// Whether all of the dump is there.
    state: State,
    /// What is missing or damaged; null for a complete dump.
    lack: Option<String>,
    /// What the dump holds; null when its headers cannot be read.
    dump: Option<Dump<'a>>,
}

/// A dump whose headers can be read.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct Dump<'a> {
    /// `kdump-compressed` or `elf`.
    layout: String,
    /// The stream around it, if it was flattened (`makedumpfile -F`).
    stream: Option<Stream>,
    /// Bytes of the dump; of a flattened one, as `makedumpfile -R` would write it.
    bytes: u64,
    /// Version of makedumpfile's header, where there is one.
    header_version: Option<u32>,
    /// makedumpfile's -d, where the format records it.
    dump_level: Option<u32>,
    /// What that level leaves out; null where the format does not record it.
    left_out: Option<Vec<&'static str>>,
    /// Whether makedumpfile erased data by a configuration.
    erased: bool,
    /// `uname -r` of the kernel that died.
    release: Option<&'a str>,
    /// When it died, in seconds since 1970 by its own clock.
    crash_time: Option<u64>,
    /// Bytes of a page.
    page_size: u64,
    /// CPUs whose registers were saved.
    cpus: Option<u32>,
    /// Page frames.
    frames: Frames,
    /// How the pages in the file are packed, without those of zeros that share one.
    packed: &'a [Packed],
    /// The line of the log that says what killed the kernel.
    panic: Option<&'a str>,
    /// Lines of the kernel's log; null when it cannot be read.
    log_lines: Option<usize>,
    /// Why the log cannot be read.
    log_error: Option<String>,
    /// What the kernel left for readers of its dump.
    vmcoreinfo: BTreeMap<&'a str, &'a str>,
}

/// Page frames, counted.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct Frames {
    /// Memory of the machine that died, without what was reserved for the capture kernel.
    memory: u64,
    /// In the dump.
    dumped: u64,
    /// Of those, the ones that hold nothing but zeros and share one page in the file.
    zeros: u64,
    /// Memory that is not in the dump.
    left_out: u64,
}

/// One line, without its end. Programs write such documents below one another (JSON Lines).
///
/// # Errors
/// None that a dump can cause.
pub fn vmcore_json(looked: Looked<'_>) -> Result<String, serde_json::Error> {
    json_line(&Document {
        format: FORMAT,
        file: looked.file,
        bytes: looked.bytes,
        state: looked.state(),
        lack: looked.lack(),
        dump: looked.found.ok().map(dump),
    })
}

/// The JSON Schema of [`vmcore_json`].
pub fn vmcore_schema() -> Value {
    json_schema::<Document<'_>>("crashdrill vmcore")
}

fn dump(found: &Inspection) -> Dump<'_> {
    Dump {
        layout: found.format.to_string(),
        stream: found.stream,
        bytes: found.bytes,
        header_version: found.header_version,
        dump_level: found.dump_level.map(|level| level.0),
        left_out: found.dump_level.map(|level| level.left_out().collect()),
        erased: found.erased,
        release: found.release.as_deref(),
        crash_time: found.crash_time,
        page_size: found.page_size,
        cpus: found.cpus,
        frames: Frames {
            memory: found.frames.memory,
            dumped: found.frames.dumped,
            zeros: found.frames.zeros,
            left_out: found.frames.left_out(),
        },
        packed: &found.packed,
        panic: found.panic.as_deref(),
        log_lines: found.dmesg.as_ref().ok().map(|log| log.lines().count()),
        log_error: found.dmesg.as_ref().err().map(ToString::to_string),
        vmcoreinfo: found.vmcoreinfo.lines().collect(),
    }
}
