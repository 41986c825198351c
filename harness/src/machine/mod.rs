//! The emulated machine: what QEMU is told, what this QEMU can do, and the process itself.
//!
//! [`MachinePlan`] and [`arguments()`] are pure; [`probe`], [`process`] and [`qmp`] touch the host.

pub mod arguments;
pub mod catalogue;
mod delays;
#[cfg(target_arch = "x86_64")]
mod kvm_guest;
pub mod link;
mod load_order;
mod options;
pub mod plan;
pub mod probe;
pub mod process;
pub mod qmp;
mod shuffle;
pub mod slots;

pub use arguments::{Chardev, Files, arguments, pretty};
pub use link::Link;
pub(crate) use plan::is_cpu_model;
pub use plan::{Accel, Backing, Disk, MachinePlan, PlacedFunction, PlanError, Shown};
pub use probe::{AccelChoice, Capabilities};
pub(crate) use process::fd_path;
pub use process::{Input, Inputs, Machine, MachineError, outlet};
pub use qmp::{Event, Qmp, QmpError, Shutdown};
