//! Programs of an image, and the libraries that each of them needs.

mod ld_so_conf;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::elf::{Dynamic, dynamic};
use super::tree::{Tree, TreeError};

/// A program that cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum UserlandError {
    /// In none of the directories for programs.
    #[error("no program `{name}` in the image's userland ({}); {remedy}", root.display())]
    NoProgram {
        /// The program.
        name: String,
        /// Where it was looked for.
        root: PathBuf,
        /// How to get it.
        remedy: Remedy,
    },
    /// A library that is needed and not there.
    #[error("{by} needs {library}, which is not in the image's userland; {remedy}")]
    NoLibrary {
        /// As the dynamic section says it.
        library: String,
        /// Program or library, by its path in the guest.
        by: String,
        /// How to get it.
        remedy: Remedy,
    },
    /// The programs of two images cannot be mixed: a program runs with the libraries of its own.
    #[error(
        "{program} would come from image {lender}, and its {file} would take the place of this \
         image's own, on which {other} runs; {remedy}"
    )]
    Mixed {
        /// The program.
        program: String,
        /// Whose it is.
        lender: String,
        /// By its path in the guest.
        file: String,
        /// The image's own program with that file.
        other: String,
        /// How to get the program from where the others are.
        remedy: Remedy,
    },
    /// Not for this machine, or damaged.
    #[error("{file}: {message}")]
    Elf {
        /// By its path in the guest.
        file: String,
        /// What is wrong.
        message: String,
    },
    /// Following a path went wrong.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Where what is missing can come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// An image made of packages.
    Manifest,
    /// The programs that are installed on this machine.
    Install,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manifest => "add its package to the manifest",
            Self::Install => "install its package on this machine",
        })
    }
}

/// Where programs are, by preference: the PATH of systemd's services, which kdump's is one of.
const PROGRAMS: [&str; 6] = [
    "usr/local/sbin",
    "usr/local/bin",
    "usr/sbin",
    "usr/bin",
    "sbin",
    "bin",
];

/// Where the dynamic loaders of Debian and of the RPM distributions look without being told.
const LIBRARIES: [&str; 6] = [
    "lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu",
    "lib64",
    "usr/lib64",
    "lib",
    "usr/lib",
];

/// What a program opens while it runs, if it is there: its dynamic section does not say so.
const OPENED: [(&str, &str); 1] = [
    // glibc's pthread_exit(3). makedumpfile with `--num-threads` calls it after the last page, and
    // is aborted without; /init preloads it (crashdrill_guest::order::collector).
    ("makedumpfile", "libgcc_s.so.1"),
];

/// The unpacked programs and libraries of an image.
#[derive(Debug, Clone)]
pub struct Userland {
    tree: Tree,
    remedy: Remedy,
    /// Another image's, by its name.
    lender: Option<(String, Box<Userland>)>,
}

