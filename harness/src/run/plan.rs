//! From a drill and an image to everything that is decided before a machine starts. Pure.

use crashdrill_guest::order::{Action, CaptureOrder, Driver, FirstOrder, Module, Target};

use crate::image::Kernel;
use crate::image::modules::{Loadable, ModuleError, ModuleTree};
use crate::kdump::commandline::{self, KeptOut};
use crate::kdump::conf::{ConfError, KdumpConf};
use crate::machine::{MachinePlan, PlanError as MachinePlanError};
use crate::scenario::Drill;
use crate::scenario::model::Scenario;

/// Where the first kernel finds the capture kernel, and with what.
pub const CAPTURE_KERNEL: &str = "/boot/vmlinuz-kdump";
/// The capture kernel's initramfs inside the first kernel's.
pub const CAPTURE_INITRAMFS: &str = "/boot/initramfs-kdump.img";

/// Everything about a drill that is known before it starts.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Functions, slots, disks, CPUs.
    pub machine: MachinePlan,
    /// Tells this drill's dump from any other; on the first kernel's command line.
    pub token: String,
    /// The first kernel's command line.
    pub first_commandline: String,
    /// The capture kernel's, as kdump's scripts would put it together.
    pub capture_commandline: String,
    /// What the first kernel's /init does.
    pub first: FirstOrder,
    /// What the capture kernel's /init does.
    pub capture: CaptureOrder,
    /// Drivers kept out of the capture kernel, and by what.
    pub kept_out: Vec<KeptOut>,
    /// What differs from a customer's machine.
    pub fidelity: Vec<String>,
}

/// A drill that cannot be planned on this image.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// kdump.conf.
    #[error(transparent)]
    Conf(#[from] ConfError),
    /// A driver that the kernel does not have.
    #[error("image {image}: {source}")]
    Module {
        /// The image.
        image: String,
        /// Which module, and what it may have meant.
        source: ModuleError,
    },
    /// The devices do not fit the machine.
    #[error(transparent)]
    Machine(#[from] MachinePlanError),
}
