//! What a dump is, for people: whether all of it is there first, then what it holds, and how the
//! kernel's log ends.

mod json;

use crashdrill_guest::utc::Utc;
use schemars::JsonSchema;
use serde::Serialize;

pub use json::{vmcore_json, vmcore_schema};

use super::View;
use super::page::{BAD, BOLD, DIM, GOOD, NEW, Page, Text, facts, heading};
use crate::units::Bytes;
use crate::vmcore::{Completeness, Compression, Format, Inspection, VmcoreError};

/// Lines of the log before the one that names the crash.
const LINES: usize = 10;
/// Characters of a line.
const LONG: usize = 240;

/// A file that was looked into.
#[derive(Debug, Clone, Copy)]
pub struct Looked<'a> {
    /// As the user named it.
    pub file: &'a str,
    /// Bytes of the file or device.
    pub bytes: u64,
    /// What came of it.
    pub found: Result<&'a Inspection, &'a VmcoreError>,
}

/// Whether all of a dump is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Every page that its headers announce.
    Complete,
    /// Pages are missing.
    Incomplete,
    /// Its headers cannot be read.
    Damaged,
}

impl Looked<'_> {
    /// Whether all of it is there.
    pub fn state(&self) -> State {
        match self.found.map(|found| found.complete) {
            Ok(Completeness::Complete) => State::Complete,
            Ok(Completeness::Incomplete(_)) => State::Incomplete,
            Err(_) => State::Damaged,
        }
    }

    /// What is missing.
    fn lack(&self) -> Option<String> {
        match self.found {
            Ok(found) => found.complete.lack().map(|lack| lack.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }
}

/// The whole text, with styles.
pub fn vmcore_text(looked: Looked<'_>, view: View) -> String {
    let mut page = Page::new(view.width);
    let head = Text::new().styled(BOLD, looked.file).plain(": ");
    let head = match looked.state() {
        State::Complete => head.styled(GOOD, "complete"),
        State::Incomplete => head.styled(BAD, "incomplete"),
        State::Damaged => head.styled(BAD, "damaged"),
    };
    page.flow_at(&Text::new(), 2, &head);
    let indent = Text::new().plain("  ");
    if let Some(lack) = looked.lack() {
        page.flow(&indent, &Text::new().styled(NEW, &sentence(&lack)));
    }
    if let Ok(found) = looked.found {
        if let Some(panic) = &found.panic {
            page.flow(&indent, &Text::new().styled(BOLD, panic));
        }
        page.blank();
        facts(&mut page, 2, &rows(found, looked.bytes));
        log(&mut page, looked.file, found, view);
        if view.verbose {
            vmcoreinfo(&mut page, found);
        }
    }
    page.finish()
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|char| char.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), chars.as_str())
}

fn rows(found: &Inspection, bytes: u64) -> Vec<(&'static str, Text)> {
    let plain = |text: &str| Text::new().plain(text);
    let unknown = || Text::new().styled(DIM, "not recorded in it");
    let mut rows = vec![(
        "kernel",
        found.release.as_deref().map_or_else(unknown, plain),
    )];
    if let Some(cpus) = found.cpus {
        let s = if cpus == 1 { "" } else { "s" };
        rows.push(("cpus", plain(&format!("registers of {cpus} CPU{s}"))));
    }
    let crashed = found.crash_time.map(|seconds| plain(&utc(seconds)));
    rows.push(("crashed", crashed.unwrap_or_else(unknown)));
    rows.push(("format", plain(&format(found))));
    rows.push(("size", plain(&size(found, bytes))));
    rows.push((
        "left out",
        match found.dump_level {
            None => Text::new().styled(DIM, "unknown: an ELF dump does not record it"),
            Some(level) => {
                let kinds: Vec<_> = level.left_out().collect();
                let kinds = match kinds.split_last() {
                    None => "nothing".to_owned(),
                    Some((last, [])) => format!("{last} pages"),
                    Some((last, rest)) => format!("{} and {last} pages", rest.join(", ")),
                };
                plain(&format!("{kinds} (dump level {})", level.0))
            }
        },
    ));
    if found.erased {
        rows.push((
            "erased",
            plain("data, by makedumpfile's --config or --eppic"),
        ));
    }
    rows.push(("pages", plain(&pages(found))));
    if found.format == Format::KdumpCompressed && !found.packed.is_empty() {
        rows.push(("packed", plain(&packed(found))));
    }
    if let Err(error) = &found.dmesg {
        let text = format!("cannot be read: {error}");
        rows.push(("log", Text::new().styled(BAD, &text)));
    }
    rows
}

