use std::io::Write;

use super::*;
use crate::image::elf::made;

fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, ModuleTree) {
    let directory = tempfile::tempdir().unwrap();
    for (file, text) in files {
        fs::write(directory.path().join(file), text).unwrap();
    }
    let tree = ModuleTree::at(directory.path());
    (directory, tree)
}

const FILES: [(&str, &str); 5] = [
    (
        "modules.dep",
        "kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/fs/mbcache.ko kernel/lib/crc16.ko\n\
         kernel/fs/jbd2/jbd2.ko:\nkernel/fs/mbcache.ko:\nkernel/lib/crc16.ko:\n\
         kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio.ko.xz\n\
         kernel/drivers/virtio/virtio.ko.xz:\n\
         kernel/crypto/crc32c_generic.ko:\n\
         kernel/arch/x86/crypto/crc32c-intel.ko: kernel/crypto/base.ko\nkernel/crypto/base.ko:\n\
         kernel/a.ko: kernel/crypto/base.ko\nkernel/b.ko:\n",
    ),
    (
        "modules.softdep",
        "softdep ext4 pre: crc32c absent post: xfs\nsoftdep a pre: b\nsoftdep b pre: a crc32c\n",
    ),
    (
        "modules.alias",
        "# a comment\nalias crc32c crc32c_generic\nalias crc32c crc32c_intel\nalias pci:v00001AF4d* virtio_pci\n",
    ),
    (
        "modules.builtin",
        "kernel/drivers/nvme/host/nvme-core.ko\nkernel/lib/crc64.ko\n",
    ),
    (
        "modules.builtin.modinfo",
        "crc64.alias=crypto-crc64\0crc64.license=GPL\0",
    ),
];

fn names(driver: &Driver) -> Vec<(&str, bool)> {
    let Found::Files(files) = &driver.found else {
        panic!("{driver:?}")
    };
    files
        .iter()
        .map(|module| (module.name.as_str(), module.optional))
        .collect()
}

#[test]
fn what_is_needed_comes_first() {
    let (directory, tree) = tree(&FILES);
    let drivers = tree.closure(&["ext4", "virtio-blk", "nvme_core"]).unwrap();
    assert_eq!(
        names(&drivers[0]),
        [
            ("crc32c_generic", true),
            ("base", true),
            ("crc32c_intel", true),
            ("crc16", false),
            ("mbcache", false),
            ("jbd2", false),
            ("ext4", false)
        ]
    );
    assert_eq!(
        names(&drivers[1]),
        [("virtio", false), ("virtio_blk", false)]
    );
    assert_eq!(drivers[2].found, Found::Builtin);
    let Found::Files(files) = &drivers[1].found else {
        panic!()
    };
    assert_eq!(files[1].file, "kernel/drivers/block/virtio_blk.ko.xz");
    assert_eq!(files[1].path, directory.path().join(&files[1].file));
}

#[test]
fn soft_cycles_end_and_what_is_needed_is_not_optional() {
    let (_directory, tree) = tree(&FILES);
    let drivers = tree.closure(&["a"]).unwrap();
    let names = names(&drivers[0]);
    assert_eq!(names.last(), Some(&("a", false)));
    assert!(
        names.contains(&("b", true)) && names.contains(&("base", false)),
        "{names:?}"
    );
}

#[test]
fn aliases_and_builtin_aliases_are_names_too() {
    let (_directory, tree) = tree(&FILES);
    let drivers = tree.closure(&["crc32c", "crypto-crc64"]).unwrap();
    assert_eq!(names(&drivers[0]).len(), 3);
    assert_eq!(drivers[1].found, Found::Builtin);
}

#[test]
fn an_unknown_driver_is_an_error_with_the_nearest_name() {
    let (_directory, tree) = tree(&FILES);
    let message = tree
        .closure(&["ext4", "virtio_blkk"])
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("`virtio_blkk`") && message.contains("did you mean `virtio_blk`?"),
        "{message}"
    );
    let message = tree.closure(&["zzz"]).unwrap_err().to_string();
    assert!(!message.contains("did you mean"), "{message}");
}

#[test]
fn without_modules_everything_is_assumed() {
    let drivers = ModuleTree::none().closure(&["virtio-blk"]).unwrap();
    assert_eq!(
        drivers,
        [Driver {
            name: "virtio_blk".into(),
            found: Found::Assumed
        }]
    );
}

