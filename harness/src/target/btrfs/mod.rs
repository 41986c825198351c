//! Btrfs on one disk. Layout: the kernel's include/uapi/linux/btrfs_tree.h.

mod chunks;
mod compression;
mod file;
mod superblock;
mod tree;

use std::ops::ControlFlow;
use std::rc::Rc;

use self::chunks::Chunks;
use self::file::Content;
use self::superblock::{Root, Superblock, refused};
use self::tree::{KEY, Key, Volume};
use super::budget::Budget;
use super::bytes::{le16, le32, le64};
use super::device::BlockDevice;
use super::error::TargetError;
use super::reader::{CHUNK, ReadFile};
use super::tree::{Entry, FileSystem, Kind, MAX_ENTRIES, Stat, too_many_files};

pub(super) use self::superblock::is_here;

/// Kinds of items.
const INODE_ITEM: u8 = 1;
const DIR_ITEM: u8 = 84;
const DIR_INDEX: u8 = 96;
const ROOT_ITEM: u8 = 132;
const CHUNK_ITEM: u8 = 228;

/// The object that all chunks belong to, the tree of files of a file system without subvolumes,
/// and the root directory of each tree of files.
const CHUNKS: u64 = 256;
const FILES: u64 = 5;
const ROOT_DIRECTORY: u64 = 256;

/// Lengths of a root item as far as it is read, of an inode item, and of a directory entry before
/// its name.
const ROOT_LEN: usize = 239;
const INODE_LEN: usize = 160;
const ENTRY_LEN: usize = 30;
/// BTRFS_NAME_LEN.
const MAX_NAME: usize = 255;
/// PATH_MAX; a longer link target is none that Linux made.
const MAX_LINK: u64 = 4096;

/// A file system as of its last commit.
pub(super) struct Btrfs {
    volume: Rc<Volume>,
    superblock: Superblock,
    /// What is mounted unless told otherwise.
    subvolume: u64,
}

/// A file: an inode of a subvolume.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    subvolume: u64,
    inode: u64,
}

impl Btrfs {
    pub(super) fn open(device: &BlockDevice) -> Result<Self, TargetError> {
        let superblock = Superblock::read(device)?;
        let id = superblock.device;
        let mut volume = Volume {
            device: device.clone(),
            chunks: Chunks::of_superblock(&superblock.system_chunks, id)?,
            node_size: superblock.node_size,
            budget: Budget::new(),
        };
        let mut chunks = Chunks::of_superblock(&superblock.system_chunks, id)?;
        volume.items(superblock.chunks, CHUNKS, CHUNK_ITEM, |key, item| {
            chunks.add(key, item, id)?;
            Ok(ControlFlow::Continue(()))
        })?;
        volume.chunks = chunks;
        let mut fs = Self {
            volume: Rc::new(volume),
            superblock,
            subvolume: FILES,
        };
        fs.subvolume = fs.default_subvolume()?;
        Ok(fs)
    }

    /// `btrfs subvolume set-default` names another than the topmost.
    fn default_subvolume(&self) -> Result<u64, TargetError> {
        let mut found = FILES;
        let directory = self.superblock.root_directory;
        self.volume
            .items(self.superblock.roots, directory, DIR_ITEM, |_, item| {
                if let Some(entry) = entry(item)
                    && entry.name == b"default"
                {
                    found = entry.location.object;
                }
                Ok(ControlFlow::Continue(()))
            })?;
        Ok(found)
    }

    /// Where the tree of a subvolume is.
    fn tree(&self, subvolume: u64) -> Result<Root, TargetError> {
        let mut found = None;
        self.volume
            .items(self.superblock.roots, subvolume, ROOT_ITEM, |_, item| {
                // The last is the newest.
                found = item.get(..ROOT_LEN).map(|item| Root {
                    at: le64(item, 176),
                    level: item[238],
                });
                Ok(ControlFlow::Continue(()))
            })?;
        found.ok_or_else(|| refused(format!("it has no subvolume {subvolume}")))
    }

    fn content(&self, node: Node) -> Result<Content, TargetError> {
        let root = self.tree(node.subvolume)?;
        Content::read(&self.volume, root, node.inode, self.superblock.sector_size)
    }
}

impl FileSystem for Btrfs {
    type Node = Node;

    fn root(&self) -> Node {
        Node {
            subvolume: self.subvolume,
            inode: ROOT_DIRECTORY,
        }
    }

    fn stat(&self, node: &Node) -> Result<Stat, TargetError> {
        let mut found = None;
        let root = self.tree(node.subvolume)?;
        self.volume.items(root, node.inode, INODE_ITEM, |_, item| {
            found = item.get(..INODE_LEN).map(|item| Stat {
                kind: Kind::of_mode(le32(item, 52) as u16),
                len: le64(item, 16),
                modified: (le64(item, 136) as i64, le32(item, 144)),
            });
            Ok(ControlFlow::Break(()))
        })?;
        found.ok_or_else(|| refused(format!("inode {} is not there", node.inode)))
    }

    fn entries(&self, directory: &Node) -> Result<Vec<Entry<Node>>, TargetError> {
        let mut entries = Vec::new();
        let root = self.tree(directory.subvolume)?;
        self.volume
            .items(root, directory.inode, DIR_INDEX, |_, item| {
                let found = entry(item).ok_or_else(|| refused("a directory makes no sense"))?;
                if entries.len() == MAX_ENTRIES {
                    return Err(too_many_files());
                }
                let node = match found.location.kind {
                    ROOT_ITEM => Node {
                        subvolume: found.location.object,
                        inode: ROOT_DIRECTORY,
                    },
                    _ => Node {
                        subvolume: directory.subvolume,
                        inode: found.location.object,
                    },
                };
                entries.push(Entry {
                    name: found.name.to_vec(),
                    node,
                    kind: found.kind,
                });
                Ok(ControlFlow::Continue(()))
            })?;
        Ok(entries)
    }

    fn link(&self, node: &Node) -> Result<Vec<u8>, TargetError> {
        let len = self.stat(node)?.len;
        if len > MAX_LINK.min(CHUNK) {
            return Err(refused("a link makes no sense"));
        }
        let mut target = vec![0; len as usize];
        self.content(*node)?.read_at(0, &mut target)?;
        Ok(target)
    }

    fn open(&self, node: &Node) -> Result<Box<dyn ReadFile>, TargetError> {
        Ok(Box::new(self.content(*node)?))
    }
}

/// struct btrfs_dir_item and the name behind it.
struct DirectoryEntry<'a> {
    location: Key,
    kind: Option<Kind>,
    name: &'a [u8],
}

fn entry(item: &[u8]) -> Option<DirectoryEntry<'_>> {
    let header = item.get(..ENTRY_LEN)?;
    let name_len = usize::from(le16(header, 27));
    if name_len > MAX_NAME {
        return None;
    }
    Some(DirectoryEntry {
        location: Key::of(&header[..KEY]),
        kind: match header[29] {
            1 => Some(Kind::Regular),
            2 => Some(Kind::Directory),
            3..=6 => Some(Kind::Special),
            7 => Some(Kind::Link),
            _ => None,
        },
        name: item.get(ENTRY_LEN..ENTRY_LEN + name_len)?,
    })
}
