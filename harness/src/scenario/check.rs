//! What the types cannot say: fields that have to fit each other, the machine and the grammars
//! inside of strings.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::identity::{self, Ids};
use super::model::{Apic, Boot, Chipset, Device, DeviceKind, DumpServer, Scenario, SysconfigFile};
use super::path::Path;
use crate::kdump::commandline::last_value;
use crate::kdump::configuration::Configuration;
use crate::kdump::crashkernel::Reserved;
use crate::kdump::error::ConfigFile;
use crate::kdump::flavour::Flavour;
use crate::pci::Room;
use crate::suggest;
use crate::units::{Bytes, Slot};
use crate::verdict::RuleBook;
use crate::verdict::outcome::{Cause, Verdict};

/// What a check has to know about a kind of device. The machine's catalogue says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Its MSI-X table.
    pub table: TableRule,
    /// It can carry the disk that the dump goes to.
    pub disk: bool,
    /// It is a network adapter, over which the dump can go.
    pub network: bool,
    /// Which ids it takes.
    pub ids: Ids,
    /// It is a card with as many ports as a scenario wants.
    pub ports: bool,
}

/// Which MSI-X tables a device can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableRule {
    /// It has none.
    None,
    /// Always one of this size.
    Fixed(u16),
    /// A scenario may choose.
    Free {
        /// Least number of entries.
        min: u16,
        /// Greatest number of entries.
        max: u16,
    },
}

/// The catalogue, asked for one kind.
pub type FactsOf = fn(DeviceKind) -> DeviceFacts;

/// Something wrong with a decoded scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The value it is about; if it is not in the file, the place where it would be.
    pub path: Path,
    /// The key is wrong, not what stands behind it.
    pub on_key: bool,
    /// Bytes of the value's text, where only a part of it is wrong.
    pub inside: Option<Range<usize>>,
    /// Other values that it would not be wrong without.
    pub rests_on: Vec<Path>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Problem {
    /// A problem with one value.
    pub fn new(path: Path, message: impl Into<String>) -> Self {
        Self {
            path,
            on_key: false,
            inside: None,
            rests_on: Vec::new(),
            message: message.into(),
            help: None,
        }
    }

    /// With what to write instead.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Wrong only together with another value.
    pub fn rests_on(mut self, path: Path) -> Self {
        self.rests_on.push(path);
        self
    }
}

/// The smallest machine that any supported kernel boots on.
const LEAST_MEMORY: Bytes = Bytes(128 * Bytes::MIB);
const LEAST_DISK: Bytes = Bytes(Bytes::MIB);
const SECTOR: u64 = 512;

/// Everything that is wrong with a scenario whose parts are each of the right type.
pub fn check(scenario: &Scenario, facts_of: FactsOf) -> Vec<Problem> {
    let mut problems = Vec::new();
    let found = &mut problems;
    names(scenario, found);
    machine(scenario, found);
    for (nth, device) in scenario.machine.devices.iter().enumerate() {
        device_alone(nth, device, scenario.machine.chipset, facts_of, found);
    }
    targets(scenario, facts_of, found);
    roots(&scenario.machine.devices, facts_of, found);
    regions(&scenario.machine.devices, found);
    slots(scenario, found);
    kernels(scenario, found);
    kdump(scenario, found);
    limits(scenario, found);
    expect(scenario, found);
    super::userland::check(scenario, found);
    problems
}

fn root(key: &str) -> Path {
    Path::default().key(key)
}

fn names(scenario: &Scenario, found: &mut Vec<Problem>) {
    if !is_name(&scenario.name) {
        found.push(
            Problem::new(
                root("name"),
                format!("`{}` cannot be a scenario's name", scenario.name),
            )
            .help("small letters and digits, with hyphens between them"),
        );
    }
    if scenario.about.trim().is_empty() {
        found.push(
            Problem::new(root("about"), "`about` is empty")
                .help("say in a sentence what the drill shows"),
        );
    }
    if scenario.image.trim().is_empty() {
        let help = "the name of a file in images/, such as `debian-12`";
        found.push(Problem::new(root("image"), "`image` is empty").help(help));
    } else if !scenario
        .image
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        || scenario.image.starts_with('.')
    {
        let message = format!("`{}` cannot be an image's name", scenario.image);
        let help = "the name of a file in images/ without `.yaml`, such as `debian-12`";
        found.push(Problem::new(root("image"), message).help(help));
    }
}

