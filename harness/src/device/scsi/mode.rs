//! Mode pages (SPC-4, 7.5; SBC-3, 6.5): how the disk behaves, none of which can be changed.

use super::{BLOCK, Sense};

/// Which of the two commands asks: they differ in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Six,
    Ten,
}

/// Which pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// Current values, what may be changed, defaults, saved ones.
    pub(super) control: u8,
    pub(super) code: u8,
    pub(super) subcode: u8,
    pub(super) block_descriptor: bool,
}

const ALL_PAGES: u8 = 0x3f;
const ALL_SUBPAGES: u8 = 0xff;
const SAVED: u8 = 3;
const CHANGEABLE: u8 = 1;
/// Device-specific parameter of a disk: DPO and FUA are known.
const DPO_FUA: u8 = 0x10;

/// Answers MODE SENSE.
pub(super) fn sense(page: Page, form: Form, blocks: u64) -> Result<Vec<u8>, Sense> {
    if page.control == SAVED {
        return Err(Sense::NOTHING_SAVED);
    }
    let mut body = Vec::new();
    for (code, parameters) in pages() {
        let wanted = match (page.code, page.subcode) {
            (ALL_PAGES, 0 | ALL_SUBPAGES) => true,
            (wanted, 0) => wanted == code,
            _ => false,
        };
        if wanted {
            body.extend([code, parameters.len() as u8]);
            match page.control {
                CHANGEABLE => body.resize(body.len() + parameters.len(), 0),
                _ => body.extend(parameters),
            }
        }
    }
    if body.is_empty() {
        return Err(Sense::INVALID_FIELD);
    }
    let descriptor = match page.block_descriptor {
        true => descriptor(blocks),
        false => Vec::new(),
    };
    Ok(with_header(form, &descriptor, &body))
}

fn with_header(form: Form, descriptor: &[u8], body: &[u8]) -> Vec<u8> {
    // The length does not count itself.
    let mut answer = match form {
        Form::Six => {
            let length = 3 + descriptor.len() + body.len();
            vec![length as u8, 0, DPO_FUA, descriptor.len() as u8]
        }
        Form::Ten => {
            let [high, low] = ((6 + descriptor.len() + body.len()) as u16).to_be_bytes();
            vec![high, low, 0, DPO_FUA, 0, 0, 0, descriptor.len() as u8]
        }
    };
    answer.extend(descriptor);
    answer.extend(body);
    answer
}

/// The short block descriptor: blocks, or that they do not fit, and bytes of a block.
fn descriptor(blocks: u64) -> Vec<u8> {
    let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
    [blocks.to_be_bytes(), (BLOCK as u32).to_be_bytes()].concat()
}

/// Read-write error recovery, caching and control, each without its header.
fn pages() -> [(u8, Vec<u8>); 3] {
    // Reassign bad blocks by itself, for reads and writes.
    let mut recovery = vec![0; 10];
    recovery[0] = 0xc0;
    // No write cache: a SAS disk of a server comes with it off. It reads ahead.
    let caching = vec![0; 18];
    // Commands may be reordered; no limit to busy time.
    let mut control = vec![0; 10];
    control[1] = 0x10;
    control[6..8].copy_from_slice(&u16::MAX.to_be_bytes());
    [(0x01, recovery), (0x08, caching), (0x0a, control)]
}
