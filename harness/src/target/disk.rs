//! A disk image without a name, blank or formatted.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::content::{Content, Format};
use crate::child::dying_with_us;
use crate::image::UserlandError;
use crate::units::Bytes;

/// What mke2fs would read instead of its own defaults: a host's /etc/mke2fs.conf may switch on
/// features that an old kernel does not know.
const NO_CONFIG: &str = "/dev/null";

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
    /// Less than the file system needs.
    #[error("a disk of {size} is too small for {filesystem}: `{program}` wants {smallest}")]
    TooSmall {
        /// As asked for.
        size: Bytes,
        /// Which file system.
        filesystem: &'static str,
        /// The program that makes it.
        program: &'static str,
        /// The smallest size that it formats.
        smallest: Bytes,
    },
    /// The image has no such program.
    #[error(transparent)]
    NoProgram(#[from] UserlandError),
    /// The program is not there after all.
    #[error("cannot run `{program}`: {source}")]
    NotRun {
        /// The program.
        program: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The program would not.
    #[error("`{program}` could not format a disk of {size}: {says}")]
    Failed {
        /// The program.
        program: &'static str,
        /// As asked for.
        size: Bytes,
        /// Its own words.
        says: String,
    },
}

/// An unnamed, sparse file of `size` with `content`, for kernels from 3.10 on.
///
/// `command` gives the command of a program without arguments, e.g. one that runs an image's own:
/// `|program| image.userland.command(program)`. It is asked for `mke2fs`, `mkfs.xfs` or
/// `mkfs.btrfs`, and only when a file system is to be made.
///
/// # Errors
/// No temporary file, no such program, or a size that it refuses.
pub fn make_disk(
    size: Bytes,
    content: &Content,
    command: impl FnOnce(&str) -> Result<Command, UserlandError>,
) -> Result<File, DiskError> {
    let file = |source| DiskError::File { size, source };
    let format = match content {
        Content::Blank => None,
        Content::Filesystem(format) if size < format.smallest() => {
            return Err(DiskError::TooSmall {
                size,
                filesystem: format.filesystem().name(),
                program: format.program(),
                smallest: format.smallest(),
            });
        }
        Content::Filesystem(format) => Some(format),
    };
    let disk = tempfile::tempfile().map_err(file)?;
    disk.set_len(size.0).map_err(file)?;
    if let Some(format) = format {
        let stdin = disk.try_clone().map_err(file)?;
        run(command(format.program())?, format, size, stdin)?;
    }
    Ok(disk)
}

/// The disk is the program's standard input: it has no name that could be given.
fn run(mut mkfs: Command, format: &Format, size: Bytes, disk: File) -> Result<(), DiskError> {
    let program = format.program();
    mkfs.env("MKE2FS_CONFIG", NO_CONFIG)
        .env("LC_ALL", "C")
        .args(format.arguments())
        .arg("/proc/self/fd/0")
        .stdin(Stdio::from(disk))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // A terminal's ^C is for the harness; a killed program would look like one that failed.
        .process_group(0);
    let output = dying_with_us(&mut mkfs)
        .output()
        .map_err(|source| DiskError::NotRun { program, source })?;
    if output.status.success() {
        return Ok(());
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
