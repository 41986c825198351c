//! A device that is on the bus and does nothing: what nobody models still shows its ids, its BARs
//! and its MSI-X table.

use super::{Bar, Bus, ConfigSpace, Identity, Model, MsiXLayout};

/// Registers that read as zero, and forget what is written.
#[derive(Debug)]
pub struct Generic;

/// What a `generic` device shows.
pub type Ids = Identity;

impl Generic {
    /// Its configuration space: one BAR with the MSI-X table and the pending bits.
    pub fn config(identity: &Identity, entries: u16) -> ConfigSpace {
        // 16 bytes an entry and a bit an entry, each on pages of its own (the specification's own
        // recommendation), in a power of two.
        let table = (u32::from(entries) * 16).next_multiple_of(4096);
        let size = (table + 4096).next_power_of_two();
        let bars = [(0, Bar::Memory32(size))];
        let config = ConfigSpace::new(identity, &bars)
            .with_power_management(0x40)
            .with_express(0x60);
        match entries {
            0 => config,
            entries => config.with_msix(
                0xa0,
                MsiXLayout {
                    entries,
                    bar: 0,
                    table: 0,
                    pending: table,
                },
            ),
        }
    }
}

impl Model for Generic {
    fn read(&mut self, _: u8, _: u64, data: &mut [u8], _: &mut Bus) {
        data.fill(0);
    }

    fn write(&mut self, _: u8, _: u64, _: &[u8], _: &mut Bus) {}

    fn reset(&mut self) {}
}
