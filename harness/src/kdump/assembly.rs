//! A capture kernel's command line, put together step by step.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;

use super::words::kernel_words;

/// How a capture kernel's command line comes about. As text it is the command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Assembly {
    /// What it begins with.
    pub base: Base,
    /// What then happens to it, in this order. A step that changes nothing is not among them.
    pub steps: Vec<Step>,
    /// The words that are left.
    pub words: Vec<String>,
}

/// What a command line begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Base {
    /// `/proc/cmdline`, or the key that replaces it.
    pub from: &'static str,
    /// Its text.
    pub text: String,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    /// Words go, or come.
    pub change: Change,
    /// The key or the program that wants it.
    pub by: &'static str,
    /// Which.
    pub words: Vec<String>,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The words were on the line and are no longer.
    Removed,
    /// The words stand at its end.
    Appended,
}

impl fmt::Display for Assembly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

impl Assembly {
    pub(super) fn from(from: &'static str, text: &str) -> Self {
        Self {
            base: Base {
                from,
                text: text.to_owned(),
            },
            steps: Vec::new(),
            words: owned(text),
        }
    }

    /// Removes every word for which `which` holds.
    pub(super) fn remove_words(&mut self, by: &'static str, which: impl Fn(&str) -> bool) {
        let (gone, left) = std::mem::take(&mut self.words)
            .into_iter()
            .partition(|word| which(word));
        self.words = left;
        self.step(Change::Removed, by, gone);
    }

    /// Removes parameters, with and without a value.
    pub(super) fn remove(&mut self, by: &'static str, parameters: &[&str]) {
        // A line and a KDUMP_COMMANDLINE_REMOVE can have thousands of words each.
        let parameters: HashSet<&str> = parameters.iter().copied().collect();
        self.remove_words(by, |word| parameters.contains(name(word)));
    }

    pub(super) fn append(&mut self, by: &'static str, text: &str) {
        let words = owned(text);
        self.words.extend(words.iter().cloned());
        self.step(Change::Appended, by, words);
    }

    /// Appends a word if the line has no such parameter yet.
    pub(super) fn append_new(&mut self, by: &'static str, word: &str) {
        if !self.has(name(word)) {
            self.append(by, word);
        }
    }

    /// Whether the line has a parameter, with or without a value.
    pub fn has(&self, parameter: &str) -> bool {
        self.words.iter().any(|word| name(word) == parameter)
    }

    fn step(&mut self, change: Change, by: &'static str, words: Vec<String>) {
        if !words.is_empty() {
            self.steps.push(Step { change, by, words });
        }
    }
}

fn owned(text: &str) -> Vec<String> {
    kernel_words(text).into_iter().map(str::to_owned).collect()
}

/// A parameter's name.
pub(super) fn name(word: &str) -> &str {
    let word = word.strip_prefix('"').unwrap_or(word);
    word.split_once('=').map_or(word, |(name, _)| name)
}
