mod btrfs;
mod damage;
mod ext;
mod making;
mod partitions;
mod xfs;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::process::Command;

use super::*;
use crate::image::UserlandError;
use crate::kdump::conf::Filesystem;
use crate::units::Bytes;
use crate::vmcore::ReadAt;

/// On PATH, or where Debian keeps it from users.
fn host(program: &str) -> Result<Command, UserlandError> {
    let mut command = Command::new(program);
    command.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    Ok(command)
}

fn make(filesystem: Filesystem, mib: u64) -> File {
    let content = Content::Filesystem(Format::new(filesystem));
    make_disk(Bytes(mib * Bytes::MIB), &content, host).unwrap()
}

fn open(disk: &File) -> Result<Target, TargetError> {
    Target::open(&BlockDevice::whole(disk).unwrap())
}

fn find_dumps(disk: &File, directory: &str) -> Result<Vec<DumpFile>, TargetError> {
    Ok(open(disk)?.find_dumps(directory)?.dumps)
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i / 7 % 251) as u8).collect()
}

fn paths(disk: &File, directory: &str) -> Vec<String> {
    let found = find_dumps(disk, directory).unwrap();
    found.into_iter().map(|file| file.path).collect()
}

/// A disk of tests/disks/, whose make.sh says what is on it.
fn fixture(xz: &[u8]) -> File {
    let mut stream = liblzma::read::XzDecoder::new(xz);
    let disk = tempfile::tempfile().unwrap();
    let mut at = 0;
    loop {
        let mut block = Vec::new();
        stream
            .by_ref()
            .take(1 << 16)
            .read_to_end(&mut block)
            .unwrap();
        if block.is_empty() {
            disk.set_len(at).unwrap();
            return disk;
        }
        if block.iter().any(|&byte| byte != 0) {
            disk.write_all_at(&block, at).unwrap();
        }
        at += block.len() as u64;
    }
}

fn read(target: &Target, path: &str) -> Vec<u8> {
    let reader = target.open_dump(path).unwrap();
    let mut bytes = vec![0; reader.len() as usize];
    reader.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

/// What make.sh has put on the disk, read from every path that leads to it.
fn check_filled(disk: &File) {
    let target = open(disk).unwrap();
    let old = "/var/crash/127.0.0.1-2026-01-01-00:00:00";
    let new = "/var/crash/127.0.0.1-2026-03-01-00:00:00";
    let file = |path: String, bytes| DumpFile {
        name: path.rsplit('/').next().unwrap().to_owned(),
        path,
        bytes,
    };
    let expected = Found {
        dumps: vec![
            file(format!("{new}/vmcore"), 300_001),
            file(format!("{old}/vmcore-incomplete"), 5000),
        ],
        logs: vec![file(format!("{new}/vmcore-dmesg.txt"), 999)],
    };
    for directory in ["/var/crash", "/crash/", "/long", "long/../crash"] {
        assert_eq!(
            target.find_dumps(directory).unwrap(),
            expected,
            "{directory}"
        );
    }
    assert_eq!(
        target.find_dumps("/var/crash/none").unwrap(),
        Found::default()
    );
    let error = target.find_dumps("/loop").unwrap_err().to_string();
    assert!(error.contains("link `/loop` without end"), "{error}");

    assert!(read(&target, &format!("/crash/..{}/vmcore", &new[4..])) == content(300_001));
    assert!(read(&target, &format!("{new}/vmcore-dmesg.txt")) == content(999));
    assert!(read(&target, &format!("{old}/vmcore-incomplete")) == content(5000));
    // A directory of many blocks, from which entries were removed again.
    assert_eq!(read(&target, "/many/vmcore"), [0]);
    assert!(read(&target, "/many/a-file-with-a-longer-name-999").is_empty());
    assert!(matches!(
        target.open_dump("/many/a-file-with-a-longer-name-995"),
        Err(TargetError::NotFound(_))
    ));
    assert!(target.open_dump("/many").is_err());

    let pieces = |len: usize, at: &[usize]| {
        let mut bytes = vec![0; len];
        for at in at {
            bytes[at * 4096..(at + 1) * 4096].copy_from_slice(&content(4096));
        }
        bytes
    };
    let even: Vec<usize> = (0..1200).step_by(2).collect();
    let fragmented = read(&target, "/fragmented");
    assert!(fragmented == pieces(1200 * 4096, &even));
    assert!(read(&target, "/sparse") == pieces(100_000, &[3]));
    assert!(read(&target, "/unwritten") == pieces(100_000, &[3]));

    let reader = target.open_dump("/fragmented").unwrap();
    for offset in [0, 4_000_000, 131_070, 999_999, 4095, 4_915_198] {
        let mut two = [0; 2];
        reader.read_exact_at(offset, &mut two).unwrap();
        assert_eq!(two, fragmented[offset as usize..offset as usize + 2]);
    }
    let error = reader.read_exact_at(4_915_199, &mut [0; 2]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[test]
fn what_is_no_file_system_is_named() {
    let disk = tempfile::tempfile().unwrap();
    assert!(open(&disk).is_err());
    disk.set_len(Bytes::MIB).unwrap();
    let error = find_dumps(&disk, "/").unwrap_err().to_string();
    assert!(error.contains("not ext2, ext3, ext4"), "{error}");
}

/// Reads every file of `sha256sum`'s list on an image, and holds it against the sum.
#[test]
#[ignore = "needs an image and its list: CRASHDRILL_TEST_DISK=image CRASHDRILL_TEST_SUMS=list"]
fn real_sums() {
    use sha2::{Digest, Sha256};
    let variable = |name: &str| std::env::var(name).unwrap();
    let disk = File::open(variable("CRASHDRILL_TEST_DISK")).unwrap();
    let start = std::time::Instant::now();
    let target = open(&disk).unwrap();
    println!("opened after {:?}", start.elapsed());
    println!("{:#?}", target.find_dumps("/var/crash"));
    let sums = std::fs::read_to_string(variable("CRASHDRILL_TEST_SUMS")).unwrap();
    for line in sums.lines() {
        let (sum, path) = line.split_once("  ").unwrap();
        let reader = target.open_dump(&path[1..]).unwrap();
        let mut bytes = vec![0; reader.len() as usize];
        reader.read_exact_at(0, &mut bytes).unwrap();
        let found: String = Sha256::digest(&bytes)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        println!("{} {path} {}", found == sum, bytes.len());
        assert_eq!(found, sum, "{path}");
    }
}

/// Lists and inspects the dumps on a real target's image.
#[test]
#[ignore = "needs a disk that a capture kernel wrote to: CRASHDRILL_TEST_DISK=/path/to/image"]
fn real_disk() {
    let path = std::env::var("CRASHDRILL_TEST_DISK").expect("CRASHDRILL_TEST_DISK is not set");
    let disk = File::open(path).unwrap();
    let start = std::time::Instant::now();
    let target = open(&disk).unwrap();
    println!("opened after {:?}", start.elapsed());
    for file in target.find_dumps("/").unwrap().dumps {
        let start = std::time::Instant::now();
        let reader = target.open_dump(&file.path).unwrap();
        match crate::vmcore::inspect(&reader, reader.len()) {
            Ok(found) => println!(
                "{:?} {file:?}\n    {} {:?} {:?} {:?} {:?}",
                start.elapsed(),
                found.format,
                found.complete,
                found.frames,
                found.panic,
                found.dmesg.map(|text| text.len()),
            ),
            Err(error) => println!("{:?} {file:?}\n    {error}", start.elapsed()),
        }
    }
}
