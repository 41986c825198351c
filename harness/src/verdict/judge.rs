//! Evidence and rules to an outcome.

use std::cmp::Reverse;

use super::book::{Role, RuleBook};
use super::evidence::{Dump, End, Evidence, Spotted};
use super::outcome::{Cause, Outcome, Phase, Verdict};
use super::rules::{DumpKind, Rule, When, one_of};
use super::vectors::{devices, vectors};

/// Quotes in an outcome. More would not be read.
const MAX_QUOTES: usize = 12;

/// Where a line stands: its number, and which of its messages.
pub(crate) type Place = (u64, u64);

/// A rule that holds.
#[derive(Debug, Clone)]
pub struct Finding<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// Of the alternative that holds.
    pub priority: u8,
    /// The first line that it rests on; `None` when it rests on no line.
    pub(crate) first: Option<Place>,
    /// Lines to quote.
    pub(crate) lines: Vec<(Place, String)>,
    /// Headlines of the kernel's report.
    pub(crate) headlines: Vec<(Place, String)>,
    /// What else it rests on.
    pub sentences: Vec<String>,
    /// The kernel's report that it rests on: index into [`Evidence::splats`].
    pub report: Option<usize>,
    /// Drivers that the log names and the rule suspects.
    pub suspects: Vec<String>,
}

/// An outcome and the rules behind it.
#[derive(Debug, Clone)]
pub struct Judgement<'r> {
    /// What happened.
    pub happened: Verdict,
    /// Why.
    pub why: Cause,
    /// The rule that gave the verdict.
    pub verdict: Option<Finding<'r>>,
    /// The rule that gave the cause, if it is another.
    pub cause: Option<Finding<'r>>,
    /// Rules that would have given another verdict or cause, best first.
    pub runners_up: Vec<Finding<'r>>,
    /// What was seen besides.
    pub contributing: Vec<Finding<'r>>,
}

/// The outcome of a drill by the rules that crashdrill comes with.
pub fn judge(evidence: &Evidence) -> Outcome {
    let book = RuleBook::builtin();
    let judgement = assess(&book, evidence);
    let expectations = evidence.expectations.clone().unwrap_or_default();
    let devices = devices(evidence);
    Outcome {
        verdict: judgement.happened,
        cause: judgement.why.clone(),
        phase: evidence.phase(),
        evidence: quotes(&judgement, evidence)
            .into_iter()
            .map(|(_, text)| text)
            .collect(),
        vectors: vectors(evidence, &devices),
        devices,
        vmcore: match &evidence.dump {
            Dump::Found(vmcore) => Some(vmcore.clone()),
            _ => None,
        },
        machine: expectations.machine,
        fidelity: expectations.fidelity,
    }
}

/// What happened and why by these rules, and which of them say so.
pub fn assess<'r>(book: &'r RuleBook, evidence: &Evidence) -> Judgement<'r> {
    let rules = book.rules().iter().enumerate();
    let mut findings: Vec<Finding<'r>> = rules
        .filter_map(|(index, rule)| hold(book, index, rule, evidence))
        .collect();
    let verdict = best(&findings, |rule| rule.verdict.is_some()).map(|at| findings.remove(at));
    // A drill has been watched to its end: nothing seen is nothing saved.
    let nothing = match &evidence.expectations {
        Some(_) => Verdict::NoVmcore,
        None => Verdict::Unknown,
    };
    let happened = verdict
        .as_ref()
        .and_then(|finding| finding.rule.verdict)
        .unwrap_or(nothing);
    // An unknown cause explains nothing, so any known one is better.
    let explains = |rule: &Rule| {
        rule.cause
            .as_ref()
            .is_some_and(|cause| *cause != Cause::UNKNOWN)
            && (rule.verdict == Some(happened) || rule.explains.contains(&happened))
    };
    let cause = best(&findings, explains)
        .filter(|at| {
            verdict.as_ref().is_none_or(|verdict| {
                !explains(verdict.rule) || rank(&findings[*at]) > rank(verdict)
            })
        })
        .map(|at| findings.remove(at));
    let why = cause
        .as_ref()
        .or(verdict.as_ref())
        .and_then(|finding| finding.rule.cause.clone())
        .unwrap_or(Cause::UNKNOWN);

    let (contributing, mut runners_up): (Vec<_>, Vec<_>) = findings
        .into_iter()
        .partition(|finding| finding.rule.verdict.is_none() && finding.rule.cause.is_none());
    // A verdict of last resort that was not needed says nothing.
    runners_up.retain(|finding| finding.first.is_some());
    runners_up.retain(|finding| explains(finding.rule) || finding.rule.verdict != Some(happened));
    runners_up.sort_by_key(|finding| Reverse(rank(finding)));
    Judgement {
        happened,
        why,
        verdict,
        cause,
        runners_up,
        contributing,
    }
}

