//! The devices: each alone, the dump target and the root file system's.

use super::{FactsOf, Problem, TableRule, device_path, root};
use crate::kdump::configuration::Configuration;
use crate::scenario::identity;
use crate::scenario::model::{Boot, Chipset, Device, DeviceKind, DumpServer, Scenario};
use crate::units::Bytes;

const LEAST_DISK: Bytes = Bytes(Bytes::MIB);
const SECTOR: u64 = 512;

pub(super) fn devices(scenario: &Scenario, facts_of: FactsOf, found: &mut Vec<Problem>) {
    let machine = &scenario.machine;
    for (nth, device) in machine.devices.iter().enumerate() {
        alone(nth, device, machine.chipset, facts_of, found);
    }
    targets(scenario, facts_of, found);
    roots(&machine.devices, facts_of, found);
}

fn alone(
    nth: usize,
    device: &Device,
    chipset: Chipset,
    facts_of: FactsOf,
    found: &mut Vec<Problem>,
) {
    let path = |key: &str| device_path(nth).key(key);
    let kind = kind_name(device.device);
    let facts = facts_of(device.device);
    let about = |key: &str, message: String, help: String| {
        Problem::new(path(key), message)
            .help(help)
            .rests_on(path("device"))
    };
    if device.count == 0 {
        let problem = Problem::new(path("count"), "a count of zero is no device");
        found.push(problem.help("remove the line, or write 1 or more"));
    }
    if let Some(entries) = device.msix.map(|size| size.get()) {
        match facts.table {
            TableRule::None => found.push(about(
                "msix",
                format!("{kind} has no MSI-X table"),
                "remove `msix`".to_owned(),
            )),
            TableRule::Fixed(size) => found.push(about(
                "msix",
                match size {
                    1 => format!("the MSI-X table of {kind} cannot be chosen: it has 1 entry"),
                    _ => {
                        format!("the MSI-X table of {kind} cannot be chosen: it has {size} entries")
                    }
                },
                "remove `msix`; virtio-serial has as many as one likes".to_owned(),
            )),
            TableRule::Free { min, max, .. } if !(min..=max).contains(&entries) => {
                found.push(about(
                    "msix",
                    format!("the MSI-X table of {kind} has {min} to {max} entries, not {entries}"),
                    format!("the nearest is {}", entries.clamp(min, max)),
                ));
            }
            TableRule::Free { .. } => {}
        }
    }
    for identity::Fault { key, message, help } in identity::faults(device, &kind, &facts) {
        found.push(about(key, message, help));
    }
    if let Some(size) = device.size {
        if !facts.disk {
            found.push(about(
                "size",
                format!("{kind} carries no disk, so it has no size"),
                "remove `size`".to_owned(),
            ));
        } else if size < LEAST_DISK {
            let message = format!("a disk of {size} holds no file system");
            found.push(Problem::new(path("size"), message).help(format!("at least {LEAST_DISK}")));
        } else if !size.0.is_multiple_of(SECTOR) {
            let message = format!("a disk has whole sectors of {SECTOR} bytes");
            let whole = Bytes(size.0.div_ceil(SECTOR) * SECTOR);
            found.push(Problem::new(path("size"), message).help(format!("{whole}")));
        }
    }
    if device.filesystem.is_some() {
        if !facts.disk {
            found.push(about(
                "filesystem",
                format!("{kind} carries no disk, so it holds no file system"),
                "remove `filesystem`".to_owned(),
            ));
        } else if !device.target && !device.root && device.size.is_none() {
            let message = "there is no disk behind this device";
            let help = "`size: 1G` gives it one; so do `target: true` and `root: true`";
            found.push(Problem::new(path("filesystem"), message).help(help));
        }
    }
    if chipset == Chipset::Pc && device.device == DeviceKind::PcieRootPort {
        let message = "chipset `pc` has no PCI Express, so no pcie-root-port";
        found.push(
            Problem::new(path("device"), message)
                .help("`chipset: q35`")
                .rests_on(root("machine").key("chipset")),
        );
    }
}

/// What the dump target has to be by kdump.conf: a disk, or a network adapter. One that cannot be
/// read says neither.
fn over_network(scenario: &Scenario) -> Option<bool> {
    if scenario.boot == Boot::Disk {
        return Some(false);
    }
    Some(match Configuration::read(&scenario.kdump).ok()? {
        Configuration::Kdumpctl { conf, .. } => {
            conf.target.is_some_and(|target| target.is_remote())
        }
        // Their own services run, on a disk.
        Configuration::KdumpTools(_) | Configuration::Suse(_) => false,
    })
}

impl Scenario {
    /// Whether kdump.conf sends the dump over the network.
    pub fn is_remote(&self) -> bool {
        over_network(self) == Some(true)
    }
}

