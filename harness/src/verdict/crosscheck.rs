//! What the capture kernel says of its own interrupts against what was counted from outside.

use std::collections::{BTreeMap, BTreeSet};

use crashdrill_guest::report::{Report, Source};

use super::evidence::Evidence;
use crate::census::{Census, Destination, Entry};

/// A vector as irq debugfs has it: the CPU by the kernel's number and by its APIC id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Assigned {
    cpu: u32,
    apic: u32,
    vector: u8,
}

impl Assigned {
    /// With flat routing a message names the kernel's own numbers, as bits; else APIC ids.
    fn is(self, (to, vector): (Destination, u8)) -> bool {
        let here = match to {
            Destination::Physical(id) => self.apic == u32::from(id),
            Destination::Logical(mask) => self.cpu < 8 && mask >> self.cpu & 1 == 1,
        };
        here && self.vector == vector
    }
}

/// Where the two differ, in sentences. Nothing where nobody counted, or nobody told.
pub(super) fn disagreements(evidence: &Evidence) -> Vec<String> {
    let Some(census) = evidence.census() else {
        return Vec::new();
    };
    let reports = evidence.capture_reports();
    let mut found = proc_interrupts(census, reports);
    found.extend(irq_debugfs(census, reports));
    found
}

/// /proc/interrupts has a line for each interrupt that a driver has requested, which is then open.
fn proc_interrupts(census: &Census, reports: &[Report]) -> Vec<String> {
    let told = reports.iter().find_map(|report| match report {
        Report::Interrupts { after, msi, pins } if after == "end" => Some([*msi, *pins]),
        _ => None,
    });
    let messages: usize = census.functions.values().map(|it| it.held().len()).sum();
    let counted = [
        messages,
        census.lines.values().filter_map(Entry::open).count(),
    ];
    let names = ["messages", "interrupt lines"];
    let pairs = told.into_iter().flatten().zip(counted).zip(names);
    pairs
        .filter(|((told, counted), _)| usize::try_from(*told) != Ok(*counted))
        .map(|((told, counted), of)| {
            format!("/proc/interrupts has {told} {of}, counted from outside {counted}")
        })
        .collect()
}

fn irq_debugfs(census: &Census, reports: &[Report]) -> Vec<String> {
    let mut told = BTreeMap::<Source, BTreeSet<Assigned>>::new();
    for report in reports {
        if let Report::Vector {
            source,
            cpu,
            apic,
            vector,
        } = report
            // The ISA bus's lines are no PCI function's.
            && !matches!(source, Source::Line(line) if census.pci_lines().all(|(it, _)| it != *line))
        {
            let assigned = Assigned {
                cpu: *cpu,
                apic: *apic,
                vector: *vector,
            };
            told.entry(source.clone()).or_default().insert(assigned);
        }
    }
    if told.is_empty() {
        return Vec::new();
    }
    let messages = census.functions.iter().map(|(address, function)| {
        // There is only one PCI domain.
        (Source::Function(format!("0000:{address}")), function.held())
    });
    let lines = census
        .pci_lines()
        .map(|(line, entry)| (Source::Line(line), entry.open().into_iter().collect()));
    let mut counted: BTreeMap<Source, Vec<(Destination, u8)>> = messages.chain(lines).collect();
    for source in told.keys() {
        counted.entry(source.clone()).or_default();
    }
    let none = BTreeSet::new();
    let differs = |(source, counted): (Source, Vec<(Destination, u8)>)| {
        let told = told.get(&source).unwrap_or(&none);
        let same = told
            .iter()
            .filter(|it| counted.iter().any(|message| it.is(*message)))
            .count();
        (same < told.len() || same < counted.len()).then(|| {
            format!(
                "irq debugfs gives {} vectors to {source}, counted from outside {}, the same {same}",
                told.len(),
                counted.len()
            )
        })
    };
    counted.into_iter().filter_map(differs).collect()
}

#[cfg(test)]
mod tests;
