//! Evidence and rules to an outcome.

use std::cmp::Reverse;

use crashdrill_guest::report::{Report, Role as Kernel};

use super::evidence::{Dump, End, Evidence};
use super::outcome::{Cause, Function, Outcome, Vectors, Verdict};
use super::rules::{DumpKind, Role, Rule, RuleBook};

/// Quotes in an outcome. More would not be read.
const MAX_QUOTES: usize = 12;

/// A rule that holds.
#[derive(Debug, Clone)]
pub struct Finding<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// Index into [`Evidence::lines`] of the first line that it rests on; `None` when it rests on
    /// no line.
    pub first_line: Option<usize>,
    /// All of its lines, in order.
    pub lines: Vec<usize>,
    /// What else it rests on.
    pub sentences: Vec<String>,
}

/// An outcome and the rules behind it.
#[derive(Debug, Clone)]
pub struct Judgement<'r> {
    /// With times, addresses and the like still in it: see [`super::normalise()`].
    pub outcome: Outcome,
    /// The rule that gave the verdict.
    pub verdict: Option<Finding<'r>>,
    /// The rule that gave the cause.
    pub cause: Option<Finding<'r>>,
    /// Everything else that holds.
    pub contributing: Vec<Finding<'r>>,
}

/// The outcome by the rules that crashdrill comes with.
pub fn judge(evidence: &Evidence) -> Outcome {
    assess(RuleBook::builtin(), evidence).outcome
}

/// The outcome by these rules, and which of them made it.
pub fn assess<'r>(book: &'r RuleBook, evidence: &Evidence) -> Judgement<'r> {
    let mut findings = find(book, evidence);
    let verdict = best(&findings, |rule| rule.verdict.is_some()).map(|at| findings.remove(at));
    let happened = verdict
        .as_ref()
        .and_then(|finding| finding.rule.verdict)
        .unwrap_or(Verdict::NoVmcore);
    // An unknown cause explains nothing, so any known one is better.
    let explains = |rule: &Rule| {
        rule.cause.is_some_and(|cause| cause != Cause::Unknown)
            && (rule.verdict == Some(happened) || rule.explains.contains(&happened))
    };
    let why = best(&findings, explains)
        .filter(|at| {
            verdict.as_ref().is_none_or(|verdict| {
                !explains(verdict.rule) || rank(&findings[*at]) > rank(verdict)
            })
        })
        .map(|at| findings.remove(at));
    let cause = why
        .as_ref()
        .or(verdict.as_ref())
        .and_then(|finding| finding.rule.cause)
        .unwrap_or(Cause::Unknown);

    let outcome = Outcome {
        verdict: happened,
        cause,
        phase: evidence.phase(),
        evidence: quotes(evidence, verdict.as_ref(), why.as_ref()),
        vectors: vectors(evidence),
        devices: devices(evidence),
        vmcore: match &evidence.dump {
            Dump::Found(vmcore) => Some(vmcore.clone()),
            _ => None,
        },
        machine: evidence.expectations.machine.clone(),
        fidelity: evidence.expectations.fidelity.clone(),
    };
    // A runner-up that would have given a verdict of last resort says nothing.
    findings.retain(|finding| !finding.lines.is_empty() || !finding.sentences.is_empty());
    Judgement {
        outcome,
        cause: why.or_else(|| verdict.clone()),
        verdict,
        contributing: findings,
    }
}

/// Every rule that holds, in the order of the rules.
fn find<'r>(book: &'r RuleBook, evidence: &Evidence) -> Vec<Finding<'r>> {
    let mut first: Vec<Option<usize>> = vec![None; book.places.len()];
    for (index, entry) in evidence.lines.iter().enumerate() {
        if !book.patterns.is_match(&entry.line.text) {
            continue;
        }
        for pattern in book.patterns.matches(&entry.line.text) {
            let phases = &book.rules()[book.places[pattern].rule].phases;
            if phases.is_empty() || phases.contains(&entry.phase) {
                first[pattern].get_or_insert(index);
            }
        }
    }
    let rules = book.rules().iter().enumerate();
    rules
        .filter_map(|(index, rule)| {
            let of = |role: Role| {
                let places = book.places.iter().zip(&first);
                places
                    .filter(move |(place, _)| place.rule == index && place.role == role)
                    .map(|(_, line)| *line)
            };
            hold(rule, evidence, of)
        })
        .collect()
}

