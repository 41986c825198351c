use super::*;

pub(super) const DIRTY: &[u8] = include_bytes!("../../../tests/disks/xfs-dirty.xz");
pub(super) const VERSION_4: &[u8] = include_bytes!("../../../tests/disks/xfs-4.xz");

/// Where the log of [`DIRTY`] is.
pub(super) fn log(disk: &File) -> std::ops::Range<u64> {
    let mut sb = [0; 512];
    FileExt::read_exact_at(disk, &mut sb, 0).unwrap();
    let field = |at: usize| u64::from_be_bytes(sb[at..at + 8].try_into().unwrap());
    let group_blocks = field(80) & 0xffff_ffff;
    let (group, block) = (field(48) >> sb[124], field(48) & ((1 << sb[124]) - 1));
    let start = (group * group_blocks + block) << sb[120];
    start..start + ((field(96) >> 32) << sb[120])
}

#[test]
fn what_was_synced_and_never_unmounted_is_read() {
    check_filled(&fixture(DIRTY));
}

#[test]
fn without_the_log_it_would_not_be_there() {
    // The log says that it was unmounted before anything was written.
    let disk = fixture(DIRTY);
    let log = log(&disk);
    let zeros = vec![0; (log.end - log.start) as usize - 1024];
    disk.write_all_at(&zeros, log.start + 1024).unwrap();
    assert_eq!(
        open(&disk).unwrap().find_dumps("/").unwrap(),
        Found::default()
    );
}

#[test]
fn a_log_that_is_damaged_is_no_empty_disk() {
    let disk = fixture(DIRTY);
    let log = log(&disk);
    // Headers that are long over, and one in the middle of what counts.
    for block in (log.start + 8192..log.end).step_by(512).skip(100).take(8) {
        disk.write_all_at(&[0xff; 4], block).unwrap();
    }
    let error = open(&disk).err().unwrap().to_string();
    assert!(error.contains("its log is damaged"), "{error}");

    let disk = fixture(DIRTY);
    disk.write_all_at(&vec![0; (log.end - log.start) as usize], log.start)
        .unwrap();
    let error = open(&disk).err().unwrap().to_string();
    assert!(error.contains("its log has no records"), "{error}");
}

#[test]
fn version_4_is_read() {
    let target = open(&fixture(VERSION_4)).unwrap();
    for directory in ["/var/crash", "/crash", "/long"] {
        let found = target.find_dumps(directory).unwrap();
        let paths: Vec<_> = found.dumps.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["/var/crash/vmcore"]);
    }
    assert!(read(&target, "/crash/vmcore") == content(300_001));
    assert!(read(&target, "/many/vmcore") == content(300_001));
    assert!(read(&target, "/many/a-file-with-a-longer-name-1000").is_empty());
    assert_eq!(target.find_dumps("/").unwrap().dumps.len(), 2);
}

#[test]
fn what_is_not_read_is_named() {
    for (at, bytes, text) in [
        (48, [0; 8].as_slice(), "its log is on another disk"),
        (100, &[0x00, 0x03], "xfs of version 3"),
        (216, &[0, 0, 2, 0], "features 0x200"),
        (216, &[0, 0, 0, 0x11], "xfs_repair"),
        (8, &[0, 0, 1, 0], "claims"),
        (120, &[40], "makes no sense"),
    ] {
        let disk = fixture(DIRTY);
        disk.write_all_at(bytes, at).unwrap();
        let error = open(&disk).err().unwrap().to_string();
        assert!(error.contains(text), "{error}");
    }
}
