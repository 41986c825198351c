//! Physical memory of the machine that died, a page at a time.

use std::io;

/// x86_64's base page. Dumps of machines with another one are refused.
pub(super) const PAGE: usize = 4096;

/// One page's bytes.
pub(super) type Page = [u8; PAGE];

/// A page of physical memory cannot be had from the dump.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The dump does not hold it: left out by the dump level, or never memory.
    #[error("page frame {pfn:#x} is not in the dump")]
    Missing {
        /// Page frame number: physical address / 4096.
        pfn: u64,
    },
    /// The dump says where it is, but not rightly.
    #[error("page frame {pfn:#x} is damaged: {how}")]
    Damaged {
        /// Page frame number.
        pfn: u64,
        /// What is wrong with it.
        how: String,
    },
    /// The dump could not be read.
    #[error("the dump cannot be read at byte {offset}: {source}")]
    Io {
        /// Where in the dump.
        offset: u64,
        /// What the medium says.
        source: io::Error,
    },
}

/// A source of pages.
pub(super) trait Memory {
    /// Fills `page` with page frame `pfn`.
    fn read_page(&self, pfn: u64, page: &mut Page) -> Result<(), MemoryError>;
}
