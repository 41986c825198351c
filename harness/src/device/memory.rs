//! The guest's memory, as a device reaches it.
//!
//! QEMU hands over the files that its RAM lies in (memfd). They are read and written by system call
//! and not mapped: a file that somebody cuts short is then an error and not a SIGBUS.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Mappings that a machine may have: QEMU makes a dozen.
const MOST: usize = 4096;

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
pub struct Memory(Vec<Mapping>);

/// Mappings that make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadMapping;

impl Memory {
    /// Adds `size` bytes of `file`, from `offset` on, at guest-physical `address`.
    pub(super) fn map(
        &mut self,
        (address, size): (u64, u64),
        (file, offset): (File, u64),
        writable: bool,
    ) -> Result<(), BadMapping> {
        let ends = address.checked_add(size).zip(offset.checked_add(size));
        let overlaps = |it: &Mapping| address < it.address + it.size && it.address < address + size;
        if ends.is_none() || size == 0 || self.0.len() >= MOST || self.0.iter().any(overlaps) {
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
    pub fn read(&self, address: u64, data: &mut [u8]) -> Result<(), Unreachable> {
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
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), Unreachable> {
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
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file
    }

    #[test]
    fn across_a_border_and_beyond() {
        let mut memory = Memory::default();
        memory.map((0x1000, 4), (file(b"abcd"), 0), true).unwrap();
        memory.map((0x1004, 4), (file(b"..efgh"), 2), true).unwrap();
        let mut data = [0; 8];
        memory.read(0x1000, &mut data).unwrap();
        assert_eq!(&data, b"abcdefgh");
        memory.write(0x1002, b"1234").unwrap();
        memory.read(0x1000, &mut data).unwrap();
        assert_eq!(&data, b"ab1234gh");
        for (address, length) in [(0xfff, 2), (0x1007, 2), (u64::MAX, 2)] {
            let mut data = vec![0; length];
            assert!(memory.read(address, &mut data).is_err(), "{address:#x}");
            assert!(memory.write(address, &data).is_err(), "{address:#x}");
        }
        memory.unmap(0x1004, 4);
        assert!(memory.read(0x1004, &mut [0]).is_err());
        assert!(memory.read(0x1003, &mut [0]).is_ok());
    }

    #[test]
    fn read_only_and_cut_short() {
        let mut memory = Memory::default();
        memory.map((0, 2), (file(b"ab"), 0), false).unwrap();
        assert!(memory.write(0, b"x").is_err());
        memory.map((2, 4096), (file(b"cd"), 0), true).unwrap();
        assert!(memory.read(2, &mut [0; 2]).is_ok());
        assert!(memory.read(2, &mut [0; 4]).is_err());
    }

    #[test]
    fn mappings_that_make_no_sense() {
        let mut memory = Memory::default();
        memory.map((0x1000, 16), (file(b""), 0), true).unwrap();
        for (address, size, offset) in
            [(0, 0, 0), (u64::MAX, 2, 0), (0, 2, u64::MAX), (0xfff, 2, 0)]
        {
            let bad = memory.map((address, size), (file(b""), offset), true);
            assert_eq!(bad, Err(BadMapping), "{address:#x} {size} {offset:#x}");
        }
    }
}
