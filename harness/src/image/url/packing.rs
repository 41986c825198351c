//! What an archive is packed with: told by its first bytes, and taken off while it is read.

use std::io::{self, BufReader, Read};

use liblzma::stream::{CONCATENATED, Stream};

use crate::zstd;

/// What a decoder may take: `xz -9` uses 64 MiB, `zstd --ultra -22` 128 MiB.
const WINDOW: u64 = 256 << 20;

/// All of an archive, plain. What is packed in several pieces, as by pigz and pzstd, is one.
pub(crate) fn unpacked<'a>(archive: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut archive = BufReader::with_capacity(1 << 16, archive);
    let mut start = [0; 6];
    let length = fill(&mut archive, &mut start)?;
    let start = start[..length].to_vec();
    let all = io::Cursor::new(start.clone()).chain(archive);
    Ok(match start[..] {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(all)),
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(all)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            let stream = Stream::new_stream_decoder(WINDOW, CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(all, stream))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::new(all, WINDOW)),
        _ => Box::new(all),
    })
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match from.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
