//! LZO as the kernel uses it: the lzop container of `lib/decompress_unlzo.c` around LZO1X blocks
//! (bit layout: `Documentation/staging/lzo.rst`).

use super::payload::{PayloadError, Reader};
use crate::lzo;

const MAGIC: [u8; 9] = [0x89, b'L', b'Z', b'O', 0x00, 0x0d, 0x0a, 0x1a, 0x0a];
const BLOCK: usize = 256 << 10;
const HEADER_HAS_FILTER: u32 = 0x800;

/// `limit` bounds the output.
pub(super) fn unlzop(data: &[u8], limit: usize) -> Result<Vec<u8>, PayloadError> {
    let damaged = |what| PayloadError::damaged("lzo", what);
    let mut from = Reader::new("lzo", data);
    if from.take(MAGIC.len())? != MAGIC {
        return Err(damaged("no lzop magic"));
    }
    let version = from.be16()?;
    // Library version, version needed to extract, method; then the level in newer files.
    from.take(5 + usize::from(version >= 0x940))?;
    if from.be32()? & HEADER_HAS_FILTER != 0 {
        from.take(4)?;
    }
    // Mode and mtime, whose high half newer files have.
    from.take(8 + if version >= 0x940 { 4 } else { 0 })?;
    let name = from.byte()?;
    from.take(usize::from(name) + 4)?;

    let mut out = Vec::new();
    loop {
        let plain = from.be32()? as usize;
        if plain == 0 {
            return Ok(out);
        }
        let packed = from.be32()? as usize;
        // The checksum of the plain block.
        from.take(4)?;
        if plain > BLOCK || packed == 0 || packed > plain {
            return Err(damaged("impossible block size"));
        }
        if out.len() + plain > limit {
            return Err(PayloadError::TooLarge { limit });
        }
        let block = from.take(packed)?;
        if packed == plain {
            out.extend_from_slice(block);
        } else {
            let start = out.len();
            out.resize(start + plain, 0);
            if lzo::decompress(block, &mut out[start..]) != Some(plain) {
                return Err(damaged("block"));
            }
        }
    }
}