/// Small letters and digits, with hyphens between them.
pub(super) fn is_name(name: &str) -> bool {
    name.split('-').all(|part| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    })
}

fn machine(scenario: &Scenario, found: &mut Vec<Problem>) {
    let machine = &scenario.machine;
    let path = |key| root("machine").key(key);
    if let Some(cpu) = &machine.cpu
        && (cpu.is_empty() || cpu.contains(char::is_whitespace))
    {
        found.push(
            Problem::new(path("cpu"), format!("`{cpu}` is no CPU model"))
                .help("QEMU's name of one, such as `qemu64`"),
        );
    }
    if machine.memory < LEAST_MEMORY {
        found.push(
            Problem::new(
                path("memory"),
                format!("{} of memory boot no kernel", machine.memory),
            )
            .help(format!("at least {LEAST_MEMORY}; `1G` is the default")),
        );
    } else if !machine.memory.0.is_multiple_of(Bytes::MIB) {
        found.push(
            Problem::new(path("memory"), "memory is no whole number of mebibytes")
                .help(format!("{}M", machine.memory.0 / Bytes::MIB)),
        );
    }
    if machine.apic == Apic::Flat && machine.cpus.get() > 8 {
        found.push(
            Problem::new(
                path("apic"),
                format!(
                    "flat APIC routing reaches 8 CPUs, and there are {}",
                    machine.cpus
                ),
            )
            .help("`physical`, or at most 8 CPUs")
            .rests_on(path("cpus")),
        );
    }
    if scenario.crash.cpu >= machine.cpus.get() {
        found.push(
            Problem::new(
                root("crash").key("cpu"),
                format!(
                    "there is no CPU {}: the machine has {}",
                    scenario.crash.cpu, machine.cpus
                ),
            )
            .help(match machine.cpus.get() {
                1 => "CPUs are counted from 0: write 0, or give `machine.cpus`".to_owned(),
                cpus => format!("CPUs are counted from 0: write 0 to {}", cpus - 1),
            })
            .rests_on(path("cpus")),
        );
    }
}

fn device_path(nth: usize) -> Path {
    root("machine").key("devices").index(nth)
}

