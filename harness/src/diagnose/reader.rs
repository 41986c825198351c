//! A log's bytes to its diagnosis.

use std::sync::Arc;

use super::diagnosis::{Case, Config, Diagnosis, FORMAT, Noted, Omitted, Quote, Remedy, Reported};
use crate::console::boots::{Boot, Role};
use crate::console::splat::Kind;
use crate::verdict::outcome::{Cause, Phase, Verdict};
use crate::verdict::{Finding, Judgement, Log, LogReader, RuleBook, Spotted};
use crate::verdict::{assess, quotes, quotes_of};

/// Runners-up that are shown. More would not be read.
const MAX_RUNNERS_UP: usize = 3;
/// Stands for the suspects where the log names none.
const ANY_DRIVER: &str = "DRIVER";

/// Reads one log.
#[derive(Debug)]
pub struct Reader(LogReader);

impl Reader {
    /// Before the first byte.
    pub fn new(book: Arc<RuleBook>) -> Self {
        Self(LogReader::new(book))
    }

    /// Takes the next bytes, however the log is cut.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes, |_| {});
    }

    /// The log has ended. `file` is its name, for the diagnosis.
    pub fn finish(self, file: Option<String>) -> Diagnosis {
        let mut log = self.0.finish();
        let reports: Vec<Reported> = log.reports.iter().map(reported).collect();
        let cycles = log.cycles();
        let cases: Vec<Case> = cycles
            .iter()
            .filter_map(|cycle| case(&log, *cycle, &reports))
            .collect();
        // Text in which nothing is a kernel's.
        let no_kernel = |boot: &Boot| {
            boot.role == Role::Unknown && boot.last_stamp.is_none() && boot.phases.is_empty()
        };
        if reports.is_empty() && cases.is_empty() && log.boots.iter().all(no_kernel) {
            log.boots.clear();
        }
        let last = cases.last();
        // The one behind the verdict; else the first that somebody died of; else the first.
        let headline = last
            .and_then(|case| case.report)
            .or_else(|| first_fatal(&reports))
            .or((!reports.is_empty()).then_some(0));
        Diagnosis {
            format: FORMAT,
            file,
            bytes: log.bytes,
            lines: log.lines,
            crash: reports.iter().any(|report| report.splat.is_fault())
                || cases.iter().any(|case| case.phase >= Phase::Crashed),
            headline,
            verdict: last.map_or(Verdict::Unknown, |case| case.verdict),
            cause: last.map_or(Cause::UNKNOWN, |case| case.cause.clone()),
            reports,
            cases,
            omitted: Omitted {
                boots: log.omitted_boots,
                reports: log.omitted_reports,
            },
            boots: log.boots,
        }
    }
}

fn reported(spotted: &Spotted) -> Reported {
    Reported {
        boot: spotted.boot,
        phase: spotted.phase,
        count: spotted.count,
        splat: spotted.splat.clone(),
    }
}

/// The first report that somebody died of, or the sanitizer's that said right before why.
fn first_fatal(reports: &[Reported]) -> Option<usize> {
    let fatal = reports.iter().position(|report| report.splat.fatal)?;
    let Some(before) = fatal.checked_sub(1) else {
        return Some(fatal);
    };
    let (said, died) = (&reports[before].splat, &reports[fatal].splat);
    let sanitizer = matches!(said.kind, Kind::Kasan | Kind::Kmsan | Kind::Kfence);
    let apart = said.stamp.zip(died.stamp).map(|(a, b)| a.abs_diff(b));
    let same = sanitizer && said.process == died.process && apart.is_none_or(|us| us < 1_000_000);
    Some(if same { before } else { fatal })
}

/// What became of one crash; `None` if nothing crashed and nothing is known.
fn case(log: &Log, cycle: u32, reports: &[Reported]) -> Option<Case> {
    let evidence = log.evidence(cycle);
    let judgement = assess(&log.book, &evidence);
    let died = evidence.splats.iter().any(|spotted| spotted.splat.fatal);
    if !died && judgement.verdict.is_none() && judgement.cause.is_none() {
        return None;
    }
    let boots = log.boots.iter().enumerate();
    let findings = || judgement.cause.iter().chain(&judgement.verdict);
    let suspects = findings()
        .map(|finding| &finding.suspects)
        .find(|suspects| !suspects.is_empty())
        .cloned()
        .unwrap_or_default();
    let report = judgement
        .verdict
        .iter()
        .chain(&judgement.cause)
        .find_map(|finding| finding.report)
        .map(|at| &evidence.splats[at])
        .and_then(|spotted| reports.iter().position(|report| is_same(report, spotted)));
    Some(Case {
        boots: boots
            .filter(|(_, boot)| boot.cycle == cycle)
            .map(|(index, _)| index)
            .collect(),
        verdict: judgement.happened,
        cause: judgement.why.clone(),
        phase: evidence.phase(),
        report,
        evidence: quoted(quotes(&judgement, &evidence)),
        explanation: explanation(&judgement),
        remedies: remedies(findings().flat_map(|finding| &finding.rule.remedies))
            .map(|remedy| filled(remedy, &suspects))
            .collect(),
        suspects,
        contributing: judgement.contributing.iter().map(noted).collect(),
        runners_up: judgement
            .runners_up
            .iter()
            .take(MAX_RUNNERS_UP)
            .map(noted)
            .collect(),
    })
}

fn is_same(report: &Reported, spotted: &Spotted) -> bool {
    report.boot == spotted.boot
        && report.splat.line == spotted.splat.line
        && report.splat.title == spotted.splat.title
}

fn explanation(judgement: &Judgement<'_>) -> Vec<String> {
    let findings = judgement.verdict.iter().chain(&judgement.cause);
    let mut sentences: Vec<String> = findings
        .map(|finding| finding.rule.explanation.trim().to_owned())
        .collect();
    sentences.dedup();
    sentences
}

fn noted(finding: &Finding<'_>) -> Noted {
    Noted {
        rule: finding.rule.name.clone(),
        explanation: finding.rule.explanation.trim().to_owned(),
        evidence: quoted(quotes_of(finding)),
    }
}

fn quoted(quotes: Vec<(Option<u64>, String)>) -> Vec<Quote> {
    quotes
        .into_iter()
        .map(|(line, text)| Quote { line, text })
        .collect()
}

/// Verdict and cause may have the same ones.
fn remedies<'r>(
    all: impl Iterator<Item = &'r crate::verdict::Remedy>,
) -> impl Iterator<Item = &'r crate::verdict::Remedy> {
    let mut unique: Vec<&crate::verdict::Remedy> = Vec::new();
    for remedy in all {
        if !unique.contains(&remedy) {
            unique.push(remedy);
        }
    }
    unique.into_iter()
}

fn filled(remedy: &crate::verdict::Remedy, suspects: &[String]) -> Remedy {
    let drivers = |between: &str| match suspects {
        [] => ANY_DRIVER.to_owned(),
        suspects => suspects.join(between),
    };
    let (commas, blanks) = (drivers(","), drivers(" "));
    let fill = |text: &str| {
        let text = text.trim().replace("{drivers}", &commas);
        text.replace("{drivers spaced}", &blanks)
    };
    Remedy {
        action: fill(&remedy.action),
        config: remedy
            .config
            .iter()
            .map(|config| Config {
                on: config.on.clone(),
                file: config.file.clone(),
                line: fill(&config.line),
            })
            .collect(),
    }
}
