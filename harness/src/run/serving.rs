//! The dump server while a drill runs: started beside it, ready before the capture kernel needs it,
//! and stopped in good order, so that all it took is on its disk.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use crashdrill_guest::report::{self, Report};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

use super::assemble::ServerFiles;
use super::drill::{Ends, GATHER, boot, gathered};
use super::{HarnessError, Job, ServerPlan};
use crate::image::Image;
use crate::machine::{Machine, MachineError};

/// How long the server may take to write out what it holds, and to power off.
const STOP: Duration = Duration::from_secs(120);
/// For a command of the monitor.
const ANSWER: Duration = Duration::from_secs(20);
/// Of its console, for people.
const MAX_CONSOLE: usize = 256 << 10;

/// Lines of its console that an error shows.
const SHOWN: usize = 10;

/// A dump server that runs.
pub(super) struct Server {
    machine: Machine,
    /// QEMU's id of its network device.
    device: String,
    lines: report::Lines,
    ready: bool,
    console: Vec<u8>,
    serial: Vec<u8>,
    reports: Vec<u8>,
    next_read: Instant,
}

impl Server {
    /// `cable` is its end of the cable.
    pub(super) async fn start(
        job: &Job,
        plan: &ServerPlan,
        image: &Image,
        files: &ServerFiles,
        cable: BorrowedFd<'_>,
    ) -> Result<Self, MachineError> {
        let own = (&files.initramfs, &files.disks[..], None);
        let ends = Ends {
            link: Some(cable),
            devices: &[],
            outlet: None,
        };
        let machine = boot(job, &plan.machine, image, own, ends, &[]).await?;
        let device = plan.machine.target().map(|function| function.id());
        Ok(Self {
            machine,
            device: device.unwrap_or_default(),
            lines: report::Lines::new(),
            ready: false,
            console: Vec::new(),
            serial: Vec::new(),
            reports: Vec::new(),
            next_read: Instant::now(),
        })
    }

    /// Whether clients may come.
    pub(super) fn ready(&self) -> bool {
        self.ready
    }

    /// How long it has had to wait for a CPU of the host.
    pub(super) fn starved(&mut self) -> Duration {
        self.machine.starved()
    }

    /// Comes back when the server has become ready. Otherwise only with what it failed of. Cancel
    /// safe.
    pub(super) async fn becomes_ready(&mut self) -> Result<(), HarnessError> {
        loop {
            let was_ready = self.ready;
            if !self.read().await? {
                return Err(self.died().await);
            }
            if self.ready && !was_ready {
                return Ok(());
            }
        }
    }

    /// Takes what comes next; `false` when nothing will any more.
    async fn read(&mut self) -> Result<bool, HarnessError> {
        let machine = &mut self.machine;
        let read = tokio::select! {
            read = gathered(self.next_read, &mut machine.serial, &mut self.serial) => read,
            read = gathered(self.next_read, &mut machine.reports, &mut self.reports) => read,
            event = machine.qmp.next_event() => {
                return Ok(event.is_ok() && machine.qmp.shutdown().is_none());
            }
        };
        self.next_read = Instant::now() + GATHER;
        let more = read.map_err(unread)?;
        self.take()?;
        Ok(more > 0)
    }

    /// What has been read.
    fn take(&mut self) -> Result<(), HarnessError> {
        self.console.append(&mut self.serial);
        let excess = self.console.len().saturating_sub(MAX_CONSOLE);
        self.console.drain(..excess);
        for report in self.lines.push(&std::mem::take(&mut self.reports)) {
            match report.map_err(HarnessError::Report)? {
                Report::Serving => self.ready = true,
                Report::Failed { step, error } => {
                    return Err(self.failed(format!("{step}: {error}")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Pulls the cable, upon which the server writes everything to its disk and powers off; gives
    /// its console. One that never became ready holds nothing and is ended at once.
    pub(super) async fn stop(mut self) -> Result<Vec<u8>, HarnessError> {
        if !self.ready {
            self.machine.kill().await?;
            return Ok(self.console);
        }
        let pull = json!({ "name": self.device, "up": false });
        let pulled = self.machine.qmp.execute_raw("set_link", pull, ANSWER);
        if let Err(error) = pulled.await {
            return Err(self.failed(format!("its cable cannot be pulled: {error}")));
        }
        let last = async {
            while self.read().await? {}
            Ok::<_, HarnessError>(())
        };
        match timeout(STOP, last).await {
            Ok(read) => read?,
            Err(_) => {
                let why = format!("it did not power off within {} s", STOP.as_secs());
                return Err(self.failed(why));
            }
        }
        match self.machine.ended().await {
            Ok(shutdown) if shutdown.reason == "guest-shutdown" => Ok(self.console),
            Ok(shutdown) => Err(self.failed(format!("it ended with {}", shutdown.reason))),
            Err(error) => Err(self.failed(super::chain(&error))),
        }
    }

    /// What a server died of that was to go on: what it said itself, if it did.
    async fn died(&mut self) -> HarnessError {
        let ended = self.machine.ended().await;
        let machine = &mut self.machine;
        // Both are at their end, unless a QEMU that lingers holds them: then it has been killed.
        for (from, to) in [
            (&mut machine.reports, &mut self.reports),
            (&mut machine.serial, &mut self.serial),
        ] {
            if let Err(error) = from.read_to_end(to).await {
                return unread(error);
            }
        }
        match (self.take(), ended) {
            (Err(error), _) => error,
            (Ok(()), Ok(shutdown)) => {
                self.failed(format!("it ended too early ({})", shutdown.reason))
            }
            (Ok(()), Err(error)) => self.failed(super::chain(&error)),
        }
    }

    /// With what its console said last.
    pub(super) fn failed(&self, why: String) -> HarnessError {
        let text = String::from_utf8_lossy(&self.console);
        let mut last: Vec<&str> = text
            .lines()
            .rev()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .take(SHOWN)
            .collect();
        last.reverse();
        HarnessError::Server {
            why,
            console: last.join("\n"),
        }
    }
}

fn unread(source: std::io::Error) -> HarnessError {
    HarnessError::Io {
        what: "reading what the dump server says",
        source,
    }
}
