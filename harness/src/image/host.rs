//! The kernel that this machine runs, and the programs that are installed on it: does kdump work
//! with them?

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::cache::{Cache, EntryId, Kind};
use super::error::{ImageError, io as failed};
use super::index::KERNEL;
use super::kernel::CONFIG;
use super::kernel::payload::gunzip;
use super::modules::{builds_modules, holds_modules};
use super::open::{Image, take_in, there_stamps};
use super::progress::{Progress, Step};
use super::sort_out::config_beside;
use super::tree::{Tree, TreeError};
use super::userland::Userland;

/// Why the kernel that this machine runs cannot be drilled.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Another architecture.
    #[error("this machine is {0}, and crashdrill drills kernels for x86-64 only")]
    Machine(String),
    /// There is no file of it.
    #[error(
        "this machine runs Linux {release}, and has no file of that kernel, neither \
         /boot/vmlinuz-{release} nor /lib/modules/{release}/vmlinuz{}; an image with `source: local` \
         takes a kernel from anywhere (images/local.yaml.example)",
        why_none(others)
    )]
    NoKernel {
        /// What runs.
        release: String,
        /// Releases of kernels that are there.
        others: Vec<String>,
    },
    /// Its file cannot be read, as on Ubuntu.
    #[error(
        "this user may not read {path}: `sudo install -m 644 {path} .` makes a copy for everybody, \
         and an image with `source: local` takes the copy (images/local.yaml.example)",
        path = .0.display()
    )]
    Unreadable(PathBuf),
    /// The file is of another kernel than runs.
    #[error(
        "this machine runs Linux {release}, and {} is Linux {found}: start the machine again, so \
         that it runs what is installed",
        path.display()
    )]
    Other {
        /// The kernel's file.
        path: PathBuf,
        /// What runs.
        release: String,
        /// What the file holds.
        found: String,
    },
    /// Its modules are gone.
    #[error(
        "this machine runs Linux {release}, whose modules are not in {}{}",
        directory.display(),
        why_no_modules(others)
    )]
    NoModules {
        /// What runs.
        release: String,
        /// Where they should be.
        directory: PathBuf,
        /// Releases of which there are modules.
        others: Vec<String>,
    },
    /// A path on this machine cannot be followed.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

fn why_none(others: &[String]) -> String {
    match others.is_empty() {
        true => {
            ": it is a container, or a virtual machine whose kernel lies on its host".to_owned()
        }
        false => format!(
            ", but of {}: if the kernel has been updated since the machine was started, start it \
             again",
            others.join(", ")
        ),
    }
}

fn why_no_modules(others: &[String]) -> String {
    match others.is_empty() {
        true => "; install them, or, if all that is needed is built in, take the kernel with \
                 `source: local` and no `modules`"
            .to_owned(),
        false => format!(
            ", where there are those of {}: the kernel has been updated since the machine was \
             started; start it again",
            others.join(", ")
        ),
    }
}

/// What uname(2) says of the running kernel.
#[derive(Debug, Clone)]
struct Running {
    release: String,
    machine: String,
}

impl Running {
    fn now() -> Result<Self, ImageError> {
        let names = nix::sys::utsname::uname()
            .map_err(|error| failed("ask for the kernel of", Path::new("/"))(error.into()))?;
        Ok(Self {
            release: names.release().to_string_lossy().into_owned(),
            machine: names.machine().to_string_lossy().into_owned(),
        })
    }
}

/// Where the running kernel lies.
#[derive(Debug, PartialEq, Eq)]
struct Installed {
    kernel: PathBuf,
    modules: Option<PathBuf>,
    config: Option<Vec<u8>>,
}

/// The release of the kernel that this machine runs, if it can be drilled.
///
/// # Errors
/// Why not.
pub fn running_kernel() -> Result<String, ImageError> {
    let running = Running::now()?;
    find(Path::new("/"), &running)?;
    Ok(running.release)
}

/// The cache entry of such an image: another one when the kernel or its modules change.
///
/// # Errors
/// A file of the kernel cannot be looked at.
pub(super) fn id(name: &str) -> Result<EntryId, ImageError> {
    let running = Running::now()?;
    match find(Path::new("/"), &running) {
        Ok(installed) => id_of(name, &running, &installed),
        // No entry holds a kernel that is not there.
        Err(_) => Ok(EntryId::new(
            Kind::Image,
            name,
            &["host", &running.release, "not there"],
        )),
    }
}

fn id_of(name: &str, running: &Running, installed: &Installed) -> Result<EntryId, ImageError> {
    let mut definition = vec!["host".to_owned(), running.release.clone()];
    definition.extend(there_stamps(
        &installed.kernel,
        installed.modules.as_deref(),
    )?);
    let definition: Vec<&str> = definition.iter().map(String::as_str).collect();
    Ok(EntryId::new(Kind::Image, name, &definition))
}

