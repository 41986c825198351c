//! Every shipped scenario as a test of its own: a real machine, a real crash, and the outcome held
//! against the snapshot beside this file. What is missing (images, QEMU) is fetched first.
//!
//! Here and not in harness/tests, because `cargo insta` looks for pending snapshots only in the
//! directories that hold a package's sources.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crashdrill::image::{Cache, Progress, Step};
use crashdrill::machine::catalogue;
use crashdrill::project::Project;
use crashdrill::run::{self, Job, Shell};
use crashdrill::snapshot::{self, Comparison};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    // SAFETY: no other thread exists yet that could read the environment.
    unsafe { std::env::set_var("INSTA_OUTPUT", "none") };
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match trials(&root, &arguments) {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("{:?}", miette::Report::msg(error));
            ExitCode::FAILURE
        }
    }
}

fn trials(root: &Path, arguments: &Arguments) -> Result<Vec<Trial>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let project = Project::at(root.to_owned()).map_err(|error| text(&error))?;
    let mut drills = Vec::new();
    for file in project.scenarios(&[]).map_err(|error| text(&error))? {
        let scenario = crashdrill::scenario::read(&file, catalogue::facts)
            .map_err(|error| error.render(100, false))?;
        drills.extend(scenario.drills);
    }
    if arguments.list {
        // Listing must not fetch.
        return Ok(drills
            .iter()
            .map(|drill| Trial::test(drill.id.to_string(), || Ok(())))
            .collect());
    }
    let cache = Cache::from_env().map_err(|error| text(&error))?;
    let prepared = run::prepare_possible(&project, &cache, drills, None, Shell::No, &Lines)
        .map_err(|error| format!("{:?}", miette::Report::new(error)))?;
    let snapshots = Arc::new(project.snapshots());
    let trials = prepared.jobs.into_iter().map(|job| {
        let snapshots = snapshots.clone();
        Trial::test(job.drill.id.to_string(), move || drill(&job, &snapshots))
    });
    let missing = prepared.missing.into_iter().flat_map(|missing| {
        let error = missing.error.to_string();
        missing.drills.into_iter().map(move |id| {
            let error = error.clone();
            Trial::test(id.to_string(), move || Err(error.into()))
        })
    });
    // With a QEMU that somebody has named; without one, crashdrill takes its own for these.
    let left_out = prepared.left_out.into_iter().map(|drill| {
        eprintln!("left out {}: {}", drill.id, drill.why);
        Trial::test(drill.id.to_string(), || Ok(())).with_ignored_flag(true)
    });
    Ok(trials.chain(missing).chain(left_out).collect())
}

fn drill(job: &Job, snapshots: &Path) -> Result<(), Failed> {
    let result = run::one(job).map_err(|error| format!("the harness failed: {error}"))?;
    let new = snapshot::text(&result.outcome)?;
    let comparison = snapshot::compare(snapshots, &job.drill.id, &new);
    let expected = job.drill.scenario.expect.as_ref();
    let unmet = expected.filter(|expected| !expected.is_met(&result.outcome));
    if comparison.as_expected() && unmet.is_none() {
        return Ok(());
    }
    let lines = match comparison {
        Comparison::Changed { old, new, .. } => snapshot::diff(&old, &new)
            .into_iter()
            .map(|(sign, line)| format!("{sign}{line}\n"))
            .collect(),
        Comparison::New { text, .. } => format!("there is no snapshot yet:\n{text}"),
        Comparison::Same | Comparison::Accepted { .. } | Comparison::NotNeeded => unmet
            .map_or(String::new(), |expected| {
                format!("the scenario expects {expected}\n")
            }),
    };
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("drills")
        .join(job.drill.id.to_string());
    run::keep(&kept, job, &result, false)?;
    Err(format!("{lines}console log: {}", kept.join("console.log").display()).into())
}

/// A line a step: what a test's output can hold.
struct Lines;

impl Progress for Lines {
    fn report(&self, item: &str, step: &Step) {
        match step {
            Step::Waiting => eprintln!("{item}: waiting for another crashdrill"),
            Step::Downloading { percent, text } if *percent == Some(0.0) => {
                eprintln!("{item}: {text}")
            }
            Step::Done => eprintln!("{item}: ready"),
            Step::Downloading { .. }
            | Step::Unpacking { .. }
            | Step::Installing(_)
            | Step::Converting => {}
        }
    }
}
