//! The field report's drill, whose devices are modelled, against the one with stock devices.

use std::path::Path;
use std::time::Duration;

use crashdrill::image::{Cache, Silent};
use crashdrill::machine::catalogue;
use crashdrill::project::Project;
use crashdrill::run::{self, Shell};
use crashdrill::scenario;

use super::{Failure, figure, median};

/// The drill's wall time, in parts of the other's.
const MAX_RATIO: f64 = 1.5;

/// Both in turns, as often as `pairs` says.
pub(crate) fn measure(root: &Path, pairs: usize) -> Result<(), Failure> {
    let project = Project::at(root.to_owned())?;
    let cache = Cache::from_env()?;
    let mut drills = Vec::new();
    for name in ["field-report", "vector-exhaustion-nvme"] {
        let file = root.join(format!("scenarios/{name}.yaml"));
        let file = scenario::read(&file, catalogue::facts).map_err(|error| error.to_string())?;
        let exhausted = |drill: &scenario::Drill| drill.id.variant.as_deref() == Some("exhausted");
        drills.extend(file.drills.into_iter().filter(exhausted));
    }
    let prepared = run::prepare(&project, &cache, drills, None, Shell::No, &Silent)?;
    let [modelled, stock] = &prepared.jobs[..] else {
        return Err("no such drills".into());
    };
    let mut times: [Vec<Duration>; 2] = Default::default();
    for _ in 0..pairs {
        for (job, times) in [modelled, stock].into_iter().zip(&mut times) {
            times.push(run::one(job)?.elapsed);
        }
    }
    let [modelled_time, stock_time] = times.map(median);
    println!(
        "\nFrom QEMU's start to its end, median of {pairs}: {} {:.1} s, {} {:.1} s",
        modelled.drill.id,
        modelled_time.as_secs_f64(),
        stock.drill.id,
        stock_time.as_secs_f64(),
    );
    let ratio = modelled_time.as_secs_f64() / stock_time.as_secs_f64();
    figure("ratio", &format!("{ratio:.2}"), ratio <= MAX_RATIO, "1.5");
    Ok(())
}
