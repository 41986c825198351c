//! Any text is every file of kdump's configuration: no panic, every place inside of the text, no
//! more findings than anyone reads, and nothing that steers a terminal.
//!
//! `cargo +nightly fuzz run config` in harness/; tests/bad-configs and tests/good-configs are its
//! seeds, with a byte in front.

#![no_main]

use crashdrill::kdump::flavour::Flavour;
use crashdrill::lint::{CheckedFile, Input, Settings, check};
use crashdrill::report::{findings_json, findings_text};
use crashdrill::units::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    // The first byte is the flavour, whether the memory is known, and whether it is a scenario; a
    // NUL stands between files.
    let flavour = Flavour::ALL.get(usize::from(*first & 0x0f)).copied();
    let memory = (first & 0x80 == 0).then_some(Bytes(4 << 30));
    let mut inputs: Vec<Input<'_>> = match first & 0x40 {
        0 => ["kdump.conf", "sysconfig/kdump", "kdump-tools", "cmdline"]
            .map(|name| Input { name, bytes })
            .to_vec(),
        _ => vec![Input {
            name: "drill.yaml",
            bytes,
        }],
    };
    if let [_, second, _, last] = &mut inputs[..]
        && let Some(cut) = bytes.iter().position(|byte| *byte == 0)
    {
        second.bytes = &bytes[cut + 1..];
        last.bytes = &bytes[..cut];
    }
    let checked = check(&inputs, Settings { flavour, memory });
    for file in &checked.files {
        check_file(file);
        let line = findings_json(&checked, file).unwrap();
        assert!(!line.chars().any(char::is_control));
    }
    let text = findings_text(&checked, 80, false);
    assert!(!text.chars().any(|char| char != '\n' && char.is_control()));
    assert!(text.len() < 4 << 20);
});

fn check_file(file: &CheckedFile) {
    assert!(file.findings.len() <= 100);
    for finding in &file.findings {
        assert!(file.text.get(finding.at.clone()).is_some());
        let before = &file.text[..finding.at.start];
        let line = before.rsplit('\n').next().unwrap_or_default();
        assert_eq!(finding.line, before.matches('\n').count() + 1);
        assert_eq!(finding.column, line.chars().count() + 1);
        assert!(!finding.message.is_empty());
        let help = finding.help.as_deref().unwrap_or_default();
        assert!(finding.message.len() <= 1010 && help.len() <= 1010);
    }
    if let Err(why) = &file.kind {
        assert!(!why.to_string().is_empty());
    }
}
