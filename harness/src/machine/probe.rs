//! What the QEMU at hand can do, asked of it rather than read off its version.

use std::collections::BTreeSet;
use std::io;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::catalogue::{ALL, VFIO_USER, entry};
use super::plan::{Accel, MachinePlan};
use super::process::{MachineError, Process, channel};
use super::qmp::{QemuVersion, Qmp, QmpError};
use crate::scenario::model::{Apic, DeviceKind};

/// For each question to a QEMU without a machine.
const ANSWER: Duration = Duration::from_secs(20);
/// For the probe's guest, which needs 20 ms.
const GUEST: Duration = Duration::from_secs(2);

/// What one QEMU has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Its version.
    pub version: QemuVersion,
    /// Machine types, without aliases.
    pub machines: BTreeSet<String>,
    /// Device types of the catalogue, and `isa-debugcon`.
    pub devices: BTreeSet<String>,
}

/// Something that a plan needs and this QEMU lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lacking {
    /// A machine type.
    #[error(
        "QEMU {version} has no machine type {machine}; it needs QEMU 7.2 or a newer one that still has it"
    )]
    MachineType {
        /// The type.
        machine: &'static str,
        /// The QEMU.
        version: QemuVersion,
    },
    /// A device type.
    #[error("QEMU {version} has no device {device}")]
    Device {
        /// QEMU's name.
        device: &'static str,
        /// The QEMU.
        version: QemuVersion,
    },
    /// TCG learnt x2APIC in QEMU 9.
    #[error(
        "QEMU {0} has no x2APIC without KVM; use QEMU 9 or newer, or apic: physical, which also gives \
         every CPU vectors of its own"
    )]
    X2apic(QemuVersion),
}

impl Lacking {
    /// Whether it is what devices need that crashdrill itself is: QEMU has it since 10.1.
    pub fn is_for_models(&self) -> bool {
        matches!(self, Self::Device { device, .. } if *device == VFIO_USER)
    }
}

impl Capabilities {
    /// Asks a QEMU, without building a machine. One process, one question a device: QEMU's list
    /// of all devices loads every module, and it aborts over one of another build.
    ///
    /// # Errors
    /// QEMU cannot be started, or its monitor fails.
    pub async fn ask(mut command: Command) -> Result<Self, MachineError> {
        let (socket, theirs) = channel()?;
        use std::os::fd::AsRawFd;
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-S"]);
        // Whatever the build has; no guest runs.
        command.args(["-machine", "none,accel=kvm:tcg"]);
        command.arg("-chardev");
        command.arg(format!("socket,id=qmp,fd={}", theirs.as_raw_fd()));
        command.args(["-qmp", "chardev:qmp"]);
        let mut process = Process::spawn(command, vec![theirs.as_raw_fd()])?;
        drop(theirs);
        let asked = match Qmp::negotiate(socket, ANSWER).await {
            Ok(mut qmp) => {
                let asked = Self::questions(&mut qmp).await;
                drop(qmp);
                asked
            }
            Err(error) => Err(error),
        };
        match asked {
            Ok(capabilities) => {
                process.kill().await?;
                Ok(capabilities)
            }
            Err(error) => Err(process.explain(error).await),
        }
    }

    async fn questions(qmp: &mut Qmp) -> Result<Self, QmpError> {
        // Not typed: the answer's type has grown with every version of QEMU.
        let machines = qmp.execute_raw("query-machines", json!({}), ANSWER).await?;
        let machines = machines
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|machine| Some(machine.get("name")?.as_str()?.to_owned()))
            .collect();
        let mut devices = BTreeSet::new();
        for device in wanted() {
            let question = json!({ "typename": device });
            match qmp
                .execute_raw("device-list-properties", question, ANSWER)
                .await
            {
                Ok(_) => {
                    devices.insert(device.to_owned());
                }
                Err(QmpError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            version: qmp.version(),
            machines,
            devices,
        })
    }

    /// Whether this QEMU has everything that a device of the catalogue is made of.
    pub fn has(&self, kind: DeviceKind) -> bool {
        let mut parts = entry(kind).qemu.iter();
        parts.all(|device| self.devices.contains(*device))
    }

    /// Everything that a plan needs and this QEMU lacks; empty when it can be built.
    pub fn lacking(&self, plan: &MachinePlan) -> Vec<Lacking> {
        let version = self.version;
        let mut lacking = Vec::new();
        let machine = plan.machine_type();
        if !self.machines.contains(machine) {
            lacking.push(Lacking::MachineType { machine, version });
        }
        let kinds: BTreeSet<DeviceKind> = plan.functions.iter().map(|f| f.kind).collect();
        let parts = kinds.iter().flat_map(|kind| entry(*kind).qemu);
        let needed: BTreeSet<&'static str> = parts.copied().chain([CONSOLE]).collect();
        let missing = needed
            .into_iter()
            .filter(|device| !self.devices.contains(*device));
        lacking.extend(missing.map(|device| Lacking::Device { device, version }));
        if plan.apic == Apic::X2apic && plan.accel == Accel::Tcg && version.major < 9 {
            lacking.push(Lacking::X2apic(version));
        }
        lacking
    }
}

