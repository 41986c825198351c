//! Errors in a scenario file, as they are shown: each with its place underlined and what to write
//! instead.

use std::fmt;
use std::ops::Range;
use std::path::{self, PathBuf};
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// Everything that is wrong with one file.
#[derive(Debug, Clone, thiserror::Error, Diagnostic)]
#[error("{}: {}", .file.display(), count(.faults.len()))]
pub struct BadScenario {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it, from top to bottom; at least one.
    #[related]
    pub faults: Vec<Fault>,
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// The file's text and the part of it to underline; absent when there is no text.
    pub(crate) place: Option<(NamedSource<Arc<str>>, LabeledSpan)>,
}

impl Diagnostic for Fault {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place
            .as_ref()
            .map(|(source, _)| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, label) = self.place.as_ref()?;
        Some(Box::new(std::iter::once(label.clone())))
    }
}

/// A scenario file's name and text, shared by all that points into it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) text: Arc<str>,
}

/// A fault before it is dressed for display; the order is that of the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) message: String,
    pub(super) label: String,
    pub(super) help: Option<String>,
}

impl Found {
    pub(super) fn new(at: Range<usize>, message: impl Into<String>, help: Option<String>) -> Self {
        Self {
            start: at.start,
            end: at.end,
            message: message.into(),
            label: String::new(),
            help,
        }
    }
}

impl Source {
    pub(super) fn bad(&self, found: impl IntoIterator<Item = Found>) -> BadScenario {
        let source = NamedSource::new(self.file.display().to_string(), Arc::clone(&self.text));
        BadScenario {
            file: self.file.clone(),
            faults: found
                .into_iter()
                .map(|found| Fault {
                    message: found.message,
                    help: found.help,
                    place: Some((
                        source.clone(),
                        LabeledSpan::new(
                            (!found.label.is_empty()).then_some(found.label),
                            found.start,
                            found.end - found.start,
                        ),
                    )),
                })
                .collect(),
        }
    }
}

impl BadScenario {
    /// For a file of which there is no text to show.
    pub(super) fn unreadable(file: &path::Path, message: String, help: Option<String>) -> Self {
        Self {
            file: file.to_owned(),
            faults: vec![Fault {
                message,
                help,
                place: None,
            }],
        }
    }
}

fn count(faults: usize) -> String {
    match faults {
        1 => "1 error".to_owned(),
        more => format!("{more} errors"),
    }
}
