use super::*;
use crate::census::{Address, Config, Function, Message, Moment, MsiX};
use crate::scenario::model::Chipset;
use crate::units::Slot;
use crate::verdict::{Counted, Dump, End, Expectations, Recorder, RuleBook};
use crashdrill_guest::report::Role;

/// A message to this address, as one entry.
fn entry(address: u64, vector: u32) -> Entry {
    Entry {
        message: Message {
            address,
            data: vector,
        },
        masked: false,
    }
}

/// A function on slot 5 with these entries, and an open interrupt line 20 and a closed one.
fn census(entries: Vec<Entry>) -> Census {
    let slot = Slot {
        device: 5,
        function: 0,
    };
    let msix = MsiX {
        enabled: true,
        masked: false,
        size: 4,
        table: None,
    };
    let config = Config {
        vendor: 0x1b36,
        device: 0x10,
        pin: None,
        pin_enabled: false,
        msi: None,
        msix: Some(msix),
    };
    let lines = [
        (4, Entry::redirection(0x21)),
        (20, Entry::redirection(0x51)),
        (21, Entry::redirection(0x1_0000)),
    ];
    Census {
        chipset: Chipset::Q35,
        functions: [(Address { bus: 0, slot }, Function { config, entries })].into(),
        lines: lines.into(),
    }
}

fn told(msi: u32, pins: u32) -> Report {
    Report::Interrupts {
        after: "end".to_owned(),
        msi,
        pins,
    }
}

fn vector(source: &str, cpu: u32, apic: u32, vector: u8) -> Report {
    Report::Vector {
        source: source.parse().unwrap(),
        cpu,
        apic,
        vector,
    }
}

fn disagreements(census: Census, reports: Vec<Report>) -> Vec<String> {
    let mut recorder = Recorder::new(RuleBook::builtin());
    recorder.report(Report::Started {
        role: Role::Capture,
        release: "6.1".to_owned(),
        cpus: 1,
        uptime_ms: 0,
        memory: 0,
    });
    reports
        .into_iter()
        .for_each(|report| recorder.report(report));
    let moment = Moment::DriversLoaded;
    let counted = vec![Counted { moment, census }];
    let expectations = Expectations::default();
    let evidence = recorder.finish(End::PoweredOff, Dump::None, counted, expectations);
    super::disagreements(&evidence)
}

const TO_0: u64 = 0xfee0_0000;
const TO_1: u64 = 0xfee0_1000;
/// With flat routing, to the kernel's second CPU.
const FLAT_1: u64 = 0xfee0_2004;

#[test]
fn agreement() {
    let entries = vec![entry(TO_0, 0x31), entry(FLAT_1, 0x32)];
    let reports = vec![
        told(2, 2),
        vector("0000:00:05.0", 0, 0, 0x31),
        vector("0000:00:05.0", 1, 7, 0x32),
        vector("line-20", 0, 0, 0x51),
        // The ISA bus's.
        vector("line-4", 0, 0, 0x99),
    ];
    assert_eq!(
        disagreements(census(entries), reports),
        Vec::<String>::new()
    );
    // A capture kernel whose first CPU is the machine's second.
    let reports = vec![
        vector("0000:00:05.0", 0, 1, 0x31),
        vector("line-20", 1, 0, 0x51),
    ];
    let entries = vec![entry(TO_1, 0x31)];
    assert_eq!(
        disagreements(census(entries), reports),
        Vec::<String>::new()
    );
    // It told nothing.
    assert_eq!(
        disagreements(census(Vec::new()), Vec::new()),
        Vec::<String>::new()
    );
}

#[test]
fn other_numbers_in_proc_interrupts() {
    let entries = || vec![entry(TO_0, 0x31), entry(TO_0, 0x32)];
    assert_eq!(
        disagreements(census(entries()), vec![told(3, 2)]),
        ["/proc/interrupts has 3 messages, counted from outside 2"]
    );
    assert_eq!(
        disagreements(census(entries()), vec![told(2, 3)]),
        ["/proc/interrupts has 3 interrupt lines, counted from outside 2"]
    );
}

#[test]
fn other_vectors_in_irq_debugfs() {
    let line = || vector("line-20", 0, 0, 0x51);
    for (entries, reports, expected) in [
        // Another vector, another CPU.
        (
            vec![entry(TO_0, 0x31)],
            vec![vector("0000:00:05.0", 0, 0, 0x32), line()],
            "irq debugfs gives 1 vectors to 0000:00:05.0, counted from outside 1, the same 0",
        ),
        (
            vec![entry(TO_1, 0x31)],
            vec![vector("0000:00:05.0", 1, 0, 0x31), line()],
            "irq debugfs gives 1 vectors to 0000:00:05.0, counted from outside 1, the same 0",
        ),
        // One that only one of them has.
        (
            vec![entry(TO_0, 0x31), entry(TO_0, 0x32)],
            vec![vector("0000:00:05.0", 0, 0, 0x31), line()],
            "irq debugfs gives 1 vectors to 0000:00:05.0, counted from outside 2, the same 1",
        ),
        (
            vec![entry(TO_0, 0x31)],
            vec![
                vector("0000:00:05.0", 0, 0, 0x31),
                vector("0000:00:06.0", 0, 0, 0x32),
                line(),
            ],
            "irq debugfs gives 1 vectors to 0000:00:06.0, counted from outside 0, the same 0",
        ),
        (
            vec![entry(TO_0, 0x31)],
            vec![vector("0000:00:05.0", 0, 0, 0x31)],
            "irq debugfs gives 0 vectors to line-20, counted from outside 1, the same 0",
        ),
    ] {
        assert_eq!(disagreements(census(entries), reports), [expected]);
    }
}
