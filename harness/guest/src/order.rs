//! What /init is to do: one file in the initramfs, written by the harness.

pub mod collector;
mod server;
mod wire;

use std::fmt::{self, Display};

use crate::words::SyntaxError;

pub use server::{Network, ServerOrder, Service};

/// Where the order lies in either initramfs.
pub const ORDER_PATH: &str = "/etc/crashdrill/order";

/// I/O port of QEMU's `isa-debugcon`, the second channel: write-only, no driver, no interrupt.
/// 0xe9 is the device's default; SeaBIOS writes its own log to 0x402 and so leaves this one alone.
pub const REPORT_PORT: u16 = 0xe9;
/// I/O port through which the harness answers: the scratch register of ttyS0's UART, which nobody
/// else uses once the kernel has found the UART. 0 until the harness writes something else.
pub const ANSWER_PORT: u16 = 0x3ff;

/// The whole of what one /init has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// For the kernel that is going to die.
    First(FirstOrder),
    /// For the kernel that saves the dump.
    Capture(Box<CaptureOrder>),
    /// For the machine that the dump is sent to.
    Server(ServerOrder),
}

/// One file for finit_module(2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// The name as `modules.dep` spells it, with underscores: `virtio_pci`.
    pub name: String,
    /// Path inside the initramfs.
    pub path: String,
    /// Parameters for the module, as finit_module(2) takes them: `max_ports=4 debug`.
    pub parameters: String,
}

/// A driver that the order names, with the modules it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// The name that the scenario or the device catalogue used.
    pub name: String,
    /// Dependencies first, the driver itself last. A module that an earlier driver of the same
    /// order already brought is not repeated. Empty when the driver is built into the kernel.
    pub modules: Vec<Module>,
    /// Why the driver must not be loaded, if it must not: the parameter that keeps it out,
    /// e.g. `rd.driver.blacklist=virtio_console`.
    pub kept_out_by: Option<String>,
}

/// Load drivers, arm kdump, crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstOrder {
    /// In this order.
    pub drivers: Vec<Driver>,
    /// What kdumpctl says while it makes the capture initramfs, a line each.
    pub messages: Vec<String>,
    /// argv of the image's own kexec, which loads the capture kernel.
    pub arm: Vec<String>,
    /// The CPU that writes to /proc/sysrq-trigger.
    pub crash_cpu: u32,
    /// Written to the kernel log right before the crash, so that the dump can be told from
    /// any other: the token that also stands on the kernel command line.
    pub token: String,
    /// Stop here and give the console an interactive shell instead of crashing.
    pub shell: bool,
}

/// Load drivers, find the target, save the dump as kdump's own script does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureOrder {
    /// Whose script is acted out.
    pub script: Script,
    /// In this order.
    pub drivers: Vec<Driver>,
    /// Where the dump goes.
    pub target: Target,
    /// How long to wait for the target to appear, in milliseconds of guest time.
    pub wait_ms: u64,
    /// Directory on the target, absolute, e.g. `/var/crash`. A raw target has no use for it.
    pub path: String,
    /// argv of the core collector, without source and destination. Never empty.
    pub collector: Vec<String>,
    /// argv of kdump.conf's kdump_pre: non-zero means no dump.
    pub pre: Option<Vec<String>>,
    /// argv of kdump.conf's kdump_post: gets the status of the dump as one more argument.
    pub post: Option<Vec<String>>,
    /// argv of kdump.conf's kdump_emergency, which runs before the failure action.
    pub emergency: Option<Vec<String>>,
    /// What to do when no dump could be made.
    pub failure_action: FailureAction,
    /// What to do after a dump, and after a failure action that does not end the machine.
    pub final_action: Action,
    /// Give the console an interactive shell instead of saving.
    pub shell: bool,
}

/// The scripts that save a dump differ in their order of events and in their words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// The /init that RHEL 6's mkdumprd writes.
    Rhel6,
    /// kdump.sh of RHEL 7.3 (kexec-tools of 2015 and 2016).
    Rhel7,
    /// kdump.sh of RHEL 8.4 and later (kexec-tools of 2020).
    Rhel8,
    /// kdump.sh of RHEL 9 (kexec-tools of 2021 and later).
    Rhel9,
    /// kdump.sh of Fedora (kdump-utils of 2026).
    Fedora,
}

/// The dump target as kdump.conf names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file system on a local disk.
    Filesystem(Filesystem),
    /// A block device that the dump is written to as it is: `/dev/nvme0n1`.
    Raw {
        /// Its node.
        device: String,
    },
    /// A directory that another machine exports.
    Nfs {
        /// The server, by name or address.
        host: String,
        /// The exported directory.
        export: String,
        /// The way to it.
        network: Network,
        /// Modules that NFS needs, loaded just before the mount (dependencies first).
        modules: Vec<Module>,
    },
    /// Another machine's sshd.
    Ssh {
        /// Who logs in.
        user: String,
        /// The server, by name or address.
        host: String,
        /// The file of the private key.
        key: String,
        /// The way to it.
        network: Network,
    },
}

/// A file system on a local disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filesystem {
    /// `/dev/nvme0n1`, `UUID=…` or `LABEL=…`.
    pub device: String,
    /// As mount(2) wants it: `ext4`.
    pub kind: String,
    /// Modules that it needs, loaded just before the mount (dependencies first).
    pub modules: Vec<Module>,
}

/// kdump.conf's failure_action, which was once called `default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureAction {
    /// Only this.
    End(Action),
    /// An interactive shell on the console, then the final action.
    Shell,
    /// Once more, to the root file system, then the final action.
    DumpToRootfs(Filesystem),
}

impl Target {
    /// The way to it, if it is not on this machine.
    pub fn network(&self) -> Option<&Network> {
        match self {
            Target::Nfs { network, .. } | Target::Ssh { network, .. } => Some(network),
            Target::Filesystem(_) | Target::Raw { .. } => None,
        }
    }

    /// Modules that its file system needs.
    pub fn modules(&self) -> &[Module] {
        match self {
            Target::Filesystem(Filesystem { modules, .. }) | Target::Nfs { modules, .. } => modules,
            Target::Raw { .. } | Target::Ssh { .. } => &[],
        }
    }
}

impl Display for Target {
    /// As kdump's own messages name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Filesystem(Filesystem { device, .. }) | Target::Raw { device } => {
                f.write_str(device)
            }
            Target::Nfs { host, export, .. } => write!(f, "{host}:{export}"),
            Target::Ssh { user, host, .. } => write!(f, "{user}@{host}"),
        }
    }
}

impl FailureAction {
    /// The root file system, if it is needed.
    pub fn root(&self) -> Option<&Filesystem> {
        match self {
            FailureAction::DumpToRootfs(root) => Some(root),
            FailureAction::End(_) | FailureAction::Shell => None,
        }
    }
}

/// kdump.conf's final_action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// reboot(2) with RB_AUTOBOOT.
    Reboot,
    /// reboot(2) with RB_HALT_SYSTEM.
    Halt,
    /// reboot(2) with RB_POWER_OFF.
    PowerOff,
}

/// A file that is not an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: SyntaxError,
}

impl Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the order: {}", self.line, self.why)
    }
}

impl std::error::Error for OrderError {}
