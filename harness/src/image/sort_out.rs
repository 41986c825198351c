//! What unpacked packages hold, put where an image has it.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::{ImageError, io as failed};
use super::index::{Index, KERNEL, MODULES, Modules, Package, USERLAND};
use super::kernel::CONFIG;
use super::modules::{find_directory, write_index};
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
/// the entry's userland, and writes the entry's index.
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
    let [kernel] = &kernels[..] else {
        return Err(ImageError::Kernels {
            image: name.to_owned(),
            found: kernels.len(),
        });
    };
    let directory = staging.join(KERNEL);
    fs::create_dir(&directory).map_err(failed("make", &directory))?;
    let (converted, release) = convert_file(kernel, &directory)?;
    let modules = staging.join(MODULES);
    let unpacked = find_directory(&root)?;
    for config in [
        root.join("boot").join(format!("config-{release}")),
        unpacked.join("config"),
    ] {
        if config.is_file() {
            let to = directory.join(CONFIG);
            fs::copy(&config, &to).map_err(failed("copy", &config))?;
            break;
        }
    }
    fs::rename(&unpacked, &modules).map_err(failed("move", &unpacked))?;
    write_index(&modules, &modules)?;
    for useless in USELESS {
        remove(&root.join(useless))?;
    }
    let index = Index {
        release,
        kernel: converted,
        modules: Modules::Here,
        packages,
        root: None,
    };
    index.write(staging)
}

/// `/boot/vmlinuz-RELEASE`; where a package has none, as since RHEL 8,
/// `/lib/modules/RELEASE/vmlinuz`.
fn kernels(root: &Path) -> Vec<PathBuf> {
    let listed = |directory: &str| -> Vec<PathBuf> {
        let read = fs::read_dir(root.join(directory));
        let entries = read.into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let is_kernel = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("vmlinuz-") && is_file(path)
    };
    let boot: Vec<PathBuf> = listed("boot").into_iter().filter(is_kernel).collect();
    if !boot.is_empty() {
        return boot;
    }
    let modules = ["lib/modules", "usr/lib/modules"]
        .into_iter()
        .flat_map(listed);
    let kernels = modules.map(|directory| directory.join("vmlinuz"));
    kernels.filter(|path| is_file(path)).collect()
}

/// A link may lead anywhere.
fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.is_file())
}