/// The finding, if the rule holds: by the best of its alternatives.
fn hold<'r>(
    book: &'r RuleBook,
    index: usize,
    rule: &'r Rule,
    evidence: &Evidence,
) -> Option<Finding<'r>> {
    let alternatives = rule.when.iter().enumerate();
    let held = alternatives
        .filter_map(|(at, when)| alternative(book, (index, rule), (at, when), evidence));
    // Of equals, max_by_key takes the last and a rule file's reader expects the first.
    let held: Vec<Finding<'r>> = held.collect();
    let mut finding = held.into_iter().rev().max_by_key(rank)?;
    let phases = phases(evidence, &rule.phases);
    for place in book.places(index) {
        if place.role == Role::Also
            && let Some(hit) = evidence.hits.first(place.pattern, phases)
        {
            finding.lines.push((hit.place, hit.text.clone()));
        }
    }
    finding.suspects = suspects(book, index, rule, evidence, &finding);
    finding.lines.sort();
    finding.lines.dedup();
    Some(finding)
}

/// Phases in which lines count. Of a kernel of which nobody knows which it is: all, but for what is
/// said of a dump.
fn phases<'p>(evidence: &Evidence, wanted: &'p [Phase]) -> &'p [Phase] {
    let of_a_kernel = |phase: &Phase| *phase < Phase::Saving;
    if evidence.any_phase && wanted.iter().any(of_a_kernel) {
        &[]
    } else {
        wanted
    }
}

fn alternative<'r>(
    book: &RuleBook,
    (index, rule): (usize, &'r Rule),
    (at, when): (usize, &When),
    evidence: &Evidence,
) -> Option<Finding<'r>> {
    if !when.fits(evidence) {
        return None;
    }
    let wanted = if when.phases.is_empty() {
        &rule.phases
    } else {
        &when.phases
    };
    let phases = phases(evidence, wanted);
    let hits = |role: Role| {
        let places = book.places(index).iter();
        places
            .filter(move |place| place.when == Some(at) && place.role == role)
            .map(|place| evidence.hits.first(place.pattern, phases))
    };
    if hits(Role::Unless).flatten().next().is_some()
        || when
            .not_told
            .iter()
            .any(|told| told.sentences(evidence).is_some())
    {
        return None;
    }
    let any: Vec<_> = hits(Role::Line).flatten().collect();
    if any.is_empty() && !when.lines.is_empty() {
        return None;
    }
    let required: Vec<_> = hits(Role::Required).collect::<Option<_>>()?;
    let mut sentences = Vec::new();
    for told in &when.told {
        sentences.extend(told.sentences(evidence)?);
    }
    let lines: Vec<(Place, String)> = any
        .iter()
        .chain(&required)
        .map(|hit| (hit.place, hit.text.clone()))
        .collect();
    let mut headlines = Vec::new();
    // What has to stand beside the line that matters is not where it began.
    let mut first = any.iter().map(|hit| hit.place).min();
    let report = match book.look(index, at) {
        None => None,
        Some(pattern) => {
            let mut splats = evidence.splats.iter();
            let found = splats.position(|spotted| {
                one_of(phases, &spotted.phase) && pattern.matches(&spotted.splat)
            })?;
            let splat = &evidence.splats[found].splat;
            let begin = (splat.line, 0);
            first = Some(first.map_or(begin, |first| first.min(begin)));
            headlines.push((begin, splat.title.clone()));
            // Of a report that stands in one line, they follow what else is quoted of it.
            let also = splat.also.iter().zip(u64::MAX - splat.also.len() as u64..);
            headlines.extend(also.map(|(also, part)| ((also.line, part), also.text.clone())));
            Some(found)
        }
    };
    first = first.or_else(|| required.iter().map(|hit| hit.place).min());
    if !when.dump.is_empty() {
        sentences.push(dump_sentence(&evidence.dump));
    }
    if !when.end.is_empty() {
        sentences.push(end_sentence(evidence.end));
    }
    Some(Finding {
        rule,
        priority: when.priority,
        first,
        lines,
        headlines,
        sentences,
        report,
        suspects: Vec::new(),
    })
}