fn device_alone(
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

/// All regions find a place.
fn regions(devices: &[Device], found: &mut Vec<Problem>) {
    let mut room = Room::ALL;
    for (nth, device) in devices.iter().enumerate() {
        let regions = device.bars.as_deref().unwrap_or_default();
        match room.without(regions, device.count.into()) {
            Ok(left) => room = left,
            Err(none) => {
                let help = "`64-bit` ones of memory lie above; leave out what nothing here needs";
                let bars = device_path(nth).key("bars");
                found.push(Problem::new(bars, none.to_string()).help(help));
                return;
            }
        }
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

/// Device numbers of the root bus that the chipset leaves free.
fn free_numbers(chipset: Chipset) -> std::ops::RangeInclusive<u8> {
    match chipset {
        // 0 is the host bridge, 0x1f the ICH9's functions.
        Chipset::Q35 => 0x1..=0x1e,
        // 0 is the host bridge, 1 the PIIX3's functions.
        Chipset::Pc => 0x2..=0x1f,
    }
}

fn slots(scenario: &Scenario, found: &mut Vec<Problem>) {
    let machine = &scenario.machine;
    let free = free_numbers(machine.chipset);
    let mut taken: BTreeMap<Slot, Path> = BTreeMap::new();
    // Cards with several ports, by the slot that each has to itself.
    let mut cards: BTreeMap<u8, Path> = BTreeMap::new();
    let mut unplaced: usize = 0;
    for (nth, device) in machine.devices.iter().enumerate() {
        let path = device_path(nth).key("slots");
        let Some(slots) = &device.slots else {
            // A card has a slot to itself.
            let each = if device.functions() > 1 { 8 } else { 1 };
            unplaced += each * usize::from(device.count);
            continue;
        };
        if slots.len() != usize::from(device.count) {
            let plural = |n: usize| if n == 1 { "" } else { "s" };
            let (given, count) = (slots.len(), usize::from(device.count));
            let message = format!(
                "{given} slot{} for {count} device{}",
                plural(given),
                plural(count)
            );
            found.push(
                Problem::new(path.clone(), message)
                    .help("one slot for each of `count`, or no `slots` at all")
                    .rests_on(device_path(nth).key("count")),
            );
        }
        for (index, slot) in slots.iter().enumerate() {
            let path = path.clone().index(index);
            if !free.contains(&slot.device) {
                let message = format!("slot {slot} belongs to the chipset");
                let help = format!("{:#x} to {:#x} are free", free.start(), free.end());
                let chipset = root("machine").key("chipset");
                found.push(
                    Problem::new(path.clone(), message)
                        .help(help)
                        .rests_on(chipset),
                );
            }
            if device.functions() > 1 && slot.function != 0 {
                let message = format!(
                    "a card with {} ports begins at function 0",
                    device.functions()
                );
                let ports = device_path(nth).key("ports");
                found.push(
                    Problem::new(path.clone(), message)
                        .help(format!("`{:#x}`: the card has the whole slot", slot.device))
                        .rests_on(ports),
                );
                continue;
            }
            if let Some(first) = taken.get(slot) {
                let message = format!("slot {slot} is taken by `{first}`");
                let help = "every device has a slot of its own";
                found.push(
                    Problem::new(path, message)
                        .help(help)
                        .rests_on(first.clone()),
                );
            } else {
                if device.functions() > 1 {
                    cards.insert(slot.device, path.clone());
                }
                taken.insert(*slot, path);
            }
        }
    }
    for (slot, path) in &taken {
        if let Some(card) = cards.get(&slot.device)
            && card != path
        {
            let message = format!("slot {slot} is in that of the card at `{card}`");
            let help = "a card with several ports has a slot to itself";
            found.push(
                Problem::new(path.clone(), message)
                    .help(help)
                    .rests_on(card.clone()),
            );
        }
    }
    for (slot, path) in &taken {
        let zero = Slot {
            device: slot.device,
            function: 0,
        };
        if !taken.contains_key(&zero) {
            found.push(
                Problem::new(
                    path.clone(),
                    format!("no device is at {zero}, so {slot} stays hidden"),
                )
                .help(format!(
                    "a guest looks at other functions only when there is {zero}"
                ))
                .rests_on(root("machine").key("devices")),
            );
        }
    }
    // Eight functions a slot; where each goes, the machine decides.
    let room = (free.count() * 8).saturating_sub(taken.len());
    if unplaced > room {
        let message = format!("{unplaced} devices do not fit the bus, which has room for {room}");
        let devices = root("machine").key("devices");
        found.push(
            Problem {
                on_key: true,
                ..Problem::new(devices.clone(), message)
            }
            .help("fewer devices, or several in one slot: `slots: [0x8.0, 0x8.1]`")
            .rests_on(devices),
        );
    }
}

fn kernels(scenario: &Scenario, found: &mut Vec<Problem>) {
    let memory = scenario.machine.memory;
    if let Reserved::Bytes(size) = scenario.crashkernel.reserved(memory)
        && size >= memory
    {
        found.push(
            Problem::new(
                root("crashkernel"),
                format!("a machine with {memory} of memory cannot reserve {size}"),
            )
            .help("a smaller reservation, or more `machine.memory`")
            .rests_on(root("machine").key("memory")),
        );
    }
    let first = &scenario.first_kernel;
    let mut texts = vec![(root("first-kernel").key("append"), Some(&first.append))];
    if let SysconfigFile::Keys(keys) = &scenario.kdump.sysconfig {
        let sysconfig = |key| root("kdump").key("sysconfig").key(key);
        let (base, remove) = (&keys.kdump_commandline, &keys.kdump_commandline_remove);
        let append = &keys.kdump_commandline_append;
        texts.extend([
            (sysconfig("KDUMP_COMMANDLINE"), base.as_ref()),
            (sysconfig("KDUMP_COMMANDLINE_REMOVE"), remove.as_ref()),
            (sysconfig("KDUMP_COMMANDLINE_APPEND"), append.as_ref()),
            (sysconfig("KEXEC_ARGS"), keys.kexec_args.as_ref()),
        ]);
    }
    for (path, text) in texts {
        let Some(text) = text else { continue };
        if text.trim_end_matches('\n').contains(['\n', '\0']) {
            let help = "one line; in YAML, `>-` joins several to one";
            found.push(Problem::new(path.clone(), "a command line has one line").help(help));
        }
        nr_cpus(path, text, found);
    }
    for (path, drivers) in [
        (root("first-kernel").key("drivers"), Some(&first.drivers)),
        (
            root("capture").key("drivers"),
            scenario.capture.drivers.as_ref(),
        ),
    ] {
        for (index, driver) in drivers.into_iter().flatten().enumerate() {
            driver_name(path.clone().index(index), driver, found);
        }
    }
    for file in scenario.capture.files.keys() {
        let bad = match file.strip_prefix('/') {
            None => Some("is not absolute"),
            Some(_) if file.contains('\0') => Some("has a NUL in it"),
            Some(rest) if rest.split('/').any(|part| part == "..") => Some("has `..` in it"),
            Some(rest) if rest.is_empty() || rest.ends_with('/') => Some("is no file's"),
            Some(_) => None,
        };
        if let Some(bad) = bad {
            let path = root("capture").key("files").key(file);
            found.push(
                Problem {
                    on_key: true,
                    ..Problem::new(path, format!("the path `{file}` {bad}"))
                }
                .help("a path in the capture initramfs, such as `/usr/local/bin/pre.sh`"),
            );
        }
    }
}

fn nr_cpus(path: Path, text: &str, found: &mut Vec<Problem>) {
    let Some(value) = last_value(text, "nr_cpus") else {
        return;
    };
    if value.parse::<u16>().is_ok_and(|cpus| cpus > 0) {
        return;
    }
    let inside = text
        .rfind("nr_cpus=")
        .map(|at| at..at + "nr_cpus=".len() + value.len());
    let problem = Problem::new(path, format!("`nr_cpus={value}` is no number of CPUs"));
    found.push(Problem { inside, ..problem }.help("a number from 1, such as `nr_cpus=1`"));
}

fn driver_name(path: Path, driver: &str, found: &mut Vec<Problem>) {
    let plausible = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if driver.is_empty() || !driver.chars().all(plausible) {
        if driver.trim().contains(char::is_whitespace) {
            let names: Vec<_> = driver.split_whitespace().collect();
            let help = format!("one name an item: [{}]", names.join(", "));
            let message = format!("`{driver}` is no driver's name");
            found.push(Problem::new(path, message).help(help));
            return;
        }
        let stem = driver.rsplit('/').next().unwrap_or(driver);
        let stem = stem.split('.').next().unwrap_or(stem).trim();
        let help = match stem {
            "" => "a module's name, such as `nvme`".to_owned(),
            stem => format!("the module's name alone: `{stem}`"),
        };
        found.push(Problem::new(path, format!("`{driver}` is no driver's name")).help(help));
    }
}

fn kdump(scenario: &Scenario, found: &mut Vec<Problem>) {
    let kdump = &scenario.kdump;
    let path = |key: &str| root("kdump").key(key);
    let flavour = kdump.flavour;
    let mut stranger = |key: &str, message: String, help: &str| {
        found.push(
            Problem {
                on_key: true,
                ..Problem::new(path(key), message)
            }
            .help(help)
            .rests_on(path("flavour")),
        );
    };
    let redhat = !matches!(flavour, Flavour::Debian | Flavour::Opensuse);
    if kdump.conf.is_some() && !redhat {
        let help = match flavour {
            Flavour::Debian => {
                "its configuration is `kdump-tools`, the text of /etc/default/kdump-tools"
            }
            _ => "its configuration is `sysconfig`, the text of /etc/sysconfig/kdump",
        };
        stranger("conf", format!("{flavour} has no kdump.conf"), help);
    }
    if kdump.sysconfig != SysconfigFile::default() {
        if flavour == Flavour::Debian {
            let message = "debian has no /etc/sysconfig/kdump".to_owned();
            stranger("sysconfig", message, "its configuration is `kdump-tools`");
        } else if flavour == Flavour::Opensuse && matches!(kdump.sysconfig, SysconfigFile::Keys(_))
        {
            let message = "these keys are not those of openSUSE's file".to_owned();
            stranger(
                "sysconfig",
                message,
                "write the file's own text: `sysconfig: |`",
            );
        }
    }
    if kdump.kdump_tools.is_some() && flavour != Flavour::Debian {
        let message = format!("{flavour} has no /etc/default/kdump-tools");
        stranger(
            "kdump-tools",
            message,
            "`flavour: debian`, or remove the key",
        );
    }
    for error in Configuration::read(kdump).err().into_iter().flatten() {
        let key = match error.file {
            ConfigFile::KdumpConf => "conf",
            ConfigFile::Sysconfig => "sysconfig",
            ConfigFile::KdumpTools => "kdump-tools",
        };
        let message = format!("{}, line {}: {}", error.file, error.line, error.message);
        found.push(
            Problem {
                inside: Some(error.at),
                help: error.help,
                ..Problem::new(path(key), message)
            }
            .rests_on(path("flavour")),
        );
    }
}

fn limits(scenario: &Scenario, found: &mut Vec<Problem>) {
    let limits = &scenario.limits;
    let path = |key| root("limits").key(key);
    for (key, value) in [
        ("total", limits.total),
        ("silence", limits.silence),
        ("target", limits.target),
    ] {
        if value.0 == 0 {
            let problem = Problem::new(path(key), format!("`{key}` is no time at all"));
            found.push(problem.help("a time such as 90s, 2m or 500ms"));
        }
    }
    for (key, value) in [("silence", limits.silence), ("target", limits.target)] {
        if value >= limits.total && value.0 > 0 && limits.total.0 > 0 {
            found.push(
                Problem::new(
                    path(key),
                    format!(
                        "`{key}` ({value}) never comes before `total` ({})",
                        limits.total
                    ),
                )
                .help("the whole drill takes longer than any part of it")
                .rests_on(path("total")),
            );
        }
    }
}

fn expect(scenario: &Scenario, found: &mut Vec<Problem>) {
    for (nth, sentence) in scenario.fidelity.iter().enumerate() {
        if sentence.trim().is_empty() {
            let path = root("fidelity").index(nth);
            let help = "say in a sentence what is different, or remove the item";
            found.push(Problem::new(path, "this says nothing").help(help));
        }
    }
    let Some(expect) = &scenario.expect else {
        return;
    };
    let path = |key| root("expect").key(key);
    if expect.verdict == Verdict::Unknown {
        let message = "no drill ends in `unknown`: crashdrill sees all of it";
        found.push(
            Problem::new(path("verdict"), message)
                .help("the verdict that you expect, or no `expect`"),
        );
    }
    let Some(cause) = &expect.cause else {
        return;
    };
    let book = RuleBook::builtin();
    let causes = book.rules().iter().filter_map(|rule| rule.cause.as_ref());
    let known: BTreeSet<String> = causes.map(ToString::to_string).collect();
    let given = cause.to_string();
    if !known.contains(&given) && *cause != Cause::UNKNOWN {
        let help = match suggest::closest(&given, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("one of {}", Vec::from_iter(known).join(", ")),
        };
        let message = format!("crashdrill knows no cause `{given}`");
        found.push(Problem::new(path("cause"), message).help(help));
    }
    if (expect.verdict == Verdict::VmcoreSaved) != (*cause == Cause::NONE) {
        let message = match expect.verdict {
            Verdict::VmcoreSaved => "a dump that was saved has no cause",
            _ => "`none` is the cause of `vmcore-saved` alone",
        };
        let help = "remove `cause`: then any will do";
        found.push(
            Problem::new(path("cause"), message)
                .help(help)
                .rests_on(path("verdict")),
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
