//! /proc/interrupts, counted.

use std::fs;

use crashdrill_guest::report::Report;

use crate::Init;

/// Interrupts by the kind of their chip.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    msi: u32,
    pins: u32,
}

pub(crate) fn report(init: &mut Init, after: &str) {
    let Ok(text) = fs::read_to_string("/proc/interrupts") else {
        return;
    };
    let Count { msi, pins } = count(&text);
    init.report(&Report::Interrupts {
        after: after.to_owned(),
        msi,
        pins,
    });
}

/// The chip's name follows one count per CPU of the header line. Over the years it was written
/// `PCI-MSI-edge`, `PCI-MSI` and `PCI-MSI-0000:00:05.0`, `IO-APIC-fasteoi` and `IO-APIC`, each
/// with `IR-` before it when interrupts are remapped.
fn count(text: &str) -> Count {
    let mut lines = text.lines();
    let cpus = lines.next().unwrap_or_default().split_whitespace().count();
    let mut count = Count::default();
    for line in lines {
        let mut words = line.split_whitespace();
        let numbered = words
            .next()
            .and_then(|label| label.strip_suffix(':'))
            .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
        let Some(chip) = words.nth(cpus).filter(|_| numbered) else {
            continue;
        };
        let chip = chip.strip_prefix("IR-").unwrap_or(chip);
        if chip.starts_with("PCI-MSI") {
            count.msi += 1;
        } else if chip.starts_with("IO-APIC") {
            count.pins += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_3_10() {
        let text = "           CPU0       
  0:        256   IO-APIC-edge      timer
  4:         42   IO-APIC-edge      serial
  9:          0   IO-APIC-fasteoi   acpi
 24:          0   PCI-MSI-edge      virtio0-config
 25:          1   PCI-MSI-edge      virtio0-virtqueues
NMI:          0   Non-maskable interrupts
ERR:          0
";
        assert_eq!(count(text), Count { msi: 2, pins: 3 });
    }

    #[test]
    fn linux_6_1_on_two_cpus() {
        let text = "            CPU0       CPU1       
   0:        232          0   IO-APIC   2-edge      timer
   9:          0          0   IO-APIC   9-fasteoi   acpi
  24:          0          0   PCI-MSI 65536-edge      virtio0-config
  25:          0          7  PCI-MSI-0000:00:05.0   0-edge      nvme0q0
  26:          0          7  PCI-MSIX-0000:00:05.0   1-edge      nvme0q1
 120:          0          0  DMAR-MSI   0-edge      dmar0
 LOC:      12000      11000   Local timer interrupts
 MIS:          0
";
        assert_eq!(count(text), Count { msi: 3, pins: 2 });
    }

    #[test]
    fn remapped_interrupts_and_other_chips() {
        let text = "  CPU0\n 1: 0 IR-IO-APIC 1-edge i8042\n 30: 0 IR-PCI-MSI 512-edge x\n 2: 0 XT-PIC cascade\n";
        assert_eq!(count(text), Count { msi: 1, pins: 1 });
        assert_eq!(count(""), Count::default());
        assert_eq!(count("\n\n:\n24:\n"), Count::default());
    }
}