/// What the log names of the rule's suspects, without the victim itself; or the drivers that the
/// report itself blames, the innermost first.
fn suspects(
    book: &RuleBook,
    index: usize,
    rule: &Rule,
    evidence: &Evidence,
    finding: &Finding<'_>,
) -> Vec<String> {
    let phases = phases(evidence, &rule.phases);
    let report = finding.report.map(|at| &evidence.splats[at].splat);
    let in_trace = |driver: &str| {
        let mut frames = report.iter().flat_map(|splat| &splat.trace);
        frames.any(|frame| frame.symbol.module.as_deref() == Some(driver))
    };
    if rule.blames_trace {
        let symbols = report.iter().flat_map(|splat| {
            let frames = splat.trace.iter().map(|frame| &frame.symbol);
            splat.at.iter().chain(frames)
        });
        let innermost = symbols.filter_map(|symbol| symbol.module.clone()).next();
        let known = rule.suspects.iter().filter(|driver| in_trace(driver));
        let mut blamed: Vec<String> = innermost.into_iter().collect();
        blamed.extend(
            known
                .filter(|driver| !blamed.contains(driver))
                .cloned()
                .collect::<Vec<_>>(),
        );
        if !blamed.is_empty() {
            return blamed;
        }
    }
    let spotted = |driver: &str| {
        let in_phase = |spotted: &&Spotted| one_of(phases, &spotted.phase);
        let mut modules = evidence.splats.iter().filter(in_phase);
        modules.any(|spotted| spotted.splat.modules.iter().any(|m| m.name == driver))
    };
    let printed = |suspect: usize| {
        let mut places = book.places(index).iter();
        places.any(|place| {
            place.role == Role::Suspect(suspect)
                && evidence.hits.first(place.pattern, phases).is_some()
        })
    };
    let drivers = rule.suspects.iter().enumerate();
    drivers
        .filter(|(at, driver)| !in_trace(driver) && (printed(*at) || spotted(driver)))
        .map(|(_, driver)| driver.clone())
        .collect()
}

/// The first fatal line wins; what rests on no line comes after all lines.
fn rank(finding: &Finding<'_>) -> (u8, Reverse<Place>) {
    let position = finding.first.unwrap_or((u64::MAX, u64::MAX));
    (finding.priority, Reverse(position))
}