/// Opens it; without the programs of a lender.
pub(super) fn open(
    name: &str,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Image, ImageError> {
    open_at(Path::new("/"), &Running::now()?, name, cache, progress)
}

fn open_at(
    root: &Path,
    running: &Running,
    name: &str,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Image, ImageError> {
    let item = format!("image {name}");
    let installed = find(root, running)?;
    let id = id_of(name, running, &installed)?;
    let entry = cache.entry(&id, &item, progress, |staging| -> Result<(), ImageError> {
        progress.report(&item, &Step::Converting);
        let index = take_in(&installed.kernel, installed.modules.as_deref(), staging)?;
        if index.release != running.release {
            return Err(ImageError::Host(HostError::Other {
                path: installed.kernel.clone(),
                release: running.release.clone(),
                found: index.release,
            }));
        }
        if let Some(config) = &installed.config {
            let to = staging.join(KERNEL).join(CONFIG);
            fs::write(&to, config).map_err(failed("write", &to))?;
        }
        index.write(staging)
    })?;
    let mut image = Image::from_entry(name, entry)?;
    image.userland = Userland::installed(root);
    Ok(image)
}

/// Finds the running kernel below a root directory.
fn find(root: &Path, running: &Running) -> Result<Installed, HostError> {
    let release = &running.release;
    if running.machine != "x86_64" {
        return Err(HostError::Machine(running.machine.clone()));
    }
    let kernel = kernel(root, release)?;
    let directories = MODULES.map(|below| root.join(below).join(release));
    let modules = directories
        .iter()
        .find(|directory| holds_modules(directory))
        .cloned();
    let config =
        config_beside(&kernel, modules.as_deref(), release).or_else(|| config_of_running(root));
    // What is not known may have modules.
    if modules.is_none() && config.as_deref().is_none_or(builds_modules) {
        let [directory, _] = directories;
        return Err(HostError::NoModules {
            release: release.clone(),
            directory,
            others: with_modules(root),
        });
    }
    Ok(Installed {
        kernel,
        modules,
        config,
    })
}

const MODULES: [&str; 2] = ["lib/modules", "usr/lib/modules"];

/// The first file of the kernel that may be read. /boot/vmlinuz-RELEASE is where `make install` and
/// most distributions have it; the directory of the modules, where kernel-install(8) takes it from,
/// as on Fedora, RHEL since 8, Arch and openSUSE.
fn kernel(root: &Path, release: &str) -> Result<PathBuf, HostError> {
    let tree = Tree::at(root);
    let tried = [
        format!("/boot/vmlinuz-{release}"),
        format!("/lib/modules/{release}/vmlinuz"),
        format!("/usr/lib/modules/{release}/vmlinuz"),
        format!("/boot/bzImage-{release}"),
        format!("/boot/kernel-{release}"),
    ];
    let mut unreadable = None;
    for path in &tried {
        let file = match tree.find(path) {
            Ok(None) => continue,
            Ok(Some(file)) => file,
            Err(TreeError::Io { path, source }) if is_denial(&source) => {
                unreadable.get_or_insert(path);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        match File::open(&file) {
            Err(error) if is_denial(&error) => drop(unreadable.get_or_insert(file)),
            // Anything else is said by who reads it.
            _ => return Ok(file),
        }
    }
    Err(match unreadable {
        Some(file) => HostError::Unreadable(file),
        None => HostError::NoKernel {
            release: release.to_owned(),
            others: other_kernels(root, release),
        },
    })
}

fn is_denial(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// Releases of kernels in /boot, or with modules, that do not run.
fn other_kernels(root: &Path, running: &str) -> Vec<String> {
    let names = names(&root.join("boot"));
    let kernels = names
        .iter()
        .filter_map(|name| name.strip_prefix("vmlinuz-"))
        .filter(|release| !release.starts_with("0-rescue-"));
    let mut found: Vec<String> = kernels.map(str::to_owned).collect();
    found.extend(with_modules(root));
    found.retain(|release| release != running);
    found.sort();
    found.dedup();
    found
}

fn with_modules(root: &Path) -> Vec<String> {
    let below = MODULES.map(|below| root.join(below));
    let all = below.iter().flat_map(|modules| {
        let names = names(modules).into_iter();
        names.filter(|release| holds_modules(&modules.join(release)))
    });
    let mut found: Vec<String> = all.collect();
    found.sort();
    // With a merged /usr both are one.
    found.dedup();
    found
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// What the running kernel says itself, if it was built with CONFIG_IKCONFIG_PROC, as Arch's is.
fn config_of_running(root: &Path) -> Option<Vec<u8>> {
    gunzip(&fs::read(root.join("proc/config.gz")).ok()?).ok()
}

#[cfg(test)]
mod tests;
