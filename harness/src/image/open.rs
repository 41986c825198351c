//! From a manifest to files: out of the cache, or fetched and converted into it.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::apt::{self, Request};
use super::cache::{Cache, Entry, EntryId, Kind};
use super::disk::{self, RootDisk, RootIndex};
use super::error::{ImageError, io as failed};
use super::fetch::fetch;
use super::index::{Index, KERNEL, MODULES, Modules, Package, USERLAND};
use super::kernel::{CONFIG, Converted, Kernel, convert};
use super::location::Location;
use super::manifest::{AptSource, DiskImageSource, DiskSource, LocalSource, Manifest, Source};
use super::modules::{ModuleTree, find_directory, write_index};
use super::progress::{Progress, Step};
use super::qemu::remove;
use super::sort_out::{config_beside, sort_out};
use super::userland::Userland;
use super::{disk_image, host, rpm, url};
use crate::units::Bytes;

/// Larger than the disk images that distributions publish.
const MOST_DISK_IMAGE: Bytes = Bytes(64 * Bytes::GIB);
/// No bzImage is larger.
const MOST_KERNEL: u64 = 512 * Bytes::MIB;

/// A kernel with its modules, and the programs that arm kdump and save the dump.
#[derive(Debug)]
pub struct Image {
    /// The manifest's name.
    pub name: String,
    /// The kernel.
    pub kernel: Kernel,
    /// Its modules.
    pub modules: ModuleTree,
    /// Programs and libraries. Of a root disk, those that handle the disk on this machine.
    pub userland: Userland,
    /// The root disk of a whole distribution; its modules and programs are on it.
    pub root: Option<RootDisk>,
    /// What it was made of, and what its lender was made of.
    pub packages: Vec<Package>,
    /// The CPU model of a machine whose scenario names none.
    pub cpu: Option<String>,
    /// Keep the cache entries.
    _entries: Vec<Entry>,
}

#[cfg(test)]
impl Image {
    /// What only plans are made on.
    pub(crate) fn for_plans(name: &str, modules: ModuleTree, userland: Userland) -> Self {
        Self {
            name: name.to_owned(),
            kernel: Kernel {
                release: "6.1.0".to_owned(),
                boot: super::BootKernel::BzImage("vmlinuz".into()),
                capture: super::CaptureKernel::BzImage("vmlinuz".into()),
                stock: None,
                config: None,
            },
            modules,
            userland,
            root: None,
            packages: Vec::new(),
            cpu: None,
            _entries: Vec::new(),
        }
    }
}

impl Image {
    /// Opens an image; what is not in the cache yet is fetched and converted first. `images` finds
    /// the manifest of another image by name: a local image borrows its userland.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn open(
        manifest: &Manifest,
        images: &dyn Fn(&str) -> Result<Manifest, ImageError>,
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<Self, ImageError> {
        let name = &manifest.name;
        let lender = match manifest.source.lender() {
            None => None,
            Some(lender) => Some(images(lender)?),
        };
        if let Some(lender) = &lender
            && !matches!(lender.source, Source::Apt(_))
        {
            return Err(ImageError::Lender {
                image: name.clone(),
                lender: lender.name.clone(),
            });
        }
        // The image itself first: a mistake in a path should not wait for a lender's download.
        let mut image = match &manifest.source {
            Source::Apt(source) => open_apt(name, source, cache, progress)?,
            Source::Rpm(source) => rpm::open(name, source, cache, progress)?,
            Source::Url(source) => url::open(name, source, cache, progress)?,
            Source::Host(_) => host::open(name, cache, progress)?,
            Source::Local(source) => open_local(name, source, cache, progress)?,
            Source::Disk(source) => open_disk(name, source, cache, progress)?,
            Source::DiskImage(source) => open_disk_image(name, source, cache, progress)?,
        };
        if let Some(Manifest {
            name,
            source: Source::Apt(source),
            ..
        }) = &lender
        {
            image.borrow_from(open_apt(name, source, cache, progress)?);
        }
        image.cpu.clone_from(&manifest.cpu);
        Ok(image)
    }

    /// Puts another image's programs behind its own.
    fn borrow_from(&mut self, lender: Self) {
        self._entries.extend(lender._entries);
        let own = self.userland.clone();
        self.userland = own.lent_by(&lender.name, lender.userland);
        self.packages.extend(lender.packages);
    }

