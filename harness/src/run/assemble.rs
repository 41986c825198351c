//! The files of one machine: both initramfs, and the disks. None of them has a name.

use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::disk;
use super::plan::{APPLETS, BootPlan, Direct, ServerPlan, Stage};
use super::{HarnessError, Job};
use crate::image::{CaptureKernel, Image};
use crate::initramfs::{self, Archive, Content, Parts};
use crate::machine::{Disk, MachinePlan};
use crate::target;
use crate::units::Bytes;

/// What a machine is given besides its kernel.
#[derive(Debug)]
pub struct Assembled {
    /// The first kernel's initramfs.
    pub initramfs: File,
    /// Size of the capture kernel's initramfs, which lies in it.
    /// Unknown where the guest makes it.
    pub capture_initramfs: Option<Bytes>,
    /// For each disk of [`crate::machine::MachinePlan::file_disks`], in that order.
    pub disks: Vec<File>,
    /// What lies in the CD drive, if there is one.
    pub medium: Option<File>,
    /// The dump server's, if there is one.
    pub server: Option<ServerFiles>,
}

/// What a dump server is given besides its kernel.
#[derive(Debug)]
pub struct ServerFiles {
    /// Its initramfs.
    pub initramfs: File,
    /// For each disk of its machine, in that order.
    pub disks: Vec<File>,
}

/// Puts both archives together, without writing them.
///
/// # Errors
/// A program that the image lacks, a module that cannot be read.
pub fn archives(direct: &Direct, image: &Image) -> Result<(Archive, Arc<Archive>), HarnessError> {
    let wrong = |error: initramfs::AssembleError| assemble("the initramfs", error);
    let capture = initramfs::capture(&direct.capture.order, &parts(&direct.capture, image)?);
    let capture = Arc::new(capture.map_err(wrong)?);
    let kernel = match &image.kernel.capture {
        CaptureKernel::Unpacked(path) | CaptureKernel::BzImage(path) => {
            Content::HostFile(path.clone())
        }
    };
    let first = initramfs::first(
        &direct.first.order,
        &parts(&direct.first, image)?,
        kernel,
        Content::Archive(capture.clone()),
    );
    Ok((first.map_err(wrong)?, capture))
}

/// The dump server's initramfs, without writing it.
///
/// # Errors
/// See [`archives`].
pub fn server_archive(plan: &ServerPlan, image: &Image) -> Result<Archive, HarnessError> {
    initramfs::server(&plan.stage.order, &parts(&plan.stage, image)?)
        .map_err(|error| assemble("the dump server's initramfs", error))
}

/// Writes the archives and makes the disks.
///
/// # Errors
/// See [`archives`]; no space for temporary files, mke2fs.
pub fn files(job: &Job) -> Result<Assembled, HarnessError> {
    match &job.plan.boot {
        BootPlan::Direct(direct) => {
            let (first, capture) = archives(direct, &job.image)?;
            let server = match (&direct.server, &job.server) {
                (Some(plan), Some(image)) => Some(ServerFiles {
                    initramfs: written(&server_archive(plan, image)?)?,
                    disks: disks(&plan.machine, &plan.contents, &job.image)?,
                }),
                _ => None,
            };
            Ok(Assembled {
                initramfs: written(&first)?,
                capture_initramfs: Some(Bytes(capture.size().map_err(unwritten)?)),
                disks: disks(&job.plan.machine, &direct.contents, &job.image)?,
                medium: None,
                server,
            })
        }
        BootPlan::Disk(distribution) => {
            let prepared = disk::prepare(distribution, &job.image)
                .map_err(|error| assemble("the root disk", error))?;
            Ok(Assembled {
                initramfs: File::open(&distribution.root.initrd).map_err(unwritten)?,
                capture_initramfs: prepared.capture_initramfs,
                disks: vec![prepared.disk],
                medium: prepared.medium,
                server: None,
            })
        }
    }
}

