//! ext2, ext3 and ext4.

mod journal;

use std::error::Error;
use std::io::{self, Read, Seek, SeekFrom};

use ext4_view::{Ext4, Ext4Error, Ext4Read, FileType, Metadata, PathBuf};

use self::journal::Replay;
use super::device::BlockDevice;
use super::error::TargetError;
use super::reader::ReadFile;
use super::tree::{Entry, FileSystem, Kind, MAX_ENTRIES, Stat, too_many_files};
use crate::vmcore::ReadAt;

/// ext4's largest block, as a power of two above 1024.
const MAX_LOG_BLOCK_SIZE: u32 = 6;

/// One of the three. A journal that was left behind by a machine that died is taken into account.
pub(super) struct Ext(Ext4);

/// Whether the device begins with a superblock of theirs.
pub(super) fn is_here(device: &BlockDevice) -> bool {
    let mut magic = [0; 2];
    device.read_exact_at(1024 + 0x38, &mut magic).is_ok() && magic == [0x53, 0xef]
}

impl Ext {
    /// Reads the superblock, and the journal if it has to be replayed.
    pub(super) fn open(device: &BlockDevice) -> Result<Self, TargetError> {
        let mut disk = Disk {
            device: device.clone(),
            replay: None,
        };
        disk.check_superblock()?;
        disk.replay = Replay::load(device)?;
        Ext4::load(Box::new(disk)).map(Self).map_err(unreadable)
    }

    fn metadata(&self, path: &PathBuf) -> Result<Metadata, TargetError> {
        self.0
            .symlink_metadata(path.as_path())
            .map_err(|error| match error {
                Ext4Error::NotFound | Ext4Error::NotADirectory => {
                    TargetError::NotFound(path.display().to_string())
                }
                error => unreadable(error),
            })
    }
}

impl FileSystem for Ext {
    /// Without links in it, so that the crate follows none.
    type Node = PathBuf;

    fn root(&self) -> PathBuf {
        PathBuf::new("/")
    }

    fn stat(&self, node: &PathBuf) -> Result<Stat, TargetError> {
        let metadata = self.metadata(node)?;
        let modified = metadata.modified();
        Ok(Stat {
            kind: kind(metadata.file_type()),
            len: metadata.len(),
            modified: (modified.seconds(), modified.nanoseconds()),
        })
    }

    fn entries(&self, directory: &PathBuf) -> Result<Vec<Entry<PathBuf>>, TargetError> {
        let mut entries = Vec::new();
        for entry in self.0.read_dir(directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            if name == "." || name == ".." {
                continue;
            }
            if entries.len() == MAX_ENTRIES {
                return Err(too_many_files());
            }
            entries.push(Entry {
                name: name.as_ref().to_vec(),
                node: entry.path(),
                kind: Some(kind(entry.file_type().map_err(unreadable)?)),
            });
        }
        Ok(entries)
    }

    fn lookup(&self, directory: &PathBuf, name: &[u8]) -> Result<Option<PathBuf>, TargetError> {
        let bytes: &[u8] = directory.as_ref();
        let Ok(path) = PathBuf::try_from([bytes, name].join(&b'/').as_slice()) else {
            return Ok(None);
        };
        match self.metadata(&path) {
            Ok(_) => Ok(Some(path)),
            Err(TargetError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn link(&self, node: &PathBuf) -> Result<Vec<u8>, TargetError> {
        let target = self.0.read_link(node).map_err(unreadable)?;
        let bytes: &[u8] = target.as_ref();
        Ok(bytes.to_vec())
    }

    fn open(&self, node: &PathBuf) -> Result<Box<dyn ReadFile>, TargetError> {
        let file = self.0.open(node).map_err(unreadable)?;
        Ok(Box::new(OpenFile { file, position: 0 }))
    }
}

fn kind(kind: FileType) -> Kind {
    if kind.is_dir() {
        Kind::Directory
    } else if kind.is_regular_file() {
        Kind::Regular
    } else if kind.is_symlink() {
        Kind::Link
    } else {
        Kind::Special
    }
}

fn unreadable(error: Ext4Error) -> TargetError {
    TargetError::FileSystem(error.to_string())
}

struct OpenFile {
    file: ext4_view::File,
    /// Where the next read of `file` would begin. Seeking walks the file's block list from its
    /// beginning, so reads that go on where the last one ended do not seek.
    position: u64,
}

impl ReadFile for OpenFile {
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        if self.position != offset {
            self.file.seek(SeekFrom::Start(offset))?;
        }
        // Unknown until the read has succeeded.
        self.position = u64::MAX;
        self.file.read_exact(bytes)?;
        self.position = offset + bytes.len() as u64;
        Ok(())
    }
}

/// The device, for the file system's reader.
struct Disk {
    device: BlockDevice,
    replay: Option<Replay>,
}

impl Disk {
    /// Refuses what would make the reader take memory by the superblock's word alone.
    fn check_superblock(&self) -> Result<(), TargetError> {
        let mut superblock = [0; 1024];
        self.device.read_exact_at(1024, &mut superblock)?;
        let word = |at: usize| {
            u32::from_le_bytes([
                superblock[at],
                superblock[at + 1],
                superblock[at + 2],
                superblock[at + 3],
            ])
        };
        let log_block_size = word(0x18);
        if log_block_size > MAX_LOG_BLOCK_SIZE {
            return Err(TargetError::Unreasonable(format!(
                "claims blocks of 2^{} bytes",
                u64::from(log_block_size) + 10
            )));
        }
        let blocks = u64::from(word(4)) + (u64::from(word(0x150)) << 32);
        if blocks > self.device.len() >> (10 + log_block_size) {
            return Err(TargetError::Unreasonable(format!(
                "claims {blocks} blocks on a disk of {} bytes",
                self.device.len()
            )));
        }
        Ok(())
    }
}

impl Ext4Read for Disk {
    fn read(
        &mut self,
        start_byte: u64,
        dst: &mut [u8],
    ) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        self.device.read_exact_at(start_byte, dst)?;
        if let Some(replay) = &self.replay {
            replay.apply(&self.device, start_byte, dst)?;
        }
        Ok(())
    }
}
