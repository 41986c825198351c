//! A proof for programs.

use std::path::Path;

use serde::Serialize;

use crate::proof::{Changes, Effect, Proof, Side};
use crate::verdict::outcome::Outcome;

/// The whole document; `format` counts up when a field changes its meaning.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    format: u32,
    /// `fixes`, `does-not-fix`, `breaks` or `no-difference`: what the change did most often.
    verdict: Effect,
    /// How often it did, of how many runs of both drills.
    times: usize,
    of: usize,
    /// Each drill came to the very same outcome each time.
    steady: bool,
    /// What is different: settings of the scenario, words of both kernels' command lines.
    configuration: &'a Changes,
    before: Drill<'a>,
    after: Drill<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Drill<'a> {
    scenario: &'a str,
    variant: Option<&'a str>,
    /// If it is another one than the scenario says.
    image: Option<&'a str>,
    /// The different outcomes, as snapshots hold them, the most frequent first.
    outcomes: Vec<Often<'a>>,
    runs: Vec<Run<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Often<'a> {
    times: usize,
    outcome: &'a Outcome,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Run<'a> {
    /// Place of its outcome in `outcomes`.
    outcome: Option<usize>,
    seconds: f64,
    capture_memory_bytes: Option<u64>,
    kept: Option<&'a Path>,
}

/// The proof as one JSON document, with a newline at its end.
///
/// # Errors
/// None that a proof can cause.
pub fn proof_json(proof: &Proof) -> Result<String, serde_json::Error> {
    let finding = proof.finding();
    let mut text = serde_json::to_string_pretty(&Document {
        format: 1,
        verdict: finding.effect,
        times: finding.times,
        of: finding.of,
        steady: finding.steady,
        configuration: &proof.changes,
        before: drill(&proof.before),
        after: drill(&proof.after),
    })?;
    text.push('\n');
    Ok(text)
}

fn drill(side: &Side) -> Drill<'_> {
    let groups = side.groups();
    let place = |outcome: &Outcome| groups.iter().position(|group| group.outcome == outcome);
    let runs = side
        .runs
        .iter()
        .map(|run| Run {
            outcome: place(&run.outcome),
            seconds: run.elapsed.as_secs_f64(),
            capture_memory_bytes: run.capture_memory.map(|bytes| bytes.0),
            kept: run.kept.as_deref(),
        })
        .collect();
    Drill {
        scenario: &side.id.scenario,
        variant: side.id.variant.as_deref(),
        image: side.id.image.as_deref(),
        outcomes: groups
            .iter()
            .map(|group| Often {
                times: group.times,
                outcome: group.outcome,
            })
            .collect(),
        runs,
    }
}
