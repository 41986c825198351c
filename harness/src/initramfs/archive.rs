//! An initramfs before it is written: a tree of files by their path in the guest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::cpio::{Header, kind, pad};

/// Where a file's bytes come from.
#[derive(Debug, Clone)]
pub enum Content {
    /// From the program itself.
    Static(&'static [u8]),
    /// From memory.
    Bytes(Arc<[u8]>),
    /// From a file of the host (a symbolic link is followed), read when the archive is written.
    HostFile(PathBuf),
    /// Another archive, as a file: written out when this one is, so that it is never held whole.
    Archive(Arc<Archive>),
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl Content {
    /// In bytes.
    ///
    /// # Errors
    /// Those of looking at the host's files, with their path.
    pub fn size(&self) -> io::Result<u64> {
        match self {
            Self::Static(bytes) => Ok(bytes.len() as u64),
            Self::Bytes(bytes) => Ok(bytes.len() as u64),
            Self::HostFile(path) => std::fs::metadata(path)
                .map(|metadata| metadata.len())
                .map_err(|error| on(path, error)),
            Self::Archive(archive) => archive.size(),
        }
    }

    /// Writes the bytes.
    ///
    /// # Errors
    /// Those of `to` and of the host's files.
    pub fn copy_to(&self, to: &mut impl Write) -> io::Result<()> {
        self.write_to(self.size()?, to)
    }

    fn write_to(&self, size: u64, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Static(bytes) => to.write_all(bytes),
            Self::Bytes(bytes) => to.write_all(bytes),
            Self::HostFile(path) => {
                let mut file = File::open(path)
                    .map_err(|error| on(path, error))?
                    .take(size);
                let copied = io::copy(&mut file, to)?;
                if copied < size {
                    let why = "became shorter while it was copied into an initramfs";
                    return Err(on(path, io::Error::new(io::ErrorKind::UnexpectedEof, why)));
                }
                Ok(())
            }
            // A `dyn Write`: the same function would otherwise be instantiated without end.
            Self::Archive(archive) => archive.write_to(&mut (to as &mut dyn Write)).map(drop),
        }
    }
}

fn on(path: &std::path::Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// What is at a path.
#[derive(Debug, Clone)]
pub enum Node {
    /// A directory.
    Directory,
    /// A regular file.
    File(Content),
    /// A symbolic link to this text.
    Symlink(String),
    /// A character device with major and minor number.
    CharacterDevice(u32, u32),
}

impl Node {
    fn kind(&self) -> u32 {
        match self {
            Self::Directory => kind::DIRECTORY,
            Self::File(_) => kind::FILE,
            Self::Symlink(_) => kind::SYMLINK,
            Self::CharacterDevice(..) => kind::CHARACTER_DEVICE,
        }
    }
}

/// A path and what is there.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Permission bits.
    pub mode: u32,
    /// What it is.
    pub node: Node,
}

/// A path that the archive cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// Relative, or with empty, `.` or `..` parts, or a zero byte.
    #[error("`{0}` is not a plain absolute path, so it cannot be put into an initramfs")]
    Path(String),
    /// Two files for one path.
    #[error("two files for the path `{0}` of an initramfs")]
    Taken(String),
    /// The parent is there and is a file or a link.
    #[error("`{path}` cannot be put into an initramfs: `{parent}` is not a directory there")]
    Parent {
        /// What was to be added.
        path: String,
        /// What is in its way.
        parent: String,
    },
}

/// An initramfs. The same files give the same bytes, in whatever order they were added: sorted by
/// path, numbered, owned by root, without times.
#[derive(Debug, Clone, Default)]
pub struct Archive {
    /// By path without its leading slash: sorted, a directory comes before what it holds.
    entries: BTreeMap<String, Entry>,
}

