//! Kernel logs: dmesg, serial consoles, journals. Of x86 kernels from 2.6.32 to 6.x.
//!
//! A log may hold several boots. Each is read on its own: what a capture kernel says of the machine
//! is not what the machine is.

mod pci;

use std::collections::BTreeMap;

use super::super::facts::{
    AcpiIds, CpuModel, Part, PciAddress, PciFunction, Release, Reservation, Routing, Sourced,
};
use super::{Text, between, leading};
use crate::console::{LineAssembler, LineRef};
use crate::units::Bytes;
use crate::vectors::Kernel;

/// Boots of one log that are kept: the last ones.
const MOST_BOOTS: usize = 64;
/// Of one boot.
const MOST_RESERVATIONS: usize = 32;
/// Of a line that is kept word for word. x86's COMMAND_LINE_SIZE is 2048.
const MOST_WORDS: usize = 4096;

/// What one boot says.
#[derive(Debug, Default)]
pub(in super::super) struct Boot {
    /// `Linux version`.
    pub(in super::super) release: Option<Sourced<Release>>,
    /// `Kernel command line:`.
    pub(in super::super) command_line: Option<Sourced<String>>,
    /// CPUs that came up.
    pub(in super::super) online: Option<Sourced<u16>>,
    /// CPUs that there could be.
    pub(in super::super) possible: Option<Sourced<u16>>,
    /// Of the first CPU.
    pub(in super::super) model: Option<Sourced<CpuModel>>,
    /// The last one that it changed to.
    pub(in super::super) routing: Option<Sourced<Routing>>,
    /// `Memory: used/all`, from the firmware's map where that is shown.
    pub(in super::super) memory: Option<Sourced<Bytes>>,
    /// `Hypervisor detected:`.
    pub(in super::super) hypervisor: Option<Sourced<String>>,
    /// Of FACP.
    pub(in super::super) acpi: Option<Sourced<AcpiIds>>,
    /// About crashkernel memory.
    pub(in super::super) reservations: Vec<Sourced<Reservation>>,
    /// What the bus scan found.
    pub(in super::super) functions: BTreeMap<PciAddress, PciFunction>,
    /// `0000:3b:00.0 eth0:`, `renamed from eth0`: whose a network interface is.
    pub(in super::super) interfaces: BTreeMap<String, PciAddress>,
    usable: u64,
    usable_line: u32,
}

impl Boot {
    /// It is a kernel that saves a dump: it knows where the dead one's memory is.
    pub(in super::super) fn is_capture(&self) -> bool {
        let line = self.command_line.as_ref();
        line.is_some_and(|line| line.value.contains("elfcorehdr="))
    }

    fn is_empty(&self) -> bool {
        self.release.is_none() && self.command_line.is_none() && self.functions.is_empty()
    }
}

/// Reads a log; its boots in their order.
pub(in super::super) fn read(text: &Text<'_>, bytes: &[u8]) -> Vec<Boot> {
    let mut boots = vec![Boot::default()];
    let mut take = |line: LineRef<'_>| {
        let number = u32::try_from(line.number()).unwrap_or(u32::MAX - text.first);
        let number = number.saturating_add(text.first - 1);
        let message = line.message();
        // A dmesg that begins within a boot has none.
        if message.starts_with("Linux version ") && boots.last().is_some_and(has_begun) {
            if boots.len() == MOST_BOOTS {
                boots.remove(0);
            }
            boots.push(Boot::default());
        }
        if let Some(boot) = boots.last_mut() {
            boot.line(text, number, message);
        }
    };
    let mut lines = LineAssembler::new();
    lines.push(bytes, &mut take);
    lines.finish(&mut take);
    for boot in &mut boots {
        // A log that begins in the middle of a boot may have lost a part of the map.
        if boot.usable > 0 && boot.release.is_some() {
            boot.memory = Some(text.fact(boot.usable_line, Bytes(boot.usable)));
        }
        boot.routing = boot.routing.take().or_else(|| boot.begins_with());
    }
    boots
}

/// The line before `Linux version` may be of the same boot in a console's log, of a boot loader.
fn has_begun(boot: &Boot) -> bool {
    boot.release.is_some() || !boot.is_empty()
}

