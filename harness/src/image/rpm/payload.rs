//! The files of a package: a cpio archive, compressed or not, straight from the file through the
//! decompressor to where it is unpacked.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Cursor, Read};

use liblzma::stream::Stream;

use crate::image::unpack::{Budget, Root, Special, UnpackError};
use crate::initramfs::{CpioError, Header, Reader, kind};

/// What a package may unpack to, what is left out included.
pub(super) const MOST: Budget = Budget {
    bytes: 2 << 30,
    files: 500_000,
};
/// What an xz or lzma decoder may take: `xz -9` uses dictionaries of 64 MiB.
const DICTIONARY: u64 = 256 << 20;
/// `zstd -22 --ultra` asks for so much, and has that refused without `--long` beyond it.
const WINDOW: u64 = 128 << 20;
/// PATH_MAX of <linux/limits.h>, without the NUL.
const MOST_TARGET: u32 = 4095;
/// Names of hard links that are kept until their data comes.
const MOST_LINKED: usize = 16 << 20;
/// What no drill needs and packages have plenty of.
const LEFT_OUT: [&str; 5] = [
    "usr/lib/debug/",
    "usr/share/doc/",
    "usr/share/info/",
    "usr/share/locale/",
    "usr/share/man/",
];

/// A payload that is refused.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// None of the formats that rpm writes.
    #[error(
        "unknown compression of the payload (first bytes {start:02x?}); \
         rpm knows gzip, bzip2, lzma, xz and zstd"
    )]
    Unknown {
        /// The first bytes.
        start: Vec<u8>,
    },
    /// A decompressor that does not even begin.
    #[error("the {format} payload is damaged: {what}")]
    Damaged {
        /// Name of the format.
        format: &'static str,
        /// What it says.
        what: String,
    },
    /// The archive.
    #[error("the payload is damaged: {0}")]
    Cpio(#[from] CpioError),
    /// A file of it.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// An endless one.
    #[error("the payload has more than {most} {what}: refused")]
    Excess {
        /// How many.
        most: u64,
        /// Of what.
        what: &'static str,
    },
    /// A target of a symbolic link.
    #[error("{name:?}: the target of this symbolic link {why}: refused")]
    Target {
        /// The link.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Unpacks a payload; `file` stands at its beginning.
pub(super) fn unpack(
    file: impl BufRead,
    root: &mut Root,
    most: Budget,
) -> Result<(), PayloadError> {
    let plain = decompressed(file)?;
    let mut archive = Reader::new(Bounded {
        plain,
        left: most.bytes,
        most: most.bytes,
    });
    let mut linked = Linked::default();
    let mut files = 0;
    while let Some(header) = archive.next_entry()? {
        files += 1;
        if files > most.files {
            let (most, what) = (most.files, "files");
            return Err(PayloadError::Excess { most, what });
        }
        let (name, links) = (&header.name, archive.links());
        match header.mode & kind::MASK {
            kind::FILE if links > 1 => linked.add(&header, &mut archive, root)?,
            kind::FILE if is_left_out(name) => {}
            kind::FILE => root.file(name, executable(&header), header.size.into(), &mut archive)?,
            kind::DIRECTORY if is_left_out(name) => {}
            kind::DIRECTORY => root.directory(name)?,
            kind::SYMLINK if is_left_out(name) => {}
            kind::SYMLINK => root.symlink(name, &target(&header, &mut archive)?)?,
            other => {
                let special = match other {
                    kind::CHARACTER_DEVICE | kind::BLOCK_DEVICE => Special::Device,
                    kind::FIFO => Special::Fifo,
                    kind::SOCKET => Special::Socket,
                    _ => Special::Unknown,
                };
                let name = header.name;
                return Err(UnpackError::Special { name, special }.into());
            }
        }
    }
    Ok(linked.without_data(root)?)
}

/// By the first bytes: what the header says of it is a hint.
fn decompressed<'a>(mut file: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>, PayloadError> {
    let mut start = Vec::new();
    file.by_ref()
        .take(6)
        .read_to_end(&mut start)
        .map_err(CpioError::Read)?;
    let damaged = |format, what: String| PayloadError::Damaged { format, what };
    let data = Cursor::new(start.clone()).chain(file);
    Ok(match start[..] {
        [b'0', b'7', b'0', b'7', ..] => Box::new(data),
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(data)),
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(data)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            let stream = Stream::new_stream_decoder(DICTIONARY, 0);
            let stream = stream.map_err(|error| damaged("xz", error.to_string()))?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(data, stream))
        }
        [0x5d, 0, 0, ..] => {
            let stream = Stream::new_lzma_decoder(DICTIONARY);
            let stream = stream.map_err(|error| damaged("lzma", error.to_string()))?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(data, stream))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let decoder =
                ruzstd::decoding::StreamingDecoder::new_with_max_window_size(data, WINDOW);
            Box::new(decoder.map_err(|error| damaged("zstd", error.to_string()))?)
        }
        _ => return Err(PayloadError::Unknown { start }),
    })
}

