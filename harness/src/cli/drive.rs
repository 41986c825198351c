//! Jobs run and shown, until they are over or a signal comes: what every subcommand that runs
//! drills has in common.

use std::fs::OpenOptions;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::on_image::OtherImage;
use super::run::{AccelArgument, unwritable};
use super::{CliError, Context};
use crate::report::Terminal;
use crate::run::{self, Capacity, DrillResult, Event, HarnessError, Job};
use crate::scenario::Drill;

/// What happens to the results of drills that prove something together.
#[derive(Debug, Args)]
pub(super) struct Results {
    /// Run on this image, a name in images/, instead of the scenario's own.
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// Keep console log, reports, QEMU's command line, initramfs and disk of every drill.
    #[arg(long)]
    pub(super) keep: bool,
    /// Where kept drills go.
    #[arg(long, value_name = "DIR", default_value = "crashdrill-kept")]
    pub(super) keep_in: PathBuf,
    /// Write all of it as JSON; `-` is standard output, instead of the text.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// What runs the guests' instructions.
    #[arg(long, value_enum, default_value_t)]
    pub(super) accel: AccelArgument,
}

/// `-j`.
pub(super) fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    let wrong = |_| "a number from 1 up is wanted".to_owned();
    text.parse().map_err(wrong)
}

/// Says before any machine starts that a report cannot be written, not after an hour. What is no plain
/// file is left alone: a reader of a pipe would take it for the end.
pub(super) fn check_writable<'a>(
    files: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<(), CliError> {
    for file in files {
        if file == Path::new("-") {
            continue;
        }
        let there = file.symlink_metadata().is_ok();
        if there && !file.is_file() && !file.is_dir() {
            continue;
        }
        let mut options = OpenOptions::new();
        let opened = options.append(true).create(true).open(file);
        opened.map_err(unwritable(file))?;
        if !there {
            std::fs::remove_file(file).map_err(unwritable(file))?;
        }
    }
    Ok(())
}

impl Results {
    /// The drill on the image that was asked for.
    pub(super) fn on_image(&self, context: &Context, drill: Drill) -> Result<Drill, CliError> {
        match &self.image {
            None => Ok(drill),
            Some(name) => OtherImage::find(context, name)?.take(drill),
        }
    }

    /// Keeps everything that a drill leaves, if that is asked for.
    pub(super) fn kept(
        &self,
        name: &str,
        job: &Job,
        drill: &DrillResult,
    ) -> Result<Option<PathBuf>, CliError> {
        if !self.keep {
            return Ok(None);
        }
        let directory = self.keep_in.join(name);
        run::keep(&directory, job, drill, true).map_err(unwritable(&directory))?;
        Ok(Some(directory))
    }
}

/// SIGINT and SIGTERM, from now on. What comes between two drives is not lost.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Within a runtime.
    pub(super) fn new() -> Result<Self, CliError> {
        let listen = |kind| signal(kind).map_err(CliError::harness);
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }
}

/// How a drive ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Every job gave a result.
    Over,
    /// By this signal; every machine is gone.
    Interrupted(u8),
}

/// Runs the jobs, as many at once as `at_once` or the host allows. What comes of each is handed to
/// `take` with its place in `jobs`, in the order in which they end; `take` is also the one to show
/// it. An error of `take` ends every machine.
pub(super) async fn drive(
    jobs: &[Arc<Job>],
    at_once: Option<NonZeroUsize>,
    signals: &mut Signals,
    terminal: &mut Terminal,
    mut take: impl FnMut(
        &mut Terminal,
        usize,
        &Job,
        Result<Box<DrillResult>, HarnessError>,
    ) -> Result<(), CliError>,
) -> Result<End, CliError> {
    let (sender, mut events) = mpsc::unbounded_channel();
    // Dropping it, as every way out of this function does, kills every machine.
    let all = run::all(jobs.to_vec(), Capacity::of_host(at_once), sender);
    let mut all = std::pin::pin!(all);
    let mut running = true;
    loop {
        tokio::select! {
            // An interrupt counts before what it may have brought about.
            biased;
            _ = signals.interrupt.recv() => return Ok(End::Interrupted(2)),
            _ = signals.terminate.recv() => return Ok(End::Interrupted(15)),
            () = &mut all, if running => running = false,
            event = events.recv() => match event {
                Some(Event::Started { job }) => terminal.started(job),
                Some(Event::Phase { job, phase, .. }) => terminal.phase(job, phase),
                Some(Event::Finished { job: index, result }) => {
                    if let Some(job) = jobs.get(index) {
                        take(terminal, index, job, result)?;
                    }
                }
                None => return Ok(End::Over),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_that_cannot_be_written() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        std::fs::write(file("old"), "old").unwrap();
        std::os::unix::fs::symlink("nowhere", file("link")).unwrap();
        let good = [file("old"), file("new"), file("link"), "-".into()];
        check_writable(&good).unwrap();
        assert_eq!(std::fs::read(file("old")).unwrap(), b"old");
        assert!(!file("new").exists() && file("link").is_symlink());
        for bad in [directory.path().to_owned(), file("no/such/x")] {
            let error = check_writable([&bad]).unwrap_err();
            assert!(error.to_string().starts_with("cannot write"), "{error}");
        }
    }
}
