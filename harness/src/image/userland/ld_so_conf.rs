//! /etc/ld.so.conf: directories of libraries beside those that every loader knows (ldconfig(8)).

use std::fs;

use super::super::tree::{Tree, TreeError};

/// Files that include each other end somewhere.
const DEPTH: usize = 4;

/// The directories that it names, in order.
pub(super) fn directories(tree: &Tree) -> Result<Vec<String>, TreeError> {
    let mut found = Vec::new();
    read(tree, "etc/ld.so.conf", DEPTH, &mut found)?;
    Ok(found)
}

fn read(tree: &Tree, path: &str, depth: usize, found: &mut Vec<String>) -> Result<(), TreeError> {
    // One that nobody may read, or that is none, names no directory: a library that is then not
    // found is missed by its name.
    let text = match tree.find(path)? {
        Some(file) => fs::read_to_string(file).unwrap_or_default(),
        None => return Ok(()),
    };
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        match line.strip_prefix("include ") {
            Some(patterns) if depth > 0 => {
                for pattern in patterns.split_whitespace() {
                    for file in matching(tree, pattern)? {
                        read(tree, &file, depth - 1, found)?;
                    }
                }
            }
            Some(_) => {}
            None if line.starts_with('/') => found.push(line.trim_matches('/').to_owned()),
            None => {}
        }
    }
    Ok(())
}

/// The files of a pattern whose last part alone may hold one `*`, as in `ld.so.conf.d/*.conf`.
fn matching(tree: &Tree, pattern: &str) -> Result<Vec<String>, TreeError> {
    let pattern = match pattern.strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None => format!("etc/{pattern}"),
    };
    let (directory, name) = pattern.rsplit_once('/').unwrap_or(("", &pattern));
    let Some((start, end)) = name.split_once('*') else {
        return Ok(vec![pattern]);
    };
    let Some(real) = tree.directory(directory)? else {
        return Ok(Vec::new());
    };
    let entries = fs::read_dir(tree.root().join(real)).into_iter().flatten();
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let mut files: Vec<String> = names
        .filter(|name| {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        })
        .map(|name| format!("{directory}/{name}"))
        .collect();
    files.sort();
    Ok(files)
}
