//! A device that is on the bus and does nothing: what nobody models still shows its ids, its BARs
//! and its MSI-X table.

use super::{Bar, Bus, ConfigSpace, Identity, Model, MsiXLayout};
use crate::pci::{Region, Space, table_region};

/// Registers that read as zero, and forget what is written.
#[derive(Debug)]
pub struct Generic;

/// To what depth this is a device.
pub const FIDELITY: &str = "its ids, BARs and MSI-X table are on the bus, and nothing answers in it: \
    registers read as zero, and no driver can work with it";

impl Generic {
    /// What it shows where nothing else is said.
    pub const USUAL: Identity = Identity {
        // Of those that Red Hat leaves to anybody's experiments (QEMU's docs/specs/pci-ids.rst).
        vendor: 0x1af4,
        device: 0x10f0,
        subvendor: 0,
        subdevice: 0,
        // Unassigned.
        class: 0xff_0000,
        revision: 0,
    };

    /// Its configuration space, with an MSI-X table of so many entries in the last of `regions` that
    /// has room for it; 0 for none. Without regions, there is one for the table.
    pub fn config(
        identity: &Identity,
        regions: Option<&[Region]>,
        entries: u16,
        msi: bool,
    ) -> ConfigSpace {
        let usual = [Region::memory(u64::from(entries) * 32)];
        let regions = regions.unwrap_or(&usual);
        let mut config = ConfigSpace::new(identity, &bars(regions)).with_power_management(0x40);
        if msi {
            config = config.with_msi(0x50);
        }
        config = config.with_express(0x70);
        match table_region(regions, entries) {
            // Each on pages of its own, as the specification recommends, where the region is large.
            Some((bar, size)) if entries > 0 => config.with_msix(
                0xb0,
                MsiXLayout {
                    entries,
                    bar,
                    table: 0,
                    pending: (size / 2).min(1 << 20) as u32,
                },
            ),
            _ => config,
        }
    }
}

/// Each region by its first register.
fn bars(regions: &[Region]) -> Vec<(u8, Bar)> {
    let mut register = 0;
    let bar = |region: &Region| {
        let size = region.size();
        let bar = match region.space() {
            Space::Ports => Bar::Io(size as u32),
            Space::Memory {
                wide: false,
                prefetchable,
            } => Bar::Memory32 {
                size: size as u32,
                prefetchable,
            },
            Space::Memory {
                wide: true,
                prefetchable,
            } => Bar::Memory64 { size, prefetchable },
        };
        let first = register;
        register += region.registers() as u8;
        (first, bar)
    };
    regions.iter().map(bar).collect()
}

impl Model for Generic {
    fn read(&mut self, _: u8, _: u64, data: &mut [u8], _: &mut Bus) {
        data.fill(0);
    }

    fn write(&mut self, _: u8, _: u64, _: &[u8], _: &mut Bus) {}

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests;
