//! Metadata as it would be once the log is replayed.

use std::collections::HashMap;

use super::superblock::Geometry;
use crate::target::budget::Budget;
use crate::target::device::BlockDevice;
use crate::target::error::TargetError;
use crate::vmcore::ReadAt;

pub(super) const SECTOR: u64 = 512;
/// 128 MiB of them.
const MAX_SECTORS: usize = 1 << 18;

/// The device, and what its log has that is newer.
pub(super) struct Volume {
    pub(super) device: BlockDevice,
    pub(super) geometry: Geometry,
    /// By number.
    newer: HashMap<u64, [u8; SECTOR as usize]>,
    budget: Budget,
}

impl Volume {
    pub(super) fn new(device: BlockDevice, geometry: Geometry) -> Self {
        Self {
            device,
            geometry,
            newer: HashMap::new(),
            budget: Budget::new(),
        }
    }

    /// Reads metadata: file contents are never in the log, and what the log has of a block that
    /// has become a file's is stale.
    pub(super) fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, TargetError> {
        self.budget.spend(len)?;
        let mut bytes = vec![0; len as usize];
        self.device.read_exact_at(offset, &mut bytes)?;
        if self.newer.is_empty() {
            return Ok(bytes);
        }
        for (sector, within, part) in sectors(offset, &mut bytes) {
            if let Some(newer) = self.newer.get(&sector) {
                part.copy_from_slice(&newer[within..within + part.len()]);
            }
        }
        Ok(bytes)
    }

    /// Notes what the log has of the device's bytes from `offset` on.
    pub(super) fn patch(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), TargetError> {
        for (sector, within, part) in sectors(offset, bytes) {
            if !self.newer.contains_key(&sector) {
                if self.newer.len() >= MAX_SECTORS {
                    return Err(TargetError::Unreasonable(
                        "has too much in its log".to_owned(),
                    ));
                }
                let mut old = [0; SECTOR as usize];
                self.device.read_exact_at(sector * SECTOR, &mut old)?;
                self.newer.insert(sector, old);
            }
            if let Some(newer) = self.newer.get_mut(&sector) {
                newer[within..within + part.len()].copy_from_slice(part);
            }
        }
        Ok(())
    }
}

/// `bytes` that begin at `offset`, sector by sector: its number, where in it the part begins, and
/// the part.
fn sectors(offset: u64, bytes: &mut [u8]) -> impl Iterator<Item = (u64, usize, &mut [u8])> {
    let first = (SECTOR - offset % SECTOR) as usize;
    let (head, tail) = bytes.split_at_mut(first.min(bytes.len()));
    let head = (offset / SECTOR, (offset % SECTOR) as usize, head);
    let tail = tail.chunks_mut(SECTOR as usize);
    let tail = (offset / SECTOR + 1..)
        .zip(tail)
        .map(|(sector, part)| (sector, 0, part));
    std::iter::once(head).chain(tail)
}
