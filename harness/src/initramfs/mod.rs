//! The two initramfs: /init, its order, and the files that it needs.
//!
//! They are written uncompressed, straight from the host's files. Every kernel with
//! CONFIG_BLK_DEV_INITRD unpacks that, whichever of CONFIG_RD_GZIP to CONFIG_RD_ZSTD it was built
//! with. Compressing the capture kernel's was measured and does not pay (healthy@virtio-blk on
//! Debian's 6.1 under TCG, 7.6 MiB plain):
//! - lz4 (4.1 MiB) costs the host some milliseconds, but the kernel's unlz4() has a buffer of 8 MiB
//!   for a chunk (lib/decompress_unlz4.c): the smallest crashkernel= that leaves a dump rises from
//!   100M to 104M. An early kernel of RHEL 7 was built without CONFIG_RD_LZ4, besides.
//! - gzip (2.9 MiB) lowers it to 96M. The guest wins no time: what hashing and copying save,
//!   unpacking takes. The host needs 0.1 s at the fastest level, two thirds of what may pass from
//!   the command until QEMU starts (benches/figures).

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
