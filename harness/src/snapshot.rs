//! Outcomes held against `snapshots/`, through insta: its file format, its settings, its review.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use similar::{ChangeTag, TextDiff};

use crate::scenario::DrillId;
use crate::verdict::normalise;
use crate::verdict::outcome::Outcome;

/// How an outcome stands to its snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// As expected.
    Same,
    /// It differed, or there was none, and it was accepted.
    Accepted {
        /// The snapshot written.
        file: PathBuf,
    },
    /// There is no snapshot yet.
    New {
        /// Where it will lie.
        file: PathBuf,
        /// Its text.
        text: String,
    },
    /// The outcome has changed.
    Changed {
        /// The snapshot.
        file: PathBuf,
        /// What it holds.
        old: String,
        /// What the drill came to.
        new: String,
    },
    /// There is no snapshot, and the scenario's `expect` does in its place.
    NotNeeded,
}

impl Comparison {
    /// Whether the drill ended as expected.
    pub fn as_expected(&self) -> bool {
        match self {
            Comparison::Same | Comparison::Accepted { .. } | Comparison::NotNeeded => true,
            Comparison::New { .. } | Comparison::Changed { .. } => false,
        }
    }
}

/// The text that a snapshot holds: YAML, without times, addresses, versions.
pub fn text(outcome: &Outcome) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(&normalise(outcome))
}

/// insta prints and panics for a test of its own; here many drills are compared in one process,
/// and the reporters print. One at a time: the panic hook is the process's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Compares `new` with the snapshot of `id` in `directory`; a drill on another image than its
/// scenario's has a snapshot of its own, in a directory with the image's name. Whether a snapshot is written follows
/// insta's own rules: `INSTA_UPDATE`, and never with `CI` set.
pub fn compare(directory: &Path, id: &DrillId, new: &str) -> Comparison {
    let path = directory.join(id.path());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let file = file(directory, id);
    let directory = path.parent().unwrap_or(directory);
    let old = std::fs::read_to_string(&file)
        .ok()
        .map(|text| contents(&text));

    let mut settings = insta::Settings::new();
    // To insta a relative path is one from the directory of this source file.
    let absolute = std::path::absolute(directory);
    settings.set_snapshot_path(absolute.as_deref().unwrap_or(directory));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);

    let guard = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let passed = catch_unwind(AssertUnwindSafe(|| {
        settings.bind(|| insta::assert_snapshot!(&*name, new));
    }))
    .is_ok();
    std::panic::set_hook(hook);
    drop(guard);

    match (passed, old) {
        (true, Some(old)) if old.trim_end() == new.trim_end() => Comparison::Same,
        (true, _) => Comparison::Accepted { file },
        (false, None) => Comparison::New {
            file,
            text: new.to_owned(),
        },
        (false, Some(old)) => Comparison::Changed {
            file,
            old,
            new: new.to_owned(),
        },
    }
}

/// Whether a drill has a snapshot in `directory`.
pub fn exists(directory: &Path, id: &DrillId) -> bool {
    file(directory, id).exists()
}

fn file(directory: &Path, id: &DrillId) -> PathBuf {
    let mut file = directory.join(id.path()).into_os_string();
    file.push(".snap");
    file.into()
}

/// A snapshot file without insta's header.
fn contents(file: &str) -> String {
    let body = file
        .strip_prefix("---\n")
        .and_then(|rest| rest.split_once("\n---\n"));
    body.map_or(file, |(_, body)| body).to_owned()
}

/// The lines of a unified diff, three lines of context: sign and text.
pub fn diff(old: &str, new: &str) -> Vec<(char, String)> {
    let diff = TextDiff::from_lines(old.trim_end(), new.trim_end());
    let mut lines = Vec::new();
    for (index, group) in diff.grouped_ops(3).iter().enumerate() {
        if index > 0 {
            lines.push((' ', "...".to_owned()));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            lines.push((sign, change.value().trim_end_matches('\n').to_owned()));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::catalogue;
    use crate::scenario;

    #[test]
    fn the_header_of_a_snapshot_is_not_its_text() {
        let file = "---\nsource: harness/src/snapshot.rs\n---\nverdict: x\n---\nmore\n";
        assert_eq!(contents(file), "verdict: x\n---\nmore\n");
    }

    #[test]
    fn a_relative_directory_is_one_from_here() {
        let directory = tempfile::tempdir_in(".").unwrap();
        let relative = Path::new(directory.path().file_name().unwrap());
        let text = "name: x\nabout: X.\nimage: x\nmachine:\n  devices:\n    - {device: nvme, \
                    target: true}\ncrashkernel: 256M\n";
        let file = scenario::parse(Path::new("x.yaml"), text, catalogue::facts).unwrap();
        let id = &file.drills[0].id;
        let snapshot = "---\nsource: x\n---\nverdict: x\n";
        std::fs::write(relative.join("x.snap"), snapshot).unwrap();
        assert_eq!(compare(relative, id, "verdict: x\n"), Comparison::Same);
    }

    #[test]
    fn a_diff_shows_what_changed_with_context() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n";
        let new = "a\nB\nc\nd\ne\nf\ng\nh\ni\nj\nK\n";
        let shown: Vec<String> = diff(old, new)
            .into_iter()
            .map(|(sign, line)| format!("{sign}{line}"))
            .collect();
        assert_eq!(
            shown,
            [
                " a", "-b", "+B", " c", " d", " e", " ...", " h", " i", " j", "-k", "+K"
            ]
        );
    }
}
