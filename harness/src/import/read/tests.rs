//! What is read of real servers' texts, which lie in tests/import.

use std::fmt::Write;
use std::path::Path;

use super::super::collect::read_bytes;
use super::super::facts::{BarKind, Capabilities, Facts, PciFunction};

/// One line of all that is known of a function.
fn line(function: &PciFunction) -> String {
    let mut text = String::new();
    let mut say = |what: String| {
        text.push(' ');
        text.push_str(&what);
    };
    if let Some(class) = function.class {
        say(format!("{class:04x}"));
    }
    if let Some(interface) = function.prog_if {
        say(format!("if {interface:02x}"));
    }
    if let Some(id) = function.id {
        say(id.to_string());
    }
    if let Some(id) = function.subsystem {
        say(format!("of {id}"));
    }
    if function.revision > 0 {
        say(format!("rev {:02x}", function.revision));
    }
    if let Some(buses) = function.buses {
        say(format!(
            "buses {:02x}-{:02x}",
            buses.secondary, buses.subordinate
        ));
    }
    if let Some(express) = function.express {
        say(format!("{express:?}"));
    }
    if function.capabilities == Capabilities::Hidden {
        say("hidden".to_owned());
    }
    let on = |enabled| if enabled { "+" } else { "-" };
    if let Some(msi) = function.msi {
        let masked = if msi.maskable { " maskable" } else { "" };
        say(format!(
            "msi{} {}/{}{masked}",
            on(msi.enabled),
            msi.granted,
            msi.most
        ));
    }
    if let Some(msix) = function.msix {
        say(format!("msix{} {}", on(msix.enabled), msix.size.get()));
        for place in [msix.table, msix.pending].into_iter().flatten() {
            say(format!("@{}:{:x}", place.bar, place.offset));
        }
    }
    if let Some(line) = function.line {
        let pin = line.pin.map(|pin| format!("{pin:?}"));
        let irq = line.irq.map(|irq| irq.to_string());
        say(format!(
            "line {}{}",
            pin.unwrap_or_default(),
            irq.unwrap_or_default()
        ));
    }
    for bar in &function.bars {
        let kind = match bar.kind {
            BarKind::Io => "io",
            BarKind::Memory {
                wide: true,
                prefetchable: true,
            } => "wide-pref",
            BarKind::Memory { wide: true, .. } => "wide",
            BarKind::Memory {
                prefetchable: true, ..
            } => "pref",
            BarKind::Memory { .. } => "mem",
        };
        let size = bar.size.map(|size| format!(":{size}"));
        say(format!(
            "bar{} {kind}{}",
            bar.index,
            size.unwrap_or_default()
        ));
    }
    if let Some(sriov) = function.sriov {
        say(format!(
            "vfs {}/{} +{}/{}",
            sriov.enabled, sriov.total, sriov.offset, sriov.stride
        ));
    }
    if let Some(node) = function.numa {
        say(format!("node {node}"));
    }
    if let Some(driver) = &function.driver {
        say(format!("driver {driver}"));
    }
    if !function.modules.is_empty() {
        say(format!("modules {}", function.modules.join(",")));
    }
    if !function.description.is_empty() {
        say(format!("\"{}\"", function.description));
    }
    text
}

fn lines(facts: &Facts) -> String {
    let mut text = String::new();
    for (address, function) in &facts.functions {
        writeln!(text, "{}{}", address.short(), line(function)).unwrap();
    }
    // What a text of one command cannot say is no news here.
    for note in facts.notes.iter().filter(|note| note.source.is_some()) {
        writeln!(text, "note {note}").unwrap();
    }
    text
}

/// One line a function, all texts one after the other.
#[test]
fn real_texts() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import");
    let mut names: Vec<String> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".txt"))
        .collect();
    names.sort();
    let mut all = String::new();
    for name in names {
        let facts = read_bytes(&name, &std::fs::read(directory.join(&name)).unwrap());
        assert!(!facts.functions.is_empty(), "{name}");
        writeln!(all, "== {name}\n{}", lines(&facts)).unwrap();
    }
    insta::assert_snapshot!("real_texts", all);
}
