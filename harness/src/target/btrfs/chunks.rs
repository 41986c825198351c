//! Chunks: from logical addresses to those of the device.

use std::collections::BTreeMap;

use super::superblock::refused;
use super::tree::{KEY, Key};
use crate::target::bytes::{le16, le64};
use crate::target::error::TargetError;

/// Of the item, before its stripes; and of a stripe.
const HEADER: usize = 48;
const STRIPE: usize = 32;
/// A chunk of 256 MiB each would be 16 TiB.
const MAX_CHUNKS: usize = 1 << 16;

/// `type`: what has copies on one device, and what needs several devices.
const DUP: u64 = 0x20;
const PROFILES: [(u64, &str); 7] = [
    (0x8, "raid0"),
    (0x10, "raid1"),
    (0x40, "raid10"),
    (0x80, "raid5"),
    (0x100, "raid6"),
    (0x200, "raid1c3"),
    (0x400, "raid1c4"),
];

/// Every chunk that is known, by its logical address.
#[derive(Debug, Default)]
pub(super) struct Chunks(BTreeMap<u64, Chunk>);

#[derive(Debug)]
struct Chunk {
    len: u64,
    /// Where it is on the device: once, or twice.
    copies: Vec<u64>,
}

impl Chunks {
    /// Those of the superblock: keys, each followed by its item.
    pub(super) fn of_superblock(mut array: &[u8], device: u64) -> Result<Self, TargetError> {
        let mut chunks = Self::default();
        while let Some((key, rest)) = array.split_at_checked(KEY) {
            let len = HEADER + usize::from(le16(rest, 44)) * STRIPE;
            let item = rest.get(..len).ok_or_else(broken)?;
            chunks.add(Key::of(key), item, device)?;
            array = &rest[len..];
        }
        Ok(chunks)
    }

    /// A chunk item of the chunk tree.
    pub(super) fn add(&mut self, key: Key, item: &[u8], device: u64) -> Result<(), TargetError> {
        let (len, profile) = (le64(item, 0), le64(item, 24));
        let raid = PROFILES.iter().find(|(flag, _)| profile & flag != 0);
        if let Some((_, name)) = raid {
            return Err(refused(format!("btrfs with profile {name} is not read")));
        }
        let stripes = usize::from(le16(item, 44));
        let expected = if profile & DUP != 0 { 2 } else { 1 };
        let copies = item
            .get(HEADER..HEADER + stripes * STRIPE)
            .ok_or_else(broken)?;
        let copies = copies.chunks_exact(STRIPE);
        if stripes != expected || copies.clone().any(|stripe| le64(stripe, 0) != device) {
            return Err(broken());
        }
        if self.0.len() == MAX_CHUNKS || key.offset.checked_add(len).is_none() {
            return Err(broken());
        }
        let copies = copies.map(|stripe| le64(stripe, 8)).collect();
        self.0.insert(key.offset, Chunk { len, copies });
        Ok(())
    }

    /// Where the bytes from a logical address on are on the device, copy by copy, and how many of
    /// them are adjacent.
    pub(super) fn locate(&self, at: u64) -> Option<(impl Iterator<Item = u64>, u64)> {
        let (start, chunk) = self.0.range(..=at).next_back()?;
        let within = at - start;
        let left = chunk.len.checked_sub(within).filter(|left| *left > 0)?;
        let copies = chunk.copies.iter();
        Some((
            copies.filter_map(move |copy| copy.checked_add(within)),
            left,
        ))
    }
}

fn broken() -> TargetError {
    refused("a chunk makes no sense")
}
