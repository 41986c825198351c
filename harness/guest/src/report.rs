//! What /init saw, one line a report, on the port [`crate::order::REPORT_PORT`].

use std::fmt::{self, Display};
use std::str::FromStr;

use crate::words::{Line, SyntaxError, Words};

/// Longest line that [`Lines`] collects, in bytes. /init's own lines stay far below.
pub const MAX_LINE: usize = 64 << 10;

/// One thing that /init saw. Every variant is one line on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// /init runs. `role` is `first`, `capture` or `server`.
    Started {
        /// Which kernel this is.
        role: Role,
        /// `uname -r`.
        release: String,
        /// CPUs online, from /sys/devices/system/cpu/online.
        cpus: u32,
        /// /proc/uptime, in milliseconds.
        uptime_ms: u64,
        /// /sys/kernel/kexec_crash_size in the first kernel, MemTotal in the others; bytes.
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
    /// A vector that the kernel has assigned, where its irq debugfs tells, after the last driver.
    Vector {
        /// Whose interrupt it is.
        source: Source,
        /// The CPU that it goes to, as this kernel counts CPUs.
        cpu: u32,
        /// That CPU's APIC id.
        apic: u32,
        /// The vector.
        vector: u8,
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
    /// The dump target was found and, unless it is raw, mounted, or what stopped it.
    Target {
        /// As the order named it.
        device: String,
        /// The device node appeared in time.
        found: bool,
        /// errno of mount(2), by name, if that failed.
        mount_error: Option<String>,
    },
    /// The same of the root file system, for dump_to_rootfs.
    Root {
        /// As the order named it.
        device: String,
        /// The device node appeared in time.
        found: bool,
        /// errno of mount(2), by name, if that failed.
        mount_error: Option<String>,
    },
    /// The network device that the dump goes to has an address and a carrier, or what stopped it.
    Network {
        /// Its name, such as `eth0`; `None` when it did not appear.
        interface: Option<String>,
        /// It could not be switched on, and why.
        error: Option<String>,
        /// There is a cable in it.
        carrier: bool,
    },
    /// A program that talks to the dump server ended.
    Remote {
        /// `mount.nfs`, `ssh` or `scp`.
        program: String,
        /// How it ended.
        status: Exit,
        /// The last line of what it said.
        said: Option<String>,
    },
    /// One of the user's scripts ended.
    Script {
        /// `kdump_pre`, `kdump_post` or `kdump_emergency`; a script of a directory by its path.
        which: String,
        /// How it ended.
        status: Exit,
    },
    /// The core collector ended.
    Collector {
        /// How it ended.
        status: Exit,
        /// Free space on the target at that time, in bytes, from statvfs(3). makedumpfile with
        /// RHEL 7's message level does not say itself that the target is full. `None` of a target
        /// that is no file system here.
        target_free: Option<u64>,
    },
    /// The program at the other end of the core collector's pipe ended: `dd` to a raw device, ssh.
    Writer {
        /// Its name.
        program: String,
        /// How it ended.
        status: Exit,
    },
    /// The dump was synced and carries its final name, if it has one.
    Saved {
        /// Path on the target's file system, e.g. `/var/crash/127.0.0.1-…/vmcore`; the node of a
        /// raw device.
        path: String,
        /// Size in bytes, where it can be asked for.
        bytes: Option<u64>,
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
    /// The dump server is ready for clients.
    Serving,
    /// /init has done what it was ordered to and is about to sync and end the machine.
    Ending,
}

/// Whose interrupt it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A PCI function's message: `0000:00:05.0`.
    Function(String),
    /// Interrupt line of this number.
    Line(u8),
}

/// Which kernel speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one that is going to die.
    First,
    /// The one that saves the dump.
    Capture,
    /// That of the machine that the dump is sent to.
    Server,
}

/// How a child of /init ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// exit(2) with this status.
    Code(i32),
    /// Killed by this signal number.
    Signal(i32),
    /// Never ran: errno of execve(2), or 0 when /init had a reason not to try.
    NotRun(i32),
}

/// Bytes between two line feeds that are no report: noise on the port, or a line that the dying
/// machine did not finish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportError {
    /// The beginning of the line, for people.
    pub line: String,
    /// What is wrong with it.
    pub why: SyntaxError,
}

impl Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a report: `{}`: {}", self.line, self.why)
    }
}

impl std::error::Error for ReportError {}

impl ReportError {
    fn new(line: &[u8], why: SyntaxError) -> Self {
        let line = line.get(..200).unwrap_or(line);
        Self {
            line: line.escape_ascii().to_string(),
            why,
        }
    }
}

