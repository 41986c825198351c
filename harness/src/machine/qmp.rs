//! QMP over a socket: the commands of the `qapi` crate, read tolerantly.
//!
//! qapi's schema is older than many QEMUs. Every line is JSON first and a type second, so that an
//! event or an enum value that the schema does not know stays a value and does no harm.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, timeout_at};

/// Longest line accepted; QEMU's longest answer (its own schema) has about 250 KiB.
const MAX_LINE: usize = 8 << 20;
/// Events kept for a caller that does not ask for them.
const MAX_EVENTS: usize = 4096;

/// A conversation with one QEMU.
///
/// Dropping the future of [`Qmp::next_event`] loses nothing. Dropping that of [`Qmp::execute`]
/// leaves an answer that is skipped when it comes.
#[derive(Debug)]
pub struct Qmp {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    /// Bytes read and not yet taken; `scanned` of them hold no line end.
    buffer: Vec<u8>,
    scanned: usize,
    events: VecDeque<Event>,
    last_id: u64,
    version: QemuVersion,
    shutdown: Option<Shutdown>,
    /// A command was not written in full, so that nothing more can be said.
    broken: bool,
}

/// QEMU's version, from its greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QemuVersion {
    /// 7 in 7.2.22.
    pub major: u32,
    /// 2 in 7.2.22.
    pub minor: u32,
    /// 22 in 7.2.22.
    pub micro: u32,
}

impl fmt::Display for QemuVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// Something that QEMU said by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// e.g. `SHUTDOWN`.
    pub name: String,
    /// Its data, `null` when it has none.
    pub data: Value,
    /// When, on the host's clock since 1970; `None` when QEMU could not tell.
    pub timestamp: Option<Duration>,
}

/// The events that a drill acts on, typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// The machine ends.
    Shutdown(Shutdown),
    /// The machine was reset.
    Reset(Shutdown),
    /// Guest CPUs stopped.
    Stop,
    /// Guest CPUs run again.
    Resume,
    /// The guest told a paravirtual device that it panicked. Holds QEMU's action: `pause`, `run`…
    GuestPanicked(String),
    /// A disk's file on the host could not be read or written. Holds why, in the host's words.
    BlockIoError(String),
}

/// Data of SHUTDOWN and RESET.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Shutdown {
    /// The guest asked for it, not the host.
    pub guest: bool,
    /// `guest-shutdown`, `guest-reset`, `host-signal`…; empty before QEMU 4.
    #[serde(default)]
    pub reason: String,
}

impl Event {
    fn from_json(mut object: Value) -> Option<Self> {
        let name = object.get("event")?.as_str()?.to_owned();
        let stamp = object.get("timestamp");
        let part = |key| {
            stamp
                .and_then(|stamp| stamp.get(key))
                .and_then(Value::as_u64)
        };
        let seconds = part("seconds").map(Duration::from_secs);
        let micros = part("microseconds").map(Duration::from_micros);
        Some(Self {
            timestamp: seconds.and_then(|seconds| seconds.checked_add(micros?)),
            data: object.get_mut("data").map_or(Value::Null, Value::take),
            name,
        })
    }

    /// The event typed, if a drill acts on it and its data is as expected.
    pub fn known(&self) -> Option<Known> {
        let shutdown = || Shutdown::deserialize(&self.data).ok();
        Some(match self.name.as_str() {
            "SHUTDOWN" => Known::Shutdown(shutdown()?),
            "RESET" => Known::Reset(shutdown()?),
            "STOP" => Known::Stop,
            "RESUME" => Known::Resume,
            "GUEST_PANICKED" => Known::GuestPanicked(self.data.get("action")?.as_str()?.to_owned()),
            "BLOCK_IO_ERROR" => Known::BlockIoError(self.data.get("reason")?.as_str()?.to_owned()),
            _ => return None,
        })
    }
}

