//! How one page is packed in the kdump-compressed format.

use schemars::JsonSchema;
use serde::Serialize;

use super::memory::{PAGE, Page};
use crate::lzo;

/// How a page is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// As it was: the dump is not compressed, or the page would not have become smaller.
    None,
    /// makedumpfile -c.
    Zlib,
    /// makedumpfile -l.
    Lzo,
    /// makedumpfile -p.
    Snappy,
    /// makedumpfile -z.
    Zstd,
}

impl Compression {
    /// Every one.
    pub(super) const ALL: [Self; 5] = [Self::None, Self::Zlib, Self::Lzo, Self::Snappy, Self::Zstd];

    /// As the flags of a page's descriptor have it (DUMP_DH_COMPRESSED_*).
    pub(super) fn of(flags: u32) -> Option<Self> {
        match flags & (ZLIB | LZO | SNAPPY | ZSTD) {
            0 => Some(Self::None),
            ZLIB => Some(Self::Zlib),
            LZO => Some(Self::Lzo),
            SNAPPY => Some(Self::Snappy),
            ZSTD => Some(Self::Zstd),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "plain",
            Self::Zlib => "zlib",
            Self::Lzo => "lzo",
            Self::Snappy => "snappy",
            Self::Zstd => "zstd",
        }
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

const ZLIB: u32 = 0x1;
const LZO: u32 = 0x2;
const SNAPPY: u32 = 0x4;
const ZSTD: u32 = 0x20;

/// A page is one zstd block; a frame that asks for a larger window is no page.
const ZSTD_WINDOW: u64 = 1 << 20;

/// Unpacks one page. `flags` are the page descriptor's. The error says what is wrong.
pub(super) fn unpack(flags: u32, packed: &[u8], page: &mut Page) -> Result<(), String> {
    let Some(compression) = Compression::of(flags) else {
        return Err(format!("compression flags {flags:#x}"));
    };
    let unpacked = match compression {
        Compression::None => plain(packed, page),
        Compression::Zlib => zlib(packed, page),
        Compression::Lzo => lzo::decompress(packed, page),
        Compression::Snappy => snap::raw::Decoder::new().decompress(packed, page).ok(),
        Compression::Zstd => zstd(packed, page),
    };
    match unpacked {
        Some(PAGE) => Ok(()),
        Some(length) => Err(format!("{length} bytes of {compression} data make no page")),
        None => Err(format!("broken {compression} data")),
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