impl Report {
    /// One line, with its line feed.
    pub fn encode(&self) -> String {
        let line = match self {
            Report::Started {
                role,
                release,
                cpus,
                uptime_ms,
                memory,
            } => Line::new("started")
                .word("role", role)
                .word("release", release)
                .word("cpus", cpus)
                .word("uptime-ms", uptime_ms)
                .word("memory", memory),
            Report::Module {
                driver,
                module,
                error,
            } => Line::new("module")
                .word("driver", driver)
                .word("module", module)
                .optional("error", error.as_ref()),
            Report::KeptOut { driver, by } => {
                Line::new("kept-out").word("driver", driver).word("by", by)
            }
            Report::Interrupts { after, msi, pins } => Line::new("interrupts")
                .word("after", after)
                .word("msi", msi)
                .word("pins", pins),
            Report::Vector {
                source,
                cpu,
                apic,
                vector,
            } => Line::new("vector")
                .word("source", source)
                .word("cpu", cpu)
                .word("apic", apic)
                .word("vector", vector),
            Report::Function {
                address,
                id,
                table,
                granted,
                driver,
            } => Line::new("function")
                .word("address", address)
                .word("id", id)
                .word("table", table)
                .word("granted", granted)
                .optional("driver", driver.as_ref()),
            Report::Armed { status, loaded } => Line::new("armed")
                .word("status", status)
                .word("loaded", loaded),
            Report::Crashing { cpu } => Line::new("crashing").word("cpu", cpu),
            Report::Target {
                device,
                found,
                mount_error,
            } => Line::new("target")
                .word("device", device)
                .word("found", found)
                .optional("mount-error", mount_error.as_ref()),
            Report::Root {
                device,
                found,
                mount_error,
            } => Line::new("root")
                .word("device", device)
                .word("found", found)
                .optional("mount-error", mount_error.as_ref()),
            Report::Writer { program, status } => Line::new("writer")
                .word("program", program)
                .word("status", status),
            Report::Network {
                interface,
                error,
                carrier,
            } => Line::new("network")
                .optional("interface", interface.as_ref())
                .optional("error", error.as_ref())
                .word("carrier", carrier),
            Report::Remote {
                program,
                status,
                said,
            } => Line::new("remote")
                .word("program", program)
                .word("status", status)
                .optional("said", said.as_ref()),
            Report::Script { which, status } => Line::new("script")
                .word("which", which)
                .word("status", status),
            Report::Collector {
                status,
                target_free,
            } => Line::new("collector")
                .word("status", status)
                .optional("target-free", target_free.as_ref()),
            Report::Saved {
                path,
                bytes,
                memory_low,
            } => Line::new("saved")
                .word("path", path)
                .optional("bytes", bytes.as_ref())
                .word("memory-low", memory_low),
            Report::Failed { step, error } => {
                Line::new("failed").word("step", step).word("error", error)
            }
            Report::Serving => Line::new("serving"),
            Report::Ending => Line::new("ending"),
        };
        line.end()
    }

    /// Reads one line, with or without its line feed.
    ///
    /// # Errors
    /// Anything that [`Report::encode`] does not write.
    pub fn decode(line: &[u8]) -> Result<Self, ReportError> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        Self::from_words(line).map_err(|why| ReportError::new(line, why))
    }

    fn from_words(line: &[u8]) -> Result<Self, SyntaxError> {
        let mut words = Words::parse(line)?;
        let report = match words.head() {
            "started" => Report::Started {
                role: words.parse_value("role")?,
                release: words.take("release")?,
                cpus: words.parse_value("cpus")?,
                uptime_ms: words.parse_value("uptime-ms")?,
                memory: words.parse_value("memory")?,
            },
            "module" => Report::Module {
                driver: words.take("driver")?,
                module: words.take("module")?,
                error: words.take_optional("error"),
            },
            "kept-out" => Report::KeptOut {
                driver: words.take("driver")?,
                by: words.take("by")?,
            },
            "interrupts" => Report::Interrupts {
                after: words.take("after")?,
                msi: words.parse_value("msi")?,
                pins: words.parse_value("pins")?,
            },
            "vector" => Report::Vector {
                source: words.parse_value("source")?,
                cpu: words.parse_value("cpu")?,
                apic: words.parse_value("apic")?,
                vector: words.parse_value("vector")?,
            },
            "function" => Report::Function {
                address: words.take("address")?,
                id: words.take("id")?,
                table: words.parse_value("table")?,
                granted: words.parse_value("granted")?,
                driver: words.take_optional("driver"),
            },
            "armed" => Report::Armed {
                status: words.parse_value("status")?,
                loaded: words.parse_value("loaded")?,
            },
            "crashing" => Report::Crashing {
                cpu: words.parse_value("cpu")?,
            },
            "target" => Report::Target {
                device: words.take("device")?,
                found: words.parse_value("found")?,
                mount_error: words.take_optional("mount-error"),
            },
            "root" => Report::Root {
                device: words.take("device")?,
                found: words.parse_value("found")?,
                mount_error: words.take_optional("mount-error"),
            },
            "writer" => Report::Writer {
                program: words.take("program")?,
                status: words.parse_value("status")?,
            },
            "network" => Report::Network {
                interface: words.take_optional("interface"),
                error: words.take_optional("error"),
                carrier: words.parse_value("carrier")?,
            },
            "remote" => Report::Remote {
                program: words.take("program")?,
                status: words.parse_value("status")?,
                said: words.take_optional("said"),
            },
            "script" => Report::Script {
                which: words.take("which")?,
                status: words.parse_value("status")?,
            },
            "collector" => Report::Collector {
                status: words.parse_value("status")?,
                target_free: words.parse_optional("target-free")?,
            },
            "saved" => Report::Saved {
                path: words.take("path")?,
                bytes: words.parse_optional("bytes")?,
                memory_low: words.parse_value("memory-low")?,
            },
            "failed" => Report::Failed {
                step: words.take("step")?,
                error: words.take("error")?,
            },
            "serving" => Report::Serving,
            "ending" => Report::Ending,
            other => return Err(SyntaxError::new(format!("no report is named `{other}`"))),
        };
        words.finish()?;
        Ok(report)
    }
}