#[test]
fn compressed_modules_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let read = |file: &str, bytes: &[u8]| {
        let path = directory.path().join(file);
        fs::write(&path, bytes).unwrap();
        read_module(&path)
    };
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"module").unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(b"module").unwrap();
    let zstd = ruzstd::encoding::compress_to_vec(
        &b"module"[..],
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    assert_eq!(read("a.ko", b"module").unwrap(), b"module");
    assert_eq!(read("a.ko.gz", &gzip.finish().unwrap()).unwrap(), b"module");
    assert_eq!(read("a.ko.xz", &xz.finish().unwrap()).unwrap(), b"module");
    assert_eq!(read("a.ko.zst", &zstd).unwrap(), b"module");
    for file in ["b.ko.xz", "b.ko.gz", "b.ko.zst"] {
        let error = read(file, b"module").unwrap_err();
        assert!(matches!(error, ModuleError::Compressed { .. }), "{error}");
        assert!(error.to_string().contains(file), "{error}");
    }
    let half = &zstd[..zstd.len() / 2];
    assert!(matches!(
        read("c.ko.zst", half),
        Err(ModuleError::Compressed { .. })
    ));
}

/// A relocatable file with nothing but a section `.modinfo`.
pub(in super::super) fn module(modinfo: &str) -> Vec<u8> {
    let names = b"\0.modinfo\0.shstrtab\0";
    let mut file = made::IDENT.to_vec();
    file.extend(made::halves(&[1, 62, 1, 0]));
    file.extend(made::longs(&[0, 0, 64]));
    file.extend(made::halves(&[0, 0, 64, 0, 0, 64, 3, 2]));
    file.resize(128, 0);
    let at = 64 + 3 * 64;
    for (name, kind, start, size) in [
        (1, 1, at, modinfo.len()),
        (10, 3, at + modinfo.len(), names.len()),
    ] {
        file.extend(made::halves(&[name, 0, kind, 0]));
        file.extend(made::longs(&[0, 0, start as u64, size as u64, 0, 1, 0]));
    }
    file.extend_from_slice(modinfo.as_bytes());
    file.extend_from_slice(names);
    file
}

#[test]
fn the_index_is_made_from_the_modules_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let put = |file: &str, modinfo: &str| {
        let path = directory.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, module(modinfo)).unwrap();
    };
    put(
        "kernel/fs/ext4.ko",
        "depends=jbd2,crc16\0softdep=pre: crc32c\0alias=fs-ext4\0",
    );
    put("kernel/fs/jbd2.ko", "depends=crc16,built-in\0");
    put("kernel/lib/crc16.ko", "depends=\0");
    put(
        "extra/crc32c-intel.ko",
        "alias=crc32c\0alias=cpu:type:x86,*\0",
    );
    fs::write(directory.path().join("kernel/readme"), "").unwrap();
    assert_eq!(write_index(directory.path(), directory.path()).unwrap(), 4);
    let dep = fs::read_to_string(directory.path().join("modules.dep")).unwrap();
    assert!(
        dep.contains("kernel/fs/ext4.ko: kernel/fs/jbd2.ko kernel/lib/crc16.ko\n"),
        "{dep}"
    );
    let drivers = ModuleTree::at(directory.path())
        .closure(&["fs-ext4"])
        .unwrap();
    assert_eq!(
        names(&drivers[0]),
        [
            ("crc32c_intel", true),
            ("crc16", false),
            ("jbd2", false),
            ("ext4", false)
        ]
    );
    fs::write(directory.path().join("kernel/bad.ko"), "no").unwrap();
    let error = write_index(directory.path(), directory.path()).unwrap_err();
    assert!(error.to_string().contains("bad.ko"), "{error}");
}

