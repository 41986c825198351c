//! What a machine has left on its dump target.

use super::btrfs::{self, Btrfs};
use super::device::BlockDevice;
use super::error::TargetError;
use super::ext::{self, Ext};
use super::reader::{DumpReader, ReadFile};
use super::tree::{self, DumpFile, Found};
use super::xfs::{self, Xfs};
use crate::kdump::conf::Filesystem;
use crate::vmcore::ReadAt;

/// A dump target. Reads only, never writes.
pub struct Target {
    device: BlockDevice,
    holds: Holds,
}

enum Holds {
    /// `raw`: the device itself is the dump.
    Dump,
    Ext(Ext),
    Xfs(Xfs),
    Btrfs(Btrfs),
}

impl Target {
    /// Opens the file system that is on the device, whichever of ext2, ext3, ext4, xfs and btrfs
    /// it is.
    ///
    /// # Errors
    /// When there is none of them, or a damaged one, or one that cannot be read without writing
    /// to it.
    pub fn open(device: &BlockDevice) -> Result<Self, TargetError> {
        let holds = match filesystem(device) {
            Some(Filesystem::Ext2 | Filesystem::Ext3 | Filesystem::Ext4) => {
                Holds::Ext(Ext::open(device)?)
            }
            Some(Filesystem::Xfs) => Holds::Xfs(Xfs::open(device)?),
            Some(Filesystem::Btrfs) => Holds::Btrfs(Btrfs::open(device)?),
            None => {
                return Err(TargetError::FileSystem(
                    "it is not ext2, ext3, ext4, xfs or btrfs".to_owned(),
                ));
            }
        };
        Ok(Self {
            device: device.clone(),
            holds,
        })
    }

    /// The target of `raw`: a device that itself is the dump, and was blank before.
    pub fn raw(device: &BlockDevice) -> Self {
        Self {
            device: device.clone(),
            holds: Holds::Dump,
        }
    }

    /// Files below `directory` (absolute) that are named like dumps, and the logs beside them.
    /// Links are not followed. A `directory` that does not exist holds none.
    ///
    /// On a raw target `directory` means nothing; there is one dump, whose path is empty and which
    /// is as long as the device, unless the device is still blank.
    ///
    /// # Errors
    /// When a directory cannot be read, or there are unreasonably many files.
    pub fn find_dumps(&self, directory: &str) -> Result<Found, TargetError> {
        match &self.holds {
            Holds::Ext(fs) => tree::find(fs, directory),
            Holds::Xfs(fs) => tree::find(fs, directory),
            Holds::Btrfs(fs) => tree::find(fs, directory),
            Holds::Dump => {
                let mut head = vec![0; self.device.len().min(HEAD) as usize];
                self.device.read_exact_at(0, &mut head)?;
                let mut found = Found::default();
                if head.iter().any(|&byte| byte != 0) {
                    found.dumps.push(DumpFile {
                        path: String::new(),
                        name: "raw".to_owned(),
                        bytes: self.device.len(),
                    });
                }
                Ok(found)
            }
        }
    }

    /// Names in a directory (absolute), through links, in no order; none in what is no directory.
    ///
    /// # Errors
    /// When it is not there, cannot be read, or has unreasonably many entries.
    pub fn list(&self, directory: &str) -> Result<Vec<String>, TargetError> {
        match &self.holds {
            Holds::Ext(fs) => tree::list(fs, directory),
            Holds::Xfs(fs) => tree::list(fs, directory),
            Holds::Btrfs(fs) => tree::list(fs, directory),
            Holds::Dump => Err(TargetError::NotFound(directory.to_owned())),
        }
    }

    /// Opens a regular file for positioned reads. Nothing is copied.
    ///
    /// # Errors
    /// When it is not there, is no regular file, or claims to be larger than the disk.
    pub fn open_dump(&self, path: &str) -> Result<DumpReader, TargetError> {
        let len = self.device.len();
        match &self.holds {
            Holds::Ext(fs) => tree::open(fs, path, len),
            Holds::Xfs(fs) => tree::open(fs, path, len),
            Holds::Btrfs(fs) => tree::open(fs, path, len),
            Holds::Dump => Ok(DumpReader::new(len, Box::new(self.device.clone()))),
        }
    }
}

/// Every format of a dump begins with a signature.
const HEAD: u64 = 4096;

impl ReadFile for BlockDevice {
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> std::io::Result<()> {
        self.read_exact_at(offset, bytes)
    }
}

/// Which file system the device holds, by its superblock; `None` when it is none of these. The
/// three of ext are all `Ext4`: they differ by features only.
pub fn filesystem(device: &BlockDevice) -> Option<Filesystem> {
    if ext::is_here(device) {
        Some(Filesystem::Ext4)
    } else if xfs::is_here(device) {
        Some(Filesystem::Xfs)
    } else if btrfs::is_here(device) {
        Some(Filesystem::Btrfs)
    } else {
        None
    }
}

/// The UUID of the file system on the device, as `root=UUID=` has it; `None` when it is none of
/// those of [`filesystem`].
pub fn filesystem_uuid(device: &BlockDevice) -> Option<String> {
    // s_uuid of ext's superblock, sb_uuid of XFS's, fsid of btrfs's.
    let at = match filesystem(device)? {
        Filesystem::Xfs => 32,
        Filesystem::Btrfs => (64 << 10) + 32,
        _ => 1024 + 0x68,
    };
    let mut uuid = [0; 16];
    device.read_exact_at(at, &mut uuid).ok()?;
    let hex = uuid.map(|byte| format!("{byte:02x}"));
    let parts = [&hex[..4], &hex[4..6], &hex[6..8], &hex[8..10], &hex[10..]];
    Some(parts.map(|part| part.concat()).join("-"))
}
