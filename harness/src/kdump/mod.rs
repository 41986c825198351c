//! kdump's own configuration: what the three places that configure it accept and mean.

pub mod commandline;
pub mod conf;
pub mod configuration;
pub mod crashkernel;
pub mod flavour;
pub mod kdump_tools;
pub mod suse;
pub mod sysconfig;
mod words;
