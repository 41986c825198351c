//! What /init saw, one line a report, on the port [`crate::order::REPORT_PORT`].

/// One thing that /init saw. Every variant is one line on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// /init runs. `role` is `first` or `capture`.
    Started {
        /// Which kernel this is.
        role: Role,
        /// `uname -r`.
        release: String,
        /// CPUs online, from /sys/devices/system/cpu/online.
        cpus: u32,
        /// /proc/uptime, in milliseconds.
        uptime_ms: u64,
        /// /sys/kernel/kexec_crash_size in the first kernel, MemTotal in the capture kernel; bytes.
        memory: u64,
    },
    /// A module was loaded, or was not: `error` is the errno's name, e.g. `ENODEV`.
    Module {
        /// The driver of the order that wanted it.
        driver: String,
        /// The module.
        module: String,
        /// `None` when it was loaded (or was already there).
        error: Option<String>,
    },
    /// A driver was kept out by a parameter, and which.
    KeptOut {
        /// The driver.
        driver: String,
        /// e.g. `rd.driver.blacklist=virtio_console`.
        by: String,
    },
    /// Interrupts as this kernel counts them, after the named driver was loaded.
    Interrupts {
        /// The driver just loaded, or `end`.
        after: String,
        /// Lines of /proc/interrupts whose chip is PCI-MSI / PCI-MSI-edge / PCI-MSIX.
        msi: u32,
        /// Lines of /proc/interrupts that belong to an I/O APIC pin.
        pins: u32,
    },
    /// One PCI function with an MSI or MSI-X capability or a driver, after the last driver.
    Function {
        /// `0000:00:05.0`.
        address: String,
        /// `1b36:0010`.
        id: String,
        /// MSI-X table size from the capability's message control word; 0 without the capability.
        table: u16,
        /// Entries in /sys/bus/pci/devices/…/msi_irqs: vectors that the driver holds.
        granted: u16,
        /// The driver bound to it.
        driver: Option<String>,
    },
    /// kexec ended; status 0 means that the capture kernel is loaded.
    Armed {
        /// How kexec ended.
        status: Exit,
        /// /sys/kernel/kexec_crash_loaded says 1.
        loaded: bool,
    },
    /// About to write `c` to /proc/sysrq-trigger on this CPU.
    Crashing {
        /// The CPU /init is bound to.
        cpu: u32,
    },
    /// The dump target was found and mounted, or what stopped it.
    Target {
        /// As the order named it.
        device: String,
        /// The device node appeared in time.
        found: bool,
        /// errno of mount(2), by name, if that failed.
        mount_error: Option<String>,
    },
    /// kdump_pre or kdump_post ended.
    Script {
        /// `kdump_pre` or `kdump_post`.
        which: String,
        /// How it ended.
        status: Exit,
    },
    /// The core collector ended.
    Collector {
        /// How it ended.
        status: Exit,
    },
    /// The dump was synced and carries its final name.
    Saved {
        /// Path on the target's file system, e.g. `/var/crash/127.0.0.1-…/vmcore`.
        path: String,
        /// Size in bytes.
        bytes: u64,
        /// MemAvailable's (or MemFree's, before 3.14) lowest reading so far in this kernel, bytes.
        memory_low: u64,
    },
    /// A step of /init failed; nothing after it was tried except the final action.
    Failed {
        /// e.g. `mount /proc`.
        step: String,
        /// errno's name, or a sentence.
        error: String,
    },
    /// /init has done what it was ordered to and is about to sync and end the machine.
    Ending,
}

/// Which kernel speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one that is going to die.
    First,
    /// The one that saves the dump.
    Capture,
}

/// How a child of /init ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// exit(2) with this status.
    Code(i32),
    /// Killed by this signal number.
    Signal(i32),
    /// Never ran: errno of execve(2).
    NotRun(i32),
}
