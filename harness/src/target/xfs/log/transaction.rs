//! Transactions: lists of regions, scattered over records.

use std::collections::HashMap;

use super::broken;
use crate::target::bytes::{be32, le32};
use crate::target::error::TargetError;

/// struct xlog_op_header.
const OPERATION: usize = 12;
/// `oh_flags`.
const START: u8 = 0x01;
const COMMIT: u8 = 0x02;
const CONTINUES: u8 = 0x04;
const CONTINUED: u8 = 0x08;
const UNMOUNT: u8 = 0x20;
/// "TRAN", the first region of each transaction.
const HEADER_MAGIC: u32 = 0x5452_414e;

/// Whether a record, the newest, says that the file system was unmounted: all else is on the disk.
pub(super) fn is_unmount(operations: u32, payload: &[u8]) -> bool {
    operations == 1 && payload.get(9).is_some_and(|flags| flags & UNMOUNT != 0)
}

/// Regions of a transaction, in order; the first is its header.
type Regions = Vec<Vec<u8>>;

/// Transactions that have begun.
#[derive(Default)]
pub(super) struct Transactions(HashMap<u32, Regions>);

impl Transactions {
    /// Takes the operations of a record, and gives the transactions that are committed by it.
    pub(super) fn record(
        &mut self,
        mut payload: &[u8],
        operations: u32,
    ) -> Result<Vec<Regions>, TargetError> {
        let mut committed = Vec::new();
        for _ in 0..operations {
            let (Some(operation), Some(rest)) =
                (payload.get(..OPERATION), payload.get(OPERATION..))
            else {
                break;
            };
            let id = be32(operation, 0);
            let len = be32(operation, 4) as usize;
            let flags = operation[9];
            let region = rest
                .get(..len)
                .ok_or_else(|| broken("has an operation without end"))?;
            payload = &rest[len..];
            if flags & UNMOUNT != 0 {
                continue;
            }
            if flags & START != 0 {
                self.0.insert(id, Regions::new());
            }
            // What began before the log did has been written elsewhere long since.
            let Some(regions) = self.0.get_mut(&id) else {
                continue;
            };
            if flags & CONTINUED != 0 {
                let unfinished = regions.last_mut();
                unfinished
                    .ok_or_else(|| broken("continues what never began"))?
                    .extend_from_slice(region);
            } else if len > 0 || flags & CONTINUES != 0 {
                regions.push(region.to_vec());
            }
            if flags & COMMIT != 0
                && let Some(mut regions) = self.0.remove(&id)
                && !regions.is_empty()
            {
                if le32(&regions[0], 0) != HEADER_MAGIC {
                    return Err(broken("has a transaction without a header"));
                }
                regions.remove(0);
                committed.push(regions);
            }
        }
        Ok(committed)
    }
}
