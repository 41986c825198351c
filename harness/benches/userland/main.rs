//! The same drill with crashdrill's own /init and with a whole distribution, side by side: both
//! must come to the same verdict and cause, and the first has to be worth its existence.
//!
//! `cargo bench --bench userland` takes some minutes without KVM. It ends with 1 if something could
//! not be measured; what misses its target is marked.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crashdrill::image::{Cache, Silent};
use crashdrill::machine::catalogue;
use crashdrill::project::Project;
use crashdrill::run::{self, DrillResult, Shell};
use crashdrill::scenario;

type Failure = Box<dyn Error>;

/// File below scenarios/, and variant.
type Which = (&'static str, Option<&'static str>);

/// Direct, and its counterpart with `boot: disk`.
const PAIRS: [(Which, Which); 4] = [
    (("healthy", Some("nvme")), ("debian-12-disk", None)),
    (
        ("vector-exhaustion-nvme", Some("exhausted")),
        ("vector-exhaustion-disk", Some("exhausted")),
    ),
    (
        ("vector-exhaustion-nvme", Some("fixed-by-cpus")),
        ("vector-exhaustion-disk", Some("fixed-by-cpus")),
    ),
    (
        ("vector-exhaustion-nvme", Some("fixed-by-blacklist")),
        ("vector-exhaustion-disk", Some("fixed-by-blacklist")),
    ),
];

/// How many times as long the distribution has to take, at least.
const MIN_RATIO: f64 = 3.0;

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("userland: measured by `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("userland: could not be measured: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or("no workspace")?;
    let project = Project::at(root.to_owned())?;
    let cache = Cache::from_env()?;
    println!("from the first file to the last, the dump read back and judged:\n");
    println!("   direct     disk    ratio  outcome");
    for (direct, disk) in PAIRS {
        let (direct, direct_time) = drill(root, &project, &cache, direct)?;
        let (disk, disk_time) = drill(root, &project, &cache, disk)?;
        let ratio = disk_time.as_secs_f64() / direct_time.as_secs_f64();
        let came_to = |result: &DrillResult| {
            let outcome = &result.outcome;
            format!("{} ({})", outcome.verdict, outcome.cause)
        };
        let (direct, disk) = (came_to(&direct), came_to(&disk));
        let same = match direct == disk {
            true => "same",
            false => "DIFFERENT",
        };
        let fast = match ratio >= MIN_RATIO {
            true => "ok",
            false => "MISSED, at least 3.0",
        };
        println!(
            "   {:5.1} s  {:5.1} s  {ratio:5.1}  {fast}; {direct} and {disk}: {same}",
            direct_time.as_secs_f64(),
            disk_time.as_secs_f64(),
        );
    }
    Ok(())
}

fn drill(
    root: &Path,
    project: &Project,
    cache: &Cache,
    (name, variant): Which,
) -> Result<(DrillResult, Duration), Failure> {
    let path = root.join(format!("scenarios/{name}.yaml"));
    let file = scenario::read(&path, catalogue::facts).map_err(|error| error.to_string())?;
    let mut drills = file.drills;
    drills.retain(|drill| drill.id.variant.as_deref() == variant);
    let prepared = run::prepare(project, cache, drills, None, Shell::No, &Silent)?;
    let job = prepared.jobs.first().ok_or("no such drill")?;
    let begin = std::time::Instant::now();
    let result = run::one(job)?;
    Ok((result, begin.elapsed()))
}
