use std::os::unix::fs::symlink;

use super::super::kernel::tests::{bzimage, payloads, vmlinux};
use super::super::modules::tests::module;
use super::super::modules::{Found, ModuleTree};
use super::super::progress::Silent;
use super::*;

const RELEASE: &str = "3.10.0-514.el7.x86_64";

fn kernel_file() -> Vec<u8> {
    bzimage(&payloads(&vmlinux(false))[0].1)
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(bytes).unwrap();
    xz.finish().unwrap()
}

/// A staging directory with what was unpacked into it.
struct Entry(tempfile::TempDir);

impl Entry {
    fn with(files: &[(&str, &[u8])]) -> Self {
        let entry = Self(tempfile::tempdir().unwrap());
        fs::create_dir(entry.0.path().join(USERLAND)).unwrap();
        for (file, bytes) in files {
            fs::write(entry.at(file), bytes).unwrap();
        }
        entry
    }

    /// In the packages; the directories above it are made.
    fn at(&self, path: &str) -> PathBuf {
        let path = self.0.path().join(USERLAND).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn sorted(&self) -> Result<Index, String> {
        sort_out("test", self.0.path(), Vec::new(), "test", &Silent)
            .and_then(|()| Index::read(self.0.path()))
            .map_err(|error| error.to_string())
    }

    fn modules(&self) -> ModuleTree {
        ModuleTree::at(self.0.path().join(MODULES))
    }

    fn config(&self) -> Option<String> {
        fs::read_to_string(self.0.path().join(KERNEL).join(CONFIG)).ok()
    }
}

fn files(tree: &ModuleTree, name: &str) -> Vec<String> {
    match &tree.closure(&[name]).unwrap()[0].found {
        Found::Files(files) => files
            .iter()
            .map(|module| {
                assert!(module.read().unwrap().starts_with(b"\x7fELF"));
                module.file.clone()
            })
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// What kernel-3.10.0-….rpm of RHEL 7 has.
#[test]
fn as_rhel_7_packs_it() {
    let modules = format!("lib/modules/{RELEASE}");
    let entry = Entry::with(&[
        (&format!("boot/vmlinuz-{RELEASE}"), &kernel_file()),
        (&format!("boot/.vmlinuz-{RELEASE}.hmac"), b"00 x"),
        (&format!("boot/System.map-{RELEASE}"), b""),
        (
            &format!("boot/config-{RELEASE}"),
            b"CONFIG_RD_XZ=y\nCONFIG_EXT4_FS=m\n",
        ),
        ("boot/vmlinuz-0-rescue-0123", &kernel_file()),
        (
            &format!("{modules}/kernel/fs/ext4/ext4.ko.xz"),
            &xz(&module("depends=jbd2\0")),
        ),
        (
            &format!("{modules}/kernel/fs/jbd2/jbd2.ko.xz"),
            &xz(&module("")),
        ),
        (&format!("{modules}/extra/own.ko"), &module("")),
        (
            &format!("{modules}/modules.builtin"),
            b"kernel/lib/crc32.ko\n",
        ),
        (&format!("{modules}/modules.dep"), b"kernel/old.ko:\n"),
        ("usr/share/doc/kernel/readme", b""),
        ("etc/kept", b""),
    ]);
    // Of another kernel's package, and of a tree that is not there.
    let weak = entry.at(&format!("{modules}/weak-updates/other.ko"));
    symlink("/lib/modules/3.10.0-1.el7.x86_64/extra/other.ko", weak).unwrap();
    symlink("/usr/src/kernels/x", entry.at(&format!("{modules}/build"))).unwrap();
    symlink("build", entry.at(&format!("{modules}/source"))).unwrap();

    let index = entry.sorted().unwrap();
    assert_eq!(index.release, RELEASE);
    let tree = entry.modules();
    assert_eq!(
        files(&tree, "ext4"),
        ["kernel/fs/jbd2/jbd2.ko.xz", "kernel/fs/ext4/ext4.ko.xz"]
    );
    assert_eq!(files(&tree, "own"), ["extra/own.ko"]);
    for unknown in ["other", "old"] {
        tree.closure(&[unknown]).unwrap_err();
    }
    assert_eq!(tree.closure(&["crc32"]).unwrap()[0].found, Found::Builtin);
    assert!(entry.config().unwrap().starts_with("CONFIG_RD_XZ=y"));
    for gone in ["boot", "lib/modules", "usr/share/doc"] {
        assert!(!entry.0.path().join(USERLAND).join(gone).exists(), "{gone}");
    }
    assert!(entry.at("etc/kept").exists());
}

/// kernel-core, kernel-modules-core, kernel-modules and kernel-modules-extra of RHEL 8 and 9, all
/// below one directory, in a merged /usr.
#[test]
fn as_rhel_8_packs_it() {
    let modules = format!("usr/lib/modules/{RELEASE}");
    let entry = Entry::with(&[
        (&format!("{modules}/vmlinuz"), &kernel_file()),
        (&format!("{modules}/.vmlinuz.hmac"), b"00 x"),
        (&format!("{modules}/config"), b"CONFIG_XFS_FS=m\n"),
        (&format!("{modules}/modules.builtin"), b""),
        (
            &format!("{modules}/kernel/fs/xfs/xfs.ko.xz"),
            &xz(&module("depends=libcrc32c\0")),
        ),
        (
            &format!("{modules}/kernel/lib/libcrc32c.ko.xz"),
            &xz(&module("")),
        ),
        (&format!("{modules}/extra/sctp.ko.xz"), &xz(&module(""))),
    ]);
    symlink("usr/lib", entry.at("lib")).unwrap();
    let index = entry.sorted().unwrap();
    assert!(matches!(index.modules, Modules::Here));
    assert_eq!(
        files(&entry.modules(), "xfs"),
        ["kernel/lib/libcrc32c.ko.xz", "kernel/fs/xfs/xfs.ko.xz"]
    );
    assert_eq!(files(&entry.modules(), "sctp"), ["extra/sctp.ko.xz"]);
    assert_eq!(entry.config().unwrap(), "CONFIG_XFS_FS=m\n");
}

#[test]
fn not_one_kernel() {
    let error = Entry::with(&[("usr/bin/kexec", b"")]).sorted().unwrap_err();
    assert!(
        error.contains("is no kernel in it") && error.contains("kernel-core"),
        "{error}"
    );
    let kernel = kernel_file();
    let error = Entry::with(&[
        (&format!("boot/vmlinuz-{RELEASE}"), &kernel),
        ("lib/modules/4.18.0-1.el8.x86_64/vmlinuz", &kernel),
    ])
    .sorted()
    .unwrap_err();
    assert!(
        error.contains(&format!("2 kernels in it ({RELEASE}, 4.18.0-1.el8.x86_64)")),
        "{error}"
    );
}

#[test]
fn the_modules_must_be_the_kernels_own() {
    let boot = format!("boot/vmlinuz-{RELEASE}");
    let other = "lib/modules/3.10.0-1.el7.x86_64/kernel/a.ko";
    let kernel = kernel_file();
    let error = Entry::with(&[(&boot, &kernel), (other, &module(""))])
        .sorted()
        .unwrap_err();
    assert!(
        error.contains(RELEASE) && error.contains("but modules of 3.10.0-1.el7.x86_64"),
        "{error}"
    );
    // The lists alone, as kernel-core of RHEL 9 has them.
    let modules = format!("lib/modules/{RELEASE}");
    let config = format!("{modules}/config");
    let builtin = format!("{modules}/modules.builtin");
    let error = Entry::with(&[
        (&format!("{modules}/vmlinuz"), &kernel),
        (&config, b"CONFIG_XFS_FS=m\n"),
        (&builtin, b""),
    ])
    .sorted()
    .unwrap_err();
    assert!(error.contains("kernel-modules-core"), "{error}");
    // A kernel that was built without modules.
    let entry = Entry::with(&[
        (&boot, &kernel),
        (&format!("boot/config-{RELEASE}"), b"CONFIG_XFS_FS=y\n"),
    ]);
    assert!(matches!(entry.sorted().unwrap().modules, Modules::None));
    let entry = Entry::with(&[
        (&boot, &kernel),
        (&config, b"CONFIG_XFS_FS=y\n"),
        (&builtin, b"kernel/fs/xfs/xfs.ko\n"),
    ]);
    entry.sorted().unwrap();
    let found = entry.modules().closure(&["xfs"]).unwrap().remove(0).found;
    assert_eq!(found, Found::Builtin);
}

#[test]
fn a_damaged_module_is_named() {
    let entry = Entry::with(&[
        (&format!("boot/vmlinuz-{RELEASE}"), &kernel_file()),
        (
            &format!("lib/modules/{RELEASE}/kernel/a.ko.xz"),
            &xz(&module(""))[..20],
        ),
    ]);
    let error = entry.sorted().unwrap_err();
    assert!(error.contains("kernel/a.ko.xz"), "{error}");
}

/// Directories of this machine stand for /, /boot and /lib/modules.
#[test]
fn links_in_packages_never_lead_out() {
    let outside = tempfile::tempdir().unwrap();
    let there = |path: &str| {
        let path = outside.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    let theirs = [
        format!("boot/vmlinuz-{RELEASE}"),
        format!("modules/{RELEASE}/kernel/a.ko"),
        format!("modules/{RELEASE}/modules.dep"),
        "share/doc/precious".to_owned(),
        "shadow".to_owned(),
    ];
    for file in &theirs {
        fs::write(there(file), kernel_file()).unwrap();
    }
    let link = |entry: &Entry, from: &str, to: &str| {
        symlink(outside.path().join(to), entry.at(from)).unwrap();
    };
    let own = format!("lib/modules/{RELEASE}");

    let entry = Entry::with(&[]);
    link(&entry, "boot", "boot");
    assert!(entry.sorted().unwrap_err().contains("is no kernel in it"));

    let entry = Entry::with(&[(&format!("boot/vmlinuz-{RELEASE}"), &kernel_file())]);
    link(&entry, "lib/modules", "modules");
    assert!(entry.sorted().unwrap_err().contains("not its modules"));
    let entry = Entry::with(&[(&format!("boot/vmlinuz-{RELEASE}"), &kernel_file())]);
    link(&entry, &own, &format!("modules/{RELEASE}"));
    assert!(entry.sorted().unwrap_err().contains("not its modules"));

    let entry = Entry::with(&[
        (&format!("boot/vmlinuz-{RELEASE}"), &kernel_file()),
        (&format!("{own}/kernel/a.ko"), &module("")),
    ]);
    link(&entry, &format!("{own}/modules.dep"), "shadow");
    link(&entry, &format!("boot/config-{RELEASE}"), "shadow");
    link(&entry, "usr/share", "share");
    entry.sorted().unwrap();
    assert_eq!(entry.config(), None);
    for file in &theirs {
        assert_eq!(fs::read(there(file)).unwrap(), kernel_file(), "{file}");
    }
}
