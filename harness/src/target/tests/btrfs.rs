use super::*;

pub(super) const BTRFS: &[u8] = include_bytes!("../../../tests/disks/btrfs.xz");

#[test]
fn the_default_subvolume_is_read() {
    check_filled(&fixture(BTRFS));
}

#[test]
fn compressed_files_and_other_subvolumes_are_read() {
    let target = open(&fixture(BTRFS)).unwrap();
    for way in ["zlib", "lzo", "zstd"] {
        for size in [2000, 300_001] {
            let bytes = read(&target, &format!("/{way}-{size}"));
            assert!(bytes == content(size), "{way} {size}");
        }
    }
    assert_eq!(read(&target, "/sub/vmcore"), [0; 3]);
}

/// Where superblocks are on a disk of 128 MiB.
const SUPERBLOCKS: [u64; 2] = [64 << 10, 64 << 20];

/// Changes all superblocks, with the right checksum.
fn change(disk: &File, at: usize, bytes: &[u8]) {
    for start in SUPERBLOCKS {
        let mut sb = [0; 4096];
        FileExt::read_exact_at(disk, &mut sb, start).unwrap();
        sb[at..at + bytes.len()].copy_from_slice(bytes);
        let checksum = checksum::crc32c(&sb[32..]);
        sb[..4].copy_from_slice(&checksum.to_le_bytes());
        disk.write_all_at(&sb, start).unwrap();
    }
}

#[test]
fn a_copy_stands_in_for_what_is_damaged() {
    let disk = fixture(BTRFS);
    disk.write_all_at(&[0xff; 512], SUPERBLOCKS[0] + 2048)
        .unwrap();
    check_filled(&disk);
    disk.write_all_at(&[0xff; 512], SUPERBLOCKS[1] + 2048)
        .unwrap();
    let error = open(&disk).err().unwrap().to_string();
    assert!(error.contains("no superblock of it is whole"), "{error}");
}

#[test]
fn what_is_not_read_is_named() {
    for (at, bytes, text) in [
        (96, [0x00, 0x10, 0, 0].as_slice(), "tree log"),
        (136, &[2], "of 2 disks"),
        (188, &[0x41, 0x13], "zoned"),
        (190, &[0x10], "features 0x100000"),
        (196, &[2], "type 2"),
        (144, &[1], "makes no sense"),
        (160, &[0, 9], "makes no sense"),
        // The profile of the first system chunk.
        (811 + 17 + 24, &[0x12], "profile raid1"),
    ] {
        let disk = fixture(BTRFS);
        change(&disk, at, bytes);
        let error = open(&disk).err().unwrap().to_string();
        assert!(error.contains(text), "{error}");
    }
}
