//! What an entry of the cache holds, recorded when it is filled, so that it can be proven later.
//!
//! The record is a text file in the entry, one line a directory, file or symbolic link:
//!
//! ```text
//! crashdrill contents 1
//! directory 755 0 - kernel
//! file 644 8231232 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 kernel/bzImage
//! link 777 7 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae userland/lib
//! ```
//!
//! Kind, mode in octal digits, size in bytes, digest, and the path with `\xNN` for every byte that
//! is no visible ASCII. A link's digest is the SHA-256 of its target.
//!
//! A file's digest is the SHA-256 of its bytes, as sha256sum(1) prints it, unless the file has
//! whole blocks of zeros (4096 bytes, at a multiple of that). These are left out, and the digest is
//! then the SHA-256 of the first one's 32 bytes and the runs of such blocks: for each its offset and
//! its length, 8 bytes little-endian. So it does not matter where a file has holes, and holes cost
//! nothing to prove.
//!
//! This tells damage: a disk that forgets, a program that writes where it should not. It does not
//! keep out somebody who may write to the cache, and could write the record as well.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use sha2::{Digest, Sha256};

use super::cache::{CacheError, failed};
use super::trust::Sum;

/// The record's own name; it is not among what it records.
pub(super) const CONTENTS: &str = "contents";
const FIRST_LINE: &str = "crashdrill contents 1";
/// No record is larger: it would have a million lines.
const MOST_RECORD: u64 = 256 << 20;
/// What the digest leaves out when it is all zeros, and the file system may leave out too.
const BLOCK: u64 = 4096;
const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
/// Read at a time; a multiple of [`BLOCK`].
const BUFFER: usize = 1 << 20;

/// What an entry holds, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Contents(BTreeMap<PathBuf, Node>);

/// One thing in an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    kind: Kind,
    /// The twelve bits that chmod(1) sets.
    mode: u32,
    /// Of a file its size, of a link the length of its target.
    bytes: u64,
    /// None of what holds no bytes, and of a file that its own owner may not read.
    digest: Option<Sum>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    File,
    Link,
    /// A device, a pipe, a socket.
    Special,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Directory, Kind::File, Kind::Link, Kind::Special];

    fn word(self) -> &'static str {
        match self {
            Kind::Directory => "directory",
            Kind::File => "file",
            Kind::Link => "link",
            Kind::Special => "special",
        }
    }
}

/// What came of holding an entry against its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// It was filled by a crashdrill that kept no record.
    NoRecord,
    /// The record cannot be read, and why.
    BadRecord(String),
    /// Everything was held against it.
    Compared {
        /// Regular files that are recorded.
        files: usize,
        /// What is not as recorded, by path; nothing when all is well.
        differences: Vec<Difference>,
    },
}

/// Something that is not as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Below the entry.
    pub path: PathBuf,
    /// How it differs.
    pub change: Change,
}

/// How something differs from what was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Its bytes, or where a link leads.
    Content,
    /// Its mode: recorded, and found.
    Mode(u32, u32),
    /// It was a file and is a directory, or the like.
    Kind,
    /// It is not there.
    Missing,
    /// It was not there.
    Added,
    /// It may not be read, so nobody can tell.
    Unreadable,
}

/// Records what a directory holds, in a file in it.
///
/// # Errors
/// Something in it cannot be read, or the record not written.
pub(super) fn record(directory: &Path) -> Result<(), CacheError> {
    let path = directory.join(CONTENTS);
    let text = Contents::of(directory)?.to_text();
    fs::write(&path, text).map_err(failed("write", &path))
}

/// Holds a directory against its record.
///
/// # Errors
/// Something in it cannot be read, by the fault of the disk.
pub fn verify(directory: &Path) -> Result<Verified, CacheError> {
    let path = directory.join(CONTENTS);
    let recorded = match read_record(&path) {
        Ok(recorded) => recorded,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Verified::NoRecord),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Ok(Verified::BadRecord(error.to_string()));
        }
        Err(error) => return Err(failed("read", &path)(error)),
    };
    let found = Contents::of(directory)?;
    let files = recorded.0.values();
    Ok(Verified::Compared {
        files: files.filter(|node| node.kind == Kind::File).count(),
        differences: recorded.differences(&found),
    })
}

fn read_record(path: &Path) -> io::Result<Contents> {
    let bad = |message| io::Error::new(io::ErrorKind::InvalidData, message);
    let data = fs::symlink_metadata(path)?;
    if !data.is_file() || data.len() > MOST_RECORD {
        return Err(bad("it is no file of lines".to_owned()));
    }
    let mut text = String::new();
    open(path)?.take(MOST_RECORD).read_to_string(&mut text)?;
    Contents::parse(&text).map_err(bad)
}