/// A conversation that failed.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// QEMU closed it, or died.
    #[error("QEMU closed its QMP channel")]
    Closed,
    /// The socket failed.
    #[error("reading or writing QEMU's QMP channel failed")]
    Io(#[from] std::io::Error),
    /// Not a QMP line.
    #[error("QEMU's QMP channel carries no QMP: {0:?}")]
    NotQmp(String),
    /// More than 8 MiB without a line end.
    #[error("QEMU sent a QMP line of more than {} MiB", MAX_LINE >> 20)]
    LineTooLong,
    /// Nobody took them.
    #[error("QEMU sent {MAX_EVENTS} events that nobody took")]
    TooManyEvents,
    /// No answer in time.
    #[error("QEMU did not answer `{command}` within {} ms", limit.as_millis())]
    Timeout {
        /// The command; `greeting` before the first.
        command: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// QEMU refused.
    #[error("QEMU refused `{command}`: {description}")]
    Refused {
        /// The command.
        command: &'static str,
        /// `GenericError`, `DeviceNotFound`, or whatever a newer QEMU has.
        class: String,
        /// For people.
        description: String,
    },
    /// The answer is not what the schema says.
    #[error("QEMU's answer to `{command}` is not of the expected type")]
    Unexpected {
        /// The command.
        command: &'static str,
        /// What did not fit.
        source: serde_json::Error,
    },
    /// An earlier command failed half-way.
    #[error("QEMU's QMP channel was given up after an unfinished command")]
    Broken,
}

impl Qmp {
    /// Reads the greeting and leaves negotiation mode.
    ///
    /// # Errors
    /// QEMU does not greet within `limit`, or with something else.
    pub async fn negotiate(socket: UnixStream, limit: Duration) -> Result<Self, QmpError> {
        let (reader, writer) = socket.into_split();
        let mut qmp = Self {
            reader,
            writer,
            buffer: Vec::new(),
            scanned: 0,
            events: VecDeque::new(),
            last_id: 0,
            version: QemuVersion {
                major: 0,
                minor: 0,
                micro: 0,
            },
            shutdown: None,
            broken: false,
        };
        let greeting = timeout_at(Instant::now() + limit, qmp.read_object())
            .await
            .map_err(|_| QmpError::Timeout {
                command: "greeting",
                limit,
            })??;
        qmp.version = greeting
            .pointer("/QMP/version/qemu")
            .and_then(|version| QemuVersion::deserialize(version).ok())
            .ok_or_else(|| QmpError::NotQmp(excerpt(greeting.to_string().as_bytes())))?;
        qmp.execute(qapi::qmp::qmp_capabilities { enable: None }, limit)
            .await?;
        Ok(qmp)
    }

    /// QEMU's version.
    pub fn version(&self) -> QemuVersion {
        self.version
    }

    /// The first SHUTDOWN event that came, whether or not anybody has taken it.
    pub fn shutdown(&self) -> Option<&Shutdown> {
        self.shutdown.as_ref()
    }

    /// Runs one command.
    ///
    /// # Errors
    /// No answer within `limit`, a refusal, an answer of another type, or a broken channel.
    pub async fn execute<C: qapi::Command>(
        &mut self,
        command: C,
        limit: Duration,
    ) -> Result<C::Ok, QmpError> {
        let unexpected = |source| QmpError::Unexpected {
            command: C::NAME,
            source,
        };
        let arguments = serde_json::to_value(&command).map_err(unexpected)?;
        let answer = self.execute_raw(C::NAME, arguments, limit).await?;
        C::Ok::deserialize(answer).map_err(unexpected)
    }

    /// Runs one command that the schema does not have, or whose answer it does not fit.
    ///
    /// # Errors
    /// As [`Qmp::execute`], without the type.
    pub async fn execute_raw(
        &mut self,
        command: &'static str,
        arguments: Value,
        limit: Duration,
    ) -> Result<Value, QmpError> {
        if self.broken {
            return Err(QmpError::Broken);
        }
        let exchange = self.exchange(command, arguments);
        timeout_at(Instant::now() + limit, exchange)
            .await
            .unwrap_or(Err(QmpError::Timeout { command, limit }))
    }

    /// Runs one command many times, without waiting for each answer before the next is asked.
    ///
    /// # Errors
    /// As [`Qmp::execute_raw`], of the first that fails; `limit` is for all of them.
    pub async fn execute_many(
        &mut self,
        command: &'static str,
        arguments: Vec<Value>,
        limit: Duration,
    ) -> Result<Vec<Value>, QmpError> {
        /// QEMU queues 8 (monitor/qmp.c: QMP_REQ_QUEUE_LEN_MAX) and reads no more until it has
        /// answered; what is under way must fit into both sockets meanwhile.
        const AT_ONCE: usize = 8;
        if self.broken {
            return Err(QmpError::Broken);
        }
        let all = async {
            let mut answers = Vec::with_capacity(arguments.len());
            let mut arguments = arguments.into_iter().peekable();
            while arguments.peek().is_some() {
                let mut asked = Vec::new();
                for arguments in arguments.by_ref().take(AT_ONCE) {
                    asked.push(self.ask(command, arguments).await?);
                }
                for id in asked {
                    answers.push(self.answer(command, id).await?);
                }
            }
            Ok(answers)
        };
        timeout_at(Instant::now() + limit, all)
            .await
            .unwrap_or(Err(QmpError::Timeout { command, limit }))
    }

    async fn exchange(
        &mut self,
        command: &'static str,
        arguments: Value,
    ) -> Result<Value, QmpError> {
        let id = self.ask(command, arguments).await?;
        self.answer(command, id).await
    }

    async fn ask(&mut self, command: &'static str, arguments: Value) -> Result<u64, QmpError> {
        self.last_id += 1;
        let id = self.last_id;
        let mut request = serde_json::json!({ "execute": command, "id": id });
        if arguments.as_object().is_some_and(|map| !map.is_empty()) {
            request["arguments"] = arguments;
        }
        let mut line = request.to_string().into_bytes();
        line.push(b'\n');
        self.broken = true;
        self.writer.write_all(&line).await.map_err(closed)?;
        self.broken = false;
        Ok(id)
    }

    async fn answer(&mut self, command: &'static str, id: u64) -> Result<Value, QmpError> {
        loop {
            let mut object = self.read_object().await?;
            if object.get("event").is_some() {
                self.queue(object)?;
                continue;
            }
            // An error that QEMU could not attribute has no id; ours is the only open question.
            let theirs = object.get("id").and_then(Value::as_u64);
            if theirs.is_some_and(|theirs| theirs != id) {
                continue;
            }
            if let Some(answer) = object.get_mut("return")
                && theirs.is_some()
            {
                return Ok(answer.take());
            }
            if let Some(error) = object.get("error") {
                let text = |key| match error.get(key).and_then(Value::as_str) {
                    Some(text) => text.to_owned(),
                    None => String::new(),
                };
                return Err(QmpError::Refused {
                    command,
                    class: text("class"),
                    description: text("desc"),
                });
            }
            return Err(QmpError::NotQmp(excerpt(object.to_string().as_bytes())));
        }
    }

    /// The next event, whatever it is.
    ///
    /// # Errors
    /// The channel ended or broke.
    pub async fn next_event(&mut self) -> Result<Event, QmpError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let object = self.read_object().await?;
            // What is no event is the late answer to a command that was given up.
            if object.get("event").is_some() {
                self.queue(object)?;
            }
        }
    }

    fn queue(&mut self, object: Value) -> Result<(), QmpError> {
        let text = object.to_string();
        let event =
            Event::from_json(object).ok_or_else(|| QmpError::NotQmp(excerpt(text.as_bytes())))?;
        if let Some(Known::Shutdown(shutdown)) = event.known() {
            self.shutdown.get_or_insert(shutdown);
        }
        if self.events.len() == MAX_EVENTS {
            return Err(QmpError::TooManyEvents);
        }
        self.events.push_back(event);
        Ok(())
    }

    /// One line as a JSON object. Cancel safe: what was read stays in the buffer.
    async fn read_object(&mut self) -> Result<Value, QmpError> {
        loop {
            let end = self.buffer[self.scanned..].iter().position(|&b| b == b'\n');
            if let Some(end) = end.filter(|end| self.scanned + end <= MAX_LINE) {
                let line: Vec<u8> = self.buffer.drain(..=self.scanned + end).collect();
                self.scanned = 0;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return match serde_json::from_slice(&line) {
                    Ok(object @ Value::Object(_)) => Ok(object),
                    _ => Err(QmpError::NotQmp(excerpt(&line))),
                };
            }
            self.scanned = self.buffer.len();
            if self.buffer.len() > MAX_LINE {
                return Err(QmpError::LineTooLong);
            }
            if self
                .reader
                .read_buf(&mut self.buffer)
                .await
                .map_err(closed)?
                == 0
            {
                return Err(QmpError::Closed);
            }
        }
    }
}

/// A peer that died with unread data, or before reading ours, is closed like any other.
fn closed(error: std::io::Error) -> QmpError {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    match error.kind() {
        BrokenPipe | ConnectionReset => QmpError::Closed,
        _ => QmpError::Io(error),
    }
}

fn excerpt(line: &[u8]) -> String {
    const SHOWN: usize = 120;
    let text = String::from_utf8_lossy(&line[..line.len().min(SHOWN)]);
    let dots = if line.len() > SHOWN { "…" } else { "" };
    format!("{}{dots}", text.trim_end())
}

#[cfg(test)]
mod tests;
