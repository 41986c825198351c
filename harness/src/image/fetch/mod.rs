//! Files of a manifest, from this machine or from a URL.
//!
//! A download is `download/<hash>-<file name>` in the cache. It grows as `.part` beside it and is
//! renamed when it is whole, so that the next process goes on where this one was interrupted.

mod downloads;
mod error;
mod transfer;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::cache::{Cache, Share, acquire, open_lock};
use super::error::ImageError;
use super::location::Location;
use super::progress::{Progress, Step};
use super::trust::Sum;
use crate::units::Bytes;

use downloads::Place;
pub use downloads::{Download, downloads, remove_download};
pub use error::FetchError;
use error::failed;
use transfer::{Client, Transfer};

/// A file that is all there.
#[derive(Debug)]
pub(super) struct Fetched {
    path: PathBuf,
    /// Of a download: keeps others from removing it.
    lease: Option<File>,
}

impl Fetched {
    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is a download of ours and no file of the user's.
    pub(super) fn is_download(&self) -> bool {
        self.lease.is_some()
    }

    /// It is not needed any more, or is not what it should be: a download is removed, unless
    /// another process works with it, too; a file of the user's stays.
    pub(super) fn discard(self) -> Result<(), ImageError> {
        match &self.lease {
            Some(lease) if lease.try_lock().is_ok() => Ok(remove(&self.path)?),
            _ => Ok(()),
        }
    }
}

impl Drop for Fetched {
    /// Closing would not do: a child between fork and exec has the file open as well, and with it the
    /// lock (flock(2)).
    fn drop(&mut self) {
        if let Some(lease) = &self.lease {
            // What cannot be unlocked is so when the last of them has closed it.
            let _ = lease.unlock();
        }
    }
}

/// Makes a file available that has at most `most` bytes, and `sum` if that is known.
///
/// # Errors
/// [`FetchError`]; what was downloaded and is not what it should be is gone.
pub(super) fn fetch(
    location: &Location,
    most: Bytes,
    sum: Option<&Sum>,
    cache: &Cache,
    item: &str,
    progress: &dyn Progress,
) -> Result<Fetched, ImageError> {
    let wanted = Wanted { most, sum };
    match location {
        Location::File(path) => {
            wanted.check(&open(path)?, path, path.display())?;
            Ok(Fetched {
                path: path.clone(),
                lease: None,
            })
        }
        Location::Url(url) => {
            let client = Client::usual();
            Ok(download(url, wanted, cache, &client, item, progress)?)
        }
    }
}

/// What a file has to be.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    most: Bytes,
    sum: Option<&'a Sum>,
}

impl Wanted<'_> {
    /// `from` is the file's place for people.
    fn check(self, file: &File, path: &Path, from: impl ToString) -> Result<(), FetchError> {
        let size = file.metadata().map_err(failed("look at", path))?.len();
        if size > self.most.0 {
            return Err(FetchError::too_large(from, Some(size), self.most));
        }
        let Some(&wanted) = self.sum else {
            return Ok(());
        };
        match Sum::of(file).map_err(failed("read", path))? {
            found if found == wanted => Ok(()),
            found => Err(FetchError::Sum {
                from: from.to_string(),
                wanted,
                found,
            }),
        }
    }
}

/// Without waiting for somebody at the other end of a pipe.
fn open(path: &Path) -> Result<File, FetchError> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(failed("open", path))?;
    let data = file.metadata().map_err(failed("look at", path))?;
    match data.is_file() {
        true => Ok(file),
        false => Err(FetchError::NoFile(path.to_owned())),
    }
}

/// `None` when it is not there.
fn open_if_there(path: &Path) -> Result<Option<File>, FetchError> {
    match open(path) {
        Ok(file) => Ok(Some(file)),
        Err(FetchError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> Result<(), FetchError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Nobody writes while another reads: a download grows under an exclusive lock, and is used and
/// waited for under a shared one, so that two processes that want the same two files cannot wait
/// for each other.
fn download(
    url: &str,
    wanted: Wanted,
    cache: &Cache,
    client: &Client,
    item: &str,
    progress: &dyn Progress,
) -> Result<Fetched, FetchError> {
    let place = Place::new(cache, url, wanted.sum);
    let (whole, part) = (place.whole(), place.part());
    let checking = || {
        if wanted.sum.is_some() {
            let step = Step::Downloading {
                percent: Some(100.0),
                text: format!("{}: checking its SHA-256", place.file_name()),
            };
            progress.report(item, &step);
        }
    };
    let lock = open_lock(place.directory(), place.name())?;
    // The file that was found to be right. Converting a flock is not atomic, so that another one
    // may be there, or none, when the lock has become a shared one.
    let mut right: Option<(u64, u64)> = None;
    loop {
        acquire(&lock, Share::Shared, &whole, item, progress)?;
        if let Some(file) = open_if_there(&whole)? {
            let identity = identity(&file, &whole)?;
            if right != Some(identity) {
                checking();
            }
            if right == Some(identity) || wanted.check(&file, &whole, url).is_ok() {
                return Ok(Fetched {
                    path: whole,
                    lease: Some(lock),
                });
            }
        }
        acquire(&lock, Share::Exclusive, &whole, item, progress)?;
        if let Some(file) = open_if_there(&whole)? {
            match wanted.check(&file, &whole, url) {
                Ok(()) => right = Some(identity(&file, &whole)?),
                // What an earlier process left is no use to anybody.
                Err(_) => remove(&whole)?,
            }
            continue;
        }
        Transfer {
            url,
            place: &place,
            most: wanted.most,
            client,
            item,
            progress,
        }
        .run()?;
        checking();
        let file = open(&part)?;
        if let Err(error) = wanted.check(&file, &part, url) {
            place.forget()?;
            return Err(error);
        }
        fs::rename(&part, &whole).map_err(failed("rename to", &whole))?;
        place.forget()?;
        right = Some(identity(&file, &whole)?);
    }
}

fn identity(file: &File, path: &Path) -> Result<(u64, u64), FetchError> {
    let data = file.metadata().map_err(failed("look at", path))?;
    Ok((data.dev(), data.ino()))
}

#[cfg(test)]
pub(super) mod server;
#[cfg(test)]
mod tests;