impl Boot {
    /// Kernels speak of routing when they leave what they begin with (arch/x86/kernel/apic/probe_64.c,
    /// `if (apic != *drv)`): that is `apic_flat`, and `apic_physflat` since 6.12 has no other for 64
    /// bits without x2APIC. Only a log that has the lines before and after tells by its silence.
    fn begins_with(&self) -> Option<Sourced<Routing>> {
        let (release, _) = (self.release.as_ref()?, self.online.as_ref()?);
        self.possible.as_ref()?;
        let value = match Kernel::of_release(release.value.as_str())?.is(6, 12) {
            true => Routing::PhysicalFlat,
            false => Routing::Flat,
        };
        let source = release.source.clone();
        Some(Sourced { value, source })
    }

    fn line(&mut self, text: &Text<'_>, number: u32, message: &str) {
        if let Some(rest) = message.strip_prefix("Linux version ") {
            let release = rest.split(' ').next().and_then(|word| word.parse().ok());
            self.release = release.map(|release| text.fact(number, release));
        } else if let Some(rest) = message.strip_prefix("Kernel command line: ") {
            self.command_line = Some(text.fact(number, clipped(rest)));
        } else if let Some(rest) = message.strip_prefix("Command line: ") {
            // Of the boot loader; the other one is what counts.
            let line = || text.fact(number, clipped(rest));
            self.command_line.get_or_insert_with(line);
        } else if let Some((_, rest)) = message.split_once("APIC routing to") {
            let routing = routing(rest.trim_start_matches(':').trim());
            self.routing = routing
                .map(|routing| text.fact(number, routing))
                .or(self.routing.take());
        } else if message.contains("BIOS-e820:") {
            if let Some(size) = usable(message) {
                self.usable = self.usable.saturating_add(size);
                self.usable_line = self.usable_line.max(number);
            }
        } else if let Some(rest) = message.strip_prefix("Memory: ") {
            // `16303132k/17825792k available`, `131713016K/134155108K available`.
            let all = rest
                .split_once('/')
                .and_then(|(_, all)| leading::<u64>(all));
            if let Some((kib, _)) = all {
                let memory = Bytes(kib.saturating_mul(1024));
                self.memory = Some(text.fact(number, memory));
            }
        } else if let Some(rest) = message.strip_prefix("Hypervisor detected: ") {
            self.hypervisor = Some(text.fact(number, rest.chars().take(40).collect()));
        } else if message.starts_with("ACPI: FACP ") {
            self.acpi = acpi(message).map(|ids| text.fact(number, ids));
        } else if let Some(reservation) = reservation(message) {
            if self.reservations.len() < MOST_RESERVATIONS {
                self.reservations.push(text.fact(number, reservation));
            }
        } else if !self.cpus(text, number, message) {
            pci::line(self, text, number, message);
        }
    }

    fn cpus(&mut self, text: &Text<'_>, number: u32, message: &str) -> bool {
        let fact = |count: Option<(u16, &str)>| {
            let (count, _) = count.filter(|(count, _)| *count > 0)?;
            Some(text.fact(number, count))
        };
        if let Some((_, rest)) = message.split_once("Allowing ") {
            // `Allowing 48 CPUs, 0 hotplug CPUs`; 6.9: `4 present CPUs plus 0 hotplug CPUs`.
            let all = match (leading::<u16>(rest), rest.split_once("CPUs plus ")) {
                (Some((present, _)), Some((_, more))) => {
                    let more = leading::<u16>(more).map_or(0, |(more, _)| more);
                    Some((present.saturating_add(more), rest))
                }
                (Some((all, behind)), None) if behind.starts_with(" CPUs") => Some((all, behind)),
                _ => return false,
            };
            self.possible = fact(all);
        } else if let Some((_, rest)) = message.split_once(" nr_cpu_ids:") {
            // Later than the other, and with what `nr_cpus=` took away.
            self.possible = fact(leading(rest));
        } else if message.contains("Brought up ") || message.contains("Booted up ") {
            let Some((_, rest)) = message
                .split_once("ed up ")
                .or(message.split_once("ought up "))
            else {
                return false;
            };
            // `4 CPUs`; `2 nodes, 48 CPUs`.
            let count = rest.split(", ").find(|part| part.contains("CPU"));
            self.online = fact(count.and_then(|part| leading(part.trim())));
        } else if let Some((_, rest)) = message.split_once("CPU0: ") {
            let Some(model) = model(rest) else {
                return false;
            };
            self.model.get_or_insert_with(|| text.fact(number, model));
        } else {
            return false;
        }
        true
    }
}

fn clipped(words: &str) -> String {
    words.trim_end().chars().take(MOST_WORDS).collect()
}

