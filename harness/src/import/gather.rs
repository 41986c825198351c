//! Which of a customer's files are worth reading, out of files, directories and archives.
//!
//! Nothing is unpacked: a member of an archive goes through its decompressor straight to memory, and
//! only what is recognised stays there. No link is followed: whatever a link inside of a report
//! leads to is in the report itself, or is none of its business. Where it leads is a fact.

mod archive;
mod directory;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::facts::{Note, Source};
use super::recognise;

/// What tells whether a file is wanted.
const HEAD: usize = 64 << 10;
/// Of one file. Longer ones lose their middle: a log's failure is at its end, its machine at its
/// beginning.
const MOST_OF_ONE: usize = 48 << 20;
/// Of all files together.
const MOST_OF_ALL: usize = 384 << 20;
/// Everything that is unpacked, whether it is kept or not.
const MOST_UNPACKED: u64 = 8 << 30;
/// Files and links of everything that is given.
const MOST_FILES: u64 = 400_000;
/// Notes: the thousandth says nothing that the hundredth did not.
const MOST_NOTES: usize = 100;
/// Archives in archives.
const MOST_DEPTH: u8 = 3;

/// A path that was given and cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}", path.display())]
pub struct GatherError {
    /// As given.
    pub path: PathBuf,
    /// The system's words.
    pub source: io::Error,
}

/// A file that is worth reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Within the report.
    pub(super) path: String,
    /// What is in it.
    pub(super) bytes: Vec<u8>,
    /// It was longer.
    pub(super) cut: bool,
}

/// A symbolic link whose target says where a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// Within the report.
    pub(super) path: String,
    /// As it is written.
    pub(super) target: String,
}

/// All that is worth reading.
#[derive(Debug)]
pub(super) struct Gathered {
    /// In the order of the paths, and in each as the archive has them or by name.
    pub(super) files: Vec<Candidate>,
    /// The same.
    pub(super) links: Vec<Link>,
    /// What was cut, missing or refused.
    pub(super) notes: Vec<Note>,
    bytes: usize,
    seen: u64,
    /// Shared by all archives, within one another or not.
    unpacked: Rc<Cell<u64>>,
}

/// Whether there is more to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Go {
    On,
    Enough,
}

/// Reads files, directories and archives.
///
/// # Errors
/// A path that was given is not there or cannot be opened. What is wrong within is a note.
pub(super) fn gather(paths: &[PathBuf]) -> Result<Gathered, GatherError> {
    let mut gathered = Gathered::new(MOST_UNPACKED);
    for path in paths {
        let failed = |source| GatherError {
            path: path.clone(),
            source,
        };
        let metadata = path.metadata().map_err(failed)?;
        if metadata.is_dir() {
            directory::walk(path, &mut gathered);
            continue;
        }
        // A pipe is read too: `import <(ssh host lspci -nnvv)`.
        let file = File::open(path).map_err(failed)?;
        gathered.stream(&shown(path), &mut BufReader::new(file), 0, true);
    }
    Ok(gathered)
}

/// A file that is not on a disk, as if it had been named.
pub(super) fn given(name: &str, mut bytes: &[u8]) -> Gathered {
    let mut gathered = Gathered::new(MOST_UNPACKED);
    gathered.stream(name, &mut bytes, 0, true);
    gathered
}

