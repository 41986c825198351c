//! What a census of a machine with many devices costs.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use crashdrill::census::{self, Census};
use crashdrill::image::BootKernel;
use crashdrill::initramfs::Archive;
use crashdrill::machine::{Input, Inputs, Machine, QmpError};
use crashdrill::run::{self, Job};
use crashdrill_guest::report::{Lines, Report};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::Failure;
use super::reference::direct;

/// Forty functions with MSI-X tables: one of 65 entries, 20 of 64, and 19 of 25. Eight CPUs
/// have vectors for all that their drivers ask for.
pub(crate) const SCENARIO: &str = "\
name: forty
about: Forty devices with MSI-X tables.
image: debian-12
machine:
  cpus: 8
  memory: 1G
  devices:
    - {device: nvme, target: true}
    - {device: virtio-serial, msix: 64, count: 20}
    - {device: vmxnet3, count: 19}
first-kernel:
  drivers: [nvme, virtio_pci, virtio_console, vmxnet3]
crashkernel: 256M
";

/// A machine that has not loaded its drivers by then will not.
const BOOT: Duration = Duration::from_secs(120);
const ANSWER: Duration = Duration::from_secs(20);

/// Boots the machine until its first kernel has loaded all drivers, stops it, and counts so many
/// times. Gives how long each took, and what was counted.
pub(crate) fn measure(
    job: &Job,
    scratch: &Path,
    times: usize,
) -> Result<(Vec<Duration>, Census), Failure> {
    let (archive, _) = run::archives(direct(job)?, &job.image)?;
    run::runtime()?.block_on(taken(job, &archive, scratch, times))
}

async fn taken(
    job: &Job,
    archive: &Archive,
    scratch: &Path,
    times: usize,
) -> Result<(Vec<Duration>, Census), Failure> {
    let initrd = scratch.join("forty.cpio");
    archive.write_to(&mut fs::File::create(&initrd)?)?;
    let plan = &job.plan.machine;
    let mut disks = Vec::new();
    for (_, disk) in plan.file_disks() {
        let file = tempfile::tempfile_in(scratch)?;
        file.set_len(disk.size.0)?;
        disks.push(file);
    }
    let (BootKernel::Pvh(kernel) | BootKernel::BzImage(kernel)) = &job.image.kernel.boot;
    let inputs = Inputs {
        kernel: Input::Path(kernel),
        initrd: Input::Path(&initrd),
        disks: disks.iter().map(|disk| Input::Open(disk.as_fd())).collect(),
        medium: None,
        link: None,
        devices: Vec::new(),
        outlet: None,
    };
    let mut machine = Machine::start(job.qemu.command(), plan, &inputs).await?;
    timeout(BOOT, drivers_loaded(&mut machine))
        .await
        .map_err(|_| "the machine with forty devices did not load its drivers")??;
    order(&mut machine, "stop").await?;
    let mut durations = Vec::new();
    let mut counted = None;
    for _ in 0..times {
        let begin = Instant::now();
        counted = Some(census::take(&mut machine.qmp, plan.chipset).await?);
        durations.push(begin.elapsed());
    }
    machine.kill().await?;
    Ok((durations, counted.ok_or("nothing was counted")?))
}

/// /init arms kdump when it has loaded the drivers.
async fn drivers_loaded(machine: &mut Machine) -> Result<(), Failure> {
    let mut lines = Lines::new();
    let (mut bytes, mut console) = (Vec::new(), Vec::new());
    loop {
        tokio::select! {
            read = machine.reports.read_buf(&mut bytes) => if read? == 0 {
                return Err("the machine with forty devices ended too early".into());
            },
            // What nobody reads stops the guest.
            read = machine.serial.read_buf(&mut console) => {
                read?;
                console.clear();
            }
        }
        for report in lines.push(&bytes) {
            if let Report::Armed { .. } = report? {
                return Ok(());
            }
        }
        bytes.clear();
    }
}

async fn order(machine: &mut Machine, command: &'static str) -> Result<(), QmpError> {
    let answer = machine.qmp.execute_raw(command, json!({}), ANSWER).await;
    answer.map(drop)
}
