//! Kernel modules: which files a driver needs, in the order in which they load.

mod index;
mod modinfo;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub(super) use index::write_index;

use super::kernel::PayloadError;
use super::kernel::payload::{gunzip, unxz, unzstd};

/// A driver that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// Neither a module, nor built in, nor an alias of one.
    #[error("no driver `{name}` in kernel modules {}{}", directory.display(), suggestion(did_you_mean))]
    Unknown {
        /// As asked.
        name: String,
        /// Where it was looked for.
        directory: PathBuf,
        /// The nearest name there is.
        did_you_mean: Option<String>,
    },
    /// A directory without modules was named.
    #[error("{}: no kernel modules in it; give the directory that holds modules.dep", .0.display())]
    NoModules(PathBuf),
    /// More than one kernel's modules.
    #[error("{}: modules of several kernels in it ({}); give the directory of one", directory.display(), releases.join(", "))]
    Several {
        /// The directory that was named.
        directory: PathBuf,
        /// Directories below it.
        releases: Vec<String>,
    },
    /// A file operation failed.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A compressed module is damaged.
    #[error("{}: {source}", path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: PayloadError,
    },
    /// Not a module.
    #[error("{}: {message}", path.display())]
    NotAModule {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

fn suggestion(name: &Option<String>) -> String {
    match name {
        Some(name) => format!("; did you mean `{name}`?"),
        None => String::new(),
    }
}

/// What is in the kernel itself, one module file name a line (Documentation/kbuild/kbuild.rst).
const BUILTIN: &str = "modules.builtin";

/// One module file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// With underscores, as /proc/modules shows it.
    pub name: String,
    /// Below the modules directory: `kernel/drivers/nvme/host/nvme.ko.xz`.
    pub file: String,
    /// On this machine.
    pub path: PathBuf,
    /// Wanted by a soft dependency only: a failure to load it is no failure of the driver.
    pub optional: bool,
}

impl Module {
    /// The module itself, decompressed: what init_module(2) is given.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn read(&self) -> Result<Vec<u8>, ModuleError> {
        read_module(&self.path)
    }
}

/// Where a driver is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// In these files, in load order: what is needed comes before what needs it.
    Files(Vec<Module>),
    /// In the kernel itself.
    Builtin,
    /// No module of this name, and no list of what is built in (or no modules at all): it can only
    /// be in the kernel itself, but nothing says that it is.
    Assumed,
}

/// A driver that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// With underscores.
    pub name: String,
    /// Where it is.
    pub found: Found,
}

/// The modules of one kernel. Nothing is read before the first question.
#[derive(Debug)]
pub struct ModuleTree {
    /// Holds the files; `None` for a kernel without modules.
    directory: Option<PathBuf>,
    /// Holds modules.dep and the like.
    index: PathBuf,
    tables: OnceLock<Tables>,
    aliases: OnceLock<HashMap<String, Vec<String>>>,
}

#[derive(Debug, Default)]
struct Tables {
    /// Name to file and the files it depends on, as modules.dep has them.
    dependencies: HashMap<String, (String, Vec<String>)>,
    builtin: HashMap<String, ()>,
    /// Names to load before, by modules.softdep.
    before: HashMap<String, Vec<String>>,
}

