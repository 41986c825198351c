//! What is left of a capture kernel that died or hung: the CPUs' registers and all of the memory,
//! taken out of the stopped machine.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::statvfs::statvfs;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::HarnessError;
use super::watch::channel;
use crate::census::Census;
use crate::machine::{Machine, MachineError, QmpError, fd_path, outlet};
use crate::units::Bytes;
use crate::verdict::Counted;
use crate::vmcore::{GuestDump, GuestDumpError, Intake};

/// For the registers of all CPUs.
const ANSWER: Duration = Duration::from_secs(20);
/// For the memory. A gibibyte takes a second or two; a slow disk and a large machine more.
const DUMP: Duration = Duration::from_secs(600);
/// A read of the memory, and what the pipe holds if the kernel allows (pipe(7)).
const PIECE: usize = 1 << 20;

/// What was found. The file has no name until somebody gives it one.
#[derive(Debug)]
pub struct Postmortem {
    /// An ELF dump of the whole machine's memory: the capture kernel's and the crashed kernel's.
    pub vmcore: File,
    /// Its length; runs of zeros take no room.
    pub size: Bytes,
    /// `uname -r` of the capture kernel, if the dump could be given its VMCOREINFO.
    pub release: Option<String>,
    /// QEMU's `info registers -a`.
    pub registers: String,
    /// Each census, for people; none of a machine that never was.
    pub census: Option<String>,
}

/// A pipe that QEMU's dump comes through, and where it goes.
#[derive(Debug)]
pub(super) struct Outlet {
    receiver: pipe::Receiver,
    /// QEMU's end has this number there.
    number: i32,
    directory: PathBuf,
}

impl Outlet {
    /// Also gives QEMU's end, which is to be closed once QEMU has it.
    pub(super) fn new(directory: &Path) -> Result<(Self, OwnedFd), MachineError> {
        let (receiver, theirs) = outlet()?;
        // Where it may not be that large it only takes longer.
        let _ = fcntl(&theirs, FcntlArg::F_SETPIPE_SZ(PIECE as i32));
        let outlet = Self {
            receiver,
            number: theirs.as_raw_fd(),
            directory: directory.to_owned(),
        };
        Ok((outlet, theirs))
    }

    /// A file without a name, and the bytes that are free where it lies.
    fn file(&self) -> io::Result<(File, u64)> {
        // The directory is made when there is something to keep, and then lies where this does.
        let mut ancestors = self.directory.ancestors().map(|path| match path {
            path if path.as_os_str().is_empty() => Path::new("."),
            path => path,
        });
        let place = ancestors.find(|path| path.exists());
        let place = place.ok_or(io::ErrorKind::NotFound)?;
        let file = tempfile::tempfile_in(place)?;
        let room = statvfs(place)?;
        Ok((file, room.blocks_available() * room.fragment_size()))
    }
}

/// Takes it out of a machine that is stopped.
///
/// # Errors
/// The monitor, or no room for the memory.
pub(super) async fn take(
    machine: &mut Machine,
    mut outlet: Outlet,
    counted: &[Counted],
) -> Result<Postmortem, HarnessError> {
    let command = json!({ "command-line": "info registers -a" });
    let registers = machine
        .qmp
        .execute_raw("human-monitor-command", command, ANSWER)
        .await;
    let registers = match registers {
        Ok(registers) => registers,
        Err(error) => return Err(failed(machine, error).await),
    };
    let dump = match memory(machine, &mut outlet).await {
        Err(Failure::Qmp(error)) => return Err(failed(machine, error).await),
        Err(Failure::Channel(error)) => return Err(channel("reading the guest's memory")(error)),
        Err(Failure::Dump(source)) => {
            let directory = outlet.directory;
            return Err(HarnessError::Postmortem { directory, source });
        }
        Ok(dump) => dump,
    };
    Ok(Postmortem {
        vmcore: dump.file,
        size: Bytes(dump.len),
        release: dump.release,
        registers: registers.as_str().unwrap_or_default().replace('\r', ""),
        census: (!counted.is_empty()).then(|| census(counted)),
    })
}