impl Contents {
    /// Reads all that is there, with all CPUs.
    fn of(directory: &Path) -> Result<Self, CacheError> {
        let mut nodes = BTreeMap::new();
        let mut files = Vec::new();
        let mut pending = vec![PathBuf::new()];
        while let Some(below) = pending.pop() {
            let full = directory.join(&below);
            for entry in fs::read_dir(&full).map_err(failed("list", &full))? {
                let entry = entry.map_err(failed("list", &full))?;
                let path = below.join(entry.file_name());
                if path == Path::new(CONTENTS) {
                    continue;
                }
                let data = entry.metadata().map_err(failed("look at", &entry.path()))?;
                let node = Node::of(&entry.path(), &data)?;
                match node.kind {
                    Kind::Directory => pending.push(path.clone()),
                    Kind::File => files.push((path.clone(), data.len())),
                    Kind::Link | Kind::Special => {}
                }
                nodes.insert(path, node);
            }
        }
        for (path, digest) in digests(directory, files)? {
            if let Some(node) = nodes.get_mut(&path) {
                node.digest = digest;
            }
        }
        Ok(Self(nodes))
    }

    fn to_text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n");
        for (path, node) in &self.0 {
            let digest = node.digest.map_or("-".to_owned(), |sum| sum.to_string());
            let (kind, mode, bytes) = (node.kind.word(), node.mode, node.bytes);
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "{kind} {mode:o} {bytes} {digest} {}",
                escaped(path.as_os_str().as_bytes())
            );
        }
        text
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err(format!("its first line is not `{FIRST_LINE}`"));
        }
        let mut nodes = BTreeMap::new();
        for (line, number) in lines.zip(2_usize..) {
            let Some((path, node)) = parse_line(line) else {
                return Err(format!("line {number} is none of a record"));
            };
            if nodes.insert(path, node).is_some() {
                return Err(format!("line {number} records a path again"));
            }
        }
        Ok(Self(nodes))
    }

    /// What is not in `found` as it is here.
    fn differences(&self, found: &Self) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut differs = |path: &Path, change| {
            differences.push(Difference {
                path: path.to_owned(),
                change,
            });
        };
        for (path, node) in &self.0 {
            match found.0.get(path) {
                None => differs(path, Change::Missing),
                Some(now) => node.changes(now).for_each(|change| differs(path, change)),
            }
        }
        for path in found.0.keys() {
            if !self.0.contains_key(path) {
                differs(path, Change::Added);
            }
        }
        differences.sort_by(|one, other| one.path.cmp(&other.path));
        differences
    }
}

fn parse_line(line: &str) -> Option<(PathBuf, Node)> {
    let mut words = line.split(' ');
    let word = words.next()?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word)?;
    let mode = words.next()?;
    let node = Node {
        kind,
        mode: u32::from_str_radix(mode, 8).ok()?,
        bytes: words.next()?.parse().ok()?,
        digest: match words.next()? {
            "-" => None,
            digest => Some(digest.parse().ok()?),
        },
    };
    let path = unescaped(words.next()?)?;
    (words.next().is_none() && !path.is_empty()).then(|| (OsString::from_vec(path).into(), node))
}

impl Node {
    /// Without the digest of a file.
    fn of(path: &Path, data: &Metadata) -> Result<Self, CacheError> {
        let kind = data.file_type();
        let kind = if kind.is_dir() {
            Kind::Directory
        } else if kind.is_file() {
            Kind::File
        } else if kind.is_symlink() {
            Kind::Link
        } else {
            Kind::Special
        };
        let digest = match kind {
            Kind::Link => {
                let target = fs::read_link(path).map_err(failed("read", path))?;
                let target = target.as_os_str().as_bytes();
                Some(Sum::of(target).map_err(failed("read", path))?)
            }
            Kind::Directory | Kind::File | Kind::Special => None,
        };
        Ok(Self {
            kind,
            mode: data.mode() & 0o7777,
            bytes: match kind {
                Kind::File | Kind::Link => data.len(),
                // What a directory takes is the file system's affair.
                Kind::Directory | Kind::Special => 0,
            },
            digest,
        })
    }

    fn changes(&self, now: &Self) -> impl Iterator<Item = Change> {
        if self.kind != now.kind {
            return [Some(Change::Kind), None].into_iter().flatten();
        }
        let mode = (self.mode != now.mode).then_some(Change::Mode(self.mode, now.mode));
        let content = match (self.digest, now.digest) {
            _ if self.bytes != now.bytes => Some(Change::Content),
            (Some(_), None) => Some(Change::Unreadable),
            (Some(then), Some(now)) if then != now => Some(Change::Content),
            _ => None,
        };
        [content, mode].into_iter().flatten()
    }
}

