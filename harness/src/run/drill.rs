//! One drill, from files to outcome.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crashdrill_guest::order::ANSWER_PORT;
use crashdrill_guest::report::{self, Report, Role};
use nix::errno::Errno;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, sleep_until};

use super::assemble::{self, Assembled};
use super::devices;
use super::postmortem::{self, Outlet, Postmortem};
use super::read_back::{has_room, read_back};
use super::serving::Server;
use super::{Began, DrillResult, Event, HarnessError, Job};
use crate::census::{self, CensusError, Moment};
use crate::console::Terminal;
use crate::device::Devices;
use crate::image::{BootKernel, Image};
use crate::machine::link::cable;
use crate::machine::qmp::{self, Known, QmpError};
use crate::machine::{Input, Inputs, Machine, MachineError, MachinePlan, Shutdown};
use crate::scenario::model::{Chipset, Limits};
use crate::units::Bytes;
use crate::verdict::outcome::Phase;
use crate::verdict::{Counted, Dump, End, Recorder, RuleBook, judge};

/// QEMU writes what the guest prints byte by byte. Reading no more often than this lets the bytes
/// gather in the pipe, which saves nearly all wake-ups. Nothing waits for it: the end of a machine
/// is told by QMP and by the end of the pipes.
pub(super) const GATHER: Duration = Duration::from_millis(20);
/// Room for one read: what a pipe holds by default (pipe(7)). Without room of its own, a buffer is
/// given 64 bytes a read, and every 20 ms that is slower than a booting kernel prints.
const READ: usize = 64 << 10;
/// For a command of the monitor.
const ANSWER: Duration = Duration::from_secs(20);
/// How often the limits are looked at.
const TICK: Duration = Duration::from_secs(1);
/// ttyS0 kept byte for byte, at most; a guest that prints more is noisy, not interesting.
const MAX_CONSOLE: usize = 16 << 20;
/// Reports kept byte for byte, at most.
const MAX_REPORTS: usize = 4 << 20;

/// Runs one drill, which is number `index` of the run. Dropping the future kills its machine.
///
/// # Errors
/// The harness failed; the guest's misfortunes are outcomes.
pub(super) async fn run(
    job: &Job,
    index: usize,
    events: &mpsc::UnboundedSender<Event>,
) -> Result<DrillResult, HarnessError> {
    // The receiver is gone only when the whole run is being dropped.
    let tell = |event| drop(events.send(event));
    tell(Event::Started { job: index });
    let files = assemble::files(job)?;

    let mut devices = devices::start(&job.plan.machine, &files.disks)?;
    let played = play(job, &files, &mut devices, |phase, at| {
        tell(Event::Phase {
            job: index,
            phase,
            at,
        })
    })
    .await;
    // A device that has failed is the reason for whatever else went wrong. And none of them writes
    // to a disk any more.
    let devices_said = devices.end()?;
    let Played {
        watch,
        end,
        postmortem,
        qemu_said,
        server_console,
    } = played?;
    let Watch {
        begin,
        recorder,
        counted,
        console,
        reports,
        timeline,
        capture_total,
        capture_memory,
        ..
    } = watch;
    let elapsed = begin.elapsed();
    let dump = read_back(job, &files);
    if !matches!(dump, Dump::Found(_)) {
        has_room(&files)?;
    }
    let evidence = recorder.finish(end, dump, counted, job.plan.expectations.clone());
    Ok(DrillResult {
        outcome: judge(&evidence),
        console,
        reports,
        server_console,
        timeline,
        qemu_said,
        devices_said,
        elapsed,
        capture_total,
        capture_memory,
        files,
        postmortem,
    })
}

/// What is left of a machine that has ended.
struct Played {
    watch: Watch,
    end: End,
    postmortem: Option<Postmortem>,
    qemu_said: String,
    server_console: Option<Vec<u8>>,
}

