//! The cache: directories that are filled once, whole, and then only read.
//!
//! An entry is `<kind>/<name>-<hash of what defines it>`. It is filled in a hidden directory beside
//! it, recorded ([`contents`]), and renamed when everything is on the disk, so an entry that exists
//! is complete. One lock file an entry (flock, so that a dead process holds nothing) makes a second
//! process wait for the first, keeps entries in use from being removed, and tells a staging
//! directory that somebody is filling from one that a killed process left.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::contents;
use super::progress::{Progress, Step};

/// Raised whenever what is stored in an entry changes its form.
const FORMAT: u32 = 4;

/// Something went wrong with the cache directory itself.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Neither `CRASHDRILL_CACHE`, `XDG_CACHE_HOME` nor `HOME` says where it is.
    #[error("no place for the cache: set CRASHDRILL_CACHE to a directory, or HOME")]
    Nowhere,
    /// A file operation failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process has the entry open.
    #[error("{name} is in use by another crashdrill process; try again when it has ended")]
    InUse {
        /// The entry.
        name: String,
    },
}

pub(super) fn failed<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> CacheError + 'a {
    move |source| CacheError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// What an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A kernel with modules, and a userland.
    Image,
    /// A QEMU with its libraries.
    Qemu,
    /// Keys for ssh.
    Keys,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Image, Kind::Qemu, Kind::Keys];

    fn directory(self) -> &'static str {
        match self {
            Kind::Image => "image",
            Kind::Qemu => "qemu",
            Kind::Keys => "keys",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.directory())
    }
}

/// The name of an entry: two that are defined differently never share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryId {
    kind: Kind,
    name: String,
    hash: String,
}

impl EntryId {
    /// `definition` is everything that decides what the entry will hold. Characters of `name` that
    /// are not letters, digits, dots or hyphens become hyphens.
    pub fn new(kind: Kind, name: &str, definition: &[&str]) -> Self {
        let mut hash = Sha256::new();
        hash.update(FORMAT.to_le_bytes());
        for part in definition {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let hash = hash.finalize();
        let hash = hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        let name = name.replace(|c| !safe(c), "-");
        let name = name.trim_start_matches('.').to_owned();
        Self { kind, name, hash }
    }

    /// Name of its directory, and [`Listed::name`].
    pub fn file_name(&self) -> String {
        format!("{}-{}", self.name, self.hash)
    }
}

/// A complete entry, kept from being removed for as long as this value lives.
#[derive(Debug)]
pub struct Entry {
    /// Its directory.
    pub path: PathBuf,
    _lease: File,
}

/// An entry as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What it holds.
    pub kind: Kind,
    /// `<name>-<hash>`.
    pub name: String,
    /// Its directory.
    pub path: PathBuf,
    /// Disk space it takes.
    pub bytes: u64,
    /// When it was filled.
    pub filled: SystemTime,
}

impl Listed {
    /// Whether it is this entry.
    pub fn is(&self, id: &EntryId) -> bool {
        self.kind == id.kind && self.name == id.file_name()
    }

    /// Its name without the hash: the image's that it was filled for, or what else it is.
    pub fn of(&self) -> &str {
        let name = self.name.rsplit_once('-');
        name.map_or(self.name.as_str(), |(name, _hash)| name)
    }
}

