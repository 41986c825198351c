//! What a kernel reports of itself: oopses, BUGs, panics, warnings, lockups, sanitizer reports.
//! Kernel engineers say splat to all of them.

mod culprit;
mod event;
mod field;
mod frame;
mod headline;
mod headlines;
mod kind;
mod pattern;
mod report;
mod scan;
mod section;
mod source;
mod symbol;

use schemars::JsonSchema;
use serde::Serialize;

pub use headline::BEGINNINGS;
pub use kind::Kind;
pub use scan::Scanner;

/// One report of a kernel on itself, put together from its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Splat {
    /// What it is, by the most specific of its headlines.
    pub kind: Kind,
    /// Whether the kernel, or the process that it happened in, did not survive it.
    pub fatal: bool,
    /// The headline, without time stamp: `kernel BUG at arch/x86/kernel/apic/io_apic.c:1358!`.
    pub title: String,
    /// Further headlines of the same event: `invalid opcode: 0000 [#1] SMP`,
    /// `Kernel panic - not syncing: Fatal exception`.
    pub also: Vec<Headline>,
    /// Line of the file with the title, from 1.
    pub line: u64,
    /// Line of the file with the last text that belongs to it.
    pub last_line: u64,
    /// The kernel's clock at the title, in microseconds.
    pub stamp: Option<u64>,
    /// The function to blame: the one that faulted, or the first of the trace that is not
    /// machinery of checking and reporting. Without offset and compiler's suffixes.
    pub function: Option<String>,
    /// The source line that the kernel printed.
    pub source: Option<Source>,
    /// Where the instruction pointer stood, or what the headline names.
    pub at: Option<Symbol>,
    /// The process that ran.
    pub process: Option<Process>,
    /// The CPU that it happened on.
    pub cpu: Option<u32>,
    /// Taint flags as printed: `G OE`; empty when not tainted; absent when not printed.
    pub taint: Option<String>,
    /// Release as printed in the CPU line: `3.10.0-693.5.2.el7.x86_64`.
    pub release: Option<String>,
    /// Hardware as printed.
    pub hardware: Option<String>,
    /// Modules that were loaded, at most [`MAX_MODULES`].
    pub modules: Vec<Module>,
    /// The call trace of what happened, innermost first, at most [`MAX_FRAMES`].
    pub trace: Vec<Frame>,
    /// Further traces: who allocated, who freed, who holds the lock. At most [`MAX_TRACES`].
    pub more_traces: Vec<Trace>,
    /// The log ends before the report does, or begins after it began.
    pub cut: bool,
}

impl Splat {
    /// Whether it says that something went wrong in the kernel or its hardware. One failed
    /// allocation, an interrupt without a driver, or an error that was corrected does not.
    pub fn is_fault(&self) -> bool {
        match self.kind {
            Kind::PageAllocationFailure | Kind::IrqNobodyCared => false,
            Kind::MachineCheck => self.fatal,
            _ => true,
        }
    }
}

/// Modules kept of one report. RHEL's kernels load some 150.
pub const MAX_MODULES: usize = 512;
/// Frames kept of one trace.
pub const MAX_FRAMES: usize = 128;
/// Further traces kept of one report.
pub const MAX_TRACES: usize = 8;
/// Bytes kept of a title or another text.
pub const MAX_TEXT: usize = 512;

/// A line that says something by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Headline {
    /// Line of the file, from 1.
    pub line: u64,
    /// Without time stamp.
    pub text: String,
}

/// A place in the kernel's sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Source {
    /// Within the kernel's tree: `arch/x86/kernel/apic/io_apic.c`.
    pub file: String,
    /// From 1.
    pub line: u32,
}

/// A place in the kernel's code: `__clear_irq_vector+0x9d/0x100 [mpt3sas]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Symbol {
    /// As printed, with the compiler's suffixes: `copy_module_from_fd.isra.42`. For an address
    /// that no symbol covers, the address: `0xffffffffc01e7fff`.
    pub name: String,
    /// Bytes from the function's begin.
    pub offset: Option<u64>,
    /// Bytes of the function.
    pub size: Option<u64>,
    /// The module that it is in.
    pub module: Option<String>,
}

/// One line of a call trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Frame {
    /// What was called.
    #[serde(flatten)]
    pub symbol: Symbol,
    /// False for what the unwinder only found on the stack, which the kernel marks with `?`.
    pub reliable: bool,
    /// Where a symbolizer put it.
    pub source: Option<Source>,
}

/// A trace beside the main one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Trace {
    /// The line above it: `Freed by task 1234:`.
    pub title: String,
    /// Innermost first.
    pub frames: Vec<Frame>,
}

/// `CPU: 0 PID: 234 Comm: systemd-udevd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Process {
    /// The command's name.
    pub comm: String,
    /// Its process id.
    pub pid: Option<u32>,
}

/// A loaded module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Module {
    /// `mpt3sas`.
    pub name: String,
    /// Its taints and state as printed between parentheses, which may be empty: `OE+`. `+` means
    /// that it was being loaded, `-` that it was being removed.
    pub flags: String,
}

/// The text, or as much of it as is kept.
pub fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}
