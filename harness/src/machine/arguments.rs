//! QEMU's argument list for one machine. Pure.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crashdrill_guest::order::REPORT_PORT;

use super::catalogue::{VIRTIO_QUEUES, entry};
use super::link::Link;
use super::options::Options;
use super::plan::{Accel, Backing, Disk, MachinePlan, PlacedFunction};
use crate::scenario::model::{Apic, Chipset, DeviceKind};
use crate::units::Bytes;

/// Where QEMU finds its files and channels: `/dev/fd/N` and sockets when it runs, plain names when
/// the command line is only shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The first kernel: ELF vmlinux or bzImage.
    pub kernel: PathBuf,
    /// Its initramfs.
    pub initrd: PathBuf,
    /// One for each of [`MachinePlan::file_disks`], in that order.
    pub disks: Vec<PathBuf>,
    /// What lies in the CD drive at the chipset's own controller; without it there is none.
    pub medium: Option<PathBuf>,
    /// The cable of the network device that the dump goes to.
    pub link: Link,
    /// One socket for each of [`MachinePlan::models`], in that order.
    pub devices: Vec<PathBuf>,
    /// ttyS0, both ways.
    pub serial: Chardev,
    /// /init's reports, out only.
    pub reports: Chardev,
    /// QMP, if any.
    pub qmp: Option<Chardev>,
}

/// The host's end of a character device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chardev {
    /// A connected stream socket that QEMU inherits.
    Socket(RawFd),
    /// Standard input and output, ^C going to the guest; ^A X ends QEMU (that is what mux is for).
    Stdio,
    /// A file that only takes.
    File(PathBuf),
}

impl Chardev {
    fn options(&self, id: &str) -> OsString {
        let options = match self {
            Self::Socket(fd) => Options::of("socket")
                .with("id", id)
                .with("fd", fd.to_string()),
            Self::Stdio => Options::of("stdio")
                .with("id", id)
                .with("mux", "on")
                .with("signal", "off"),
            Self::File(path) => Options::of("file").with("id", id).with("path", path),
        };
        options.into()
    }
}

/// Everything after the program's name (and after the firmware's location, which belongs to the
/// program). A disk without a file in `files` goes without its `-blockdev`, and QEMU refuses it by
/// name; so it does a modelled device without a socket.
pub fn arguments(plan: &MachinePlan, files: &Files) -> Vec<OsString> {
    let mut list = List::default();
    // Nothing that the plan does not name: no default devices, no configuration of the host's user.
    list.flag("-nodefaults");
    list.flag("-no-user-config");
    list.option("-display", "none");
    list.option("-nic", "none");
    // Thread names tell a guest CPU's thread from QEMU's others.
    list.option("-name", "guest=crashdrill,debug-threads=on");
    list.option("-sandbox", SANDBOX);
    // The first reset ends the run: a panic with panic=-1 must not boot again.
    list.flag("-no-reboot");

    list.option("-machine", machine(plan));
    list.option("-cpu", plan.cpu_model());
    list.option("-smp", plan.cpus.to_string());
    list.option("-m", format!("size={}", size(plan.memory)));
    if plan.has_models() {
        // What devices outside of QEMU reach must be a file that they can open.
        let ram = Options::of("memory-backend-memfd")
            .with("id", RAM)
            .with("size", size(plan.memory))
            .with("share", "on");
        list.option("-object", ram);
    }
    list.option(
        "-accel",
        match plan.accel {
            Accel::Kvm => "kvm",
            Accel::Tcg => "tcg,thread=multi",
        },
    );

    list.option("-kernel", &files.kernel);
    list.option("-initrd", &files.initrd);
    list.option("-append", &plan.append);

    list.option("-chardev", files.serial.options("serial"));
    list.option("-serial", "chardev:serial");
    list.option("-chardev", files.reports.options("reports"));
    list.option(
        "-device",
        Options::of("isa-debugcon")
            .with("iobase", format!("{REPORT_PORT:#x}"))
            .with("chardev", "reports"),
    );
    if let Some(qmp) = &files.qmp {
        list.option("-chardev", qmp.options("qmp"));
        list.option("-qmp", "chardev:qmp");
    }

    let mut disks = files.disks.iter();
    let mut devices = files.devices.iter();
    for function in &plan.functions {
        let file = match &function.disk {
            Some(disk) if disk.backing == Backing::File => disks.next(),
            _ => None,
        };
        if entry(function.kind).is_modelled() {
            list.option("-device", modelled(plan, function, devices.next()));
            continue;
        }
        if plan.is_linked(function) {
            list.option("-netdev", netdev(function, files.link));
        }
        list.function(plan, function, file.map(PathBuf::as_path));
    }
    if let Some(medium) = &files.medium {
        list.medium(medium);
    }
    list.0
}

