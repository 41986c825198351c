//! Any file that a customer may send: no panic, an end, bounded facts.
//!
//! `cargo +nightly fuzz run import -- -rss_limit_mb=2048 -timeout=20` in harness/. The first byte of
//! the input chooses a name, and by that how its text is read: lspci and its tree, kernel logs,
//! archives, everything else by content.

#![no_main]

use crashdrill::import::read_bytes;
use libfuzzer_sys::fuzz_target;

/// What stands before the input, so that it is taken for what it is meant to be.
const KINDS: [(&str, &str); 8] = [
    ("lspci", "00:00.0 Host bridge [0600]: Intel [8086:0d57]\n"),
    ("tree", "-[0000:00]-+-00.0\n"),
    ("dmesg", "[    0.000000] Linux version 6.1.0 (b@h)\n"),
    ("interrupts", "  CPU0 CPU1\n  0:  1  2  IO-APIC  2-edge  timer\n"),
    ("lsblk", "NAME MAJ:MIN RM SIZE RO TYPE MOUNTPOINT\n"),
    ("kdump.conf", "core_collector makedumpfile\n"),
    ("supportconfig", "\n#==[ Command ]====#\n# /sbin/lspci\n"),
    ("any", ""),
];

fuzz_target!(|input: &[u8]| {
    let Some((which, bytes)) = input.split_first() else {
        return;
    };
    let (name, before) = KINDS[usize::from(*which) % KINDS.len()];
    let facts = read_bytes(name, &[before.as_bytes(), bytes].concat());
    // Every function, interrupt, note and step needs bytes of its own.
    let lines = input.len() + 200;
    assert!(facts.functions.len() <= lines && facts.interrupts.len() <= lines);
    for note in &facts.notes {
        assert!(note.to_string().len() < 16 * 1024 + input.len());
    }
});
