//! What /init is to do: one file in the initramfs, written by the harness.

use std::fmt::{self, Display};
use std::str::FromStr;

use crate::words::{Line, SyntaxError, Words};

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

impl Order {
    /// The text of the file at [`ORDER_PATH`].
    pub fn encode(&self) -> String {
        match self {
            Order::First(order) => order.encode(),
            Order::Capture(order) => order.encode(),
        }
    }

    /// Reads what [`Order::encode`] wrote.
    ///
    /// # Errors
    /// Anything else, a text cut short included: its last line has to be `end`.
    pub fn decode(text: &[u8]) -> Result<Self, OrderError> {
        let mut lines = Lines {
            rest: text,
            number: 0,
        };
        lines.order().map_err(|why| OrderError {
            line: lines.number,
            why,
        })
    }
}

impl FirstOrder {
    fn encode(&self) -> String {
        let mut text = Line::new("first")
            .word("crash-cpu", self.crash_cpu)
            .word("token", &self.token)
            .word("shell", self.shell)
            .end();
        encode_drivers(&mut text, &self.drivers);
        text += &Line::new("arm").all("arg", &self.arm).end();
        text + "end\n"
    }
}

impl CaptureOrder {
    fn encode(&self) -> String {
        let mut text = Line::new("capture")
            .word("path", &self.path)
            .word("failure-action", self.failure_action)
            .word("final-action", self.final_action)
            .word("shell", self.shell)
            .end();
        text += &Line::new("target")
            .word("device", &self.target.device)
            .word("filesystem", &self.target.filesystem)
            .word("wait-ms", self.target.wait_ms)
            .end();
        encode_drivers(&mut text, &self.drivers);
        for module in &self.filesystem_modules {
            text += &encode_module("filesystem-module", module);
        }
        text += &Line::new("collector").all("arg", &self.collector).end();
        for (head, argv) in [("pre", &self.pre), ("post", &self.post)] {
            if let Some(argv) = argv {
                text += &Line::new(head).all("arg", argv).end();
            }
        }
        text + "end\n"
    }
}

fn encode_drivers(text: &mut String, drivers: &[Driver]) {
    for driver in drivers {
        *text += &Line::new("driver")
            .word("name", &driver.name)
            .optional("kept-out-by", driver.kept_out_by.as_ref())
            .end();
        for module in &driver.modules {
            *text += &encode_module("module", module);
        }
    }
}

fn encode_module(head: &str, module: &Module) -> String {
    Line::new(head)
        .word("name", &module.name)
        .word("path", &module.path)
        .end()
}

struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<Words<'a>, SyntaxError> {
        self.number += 1;
        let length = self
            .rest
            .iter()
            .position(|&byte| byte == b'\n')
            .ok_or_else(|| SyntaxError::new("the order ends too early"))?;
        let (line, rest) = self.rest.split_at(length);
        self.rest = rest.get(1..).unwrap_or_default();
        Words::parse(line)
    }

    fn order(&mut self) -> Result<Order, SyntaxError> {
        let mut head = self.next()?;
        let order = match head.head() {
            "first" => {
                let mut order = FirstOrder {
                    drivers: Vec::new(),
                    arm: Vec::new(),
                    crash_cpu: head.parse_value("crash-cpu")?,
                    token: head.take("token")?,
                    shell: head.parse_value("shell")?,
                };
                head.finish()?;
                self.items(|words| match words.head() {
                    "arm" => {
                        order.arm = words.take_all("arg");
                        Ok(true)
                    }
                    _ => decode_driver(&mut order.drivers, words),
                })?;
                Order::First(order)
            }
            "capture" => {
                let mut order = CaptureOrder {
                    drivers: Vec::new(),
                    filesystem_modules: Vec::new(),
                    target: self.target()?,
                    path: head.take("path")?,
                    collector: Vec::new(),
                    pre: None,
                    post: None,
                    failure_action: head.parse_value("failure-action")?,
                    final_action: head.parse_value("final-action")?,
                    shell: head.parse_value("shell")?,
                };
                head.finish()?;
                self.items(|words| {
                    match words.head() {
                        "filesystem-module" => {
                            order.filesystem_modules.push(decode_module(words)?);
                        }
                        "collector" => order.collector = words.take_all("arg"),
                        "pre" => order.pre = Some(words.take_all("arg")),
                        "post" => order.post = Some(words.take_all("arg")),
                        _ => return decode_driver(&mut order.drivers, words),
                    }
                    Ok(true)
                })?;
                Order::Capture(order)
            }
            other => return Err(SyntaxError::new(format!("no order begins with `{other}`"))),
        };
        match self.rest {
            [] => Ok(order),
            _ => Err(SyntaxError::new("something follows `end`")),
        }
    }

    fn target(&mut self) -> Result<Target, SyntaxError> {
        let mut words = self.next()?;
        if words.head() != "target" {
            return Err(SyntaxError::new("`target` has to be the second line"));
        }
        let target = Target {
            device: words.take("device")?,
            filesystem: words.take("filesystem")?,
            wait_ms: words.parse_value("wait-ms")?,
        };
        words.finish()?;
        Ok(target)
    }

    /// Hands every line up to `end` to `item`, which says whether it knows the line.
    fn items(
        &mut self,
        mut item: impl FnMut(&mut Words<'a>) -> Result<bool, SyntaxError>,
    ) -> Result<(), SyntaxError> {
        loop {
            let mut words = self.next()?;
            let head = words.head();
            if head == "end" {
                return words.finish();
            }
            if !item(&mut words)? {
                return Err(SyntaxError::new(format!("`{head}` is out of place here")));
            }
            words.finish()?;
        }
    }
}

/// A `module` line belongs to the `driver` line before it.
fn decode_driver(drivers: &mut Vec<Driver>, words: &mut Words<'_>) -> Result<bool, SyntaxError> {
    match (words.head(), drivers.last_mut()) {
        ("driver", _) => drivers.push(Driver {
            name: words.take("name")?,
            modules: Vec::new(),
            kept_out_by: words.take_optional("kept-out-by"),
        }),
        ("module", Some(driver)) => driver.modules.push(decode_module(words)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn decode_module(words: &mut Words<'_>) -> Result<Module, SyntaxError> {
    Ok(Module {
        name: words.take("name")?,
        path: words.take("path")?,
    })
}

impl Display for Action {
    /// As kdump.conf spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Reboot => "reboot",
            Action::Halt => "halt",
            Action::PowerOff => "poweroff",
            Action::Shell => "shell",
        })
    }
}

impl FromStr for Action {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        Ok(match text {
            "reboot" => Action::Reboot,
            "halt" => Action::Halt,
            "poweroff" => Action::PowerOff,
            "shell" => Action::Shell,
            other => return Err(SyntaxError::new(format!("`{other}` is no action"))),
        })
    }
}