fn format(found: &Inspection) -> String {
    let mut text = found.format.to_string();
    if let Some(version) = found.header_version {
        text += &format!(", header version {version}");
    }
    if let Some(stream) = found.stream {
        text += &format!(", flattened in {} records", stream.records);
    }
    text
}

fn size(found: &Inspection, bytes: u64) -> String {
    let Some(stream) = found.stream else {
        return amount(bytes);
    };
    let mut text = format!(
        "{}, {} as a stream",
        amount(found.bytes),
        amount(stream.bytes)
    );
    if stream.behind > 0 {
        text += &format!(
            "; the {} behind its end are no part of it",
            amount(stream.behind)
        );
    }
    text
}

fn pages(found: &Inspection) -> String {
    let frames = found.frames;
    let of = |pages: u64| amount(pages.saturating_mul(found.page_size));
    let zeros = match frames.zeros {
        0 => String::new(),
        zeros => format!(", of which {zeros} hold zeros and share one"),
    };
    format!(
        "{} of memory ({}): {} dumped ({}){zeros}; {} left out",
        frames.memory,
        of(frames.memory),
        frames.dumped,
        of(frames.dumped),
        frames.left_out(),
    )
}

fn packed(found: &Inspection) -> String {
    let ways = found.packed.iter().map(|packed| {
        let name = match packed.compression {
            Compression::None => "uncompressed".to_owned(),
            compression => format!("with {compression}"),
        };
        format!("{} {name} ({})", packed.pages, amount(packed.bytes))
    });
    ways.collect::<Vec<_>>().join(", ")
}

/// `16.3 MiB`; bytes where that says more.
pub(crate) fn amount(bytes: u64) -> String {
    let bytes_of = |unit: u64| bytes as f64 / unit as f64;
    match bytes {
        0..100_000 => format!("{bytes} bytes"),
        100_000..10_737_418_240 => format!("{:.1} MiB", bytes_of(Bytes::MIB)),
        _ => format!("{:.1} GiB", bytes_of(Bytes::GIB)),
    }
}

/// The end of the log, up to the line that names the crash.
fn log(page: &mut Page, file: &str, found: &Inspection, view: View) {
    let Ok(log) = &found.dmesg else {
        return;
    };
    let lines: Vec<&str> = log.lines().collect();
    let crash = found.panic.as_deref().and_then(|panic| {
        let ends = |line: &&str| {
            line.strip_suffix(panic)
                .is_some_and(|time| time.ends_with("] "))
        };
        lines.iter().position(ends)
    });
    let end = crash.map_or(lines.len(), |crash| crash + 1);
    let start = end.saturating_sub(LINES + 1);
    heading(
        page,
        match crash {
            Some(_) => "The log up to the crash",
            None => "The end of the log",
        },
    );
    for line in &lines[start..end] {
        let most = if view.verbose { usize::MAX } else { LONG };
        page.verbatim(2, &Text::new().plain(line).cut(most));
    }
    let all = format!(
        "... all {} lines: crashdrill vmcore --dmesg {file}",
        lines.len()
    );
    page.verbatim(2, &Text::new().styled(DIM, &all));
}

fn vmcoreinfo(page: &mut Page, found: &Inspection) {
    heading(page, "VMCOREINFO");
    for (key, value) in found.vmcoreinfo.lines() {
        page.verbatim(2, &Text::new().plain(key).plain("=").plain(value));
    }
}

/// `2026-11-25 23:28:22 UTC`.
pub(super) fn utc(seconds: u64) -> String {
    let utc = Utc::since_1970(seconds);
    format!("{} {} UTC", utc.date(), utc.time())
}

#[cfg(test)]
mod tests;
