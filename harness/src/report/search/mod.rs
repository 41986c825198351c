//! A search for people: a line a boot, the answer, and how far it reaches.

mod json;

use anstyle::{AnsiColor, Style};

pub use json::search_json;

use super::page::{Page, Text};
use super::{answer, mebibytes, seconds};
use crate::search::{Boot, Minimised, Search, Trial, TrialResult, Value, Values};
use crate::verdict::outcome::Outcome;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default().bold();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// What is going to be searched, before the first boot.
pub fn search_head(id: &str, minimised: &Minimised, values: &Values, width: usize) -> String {
    let mut page = Page::new(width);
    let (least, most) = (values.get(0), values.get(values.count() - 1));
    let range = match values.count() {
        1 => format!("{most} alone"),
        count => format!(
            "{least} to {most} in steps of {}, {count} values",
            values.step()
        ),
    };
    let text = Text::new()
        .styled(BOLD, &minimised.to_string())
        .plain(&format!(" of {id}: {range}"));
    page.flow(&Text::new(), &text);
    page.finish()
}

/// What came of one value: `  88M     dump   7.9 s   34.1 MiB of 39.2 MiB  vmcore-saved`.
pub fn trial_line(trial: &Trial, values: &Values) -> String {
    let value_width = (0..=1)
        .map(|end| values.get(end * (values.count() - 1)).to_string().len())
        .max()
        .unwrap_or(0)
        .max(5);
    let mut line = Text::new()
        .plain("  ")
        .then(
            Text::new()
                .styled(BOLD, &values.get(trial.at).to_string())
                .right(value_width),
        )
        .plain("  ");
    match &trial.result {
        TrialResult::Booted(boot) => {
            let (style, word) = match boot.leaves_dump() {
                true => (GOOD, "   dump"),
                false => (BAD, "no dump"),
            };
            line = line
                .styled(style, word)
                .then(Text::new().plain(&seconds(boot.elapsed)).right(11))
                .plain("  ")
                .then(Text::new().styled(DIM, &memory(boot)).right(21))
                .plain("  ")
                .plain(&answer(&boot.outcome));
        }
        TrialResult::Refused(why) => {
            line = line
                .styled(BAD, "refused")
                .plain(&" ".repeat(36))
                .plain(why);
        }
    }
    let mut page = Page::new(usize::MAX);
    page.verbatim(0, &line);
    page.finish()
}

/// `34.1 MiB of 202.3 MiB`, of a drill that went well.
fn memory(boot: &Boot) -> String {
    match (boot.capture_memory, boot.capture_total) {
        (Some(used), Some(total)) => format!("{} of {}", mebibytes(used), mebibytes(total)),
        _ => "-".to_owned(),
    }
}

/// The answer in a sentence, and how far it reaches.
pub fn search_text(search: &Search, width: usize) -> String {
    let mut page = Page::new(width);
    page.blank();
    let answer = &search.answer;
    match answer.smallest {
        Some(smallest) => found(&mut page, search, smallest),
        None => nothing(&mut page, search),
    }
    page.finish()
}

fn found(page: &mut Page, search: &Search, smallest: usize) {
    let value = |at: usize| search.values.get(at);
    let boots = match search.boots() {
        1 => "1 boot".to_owned(),
        boots => format!("{boots} boots"),
    };
    let least = Text::new().styled(GOOD, &value(smallest).to_string());
    let key = &search.minimised;
    let text = match search.answer.failed_below {
        Some(below) => least.plain(&format!(
            " is the smallest {key} that leaves a dump: with {} {}. {boots}.",
            value(below),
            ending(search, below)
        )),
        None => least.plain(&format!(
            " is the smallest {key} of the range, and it leaves a dump. {boots}."
        )),
    };
    page.flow(&Text::new(), &text);
    above(page, search, smallest);
    if let Some(TrialResult::Booted(boot)) = search.trial(smallest) {
        if let (Some(used), Some(total)) = (boot.capture_memory, boot.capture_total) {
            let text = format!(
                "With it, the capture kernel had at most {} of its {} in use.",
                mebibytes(used),
                mebibytes(total)
            );
            page.flow(&Text::new(), &Text::new().plain(&text));
        }
        caution(page, &search.minimised, value(smallest), &boot.outcome);
    }
}

/// What a value that did not work ended in.
fn ending(search: &Search, at: usize) -> String {
    match search.trial(at) {
        Some(TrialResult::Booted(boot)) => format!("it ends in {}", answer(&boot.outcome)),
        Some(TrialResult::Refused(_)) => "the scenario is refused".to_owned(),
        None => "nothing was tried".to_owned(),
    }
}

fn above(page: &mut Page, search: &Search, smallest: usize) {
    for at in &search.answer.failed_above {
        let text = format!(
            "More is not always better here: with {} {}, although {} is enough.",
            search.values.get(*at),
            ending(search, *at),
            search.values.get(smallest)
        );
        page.flow(&Text::new(), &Text::new().styled(WARN, &text));
    }
}

/// A measured minimum is no recommendation.
fn caution(page: &mut Page, minimised: &Minimised, value: Value, outcome: &Outcome) {
    let why = match minimised {
        Minimised::Crashkernel(_) => {
            "more drivers, a larger initramfs and more memory to describe need more"
        }
        Minimised::CaptureCpus { .. } => "other devices and other drivers need other numbers",
        Minimised::Setting(_) => "another machine needs other values",
    };
    let text = format!(
        "That is what this drill needs, not what to configure: leave room above {value}, as {why}. \
         Each value was tried once, on {}; what differs from a real machine:",
        outcome.machine
    );
    page.blank();
    page.flow(&Text::new(), &Text::new().plain(&text));
    for note in &outcome.fidelity {
        page.flow(&Text::new().plain("  - "), &Text::new().plain(note));
    }
}

fn nothing(page: &mut Page, search: &Search) {
    for trial in &search.trials {
        let text = Text::new().styled(BAD, "No dump").plain(&format!(
            " with {} {}: {}.",
            search.minimised,
            search.values.get(trial.at),
            ending(search, trial.at)
        ));
        page.flow(&Text::new(), &text);
    }
    let text = format!(
        "There is nothing to make smaller. If more {} may help, begin with a larger --to; if not, \
         `crashdrill run --keep` shows what is wrong.",
        search.minimised
    );
    page.flow(&Text::new(), &Text::new().plain(&text));
}

#[cfg(test)]
mod tests;
