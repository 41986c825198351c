//! One drill, from files to outcome.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::assemble::{self, Assembled};
use super::devices;
use super::postmortem::{Outlet, Postmortem};
use super::read_back::{has_room, read_back};
use super::serving::Server;
use super::watch::{Stop, Watch, order};
use super::{DrillResult, Event, HarnessError, Job};
use crate::census::Moment;
use crate::console::Terminal;
use crate::device::Devices;
use crate::image::{BootKernel, Image};
use crate::machine::link::cable;
use crate::machine::{Input, Inputs, Machine, MachineError, MachinePlan, Shutdown};
use crate::verdict::outcome::Phase;
use crate::verdict::{Dump, End, judge};

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

fn end_of(shutdown: &Shutdown) -> End {
    match shutdown.reason.as_str() {
        "guest-reset" | "guest-panic" => End::Reset,
        _ => End::PoweredOff,
    }
}
