//! A block device as the guest has it: a whole disk, or a partition of one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::vmcore::ReadAt;

/// The part of a disk image that is a whole disk or a partition.
#[derive(Debug, Clone)]
pub struct BlockDevice {
    file: Arc<File>,
    start: u64,
    len: u64,
}

impl BlockDevice {
    /// All of a disk image.
    ///
    /// # Errors
    /// The file's length cannot be found out, or no further descriptor be had for it.
    pub fn whole(disk: &File) -> io::Result<Self> {
        Ok(Self {
            file: Arc::new(disk.try_clone()?),
            start: 0,
            len: disk.metadata()?.len(),
        })
    }

    /// A part of it, if there is that much.
    pub(super) fn part(&self, start: u64, len: u64) -> Option<Self> {
        start.checked_add(len).filter(|end| *end <= self.len)?;
        Some(Self {
            file: Arc::clone(&self.file),
            start: self.start + start,
            len,
        })
    }

    /// Size in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl ReadAt for BlockDevice {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset
            .checked_add(buf.len() as u64)
            .filter(|end| *end <= self.len)
            .and_then(|_| self.start.checked_add(offset));
        let start = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        FileExt::read_exact_at(&*self.file, buf, start)
    }
}
