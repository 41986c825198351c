//! Rules whose patterns have been compiled together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use regex::bytes::Regex;

use super::rules::{Looks, Pattern, Rule, regex};
use crate::console::LineRef;
use crate::console::boots::Boots;
use crate::console::filter::{Filter, required_literals};
use crate::console::splat::BEGINNINGS;

/// What a pattern is to its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Line,
    Required,
    Unless,
    Also,
    /// Index into [`Rule::suspects`].
    Suspect(usize),
}

/// A pattern's place in a rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Index into the rule's alternatives; `None` for what belongs to all of them.
    pub(super) when: Option<usize>,
    pub(super) role: Role,
    /// Index of the pattern.
    pub(super) pattern: usize,
}

/// Rules, checked, with their patterns compiled. Patterns are looked for by text that has to stand
/// in whatever they match, so that their number hardly matters.
#[derive(Debug)]
pub struct RuleBook {
    rules: Vec<Rule>,
    /// By rule.
    places: Vec<Vec<Place>>,
    /// By rule, by alternative.
    looks: Vec<Vec<Option<Pattern>>>,
    /// Each text once, whatever the number of its places.
    patterns: Vec<Regex>,
    filter: Filter,
    /// By literal: patterns that it belongs to. The filter's further literals are those of
    /// [`Boots`], and after them those of reports.
    wanted_by: Vec<Vec<usize>>,
}

/// A rule file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}{line}:{column}: {message}", .file.as_ref().map(|file| format!("{file}:")).unwrap_or_default())]
pub struct RulesError {
    /// The file; none for the rules that crashdrill comes with.
    pub file: Option<String>,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong, and what to write instead.
    pub message: String,
}

const BUILTIN_TEXT: &str = include_str!("rules.yaml");

static BUILTIN: LazyLock<Arc<RuleBook>> = LazyLock::new(|| {
    // A unit test reads the same text, so that no release can come here.
    Arc::new(RuleBook::with(&[]).unwrap_or_else(|error| unreachable!("built-in rules: {error}")))
});

impl RuleBook {
    /// The rules that crashdrill comes with.
    pub fn builtin() -> Arc<RuleBook> {
        BUILTIN.clone()
    }

    /// The rules that crashdrill comes with, and those of more files: name and text of each.
    ///
    /// # Errors
    /// Not YAML, an unknown key, a wrong regular expression, a rule that contradicts itself.
    pub fn with(files: &[(String, String)]) -> Result<Self, RulesError> {
        let builtin = (None, BUILTIN_TEXT);
        let more = files.iter().map(|(file, text)| (Some(file), text.as_str()));
        Self::compile(std::iter::once(builtin).chain(more))
    }

    fn compile<'a>(
        files: impl Iterator<Item = (Option<&'a String>, &'a str)>,
    ) -> Result<Self, RulesError> {
        let mut compiler = Compiler::default();
        let mut rules = Vec::new();
        for (file, text) in files {
            let at = Text { file, text };
            let read: Vec<Rule> = serde_yaml::from_str(text).map_err(|why| at.syntax(&why))?;
            for rule in read {
                compiler
                    .add(&rule)
                    .map_err(|(what, why)| at.wrong(&rule.name, &what, why))?;
                rules.push(rule);
            }
        }
        let Compiler {
            places,
            looks,
            patterns,
            by_literal,
            ..
        } = compiler;
        let (literals, wanted_by): (Vec<String>, Vec<Vec<usize>>) = by_literal.into_iter().unzip();
        let unusable = |message| RulesError {
            file: None,
            line: 1,
            column: 1,
            message,
        };
        let others = Boots::LITERALS.iter().chain(BEGINNINGS);
        let all = literals.iter().map(String::as_str).chain(others.copied());
        let filter = Filter::new(all).map_err(|why| unusable(why.to_string()))?;
        Ok(Self {
            rules,
            places,
            looks,
            patterns,
            filter,
            wanted_by,
        })
    }

    /// In the order of the files.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Says for whom a line may matter; `seen` then knows the patterns that may match it.
    #[inline]
    pub(super) fn matters(&self, line: LineRef<'_>, seen: &mut Seen) -> Matters {
        let mut matters = Matters::default();
        seen.wants.clear();
        self.filter
            .find(line.text(), line.stamp_length(), |literal| {
                if let Some(patterns) = self.wanted_by.get(literal) {
                    seen.wants.extend_from_slice(patterns);
                    matters.rules = true;
                } else if literal < self.wanted_by.len() + Boots::LITERALS.len() {
                    matters.boots = true;
                } else {
                    matters.reports = true;
                }
            });
        matters
    }

    /// Calls `found` with the index of every pattern that matches the line that
    /// [`RuleBook::matters`] has last been asked of.
    pub(super) fn matches(&self, text: &str, seen: &mut Seen, mut found: impl FnMut(usize)) {
        seen.wants.sort_unstable();
        seen.wants.dedup();
        for pattern in seen.wants.drain(..) {
            if self.patterns[pattern].is_match(text.as_bytes()) {
                found(pattern);
            }
        }
    }

    pub(super) fn places(&self, rule: usize) -> &[Place] {
        &self.places[rule]
    }

    pub(super) fn look(&self, rule: usize, when: usize) -> Option<&Pattern> {
        self.looks[rule][when].as_ref()
    }
}

