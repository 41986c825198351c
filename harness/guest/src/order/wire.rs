//! The text of an order: a line a thing, `end` last.

use std::fmt::{self, Display};
use std::str::FromStr;

use super::{
    Action, CaptureOrder, Driver, FailureAction, Filesystem, FirstOrder, Module, Network, Order,
    OrderError, Script, ServerOrder, Target,
};
use crate::words::{Line, SyntaxError, Words};

impl Order {
    /// The text of the file at [`ORDER_PATH`](super::ORDER_PATH).
    pub fn encode(&self) -> String {
        match self {
            Order::First(order) => order.encode(),
            Order::Capture(order) => order.encode(),
            Order::Server(order) => order.encode(),
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
        text += &Line::new("messages").all("line", &self.messages).end();
        text += &Line::new("arm").all("arg", &self.arm).end();
        text + "end\n"
    }
}

impl CaptureOrder {
    fn encode(&self) -> String {
        let mut text = Line::new("capture")
            .word("script", self.script)
            .word("path", &self.path)
            .word("wait-ms", self.wait_ms)
            .word("final-action", self.final_action)
            .word("shell", self.shell)
            .end();
        text += &self.target.encode();
        text += &self.failure_action.encode();
        for module in self.target.modules() {
            text += &encode_module("target-module", module);
        }
        let root = self.failure_action.root();
        for module in root.iter().flat_map(|root| &root.modules) {
            text += &encode_module("root-module", module);
        }
        encode_drivers(&mut text, &self.drivers);
        text += &Line::new("collector").all("arg", &self.collector).end();
        for (head, argv) in [
            ("pre", &self.pre),
            ("post", &self.post),
            ("emergency", &self.emergency),
        ] {
            if let Some(argv) = argv {
                text += &Line::new(head).all("arg", argv).end();
            }
        }
        text + "end\n"
    }
}

impl Target {
    fn encode(&self) -> String {
        let line = Line::new("target");
        match self {
            Target::Filesystem(filesystem) => filesystem.encode(line.word("kind", "filesystem")),
            Target::Raw { device } => line.word("kind", "raw").word("device", device).end(),
            Target::Nfs {
                host,
                export,
                network,
                modules: _,
            } => {
                let line = line
                    .word("kind", "nfs")
                    .word("host", host)
                    .word("export", export);
                network.encode(line).end()
            }
            Target::Ssh {
                user,
                host,
                key,
                network,
            } => {
                let line = line
                    .word("kind", "ssh")
                    .word("user", user)
                    .word("host", host)
                    .word("key", key);
                network.encode(line).end()
            }
        }
    }

    fn decode(words: &mut Words<'_>) -> Result<Self, SyntaxError> {
        Ok(match words.take("kind")?.as_str() {
            "filesystem" => Target::Filesystem(Filesystem::decode(words)?),
            "raw" => Target::Raw {
                device: words.take("device")?,
            },
            "nfs" => Target::Nfs {
                host: words.take("host")?,
                export: words.take("export")?,
                network: Network::decode(words)?,
                modules: Vec::new(),
            },
            "ssh" => Target::Ssh {
                user: words.take("user")?,
                host: words.take("host")?,
                key: words.take("key")?,
                network: Network::decode(words)?,
            },
            other => return Err(SyntaxError::new(format!("`{other}` is no target"))),
        })
    }
}

impl FailureAction {
    fn encode(&self) -> String {
        let line = Line::new("failure");
        match self {
            FailureAction::End(action) => line.word("action", action).end(),
            FailureAction::Shell => line.word("action", "shell").end(),
            FailureAction::DumpToRootfs(root) => root.encode(line.word("action", "dump_to_rootfs")),
        }
    }

    fn decode(words: &mut Words<'_>) -> Result<Self, SyntaxError> {
        Ok(match words.take("action")?.as_str() {
            "shell" => FailureAction::Shell,
            "dump_to_rootfs" => FailureAction::DumpToRootfs(Filesystem::decode(words)?),
            action => FailureAction::End(action.parse()?),
        })
    }
}

impl Filesystem {
    /// `line` has begun. Each module is a line of its own, which comes later.
    fn encode(&self, line: Line) -> String {
        line.word("device", &self.device)
            .word("filesystem", &self.kind)
            .end()
    }

