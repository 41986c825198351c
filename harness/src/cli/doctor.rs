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

`NO` is what drills need and this host has not, `--` what only some need. Exits with 3 after a `NO`.")]
pub(super) struct Doctor {}

fn line(mark: &str, what: &str, text: &str) -> Result<(), CliError> {
    say!("{mark} {what:12} {text}");
    Ok(())
}

impl Doctor {
    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        let mut good = true;
        let mut say = |ok: bool, what: &str, text: String| {
            good &= ok;
            line(if ok { "  ok" } else { "  NO" }, what, &text)
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
        let some = |able: Result<String, String>, what: &str| match able {
            Ok(text) => line("  ok", what, &text),
            Err(text) => line("  --", what, &text),
        };
        some(
            match disk::lacking() {
                None => Ok("can be made, for drills with `boot: disk`".to_owned()),
                Some(why) => Err(format!(
                    "cannot be made: {why}; drills with `boot: disk` work only with images that \
                     are in the cache"
                )),
            },
            "root disks",
        )?;
        some(
            match running_kernel() {
                Ok(release) => Ok(format!(
                    "{release} can be drilled (`crashdrill run --image host`)"
                )),
                Err(why) => Err(format!("cannot be drilled: {why}")),
            },
            "host kernel",
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
                        let devices = match lacks.is_empty() {
                            true => Ok("all of the catalogue".to_owned()),
                            false => Err(format!("all of the catalogue but {}", lacks.join(", "))),
                        };
                        some(devices, "devices")?;
                        if let Some(text) = without_models(&has, qemu.origin) {
                            let models = match qemu.origin {
                                Origin::Path => Ok(text),
                                _ => Err(text),
                            };
                            some(models, "models")?;
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
