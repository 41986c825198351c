//! A search for programs.

use std::path::Path;

use serde::Serialize;

use crate::search::{Boot, Search, TrialResult};
use crate::verdict::outcome::Outcome;

/// The whole document; `format` counts up when a field changes its meaning. Values are bytes, or
/// what the setting counts.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    format: u32,
    scenario: &'a str,
    variant: Option<&'a str>,
    /// If it is another one than the scenario says.
    image: Option<&'a str>,
    /// What was made smaller.
    minimised: String,
    from: u64,
    to: u64,
    step: u64,
    /// The smallest value that leaves a dump, if any does.
    smallest: Option<u64>,
    /// The value just below it, which does not; null if `smallest` is the smallest of the range.
    failed_below: Option<u64>,
    /// Values above it that do not.
    failed_above: Vec<u64>,
    /// What was tried, in this order.
    trials: Vec<Trial<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Trial<'a> {
    value: u64,
    dump: bool,
    /// Why the scenario cannot have this value; then no machine ran.
    refused: Option<&'a str>,
    boot: Option<Booted<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Booted<'a> {
    seconds: f64,
    capture_total_bytes: Option<u64>,
    capture_memory_bytes: Option<u64>,
    outcome: &'a Outcome,
    kept: Option<&'a Path>,
}

/// The search as one JSON document, with a newline at its end.
///
/// # Errors
/// None that a search can cause.
pub fn search_json(search: &Search) -> Result<String, serde_json::Error> {
    let value = |at: usize| search.values.get(at).number;
    let answer = &search.answer;
    let trials = search.trials.iter().map(|trial| {
        let (boot, refused) = match &trial.result {
            TrialResult::Booted(boot) => (Some(&**boot), None),
            TrialResult::Refused(why) => (None, Some(why.as_str())),
        };
        Trial {
            value: value(trial.at),
            dump: trial.result.works(),
            refused,
            boot: boot.map(booted),
        }
    });
    let mut text = serde_json::to_string_pretty(&Document {
        format: 1,
        scenario: &search.id.scenario,
        variant: search.id.variant.as_deref(),
        image: search.id.image.as_deref(),
        minimised: search.minimised.to_string(),
        from: value(0),
        to: value(search.values.count() - 1),
        step: search.values.step().number,
        smallest: answer.smallest.map(value),
        failed_below: answer.failed_below.map(value),
        failed_above: answer.failed_above.iter().copied().map(value).collect(),
        trials: trials.collect(),
    })?;
    text.push('\n');
    Ok(text)
}

fn booted(boot: &Boot) -> Booted<'_> {
    Booted {
        seconds: boot.elapsed.as_secs_f64(),
        capture_total_bytes: boot.capture_total.map(|bytes| bytes.0),
        capture_memory_bytes: boot.capture_memory.map(|bytes| bytes.0),
        outcome: &boot.outcome,
        kept: boot.kept.as_deref(),
    }
}
