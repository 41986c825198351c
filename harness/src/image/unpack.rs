//! A directory that foreign archives are unpacked into. Whatever an archive says, nothing is written
//! outside of the directory or through a link, and nothing beyond a budget.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

/// PATH_MAX of <linux/limits.h>, with the final NUL.
const MOST_NAME: usize = 4095;
/// NAME_MAX of the same.
const MOST_COMPONENT: usize = 255;
/// Links into /usr in every distribution that is read here.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// What an archive holds beside files, directories and links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// A character or block device.
    Device,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// Of a type that is none of stat(2).
    Unknown,
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Device => "a device node",
            Self::Fifo => "a fifo",
            Self::Socket => "a socket",
            Self::Unknown => "of an unknown type",
        })
    }
}

/// What lies at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Or a hard link.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symbolic link",
        })
    }
}

/// A member of an archive that is refused.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It would be somewhere else, or nowhere.
    #[error("{name:?}: {why}: refused")]
    Name {
        /// As the archive has it; a long one is cut.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A directory of its path is something else.
    #[error("{name:?}: {parent:?} is a {kind} and no directory: refused")]
    Through {
        /// As the archive has it.
        name: String,
        /// Relative to the root.
        parent: String,
        /// What that is.
        kind: Kind,
    },
    /// Something of another kind is there.
    #[error("{name:?}: this {new} would replace a {old}: refused")]
    Replaces {
        /// As the archive has it.
        name: String,
        /// What is there.
        old: Kind,
        /// What would be.
        new: Kind,
    },
    /// A hard link to what is no file.
    #[error("{name:?}: a hard link to {to:?}, where no file is: refused")]
    HardLink {
        /// As the archive has it.
        name: String,
        /// Likewise.
        to: String,
    },
    /// The caller's to refuse: there is no call that makes one.
    #[error("{name:?} is {special}: refused")]
    Special {
        /// As the archive has it.
        name: String,
        /// What it is.
        special: Special,
    },
    /// More than is believable.
    #[error("{name:?}: with it there would be more than {most} {what}: refused")]
    Budget {
        /// As the archive has it.
        name: String,
        /// How many.
        most: u64,
        /// Of what.
        what: &'static str,
    },
    /// Fewer bytes than the archive says.
    #[error("{name:?} has {size} bytes, but the archive ends after {got} of them")]
    Short {
        /// As the archive has it.
        name: String,
        /// That it should have.
        size: u64,
        /// That it has.
        got: u64,
    },
    /// The archive cannot be read.
    #[error("{name:?}: {source}")]
    Data {
        /// As the archive has it.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// The file system that is unpacked to.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// How much may be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    /// In all files and targets of links together.
    pub(super) bytes: u64,
    /// Files, directories (those that the archive leaves out, too) and links.
    pub(super) files: u64,
}

/// A directory that is unpacked into, and what may still be put there. Nobody else writes to it
/// meanwhile.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    budget: Budget,
    left: Budget,
    buffer: Vec<u8>,
}

impl Root {
    /// `path` is a directory.
    pub(super) fn new(path: PathBuf, budget: Budget) -> Self {
        Self {
            path,
            budget,
            left: budget,
            buffer: vec![0; 1 << 16],
        }
    }

    /// Makes a directory, and those above it. One that is there stays.
    ///
    /// # Errors
    /// [`UnpackError`].
    pub(super) fn directory(&mut self, name: &str) -> Result<(), UnpackError> {
        let place = parts(name)?;
        self.directories(name, &place)?;
        Ok(())
    }

