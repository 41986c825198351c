//! The two initramfs: /init, its order, and the files that it needs.
//!
//! They are written uncompressed, which every kernel unpacks, straight from the host's files.

mod archive;
mod assemble;
mod cpio;

pub use archive::{Archive, ArchiveError, Content, Entry, Node};
pub use assemble::{
    AssembleError, CAPTURE_INITRAMFS, CAPTURE_KERNEL, GUEST_INIT, Parts, capture, first, server,
};
pub use cpio::{CpioError, Header, Reader, kind};

#[cfg(test)]
mod tests;
