//! kdump's own configuration: what the three places that configure it accept and mean.

pub mod commandline;
pub mod conf;
pub mod crashkernel;
pub mod flavour;
mod words;