/// The digests of files, by as many threads as there are CPUs. The largest come first, so that no
/// thread is left alone with one of them at the end.
fn digests(
    directory: &Path,
    mut files: Vec<(PathBuf, u64)>,
) -> Result<Vec<(PathBuf, Option<Sum>)>, CacheError> {
    files.sort_by_key(|(_, bytes)| *bytes);
    let pending = Mutex::new(files);
    let next = || {
        let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.pop()
    };
    let work = || -> Result<Vec<(PathBuf, Option<Sum>)>, CacheError> {
        let mut buffer = vec![0; BUFFER];
        let mut done = Vec::new();
        while let Some((path, bytes)) = next() {
            let full = directory.join(&path);
            let sum = match open(&full).and_then(|file| digest(&file, bytes, &mut buffer)) {
                Ok(sum) => Some(sum),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
                Err(error) => return Err(failed("read", &full)(error)),
            };
            done.push((path, sum));
        }
        Ok(done)
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work()?;
        for other in others {
            let done = other.join().unwrap_or_else(|panic| {
                std::panic::resume_unwind(panic);
            });
            all.extend(done?);
        }
        Ok(all)
    })
}

/// Never a device or a pipe in a file's place, however it came there.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options.open(path)
}

/// As the head of this file says.
fn digest(file: &File, bytes: u64, buffer: &mut [u8]) -> io::Result<Sum> {
    let mut data = Sha256::new();
    let mut zeros = Runs::default();
    let whole = bytes - bytes % BLOCK;
    let mut at = 0;
    while at < whole {
        let Some(start) = seek(file, at, Whence::SeekData)?.filter(|start| *start < whole) else {
            zeros.add(at, whole);
            break;
        };
        // A file system's blocks may be smaller.
        let from = start - start % BLOCK;
        zeros.add(at, from);
        let hole = seek(file, start, Whence::SeekHole)?.unwrap_or(whole);
        // The next round begins further on, whatever the file system says.
        let end = hole.max(start + 1).next_multiple_of(BLOCK).min(whole);
        at = from;
        while at < end {
            let part = usize::try_from(end - at).map_or(BUFFER, |left| left.min(BUFFER));
            let part = &mut buffer[..part];
            file.read_exact_at(part, at)?;
            for block in part.chunks(BLOCK as usize) {
                match block == ZEROS {
                    true => zeros.add(at, at + BLOCK),
                    false => data.update(block),
                }
                at += BLOCK;
            }
        }
    }
    let rest = &mut buffer[..(bytes - whole) as usize];
    file.read_exact_at(rest, whole)?;
    data.update(rest);
    let data: [u8; 32] = data.finalize().into();
    Ok(match zeros.0.is_empty() {
        true => data.into(),
        false => zeros.with(data).into(),
    })
}

/// Where the next data or hole is; none when there is no more data.
fn seek(file: &File, at: u64, what: Whence) -> io::Result<Option<u64>> {
    let from = i64::try_from(at).map_err(io::Error::other)?;
    match (lseek(file, from, what), what) {
        (Ok(found), _) => Ok(u64::try_from(found).ok()),
        (Err(Errno::ENXIO), _) => Ok(None),
        // A file system that knows nothing of holes: lseek(2) lets it say so.
        (Err(Errno::EINVAL | Errno::EOPNOTSUPP), Whence::SeekData) => Ok(Some(at)),
        (Err(Errno::EINVAL | Errno::EOPNOTSUPP), _) => Ok(None),
        (Err(error), _) => Err(error.into()),
    }
}

/// Runs of blocks: first and end.
#[derive(Default)]
struct Runs(Vec<(u64, u64)>);

impl Runs {
    fn add(&mut self, start: u64, end: u64) {
        match self.0.last_mut() {
            _ if start == end => {}
            Some((_, last)) if *last == start => *last = end,
            _ => self.0.push((start, end)),
        }
    }

    fn with(self, data: [u8; 32]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(data);
        for (start, end) in self.0 {
            hash.update(start.to_le_bytes());
            hash.update((end - start).to_le_bytes());
        }
        hash.finalize().into()
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'!'..=b'~' if byte != b'\\' => text.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(text, "\\x{byte:02x}")),
        }
    }
    text
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('\\');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.strip_prefix('x')?.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.as_bytes());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
