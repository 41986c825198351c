//! What a drill comes to: the value that is shown, compared and snapshotted.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Verdict, cause and the evidence for both. Serialized with times, addresses, process ids and
/// versions taken out, this is what a snapshot holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    /// What happened.
    pub verdict: Verdict,
    /// Why, where the rules know one.
    pub cause: Cause,
    /// The last phase that the machine reached.
    pub phase: Phase,
    /// The lines and reports that verdict and cause rest on, in the order in which they came.
    pub evidence: Vec<String>,
    /// Vectors of the capture kernel, if it lived to count them.
    pub vectors: Option<Vectors>,
    /// PCI functions of the capture kernel, if it lived to list them.
    pub devices: Vec<Function>,
    /// The dump, if there is one.
    pub vmcore: Option<Vmcore>,
    /// The machine and CPU model it ran on, without the accelerator: it must not matter.
    pub machine: String,
    /// What differs from a customer's machine.
    pub fidelity: Vec<String>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A complete dump of this crash lies on the target.
    VmcoreSaved,
    /// The capture kernel came up and gave no dump, for a reason that no other verdict names.
    NoVmcore,
    /// The capture kernel panicked.
    CapturePanicked,
    /// The capture kernel fell silent.
    CaptureHung,
    /// The capture kernel ran out of memory.
    CaptureOom,
    /// The dump target did not appear, or could not be mounted.
    DumpTargetMissing,
    /// The core collector failed, or what it wrote is not a complete dump of this crash.
    DumpFailed,
    /// The first kernel crashed and no capture kernel came.
    CaptureNeverStarted,
    /// The capture kernel could not be loaded.
    NotArmed,
    /// The first kernel did not come up, or did not die as it was told to.
    FirstKernelFailed,
    /// Nothing tells. A drill always ends in something else; a log may not.
    Unknown,
}

/// Why: the name of a class of failure, as rules give it. See `rules.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Cause(Cow<'static, str>);

impl Cause {
    /// Nothing went wrong.
    pub const NONE: Cause = Cause(Cow::Borrowed("none"));
    /// No rule has evidence. That is an answer.
    pub const UNKNOWN: Cause = Cause(Cow::Borrowed("unknown"));

    /// A class by its name.
    pub const fn named(name: &'static str) -> Self {
        Cause(Cow::Borrowed(name))
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far the machine came.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Before the first line of a kernel.
    Firmware,
    /// The first kernel runs.
    FirstKernel,
    /// The capture kernel is loaded.
    Armed,
    /// The first kernel has crashed.
    Crashed,
    /// The capture kernel runs.
    CaptureKernel,
    /// Its /init loads drivers.
    CaptureDrivers,
    /// The core collector runs.
    Saving,
    /// The dump is on the target.
    Saved,
}

impl Phase {
    /// The first of them.
    pub const FIRST: Phase = Phase::Firmware;
    /// The last of them.
    pub const LAST: Phase = Phase::Saved;
}

/// Vectors of the capture kernel: the plan beside what was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Vectors {
    /// CPUs online in the capture kernel.
    pub capture_cpus: u32,
    /// Vectors that all of them together have for devices, by the plan.
    pub available: Option<u32>,
    /// Vectors that the drivers take if there are enough, by the plan.
    pub planned: Option<u32>,
    /// MSI and MSI-X vectors allocated after the last driver was loaded, as the kernel counts them
    /// itself; none if it did not come so far.
    pub allocated: Option<u32>,
    /// Vectors that PCI devices hold on each CPU, counted from outside: messages that may be sent,
    /// and open interrupt lines. The fullest CPU comes first. None where nobody could count.
    pub used: Vec<u32>,
    /// The first device that got fewer than its driver wants.
    pub first_refused: Option<Refused>,
    /// What the kernel's /proc/interrupts and irq debugfs, where it has that, say otherwise than was
    /// counted from outside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disagreements: Vec<String>,
}

/// A device that got fewer vectors than its driver wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Refused {
    /// `00:05.0`.
    pub slot: String,
    /// The catalogue's name.
    pub device: String,
    /// When its driver asked.
    pub phase: Phase,
}

impl Vectors {
    /// As the kernel counts them, or else as they were counted from outside.
    pub fn in_use(&self) -> u32 {
        self.allocated.unwrap_or_else(|| self.used.iter().sum())
    }
}

/// One PCI function in the capture kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Function {
    /// `00:05.0`.
    pub slot: String,
    /// The catalogue's name, or vendor:device for what the machine brings along.
    pub device: String,
    /// Entries of the MSI-X table.
    pub table: u16,
    /// MSI and MSI-X vectors that the driver wants, by the plan; none of a device that takes no
    /// part in it.
    pub asked: Option<u32>,
    /// Those that it is granted, by the plan.
    pub planned: Option<u32>,
    /// Vectors that the driver holds, as the kernel says; or, of one that died before it could
    /// say, as counted from outside.
    pub granted: u16,
    /// Messages that the device may send, counted from outside, where that is not the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<u16>,
    /// Its driver goes on with fewer than it wants.
    pub fell_back: bool,
    /// Driver, if one is bound.
    pub driver: Option<String>,
}

/// The dump as the host read it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Vmcore {
    /// `kdump-compressed` or `elf`; `flattened kdump-compressed` or `flattened elf` as
    /// `makedumpfile -F` writes them.
    pub format: String,
    /// makedumpfile's dump level, where the format records it.
    pub dump_level: Option<u32>,
    /// Every page that the header announces is there.
    pub complete: bool,
    /// The panic line inside the dump's own log.
    pub panic: Option<String>,
    /// The token of this drill's first-kernel command line is in the dump's log.
    pub this_drill: bool,
}

/// As the field and the snapshots write it.
macro_rules! shown_as_serialized {
    ($($type:ty),*) => {$(
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // A unit variant's name, which is all that serde hands to a formatter.
                self.serialize(f)
            }
        }
    )*};
}

shown_as_serialized!(Verdict, Phase);