fn targets(scenario: &Scenario, facts_of: FactsOf, found: &mut Vec<Problem>) {
    let devices = &scenario.machine.devices;
    let all = root("machine").key("devices");
    let network = over_network(scenario);
    let fits = |device: &Device| {
        let facts = facts_of(device.device);
        match network {
            Some(true) => facts.network,
            Some(false) => facts.disk,
            None => facts.disk || facts.network,
        }
    };
    let mut targets = devices
        .iter()
        .enumerate()
        .filter(|(_, device)| device.target);
    let Some((first, device)) = targets.next() else {
        let carrier = devices.iter().position(fits);
        let example = match network {
            Some(true) => "e1000e",
            _ => "nvme",
        };
        found.push(
            Problem::new(all.clone(), "no device is the dump target")
                .help(match carrier {
                    Some(nth) => format!("add `target: true` to `{}`", device_path(nth)),
                    None => format!("add one, such as `- {{device: {example}, target: true}}`"),
                })
                .rests_on(all),
        );
        return;
    };
    let path = |nth| device_path(nth).key("target");
    let kind = kind_name(device.device);
    if !fits(device) {
        let (message, help) = match network {
            Some(true) if facts_of(device.device).ports => (
                format!(
                    "no packets go through a modelled {kind}, and kdump.conf sends the dump to a server"
                ),
                "the target is one of e1000e, igb, vmxnet3, virtio-net",
            ),
            Some(true) => (
                format!("{kind} is no network adapter, and kdump.conf sends the dump to a server"),
                "the target is one of e1000e, igb, vmxnet3, virtio-net",
            ),
            _ => (
                format!("{kind} carries no disk to dump to"),
                "the target is one of nvme, virtio-blk, virtio-scsi, ahci, megasas-gen2, \
                 mptsas1068, mpt3sas; a network adapter is one where kdump.conf has `nfs` or `ssh`",
            ),
        };
        found.push(
            Problem::new(path(first), message)
                .help(help)
                .rests_on(device_path(first).key("device"))
                .rests_on(root("kdump").key("conf")),
        );
    }
    if scenario.server != DumpServer::Ready && network == Some(false) {
        found.push(
            Problem::new(root("server"), "the drill has no dump server")
                .help("kdump.conf sends the dump to one with `nfs` or `ssh`; or remove `server`")
                .rests_on(root("kdump").key("conf")),
        );
    }
    if device.count > 1 {
        found.push(
            Problem::new(
                device_path(first).key("count"),
                format!("the dump target is one device, not {}", device.count),
            )
            .help("put the others on a line of their own, without `target`")
            .rests_on(path(first)),
        );
    }
    for (more, _) in targets {
        found.push(
            Problem::new(path(more), "a second dump target")
                .help(format!(
                    "`{}` is one already: keep one of them",
                    device_path(first)
                ))
                .rests_on(path(first)),
        );
    }
}

/// The root file system is on one disk, and that is not the target's: `dump_to_rootfs` is what
/// happens when the target fails.
fn roots(devices: &[Device], facts_of: FactsOf, found: &mut Vec<Problem>) {
    let mut roots = devices.iter().enumerate().filter(|(_, device)| device.root);
    let Some((first, device)) = roots.next() else {
        return;
    };
    let path = |nth| device_path(nth).key("root");
    let kind = kind_name(device.device);
    if !facts_of(device.device).disk {
        found.push(
            Problem::new(path(first), format!("{kind} carries no disk"))
                .help(
                    "the root file system is on one of nvme, virtio-blk, virtio-scsi, ahci, \
                       megasas-gen2, mptsas1068, mpt3sas",
                )
                .rests_on(device_path(first).key("device")),
        );
    }
    if device.target {
        found.push(
            Problem::new(
                path(first),
                "the dump target cannot hold the root file system too",
            )
            .help("a device of its own for it, such as `- {device: virtio-blk, root: true}`")
            .rests_on(device_path(first).key("target")),
        );
    }
    if device.count > 1 {
        found.push(
            Problem::new(
                device_path(first).key("count"),
                format!(
                    "the root file system is on one device, not {}",
                    device.count
                ),
            )
            .help("put the others on a line of their own, without `root`")
            .rests_on(path(first)),
        );
    }
    for (more, _) in roots {
        found.push(
            Problem::new(path(more), "a second root file system")
                .help(format!(
                    "`{}` has one already: keep one of them",
                    device_path(first)
                ))
                .rests_on(path(first)),
        );
    }
}

/// As scenarios write it.
fn kind_name(kind: DeviceKind) -> String {
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(name)) => name,
        _ => format!("{kind:?}"),
    }
}