const CONSOLE: &str = "isa-debugcon";

/// Device types that a QEMU is asked for.
pub fn wanted() -> BTreeSet<&'static str> {
    let parts = ALL.iter().flat_map(|kind| entry(*kind).qemu);
    parts.copied().chain([CONSOLE]).collect()
}

/// The accelerator to use, and why not the other one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccelChoice {
    /// KVM only after a guest has run with it.
    pub accel: Accel,
    /// Why KVM is not used.
    pub reason: Option<String>,
}

/// KVM if a guest runs under it, else TCG and why. Takes two seconds where a guest hangs.
pub async fn accel(command: Command, cpu_model: &str) -> AccelChoice {
    match kvm(command, cpu_model).await {
        Ok(()) => AccelChoice {
            accel: Accel::Kvm,
            reason: None,
        },
        Err(unusable) => AccelChoice {
            accel: Accel::Tcg,
            reason: Some(unusable.to_string()),
        },
    }
}

/// Why no guest runs under KVM here.
#[derive(Debug, thiserror::Error)]
pub enum KvmUnusable {
    /// No such file.
    #[error("/dev/kvm does not exist")]
    Absent,
    /// Not for this user.
    #[error("/dev/kvm may not be opened by this user; on most systems the group `kvm` may")]
    Permission,
    /// Something else.
    #[error("/dev/kvm cannot be opened: {0}")]
    Open(io::Error),
    /// QEMU said no.
    #[error("QEMU gave up: {0}")]
    Refused(String),
    /// The guest does not get anywhere in time.
    #[error("a test guest got {got} in {} s under KVM", GUEST.as_secs())]
    Stuck {
        /// How far it came.
        got: &'static str,
    },
    /// KVM runs guests of the host's own kind.
    #[error("this host's CPU is not x86-64")]
    OtherCpu,
    /// The probe itself failed.
    #[error("the test guest could not be started: {0}")]
    Probe(#[source] Box<MachineError>),
}

/// Runs a small guest under KVM and waits for it to say that it ran.
///
/// # Errors
/// It did not.
#[cfg(target_arch = "x86_64")]
pub async fn kvm(command: Command, cpu_model: &str) -> Result<(), KvmUnusable> {
    use std::fs::{File, OpenOptions};
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use tokio::io::AsyncReadExt;

    use super::kvm_guest::{DONE, firmware};

    match OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        Ok(_) => {}
        Err(error) => {
            return Err(match error.kind() {
                io::ErrorKind::NotFound => KvmUnusable::Absent,
                io::ErrorKind::PermissionDenied => KvmUnusable::Permission,
                _ => KvmUnusable::Open(error),
            });
        }
    }
    let host = |source| {
        KvmUnusable::Probe(Box::new(MachineError::Host {
            step: "writing the test guest",
            source,
        }))
    };
    let mut image: File = tempfile::tempfile().map_err(host)?;
    image.write_all(&firmware()).map_err(host)?;
    let boxed = |error| KvmUnusable::Probe(Box::new(error));
    let (mut socket, theirs) = channel().map_err(boxed)?;

    let mut command = command;
    command.args([
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
    ]);
    command.args(["-machine", "pc-q35-7.2", "-accel", "kvm", "-m", "size=16M"]);
    command.args(["-cpu", cpu_model]);
    command
        .arg("-bios")
        .arg(format!("/dev/fd/{}", image.as_raw_fd()));
    command.arg("-chardev");
    command.arg(format!("socket,id=out,fd={}", theirs.as_raw_fd()));
    command.args(["-device", "isa-debugcon,iobase=0xe9,chardev=out"]);
    let inherited = vec![image.as_raw_fd(), theirs.as_raw_fd()];
    let mut process = Process::spawn(command, inherited).map_err(boxed)?;
    drop(theirs);

    let mut last = 0;
    let listen = async {
        while last != DONE {
            match socket.read_u8().await {
                Ok(byte) => last = byte,
                Err(_) => return false,
            }
        }
        true
    };
    let result = match tokio::time::timeout(GUEST, listen).await {
        Ok(true) => Ok(()),
        Ok(false) => {
            let ended = process.wait().await;
            ended.map_err(boxed)?;
            Err(KvmUnusable::Refused(complaint(&process.stderr())))
        }
        Err(_) => Err(KvmUnusable::Stuck {
            got: match last {
                b'1' => "stuck in real mode",
                b'2' => "stuck in protected mode",
                b'3' => "into long mode but no further (its instructions are emulated, not run)",
                _ => "nowhere",
            },
        }),
    };
    process.kill().await.map_err(boxed)?;
    result
}

/// KVM cannot run an x86 guest here.
///
/// # Errors
/// Always.
#[cfg(not(target_arch = "x86_64"))]
pub async fn kvm(_: Command, _: &str) -> Result<(), KvmUnusable> {
    Err(KvmUnusable::OtherCpu)
}

/// The line of QEMU's standard error that says why: its first that is no warning.
fn complaint(stderr: &str) -> String {
    let lines = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let mut errors = lines.filter(|line| !line.contains("warning:"));
    let first = errors.next().unwrap_or("without a word");
    first.to_owned()
}

#[cfg(test)]
mod tests;
