//! The run as data.

use std::io;
use std::path::Path;

use serde::Serialize;

use super::{Finished, Totals, write_report};
use crate::run::LeftOut;
use crate::scenario::model::Expect;
use crate::snapshot::Comparison;
use crate::verdict::outcome::{Outcome, Phase};

/// The whole document; `format` counts up when a field changes its meaning.
#[derive(Serialize)]
struct Run<'a> {
    format: u32,
    as_expected: usize,
    changed: usize,
    failed: usize,
    drills: Vec<Drill<'a>>,
    left_out: Vec<Skipped<'a>>,
}

/// A drill that was not run.
#[derive(Serialize)]
struct Skipped<'a> {
    scenario: &'a str,
    variant: Option<&'a str>,
    image: Option<&'a str>,
    why: &'a str,
}

#[derive(Serialize)]
struct Drill<'a> {
    scenario: &'a str,
    variant: Option<&'a str>,
    /// If it is another one than the scenario says.
    image: Option<&'a str>,
    result: &'static str,
    error: Option<String>,
    seconds: Option<f64>,
    capture_memory_bytes: Option<u64>,
    timeline: Vec<Mark<'a>>,
    outcome: Option<&'a Outcome>,
    /// What the scenario expects.
    expected: Option<&'a Expect>,
    /// Whether that is what came.
    met: Option<bool>,
    kept: Option<&'a Path>,
}

#[derive(Serialize)]
struct Mark<'a> {
    phase: Phase,
    seconds: f64,
    line: Option<&'a str>,
}

/// Writes the run to `file`; `-` is standard output.
pub fn write_json(file: &Path, finished: &[Finished], left_out: &[LeftOut]) -> io::Result<()> {
    let totals = Totals::of(finished);
    let run = Run {
        format: 1,
        as_expected: totals.as_expected,
        changed: totals.changed,
        failed: totals.failed,
        drills: finished.iter().map(drill).collect(),
        left_out: left_out.iter().map(skipped).collect(),
    };
    let mut text = serde_json::to_string_pretty(&run)?;
    text.push('\n');
    write_report(file, &text)
}

fn skipped(left_out: &LeftOut) -> Skipped<'_> {
    Skipped {
        scenario: &left_out.id.scenario,
        variant: left_out.id.variant.as_deref(),
        image: left_out.id.image.as_deref(),
        why: &left_out.why,
    }
}

fn drill(finished: &Finished) -> Drill<'_> {
    let id = &finished.id;
    let base = Drill {
        scenario: &id.scenario,
        variant: id.variant.as_deref(),
        image: id.image.as_deref(),
        result: "failed",
        error: None,
        seconds: None,
        capture_memory_bytes: None,
        timeline: Vec::new(),
        outcome: None,
        expected: None,
        met: None,
        kept: None,
    };
    match &finished.result {
        Err(error) => Drill {
            error: Some(error.to_string()),
            ..base
        },
        Ok(compared) => {
            let drill = &compared.drill;
            Drill {
                result: match compared.comparison {
                    Comparison::New { .. } => "new",
                    Comparison::Changed { .. } => "changed",
                    _ if compared.unmet().is_some() => "unexpected",
                    Comparison::Same | Comparison::NotNeeded => "as-expected",
                    Comparison::Accepted { .. } => "accepted",
                },
                seconds: Some(drill.elapsed.as_secs_f64()),
                capture_memory_bytes: drill.capture_memory.map(|bytes| bytes.0),
                timeline: drill
                    .timeline
                    .iter()
                    .map(|began| Mark {
                        phase: began.phase,
                        seconds: began.at.as_secs_f64(),
                        line: began.line.as_deref(),
                    })
                    .collect(),
                outcome: Some(&drill.outcome),
                expected: compared.expected.as_ref(),
                met: compared
                    .expected
                    .as_ref()
                    .map(|_| compared.unmet().is_none()),
                kept: compared.kept.as_deref(),
                ..base
            }
        }
    }
}
