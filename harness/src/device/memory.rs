//! The guest's memory, as a device reaches it.
//!
//! QEMU hands over the files that its RAM lies in (memfd). They are read and written by system call
//! and not mapped: a file that somebody cuts short is then an error and not a SIGBUS.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Mappings that a machine may have: QEMU makes a dozen.
const MOST: usize = 256;

/// Guest-physical addresses that no memory is behind, or none that may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no memory for {length} bytes at guest-physical {address:#x}")]
pub struct Unreachable {
    /// The first.
    pub address: u64,
    /// How many bytes.
    pub length: usize,
}

/// One stretch of it.
#[derive(Debug)]
struct Mapping {
    address: u64,
    size: u64,
    offset: u64,
    writable: bool,
    file: File,
}

/// Everything that a device may reach.
#[derive(Debug, Default)]
pub(super) struct Memory(Vec<Mapping>);

/// Mappings that make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadMapping;

impl Memory {
    /// Adds `size` bytes of `file`, from `offset` on, at guest-physical `address`. All of them have
    /// to be there.
    pub(super) fn map(
        &mut self,
        (address, size): (u64, u64),
        (file, offset): (File, u64),
        writable: bool,
    ) -> Result<(), BadMapping> {
        let (Some(end), Some(end_in_file)) = (address.checked_add(size), offset.checked_add(size))
        else {
            return Err(BadMapping);
        };
        let overlaps = |it: &Mapping| address < it.address + it.size && it.address < end;
        if size == 0 || self.0.len() >= MOST || self.0.iter().any(overlaps) {
            return Err(BadMapping);
        }
        // A pipe or a device could keep a thread waiting.
        let there = file.metadata().map_err(|_| BadMapping)?;
        if !there.is_file() || there.len() < end_in_file {
            return Err(BadMapping);
        }
        self.0.push(Mapping {
            address,
            size,
            offset,
            writable,
            file,
        });
        Ok(())
    }

    /// Takes away what lies within.
    pub(super) fn unmap(&mut self, address: u64, size: u64) {
        let end = address.saturating_add(size);
        self.0
            .retain(|it| it.address < address || it.address + it.size > end);
    }

    /// Takes away everything.
    pub(super) fn unmap_all(&mut self) {
        self.0.clear();
    }

    /// Reads, also across the border of two mappings.
    ///
    /// # Errors
    /// Something of it is not there; `data` is then undefined.
    pub(super) fn read(&self, address: u64, data: &mut [u8]) -> Result<(), Unreachable> {
        let unreachable = Unreachable {
            address,
            length: data.len(),
        };
        let mut done = 0;
        while done < data.len() {
            let (mapping, offset, room) = self.at(address, done).ok_or(unreachable)?;
            let end = data.len().min(done.saturating_add(room));
            let piece = &mut data[done..end];
            let read = mapping.file.read_exact_at(piece, offset);
            read.map_err(|_| unreachable)?;
            done = end;
        }
        Ok(())
    }

    /// Writes, also across the border of two mappings.
    ///
    /// # Errors
    /// Something of it is not there or may not be written; the rest may have been.
    pub(super) fn write(&self, address: u64, data: &[u8]) -> Result<(), Unreachable> {
        let unreachable = Unreachable {
            address,
            length: data.len(),
        };
        let mut done = 0;
        while done < data.len() {
            let (mapping, offset, room) = self.at(address, done).ok_or(unreachable)?;
            if !mapping.writable {
                return Err(unreachable);
            }
            let end = data.len().min(done.saturating_add(room));
            let written = mapping.file.write_all_at(&data[done..end], offset);
            written.map_err(|_| unreachable)?;
            done = end;
        }
        Ok(())
    }

    /// The mapping behind `address + done`, the offset in its file, and how much of it follows.
    fn at(&self, address: u64, done: usize) -> Option<(&Mapping, u64, usize)> {
        let address = address.checked_add(done as u64)?;
        let within = |it: &&Mapping| (it.address..it.address + it.size).contains(&address);
        let mapping = self.0.iter().find(within)?;
        let into = address - mapping.address;
        let room = usize::try_from(mapping.size - into).unwrap_or(usize::MAX);
        Some((mapping, mapping.offset + into, room))
    }
}

#[cfg(test)]
mod tests;