/// The finding, if the rule holds. `first_lines` gives, for each pattern of a role, the first line
/// that it matches.
fn hold<'r, I: Iterator<Item = Option<usize>>>(
    rule: &'r Rule,
    evidence: &Evidence,
    first_lines: impl Fn(Role) -> I,
) -> Option<Finding<'r>> {
    if !rule.fits(evidence) || first_lines(Role::Unless).flatten().next().is_some() {
        return None;
    }
    let begin: Vec<usize> = first_lines(Role::Line).flatten().collect();
    if begin.is_empty() && !rule.lines.is_empty() {
        return None;
    }
    let required: Vec<usize> = first_lines(Role::Required).collect::<Option<_>>()?;
    let first_line = begin.iter().min().or(required.iter().min()).copied();
    let mut sentences = Vec::new();
    if rule
        .not_told
        .iter()
        .any(|told| told.sentences(evidence).is_some())
    {
        return None;
    }
    for told in &rule.told {
        sentences.extend(told.sentences(evidence)?);
    }
    if !rule.dump.is_empty() {
        sentences.push(dump_sentence(&evidence.dump));
    }
    if !rule.end.is_empty() {
        sentences.push(end_sentence(evidence.end));
    }
    let mut lines = begin;
    lines.extend(required);
    lines.extend(first_lines(Role::Also).flatten());
    lines.sort_unstable();
    lines.dedup();
    Some(Finding {
        rule,
        first_line,
        lines,
        sentences,
    })
}

/// The first fatal line wins; what rests on no line comes after all lines.
fn rank(finding: &Finding<'_>) -> (u8, Reverse<usize>) {
    let position = finding.first_line.unwrap_or(usize::MAX);
    (finding.rule.priority, Reverse(position))
}

fn best(findings: &[Finding<'_>], wanted: impl Fn(&Rule) -> bool) -> Option<usize> {
    let candidates = findings.iter().enumerate();
    candidates
        .filter(|(_, finding)| wanted(finding.rule))
        // Of equals, max_by_key takes the last and a rule file's reader expects the first.
        .max_by_key(|(index, finding)| (rank(finding), Reverse(*index)))
        .map(|(index, _)| index)
}

/// Console lines first, in their order, then what is known otherwise: how the two channels
/// interleave differs from run to run.
fn quotes(
    evidence: &Evidence,
    verdict: Option<&Finding<'_>>,
    cause: Option<&Finding<'_>>,
) -> Vec<String> {
    let findings = || verdict.into_iter().chain(cause);
    let mut lines: Vec<usize> = findings().flat_map(|found| found.lines.clone()).collect();
    lines.sort_unstable();
    let texts = lines
        .iter()
        .map(|at| evidence.lines[*at].line.text.as_str());
    let mut quotes: Vec<String> = Vec::new();
    let mut quote = |text: &str| {
        if quotes.len() < MAX_QUOTES && !quotes.iter().any(|quote| quote == text) {
            quotes.push(text.to_owned());
        }
    };
    // A verdict that no line gave still says where the machine stood, and how it ended.
    let lineless = verdict.is_none_or(|found| found.first_line.is_none());
    if lineless && let Some(mark) = evidence.phases.last() {
        quote(&mark.text);
    }
    texts.for_each(&mut quote);
    findings()
        .flat_map(|found| &found.sentences)
        .for_each(|sentence| quote(sentence));
    if lineless {
        quote(&end_sentence(evidence.end));
    }
    quotes
}

fn end_sentence(end: End) -> String {
    match end {
        End::PoweredOff => "end: the machine powered off".to_owned(),
        End::Reset => "end: the machine reset".to_owned(),
        End::Silent(limit) => format!("end: not a byte on the console for {limit}"),
        End::TotalLimit(limit) => format!("end: not over after {limit}"),
        End::Panicked => "end: stopped after the panic".to_owned(),
        End::Halted => "end: the machine halted".to_owned(),
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

fn vectors(evidence: &Evidence) -> Option<Vectors> {
    let reports = evidence.capture_reports();
    let capture_cpus = reports.iter().find_map(|report| match report {
        Report::Started {
            role: Kernel::Capture,
            cpus,
            ..
        } => Some(*cpus),
        _ => None,
    })?;
    let allocated = reports.iter().find_map(|report| match report {
        Report::Interrupts { after, msi, .. } if after == "end" => Some(*msi),
        _ => None,
    })?;
    Some(Vectors {
        capture_cpus,
        allocated,
    })
}

fn devices(evidence: &Evidence) -> Vec<Function> {
    let names = &evidence.expectations.devices;
    let mut devices: Vec<Function> = evidence
        .capture_reports()
        .iter()
        .filter_map(|report| match report {
            Report::Function {
                address,
                id,
                table,
                granted,
                driver,
            } => {
                // There is only one PCI domain; lspci leaves it out too.
                let slot = address.strip_prefix("0000:").unwrap_or(address);
                Some(Function {
                    slot: slot.to_owned(),
                    device: names.get(slot).unwrap_or(id).clone(),
                    table: *table,
                    granted: *granted,
                    driver: driver.clone(),
                })
            }
            _ => None,
        })
        .collect();
    devices.sort_by(|a, b| a.slot.cmp(&b.slot));
    devices
}

#[cfg(test)]
mod tests;
