//! `crashdrill show`.

use std::path::PathBuf;

use clap::Args;
use crashdrill_guest::order::FailureAction;

use super::progress::Shown;
use super::run::{AccelArgument, drills};
use super::{CliError, Context, Status};
use crate::initramfs::{Archive, Node};
use crate::run::{self, Added, BootPlan, Direct, Distribution, Job, Shell};

/// Show how a drill would run: command lines, QEMU's arguments, both initramfs.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  crashdrill show scenarios/healthy.yaml --variant nvme

Kernel, initramfs and disks reach QEMU as open files without a name; here they are shown under the
names that `crashdrill run --keep` gives them.")]
pub(super) struct Show {
    /// Scenario files, directories of them, or names of files in scenarios/, with @VARIANT behind it
    /// for one drill.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Only this variant; may be given several times.
    #[arg(long, value_name = "NAME")]
    variant: Vec<String>,
    /// What runs the guests' instructions.
    #[arg(long, value_enum, default_value_t)]
    accel: AccelArgument,
}

impl Show {
    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        let drills = drills(context, &self.paths, &self.variant)?;
        let accel = self.accel.into();
        let prepared = run::prepare(
            &context.project,
            &context.cache,
            drills,
            accel,
            Shell::No,
            &Shown::new(),
        )?;
        for job in &prepared.jobs {
            show(job)?;
        }
        Ok(Status::Good)
    }
}

fn show(job: &Job) -> Result<(), CliError> {
    say!("== {}", job.drill.id);
    say!(
        "image            {} (kernel {})",
        job.image.name,
        job.image.kernel.release
    );
    if let Some(expect) = &job.drill.scenario.expect {
        say!("expected         {expect}");
    }
    say!("first kernel     {}", job.plan.machine.append);
    match &job.plan.boot {
        BootPlan::Direct(direct) => show_direct(job, direct),
        BootPlan::Disk(distribution) => show_disk(job, distribution),
    }
}

fn show_disk(job: &Job, distribution: &Distribution) -> Result<(), CliError> {
    say!("armed by         the distribution's kdump");
    say!("capture kernel   {}", distribution.capture_commandline);
    say!("target           {}", job.plan.expectations.target);
    say!("dumps below      {}", job.plan.dump_directory);
    say!(
        "\n{}",
        String::from_utf8_lossy(&run::command(job, &run::names(job)))
    );
    match &distribution.added {
        Added::Files {
            disk, initramfs, ..
        } => {
            list("put onto the copy of the root disk", disk)?;
            list("appended to the capture kernel's initramfs", initramfs)
        }
        Added::Seed(seed) => {
            say!("user-data for the image's cloud-init:\n{}", seed.user_data);
            Ok(())
        }
    }
}

fn show_direct(job: &Job, direct: &Direct) -> Result<(), CliError> {
    let (first, capture) = run::archives(direct, &job.image).map_err(CliError::harness)?;
    say!("armed with       {}", direct.first.order.arm.join(" "));
    say!("capture kernel   {}", direct.capture_commandline);
    for driver in &direct.capture.order.drivers {
        let modules: Vec<&str> = driver
            .modules
            .iter()
            .map(|module| module.name.as_str())
            .collect();
        let how = match &driver.kept_out_by {
            Some(by) => format!("kept out by {by}"),
            None if modules.is_empty() => "built in, or loaded before".to_owned(),
            None => modules.join(" "),
        };
        say!("  loads          {}: {how}", driver.name);
    }
    say!(
        "core collector   {}",
        direct.capture.order.collector.join(" ")
    );
    say!("target           {}", job.plan.expectations.target);
    let disks = job.plan.machine.file_disks().zip(&direct.contents);
    for ((function, disk), content) in disks {
        say!(
            "  disk           {} of {}: {content}",
            function.id(),
            disk.size
        );
    }
    let order = &direct.capture.order;
    let failure = match &order.failure_action {
        FailureAction::End(action) => action.to_string(),
        FailureAction::Shell => "shell".to_owned(),
        FailureAction::DumpToRootfs(root) => format!("dump_to_rootfs {}", root.device),
    };
    say!(
        "kdump of         {}: on failure {failure}, in the end {}",
        order.script,
        order.final_action
    );
    say!(
        "\n{}",
        String::from_utf8_lossy(&run::command(job, &run::names(job)))
    );
    list("initramfs of the first kernel", &first)?;
    list("initramfs of the capture kernel", &capture)?;
    match (&direct.server, &job.server) {
        (Some(plan), Some(image)) => {
            let archive = run::server_archive(plan, image).map_err(CliError::harness)?;
            list("initramfs of the dump server", &archive)
        }
        _ => Ok(()),
    }
}

fn list(what: &str, archive: &Archive) -> Result<(), CliError> {
    say!(
        "{what}, {} KiB",
        archive.size().map_err(CliError::harness)? / 1024
    );
    for (path, entry) in archive.entries() {
        let kind = match &entry.node {
            Node::Directory => "d",
            Node::File(_) => "-",
            Node::Symlink(_) => "l",
            Node::CharacterDevice(..) => "c",
        };
        let size = match &entry.node {
            Node::File(content) => content.size().map_err(CliError::harness)?,
            _ => 0,
        };
        say!("  {kind}{:04o} {size:>9} {}", entry.mode, path);
    }
    say!("");
    Ok(())
}