/// For whom a line may matter.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Matters {
    pub(super) rules: bool,
    pub(super) boots: bool,
    pub(super) reports: bool,
}

/// Patterns that may match the current line.
#[derive(Debug, Default)]
pub(super) struct Seen {
    wants: Vec<usize>,
}

#[derive(Default)]
struct Compiler {
    names: BTreeSet<String>,
    places: Vec<Vec<Place>>,
    looks: Vec<Vec<Option<Pattern>>>,
    patterns: Vec<Regex>,
    by_text: BTreeMap<String, usize>,
    by_literal: BTreeMap<String, Vec<usize>>,
}

impl Compiler {
    /// # Errors
    /// The text that is wrong, and why.
    fn add(&mut self, rule: &Rule) -> Result<(), (String, String)> {
        sane(rule, self.names.insert(rule.name.clone()))
            .map_err(|why| (rule.name.clone(), why.to_owned()))?;
        let mut places = Vec::new();
        let mut looks = Vec::new();
        for (index, when) in rule.when.iter().enumerate() {
            let lists = [
                (Role::Line, &when.lines),
                (Role::Required, &when.requires),
                (Role::Unless, &when.unless),
            ];
            for (role, list) in lists {
                for text in list {
                    let pattern = self.pattern(text)?;
                    places.push(Place {
                        when: Some(index),
                        role,
                        pattern,
                    });
                }
            }
            let compile = |looks: &Looks| {
                Pattern::compile(looks).map_err(|(text, why)| (text, not_regular(&why)))
            };
            looks.push(when.report.as_ref().map(compile).transpose()?);
        }
        for text in &rule.also {
            let pattern = self.pattern(text)?;
            places.push(Place {
                when: None,
                role: Role::Also,
                pattern,
            });
        }
        for (index, driver) in rule.suspects.iter().enumerate() {
            // dev_printk() of a PCI driver: driver, domain, bus, slot, function.
            let text = format!(r"\b{driver} 0000:[0-9a-f]{{2}}:[0-9a-f]{{2}}\.[0-7]\b");
            let pattern = self.pattern(&text)?;
            places.push(Place {
                when: None,
                role: Role::Suspect(index),
                pattern,
            });
        }
        self.places.push(places);
        self.looks.push(looks);
        Ok(())
    }

    fn pattern(&mut self, text: &str) -> Result<usize, (String, String)> {
        if let Some(index) = self.by_text.get(text) {
            return Ok(*index);
        }
        let wrong = |why: String| (text.to_owned(), why);
        let compiled = regex(text).map_err(|why| wrong(not_regular(&why)))?;
        let literals = required_literals(text).map_err(|why| wrong(why.to_string()))?;
        let index = self.patterns.len();
        self.patterns.push(compiled);
        self.by_text.insert(text.to_owned(), index);
        for literal in literals {
            self.by_literal.entry(literal).or_default().push(index);
        }
        Ok(index)
    }
}

fn not_regular(why: &regex::Error) -> String {
    // The crate's own text spreads over several lines, with a caret under the place; the last one
    // says what is wrong.
    let text = why.to_string();
    let last = text.lines().last().unwrap_or_default();
    let last = last.trim().trim_start_matches("error: ");
    format!("this is no regular expression: {last}")
}

/// What contradicts itself, or another rule.
fn sane(rule: &Rule, new: bool) -> Result<(), &'static str> {
    let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let why = if !new {
        "another rule has this name"
    } else if rule.name.is_empty() || !rule.name.bytes().all(named) {
        "a rule's name is small letters, digits and hyphens"
    } else if rule.explanation.trim().is_empty() || rule.source.trim().is_empty() {
        "explanation and source must not be empty"
    } else if rule.cause.is_some() && rule.verdict.is_none() && rule.explains.is_empty() {
        "a cause needs a verdict of its own, or `explains` with the verdicts that it may explain"
    } else if rule.cause.is_none() && !rule.explains.is_empty() {
        "`explains` needs a cause"
    } else if rule.when.is_empty() {
        "`when` needs at least one alternative"
    } else if rule.when.iter().any(super::rules::When::is_empty) {
        "an alternative that is met by nothing to be seen would always hold: give it `lines`, \
         `requires`, `report`, `told`, `end`, `dump` or `last-phase`"
    } else {
        return Ok(());
    };
    Err(why)
}

