//! ext2, ext3 or ext4 on the target's disk image, read as far as a dump needs it.

use std::cell::RefCell;
use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use ext4_view::{Ext4, Ext4Error, Ext4Read, Metadata, Path, PathBuf};

use super::journal::Replay;
use crate::vmcore::ReadAt;

/// What a hostile or broken file system may cost.
const MAX_DEPTH: usize = 8;
const MAX_ENTRIES: usize = 20_000;
const MAX_DUMPS: usize = 256;
/// PATH_MAX; a longer link target is none that Linux made.
const MAX_LINK: u64 = 4096;
/// ext4's largest block, as a power of two above 1024.
const MAX_LOG_BLOCK_SIZE: u32 = 6;

/// The target's file system cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The image file itself.
    #[error("the dump target's disk image cannot be read: {0}")]
    Disk(#[from] io::Error),
    /// No ext2, ext3 or ext4, or a broken one.
    #[error("the file system on the dump target cannot be read: {0}")]
    FileSystem(String),
    /// Not there.
    #[error("there is no `{0}` on the dump target")]
    NotFound(String),
    /// Too much of something.
    #[error("the file system on the dump target {0}")]
    Unreasonable(String),
}

/// A file that may be a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpFile {
    /// On the target, absolute.
    pub path: String,
    /// Last component of the path: `vmcore`, `vmcore-incomplete`, `vmcore.flat`, `dump.…`.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// The file system on a disk image. Reads only, never writes; a journal that was left behind by
/// a machine that died is taken into account.
pub struct Target {
    fs: Ext4,
    disk_len: u64,
}

/// Every dump below `directory` of the disk, in the order of [`Target::find_dumps`].
///
/// # Errors
/// As [`Target::open`] and [`Target::find_dumps`].
pub fn find_dumps(disk: &File, directory: &str) -> Result<Vec<DumpFile>, TargetError> {
    Target::open(disk)?.find_dumps(directory)
}

impl Target {
    /// Reads the superblock, and the journal if it has to be replayed.
    ///
    /// # Errors
    /// When the image holds no such file system, or a damaged one.
    pub fn open(disk: &File) -> Result<Self, TargetError> {
        let mut disk = Disk {
            len: disk.metadata()?.len(),
            file: disk.try_clone()?,
            replay: None,
        };
        disk.check_superblock()?;
        disk.replay = Replay::load(&disk.file)?;
        let disk_len = disk.len;
        let fs = Ext4::load(Box::new(disk)).map_err(|error| unreadable(&error))?;
        Ok(Self { fs, disk_len })
    }

