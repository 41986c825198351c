//! An unpacked report.

use std::fs::{self, File};
use std::path::Path;

use super::{Gathered, Go};

/// Directories in directories.
const MOST_DEPTH: usize = 40;

/// Everything below, by name, without following a link. Devices, pipes and sockets are not opened.
pub(super) fn walk(root: &Path, into: &mut Gathered) {
    below(root, String::new(), 0, into);
}

fn below(directory: &Path, path: String, depth: usize, into: &mut Gathered) -> Go {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            into.note(&path, format!("cannot be read: {error}"));
            return Go::On;
        }
    };
    // Cut by the count of all files, so that sorting cannot take much.
    let mut entries: Vec<_> = entries
        .flatten()
        .take(usize::try_from(super::MOST_FILES).unwrap_or(usize::MAX))
        .collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = match path.is_empty() {
            true => name.into_owned(),
            false => format!("{path}/{name}"),
        };
        let path = super::inside(&path);
        if into.count(&path) == Go::Enough {
            return Go::Enough;
        }
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_symlink() {
            if let Ok(target) = fs::read_link(entry.path()) {
                into.link(path, target.to_string_lossy().into_owned());
            }
        } else if kind.is_dir() {
            if depth == MOST_DEPTH {
                into.note(&path, "too many directories in one another: not read");
            } else if below(&entry.path(), path, depth + 1, into) == Go::Enough {
                return Go::Enough;
            }
        } else if kind.is_file() {
            match File::open(entry.path()) {
                Ok(mut file) => into.stream(&path, &mut file, 1, false),
                Err(error) => into.note(&path, format!("cannot be read: {error}")),
            }
        }
    }
    Go::On
}
