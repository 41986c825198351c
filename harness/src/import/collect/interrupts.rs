//! Whose an interrupt of /proc/interrupts is.

use std::collections::BTreeMap;

use crate::import::facts::{Facts, InterruptKind, PciAddress};

/// Finds out whose an interrupt is, and counts.
pub(super) fn whose(facts: &mut Facts, interfaces: &BTreeMap<String, PciAddress>) {
    let mut drivers: BTreeMap<&str, Vec<PciAddress>> = BTreeMap::new();
    for (address, function) in &facts.functions {
        if let Some(driver) = &function.driver {
            drivers.entry(driver).or_default().push(*address);
        }
    }
    for interrupt in &mut facts.interrupts {
        let interrupt = &mut interrupt.value;
        if interrupt.kind == InterruptKind::Other {
            continue;
        }
        let by_name = || {
            let mut names = interrupt.actions.iter();
            names.find_map(|name| owner(name, interfaces, &drivers))
        };
        interrupt.function = interrupt.function.or_else(by_name);
    }
    let mut counts: BTreeMap<PciAddress, u16> = BTreeMap::new();
    for interrupt in &facts.interrupts {
        if interrupt.value.kind == InterruptKind::Message
            && let Some(address) = interrupt.value.function
        {
            *counts.entry(address).or_default() += 1;
        }
    }
    for (address, function) in &mut facts.functions {
        // Where none is the device's, it may be that its name says nothing.
        function.vectors = counts.get(address).copied().or(function.vectors);
    }
}

/// `eth0-TxRx-0`, `i40e-eth0-TxRx-3` by the interface; `mpt3sas0-msix7`, `megasas`, `ahci` by the
/// driver where there is one device of it.
fn owner(
    name: &str,
    interfaces: &BTreeMap<String, PciAddress>,
    drivers: &BTreeMap<&str, Vec<PciAddress>>,
) -> Option<PciAddress> {
    let mut parts = name.split(['-', ':', '@', ' ', '.']);
    if let Some(address) = parts.clone().find_map(|part| interfaces.get(part)) {
        return Some(*address);
    }
    let first = parts.next()?;
    let stem = first.trim_end_matches(|c: char| c.is_ascii_digit());
    // nvme0q1, and the driver of MegaRAID names its interrupts after its older self.
    let stem = match stem {
        "megasas" => "megaraid_sas",
        _ if first.starts_with("nvme") => "nvme",
        _ => stem,
    };
    let of = drivers.get(first).or_else(|| drivers.get(stem))?;
    match of[..] {
        [only] => Some(only),
        _ => None,
    }
}