    fn decode(words: &mut Words<'_>) -> Result<Self, SyntaxError> {
        Ok(Filesystem {
            device: words.take("device")?,
            kind: words.take("filesystem")?,
            modules: Vec::new(),
        })
    }
}

pub(super) fn encode_drivers(text: &mut String, drivers: &[Driver]) {
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
        .word("parameters", &module.parameters)
        .end()
}

pub(super) struct Lines<'a> {
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
                    messages: Vec::new(),
                    arm: Vec::new(),
                    crash_cpu: head.parse_value("crash-cpu")?,
                    token: head.take("token")?,
                    shell: head.parse_value("shell")?,
                };
                head.finish()?;
                self.items(|words| match words.head() {
                    "messages" => {
                        order.messages = words.take_all("line");
                        Ok(true)
                    }
                    "arm" => {
                        order.arm = words.take_all("arg");
                        Ok(true)
                    }
                    _ => decode_driver(&mut order.drivers, words),
                })?;
                Order::First(order)
            }
            "capture" => {
                let target = self.line("target", Target::decode)?;
                let failure_action = self.line("failure", FailureAction::decode)?;
                let mut order = CaptureOrder {
                    script: head.parse_value("script")?,
                    drivers: Vec::new(),
                    target,
                    wait_ms: head.parse_value("wait-ms")?,
                    path: head.take("path")?,
                    collector: Vec::new(),
                    pre: None,
                    post: None,
                    emergency: None,
                    failure_action,
                    final_action: head.parse_value("final-action")?,
                    shell: head.parse_value("shell")?,
                };
                head.finish()?;
                self.items(|words| order.item(words))?;
                Order::Capture(Box::new(order))
            }
            "server" => Order::Server(ServerOrder::decode(head, self)?),
            other => return Err(SyntaxError::new(format!("no order begins with `{other}`"))),
        };
        match self.rest {
            [] => Ok(order),
            _ => Err(SyntaxError::new("something follows `end`")),
        }
    }

    /// The next line, which has to begin with `head`.
    pub(super) fn line<T>(
        &mut self,
        head: &str,
        decode: impl FnOnce(&mut Words<'a>) -> Result<T, SyntaxError>,
    ) -> Result<T, SyntaxError> {
        let mut words = self.next()?;
        if words.head() != head {
            return Err(SyntaxError::new(format!("`{head}` has to come here")));
        }
        let value = decode(&mut words)?;
        words.finish()?;
        Ok(value)
    }

    /// Hands every line up to `end` to `item`, which says whether it knows the line.
    pub(super) fn items(
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

impl CaptureOrder {
    fn item(&mut self, words: &mut Words<'_>) -> Result<bool, SyntaxError> {
        match words.head() {
            "collector" => self.collector = words.take_all("arg"),
            "pre" => self.pre = Some(words.take_all("arg")),
            "post" => self.post = Some(words.take_all("arg")),
            "emergency" => self.emergency = Some(words.take_all("arg")),
            "target-module" => match &mut self.target {
                Target::Filesystem(filesystem) => filesystem.modules.push(decode_module(words)?),
                Target::Nfs { modules, .. } => modules.push(decode_module(words)?),
                _ => return Ok(false),
            },
            "root-module" => match &mut self.failure_action {
                FailureAction::DumpToRootfs(root) => root.modules.push(decode_module(words)?),
                _ => return Ok(false),
            },
            _ => return decode_driver(&mut self.drivers, words),
        }
        Ok(true)
    }
}

/// A `module` line belongs to the `driver` line before it.
pub(super) fn decode_driver(
    drivers: &mut Vec<Driver>,
    words: &mut Words<'_>,
) -> Result<bool, SyntaxError> {
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
        parameters: words.take("parameters")?,
    })
}

/// An enum whose variants are words on the wire.
macro_rules! words {
    ($type:ident, $what:literal: $($variant:ident = $word:literal),+) => {
        impl Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $($type::$variant => $word,)+
                })
            }
        }

        impl FromStr for $type {
            type Err = SyntaxError;

            fn from_str(text: &str) -> Result<Self, SyntaxError> {
                match text {
                    $($word => Ok($type::$variant),)+
                    other => Err(SyntaxError::new(format!(concat!("`{}` is no ", $what), other))),
                }
            }
        }
    };
}

// As kdump.conf spells them.
words!(Action, "action": Reboot = "reboot", Halt = "halt", PowerOff = "poweroff");
words!(Script, "script":
    Rhel6 = "rhel6", Rhel7 = "rhel7", Rhel8 = "rhel8", Rhel9 = "rhel9", Fedora = "fedora");
