//! `crashdrill image`.

use std::time::SystemTime;

use clap::{Args, Subcommand};

use super::progress::Shown;
use super::{CliError, Context, Status};
use crate::image::{
    BootKernel, CaptureKernel, Image as Opened, ImageError, Manifest, Source, entry_id, keys, qemu,
};
use crate::units::Bytes;

/// List, fetch, show and prune images.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  crashdrill image list
  crashdrill image fetch debian-12
  crashdrill image prune --all")]
pub(super) struct Image {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the manifests in images/, and what is in the cache.
    List,
    /// Fetch images that are not in the cache yet [default: all].
    Fetch {
        /// Names of images.
        names: Vec<String>,
    },
    /// Show what an image holds; it is fetched if need be.
    Show {
        /// Name of an image.
        name: String,
    },
    /// Remove from the cache what no manifest defines any more.
    Prune {
        /// Remove everything.
        #[arg(long)]
        all: bool,
    },
}

impl Image {
    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        match self.action {
            Action::List => list(context)?,
            Action::Fetch { names } => {
                let names = match names.is_empty() {
                    true => manifests(context)?
                        .into_iter()
                        .map(|manifest| manifest.name)
                        .collect(),
                    false => names,
                };
                for name in names {
                    let image = open(context, &name)?;
                    say!("{}: kernel {}", image.name, image.kernel.release);
                }
            }
            Action::Show { name } => show(&open(context, &name)?)?,
            Action::Prune { all } => prune(context, all)?,
        }
        Ok(Status::Good)
    }
}

fn load(context: &Context, name: &str) -> Result<Manifest, ImageError> {
    Manifest::load(&context.project.image(name))
}

fn manifests(context: &Context) -> Result<Vec<Manifest>, CliError> {
    let files = context.project.images().map_err(CliError::input)?;
    files
        .iter()
        .map(|file| Manifest::load(file).map_err(CliError::image))
        .collect()
}

fn open(context: &Context, name: &str) -> Result<Opened, CliError> {
    let manifest = load(context, name).map_err(CliError::image)?;
    let images = |name: &str| load(context, name);
    Opened::open(&manifest, &images, &context.cache, &Shown::new()).map_err(CliError::image)
}

fn list(context: &Context) -> Result<(), CliError> {
    let entries = context.cache.entries().map_err(CliError::harness)?;
    for manifest in manifests(context)? {
        let source = match &manifest.source {
            Source::Apt(apt) => format!("apt {}", apt.suite),
            Source::Local(local) => format!("local {}", local.kernel.display()),
            Source::Disk(disk) => format!("disk {}", disk.suite),
            Source::DiskImage(image) => format!("disk-image {}", image.file),
            Source::Rpm(rpm) => format!("rpm {}", rpm.fingerprint),
            Source::Url(url) => format!("url {}", url.archive),
            Source::Host(_) => "host".to_owned(),
        };
        say!("{:16} {source:16} {}", manifest.name, manifest.about);
    }
    say!("\nin the cache {}:", context.cache.root().display());
    for entry in &entries {
        let age = SystemTime::now()
            .duration_since(entry.filled)
            .unwrap_or_default();
        say!(
            "  {:5} {:32} {:>5} MiB, {} days old",
            entry.kind.to_string(),
            entry.name,
            entry.bytes / Bytes::MIB,
            age.as_secs() / 86_400
        );
    }
    Ok(())
}

fn show(image: &Opened) -> Result<(), CliError> {
    say!("image    {}", image.name);
    say!("release  {}", image.kernel.release);
    match &image.kernel.boot {
        BootKernel::Pvh(path) => say!("boots    {} (ELF, PVH)", path.display()),
        BootKernel::BzImage(path) => say!("boots    {} (bzImage)", path.display()),
    }
    match &image.kernel.capture {
        CaptureKernel::Unpacked(path) => {
            say!("captures {} (bzImage, not compressed)", path.display())
        }
        CaptureKernel::BzImage(path) => say!("captures {} (bzImage)", path.display()),
    }
    if let Some(directory) = image.modules.directory() {
        say!("modules  {}", directory.display());
    }
    say!("packages");
    for package in &image.packages {
        say!("  {} {}", package.name, package.version);
    }
    Ok(())
}

fn prune(context: &Context, all: bool) -> Result<(), CliError> {
    let mut wanted = Vec::new();
    if !all {
        wanted.push(qemu::entry_id().file_name());
        wanted.push(keys::entry_id().file_name());
        for manifest in manifests(context)? {
            wanted.push(entry_id(&manifest).map_err(CliError::image)?.file_name());
        }
    }
    for entry in context.cache.entries().map_err(CliError::harness)? {
        if !wanted.contains(&entry.name) {
            context.cache.remove(&entry).map_err(CliError::harness)?;
            say!("removed {} {}", entry.kind, entry.name);
        }
    }
    Ok(())
}