    /// From a filled cache entry, without the programs of a lender.
    ///
    /// # Errors
    /// The entry's index cannot be read.
    pub fn from_entry(name: &str, entry: Entry) -> Result<Self, ImageError> {
        let index = Index::read(&entry.path)?;
        let modules = match index.modules {
            Modules::Here => ModuleTree::at(entry.path.join(MODULES)),
            Modules::There(directory) => ModuleTree::at(directory),
            Modules::ThereIndexedHere(directory) => {
                ModuleTree::indexed(Some(directory), entry.path.join(MODULES))
            }
            Modules::None => ModuleTree::none(),
        };
        Ok(Self {
            name: name.to_owned(),
            kernel: index.kernel.kernel(&entry.path.join(KERNEL), index.release),
            modules,
            userland: Userland::at(entry.path.join(USERLAND)),
            packages: index.packages,
            cpu: None,
            root: index.root.map(|root| root.at(&entry.path)),
            _entries: vec![entry],
        })
    }
}

/// The cache entry that a manifest defines, whether it is filled or not.
///
/// # Errors
/// The files of a local image cannot be looked at.
pub fn entry_id(manifest: &Manifest) -> Result<EntryId, ImageError> {
    match &manifest.source {
        Source::Apt(source) => Ok(apt_id(&manifest.name, source)),
        Source::Local(source) => {
            let modules = source.modules.as_deref().map(find_directory).transpose()?;
            local_id(&manifest.name, source, modules.as_deref())
        }
        Source::Disk(source) => Ok(disk::id(&manifest.name, source)),
        Source::DiskImage(source) => disk_image_id(&manifest.name, source),
        Source::Rpm(source) => rpm::id(&manifest.name, source),
        Source::Url(source) => Ok(url::id(&manifest.name, source)),
        Source::Host(_) => host::id(&manifest.name),
    }
}

