//! Paths, links and the search for dumps, the same on every file system.

use super::error::TargetError;
use super::reader::{DumpReader, ReadFile};

/// What a hostile or broken file system may cost.
pub(super) const MAX_ENTRIES: usize = 20_000;
const MAX_DEPTH: usize = 8;
const MAX_DUMPS: usize = 256;
/// As many as Linux follows.
const MAX_LINKS: usize = 40;
/// PATH_MAX; a longer link target is none that Linux made.
const MAX_LINK: u64 = 4096;

/// A file system, as far as a dump needs it. Everything is read-only, and no answer costs more than
/// a bounded time and memory, whatever is on the disk.
pub(super) trait FileSystem {
    /// What names a file: an inode, or a path.
    type Node: Clone;

    fn root(&self) -> Self::Node;

    fn stat(&self, node: &Self::Node) -> Result<Stat, TargetError>;

    /// What is in a directory, `.` and `..` left out; [`MAX_ENTRIES`] at most.
    fn entries(&self, directory: &Self::Node) -> Result<Vec<Entry<Self::Node>>, TargetError>;

    /// One entry of a directory.
    fn lookup(
        &self,
        directory: &Self::Node,
        name: &[u8],
    ) -> Result<Option<Self::Node>, TargetError> {
        let entries = self.entries(directory)?;
        let found = entries.into_iter().find(|entry| entry.name == name);
        Ok(found.map(|entry| entry.node))
    }

    /// Where a symbolic link leads; it is at most [`MAX_LINK`] bytes long.
    fn link(&self, node: &Self::Node) -> Result<Vec<u8>, TargetError>;

    /// The content of a regular file.
    fn open(&self, node: &Self::Node) -> Result<Box<dyn ReadFile>, TargetError>;
}

/// An entry of a directory.
pub(super) struct Entry<Node> {
    pub(super) name: Vec<u8>,
    pub(super) node: Node,
    /// Where the directory says it.
    pub(super) kind: Option<Kind>,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    Regular,
    Link,
    /// A device, a socket, a pipe.
    Special,
}

impl Kind {
    /// From the mode of an inode.
    pub(super) fn of_mode(mode: u16) -> Self {
        match mode & 0o170_000 {
            0o040_000 => Self::Directory,
            0o100_000 => Self::Regular,
            0o120_000 => Self::Link,
            _ => Self::Special,
        }
    }
}

/// What an inode says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stat {
    pub(super) kind: Kind,
    /// In bytes.
    pub(super) len: u64,
    /// Seconds and nanoseconds since 1970.
    pub(super) modified: (i64, u32),
}

/// A file that may be a dump, or the log beside one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpFile {
    /// On the target, absolute.
    pub path: String,
    /// Last component of the path: `vmcore`, `vmcore-incomplete`, `vmcore.flat`, `dump.…`.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// What a capture kernel has left on a target: the newest directory first, in one directory
/// complete names before incomplete ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// RHEL's `vmcore`, `vmcore-incomplete`, `vmcore.flat`; Debian's `dump.…`, `dump-incomplete`.
    pub dumps: Vec<DumpFile>,
    /// The dead kernel's messages as text: RHEL's `vmcore-dmesg.txt`, Debian's `dmesg.…`.
    pub logs: Vec<DumpFile>,
}

/// RHEL's kdump names them vmcore…, Debian's dump.…; vmcore-dmesg.txt is text.
fn is_dump_name(name: &str) -> bool {
    (name.starts_with("vmcore") && !is_log_name(name))
        || name.starts_with("dump.")
        || name == "dump-incomplete"
}

fn is_log_name(name: &str) -> bool {
    name.starts_with("vmcore-dmesg") || name.starts_with("dmesg.")
}

/// A file on the way from the root, with the names that lead to it.
struct Place<Node> {
    node: Node,
    /// Absolute, without a slash at the end: the root is empty.
    path: String,
}

