//! The kernel's log, as dmesg would have shown it.

use super::paging::{KernelMemory, TranslationError};
use super::vmcoreinfo::VmcoreInfo;
use super::{printk_ring, record_log};

/// No kernel log is as long; log_buf_len= stops at 2 GiB but nobody fills that.
const MAX_TEXT: usize = 64 << 20;
/// Records of a 64 MiB log at the 32 bytes the kernel reckons with.
pub(super) const MAX_RECORDS: u64 = 1 << 21;

/// The log cannot be had from the dump.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Neither kind of log is described; kernels before 3.5 are like that.
    #[error("the dump's VMCOREINFO describes no kernel log (it has neither prb nor log_buf)")]
    NotDescribed,
    /// Described, but not wholly.
    #[error("the dump's VMCOREINFO lacks {0}")]
    Lacks(String),
    /// Its memory cannot be read.
    #[error(transparent)]
    Translation(#[from] TranslationError),
    /// What lies there is not a log.
    #[error("the kernel log in the dump is damaged: {0}")]
    Damaged(String),
}

/// Reads whichever kind of log the kernel had.
pub(super) fn read(kernel: &mut KernelMemory, info: &VmcoreInfo) -> Result<String, LogError> {
    if info.symbol("prb").is_some() {
        printk_ring::read(kernel, info)
    } else if info.symbol("log_buf").is_some() {
        record_log::read(kernel, info)
    } else {
        Err(LogError::NotDescribed)
    }
}

/// Log text under construction.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    /// One record, with the time that dmesg shows; a record may have several lines. False when
    /// the text has grown as long as a log can be.
    #[must_use]
    pub(super) fn record(&mut self, nanoseconds: u64, text: &[u8]) -> bool {
        let stamp = format!(
            "[{:5}.{:06}] ",
            nanoseconds / 1_000_000_000,
            nanoseconds % 1_000_000_000 / 1000
        );
        self.0.push_str(&stamp);
        for &byte in text {
            match byte {
                b'\n' => {
                    self.0.push('\n');
                    self.0.extend(std::iter::repeat_n(' ', stamp.len()));
                }
                b'\t' | b' '..=b'~' => self.0.push(char::from(byte)),
                other => self.0.push_str(&format!("\\x{other:02x}")),
            }
        }
        self.0.push('\n');
        self.0.len() < MAX_TEXT
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

pub(super) fn symbol(info: &VmcoreInfo, name: &str) -> Result<u64, LogError> {
    info.symbol(name)
        .ok_or_else(|| LogError::Lacks(format!("SYMBOL({name})")))
}

pub(super) fn offset(info: &VmcoreInfo, member: &str) -> Result<usize, LogError> {
    info.offset(member)
        .ok_or_else(|| LogError::Lacks(format!("OFFSET({member})")))
}

pub(super) fn size(info: &VmcoreInfo, structure: &str) -> Result<usize, LogError> {
    info.size(structure)
        .ok_or_else(|| LogError::Lacks(format!("SIZE({structure})")))
}
