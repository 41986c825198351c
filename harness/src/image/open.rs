//! From a manifest to files: out of the cache, or fetched and converted into it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::apt::{self, Request};
use super::cache::{Cache, Entry, EntryId, Kind};
use super::disk::{self, RootDisk, RootIndex};
use super::disk_image;
use super::error::{ImageError, io as failed};
use super::kernel::{Converted, Kernel, convert};
use super::manifest::{AptSource, DiskImageSource, DiskSource, LocalSource, Manifest, Source};
use super::modules::{ModuleTree, find_directory, write_index};
use super::progress::{Progress, Step};
use super::qemu::{read_json, remove, write_json};
use super::userland::Userland;

const INDEX: &str = "image.json";
const KERNEL: &str = "kernel";
const MODULES: &str = "modules";
const USERLAND: &str = "userland";

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
    /// Debian packages that it was made of, with their versions; of a local image, its userland's.
    pub packages: Vec<(String, String)>,
    /// Keep the cache entries.
    _entries: Vec<Entry>,
}

/// What makes opening a filled entry quick.
#[derive(Debug, Serialize, Deserialize)]
struct Index {
    release: String,
    kernel: Converted,
    /// Where the modules are, when not in the entry.
    modules: Modules,
    packages: Vec<(String, String)>,
    #[serde(default)]
    root: Option<RootIndex>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Modules {
    /// In the entry, with their index.
    Here,
    /// In a directory of the user's, which has its own index.
    There(PathBuf),
    /// In a directory of the user's, whose index is in the entry.
    ThereIndexedHere(PathBuf),
    /// Nowhere.
    None,
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
            },
            modules,
            userland,
            root: None,
            packages: Vec::new(),
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
        match &manifest.source {
            Source::Apt(source) => open_apt(&manifest.name, source, cache, progress),
            Source::Local(source) => {
                let lender = images(&source.userland)?;
                let Source::Apt(lent) = &lender.source else {
                    return Err(ImageError::Lender {
                        image: manifest.name.clone(),
                        lender: lender.name,
                    });
                };
                // The kernel first: a mistake in a path should not wait for a download.
                let kernel = open_local(&manifest.name, source, cache, progress)?;
                let lender = open_apt(&lender.name, lent, cache, progress)?;
                let mut entries = lender._entries;
                entries.extend(kernel._entries);
                Ok(Self {
                    userland: lender.userland,
                    packages: lender.packages,
                    _entries: entries,
                    ..kernel
                })
            }
            Source::Disk(source) => open_disk(&manifest.name, source, cache, progress),
            Source::DiskImage(source) => open_disk_image(&manifest.name, source, cache, progress),
            Source::Url(source) => Err(ImageError::Url {
                image: manifest.name.clone(),
                url: source.disk.clone(),
            }),
        }
    }

    fn from_entry(name: &str, entry: Entry) -> Result<Self, ImageError> {
        let index: Index = read_json(&entry.path.join(INDEX))?;
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
        Source::Url(source) => Ok(EntryId::new(
            Kind::Image,
            &manifest.name,
            &["url", &source.disk],
        )),
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
            write_json(&staging.join(INDEX), &index)
        },
    )?;
    Image::from_entry(name, entry)
}

fn disk_image_id(name: &str, source: &DiskImageSource) -> Result<EntryId, ImageError> {
    let definition = ["disk-image", &stamp(&source.file)?];
    Ok(EntryId::new(Kind::Image, name, &definition))
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
        progress.report(&item, &Step::Converting);
        let (root, kernel) = disk_image::fill(name, &source.file, staging)?;
        let directory = staging.join(KERNEL);
        fs::create_dir(&directory).map_err(failed("make", &directory))?;
        let (kernel, release) = convert_bytes(&kernel, &source.file, &directory)?;
        let index = Index {
            release,
            kernel,
            modules: Modules::None,
            packages: Vec::new(),
            root: Some(RootIndex::Image(root)),
        };
        write_json(&staging.join(INDEX), &index)
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
    for directory in [&work, &root, &staging.join(KERNEL)] {
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

    progress.report(item, &Step::Converting);
    let boot = root.join("boot");
    let kernels: Vec<PathBuf> = fs::read_dir(&boot)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
        })
        .collect();
    let [kernel] = &kernels[..] else {
        return Err(ImageError::Kernels {
            image: name.to_owned(),
            found: kernels.len(),
        });
    };
    let (converted, release) = convert_file(kernel, &staging.join(KERNEL))?;
    let modules = staging.join(MODULES);
    let unpacked = find_directory(&root)?;
    fs::rename(&unpacked, &modules).map_err(failed("move", &unpacked))?;
    write_index(&modules, &modules)?;
    for useless in [
        "boot",
        "lib/modules",
        "usr/lib/modules",
        "usr/share/bug",
        "usr/share/doc",
        "usr/share/lintian",
        "usr/share/locale",
        "usr/share/man",
        "usr/lib/x86_64-linux-gnu/gconv",
    ] {
        remove(&root.join(useless))?;
    }
    let packages = debs
        .into_iter()
        .map(|deb| (deb.name, deb.version))
        .collect();
    write_json(
        &staging.join(INDEX),
        &Index {
            release,
            kernel: converted,
            modules: Modules::Here,
            packages,
            root: None,
        },
    )
}

/// Identity by place, size and time: hashing a kernel at every start would take longer than
/// opening it.
fn local_id(
    name: &str,
    source: &LocalSource,
    modules: Option<&Path>,
) -> Result<EntryId, ImageError> {
    let mut definition = vec!["local".to_owned(), stamp(&source.kernel)?];
    if let Some(modules) = modules {
        definition.push(stamp(modules)?);
        // depmod may have run since.
        definition.push(modules.join("modules.dep").is_file().to_string());
    }
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
        let (directory, index) = (staging.join(KERNEL), staging.join(MODULES));
        for directory in [&directory, &index] {
            fs::create_dir(directory).map_err(failed("make", directory))?;
        }
        let (kernel, release) = convert_file(&source.kernel, &directory)?;
        let modules = match &modules {
            None => Modules::None,
            Some(there) if there.join("modules.dep").is_file() => Modules::There(there.clone()),
            Some(there) => {
                write_index(there, &index)?;
                Modules::ThereIndexedHere(there.clone())
            }
        };
        let index = Index {
            release,
            kernel,
            modules,
            packages: Vec::new(),
            root: None,
        };
        write_json(&staging.join(INDEX), &index)
    })?;
    Image::from_entry(name, entry)
}

fn convert_file(kernel: &Path, into: &Path) -> Result<(Converted, String), ImageError> {
    let bytes = fs::read(kernel).map_err(failed("read", kernel))?;
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

fn stamp(path: &Path) -> Result<String, ImageError> {
    let data = fs::metadata(path).map_err(failed("open", path))?;
    let (size, seconds, nanos) = (data.size(), data.mtime(), data.mtime_nsec());
    Ok(format!("{} {size} {seconds}.{nanos}", path.display()))
}

#[cfg(test)]
mod tests;
