//! Any archive: no panic, an end, nothing outside of the directory, and no more than the budget.
//!
//! `cargo +nightly fuzz run archive -- -rss_limit_mb=1024 -timeout=20` in harness/. The first byte
//! of the input says whether the rest is an archive as it comes, packed with anything, or a tar
//! whose headers are given right checksums, so that what is in them is looked at.

#![no_main]

use std::fs;
use std::path::Path;

use crashdrill::image::{Budget, unpack_archive};
use libfuzzer_sys::fuzz_target;

const MOST: Budget = Budget {
    bytes: 1 << 20,
    files: 64,
};

/// As if each block of 512 bytes were a header.
fn with_checksums(tar: &mut [u8]) {
    for block in tar.chunks_exact_mut(512) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// What lies below; links are not followed.
fn count(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| match fs::symlink_metadata(&path).unwrap().is_dir() {
            true => 1 + count(&path),
            false => 1,
        })
        .sum()
}

fuzz_target!(|input: &[u8]| {
    let Some((which, bytes)) = input.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if which % 2 == 1 {
        with_checksums(&mut bytes);
    }
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    fs::create_dir(&root).unwrap();
    if let Err(error) = unpack_archive(&bytes[..], &root, MOST) {
        assert!(error.to_string().len() < 4096);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    assert!(count(&root) <= MOST.files);
});
