use std::os::unix::fs::FileExt;
use std::process::Command;

use super::*;
use crate::units::Bytes;

/// On PATH, or where Debian keeps it from users.
fn mke2fs() -> Command {
    let mut command = Command::new("mke2fs");
    command.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    command
}

#[test]
fn an_empty_disk_of_any_size_and_kind_holds_no_dumps() {
    for size in [1, 8, 64, 4096] {
        for ext in [Ext::Ext2, Ext::Ext3, Ext::Ext4] {
            let disk = make_disk_with(ext, Bytes(size * Bytes::MIB), mke2fs()).unwrap();
            assert_eq!(disk.metadata().unwrap().len(), size * Bytes::MIB);
            assert_eq!(find_dumps(&disk, "/").unwrap(), []);
            assert_eq!(find_dumps(&disk, "/var/crash").unwrap(), []);
        }
    }
}

#[test]
fn no_feature_that_a_3_10_kernel_lacks() {
    let disk = make_disk(Bytes(64 * Bytes::MIB), mke2fs()).unwrap();
    let mut features = [0; 12];
    disk.read_exact_at(&mut features, 1024 + 0x5c).unwrap();
    let word = |at: usize| u32::from_le_bytes(features[at..at + 4].try_into().unwrap());
    // has_journal, ext_attr, dir_index
    assert_eq!(word(0) & !0x2c, 0);
    // filetype, extent, flex_bg
    assert_eq!(word(4), 0x242);
    // sparse_super, large_file, huge_file, uninit_bg, dir_nlink, extra_isize
    assert_eq!(word(8) & !0x7b, 0);
}

#[test]
fn what_mke2fs_says_is_passed_on() {
    let error = make_disk(Bytes(16 << 10), mke2fs()).unwrap_err();
    assert!(matches!(error, DiskError::Failed { .. }), "{error}");
    let error = make_disk(Bytes(Bytes::MIB), Command::new("no-such-mke2fs")).unwrap_err();
    assert!(error.to_string().contains("e2fsprogs"), "{error}");
}

/// Lists and inspects the dumps on a real target's image.
#[test]
#[ignore = "needs a disk that a capture kernel wrote to: CRASHDRILL_TEST_DISK=/path/to/image"]
fn real_disk() {
    let path = std::env::var("CRASHDRILL_TEST_DISK").expect("CRASHDRILL_TEST_DISK is not set");
    let disk = std::fs::File::open(path).unwrap();
    let start = std::time::Instant::now();
    let target = Target::open(&disk).unwrap();
    println!("opened after {:?}", start.elapsed());
    for file in target.find_dumps("/").unwrap() {
        let start = std::time::Instant::now();
        let reader = target.open_dump(&file.path).unwrap();
        match crate::vmcore::inspect(&reader, reader.len()) {
            Ok(found) => println!(
                "{:?} {file:?}\n    {} {:?} {:?} {:?} {:?}",
                start.elapsed(),
                found.format,
                found.complete,
                found.pages,
                found.panic,
                found.dmesg.map(|text| text.len()),
            ),
            Err(error) => println!("{:?} {file:?}\n    {error}", start.elapsed()),
        }
    }
}

/// Runs debugfs (e2fsprogs) on the disk; it answers on standard output and never fails.
fn debugfs(disk: &File, commands: &str) {
    let mut script = tempfile::tempfile().unwrap();
    script.write_all(commands.as_bytes()).unwrap();
    script.rewind().unwrap();
    // The disk goes in as standard output, the script as standard input: no names are needed.
    let output = Command::new("debugfs")
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .args(["-w", "-f", "/proc/self/fd/0", "/proc/self/fd/1"])
        .stdin(script)
        .stdout(disk.try_clone().unwrap())
        .output()
        .unwrap();
    let says = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{says}");
}
