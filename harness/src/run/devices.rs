//! The modelled devices of a drill's machine.

use std::fs::File;

use super::HarnessError;
use crate::device::i40e::{I40e, Port};
use crate::device::{Devices, Function, Generic, Ids};
use crate::machine::{Backing, MachinePlan, PlacedFunction};
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
        if let Some(model) = model(function, disk) {
            functions.push((function.id(), model));
        }
    }
    Devices::start(functions).map_err(failed)
}

/// The model of a function, unless QEMU has it.
fn model(function: &PlacedFunction, _disk: Option<File>) -> Option<Function> {
    let ids = match function.kind {
        DeviceKind::Generic => Ids {
            vendor: 0x1af4,
            device: 0x10f0,
            subvendor: 0,
            subdevice: 0,
            class: 0xff_0000,
            revision: 0,
        },
        DeviceKind::I40e => {
            let ids = Ids {
                vendor: 0x8086,
                device: 0x1572,
                subvendor: 0x8086,
                subdevice: 0x0001,
                class: 0x02_0000,
                revision: 2,
            };
            let port = Port::new(ids.device, function.index as u8, 0, 1);
            return Some(Function::new(Box::new(I40e::new(port)), I40e::config(&ids)));
        }
        DeviceKind::Mpt3sas => Ids {
            vendor: 0x1000,
            device: 0x0097,
            subvendor: 0x1000,
            subdevice: 0x30e0,
            class: 0x01_0700,
            revision: 2,
        },
        _ => return None,
    };
    let config = Generic::config(&ids, function.table);
    Some(Function::new(Box::new(Generic), config))
}
