//! /proc/interrupts of x86, 2.6.32 to 6.x.

use super::super::facts::{Interrupt, InterruptKind, PciAddress, Sourced};
use super::Text;
use crate::units::Slot;

/// Numbered lines that are kept.
const MOST: usize = 65_536;
/// Names behind one line.
const MOST_ACTIONS: usize = 64;

/// What the table says.
#[derive(Debug, Default)]
pub(in super::super) struct Interrupts {
    /// Columns: CPUs that are online.
    pub(in super::super) cpus: Option<Sourced<u16>>,
    /// Its numbered lines.
    pub(in super::super) lines: Vec<Sourced<Interrupt>>,
}

/// Reads the table. A line that is cut is left out.
pub(in super::super) fn read(text: &Text<'_>) -> Interrupts {
    let mut all = Interrupts::default();
    for (number, line) in text.lines() {
        let mut words = line.split_whitespace();
        if line.trim_start().starts_with("CPU") && words.clone().all(|word| word.starts_with("CPU"))
        {
            all.cpus = u16::try_from(words.count())
                .ok()
                .map(|count| text.fact(number, count));
            continue;
        }
        let Some(cpus) = &all.cpus else { continue };
        let irq = words.next().and_then(|word| word.strip_suffix(':'));
        let Some(irq) = irq.and_then(|irq| irq.parse().ok()) else {
            continue;
        };
        let columns = usize::from(cpus.value);
        let are_counts = words
            .by_ref()
            .take(columns)
            .filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
            .count()
            == columns;
        let Some(chip) = words.next().filter(|_| are_counts) else {
            continue;
        };
        if all.lines.len() == MOST {
            break;
        }
        let rest: Vec<&str> = words.take(4 * MOST_ACTIONS).collect();
        all.lines
            .push(text.fact(number, interrupt(irq, chip, &rest)));
    }
    all
}

/// `IR-PCI-MSI 524288-edge nvme0q0`; before 3.19 `IR-PCI-MSI-edge eth0-TxRx-0`, `IO-APIC-fasteoi
/// ahci`; since 6.5 `IR-PCI-MSIX-0000:3b:00.0 1-edge i40e-eth0-TxRx-0`.
fn interrupt(irq: u32, chip: &str, rest: &[&str]) -> Interrupt {
    let numbered = rest.first().and_then(|word| {
        let (number, flow) = word.split_once('-')?;
        let flows = ["edge", "fasteoi", "level"];
        flows.contains(&flow).then(|| number.parse::<u32>().ok())?
    });
    let names = match numbered {
        Some(_) => &rest[1..],
        None => rest,
    };
    let names = names.join(" ");
    let actions: Vec<String> = names
        .split(", ")
        .filter(|name| !name.is_empty())
        .take(MOST_ACTIONS)
        .map(|name| name.chars().take(64).collect())
        .collect();
    let chip = chip.strip_prefix("IR-").unwrap_or(chip);
    let kind = if chip.starts_with("IO-APIC") {
        InterruptKind::Line(numbered.unwrap_or(irq))
    } else if chip.starts_with("PCI-MSI") || chip.starts_with("VMD-MSI") {
        InterruptKind::Message
    } else {
        InterruptKind::Other
    };
    let own = chip
        .strip_prefix("PCI-MSIX-")
        .or(chip.strip_prefix("PCI-MSI-"))
        .and_then(|place| place.parse().ok());
    let number = numbered.filter(|_| chip == "PCI-MSI").map(encoded);
    let function = own
        .or(number)
        .or_else(|| actions.iter().find_map(|name| address_in(name)))
        .filter(|_| kind != InterruptKind::Other);
    Interrupt {
        irq,
        kind,
        function,
        actions,
    }
}

/// drivers/pci/msi, pci_msi_domain_calc_hwirq(): the message's index, bus and slot, the domain.
fn encoded(number: u32) -> PciAddress {
    let place = u16::try_from(number >> 11 & 0xffff).unwrap_or_default();
    let [bus, slot] = place.to_be_bytes();
    PciAddress {
        domain: number >> 27,
        bus,
        slot: Slot {
            device: slot >> 3,
            function: slot & 7,
        },
    }
}

/// `mlx5_comp0@pci:0000:3b:00.0`, `i40e-0000:3b:00.0:misc`, `ahci[0000:00:1f.2]`.
fn address_in(name: &str) -> Option<PciAddress> {
    const LENGTH: usize = "0000:3b:00.0".len();
    let begins = name
        .match_indices(':')
        .filter_map(|(at, _)| at.checked_sub(4));
    let mut found = begins.filter_map(|at| name.get(at..at + LENGTH)?.parse().ok());
    found.next()
}

#[cfg(test)]
mod tests;
