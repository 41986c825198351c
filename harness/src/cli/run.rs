//! `crashdrill run`.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum, value_parser};

use super::drive::{End, Signals, check_writable, drive, jobs};
use super::named::{named, names_a_variant};
use super::on_image::{OtherImage, left_out};
use super::progress::Shown;
use super::shuffle;
use super::{CliError, Context, Status, width};
use crate::image::qemu::Origin;
use crate::machine::Accel;
use crate::report::{Compared, Finished, Grid, Terminal, Totals, tell, write_json, write_junit};
use crate::run::{self, DrillResult, HarnessError, Job, LeftOut, MissingImage, Prepared, Shell};
use crate::scenario::{BadScenario, Drill};
use crate::snapshot::{Comparison, compare, exists, text};

/// Run drills and compare their outcomes with the snapshots.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  crashdrill run                                         every scenario in scenarios/
  crashdrill run scenarios/healthy.yaml --variant nvme   one variant of one
  crashdrill run healthy --image host                    on the kernel that this machine runs
  crashdrill run load-order --variant pci --shuffle 8    in up to 8 orders of its drivers
  crashdrill run --junit drills.xml --json drills.json   for CI
  crashdrill run my.yaml --keep                          keep console log, disk and initramfs
  crashdrill run my.yaml --postmortem                    keep the memory of a dead capture kernel")]
pub(super) struct Run {
    /// Scenario files, directories of them, or names of files in scenarios/, with @VARIANT behind it
    /// for one drill [default: all of scenarios/].
    paths: Vec<PathBuf>,
    /// Only this variant; may be given several times.
    #[arg(long, value_name = "NAME")]
    variant: Vec<String>,
    /// Run on this image, a name in images/, instead of the scenarios' own. Outcomes are compared with
    /// snapshots in snapshots/NAME/. Drills that do not fit the image are left out.
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// Drills at once [default: as many as CPUs and memory allow].
    #[arg(short, long, value_name = "N", value_parser = jobs)]
    pub(super) jobs: Option<NonZeroUsize>,
    /// Run each drill in the orders of the capture kernel's drivers that seeds 1 to N make, and say
    /// how many of them end in which verdict. Snapshots are neither read nor written.
    #[arg(long, value_name = "N", conflicts_with_all = ["accept", "junit"],
          value_parser = value_parser!(u16).range(1..=1000))]
    shuffle: Option<u16>,
    /// Take the outcomes as the new snapshots.
    #[arg(long)]
    pub(super) accept: bool,
    /// Keep console log, reports, QEMU's command line, initramfs and disk of every drill. Without
    /// it, logs are kept of drills that did not end as expected.
    #[arg(long)]
    pub(super) keep: bool,
    /// When a capture kernel dies, hangs or gives up before the dump is saved, keep what it was: the
    /// registers of each CPU, the vectors of each device, and an ELF dump of the machine's memory that
    /// crash and drgn open. That memory holds the crashed kernel's too, with whatever was private in it.
    #[arg(long, conflicts_with = "shuffle")]
    postmortem: bool,
    /// Where kept drills go.
    #[arg(long, value_name = "DIR", default_value = "crashdrill-kept")]
    pub(super) keep_in: PathBuf,
    /// Write JUnit XML; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the outcomes as JSON; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// What runs the guests' instructions.
    #[arg(long, value_enum, default_value_t)]
    pub(super) accel: AccelArgument,
}

/// `--accel`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum AccelArgument {
    /// KVM if a test guest runs under it, else TCG.
    #[default]
    Auto,
    /// The host's CPU.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

impl From<AccelArgument> for Option<Accel> {
    fn from(argument: AccelArgument) -> Self {
        match argument {
            AccelArgument::Auto => None,
            AccelArgument::Kvm => Some(Accel::Kvm),
            AccelArgument::Tcg => Some(Accel::Tcg),
        }
    }
}

