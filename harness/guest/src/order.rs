//! What /init is to do: one file in the initramfs, written by the harness.

/// Where the order lies in either initramfs.
pub const ORDER_PATH: &str = "/etc/crashdrill/order";

/// I/O port of QEMU's `isa-debugcon`, the second channel: write-only, no driver, no interrupt.
/// 0xe9 is the device's default; SeaBIOS writes its own log to 0x402 and so leaves this one alone.
pub const REPORT_PORT: u16 = 0xe9;

/// The whole of what one /init has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// For the kernel that is going to die.
    First(FirstOrder),
    /// For the kernel that saves the dump.
    Capture(CaptureOrder),
}

/// One file for finit_module(2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// The name as `modules.dep` spells it, with underscores: `virtio_pci`.
    pub name: String,
    /// Path inside the initramfs.
    pub path: String,
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

/// Load drivers, find the target, run the core collector, power off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureOrder {
    /// In this order.
    pub drivers: Vec<Driver>,
    /// Modules that the file system needs, loaded just before the mount (dependencies first).
    pub filesystem_modules: Vec<Module>,
    /// Where the dump goes.
    pub target: Target,
    /// Directory on the target, absolute, e.g. `/var/crash`.
    pub path: String,
    /// argv of the core collector without source and destination; empty means `cp`-like copy is
    /// not wanted: the harness always fills it (default `makedumpfile -l --message-level 7 -d 31`).
    pub collector: Vec<String>,
    /// kdump.conf's kdump_pre: non-zero means no dump.
    pub pre: Option<Vec<String>>,
    /// kdump.conf's kdump_post: gets the status of the dump as its one argument.
    pub post: Option<Vec<String>>,
    /// What to do when no dump could be made.
    pub failure_action: Action,
    /// What to do after a dump.
    pub final_action: Action,
    /// Give the console an interactive shell instead of saving.
    pub shell: bool,
}

/// The dump target as kdump.conf names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `/dev/nvme0n1`, `UUID=…` or `LABEL=…`.
    pub device: String,
    /// As mount(2) wants it: `ext4`.
    pub filesystem: String,
    /// How long to wait for the device to appear, in milliseconds of guest time.
    pub wait_ms: u64,
}

/// kdump.conf's failure_action and final_action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// reboot(2) with RB_AUTOBOOT.
    Reboot,
    /// reboot(2) with RB_HALT_SYSTEM.
    Halt,
    /// reboot(2) with RB_POWER_OFF.
    PowerOff,
    /// An interactive shell on the console.
    Shell,
}
