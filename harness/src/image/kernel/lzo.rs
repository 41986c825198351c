//! LZO as the kernel uses it: the lzop container of `lib/decompress_unlzo.c` around LZO1X blocks
//! (bit layout: `Documentation/staging/lzo.rst`).

use super::payload::{PayloadError, Reader};

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
            lzo1x(block, plain, &mut out)?;
        }
    }
}

/// Appends exactly `plain` bytes to `out`.
fn lzo1x(block: &[u8], plain: usize, out: &mut Vec<u8>) -> Result<(), PayloadError> {
    let damaged = |what| PayloadError::damaged("lzo", what);
    let mut from = Reader::new("lzo", block);
    let start = out.len();
    let literals = |from: &mut Reader<'_>, out: &mut Vec<u8>, length: usize| {
        if out.len() - start + length > plain {
            return Err(damaged("block longer than stated"));
        }
        out.extend_from_slice(from.take(length)?);
        Ok(())
    };

    // Literals that the last instruction copied: 0 to 3, and 4 for "a run".
    let mut state = 0;
    if let Some(first @ 18..) = block.first().copied() {
        from.byte()?;
        let length = usize::from(first - 17);
        literals(&mut from, out, length)?;
        state = length.min(4);
    }
    loop {
        let instruction = usize::from(from.byte()?);
        let (length, distance, trailing) = match instruction {
            0..16 if state == 0 => {
                let length = 3 + long(&mut from, instruction, 15)?;
                literals(&mut from, out, length)?;
                state = 4;
                continue;
            }
            0..16 => {
                let high = usize::from(from.byte()?) << 2;
                let near = (instruction >> 2) + high;
                match state {
                    4 => (3, near + 2049, instruction & 3),
                    _ => (2, near + 1, instruction & 3),
                }
            }
            16..32 => {
                let length = 2 + long(&mut from, instruction & 7, 7)?;
                let word = from.le16()?;
                let distance = ((instruction & 8) << 11) + usize::from(word >> 2);
                if distance == 0 {
                    return match (length, out.len() - start) {
                        (3, made) if made == plain => Ok(()),
                        _ => Err(damaged("block ends early")),
                    };
                }
                (length, distance + 16384, usize::from(word & 3))
            }
            32..64 => {
                let length = 2 + long(&mut from, instruction & 31, 31)?;
                let word = from.le16()?;
                (length, usize::from(word >> 2) + 1, usize::from(word & 3))
            }
            _ => {
                let high = usize::from(from.byte()?) << 3;
                let near = (instruction >> 2) & 7;
                ((instruction >> 5) + 1, high + near + 1, instruction & 3)
            }
        };
        let made = out.len() - start;
        if distance > made {
            return Err(damaged("match before the start"));
        }
        if made + length > plain {
            return Err(damaged("block longer than stated"));
        }
        // A match may overlap what it makes, so byte by byte.
        for at in out.len() - distance..out.len() - distance + length {
            out.push(out[at]);
        }
        literals(&mut from, out, trailing)?;
        state = trailing;
    }
}

/// A length field: zero says that more bytes follow, each zero byte standing for 255.
fn long(from: &mut Reader<'_>, field: usize, base: usize) -> Result<usize, PayloadError> {
    if field != 0 {
        return Ok(field);
    }
    let mut length = base;
    loop {
        match from.byte()? {
            0 => length += 255,
            last => return Ok(length + usize::from(last)),
        }
    }
}
