//! A file on the target, read at any offset.

use std::cell::RefCell;
use std::io;

use crate::vmcore::ReadAt;

/// What a file system gives of a file. Reads are within its length, begin at a multiple of
/// [`CHUNK`] and end at another, or at the end.
pub(super) trait ReadFile {
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;
}

/// A file on the target.
pub struct DumpReader {
    len: u64,
    open: RefCell<Open>,
}

struct Open {
    file: Box<dyn ReadFile>,
    /// The chunks used last, most recent at the end.
    chunks: Vec<(u64, Vec<u8>)>,
}

pub(super) const CHUNK: u64 = 128 << 10;
const CHUNKS: usize = 32;

impl DumpReader {
    pub(super) fn new(len: u64, file: Box<dyn ReadFile>) -> Self {
        let chunks = Vec::new();
        Self {
            len,
            open: RefCell::new(Open { file, chunks }),
        }
    }

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
                self.file.read_at(start, &mut bytes)?;
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
