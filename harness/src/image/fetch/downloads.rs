//! Where downloads lie, and what interrupted ones left there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::cache::{Cache, CacheError, failed, file_name, open_lock, try_exclusive};
use super::super::location::Location;
use super::super::trust::Sum;
use super::{FetchError, remove};

const DIRECTORY: &str = "download";
const PART: &str = ".part";
/// What the server calls the version of the file that is in the part.
const VERSION: &str = ".part.version";
/// Names of files are at most 255 bytes long.
const LONGEST: usize = 150;

/// A file that came from a URL and is not, or not any more, part of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// `<hash>-<the file's own name>`.
    pub name: String,
    /// Its size so far.
    pub bytes: u64,
    /// Whether all of it has come.
    pub complete: bool,
    /// Where it is.
    pub path: PathBuf,
}

/// Where one download is. Each digest of a URL has its own, so that manifests that do not agree do
/// not remove each other's files.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    name: String,
}

impl Place {
    pub(super) fn new(cache: &Cache, url: &str, sum: Option<&Sum>) -> Self {
        let mut hash = Sha256::new();
        hash.update(url.as_bytes());
        // No URL has a blank.
        hash.update(b" ");
        hash.update(sum.map(Sum::to_string).unwrap_or_default());
        let hash = hash.finalize();
        let hash: String = hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let safe = |c: char| c.is_ascii_alphanumeric() || "-._+".contains(c);
        let own = Location::Url(url.to_owned()).file_name().into_owned();
        let own = own.replace(|c| !safe(c), "-");
        // The end says what it is; all of it is ASCII now.
        let own = &own[own.len().saturating_sub(LONGEST)..];
        Self {
            directory: cache.root().join(DIRECTORY),
            name: format!("{hash}-{own}"),
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Also that of its lock.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The file's own name.
    pub(super) fn file_name(&self) -> &str {
        self.name.split_once('-').map_or("", |(_, own)| own)
    }

    pub(super) fn whole(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    pub(super) fn part(&self) -> PathBuf {
        self.directory.join(format!("{}{PART}", self.name))
    }

    pub(super) fn version(&self) -> PathBuf {
        self.directory.join(format!("{}{VERSION}", self.name))
    }

    /// Nothing is left to go on from.
    pub(super) fn forget(&self) -> Result<(), FetchError> {
        remove(&self.version())?;
        remove(&self.part())
    }
}

/// What was downloaded and is not in use: whole files that no image was made of yet, and what
/// interrupted downloads left.
///
/// # Errors
/// When the directory cannot be read. An absent one has none.
pub fn downloads(cache: &Cache) -> Result<Vec<Download>, CacheError> {
    let directory = cache.root().join(DIRECTORY);
    let read = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(failed("list", &directory))?,
    };
    let mut found = BTreeMap::new();
    for entry in read {
        let path = entry.map_err(failed("list", &directory))?.path();
        let file = file_name(&path);
        if file.starts_with('.') || file.ends_with(VERSION) {
            continue;
        }
        let (name, complete) = match file.strip_suffix(PART) {
            Some(name) => (name.to_owned(), false),
            None => (file, true),
        };
        let lock = open_lock(&directory, &name)?;
        if !try_exclusive(&lock, &path)? {
            continue;
        }
        let bytes = match fs::symlink_metadata(&path) {
            // Used up by another process a moment ago.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            data => data.map_err(failed("look at", &path))?.len(),
        };
        let download = Download {
            name: name.clone(),
            bytes,
            complete,
            path,
        };
        // Both are there only if a process was killed between two of its last steps.
        let known = found.entry(name).or_insert_with(|| download.clone());
        if complete {
            *known = download;
        }
    }
    Ok(found.into_values().collect())
}

/// Removes a download that nobody uses, whole or not.
///
/// # Errors
/// [`CacheError::InUse`] when a process, this one included, works with it.
pub fn remove_download(cache: &Cache, download: &Download) -> Result<(), CacheError> {
    let place = Place {
        directory: cache.root().join(DIRECTORY),
        name: download.name.clone(),
    };
    let lock = open_lock(&place.directory, &place.name)?;
    if !try_exclusive(&lock, &download.path)? {
        return Err(CacheError::InUse {
            name: download.name.clone(),
        });
    }
    for path in [place.version(), place.part(), place.whole()] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