/// Runs the drill's machine from its start to its end.
async fn play(
    job: &Job,
    files: &Assembled,
    devices: &mut Devices,
    tell: impl Fn(Phase, Duration),
) -> Result<Played, HarnessError> {
    let begin = Instant::now();
    let (mut server, mut machine, outlet) = start(job, files, devices).await?;
    let scenario = &job.drill.scenario;
    let mut watch = Watch::new(begin, scenario.limits, scenario.machine.chipset);
    let mut postmortem = None;
    let stop = watch
        .until_over(&mut machine, &mut server, devices, tell)
        .await?;
    let end = match stop {
        Stop::Ended => {
            // QEMU has stopped the machine and waits: what it was remains to be seen.
            if machine
                .qmp
                .shutdown()
                .is_some_and(|shutdown| shutdown.guest)
            {
                watch.catch_up(&machine)?;
                let moment = match watch.recorder.terminal() {
                    // It resets itself by panic=.
                    Some(Terminal::Panicked) => Moment::Dead,
                    _ => Moment::Ended,
                };
                watch.count(&mut machine, moment).await?;
                postmortem = watch.postmortem(&mut machine, outlet).await?;
                order(&mut machine, "quit").await?;
            }
            match machine.ended().await {
                Ok(shutdown) => end_of(&shutdown),
                Err(error) => return Err(watch.died(&mut machine, error).await),
            }
        }
        Stop::Enough(end) => {
            let moment = match end {
                End::Silent(_) | End::TotalLimit(_) => Moment::Hung,
                _ => Moment::Dead,
            };
            order(&mut machine, "stop").await?;
            watch.catch_up(&machine)?;
            watch.count(&mut machine, moment).await?;
            postmortem = watch.postmortem(&mut machine, outlet).await?;
            machine.kill().await?;
            end
        }
    };
    watch.drain(&mut machine).await?;
    let server_console = match server {
        Some(server) => Some(server.stop().await?),
        None => None,
    };
    Ok(Played {
        watch,
        end,
        postmortem,
        qemu_said: machine.stderr_tail(),
        server_console,
    })
}

/// Starts the dump server, if there is one, and the drill's machine. They boot side by side.
async fn start(
    job: &Job,
    files: &Assembled,
    devices: &Devices,
) -> Result<(Option<Server>, Machine, Option<Outlet>), MachineError> {
    let own = (
        &files.initramfs,
        files.disks.as_slice(),
        files.medium.as_ref(),
    );
    // A machine that has ended is counted before its QEMU ends.
    let more = ["-no-shutdown".into()];
    let (outlet, theirs) = match &job.postmortem {
        Some(directory) => {
            let (outlet, theirs) = Outlet::new(directory)?;
            (Some(outlet), Some(theirs))
        }
        None => (None, None),
    };
    let devices: Vec<_> = devices.names().collect();
    let start = |link| {
        let ends = Ends {
            link,
            devices: &devices,
            outlet: theirs.as_ref().map(AsFd::as_fd),
        };
        boot(job, &job.plan.machine, &job.image, own, ends, &more)
    };
    let (Some(plan), Some(image), Some(server)) = (job.plan.server(), &job.server, &files.server)
    else {
        return Ok((None, start(None).await?, outlet));
    };
    // The harness keeps neither end: each is closed when its QEMU has ended.
    let (theirs, ours) = cable()?;
    let server = Server::start(job, plan, image, server, theirs.as_fd()).await?;
    let machine = start(Some(ours.as_fd())).await?;
    Ok((Some(server), machine, outlet))
}

/// What a machine has of sockets and pipes beside its own.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ends<'a> {
    pub(super) link: Option<BorrowedFd<'a>>,
    pub(super) devices: &'a [BorrowedFd<'a>],
    pub(super) outlet: Option<BorrowedFd<'a>>,
}

/// Starts a machine on its image's kernel.
pub(super) async fn boot(
    job: &Job,
    machine: &MachinePlan,
    image: &Image,
    (initramfs, disks, medium): (&File, &[File], Option<&File>),
    ends: Ends<'_>,
    more: &[OsString],
) -> Result<Machine, MachineError> {
    let kernel = match &image.kernel.boot {
        BootKernel::Pvh(path) | BootKernel::BzImage(path) => Input::Path(path),
    };
    let inputs = Inputs {
        kernel,
        initrd: Input::Open(initramfs.as_fd()),
        disks: disks.iter().map(|disk| Input::Open(disk.as_fd())).collect(),
        medium: medium.map(|file| Input::Open(file.as_fd())),
        link: ends.link,
        devices: ends.devices.iter().map(|name| Input::Open(*name)).collect(),
        outlet: ends.outlet,
    };
    Machine::start_with(job.qemu.command(), machine, &inputs, more).await
}

/// Why the watch is over.
enum Stop {
    /// The machine has ended, or is about to: QMP said so, or its channels are closed.
    Ended,
    /// The guest will do nothing any more, so the harness ends the machine.
    Enough(End),
}

