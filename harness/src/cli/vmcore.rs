//! `crashdrill vmcore`.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{CliError, Status, width};
use crate::report::{Looked, View, safe, tell, vmcore_json, vmcore_schema, vmcore_text};
use crate::vmcore::{Inspection, VmcoreError, inspect};

/// Say what a dump is: whether all of it is there, which kernel died in it, when and of what, and
/// what was left out.
#[derive(Debug, Args)]
#[command(after_help = "\
Read are dumps of x86_64 machines: ELF (a copy of /proc/vmcore, makedumpfile -E) and makedumpfile's
compressed ones (-c, -l, -p, -z), both also flattened (-F), in a file or on a raw device.

Examples:
  crashdrill vmcore /var/crash/127.0.0.1-2026-11-25-23:28:25/vmcore
  crashdrill vmcore --dmesg vmcore | crashdrill diagnose
  crashdrill vmcore --json */vmcore | jq -r '[.file, .state, .dump.panic] | @tsv'

Exit codes, of several files the highest:
  0  the dump is complete, and its kernel's log can be read
  1  it is incomplete or damaged, or its log cannot be read
  2  bad input: no such file, or not a dump
  3  the file or device failed while it was read")]
pub(super) struct Vmcore {
    /// Dumps: files, or devices that hold one from their first byte.
    #[arg(value_name = "FILE", required_unless_present = "schema")]
    files: Vec<PathBuf>,
    /// Print one JSON document a dump, each on a line of its own. `--schema` describes it.
    #[arg(long)]
    json: bool,
    /// Print the log of the kernel that died, as dmesg would have, and nothing else.
    #[arg(long, conflicts_with = "json")]
    dmesg: bool,
    /// Print the JSON Schema of what --json prints.
    #[arg(long, conflicts_with_all = ["files", "json", "dmesg", "verbose"])]
    schema: bool,
    /// Show VMCOREINFO too, and long lines whole.
    #[arg(short, long)]
    verbose: bool,
}

/// Why a file was not looked into.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("this is a directory; name the dump in it, which is mostly called vmcore")]
    Directory,
    #[error("this is a {0}, and a dump is not read in one go: save it to a file first")]
    Stream(&'static str),
}

impl From<&OpenError> for Status {
    fn from(error: &OpenError) -> Self {
        use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound, PermissionDenied};
        match error {
            OpenError::Io(error) => match error.kind() {
                NotFound | PermissionDenied | NotADirectory | InvalidFilename => Status::Input,
                _ => Status::Unread,
            },
            OpenError::Directory | OpenError::Stream(_) => Status::Input,
        }
    }
}

impl Vmcore {
    /// Looks into all files.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn execute(&self) -> Result<Status, CliError> {
        let mut out = anstream::stdout().lock();
        match self.write(&mut out) {
            Ok(status) => Ok(status),
            // `| head` has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Status::Good),
            Err(error) => Err(CliError::harness(format!(
                "cannot write to standard output: {error}"
            ))),
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<Status> {
        if self.schema {
            writeln!(out, "{}", serde_json::to_string_pretty(&vmcore_schema())?)?;
            return Ok(Status::Good);
        }
        let mut worst = Status::Good;
        let mut further = false;
        for path in &self.files {
            let file = path.display().to_string();
            let complain = |error: &dyn std::fmt::Display| {
                tell!("error: {}: {}", safe(&file), safe(&error.to_string()));
            };
            let (reader, bytes) = match open(path) {
                Ok(opened) => opened,
                Err(error) => {
                    complain(&error);
                    worst = worse(worst, Status::from(&error));
                    continue;
                }
            };
            let found = inspect(&reader, bytes);
            let status = status(&found);
            worst = worse(worst, status);
            match &found {
                Err(error) if status != Status::Lacking => complain(error),
                _ if self.dmesg => dmesg(&found, out, complain)?,
                _ => {
                    let found = found.as_ref();
                    self.show(
                        Looked {
                            file: &file,
                            bytes,
                            found,
                        },
                        further,
                        out,
                    )?;
                    further = true;
                }
            }
        }
        Ok(worst)
    }

    fn show(&self, looked: Looked<'_>, further: bool, out: &mut dyn Write) -> io::Result<()> {
        if self.json {
            writeln!(out, "{}", vmcore_json(looked)?)?;
        } else {
            let view = View {
                width: width(),
                verbose: self.verbose,
            };
            if further {
                writeln!(out, "\n")?;
            }
            out.write_all(vmcore_text(looked, view).as_bytes())?;
        }
        out.flush()
    }
}

/// The log alone; what else there is to say goes where it does not disturb.
fn dmesg(
    found: &Result<Inspection, VmcoreError>,
    out: &mut dyn Write,
    complain: impl Fn(&dyn std::fmt::Display),
) -> io::Result<()> {
    match found {
        Err(error) => complain(error),
        Ok(found) => {
            if let Some(lack) = found.complete.lack() {
                complain(&lack);
            }
            match &found.dmesg {
                Ok(log) => out.write_all(log.as_bytes())?,
                Err(error) => complain(error),
            }
        }
    }
    out.flush()
}

fn status(found: &Result<Inspection, VmcoreError>) -> Status {
    match found {
        Ok(found) if found.complete.lack().is_none() && found.dmesg.is_ok() => Status::Good,
        Ok(_) => Status::Lacking,
        Err(error) => match error {
            VmcoreError::Io { .. } => Status::Unread,
            VmcoreError::NotADump { .. }
            | VmcoreError::Compressed { .. }
            | VmcoreError::Unsupported { .. } => Status::Input,
            VmcoreError::Empty
            | VmcoreError::NoRecords
            | VmcoreError::Unfinished { .. }
            | VmcoreError::Corrupt { .. }
            | VmcoreError::Truncated { .. } => Status::Lacking,
        },
    }
}

fn worse(one: Status, other: Status) -> Status {
    match one.code() < other.code() {
        true => other,
        false => one,
    }
}

/// Opens a file or a block device, and says how many bytes it has.
fn open(path: &Path) -> Result<(File, u64), OpenError> {
    if path == Path::new("-") {
        return Err(OpenError::Stream("pipe"));
    }
    // A pipe without a writer would be waited for.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let metadata = file.metadata()?;
    let kind = metadata.file_type();
    if kind.is_dir() {
        Err(OpenError::Directory)
    } else if kind.is_file() {
        Ok((file, metadata.len()))
    } else if kind.is_block_device() {
        let end = file.seek(SeekFrom::End(0))?;
        Ok((file, end))
    } else if kind.is_fifo() {
        Err(OpenError::Stream("pipe"))
    } else {
        Err(OpenError::Stream("character device"))
    }
}

#[cfg(test)]
mod tests;
