//! Which file system a device holds.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// What identifies a file system.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) uuid: String,
    pub(crate) label: String,
}

/// Where a kind of file system has what.
struct Kind {
    magic: &'static [u8],
    magic_at: u64,
    uuid_at: u64,
    label_at: u64,
    label_length: usize,
}

/// ext2 to ext4 (fs/ext4/ext4.h, struct ext4_super_block at byte 1024), xfs
/// (fs/xfs/libxfs/xfs_format.h, struct xfs_dsb at byte 0) and btrfs
/// (include/uapi/linux/btrfs_tree.h, struct btrfs_super_block at byte 65536).
const KINDS: [Kind; 3] = [
    Kind {
        magic: &[0x53, 0xef],
        magic_at: 1024 + 0x38,
        uuid_at: 1024 + 0x68,
        label_at: 1024 + 0x78,
        label_length: 16,
    },
    Kind {
        magic: b"XFSB",
        magic_at: 0,
        uuid_at: 32,
        label_at: 108,
        label_length: 12,
    },
    Kind {
        magic: b"_BHRfS_M",
        magic_at: 0x1_0000 + 0x40,
        uuid_at: 0x1_0000 + 0x20,
        label_at: 0x1_0000 + 0x12b,
        label_length: 256,
    },
];

impl Superblock {
    pub(crate) fn read(device: &File) -> Option<Self> {
        Self::find(|buffer, offset| device.read_exact_at(buffer, offset).is_ok())
    }

    /// `read` fills the whole buffer from that offset, or says that it cannot.
    fn find(read: impl Fn(&mut [u8], u64) -> bool) -> Option<Self> {
        let at = |offset, length| {
            let mut bytes = vec![0; length];
            read(&mut bytes, offset).then_some(bytes)
        };
        let kind = KINDS
            .iter()
            .find(|kind| at(kind.magic_at, kind.magic.len()).is_some_and(|is| is == kind.magic))?;
        let mut uuid = String::with_capacity(36);
        for (position, byte) in at(kind.uuid_at, 16)?.iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                uuid.push('-');
            }
            uuid += &format!("{byte:02x}");
        }
        let label = at(kind.label_at, kind.label_length)?;
        let label = label.split(|&byte| byte == 0).next().unwrap_or_default();
        Some(Self {
            uuid,
            label: String::from_utf8_lossy(label).into_owned(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const UUID: [u8; 16] = [
        0x0f, 0x1e, 0x2d, 0x3c, 0x4b, 0x5a, 0x69, 0x78, 0x87, 0x96, 0xa5, 0xb4, 0xc3, 0xd2, 0xe1,
        0xf0,
    ];

    pub(crate) fn in_bytes(device: &[u8]) -> Option<Superblock> {
        Superblock::find(|buffer, offset| {
            let offset = offset as usize;
            let Some(bytes) = device.get(offset..offset + buffer.len()) else {
                return false;
            };
            buffer.copy_from_slice(bytes);
            true
        })
    }

    pub(crate) fn ext4() -> Vec<u8> {
        let mut device = vec![0; 2048];
        device[1024 + 56..1024 + 58].copy_from_slice(&[0x53, 0xef]);
        device[1024 + 104..1024 + 120].copy_from_slice(&UUID);
        device[1024 + 120..1024 + 125].copy_from_slice(b"crash");
        device
    }

    #[test]
    fn each_kind() {
        let found = in_bytes(&ext4()).unwrap();
        assert_eq!(found.uuid, "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0");
        assert_eq!(found.label, "crash");

        let mut xfs = vec![0; 512];
        xfs[..4].copy_from_slice(b"XFSB");
        xfs[32..48].copy_from_slice(&UUID);
        xfs[108..120].copy_from_slice(b"twelve-bytes");
        assert_eq!(in_bytes(&xfs).unwrap().label, "twelve-bytes");

        let mut btrfs = vec![0; 0x1_1000];
        btrfs[0x1_0020..0x1_0030].copy_from_slice(&UUID);
        btrfs[0x1_0040..0x1_0048].copy_from_slice(b"_BHRfS_M");
        btrfs[0x1_012b..0x1_0130].copy_from_slice(b"dumps");
        let found = in_bytes(&btrfs).unwrap();
        assert_eq!(found.label, "dumps");
        assert_eq!(found.uuid, "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0");
    }

    #[test]
    fn none_and_cut_off() {
        assert_eq!(in_bytes(&vec![0; 0x2_0000]), None);
        assert_eq!(in_bytes(&[]), None);
        assert_eq!(in_bytes(&ext4()[..1100]), None);
    }
}
