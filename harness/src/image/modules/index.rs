//! modules.dep, modules.softdep and modules.alias: read, and written where depmod has not run. A
//! package does not carry them; its installation script would run depmod.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::modinfo::{Modinfo, modinfo};
use super::{ModuleError, module_name, normalised, read_module};

/// Lines are `file: file file`, each below the modules directory.
pub(super) fn parse_dependencies(text: &str) -> HashMap<String, (String, Vec<String>)> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(file, needs)| {
            let needs = needs.split_whitespace().map(str::to_owned).collect();
            (module_name(file), (file.to_owned(), needs))
        })
        .collect()
}

/// Lines are `softdep NAME pre: a b post: c`; only what comes before matters here.
pub(super) fn parse_softdep(text: &str) -> HashMap<String, Vec<String>> {
    let mut before: HashMap<String, Vec<String>> = HashMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some("softdep"), Some(name)) = (words.next(), words.next()) else {
            continue;
        };
        let mut pre = false;
        for word in words {
            match word {
                "pre:" => pre = true,
                "post:" => pre = false,
                word if pre => before
                    .entry(normalised(name))
                    .or_default()
                    .push(word.to_owned()),
                _ => {}
            }
        }
    }
    before
}

/// Lines are `alias PATTERN NAME`. Patterns with wildcards are for devices, not for names.
pub(super) fn parse_aliases(text: &str, aliases: &mut HashMap<String, Vec<String>>) {
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if let (Some("alias"), Some(pattern), Some(name)) =
            (words.next(), words.next(), words.next())
        {
            add_alias(aliases, pattern, name);
        }
    }
}

/// `name.key=value`, each ended by NUL.
pub(super) fn parse_builtin_aliases(text: &str, aliases: &mut HashMap<String, Vec<String>>) {
    for entry in text.split('\0') {
        if let Some((key, pattern)) = entry.split_once('=')
            && let Some(name) = key.strip_suffix(".alias")
        {
            add_alias(aliases, pattern, name);
        }
    }
}

fn add_alias(aliases: &mut HashMap<String, Vec<String>>, pattern: &str, name: &str) {
    if !pattern.contains(['*', '?', '[']) {
        let names = aliases.entry(normalised(pattern)).or_default();
        let name = normalised(name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
}

/// Reads every module below `directory` and writes modules.dep, modules.softdep and modules.alias
/// into `into`: what depmod would write, from what the modules say of themselves. Returns how many
/// modules there are. The lists that come with a kernel, such as modules.builtin, are left as they
/// are.
///
/// # Errors
/// When a module cannot be read.
pub(in super::super) fn write_index(directory: &Path, into: &Path) -> Result<usize, ModuleError> {
    let mut files = Vec::new();
    collect(directory, directory, &mut files)?;
    files.sort();
    let files = preferred(files);
    let read = read_all(directory, &files)?;
    let by_name: BTreeMap<String, usize> = files
        .iter()
        .enumerate()
        .map(|(at, file)| (module_name(file), at))
        .collect();

    let (mut dep, mut softdep, mut alias) = (String::new(), String::new(), String::new());
    for (at, (file, info)) in files.iter().zip(&read).enumerate() {
        let mut order = Vec::new();
        needs_in_order(at, &read, &by_name, &mut order);
        let _ = write!(dep, "{file}:");
        // The module itself came last; the others from the nearest to the farthest.
        for need in order.iter().rev().skip(1) {
            let _ = write!(dep, " {}", files[*need]);
        }
        dep.push('\n');
        let name = module_name(file);
        for line in &info.softdep {
            let _ = writeln!(softdep, "softdep {name} {line}");
        }
        for pattern in &info.aliases {
            let _ = writeln!(alias, "alias {pattern} {name}");
        }
    }
    for (file, text) in [
        ("modules.dep", dep),
        ("modules.softdep", softdep),
        ("modules.alias", alias),
    ] {
        let path = into.join(file);
        replace(&path, &text).map_err(|source| ModuleError::Io { path, source })?;
    }
    Ok(files.len())
}

/// A package may have brought a file of this name, or a link that leads anywhere: never written
/// through.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::create_new(path)?.write_all(text.as_bytes())
}

/// One file a module name: where several have it, depmod takes the first directory of the line
/// `search updates extra built-in weak-updates`, which RHEL and Fedora have in
/// /usr/lib/depmod.d/dist.conf (depmod.d(5)); Debian has the first and the third alone.
fn preferred(files: Vec<String>) -> Vec<String> {
    let rank = |file: &str| match file.split('/').next() {
        Some("updates") => 0,
        Some("extra") => 1,
        Some("weak-updates") => 3,
        _ => 2,
    };
    let mut best: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        let name = module_name(&file);
        match best.get(&name) {
            Some(have) if rank(have) <= rank(&file) => {}
            _ => drop(best.insert(name, file)),
        }
    }
    let mut files: Vec<String> = best.into_values().collect();
    files.sort();
    files
}