/// The cache directory.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// A cache in this directory, which is made when first needed.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// `$CRASHDRILL_CACHE`, else `$XDG_CACHE_HOME/crashdrill`, else `$HOME/.cache/crashdrill`.
    ///
    /// # Errors
    /// When none of the three is set.
    pub fn from_env() -> Result<Self, CacheError> {
        Self::from_variables(|name| std::env::var_os(name).map(PathBuf::from))
    }

    fn from_variables(get: impl Fn(&str) -> Option<PathBuf>) -> Result<Self, CacheError> {
        let set = |name| get(name).filter(|path| !path.as_os_str().is_empty());
        // The XDG specification says to ignore a relative path.
        set("CRASHDRILL_CACHE")
            .or_else(|| {
                let base = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
                base.or_else(|| Some(set("HOME")?.join(".cache")))
                    .map(|base| base.join("crashdrill"))
            })
            .map(|root| Self::at(std::path::absolute(&root).unwrap_or(root)))
            .ok_or(CacheError::Nowhere)
    }

    /// The cache directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Opens an entry; when it does not exist yet, `fill` fills the empty directory that it is given.
    ///
    /// Blocks while another process fills the same entry.
    ///
    /// # Errors
    /// What `fill` returns, or a [`CacheError`]; in both cases the entry does not exist.
    pub fn entry<E: From<CacheError>>(
        &self,
        id: &EntryId,
        item: &str,
        progress: &dyn Progress,
        fill: impl Fn(&Path) -> Result<(), E>,
    ) -> Result<Entry, E> {
        // Every start of a crashdrill comes by here, so what a killed one left does not stay.
        self.sweep();
        let directory = self.root.join(id.kind.directory());
        let path = directory.join(id.file_name());
        let lock = open_lock(&directory, &id.file_name())?;
        loop {
            acquire(&lock, Share::Shared, &path, item, progress)?;
            if path.is_dir() {
                return Ok(Entry { path, _lease: lock });
            }
            // Converting a flock is not atomic, so the question is asked again on both sides.
            acquire(&lock, Share::Exclusive, &path, item, progress)?;
            if path.is_dir() {
                continue;
            }
            let staging = Staging::new(staging_path(&directory, &id.file_name()))?;
            fill(&staging.path)?;
            contents::record(&staging.path)?;
            staging.publish(&directory, &path)?;
            progress.report(item, &Step::Done);
        }
    }

    /// Opens an entry if it is there. Nothing is filled, and nobody is waited for: one that another
    /// process is removing is not there.
    ///
    /// # Errors
    /// Its lock cannot be opened.
    pub fn held(&self, id: &EntryId) -> Result<Option<Entry>, CacheError> {
        self.hold(id.kind, &id.file_name())
    }

    /// [`Cache::held`] for an entry that was listed.
    ///
    /// # Errors
    /// As there.
    pub fn held_listed(&self, entry: &Listed) -> Result<Option<Entry>, CacheError> {
        self.hold(entry.kind, &entry.name)
    }

    fn hold(&self, kind: Kind, name: &str) -> Result<Option<Entry>, CacheError> {
        let directory = self.root.join(kind.directory());
        let path = directory.join(name);
        if !path.is_dir() {
            return Ok(None);
        }
        let lock = open_lock(&directory, name)?;
        match lock.try_lock_shared() {
            Ok(()) if path.is_dir() => Ok(Some(Entry { path, _lease: lock })),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
        }
    }

    /// All entries, by kind and name. Also sweeps what killed processes left.
    ///
    /// # Errors
    /// When a directory cannot be read. An absent cache has no entries.
    pub fn entries(&self) -> Result<Vec<Listed>, CacheError> {
        self.sweep();
        let mut listed = Vec::new();
        for kind in Kind::ALL {
            let directory = self.root.join(kind.directory());
            let read = match fs::read_dir(&directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                read => read.map_err(failed("list", &directory))?,
            };
            for entry in read {
                let path = entry.map_err(failed("list", &directory))?.path();
                let name = file_name(&path);
                if name.starts_with('.') || !path.is_dir() {
                    continue;
                }
                let filled = fs::metadata(&path)
                    .and_then(|data| data.modified())
                    .map_err(failed("look at", &path))?;
                let bytes = disk_usage(&path);
                listed.push(Listed {
                    kind,
                    name,
                    path,
                    bytes,
                    filled,
                });
            }
        }
        listed.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        Ok(listed)
    }

    fn sweep(&self) {
        for kind in Kind::ALL {
            sweep(&self.root.join(kind.directory()));
        }
    }

    /// Removes an entry that nobody has open.
    ///
    /// # Errors
    /// [`CacheError::InUse`] when a process, this one included, has it open.
    pub fn remove(&self, entry: &Listed) -> Result<(), CacheError> {
        let directory = self.root.join(entry.kind.directory());
        let lock = open_lock(&directory, &entry.name)?;
        if !try_exclusive(&lock, &entry.path)? {
            return Err(CacheError::InUse {
                name: entry.name.clone(),
            });
        }
        // Renamed first: half an entry must never be taken for a whole one.
        let staging = staging_path(&directory, &entry.name);
        remove_tree(&staging)?;
        fs::rename(&entry.path, &staging).map_err(failed("remove", &entry.path))?;
        remove_tree(&staging)
    }
}

