//! The front of a package file, checked before the `rpm` crate sees it: the crate allocates by
//! stated sizes and indexes by stated offsets.
//!
//! A lead of 96 bytes, the signature header padded to eight bytes, the header, and then the payload
//! up to the end of the file (docs/manual/format_v4.md of rpm). Both headers are alike: magic
//! number, count of entries, size of the data, an index with an entry of sixteen bytes for each tag,
//! and the data.

use std::io::{self, Read};

const LEAD: usize = 96;
const LEAD_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];
/// `RPMSIGTYPE_HEADERSIG`: the signature is a header of its own.
const HEADER_SIGNATURE: u16 = 5;
const MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];
const INTRODUCTION: usize = 16;
const ENTRY: usize = 16;
/// rpm takes 65,535 (`HEADER_TAGS_MAX` in lib/header.c) and knows no more than some hundred tags.
const MOST_ENTRIES: u32 = 4096;
/// rpm takes 256 MiB (`HEADER_DATA_MAX`). The headers of kernels with a signature for each of their
/// files have five.
const MOST_DATA: u32 = 32 << 20;
/// `HEADER_I18NTABLE`: what is below are regions.
const LEAST_TAG: u32 = 100;
/// `HEADER_IMAGE`, `HEADER_SIGNATURES`, `HEADER_IMMUTABLE`.
const REGIONS: std::ops::RangeInclusive<u32> = 61..=63;
const STRING: u32 = 6;
const BINARY: u32 = 7;
const STRING_ARRAY: u32 = 8;
const I18N_STRING: u32 = 9;

/// A file that does not begin as a package does.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// From the file.
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
    /// Something else.
    #[error("no RPM package: {0}")]
    Foreign(&'static str),
    /// It ends too early.
    #[error("the file is cut short: it ends in {0}")]
    Short(&'static str),
    /// A header that rpm would not take either.
    #[error("{part} is damaged: {why}")]
    Damaged {
        /// Which.
        part: &'static str,
        /// What is wrong.
        why: &'static str,
    },
}

/// What lies before the payload.
#[derive(Debug)]
pub(super) struct Front {
    /// All of it.
    pub(super) bytes: Vec<u8>,
    /// Where the header begins in it.
    header: usize,
}

impl Front {
    /// Reads and checks it; `file` stands before the payload then.
    pub(super) fn read(mut file: impl Read) -> Result<Self, HeaderError> {
        let mut bytes = Vec::new();
        more(&mut bytes, &mut file, LEAD, "the lead")?;
        let half = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        if bytes[..4] != LEAD_MAGIC {
            return Err(HeaderError::Foreign("it does not begin with ed ab ee db"));
        }
        if !(3..=4).contains(&bytes[4]) || half(78) != HEADER_SIGNATURE {
            let why = "it is of a format older than that of rpm 3";
            return Err(HeaderError::Foreign(why));
        }
        read_header(&mut bytes, &mut file, "the signature header")?;
        let padding = bytes.len().wrapping_neg() % 8;
        more(&mut bytes, &mut file, padding, "the signature header")?;
        let header = bytes.len();
        read_header(&mut bytes, &mut file, "the header")?;
        Ok(Self { bytes, header })
    }

    /// What is signed.
    pub(super) fn header(&self) -> &[u8] {
        &self.bytes[self.header..]
    }
}

/// Appends `count` bytes of `file`; a file that has fewer costs no more memory than it has.
fn more(
    bytes: &mut Vec<u8>,
    file: &mut impl Read,
    count: usize,
    part: &'static str,
) -> Result<(), HeaderError> {
    match file.take(count as u64).read_to_end(bytes)? {
        got if got < count => Err(HeaderError::Short(part)),
        _ => Ok(()),
    }
}

fn read_header(
    bytes: &mut Vec<u8>,
    file: &mut impl Read,
    part: &'static str,
) -> Result<(), HeaderError> {
    let damaged = |why| HeaderError::Damaged { part, why };
    let start = bytes.len();
    more(bytes, file, INTRODUCTION, part)?;
    let introduction = &bytes[start..];
    if introduction[..8] != MAGIC {
        return Err(damaged("it does not begin with 8e ad e8 01"));
    }
    let (count, size) = (word(introduction, 8), word(introduction, 12));
    if !(1..=MOST_ENTRIES).contains(&count) {
        return Err(damaged("it has no entries, or more than 4096"));
    }
    if size > MOST_DATA {
        return Err(damaged("its data is larger than 32 MiB"));
    }
    let index = count as usize * ENTRY;
    more(bytes, file, index + size as usize, part)?;
    let (index, data) = bytes[start + INTRODUCTION..].split_at(index);
    check(index, data).map_err(damaged)
}

/// As `hdrblobVerifyInfo` of lib/header.c: known types, aligned, inside of the data, and one behind
/// the other, so that all of them together are no larger than the data.
fn check(index: &[u8], data: &[u8]) -> Result<(), &'static str> {
    let mut end = 0;
    for (nth, entry) in index.chunks_exact(ENTRY).enumerate() {
        let [tag, kind, offset, count] = [0, 4, 8, 12].map(|at| word(entry, at));
        let rest = data
            .get(offset as usize..)
            .ok_or("an entry begins behind its end")?;
        if count == 0 {
            return Err("an entry has no value");
        }
        if nth == 0 && REGIONS.contains(&tag) {
            // Its data, at the end, is what the index would say of it.
            if kind != BINARY || count as usize != ENTRY || rest.len() < ENTRY {
                return Err("its region is none");
            }
            continue;
        }
        if tag < LEAST_TAG {
            return Err("an entry has an unknown tag");
        }
        let width = match kind {
            1 | 2 | BINARY => 1,
            3 => 2,
            4 => 4,
            5 => 8,
            STRING | STRING_ARRAY | I18N_STRING => 0,
            _ => return Err("an entry is of an unknown type"),
        };
        if width > 1 && !offset.is_multiple_of(width) {
            return Err("an entry is not aligned");
        }
        if (offset as usize) < end {
            return Err("entries overlap");
        }
        let length = match kind {
            STRING if count != 1 => return Err("a string has more than one value"),
            STRING | STRING_ARRAY | I18N_STRING => strings(rest, count)?,
            _ => count as usize * width as usize,
        };
        if length > rest.len() {
            return Err("an entry ends behind its end");
        }
        end = offset as usize + length;
    }
    Ok(())
}

/// How many bytes that many strings take.
fn strings(data: &[u8], count: u32) -> Result<usize, &'static str> {
    let ends = memchr::memchr_iter(0, data);
    ends.take(count as usize)
        .enumerate()
        .find(|(nth, _)| nth + 1 == count as usize)
        .map(|(_, at)| at + 1)
        .ok_or("a string has no end")
}

/// `at` is inside.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