fn end_of(shutdown: &Shutdown) -> End {
    match shutdown.reason.as_str() {
        "guest-reset" | "guest-panic" => End::Reset,
        _ => End::PoweredOff,
    }
}

/// Everything that is collected while a machine runs.
struct Watch {
    begin: Instant,
    limits: Limits,
    recorder: Recorder,
    lines: report::Lines,
    console: Vec<u8>,
    reports: Vec<u8>,
    timeline: Vec<Began>,
    /// What the capture kernel had.
    capture_total: Option<Bytes>,
    /// The most of it that was in use.
    capture_memory: Option<Bytes>,
    last_byte: Instant,
    /// How long the guest had waited for a CPU of the host, when last asked, and then.
    starved: Duration,
    starved_at_last_byte: Duration,
    /// The machine is stopped before its capture kernel gets far: the dump server is not ready.
    waits_for_server: bool,
    /// The first kernel is about to be crashed, or has been.
    crashing: bool,
    /// Of the capture kernel.
    counted: Vec<Counted>,
    /// The configuration space of a `pc` lies behind ports, where it cannot be read from outside.
    countable: bool,
    /// The capture kernel's drivers have just been loaded.
    drivers_loaded: bool,
}

impl Watch {
    fn new(begin: Instant, limits: Limits, chipset: Chipset) -> Self {
        Self {
            begin,
            limits,
            recorder: Recorder::new(RuleBook::builtin()),
            lines: report::Lines::new(),
            console: Vec::new(),
            reports: Vec::new(),
            timeline: vec![Began {
                phase: Phase::Firmware,
                at: Duration::ZERO,
                line: None,
            }],
            capture_total: None,
            capture_memory: None,
            last_byte: begin,
            starved: Duration::ZERO,
            starved_at_last_byte: Duration::ZERO,
            waits_for_server: false,
            crashing: false,
            counted: Vec::new(),
            countable: chipset == Chipset::Q35,
            drivers_loaded: false,
        }
    }

    /// Counts the vectors of a stopped machine, if it is in its capture kernel.
    async fn count(&mut self, machine: &mut Machine, moment: Moment) -> Result<(), HarnessError> {
        // The console may be read later than the reports: either tells which kernel it is.
        let captures =
            self.capture_total.is_some() || self.recorder.phase() >= Phase::CaptureKernel;
        if self.countable && captures {
            let census = match census::take(&mut machine.qmp).await {
                Ok(census) => census,
                Err(error) => return Err(self.uncounted(machine, error).await),
            };
            self.counted.push(Counted { moment, census });
        }
        Ok(())
    }

    /// A census fails when QEMU dies under it; that it died says more.
    async fn uncounted(&mut self, machine: &mut Machine, error: CensusError) -> HarnessError {
        if matches!(error, CensusError::Qmp(QmpError::Closed | QmpError::Broken))
            && let Err(died) = machine.ended().await
        {
            return self.died(machine, died).await;
        }
        error.into()
    }

    /// The same while the machine runs, once its capture kernel has all its drivers.
    async fn count_drivers(&mut self, machine: &mut Machine) -> Result<(), HarnessError> {
        if !std::mem::take(&mut self.drivers_loaded) || !self.counted.is_empty() {
            return Ok(());
        }
        order(machine, "stop").await?;
        // A distribution's own capture kernel does not wait: it may be over.
        if machine.qmp.shutdown().is_some() {
            return Ok(());
        }
        self.count(machine, Moment::DriversLoaded).await?;
        let answer = json!({ "command-line": format!("o /b {ANSWER_PORT:#x} 1") });
        order_with(machine, "human-monitor-command", answer).await?;
        order(machine, "cont").await
    }

    /// What is left of a stopped machine whose capture kernel has saved nothing.
    async fn postmortem(
        &mut self,
        machine: &mut Machine,
        outlet: Option<Outlet>,
    ) -> Result<Option<Postmortem>, HarnessError> {
        match outlet {
            Some(outlet) if failed_in_capture(self.recorder.phase()) => {
                let taken = postmortem::take(machine, outlet, self.counted.last()).await;
                match taken {
                    Ok(taken) => Ok(Some(taken)),
                    Err(HarnessError::Machine(died @ MachineError::Died { .. })) => {
                        Err(self.died(machine, died).await)
                    }
                    Err(error) => Err(error),
                }
            }
            _ => Ok(None),
        }
    }

