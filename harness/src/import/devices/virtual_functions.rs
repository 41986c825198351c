//! Which functions are virtual ones that another function of the machine made.

use std::collections::BTreeSet;

use crate::import::facts::{Facts, PciAddress};
use crate::units::Slot;

/// Those of adapters that the files show. They are not there in the capture kernel: drivers/pci/iov.c,
/// sriov_init, turns SR-IOV off where it finds it on, since there is such a thing (2.6.30), and
/// nothing turns it on again. One that a guest has been given is a function like any other.
pub(super) fn virtual_functions(facts: &Facts) -> BTreeSet<PciAddress> {
    /// More than any adapter has.
    const MOST: u16 = 1024;
    let mut all = BTreeSet::new();
    for (at, function) in &facts.functions {
        // A virtual function makes none.
        let Some(sriov) = function.sriov.filter(|_| !all.contains(at)) else {
            continue;
        };
        let own = u32::from(at.bus) << 8 | u32::from(at.slot.device) << 3;
        let first = (own | u32::from(at.slot.function)) + u32::from(sriov.offset);
        let routing_ids = (0..sriov.enabled.min(MOST)).map(|nth| {
            // Section 9.2.1.2 of PCI Express 5.0.
            first + u32::from(nth) * u32::from(sriov.stride)
        });
        let places = routing_ids.filter_map(|id| {
            let [0, 0, bus, slot] = id.to_be_bytes() else {
                return None;
            };
            let slot = Slot {
                device: slot >> 3,
                function: slot & 7,
            };
            let domain = at.domain;
            Some(PciAddress { domain, bus, slot })
        });
        all.extend(places.filter(|place| place != at && facts.functions.contains_key(place)));
    }
    all
}