    /// Files below `directory` (absolute) that are named like dumps: the newest directory first,
    /// in one directory complete names before `vmcore-incomplete`. Links are not followed. A
    /// `directory` that does not exist holds no dumps.
    ///
    /// # Errors
    /// When a directory cannot be read, or there are unreasonably many files.
    pub fn find_dumps(&self, directory: &str) -> Result<Vec<DumpFile>, TargetError> {
        let root = match self.resolve(directory) {
            Ok(root) => root,
            Err(TargetError::NotFound(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        let mut entries_left = MAX_ENTRIES;
        let mut waiting = vec![(root, 0)];
        while let Some((path, depth)) = waiting.pop() {
            let directory = self.metadata(path.as_path())?;
            let modified = directory.modified();
            let age = (modified.seconds(), modified.nanoseconds());
            for entry in self.fs.read_dir(&path).map_err(|e| unreadable(&e))? {
                let entry = entry.map_err(|error| unreadable(&error))?;
                entries_left = entries_left.checked_sub(1).ok_or_else(|| {
                    TargetError::Unreasonable(format!("has more than {MAX_ENTRIES} files"))
                })?;
                let name = entry.file_name();
                if name == "." || name == ".." {
                    continue;
                }
                let kind = entry.file_type().map_err(|error| unreadable(&error))?;
                let Ok(text) = name.as_str() else { continue };
                if kind.is_dir() && depth < MAX_DEPTH {
                    waiting.push((entry.path(), depth + 1));
                } else if kind.is_regular_file() && is_dump_name(text) {
                    let Ok(full) = entry.path().to_str().map(str::to_owned) else {
                        continue;
                    };
                    let bytes = self.metadata(entry.path().as_path())?.len();
                    let name = text.to_owned();
                    found.push((
                        age,
                        DumpFile {
                            path: full,
                            name,
                            bytes,
                        },
                    ));
                }
                if found.len() > MAX_DUMPS {
                    return Err(TargetError::Unreasonable(format!(
                        "has more than {MAX_DUMPS} dumps"
                    )));
                }
            }
        }
        found.sort_by(|(age, file), (other_age, other)| {
            let unfinished = |file: &DumpFile| file.name.contains("incomplete");
            other_age
                .cmp(age)
                .then_with(|| unfinished(file).cmp(&unfinished(other)))
                .then_with(|| file.path.cmp(&other.path))
        });
        Ok(found.into_iter().map(|(_, file)| file).collect())
    }

    /// Opens a regular file for positioned reads. Nothing is copied.
    ///
    /// # Errors
    /// When it is not there, is no regular file, or claims to be larger than the disk.
    pub fn open_dump(&self, path: &str) -> Result<DumpReader, TargetError> {
        let resolved = self.resolve(path)?;
        let file = self.fs.open(&resolved).map_err(|error| match error {
            Ext4Error::NotFound => TargetError::NotFound(path.to_owned()),
            error => unreadable(&error),
        })?;
        let len = file.metadata().len();
        if len > self.disk_len {
            return Err(TargetError::Unreasonable(format!(
                "says that `{path}` has {len} bytes, on a disk of {}",
                self.disk_len
            )));
        }
        Ok(DumpReader {
            len,
            open: RefCell::new(Open {
                file,
                position: 0,
                chunks: Vec::new(),
            }),
        })
    }

    /// Walks `path` one component at a time, so that no link that Linux could not have made is
    /// ever followed.
    fn resolve(&self, path: &str) -> Result<PathBuf, TargetError> {
        let mut so_far = PathBuf::new("/");
        for component in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
            so_far = PathBuf::try_from(format!(
                "{}/{component}",
                so_far.to_str().unwrap_or_default().trim_end_matches('/')
            ))
            .map_err(|_| TargetError::NotFound(path.to_owned()))?;
            let metadata = self.metadata(so_far.as_path())?;
            if metadata.is_symlink() {
                if metadata.len() > MAX_LINK {
                    return Err(TargetError::Unreasonable(format!(
                        "has a link `{}` of {} bytes",
                        so_far.display(),
                        metadata.len()
                    )));
                }
                so_far = self.fs.canonicalize(&so_far).map_err(|error| match error {
                    Ext4Error::NotFound => TargetError::NotFound(path.to_owned()),
                    error => unreadable(&error),
                })?;
            }
        }
        Ok(so_far)
    }

    fn metadata(&self, path: Path<'_>) -> Result<Metadata, TargetError> {
        self.fs.symlink_metadata(path).map_err(|error| match error {
            Ext4Error::NotFound | Ext4Error::NotADirectory => {
                TargetError::NotFound(path.display().to_string())
            }
            error => unreadable(&error),
        })
    }
}

/// RHEL's kdump names them vmcore…, Debian's dump.…; vmcore-dmesg.txt is text.
fn is_dump_name(name: &str) -> bool {
    (name.starts_with("vmcore") && !name.starts_with("vmcore-dmesg")) || name.starts_with("dump.")
}

fn unreadable(error: &Ext4Error) -> TargetError {
    TargetError::FileSystem(error.to_string())
}

/// The image, for the file system's reader.
struct Disk {
    file: File,
    len: u64,
    replay: Option<Replay>,
}

impl Disk {
    /// Refuses what would make the reader take memory by the superblock's word alone.
    fn check_superblock(&self) -> Result<(), TargetError> {
        let mut superblock = [0; 1024];
        FileExt::read_exact_at(&self.file, &mut superblock, 1024)
            .map_err(|_| TargetError::FileSystem("the disk is too small for one".to_owned()))?;
        let word = |at: usize| {
            u32::from_le_bytes([
                superblock[at],
                superblock[at + 1],
                superblock[at + 2],
                superblock[at + 3],
            ])
        };
        if superblock[0x38..0x3a] != [0x53, 0xef] {
            return Err(TargetError::FileSystem(
                "it is not ext2, ext3 or ext4".to_owned(),
            ));
        }
        let log_block_size = word(0x18);
        if log_block_size > MAX_LOG_BLOCK_SIZE {
            return Err(TargetError::Unreasonable(format!(
                "claims blocks of 2^{} bytes",
                u64::from(log_block_size) + 10
            )));
        }
        let blocks = u64::from(word(4)) + (u64::from(word(0x150)) << 32);
        if blocks > self.len >> (10 + log_block_size) {
            return Err(TargetError::Unreasonable(format!(
                "claims {blocks} blocks on a disk of {} bytes",
                self.len
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
        FileExt::read_exact_at(&self.file, dst, start_byte)?;
        if let Some(replay) = &self.replay {
            replay.apply(&self.file, start_byte, dst)?;
        }
        Ok(())
    }
}

/// A file on the target.
pub struct DumpReader {
    len: u64,
    open: RefCell<Open>,
}

struct Open {
    file: ext4_view::File,
    /// Where the next read of `file` would begin. Seeking walks the file's block list from its
    /// beginning, so reads that go on where the last one ended do not seek.
    position: u64,
    /// The chunks used last, most recent at the end.
    chunks: Vec<(u64, Vec<u8>)>,
}

const CHUNK: u64 = 128 << 10;
const CHUNKS: usize = 32;

impl DumpReader {
    /// Size in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl ReadAt for DumpReader {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset
            .checked_add(buf.len() as u64)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        if end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut open = self.open.borrow_mut();
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let chunk = open.chunk(at / CHUNK, self.len)?;
            let within = (at % CHUNK) as usize;
            let take = (chunk.len() - within).min(buf.len() - done);
            buf[done..done + take].copy_from_slice(&chunk[within..within + take]);
            done += take;
        }
        Ok(())
    }
}

impl Open {
    fn chunk(&mut self, index: u64, len: u64) -> io::Result<&[u8]> {
        match self.chunks.iter().position(|(held, _)| *held == index) {
            Some(held) => {
                let chunk = self.chunks.remove(held);
                self.chunks.push(chunk);
            }
            None => {
                let start = index * CHUNK;
                let mut bytes = vec![0; (len - start).min(CHUNK) as usize];
                if self.position != start {
                    self.file.seek(SeekFrom::Start(start))?;
                }
                // Unknown until the read has succeeded.
                self.position = u64::MAX;
                self.file.read_exact(&mut bytes)?;
                self.position = start + bytes.len() as u64;
                if self.chunks.len() == CHUNKS {
                    self.chunks.remove(0);
                }
                self.chunks.push((index, bytes));
            }
        }
        self.chunks
            .last()
            .map(|(_, bytes)| bytes.as_slice())
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