    /// Makes a file of exactly `size` bytes of `data`. One that is there goes, as with rpm and dpkg:
    /// the last package wins.
    ///
    /// # Errors
    /// [`UnpackError`].
    pub(super) fn file(
        &mut self,
        name: &str,
        executable: bool,
        size: u64,
        data: &mut dyn Read,
    ) -> Result<(), UnpackError> {
        self.spend_bytes(name, size)?;
        let path = self.vacant(name, Kind::File)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            // Neither setuid nor anybody else's.
            .mode(if executable { 0o755 } else { 0o644 })
            .open(&path)
            .map_err(failed("make", &path))?;
        let mut got = 0;
        while got < size {
            let most = self
                .buffer
                .len()
                .min((size - got).try_into().unwrap_or(usize::MAX));
            let count = match data.read(&mut self.buffer[..most]) {
                Ok(0) => {
                    let name = shown(name);
                    return Err(UnpackError::Short { name, size, got });
                }
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    let name = shown(name);
                    return Err(UnpackError::Data { name, source });
                }
            };
            file.write_all(&self.buffer[..count])
                .map_err(failed("write", &path))?;
            got += count as u64;
        }
        Ok(())
    }

    /// Makes a symbolic link. Its target is text: whoever follows it later keeps to the root
    /// (`tree.rs`). The links of a merged /usr are left out.
    ///
    /// # Errors
    /// [`UnpackError`].
    pub(super) fn symlink(&mut self, name: &str, target: &str) -> Result<(), UnpackError> {
        let refused = |why| {
            let name = shown(name);
            Err(UnpackError::Name { name, why })
        };
        match target.len() {
            0 => return refused("a symbolic link to nothing"),
            length if length > MOST_NAME => return refused("the target is too long"),
            _ if target.contains('\0') => return refused("the target has a NUL"),
            _ => {}
        }
        if let [merged] = components(name).collect::<Vec<_>>()[..]
            && MERGED.contains(&merged)
        {
            return Ok(());
        }
        self.spend_bytes(name, target.len() as u64)?;
        let path = self.vacant(name, Kind::Symlink)?;
        symlink(target, &path).map_err(failed("make", &path))
    }

    /// Gives the file `to` of this archive, or of one before, another name.
    ///
    /// # Errors
    /// [`UnpackError`].
    pub(super) fn hard_link(&mut self, name: &str, to: &str) -> Result<(), UnpackError> {
        let no_file = || UnpackError::HardLink {
            name: shown(name),
            to: shown(to),
        };
        let target = parts(to)?;
        let Some((_, directories)) = target.split_last() else {
            return Err(no_file());
        };
        let mut from = self.path.clone();
        for directory in directories {
            from.push(directory);
            match kind(&from)? {
                Some(Kind::Directory) => {}
                Some(kind) => return Err(self.through(to, &from, kind)),
                None => return Err(no_file()),
            }
        }
        from.extend(target.last());
        if kind(&from)? != Some(Kind::File) {
            return Err(no_file());
        }
        // Making way for the link would remove the file.
        if parts(name)? == target {
            return Ok(());
        }
        let path = self.vacant(name, Kind::File)?;
        fs::hard_link(&from, &path).map_err(failed("make", &path))
    }

    /// Where something can be made: its directories are there, and nothing of its name.
    fn vacant(&mut self, name: &str, new: Kind) -> Result<PathBuf, UnpackError> {
        let place = parts(name)?;
        let Some((last, directories)) = place.split_last() else {
            let (name, why) = (shown(name), "it is the root directory");
            return Err(UnpackError::Name { name, why });
        };
        let mut path = self.directories(name, directories)?;
        path.push(last);
        self.spend_file(name)?;
        match kind(&path)? {
            None => {}
            Some(old) if old == new => fs::remove_file(&path).map_err(failed("remove", &path))?,
            Some(old) => {
                let name = shown(name);
                return Err(UnpackError::Replaces { name, old, new });
            }
        }
        Ok(path)
    }

    /// The path of these directories, which are there then.
    fn directories(&mut self, name: &str, place: &[&str]) -> Result<PathBuf, UnpackError> {
        let mut path = self.path.clone();
        for directory in place {
            path.push(directory);
            match kind(&path)? {
                Some(Kind::Directory) => {}
                Some(kind) => return Err(self.through(name, &path, kind)),
                None => {
                    self.spend_file(name)?;
                    fs::create_dir(&path).map_err(failed("make", &path))?;
                }
            }
        }
        Ok(path)
    }

    fn through(&self, name: &str, parent: &Path, kind: Kind) -> UnpackError {
        let parent = parent.strip_prefix(&self.path).unwrap_or(parent);
        UnpackError::Through {
            name: shown(name),
            parent: shown(&parent.to_string_lossy()),
            kind,
        }
    }

    fn spend_file(&mut self, name: &str) -> Result<(), UnpackError> {
        self.left.files = self.left.files.checked_sub(1).ok_or_else(|| {
            let (name, most) = (shown(name), self.budget.files);
            let what = "files";
            UnpackError::Budget { name, most, what }
        })?;
        Ok(())
    }

    fn spend_bytes(&mut self, name: &str, bytes: u64) -> Result<(), UnpackError> {
        self.left.bytes = self.left.bytes.checked_sub(bytes).ok_or_else(|| {
            let (name, most) = (shown(name), self.budget.bytes);
            let what = "bytes";
            UnpackError::Budget { name, most, what }
        })?;
        Ok(())
    }
}

/// What a name consists of, down from the root.
fn components(name: &str) -> impl Iterator<Item = &str> {
    name.split('/').filter(|part| !matches!(*part, "" | "."))
}

/// Where a name of an archive is: below the root, and with /usr merged.
fn parts(name: &str) -> Result<Vec<&str>, UnpackError> {
    let mut parts: Vec<&str> = components(name).collect();
    let why = match () {
        _ if name.is_empty() => "an empty name",
        _ if name.len() > MOST_NAME => "the name is too long",
        _ if name.contains('\0') => "the name has a NUL",
        _ if parts.contains(&"..") => "the name has `..` in it",
        _ if parts.iter().any(|part| part.len() > MOST_COMPONENT) => {
            "a part of the name is too long"
        }
        _ => {
            if parts.first().is_some_and(|first| MERGED.contains(first)) {
                parts.insert(0, "usr");
            }
            return Ok(parts);
        }
    };
    let name = shown(name);
    Err(UnpackError::Name { name, why })
}

/// `None` where nothing is.
fn kind(path: &Path) -> Result<Option<Kind>, UnpackError> {
    match fs::symlink_metadata(path) {
        Ok(data) if data.is_dir() => Ok(Some(Kind::Directory)),
        Ok(data) if data.is_symlink() => Ok(Some(Kind::Symlink)),
        Ok(_) => Ok(Some(Kind::File)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("look at", path)(error)),
    }
}

/// For people: names may have 4 KiB.
fn shown(name: &str) -> String {
    match name.char_indices().nth(200) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}...", &name[..end]),
    }
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> UnpackError + 'a {
    move |source| UnpackError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