/// The directory that is being filled; removed again unless it was published.
struct Staging {
    path: PathBuf,
}

impl Staging {
    fn new(path: PathBuf) -> Result<Self, CacheError> {
        remove_tree(&path)?;
        fs::create_dir(&path).map_err(failed("make", &path))?;
        Ok(Self { path })
    }

    fn publish(self, directory: &Path, entry: &Path) -> Result<(), CacheError> {
        let opened = File::open(directory).map_err(failed("open", directory))?;
        // One call for the many thousand files of an image, instead of an fsync for each.
        nix::unistd::syncfs(&opened)
            .map_err(|error| failed("write out", directory)(error.into()))?;
        fs::rename(&self.path, entry).map_err(failed("rename to", entry))?;
        opened.sync_all().map_err(failed("write out", directory))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is swept by the next process; after publish() it is gone.
        let _ = remove_tree(&self.path);
    }
}

pub(super) enum Share {
    Shared,
    Exclusive,
}

/// Waits for whoever holds the lock of `path`, and says so.
pub(super) fn acquire(
    lock: &File,
    share: Share,
    path: &Path,
    item: &str,
    progress: &dyn Progress,
) -> Result<(), CacheError> {
    let tried = match share {
        Share::Shared => lock.try_lock_shared(),
        Share::Exclusive => lock.try_lock(),
    };
    match tried {
        Ok(()) => return Ok(()),
        Err(TryLockError::WouldBlock) => progress.report(item, &Step::Waiting),
        Err(TryLockError::Error(source)) => return Err(failed("lock", path)(source)),
    }
    match share {
        Share::Shared => lock.lock_shared(),
        Share::Exclusive => lock.lock(),
    }
    .map_err(failed("lock", path))
}

/// `false` when somebody holds it, in whatever way.
pub(super) fn try_exclusive(lock: &File, path: &Path) -> Result<bool, CacheError> {
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(failed("lock", path)(source)),
    }
}

fn staging_path(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!(".{name}.filling"))
}

pub(super) fn open_lock(directory: &Path, name: &str) -> Result<File, CacheError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed("make", directory))?;
    let path = directory.join(format!(".{name}.lock"));
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        // A cache on a read-only file system can still be used.
        .or_else(|error| File::open(&path).map_err(|_| error))
        .map_err(failed("open", &path))
}

/// Removes the staging directories whose lock nobody holds. Best effort: one that cannot be removed
/// is in nobody's way.
fn sweep(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = file_name(&entry.path());
        let Some(name) = name
            .strip_prefix('.')
            .and_then(|n| n.strip_suffix(".filling"))
        else {
            continue;
        };
        if let Ok(lock) = open_lock(directory, name)
            && lock.try_lock().is_ok()
        {
            let _ = remove_tree(&entry.path());
        }
    }
}

fn remove_tree(path: &Path) -> Result<(), CacheError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

/// What an entry has at its top, with the disk space that each takes. The largest comes first.
///
/// # Errors
/// It cannot be listed.
pub fn parts(entry: &Path) -> Result<Vec<(String, u64)>, CacheError> {
    let mut parts = Vec::new();
    for part in fs::read_dir(entry).map_err(failed("list", entry))? {
        let path = part.map_err(failed("list", entry))?.path();
        parts.push((file_name(&path), disk_usage(&path)));
    }
    parts.sort_by(|(a, small), (b, large)| (large, a).cmp(&(small, b)));
    Ok(parts)
}

fn disk_usage(path: &Path) -> u64 {
    let own = fs::symlink_metadata(path).map_or(0, |data| data.blocks() * 512);
    let below = match fs::read_dir(path) {
        Ok(read) => read
            .flatten()
            .map(|entry| match entry.file_type() {
                Ok(kind) if kind.is_dir() => disk_usage(&entry.path()),
                _ => entry.metadata().map_or(0, |data| data.blocks() * 512),
            })
            .sum(),
        Err(_) => 0,
    };
    own + below
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
