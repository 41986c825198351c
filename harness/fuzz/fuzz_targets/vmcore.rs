//! Any bytes are a dump: no panic, nothing without end, and nothing that steers a terminal.
//!
//! `cargo +nightly fuzz run vmcore` in harness/. The first byte chooses a good dump and the rest is
//! written over it, piece by piece; or the rest is the file. So no seeds are needed.

#![no_main]

#[path = "../../src/vmcore/fixture.rs"]
#[allow(dead_code)]
mod fixture;

use std::sync::LazyLock;

use crashdrill::report::{Looked, View, vmcore_json, vmcore_text};
use crashdrill::vmcore::inspect;
use fixture::{Codec, LogKind, Machine, Mapping, flatten};
use libfuzzer_sys::fuzz_target;

static DUMPS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut dumps = Vec::new();
    for log in [LogKind::Ring, LogKind::PrintkLog] {
        let machine = Machine::new(log, Mapping::Small, 4);
        dumps.push(machine.elf());
        for codec in [Codec::Plain, Codec::Zlib, Codec::Lzo, Codec::Snappy, Codec::Zstd] {
            dumps.push(machine.kdump(6, codec, 1));
        }
        dumps.push(machine.kdump(4, Codec::Lzo, 31));
        dumps.push(flatten(&machine.elf(), 900));
        dumps.push(flatten(&machine.kdump(6, Codec::Plain, 0), 5000));
    }
    dumps
});

/// Where to write (24 bits), how many bytes, and the bytes; over and over.
fn damaged(mut dump: Vec<u8>, mut edits: &[u8]) -> Vec<u8> {
    while let [a, b, c, count, rest @ ..] = edits {
        let at = u32::from_le_bytes([*a, *b, *c, 0]) as usize % dump.len();
        let (bytes, next) = rest.split_at(usize::from(count % 32).min(rest.len()));
        match count {
            // Now and then it is cut off.
            224.. => dump.truncate(at.max(1)),
            _ => {
                let end = (at + bytes.len()).min(dump.len());
                dump[at..end].copy_from_slice(&bytes[..end - at]);
            }
        }
        edits = next;
    }
    dump
}

fuzz_target!(|input: &[u8]| {
    let Some((shape, rest)) = input.split_first() else {
        return;
    };
    let dump = match DUMPS.get(usize::from(*shape)) {
        Some(good) => damaged(good.clone(), rest),
        None => rest.to_vec(),
    };
    let bytes = dump.len() as u64;
    let found = inspect(&&dump[..], bytes);
    let looked = Looked { file: "vmcore", bytes, found: found.as_ref() };
    let verbose = true;
    let text = vmcore_text(looked, View { width: 100, verbose });
    let mut plain = anstream::adapter::strip_str(&text).to_string();
    plain.retain(|char| char != '\n');
    assert!(!plain.chars().any(char::is_control));
    assert!(vmcore_json(looked).is_ok_and(|line| !line.contains('\n')));
});