    async fn until_over(
        &mut self,
        machine: &mut Machine,
        server: &mut Option<Server>,
        devices: &mut Devices,
        tell: impl Fn(Phase, Duration),
    ) -> Result<Stop, HarnessError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_read = self.begin;
        let mut serial = Vec::new();
        let mut reports = Vec::new();
        loop {
            tokio::select! {
                read = gathered(next_read, &mut machine.serial, &mut serial) => {
                    if read.map_err(channel("reading the console"))? == 0 {
                        return Ok(Stop::Ended);
                    }
                    next_read = Instant::now() + GATHER;
                    self.console(&mut serial, &tell);
                    self.count_drivers(machine).await?;
                    if let Some(end) = self.terminal() {
                        return Ok(Stop::Enough(end));
                    }
                }
                read = gathered(next_read, &mut machine.reports, &mut reports) => {
                    if read.map_err(channel("reading the reports"))? == 0 {
                        return Ok(Stop::Ended);
                    }
                    next_read = Instant::now() + GATHER;
                    self.report(&mut reports)?;
                    self.count_drivers(machine).await?;
                    self.hold_for(server, machine).await?;
                }
                error = devices.fails() => return Err(error.into()),
                ready = becomes_ready(server) => {
                    ready?;
                    self.go_on(machine).await?;
                }
                event = machine.qmp.next_event() => {
                    let known = event.as_ref().ok().and_then(qmp::Event::known);
                    if let Some(Known::BlockIoError(why)) = known {
                        return Err(HarnessError::Disk(why));
                    }
                    if event.is_err() || machine.qmp.shutdown().is_some() {
                        return Ok(Stop::Ended);
                    }
                }
                _ = tick.tick() => {
                    self.starved = machine.starved();
                    if let Some(server) = server {
                        self.starved += server.starved();
                        if self.waits_for_server
                            && self.begin.elapsed() >= self.limits.total.duration()
                        {
                            let total = self.limits.total;
                            return Err(server.failed(format!("it was not ready after {total}")));
                        }
                    }
                    if let Some(end) = self.over_limit() {
                        return Ok(Stop::Enough(end));
                    }
                }
            }
        }
    }

    /// A real server has long been up when a machine crashes. This one has booted beside it, so a
    /// machine that has crashed earlier is stopped until it is ready.
    async fn hold_for(
        &mut self,
        server: &Option<Server>,
        machine: &mut Machine,
    ) -> Result<(), HarnessError> {
        let ready = server.as_ref().is_none_or(Server::ready);
        if ready || !self.crashing || self.waits_for_server {
            return Ok(());
        }
        self.waits_for_server = true;
        order(machine, "stop").await
    }

    async fn go_on(&mut self, machine: &mut Machine) -> Result<(), HarnessError> {
        if !self.waits_for_server {
            return Ok(());
        }
        self.waits_for_server = false;
        self.last_byte = Instant::now();
        order(machine, "cont").await
    }

    /// Takes what is left in the channels of a machine that has ended.
    async fn drain(&mut self, machine: &mut Machine) -> Result<(), HarnessError> {
        let mut rest = Vec::new();
        machine
            .reports
            .read_to_end(&mut rest)
            .await
            .map_err(channel("reading the reports"))?;
        self.report(&mut rest)?;
        rest.clear();
        machine
            .serial
            .read_to_end(&mut rest)
            .await
            .map_err(channel("reading the console"))?;
        self.console(&mut rest, &|_, _| {});
        Ok(())
    }

    /// Takes what a machine that is stopped has said so far: how far it came may be the last of it.
    fn catch_up(&mut self, machine: &Machine) -> Result<(), HarnessError> {
        let mut bytes = waiting(&machine.reports).map_err(channel("reading the reports"))?;
        self.report(&mut bytes)?;
        let mut bytes = waiting(&machine.serial).map_err(channel("reading the console"))?;
        self.console(&mut bytes, &|_, _| {});
        Ok(())
    }

    fn console(&mut self, bytes: &mut Vec<u8>, tell: &impl Fn(Phase, Duration)) {
        self.last_byte = Instant::now();
        self.starved_at_last_byte = self.starved;
        keep(&mut self.console, bytes, MAX_CONSOLE);
        for mark in self.recorder.console(bytes) {
            // A distribution's own capture kernel has no other way to tell.
            self.drivers_loaded |= mark.phase == Phase::Saving;
            let at = self.begin.elapsed();
            tell(mark.phase, at);
            self.timeline.push(Began {
                phase: mark.phase,
                at,
                line: Some(mark.line.text),
            });
        }
        bytes.clear();
    }

    fn report(&mut self, bytes: &mut Vec<u8>) -> Result<(), HarnessError> {
        keep(&mut self.reports, bytes, MAX_REPORTS);
        for report in self.lines.push(bytes) {
            let report = report.map_err(HarnessError::Report)?;
            match report {
                Report::Started {
                    role: Role::Capture,
                    memory,
                    ..
                } => {
                    self.capture_total = Some(Bytes(memory));
                }
                Report::Crashing { .. } => self.crashing = true,
                Report::Interrupts { ref after, .. } if after == "end" => {
                    self.drivers_loaded = self.capture_total.is_some();
                }
                Report::Saved { memory_low, .. } => {
                    self.capture_memory = self
                        .capture_total
                        .map(|total| Bytes(total.0.saturating_sub(memory_low)));
                }
                _ => {}
            }
            self.recorder.report(report);
        }
        bytes.clear();
        Ok(())
    }

    /// The console says that nothing more will come, and the machine would not end by itself.
    fn terminal(&self) -> Option<End> {
        match self.recorder.terminal()? {
            Terminal::Panicked => Some(End::Panicked),
            Terminal::Halted => Some(End::Halted),
            Terminal::PoweringOff | Terminal::Restarting | Terminal::Reset => None,
        }
    }

    fn over_limit(&self) -> Option<End> {
        if self.begin.elapsed() >= self.limits.total.duration() {
            return Some(End::TotalLimit(self.limits.total));
        }
        if self.waits_for_server {
            return None;
        }
        // Silence while the guest had no CPU of the host to run on is not the guest's.
        let starved = self.starved.saturating_sub(self.starved_at_last_byte);
        let silent = self.last_byte.elapsed().saturating_sub(starved);
        (silent >= self.limits.silence.duration()).then_some(End::Silent(self.limits.silence))
    }

    /// Says how far the guest had come when QEMU died.
    async fn died(&mut self, machine: &mut Machine, error: MachineError) -> HarnessError {
        // That may still be in the pipes. That they cannot be read is no news beside QEMU's death.
        let _ = self.drain(machine).await;
        let last = self.recorder.last_lines(1);
        HarnessError::Died {
            phase: self.recorder.phase(),
            line: last
                .first()
                .map(|line| line.text.clone())
                .unwrap_or_default(),
            source: error,
        }
    }
}