/// Cuts the port's bytes, in whatever pieces they come, into reports. Memory stays below
/// [`MAX_LINE`] whatever arrives; a line above it is one error.
#[derive(Debug, Default)]
pub struct Lines {
    begun: Vec<u8>,
    too_long: bool,
}

impl Lines {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The reports that `bytes` completes. Empty lines are none: /init begins with a line feed,
    /// so that its first report does not stick to what the kernel before it left unfinished.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Result<Report, ReportError>> {
        let mut reports = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let room = MAX_LINE - self.begun.len();
            match piece.strip_suffix(b"\n") {
                Some(rest) => {
                    self.keep(rest, room);
                    reports.extend(self.finish());
                }
                None => self.keep(piece, room),
            }
        }
        reports
    }

    /// To be called when no more bytes will come: an unfinished line, if there is one, is an
    /// error even if it reads like a report, because its last value may be cut short.
    pub fn end(&mut self) -> Option<ReportError> {
        let line = std::mem::take(&mut self.begun);
        self.too_long = false;
        (!line.is_empty()).then(|| ReportError::new(&line, SyntaxError::new("cut short")))
    }

    fn keep(&mut self, piece: &[u8], room: usize) {
        let kept = piece.get(..room).unwrap_or(piece);
        self.too_long |= kept.len() < piece.len();
        self.begun.extend_from_slice(kept);
    }

    fn finish(&mut self) -> Option<Result<Report, ReportError>> {
        let line = std::mem::take(&mut self.begun);
        if std::mem::take(&mut self.too_long) {
            let why = SyntaxError::new(format!("longer than {MAX_LINE} bytes"));
            return Some(Err(ReportError::new(&line, why)));
        }
        (!line.is_empty()).then(|| Report::decode(&line))
    }
}

impl Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::First => "first",
            Role::Capture => "capture",
            Role::Server => "server",
        })
    }
}

impl FromStr for Role {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        match text {
            "first" => Ok(Role::First),
            "capture" => Ok(Role::Capture),
            "server" => Ok(Role::Server),
            other => Err(SyntaxError::new(format!("`{other}` is no role"))),
        }
    }
}

impl Display for Source {
    /// `0000:00:05.0`, `line-20`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Function(address) => f.write_str(address),
            Source::Line(line) => write!(f, "line-{line}"),
        }
    }
}

impl FromStr for Source {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let error = || SyntaxError::new(format!("`{text}` raises no interrupts"));
        if let Some(line) = text.strip_prefix("line-") {
            return line.parse().map(Source::Line).map_err(|_| error());
        }
        let hexadecimal =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_hexdigit());
        let address = text.split([':', '.']);
        match address.clone().count() == 4 && address.clone().all(hexadecimal) {
            true => Ok(Source::Function(text.to_owned())),
            false => Err(error()),
        }
    }
}

impl Exit {
    /// Whether the child did what it was asked to.
    pub fn success(self) -> bool {
        self == Exit::Code(0)
    }

    /// The number that a shell would put into `$?`.
    pub fn shell_status(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128_i32.saturating_add(signal),
            Exit::NotRun(libc::ENOENT) => 127,
            Exit::NotRun(_) => 126,
        }
    }
}

impl Display for Exit {
    /// `code:1`, `signal:9`, `not-run:2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "code:{code}"),
            Exit::Signal(signal) => write!(f, "signal:{signal}"),
            Exit::NotRun(errno) => write!(f, "not-run:{errno}"),
        }
    }
}

impl FromStr for Exit {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let error = || SyntaxError::new(format!("`{text}` is no exit status"));
        let (kind, number) = text.split_once(':').ok_or_else(error)?;
        let number = number.parse().map_err(|_| error())?;
        match kind {
            "code" => Ok(Exit::Code(number)),
            "signal" => Ok(Exit::Signal(number)),
            "not-run" => Ok(Exit::NotRun(number)),
            _ => Err(error()),
        }
    }
}