/// Files below `directory` that are named like dumps and logs. Links are not followed. A
/// `directory` that does not exist holds none.
pub(super) fn find<F: FileSystem>(fs: &F, directory: &str) -> Result<Found, TargetError> {
    let root = match resolve(fs, directory) {
        Ok(root) => root,
        Err(TargetError::NotFound(_)) => return Ok(Found::default()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    let mut entries_left = MAX_ENTRIES;
    let mut waiting = vec![(root, 0)];
    while let Some((place, depth)) = waiting.pop() {
        let age = fs.stat(&place.node)?.modified;
        for entry in fs.entries(&place.node)? {
            entries_left = entries_left.checked_sub(1).ok_or_else(too_many_files)?;
            let Ok(name) = String::from_utf8(entry.name) else {
                continue;
            };
            let kind = match entry.kind {
                Some(kind) => kind,
                None => fs.stat(&entry.node)?.kind,
            };
            let path = format!("{}/{name}", place.path);
            if kind == Kind::Directory && depth < MAX_DEPTH {
                let node = entry.node;
                waiting.push((Place { node, path }, depth + 1));
            } else if kind == Kind::Regular && (is_dump_name(&name) || is_log_name(&name)) {
                let bytes = fs.stat(&entry.node)?.len;
                found.push((age, DumpFile { path, name, bytes }));
            }
            if found.len() > MAX_DUMPS {
                return Err(TargetError::Unreasonable(format!(
                    "has more than {MAX_DUMPS} dumps"
                )));
            }
        }
    }
    found.sort_by(|(age, file), (other_age, other)| {
        let unfinished = |file: &DumpFile| file.name.contains("incomplete");
        other_age
            .cmp(age)
            .then_with(|| unfinished(file).cmp(&unfinished(other)))
            .then_with(|| file.path.cmp(&other.path))
    });
    let (logs, dumps) = found
        .into_iter()
        .map(|(_, file)| file)
        .partition(|file| is_log_name(&file.name));
    Ok(Found { dumps, logs })
}

/// Names in `directory`; those that are no UTF-8 are left out.
pub(super) fn list<F: FileSystem>(fs: &F, directory: &str) -> Result<Vec<String>, TargetError> {
    let directory = resolve(fs, directory)?.node;
    if fs.stat(&directory)?.kind != Kind::Directory {
        return Ok(Vec::new());
    }
    let entries = fs.entries(&directory)?.into_iter();
    Ok(entries
        .filter_map(|entry| String::from_utf8(entry.name).ok())
        .collect())
}

/// Opens a regular file of a disk of `disk_len` bytes.
pub(super) fn open<F: FileSystem>(
    fs: &F,
    path: &str,
    disk_len: u64,
) -> Result<DumpReader, TargetError> {
    let node = resolve(fs, path)?.node;
    let Stat { kind, len, .. } = fs.stat(&node)?;
    if kind != Kind::Regular {
        return Err(TargetError::FileSystem(format!(
            "`{path}` is not a regular file"
        )));
    }
    if len > disk_len {
        return Err(TargetError::Unreasonable(format!(
            "says that `{path}` has {len} bytes, on a disk of {disk_len}"
        )));
    }
    Ok(DumpReader::new(len, fs.open(&node)?))
}

/// Walks `path` from the root, through symbolic links.
fn resolve<F: FileSystem>(fs: &F, path: &str) -> Result<Place<F::Node>, TargetError> {
    let missing = || TargetError::NotFound(path.to_owned());
    let mut trail = Vec::new();
    let mut here = Place {
        node: fs.root(),
        path: String::new(),
    };
    let mut links = 0;
    // The next component is at the end.
    let mut ahead: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
    while let Some(name) = ahead.pop() {
        match name.as_str() {
            "" | "." => continue,
            ".." => {
                here = trail.pop().unwrap_or(here);
                continue;
            }
            _ => {}
        }
        if fs.stat(&here.node)?.kind != Kind::Directory {
            return Err(missing());
        }
        let node = fs.lookup(&here.node, name.as_bytes())?;
        let node = node.ok_or_else(missing)?;
        let stat = fs.stat(&node)?;
        if stat.kind != Kind::Link {
            let path = format!("{}/{name}", here.path);
            trail.push(std::mem::replace(&mut here, Place { node, path }));
            continue;
        }
        links += 1;
        if links > MAX_LINKS || stat.len > MAX_LINK {
            return Err(TargetError::Unreasonable(format!(
                "has a link `{}/{name}` without end",
                here.path
            )));
        }
        let target = String::from_utf8(fs.link(&node)?).map_err(|_| missing())?;
        if target.starts_with('/') {
            trail.truncate(1);
            here = trail.pop().unwrap_or(here);
        }
        ahead.extend(target.rsplit('/').map(str::to_owned));
    }
    Ok(here)
}

/// More entries than a directory, or all of them together, may have.
pub(super) fn too_many_files() -> TargetError {
    TargetError::Unreasonable(format!("has more than {MAX_ENTRIES} files"))
}
