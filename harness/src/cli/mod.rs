//! The command: one file a subcommand.

/// `println!` for results: that nobody reads on is no failure.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::cli::print(&format!("{}\n", format_args!($($argument)*)))?
    };
}

mod check;
mod compare;
mod devices;
mod diagnose;
mod doctor;
mod drive;
mod image;
mod import;
mod list;
mod named;
mod on_image;
mod plan;
mod progress;
mod run;
mod schema;
mod search;
mod shell;
mod show;
mod shuffle;
mod vmcore;

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use clap::{Parser, Subcommand};
use miette::Diagnostic;

use crate::image::{Cache, ImageError};
use crate::project::Project;
use crate::report::{fault_text, tell, tell_text};
use crate::run::PrepareError;
use crate::scenario::BadScenario;

/// Fire drills for kdump: boot a machine, crash it, and see whether a vmcore is left behind.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Args {
    /// Directory that holds scenarios/, images/ and snapshots/ [default: the nearest one, from
    /// the current directory upwards].
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    every drill ended as its snapshot and its scenario's `expect` say; run --shuffle: the same
       way in every order; diagnose, check: nothing wrong was found; vmcore: the dump is complete;
       compare: the second drill leaves a dump, every time; search: a smallest value was found;
       image verify: the cache holds what was put there
  1    an outcome changed, is not what the scenario expects, or has no snapshot yet; run
       --shuffle: not the same way in every order; diagnose: a kernel failed, or made no dump;
       check: an error or a warning; vmcore: the dump is incomplete or damaged; compare: does not
       fix, breaks, or not the same outcome every time; search: no value leaves a dump; image
       verify: something differs, or cannot be proven
  2    bad input: the command line, a scenario, an image manifest, a file of rules, a file that
       check cannot read, not a dump
  3    the harness failed: QEMU died, a disk is full, a package cannot be fetched, a log or a dump
       cannot be read
  130  interrupted (SIGINT); 143 for SIGTERM

Environment:
  CRASHDRILL_CACHE  where images and QEMU are kept [default: $XDG_CACHE_HOME/crashdrill]
  CRASHDRILL_QEMU   the qemu-system-x86_64 to use, or `fetched` for crashdrill's own
  NO_COLOR          no colours
  CI                snapshots are never written";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run drills and compare their outcomes with the snapshots.
    Run(run::Run),
    // What is said of these, and of import, is longer, and stands with their arguments.
    Compare(compare::Compare),
    Search(search::Search),
    Plan(plan::Plan),
    /// List scenarios and their variants.
    List(list::List),
    /// Show how a drill would run: command lines, QEMU's arguments, both initramfs.
    Show(show::Show),
    /// Open an interactive console in the first or in the capture kernel.
    Shell(shell::Shell),
    /// Say what a console log shows: the kernels in it, what they report, whether a dump was made,
    /// why not, and what to try.
    Diagnose(diagnose::Diagnose),
    /// Say what is wrong with the files of a kdump configuration, without starting anything.
    Check(check::Check),
    /// Say what a dump is: whether all of it is there, which kernel died in it, when and of what, and
    /// what was left out.
    Vmcore(vmcore::Vmcore),
    Import(import::Import),
    /// Say what this host can do, and what it lacks.
    Doctor(doctor::Doctor),
    /// List the device catalogue, marked with what the QEMU in use has.
    Devices(devices::Devices),
    /// Print the JSON Schema of scenario files.
    Schema(schema::Schema),
    /// List, fetch, show, verify and prune images.
    Image(image::Image),
}

/// Columns where no terminal says how many, and of an error message at most.
const WIDTH: usize = 100;

/// Columns of the terminal; prose wider than 120 is hard to read.
pub(crate) fn width() -> usize {
    columns(io::stdout(), 120)
}

fn columns(stream: impl AsFd, most: usize) -> usize {
    terminal_size::terminal_size_of(stream)
        .map_or(WIDTH, |(width, _)| usize::from(width.0).clamp(40, most))
}

/// Whether what is written there may have colours.
pub(crate) fn colours(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// To standard output, with styles only where it is a terminal.
fn print(text: &str) -> Result<(), CliError> {
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Nobody reads on: that is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| CliError::harness(format!("cannot write: {error}"))),
    }
}

/// How a command ended, if not by an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Everything as expected.
    Good,
    /// An outcome changed.
    Changed,
    /// A log shows that something went wrong.
    Fault,
    /// A change was not shown to be good, or no value of a setting was.
    NotShown,
    /// How a drill ends depends on the order of its drivers.
    OrderCounts,
    /// Some drill gave no outcome.
    Harness,
    /// A dump is incomplete or damaged.
    Lacking,
    /// A configuration has mistakes.
    Mistakes,
    /// The cache holds something else than was put there.
    Differs,
    /// A file is not what it should be; the others were looked at.
    Input,
    /// A log or a dump could not be read to its end.
    Unread,
    /// By a signal, which is given.
    Interrupted(u8),
    /// As QEMU did, which had the terminal.
    Qemu(u8),
}

