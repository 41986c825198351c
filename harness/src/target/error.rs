//! What can be wrong with a dump target.

use std::io;

/// The target's file system cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The image file itself.
    #[error("the dump target's disk image cannot be read: {0}")]
    Disk(#[from] io::Error),
    /// None that is known, or a broken one.
    #[error("the file system on the dump target cannot be read: {0}")]
    FileSystem(String),
    /// Not there.
    #[error("there is no `{0}` on the dump target")]
    NotFound(String),
    /// Too much of something.
    #[error("the file system on the dump target {0}")]
    Unreasonable(String),
}
