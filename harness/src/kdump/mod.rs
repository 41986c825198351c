//! kdump's own configuration: what the places that configure it accept and mean, for every
//! distribution.

pub mod assembly;
pub mod capture_cpus;
pub mod commandline;
pub mod conf;
pub mod configuration;
pub mod crashkernel;
pub mod error;
pub mod flavour;
pub mod kdump_tools;
pub mod reservation;
mod shell;
pub mod suse;
pub mod sysconfig;
pub(crate) mod words;

pub use words::kernel_words;