fn disks(
    machine: &MachinePlan,
    contents: &[target::Content],
    image: &Image,
) -> Result<Vec<File>, HarnessError> {
    machine
        .file_disks()
        .zip(contents)
        .map(|((_, disk), content)| format(disk, content, image))
        .collect()
}

fn written(archive: &Archive) -> Result<File, HarnessError> {
    write(archive).map_err(unwritten)
}

fn unwritten(error: std::io::Error) -> HarnessError {
    assemble("the initramfs", error)
}

fn write(archive: &Archive) -> std::io::Result<File> {
    let mut file = BufWriter::with_capacity(1 << 16, tempfile::tempfile()?);
    archive.write_to(&mut file)?;
    file.flush()?;
    let mut file = file
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file)
}

fn format(disk: &Disk, content: &target::Content, image: &Image) -> Result<File, HarnessError> {
    target::make_disk(disk.size, content, |program| {
        image.userland.command(program)
    })
    .map_err(|error| assemble("the disk", error))
}

fn parts<O>(stage: &Stage<O>, image: &Image) -> Result<Parts, HarnessError> {
    let wrong = |error| assemble("the initramfs", error);
    let applet = |program: &&String| APPLETS.contains(&program.as_str());
    let (applets, programs): (Vec<_>, Vec<_>) = stage.programs.iter().partition(applet);
    let names: Vec<&str> = programs.iter().map(|program| file_name(program)).collect();
    let mut userland = image.userland.closure(&names).map_err(wrong)?;
    for program in programs {
        at_its_path(program, &mut userland);
    }
    let mut busybox = None;
    if stage.busybox || !applets.is_empty() {
        let mut files = image.userland.closure(&["busybox"]).map_err(wrong)?;
        let program = files
            .iter()
            .position(|(path, _)| path.ends_with("/busybox"));
        if let Some(program) = program {
            busybox = Some(files.swap_remove(program).1);
        }
        userland.extend(files);
        if let Some(busybox) = &busybox {
            let link = |name: &String| (format!("/bin/{name}"), busybox.clone());
            userland.extend(applets.into_iter().map(link));
        }
    }
    let mut modules = Vec::new();
    for (path, module) in &stage.modules {
        let bytes = module
            .read()
            .map_err(|error| assemble("the initramfs", error))?;
        modules.push((path.clone(), Arc::from(bytes)));
    }
    Ok(Parts {
        userland,
        modules,
        scripts: stage.scripts.clone(),
        texts: stage
            .texts
            .iter()
            .map(|file| (file.path.clone(), file.mode, file.text.clone()))
            .collect(),
        busybox,
    })
}

fn file_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// kdump.conf may name a program by the path that it has on another distribution.
fn at_its_path(program: &str, userland: &mut Vec<(String, PathBuf)>) {
    if !program.starts_with('/') || userland.iter().any(|(path, _)| path == program) {
        return;
    }
    let name = format!("/{}", file_name(program));
    let found = userland.iter().find(|(path, _)| path.ends_with(&name));
    if let Some((_, file)) = found {
        userland.push((program.to_owned(), file.clone()));
    }
}

fn assemble(
    what: &'static str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> HarnessError {
    HarnessError::Assemble {
        what,
        source: Box::new(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_by_the_path_of_another_distribution() {
        let mut userland = vec![
            ("/usr/bin/makedumpfile".to_owned(), PathBuf::from("m")),
            ("/lib64/ld.so".to_owned(), PathBuf::from("l")),
        ];
        at_its_path("makedumpfile", &mut userland);
        at_its_path("/usr/bin/makedumpfile", &mut userland);
        assert_eq!(userland.len(), 2);
        at_its_path("/usr/sbin/makedumpfile", &mut userland);
        let last = userland.last().unwrap();
        assert_eq!(
            last,
            &("/usr/sbin/makedumpfile".to_owned(), PathBuf::from("m"))
        );
    }
}
