//! How much of a disk is read for its metadata: trees may be wide, and on a hostile disk they lead
//! everywhere more than once.

use std::cell::Cell;

use super::error::TargetError;
use crate::units::Bytes;

/// A million extents and twenty thousand inodes are well below.
const MOST: Bytes = Bytes(Bytes::GIB);

/// What is left of it.
#[derive(Debug)]
pub(super) struct Budget(Cell<u64>);

impl Budget {
    pub(super) fn new() -> Self {
        Self(Cell::new(MOST.0))
    }

    /// To be called before every read.
    pub(super) fn spend(&self, bytes: u64) -> Result<(), TargetError> {
        let left = self.0.get().checked_sub(bytes).ok_or_else(|| {
            TargetError::Unreasonable(format!("has more than {MOST} of metadata"))
        })?;
        self.0.set(left);
        Ok(())
    }
}
