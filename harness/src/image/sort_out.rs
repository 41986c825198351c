//! What unpacked packages hold, put where an image has it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::{ImageError, io as failed};
use super::index::{Index, KERNEL, MODULES, Modules, Package, USERLAND};
use super::kernel::CONFIG;
use super::modules::{builds_modules, write_index};
use super::open::convert_file;
use super::progress::{Progress, Step};
use super::qemu::remove;

/// What no drill needs of a distribution.
const USELESS: [&str; 9] = [
    "boot",
    "lib/modules",
    "usr/lib/modules",
    "usr/share/bug",
    "usr/share/doc",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/lib/x86_64-linux-gnu/gconv",
];

/// Takes the kernel, its configuration and its modules out of the packages that were unpacked into
/// the entry's userland, and writes the entry's index. Links in the packages are never followed:
/// they may lead out of the entry.
///
/// # Errors
/// There is not one kernel but none or several, or its modules are not there.
pub(super) fn sort_out(
    name: &str,
    staging: &Path,
    packages: Vec<Package>,
    item: &str,
    progress: &dyn Progress,
) -> Result<(), ImageError> {
    progress.report(item, &Step::Converting);
    let root = staging.join(USERLAND);
    let kernels = kernels(&root);
    let [kernel] = &kernels.values().collect::<Vec<_>>()[..] else {
        return Err(ImageError::Kernels {
            image: name.to_owned(),
            found: kernels.into_keys().collect(),
        });
    };
    let directory = staging.join(KERNEL);
    fs::create_dir(&directory).map_err(failed("make", &directory))?;
    let (converted, release) = convert_file(kernel, &directory)?;
    let unpacked = module_directories(&root);
    let own = unpacked.get(&release);
    let config = config_beside(kernel, own.map(PathBuf::as_path), &release);
    if let Some(config) = &config {
        let to = directory.join(CONFIG);
        fs::write(&to, config).map_err(failed("write", &to))?;
    }
    let modules = staging.join(MODULES);
    let count = match own {
        None => None,
        Some(own) => {
            fs::rename(own, &modules).map_err(failed("move", own))?;
            Some(write_index(&modules, &modules)?)
        }
    };
    // RHEL 9 has the lists of the modules in one package and the modules in others.
    let builds_modules = config.as_deref().map(builds_modules);
    if let (None, None | Some(true)) | (Some(0), Some(true)) = (count, builds_modules) {
        return Err(ImageError::NoModules {
            image: name.to_owned(),
            release,
            others: unpacked.into_keys().collect(),
        });
    }
    for useless in USELESS {
        let (above, name) = useless.rsplit_once('/').unwrap_or(("", useless));
        if let Some(above) = real_directory(&root, above) {
            remove(&above.join(name))?;
        }
    }
    let index = Index {
        release,
        kernel: converted,
        modules: match count {
            Some(_) => Modules::Here,
            None => Modules::None,
        },
        packages,
        root: None,
    };
    index.write(staging)
}

/// The configuration that a kernel was built with: `config-RELEASE` beside it, or, as since RHEL 8,
/// `config` among its modules.
pub(super) fn config_beside(
    kernel: &Path,
    modules: Option<&Path>,
    release: &str,
) -> Option<Vec<u8>> {
    let beside = kernel.with_file_name(format!("config-{release}"));
    let among = modules.map(|modules| modules.join("config"));
    let mut there = [Some(beside), among].into_iter().flatten();
    // One that cannot be read is not known.
    there.find_map(|path| is_file(&path).then(|| fs::read(path).ok())?)
}

/// By the release that their names say: `/boot/vmlinuz-RELEASE`; where a package has none, as since
/// RHEL 8, `/lib/modules/RELEASE/vmlinuz`.
fn kernels(root: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = module_directories(root);
    for kernel in found.values_mut() {
        kernel.push("vmlinuz");
    }
    for (name, path) in listed(root, "boot") {
        // The rescue image is the same kernel once more.
        if let Some(release) = name.strip_prefix("vmlinuz-")
            && !release.starts_with("0-rescue-")
        {
            found.insert(release.to_owned(), path);
        }
    }
    found.retain(|_, kernel| is_file(kernel));
    found
}

/// The directories below lib/modules, by the release that they are of.
fn module_directories(root: &Path) -> BTreeMap<String, PathBuf> {
    let all = ["lib/modules", "usr/lib/modules"];
    let entries = all.into_iter().flat_map(|below| listed(root, below));
    entries.filter(|(_, path)| is_directory(path)).collect()
}

fn listed(root: &Path, below: &str) -> Vec<(String, PathBuf)> {
    let read = real_directory(root, below).and_then(|directory| fs::read_dir(directory).ok());
    let entries = read.into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect()
}

/// A directory that no link leads to.
fn real_directory(root: &Path, below: &str) -> Option<PathBuf> {
    let mut path = root.to_owned();
    for part in below.split('/').filter(|part| !part.is_empty()) {
        path.push(part);
        if !is_directory(&path) {
            return None;
        }
    }
    Some(path)
}

/// A link may lead anywhere.
fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.is_file())
}

fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.is_dir())
}

#[cfg(test)]
mod tests;
