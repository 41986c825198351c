//! A customer's PCI functions to lines of `machine.devices`.
//!
//! In this order: crashdrill's model or QEMU's device with the customer's driver; for a function whose
//! driver neither has, a filler that takes as many vectors in the capture kernel; and `generic`, with
//! its ids and its table, for one that takes none there. Functions with neither vectors nor a table
//! are left out: they decide nothing over kdump.

mod bus;
mod generic;
mod row;
mod target;
mod virtual_functions;

use std::collections::BTreeMap;

pub use row::Row;
use row::what;
use target::{line_of, target};
use virtual_functions::virtual_functions;

use super::ImportError;
use super::asked::asked;
use super::facts::{Facts, InterruptKind, PciAddress, PciFunction, PciId};
use super::stand_in::{self, StandIn, driver};
use crate::machine::catalogue;
use crate::pci::{self, Room};
use crate::scenario::TableRule;
use crate::scenario::model::{Device, DeviceKind};
use crate::units::TableSize;
use crate::vectors::{Asking, wanted};

/// What decides which devices a drill has.
pub(super) struct Setting<'a> {
    /// With the customer's kernel.
    pub(super) theirs: Asking,
    /// With the image's.
    pub(super) ours: Asking,
    /// Drivers that the capture kernel does not load, with underscores.
    pub(super) kept_out: &'a [String],
    /// Leave out what the capture kernel has no driver for.
    pub(super) capture_only: bool,
    /// The dump goes over the network.
    pub(super) network: bool,
}

/// The devices of the drill.
pub(super) struct Devices {
    /// In the order of their slots, which are stated.
    pub(super) lines: Vec<Stated>,
    /// One for each of the customer's functions or cards, in their order.
    pub(super) rows: Vec<Row>,
    /// How the target was found, where that needs saying.
    pub(super) target: Option<String>,
}

/// A line of `machine.devices`.
pub(super) struct Stated {
    pub(super) device: Device,
    /// Above it.
    pub(super) comment: String,
}

/// One device to be placed, with the customer's functions that it stands for.
struct Unit {
    device: Device,
    row: usize,
    /// Of the customer's card.
    group: usize,
}

/// A function with what is known of it.
#[derive(Clone, Copy)]
struct One<'a> {
    at: PciAddress,
    function: &'a PciFunction,
    driver: Option<&'a str>,
    /// Vectors that its driver has in the first kernel.
    first: Option<u16>,
    /// Vectors that its driver asks for in the capture kernel.
    capture: u16,
    /// A virtual function, which is not there in the capture kernel.
    gone: bool,
    target: bool,
}

/// Decides.
///
/// # Errors
/// They do not fit the bus.
pub(super) fn devices(facts: &Facts, setting: &Setting<'_>) -> Result<Devices, ImportError> {
    let shown = facts
        .functions
        .values()
        .any(|function| function.driver.is_some());
    let (target, said) = target(facts, setting.network, shown);
    let mut found = Found {
        units: Vec::new(),
        rows: Vec::new(),
        room: Room::ALL,
        single: None,
    };
    let gone = virtual_functions(facts);
    let mut groups: BTreeMap<(u32, u8, u8), Vec<One<'_>>> = BTreeMap::new();
    for (at, function) in &facts.functions {
        let driver = driver(function, shown);
        let gone = gone.contains(at);
        let loaded = driver.filter(|name| !gone && !setting.kept_out.iter().any(|out| out == name));
        let first = first_of(facts, function, driver);
        let capture = loaded.map_or(0, |driver| asked(function, driver, first, setting.theirs));
        let one = One {
            at: *at,
            function,
            driver,
            first,
            capture,
            gone,
            target: target == Some(*at),
        };
        let card = (at.domain, at.bus, at.slot.device);
        groups.entry(card).or_default().push(one);
    }
    for (group, card) in groups.into_values().enumerate() {
        found.card(group, &card, setting);
    }
    if target.is_none() {
        found.made_up_target(setting);
    }
    found.placed(line_of(facts, target), said)
}

/// Vectors of a function in the first kernel. Some interrupts are called after the function, others
/// after its driver: then all of its functions are taken to have as many.
fn first_of(facts: &Facts, function: &PciFunction, driver: Option<&str>) -> Option<u16> {
    let each = driver.and_then(|driver| each(facts, driver));
    function.vectors.max(each)
}

/// Interrupts that are called after a driver, for each of its functions.
fn each(facts: &Facts, driver: &str) -> Option<u16> {
    let of = |action: &String| {
        let rest = action.strip_prefix(driver);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphabetic()))
    };
    let all = facts.interrupts.iter().map(|interrupt| &interrupt.value);
    let messages = all.filter(|it| it.kind == InterruptKind::Message && it.actions.iter().any(of));
    let functions = facts.functions.values();
    let functions = functions
        .filter(|it| it.driver.as_deref() == Some(driver))
        .count();
    let each = messages.count().checked_div(functions)?;
    u16::try_from(each).ok().filter(|each| *each > 0)
}

