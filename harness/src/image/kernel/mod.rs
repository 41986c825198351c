//! Kernels: what a bzImage holds, and the forms in which a kernel boots and is loaded by kexec.

mod bzimage;
mod config;
mod convert;
mod lzo;
mod needs;
pub(super) mod payload;
mod unpacked;
mod vmlinux;

pub use bzimage::{BzImage, BzImageError};
pub use config::{BadConfig, ConfigError, KernelConfig, Setting};
pub use convert::{BootKernel, CONFIG, CaptureKernel, Converted, Kernel, KernelError, convert};
pub use needs::{By, Does, NEEDS, Need, Version, knows_auto, lacking};
pub use payload::{PayloadError, decompress};
pub use vmlinux::{Vmlinux, VmlinuxError};

#[cfg(test)]
pub(super) mod tests;
