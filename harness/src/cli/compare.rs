//! `crashdrill compare`.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use clap::{Args, value_parser};

use super::drive::{End, Results, Signals, check_writable, drive, jobs};
use super::named::{self, named};
use super::progress::Shown;
use super::run::{announce, unwritable};
use super::{CliError, Context, Status, print, width};
use crate::proof::{Configuration, Proof, Run, Side, changes};
use crate::report::{Terminal, proof_json, proof_text};
use crate::run::{self, DrillResult, Job, Shell};
use crate::scenario::DrillId;
use crate::verdict::normalise;

/// Run two drills and say what is different, and whether the second cures the first.
///
/// Prints what is different in their configuration, both outcomes side by side, the interrupt
/// vectors of each device, and a verdict: `fixes` (no complete dump with A, one with B), `does not
/// fix` (none with either), `breaks` (one with A, none with B) or `no difference` (one with both).
/// Snapshots are neither read nor written.
#[derive(Debug, Args)]
#[command(after_help = HELP.as_str())]
pub(super) struct Compare {
    /// The drill before the change: SCENARIO or SCENARIO@VARIANT.
    #[arg(value_name = "A")]
    before: String,
    /// The drill after it.
    #[arg(value_name = "B")]
    after: String,
    /// Run each so many times, up to 1000; the outcomes must be the same each time.
    #[arg(long, value_name = "N", default_value = "1", value_parser = value_parser!(u16).range(1..=1000))]
    repeat: u16,
    /// Drills at once [default: as many as CPUs and memory allow].
    #[arg(short, long, value_name = "N", value_parser = jobs)]
    jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    results: Results,
}

static HELP: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    format!(
        "\
{}

Examples:
  crashdrill compare vector-exhaustion-nvme@exhausted vector-exhaustion-nvme@fixed-by-cpus
  crashdrill compare before.yaml after.yaml --repeat 10 --json proof.json

Exit codes:
  0  fixes, or no difference: B leaves a complete dump, every time
  1  does not fix, breaks, or an outcome was not the same every time
  2  bad input: the command line, a scenario
  3  the harness failed in some run, which is never taken for an outcome",
        named::SYNTAX
    )
});

impl Compare {
    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        check_writable(&self.results.json)?;
        let drill = |name: &str| self.results.on_image(context, named(context, name)?);
        let (before, after) = (drill(&self.before)?, drill(&self.after)?);
        let drills = (0..self.repeat)
            .flat_map(|_| [before.clone(), after.clone()])
            .collect();
        let prepared = run::prepare(
            &context.project,
            &context.cache,
            drills,
            self.results.accel.into(),
            Shell::No,
            &Shown::new(),
        )?;
        announce(&prepared);
        let runtime = run::runtime().map_err(CliError::harness)?;
        runtime.block_on(self.run(prepared.jobs))
    }

    /// The jobs are A, B, A, B …
    async fn run(self, jobs: Vec<Job>) -> Result<Status, CliError> {
        let mut signals = Signals::new()?;
        let jobs: Vec<Arc<Job>> = jobs.into_iter().map(Arc::new).collect();
        let names: Vec<String> = (0..jobs.len())
            .map(|index| self.name(&jobs, index))
            .collect();
        let mut terminal = Terminal::new(names.clone());
        let mut runs = Vec::new();
        let end = drive(
            &jobs,
            self.jobs,
            &mut signals,
            &mut terminal,
            |terminal, index, job, result| {
                let name = names.get(index).map_or("", String::as_str);
                match result {
                    Ok(drill) => {
                        terminal.outcome(index, &drill);
                        runs.push((index, self.taken(name, job, &drill)?));
                        Ok(())
                    }
                    // What is left to run would prove nothing any more.
                    Err(error) => Err(CliError::harness(format!("{name}: {error}"))),
                }
            },
        );
        if let End::Interrupted(signal) = end.await? {
            return Ok(Status::Interrupted(signal));
        }
        let [Some(first), Some(second)] = [jobs.first(), jobs.get(1)] else {
            return Err(CliError::harness("there are no two drills"));
        };
        let configuration = |job: &Job| Configuration::of(job).map_err(CliError::harness);
        let changes = changes(&configuration(first)?, &configuration(second)?);
        runs.sort_by_key(|(index, _)| *index);
        let (before, after): (Vec<_>, Vec<_>) =
            runs.into_iter().partition(|(index, _)| index % 2 == 0);
        let side = |id: &DrillId, runs: Vec<(usize, Run)>| Side {
            id: id.clone(),
            runs: runs.into_iter().map(|(_, run)| run).collect(),
        };
        let proof = Proof {
            changes,
            before: side(&first.drill.id, before),
            after: side(&second.drill.id, after),
        };
        self.tell(&proof)?;
        Ok(match proof.finding().is_good() {
            true => Status::Good,
            false => Status::NotShown,
        })
    }

    /// `healthy@nvme`, `healthy@nvme-2` for the second time.
    fn name(&self, jobs: &[Arc<Job>], index: usize) -> String {
        let id = |index: usize| jobs.get(index).map(|job| job.drill.id.to_string());
        let name = id(index).unwrap_or_default();
        // Two files may hold scenarios of one name, and one may be compared with itself.
        let letter = match (index % 2, id(0) == id(1)) {
            (_, false) => "",
            (0, true) => "-a",
            (_, true) => "-b",
        };
        match self.repeat {
            1 => format!("{name}{letter}"),
            _ => format!("{name}{letter}-{}", index / 2 + 1),
        }
    }

    fn taken(&self, name: &str, job: &Job, drill: &DrillResult) -> Result<Run, CliError> {
        let kept = self.results.kept(name, job, drill)?;
        Ok(Run {
            outcome: normalise(&drill.outcome),
            elapsed: drill.elapsed,
            capture_memory: drill.capture_memory,
            kept,
        })
    }

    fn tell(&self, proof: &Proof) -> Result<(), CliError> {
        let json = || proof_json(proof).map_err(CliError::harness);
        if self.results.json.as_deref() == Some(Path::new("-")) {
            return print(&json()?);
        }
        print(&proof_text(proof, width()))?;
        match &self.results.json {
            Some(file) => std::fs::write(file, json()?).map_err(unwritable(file)),
            None => Ok(()),
        }
    }
}
