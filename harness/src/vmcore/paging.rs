//! Virtual addresses of a dead x86_64 kernel: its own page tables, walked in the dump.
//!
//! Intel SDM volume 3, 5.5 "4-level paging and 5-level paging".

use std::collections::HashMap;

use super::bytes::u64_at;
use super::memory::{Memory, MemoryError, PAGE, Page};
use super::vmcoreinfo::VmcoreInfo;

/// __START_KERNEL_map: where the kernel's text is mapped; physical = virtual - this + phys_base.
pub(super) const KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
const FRAME: u64 = 0x000f_ffff_ffff_f000;

/// Pages held in memory at once: 2 MiB.
const CACHED_PAGES: usize = 512;

/// A virtual address of the dead kernel cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TranslationError {
    /// VMCOREINFO does not say where the page tables are.
    #[error("the dump's VMCOREINFO has no {missing}")]
    NoPageTables {
        /// What it would take.
        missing: &'static str,
    },
    /// The page tables have nothing there.
    #[error("the dead kernel maps nothing at {address:#x}")]
    NotMapped {
        /// Virtual address.
        address: u64,
    },
    /// The page tables, or the page, are not in the dump.
    #[error("address {address:#x} of the dead kernel: {source}")]
    Memory {
        /// Virtual address.
        address: u64,
        /// Why not.
        source: MemoryError,
    },
}

/// The dead kernel's own view of its memory.
pub(super) struct KernelMemory<'a> {
    memory: &'a dyn Memory,
    /// Physical address of the top table.
    root: u64,
    levels: u32,
    frame_mask: u64,
    pages: HashMap<u64, Box<Page>>,
    /// Last translation: virtual page number, page frame number.
    last: Option<(u64, u64)>,
}

impl<'a> KernelMemory<'a> {
    /// `phys_base` is used when VMCOREINFO itself has none (before 4.10).
    pub(super) fn new(
        memory: &'a dyn Memory,
        info: &VmcoreInfo,
        phys_base: Option<u64>,
    ) -> Result<Self, TranslationError> {
        let root = ["init_top_pgt", "swapper_pg_dir", "init_level4_pgt"]
            .iter()
            .find_map(|name| info.symbol(name))
            .ok_or(TranslationError::NoPageTables {
                missing: "SYMBOL(swapper_pg_dir)",
            })?;
        let phys_base = info
            .number("phys_base")
            .map(|base| base as u64)
            .or(phys_base)
            .ok_or(TranslationError::NoPageTables {
                missing: "NUMBER(phys_base)",
            })?;
        let encryption = info.number("sme_mask").unwrap_or(0) as u64;
        Ok(Self {
            memory,
            root: root.wrapping_sub(KERNEL_MAP).wrapping_add(phys_base) & FRAME,
            levels: match info.number("pgtable_l5_enabled") {
                Some(1) => 5,
                _ => 4,
            },
            frame_mask: FRAME & !encryption,
            pages: HashMap::new(),
            last: None,
        })
    }

    /// Fills `buf` from virtual `address` on.
    pub(super) fn read(&mut self, address: u64, buf: &mut [u8]) -> Result<(), TranslationError> {
        let mut done = 0;
        while done < buf.len() {
            let at = address.wrapping_add(done as u64);
            let within = (at % PAGE as u64) as usize;
            let take = (PAGE - within).min(buf.len() - done);
            let frame = self.translate(at)?;
            let page = self
                .page(frame)
                .map_err(|source| TranslationError::Memory {
                    address: at,
                    source,
                })?;
            buf[done..done + take].copy_from_slice(&page[within..within + take]);
            done += take;
        }
        Ok(())
    }

    pub(super) fn read_u32(&mut self, address: u64) -> Result<u32, TranslationError> {
        let mut raw = [0; 4];
        self.read(address, &mut raw)?;
        Ok(u32::from_le_bytes(raw))
    }

    pub(super) fn read_u64(&mut self, address: u64) -> Result<u64, TranslationError> {
        let mut raw = [0; 8];
        self.read(address, &mut raw)?;
        Ok(u64::from_le_bytes(raw))
    }

    /// Page frame number of a virtual address.
    fn translate(&mut self, address: u64) -> Result<u64, TranslationError> {
        let number = address / PAGE as u64;
        if let Some((_, frame)) = self.last.filter(|(last, _)| *last == number) {
            return Ok(frame);
        }
        let mut table = self.root;
        for level in (1..=self.levels).rev() {
            let shift = 12 + 9 * (level - 1);
            let index = (address >> shift) & 511;
            let page = self
                .page(table / PAGE as u64)
                .map_err(|source| TranslationError::Memory { address, source })?;
            let entry = u64_at(page, index as usize * 8);
            if entry & PRESENT == 0 {
                return Err(TranslationError::NotMapped { address });
            }
            let target = entry & self.frame_mask;
            if level == 1 || (level <= 3 && entry & LARGE != 0) {
                let offset = (1u64 << shift) - 1;
                let frame = ((target & !offset) | (address & offset)) / PAGE as u64;
                self.last = Some((number, frame));
                return Ok(frame);
            }
            table = target;
        }
        Err(TranslationError::NotMapped { address })
    }

    fn page(&mut self, pfn: u64) -> Result<&Page, MemoryError> {
        if !self.pages.contains_key(&pfn) {
            let mut page = Box::new([0; PAGE]);
            self.memory.read_page(pfn, &mut page)?;
            if self.pages.len() >= CACHED_PAGES {
                self.pages.clear();
            }
            self.pages.insert(pfn, page);
        }
        // Just inserted, if it was not there before.
        self.pages
            .get(&pfn)
            .map(Box::as_ref)
            .ok_or(MemoryError::Missing { pfn })
    }
}
