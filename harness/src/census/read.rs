//! Reads a stopped machine over QMP.
//!
//! On q35 the configuration space lies in guest-physical memory (ECAM, PCI Express Base
//! Specification, 7.2.2), so that HMP's `xp` reads it; it reads MSI-X tables the same way. Nothing
//! else of a device's memory is touched: reading a register may change the device. On pc the
//! configuration space lies behind ports (ports.rs).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::monitor::{CensusError, LIMIT, ask, not_understood};
use super::{Address, CONFIG_SIZE, Census, Config, ENTRY_SIZE, Entry, Function, ports};
use crate::machine::Qmp;
use crate::scenario::model::Chipset;
use crate::units::Slot;

/// Where QEMU's firmware puts q35's ECAM (hw/i386/pc_q35.c: MCH_HOST_BRIDGE_PCIEXBAR_DEFAULT).
const ECAM: u64 = 0xb000_0000;
/// Deeper than QEMU builds buses, less than would hurt a stack.
const DEEPEST: usize = 32;

/// Counts the vectors of a machine. It must be stopped.
///
/// # Errors
/// The monitor fails.
pub async fn take(qmp: &mut Qmp, chipset: Chipset) -> Result<Census, CensusError> {
    let listed = qmp.execute_raw("query-pci", json!({}), LIMIT).await?;
    let mut addresses = Vec::new();
    functions(&listed, 0, &mut addresses)?;
    let spaces = match chipset {
        Chipset::Q35 => ecam_spaces(qmp, &addresses).await?,
        Chipset::Pc => ports::spaces(qmp, &addresses).await?,
    };
    let mut functions = BTreeMap::new();
    for (address, space) in addresses.iter().zip(spaces) {
        if let Some(config) = Config::parse(&space) {
            let entries = Vec::new();
            functions.insert(*address, Function { config, entries });
        }
    }
    let with_table = |function: &mut Function| {
        let msix = function.config.msix?;
        Some((msix.table?, usize::from(msix.size) * ENTRY_SIZE))
    };
    let places: Vec<_> = functions.values_mut().filter_map(with_table).collect();
    let mut tables = memory(qmp, places.into_iter()).await?.into_iter();
    for function in functions.values_mut() {
        if with_table(function).is_some()
            && let Some(table) = tables.next()
        {
            let entries = table.as_chunks::<ENTRY_SIZE>().0;
            function.entries = entries.iter().map(Entry::parse).collect();
        }
    }
    let dumped = ask(qmp, vec!["info pic".to_owned()]).await?;
    let lines = dumped.first().and_then(Value::as_str).and_then(lines);
    let lines = lines.ok_or_else(|| not_understood("info pic"))?;
    Ok(Census {
        chipset,
        functions,
        lines,
    })
}

/// `  pin 4  0x0000000000010000 dest=0 ...`: the first number is the redirection table's entry.
fn lines(text: &str) -> Option<BTreeMap<u8, Entry>> {
    let mut lines = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("pin") {
            continue;
        }
        let pin = words.next()?.parse().ok()?;
        let entry = words.next()?.strip_prefix("0x")?;
        let entry = u64::from_str_radix(entry, 16).ok()?;
        lines.insert(pin, Entry::redirection(entry));
    }
    Some(lines).filter(|lines| !lines.is_empty())
}

async fn ecam_spaces(
    qmp: &mut Qmp,
    addresses: &[Address],
) -> Result<Vec<[u8; CONFIG_SIZE]>, CensusError> {
    let places = addresses
        .iter()
        .map(|address| (ecam(*address), CONFIG_SIZE));
    let spaces = memory(qmp, places).await?.into_iter();
    spaces
        .map(|space| space.try_into().map_err(|_| not_understood("xp")))
        .collect()
}

fn ecam(address: Address) -> u64 {
    let Slot { device, function } = address.slot;
    let within = u64::from(address.bus) << 20 | u64::from(device) << 15 | u64::from(function) << 12;
    ECAM + within
}

/// Reads all places at once.
async fn memory(
    qmp: &mut Qmp,
    places: impl Iterator<Item = (u64, usize)>,
) -> Result<Vec<Vec<u8>>, CensusError> {
    let places: Vec<(u64, usize)> = places.collect();
    let commands = places
        .iter()
        .map(|(address, bytes)| format!("xp /{}wx {address:#x}", bytes / 4));
    let answers = ask(qmp, commands.collect()).await?;
    let words = places.iter().zip(answers).map(|((_, bytes), answer)| {
        let words = answer.as_str().and_then(words);
        let words = words.filter(|words| words.len() == *bytes);
        words.ok_or_else(|| not_understood("xp"))
    });
    words.collect()
}

