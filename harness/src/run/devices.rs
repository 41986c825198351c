//! The modelled devices of a drill's machine.

use std::fs::File;

use super::HarnessError;
use crate::device::i40e::{I40e, Port};
use crate::device::mpt3sas::{Chip, Mpt3sas};
use crate::device::{Devices, Function, Generic, Identity};
use crate::machine::{Backing, MachinePlan, PlacedFunction, Shown};
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
fn model(function: &PlacedFunction, disk: Option<File>) -> std::io::Result<Option<Function>> {
    let Some(shown) = &function.shown else {
        return Ok(None);
    };
    let identity = identity(shown);
    Ok(Some(match function.kind {
        DeviceKind::I40e => {
            // A card has its slot to itself.
            let card = function.slot.device;
            let port = Port::new(identity.device, card, shown.port, shown.ports.get());
            let model = Box::new(I40e::new(port));
            Function::new(model, I40e::config(&identity))
        }
        DeviceKind::Mpt3sas => {
            let chip = Chip::Sas3008;
            let model = Mpt3sas::new(chip, function.table, function.index, disk)?;
            let config = Mpt3sas::config(chip, function.table);
            Function::new(Box::new(model), config)
        }
        _ => {
            let (regions, entries) = (shown.regions.as_deref(), function.table);
            let config = Generic::config(&identity, regions, entries, shown.msi);
            Function::new(Box::new(Generic), config)
        }
    }))
}

fn identity(shown: &Shown) -> Identity {
    Identity {
        vendor: shown.id.vendor,
        device: shown.id.device,
        subvendor: shown.subsystem.vendor,
        subdevice: shown.subsystem.device,
        class: shown.class.get(),
        revision: shown.revision.0,
    }
}
