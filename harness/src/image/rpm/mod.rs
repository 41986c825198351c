//! Images of RPM packages: each of them signed with the one key that the manifest names, and none
//! unpacked before all have been checked.

use std::fs::{self, File};
use std::io::{Cursor, Seek};
use std::path::Path;

use super::cache::{Cache, EntryId, Kind};
use super::error::{ImageError, io as failed};
use super::fetch::{Fetched, fetch};
use super::index::{Origin, Package, Signer, USERLAND};
use super::location::Location;
use super::manifest::RpmSource;
use super::open::{Image, stamp};
use super::progress::{Progress, Step};
use super::sort_out::sort_out;
use super::trust::Sum;
use super::unpack::{Budget, Root};
use crate::units::Bytes;

mod error;
mod header;
mod package;
mod payload;
mod signature;

pub use error::{PackageError, RpmError};
pub use header::HeaderError;
pub use payload::PayloadError;
pub use signature::Covers;

use package::PackageFile;
use signature::Key;

/// The largest of RHEL's, kernel-debuginfo, which no drill needs, is larger.
const MOST_PACKAGE: Bytes = Bytes(512 * Bytes::MIB);
/// Of all packages of an image.
const BUDGET: Budget = Budget {
    bytes: 4 << 30,
    files: 500_000,
};

/// The cache entry of such an image.
///
/// # Errors
/// A package on this machine cannot be looked at.
pub(super) fn id(name: &str, source: &RpmSource) -> Result<EntryId, ImageError> {
    let mut definition = vec!["rpm".to_owned(), source.fingerprint.to_string()];
    for package in &source.packages {
        definition.push(match package {
            Location::File(path) => stamp(path)?,
            Location::Url(url) => url.clone(),
        });
    }
    let definition: Vec<&str> = definition.iter().map(String::as_str).collect();
    Ok(EntryId::new(Kind::Image, name, &definition))
}

/// The key that the manifest names, out of its file.
///
/// # Errors
/// The file has no such key any more, or cannot be read.
pub fn signer(source: &RpmSource) -> Result<Signer, RpmError> {
    Ok(Key::read(&source.key, source.fingerprint)?.signer)
}

/// Opens it; without the programs of a lender.
pub(super) fn open(
    name: &str,
    source: &RpmSource,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Image, ImageError> {
    let item = format!("image {name}");
    let entry = cache.entry(&id(name, source)?, &item, progress, |staging| {
        fill(name, source, cache, staging, &item, progress)
    })?;
    Image::from_entry(name, entry)
}

fn fill(
    name: &str,
    source: &RpmSource,
    cache: &Cache,
    staging: &Path,
    item: &str,
    progress: &dyn Progress,
) -> Result<(), ImageError> {
    let key = Key::read(&source.key, source.fingerprint)?;
    let mut checked: Vec<Checked> = Vec::new();
    for location in &source.packages {
        let fetched = fetch(location, MOST_PACKAGE, None, cache, item, progress)?;
        match check(location, &fetched, &key, &checked) {
            Ok((file, package)) => checked.push(Checked {
                location,
                fetched,
                file,
                package,
            }),
            Err(error) => {
                // What is wrong now is wrong the next time; the others are kept for that.
                fetched.discard()?;
                return Err(refused(location, error));
            }
        }
    }

    let directory = staging.join(USERLAND);
    fs::create_dir(&directory).map_err(failed("make", &directory))?;
    let mut root = Root::new(directory, BUDGET);
    let mut packages = Vec::new();
    let mut downloads = Vec::new();
    let total = checked.len();
    for (done, checked) in checked.into_iter().enumerate() {
        progress.report(item, &Step::Unpacking { done, total });
        let unpacked = checked.file.unpack(&mut root);
        unpacked.map_err(|error| refused(checked.location, error))?;
        packages.push(checked.package);
        downloads.push(checked.fetched);
    }
    sort_out(name, staging, packages, item, progress)?;
    downloads.into_iter().try_for_each(Fetched::discard)
}

/// Reads a package and unpacks it as if somebody vouched for it, of which the fuzz target has no
/// hope: within so many bytes, those of the payload included, and so many files.
///
/// # Errors
/// [`PackageError`].
pub fn dissect(package: &[u8], into: &Path, bytes: u64, files: u64) -> Result<(), PackageError> {
    let budget = Budget { bytes, files };
    let package = PackageFile::read(Cursor::new(package))?;
    for (_, signature) in signature::signatures(&package.metadata)? {
        // What it says is nobody's concern here; that it can be read is.
        let _ = signature::parse(&signature);
    }
    package.unpack_within(&mut Root::new(into.to_owned(), budget), budget)
}

/// A package that the key vouches for.
struct Checked<'a> {
    location: &'a Location,
    fetched: Fetched,
    file: PackageFile<File>,
    package: Package,
}

fn refused(location: &Location, why: PackageError) -> ImageError {
    let (package, why) = (location.file_name().into_owned(), Box::new(why));
    RpmError::Package { package, why }.into()
}

fn check(
    location: &Location,
    fetched: &Fetched,
    key: &Key,
    before: &[Checked],
) -> Result<(PackageFile<File>, Package), PackageError> {
    let unfit = |why: &str| Err(PackageError::Unfit(why.to_owned()));
    let data = fs::metadata(fetched.path())?;
    if !data.is_file() {
        return unfit("it is no regular file");
    }
    if data.len() > MOST_PACKAGE.0 {
        return unfit("it is larger than 512 MiB; no kernel is");
    }
    let mut opened = File::open(fetched.path())?;
    let sha256 = Sum::of(&opened)?;
    opened.rewind()?;
    let mut file = PackageFile::read(opened)?;
    file.verify(key)?;
    if let Some(first) = before.iter().find(|one| one.package.name == file.name) {
        return Err(PackageError::Twice {
            name: file.name,
            first: first.location.file_name().into_owned(),
        });
    }
    let package = Package {
        name: file.name.clone(),
        version: file.version.clone(),
        origin: Some(Origin {
            from: location.to_string(),
            bytes: data.len(),
            sha256,
            signer: Some(key.signer.clone()),
        }),
    };
    Ok((file, package))
}

#[cfg(test)]
mod tests;
