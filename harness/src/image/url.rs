//! Images from an archive with a kernel and its modules.

use super::cache::{Cache, EntryId};
use super::error::ImageError;
use super::manifest::UrlSource;
use super::open::Image;
use super::progress::Progress;

/// The cache entry of such an image.
pub(super) fn id(_name: &str, _source: &UrlSource) -> Result<EntryId, ImageError> {
    Err(ImageError::Url("not there yet".to_owned()))
}

/// Opens it; without the programs of a lender.
pub(super) fn open(
    _name: &str,
    _source: &UrlSource,
    _cache: &Cache,
    _progress: &dyn Progress,
) -> Result<Image, ImageError> {
    Err(ImageError::Url("not there yet".to_owned()))
}
