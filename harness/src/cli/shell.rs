//! `crashdrill shell`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::Signal;

use super::progress::Shown;
use super::run::{AccelArgument, announce, drills};
use super::{CliError, Context, Status};
use crate::child::dying_with_us_by;
use crate::device::Devices;
use crate::machine::{Chardev, arguments, fd_path};
use crate::run::{self, Shell as Which};

/// Open an interactive console in the first or in the capture kernel.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  crashdrill shell scenarios/healthy.yaml --variant nvme
  crashdrill shell scenarios/healthy.yaml --variant nvme --capture

Leave the shell with `exit`, which ends the machine; Ctrl-A X ends it at once.")]
pub(super) struct Shell {
    /// A scenario file, or the name of one in scenarios/, with @VARIANT behind it for a variant.
    path: PathBuf,
    /// The variant, if the scenario has several.
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// In the capture kernel, after the crash, instead of in the first kernel.
    #[arg(long)]
    capture: bool,
    /// What runs the guest's instructions.
    #[arg(long, value_enum, default_value_t)]
    accel: AccelArgument,
}

impl Shell {
    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        let variants: Vec<String> = self.variant.into_iter().collect();
        let drills = drills(context, std::slice::from_ref(&self.path), &variants)?;
        if drills.len() > 1 {
            let names: Vec<String> = drills.iter().map(|drill| drill.id.to_string()).collect();
            return Err(CliError::wrong(format!(
                "{} holds several drills; say which: {}",
                self.path.display(),
                names.join(", ")
            )));
        }
        let which = if self.capture {
            Which::Capture
        } else {
            Which::First
        };
        let prepared = run::prepare(
            &context.project,
            &context.cache,
            drills,
            self.accel.into(),
            which,
            &Shown::new(),
        )?;
        announce(&prepared);
        let Some(job) = prepared.jobs.first() else {
            return Ok(Status::Good);
        };
        let files = run::files(job).map_err(CliError::harness)?;

        let machine = &job.plan.machine;
        let devices = run::serve(machine, &files.disks).map_err(CliError::harness)?;

        let names = crate::machine::Files {
            initrd: inherited(&files.initramfs)?,
            disks: files
                .disks
                .iter()
                .map(inherited)
                .collect::<Result<_, _>>()?,
            devices: devices.names().map(inherited).collect::<Result<_, _>>()?,
            serial: Chardev::Stdio,
            reports: Chardev::File("/dev/null".into()),
            ..run::names(job)
        };
        let mut command = job.qemu.command();
        command.args(arguments(machine, &names));
        match machine.has_models() {
            true => beside(devices, command),
            // This process becomes QEMU: the terminal, its signals and its exit are QEMU's alone,
            // and the files without a name live as long as it does.
            false => Err(CliError::harness(format!(
                "cannot start QEMU: {}",
                command.exec()
            ))),
        }
    }
}

/// What QEMU, which inherits it, knows a file by.
fn inherited(file: impl AsFd) -> Result<PathBuf, CliError> {
    let file: BorrowedFd<'_> = file.as_fd();
    fcntl(file, FcntlArg::F_SETFD(FdFlag::empty())).map_err(CliError::harness)?;
    Ok(fd_path(file.as_raw_fd()))
}

/// Runs QEMU on this terminal, which it makes pass on every key, and serves its devices meanwhile.
/// A signal that ends this process asks QEMU to end, so that it puts the terminal right.
fn beside(devices: Devices, mut command: Command) -> Result<Status, CliError> {
    let status = dying_with_us_by(&mut command, Signal::SIGTERM).status();
    let status =
        status.map_err(|error| CliError::harness(format!("cannot start QEMU: {error}")))?;
    devices.end().map_err(CliError::harness)?;
    Ok(match (status.code(), status.signal()) {
        (Some(0), _) => Status::Good,
        (Some(code), _) => Status::Qemu(code as u8),
        (None, signal) => Status::Interrupted(signal.unwrap_or_default() as u8),
    })
}