fn open_disk(
    name: &str,
    source: &DiskSource,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Image, ImageError> {
    let item = format!("image {name}");
    let entry = cache.entry(
        &disk::id(name, source),
        &item,
        progress,
        |staging| -> Result<(), ImageError> {
            let userland = staging.join(USERLAND);
            let filled = disk::fill(name, source, staging, &userland, &item, progress)?;
            let directory = staging.join(KERNEL);
            fs::create_dir(&directory).map_err(failed("make", &directory))?;
            let (kernel, release) = convert_file(&filled.kernel, &directory)?;
            remove(&filled.work)?;
            let index = Index {
                release,
                kernel,
                modules: Modules::None,
                packages: filled.packages,
                root: Some(filled.root),
            };
            index.write(staging)
        },
    )?;
    Image::from_entry(name, entry)
}

fn disk_image_id(name: &str, source: &DiskImageSource) -> Result<EntryId, ImageError> {
    let file = match &source.file {
        Location::File(file) => stamp(file)?,
        Location::Url(url) => url.clone(),
    };
    let sum = source.sha256.map(|sum| sum.to_string()).unwrap_or_default();
    Ok(EntryId::new(
        Kind::Image,
        name,
        &["disk-image", &file, &sum],
    ))
}

fn open_disk_image(
    name: &str,
    source: &DiskImageSource,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Image, ImageError> {
    let item = format!("image {name}");
    let id = disk_image_id(name, source)?;
    let entry = cache.entry(&id, &item, progress, |staging| -> Result<(), ImageError> {
        let sum = source.sha256.as_ref();
        let fetched = fetch(&source.file, MOST_DISK_IMAGE, sum, cache, &item, progress)?;
        progress.report(&item, &Step::Converting);
        let (mut root, kernel) = disk_image::fill(name, fetched.path(), staging)?;
        let directory = staging.join(KERNEL);
        fs::create_dir(&directory).map_err(failed("make", &directory))?;
        let (kernel, release) = convert_bytes(&kernel, fetched.path(), &directory)?;
        root.take_in(fetched, staging)?;
        let index = Index {
            release,
            kernel,
            modules: Modules::None,
            packages: Vec::new(),
            root: Some(RootIndex::Image(root)),
        };
        index.write(staging)
    })?;
    Image::from_entry(name, entry)
}

fn apt_id(name: &str, source: &AptSource) -> EntryId {
    let mut definition = vec!["apt", source.suite.as_str()];
    definition.extend(source.packages.iter().map(String::as_str));
    EntryId::new(Kind::Image, name, &definition)
}

fn open_apt(
    name: &str,
    source: &AptSource,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Image, ImageError> {
    let item = format!("image {name}");
    let entry = cache.entry(&apt_id(name, source), &item, progress, |staging| {
        fill_apt(name, source, staging, &item, progress)
    })?;
    Image::from_entry(name, entry)
}

fn fill_apt(
    name: &str,
    source: &AptSource,
    staging: &Path,
    item: &str,
    progress: &dyn Progress,
) -> Result<(), ImageError> {
    let work = staging.join("work");
    // Unpacked where the userland stays; the kernel and its modules are taken out of it.
    let root = staging.join(USERLAND);
    for directory in [&work, &root] {
        fs::create_dir(directory).map_err(failed("make", directory))?;
    }
    let packages: Vec<&str> = source.packages.iter().map(String::as_str).collect();
    let request = Request {
        suites: &[source.suite.as_str()],
        prefer: None,
        packages: &packages,
    };
    let debs = apt::download(request, &work, item, progress)?;
    apt::unpack(&debs, &root, item, progress)?;
    remove(&work)?;

    let packages = debs
        .into_iter()
        .map(|deb| Package::of_apt(deb.name, deb.version))
        .collect();
    sort_out(name, staging, packages, item, progress)
}

fn local_id(
    name: &str,
    source: &LocalSource,
    modules: Option<&Path>,
) -> Result<EntryId, ImageError> {
    let mut definition = vec!["local".to_owned()];
    definition.extend(there_stamps(&source.kernel, modules)?);
    let definition: Vec<&str> = definition.iter().map(String::as_str).collect();
    Ok(EntryId::new(Kind::Image, name, &definition))
}

fn open_local(
    name: &str,
    source: &LocalSource,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Image, ImageError> {
    let item = format!("image {name}");
    let modules = source.modules.as_deref().map(find_directory).transpose()?;
    let id = local_id(name, source, modules.as_deref())?;
    let entry = cache.entry(&id, &item, progress, |staging| -> Result<(), ImageError> {
        progress.report(&item, &Step::Converting);
        let index = take_in(&source.kernel, modules.as_deref(), staging)?;
        index.write(staging)
    })?;
    Image::from_entry(name, entry)
}

/// Tells a kernel that lies on this machine, and its modules, from what may lie there later.
/// Identity by place, size and time: hashing a kernel at every start would take longer than opening
/// it.
pub(super) fn there_stamps(
    kernel: &Path,
    modules: Option<&Path>,
) -> Result<Vec<String>, ImageError> {
    let mut stamps = vec![stamp(kernel)?];
    if let Some(modules) = modules {
        stamps.push(stamp(modules)?);
        // depmod may have run since.
        stamps.push(modules.join("modules.dep").is_file().to_string());
    }
    Ok(stamps)
}

/// Converts a kernel that lies on this machine into an entry. Its modules stay where they are; where
/// depmod has not seen them, their index is made in the entry.
pub(super) fn take_in(
    kernel: &Path,
    modules: Option<&Path>,
    staging: &Path,
) -> Result<Index, ImageError> {
    let (directory, index) = (staging.join(KERNEL), staging.join(MODULES));
    for directory in [&directory, &index] {
        fs::create_dir(directory).map_err(failed("make", directory))?;
    }
    let (converted, release) = convert_file(kernel, &directory)?;
    if let Some(config) = config_beside(kernel, modules, &release) {
        let to = directory.join(CONFIG);
        fs::write(&to, config).map_err(failed("write", &to))?;
    }
    let modules = match modules {
        None => Modules::None,
        Some(there) if there.join("modules.dep").is_file() => Modules::There(there.to_owned()),
        Some(there) => {
            write_index(there, &index)?;
            Modules::ThereIndexedHere(there.to_owned())
        }
    };
    Ok(Index {
        release,
        kernel: converted,
        modules,
        packages: Vec::new(),
        root: None,
    })
}

/// [`convert`] of a file.
pub(super) fn convert_file(kernel: &Path, into: &Path) -> Result<(Converted, String), ImageError> {
    let mut bytes = Vec::new();
    File::open(kernel)
        .and_then(|file| file.take(MOST_KERNEL).read_to_end(&mut bytes))
        .map_err(failed("read", kernel))?;
    convert_bytes(&bytes, kernel, into)
}

/// `path` is where the kernel comes from.
fn convert_bytes(
    kernel: &[u8],
    path: &Path,
    into: &Path,
) -> Result<(Converted, String), ImageError> {
    convert(kernel, into).map_err(|source| ImageError::Kernel {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

/// Tells a file from what may lie in its place later.
pub(super) fn stamp(path: &Path) -> Result<String, ImageError> {
    let data = fs::metadata(path).map_err(failed("open", path))?;
    let (size, seconds, nanos) = (data.size(), data.mtime(), data.mtime_nsec());
    Ok(format!("{} {size} {seconds}.{nanos}", path.display()))
}

#[cfg(test)]
mod tests;
