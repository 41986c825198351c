//! A tar of a customer's: read member by member, as far as it goes.

use std::cell::Cell;
use std::io::{self, Read};

use tar::EntryType;

use super::{Gathered, Go};

/// Between two members: names, and what pax says of a file, for which tar allocates what the archive
/// asks for.
const MOST_HEADER: u64 = 64 << 10;
/// Bytes of a header, and where its check sum is (POSIX.1-1988, ustar).
const BLOCK: usize = 512;
const SUM: std::ops::Range<usize> = 148..156;

/// Whether these bytes begin a tar: its first header has the right check sum. That is so for every
/// format since Unix's seventh edition.
pub(super) fn is_tar(head: &[u8]) -> bool {
    let Some(block) = head.first_chunk::<BLOCK>() else {
        return false;
    };
    let Ok(said) = std::str::from_utf8(&block[SUM]) else {
        return false;
    };
    let said = said.trim_matches(['\0', ' ']);
    let Ok(said) = u32::from_str_radix(said, 8) else {
        return false;
    };
    let bytes = block.iter().enumerate();
    let sum: u32 = bytes
        .map(|(at, byte)| match SUM.contains(&at) {
            true => u32::from(b' '),
            false => u32::from(*byte),
        })
        .sum();
    sum == said
}

/// Reads what is wanted of an archive. Whatever ends it early is a note.
pub(super) fn read(name: &str, archive: &mut dyn Read, depth: u8, into: &mut Gathered) {
    let limit = Limit {
        header: Cell::new(None),
        ended: Cell::new(false),
        refused: Cell::new(false),
    };
    let mut tar = tar::Archive::new(Limited {
        archive,
        limit: &limit,
    });
    let mut entries = match tar.entries() {
        Ok(entries) => entries,
        Err(error) => return into.note(name, format!("no archive: {error}")),
    };
    let mut last = String::new();
    loop {
        limit.header.set(Some(MOST_HEADER));
        let next = entries.next();
        limit.header.set(None);
        let mut entry = match next {
            None => break,
            Some(Ok(entry)) => entry,
            Some(Err(error)) => return into.note(name, ends(&error, &limit, &last)),
        };
        let path = super::inside(&String::from_utf8_lossy(&entry.path_bytes()));
        if into.count(&path) == Go::Enough {
            return;
        }
        match entry.header().entry_type() {
            // Its holes come from nowhere and cost time all the same.
            EntryType::GNUSparse => {
                let left = into.unpacked.get().saturating_sub(entry.size());
                into.unpacked.set(left);
                if left == 0 {
                    return into.note(name, "a sparse file that is too large: not read behind it");
                }
                into.stream(&path, &mut entry, depth + 1, false);
            }
            EntryType::Regular | EntryType::Continuous => {
                into.stream(&path, &mut entry, depth + 1, false);
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default();
                into.link(path.clone(), String::from_utf8_lossy(&target).into_owned());
            }
            // A hard link is to a member that was read; nothing else has a text.
            _ => {}
        }
        // What is not read now would be taken for a part of the next header.
        if let Err(error) = io::copy(&mut entry, &mut io::sink()) {
            return into.note(name, ends(&error, &limit, &path));
        }
        last = path;
    }
    if limit.ended.get() {
        let last = super::clipped(&last);
        let text = format!(
            "ends behind {last:?} without the mark that ends an archive: it was not copied \
             completely; what came before is read"
        );
        return into.note(name, text);
    }
    // Up to the digests of what it is packed with.
    if let Err(error) = io::copy(&mut tar.into_inner(), &mut io::sink()) {
        into.note(name, super::unread(&error));
    }
}

fn ends(error: &io::Error, limit: &Limit, last: &str) -> String {
    let last = super::clipped(last);
    if limit.refused.get() {
        let most = MOST_HEADER >> 10;
        return format!("a header of more than {most} KiB: not read behind {last:?}");
    }
    if limit.ended.get() || error.kind() == io::ErrorKind::UnexpectedEof {
        return format!("ends at {last:?}: it was not copied completely; what came before is read");
    }
    format!("damaged at {last:?} ({error}); what came before is read")
}

struct Limit {
    /// Between two members.
    header: Cell<Option<u64>>,
    /// That was asked for which is not there.
    ended: Cell<bool>,
    /// There is more of a header than anybody's.
    refused: Cell<bool>,
}

struct Limited<'a> {
    archive: &'a mut dyn Read,
    limit: &'a Limit,
}

impl Read for Limited<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let granted = self.limit.header.get().unwrap_or(u64::MAX);
        if granted == 0 && !into.is_empty() {
            self.limit.refused.set(true);
            return Err(io::Error::other("the limit is reached"));
        }
        let most = into
            .len()
            .min(usize::try_from(granted).unwrap_or(usize::MAX));
        let count = self.archive.read(&mut into[..most])?;
        if count == 0 && !into.is_empty() {
            self.limit.ended.set(true);
        }
        let header = self.limit.header.get();
        self.limit
            .header
            .set(header.map(|left| left - count as u64));
        Ok(count)
    }
}
