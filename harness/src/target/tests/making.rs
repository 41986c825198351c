use super::*;

#[test]
fn what_mke2fs_says_is_passed_on() {
    let content = Content::Filesystem(Format::new(Filesystem::Ext4));
    let error = make_disk(Bytes(16 << 10), &content, host).unwrap_err();
    assert!(matches!(error, DiskError::Failed { .. }), "{error}");
    let error = make_disk(Bytes(Bytes::MIB), &content, |_| host("no-such-mke2fs")).unwrap_err();
    assert!(error.to_string().contains("cannot run `mke2fs`"), "{error}");
}

fn format(filesystem: Filesystem) -> Format {
    Format::new(filesystem)
}

#[test]
fn a_disk_too_small_is_refused_with_the_smallest_size() {
    for (filesystem, size, text) in [
        (
            Filesystem::Xfs,
            299,
            "a disk of 299M is too small for xfs: `mkfs.xfs` wants 300M",
        ),
        (
            Filesystem::Btrfs,
            64,
            "a disk of 64M is too small for btrfs: `mkfs.btrfs` wants 109M",
        ),
    ] {
        let content = Content::Filesystem(format(filesystem));
        let error = make_disk(Bytes(size * Bytes::MIB), &content, |_| unreachable!());
        assert_eq!(error.unwrap_err().to_string(), text);
    }
}

#[test]
fn a_label_or_uuid_that_the_file_system_cannot_have_is_refused() {
    let refused = |filesystem, label: &str| format(filesystem).label(label).err();
    assert_eq!(refused(Filesystem::Ext4, "exactly16bytes.."), None);
    assert_eq!(refused(Filesystem::Xfs, "exactly12byt"), None);
    assert_eq!(refused(Filesystem::Btrfs, &"b".repeat(255)), None);
    for (filesystem, label, text) in [
        (
            Filesystem::Ext2,
            "seventeen-bytes..",
            "has 17 bytes, and one of ext2 has at most 16",
        ),
        (
            Filesystem::Xfs,
            "thirteen-byte",
            "has 13 bytes, and one of xfs has at most 12",
        ),
        (Filesystem::Xfs, "", "is no label"),
        (Filesystem::Ext4, "two words", "is no label"),
        (Filesystem::Btrfs, "a/b", "is no label"),
        (Filesystem::Btrfs, "a\0b", "is no label"),
    ] {
        let error = refused(filesystem, label).unwrap().to_string();
        assert!(error.contains(text), "{error}");
    }
    for uuid in [
        "",
        "1234",
        "c7a54d11-0000-4000-8000-00000000000",
        "c7a54d11-0000-4000-8000-00000000000g",
    ] {
        assert!(matches!(
            format(Filesystem::Xfs).uuid(uuid),
            Err(FormatError::Uuid(_))
        ));
    }
}

#[test]
fn ext_has_the_uuid_and_label_that_were_asked_for() {
    let format = format(Filesystem::Ext3).label("my-dumps").unwrap();
    let format = format.uuid("0123abcd-0000-4000-8000-00000000beef").unwrap();
    let content = Content::Filesystem(format);
    let disk = make_disk(Bytes(8 * Bytes::MIB), &content, host).unwrap();
    let mut found = [0; 32];
    FileExt::read_exact_at(&disk, &mut found, 1024 + 0x68).unwrap();
    assert_eq!(found[..4], [0x01, 0x23, 0xab, 0xcd]);
    assert_eq!(found[14..24], *b"\xbe\xefmy-dumps");
}

#[test]
fn a_blank_disk_is_a_raw_dump_once_something_is_written() {
    let disk = make_disk(Bytes(Bytes::MIB), &Content::Blank, |_| unreachable!()).unwrap();
    let device = BlockDevice::whole(&disk).unwrap();
    assert_eq!(filesystem(&device), None);
    let target = Target::raw(&device);
    assert_eq!(target.find_dumps("/var/crash").unwrap(), Found::default());
    disk.write_all_at(b"makedumpfile", 0).unwrap();
    let found = target.find_dumps("/var/crash").unwrap();
    assert_eq!((found.dumps.len(), found.dumps[0].bytes), (1, Bytes::MIB));
    let reader = target.open_dump(&found.dumps[0].path).unwrap();
    let mut bytes = [0; 13];
    reader.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(bytes, *b"makedumpfile\0");
}
