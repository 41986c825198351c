//! Images from an archive with a kernel and its modules.

mod archive;
mod packing;

use std::fs::{self, File};

use super::cache::{Cache, EntryId, Kind};
use super::error::{ImageError, io as failed};
use super::fetch::fetch;
use super::index::{Origin, Package, USERLAND};
use super::manifest::UrlSource;
use super::open::Image;
use super::progress::{Progress, Step};
use super::sort_out::sort_out;
use super::unpack::{Budget, UnpackError};
use crate::units::Bytes;

pub use archive::{ArchiveError, unpack_archive};
pub(crate) use packing::unpacked;

/// A kernel with all of its modules and their debugging information has 1 GiB.
const MOST_ARCHIVE: Bytes = Bytes(4 * Bytes::GIB);
/// Such a kernel unpacked, with a userland.
const MOST: Budget = Budget {
    bytes: 16 * Bytes::GIB,
    files: 200_000,
};

/// The cache entry of such an image.
pub(super) fn id(name: &str, source: &UrlSource) -> EntryId {
    let (archive, sum) = (source.archive.to_string(), source.sha256.to_string());
    EntryId::new(Kind::Image, name, &["url", &archive, &sum])
}

/// Opens it; without the programs of a lender.
pub(super) fn open(
    name: &str,
    source: &UrlSource,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Image, ImageError> {
    let item = format!("image {name}");
    let id = id(name, source);
    let entry = cache.entry(&id, &item, progress, |staging| -> Result<(), ImageError> {
        let sum = Some(&source.sha256);
        let fetched = fetch(&source.archive, MOST_ARCHIVE, sum, cache, &item, progress)?;
        let path = fetched.path();
        let archive = File::open(path).map_err(failed("open", path))?;
        let bytes = archive.metadata().map_err(failed("look at", path))?.len();
        progress.report(&item, &Step::Unpacking { done: 0, total: 1 });
        let root = staging.join(USERLAND);
        fs::create_dir(&root).map_err(failed("make", &root))?;
        if let Err(error) = unpack_archive(archive, &root, MOST) {
            // It will be no better the next time, unless it is this machine that failed.
            if !matches!(error, ArchiveError::Member(UnpackError::Io { .. })) {
                fetched.discard()?;
            }
            return Err(ImageError::Archive {
                archive: source.archive.to_string(),
                source: Box::new(error),
            });
        }
        let package = Package {
            name: source.archive.file_name().into_owned(),
            version: source.sha256.to_string(),
            origin: Some(Origin {
                from: source.archive.to_string(),
                bytes,
                sha256: source.sha256,
                signer: None,
            }),
        };
        sort_out(name, staging, vec![package], &item, progress)?;
        fetched.discard()
    })?;
    Image::from_entry(name, entry)
}

#[cfg(test)]
mod tests;
