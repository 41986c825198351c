//! The content of a file: its extents.

use std::io;
use std::ops::ControlFlow;
use std::rc::Rc;

use super::compression::{Compression, MAX_UNPACKED};
use super::superblock::{Root, refused};
use super::tree::Volume;
use crate::target::bytes::{le16, le64};
use crate::target::error::TargetError;
use crate::target::reader::ReadFile;
use crate::vmcore::ReadAt;

const EXTENT_DATA: u8 = 108;
/// The item's fields before inline data, or before where the extent is.
const HEADER: usize = 21;
const LEN: usize = 53;
/// Memory for a list of extents: 64 MiB.
const MAX_EXTENTS: usize = 1 << 20;

/// Adjacent bytes of a file.
struct Extent {
    /// In the file.
    offset: u64,
    len: u64,
    data: Data,
}

/// Where they are. Holes and what was never written are left out of the list.
enum Data {
    Inline(Vec<u8>),
    Plain {
        /// Logical address.
        at: u64,
    },
    Packed {
        compression: Compression,
        /// Logical address of all that was compressed together, and its length there.
        at: u64,
        packed: u64,
        /// Its length when unpacked, and where in it the extent begins.
        unpacked: u64,
        within: u64,
    },
}

/// A file's content.
pub(super) struct Content {
    volume: Rc<Volume>,
    sector_size: usize,
    extents: Vec<Extent>,
}

impl Content {
    pub(super) fn read(
        volume: &Rc<Volume>,
        root: Root,
        inode: u64,
        sector_size: u64,
    ) -> Result<Self, TargetError> {
        let mut extents: Vec<Extent> = Vec::new();
        volume.items(root, inode, EXTENT_DATA, |key, item| {
            let Some(extent) = extent(key.offset, item, sector_size)? else {
                return Ok(ControlFlow::Continue(()));
            };
            let after = extents.last().map_or(0, |last| last.offset + last.len);
            if extent.offset < after {
                return Err(broken());
            }
            if extents.len() == MAX_EXTENTS {
                return Err(TargetError::Unreasonable(format!(
                    "has a file of more than {MAX_EXTENTS} extents"
                )));
            }
            extents.push(extent);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(Self {
            volume: Rc::clone(volume),
            sector_size: sector_size as usize,
            extents,
        })
    }
}

/// Reads an item; `None` for what reads as zeros.
fn extent(offset: u64, item: &[u8], sector_size: u64) -> Result<Option<Extent>, TargetError> {
    if item.len() < HEADER {
        return Err(broken());
    }
    let unpacked = le64(item, 8);
    let compression = match (item[16], item[17], le16(item, 18)) {
        (0, 0, 0) => None,
        (1, 0, 0) => Some(Compression::Zlib),
        (2, 0, 0) => Some(Compression::Lzo),
        (3, 0, 0) => Some(Compression::Zstd),
        (other, 0, 0) => {
            return Err(refused(format!(
                "a file is compressed in way {other}, which is unknown"
            )));
        }
        _ => return Err(refused("a file is encrypted")),
    };
    if compression.is_some() && unpacked > MAX_UNPACKED {
        return Err(broken());
    }
    match item[20] {
        // Inline.
        0 => {
            let bytes = &item[HEADER..];
            // There is none but at the beginning.
            if offset != 0 || compression.is_none() && unpacked > bytes.len() as u64 {
                return Err(broken());
            }
            let bytes = match compression {
                None => bytes[..unpacked as usize].to_vec(),
                Some(compression) => {
                    let mut output = vec![0; unpacked as usize];
                    compression
                        .unpack(bytes, &mut output, sector_size as usize)
                        .ok_or_else(broken)?;
                    output
                }
            };
            Ok(Some(Extent {
                offset,
                len: bytes.len() as u64,
                data: Data::Inline(bytes),
            }))
        }
        // On the disk; preallocated.
        1 | 2 if item.len() >= LEN => {
            let (at, packed) = (le64(item, 21), le64(item, 29));
            let (within, len) = (le64(item, 37), le64(item, 45));
            let end = offset.checked_add(len);
            // As the kernel's tree-checker.c has it. A compressed extent is unpacked as a whole,
            // so that a thousand pieces of one in a few bytes of a file would cost as many times.
            let aligned = |number: u64| number.is_multiple_of(sector_size);
            if end.is_none_or(|end| end > i64::MAX as u64)
                || len == 0
                || !aligned(offset)
                || !aligned(len)
            {
                return Err(broken());
            }
            if at == 0 || item[20] == 2 {
                return Ok(None);
            }
            let data = match compression {
                None => Data::Plain {
                    at: at.checked_add(within).ok_or_else(broken)?,
                },
                Some(compression) => {
                    let end = within.checked_add(len);
                    if packed > MAX_UNPACKED || end.is_none_or(|end| end > unpacked) {
                        return Err(broken());
                    }
                    Data::Packed {
                        compression,
                        at,
                        packed,
                        unpacked,
                        within,
                    }
                }
            };
            Ok(Some(Extent { offset, len, data }))
        }
        _ => Err(broken()),
    }
}

impl ReadFile for Content {
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        bytes.fill(0);
        let end = offset + bytes.len() as u64;
        let first = self
            .extents
            .partition_point(|extent| extent.offset + extent.len <= offset);
        for extent in &self.extents[first..] {
            if extent.offset >= end {
                break;
            }
            let from = extent.offset.max(offset);
            let to = (extent.offset + extent.len).min(end);
            let part = &mut bytes[(from - offset) as usize..(to - offset) as usize];
            let skip = from - extent.offset;
            match &extent.data {
                Data::Inline(inline) => {
                    part.copy_from_slice(&inline[skip as usize..skip as usize + part.len()]);
                }
                Data::Plain { at } => {
                    let at = at.checked_add(skip).ok_or_else(outside)?;
                    self.volume.data(at, part)?;
                }
                &Data::Packed {
                    compression,
                    at,
                    packed,
                    unpacked,
                    within,
                } => {
                    let mut input = vec![0; packed as usize];
                    self.volume.data(at, &mut input)?;
                    let mut output = vec![0; unpacked as usize];
                    compression
                        .unpack(&input, &mut output, self.sector_size)
                        .ok_or_else(|| io::Error::other("a compressed extent is damaged"))?;
                    let start = (within + skip) as usize;
                    part.copy_from_slice(&output[start..start + part.len()]);
                }
            }
        }
        Ok(())
    }
}

impl Volume {
    /// Reads file content; of several copies the first.
    fn data(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            let logical = at.checked_add(done as u64);
            let located = logical.and_then(|at| self.chunks.locate(at));
            let (mut copies, left) = located.ok_or_else(outside)?;
            let copy = copies.next().ok_or_else(outside)?;
            let take = left.min((bytes.len() - done) as u64) as usize;
            self.device
                .read_exact_at(copy, &mut bytes[done..done + take])?;
            done += take;
        }
        Ok(())
    }
}