impl Status {
    /// As the table of exit codes says.
    pub fn code(self) -> u8 {
        match self {
            Status::Good => 0,
            Status::Changed
            | Status::Fault
            | Status::Lacking
            | Status::Mistakes
            | Status::Differs
            | Status::NotShown
            | Status::OrderCounts => 1,
            Status::Input => 2,
            Status::Harness | Status::Unread => 3,
            Status::Interrupted(signal) => 128 + signal,
            Status::Qemu(code) => code,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        ExitCode::from(status.code())
    }
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum CliError {
    /// Something that the user wrote is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Input(Box<dyn Diagnostic + Send + Sync>),
    /// Scenario files that are wrong; all of them.
    #[error("{}", count(.0.len()))]
    Scenarios(#[related] Vec<BadScenario>),
    /// What a run needs cannot be had.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Prepare(#[from] PrepareError),
    /// Something that crashdrill needs failed.
    #[error("{0}")]
    Harness(String),
}

fn count(files: usize) -> String {
    match files {
        1 => "a scenario file is wrong; nothing was started".to_owned(),
        files => format!("{files} scenario files are wrong; nothing was started"),
    }
}

impl CliError {
    /// Exit code 2.
    pub(crate) fn input(error: impl Diagnostic + Send + Sync + 'static) -> Self {
        CliError::Input(Box::new(error))
    }

    /// Exit code 2, from a sentence.
    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        CliError::Input(Box::new(miette::MietteDiagnostic::new(message)))
    }

    /// Exit code 2 for a manifest that is wrong, 3 for packages that cannot be had.
    pub(crate) fn image(error: ImageError) -> Self {
        CliError::Prepare(error.into())
    }

    /// Exit code 3.
    pub(crate) fn harness(error: impl std::fmt::Display) -> Self {
        CliError::Harness(error.to_string())
    }

    /// Shows it on stderr; scenarios with the offending text underlined.
    pub fn show(self) {
        let stderr = io::stderr();
        let (width, colour) = (columns(&stderr, WIDTH), colours(&stderr));
        let bad = match &self {
            CliError::Scenarios(bad) => bad.iter().collect(),
            CliError::Prepare(PrepareError::Scenario(bad)) => vec![&**bad],
            _ => Vec::new(),
        };
        if bad.is_empty() {
            tell!("{}", fault_text(&self, width, colour));
            return;
        }
        for bad in bad {
            tell_text(&bad.render(width, colour));
        }
        tell!("nothing was started");
    }

    /// As the table of exit codes says.
    pub fn code(&self) -> u8 {
        match self {
            CliError::Input(_)
            | CliError::Scenarios(_)
            | CliError::Prepare(
                PrepareError::Scenario(_)
                | PrepareError::Image(ImageError::Manifest { .. } | ImageError::Lender { .. }),
            ) => 2,
            CliError::Prepare(_) | CliError::Harness(_) => 3,
        }
    }
}

/// What every subcommand starts from.
pub(crate) struct Context {
    pub(crate) project: Project,
    pub(crate) cache: Cache,
}

impl Args {
    /// Whether this run accepts new snapshots: insta learns it through its environment variable,
    /// which can only be set before there is a second thread.
    pub fn accepts(&self) -> bool {
        matches!(&self.command, Command::Run(run) if run.accept)
    }

    /// Does what the command line says.
    pub fn execute(self) -> Result<Status, CliError> {
        // None of these needs a project.
        match &self.command {
            Command::Schema(schema) => return schema.execute(),
            Command::Diagnose(diagnose) => return diagnose.execute(),
            Command::Check(check) => return check.execute(self.root.as_deref()),
            Command::Vmcore(vmcore) => return vmcore.execute(),
            Command::Plan(plan) => {
                if let Some(shown) = plan.schema() {
                    return shown;
                }
            }
            _ => {}
        }
        let project = match self.root {
            Some(root) => Project::at(root),
            None => Project::find(),
        }
        .map_err(CliError::input)?;
        let cache = Cache::from_env().map_err(CliError::harness)?;
        let context = Context { project, cache };
        match self.command {
            Command::Run(run) => run.execute(&context),
            Command::Compare(compare) => compare.execute(&context),
            Command::Search(search) => search.execute(&context),
            Command::List(list) => list.execute(&context),
            Command::Show(show) => show.execute(&context),
            Command::Plan(plan) => plan.execute(&context),
            Command::Shell(shell) => shell.execute(&context),
            Command::Doctor(doctor) => doctor.execute(&context),
            Command::Devices(devices) => devices.execute(&context),
            Command::Image(image) => image.execute(&context),
            Command::Import(import) => import.execute(&context),
            Command::Schema(schema) => schema.execute(),
            Command::Diagnose(diagnose) => diagnose.execute(),
            Command::Check(check) => check.execute(None),
            Command::Vmcore(vmcore) => vmcore.execute(),
        }
    }
}