fn best(findings: &[Finding<'_>], wanted: impl Fn(&Rule) -> bool) -> Option<usize> {
    let candidates = findings.iter().enumerate();
    candidates
        .filter(|(_, finding)| wanted(finding.rule))
        .max_by_key(|(index, finding)| (rank(finding), Reverse(*index)))
        .map(|(index, _)| index)
}

/// What verdict and cause rest on. Console lines first, in their order, then what is known
/// otherwise: how the two channels interleave differs from run to run.
pub(crate) fn quotes(judgement: &Judgement<'_>, evidence: &Evidence) -> Vec<(Option<u64>, String)> {
    let findings = || judgement.verdict.iter().chain(&judgement.cause);
    let mut quotes = Quotes::default();
    // A verdict that no line gave still says where the machine stood, and how it ended.
    let lineless = judgement
        .verdict
        .as_ref()
        .is_none_or(|found| found.first.is_none());
    if lineless && let Some(began) = evidence.phases.last() {
        quotes.add(Some(began.line.line), &began.line.text);
    }
    let mut lines: Vec<&(Place, String)> = findings()
        .flat_map(|found| found.lines.iter().chain(&found.headlines))
        .collect();
    lines.sort();
    for ((line, _), text) in lines {
        quotes.add(Some(*line), text);
    }
    for sentence in findings().flat_map(|found| &found.sentences) {
        quotes.add(None, sentence);
    }
    if lineless {
        quotes.add(None, &end_sentence(evidence.end));
    }
    quotes.0
}

/// What one finding rests on.
pub(crate) fn quotes_of(finding: &Finding<'_>) -> Vec<(Option<u64>, String)> {
    let mut quotes = Quotes::default();
    let lines = match finding.lines.as_slice() {
        [] => &finding.headlines,
        // The report itself is no news beside the verdict.
        _ => &finding.lines,
    };
    for ((line, _), text) in lines {
        quotes.add(Some(*line), text);
    }
    for sentence in &finding.sentences {
        quotes.add(None, sentence);
    }
    quotes.0
}

#[derive(Default)]
struct Quotes(Vec<(Option<u64>, String)>);

impl Quotes {
    fn add(&mut self, line: Option<u64>, text: &str) {
        // A report's headline is its line without the time stamp.
        let same = |(at, quoted): &(Option<u64>, String)| {
            quoted == text || (*at == line && quoted.contains(text))
        };
        if self.0.len() >= MAX_QUOTES || self.0.iter().any(same) {
            return;
        }
        let shorter = |(at, quoted): &&mut (Option<u64>, String)| {
            *at == line && text.contains(quoted.as_str())
        };
        match self.0.iter_mut().find(shorter) {
            Some((_, quoted)) => *quoted = text.to_owned(),
            None => self.0.push((line, text.to_owned())),
        }
    }
}

fn end_sentence(end: End) -> String {
    match end {
        End::PoweredOff => "end: the machine powered off".to_owned(),
        End::Reset => "end: the machine reset".to_owned(),
        End::Silent(limit) => format!("end: not a byte on the console for {limit}"),
        End::TotalLimit(limit) => format!("end: not over after {limit}"),
        End::Panicked => "end: the kernel stopped with the panic".to_owned(),
        End::Halted => "end: the machine halted".to_owned(),
        End::LogEnds => "end: the log says no more".to_owned(),
    }
}

fn dump_sentence(dump: &Dump) -> String {
    let text = match (DumpKind::from(dump), dump) {
        (DumpKind::NotLookedFor, _) => "not looked for",
        (DumpKind::None, _) => "none on the target",
        (DumpKind::Proven, _) => "complete; its own log holds this drill's token and its crash",
        (DumpKind::Incomplete, _) => "incomplete",
        (DumpKind::Foreign, Dump::Found(vmcore)) if !vmcore.this_drill => {
            "complete, but without this drill's token"
        }
        (DumpKind::Foreign, _) => "complete, but without a crash in its log",
        (DumpKind::Unreadable, Dump::Unreadable(why)) => return format!("dump: unreadable: {why}"),
        (DumpKind::Unreadable, _) => "unreadable",
    };
    format!("dump: {text}")
}

#[cfg(test)]
mod tests;
