//! What modules ask the kernel for by name while they load or work. The kernel would run
//! /sbin/modprobe for it, which no initramfs here has. Modules of newer kernels say so themselves, as
//! soft dependencies, which modules.softdep lists; those of Linux 3.10 do not.

use crate::image::{Driver, Found, Image, Module, ModuleError};

/// A module, and the algorithm that it asks crypto/api.c for: without it the module refuses to
/// load, and with it whatever needs it.
///
/// What is left out, because nothing here makes the kernel ask: ext4 and jbd2 want crc32c for a
/// file system with checksums, which no disk of a drill has; sunrpc wants rpc-auth-N for Kerberos
/// and goes on without; nfs wants nfsvN, which the plan for NFS loads.
const REQUESTS: [(&str, &str); 3] = [
    // lib/libcrc32c.c, libcrc32c_mod_init: XFS, btrfs and some network drivers need it.
    ("libcrc32c", "crc32c"),
    // lib/crc-t10dif.c, crc_t10dif_mod_init: sd_mod needs it.
    ("crc_t10dif", "crct10dif"),
    // fs/btrfs/hash.c, btrfs_hash_init, in RHEL 7.4 and later.
    ("btrfs", "crc32c"),
];

/// The modules in their order, and before each what it asks for, as far as the kernel has it as a
/// module that is not among them yet.
///
/// # Errors
/// The image's modules cannot be read.
pub(super) fn with_requests(
    image: &Image,
    modules: Vec<Module>,
) -> Result<Vec<Module>, ModuleError> {
    let mut all: Vec<Module> = Vec::new();
    for module in modules {
        let algorithms = REQUESTS.iter().filter(|(asks, _)| *asks == module.name);
        for (_, algorithm) in algorithms {
            for wanted in answer(image, algorithm)? {
                add(&mut all, wanted);
            }
        }
        add(&mut all, module);
    }
    Ok(all)
}

fn add(all: &mut Vec<Module>, module: Module) {
    if !all.iter().any(|have| have.name == module.name) {
        all.push(module);
    }
}

/// What modprobe would load. Kernels ask for `crypto-NAME` since 3.19, for `NAME` before; modules
/// have had both names for a long time.
fn answer(image: &Image, algorithm: &str) -> Result<Vec<Module>, ModuleError> {
    for name in [&format!("crypto-{algorithm}"), algorithm] {
        let found = match image.modules.closure(&[name]) {
            Err(ModuleError::Unknown { .. }) => continue,
            found => found?,
        };
        let files = |driver: Driver| match driver.found {
            Found::Files(modules) => modules,
            Found::Builtin | Found::Assumed => Vec::new(),
        };
        let modules = found.into_iter().flat_map(files);
        // Whatever becomes of one: another may do the same, as crc32c-intel does where the CPU can.
        return Ok(modules
            .map(|module| Module {
                optional: true,
                ..module
            })
            .collect());
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::image::{ModuleTree, Userland};

    /// Names of the modules that are loaded for `driver`.
    fn loaded(files: &[(&str, &str)], driver: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        for (file, text) in files {
            fs::write(directory.path().join(file), text).unwrap();
        }
        let userland = Userland::at(directory.path());
        let image = Image::for_plans("test", ModuleTree::at(directory.path()), userland);
        let driver = image.modules.closure(&[driver]).unwrap().remove(0);
        let Found::Files(modules) = driver.found else {
            panic!("{driver:?}");
        };
        let modules = with_requests(&image, modules).unwrap();
        modules.into_iter().map(|module| module.name).collect()
    }

    const NONE: (&str, &str) = ("modules.builtin", "");

    #[test]
    fn linux_3_10_without_soft_dependencies() {
        let dependencies = (
            "modules.dep",
            "kernel/fs/xfs/xfs.ko.xz: kernel/lib/libcrc32c.ko.xz\n\
             kernel/lib/libcrc32c.ko.xz:\n\
             kernel/crypto/crc32c.ko.xz:\n\
             kernel/drivers/scsi/sd_mod.ko.xz: kernel/lib/crc-t10dif.ko.xz\n\
             kernel/lib/crc-t10dif.ko.xz: kernel/crypto/crct10dif_common.ko.xz\n\
             kernel/crypto/crct10dif_common.ko.xz:\n\
             kernel/crypto/crct10dif_generic.ko.xz: kernel/crypto/crct10dif_common.ko.xz\n\
             kernel/arch/x86/crypto/crct10dif-pclmul.ko.xz: kernel/crypto/crct10dif_common.ko.xz\n\
             kernel/fs/btrfs/btrfs.ko.xz: kernel/lib/libcrc32c.ko.xz kernel/lib/raid6/raid6_pq.ko.xz\n\
             kernel/lib/raid6/raid6_pq.ko.xz:\n",
        );
        let aliases = (
            "modules.alias",
            "alias crct10dif crct10dif_generic\nalias crct10dif crct10dif_pclmul\n",
        );
        let loaded = |driver| loaded(&[dependencies, aliases, NONE], driver);
        // By its own name.
        assert_eq!(loaded("xfs"), ["crc32c", "libcrc32c", "xfs"]);
        // By an alias: all that answer to it, as modprobe does.
        assert_eq!(
            loaded("sd_mod"),
            [
                "crct10dif_common",
                "crct10dif_generic",
                "crct10dif_pclmul",
                "crc_t10dif",
                "sd_mod"
            ]
        );
        assert_eq!(
            loaded("btrfs"),
            ["raid6_pq", "crc32c", "libcrc32c", "btrfs"]
        );
    }

    #[test]
    fn what_is_built_in_or_absent_is_not_loaded() {
        let dependencies = (
            "modules.dep",
            "kernel/fs/xfs/xfs.ko: kernel/lib/libcrc32c.ko\nkernel/lib/libcrc32c.ko:\n\
             kernel/arch/x86/crypto/crc32c-intel.ko:\n",
        );
        let aliases = ("modules.alias", "alias crypto-crc32c crc32c_intel\n");
        assert_eq!(loaded(&[dependencies, NONE], "xfs"), ["libcrc32c", "xfs"]);
        let builtin = ("modules.builtin", "kernel/crypto/crc32c.ko\n");
        assert_eq!(
            loaded(&[dependencies, builtin], "xfs"),
            ["libcrc32c", "xfs"]
        );
        // A faster one may answer all the same.
        assert_eq!(
            loaded(&[dependencies, builtin, aliases], "xfs"),
            ["crc32c_intel", "libcrc32c", "xfs"]
        );
    }

    #[test]
    fn soft_dependencies_have_brought_it() {
        let dependencies = (
            "modules.dep",
            "kernel/fs/xfs/xfs.ko: kernel/lib/libcrc32c.ko\nkernel/lib/libcrc32c.ko:\n\
             kernel/crypto/crc32c_generic.ko:\n",
        );
        let aliases = (
            "modules.alias",
            "alias crc32c crc32c_generic\nalias crypto-crc32c crc32c_generic\n",
        );
        let before = ("modules.softdep", "softdep libcrc32c pre: crc32c\n");
        assert_eq!(
            loaded(&[dependencies, aliases, before, NONE], "xfs"),
            ["crc32c_generic", "libcrc32c", "xfs"]
        );
    }
}
