//! `crashdrill doctor`.

use std::process::{Command, Stdio};

use clap::Args;

use super::devices::without_models;
use super::progress::Shown;
use super::{CliError, Context, Status};
use crate::image::qemu::{self, Origin};
use crate::image::{disk, running_kernel};
use crate::machine::catalogue;
use crate::run::{self, Capacity};
use crate::units::Bytes;

/// Say what this host can do, and what it lacks.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  crashdrill doctor

Exits with 3 when something is missing without which no drill runs.")]
pub(super) struct Doctor {}

impl Doctor {
    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        let mut good = true;
        let mut say = |ok: bool, what: &str, text: String| {
            good &= ok;
            say!("{} {what:12} {text}", if ok { "  ok" } else { "  NO" });
            Ok::<_, CliError>(())
        };
        for (tool, why) in [
            (
                "apt-get",
                "fetches packages; without it only what is in the cache works, and kernels of `local` and `host` with a userland that is",
            ),
            ("dpkg-deb", "unpacks them"),
        ] {
            let found = Command::new(tool)
                .arg("--version")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success());
            let text = if found {
                "found".to_owned()
            } else {
                format!("not found: {why}")
            };
            say(found, tool, text)?;
        }
        let capacity = Capacity::of_host(None);
        say(
            true,
            "host",
            format!(
                "{} CPUs, {} MiB for guests",
                capacity.cpus,
                capacity.memory.0 / Bytes::MIB
            ),
        )?;
        say(
            true,
            "root disks",
            match disk::lacking() {
                None => "can be made, for drills with `boot: disk`".to_owned(),
                Some(why) => format!(
                    "cannot be made: {why}; drills with `boot: disk` work only with images that \
                     are in the cache"
                ),
            },
        )?;
        say(
            true,
            "host kernel",
            match running_kernel() {
                Ok(release) => format!("{release} can be drilled (`crashdrill run --image host`)"),
                Err(why) => format!("cannot be drilled: {why}"),
            },
        )?;
        match context.cache.entries() {
            Ok(entries) => {
                let size: u64 = entries.iter().map(|entry| entry.bytes).sum();
                say(
                    true,
                    "cache",
                    format!(
                        "{}: {} entries, {} MiB",
                        context.cache.root().display(),
                        entries.len(),
                        size / Bytes::MIB
                    ),
                )?;
            }
            Err(error) => say(false, "cache", error.to_string())?,
        }
        match qemu::find(&context.cache, &Shown::new()) {
            Err(error) => say(false, "QEMU", error.to_string())?,
            Ok(qemu) => {
                let (major, minor, micro) = qemu.version;
                let origin = match qemu.origin {
                    Origin::Path => "on PATH",
                    Origin::Fetched => "crashdrill's own",
                    Origin::Override => "named by CRASHDRILL_QEMU",
                };
                say(true, "QEMU", format!("{major}.{minor}.{micro}, {origin}"))?;
                match run::capabilities(&context.cache, &qemu) {
                    Err(error) => say(false, "QEMU", error.to_string())?,
                    Ok(has) => {
                        let lacks: Vec<&str> = catalogue::ALL
                            .into_iter()
                            .filter(|kind| !has.has(*kind))
                            .map(|kind| catalogue::entry(kind).name)
                            .collect();
                        let text = match lacks.is_empty() {
                            true => "all of the catalogue".to_owned(),
                            false => format!("all of the catalogue but {}", lacks.join(", ")),
                        };
                        say(true, "devices", text)?;
                        if let Some(text) = without_models(&has, qemu.origin) {
                            say(true, "models", text)?;
                        }
                    }
                }
                match run::accelerator(&context.cache, &qemu, None) {
                    Err(error) => say(false, "accelerator", error.to_string())?,
                    Ok(choice) => {
                        let why = choice
                            .reason
                            .map_or(String::new(), |why| format!(": {why}"));
                        say(true, "accelerator", format!("{}{why}", choice.accel))?;
                    }
                }
            }
        }
        Ok(if good { Status::Good } else { Status::Harness })
    }
}
