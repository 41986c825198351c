//! What several texts say of the same PCI function, made one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::MOST_FUNCTIONS;
use crate::import::facts::{Capabilities, PciAddress, PciFunction, Source};
use crate::import::read::lspci_tree;

pub(super) fn merge(
    all: &mut BTreeMap<PciAddress, PciFunction>,
    address: PciAddress,
    function: PciFunction,
) {
    let room = all.len() < MOST_FUNCTIONS;
    match all.entry(address) {
        Entry::Occupied(mut known) => fill(known.get_mut(), function),
        Entry::Vacant(new) if room => {
            new.insert(function);
        }
        Entry::Vacant(_) => {}
    }
}

/// What the one does not know is the other's.
pub(super) fn fill(known: &mut PciFunction, other: PciFunction) {
    // The one that shows capabilities is the better source.
    if known.capabilities == Capabilities::Hidden && other.capabilities == Capabilities::Shown {
        known.capabilities = Capabilities::Shown;
        known.source = other.source;
    }
    if known.description.is_empty() {
        known.description = other.description;
    }
    if known.revision == 0 {
        known.revision = other.revision;
    }
    known.class = known.class.or(other.class);
    known.prog_if = known.prog_if.or(other.prog_if);
    known.id = known.id.or(other.id);
    known.subsystem = known.subsystem.or(other.subsystem);
    known.buses = known.buses.or(other.buses);
    known.express = known.express.or(other.express);
    known.msi = known.msi.or(other.msi);
    known.msix = known.msix.or(other.msix);
    known.line = known.line.or(other.line);
    known.sriov = known.sriov.or(other.sriov);
    known.numa = known.numa.or(other.numa);
    known.vectors = known.vectors.or(other.vectors);
    known.driver = known.driver.take().or(other.driver);
    if known.modules.is_empty() {
        known.modules = other.modules;
    }
    for bar in other.bars {
        match known.bars.iter_mut().find(|known| known.index == bar.index) {
            Some(known) => known.size = known.size.or(bar.size),
            None => known.bars.push(bar),
        }
    }
    known.bars.sort_by_key(|bar| bar.index);
}

/// What `lspci -t` adds: the buses behind bridges, and functions that nothing else shows.
pub(super) fn grow(
    functions: &mut BTreeMap<PciAddress, PciFunction>,
    tree: BTreeMap<PciAddress, (Arc<str>, lspci_tree::Node)>,
) {
    let known = !functions.is_empty();
    for (address, (file, node)) in tree {
        if known && !functions.contains_key(&address) {
            continue;
        }
        let mut function = PciFunction::new(Source {
            file,
            line: NonZeroU32::new(node.line),
        });
        function.buses = node.buses;
        function.id = node.id;
        function.description = node.description;
        merge(functions, address, function);
    }
}
