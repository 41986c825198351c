//! A tar of somebody else's, unpacked: whatever it holds, in bounded memory, time and space.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;

use tar::EntryType;

use super::super::unpack::{Budget, Root, Special, UnpackError};
use super::packing::unpacked;

/// Names, and what pax says of a file: for these tar allocates what the archive asks for.
const MOST_HEADER: u64 = 64 << 10;
/// Of a header and what fills up blocks, for each file.
const OVERHEAD: u64 = 2 << 10;

/// An archive that is not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Of another format, or none.
    #[error(
        "it is no tar, neither plain nor packed with gzip, xz, bzip2 or zstd, or its first bytes \
         are damaged ({0})"
    )]
    NoTar(io::Error),
    /// One of its members is refused.
    #[error(transparent)]
    Member(#[from] UnpackError),
    /// tar(5): GNU's type `S`, or `GNU.sparse` of pax.
    #[error("{name:?} is stored as a sparse file: refused; pack it without --sparse")]
    Sparse {
        /// As the archive has it; a long one is cut.
        name: String,
    },
    /// Nobody's names are that long.
    #[error("behind {after:?} is a header of more than {} KiB: refused", MOST_HEADER >> 10)]
    Header {
        /// The member before.
        after: String,
    },
    /// It goes on and on.
    #[error("behind {after:?}: unpacked it has more than {most} bytes: refused")]
    Endless {
        /// The member before.
        after: String,
        /// That are read.
        most: u64,
    },
    /// A piece is missing.
    #[error("it ends behind {after:?}, without the mark that ends an archive: it was cut short")]
    Short {
        /// The member before.
        after: String,
    },
    /// It cannot be read.
    #[error("behind {after:?} it is damaged: {source}")]
    Damaged {
        /// The member before.
        after: String,
        /// What is wrong.
        source: io::Error,
    },
}

/// Unpacks an archive into a directory; see [`ArchiveError`] and [`UnpackError`] for what is
/// refused. What was unpacked until then stays.
///
/// # Errors
/// [`ArchiveError`].
pub fn unpack_archive(archive: impl Read, into: &Path, most: Budget) -> Result<(), ArchiveError> {
    let plain = unpacked(archive).map_err(ArchiveError::NoTar)?;
    let limit = Limit::new(most);
    let mut tar = tar::Archive::new(Limited {
        plain,
        limit: &limit,
    });
    let mut root = Root::new(into.to_owned(), most);
    let mut entries = tar.entries().map_err(ArchiveError::NoTar)?;
    let mut after: Option<String> = None;
    loop {
        limit.header.set(Some(MOST_HEADER));
        let next = entries.next();
        limit.header.set(None);
        let Some(entry) = next else { break };
        let mut entry = entry.map_err(|error| limit.judge(error, after.as_deref()))?;
        let name = text(&entry.path_bytes(), &entry.path_bytes())?.to_owned();
        member(&mut entry, &name, &mut root)?;
        // What is not read now would be taken for a part of the next header.
        io::copy(&mut entry, &mut io::sink()).map_err(|error| limit.judge(error, Some(&name)))?;
        after = Some(name);
    }
    let after = after.unwrap_or_default();
    if limit.ended.get() {
        let after = shown(&after);
        return Err(ArchiveError::Short { after });
    }
    // Up to the digests of what it is packed with.
    let mut rest = tar.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(|error| limit.judge(error, Some(&after)))?;
    Ok(())
}

