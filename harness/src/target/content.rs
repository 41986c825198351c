//! What a disk holds before the machine starts.

use std::fmt;

use crate::kdump::conf::Filesystem;
use crate::units::Bytes;

/// The same on every disk that asks for no other.
const DEFAULT_UUID: &str = "c7a54d11-0000-4000-8000-000000000001";
const DEFAULT_LABEL: &str = "crashdump";

/// What a disk holds before the machine starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing but zeros: for `raw`.
    Blank,
    /// An empty file system.
    Filesystem(Format),
}

/// An empty file system that can be made as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    filesystem: Filesystem,
    uuid: String,
    label: String,
}

/// A UUID or label that the file system cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Not written as one.
    #[error(
        "`{0}` is no UUID of a file system that can be made here: write 32 hexadecimal digits as \
         {DEFAULT_UUID}"
    )]
    Uuid(String),
    /// More bytes than the superblock has room for.
    #[error(
        "the label `{label}` has {} bytes, and one of {} has at most {most}",
        label.len(),
        filesystem.name()
    )]
    LongLabel {
        /// As asked for.
        label: String,
        /// Of which kind.
        filesystem: Filesystem,
        /// In bytes.
        most: usize,
    },
    /// Empty, or with a byte in it that tools would stumble over.
    #[error("{0:?} is no label: it is empty, or has blanks, control characters or slashes")]
    Label(String),
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Blank => f.write_str("blank"),
            Content::Filesystem(format) => {
                let name = format.filesystem.name();
                write!(f, "{name} UUID={} LABEL={}", format.uuid, format.label)
            }
        }
    }
}

impl Format {
    /// With the UUID and the label that every disk has which asks for no other.
    pub fn new(filesystem: Filesystem) -> Self {
        Self {
            filesystem,
            uuid: DEFAULT_UUID.to_owned(),
            label: DEFAULT_LABEL.to_owned(),
        }
    }

    /// With another UUID, as in `UUID=…` of kdump.conf.
    ///
    /// # Errors
    /// Not 8-4-4-4-12 hexadecimal digits.
    pub fn uuid(mut self, uuid: &str) -> Result<Self, FormatError> {
        let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
        let digits = |c: char| c == '-' || c.is_ascii_hexdigit();
        if groups != [8, 4, 4, 4, 12] || !uuid.chars().all(digits) {
            return Err(FormatError::Uuid(uuid.to_owned()));
        }
        self.uuid = uuid.to_owned();
        Ok(self)
    }

    /// With another label, as in `LABEL=…` of kdump.conf.
    ///
    /// # Errors
    /// Too long for this file system (ext2, ext3, ext4: 16 bytes, xfs: 12, btrfs: 255), or no
    /// label that a kdump.conf can name.
    pub fn label(mut self, label: &str) -> Result<Self, FormatError> {
        let refused = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '\\');
        if label.is_empty() || label.contains(refused) {
            return Err(FormatError::Label(label.to_owned()));
        }
        // s_volume_name, sb_fname, BTRFS_LABEL_SIZE with its zero.
        let most = match self.filesystem {
            Filesystem::Ext2 | Filesystem::Ext3 | Filesystem::Ext4 => 16,
            Filesystem::Xfs => 12,
            Filesystem::Btrfs => 255,
        };
        if label.len() > most {
            return Err(FormatError::LongLabel {
                label: label.to_owned(),
                filesystem: self.filesystem,
                most,
            });
        }
        self.label = label.to_owned();
        Ok(self)
    }

    /// Its kind.
    pub fn filesystem(&self) -> Filesystem {
        self.filesystem
    }

    /// The program that makes it; of e2fsprogs, xfsprogs or btrfs-progs.
    pub(super) fn program(&self) -> &'static str {
        match self.filesystem {
            Filesystem::Ext2 | Filesystem::Ext3 | Filesystem::Ext4 => "mke2fs",
            Filesystem::Xfs => "mkfs.xfs",
            Filesystem::Btrfs => "mkfs.btrfs",
        }
    }

    /// The smallest disk that the program formats: mkfs.xfs since xfsprogs 5.19, mkfs.btrfs with
    /// nodes of 16 KiB and metadata twice. mke2fs decides by itself.
    pub fn smallest(&self) -> Bytes {
        match self.filesystem {
            Filesystem::Ext2 | Filesystem::Ext3 | Filesystem::Ext4 => Bytes(0),
            Filesystem::Xfs => Bytes(300 * Bytes::MIB),
            Filesystem::Btrfs => Bytes(109 * Bytes::MIB),
        }
    }

    /// The program's arguments, but for the disk's path. Features are those that the 3.10 kernel
    /// of RHEL 7 mounts read-write, every newer one that the program switches on by itself is
    /// switched off.
    pub(super) fn arguments(&self) -> Vec<String> {
        let uuid = &self.uuid;
        let options = match self.filesystem {
            Filesystem::Ext2 | Filesystem::Ext3 | Filesystem::Ext4 => format!(
                "-F -q -b 4096 -I 256 -m 0 -N 1024 \
                 -E lazy_itable_init=1,lazy_journal_init=1,nodiscard -O {} -U {uuid}",
                ext_features(self.filesystem),
            ),
            Filesystem::Xfs => format!(
                "-q -K -m crc=1,finobt=0,rmapbt=0,reflink=0,bigtime=0,inobtcount=0,uuid={uuid} \
                 -i sparse=0,nrext64=0"
            ),
            Filesystem::Btrfs => format!(
                "-q -K -n 16384 -O ^skinny-metadata,^no-holes -R ^free-space-tree -U {uuid}"
            ),
        };
        let mut words: Vec<String> = options.split_whitespace().map(str::to_owned).collect();
        words.extend(["-L".to_owned(), self.label.clone()]);
        words
    }
}

/// Every feature by name, none by default: what a 3.10 kernel mounts read-write, and the reader on
/// the host reads. `none` first drops whatever this mke2fs would choose, so that features newer
/// than this list need not be known to be kept out.
pub(crate) fn ext_features(filesystem: Filesystem) -> &'static str {
    match filesystem {
        Filesystem::Ext2 => "none,filetype,sparse_super,large_file,ext_attr,dir_index",
        Filesystem::Ext3 => "none,has_journal,filetype,sparse_super,large_file,ext_attr,dir_index",
        _ => {
            "none,has_journal,extent,filetype,sparse_super,large_file,huge_file,flex_bg,\
             uninit_bg,dir_nlink,extra_isize,ext_attr,dir_index"
        }
    }
}
