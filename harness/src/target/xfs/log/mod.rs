//! The log of a file system that was not unmounted, replayed in memory.
//!
//! A capture kernel that syncs and resets leaves the newest inodes and directory entries in the log
//! only; RHEL's kdump does just that. Layout: xfs_log_format.h of the kernel. Record headers are
//! big-endian, what they carry is in the byte order of the machine, little-endian here.

mod item;
mod record;
mod transaction;

use std::collections::HashMap;

use self::item::Item;
use self::record::Log;
use self::transaction::Transactions;
use super::superblock::refused;
use super::volume::Volume;
use crate::target::error::TargetError;

/// Brings the volume's metadata up to date. After a clean unmount there is nothing to do.
pub(super) fn replay(volume: &mut Volume) -> Result<(), TargetError> {
    let log = Log::read(&volume.device, &volume.geometry)?;
    // A buffer that is cancelled may have become a file's: whatever the log has of it up to the
    // last time that it was cancelled is not replayed.
    let mut cancelled: HashMap<u64, u32> = HashMap::new();
    transactions(&log, volume, |_, items| {
        for item in items {
            if let Item::Cancel { at } = item {
                *cancelled.entry(at).or_default() += 1;
            }
        }
        Ok(())
    })?;
    transactions(&log, volume, |volume, items| {
        for item in items {
            match item {
                Item::Cancel { at } => {
                    if let Some(count) = cancelled.get_mut(&at) {
                        *count = count.saturating_sub(1);
                    }
                }
                item if item
                    .buffer()
                    .is_some_and(|at| cancelled.get(&at).is_some_and(|n| *n > 0)) => {}
                item => item.apply(volume)?,
            }
        }
        Ok(())
    })
}

/// Gives the items of every committed transaction, in the order in which they are to be applied.
fn transactions(
    log: &Log,
    volume: &mut Volume,
    mut each: impl FnMut(&mut Volume, Vec<Item>) -> Result<(), TargetError>,
) -> Result<(), TargetError> {
    let mut open = Transactions::default();
    for record in &log.records {
        let payload = log.payload(&volume.device, record)?;
        for regions in open.record(&payload, record.operations)? {
            let mut items = item::items(regions, &volume.geometry)?;
            items.sort_by_key(Item::rank);
            each(volume, items)?;
        }
    }
    Ok(())
}

fn broken(how: &str) -> TargetError {
    refused(format!(
        "it was not unmounted, and its log {how}, so it cannot be replayed"
    ))
}