enum Failure {
    Qmp(QmpError),
    Channel(io::Error),
    Dump(GuestDumpError),
}

async fn memory(machine: &mut Machine, outlet: &mut Outlet) -> Result<GuestDump, Failure> {
    const COMMAND: &str = "dump-guest-memory";
    let (file, free) = outlet.file().map_err(|error| Failure::Dump(error.into()))?;
    let mut intake = Intake::new(file, free);
    let arguments = json!({
        "paging": false,
        "protocol": format!("file:{}", fd_path(outlet.number).display()),
        "format": "elf",
    });
    let order = async {
        let answer = machine.qmp.execute_raw(COMMAND, arguments, DUMP);
        answer.await.map_err(Failure::Qmp)
    };
    // QEMU answers when the last byte is in the pipe, and waits while it is full.
    let taking = async {
        let mut piece = Vec::with_capacity(PIECE);
        while !intake.is_complete() {
            piece.clear();
            let read = outlet.receiver.read_buf(&mut piece);
            if read.await.map_err(Failure::Channel)? == 0 {
                return Err(Failure::Qmp(QmpError::Closed));
            }
            intake.take(&piece).map_err(Failure::Dump)?;
        }
        Ok(())
    };
    let both = async { tokio::try_join!(order, taking) };
    let limit = Failure::Qmp(QmpError::Timeout {
        command: COMMAND,
        limit: DUMP,
    });
    timeout(DUMP, both).await.map_err(|_| limit)??;
    intake.finish().map_err(Failure::Dump)
}

async fn failed(machine: &mut Machine, error: QmpError) -> HarnessError {
    if matches!(error, QmpError::Closed)
        && let Err(died) = machine.ended().await
    {
        return died.into();
    }
    let stderr = machine.stderr_tail();
    MachineError::Qmp { error, stderr }.into()
}

/// At each moment, what each function holds and what each CPU has.
fn census(counted: &[Counted]) -> String {
    let mut text = String::new();
    let mut before = None;
    for Counted { moment, census } in counted {
        // Writing to a String does not fail.
        let _ = write!(text, "At {moment}:");
        match before == Some(census) {
            true => text.push_str(" as before.\n\n"),
            false => text.push_str("\n\n"),
        }
        if before.replace(census) != Some(census) {
            one(&mut text, census);
        }
    }
    text
}

fn one(text: &mut String, census: &Census) {
    for (address, function) in &census.functions {
        let config = &function.config;
        let _ = write!(
            text,
            "{address} {:04x}:{:04x}",
            config.vendor, config.device
        );
        if let Some(msix) = config.msix {
            let on = if msix.enabled { "on" } else { "off" };
            let programmed = function.programmed();
            let _ = write!(
                text,
                "  MSI-X {on}, {programmed} of {} programmed",
                msix.size
            );
        }
        if let Some(msi) = config.msi {
            let on = if msi.enabled { "on" } else { "off" };
            let _ = write!(text, "  MSI {on}, {} of {}", msi.granted, msi.capable);
        }
        if let Some(pin) = config.pin {
            let pin = char::from(b'@'.saturating_add(pin));
            let on = if config.pin_enabled { "on" } else { "off" };
            let _ = write!(text, "  INT{pin} {on}");
        }
        text.push('\n');
        for (to, vector) in function.held() {
            let _ = writeln!(text, "    vector {vector:#04x} to {to}");
        }
    }
    text.push('\n');
    for (cpu, vectors) in census.vectors() {
        let list: Vec<String> = vectors
            .iter()
            .map(|vector| format!("{vector:#04x}"))
            .collect();
        let _ = writeln!(
            text,
            "CPU {cpu}: {} vectors: {}",
            list.len(),
            list.join(" ")
        );
    }
    text.push('\n');
}

#[cfg(test)]
mod tests;
