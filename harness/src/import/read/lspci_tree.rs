//! `lspci -t`, with or without `v` and `nn`: which bridge leads to which bus.
//!
//! The tree is drawn with `+-` and `\-` below the column where a bus has its first branch
//! (pciutils, ls-tree.c).

use std::collections::BTreeMap;

use super::super::facts::{Buses, PciAddress, PciId};
use super::{Text, unquoted};
use crate::units::Slot;

/// A function of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Node {
    /// Its line.
    pub(in super::super) line: u32,
    /// The buses behind it.
    pub(in super::super) buses: Option<Buses>,
    /// Of `-nn`, or `-n` with `-v`.
    pub(in super::super) id: Option<PciId>,
    /// As lspci puts it into words.
    pub(in super::super) description: String,
}

/// Functions that are kept.
const MOST: usize = 16_384;
/// Columns in which branches are drawn: 32 buses below one another have 500.
const MOST_COLUMNS: usize = 4_096;

/// Reads the tree.
pub(in super::super) fn read(text: &Text<'_>) -> BTreeMap<PciAddress, Node> {
    let mut nodes = BTreeMap::new();
    // Domain and bus of the branches that begin in a column; none above the roots.
    let mut branches: BTreeMap<usize, Option<(u32, u8)>> = BTreeMap::new();
    for (line, drawn) in text.lines() {
        let drawn = unquoted(drawn);
        let bytes = drawn.as_bytes();
        let start = bytes.iter().position(|byte| !b" |".contains(byte));
        let Some(mut at) = start else { continue };
        let mut bus = match bytes[at] {
            b'+' | b'\\' => match branches.get(&at) {
                Some(bus) => *bus,
                None => continue,
            },
            b'-' => None,
            _ => continue,
        };
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'-' | b'\\' => at += 1,
                b'+' => {
                    if at < MOST_COLUMNS {
                        branches.insert(at, bus);
                    }
                    at += 1;
                }
                // A root bus.
                b'[' => {
                    let Some((inner, length)) = inner(&drawn[at..]) else {
                        break;
                    };
                    bus = root(inner);
                    at += length;
                }
                _ => {
                    let Some((domain, number)) = bus else { break };
                    let Some(slot) = drawn.get(at..at + 4).and_then(slot) else {
                        break;
                    };
                    at += 4;
                    let mut node = Node {
                        line,
                        buses: None,
                        id: None,
                        description: String::new(),
                    };
                    let behind = drawn.get(at..).and_then(|rest| rest.strip_prefix('-'));
                    if let Some(rest) = behind.filter(|rest| rest.starts_with('[')) {
                        let Some((text, length)) = inner(rest) else {
                            break;
                        };
                        node.buses = buses(text);
                        bus = node.buses.map(|buses| (domain, buses.secondary));
                        at += 1 + length;
                    } else {
                        (node.description, node.id) = words(drawn.get(at..).unwrap_or_default());
                        at = bytes.len();
                    }
                    let address = PciAddress {
                        domain,
                        bus: number,
                        slot,
                    };
                    if nodes.len() < MOST {
                        nodes.insert(address, node);
                    }
                }
            }
        }
    }
    nodes
}

/// What is in the brackets that a text begins with, and its length with them.
fn inner(text: &str) -> Option<(&str, usize)> {
    let (inner, _) = text.strip_prefix('[')?.split_once(']')?;
    Some((inner, inner.len() + 2))
}

/// `0000:00`, or `00` where lspci shows no domains.
fn root(text: &str) -> Option<(u32, u8)> {
    let (domain, bus) = text.rsplit_once(':').unwrap_or(("0", text));
    // `0000:00-3f` of a root that leads to several.
    let bus = bus.split('-').next().unwrap_or(bus);
    Some((
        u32::from_str_radix(domain, 16).ok()?,
        u8::from_str_radix(bus, 16).ok()?,
    ))
}

/// `3b`, or `3b-3d`.
fn buses(text: &str) -> Option<Buses> {
    let text = text.rsplit(':').next().unwrap_or(text);
    let (secondary, subordinate) = text.split_once('-').unwrap_or((text, text));
    Some(Buses {
        secondary: u8::from_str_radix(secondary, 16).ok()?,
        subordinate: u8::from_str_radix(subordinate, 16).ok()?,
    })
}

/// `1f.2`.
fn slot(text: &str) -> Option<Slot> {
    let (device, function) = text.split_once('.')?;
    let slot = Slot {
        device: u8::from_str_radix(device, 16).ok()?,
        function: u8::from_str_radix(function, 16).ok()?,
    };
    (slot.device < 32 && slot.function < 8).then_some(slot)
}

fn words(text: &str) -> (String, Option<PciId>) {
    let text = text.trim();
    let id = |text: &str| {
        let (vendor, device) = text.split_once(':')?;
        let number = |text: &str| u16::from_str_radix(text, 16).ok();
        (vendor.len() == 4 && device.len() == 4).then_some(PciId {
            vendor: number(vendor)?,
            device: number(device)?,
        })
    };
    let numbered = text
        .strip_suffix(']')
        .and_then(|text| text.rsplit_once('['));
    let (words, id) = match numbered.map(|(words, number)| (words, id(number))) {
        Some((words, Some(number))) => (words, Some(number)),
        _ => match id(text) {
            Some(number) => ("", Some(number)),
            None => (text, None),
        },
    };
    (words.trim().chars().take(200).collect(), id)
}

#[cfg(test)]
mod tests;
