//! The run for people: a line a drill while it runs, a line a drill when it is over.
//!
//! On a terminal the running drills are bars at the bottom; elsewhere each start and each end is
//! one plain line, so that a CI log reads in order.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Compared, Finished, Grid, Totals, answer, mebibytes, safe, seconds, tell_text};
use crate::run::{DrillResult, HarnessError, LeftOut, POSTMORTEM, POSTMORTEM_VMCORE, Postmortem};
use crate::snapshot::{Comparison, diff};
use crate::verdict::outcome::{Phase, Verdict};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NEW: Style = AnsiColor::Yellow.on_default().bold();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// The reporter on stderr.
pub struct Terminal {
    bars: MultiProgress,
    names: Vec<String>,
    running: HashMap<usize, ProgressBar>,
    live: bool,
    width: usize,
    done: usize,
}

impl Terminal {
    /// For a run of jobs with these names. Bars appear only where stderr is a terminal.
    pub fn new(names: Vec<String>) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let live = !bars.is_hidden();
        let width = names.iter().map(String::len).max().unwrap_or(0);
        Self {
            bars,
            names,
            running: HashMap::new(),
            live,
            width,
            done: 0,
        }
    }

    /// A job's machine starts.
    pub fn started(&mut self, job: usize) {
        let name = self.name(job);
        if !self.live {
            tell!("   start  {}", name.trim_end());
            return;
        }
        let bar = self.bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {msg:16} {elapsed:>5}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(name);
        bar.set_message("firmware");
        bar.enable_steady_tick(Duration::from_millis(250));
        self.running.insert(job, bar);
    }

    /// A job reached a phase.
    pub fn phase(&mut self, job: usize, phase: Phase) {
        if let Some(bar) = self.running.get(&job) {
            bar.set_message(phase.to_string());
        }
    }

    /// A drill of `crashdrill run` is over.
    pub fn finished(&mut self, job: usize, drill: &Finished) {
        match &drill.result {
            Ok(compared) => {
                let (style, word) = match compared.comparison {
                    Comparison::New { .. } => (NEW, "     new"),
                    Comparison::Changed { .. } => (BAD, " CHANGED"),
                    _ if compared.unmet().is_some() => (BAD, "   OTHER"),
                    Comparison::Same | Comparison::NotNeeded => (GOOD, "      ok"),
                    Comparison::Accepted { .. } => (NEW, "accepted"),
                };
                let mut text = ended(&compared.drill);
                if compared.expected.is_some() && compared.unmet().is_none() {
                    text.push_str(", as the scenario expects");
                }
                self.line(job, style, word, &text);
                let explained = explain(compared);
                self.bars.suspend(|| tell_text(&explained));
            }
            Err(error) => self.failed(job, error),
        }
    }

    /// A drill that is compared with no snapshot is over.
    pub fn outcome(&mut self, job: usize, drill: &DrillResult) {
        let (style, word) = match drill.outcome.verdict {
            Verdict::VmcoreSaved => (GOOD, "    dump"),
            _ => (BAD, " no dump"),
        };
        self.line(job, style, word, &ended(drill));
    }

    /// The harness failed at a job.
    pub fn failed(&mut self, job: usize, error: &HarnessError) {
        self.line(job, BAD, "   ERROR", &error.to_string());
    }

    /// A job is over: the last that is said of it.
    pub fn over(&mut self, job: usize) {
        if let Some(bar) = self.running.remove(&job) {
            bar.finish_and_clear();
        }
        self.done += 1;
    }

    fn line(&mut self, job: usize, style: Style, word: &str, text: &str) {
        self.over(job);
        let name = self.name(job);
        let total = self.names.len();
        let count = format!("[{:>w$}/{total}]", self.done, w = digits(total));
        self.bars.suspend(|| {
            tell!("{style}{word}{style:#}  {DIM}{count}{DIM:#} {name}  {text}");
        });
    }

    /// Padded, so that what follows stands in one column.
    fn name(&self, job: usize) -> String {
        let name = self.names.get(job).map_or("", String::as_str);
        format!("{name:width$}", width = self.width)
    }

    /// What came of each matrix, on a terminal of `width` columns.
    pub fn grids(&self, grids: &[Grid], finished: &[Finished], width: usize) {
        for grid in grids {
            tell_text(&grid.text(finished, width));
        }
        if !grids.is_empty() {
            tell!("");
        }
    }

    /// The run is over: the numbers, and what to do about them.
    pub fn summary(&self, finished: &[Finished], left_out: &[LeftOut], elapsed: Duration) {
        let totals = Totals::of(finished);
        let good = totals.changed == 0 && totals.failed == 0;
        let style = if good { GOOD } else { BAD };
        tell!(
            "{style}{} {} in {}: {} as expected, {} changed, {} failed to run{}{style:#}",
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
            match left_out.len() {
                0 => String::new(),
                drills => format!(", {drills} left out"),
            },
        );
        let by_snapshot = |drill: &Finished| match &drill.result {
            Ok(compared) => !compared.comparison.as_expected(),
            Err(_) => false,
        };
        if finished.iter().any(by_snapshot) {
            tell!("review with `cargo insta review`, or accept all with `--accept`");
        }
    }
}

/// `  21.3 s  no-vmcore (irq-vector-exhaustion)`.
fn ended(drill: &DrillResult) -> String {
    let time = seconds(drill.elapsed);
    format!("{time:>8}  {}", answer(&drill.outcome))
}

/// For a drill that did not end as expected: what changed, and where to look.
pub(crate) fn explain(compared: &Compared) -> String {
    let mut text = String::new();
    match &compared.comparison {
        Comparison::Same | Comparison::Accepted { .. } | Comparison::NotNeeded => {}
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
    if let Some(expected) = compared.unmet() {
        text.push_str(&format!(
            "          the scenario expects {BOLD}{expected}{BOLD:#}\n"
        ));
        let evidence = compared
            .drill
            .outcome
            .evidence
            .iter()
            .map(|line| safe(line));
        text.extend(evidence.map(|line| format!("          {DIM}{line}{DIM:#}\n")));
    }
    if let Some(kept) = &compared.kept {
        text.push_str(&format!(
            "          console log: {BOLD}{}{BOLD:#}\n",
            kept.join("console.log").display()
        ));
        if let Some(postmortem) = &compared.drill.postmortem {
            text.push_str(&open_postmortem(kept, postmortem));
        }
    }
    text
}

/// Where the memory of a dead capture kernel is, and what opens it.
fn open_postmortem(kept: &Path, postmortem: &Postmortem) -> String {
    let directory = kept.join(POSTMORTEM);
    let file = directory.join(POSTMORTEM_VMCORE);
    let (directory, file) = (directory.display(), file.display());
    let size = mebibytes(postmortem.size);
    // crash takes what follows an @ in a file's path, as in a variant's, for the address of a RAM dump.
    let mut text = format!(
        "          capture kernel's memory: {BOLD}{file}{BOLD:#} ({size})\n          \
         cd {directory} && crash VMLINUX {POSTMORTEM_VMCORE}\n"
    );
    text.push_str(&match &postmortem.release {
        Some(release) => format!(
            "          drgn -c {file} -s VMLINUX     (VMLINUX: of {release}, with symbols)\n          \
             crashdrill vmcore --dmesg {file}\n"
        ),
        None => "          the kernel's VMCOREINFO was not found in it; drgn cannot do without\n".to_owned(),
    });
    text
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}
