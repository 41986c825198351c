//! The modelled devices of a drill's machine.

use std::fs::File;
use std::io;

use super::HarnessError;
use crate::device::i40e::{I40e, Port};
use crate::device::mpt3sas::{Chip, Mpt3sas};
use crate::device::{Devices, Function, Generic, Identity};
use crate::machine::{Backing, MachinePlan, PlacedFunction, Shown};
use crate::pci::{Class, Id};
use crate::scenario::model::DeviceKind;

/// Begins to serve a machine's modelled devices. `disks` are those of [`MachinePlan::file_disks`], in
/// that order.
///
/// # Errors
/// No socket, descriptor or thread left.
pub fn start(machine: &MachinePlan, disks: &[File]) -> Result<Devices, HarnessError> {
    let failed = |source| HarnessError::Io {
        what: "starting the modelled devices",
        source,
    };
    let mut disks = disks.iter();
    let mut functions = Vec::new();
    for function in &machine.functions {
        let disk = match &function.disk {
            Some(disk) if disk.backing == Backing::File => disks.next(),
            _ => None,
        };
        let disk = disk.map(File::try_clone).transpose().map_err(failed)?;
        if let Some(model) = model(function, disk).map_err(failed)? {
            functions.push((function.id(), model));
        }
    }
    Devices::start(functions).map_err(failed)
}

/// The model of a function, unless QEMU has it.
fn model(function: &PlacedFunction, disk: Option<File>) -> io::Result<Option<Function>> {
    let Some(shown) = &function.shown else {
        return Ok(None);
    };
    let device = shown.id.device;
    let table = function.table;
    Ok(Some(match function.kind {
        DeviceKind::I40e => {
            // Any number that no other card of the machine has.
            let card = function.index - u16::from(shown.port);
            let port = Port::new(device, card as u8, shown.port, shown.ports.get());
            let config = I40e::config(&identity(shown, I40e::USUAL));
            Function::new(Box::new(I40e::new(port)), config)
        }
        DeviceKind::Mpt3sas => {
            let chip = Chip::by_device(device).unwrap_or(Chip::Sas3008);
            let model = Mpt3sas::new(chip, table, function.index, disk)?;
            let config = Mpt3sas::config(&identity(shown, chip.identity()), table);
            Function::new(Box::new(model), config)
        }
        _ => {
            let regions = shown.regions.as_deref();
            let identity = identity(shown, Generic::USUAL);
            let config = Generic::config(&identity, regions, table, shown.msi);
            Function::new(Box::new(Generic), config)
        }
    }))
}

/// What the scenario says, and of the rest what is usual.
fn identity(shown: &Shown, usual: Identity) -> Identity {
    let subsystem = |id: Id| (id.vendor, id.device);
    let (subvendor, subdevice) = shown
        .subsystem
        .map_or((usual.subvendor, usual.subdevice), subsystem);
    Identity {
        vendor: shown.id.vendor,
        device: shown.id.device,
        subvendor,
        subdevice,
        class: shown.class.map_or(usual.class, Class::get),
        revision: shown.revision.map_or(usual.revision, |it| it.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::catalogue::entry;

    /// The catalogue and the model say the same.
    #[test]
    fn every_chip_is_in_the_catalogue() {
        let model = entry(DeviceKind::Mpt3sas).model.as_ref().unwrap();
        assert_eq!(model.ids.len(), Chip::ALL.len());
        for chip in Chip::ALL {
            let Identity { vendor, device, .. } = chip.identity();
            assert!(model.ids.contains(&Id::new(vendor, device)), "{chip:?}");
        }
    }

    #[test]
    fn what_is_not_said_is_usual() {
        let mut shown = Shown {
            id: Id::new(0x1000, 0x00c9),
            subsystem: None,
            class: None,
            revision: None,
            regions: None,
            msi: false,
            port: 0,
            ports: crate::pci::Ports::ONE,
        };
        let usual = Chip::Sas3216.identity();
        assert_eq!(identity(&shown, usual), usual);
        shown.subsystem = Some(Id::new(0x15d9, 0x0808));
        shown.revision = "02".parse().ok();
        let identity = identity(&shown, usual);
        assert_eq!((identity.subvendor, identity.subdevice), (0x15d9, 0x0808));
        assert_eq!((identity.revision, identity.class), (2, usual.class));
    }
}
