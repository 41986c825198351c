//! PCI devices that QEMU does not have, modelled here: each lives in a thread of its own, and QEMU's
//! `vfio-user-pci` puts it on the guest's bus.
//!
//! A [`Model`] is what one kind of device does when its registers are read and written; everything
//! else is common: [`wire`] and its server speak to QEMU, [`ConfigSpace`] is what the guest finds on
//! the bus, and [`Bus`] is what a device can do by itself, DMA and interrupts.

mod bus;
mod config;
mod function;
pub mod generic;
pub mod i40e;
mod incoming;
mod interrupts;
mod memory;
pub mod mpt3sas;
mod scsi;
mod server;
mod socket;
pub mod wire;

pub use bus::Bus;
pub use config::{Bar, ConfigSpace, Identity, MsiXLayout};
pub use function::Function;
pub use generic::Generic;
pub use interrupts::Mode;
pub use memory::Unreachable;
pub use server::{DeviceError, Devices};

/// What one kind of device does.
///
/// After a crash the device goes on as the dead kernel left it: nothing resets it but the guest.
pub trait Model: Send {
    /// Reads registers of a BAR: 1, 2, 4 or 8 bytes, whose offset is a multiple of that. They lie
    /// within the BAR.
    fn read(&mut self, bar: u8, offset: u64, data: &mut [u8], bus: &mut Bus);

    /// Writes registers of a BAR; as above.
    fn write(&mut self, bar: u8, offset: u64, data: &[u8], bus: &mut Bus);

    /// Back to how it was at power-on: function-level reset, or a reset of the whole machine.
    fn reset(&mut self);
}
