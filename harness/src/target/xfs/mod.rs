//! XFS, versions 4 and 5. Layout: the "XFS Algorithms & Data Structures" of its developers.

mod directory;
mod extents;
mod inode;
mod log;
mod superblock;
mod volume;

use self::extents::Content;
use self::inode::{Format, Inode};
use self::superblock::{Geometry, refused};
use self::volume::Volume;
use super::device::BlockDevice;
use super::error::TargetError;
use super::reader::ReadFile;
use super::tree::{Entry, FileSystem, Kind, Stat};

pub(super) use self::superblock::is_here;

/// Longest link target (XFS_SYMLINK_MAXLEN).
const MAX_LINK: u64 = 1024;
/// The header of each block of a link, in version 5.
const LINK_HEADER: u64 = 56;

/// A file system whose log, when it was not unmounted, is taken into account.
pub(super) struct Xfs(Volume);

impl Xfs {
    /// Reads the superblock, and the log if it has to be replayed.
    pub(super) fn open(device: &BlockDevice) -> Result<Self, TargetError> {
        let geometry = Geometry::read(device)?;
        let mut volume = Volume::new(device.clone(), geometry);
        log::replay(&mut volume)?;
        Ok(Self(volume))
    }
}

impl FileSystem for Xfs {
    /// Its number.
    type Node = u64;

    fn root(&self) -> u64 {
        self.0.geometry.root
    }

    fn stat(&self, node: &u64) -> Result<Stat, TargetError> {
        Ok(Inode::read(&self.0, *node)?.stat)
    }

    fn entries(&self, directory: &u64) -> Result<Vec<Entry<u64>>, TargetError> {
        let inode = Inode::read(&self.0, *directory)?;
        match inode.stat.kind {
            Kind::Directory => directory::entries(&self.0, &inode),
            _ => Err(refused(format!("inode {directory} is no directory"))),
        }
    }

    fn link(&self, node: &u64) -> Result<Vec<u8>, TargetError> {
        let inode = Inode::read(&self.0, *node)?;
        let broken = || refused(format!("the link in inode {node} makes no sense"));
        let len = inode.stat.len;
        if len > MAX_LINK {
            return Err(broken());
        }
        if inode.format == Format::Local {
            let target = inode.fork().get(..len as usize);
            return Ok(target.ok_or_else(broken)?.to_vec());
        }
        let header = match self.0.geometry.checksums {
            true => LINK_HEADER,
            false => 0,
        };
        let block_size = self.0.geometry.block_size;
        let mut target = Vec::new();
        for extent in extents::of(&self.0, &inode)? {
            for at in (extent.at..extent.at + extent.len).step_by(block_size as usize) {
                let take = (len - target.len() as u64).min(block_size - header);
                target.extend(self.0.read(at + header, take)?);
                if target.len() as u64 == len {
                    return Ok(target);
                }
            }
        }
        Err(broken())
    }

    fn open(&self, node: &u64) -> Result<Box<dyn ReadFile>, TargetError> {
        let inode = Inode::read(&self.0, *node)?;
        Ok(Box::new(Content {
            device: self.0.device.clone(),
            extents: extents::of(&self.0, &inode)?,
        }))
    }
}
