//! From a customer's files to a scenario.
//!
//! Files, directories and archives are gathered, each text is recognised by what is in it and read
//! by a reader of its own, and what they say together is [`Facts`]: one customer's machine. Whatever
//! was not understood is a [`Note`], never an error.

mod asked;
mod collect;
mod configuration;
mod devices;
pub mod facts;
mod gather;
mod kernel;
mod place;
mod private;
mod read;
mod recognise;
mod scale;
mod stand_in;
mod target;
mod write;
mod yaml;

use miette::Diagnostic;

pub use collect::{read, read_bytes};
pub use devices::Row;
pub use facts::{Facts, Note, Release};
pub use gather::GatherError;
pub use write::{Imported, write};

use crate::machine::PlanError;
use crate::scenario::model::Boot;
use crate::units::Bytes;
use crate::vectors::Kernel;

/// What the drill will run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// Memory of it all.
    pub memory: Bytes,
    /// CPUs.
    pub cpus: u16,
}

/// An image that a scenario can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its name.
    pub name: String,
    /// Its kernel's version.
    pub kernel: Kernel,
    /// Which kernel that is, where the manifest says it.
    pub release: Option<Release>,
    /// What it takes.
    pub boot: Boot,
}

/// What a scenario is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Its name.
    pub name: String,
    /// An image, instead of the one whose kernel is closest.
    pub image: Option<String>,
    /// The machine's own memory and CPUs, or nothing.
    pub exact: bool,
    /// Without devices that the capture kernel has no driver for.
    pub capture_only: bool,
    /// With what is private.
    pub keep_names: bool,
}

/// A machine that cannot be drilled here.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ImportError {
    /// Too large for the host.
    #[error("the drill needs {needed} of memory, and this host has {host}")]
    #[diagnostic(help(
        "without --exact, memory is scaled down, and the reservation with 1G beside it stays"
    ))]
    Memory {
        /// The machine's.
        needed: Bytes,
        /// The host's.
        host: Bytes,
    },
    /// Too many for the host.
    #[error("the machine has {needed} CPUs, and this host {host}")]
    #[diagnostic(help("without --exact, the number of CPUs is scaled down"))]
    Cpus {
        /// The machine's.
        needed: u16,
        /// The host's.
        host: u16,
    },
    /// `--exact` without the fact.
    #[error("the files do not say how much the machine has: {0}")]
    #[diagnostic(help("add /proc/meminfo, /proc/cpuinfo or dmesg, or leave --exact out"))]
    Unknown(&'static str),
    /// The bus is full.
    #[error("{0} devices do not fit on PCI bus 0")]
    #[diagnostic(help("--capture-only leaves out what the capture kernel has no driver for"))]
    Bus(usize),
    /// `--image` names none.
    #[error("there is no image `{0}` with a kernel of its own")]
    #[diagnostic(help("`crashdrill image list` shows all"))]
    NoSuchImage(String),
    /// None fits.
    #[error("no image here has a kernel for this machine")]
    #[diagnostic(help("`crashdrill image list` shows all; a scenario needs one in images/"))]
    NoImage,
    /// `--image` names one of the other way to boot.
    #[error("image {image} does not fit: this machine's drill has `boot: {}`", match .boot { Boot::Disk => "disk", Boot::Direct => "direct" })]
    #[diagnostic(help("`crashdrill image list` shows which are disks"))]
    Boot {
        /// The image.
        image: String,
        /// What the drill has.
        boot: Boot,
    },
    /// The machine cannot be built.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A defect of crashdrill's: its own scenario is wrong.
    #[error("crashdrill wrote a scenario that it does not take itself; please report this\n{0}")]
    Refused(String),
}
