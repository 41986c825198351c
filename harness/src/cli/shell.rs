//! `crashdrill shell`.

use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use clap::Args;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::progress::Shown;
use super::run::{AccelArgument, announce, drills};
use super::{CliError, Context, Status};
use crate::machine::{Chardev, arguments};
use crate::run::{self, Shell as Which};

/// Open an interactive console in the first or in the capture kernel.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  crashdrill shell scenarios/healthy.yaml --variant nvme
  crashdrill shell scenarios/healthy.yaml --variant nvme --capture

Leave the shell with `exit`, which ends the machine; Ctrl-A X ends it at once.")]
pub(super) struct Shell {
    /// A scenario file.
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
            let names: Vec<&str> = drills
                .iter()
                .filter_map(|drill| drill.id.variant.as_deref())
                .collect();
            return Err(CliError::wrong(format!(
                "{} has several variants; pick one with --variant: {}",
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

        let path = |file: &std::fs::File| PathBuf::from(format!("/dev/fd/{}", file.as_raw_fd()));
        let names = crate::machine::Files {
            initrd: path(&files.initramfs),
            disks: files.disks.iter().map(path).collect(),
            serial: Chardev::Stdio,
            reports: Chardev::File("/dev/null".into()),
            ..run::names(job)
        };
        for file in files.disks.iter().chain([&files.initramfs]) {
            fcntl(file, FcntlArg::F_SETFD(FdFlag::empty())).map_err(CliError::harness)?;
        }
        let mut command = job.qemu.command();
        command.args(arguments(&job.plan.machine, &names));
        // This process becomes QEMU: the terminal, its signals and its exit are QEMU's alone, and
        // the files without a name live as long as it does.
        Err(CliError::harness(format!(
            "cannot start QEMU: {}",
            command.exec()
        )))
    }
}
