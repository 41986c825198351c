//! In which order the capture kernel loads its drivers.

use super::catalogue::entry;
use super::plan::MachinePlan;
use super::shuffle::shuffle;
use crate::scenario::model::{Capture, DeviceKind, LoadOrder};
use crate::units::Slot;

/// What loads together: a driver, and in the catalogue's order those that it is of no use without.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unit {
    drivers: Vec<String>,
    /// The lowest address of its devices; a driver may have none here.
    slot: Option<Slot>,
}

impl MachinePlan {
    /// The capture kernel's drivers in the order in which they load. With `explicit` they are taken
    /// as they stand. Else whole units change places, and a driver that several need (virtio_pci,
    /// sd_mod) loads with the first of them.
    pub fn load_order(&self, capture: &Capture) -> Vec<String> {
        let drivers = self.wanted(capture);
        let mut units = self.units(&drivers);
        match capture.order {
            LoadOrder::Explicit => return drivers,
            // A driver binds all of its devices as soon as it loads.
            LoadOrder::Pci => units.sort_by_key(|unit| (unit.slot.is_none(), unit.slot)),
            LoadOrder::Shuffled(seed) => shuffle(&mut units, seed),
        }
        let mut order = Vec::new();
        for driver in units.into_iter().flat_map(|unit| unit.drivers) {
            if !order.contains(&driver) {
                order.push(driver);
            }
        }
        order
    }

    /// How many drivers there are to be put in order, those that come along with another left out.
    pub fn load_units(&self, capture: &Capture) -> usize {
        self.units(&self.wanted(capture)).len()
    }

    fn wanted(&self, capture: &Capture) -> Vec<String> {
        match &capture.drivers {
            Some(drivers) => drivers.clone(),
            None => self.drivers().into_iter().map(str::to_owned).collect(),
        }
    }

    /// Those of devices in the order of the scenario, then the drivers that no device here has.
    fn units(&self, drivers: &[String]) -> Vec<Unit> {
        let mut kinds: Vec<DeviceKind> = Vec::new();
        for function in &self.functions {
            if !kinds.contains(&function.kind) {
                kinds.push(function.kind);
            }
        }
        let of_devices: Vec<Unit> = kinds
            .into_iter()
            .map(|kind| Unit {
                drivers: entry(kind)
                    .drivers
                    .iter()
                    .filter_map(|name| drivers.iter().find(|driver| is(driver, name)))
                    .cloned()
                    .collect(),
                slot: self.lowest(kind),
            })
            .collect();
        let mut units: Vec<Unit> = Vec::new();
        for (nth, unit) in of_devices.iter().enumerate() {
            let in_other = |(other, larger): (usize, &Unit)| {
                let holds = |driver| larger.drivers.contains(driver);
                other != nth
                    && unit.drivers.iter().all(holds)
                    && (unit.drivers.len() < larger.drivers.len() || other < nth)
            };
            // One whose own driver is not loaded here has nothing to put in order.
            if !unit.drivers.is_empty() && !of_devices.iter().enumerate().any(in_other) {
                units.push(unit.clone());
            }
        }
        for driver in drivers {
            if !units.iter().any(|unit| unit.drivers.contains(driver)) {
                units.push(Unit {
                    drivers: vec![driver.clone()],
                    slot: None,
                });
            }
        }
        units
    }

    fn lowest(&self, kind: DeviceKind) -> Option<Slot> {
        let of_kind = self.functions.iter().filter(|f| f.kind == kind);
        of_kind.map(|function| function.slot).min()
    }
}

/// Whether a scenario's `driver` is the catalogue's `name`: hyphens and underscores are one to the
/// kernel.
pub(super) fn is(driver: &str, name: &str) -> bool {
    driver.replace('-', "_") == name
}

#[cfg(test)]
mod tests;
