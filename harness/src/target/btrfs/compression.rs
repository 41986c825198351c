//! Compressed extents.

use std::io::Read;

use crate::lzo;
use crate::target::bytes::le32;

/// An extent is compressed as one, and has at most 128 KiB (BTRFS_MAX_UNCOMPRESSED).
pub(super) const MAX_UNPACKED: u64 = 128 << 10;
/// No window is larger than what is compressed.
const ZSTD_WINDOW: u64 = MAX_UNPACKED;

/// How an extent is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Zlib,
    Lzo,
    Zstd,
}

impl Compression {
    /// Unpacks into `output`, which stays zero behind the end of what there is. `None` when the
    /// data is damaged.
    pub(super) fn unpack(self, packed: &[u8], output: &mut [u8], sector_size: usize) -> Option<()> {
        match self {
            Self::Zlib => fill(flate2::read::ZlibDecoder::new(packed), output),
            Self::Lzo => unpack_lzo(packed, output, sector_size),
            Self::Zstd => {
                let mut decoder = ruzstd::decoding::FrameDecoder::new();
                decoder.set_max_window_size(ZSTD_WINDOW);
                let stream = ruzstd::decoding::StreamingDecoder::new_with_decoder(packed, decoder);
                fill(stream.ok()?, output)
            }
        }
    }
}

fn fill(mut stream: impl Read, output: &mut [u8]) -> Option<()> {
    let mut done = 0;
    while done < output.len() {
        match stream.read(&mut output[done..]).ok()? {
            0 => break,
            read => done += read,
        }
    }
    Some(())
}

/// The length of all, then segments of one sector's content, each with its length before it, which
/// does not cross the end of a sector (fs/btrfs/lzo.c).
fn unpack_lzo(packed: &[u8], output: &mut [u8], sector_size: usize) -> Option<()> {
    let packed = packed.get(..le32(packed, 0) as usize)?;
    let mut at = 4;
    for segment in output.chunks_mut(sector_size) {
        if sector_size - at % sector_size < 4 {
            at = at.next_multiple_of(sector_size);
        }
        if at >= packed.len() {
            break;
        }
        let len = le32(packed, at) as usize;
        lzo::decompress(packed.get(at + 4..(at + 4).checked_add(len)?)?, segment)?;
        at += 4 + len;
    }
    Some(())
}
