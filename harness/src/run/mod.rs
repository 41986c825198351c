//! Drills being run: one machine a drill, many drills side by side.

mod drill;
mod event;
mod plan;
mod schedule;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use event::Event;
pub use plan::{Plan, PlanError};
pub use schedule::{Capacity, Load, all};

use crate::image::Image;
use crate::image::qemu::Qemu;
use crate::machine::{Accel, MachineError};
use crate::scenario::Drill;
use crate::units::Bytes;
use crate::verdict::outcome::{Outcome, Phase};

/// A drill with everything that is needed to run it.
#[derive(Debug)]
pub struct Job {
    /// What to run.
    pub drill: Drill,
    /// How, in terms of command lines, devices and drivers.
    pub plan: Plan,
    /// On which kernel.
    pub image: Arc<Image>,
    /// In which QEMU.
    pub qemu: Arc<Qemu>,
    /// With which accelerator.
    pub accel: Accel,
}

impl Job {
    /// What the guest costs the host.
    pub fn load(&self) -> Load {
        let machine = &self.drill.scenario.machine;
        Load { cpus: usize::from(machine.cpus.get()), memory: machine.memory }
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
    /// When each phase began, since QEMU's start.
    pub timeline: Vec<(Phase, Duration)>,
    /// From QEMU's start to its end.
    pub elapsed: Duration,
    /// User and system time of QEMU.
    pub qemu_cpu: Duration,
    /// Resident memory high-water mark of the capture kernel: its memory less the lowest
    /// reading of what was available, as /init saw it.
    pub capture_memory: Option<Bytes>,
    /// Disk and archives, for `--keep`.
    pub files: KeptFiles,
}

/// The unnamed files of a drill. They vanish with the process unless they are copied out.
#[derive(Debug)]
pub struct KeptFiles {
    /// The first kernel's initramfs, which holds the capture kernel's.
    pub initramfs: std::fs::File,
    /// Disk images by drive id.
    pub disks: Vec<(String, std::fs::File)>,
    /// The QEMU command line with the names under which the files are kept.
    pub command: String,
}

/// The harness itself failed. Never a verdict, never written to a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    /// QEMU could not be started, died, or does not answer.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// QEMU ended without the guest having asked for it.
    #[error("QEMU died ({status}) in phase {phase:?}, after the console line `{line}`{stderr}")]
    QemuDied {
        /// Exit status or signal.
        status: String,
        /// How far the guest had come.
        phase: Phase,
        /// The last line of its console.
        line: String,
        /// What QEMU said, or nothing.
        stderr: String,
    },
    /// /init spoke a language that this crashdrill does not understand.
    #[error("the guest's report is not understood: {0}")]
    Report(String),
    /// An archive or a disk could not be made.
    #[error("cannot make {what}: {source}")]
    Assemble {
        /// `the initramfs`, `the disk`.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// A pipe or a file failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// Where a kept drill lies.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The directory, mode 0700.
    pub directory: PathBuf,
}
