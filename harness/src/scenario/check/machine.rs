//! The machine, and where on its bus the devices are.

use std::collections::BTreeMap;

use super::{Problem, device_path, root};
use crate::pci::Room;
use crate::scenario::model::{Apic, Chipset, Device, Scenario};
use crate::scenario::path::Path;
use crate::units::{Bytes, Slot};

/// The smallest machine that any supported kernel boots on.
const LEAST_MEMORY: Bytes = Bytes(128 * Bytes::MIB);

pub(super) fn machine(scenario: &Scenario, found: &mut Vec<Problem>) {
    let machine = &scenario.machine;
    let path = |key| root("machine").key(key);
    if let Some(cpu) = &machine.cpu
        && (cpu.is_empty() || cpu.contains(char::is_whitespace))
    {
        found.push(
            Problem::new(path("cpu"), format!("`{cpu}` is no CPU model"))
                .help("QEMU's name of one, such as `qemu64`"),
        );
    }
    if machine.memory < LEAST_MEMORY {
        found.push(
            Problem::new(
                path("memory"),
                format!("{} of memory boot no kernel", machine.memory),
            )
            .help(format!("at least {LEAST_MEMORY}; `1G` is the default")),
        );
    } else if !machine.memory.0.is_multiple_of(Bytes::MIB) {
        found.push(
            Problem::new(path("memory"), "memory is no whole number of mebibytes")
                .help(format!("{}M", machine.memory.0 / Bytes::MIB)),
        );
    }
    if machine.apic == Apic::Flat && machine.cpus.get() > 8 {
        found.push(
            Problem::new(
                path("apic"),
                format!(
                    "flat APIC routing reaches 8 CPUs, and there are {}",
                    machine.cpus
                ),
            )
            .help("`physical`, or at most 8 CPUs")
            .rests_on(path("cpus")),
        );
    }
    if scenario.crash.cpu >= machine.cpus.get() {
        found.push(
            Problem::new(
                root("crash").key("cpu"),
                format!(
                    "there is no CPU {}: the machine has {}",
                    scenario.crash.cpu, machine.cpus
                ),
            )
            .help(match machine.cpus.get() {
                1 => "CPUs are counted from 0: write 0, or give `machine.cpus`".to_owned(),
                cpus => format!("CPUs are counted from 0: write 0 to {}", cpus - 1),
            })
            .rests_on(path("cpus")),
        );
    }
}

/// All regions find a place.
pub(super) fn regions(devices: &[Device], found: &mut Vec<Problem>) {
    let mut room = Room::ALL;
    for (nth, device) in devices.iter().enumerate() {
        let regions = device.bars.as_deref().unwrap_or_default();
        match room.without(regions, device.count.into()) {
            Ok(left) => room = left,
            Err(none) => {
                let help = "`64-bit` ones of memory lie above; leave out what nothing here needs";
                let bars = device_path(nth).key("bars");
                found.push(Problem::new(bars, none.to_string()).help(help));
                return;
            }
        }
    }
}

/// Device numbers of the root bus that the chipset leaves free.
fn free_numbers(chipset: Chipset) -> std::ops::RangeInclusive<u8> {
    match chipset {
        // 0 is the host bridge, 0x1f the ICH9's functions.
        Chipset::Q35 => 0x1..=0x1e,
        // 0 is the host bridge, 1 the PIIX3's functions.
        Chipset::Pc => 0x2..=0x1f,
    }
}

pub(super) fn slots(scenario: &Scenario, found: &mut Vec<Problem>) {
    let machine = &scenario.machine;
    let free = free_numbers(machine.chipset);
    let mut taken: BTreeMap<Slot, Path> = BTreeMap::new();
    // Cards with several ports, by the slot that each has to itself.
    let mut cards: BTreeMap<u8, Path> = BTreeMap::new();
    let mut unplaced: usize = 0;
    for (nth, device) in machine.devices.iter().enumerate() {
        let path = device_path(nth).key("slots");
        let Some(slots) = &device.slots else {
            // A card has a slot to itself.
            let each = if device.functions() > 1 { 8 } else { 1 };
            unplaced += each * usize::from(device.count);
            continue;
        };
        if slots.len() != usize::from(device.count) {
            let plural = |n: usize| if n == 1 { "" } else { "s" };
            let (given, count) = (slots.len(), usize::from(device.count));
            let message = format!(
                "{given} slot{} for {count} device{}",
                plural(given),
                plural(count)
            );
            found.push(
                Problem::new(path.clone(), message)
                    .help("one slot for each of `count`, or no `slots` at all")
                    .rests_on(device_path(nth).key("count")),
            );
        }
        for (index, slot) in slots.iter().enumerate() {
            let path = path.clone().index(index);
            if !free.contains(&slot.device) {
                let message = format!("slot {slot} belongs to the chipset");
                let help = format!("{:#x} to {:#x} are free", free.start(), free.end());
                let chipset = root("machine").key("chipset");
                found.push(
                    Problem::new(path.clone(), message)
                        .help(help)
                        .rests_on(chipset),
                );
            }
            if device.functions() > 1 && slot.function != 0 {
                let message = format!(
                    "a card with {} ports begins at function 0",
                    device.functions()
                );
                let ports = device_path(nth).key("ports");
                found.push(
                    Problem::new(path.clone(), message)
                        .help(format!("`{:#x}`: the card has the whole slot", slot.device))
                        .rests_on(ports),
                );
                continue;
            }
            if let Some(first) = taken.get(slot) {
                let message = format!("slot {slot} is taken by `{first}`");
                let help = "every device has a slot of its own";
                found.push(
                    Problem::new(path, message)
                        .help(help)
                        .rests_on(first.clone()),
                );
            } else {
                if device.functions() > 1 {
                    cards.insert(slot.device, path.clone());
                }
                taken.insert(*slot, path);
            }
        }
    }
    for (slot, path) in &taken {
        if let Some(card) = cards.get(&slot.device)
            && card != path
        {
            let message = format!("slot {slot} is in that of the card at `{card}`");
            let help = "a card with several ports has a slot to itself";
            found.push(
                Problem::new(path.clone(), message)
                    .help(help)
                    .rests_on(card.clone()),
            );
        }
    }
    for (slot, path) in &taken {
        let zero = Slot {
            device: slot.device,
            function: 0,
        };
        if !taken.contains_key(&zero) {
            found.push(
                Problem::new(
                    path.clone(),
                    format!("no device is at {zero}, so {slot} stays hidden"),
                )
                .help(format!(
                    "a guest looks at other functions only when there is {zero}"
                ))
                .rests_on(root("machine").key("devices")),
            );
        }
    }
    // Eight functions a slot; where each goes, the machine decides.
    let room = (free.count() * 8).saturating_sub(taken.len());
    if unplaced > room {
        let message = format!("{unplaced} devices do not fit the bus, which has room for {room}");
        let devices = root("machine").key("devices");
        found.push(
            Problem {
                on_key: true,
                ..Problem::new(devices.clone(), message)
            }
            .help("fewer devices, or several in one slot: `slots: [0x8.0, 0x8.1]`")
            .rests_on(devices),
        );
    }
}