#[test]
fn of_modules_with_one_name_depmods_choice_counts() {
    let directory = tempfile::tempdir().unwrap();
    let put = |file: &str, modinfo: &str| {
        let path = directory.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, module(modinfo)).unwrap();
    };
    put("kernel/drivers/scsi/mpt3sas.ko", "depends=raid_class\0");
    put("kernel/drivers/scsi/raid_class.ko", "");
    put("extra/mpt3sas/mpt3sas.ko", "");
    put("kernel/drivers/net/ixgbe.ko", "");
    put("extra/ixgbe.ko", "");
    put("updates/dkms/ixgbe.ko", "");
    put("kernel/fs/xfs.ko", "");
    put("weak-updates/xfs.ko", "");
    put("weak-updates/lustre.ko", "");
    assert_eq!(write_index(directory.path(), directory.path()).unwrap(), 5);
    let tree = ModuleTree::at(directory.path());
    let files = |name: &str| match &tree.closure(&[name]).unwrap()[0].found {
        Found::Files(files) => files
            .iter()
            .map(|module| module.file.clone())
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(files("mpt3sas"), ["extra/mpt3sas/mpt3sas.ko"]);
    assert_eq!(files("ixgbe"), ["updates/dkms/ixgbe.ko"]);
    assert_eq!(files("xfs"), ["kernel/fs/xfs.ko"]);
    assert_eq!(files("lustre"), ["weak-updates/lustre.ko"]);
}

#[test]
fn an_index_is_written_through_no_link_and_holds_no_odd_name() {
    use std::os::unix::fs::symlink;
    let top = tempfile::tempdir().unwrap();
    let directory = top.path().join("modules");
    fs::create_dir_all(directory.join("kernel")).unwrap();
    fs::write(directory.join("kernel/a.ko"), module("")).unwrap();
    fs::write(directory.join("modules.builtin"), "kernel/b.ko\n").unwrap();
    fs::write(directory.join("modules.alias"), "alias old a\n").unwrap();
    let outside = top.path().join("precious");
    fs::write(&outside, "precious").unwrap();
    symlink(&outside, directory.join("modules.dep")).unwrap();
    symlink("/", directory.join("build")).unwrap();
    symlink("a.ko", directory.join("kernel/c.ko")).unwrap();
    assert_eq!(write_index(&directory, &directory).unwrap(), 1);
    assert_eq!(fs::read_to_string(&outside).unwrap(), "precious");
    let read = |file: &str| fs::read_to_string(directory.join(file)).unwrap();
    assert_eq!(read("modules.dep"), "kernel/a.ko:\n");
    assert_eq!(read("modules.alias"), "");
    assert_eq!(read("modules.builtin"), "kernel/b.ko\n");

    // It would be two lines of modules.dep, the second of which leads out.
    let odd = "kernel/x\n..";
    fs::create_dir(directory.join(odd)).unwrap();
    fs::write(directory.join(odd).join("d.ko"), module("")).unwrap();
    let error = write_index(&directory, &directory).unwrap_err();
    assert!(error.to_string().contains("such a name"), "{error}");
}

#[test]
fn a_configuration_says_whether_there_are_modules() {
    assert!(builds_modules(b"CONFIG_A=y\nCONFIG_EXT4_FS=m\n"));
    assert!(!builds_modules(
        b"CONFIG_MODULES=y\n# CONFIG_B=m\nCONFIG_C=\"=m\"\n"
    ));
}

#[test]
fn the_directory_is_found_from_above() {
    let top = tempfile::tempdir().unwrap();
    let modules = top.path().join("lib/modules/3.10.0");
    fs::create_dir_all(modules.join("kernel")).unwrap();
    fs::write(modules.join("modules.order"), "").unwrap();
    fs::create_dir_all(top.path().join("etc/kernel")).unwrap();
    for named in [top.path(), &top.path().join("lib/modules"), &modules] {
        assert_eq!(find_directory(named).unwrap(), modules);
    }
    fs::create_dir_all(top.path().join("lib/modules/6.1")).unwrap();
    fs::write(top.path().join("lib/modules/6.1/modules.dep"), "").unwrap();
    assert!(
        matches!(find_directory(top.path()), Err(ModuleError::Several { releases, .. }) if releases.len() == 2)
    );
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        find_directory(empty.path()),
        Err(ModuleError::NoModules(_))
    ));
}

#[test]
fn without_a_list_of_what_is_built_in_nothing_is_unknown() {
    let (_directory, tree) = tree(&FILES[..3]);
    let drivers = tree.closure(&["nvme", "ext4"]).unwrap();
    assert_eq!(drivers[0].found, Found::Assumed);
    assert!(matches!(drivers[1].found, Found::Files(_)));
}