fn member(
    entry: &mut tar::Entry<'_, impl Read>,
    name: &str,
    root: &mut Root,
) -> Result<(), ArchiveError> {
    let damaged = |source| ArchiveError::Damaged {
        after: shown(name),
        source,
    };
    let sparse = || ArchiveError::Sparse { name: shown(name) };
    let special = |special| UnpackError::Special {
        name: shown(name),
        special,
    };
    // A global one belongs to no file: `git archive` writes the commit there.
    if entry.header().entry_type() == EntryType::XGlobalHeader {
        return Ok(());
    }
    if let Some(extensions) = entry.pax_extensions().map_err(damaged)? {
        for extension in extensions {
            let extension = extension.map_err(damaged)?;
            if extension.key_bytes().starts_with(b"GNU.sparse") {
                return Err(sparse());
            }
        }
    }
    let target = entry.link_name_bytes().unwrap_or_default().into_owned();
    match entry.header().entry_type() {
        // Before POSIX, directories were files whose names end so.
        EntryType::Regular if name.ends_with('/') => root.directory(name)?,
        EntryType::Regular | EntryType::Continuous => {
            let mode = entry.header().mode().map_err(damaged)?;
            let size = entry.size();
            root.file(name, mode & 0o111 != 0, size, entry)?;
        }
        EntryType::Directory => root.directory(name)?,
        // `build` and `source`, which lead to headers. Whoever writes an index there, as depmod
        // does, must not meet others.
        EntryType::Symlink if is_among_modules(name) => {}
        EntryType::Symlink => root.symlink(name, text(&target, name.as_bytes())?)?,
        EntryType::Link => root.hard_link(name, text(&target, name.as_bytes())?)?,
        EntryType::Char | EntryType::Block => return Err(special(Special::Device).into()),
        EntryType::Fifo => return Err(special(Special::Fifo).into()),
        EntryType::GNUSparse => return Err(sparse()),
        _ => return Err(special(Special::Unknown).into()),
    }
    Ok(())
}

fn is_among_modules(name: &str) -> bool {
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    matches!(
        parts[..],
        ["lib", "modules", ..] | ["usr", "lib", "modules", ..]
    )
}

fn text<'a>(bytes: &'a [u8], name: &[u8]) -> Result<&'a str, UnpackError> {
    std::str::from_utf8(bytes).map_err(|_| UnpackError::Name {
        name: shown(&String::from_utf8_lossy(name)),
        why: "the name, or that of what it links to, is no UTF-8",
    })
}

/// For people: names may have 64 KiB.
fn shown(name: &str) -> String {
    match name.char_indices().nth(200) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}...", &name[..end]),
    }
}

/// How much may still be read of an archive.
struct Limit {
    most: u64,
    left: Cell<u64>,
    /// Between two members.
    header: Cell<Option<u64>>,
    /// Whether that was asked for which is not there.
    ended: Cell<bool>,
    refused: Cell<Option<Refused>>,
}

#[derive(Debug, Clone, Copy)]
enum Refused {
    Header,
    Endless,
}

impl Limit {
    fn new(most: Budget) -> Self {
        let most = most
            .bytes
            .saturating_add(most.files.saturating_mul(OVERHEAD));
        Self {
            most,
            left: Cell::new(most),
            header: Cell::new(None),
            ended: Cell::new(false),
            refused: Cell::new(None),
        }
    }

    /// What tar's error comes from.
    fn judge(&self, source: io::Error, after: Option<&str>) -> ArchiveError {
        let (first, after) = (after.is_none(), shown(after.unwrap_or_default()));
        match self.refused.get() {
            Some(Refused::Header) => ArchiveError::Header { after },
            Some(Refused::Endless) => {
                let most = self.most;
                ArchiveError::Endless { after, most }
            }
            None if first => ArchiveError::NoTar(source),
            None if self.ended.get() => ArchiveError::Short { after },
            None => ArchiveError::Damaged { after, source },
        }
    }

    fn spend(&self, bytes: u64) -> io::Result<()> {
        let refuse = |why| {
            self.refused.set(Some(why));
            Err(io::Error::other("refused"))
        };
        match self.left.get().checked_sub(bytes) {
            Some(left) => self.left.set(left),
            None => return refuse(Refused::Endless),
        }
        match self.header.get().map(|left| left.checked_sub(bytes)) {
            None => Ok(()),
            Some(None) => refuse(Refused::Header),
            left => {
                self.header.set(left.flatten());
                Ok(())
            }
        }
    }
}

struct Limited<'a> {
    plain: Box<dyn Read + 'a>,
    limit: &'a Limit,
}

impl Read for Limited<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.plain.read(into)?;
        if count == 0 && !into.is_empty() {
            self.limit.ended.set(true);
        }
        self.limit.spend(count as u64)?;
        Ok(count)
    }
}

#[cfg(test)]
pub(super) mod tests;
