//! The compressed kernel inside a bzImage.

use std::io::Read;

use liblzma::stream::Stream;

use super::lzo::unlzop;

/// No kernel is larger; what claims to be is damaged.
const LIMIT: usize = 512 << 20;
/// What an xz or lzma decoder may take: kernels use dictionaries of up to 128 MiB.
const DICTIONARY: u64 = 256 << 20;
/// The kernel's own bound (`LZ4_DEFAULT_UNCOMPRESSED_CHUNK_SIZE`).
const LZ4_CHUNK: usize = 8 << 20;
const LZ4_MAGIC: u32 = 0x184c_2102;

/// A payload that cannot be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// None of the formats that a kernel can be built with.
    #[error(
        "unknown compression (first bytes {start:02x?}); a kernel is compressed with gzip, bzip2, \
         lzma, xz, lzo, lz4 or zstd"
    )]
    Unknown {
        /// The first bytes.
        start: Vec<u8>,
    },
    /// The decompressor gave up.
    #[error("the {format} data is damaged: {what}")]
    Damaged {
        /// Name of the format.
        format: &'static str,
        /// What it says.
        what: String,
    },
    /// More than any kernel.
    #[error("it would decompress to more than {} MiB", limit >> 20)]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The size in the last four bytes is another one.
    #[error("it decompresses to {real} bytes, but {stated} are stated: the file is damaged")]
    Size {
        /// What the payload states.
        stated: u32,
        /// What came out.
        real: usize,
    },
}

impl PayloadError {
    pub(super) fn damaged(format: &'static str, what: impl ToString) -> Self {
        let what = what.to_string();
        Self::Damaged { format, what }
    }
}

/// Decompresses a bzImage's payload: compressed data whose last four bytes are the plain size.
///
/// # Errors
/// [`PayloadError`]; the output never exceeds 512 MiB.
pub fn decompress(payload: &[u8]) -> Result<Vec<u8>, PayloadError> {
    decompress_within(payload, LIMIT)
}

pub(super) fn decompress_within(payload: &[u8], limit: usize) -> Result<Vec<u8>, PayloadError> {
    let unknown = || PayloadError::Unknown {
        start: payload.iter().take(8).copied().collect(),
    };
    let (data, size) = payload.split_last_chunk::<4>().ok_or_else(unknown)?;
    let plain = match payload {
        // gzip's own trailer ends with the size, so nothing was appended to it.
        [0x1f, 0x8b, ..] => drain("gzip", flate2::read::GzDecoder::new(payload), limit)?,
        [b'B', b'Z', b'h', ..] => drain("bzip2", bzip2::read::BzDecoder::new(data), limit)?,
        [0x5d, 0, 0, ..] => drain(
            "lzma",
            lzma("lzma", data, Stream::new_lzma_decoder(DICTIONARY))?,
            limit,
        )?,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => unxz_within(data, limit)?,
        [0x89, b'L', b'Z', b'O', ..] => unlzop(data, limit)?,
        [0x02, 0x21, 0x4c, 0x18, ..] => unlz4(data, limit)?,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => unzstd_within(data, limit)?,
        _ => return Err(unknown()),
    };
    match u32::from_le_bytes(*size) {
        stated if stated as usize == plain.len() => Ok(plain),
        stated => Err(PayloadError::Size {
            stated,
            real: plain.len(),
        }),
    }
}

/// A whole .xz file, with whatever filters (kernels use BCJ x86).
pub(in super::super) fn unxz(data: &[u8]) -> Result<Vec<u8>, PayloadError> {
    unxz_within(data, LIMIT)
}

fn unxz_within(data: &[u8], limit: usize) -> Result<Vec<u8>, PayloadError> {
    drain(
        "xz",
        lzma("xz", data, Stream::new_stream_decoder(DICTIONARY, 0))?,
        limit,
    )
}

/// A whole .zst file.
pub(in super::super) fn unzstd(data: &[u8]) -> Result<Vec<u8>, PayloadError> {
    unzstd_within(data, LIMIT)
}

fn unzstd_within(data: &[u8], limit: usize) -> Result<Vec<u8>, PayloadError> {
    // `zstd -22 --ultra`, which kernels are built with, asks for windows of 128 MiB.
    let decoder = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(data, DICTIONARY)
        .map_err(|error| PayloadError::damaged("zstd", error))?;
    drain("zstd", decoder, limit)
}

/// A whole .gz file.
pub(in super::super) fn gunzip(data: &[u8]) -> Result<Vec<u8>, PayloadError> {
    drain("gzip", flate2::read::GzDecoder::new(data), LIMIT)
}

fn lzma<'a>(
    format: &'static str,
    data: &'a [u8],
    stream: Result<Stream, liblzma::stream::Error>,
) -> Result<impl Read + 'a, PayloadError> {
    let stream = stream.map_err(|error| PayloadError::damaged(format, error))?;
    Ok(liblzma::bufread::XzDecoder::new_stream(data, stream))
}

fn drain(format: &'static str, decoder: impl Read, limit: usize) -> Result<Vec<u8>, PayloadError> {
    let mut out = Vec::new();
    decoder
        .take(limit as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|error| PayloadError::damaged(format, error))?;
    match out.len() > limit {
        true => Err(PayloadError::TooLarge { limit }),
        false => Ok(out),
    }
}

/// The legacy frame of `lz4 -l`: a magic number, then chunks with their packed size before them.
fn unlz4(data: &[u8], limit: usize) -> Result<Vec<u8>, PayloadError> {
    let mut from = Reader::new("lz4", data);
    let mut chunk = vec![0; LZ4_CHUNK];
    let mut out = Vec::new();
    while !from.is_empty() {
        match from.le32()? {
            // Frames may follow one another.
            LZ4_MAGIC => {}
            packed => {
                let packed = from.take(packed as usize)?;
                let made = lz4_flex::block::decompress_into(packed, &mut chunk)
                    .map_err(|error| PayloadError::damaged("lz4", error))?;
                if out.len() + made > limit {
                    return Err(PayloadError::TooLarge { limit });
                }
                out.extend_from_slice(&chunk[..made]);
            }
        }
    }
    Ok(out)
}

/// Takes numbers and bytes off the front of a slice.
pub(super) struct Reader<'a> {
    format: &'static str,
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(format: &'static str, left: &'a [u8]) -> Self {
        Self { format, left }
    }

    fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], PayloadError> {
        let (taken, left) = self
            .left
            .split_at_checked(length)
            .ok_or_else(|| PayloadError::damaged(self.format, "it ends too early"))?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PayloadError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, PayloadError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn be16(&mut self) -> Result<u16, PayloadError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn be32(&mut self) -> Result<u32, PayloadError> {
        self.array().map(u32::from_be_bytes)
    }

    fn le32(&mut self) -> Result<u32, PayloadError> {
        self.array().map(u32::from_le_bytes)
    }
}
