//! CRC-32C, which XFS and btrfs guard their metadata with.

use crc::{CRC_32_ISCSI, Crc, Digest, Table};

static TABLE: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// For bytes that come in pieces.
pub(super) fn digest() -> Digest<'static, u32, Table<16>> {
    TABLE.digest()
}

pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    TABLE.checksum(bytes)
}