impl ModuleTree {
    /// A directory that holds modules and modules.dep.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self::indexed(Some(directory.clone()), directory)
    }

    /// A kernel without modules.
    pub fn none() -> Self {
        Self::indexed(None, PathBuf::new())
    }

    pub(super) fn indexed(directory: Option<PathBuf>, index: PathBuf) -> Self {
        Self {
            directory,
            index,
            tables: OnceLock::new(),
            aliases: OnceLock::new(),
        }
    }

    /// The directory of the module files, if there are modules.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// For each requested driver its files, in load order. A file that two of them need is listed
    /// with both. Names may have hyphens or underscores, and may be aliases without wildcards.
    ///
    /// # Errors
    /// [`ModuleError::Unknown`] for the first name that the kernel does not have.
    pub fn closure(&self, names: &[&str]) -> Result<Vec<Driver>, ModuleError> {
        names.iter().map(|name| self.driver(name)).collect()
    }

    fn driver(&self, asked: &str) -> Result<Driver, ModuleError> {
        let name = normalised(asked);
        let Some(directory) = &self.directory else {
            let found = Found::Assumed;
            return Ok(Driver { name, found });
        };
        let tables = self.tables()?;
        let found = match self.resolve(&name)? {
            Some(Resolved::Builtin) => Found::Builtin,
            Some(Resolved::Modules(modules)) => {
                let mut files = Vec::new();
                for module in &modules {
                    self.visit(
                        tables,
                        directory,
                        module,
                        false,
                        &mut files,
                        &mut Vec::new(),
                    )?;
                }
                Found::Files(files)
            }
            // A kernel of one's own making may come without the list of what is built in.
            None if !directory.join(BUILTIN).is_file() => Found::Assumed,
            None => {
                return Err(ModuleError::Unknown {
                    did_you_mean: nearest(&name, tables),
                    name: asked.to_owned(),
                    directory: directory.clone(),
                });
            }
        };
        Ok(Driver { name, found })
    }

    /// Appends a module after everything it needs. `visiting` ends a cycle of soft dependencies.
    fn visit(
        &self,
        tables: &Tables,
        directory: &Path,
        name: &str,
        optional: bool,
        files: &mut Vec<Module>,
        visiting: &mut Vec<String>,
    ) -> Result<(), ModuleError> {
        if let Some(have) = files.iter_mut().find(|module| module.name == name) {
            // Needed by one and merely wanted by another: needed. Its own needs were marked as
            // it was, so they are visited again below.
            if !have.optional || optional {
                return Ok(());
            }
            have.optional = false;
        }
        let Some((file, needs)) = tables.dependencies.get(name) else {
            return Ok(());
        };
        if visiting.iter().any(|other| other == name) {
            return Ok(());
        }
        visiting.push(name.to_owned());
        for wanted in tables.before.get(name).into_iter().flatten() {
            // What nothing provides is skipped, as modprobe does: a soft dependency may name
            // something that this kernel was built without.
            if let Some(Resolved::Modules(modules)) = self.resolve(&normalised(wanted))? {
                for module in modules {
                    self.visit(tables, directory, &module, true, files, visiting)?;
                }
            }
        }
        // depmod lists the nearest first; they load from the farthest.
        for need in needs.iter().rev() {
            self.visit(
                tables,
                directory,
                &module_name(need),
                optional,
                files,
                visiting,
            )?;
        }
        visiting.pop();
        if !files.iter().any(|module| module.name == name) {
            files.push(Module {
                name: name.to_owned(),
                file: file.clone(),
                path: directory.join(file),
                optional,
            });
        }
        Ok(())
    }

    fn resolve(&self, name: &str) -> Result<Option<Resolved>, ModuleError> {
        let tables = self.tables()?;
        if tables.dependencies.contains_key(name) {
            return Ok(Some(Resolved::Modules(vec![name.to_owned()])));
        }
        if tables.builtin.contains_key(name) {
            return Ok(Some(Resolved::Builtin));
        }
        let aliases = self.aliases()?;
        let Some(modules) = aliases.get(name) else {
            return Ok(None);
        };
        let loadable = |module: &&String| tables.dependencies.contains_key(*module);
        let modules: Vec<_> = modules.iter().filter(loadable).cloned().collect();
        Ok(Some(match modules.is_empty() {
            true => Resolved::Builtin,
            false => Resolved::Modules(modules),
        }))
    }

    fn tables(&self) -> Result<&Tables, ModuleError> {
        get_or_read(&self.tables, || {
            let dependencies = read(&self.index.join("modules.dep"))?;
            // depmod has written modules.softdep since kmod 3; an older tree has none.
            let before = read_if_there(&self.index.join("modules.softdep"))?;
            let builtin = match &self.directory {
                Some(directory) => read_if_there(&directory.join(BUILTIN))?,
                None => String::new(),
            };
            Ok(Tables {
                dependencies: index::parse_dependencies(&dependencies),
                builtin: builtin
                    .lines()
                    .map(|file| (module_name(file), ()))
                    .collect(),
                before: index::parse_softdep(&before),
            })
        })
    }

    fn aliases(&self) -> Result<&HashMap<String, Vec<String>>, ModuleError> {
        get_or_read(&self.aliases, || {
            let mut aliases = HashMap::new();
            index::parse_aliases(
                &read_if_there(&self.index.join("modules.alias"))?,
                &mut aliases,
            );
            if let Some(directory) = &self.directory {
                let builtin = read_if_there(&directory.join("modules.builtin.modinfo"))?;
                index::parse_builtin_aliases(&builtin, &mut aliases);
            }
            Ok(aliases)
        })
    }
}

