//! Any damage to a disk: no panic, an end, and no more memory than `-rss_limit_mb` allows.
//!
//! `cargo +nightly fuzz run target -- -rss_limit_mb=1024 -timeout=20` in harness/. The input says
//! which disk is damaged, one of tests/disks/ or an ext4 (which takes mke2fs and debugfs of
//! e2fsprogs), and how: block, offset in it, and four bytes for there.

#![no_main]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::process::{Command, id};
use std::sync::LazyLock;

use crashdrill::kdump::conf::Filesystem;
use crashdrill::target::{BlockDevice, Content, Format, Target, filesystem, make_disk, partitions};
use crashdrill::units::Bytes;
use crashdrill::vmcore::ReadAt;
use crc::{CRC_32_ISCSI, Crc};
use libfuzzer_sys::fuzz_target;

const BLOCK: usize = 4096;
const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

struct Disk {
    file: File,
    device: BlockDevice,
    /// Blocks that are not empty.
    used: Vec<u64>,
    /// Whether a damaged block is given a btrfs tree block's checksum.
    checksums: bool,
}

static DISKS: LazyLock<[Disk; 6]> = LazyLock::new(|| {
    [
        disk(
            unpacked(include_bytes!("../../tests/disks/xfs-dirty.xz")),
            false,
        ),
        disk(
            unpacked(include_bytes!("../../tests/disks/xfs-4.xz")),
            false,
        ),
        disk(unpacked(include_bytes!("../../tests/disks/btrfs.xz")), true),
        disk(unpacked(include_bytes!("../../tests/disks/gpt.xz")), false),
        disk(unpacked(include_bytes!("../../tests/disks/mbr.xz")), false),
        disk(ext4(), false),
    ]
});

fn unpacked(xz: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    liblzma::read::XzDecoder::new(xz)
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

/// With directories, a link, a file in pieces, and a journal that is to be replayed and revokes.
fn ext4() -> Vec<u8> {
    let content = Content::Filesystem(Format::new(Filesystem::Ext4));
    let disk = make_disk(Bytes(8 << 20), &content, |program| {
        Ok(Command::new(program))
    })
    .unwrap();
    let file = |bytes: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    };
    let path = |file: &File| format!("/proc/{}/fd/{}", id(), file.as_raw_fd());
    let source = file(&[7; 50_000]);
    let mut pieces = vec![0; 400_000];
    pieces
        .chunks_mut(BLOCK)
        .step_by(2)
        .for_each(|block| block.fill(7));
    let pieces = file(&pieces);
    let script = file(
        format!(
            "mkdir /a\nmkdir /a/b\nwrite {0} vmcore\nwrite {1} fragmented\ncd /a/b\n\
             write {0} vmcore\ncd /\nsymlink long /a/b\n\
             jo\njw -b 1900 {0}\njc\njo\njw -r 1901\njc\n",
            path(&source),
            path(&pieces)
        )
        .as_bytes(),
    );
    let output = Command::new("debugfs")
        .args(["-w", "-f", &path(&script), &path(&disk)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    // debugfs succeeds whatever its commands did.
    let target = Target::open(&BlockDevice::whole(&disk).unwrap()).unwrap();
    assert_eq!(target.find_dumps("/").unwrap().dumps.len(), 2);
    target.open_dump("/fragmented").unwrap();
    let mut bytes = vec![0; 8 << 20];
    FileExt::read_exact_at(&disk, &mut bytes, 0).unwrap();
    bytes
}

fn disk(mut bytes: Vec<u8>, checksums: bool) -> Disk {
    let file = tempfile::tempfile().unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    let mut used = Vec::new();
    for (number, block) in (0..).zip(bytes.chunks_mut(BLOCK)) {
        // A record of the log without its checksum is read all the same.
        for sector in block.chunks_mut(512) {
            if sector.starts_with(&[0xfe, 0xed, 0xba, 0xbe]) {
                sector[32..36].fill(0);
            }
        }
        if block.iter().any(|&byte| byte != 0) {
            file.write_all_at(block, number * BLOCK as u64).unwrap();
            used.push(number);
        }
    }
    let device = BlockDevice::whole(&file).unwrap();
    Disk {
        file,
        device,
        used,
        checksums,
    }
}

fn read(device: &BlockDevice) {
    let target = match Target::open(device) {
        Ok(target) => target,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let found = target.find_dumps("/").unwrap_or_else(|error| {
        assert!(error.to_string().len() < 8192);
        Default::default()
    });
    assert!(found.dumps.len() + found.logs.len() <= 256);
    for file in found.dumps.iter().chain(&found.logs) {
        assert!(file.path.starts_with('/') && file.path.ends_with(&file.name));
    }
    let others = [
        "/long/vmcore",
        "/fragmented",
        "/zlib-300001",
        "/lzo-2000",
        "/zstd-300001",
    ];
    let paths = found.dumps.iter().take(4).map(|file| file.path.as_str());
    for path in paths.chain(others) {
        if let Ok(reader) = target.open_dump(path) {
            assert!(reader.len() <= device.len());
            let mut bytes = vec![0; reader.len().min(1 << 20) as usize];
            let _ = reader.read_exact_at(0, &mut bytes);
            let _ = reader.read_exact_at(reader.len() - bytes.len() as u64, &mut bytes);
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((which, damage)) = input.split_first() else {
        return;
    };
    let disk = &DISKS[usize::from(*which) % DISKS.len()];
    let mut before = Vec::new();
    for piece in damage.chunks_exact(8).take(64) {
        let number = |at: usize| usize::from(u16::from_le_bytes([piece[at], piece[at + 1]]));
        let at = disk.used[number(0) % disk.used.len()] * BLOCK as u64;
        let within = number(2) % (BLOCK - 3);
        let mut block = [0; BLOCK];
        FileExt::read_exact_at(&disk.file, &mut block, at).unwrap();
        before.push((at, block));
        block[within..within + 4].copy_from_slice(&piece[4..]);
        if disk.checksums {
            let checksum = CRC32C.checksum(&block[32..]);
            block[..4].copy_from_slice(&checksum.to_le_bytes());
        }
        disk.file.write_all_at(&block, at).unwrap();
    }
    match filesystem(&disk.device) {
        Some(_) => read(&disk.device),
        None => {
            for partition in partitions(&disk.device).unwrap_or_default() {
                assert!(partition.device.len() <= disk.device.len());
                read(&partition.device);
            }
        }
    }
    for (at, block) in before.into_iter().rev() {
        disk.file.write_all_at(&block, at).unwrap();
    }
});
