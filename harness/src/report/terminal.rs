//! The run for people: a line a drill while it runs, a line a drill when it is over.
//!
//! On a terminal the running drills are bars at the bottom; elsewhere each start and each end is
//! one plain line, so that a CI log reads in order.

use std::collections::HashMap;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Compared, Finished, Totals, seconds};
use crate::scenario::DrillId;
use crate::snapshot::{Comparison, diff};
use crate::verdict::outcome::{Cause, Phase};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NEW: Style = AnsiColor::Yellow.on_default().bold();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// The reporter on stderr.
pub struct Terminal {
    bars: MultiProgress,
    running: HashMap<DrillId, ProgressBar>,
    live: bool,
    width: usize,
    total: usize,
    done: usize,
}

impl Terminal {
    /// For a run of these drills. Bars appear only where stderr is a terminal.
    pub fn new(drills: &[DrillId]) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let live = !bars.is_hidden();
        let width = drills
            .iter()
            .map(|id| id.to_string().len())
            .max()
            .unwrap_or(0);
        Self {
            bars,
            running: HashMap::new(),
            live,
            width,
            total: drills.len(),
            done: 0,
        }
    }

    /// A drill's machine starts.
    pub fn started(&mut self, id: &DrillId) {
        if !self.live {
            anstream::eprintln!("   start  {id}");
            return;
        }
        let bar = self.bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {msg:16} {elapsed:>5}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(format!("{:width$}", id.to_string(), width = self.width));
        bar.set_message("firmware");
        bar.enable_steady_tick(Duration::from_millis(250));
        self.running.insert(id.clone(), bar);
    }

    /// A drill reached a phase.
    pub fn phase(&mut self, id: &DrillId, phase: Phase) {
        if let Some(bar) = self.running.get(id) {
            bar.set_message(phase.to_string());
        }
    }

    /// A drill is over.
    pub fn finished(&mut self, drill: &Finished) {
        if let Some(bar) = self.running.remove(&drill.id) {
            bar.finish_and_clear();
        }
        self.done += 1;
        let count = format!("[{:>w$}/{}]", self.done, self.total, w = digits(self.total));
        let lines = self.describe(drill, &count);
        self.bars.suspend(|| anstream::eprint!("{lines}"));
    }

    fn describe(&self, drill: &Finished, count: &str) -> String {
        let name = format!("{:width$}", drill.id.to_string(), width = self.width);
        let compared = match &drill.result {
            Ok(compared) => compared,
            Err(error) => {
                return format!("{BAD}   ERROR{BAD:#}  {DIM}{count}{DIM:#} {name}  {error}\n");
            }
        };
        let outcome = &compared.drill.outcome;
        let cause = if outcome.cause == Cause::NONE {
            String::new()
        } else {
            format!(" ({})", outcome.cause)
        };
        let (style, word) = match compared.comparison {
            Comparison::Same => (GOOD, "      ok"),
            Comparison::Accepted { .. } => (NEW, "accepted"),
            Comparison::New { .. } => (NEW, "     new"),
            Comparison::Changed { .. } => (BAD, " CHANGED"),
        };
        let time = seconds(compared.drill.elapsed);
        let mut text = format!(
            "{style}{word}{style:#}  {DIM}{count}{DIM:#} {name}  {time:>8}  {}{cause}\n",
            outcome.verdict
        );
        text.push_str(&explain(compared));
        text
    }

    /// The run is over: the numbers, and what to do about them.
    pub fn summary(&self, finished: &[Finished], elapsed: Duration) {
        let totals = Totals::of(finished);
        let good = totals.changed == 0 && totals.failed == 0;
        let style = if good { GOOD } else { BAD };
        anstream::eprintln!(
            "{style}{} {} in {}: {} as expected, {} changed, {} failed to run{style:#}",
            finished.len(),
            if finished.len() == 1 {
                "drill"
            } else {
                "drills"
            },
            seconds(elapsed),
            totals.as_expected,
            totals.changed,
            totals.failed,
        );
        if totals.changed > 0 {
            anstream::eprintln!(
                "review with `cargo insta review`, or accept all with `crashdrill run --accept`"
            );
        }
    }
}

/// For a drill that did not end as expected: what changed, and where to look.
pub(crate) fn explain(compared: &Compared) -> String {
    let mut text = String::new();
    match &compared.comparison {
        Comparison::Same | Comparison::Accepted { .. } => {}
        Comparison::New { file, text: new } => {
            text.push_str(&format!("          no snapshot {} yet:\n", file.display()));
            for line in new.lines() {
                text.push_str(&format!("          {GOOD}+{line}{GOOD:#}\n"));
            }
        }
        Comparison::Changed { file, old, new } => {
            text.push_str(&format!("          differs from {}:\n", file.display()));
            for (sign, line) in diff(old, new) {
                let style = match sign {
                    '-' => BAD,
                    '+' => GOOD,
                    _ => DIM,
                };
                text.push_str(&format!("          {style}{sign}{line}{style:#}\n"));
            }
        }
    }
    if let Some(kept) = &compared.kept {
        text.push_str(&format!(
            "          console log: {BOLD}{}{BOLD:#}\n",
            kept.join("console.log").display()
        ));
    }
    text
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}