/// QEMU's own seccomp filter with everything denied that it can deny.
const SANDBOX: &str = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

fn machine(plan: &MachinePlan) -> Options {
    let options = Options::of(plan.machine_type());
    let options = match plan.apic {
        // The ids of a machine that the kernel knows to need physical mode; it sends each
        // interrupt to one CPU, whatever their number.
        Apic::Physical => options
            .with("x-oem-id", "IBM")
            .with("x-oem-table-id", "EXA"),
        Apic::Auto | Apic::Flat | Apic::X2apic => options,
    };
    match plan.has_models() {
        true => options.with("memory-backend", RAM),
        false => options,
    }
}

/// QEMU's id of the guest's memory, where that is a file.
const RAM: &str = "ram";

/// A bare number would be read as mebibytes.
fn size(bytes: Bytes) -> String {
    match bytes.0 % Bytes::KIB {
        0 => bytes.to_string(),
        _ => format!("{}B", bytes.0),
    }
}

#[derive(Default)]
struct List(Vec<OsString>);

impl List {
    fn flag(&mut self, name: &str) {
        self.0.push(name.into());
    }

    fn option(&mut self, name: &str, value: impl Into<OsString>) {
        self.flag(name);
        self.0.push(value.into());
    }

    /// Both chipsets have a disk controller of their own, whose first bus is `ide.0`. What is
    /// there is no PCI function, and takes no vector that the controller does not have anyway.
    fn medium(&mut self, file: &Path) {
        self.option(
            "-blockdev",
            Options::keyed("driver", "raw")
                .with("node-name", "medium")
                .with("read-only", "on")
                .with("file.driver", "file")
                .with("file.locking", "off")
                .with("file.filename", file),
        );
        self.option(
            "-device",
            Options::of("ide-cd")
                .with("id", "cd")
                .with("bus", "ide.0")
                .with("drive", "medium"),
        );
    }

    fn function(&mut self, plan: &MachinePlan, function: &PlacedFunction, file: Option<&Path>) {
        let id = function.id();
        let drive = format!("disk-{id}");
        if let Some(disk) = &function.disk
            && let Some(blockdev) = blockdev(disk, &drive, file)
        {
            self.option("-blockdev", blockdev);
        }
        let has_disk = function.disk.is_some();
        let controller = controller(plan, function);
        let controller = match plan.is_linked(function) {
            true => controller
                .with("netdev", cable_id(function))
                .with("mac", plan.mac),
            false => controller,
        };
        let controller = match function.kind {
            DeviceKind::Nvme | DeviceKind::VirtioBlk if has_disk => {
                controller.with("drive", &drive)
            }
            _ => controller,
        };
        self.option("-device", controller);
        if let Some(disk) = behind(function.kind)
            && has_disk
        {
            let disk = Options::of(disk)
                .with("id", format!("{id}-disk"))
                .with("bus", format!("{id}.0"))
                .with("drive", &drive);
            self.option(
                "-device",
                match function.kind {
                    // Without a name of its own the driver does not report the disk.
                    DeviceKind::Mptsas1068 => {
                        let wwn = SAS_NAME + u64::from(function.index);
                        disk.with("wwn", format!("{wwn:#x}"))
                    }
                    _ => disk,
                },
            );
        }
    }
}

/// A SAS address in the format of a registered company (NAA 5).
const SAS_NAME: u64 = 0x5000_c500_15ea_71ac;

/// The device that makes a disk on the controller's own bus.
fn behind(kind: DeviceKind) -> Option<&'static str> {
    entry(kind).qemu.get(1).copied()
}

fn blockdev(disk: &Disk, name: &str, file: Option<&Path>) -> Option<Options> {
    Some(match disk.backing {
        Backing::File => Options::keyed("driver", "raw")
            .with("node-name", name)
            .with("discard", "unmap")
            // The file is unnamed and read back by this host's kernel: nothing to flush for, and
            // nobody to lock out.
            .with("cache.no-flush", "on")
            .with("file.driver", "file")
            .with("file.locking", "off")
            .with("file.filename", file?),
        Backing::Null => Options::keyed("driver", "null-co")
            .with("node-name", name)
            .with("read-zeroes", "on")
            .with("size", disk.size.0.to_string()),
    })
}

fn cable_id(function: &PlacedFunction) -> String {
    format!("cable-{}", function.id())
}

fn netdev(function: &PlacedFunction, link: Link) -> Options {
    match link {
        Link::Socket(fd) => Options::of("socket")
            .with("id", cable_id(function))
            .with("fd", fd.to_string()),
        // A hub with nobody else at it: the device has a carrier, and what it sends is lost.
        Link::Nobody => Options::of("hubport")
            .with("id", cable_id(function))
            .with("hubid", "0"),
    }
}

