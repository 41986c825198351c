//! How one page is packed in the kdump-compressed format.

use super::memory::{PAGE, Page};
use crate::lzo;

const ZLIB: u32 = 0x1;
const LZO: u32 = 0x2;
const SNAPPY: u32 = 0x4;
const ZSTD: u32 = 0x20;

/// A page is one zstd block; a frame that asks for a larger window is no page.
const ZSTD_WINDOW: u64 = 1 << 20;

/// Unpacks one page. `flags` are the page descriptor's. The error says what is wrong.
pub(super) fn unpack(flags: u32, packed: &[u8], page: &mut Page) -> Result<(), String> {
    let (name, unpacked) = match flags & (ZLIB | LZO | SNAPPY | ZSTD) {
        0 => ("plain", plain(packed, page)),
        ZLIB => ("zlib", zlib(packed, page)),
        LZO => ("lzo", lzo::decompress(packed, page)),
        SNAPPY => (
            "snappy",
            snap::raw::Decoder::new().decompress(packed, page).ok(),
        ),
        ZSTD => ("zstd", zstd(packed, page)),
        other => return Err(format!("compression flags {other:#x}")),
    };
    match unpacked {
        Some(PAGE) => Ok(()),
        Some(length) => Err(format!("{length} bytes of {name} data make no page")),
        None => Err(format!("broken {name} data")),
    }
}

fn plain(packed: &[u8], page: &mut Page) -> Option<usize> {
    if packed.len() == PAGE {
        page.copy_from_slice(packed);
    }
    Some(packed.len())
}

fn zlib(packed: &[u8], page: &mut Page) -> Option<usize> {
    let mut zlib = flate2::Decompress::new(true);
    let status = zlib
        .decompress(packed, page, flate2::FlushDecompress::Finish)
        .ok()?;
    (status == flate2::Status::StreamEnd).then_some(zlib.total_out() as usize)
}

fn zstd(packed: &[u8], page: &mut Page) -> Option<usize> {
    let mut decoder = ruzstd::decoding::FrameDecoder::new();
    decoder.set_max_window_size(ZSTD_WINDOW);
    decoder.decode_all(packed, page).ok()
}