/// `flat.`, `physical flat.`, `cluster x2apic.`, `physical x2apic.`: the names of struct apic
/// (arch/x86/kernel/apic).
fn routing(name: &str) -> Option<Routing> {
    match name.trim_end_matches('.') {
        "flat" => Some(Routing::Flat),
        "physical flat" => Some(Routing::PhysicalFlat),
        "cluster x2apic" => Some(Routing::X2apicCluster),
        "physical x2apic" => Some(Routing::X2apicPhysical),
        _ => None,
    }
}

/// `BIOS-e820: [mem 0x0000000000100000-0x00000000bffdffff] usable`, and before 3.5
/// ` BIOS-e820: 0000000000100000 - 00000000bffe0000 (usable)`, whose end is exclusive.
fn usable(message: &str) -> Option<u64> {
    let (_, range) = message.split_once("BIOS-e820:")?;
    let hex = |text: &str| u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok();
    if let Some(range) = between(range, "[mem ", "] usable") {
        let (first, last) = range.split_once('-')?;
        return hex(last)?.checked_sub(hex(first)?)?.checked_add(1);
    }
    let range = range.strip_suffix("(usable)")?;
    let (first, end) = range.split_once('-')?;
    hex(end)?.checked_sub(hex(first)?)
}

/// `ACPI: FACP 0x000000007D7FE000 0000F4 (v05 DELL   PE_SC3   00000000 DELL 00000001)`: six columns
/// and eight.
fn acpi(message: &str) -> Option<AcpiIds> {
    let (_, rest) = message.split_once(" (v")?;
    let (_, rest) = rest.split_once(' ')?;
    let column = |range: std::ops::Range<usize>| Some(rest.get(range)?.trim().to_owned());
    Some(AcpiIds {
        oem: column(0..6)?,
        table: column(7..15)?,
    })
}

/// `Intel(R) Xeon(R) CPU E5-2690 v3 @ 2.60GHz (fam: 06, model: 3f, stepping: 02)`, and since 4.2
/// `(family: 0x6, model: 0x3f, stepping: 0x2)`: hexadecimal both.
fn model(text: &str) -> Option<CpuModel> {
    let (name, rest) = text.rsplit_once(" (fam")?;
    let number = |key: &str| {
        let (_, value) = rest.split_once(key)?;
        let value = value.trim_start().trim_start_matches("0x");
        let end = value.find(|c: char| !c.is_ascii_hexdigit())?;
        u16::from_str_radix(&value[..end], 16).ok()
    };
    Some(CpuModel {
        name: words(name),
        family: number(":")?,
        model: number("model:")?,
        stepping: number("stepping:")?,
        x2apic: None,
    })
}

/// Blanks made one.
pub(super) fn words(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().take(30).collect();
    words.join(" ")
}

/// What setup_arch() says (arch/x86/kernel/setup.c), and kernel/crash_core.c, crash_reserve.c.
fn reservation(message: &str) -> Option<Reservation> {
    let mib = |text: &str| {
        let (mib, rest) = leading::<u64>(text)?;
        rest.starts_with("MB")
            .then_some(Bytes(mib.checked_mul(Bytes::MIB)?))
    };
    if let Some(rest) = message.strip_prefix("Reserving ")
        && message.contains("for crashkernel")
    {
        let low = rest.contains(" of low memory at ");
        return Some(Reservation::Reserved {
            size: mib(rest)?,
            at: mib(rest.split_once(" at ")?.1)?,
            part: if low { Part::Low } else { Part::Main },
            system_ram: rest
                .split_once("System RAM: ")
                .and_then(|(_, ram)| mib(ram)),
        });
    }
    let low = message.strip_prefix("crashkernel low memory reserved: ");
    if let Some(rest) = low.or(message.strip_prefix("crashkernel reserved: ")) {
        let (first, end) = rest.split_once(" - ")?;
        let hex = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
        let end = hex(end.split(' ').next()?)?;
        let at = hex(first)?;
        return Some(Reservation::Reserved {
            size: Bytes(end.checked_sub(at)?),
            at: Bytes(at),
            part: if low.is_some() { Part::Low } else { Part::Main },
            system_ram: None,
        });
    }
    if !message.contains("crashkernel") || message.contains("crashkernel=auto ") {
        return None;
    }
    if message.len() > 400 || message.contains("ommand line") || message.contains("BOOT_IMAGE") {
        return None;
    }
    let failed = [
        "failed",
        "cannot",
        "expected",
        "unrecognized",
        "invalid",
        "not reserved",
    ];
    Some(match failed.iter().any(|word| message.contains(word)) {
        true => Reservation::Failed(message.to_owned()),
        false => Reservation::Remark(message.to_owned()),
    })
}

#[cfg(test)]
mod tests;
