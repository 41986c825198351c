//! `crashdrill search`.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use clap::Args;

use super::drive::{End, Results, Signals, check_writable, drive};
use super::named::{self, named};
use super::progress::Shown;
use super::run::{announce, unwritable};
use super::{CliError, Context, Status, print, width};
use crate::machine::catalogue;
use crate::report::{Terminal, search_head, search_json, search_text, tell, tell_text, trial_line};
use crate::run::{self, DrillResult, Job, PrepareError, Prepared, Shell};
use crate::scenario::{BadScenario, Drill};
use crate::search::plan;
use crate::search::{
    Bisection, Boot, Bounds, Minimised, Search as Found, Trial, TrialResult, Values,
};
use crate::verdict::normalise;

/// Find the smallest value of a setting with which a drill still leaves a dump.
///
/// By bisection, beginning with the largest value: it says that the value it found works and that
/// the one below does not only after it has seen both. For `crashkernel`, what the capture kernel
/// had in use in the first boot says where to look. Snapshots are neither read nor written.
#[derive(Debug, Args)]
#[command(after_help = HELP.as_str())]
pub(super) struct Search {
    /// The drill to begin with: SCENARIO or SCENARIO@VARIANT.
    scenario: String,
    /// What to make smaller: `crashkernel`; `nr_cpus` (or maxcpus, whichever the scenario's
    /// sysconfig says); `memory`; or the path of a number or a size in the scenario.
    #[arg(long, value_name = "SETTING")]
    minimise: String,
    /// The smallest value to try [default: one step, or 1 of what is counted].
    #[arg(long, value_name = "VALUE")]
    from: Option<String>,
    /// The largest value, with which the search begins [default: the scenario's own; for nr_cpus
    /// all CPUs of the machine].
    #[arg(long, value_name = "VALUE")]
    to: Option<String>,
    /// How close to come to the smallest [default: 4M for crashkernel, a 64th of the largest for
    /// other sizes, else 1].
    #[arg(long, value_name = "VALUE")]
    step: Option<String>,
    #[command(flatten)]
    results: Results,
}

static HELP: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    format!(
        "\
{}

Examples:
  crashdrill search healthy@nvme --minimise crashkernel
  crashdrill search healthy@nvme --minimise crashkernel --image host
  crashdrill search healthy@nvme --minimise crashkernel --from 64M --to 128M --step 1M
  crashdrill search vector-exhaustion-nvme@fixed-by-cpus --minimise nr_cpus
  crashdrill search my.yaml --minimise 'machine.devices[0].size'

Exit codes:
  0  the smallest value was found
  1  not even the largest value leaves a dump
  2  bad input: the command line, a scenario
  3  the harness failed in some boot, which is never taken for an outcome",
        named::SYNTAX
    )
});

