//! `crashdrill diagnose`.

use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use miette::{LabeledSpan, MietteDiagnostic, SourceOffset};

use super::{CliError, Status, width};
use crate::diagnose::{Diagnosis, ReadError, Reader, feed, open};
use crate::report::{Snippet, View, diagnosis_json, diagnosis_schema, diagnosis_text, safe, tell};
use crate::verdict::RuleBook;
use crate::verdict::outcome::Verdict;

/// Say what a console log shows: the kernels in it, what they report, whether a dump was made, why
/// not, and what to try.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  crashdrill diagnose console.log
  crashdrill diagnose -v bmc/*.log.gz | less -R
  ipmitool sol activate | tee console.log | crashdrill diagnose
  crashdrill diagnose --json *.log | jq -r 'select(.crash) | [.file, .verdict, .cause] | @tsv'

Exit codes:
  0  nothing wrong was found
  1  a kernel crashed or reported a fault of its own, or no dump was made
  2  bad input: the command line, a file of rules
  3  a log could not be read, or not to its end; the others are diagnosed")]
pub(super) struct Diagnose {
    /// Logs, plain or compressed with gzip, xz, zstd or bzip2; `-` is standard input [default: -].
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON document a log, each on a line of its own. `--schema` describes it.
    #[arg(long)]
    json: bool,
    /// Use the rules in this file too. May be given several times.
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// Print the JSON Schema of what --json prints.
    #[arg(long, conflicts_with_all = ["files", "json", "rules", "verbose"])]
    schema: bool,
    /// Show everything: all evidence, all reports with all modules and frames.
    #[arg(short, long)]
    verbose: bool,
}

/// What was found in all logs together.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    fault: bool,
    unread: bool,
}

impl From<Found> for Status {
    fn from(found: Found) -> Self {
        match found {
            Found { unread: true, .. } => Status::Unread,
            Found { fault: true, .. } => Status::Fault,
            Found { .. } => Status::Good,
        }
    }
}

impl Diagnose {
    /// Diagnoses all logs.
    ///
    /// # Errors
    /// A file of rules is wrong, or standard output cannot be written.
    pub(super) fn execute(&self) -> Result<Status, CliError> {
        let mut out = anstream::stdout().lock();
        if self.schema {
            let schema = serde_json::to_string_pretty(&diagnosis_schema());
            let schema = schema.map_err(|error| CliError::harness(error.to_string()))?;
            return match writeln!(out, "{schema}") {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unwritable(&error)),
                _ => Ok(Status::Good),
            };
        }
        self.read(&self.book()?, &mut out)
    }

    /// The rules that crashdrill comes with, and the user's.
    fn book(&self) -> Result<Arc<RuleBook>, CliError> {
        if self.rules.is_empty() {
            return Ok(RuleBook::builtin());
        }
        let mut files = Vec::new();
        for path in &self.rules {
            let text = std::fs::read_to_string(path)
                .map_err(|error| CliError::wrong(format!("{}: {error}", path.display())))?;
            files.push((path.display().to_string(), text));
        }
        match RuleBook::with(&files) {
            Ok(book) => Ok(Arc::new(book)),
            Err(error) => {
                let file = error.file.clone().unwrap_or_default();
                let text = files.iter().find(|(name, _)| *name == file);
                let text = text.map(|(_, text)| text.as_str()).unwrap_or_default();
                Err(bad_rules(
                    &file,
                    text,
                    error.line,
                    error.column,
                    error.message,
                ))
            }
        }
    }

    fn read(&self, book: &Arc<RuleBook>, out: &mut dyn Write) -> Result<Status, CliError> {
        let standard = [PathBuf::from("-")];
        let files = match self.files.as_slice() {
            [] => &standard,
            files => files,
        };
        let mut found = Found::default();
        for (index, file) in files.iter().enumerate() {
            let (diagnosis, error) = one(file, Reader::new(book.clone()));
            if let Some(error) = &error {
                found.unread = true;
                if diagnosis.is_none() {
                    tell!("error: {}: {error}", safe(&file.display().to_string()));
                }
            }
            let Some(diagnosis) = diagnosis else {
                continue;
            };
            found.fault |= is_fault(&diagnosis);
            let unread = error.map(|error| error.to_string());
            match self.show(&diagnosis, unread.as_deref(), index > 0, out) {
                Ok(()) => {}
                // `| head` has seen enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                Err(error) => return Err(unwritable(&error)),
            }
        }
        Ok(found.into())
    }

    fn show(
        &self,
        diagnosis: &Diagnosis,
        unread: Option<&str>,
        further: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if self.json {
            writeln!(out, "{}", diagnosis_json(diagnosis, unread)?)?;
        } else {
            let view = View {
                width: width(),
                verbose: self.verbose,
            };
            if further {
                writeln!(out, "\n")?;
            }
            out.write_all(diagnosis_text(diagnosis, unread, view).as_bytes())?;
        }
        out.flush()
    }
}

pub(super) fn unwritable(error: &io::Error) -> CliError {
    CliError::harness(format!("cannot write to standard output: {error}"))
}

/// No diagnosis where nothing could be read.
fn one(file: &Path, reader: Reader) -> (Option<Diagnosis>, Option<ReadError>) {
    if file == Path::new("-") {
        let input = io::stdin().lock();
        if input.is_terminal() {
            tell!("reading a log from the terminal; Ctrl-D ends it");
        }
        return diagnose(input, None, reader);
    }
    match open(file) {
        Ok(input) => diagnose(input, Some(file.display().to_string()), reader),
        Err(error) => (None, Some(error)),
    }
}

fn diagnose(
    input: impl Read,
    file: Option<String>,
    mut reader: Reader,
) -> (Option<Diagnosis>, Option<ReadError>) {
    let mut any = false;
    let error = feed(input, |bytes| {
        any |= !bytes.is_empty();
        reader.push(bytes);
    })
    .err();
    let worth = any || error.is_none();
    (worth.then(|| reader.finish(file)), error)
}

/// Whether a script should look at it: a kernel that failed, or a dump that was not made.
fn is_fault(diagnosis: &Diagnosis) -> bool {
    diagnosis.crash || !matches!(diagnosis.verdict, Verdict::VmcoreSaved | Verdict::Unknown)
}

/// A mistake in a file of rules, underlined. Line and column count from 1, columns in characters.
fn bad_rules(file: &str, text: &str, line: usize, column: usize, message: String) -> CliError {
    let at = SourceOffset::from_location(text, line, column).offset();
    let rest = text.get(at..).unwrap_or_default();
    let length = rest.find(['\n', '\r']).unwrap_or(rest.len()).max(1);
    let snippet = Snippet::new(&safe(file), text, at..(at + length).min(text.len()));
    let diagnostic = MietteDiagnostic::new(message)
        .with_help(
            "nothing was read; rules.yaml in crashdrill's sources shows what rules look like",
        )
        .with_label(snippet.label());
    CliError::input(Sourced(diagnostic, snippet))
}

/// A diagnostic and the text that its labels point into.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Sourced(MietteDiagnostic, Snippet);

impl miette::Diagnostic for Sourced {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.0.help()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.0.labels()
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.1)
    }
}

#[cfg(test)]
mod tests;