fn shown(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// A path within a report, without the report's own directory, which has the host's name:
/// `sosreport-HOST-...` of sos, `scc_HOST_...` and `nts_HOST_...` of supportconfig.
fn inside(path: &str) -> String {
    let reports = ["sosreport-", "sos-", "scc_", "nts_"];
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    let own = |part: &&str| !reports.iter().any(|report| part.starts_with(report));
    let mut parts = parts.peekable();
    while parts.peek().is_some_and(|part| !own(part)) {
        let report = parts.next();
        // A file of that name is all there is.
        if parts.peek().is_none() {
            return report.unwrap_or_default().to_owned();
        }
    }
    parts.collect::<Vec<_>>().join("/")
}

impl Gathered {
    fn new(most_unpacked: u64) -> Self {
        Self {
            files: Vec::new(),
            links: Vec::new(),
            notes: Vec::new(),
            bytes: 0,
            seen: 0,
            unpacked: Rc::new(Cell::new(most_unpacked)),
        }
    }

    fn note(&mut self, file: &str, text: impl Into<String>) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(Note {
                source: Some(Source {
                    file: clipped(file).into(),
                    line: None,
                }),
                text: text.into(),
            });
        }
    }

    /// Counts a file or link.
    fn count(&mut self, file: &str) -> Go {
        self.seen += 1;
        if self.seen == MOST_FILES {
            self.note(
                file,
                format!("more than {MOST_FILES} files: the rest is not read"),
            );
        }
        match self.seen < MOST_FILES {
            true => Go::On,
            false => Go::Enough,
        }
    }

    fn link(&mut self, path: String, target: String) {
        let telling = ["sys/block/", "sys/class/", "dev/disk/", "dev/mapper/"];
        if telling.iter().any(|part| path.contains(part)) && target.len() < 4096 {
            self.bytes += path.len() + target.len();
            self.links.push(Link { path, target });
        }
    }

    /// One file, or one archive. `named` by the user: then it must be good for something.
    fn stream(&mut self, path: &str, file: &mut dyn Read, depth: u8, named: bool) {
        let mut plain = match crate::image::unpacked(file) {
            Ok(from) => Spending {
                from,
                left: Rc::clone(&self.unpacked),
            },
            Err(error) => return self.note(path, unread(&error)),
        };
        let (head, error) = read_up_to(&mut plain, HEAD);
        if archive::is_tar(&head) {
            let head = &head[..];
            match depth < MOST_DEPTH {
                true => archive::read(path, &mut head.chain(plain), depth, self),
                false => self.note(path, "an archive in too many archives: not read"),
            }
            return;
        }
        if let Some(error) = &error {
            self.note(path, unread(error));
        }
        if !recognise::is_wanted(path, &head) {
            if named {
                self.note(path, recognise::unwanted(&head));
            }
            return;
        }
        let left = MOST_OF_ALL.saturating_sub(self.bytes);
        let damaged = error.is_some();
        let (bytes, cut, error) = match damaged {
            true => (head, true, None),
            false => read_ends(head, plain, MOST_OF_ONE.min(left)),
        };
        if let Some(error) = &error {
            self.note(path, unread(error));
        } else if damaged {
            // That is noted.
        } else if cut && left < MOST_OF_ONE {
            self.note(
                path,
                format!("all files have more than {} MiB: cut", MOST_OF_ALL >> 20),
            );
        } else if cut {
            let most = MOST_OF_ONE >> 20;
            self.note(
                path,
                format!("longer than {most} MiB: its middle is not read"),
            );
        }
        self.bytes += bytes.len();
        self.files.push(Candidate {
            path: path.to_owned(),
            bytes,
            cut: cut || error.is_some(),
        });
    }
}

/// Reads no more than all may together.
struct Spending<R> {
    from: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Spending<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::other(format!(
                "it is, unpacked, more than the {} GiB that are read",
                MOST_UNPACKED >> 30
            )));
        }
        let most = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = self.from.read(&mut into[..most])?;
        self.left.set(left - count as u64);
        Ok(count)
    }
}

fn unread(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            "ends too early: the file was not copied completely; what came before is read".into()
        }
        _ => format!("damaged ({error}); what came before is read"),
    }
}

/// As much as there is, and why there is not more.
fn read_up_to(from: &mut (impl Read + ?Sized), most: usize) -> (Vec<u8>, Option<io::Error>) {
    let mut bytes = Vec::new();
    let error = from.take(most as u64).read_to_end(&mut bytes).err();
    (bytes, error)
}

/// The rest of a file behind its head. Of a long one its first and its last half.
fn read_ends(
    head: Vec<u8>,
    mut from: impl Read,
    most: usize,
) -> (Vec<u8>, bool, Option<io::Error>) {
    let mut bytes = head;
    let first = (most / 2).saturating_sub(bytes.len());
    let (more, error) = read_up_to(&mut from, first);
    bytes.extend(more);
    if error.is_some() {
        return (bytes, true, error);
    }
    // Two halves of the end, of which the older is thrown away when the newer is full.
    let quarter = (most / 4).max(1);
    let (mut older, mut newer) = (Vec::new(), Vec::new());
    let mut cut = false;
    let error = loop {
        let (piece, error) = read_up_to(&mut from, quarter);
        if piece.is_empty() || error.is_some() {
            older.extend(newer);
            newer = piece;
            break error;
        }
        cut |= !older.is_empty();
        older = std::mem::replace(&mut newer, piece);
    };
    let tail = [older, newer].concat();
    // Whole lines, so that nobody takes two halves for one.
    let begin = match cut {
        true => memchr::memchr(b'\n', &tail).map_or(tail.len(), |end| end + 1),
        false => 0,
    };
    if cut {
        bytes.push(b'\n');
    }
    bytes.extend(&tail[begin..]);
    (bytes, cut || error.is_some(), error)
}

/// For people: a name in an archive may be endless.
fn clipped(name: &str) -> String {
    match name.char_indices().nth(200) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}...", &name[..end]),
    }
}

#[cfg(test)]
mod tests;