impl Search {
    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        check_writable(&self.results.json)?;
        let drill = self
            .results
            .on_image(context, named(context, &self.scenario)?)?;
        let range = Bounds {
            from: self.from.clone(),
            to: self.to.clone(),
            step: self.step.clone(),
        };
        let (minimised, values) =
            plan(&drill.scenario, &self.minimise, &range).map_err(CliError::input)?;
        self.search(context, drill, minimised, values)
    }

    fn search(
        self,
        context: &Context,
        drill: Drill,
        minimised: Minimised,
        values: Values,
    ) -> Result<Status, CliError> {
        // Preparing has runtimes of its own, so only the boots are in this one.
        let runtime = run::runtime().map_err(CliError::harness)?;
        // From the first boot on: what may have to be fetched before it is interrupted as ever.
        let mut signals = None;
        let mut bisection = Bisection::new(values.count(), &values.starts());
        let mut trials: Vec<Trial> = Vec::new();
        while let Some(at) = bisection.next() {
            let value = values.get(at);
            let name = format!("{},{minimised}={value}", drill.id);
            let prepared = minimised
                .drill(&drill, value, catalogue::facts)
                .map_err(|bad| CliError::Scenarios(vec![bad]))
                .and_then(|drill| self.prepare(context, drill));
            let result = match (prepared, bisection.answer().smallest) {
                (Ok(prepared), _) => {
                    if trials.is_empty() {
                        announce(&prepared);
                        let id = drill.id.to_string();
                        self.say(&search_head(&id, &minimised, &values, width()))?;
                    }
                    let boot = self.boot(name, prepared, &mut signals);
                    match runtime.block_on(boot)? {
                        Ok(boot) => TrialResult::Booted(Box::new(boot)),
                        Err(signal) => return Ok(Status::Interrupted(signal)),
                    }
                }
                // Without a value that works there is nothing to hold it against.
                (Err(error), None) => {
                    tell!("with {minimised} {value}:");
                    return Err(error);
                }
                (Err(error), Some(_)) => TrialResult::Refused(refusal(error)?),
            };
            bisection.take(at, result.works());
            if let TrialResult::Booted(boot) = &result
                && let Some(guess) = minimised.guess(&values, value, boot)
            {
                bisection.hint(guess);
            }
            let trial = Trial { at, result };
            self.say(&trial_line(&trial, &values))?;
            trials.push(trial);
        }
        let found = Found {
            id: drill.id.clone(),
            minimised,
            values,
            trials,
            answer: bisection.answer(),
        };
        self.say(&search_text(&found, width()))?;
        self.write(&found)?;
        Ok(match found.answer.smallest {
            Some(_) => Status::Good,
            None => Status::NotShown,
        })
    }

    fn prepare(&self, context: &Context, drill: Drill) -> Result<Prepared, CliError> {
        let prepared = run::prepare(
            &context.project,
            &context.cache,
            vec![drill],
            self.results.accel.into(),
            Shell::No,
            &Shown::new(),
        );
        prepared.map_err(CliError::from)
    }

    /// One machine; `Err` within is the signal that ended it.
    async fn boot(
        &self,
        name: String,
        prepared: Prepared,
        signals: &mut Option<Signals>,
    ) -> Result<Result<Boot, u8>, CliError> {
        let jobs: Vec<Arc<Job>> = prepared.jobs.into_iter().map(Arc::new).collect();
        let mut terminal = Terminal::new(vec![name.clone()]);
        let mut boot = None;
        let signals = match signals {
            Some(signals) => signals,
            none => none.insert(Signals::new()?),
        };
        let end = drive(
            &jobs,
            NonZeroUsize::new(1),
            signals,
            &mut terminal,
            |terminal, index, job, result| {
                terminal.over(index);
                let drill =
                    result.map_err(|error| CliError::harness(format!("{name}: {error}")))?;
                boot = Some(self.taken(&name, job, &drill)?);
                Ok(())
            },
        );
        match (end.await?, boot) {
            (End::Interrupted(signal), _) => Ok(Err(signal)),
            (End::Over, Some(boot)) => Ok(Ok(boot)),
            (End::Over, None) => Err(CliError::harness(format!("{name} was not run"))),
        }
    }

    fn taken(&self, name: &str, job: &Job, drill: &DrillResult) -> Result<Boot, CliError> {
        let kept = self.results.kept(name, job, drill)?;
        Ok(Boot {
            outcome: normalise(&drill.outcome),
            elapsed: drill.elapsed,
            capture_total: drill.capture_total,
            capture_memory: drill.capture_memory,
            capture_initramfs: drill.files.capture_initramfs,
            kept,
        })
    }

    /// Text for people: on standard output, unless that is for JSON.
    fn say(&self, text: &str) -> Result<(), CliError> {
        match self.results.json.as_deref() == Some(Path::new("-")) {
            true => {
                tell_text(text);
                Ok(())
            }
            false => print(text),
        }
    }

    fn write(&self, found: &Found) -> Result<(), CliError> {
        let Some(file) = &self.results.json else {
            return Ok(());
        };
        let json = search_json(found).map_err(CliError::harness)?;
        match file == Path::new("-") {
            true => print(&json),
            false => std::fs::write(file, json).map_err(unwritable(file)),
        }
    }
}

/// Why a scenario cannot have a value. Any other error stays one.
fn refusal(error: CliError) -> Result<String, CliError> {
    let first = |bad: &BadScenario| bad.faults.first().map(|fault| fault.message.clone());
    let said = match &error {
        CliError::Scenarios(bad) => bad.first().and_then(first),
        CliError::Prepare(PrepareError::Scenario(bad)) => first(bad),
        _ => None,
    };
    said.ok_or(error)
}
