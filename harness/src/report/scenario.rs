//! What is wrong with a scenario, for people.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, SourceCode};

use super::{Snippet, fault_text, safe};
use crate::scenario::{BadScenario, Fault};

impl BadScenario {
    /// The whole report, `width` columns wide.
    pub fn render(&self, width: usize, colour: bool) -> String {
        let mut text = format!("{}\n", safe(&self.to_string()));
        for fault in &self.faults {
            let place = fault.place.as_ref().map(|(source, label)| {
                let at = label.offset()..label.offset() + label.len();
                let snippet = Snippet::new(&safe(source.name()), source.inner(), at);
                let span = *snippet.label().inner();
                let words = label.label().map(safe);
                (snippet, LabeledSpan::new_with_span(words, span))
            });
            text.push('\n');
            text += &fault_text(&Placed { fault, place }, width, colour);
        }
        text
    }
}

/// A fault with no more of the file than is shown of it.
#[derive(Debug, thiserror::Error)]
#[error("{fault}")]
struct Placed<'a> {
    fault: &'a Fault,
    place: Option<(Snippet, LabeledSpan)>,
}

impl Diagnostic for Placed<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.fault.help()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        let (snippet, _) = self.place.as_ref()?;
        Some(snippet)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, label) = self.place.as_ref()?;
        Some(Box::new(std::iter::once(label.clone())))
    }
}
