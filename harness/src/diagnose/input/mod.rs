//! A log's bytes, from a file or a pipe, decompressed: by content, not by name.
//!
//! Streaming, in constant memory: a read buffer and what the decompressor's window takes, which is
//! bounded. A damaged archive gives what lies before the damage.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use liblzma::stream::{CONCATENATED, Stream};

use crate::zstd;

/// Bytes read at once.
const BUFFER: usize = 256 << 10;
/// Bytes decompressed at once. What a decompressor made in the very call that finds the damage is
/// lost, so this is not larger.
const PIECE: usize = 64 << 10;
/// What a decompressor's window may take. xz uses 64 MiB at most, zstd 128 MiB, unless one is told
/// otherwise.
const WINDOW: u64 = 128 << 20;
/// xz counts what it needs beside the dictionary.
const XZ_MEMORY: u64 = WINDOW + (16 << 20);
/// Bytes that tell every format.
const MAGIC: usize = 10;

/// Why a log could not be read, or not to its end. What came before has been handed over.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system does not give it.
    #[error("{0}")]
    Io(io::Error),
    /// It has no end that it should have.
    #[error(
        "the {0} data ends too early: the file was not copied completely, or was still written to"
    )]
    Truncated(&'static str),
    /// It does not decompress.
    #[error("the {format} data is damaged: {what}")]
    Damaged {
        /// Name of the format.
        format: &'static str,
        /// What the decompressor says.
        what: String,
    },
    /// It was compressed with a larger window than is granted.
    #[error(
        "the {format} data needs a window of more than {} MiB; decompress it first: `{by}`",
        WINDOW >> 20
    )]
    Window {
        /// Name of the format.
        format: &'static str,
        /// What does decompress it.
        by: &'static str,
    },
    /// It is no log.
    #[error("this is {what}, not a text; {instead}")]
    NoLog {
        /// What it is.
        what: &'static str,
        /// How to get to a log.
        instead: &'static str,
    },
    /// Directories hold logs, and are none.
    #[error("this is a directory; name the files in it")]
    Directory,
}

/// Opens a log.
///
/// # Errors
/// [`ReadError::Directory`], or the system's error.
pub fn open(file: &Path) -> Result<File, ReadError> {
    let opened = File::open(file).map_err(ReadError::Io)?;
    match opened.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(ReadError::Directory),
        Ok(_) => Ok(opened),
        Err(error) => Err(ReadError::Io(error)),
    }
}

/// Hands all bytes of a log to `push`, in order, in pieces of no particular size.
///
/// # Errors
/// [`ReadError`], after what could be read has been handed over.
pub fn feed(mut input: impl Read, mut push: impl FnMut(&[u8])) -> Result<(), ReadError> {
    let mut head = [0; MAGIC];
    let length = fill(&mut input, &mut head)?;
    let head = &head[..length];
    let Some(format) = Format::of(head)? else {
        push(head);
        return drain(input, &mut vec![0; BUFFER], push).map_err(ReadError::Io);
    };
    let source = BufReader::with_capacity(BUFFER, head.chain(input));
    let buffer = &mut vec![0; PIECE];
    let result = match format {
        Format::Gzip => drain(flate2::bufread::MultiGzDecoder::new(source), buffer, push),
        Format::Bzip2 => drain(bzip2::bufread::MultiBzDecoder::new(source), buffer, push),
        Format::Xz => Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)
            .map_err(io::Error::from)
            .and_then(|stream| {
                let decoder = liblzma::bufread::XzDecoder::new_stream(source, stream);
                drain(decoder, buffer, push)
            }),
        Format::Zstd => drain(zstd::Decoder::new(source, WINDOW), buffer, push),
    };
    result.map_err(|error| format.error(error))
}

/// Reads until the buffer is full or the input ends: a pipe gives what it has.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<usize, ReadError> {
    let mut length = 0;
    while length < buffer.len() {
        match input.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ReadError::Io(error)),
        }
    }
    Ok(length)
}

fn drain(mut from: impl Read, buffer: &mut [u8], mut push: impl FnMut(&[u8])) -> io::Result<()> {
    loop {
        match from.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => push(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What a file is compressed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

impl Format {
    /// By the first bytes; none for a text.
    fn of(head: &[u8]) -> Result<Option<Self>, ReadError> {
        let no_log = |what, instead| Err(ReadError::NoLog { what, instead });
        Ok(Some(match head {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            // A frame, or one to be skipped, which pzstd begins with.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            // A text may begin with BZh9 too: then comes pi, or its square root when empty.
            [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..]
                if rest == [0x31, 0x41, 0x59, 0x26, 0x53, 0x59]
                    || rest == [0x17, 0x72, 0x45, 0x38, 0x50, 0x90] =>
            {
                Self::Bzip2
            }
            [0x04 | 0x02, 0x22 | 0x21, 0x4d | 0x4c, 0x18, ..] => {
                return no_log(
                    "lz4-compressed",
                    "decompress it first: `lz4 -dc FILE | crashdrill diagnose`",
                );
            }
            [b'P', b'K', 3, 4, ..] => return no_log("a zip archive", "unpack it first"),
            [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => {
                return no_log("a 7z archive", "unpack it first");
            }
            [b'L', b'P', b'K', b'S', b'H', b'H', b'R', b'H', ..] => {
                return no_log(
                    "a systemd journal",
                    "`journalctl --file=FILE -k -o short-monotonic | crashdrill diagnose` reads it",
                );
            }
            [b'K', b'D', b'U', b'M', b'P', b' ', ..]
            | [b'D', b'I', b'S', b'K', b'D', b'U', b'M', b'P', ..]
            | [0x7f, b'E', b'L', b'F', ..] => {
                return no_log(
                    "a dump or a program",
                    "`crashdrill vmcore --dmesg FILE | crashdrill diagnose` reads the log in a dump",
                );
            }
            _ => return Ok(None),
        }))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }

    /// Tells the system's errors from the decompressor's, which come wrapped in one another.
    fn error(self, error: io::Error) -> ReadError {
        let format = self.name();
        if let Some(zstd::TooLarge) = wrapped(&error) {
            let by = "zstd -dc --long=31 FILE | crashdrill diagnose";
            return ReadError::Window { format, by };
        }
        if let Some(liblzma::stream::Error::MemLimit) = wrapped(&error) {
            let by = "xz -dc FILE | crashdrill diagnose";
            return ReadError::Window { format, by };
        }
        let mut next: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(cause) = next {
            if let Some(io) = cause.downcast_ref::<io::Error>() {
                if let Some(number) = io.raw_os_error() {
                    return ReadError::Io(io::Error::from_raw_os_error(number));
                }
                if io.kind() == io::ErrorKind::UnexpectedEof {
                    return ReadError::Truncated(format);
                }
                // An io::Error passes over what it wraps when it is asked for its source.
                next = io.get_ref().map(|inner| inner as _);
            } else {
                next = cause.source();
            }
        }
        let what = error.to_string();
        ReadError::Damaged { format, what }
    }
}

fn wrapped<T: Error + 'static>(error: &io::Error) -> Option<&T> {
    error.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests;
