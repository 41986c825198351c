//! ELF notes of a dump: one NT_PRSTATUS for every CPU that saved its registers, VMCOREINFO, and
//! makedumpfile's ERASEINFO. Both formats hold them.

use super::bytes::{ReadAt, u32_at};
use super::vmcoreinfo::{self, VmcoreInfo};

/// One for each CPU, one VMCOREINFO, and a few makers' own. A hostile dump has a million segments
/// that all point to the same ones, so this is for all segments together.
const MAX_NOTES: u32 = 1 << 16;
const NT_PRSTATUS: u32 = 1;

/// What the notes say.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) info: VmcoreInfo,
    /// CPUs whose registers are there.
    pub(super) cpus: u32,
    /// makedumpfile erased data by a configuration (`--config`, `--eppic`).
    pub(super) erased: bool,
    /// Notes that were read so far.
    seen: u32,
}

impl Notes {
    /// Reads the notes from `at` to `end`; what cannot be read is missed later, by whoever needs
    /// it.
    pub(super) fn read(&mut self, reader: &dyn ReadAt, mut at: u64, end: u64) {
        while self.seen < MAX_NOTES {
            self.seen += 1;
            let mut head = [0; 24];
            if end.saturating_sub(at) < 12 {
                return;
            }
            let take = (end - at).min(head.len() as u64) as usize;
            if reader.read_exact_at(at, &mut head[..take]).is_err() {
                return;
            }
            let name_len = u64::from(u32_at(&head, 0));
            let text_len = u64::from(u32_at(&head, 4));
            let text_at = at
                .saturating_add(12)
                .saturating_add(name_len.next_multiple_of(4));
            // With or without the zero that ends it.
            let name = &head[12..12 + name_len.min(12) as usize];
            match name.strip_suffix(b"\0").unwrap_or(name) {
                b"VMCOREINFO" if self.info.is_empty() => {
                    let mut text = vec![0; text_len.min(vmcoreinfo::MAX_LEN) as usize];
                    if reader.read_exact_at(text_at, &mut text).is_ok() {
                        self.info = VmcoreInfo::parse(&text);
                    }
                }
                b"CORE" if u32_at(&head, 8) == NT_PRSTATUS => self.cpus += 1,
                b"ERASEINFO" => self.erased = true,
                _ => {}
            }
            at = text_at.saturating_add(text_len.next_multiple_of(4));
        }
    }
}
