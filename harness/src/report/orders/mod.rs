//! How a drill ends in several orders of the capture kernel's drivers.

mod json;

use std::path::PathBuf;

pub use json::orders_json;

use super::answer;
use super::page::{BAD, BOLD, DIM, GOOD, NEW, Page, Text};
use crate::scenario::DrillId;
use crate::verdict::outcome::{Outcome, Verdict};

/// A drill in every order that some seeds make of its drivers.
#[derive(Debug, Clone)]
pub struct Orders {
    /// The drill.
    pub id: DrillId,
    /// Seeds 1 to this.
    pub seeds: u16,
    /// How many drivers change places.
    pub drivers: usize,
    /// Seeds whose order another had made before.
    pub repeated: Vec<u64>,
    /// One for each other seed, the lowest first.
    pub runs: Vec<OrderRun>,
}

/// One order.
#[derive(Debug, Clone)]
pub struct OrderRun {
    /// That makes it.
    pub seed: u64,
    /// As they load, with those that come along with another.
    pub drivers: Vec<String>,
    /// What the drill came to, normalised; or why the harness failed.
    pub result: Result<Outcome, String>,
    /// Where its logs were kept, if they were.
    pub kept: Option<PathBuf>,
}

/// Orders that end in the same verdict by the same cause.
#[derive(Debug)]
pub struct Ending<'a> {
    /// The first one's.
    pub outcome: &'a Outcome,
    /// The lowest seed first.
    pub runs: Vec<&'a OrderRun>,
}

impl Orders {
    /// Some order gave no outcome.
    pub fn failed(&self) -> bool {
        self.runs.iter().any(|run| run.result.is_err())
    }

    /// The most frequent first.
    pub fn endings(&self) -> Vec<Ending<'_>> {
        let mut endings: Vec<Ending<'_>> = Vec::new();
        for run in &self.runs {
            let Ok(outcome) = &run.result else { continue };
            let same = |ending: &&mut Ending<'_>| {
                (ending.outcome.verdict, &ending.outcome.cause) == (outcome.verdict, &outcome.cause)
            };
            match endings.iter_mut().find(same) {
                Some(ending) => ending.runs.push(run),
                None => endings.push(Ending {
                    outcome,
                    runs: vec![run],
                }),
            }
        }
        endings.sort_by_key(|ending| std::cmp::Reverse(ending.runs.len()));
        endings
    }

    /// How many orders there are; none where nobody would count them.
    pub fn possible(&self) -> Option<u64> {
        (1..=self.drivers as u64).try_fold(1u64, u64::checked_mul)
    }
}

/// All drills, one below the other.
pub fn orders_text(all: &[Orders], width: usize) -> String {
    let mut page = Page::new(width);
    for orders in all {
        page.blank();
        one(&mut page, orders);
    }
    page.finish()
}

fn one(page: &mut Page, orders: &Orders) {
    let count = orders.runs.len();
    let number = match orders.possible() {
        Some(possible) => format!(
            "{count} of {possible} possible {}",
            words(possible, "order")
        ),
        None => format!("{count} {}", words(count as u64, "order")),
    };
    let seeds = match orders.seeds {
        1 => "seed 1".to_owned(),
        seeds => format!("seeds 1 to {seeds}"),
    };
    let head = Text::new()
        .styled(BOLD, &orders.id.to_string())
        .plain(&format!(
            ": {number} of {} {}, by {seeds}",
            orders.drivers,
            words(orders.drivers as u64, "driver")
        ));
    page.flow(&Text::new(), &head);
    let endings = orders.endings();
    let answers: Vec<String> = endings.iter().map(|e| answer(e.outcome)).collect();
    let column = answers.iter().map(String::len).max().unwrap_or(0);
    for (ending, answer) in endings.iter().zip(&answers) {
        let style = match ending.outcome.verdict {
            Verdict::VmcoreSaved => GOOD,
            _ => BAD,
        };
        let lead = share(ending.runs.len(), count)
            .then(Text::new().styled(style, answer).padded(column))
            .plain("  ");
        if let Some(first) = ending.runs.first() {
            page.flow(&lead, &first_of(first));
        }
    }
    for run in &orders.runs {
        if let Err(why) = &run.result {
            let failed = Text::new()
                .styled(BAD, "the harness failed")
                .plain(&format!(" with seed {}: {why}", run.seed));
            page.flow(&share(1, count), &failed);
        }
    }
    conclusion(page, orders, &endings);
    for run in &orders.runs {
        if let Some(kept) = &run.kept {
            let text = format!("seed {} is kept in {}", run.seed, kept.display());
            page.verbatim(2, &Text::new().styled(DIM, &text));
        }
    }
}

fn share(runs: usize, count: usize) -> Text {
    let width = count.to_string().len();
    Text::new().plain(&format!(
        "  {runs:width$} of {count} {}  ",
        words(count as u64, "order")
    ))
}

fn first_of(run: &OrderRun) -> Text {
    Text::new().plain(&format!(
        "first: seed {}: {}",
        run.seed,
        run.drivers.join(", ")
    ))
}

fn conclusion(page: &mut Page, orders: &Orders, endings: &[Ending<'_>]) {
    let mut say = |text: Text| page.flow(&Text::new().plain("  "), &text);
    if !orders.repeated.is_empty() {
        let seeds: Vec<String> = orders.repeated.iter().map(u64::to_string).collect();
        let (word, verb) = match seeds.len() {
            1 => ("Seed", "makes an order"),
            _ => ("Seeds", "make orders"),
        };
        let text = format!(
            "{word} {} {verb} that a lower one had made: not run again.",
            seeds.join(", ")
        );
        say(Text::new().styled(DIM, &text));
    }
    let all = orders.possible() == Some(orders.runs.len() as u64);
    match endings {
        [] => {}
        [_] if orders.failed() => {}
        [_] if all => say(Text::new().plain("Every possible order ends the same way.")),
        [_] => say(Text::new().plain(
            "Every order that was run ends the same way; those that were not may end otherwise.",
        )),
        [.., rarest] => {
            let text = Text::new().styled(NEW, "How it ends depends on the order.");
            let seed = rarest.runs.first().map_or(1, |run| run.seed);
            say(text.plain(&format!(
                " To run one of them again: `capture.order: {{shuffled: {seed}}}` in a variant of \
                 the scenario."
            )));
        }
    }
}

fn words(count: u64, word: &str) -> String {
    match count {
        1 => word.to_owned(),
        _ => format!("{word}s"),
    }
}

#[cfg(test)]
mod tests;