/// Depth first, each module once, after what it needs. What no file provides is built in.
fn needs_in_order(
    at: usize,
    read: &[Modinfo],
    by_name: &BTreeMap<String, usize>,
    order: &mut Vec<usize>,
) {
    // Own stack: the depth comes from foreign files.
    let mut seen = vec![false; read.len()];
    let mut stack = vec![(at, 0)];
    seen[at] = true;
    while let Some((module, next)) = stack.pop() {
        match read[module].depends.get(next) {
            None => order.push(module),
            Some(name) => {
                stack.push((module, next + 1));
                if let Some(need) = by_name.get(name)
                    && !std::mem::replace(&mut seen[*need], true)
                {
                    stack.push((*need, 0));
                }
            }
        }
    }
}

/// Decompressing some thousand modules takes a while: on all CPUs.
fn read_all(directory: &Path, files: &[String]) -> Result<Vec<Modinfo>, ModuleError> {
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, Modinfo)>> = Mutex::default();
    let work = || -> Result<(), ModuleError> {
        let mut own = Vec::new();
        while let Some((at, file)) = take(files, &next) {
            let path = directory.join(file);
            let module = read_module(&path)?;
            let info = modinfo(&module).map_err(|error| ModuleError::NotAModule {
                path,
                message: error.to_string(),
            })?;
            own.push((at, info));
        }
        // A poisoned lock means a panic elsewhere, which scope() passes on.
        if let Ok(mut all) = found.lock() {
            all.append(&mut own);
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })?;
    let mut found = found.into_inner().unwrap_or_default();
    found.sort_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, info)| info).collect())
}

fn take<'a>(files: &'a [String], next: &AtomicUsize) -> Option<(usize, &'a String)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    files.get(at).map(|file| (at, file))
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<String>) -> Result<(), ModuleError> {
    let failed = |path: &Path| {
        let path: PathBuf = path.to_owned();
        move |source| ModuleError::Io { path, source }
    };
    for entry in fs::read_dir(directory).map_err(failed(directory))? {
        let entry = entry.map_err(failed(directory))?;
        let path = entry.path();
        // Links are not followed: `build` and `source` lead out of the tree, and what a link to a
        // module inside leads to is found by itself.
        match entry.file_type().map_err(failed(&path))? {
            kind if kind.is_dir() => collect(root, &path, files)?,
            kind if kind.is_file() && is_module(&path) => {
                // In modules.dep a space ends a name, and a line break a line.
                let file = path.strip_prefix(root).ok().and_then(Path::to_str);
                match file.filter(|file| !file.contains([':', ' ', '\t', '\n', '\r'])) {
                    Some(file) => files.push(file.to_owned()),
                    None => {
                        return Err(ModuleError::NotAModule {
                            path,
                            message: "no module has such a name".to_owned(),
                        });
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_module(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    [".ko", ".ko.xz", ".ko.gz", ".ko.zst"]
        .iter()
        .any(|end| name.ends_with(end))
}