fn outside() -> io::Error {
    io::Error::other("a file points outside the disk")
}

fn broken() -> TargetError {
    refused("a file's list of extents makes no sense")
}

#[cfg(test)]
mod tests {
    use super::super::chunks::Chunks;
    use super::*;
    use crate::target::budget::Budget;
    use crate::target::device::BlockDevice;

    const SECTOR: u64 = 4096;

    /// Kind, how it is compressed, length when unpacked; where, how long there, within, length.
    fn item(compression: u8, unpacked: u64, [at, packed, within, len]: [u64; 4]) -> Vec<u8> {
        let mut item = vec![0; LEN];
        item[8..16].copy_from_slice(&unpacked.to_le_bytes());
        item[16] = compression;
        item[20] = 1;
        for (field, number) in [(21, at), (29, packed), (37, within), (45, len)] {
            item[field..field + 8].copy_from_slice(&number.to_le_bytes());
        }
        item
    }

    #[test]
    fn an_extent_at_the_end_of_all_addresses_is_outside() {
        let len = 1 << 20;
        let item = item(0, len, [u64::MAX - SECTOR, len, 0, len]);
        let extent = extent(0, &item, SECTOR).unwrap().unwrap();
        let device = BlockDevice::whole(&tempfile::tempfile().unwrap()).unwrap();
        let mut content = Content {
            volume: Rc::new(Volume {
                device,
                chunks: Chunks::default(),
                node_size: SECTOR,
                budget: Budget::new(),
            }),
            sector_size: SECTOR as usize,
            extents: vec![extent],
        };
        for offset in [0, len / 2] {
            let error = content.read_at(offset, &mut [0; 8]).unwrap_err();
            assert!(error.to_string().contains("outside the disk"), "{error}");
        }
    }

    #[test]
    fn pieces_of_sectors_are_refused() {
        let packed = |len| item(3, MAX_UNPACKED, [SECTOR, SECTOR, 0, len]);
        assert!(extent(SECTOR, &packed(SECTOR), SECTOR).is_ok());
        for (offset, len) in [(0, 0), (0, 1), (SECTOR, SECTOR + 1), (7, SECTOR)] {
            assert!(
                extent(offset, &packed(len), SECTOR).is_err(),
                "{offset} {len}"
            );
        }
    }
}