fn bus(plan: &MachinePlan) -> &'static str {
    match plan.chipset {
        Chipset::Q35 => "pcie.0",
        Chipset::Pc => "pci.0",
    }
}

/// How long QEMU waits for a modelled device, in milliseconds. By its own 5 s a busy host's other
/// drills could keep a device's thread from answering in time, and QEMU loses its place in the
/// channel when the answer comes later (hw/vfio-user/proxy.c, vfio_user_send_wait). A device that
/// never answers is the drill's limits' to end.
const DEVICE_TIMEOUT: u32 = 24 * 60 * 60 * 1000;

/// A function that lives in crashdrill. QEMU takes the address of a socket in JSON alone.
fn modelled(plan: &MachinePlan, function: &PlacedFunction, socket: Option<&PathBuf>) -> String {
    let socket = socket.map(|path| {
        let path = path.to_string_lossy();
        serde_json::json!({ "type": "unix", "path": path })
    });
    let mut device = serde_json::json!({
        "driver": entry(function.kind).qemu[0],
        "id": function.id(),
        "bus": bus(plan),
        "addr": address(function),
        "multifunction": function.multifunction,
        "x-msg-timeout": DEVICE_TIMEOUT,
    });
    if let Some(socket) = socket {
        device["socket"] = socket;
    }
    device.to_string()
}

/// The PCI function itself, without the drive.
fn controller(plan: &MachinePlan, function: &PlacedFunction) -> Options {
    let kind = function.kind;
    let table = function.table;
    let mut options = Options::of(entry(kind).qemu[0])
        .with("id", function.id())
        .with("bus", bus(plan))
        .with("addr", address(function));
    if function.multifunction {
        options = options.with("multifunction", "on");
    }
    if is_virtio(kind) {
        // Transitional: Linux before 4.0 knows the legacy interface alone. It would be QEMU's own
        // choice on this bus, but not behind a port.
        options = options.with("disable-legacy", "off");
    }
    match kind {
        // The driver takes two vectors a port and two for control, so this many ports fill it.
        DeviceKind::VirtioSerial => options.with("vectors", table.to_string()).with(
            "max_ports",
            (table / 2)
                .saturating_sub(1)
                .clamp(1, VIRTIO_QUEUES / 2 - 1)
                .to_string(),
        ),
        DeviceKind::Nvme => options
            .with("serial", format!("crashdrill{}", function.index))
            .with("msix_qsize", table.to_string()),
        DeviceKind::VirtioBlk => options
            .with("num-queues", table.saturating_sub(1).max(1).to_string())
            .with("vectors", table.to_string()),
        DeviceKind::VirtioScsi => options
            .with("num_queues", table.saturating_sub(3).max(1).to_string())
            .with("vectors", table.to_string()),
        // No boot ROM: nothing boots from the network, and the host may not have the file.
        DeviceKind::E1000e | DeviceKind::Igb | DeviceKind::Vmxnet3 => options.with("romfile", ""),
        DeviceKind::VirtioNet => options
            .with("romfile", "")
            .with("vectors", table.to_string()),
        DeviceKind::PcieRootPort => {
            let number = (function.index % 255 + 1).to_string();
            options.with("chassis", &number).with("slot", number)
        }
        DeviceKind::Ahci
        | DeviceKind::MegasasGen2
        | DeviceKind::Mptsas1068
        | DeviceKind::Xhci
        | DeviceKind::Generic
        | DeviceKind::I40e
        | DeviceKind::Mpt3sas => options,
    }
}

fn is_virtio(kind: DeviceKind) -> bool {
    entry(kind).qemu[0].starts_with("virtio-")
}

/// QEMU reads both numbers of `addr` as hexadecimal.
fn address(function: &PlacedFunction) -> String {
    format!("{:x}.{}", function.slot.device, function.slot.function)
}

/// The command line as a shell would take it, one option a line.
pub fn pretty(program: &OsStr, arguments: &[OsString]) -> OsString {
    let mut text = quoted(program);
    let mut line_has_option = false;
    for argument in arguments {
        let is_option = argument.as_bytes().first() == Some(&b'-') && argument.len() > 1;
        match is_option || !line_has_option {
            true => text.extend_from_slice(b" \\\n    "),
            false => text.push(b' '),
        }
        line_has_option = is_option;
        text.extend(quoted(argument));
    }
    OsString::from_vec(text)
}

/// In single quotes, unless no shell could misread it.
fn quoted(word: &OsStr) -> Vec<u8> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:,=+@%".contains(byte);
    let bytes = word.as_bytes();
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return bytes.to_vec();
    }
    let mut quoted = vec![b'\''];
    for &byte in bytes {
        match byte {
            b'\'' => quoted.extend_from_slice(br"'\''"),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests;
