//! One thing that is wrong, as people are shown it: where, what, and what to write instead.

use std::fmt;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, Severity, SourceCode,
};

use super::page::wrapped;

/// The text of it, `width` columns wide. A message holds its causes already, so that they are not
/// shown again below it.
pub(crate) fn fault_text(fault: &dyn Diagnostic, width: usize, colour: bool) -> String {
    let theme = if colour {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    // miette breaks lines at hyphens too, and half a drill's name is of no use.
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(width)
        .with_wrap_lines(false)
        .with_context_lines(1)
        .with_links(false);
    let room = |lead: &str| width.saturating_sub(2 + lead.len());
    let shown = Wrapped {
        fault,
        message: wrapped(&fault.to_string(), room("  x ")),
        help: fault
            .help()
            .map(|help| wrapped(&help.to_string(), room("  help: "))),
    };
    let mut text = String::new();
    // Writing to a String does not fail; a span outside the text would, and then the message
    // without the picture is still the message.
    if handler.render_report(&mut text, &shown).is_err() {
        text = format!("{shown}\n");
    }
    text
}

/// A fault, with its words in lines and safe to show.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Wrapped<'a> {
    fault: &'a dyn Diagnostic,
    message: String,
    help: Option<String>,
}

impl Diagnostic for Wrapped<'_> {
    fn severity(&self) -> Option<Severity> {
        self.fault.severity()
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.fault.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.fault.labels()
    }
}