/// All drills of these files; what is wrong with others goes to `bad`.
fn read(
    context: &Context,
    paths: &[PathBuf],
    bad: &mut Vec<BadScenario>,
) -> Result<Vec<Drill>, CliError> {
    let mut drills = Vec::new();
    for file in context.project.scenarios(paths).map_err(CliError::input)? {
        match crate::scenario::read(&file, crate::machine::catalogue::facts) {
            Ok(scenario) => drills.extend(scenario.drills),
            Err(error) => bad.push(error),
        }
    }
    Ok(drills)
}

/// Reads the scenarios and picks the variants.
pub(super) fn drills(
    context: &Context,
    paths: &[PathBuf],
    variants: &[String],
) -> Result<Vec<Drill>, CliError> {
    let mut bad = Vec::new();
    let mut drills = Vec::new();
    if paths.is_empty() {
        drills = read(context, &[], &mut bad)?;
    }
    for path in paths {
        match path.to_str().filter(|_| names_a_variant(path)) {
            Some(name) => drills.push(named(context, name)?),
            None => drills.extend(read(context, std::slice::from_ref(path), &mut bad)?),
        }
    }
    // What two arguments name runs once.
    let mut known = HashSet::new();
    drills.retain(|drill| known.insert((drill.file.clone(), drill.id.clone())));
    if !bad.is_empty() {
        return Err(CliError::Scenarios(bad));
    }
    if variants.is_empty() {
        return Ok(drills);
    }
    let wanted = |drill: &Drill, name: &String| drill.id.variant.as_ref() == Some(name);
    let known = || {
        drills
            .iter()
            .filter_map(|drill| drill.id.variant.as_deref())
    };
    for name in variants {
        if !drills.iter().any(|drill| wanted(drill, name)) {
            let help = match crate::suggest::closest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`crashdrill list` shows all variants".to_owned(),
            };
            return Err(CliError::wrong(format!(
                "no scenario here has a variant `{name}`; {help}"
            )));
        }
    }
    drills.retain(|drill| variants.iter().any(|name| wanted(drill, name)));
    Ok(drills)
}

