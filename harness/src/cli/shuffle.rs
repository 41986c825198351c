//! `crashdrill run --shuffle`: drills in several orders of their capture kernel's drivers.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::drive::{End, Signals, drive};
use super::on_image::left_out;
use super::progress::Shown;
use super::run::{Run, announce, unwritable};
use super::{CliError, Context, Status, print, width};
use crate::report::{OrderRun, Orders, Terminal, orders_json, orders_text};
use crate::run::{self, DrillResult, HarnessError, Job, Shell};
use crate::scenario::Drill;
use crate::scenario::model::{Boot, LoadOrder};
use crate::verdict::normalise;

/// Runs each drill once for each order that the seeds from 1 to `seeds` make of its drivers.
/// Snapshots are neither read nor written.
pub(super) fn execute(
    options: &Run,
    context: &Context,
    drills: Vec<Drill>,
    seeds: u16,
) -> Result<Status, CliError> {
    let (drills, others): (Vec<_>, Vec<_>) = drills
        .into_iter()
        .partition(|drill| drill.scenario.boot == Boot::Direct);
    for drill in others {
        let why = "with `boot: disk` udev loads the drivers, in an order of its own";
        left_out(&drill.id, why);
    }
    if drills.is_empty() {
        return Err(CliError::wrong("no drill is left"));
    }
    let shuffled = drills.iter().flat_map(|drill| {
        (1..=u64::from(seeds)).map(|seed| {
            let mut drill = drill.clone();
            drill.scenario.capture.order = LoadOrder::Shuffled(seed);
            drill
        })
    });
    let prepared = run::prepare(
        &context.project,
        &context.cache,
        shuffled.collect(),
        options.accel.into(),
        Shell::No,
        &Shown::new(),
    )?;
    announce(&prepared);
    let (jobs, orders) = different(prepared.jobs, seeds);
    let runtime = run::runtime().map_err(CliError::harness)?;
    runtime.block_on(drive_all(options, jobs, orders))
}

/// A job that is run.
struct Ordered {
    job: Arc<Job>,
    /// Which drill's it is.
    drill: usize,
    seed: u64,
    name: String,
}

/// The jobs without those whose drivers come in an order that there was before. `jobs` are one for
/// each seed of the first drill, then of the next.
fn different(jobs: Vec<Job>, seeds: u16) -> (Vec<Ordered>, Vec<Orders>) {
    let mut ordered = Vec::new();
    let mut all: Vec<Orders> = Vec::new();
    let mut seen = BTreeSet::new();
    let each = (1..=u64::from(seeds)).cycle().zip(jobs).enumerate();
    for (nth, (seed, job)) in each {
        let drill = nth / usize::from(seeds);
        if seed == 1 {
            all.push(Orders {
                id: job.drill.id.clone(),
                seeds,
                drivers: job.plan.machine.load_units(&job.drill.scenario.capture),
                repeated: Vec::new(),
                runs: Vec::new(),
            });
        }
        if seen.insert((drill, job.plan.expectations.capture_drivers.clone())) {
            ordered.push(Ordered {
                name: format!("{},shuffled={seed}", job.drill.id),
                job: Arc::new(job),
                drill,
                seed,
            });
        } else if let Some(orders) = all.last_mut() {
            orders.repeated.push(seed);
        }
    }
    (ordered, all)
}

async fn drive_all(
    options: &Run,
    ordered: Vec<Ordered>,
    mut all: Vec<Orders>,
) -> Result<Status, CliError> {
    let mut signals = Signals::new()?;
    let jobs: Vec<Arc<Job>> = ordered.iter().map(|one| one.job.clone()).collect();
    let mut terminal = Terminal::new(ordered.iter().map(|one| one.name.clone()).collect());
    let end = drive(
        &jobs,
        options.jobs,
        &mut signals,
        &mut terminal,
        |terminal, index, job, result| {
            match &result {
                Ok(drill) => terminal.outcome(index, drill),
                Err(error) => terminal.failed(index, error),
            }
            if let Some(one) = ordered.get(index)
                && let Some(orders) = all.get_mut(one.drill)
            {
                orders.runs.push(taken(options, one, job, result)?);
            }
            Ok(())
        },
    );
    if let End::Interrupted(signal) = end.await? {
        return Ok(Status::Interrupted(signal));
    }
    for orders in &mut all {
        orders.runs.sort_by_key(|run| run.seed);
    }
    tell(options, &all)?;
    let failed = all.iter().any(Orders::failed);
    Ok(match all.iter().all(|orders| orders.endings().len() == 1) {
        _ if failed => Status::Harness,
        true => Status::Good,
        false => Status::OrderCounts,
    })
}

fn taken(
    options: &Run,
    one: &Ordered,
    job: &Job,
    result: Result<Box<DrillResult>, HarnessError>,
) -> Result<OrderRun, CliError> {
    let kept = match &result {
        Ok(drill) if options.keep => {
            let directory = options.keep_in.join(&one.name);
            run::keep(&directory, job, drill, true).map_err(unwritable(&directory))?;
            Some(directory)
        }
        _ => None,
    };
    Ok(OrderRun {
        seed: one.seed,
        drivers: job.plan.expectations.capture_drivers.clone(),
        result: result
            .map(|drill| normalise(&drill.outcome))
            .map_err(|error| error.to_string()),
        kept,
    })
}

fn tell(options: &Run, all: &[Orders]) -> Result<(), CliError> {
    let json = || orders_json(all).map_err(CliError::harness);
    if options.json.as_deref() == Some(Path::new("-")) {
        return print(&json()?);
    }
    print(&orders_text(all, width()))?;
    match &options.json {
        Some(file) => std::fs::write(file, json()?).map_err(unwritable(file)),
        None => Ok(()),
    }
}
