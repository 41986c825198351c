//! What nothing here models, shown on the bus as lspci shows it.

use super::{Found, One, add, id};
use crate::import::facts::{BarKind, PciFunction};
use crate::pci::{self, Region, Space};
use crate::scenario::model::{Device, DeviceKind};

impl Found {
    pub(super) fn generic(&mut self, group: usize, row: usize, these: &[One<'_>]) {
        let (bars, lost) = match self.regions(these) {
            Ok(bars) => (bars, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        let mut bars = bars.into_iter();
        for one in these {
            let function = one.function;
            let mut device = Device::new(DeviceKind::Generic);
            device.id = function.id.map(id);
            device.subsystem = function.subsystem.map(id);
            let class = function.class.filter(|class| *class != 0x0604);
            device.class = class.map(|class| {
                let [class, subclass] = class.to_be_bytes();
                pci::Class::new(class, subclass, function.prog_if.unwrap_or(0))
            });
            device.rev = (function.revision > 0).then_some(pci::Revision(function.revision));
            device.bars = bars.next();
            device.msix = function.msix.map(|msix| msix.size);
            device.msi = function.msi.is_some();
            self.unit(group, row, device, 0);
        }
        let lost_of_row = &mut self.rows[row].lost;
        add(lost_of_row, "it is on the bus, and nothing answers in it");
        if let Some(why) = lost {
            add(lost_of_row, &format!("without its BARs: {why}"));
        }
    }

    /// The regions of all of these functions, for which room is kept; or why they are not shown.
    fn regions(&mut self, these: &[One<'_>]) -> Result<Vec<Vec<Region>>, String> {
        let mut room = self.room;
        let mut all = Vec::new();
        for one in these {
            let regions = regions(one.function)?;
            room = room.without(&regions, 1).map_err(|none| none.to_string())?;
            all.push(regions);
        }
        self.room = room;
        Ok(all)
    }
}

/// What a function decodes, in the order of its registers.
fn regions(function: &PciFunction) -> Result<Vec<Region>, String> {
    // The expansion ROM is no region of registers.
    let bars = function
        .bars
        .iter()
        .filter(|bar| usize::from(bar.index) < Region::REGISTERS);
    let regions: Vec<Region> = bars
        .map(|bar| {
            let space = match bar.kind {
                BarKind::Io => Space::Ports,
                BarKind::Memory { wide, prefetchable } => Space::Memory { wide, prefetchable },
            };
            let size = bar.size.ok_or("lspci does not show their sizes")?;
            Region::new(size, space).map_err(|error| error.to_string())
        })
        .collect::<Result<_, String>>()?;
    let registers: usize = regions.iter().map(|region| region.registers()).sum();
    if registers > Region::REGISTERS {
        return Err(format!("they take {registers} registers"));
    }
    if regions.is_empty() {
        return Err("the files do not show them".to_owned());
    }
    let entries = function.msix.map_or(0, |msix| msix.size.get());
    match pci::table_region(&regions, entries) {
        None if entries > 0 => Err(format!("none holds the table of {entries} entries")),
        _ => Ok(regions),
    }
}
