//! What `crashdrill check` has found, for people and for programs.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, Severity, SourceCode};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::snippet::Snippet;
use super::{fault_text, json_line, json_schema, safe};
use crate::kdump::flavour::Flavour;
use crate::lint::{Checked, CheckedFile, Finding, Kind, Level, Lint};

/// One file.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    /// Its path, as it was given.
    file: &'a str,
    /// What it is; null if it cannot be checked.
    kind: Option<Kind>,
    /// Whose kdump it was read for.
    flavour: Flavour,
    /// What the flavour was guessed from; null if it was given.
    guessed_from: Option<&'a str>,
    /// Why the file cannot be checked; null if it can.
    unusable: Option<String>,
    /// What is wrong with it, from top to bottom.
    findings: Vec<Item<'a>>,
}

/// One thing that is wrong.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct Item<'a> {
    level: Level,
    lint: Lint,
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    /// First byte in the file. Length 0 at 0 is the whole file.
    offset: usize,
    /// Bytes.
    length: usize,
    message: &'a str,
    /// What to write instead.
    help: Option<&'a str>,
}

/// One line, without its end, for one file.
///
/// # Errors
/// None that a file can cause.
pub fn findings_json(checked: &Checked, file: &CheckedFile) -> Result<String, serde_json::Error> {
    let scenario = file.kind == Ok(Kind::Scenario);
    let document = Document {
        file: &file.name,
        kind: file.kind.as_ref().ok().copied(),
        flavour: file.flavour,
        guessed_from: checked.guessed_from.as_deref().filter(|_| !scenario),
        unusable: file.kind.as_ref().err().map(ToString::to_string),
        findings: file
            .findings
            .iter()
            .map(|finding| Item {
                level: finding.level,
                lint: finding.lint,
                line: finding.line,
                column: finding.column,
                offset: finding.at.start,
                length: finding.at.len(),
                message: &finding.message,
                help: finding.help.as_deref(),
            })
            .collect(),
    };
    json_line(&document)
}

/// The JSON Schema of [`findings_json`].
pub fn findings_schema() -> Value {
    json_schema::<Document<'_>>("crashdrill check of one file")
}

/// A finding as miette shows it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Shown {
    level: Level,
    message: String,
    help: Option<String>,
    snippet: Option<Snippet>,
}

impl Shown {
    fn new(file: &CheckedFile, finding: &Finding) -> Self {
        let snippet = (!finding.at.is_empty())
            .then(|| Snippet::new(&safe(&file.name), &file.text, finding.at.clone()));
        Self {
            level: finding.level,
            message: finding.message.clone(),
            help: finding.help.clone(),
            snippet,
        }
    }
}

impl Diagnostic for Shown {
    fn severity(&self) -> Option<Severity> {
        Some(match self.level {
            Level::Error => Severity::Error,
            Level::Warning => Severity::Warning,
            Level::Note => Severity::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.snippet
            .as_ref()
            .map(|snippet| snippet as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = self.snippet.as_ref()?.label();
        Some(Box::new(std::iter::once(label)))
    }
}

/// The whole report, `width` columns wide.
pub fn findings_text(checked: &Checked, width: usize, colour: bool) -> String {
    let mut text = String::new();
    for file in &checked.files {
        let name = safe(&file.name);
        if let Err(why) = &file.kind {
            text.push_str(&format!("{name}: {why}\n"));
            continue;
        }
        if file.findings.is_empty() {
            continue;
        }
        text.push_str(&format!("{name}: {}\n", count(&file.findings)));
        for finding in &file.findings {
            text.push('\n');
            text += &fault_text(&Shown::new(file, finding), width, colour);
        }
        text.push('\n');
    }
    text + &summary(checked)
}

fn summary(checked: &Checked) -> String {
    let usable = checked.files.iter().filter(|file| file.kind.is_ok());
    let number = usable.clone().count();
    let files = match number {
        // Why none could be checked has been said.
        0 => return String::new(),
        1 => "1 file".to_owned(),
        number => format!("{number} files"),
    };
    let all: Vec<Finding> = usable
        .clone()
        .flat_map(|file| file.findings.iter().cloned())
        .collect();
    let found = match all.len() {
        0 => "nothing found".to_owned(),
        _ => count(&all),
    };
    let only_scenarios = usable.clone().all(|file| file.kind == Ok(Kind::Scenario));
    if only_scenarios {
        return format!("{files} checked: {found}\n");
    }
    let flavour = checked.flavour;
    match &checked.guessed_from {
        None => format!("{files} checked for {flavour}: {found}\n"),
        Some(from) => format!(
            "{files} checked for {flavour}, guessed from {from} (--flavour says it): {found}\n"
        ),
    }
}

fn count(findings: &[Finding]) -> String {
    let of = |level, one: &str| {
        let number = findings.iter().filter(|it| it.level == level).count();
        match number {
            0 => None,
            1 => Some(format!("1 {one}")),
            number => Some(format!("{number} {one}s")),
        }
    };
    let parts = [
        of(Level::Error, "error"),
        of(Level::Warning, "warning"),
        of(Level::Note, "note"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
