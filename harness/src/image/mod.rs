//! Images: a kernel with its modules, and the programs that arm kdump and save the dump. Fetched or
//! converted once into the cache, then opened in milliseconds.

mod apt;
pub mod cache;
pub mod contents;
pub mod disk;
mod disk_image;
mod elf;
mod error;
mod fetch;
mod host;
mod index;
pub mod kernel;
pub mod keys;
mod location;
mod manifest;
mod modules;
mod open;
mod progress;
mod qcow2;
pub mod qemu;
pub mod rpm;
mod sort_out;
mod tree;
mod trust;
mod unpack;
mod url;
mod userland;

pub use apt::{AptError, MIRROR_VARIABLE};
pub use cache::{Cache, CacheError};
pub use disk::{CaptureInitrd, RootDisk, RootKind};
pub use disk_image::{FoundRoot, KdumpService};
pub use error::ImageError;
pub use fetch::{Download, FetchError, downloads, remove_download};
pub use host::{HostError, running_kernel};
pub use index::{Origin, Package, Signer};
pub use kernel::{
    BadConfig, BootKernel, By, CaptureKernel, ConfigError, Does, Kernel, KernelConfig, NEEDS, Need,
    Setting, Version, knows_auto, lacking,
};
pub use keys::{KeyPair, Keys};
pub use location::Location;
pub use manifest::{
    AptSource, DiskImageSource, DiskSource, HostSource, LocalSource, Manifest, RpmSource, Source,
    UrlSource,
};
pub use modules::{Driver, Found, Module, ModuleError, ModuleTree};
pub use open::{Image, entry_id};
pub use progress::{Progress, Silent, Step};
pub use qemu::Qemu;
pub use tree::TreeError;
pub use trust::{Fingerprint, NoHex, Sum};
pub use unpack::{Budget, Special, UnpackError};
pub(crate) use url::unpacked;
pub use url::{ArchiveError, unpack_archive};
pub use userland::{Remedy, Userland, UserlandError};
