//! Any text is every file of kdump's configuration: no panic, every place inside of the text, and
//! no more findings than anyone reads.
//!
//! `cargo +nightly fuzz run config` in harness/; tests/bad-configs and tests/good-configs are its
//! seeds.

#![no_main]

use crashdrill::kdump::flavour::Flavour;
use crashdrill::lint::{Input, Settings, check};
use crashdrill::report::{findings_json, findings_text};
use crashdrill::units::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    // The first byte is the flavour, a NUL stands between files.
    let flavour = Flavour::ALL.get(usize::from(*first)).copied();
    let names = ["kdump.conf", "sysconfig/kdump", "kdump-tools", "cmdline"];
    let mut inputs: Vec<Input<'_>> = names.map(|name| Input { name, bytes }).to_vec();
    if let Some(cut) = bytes.iter().position(|byte| *byte == 0) {
        inputs[1].bytes = &bytes[cut + 1..];
        inputs[3].bytes = &bytes[..cut];
    }
    let settings = Settings {
        flavour,
        memory: Some(Bytes(4 << 30)),
    };
    let checked = check(&inputs, settings);
    for file in &checked.files {
        assert!(file.findings.len() <= 100);
        for finding in &file.findings {
            assert!(file.text.get(finding.at.clone()).is_some());
            assert!(finding.line >= 1 && finding.column >= 1);
        }
        findings_json(&checked, file).unwrap();
    }
    findings_text(&checked, 80, false);
});
