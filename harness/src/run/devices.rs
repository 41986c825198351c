//! The modelled devices of a drill's machine.

use std::fs::File;

use super::HarnessError;
use crate::device::{Devices, Function, Generic, Identity};
use crate::machine::{Backing, MachinePlan, PlacedFunction, Shown};

/// Begins to serve a machine's modelled devices, if it has any. `disks` are those of
/// [`MachinePlan::file_disks`], in that order.
pub(super) fn start(
    machine: &MachinePlan,
    disks: &[File],
) -> Result<Option<Devices>, HarnessError> {
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
        if let Some(model) = model(function, disk) {
            functions.push((function.id(), model));
        }
    }
    match functions.is_empty() {
        true => Ok(None),
        false => Devices::start(functions).map(Some).map_err(failed),
    }
}

/// The model of a function, unless QEMU has it.
fn model(function: &PlacedFunction, _disk: Option<File>) -> Option<Function> {
    let shown = function.shown.as_ref()?;
    let config = Generic::config(
        &identity(shown),
        shown.regions.as_deref(),
        function.table,
        shown.msi,
    );
    Some(Function::new(Box::new(Generic), config))
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