enum Resolved {
    Modules(Vec<String>),
    Builtin,
}

fn get_or_read<T>(
    cell: &OnceLock<T>,
    read: impl FnOnce() -> Result<T, ModuleError>,
) -> Result<&T, ModuleError> {
    match cell.get() {
        Some(have) => Ok(have),
        None => {
            let read = read()?;
            Ok(cell.get_or_init(|| read))
        }
    }
}

/// The directory of the modules at or below the one that a user named: the one that holds
/// `modules.dep`, or the lists that come with a kernel where depmod has not run yet.
pub(super) fn find_directory(named: &Path) -> Result<PathBuf, ModuleError> {
    // `kernel/` alone does not tell: there is an /etc/kernel too.
    if holds_modules(named) || named.join("kernel/drivers").is_dir() {
        return Ok(named.to_owned());
    }
    for below in ["lib/modules", "usr/lib/modules", ""] {
        let Ok(read) = fs::read_dir(named.join(below)) else {
            continue;
        };
        let paths = read.flatten().map(|entry| entry.path());
        let mut found: Vec<_> = paths.filter(|path| holds_modules(path)).collect();
        found.sort();
        match found.len() {
            0 => {}
            1 => return Ok(found.remove(0)),
            _ => {
                let name = |path: &PathBuf| {
                    path.file_name()
                        .map(|name| name.to_string_lossy().into_owned())
                };
                return Err(ModuleError::Several {
                    directory: named.to_owned(),
                    releases: found.iter().filter_map(name).collect(),
                });
            }
        }
    }
    Err(ModuleError::NoModules(named.to_owned()))
}

/// Whether depmod has been at work in a directory, or a kernel's installation.
pub(super) fn holds_modules(directory: &Path) -> bool {
    let mut lists = ["modules.dep", "modules.order", BUILTIN].into_iter();
    lists.any(|list| directory.join(list).is_file())
}

/// Whether a kernel with this configuration has modules.
pub(super) fn builds_modules(config: &[u8]) -> bool {
    config
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"CONFIG_") && line.ends_with(b"=m"))
}

/// `kernel/fs/ext4/ext4.ko.xz` to `ext4`, with underscores.
fn module_name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    normalised(name.split(".ko").next().unwrap_or(name))
}

fn normalised(name: &str) -> String {
    name.replace('-', "_")
}

fn nearest(name: &str, tables: &Tables) -> Option<String> {
    let known = tables.dependencies.keys().chain(tables.builtin.keys());
    let scored = known.map(|known| (strsim::jaro_winkler(name, known), known));
    let (score, known) = scored.max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))?;
    (score > 0.8).then(|| known.clone())
}

fn read_module(path: &Path) -> Result<Vec<u8>, ModuleError> {
    let bytes = fs::read(path).map_err(|source| ModuleError::Io {
        path: path.to_owned(),
        source,
    })?;
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => unxz(&bytes),
        Some("gz") => gunzip(&bytes),
        Some("zst") => unzstd(&bytes),
        _ => Ok(bytes),
    }
    .map_err(|source| ModuleError::Compressed {
        path: path.to_owned(),
        source,
    })
}

fn read(path: &Path) -> Result<String, ModuleError> {
    let bytes = fs::read(path).map_err(|source| ModuleError::Io {
        path: path.to_owned(),
        source,
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read_if_there(path: &Path) -> Result<String, ModuleError> {
    match read(path) {
        Err(ModuleError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(String::new())
        }
        other => other,
    }
}

#[cfg(test)]
pub(super) mod tests;
