//! Crash dumps, read on the host: is it a dump, is all of it there, and what does the log of the
//! kernel that died in it say.
//!
//! Two formats of x86_64 dumps are read: ELF (what /proc/vmcore is, and `makedumpfile -E`) and
//! makedumpfile's kdump-compressed format, versions 1 to 6; each as it is, or flattened
//! (`makedumpfile -F`). Nothing is trusted: lengths and pointers of a dump bound neither memory
//! nor time.

mod bytes;
mod codec;
mod elf;
mod flat;
mod inspect;
mod kdump;
mod log;
mod memory;
mod notes;
mod of_guest;
mod paging;
mod printk_ring;
mod record_log;
mod vmcoreinfo;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

pub use bytes::ReadAt;
pub use codec::Compression;
pub use flat::FlatFile;
pub use inspect::{
    Completeness, DumpLevel, Format, Frames, Inspection, Lack, Packed, Stream, VmcoreError, inspect,
};
pub use log::LogError;
pub use memory::MemoryError;
pub use of_guest::{GuestDump, GuestDumpError, Intake};
pub use paging::TranslationError;
pub use vmcoreinfo::VmcoreInfo;