impl Run {
    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        let mut drills = drills(context, &self.paths, &self.variant)?;
        check_writable(self.junit.iter().chain(&self.json))?;
        if let Some(name) = &self.image {
            drills = OtherImage::find(context, name)?.take_fitting(drills)?;
        }
        if let Some(seeds) = self.shuffle {
            return shuffle::execute(&self, context, drills, seeds);
        }
        let grids = Grid::of(&drills);
        let mut prepared = run::prepare_possible(
            &context.project,
            &context.cache,
            drills,
            self.accel.into(),
            Shell::No,
            &Shown::new(),
        )?;
        for drill in &prepared.left_out {
            left_out(&drill.id, &drill.why);
        }
        if prepared.jobs.is_empty() && prepared.missing.is_empty() {
            return Err(CliError::wrong("no drill is left"));
        }
        if self.postmortem {
            for job in &mut prepared.jobs {
                job.postmortem = Some(self.keep_in.clone());
            }
        }
        announce(&prepared);
        let runtime = run::runtime().map_err(CliError::harness)?;
        runtime.block_on(self.drive(context, prepared, &grids))
    }

    async fn drive(
        self,
        context: &Context,
        prepared: Prepared,
        grids: &[Grid],
    ) -> Result<Status, CliError> {
        let mut signals = Signals::new()?;
        let begin = Instant::now();
        let jobs: Vec<Arc<Job>> = prepared.jobs.into_iter().map(Arc::new).collect();
        let left_out: &[LeftOut] = &prepared.left_out;
        let lost: Vec<Finished> = prepared
            .missing
            .into_iter()
            .flat_map(without_image)
            .collect();
        let ids = jobs.iter().map(|job| &job.drill.id);
        let ids = ids.chain(lost.iter().map(|drill| &drill.id));
        let mut terminal = Terminal::new(ids.map(ToString::to_string).collect());
        let mut finished = Vec::new();
        for (index, drill) in (jobs.len()..).zip(lost) {
            terminal.finished(index, &drill);
            finished.push((index, drill));
        }
        let end = drive(
            &jobs,
            self.jobs,
            &mut signals,
            &mut terminal,
            |terminal, index, job, result| {
                let id = job.drill.id.clone();
                let result = self.compare(context, job, result)?;
                let drill = Finished { id, result };
                terminal.finished(index, &drill);
                finished.push((index, drill));
                Ok(())
            },
        );
        if let End::Interrupted(signal) = end.await? {
            return Ok(Status::Interrupted(signal));
        }
        finished.sort_by_key(|(index, _)| *index);
        let finished: Vec<Finished> = finished.into_iter().map(|(_, drill)| drill).collect();
        terminal.grids(grids, &finished, width());
        terminal.summary(&finished, left_out, begin.elapsed());
        if let Some(file) = &self.junit {
            write_junit(file, &finished, left_out, begin.elapsed()).map_err(unwritable(file))?;
        }
        if let Some(file) = &self.json {
            write_json(file, &finished, left_out).map_err(unwritable(file))?;
        }
        let totals = Totals::of(&finished);
        Ok(match (totals.failed, totals.changed) {
            (0, 0) => Status::Good,
            (0, _) => Status::Changed,
            _ => Status::Harness,
        })
    }

    fn compare(
        &self,
        context: &Context,
        job: &Job,
        result: Result<Box<DrillResult>, HarnessError>,
    ) -> Result<Result<Compared, HarnessError>, CliError> {
        let drill = match result {
            Ok(drill) => drill,
            Err(error) => return Ok(Err(error)),
        };
        let new = text(&drill.outcome).map_err(CliError::harness)?;
        let snapshots = context.project.snapshots();
        let id = &job.drill.id;
        let expected = job.drill.scenario.expect.clone();
        let comparison = match &expected {
            Some(_) if !self.accept && !exists(&snapshots, id) => Comparison::NotNeeded,
            _ => compare(&snapshots, id, &new),
        };
        let mut compared = Compared {
            drill,
            comparison,
            expected,
            kept: None,
        };
        if self.keep || compared.drill.postmortem.is_some() || !compared.as_expected() {
            let directory = self.keep_in.join(id.path());
            if let Err(source) = run::keep(&directory, job, &compared.drill, self.keep) {
                return Ok(Err(HarnessError::Kept {
                    verdict: compared.drill.outcome.verdict,
                    directory,
                    source,
                }));
            }
            compared.kept = Some(directory);
        }
        Ok(Ok(compared))
    }
}

/// The drills of an image that cannot be had, none of which can run.
fn without_image(missing: MissingImage) -> impl Iterator<Item = Finished> {
    let error = missing.error.to_string();
    missing.drills.into_iter().map(move |id| Finished {
        id,
        result: Err(HarnessError::Image(error.clone())),
    })
}

/// Says on which accelerator the drills run, and why, and which of them in another QEMU.
pub(super) fn announce(prepared: &Prepared) {
    let accel = &prepared.accel;
    match &accel.reason {
        Some(reason) => tell!("running under {}: {reason}", accel.accel),
        None => tell!("running under {}", accel.accel),
    }
    let version = |(major, minor, micro)| format!("{major}.{minor}.{micro}");
    for job in &prepared.jobs {
        if job.qemu.origin == Origin::Fetched && prepared.qemu.origin != Origin::Fetched {
            tell!(
                "{} runs in crashdrill's own QEMU {}: QEMU {} cannot have modelled devices",
                job.drill.id,
                version(job.qemu.version),
                version(prepared.qemu.version)
            );
        }
    }
}

pub(super) fn unwritable(file: &std::path::Path) -> impl Fn(std::io::Error) -> CliError {
    move |error| CliError::harness(format!("cannot write {}: {error}", file.display()))
}