/// `00000000b0000000: 0x29c08086 0x00100003`, line by line.
fn words(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (_, words) = line.split_once(": ")?;
        for word in words.split_ascii_whitespace() {
            let word = u32::from_str_radix(word.strip_prefix("0x")?, 16).ok()?;
            bytes.extend_from_slice(&word.to_le_bytes());
        }
    }
    Some(bytes)
}

/// All functions in an answer to query-pci, those behind bridges too.
fn functions(buses: &Value, depth: usize, addresses: &mut Vec<Address>) -> Result<(), CensusError> {
    let error = || not_understood("query-pci");
    if depth > DEEPEST {
        return Err(error());
    }
    for bus in buses.as_array().ok_or_else(error)? {
        devices(bus, depth, addresses)?;
    }
    Ok(())
}

fn devices(bus: &Value, depth: usize, addresses: &mut Vec<Address>) -> Result<(), CensusError> {
    let error = || not_understood("query-pci");
    let listed = bus.get("devices").and_then(Value::as_array);
    for device in listed.into_iter().flatten() {
        let number = |key, least_above: u8| {
            let number = device.get(key)?.as_u64()?;
            u8::try_from(number)
                .ok()
                .filter(|number| *number < least_above || least_above == 0)
        };
        let address = Address {
            bus: number("bus", 0).ok_or_else(error)?,
            slot: Slot {
                device: number("slot", 32).ok_or_else(error)?,
                function: number("function", 8).ok_or_else(error)?,
            },
        };
        if !addresses.contains(&address) {
            addresses.push(address);
        }
        if let Some(bridge) = device.get("pci_bridge") {
            if depth >= DEEPEST {
                return Err(error());
            }
            devices(bridge, depth + 1, addresses)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumped_words() {
        let text = "00000000b0000000: 0x29c08086 0x00100003\r\n00000000b0000008: 0x06000000\r\n";
        let bytes = words(text).unwrap();
        assert_eq!(bytes[..6], [0x86, 0x80, 0xc0, 0x29, 0x03, 0x00]);
        assert_eq!(bytes.len(), 12);
        assert_eq!(words("Cannot access memory\r\n"), None);
        assert_eq!(words("b0000000: 29c08086\n"), None);
    }

    #[test]
    fn lines_of_the_io_apic() {
        let text = "ioapic0: ver=0x20 id=0x00 sel=0x2e (redir[15])\r\n  pin 0  0x0000000000010000 dest=0 \
                    vec=0   active-hi edge  masked fixed  physical\r\n  pin 20 0x0100000000008841 dest=1 \
                    vec=65  active-hi level        fixed  logical\r\n  IRR      (none)\r\n";
        let lines = lines(text).unwrap();
        assert_eq!(lines.len(), 2);
        assert!(lines[&0].masked && !lines[&20].masked);
        for wrong in ["", "pic0: irr=00", "pin 1 none", "pin 300 0x0"] {
            assert_eq!(super::lines(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn functions_behind_bridges() {
        let listed = json!([{"bus": 0, "devices": [
            {"bus": 0, "slot": 0, "function": 0},
            {"bus": 0, "slot": 3, "function": 1, "pci_bridge": {"bus": {"number": 0},
                "devices": [{"bus": 1, "slot": 0, "function": 0}]}},
        ]}]);
        let mut found = Vec::new();
        functions(&listed, 0, &mut found).unwrap();
        let found: Vec<String> = found.iter().map(Address::to_string).collect();
        assert_eq!(found, ["00:00.0", "00:03.1", "01:00.0"]);
        for wrong in [
            json!({}),
            json!([{"devices": [{"bus": 0, "slot": 32, "function": 0}]}]),
            json!([{"devices": [{"bus": 256, "slot": 1, "function": 0}]}]),
            json!([{"devices": [{"slot": 1, "function": 0}]}]),
        ] {
            assert!(functions(&wrong, 0, &mut Vec::new()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn places_in_the_configuration_space() {
        let address = Address {
            bus: 1,
            slot: Slot {
                device: 2,
                function: 3,
            },
        };
        assert_eq!(ecam(address), 0xb011_3000);
    }
}
