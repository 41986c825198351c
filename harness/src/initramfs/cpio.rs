//! cpio's `newc` format, the one that kernels unpack (Documentation/driver-api/early-userspace/
//! buffer-format.rst): a header of fourteen fields in ASCII, a name and the data, each padded to
//! four bytes.

use std::io::{self, Read, Write};

const MAGIC: &[u8; 6] = b"070701";
/// With a checksum of the data behind the size of the name; nobody relies on it.
const CHECKSUM_MAGIC: &[u8; 6] = b"070702";
/// rpm's own, for files over 4 GiB and in packages of version 6: names and sizes are in the package's
/// header alone (lib/cpio.c of rpm).
const STRIPPED_MAGIC: &[u8; 6] = b"07070X";
const HEADER: usize = 6 + 13 * 8;
const TRAILER: &str = "TRAILER!!!";
/// PATH_MAX: longer names are not unpacked.
const MAX_NAME: u64 = 4096;

/// Type bits of a mode, as in stat(2).
pub mod kind {
    /// All of them.
    pub const MASK: u32 = 0o170_000;
    /// A directory.
    pub const DIRECTORY: u32 = 0o040_000;
    /// A regular file.
    pub const FILE: u32 = 0o100_000;
    /// A symbolic link, whose target is the data.
    pub const SYMLINK: u32 = 0o120_000;
    /// A character device.
    pub const CHARACTER_DEVICE: u32 = 0o020_000;
    /// A block device.
    pub const BLOCK_DEVICE: u32 = 0o060_000;
    /// A named pipe.
    pub const FIFO: u32 = 0o010_000;
    /// A socket.
    pub const SOCKET: u32 = 0o140_000;
}

/// What the format says about one file. Owner and times are always 0 here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Without a leading slash.
    pub name: String,
    /// Inode number, different for each file of an archive.
    pub inode: u32,
    /// Type and permissions, as in stat(2).
    pub mode: u32,
    /// Of the data, in bytes.
    pub size: u32,
    /// Major and minor number of a device node.
    pub device: (u32, u32),
}

/// How many bytes follow `length` bytes up to the next multiple of four.
fn padding(length: u64) -> u64 {
    length.wrapping_neg() % 4
}

impl Header {
    /// Bytes that the file takes in the archive.
    pub(super) fn total(&self) -> u64 {
        let name = (HEADER + self.name.len() + 1) as u64;
        let size = u64::from(self.size);
        name + padding(name) + size + padding(size)
    }

    /// The data follows, then [`pad`].
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let links = match self.mode & kind::MASK {
            kind::DIRECTORY => 2,
            _ => 1,
        };
        to.write_all(MAGIC)?;
        for field in [
            self.inode,
            self.mode,
            0, // uid
            0, // gid
            links,
            0, // mtime
            self.size,
            0, // device of the file itself
            0,
            self.device.0,
            self.device.1,
            (self.name.len() + 1) as u32,
            0, // checksum, of the other format
        ] {
            write!(to, "{field:08x}")?;
        }
        to.write_all(self.name.as_bytes())?;
        to.write_all(&[0])?;
        pad(to, (HEADER + self.name.len() + 1) as u64)
    }

    /// What ends an archive.
    pub(super) fn trailer() -> Self {
        Self {
            name: TRAILER.to_owned(),
            inode: 0,
            mode: 0,
            size: 0,
            device: (0, 0),
        }
    }
}

/// Fills up after `length` bytes.
pub(super) fn pad(to: &mut impl Write, length: u64) -> io::Result<()> {
    for _ in 0..padding(length) {
        to.write_all(&[0])?;
    }
    Ok(())
}

/// Bytes that are no archive.
#[derive(Debug, thiserror::Error)]
pub enum CpioError {
    /// From the source.
    #[error("cannot read the cpio archive: {0}")]
    Read(#[from] io::Error),
    /// At this offset in bytes.
    #[error("not a newc cpio archive: at byte {at}: {why}")]
    Malformed {
        /// Where the header begins.
        at: u64,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Reads an archive, file by file; the data of the current one through [`Read`].
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    /// Read so far.
    at: u64,
    /// Of the current file's data.
    left: u64,
    padding: u64,
    links: u32,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// At the beginning of an archive.
    pub fn new(source: R) -> Self {
        Self {
            source,
            at: 0,
            left: 0,
            padding: 0,
            links: 0,
            ended: false,
        }
    }

    /// The next file, skipping what is left of the current one; `None` after the last.
    ///
    /// # Errors
    /// The source's own, and bytes that are not the format's.
    pub fn next_entry(&mut self) -> Result<Option<Header>, CpioError> {
        if self.ended {
            return Ok(None);
        }
        let skip = self.left + self.padding;
        (self.left, self.padding) = (0, 0);
        let skipped = io::copy(&mut self.source.by_ref().take(skip), &mut io::sink())?;
        self.at += skipped;
        let at = self.at;
        let malformed = |why| CpioError::Malformed { at, why };
        if skipped < skip {
            return Err(malformed("the archive is cut short"));
        }
        let mut header = [0; HEADER];
        self.fill(&mut header)?;
        let fields = fields(&header).map_err(malformed)?;
        let [
            inode,
            mode,
            _,
            _,
            links,
            _,
            size,
            _,
            _,
            major,
            minor,
            name_size,
            _,
        ] = fields;
        let name_size = u64::from(name_size);
        if !(1..=MAX_NAME).contains(&name_size) {
            return Err(malformed("a name is empty or longer than 4096 bytes"));
        }
        // MAX_NAME bounds the allocation.
        let mut name = vec![0; name_size as usize];
        self.fill(&mut name)?;
        let mut rest = [0; 3];
        let gap = padding(HEADER as u64 + name_size) as usize;
        self.fill(&mut rest[..gap])?;
        if name.pop() != Some(0) {
            return Err(malformed("a name does not end with a zero byte"));
        }
        let name = String::from_utf8(name).map_err(|_| malformed("a name is not UTF-8"))?;
        if name == TRAILER {
            self.ended = true;
            return Ok(None);
        }
        self.left = u64::from(size);
        self.padding = padding(self.left);
        self.links = links;
        Ok(Some(Header {
            name,
            inode,
            mode,
            size,
            device: (major, minor),
        }))
    }

    /// How many names the current file has: all have its inode number, and the last one in the
    /// archive has the data.
    pub fn links(&self) -> u32 {
        self.links
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), CpioError> {
        self.source
            .read_exact(buffer)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => CpioError::Malformed {
                    at: self.at,
                    why: "the archive is cut short",
                },
                _ => CpioError::Read(error),
            })?;
        self.at += buffer.len() as u64;
        Ok(())
    }
}

fn fields(header: &[u8; HEADER]) -> Result<[u32; 13], &'static str> {
    let (magic, digits) = header.split_at(MAGIC.len());
    match magic {
        _ if magic == MAGIC || magic == CHECKSUM_MAGIC => {}
        _ if magic == STRIPPED_MAGIC => {
            return Err(
                "07070X, which rpm writes for files over 4 GiB and in packages of version 6, is not supported",
            );
        }
        _ => return Err("no magic number 070701 or 070702"),
    }
    let mut fields = [0; 13];
    for (field, digits) in fields.iter_mut().zip(digits.chunks_exact(8)) {
        for &digit in digits {
            let digit = char::from(digit).to_digit(16);
            *field = *field << 4 | digit.ok_or("a field is not hexadecimal")?;
        }
    }
    Ok(fields)
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.by_ref().take(self.left).read(buffer)?;
        self.left -= count as u64;
        self.at += count as u64;
        Ok(count)
    }
}