/// Where errors are.
struct Text<'a> {
    file: Option<&'a String>,
    text: &'a str,
}

impl Text<'_> {
    fn syntax(&self, why: &serde_yaml::Error) -> RulesError {
        let (line, column) = why.location().map_or((1, 1), |at| (at.line(), at.column()));
        RulesError {
            file: self.file.cloned(),
            line,
            column,
            message: why.to_string(),
        }
    }

    /// The place of the text inside the rule of this name.
    fn wrong(&self, rule: &str, what: &str, why: String) -> RulesError {
        let names = |line: &str| {
            let line = line.trim_start_matches(['-', ' ', '{']);
            let value = line.strip_prefix("name:").map(str::trim_start);
            value.is_some_and(|value| value.trim_start_matches(['"', '\'']).starts_with(rule))
        };
        let mut lines = self.text.lines().enumerate();
        // A second rule of the same name is the wrong one.
        let begin = lines.clone().filter(|(_, line)| names(line)).last();
        let begin = begin.map_or(0, |(index, _)| index);
        // A short name may stand in the key itself.
        let key = |line: &str| match what == rule {
            true => line.find("name:").map_or(0, |at| at + "name:".len()),
            false => 0,
        };
        let column = |line: &str| {
            let key = key(line);
            line.get(key..)?.find(what).map(|at| key + at)
        };
        let place = lines
            .by_ref()
            .skip(begin)
            .find_map(|(index, line)| column(line).map(|column| (index, column)))
            .unwrap_or((begin, 0));
        RulesError {
            file: self.file.cloned(),
            line: place.0 + 1,
            column: place.1 + 1,
            message: format!("rule `{rule}`: `{what}`: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builtin_rules_are_sound() {
        let book = RuleBook::with(&[]).unwrap();
        assert!(book.rules().len() > 20);
    }

    /// The example in the README is a rule.
    #[test]
    fn a_rule_of_ones_own_is_added() {
        let readme = include_str!("../../../README.md");
        let (_, rest) = readme.split_once("  ```yaml\n  - name: acme").unwrap();
        let (example, _) = rest.split_once("\n  ```").unwrap();
        let example = format!("  - name: acme{example}").replace("\n  ", "\n");
        let files = [("README.md".to_owned(), example[2..].to_owned())];
        let book = RuleBook::with(&files).unwrap();
        assert_eq!(book.rules().len(), RuleBook::builtin().rules().len() + 1);
        let mut reader = crate::verdict::LogReader::new(Arc::new(book));
        reader.push(
            b"[    0.000000] Command line: elfcorehdr=1K\n[    2.000000] acme_raid 0000:01:00.0: firmware does not answer\n",
            |_| {},
        );
        let log = reader.finish();
        let judgement = crate::verdict::assess(&log.book, &log.evidence(0));
        assert_eq!(judgement.why.to_string(), "acme-raid-in-old-mode");
    }

    #[test]
    fn a_wrong_rule_is_named_with_its_place() {
        let rest = "explanation: x, source: x";
        let good = "when: [{lines: ['some text']}]";
        for (text, at, wanted) in [
            (
                format!("- {{name: a, colour: red, {good}, {rest}}}"),
                (1, 13),
                "unknown field `colour`",
            ),
            (
                "- name: a\n  when:\n  - lines:\n    - '(text'\n  explanation: x\n  source: x"
                    .to_owned(),
                (4, 8),
                "rule `a`: `(text`: this is no regular expression: unclosed group",
            ),
            (
                "- name: a\n  when:\n  - lines: ['\\d+']\n  explanation: x\n  source: x".to_owned(),
                (3, 14),
                "no fixed text",
            ),
            (
                format!("- {{name: a, {good}, {rest}}}\n- {{name: a, {good}, {rest}}}"),
                (2, 10),
                "another rule has this name",
            ),
            (
                format!("- {{name: a, cause: x, {good}, {rest}}}"),
                (1, 10),
                "a cause needs a verdict",
            ),
            (
                format!("- {{name: a, when: [{{unless: ['some text']}}], {rest}}}"),
                (1, 10),
                "would always hold",
            ),
            (
                format!("- {{name: irq-vector-exhaustion, {good}, {rest}}}"),
                (1, 10),
                "another rule has this name",
            ),
            ("- name: [".to_owned(), (1, 9), "expected a string"),
        ] {
            let files = [("my.yaml".to_owned(), text.clone())];
            let error = RuleBook::with(&files).unwrap_err();
            assert_eq!(error.file.as_deref(), Some("my.yaml"), "{text}");
            assert!(error.message.contains(wanted), "{text}: {error}");
            assert_eq!((error.line, error.column), at, "{text}: {error}");
        }
    }
}
