//! An empty, formatted disk image without a name.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::child::dying_with_us;
use crate::units::Bytes;

/// The same on every disk, so that a scenario can name its dump target by UUID= or LABEL=.
const UUID: &str = "c7a54d11-0000-4000-8000-000000000001";
const LABEL: &str = "crashdump";

/// What mke2fs would read instead of its own defaults: a host's /etc/mke2fs.conf may switch on
/// features that an old kernel does not know.
const NO_CONFIG: &str = "/dev/null";

/// Which of the three file systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ext {
    /// No journal, block maps.
    Ext2,
    /// Journal, block maps.
    Ext3,
    /// Journal, extents.
    Ext4,
}

impl Ext {
    /// Every feature by name, none by default: what a 3.10 kernel mounts read-write, and the
    /// reader on the host reads. `none` first drops whatever this mke2fs would choose, so that
    /// features newer than this list need not be known to be kept out.
    fn features(self) -> &'static str {
        match self {
            Ext::Ext2 => "none,filetype,sparse_super,large_file,ext_attr,dir_index",
            Ext::Ext3 => "none,has_journal,filetype,sparse_super,large_file,ext_attr,dir_index",
            Ext::Ext4 => {
                "none,has_journal,extent,filetype,sparse_super,large_file,huge_file,flex_bg,\
                 uninit_bg,dir_nlink,extra_isize,ext_attr,dir_index"
            }
        }
    }
}

/// The disk could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// No temporary file, or no room for one.
    #[error("cannot make a temporary file of {size} for the dump target's disk: {source}")]
    File {
        /// As asked for.
        size: Bytes,
        /// What the system says.
        source: io::Error,
    },
    /// mke2fs is not there.
    #[error("cannot run `{program}`: {source} (it is part of e2fsprogs)")]
    NotRun {
        /// The program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// mke2fs would not.
    #[error("`{program}` could not format a disk of {size}: {says}")]
    Failed {
        /// The program.
        program: String,
        /// As asked for.
        size: Bytes,
        /// Its own words.
        says: String,
    },
}

/// An unnamed, sparse file of `size`, formatted as ext4 for kernels from 3.10 on.
///
/// `mke2fs` is the command without arguments, e.g. `Command::new("mke2fs")` or one that runs an
/// image's own.
///
/// # Errors
/// No temporary file, no mke2fs, or a size that it refuses.
pub fn make_disk(size: Bytes, mke2fs: Command) -> Result<File, DiskError> {
    make_disk_with(Ext::Ext4, size, mke2fs)
}

/// [`make_disk`] with another of the three file systems.
///
/// # Errors
/// As [`make_disk`].
pub fn make_disk_with(ext: Ext, size: Bytes, mut mke2fs: Command) -> Result<File, DiskError> {
    let file = |source| DiskError::File { size, source };
    let disk = tempfile::tempfile().map_err(file)?;
    disk.set_len(size.0).map_err(file)?;

    let program = mke2fs.get_program().to_string_lossy().into_owned();
    mke2fs
        .env("MKE2FS_CONFIG", NO_CONFIG)
        .env("LC_ALL", "C")
        .args([
            "-F", "-q", "-b", "4096", "-I", "256", "-m", "0", "-N", "1024",
        ])
        .args(["-O", ext.features(), "-U", UUID, "-L", LABEL])
        .args(["-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"])
        .arg("/proc/self/fd/0")
        .stdin(Stdio::from(disk.try_clone().map_err(file)?))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // A terminal's ^C is for the harness; a killed mke2fs would look like one that failed.
        .process_group(0);
    let output = dying_with_us(&mut mke2fs)
        .output()
        .map_err(|source| DiskError::NotRun {
            program: program.clone(),
            source,
        })?;
    if output.status.success() {
        return Ok(disk);
    }
    let says = String::from_utf8_lossy(&output.stderr);
    Err(DiskError::Failed {
        program,
        size,
        says: match says.trim() {
            "" => output.status.to_string(),
            text => text.to_owned(),
        },
    })
}