/// A capture kernel was there, and did not come to say that the dump is on the target.
fn failed_in_capture(phase: Phase) -> bool {
    (Phase::CaptureKernel..Phase::Saved).contains(&phase)
}

async fn becomes_ready(server: &mut Option<Server>) -> Result<(), HarnessError> {
    match server {
        Some(server) => server.becomes_ready().await,
        None => std::future::pending().await,
    }
}

async fn order(machine: &mut Machine, command: &'static str) -> Result<(), HarnessError> {
    order_with(machine, command, json!({})).await
}

/// A command of the monitor. A machine that ends meanwhile is seen elsewhere.
async fn order_with(
    machine: &mut Machine,
    command: &'static str,
    arguments: Value,
) -> Result<(), HarnessError> {
    match machine.qmp.execute_raw(command, arguments, ANSWER).await {
        Ok(_) | Err(QmpError::Closed | QmpError::Broken) => Ok(()),
        Err(error) => Err(MachineError::Qmp {
            error,
            stderr: machine.stderr_tail(),
        }
        .into()),
    }
}

/// Reads, but not before `not_before`. Cancel safe: what was read is in `into`.
pub(super) async fn gathered(
    not_before: Instant,
    from: &mut pipe::Receiver,
    into: &mut Vec<u8>,
) -> io::Result<usize> {
    sleep_until(not_before).await;
    into.reserve(READ);
    from.read_buf(into).await
}

/// What a pipe holds, which may be nothing. The pipe itself is asked: the runtime may not have heard
/// of it yet.
fn waiting(from: &pipe::Receiver) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; READ];
    loop {
        match nix::unistd::read(from, &mut piece) {
            Ok(0) | Err(Errno::EAGAIN) => return Ok(bytes),
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8], most: usize) {
    let room = most.saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

pub(super) fn channel(what: &'static str) -> impl Fn(io::Error) -> HarnessError {
    move |source| HarnessError::Io { what, source }
}
