//! The run as JUnit XML, for CI systems.

use std::io;
use std::path::Path;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Finished, answer, seconds, write_report};
use crate::run::{Began, LeftOut};
use crate::scenario::DrillId;
use crate::snapshot::{Comparison, diff};

/// Writes the run to `file` (`-` is standard output): a suite a scenario, with the image where that is not the scenario's own,
/// and a case a variant. A changed outcome, or another one than the scenario expects, is a failure, a
/// failure of the harness an error, and a drill that was left out is skipped.
pub fn write_junit(
    file: &Path,
    finished: &[Finished],
    left_out: &[LeftOut],
    elapsed: Duration,
) -> io::Result<()> {
    let mut report = Report::new("crashdrill");
    report.set_time(elapsed);
    let mut suites: Vec<TestSuite> = Vec::new();
    let run = finished.iter().map(|drill| (&drill.id, case(drill)));
    let left_out = left_out.iter().map(|drill| (&drill.id, skipped(drill)));
    for (id, case) in run.chain(left_out) {
        let name = suite(id);
        let index = match suites.iter().position(|suite| suite.name == *name) {
            Some(index) => index,
            None => {
                suites.push(TestSuite::new(name));
                suites.len() - 1
            }
        };
        suites[index].add_test_case(case);
    }
    report.add_test_suites(suites);
    let text = report.to_string().map_err(io::Error::other)?;
    write_report(file, &text)
}

/// `healthy`, `healthy on debian-13`.
fn suite(id: &DrillId) -> String {
    let all = DrillId {
        variant: None,
        ..id.clone()
    };
    all.to_string()
}

fn named(id: &DrillId, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(id.variant.as_deref().unwrap_or("drill"), status);
    case.set_classname(suite(id));
    case
}

fn skipped(left_out: &LeftOut) -> TestCase {
    let mut status = TestCaseStatus::skipped();
    status.set_message(left_out.why.clone());
    named(&left_out.id, status)
}

fn case(finished: &Finished) -> TestCase {
    let (status, compared) = match &finished.result {
        Err(error) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("harness").set_message(error.to_string());
            (status, None)
        }
        Ok(compared) => {
            let status = match (&compared.comparison, compared.unmet()) {
                (Comparison::New { file, text }, _) => {
                    let message = format!("no snapshot {}", file.display());
                    failure("snapshot", message, text.clone())
                }
                (Comparison::Changed { file, old, new }, _) => failure(
                    "snapshot",
                    format!("differs from {}", file.display()),
                    diff(old, new)
                        .into_iter()
                        .map(|(sign, line)| format!("{sign}{line}\n"))
                        .collect(),
                ),
                (_, Some(expected)) => {
                    let outcome = &compared.drill.outcome;
                    let message = format!("{}, not {expected}", answer(outcome));
                    failure("expect", message, outcome.evidence.join("\n"))
                }
                (_, None) => TestCaseStatus::success(),
            };
            (status, Some(compared))
        }
    };
    let mut case = named(&finished.id, status);
    if let Some(compared) = compared {
        case.set_time(compared.drill.elapsed);
        let phases: String = compared.drill.timeline.iter().map(phase).collect();
        case.set_system_out(phases);
    }
    case
}

fn phase(began: &Began) -> String {
    let line = began.line.as_deref().unwrap_or_default();
    format!(
        "{:>10}  {:16} {line}\n",
        seconds(began.at),
        began.phase.to_string()
    )
}

fn failure(what: &'static str, message: String, text: String) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status
        .set_type(what)
        .set_message(message)
        .set_description(text);
    status
}