/// Ends with an error where there is more.
struct Bounded<R> {
    plain: R,
    left: u64,
    most: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let error = format!("it unpacks to more than {} bytes: refused", self.most);
            return Err(io::Error::other(error));
        }
        let count = self.plain.by_ref().take(self.left).read(buffer)?;
        self.left -= count as u64;
        Ok(count)
    }
}

fn executable(header: &Header) -> bool {
    header.mode & 0o111 != 0
}

fn is_left_out(name: &str) -> bool {
    let name = name.trim_start_matches("./").trim_start_matches('/');
    LEFT_OUT.iter().any(|directory| name.starts_with(directory))
}

fn target(header: &Header, archive: &mut impl Read) -> Result<String, PayloadError> {
    let wrong = |why| {
        let name = header.name.clone();
        PayloadError::Target { name, why }
    };
    if header.size > MOST_TARGET {
        return Err(wrong("is too long"));
    }
    let mut target = vec![0; header.size as usize];
    archive
        .read_exact(&mut target)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => wrong("is cut short"),
            _ => CpioError::Read(error).into(),
        })?;
    String::from_utf8(target).map_err(|_| wrong("is not UTF-8"))
}

/// Files with several names, by inode number.
#[derive(Default)]
struct Linked {
    files: BTreeMap<u32, Names>,
    /// Bytes of all names.
    size: usize,
}

enum Names {
    /// The data is still to come.
    Waiting(Vec<String>),
    /// One of those that have it.
    There(String),
}

impl Linked {
    fn add(
        &mut self,
        header: &Header,
        data: &mut impl Read,
        root: &mut Root,
    ) -> Result<(), PayloadError> {
        self.size += header.name.len() + size_of::<String>();
        if self.size > MOST_LINKED {
            let (most, what) = (MOST_LINKED as u64, "bytes of names of hard links");
            return Err(PayloadError::Excess { most, what });
        }
        let name = header.name.clone();
        let names = self.files.entry(header.inode);
        let names = names.or_insert(Names::Waiting(Vec::new()));
        match names {
            Names::Waiting(waiting) if header.size == 0 => waiting.push(name),
            Names::Waiting(waiting) => {
                root.file(&name, executable(header), header.size.into(), data)?;
                for waited in waiting.iter() {
                    root.hard_link(waited, &name)?;
                }
                *names = Names::There(name);
            }
            Names::There(there) if header.size == 0 => root.hard_link(&name, there)?,
            Names::There(_) => {
                root.file(&name, executable(header), header.size.into(), data)?;
            }
        }
        Ok(())
    }

    /// Those that are empty.
    fn without_data(self, root: &mut Root) -> Result<(), UnpackError> {
        for names in self.files.into_values() {
            if let Names::Waiting(waiting) = names {
                for name in &waiting {
                    root.file(name, false, 0, &mut io::empty())?;
                }
            }
        }
        Ok(())
    }
}
