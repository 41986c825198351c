//! Any bytes are a package: no panic, an end, no more memory than `-rss_limit_mb` allows, and nothing
//! outside of the directory that is unpacked into, whoever signed it.
//!
//! `cargo +nightly fuzz run package -- -rss_limit_mb=1024 -timeout=20 -max_len=20000` in harness/;
//! tests/rpms is its seeds.

#![no_main]

use std::fs;

use crashdrill::image::rpm::dissect;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|package: &[u8]| {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    fs::create_dir(&root).unwrap();
    if let Err(error) = dissect(package, &root, 16 << 20, 1000) {
        let text = error.to_string();
        assert!(!text.is_empty() && text.len() < 20_000);
    }
    let there = fs::read_dir(directory.path()).unwrap();
    assert_eq!(there.count(), 1);
});