struct Found {
    units: Vec<Unit>,
    rows: Vec<Row>,
    /// For the regions of what is only shown.
    room: Room,
    /// A function with one vector, which no filler has alone: the next is filled together with it.
    single: Option<usize>,
}

impl Found {
    fn card(&mut self, group: usize, card: &[One<'_>], setting: &Setting<'_>) {
        let mut rest = card;
        while let Some(first) = rest.first() {
            // Functions alike are one line.
            let alike = |one: &&One<'_>| {
                let (one, other) = (one.function, first.function);
                one.id == other.id && one.msix.map(|it| it.size) == other.msix.map(|it| it.size)
            };
            let run = rest
                .iter()
                .take_while(|one| {
                    alike(one)
                        && !one.target
                        && one.driver == first.driver
                        && one.capture == first.capture
                        && one.gone == first.gone
                })
                .count()
                .max(1);
            let (these, behind) = rest.split_at(run);
            self.alike(group, these, setting);
            rest = behind;
        }
    }

    /// Functions of one card that differ in nothing but their numbers.
    fn alike(&mut self, group: usize, these: &[One<'_>], setting: &Setting<'_>) {
        let Some(first) = these.first() else { return };
        let function = first.function;
        let row = self.rows.len();
        let counts: Option<Vec<u32>> = these.iter().map(|one| one.first.map(u32::from)).collect();
        self.rows.push(Row {
            at: these.iter().map(|one| one.at).collect(),
            what: what(function),
            driver: first.driver.map(str::to_owned),
            table: function.msix.map(|msix| msix.size.get()),
            stands: None,
            lost: String::new(),
            first: counts.map(|counts| counts.iter().sum()),
            capture: these.iter().map(|one| u32::from(one.capture)).sum(),
            ours: 0,
        });
        let out = first
            .driver
            .is_some_and(|driver| setting.kept_out.iter().any(|out| out == driver));
        let found = first
            .driver
            .and_then(|driver| stand_in::stand_in(function, driver));
        if first.target {
            let usable = |kind| {
                let entry = catalogue::entry(kind);
                if setting.network {
                    entry.network
                } else {
                    entry.disk.is_some()
                }
            };
            let other = stand_in::target(setting.network);
            let stand_in = found.filter(|found| usable(found.kind)).unwrap_or(&other);
            self.stands(group, row, these, stand_in, setting);
            return;
        }
        if first.gone {
            self.rows[row].lost =
                "a virtual function: the capture kernel turns SR-IOV off before it looks for any"
                    .to_owned();
            return;
        }
        match found {
            Some(_) if out && setting.capture_only => {
                self.rows[row].lost = "the capture kernel does not load its driver".to_owned();
            }
            // A driver that only the capture kernel's initramfs decides about.
            Some(found) => self.stands(group, row, these, found, setting),
            None if first.capture > 0 => {
                let driver = first.driver.unwrap_or_default();
                self.rows[row].lost = format!(
                    "virtio_console takes the vectors of {driver}, and nothing of {driver} runs"
                );
                for one in these {
                    self.fill(group, row, one.capture);
                }
            }
            None if setting.capture_only => {
                self.rows[row].lost =
                    "no driver takes a vector for it in the capture kernel".to_owned();
            }
            None if function.msix.is_some() && function.id.is_some() => {
                self.generic(group, row, these);
            }
            None => {
                self.rows[row].lost = "it takes no vector".to_owned();
            }
        }
    }

    fn stands(
        &mut self,
        group: usize,
        row: usize,
        these: &[One<'_>],
        stand_in: &StandIn,
        setting: &Setting<'_>,
    ) {
        let kind = stand_in.kind;
        let facts = catalogue::facts(kind);
        let entry = catalogue::entry(kind);
        let Some(first) = these.first() else { return };
        let mut lost: Vec<String> = Vec::new();
        if !stand_in.lost.is_empty() {
            lost.push(stand_in.lost.to_owned());
        }
        let mut device = Device::new(kind);
        let theirs = first.function.msix.map(|msix| msix.size);
        let table = match facts.table {
            TableRule::None => 0,
            TableRule::Fixed(size) => {
                if theirs.is_some_and(|theirs| theirs.get() != size) {
                    lost.push(format!(
                        "a table of {size} entries for {}",
                        theirs.map_or(0, TableSize::get)
                    ));
                }
                size
            }
            TableRule::Free { min, max } => {
                device.msix = theirs.and_then(|size| TableSize::new(size.get().clamp(min, max)));
                entry
                    .table(device.msix, setting.ours.possible)
                    .unwrap_or_default()
            }
        };
        if let Some(model) = &entry.model {
            let id = first.function.id.map(id);
            match id {
                Some(id) if model.ids.contains(&id) => device.id = Some(id),
                Some(id) => lost.push(format!("{} for their {id}", model.id)),
                None => {}
            }
            if let (Some(subsystem), Some(_)) = (first.function.subsystem, device.id) {
                device.subsystem = Some(self::id(subsystem));
            }
        }
        device.target = first.target;
        let whole = these
            .iter()
            .enumerate()
            .all(|(nth, one)| usize::from(one.at.slot.function) == nth);
        let ports = u8::try_from(these.len())
            .ok()
            .filter(|ports| matches!(ports, 2 | 4));
        let ours = wanted(kind, table, setting.ours);
        let ports = ports
            .filter(|_| whole && facts.ports)
            .and_then(|ports| serde_json::from_value::<pci::Ports>(ports.into()).ok());
        self.rows[row].lost = lost.join("; ");
        match ports {
            Some(_) => {
                device.ports = ports;
                self.unit(group, row, device, u32::from(ours) * these.len() as u32);
            }
            None => {
                for _ in these {
                    self.unit(group, row, device.clone(), ours.into());
                }
            }
        }
        // The customer's driver asks for more: so do the fillers.
        for one in these {
            if let Some(more) = one.capture.checked_sub(ours).filter(|more| *more > 0) {
                self.fill(group, row, more);
            }
        }
    }

    /// virtio-serial devices that take so many vectors: 2, 3, or any even number above.
    fn fill(&mut self, group: usize, row: usize, vectors: u16) {
        /// The most that one has (511 ports).
        const MOST: u16 = 1024;
        let mut left = vectors;
        while left > 0 {
            let part = match left {
                1 => match self.single.take() {
                    Some(other) => {
                        if other != row {
                            let name = self.rows[row].stands.clone().unwrap_or_else(|| filler(2));
                            self.rows[other].stands.get_or_insert(name);
                            let with = self.rows[other].at.last().map(|at| at.short());
                            let with = with.unwrap_or_default();
                            add(
                                &mut self.rows[row].lost,
                                &format!("one of the vectors is that of {with}"),
                            );
                            self.rows[other].ours += 1;
                            self.rows[row].ours = self.rows[row].ours.saturating_sub(1);
                        }
                        2
                    }
                    None => {
                        self.single = Some(row);
                        return;
                    }
                },
                2 | 3 => left,
                MOST.. => MOST,
                5 => 2,
                odd if odd % 2 == 1 => odd - 3,
                even => even,
            };
            let mut device = Device::new(DeviceKind::VirtioSerial);
            device.msix = TableSize::new(part);
            self.unit(group, row, device, part.into());
            left = left.saturating_sub(part);
        }
    }

    fn unit(&mut self, group: usize, row: usize, device: Device, ours: u32) {
        let name = match device.device {
            DeviceKind::VirtioSerial => filler(device.msix.map_or(0, TableSize::get)),
            kind => match device.ports {
                Some(ports) => {
                    format!("{} with {} ports", catalogue::entry(kind).name, ports.get())
                }
                None => catalogue::entry(kind).name.to_owned(),
            },
        };
        let stated = &mut self.rows[row];
        match &mut stated.stands {
            Some(before) if !before.split(" + ").any(|it| it == name) => {
                add_to(before, &name, " + ")
            }
            Some(_) => {}
            before @ None => *before = Some(name),
        }
        stated.ours += ours;
        self.units.push(Unit { device, row, group });
    }

    /// Where the files show nothing that a dump could go to.
    fn made_up_target(&mut self, setting: &Setting<'_>) {
        let kind = if setting.network {
            DeviceKind::E1000e
        } else {
            DeviceKind::Nvme
        };
        let mut device = Device::new(kind);
        device.target = true;
        let row = self.rows.len();
        self.rows.push(Row {
            at: Vec::new(),
            what: "dump target".to_owned(),
            driver: None,
            table: None,
            stands: None,
            lost: "made up, as the files show none".to_owned(),
            first: None,
            capture: 0,
            ours: 0,
        });
        let ours = wanted(kind, 65, setting.ours);
        self.unit(usize::MAX, row, device, ours.into());
    }
}

fn filler(vectors: u16) -> String {
    format!("virtio-serial with {vectors} vectors")
}

fn add(lost: &mut String, more: &str) {
    add_to(lost, more, "; ");
}

fn add_to(text: &mut String, more: &str, between: &str) {
    if !text.is_empty() {
        text.push_str(between);
    }
    text.push_str(more);
}

fn id(id: PciId) -> pci::Id {
    pci::Id::new(id.vendor, id.device)
}
