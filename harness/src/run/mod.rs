//! Drills being run: one machine a drill, many drills side by side.

mod assemble;
mod devices;
mod disk;
mod drill;
mod event;
mod keep;
mod known;
mod plan;
mod postmortem;
mod prepare;
mod read_back;
mod schedule;
mod serving;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crashdrill_guest::report::ReportError;

pub use assemble::{Assembled, archives, files, server_archive};
pub use devices::start as serve;
pub use disk::{Added, DiskError, Distribution, Seed};
pub use event::Event;
pub use keep::{POSTMORTEM, POSTMORTEM_VMCORE, command, keep, names};
pub use known::{accelerator, capabilities};
pub use plan::{
    BadPattern, BootPlan, Direct, DiskProblem, Plan, PlanError, RemoteError, ServerPlan, Shell,
    Stage, Supplies, TextFile,
};
pub use postmortem::Postmortem;
pub use prepare::{
    LeftOut, MissingImage, PrepareError, Prepared, images_of, prepare, prepare_plan,
    prepare_possible,
};
pub use schedule::{Capacity, Load, all, one};

use crate::census::CensusError;
use crate::device::DeviceError;
use crate::image::{Image, Qemu};
use crate::machine::MachineError;
use crate::scenario::Drill;
use crate::units::Bytes;
use crate::verdict::outcome::{Outcome, Phase, Verdict};
use crate::vmcore::GuestDumpError;

/// A drill with everything that is needed to run it.
#[derive(Debug)]
pub struct Job {
    /// What to run.
    pub drill: Drill,
    /// How, in terms of command lines, devices and drivers.
    pub plan: Plan,
    /// On which kernel.
    pub image: Arc<Image>,
    /// What the dump server is made of, if there is one.
    pub server: Option<Arc<Image>>,
    /// In which QEMU.
    pub qemu: Arc<Qemu>,
    /// Where the memory of a capture kernel that saved nothing goes; none if it is not wanted.
    pub postmortem: Option<PathBuf>,
}

impl Job {
    /// What the guest costs the host.
    pub fn load(&self) -> Load {
        let machine = &self.drill.scenario.machine;
        let server = self.plan.server().map(|server| &server.machine);
        Load {
            cpus: usize::from(machine.cpus.get())
                + server.map_or(0, |server| usize::from(server.cpus.get())),
            memory: Bytes(machine.memory.0 + server.map_or(0, |server| server.memory.0)),
        }
    }
}

/// What a drill came to, and what a person may want to see of it.
#[derive(Debug)]
pub struct DrillResult {
    /// Verdict, cause, evidence.
    pub outcome: Outcome,
    /// ttyS0, byte for byte.
    pub console: Vec<u8>,
    /// What /init reported on the second channel, byte for byte.
    pub reports: Vec<u8>,
    /// The end of ttyS0 of the dump server, if there was one.
    pub server_console: Option<Vec<u8>>,
    /// When each phase began, and with which line.
    pub timeline: Vec<Began>,
    /// The end of what QEMU itself said on standard error.
    pub qemu_said: String,
    /// What modelled devices had to say, by their function's id.
    pub devices_said: Vec<(String, Vec<String>)>,
    /// From QEMU's start to its end.
    pub elapsed: Duration,
    /// The capture kernel's MemTotal, if it came up.
    pub capture_total: Option<Bytes>,
    /// The most memory that the capture kernel had in use, as its /init saw it.
    pub capture_memory: Option<Bytes>,
    /// Disks and archives. They vanish with the process unless they are copied out.
    pub files: Assembled,
    /// What was left of a capture kernel that saved nothing, if that was wanted.
    pub postmortem: Option<Postmortem>,
}

/// The beginning of a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Began {
    /// The phase.
    pub phase: Phase,
    /// Since QEMU's start.
    pub at: Duration,
    /// The console line that began it; firmware has none.
    pub line: Option<String>,
}

/// The harness itself failed. Never a verdict, never written to a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    /// QEMU could not be started, or cannot be reached.
    #[error("{}", chain(.0))]
    Machine(#[from] MachineError),
    /// QEMU ended without the guest having asked for it.
    #[error("{}\nin phase {phase}, after the console line `{line}`", chain(source))]
    Died {
        /// How far the guest had come.
        phase: Phase,
        /// The last line of its console.
        line: String,
        /// How it died, and what it said.
        source: MachineError,
    },
    /// /init speaks a language that this crashdrill does not understand.
    #[error("the guest's report is not understood: {0}")]
    Report(ReportError),
    /// The drill's image could not be made ready.
    #[error("{0}")]
    Image(String),
    /// The machine's vectors could not be counted.
    #[error(transparent)]
    Census(#[from] CensusError),
    /// A modelled device failed.
    #[error("{}", chain(.0))]
    Device(#[from] DeviceError),
    /// The memory of a dead capture kernel could not be kept.
    #[error("{chain}; it would lie in {directory}, --keep-in can name another directory",
            chain = chain(source), directory = directory.display())]
    Postmortem {
        /// Where it was to go.
        directory: PathBuf,
        /// Why it did not.
        source: GuestDumpError,
    },
    /// The drill is over, and its logs could not be kept.
    #[error("it ended as {verdict}, but that cannot be kept in {}: {source}", directory.display())]
    Kept {
        /// What it came to.
        verdict: Verdict,
        /// Where they were to go.
        directory: PathBuf,
        /// Why they did not.
        source: std::io::Error,
    },
    /// An archive or a disk could not be made.
    #[error("cannot make {what}: {source}")]
    Assemble {
        /// `the initramfs`, `the disk`.
        what: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What the guest wrote did not get to the disk's file: what it then did, or did not, is not
    /// the guest's doing.
    #[error("the guest's disk could not be written: {0}; it lies in {directory}, TMPDIR can name \
             another directory", directory = std::env::temp_dir().display())]
    Disk(String),
    /// The drill's other machine: what the dump then came to is none of the drill's doing.
    #[error("the dump server failed: {why}\nthe end of its console:\n{console}")]
    Server {
        /// What went wrong.
        why: String,
        /// The last lines of its console.
        console: String,
    },
    /// A channel to QEMU failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// The runtime of every machine: one thread, because a machine dies with the thread that started
/// it.
///
/// # Errors
/// The system has no event queue left.
pub fn runtime() -> Result<tokio::runtime::Runtime, MachineError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| MachineError::Host {
            step: "starting the runtime",
            source,
        })
}

/// An error with what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