impl Userland {
    /// A directory that holds `usr`, or `bin` and `lib`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self {
            tree: Tree::at(root),
            remedy: Remedy::Manifest,
            lender: None,
        }
    }

    /// The programs that are installed on this machine, whose root directory is `root`.
    pub(super) fn installed(root: impl Into<PathBuf>) -> Self {
        Self {
            remedy: Remedy::Install,
            ..Self::at(root)
        }
    }

    /// With the programs of another image for what this one has not.
    pub(super) fn lent_by(self, name: &str, lender: Self) -> Self {
        Self {
            lender: Some((name.to_owned(), Box::new(lender))),
            ..self
        }
    }

    /// Everything that the programs need to run: themselves, the dynamic loader and libraries, each
    /// with its absolute path in the guest and the regular file on this machine that holds it. In
    /// the guest's order of paths.
    ///
    /// # Errors
    /// A program or library that is missing, with who needs it.
    pub fn closure(&self, programs: &[&str]) -> Result<Vec<(String, PathBuf)>, UserlandError> {
        let mut own = BTreeMap::new();
        let mut lent = Vec::new();
        for &name in programs {
            match (&self.lender, self.program(name)) {
                (Some((from, lender)), Err(UserlandError::NoProgram { .. })) => {
                    let mut files = BTreeMap::new();
                    lender.add_program(name, &mut files)?;
                    lent.push((name, from, files));
                }
                _ => self.add_program(name, &mut own)?,
            }
        }
        let mut all = own.clone();
        for (program, from, files) in lent {
            if let Some(file) = files.keys().find(|file| own.contains_key(*file)) {
                return Err(UserlandError::Mixed {
                    program: program.to_owned(),
                    lender: from.clone(),
                    file: file.clone(),
                    other: self.who_needs(programs, file).to_owned(),
                    remedy: self.remedy,
                });
            }
            all.extend(files);
        }
        Ok(all.into_iter().collect())
    }

    /// The first of the image's own programs that needs this file of the guest.
    fn who_needs<'a>(&self, programs: &[&'a str], file: &str) -> &'a str {
        let needs = |program: &&&'a str| {
            let mut files = BTreeMap::new();
            self.add_program(program, &mut files).is_ok() && files.contains_key(file)
        };
        programs.iter().find(needs).copied().unwrap_or_default()
    }

    fn add_program(
        &self,
        name: &str,
        files: &mut BTreeMap<String, PathBuf>,
    ) -> Result<(), UserlandError> {
        let (guest, host) = self.program(name)?;
        // Whom to read next, and the DT_RPATHs of those that led there: they apply to it too.
        let mut pending = vec![(guest, host, Vec::<String>::new())];
        for (_, library) in OPENED.iter().filter(|(program, _)| *program == name) {
            if let Some((guest, host)) = self.library(library, &[])? {
                // Behind the program, whose loader is then known.
                pending.insert(0, (guest, host, Vec::new()));
            }
        }
        while let Some((guest, host, inherited)) = pending.pop() {
            if files.contains_key(&guest) {
                continue;
            }
            let needs = read_dynamic(&guest, &host)?;
            files.insert(guest.clone(), host);
            if let Some(loader) = &needs.interpreter {
                let host = self
                    .anywhere(loader)?
                    .ok_or_else(|| UserlandError::NoLibrary {
                        library: loader.clone(),
                        by: guest.clone(),
                        remedy: self.remedy,
                    })?;
                files.insert(loader.clone(), host);
            }
            let (own, inherited) = search_path(&guest, &needs, inherited);
            for library in &needs.needed {
                // The loader itself is among the needs of libc, and is known by its own path.
                if files
                    .keys()
                    .any(|have| have.ends_with(&format!("/{library}")))
                {
                    continue;
                }
                let found = self.library(library, &own)?;
                let (path, host) = found.ok_or_else(|| UserlandError::NoLibrary {
                    library: library.clone(),
                    by: guest.clone(),
                    remedy: self.remedy,
                })?;
                pending.push((path, host, inherited.clone()));
            }
        }
        Ok(())
    }

    /// A command that runs the image's own program on this machine, with the image's own loader and
    /// libraries: the tools that make a disk are those of the guest, whatever the host has. A
    /// lender's come first: they are known to make what is asked for.
    ///
    /// # Errors
    /// When the program, its loader or a library is missing.
    pub fn command(&self, name: &str) -> Result<Command, UserlandError> {
        if let Some((_, lender)) = &self.lender
            && lender.program(name).is_ok()
        {
            return lender.command(name);
        }
        let (guest, host) = self.program(name)?;
        let mut command = match read_dynamic(&guest, &host)?.interpreter {
            None => Command::new(&host),
            Some(loader) => {
                // Says who needs what, which the loader would say less well.
                self.closure(&[name])?;
                let found = self.anywhere(&loader)?;
                let mut command = Command::new(found.ok_or(UserlandError::NoLibrary {
                    library: loader,
                    by: guest,
                    remedy: self.remedy,
                })?);
                command
                    .arg("--library-path")
                    .arg(self.library_path())
                    .arg(&host);
                command
            }
        };
        // mke2fs takes the features of a new file system from a file that the package has.
        if let Some(configuration) = self.tree.find("etc/mke2fs.conf")? {
            command.env("MKE2FS_CONFIG", configuration);
        }
        Ok(command)
    }

    /// For a loader's `--library-path`.
    pub(super) fn library_path(&self) -> String {
        let directories = LIBRARIES.map(|directory| self.tree.root().join(directory));
        let existing = directories.iter().filter(|directory| directory.is_dir());
        existing
            .map(|directory| directory.to_string_lossy())
            .collect::<Vec<_>>()
            .join(":")
    }

    fn program(&self, name: &str) -> Result<(String, PathBuf), UserlandError> {
        for directory in PROGRAMS {
            let path = format!("{directory}/{name}");
            if let Some(host) = self.tree.find(&path)? {
                return Ok((format!("/{path}"), host));
            }
        }
        Err(UserlandError::NoProgram {
            name: name.to_owned(),
            root: self.tree.root().to_owned(),
            remedy: self.remedy,
        })
    }

    fn library(
        &self,
        name: &str,
        own: &[String],
    ) -> Result<Option<(String, PathBuf)>, UserlandError> {
        if name.contains('/') {
            return Ok(self.anywhere(name)?.map(|host| (name.to_owned(), host)));
        }
        for directory in own.iter().map(|directory| directory.trim_matches('/')) {
            let path = format!("{directory}/{name}");
            if let Some(host) = self.tree.find(&path)? {
                return Ok(Some((format!("/{path}"), host)));
            }
        }
        // The guest has none of the links between directories, and a loader does not look in each:
        // that of Arch knows /usr/lib, to which /lib64 leads there.
        let mut searched = Vec::new();
        for directory in LIBRARIES {
            if let Some(real) = self.tree.directory(directory)? {
                let path = format!("{}/{name}", real.display());
                if let Some(host) = self.tree.find(&path)? {
                    return Ok(Some((format!("/{path}"), host)));
                }
                searched.push(real);
            }
        }
        // The guest has no /etc/ld.so.cache either: what only that would find is put where the
        // loader looks without.
        let Some(place) = searched.first() else {
            return Ok(None);
        };
        for directory in ld_so_conf::directories(&self.tree)? {
            if let Some(host) = self.tree.find(&format!("{directory}/{name}"))? {
                return Ok(Some((format!("/{}/{name}", place.display()), host)));
            }
        }
        Ok(None)
    }

    /// A path that holds with or without `usr`: packages of a merged-/usr distribution do not carry
    /// the links of the top directory.
    fn anywhere(&self, path: &str) -> Result<Option<PathBuf>, UserlandError> {
        let path = path.trim_start_matches('/');
        match self.tree.find(path)? {
            Some(found) => Ok(Some(found)),
            None => Ok(self.tree.find(&format!("usr/{path}"))?),
        }
    }
}

fn read_dynamic(guest: &str, host: &Path) -> Result<Dynamic, UserlandError> {
    let error = |message| UserlandError::Elf {
        file: guest.to_owned(),
        message,
    };
    let bytes = fs::read(host).map_err(|cause| error(cause.to_string()))?;
    dynamic(&bytes).map_err(|cause| error(cause.to_string()))
}

/// Directories that are searched for what this file needs, and those that its needs inherit.
/// DT_RUNPATH is the file's own and silences its DT_RPATH (ld.so(8)).
fn search_path(guest: &str, needs: &Dynamic, inherited: Vec<String>) -> (Vec<String>, Vec<String>) {
    let origin = guest
        .rsplit_once('/')
        .map_or("", |(directory, _)| directory);
    let expand = |paths: &[String]| -> Vec<String> {
        let expanded = paths
            .iter()
            .map(|path| path.replace("${ORIGIN}", origin).replace("$ORIGIN", origin));
        expanded.filter(|path| !path.is_empty()).collect()
    };
    if !needs.runpath.is_empty() {
        return (expand(&needs.runpath), inherited);
    }
    let mut all = expand(&needs.rpath);
    all.extend(inherited);
    (all.clone(), all)
}

#[cfg(test)]
pub(super) mod tests;
