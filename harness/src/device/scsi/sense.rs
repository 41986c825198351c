//! Sense data: what is wrong (SPC-4, 4.5), in the fixed format.

/// Why a command ended in CHECK CONDITION.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::device) struct Sense {
    key: u8,
    /// Additional sense code and its qualifier.
    code: [u8; 2],
    /// A block's number, where there is one to name.
    block: Option<u64>,
}

impl Sense {
    /// Bytes of the fixed format.
    pub(in crate::device) const LENGTH: usize = 18;

    /// NO SENSE.
    pub(super) const NONE: Self = Self::new(0x0, [0, 0]);
    /// NOT READY: LOGICAL UNIT NOT READY, INITIALIZING COMMAND REQUIRED.
    pub(super) const STOPPED: Self = Self::new(0x2, [0x04, 0x02]);
    /// ILLEGAL REQUEST: INVALID COMMAND OPERATION CODE.
    pub(super) const UNKNOWN_COMMAND: Self = Self::new(0x5, [0x20, 0]);
    /// ILLEGAL REQUEST: INVALID FIELD IN CDB.
    pub(super) const INVALID_FIELD: Self = Self::new(0x5, [0x24, 0]);
    /// ILLEGAL REQUEST: LOGICAL UNIT NOT SUPPORTED.
    pub(super) const NO_SUCH_UNIT: Self = Self::new(0x5, [0x25, 0]);
    /// ILLEGAL REQUEST: SAVING PARAMETERS NOT SUPPORTED.
    pub(super) const NOTHING_SAVED: Self = Self::new(0x5, [0x39, 0]);
    /// UNIT ATTENTION: POWER ON, RESET, OR BUS DEVICE RESET OCCURRED.
    pub(super) const POWER_ON_OR_RESET: Self = Self::new(0x6, [0x29, 0]);

    const fn new(key: u8, code: [u8; 2]) -> Self {
        Self {
            key,
            code,
            block: None,
        }
    }

    /// ILLEGAL REQUEST: LOGICAL BLOCK ADDRESS OUT OF RANGE.
    pub(super) fn out_of_range(block: u64) -> Self {
        Self {
            block: Some(block),
            ..Self::new(0x5, [0x21, 0])
        }
    }

    /// MEDIUM ERROR: UNRECOVERED READ ERROR.
    pub(in crate::device) fn unreadable(block: u64) -> Self {
        Self {
            block: Some(block),
            ..Self::new(0x3, [0x11, 0])
        }
    }

    /// MEDIUM ERROR: WRITE ERROR.
    pub(in crate::device) fn unwritable(block: u64) -> Self {
        Self {
            block: Some(block),
            ..Self::new(0x3, [0x0c, 0])
        }
    }

    /// As the initiator gets it.
    pub(in crate::device) fn bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[0] = 0x70;
        bytes[2] = self.key;
        bytes[7] = (Self::LENGTH - 8) as u8;
        bytes[12..14].copy_from_slice(&self.code);
        // The fixed format has room for 32 bits of it, and a flag that says it is there.
        if let Some(Ok(block)) = self.block.map(u32::try_from) {
            bytes[0] |= 0x80;
            bytes[3..7].copy_from_slice(&block.to_be_bytes());
        }
        bytes
    }
}
