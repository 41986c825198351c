//! What stands for the customer's devices on bus 0: a slot for each, and lines in their order.

use super::row::comment;
use super::{Devices, Found, Stated, Unit, add};
use crate::import::ImportError;
use crate::import::place::{Need, What, place};
use crate::machine::catalogue;
use crate::scenario::model::{Device, DeviceKind, Line};
use crate::units::Slot;

impl Found {
    /// With a slot for each.
    pub(super) fn placed(
        mut self,
        line: Option<Line>,
        target: Option<String>,
    ) -> Result<Devices, ImportError> {
        if let Some(row) = self.single.take() {
            let row = &mut self.rows[row];
            match row.stands {
                Some(_) => add(&mut row.lost, "its last vector is not taken"),
                // Nothing of it is in the drill.
                None => "its vector is not taken, as no filler takes one alone"
                    .clone_into(&mut row.lost),
            }
        }
        let mut slots = place(&self.needs(line));
        if slots.is_none() {
            // Fewer of what is only there to be seen.
            let rows = &mut self.rows;
            self.units.retain(|unit| {
                let shown = unit.device.device == DeviceKind::Generic;
                if shown {
                    let row = &mut rows[unit.row];
                    row.stands = None;
                    row.lost = "bus 0 has no room for it".to_owned();
                }
                !shown
            });
            slots = place(&self.needs(line));
        }
        if slots.is_none() {
            // Adapters whose SR-IOV functions take the room of several.
            self.without_virtual_functions();
            slots = place(&self.needs(line));
        }
        let slots = slots.ok_or(ImportError::Bus(self.units.len()))?;
        let lines = self.lines(&slots, line);
        Ok(Devices {
            lines,
            rows: self.rows,
            target,
        })
    }

    fn without_virtual_functions(&mut self) {
        let units = std::mem::take(&mut self.units);
        for unit in units {
            if !catalogue::entry(unit.device.device).virtual_functions || unit.device.target {
                self.units.push(unit);
                continue;
            }
            let row = &mut self.rows[unit.row];
            row.stands = None;
            row.lost =
                "bus 0 has no room for its SR-IOV functions; virtio_console takes its vectors"
                    .to_owned();
            let vectors = row.ours / row.at.len().max(1) as u32;
            row.ours = row.ours.saturating_sub(vectors);
            self.fill(unit.group, unit.row, u16::try_from(vectors).unwrap_or(0));
        }
    }

    fn needs(&self, line: Option<Line>) -> Vec<Need> {
        let need = |unit: &Unit| Need {
            functions: unit.device.functions(),
            group: unit.group,
            what: match &unit.device {
                device if device.target && line == Some(Line::Own) => What::OwnLine,
                device if catalogue::entry(device.device).virtual_functions => {
                    What::VirtualFunctions
                }
                device if device.ports.is_some() => What::Card,
                _ => What::Plain,
            },
        };
        self.units.iter().map(need).collect()
    }

    /// Neighbours that differ in nothing but their slots are one line.
    fn lines(&self, slots: &[Slot], line: Option<Line>) -> Vec<Stated> {
        let mut lines: Vec<(usize, Stated)> = Vec::new();
        for (unit, slot) in self.units.iter().zip(slots) {
            if let Some((row, last)) = lines.last_mut()
                && *row == unit.row
                && let Some(mut all) = last.device.slots.take()
            {
                let same = Device {
                    count: last.device.count,
                    ..unit.device.clone()
                } == last.device;
                if same {
                    all.push(*slot);
                    last.device.count += 1;
                }
                last.device.slots = Some(all);
                if same {
                    continue;
                }
            }
            let mut device = unit.device.clone();
            device.slots = Some(vec![*slot]);
            if device.target {
                device.line = line;
            }
            let comment = match lines.last() {
                Some((row, _)) if *row == unit.row => String::new(),
                _ => comment(&self.rows[unit.row]),
            };
            lines.push((unit.row, Stated { device, comment }));
        }
        lines.into_iter().map(|(_, line)| line).collect()
    }
}
