//! Any bytes are a log: no panic, the same diagnosis however they are cut, and a bounded one.
//!
//! `cargo +nightly fuzz run diagnose` in harness/; corpus/diagnose holds its seeds.

#![no_main]

use crashdrill::diagnose::{Diagnosis, Reader};
use crashdrill::verdict::RuleBook;
use libfuzzer_sys::fuzz_target;

fn diagnosed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Diagnosis {
    let mut reader = Reader::new(RuleBook::builtin());
    pieces.for_each(|piece| reader.push(piece));
    reader.finish(None)
}

fuzz_target!(|log: &[u8]| {
    let whole = diagnosed(std::iter::once(log));
    let bytewise = diagnosed(log.chunks(1));
    assert_eq!(whole, bytewise);
    assert!(whole.boots.len() <= 128);
    assert!(whole.reports.iter().all(|report| report.splat.trace.len() <= 128));
    let lines = log.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
    assert!(whole.reports.iter().all(|report| report.splat.last_line <= lines));
});
