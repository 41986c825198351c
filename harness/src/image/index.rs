//! image.json of a cache entry, and the names of what lies beside it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk::RootIndex;
use super::error::ImageError;
use super::kernel::Converted;
use super::qemu::{read_json, write_json};
use super::trust::{Fingerprint, Sum};

const INDEX: &str = "image.json";
/// What boots, what kexec loads, and the kernel's configuration.
pub(super) const KERNEL: &str = "kernel";
/// Modules and their index, or the index alone.
pub(super) const MODULES: &str = "modules";
/// Programs and libraries.
pub(super) const USERLAND: &str = "userland";

/// One package, or another file, that an image was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, as the package manager writes it; of a file its SHA-256.
    pub version: String,
    /// Where it came from; apt, which checks signatures itself, does not say.
    #[serde(default)]
    pub origin: Option<Origin>,
}

impl Package {
    /// One of Debian's.
    pub(super) fn of_apt(name: String, version: String) -> Self {
        Self {
            name,
            version,
            origin: None,
        }
    }
}

/// Where a package came from, and why it was believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Path or URL.
    pub from: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its digest.
    pub sha256: Sum,
    /// The key that signed it; none for what is known by its digest alone.
    pub signer: Option<Signer>,
}

/// A key that signed a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// Of the key that the manifest names.
    pub fingerprint: Fingerprint,
    /// Whose it says it is.
    pub user: String,
}

/// What makes opening a filled entry quick.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Index {
    pub(super) release: String,
    pub(super) kernel: Converted,
    pub(super) modules: Modules,
    pub(super) packages: Vec<Package>,
    pub(super) root: Option<RootIndex>,
}

/// Where the modules are.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Modules {
    /// In the entry, with their index.
    Here,
    /// In a directory of the user's, which has its own index.
    There(PathBuf),
    /// In a directory of the user's, whose index is in the entry.
    ThereIndexedHere(PathBuf),
    /// Nowhere.
    None,
}

impl Index {
    pub(super) fn read(entry: &Path) -> Result<Self, ImageError> {
        read_json(&entry.join(INDEX))
    }

    pub(super) fn write(&self, staging: &Path) -> Result<(), ImageError> {
        write_json(&staging.join(INDEX), self)
    }
}
