//! A customer's PCI functions to lines of `machine.devices`.
//!
//! In this order: crashdrill's model or QEMU's device with the customer's driver; for a function whose
//! driver neither has, a filler that takes as many vectors in the capture kernel; and `generic`, with
//! its ids and its table, for one that takes none there. Functions with neither vectors nor a table
//! are left out: they decide nothing over kdump.

use std::collections::BTreeMap;

use super::ImportError;
use super::asked::asked;
use super::facts::{Facts, InterruptKind, PciAddress, PciFunction, PciId};
use super::place::{Need, What, place};
use super::stand_in::{self, StandIn, driver};
use crate::machine::catalogue;
use crate::pci;
use crate::scenario::TableRule;
use crate::scenario::model::{Device, DeviceKind, Line};
use crate::units::{Slot, TableSize};
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

/// What became of a customer's function, or of all of a card's with one driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it is.
    pub at: Vec<PciAddress>,
    /// What it is.
    pub what: String,
    /// Its driver in the first kernel.
    pub driver: Option<String>,
    /// Entries of its MSI-X table.
    pub table: Option<u16>,
    /// What stands for it, as a scenario has it; none if it is left out.
    pub stands: Option<String>,
    /// What is lost, or why it is left out.
    pub lost: String,
    /// Vectors that all of these functions had in the first kernel.
    pub first: Option<u32>,
    /// Vectors that their drivers ask for in the capture kernel.
    pub capture: u32,
    /// Vectors that what stands for it asks for there.
    pub ours: u32,
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
    let mut found = Found::default();
    let mut groups: BTreeMap<(u32, u8, u8), Vec<One<'_>>> = BTreeMap::new();
    for (at, function) in &facts.functions {
        let driver = driver(function, shown);
        let loaded = driver.filter(|name| !setting.kept_out.iter().any(|out| out == name));
        let first = first_of(facts, function, driver);
        let capture = loaded.map_or(0, |driver| asked(function, driver, first, setting.theirs));
        let one = One {
            at: *at,
            function,
            driver,
            first,
            capture,
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

/// The function that the dump goes through, and what is to be said about it.
fn target(facts: &Facts, network: bool, shown: bool) -> (Option<PciAddress>, Option<String>) {
    let known = facts
        .target
        .as_ref()
        .map(|target| target.functions.as_slice());
    let there = |at: &&PciAddress| facts.functions.contains_key(at);
    if let Some(at) = known.unwrap_or_default().iter().find(there) {
        let said = (known.unwrap_or_default().len() > 1).then(|| {
            let at = at.short();
            format!("several paths lead to the dump target; the drill has the one by {at}")
        });
        return (Some(*at), said);
    }
    let carries = |function: &PciFunction| match (network, function.class.map(|class| class >> 8)) {
        (false, Some(0x01)) | (true, Some(0x02)) => driver(function, shown).is_some(),
        _ => false,
    };
    let all: Vec<_> = facts
        .functions
        .iter()
        .filter(|(_, it)| carries(it))
        .collect();
    let what = if network { "network" } else { "storage" };
    match all.as_slice() {
        [] => (
            None,
            Some(format!(
                "the files show no {what} adapter with a driver: the dump target is made up"
            )),
        ),
        [(at, _)] => (
            Some(**at),
            Some(format!(
                "the only {what} adapter, so the dump is taken to go through it"
            )),
        ),
        several => {
            // SAS and RAID before SATA, where servers have a CD drive or nothing; a card that dumps
            // can be sent through here before others.
            let likely = |function: &PciFunction| match network {
                false => function.class != Some(0x0106),
                true => driver(function, shown)
                    .and_then(|name| stand_in::stand_in(function, name))
                    .is_some_and(|found| catalogue::entry(found.kind).network),
            };
            let best = several
                .iter()
                .find(|(_, it)| likely(it))
                .unwrap_or(&several[0]);
            (
                Some(*best.0),
                Some(format!(
                    "the files do not tell which of {} {what} adapters the dump goes through: this is \
                     the first; another line can have `target: true`",
                    several.len()
                )),
            )
        }
    }
}

/// Whether the dump target has an interrupt line of its own, as far as the files tell.
fn line_of(facts: &Facts, target: Option<PciAddress>) -> Option<Line> {
    let target = target?;
    // A message's number is in the same place while MSI is in use.
    let line = |function: &PciFunction| {
        let msi = function.msi.is_some_and(|msi| msi.enabled);
        function.line.filter(|_| !msi)?.irq
    };
    let Some(own) = facts.functions.get(&target).and_then(line) else {
        return Some(Line::Own);
    };
    let others = facts.functions.iter().filter(|(at, _)| **at != target);
    let shared = others
        .filter(|(_, it)| it.driver.is_some())
        .any(|(_, it)| line(it) == Some(own));
    let named = facts.interrupts.iter().map(|it| &it.value).any(|it| {
        it.irq == own && matches!(it.kind, InterruptKind::Line(_)) && it.actions.len() > 1
    });
    (!shared && !named).then_some(Line::Own)
}

#[derive(Default)]
struct Found {
    units: Vec<Unit>,
    rows: Vec<Row>,
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

    fn generic(&mut self, group: usize, row: usize, these: &[One<'_>]) {
        for one in these {
            let function = one.function;
            let mut device = Device::new(DeviceKind::Generic);
            device.id = function.id.map(id);
            device.subsystem = function.subsystem.map(id);
            let class = function.class.filter(|class| *class != 0x0604);
            device.class = class.map(|class| {
                let [class, subclass] = class.to_be_bytes();
                pci::Class::new(class, subclass, function.prog_if.unwrap_or(0))
            });
            device.rev = (function.revision > 0).then_some(pci::Revision(function.revision));
            device.msix = function.msix.map(|msix| msix.size);
            device.msi = function.msi.is_some();
            self.unit(group, row, device, 0);
        }
        self.rows[row].lost = "it is on the bus, and nothing answers in it".to_owned();
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

    /// With a slot for each.
    fn placed(
        mut self,
        line: Option<Line>,
        target: Option<String>,
    ) -> Result<Devices, ImportError> {
        if let Some(row) = self.single.take() {
            let row = &mut self.rows[row];
            add(&mut row.lost, "its last vector is not taken");
        }
        let mut slots = place(&self.needs(line));
        if slots.is_none() {
            // Fewer of what is only there to be seen.
            let rows = &mut self.rows;
            self.units.retain(|unit| {
                let shown = unit.device.device == DeviceKind::Generic;
                if shown {
                    let row = &mut rows[unit.row];
                    row.stands = None;
                    row.lost = "bus 0 has no room for it".to_owned();
                }
                !shown
            });
            slots = place(&self.needs(line));
        }
        if slots.is_none() {
            // Adapters whose SR-IOV functions take the room of several.
            self.without_virtual_functions();
            slots = place(&self.needs(line));
        }
        let slots = slots.ok_or(ImportError::Bus(self.units.len()))?;
        let lines = self.lines(&slots, line);
        Ok(Devices {
            lines,
            rows: self.rows,
            target,
        })
    }

    fn without_virtual_functions(&mut self) {
        let units = std::mem::take(&mut self.units);
        for unit in units {
            if !catalogue::entry(unit.device.device).virtual_functions || unit.device.target {
                self.units.push(unit);
                continue;
            }
            let row = &mut self.rows[unit.row];
            row.stands = None;
            row.lost =
                "bus 0 has no room for its SR-IOV functions; virtio_console takes its vectors"
                    .to_owned();
            let vectors = row.ours / row.at.len().max(1) as u32;
            row.ours = row.ours.saturating_sub(vectors);
            self.fill(unit.group, unit.row, u16::try_from(vectors).unwrap_or(0));
        }
    }

    fn needs(&self, line: Option<Line>) -> Vec<Need> {
        let need = |unit: &Unit| Need {
            functions: unit.device.functions(),
            group: unit.group,
            what: match &unit.device {
                device if device.target && line == Some(Line::Own) => What::OwnLine,
                device if catalogue::entry(device.device).virtual_functions => {
                    What::VirtualFunctions
                }
                device if device.ports.is_some() => What::Card,
                _ => What::Plain,
            },
        };
        self.units.iter().map(need).collect()
    }

    /// Neighbours that differ in nothing but their slots are one line.
    fn lines(&self, slots: &[Slot], line: Option<Line>) -> Vec<Stated> {
        let mut lines: Vec<(usize, Stated)> = Vec::new();
        for (unit, slot) in self.units.iter().zip(slots) {
            if let Some((row, last)) = lines.last_mut()
                && *row == unit.row
                && let Some(mut all) = last.device.slots.take()
            {
                let same = Device {
                    count: last.device.count,
                    ..unit.device.clone()
                } == last.device;
                if same {
                    all.push(*slot);
                    last.device.count += 1;
                }
                last.device.slots = Some(all);
                if same {
                    continue;
                }
            }
            let mut device = unit.device.clone();
            device.slots = Some(vec![*slot]);
            if device.target {
                device.line = line;
            }
            let comment = match lines.last() {
                Some((row, _)) if *row == unit.row => String::new(),
                _ => comment(&self.rows[unit.row]),
            };
            lines.push((unit.row, Stated { device, comment }));
        }
        lines.into_iter().map(|(_, line)| line).collect()
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

/// What a function is, with its ids.
fn what(function: &PciFunction) -> String {
    let description = function.description.split_whitespace();
    let mut text = description.collect::<Vec<_>>().join(" ");
    text.retain(|c| !c.is_control());
    if text.chars().count() > 70 {
        text = text.chars().take(69).chain(['…']).collect();
    }
    match (text.is_empty(), function.id) {
        (false, Some(id)) => format!("{text} [{id}]"),
        (false, None) => text,
        (true, Some(id)) => format!("[{id}]"),
        (true, None) => "an unknown function".to_owned(),
    }
}

fn comment(row: &Row) -> String {
    let mut text = String::new();
    match row.at.as_slice() {
        [] => {}
        [one] => text = format!("{} ", one.short()),
        [first, .., last] => text = format!("{} to {} ", first.short(), last.short()),
    }
    text.push_str(&row.what);
    if let Some(driver) = &row.driver {
        text.push_str(&format!(", {driver}"));
    }
    match (row.capture, row.ours) {
        (0, 0) => {}
        (theirs, ours) if theirs == ours => {
            let vectors = if ours == 1 { "vector" } else { "vectors" };
            text.push_str(&format!(
                ": {theirs} {vectors} in the capture kernel, as there"
            ));
        }
        (theirs, ours) => {
            let vectors = if ours == 1 { "vector" } else { "vectors" };
            text.push_str(&format!(
                ": {ours} {vectors} in the capture kernel, {theirs} there"
            ));
        }
    }
    if !row.lost.is_empty() {
        text.push_str(&format!(". Lost: {}", row.lost));
    }
    text.push('.');
    text
}