impl Archive {
    /// Nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a regular file. `mode` is its permission bits.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub fn add_file(
        &mut self,
        path: &str,
        mode: u32,
        content: Content,
    ) -> Result<(), ArchiveError> {
        self.add(path, mode, Node::File(content))
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub fn add_symlink(&mut self, path: &str, target: &str) -> Result<(), ArchiveError> {
        self.add(path, 0o777, Node::Symlink(target.to_owned()))
    }

    /// Adds a directory, which need not be added for files in it unless its mode matters. Adding
    /// one that is there is no error.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub fn add_directory(&mut self, path: &str, mode: u32) -> Result<(), ArchiveError> {
        self.add(path, mode, Node::Directory)
    }

    /// Adds a character device.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub fn add_character_device(
        &mut self,
        path: &str,
        mode: u32,
        (major, minor): (u32, u32),
    ) -> Result<(), ArchiveError> {
        self.add(path, mode, Node::CharacterDevice(major, minor))
    }

    fn add(&mut self, path: &str, mode: u32, node: Node) -> Result<(), ArchiveError> {
        let plain = path
            .strip_prefix('/')
            .filter(|rest| rest.len() < 4096 && !rest.contains('\0'))
            .filter(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")))
            .ok_or_else(|| ArchiveError::Path(path.to_owned()))?;
        for (end, _) in plain.match_indices('/') {
            let parent = &plain[..end];
            match self.entries.get(parent).map(|entry| &entry.node) {
                Some(Node::Directory) => {}
                Some(_) => {
                    return Err(ArchiveError::Parent {
                        path: path.to_owned(),
                        parent: format!("/{parent}"),
                    });
                }
                None => {
                    let entry = Entry {
                        mode: 0o755,
                        node: Node::Directory,
                    };
                    self.entries.insert(parent.to_owned(), entry);
                }
            }
        }
        if let Some(there) = self.entries.get(plain)
            && !matches!((&there.node, &node), (Node::Directory, Node::Directory))
        {
            return Err(ArchiveError::Taken(path.to_owned()));
        }
        self.entries.insert(plain.to_owned(), Entry { mode, node });
        Ok(())
    }

    /// What is at an absolute path.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path.strip_prefix('/')?)
    }

    /// Every path, without its leading slash, in the order in which they are written.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries
            .iter()
            .map(|(path, entry)| (path.as_str(), entry))
    }

    /// How many bytes [`Archive::write_to`] will write.
    ///
    /// # Errors
    /// Those of looking at the host's files.
    pub fn size(&self) -> io::Result<u64> {
        self.headers()
            .try_fold(0, |sum, header| Ok(sum + header?.0.total()))
            .map(|sum: u64| sum + Header::trailer().total())
    }

    /// Writes the archive and returns its size in bytes.
    ///
    /// # Errors
    /// Those of `to` and of the host's files, which have their path in the text.
    pub fn write_to(&self, to: &mut impl Write) -> io::Result<u64> {
        let mut written = 0;
        for header in self.headers() {
            let (header, node) = header?;
            header.write(to)?;
            match node {
                Node::File(content) => content.write_to(header.size.into(), to)?,
                Node::Symlink(target) => to.write_all(target.as_bytes())?,
                Node::Directory | Node::CharacterDevice(..) => {}
            }
            pad(to, header.size.into())?;
            written += header.total();
        }
        let trailer = Header::trailer();
        trailer.write(to)?;
        Ok(written + trailer.total())
    }

    fn headers(&self) -> impl Iterator<Item = io::Result<(Header, &Node)>> {
        (1..).zip(&self.entries).map(|(inode, (name, entry))| {
            let size = match &entry.node {
                Node::File(content) => content.size()?,
                Node::Symlink(target) => target.len() as u64,
                Node::Directory | Node::CharacterDevice(..) => 0,
            };
            let size = u32::try_from(size).map_err(|_| {
                let why = format!("/{name}: an initramfs has no files of 4 GiB and more");
                io::Error::new(io::ErrorKind::FileTooLarge, why)
            })?;
            let header = Header {
                name: name.clone(),
                inode,
                mode: entry.node.kind() | entry.mode,
                size,
                device: match entry.node {
                    Node::CharacterDevice(major, minor) => (major, minor),
                    _ => (0, 0),
                },
            };
            Ok((header, &entry.node))
        })
    }
}
