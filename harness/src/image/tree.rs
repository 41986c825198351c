//! A directory seen as a root file system: links are followed inside it and never lead out.

use std::collections::VecDeque;
use std::fs::{self, FileType};
use std::io;
use std::path::{Component, Path, PathBuf};

/// A path that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// `..` above the root.
    #[error("`{path}` leads out of {}: refused", root.display())]
    Outside {
        /// The path in the tree.
        path: String,
        /// The tree.
        root: PathBuf,
    },
    /// As many links as the kernel follows, and no end.
    #[error("`{path}` in {}: too many symbolic links", root.display())]
    Loop {
        /// The path in the tree.
        path: String,
        /// The tree.
        root: PathBuf,
    },
    /// The file system.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// On this machine.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What the kernel follows (`MAXSYMLINKS`).
const LINKS: usize = 40;

/// A directory seen as a root file system.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    pub(super) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The regular file that a path of the tree leads to; `None` when there is none.
    pub(super) fn find(&self, path: &str) -> Result<Option<PathBuf>, TreeError> {
        let found = self.follow(path)?.filter(|(_, kind)| kind.is_file());
        Ok(found.map(|(inside, _)| self.root.join(inside)))
    }

    /// The directory that a path of the tree leads to, by its path in the tree without any links;
    /// `None` when there is none.
    pub(super) fn directory(&self, path: &str) -> Result<Option<PathBuf>, TreeError> {
        let found = self.follow(path)?.filter(|(_, kind)| kind.is_dir());
        Ok(found.map(|(inside, _)| inside))
    }

    /// Where in the tree a path ends, and what is there.
    fn follow(&self, path: &str) -> Result<Option<(PathBuf, FileType)>, TreeError> {
        let (root, owned) = (|| self.root.clone(), || path.to_owned());
        let mut pending: VecDeque<PathBuf> = components(Path::new(path)).collect();
        let mut inside: Vec<PathBuf> = Vec::new();
        let mut links = 0;
        while let Some(next) = pending.pop_front() {
            if next.as_os_str() == ".." {
                if inside.pop().is_none() {
                    return Err(TreeError::Outside {
                        path: owned(),
                        root: root(),
                    });
                }
                continue;
            }
            inside.push(next);
            let here: PathBuf = inside.iter().collect();
            let host = self.root.join(&here);
            let kind = match fs::symlink_metadata(&host) {
                Ok(data) => data.file_type(),
                Err(error) if is_absence(&error) => return Ok(None),
                Err(source) => return Err(TreeError::Io { path: host, source }),
            };
            if kind.is_symlink() {
                links += 1;
                if links > LINKS {
                    return Err(TreeError::Loop {
                        path: owned(),
                        root: root(),
                    });
                }
                let to =
                    fs::read_link(&host).map_err(|source| TreeError::Io { path: host, source })?;
                match to.is_absolute() {
                    true => inside.clear(),
                    false => drop(inside.pop()),
                }
                for component in components(&to).rev() {
                    pending.push_front(component);
                }
            } else if pending.is_empty() {
                return Ok(Some((here, kind)));
            }
        }
        Ok(None)
    }
}

fn components(path: &Path) -> impl DoubleEndedIterator<Item = PathBuf> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        _ => None,
    })
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_inside_only() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        fs::create_dir_all(at("usr/lib")).unwrap();
        fs::write(at("usr/lib/libc.so.6"), "c").unwrap();
        symlink("usr/lib", at("lib")).unwrap();
        symlink("/lib/libc.so.6", at("absolute")).unwrap();
        symlink("../../../etc/passwd", at("usr/lib/out")).unwrap();
        symlink("loop", at("loop")).unwrap();
        symlink("/etc/hostname", at("host")).unwrap();
        let tree = Tree::at(directory.path());
        let real = Some(at("usr/lib/libc.so.6"));
        assert_eq!(tree.find("lib/libc.so.6").unwrap(), real);
        assert_eq!(tree.find("/absolute").unwrap(), real);
        assert_eq!(tree.find("usr/lib").unwrap(), None);
        assert_eq!(tree.directory("lib").unwrap(), Some("usr/lib".into()));
        assert_eq!(tree.directory("absolute").unwrap(), None);
        assert_eq!(tree.find("host").unwrap(), None);
        assert_eq!(tree.find("lib/libc.so.6/x").unwrap(), None);
        assert!(matches!(
            tree.find("usr/lib/out"),
            Err(TreeError::Outside { .. })
        ));
        assert!(matches!(tree.find("loop"), Err(TreeError::Loop { .. })));
    }
}
