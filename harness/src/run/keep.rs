//! Copies of what a drill leaves, for people: made only when asked for, or when it did not end as
//! expected.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use super::{Added, BootPlan, DrillResult, Job, Postmortem};
use crate::image::BootKernel;
use crate::machine::{Chardev, Files, Link, arguments, pretty};

/// Of a [`Postmortem`], below a drill's directory.
pub const POSTMORTEM: &str = "postmortem";
/// The capture kernel's dump, in there.
pub const POSTMORTEM_VMCORE: &str = "vmcore.elf";

/// What every kept drill has, and was written first: it is there when the disk was full.
const REPORTS: &str = "reports.log";

/// Makes room for a drill where an older one was kept, and nowhere else: a customer's files may lie in
/// a directory with the scenario's name.
fn clear(directory: &Path) -> io::Result<()> {
    let empty = match directory.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?.next().is_none(),
    };
    match empty || directory.join(REPORTS).is_file() {
        true => std::fs::remove_dir_all(directory),
        false => Err(io::Error::other(
            "it is there, and no drill was kept in it; name another place with --keep-in",
        )),
    }
}

/// Writes the console log, the reports, QEMU's command line, a dead capture kernel's memory and, with
/// `everything`, initramfs and disks to `directory`, which gets mode 0700; an older one is replaced.
///
/// # Errors
/// The directory cannot be written.
pub fn keep(directory: &Path, job: &Job, result: &DrillResult, everything: bool) -> io::Result<()> {
    clear(directory)?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    std::fs::write(directory.join(REPORTS), &result.reports)?;
    std::fs::write(directory.join("console.log"), &result.console)?;
    if !result.qemu_said.is_empty() {
        std::fs::write(directory.join("qemu.stderr"), &result.qemu_said)?;
    }
    if !result.devices_said.is_empty() {
        std::fs::write(directory.join("devices.log"), said(&result.devices_said))?;
    }
    if let Some(console) = &result.server_console {
        std::fs::write(directory.join("server-console.log"), console)?;
    }
    let names = names(job);
    std::fs::write(directory.join("qemu.sh"), command(job, &names))?;
    if let Some(postmortem) = &result.postmortem {
        keep_postmortem(&directory.join(POSTMORTEM), postmortem)?;
    }
    if everything {
        copy(&result.files.initramfs, &directory.join(&names.initrd))?;
        for (disk, name) in result.files.disks.iter().zip(&names.disks) {
            copy(disk, &directory.join(name))?;
        }
        if let (Some(medium), Some(name)) = (&result.files.medium, &names.medium) {
            copy(medium, &directory.join(name))?;
        }
        if let Some(server) = &result.files.server {
            copy(&server.initramfs, &directory.join("server-initramfs.cpio"))?;
            for disk in &server.disks {
                copy(disk, &directory.join("server-disk.img"))?;
            }
        }
    }
    Ok(())
}

fn said(devices: &[(String, Vec<String>)]) -> String {
    let lines = devices
        .iter()
        .flat_map(|(device, lines)| lines.iter().map(move |line| format!("{device}: {line}\n")));
    lines.collect()
}

fn keep_postmortem(directory: &Path, postmortem: &Postmortem) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(directory)?;
    std::fs::write(directory.join("registers.txt"), &postmortem.registers)?;
    if let Some(census) = &postmortem.census {
        std::fs::write(directory.join("census.txt"), census)?;
    }
    let vmcore = directory.join(POSTMORTEM_VMCORE);
    copy(&postmortem.vmcore, &vmcore).inspect_err(|_| {
        // Half of it would look like a dump.
        let _ = std::fs::remove_file(&vmcore);
    })
}

/// The names under which a drill's files are kept and shown.
pub fn names(job: &Job) -> Files {
    let kernel = match &job.image.kernel.boot {
        BootKernel::Pvh(path) | BootKernel::BzImage(path) => path.clone(),
    };
    Files {
        kernel,
        initrd: "initramfs.cpio".into(),
        disks: job
            .plan
            .machine
            .file_disks()
            .map(|(function, _)| format!("{}.img", function.id()).into())
            .collect(),
        medium: match &job.plan.boot {
            BootPlan::Disk(distribution) => match distribution.added {
                Added::Seed(_) => Some("seed.iso".into()),
                Added::Files { .. } => None,
            },
            BootPlan::Direct(_) => None,
        },
        link: Link::Nobody,
        devices: job
            .plan
            .machine
            .models()
            .map(|function| format!("{}.sock", function.id()).into())
            .collect(),
        serial: Chardev::File("console.log".into()),
        reports: Chardev::File("reports.log".into()),
        qmp: None,
    }
}

/// The command line, as a script that one can run by hand.
pub fn command(job: &Job, files: &Files) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let command = job.qemu.command();
    let mut all: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    all.extend(arguments(&job.plan.machine, files));
    let mut script = b"#!/bin/sh\n".to_vec();
    if job.plan.machine.has_models() {
        script.extend_from_slice(
            b"# crashdrill itself is at the other end of each vfio-user-pci device: without it this\n\
              # machine does not start. `crashdrill shell` starts both.\n",
        );
    }
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            script.extend_from_slice(b"export ");
            script.extend_from_slice(name.as_bytes());
            script.extend_from_slice(b"='");
            script.extend_from_slice(value.as_bytes());
            script.extend_from_slice(b"'\n");
        }
    }
    script.extend_from_slice(pretty(command.get_program(), &all).as_bytes());
    script.push(b'\n');
    script
}

/// Copies a sparse file, leaving out what is zero.
fn copy(from: &File, to: &Path) -> io::Result<()> {
    const BLOCK: usize = 1 << 16;
    static ZEROS: [u8; BLOCK] = [0; BLOCK];
    let mut options = OpenOptions::new();
    let to = options.write(true).create_new(true).mode(0o600).open(to)?;
    let mut from = from;
    from.seek(SeekFrom::Start(0))?;
    let mut block = vec![0; BLOCK];
    let mut offset = 0;
    loop {
        let read = from.read(&mut block)?;
        if read == 0 {
            break;
        }
        if block[..read] != ZEROS[..read] {
            to.write_all_at(&block[..read], offset)?;
        }
        offset += read as u64;
    }
    to.set_len(offset)?;
    (&to).flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_drill_left_makes_room() {
        let directory = tempfile::tempdir().unwrap();
        let kept = directory.path().join("case-1234");
        clear(&kept).unwrap();
        std::fs::create_dir(&kept).unwrap();
        clear(&kept).unwrap();
        assert!(!kept.exists());

        std::fs::create_dir(&kept).unwrap();
        std::fs::write(kept.join("console.log"), "a customer's").unwrap();
        let error = clear(&kept).unwrap_err();
        assert!(error.to_string().contains("--keep-in"), "{error}");
        assert!(kept.join("console.log").exists());

        std::fs::write(kept.join(REPORTS), "").unwrap();
        clear(&kept).unwrap();
        assert!(!kept.exists());
    }
}
