//! Who gets which interrupt vectors in a capture kernel, said before anything boots.
//!
//! One x86 CPU has some two hundred vectors for devices ([`Kernel`]), each driver asks for its own
//! number of them ([`rules`]), and they are given away in the order in which drivers are loaded.
//! Everything here is pure; [`Setting`] is all that decides.

mod kernel;
mod matrix;
mod rules;

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

pub use kernel::{Assignment, Kernel};

use self::matrix::Matrix;
use self::rules::{Asking, Attempt, Msix, Requested, Rule};
use crate::kdump::commandline::last_value;
use crate::kdump::words::kernel_words;
use crate::machine::{MachinePlan, slots};
use crate::scenario::model::{Apic, Chipset, DeviceKind};
use crate::units::Slot;

/// All that decides who gets which vectors in a capture kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The kernel.
    pub kernel: Kernel,
    /// CPUs that the capture kernel may ever have (`num_possible_cpus`).
    pub possible: u16,
    /// CPUs that it starts.
    pub online: u16,
    /// CPUs of the machine that it could have.
    pub most: u16,
    /// How the machine has its interrupts routed.
    pub apic: Apic,
    /// Decides which interrupt lines there are.
    pub chipset: Chipset,
    /// `pci=nomsi` is not on the command line.
    pub msi: bool,
    /// `pcie_ports=compat` is not.
    pub port_services: bool,
    /// The functions, in any order.
    pub devices: Vec<Device>,
    /// What is loaded, in this order.
    pub drivers: Vec<Driver>,
}

/// One PCI function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Where it is.
    pub slot: Slot,
    /// What it is.
    pub kind: Kind,
    /// Entries of its MSI-X table.
    pub table: u16,
    /// It is a network adapter, and is opened once all drivers are loaded.
    pub opened: bool,
}

/// A device of a scenario, or one that the chipset brings along and that takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of the scenario.
    Scenario(DeviceKind),
    /// The SATA controller of q35.
    Sata,
    /// The SMBus controller of q35.
    Smbus,
}

/// One driver of the capture kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// Its name, with underscores.
    pub name: String,
    /// What keeps it from being loaded, as the configuration has it.
    pub kept_out_by: Option<String>,
}

/// What is going to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Prediction {
    /// CPUs that the capture kernel has running.
    pub cpus: u16,
    /// CPUs that it counts with: `maxcpus=` leaves them possible.
    pub possible_cpus: u16,
    /// How vectors are shared among them.
    pub routing: Routing,
    /// Vectors that all these CPUs together have for devices, before any driver is loaded.
    pub available: u32,
    /// Vectors that the drivers would take if there were enough.
    pub demand: u32,
    /// Vectors that they take, interrupt lines among them.
    pub taken: u32,
    /// In the order in which they ask; those whose driver is not loaded come last.
    pub devices: Vec<Forecast>,
    /// The smallest number of CPUs with which everybody gets what it asks for, if the machine has
    /// as many.
    pub needed_cpus: Option<u16>,
}

/// How CPUs share vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Routing {
    /// A vector is taken on all CPUs at once: logical flat routing before 4.15.
    Shared,
    /// Each CPU has its own.
    PerCpu,
}

/// One device's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Forecast {
    /// `00:05.0`.
    pub slot: String,
    /// The catalogue's name, or vendor:device for what the chipset brings along.
    pub device: &'static str,
    /// The module that asks; null where it is part of every kernel.
    pub driver: Option<&'static str>,
    /// Entries of its MSI-X table.
    pub table: u16,
    /// Vectors that its driver wants; 1 for an interrupt line.
    pub asked: u32,
    /// MSI and MSI-X vectors that its driver holds once all are loaded, as /sys lists them.
    pub granted: u32,
    /// Vectors of CPUs that are gone for it, its interrupt line's among them.
    pub taken: u32,
    /// What became of it.
    pub got: Got,
}

/// What becomes of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Got {
    /// What its driver wants.
    All,
    /// Fewer vectors; it works.
    Fewer,
    /// The interrupt line, for want of vectors; it works.
    Line,
    /// Vectors that were only counted, and are refused when the network interface is opened.
    Refused,
    /// Nothing: its driver gives up.
    Nothing,
    /// Its driver is kept out, by this.
    KeptOut(String),
    /// Its driver is not loaded.
    NoDriver,
}

impl Got {
    /// Whether it is less than what the driver wants.
    pub fn is_short(&self) -> bool {
        match self {
            Self::Fewer | Self::Line | Self::Refused | Self::Nothing => true,
            Self::All | Self::KeptOut(_) | Self::NoDriver => false,
        }
    }

    /// Whether the device does not work.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Refused | Self::Nothing)
    }
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Fewer => f.write_str("fewer"),
            Self::Line => f.write_str("the interrupt line"),
            Self::Refused => f.write_str("refused when it is opened"),
            Self::Nothing => f.write_str("nothing: its driver gives up"),
            Self::KeptOut(by) => write!(f, "driver kept out by {by}"),
            Self::NoDriver => f.write_str("no driver"),
        }
    }
}

impl Prediction {
    /// The first device that gets less than its driver wants.
    pub fn first_refused(&self) -> Option<&Forecast> {
        self.devices.iter().find(|device| device.got.is_short())
    }
}

impl Setting {
    /// What a machine, its capture kernel and the command line of that come to. `crash_cpu` is the
    /// CPU on which the capture kernel starts.
    pub fn new(
        kernel: Kernel,
        machine: &MachinePlan,
        commandline: &str,
        crash_cpu: u16,
        drivers: Vec<Driver>,
    ) -> Self {
        let all = machine.cpus.get();
        // `disable_cpu_apicid=` names the first CPU, which the capture kernel leaves alone unless it
        // starts there.
        let most = match crash_cpu != 0 && last_value(commandline, "disable_cpu_apicid").is_some() {
            true => all.saturating_sub(1).max(1),
            false => all,
        };
        let number = |name| last_value(commandline, name).and_then(|value| value.parse().ok());
        let possible = number("nr_cpus").filter(|cpus: &u16| *cpus > 0);
        let possible = possible.map_or(most, |cpus| cpus.min(most));
        let online = number("maxcpus").map_or(possible, |cpus: u16| cpus.clamp(1, possible));
        let words = kernel_words(commandline);
        let pci = |option| {
            let values = words.iter().filter_map(|word| word.strip_prefix("pci="));
            values
                .flat_map(|list| list.split(','))
                .any(|it| it == option)
        };
        let mut devices: Vec<Device> = machine
            .functions
            .iter()
            .map(|function| Device {
                slot: function.slot,
                kind: Kind::Scenario(function.kind),
                table: function.table,
                opened: machine.is_linked(function),
            })
            .collect();
        if machine.chipset == Chipset::Q35 {
            devices.extend(
                [(2, Kind::Sata), (3, Kind::Smbus)].map(|(function, kind)| Device {
                    slot: Slot {
                        device: 0x1f,
                        function,
                    },
                    kind,
                    table: 0,
                    opened: false,
                }),
            );
        }
        devices.sort_by_key(|device| device.slot);
        Self {
            kernel,
            possible,
            online,
            most,
            apic: machine.apic,
            chipset: machine.chipset,
            msi: !pci("nomsi"),
            port_services: last_value(commandline, "pcie_ports") != Some("compat"),
            devices,
            drivers,
        }
    }

    /// The same with another number of CPUs, all of them running.
    #[must_use]
    pub fn with_cpus(&self, cpus: u16) -> Self {
        Self {
            possible: cpus.max(1),
            online: cpus.max(1),
            most: self.most.max(cpus),
            ..self.clone()
        }
    }

    /// How CPUs share vectors.
    pub fn routing(&self) -> Routing {
        if self.kernel.assignment() == Assignment::AtRequest {
            return Routing::PerCpu;
        }
        match self.apic {
            // `physflat_probe`: logical flat has bits for eight CPUs.
            Apic::Auto if self.possible > 8 => Routing::PerCpu,
            Apic::Auto | Apic::Flat => Routing::Shared,
            Apic::Physical | Apic::X2apic => Routing::PerCpu,
        }
    }
}

/// Who gets what, and how many CPUs it would take for everybody to get what it asks for.
pub fn predict(setting: &Setting) -> Prediction {
    let enough = |cpus: &u16| {
        let prediction = once(&setting.with_cpus(*cpus));
        prediction.first_refused().is_none()
    };
    Prediction {
        needed_cpus: (1..=setting.most).find(enough),
        ..once(setting)
    }
}

fn once(setting: &Setting) -> Prediction {
    let mut boot = Boot::new(setting);
    let available = boot.matrix.available();
    boot.run();
    Prediction {
        cpus: setting.online,
        possible_cpus: setting.possible,
        routing: setting.routing(),
        available,
        demand: boot.demand,
        taken: available - boot.matrix.available(),
        devices: boot.devices,
        needed_cpus: None,
    }
}

/// A capture kernel that loads its drivers.
struct Boot<'a> {
    setting: &'a Setting,
    matrix: Matrix,
    loaded: BTreeSet<&'a str>,
    /// Devices that nobody drives yet, in the order of their slots.
    waiting: Vec<&'a Device>,
    /// Network adapters that wait to be opened: index into `devices`.
    unopened: Vec<Unopened>,
    devices: Vec<Forecast>,
    demand: u32,
}

/// A network adapter whose vectors are counted and not assigned.
struct Unopened {
    index: usize,
    requested: Requested,
    line: u16,
    /// What its driver holds, and what it would try after that.
    attempts: Vec<Attempt>,
}

impl<'a> Boot<'a> {
    fn new(setting: &'a Setting) -> Self {
        let shared = setting.routing() == Routing::Shared;
        Self {
            setting,
            matrix: Matrix::new(setting.kernel, shared, setting.possible, setting.online),
            loaded: BTreeSet::new(),
            waiting: setting.devices.iter().collect(),
            unopened: Vec::new(),
            devices: Vec::new(),
            demand: 0,
        }
    }

    fn run(&mut self) {
        // What is part of every kernel.
        self.drive();
        for driver in &self.setting.drivers {
            if driver.kept_out_by.is_none() && self.loaded.insert(&driver.name) {
                self.enable_lines(&driver.name);
                self.drive();
            }
        }
        for adapter in std::mem::take(&mut self.unopened) {
            self.open(adapter);
        }
        for device in std::mem::take(&mut self.waiting) {
            let rule = rule(device.kind);
            // A chipset's device without its driver has no part in this.
            if matches!(device.kind, Kind::Scenario(_)) {
                let got = self.why_not(rule);
                self.devices.push(forecast(device, rule, 0, got));
            }
        }
    }

    /// virtio_pci finds all its devices at once, whatever their drivers do later.
    fn enable_lines(&mut self, name: &str) {
        if self.setting.kernel.assignment() == Assignment::AtAllocation {
            let found = self
                .waiting
                .iter()
                .filter(|device| rule(device.kind).bus == Some(name));
            let lines: Vec<u16> = found.map(|device| self.line(device)).collect();
            for line in lines {
                self.matrix.line(line);
            }
        }
    }

    /// The devices whose drivers have all come.
    fn drive(&mut self) {
        let is_loaded = |driver: Option<&str>| driver.is_none_or(|it| self.loaded.contains(it));
        let (driven, waiting) = self.waiting.iter().partition(|device| {
            let rule = rule(device.kind);
            is_loaded(rule.driver) && is_loaded(rule.bus)
        });
        self.waiting = waiting;
        let driven: Vec<&Device> = driven;
        for device in driven {
            self.probe(device);
        }
    }

    fn probe(&mut self, device: &Device) {
        let Setting { kernel, .. } = *self.setting;
        let rule = rule(device.kind);
        if !self.setting.port_services && device.kind == Kind::Scenario(DeviceKind::PcieRootPort) {
            self.devices.push(forecast(device, rule, 0, Got::NoDriver));
            return;
        }
        let line = self.line(device);
        let before = self.matrix.available();
        // `pci_enable_device` gives the line its vector, whether anybody requests it or not.
        if kernel.assignment() == Assignment::AtAllocation && rule.bus.is_none() {
            self.matrix.line(line);
        }
        let asking = Asking {
            kernel,
            table: u32::from(device.table),
            possible: u32::from(self.setting.possible),
            online: u32::from(self.setting.online),
        };
        let attempts = rule.attempts(asking, self.setting.msi);
        let asked = attempts.first().map_or(0, |wanted| wanted.count());
        self.demand += asked;
        let late = rule.requested != Requested::Probe
            && kernel.assignment() == Assignment::AtRequest
            && matches!(attempts.first(), Some(Attempt::Msix(_)));
        let (granted, got) = match late {
            true => {
                if device.opened {
                    self.unopened.push(Unopened {
                        index: self.devices.len(),
                        requested: rule.requested,
                        line,
                        attempts,
                    });
                }
                (asked, Got::All)
            }
            false => self.take(&attempts, line),
        };
        let mut forecast = forecast(device, rule, asked, got);
        forecast.granted = granted;
        forecast.taken = before - self.matrix.available();
        self.devices.push(forecast);
    }

    /// The interface comes up, and now its vectors are requested.
    fn open(&mut self, adapter: Unopened) {
        let before = self.matrix.available();
        let (granted, got) = match adapter.requested {
            Requested::OpenOrFail => {
                let first = &adapter.attempts[..1];
                match self.take(first, adapter.line) {
                    (granted, Got::All) => (granted, Got::All),
                    _ => (self.devices[adapter.index].granted, Got::Refused),
                }
            }
            Requested::Open | Requested::Probe => self.take(&adapter.attempts, adapter.line),
        };
        let device = &mut self.devices[adapter.index];
        device.granted = granted;
        device.got = got;
        device.taken = before - self.matrix.available();
    }

    /// The best of the attempts that succeeds: MSI and MSI-X vectors held, and what it is.
    fn take(&mut self, attempts: &[Attempt], line: u16) -> (u32, Got) {
        for (nth, attempt) in attempts.iter().enumerate() {
            let less = |got| match nth {
                0 => Got::All,
                _ => got,
            };
            match *attempt {
                Attempt::Msix(vectors) if self.msix(vectors) => {
                    return (vectors.count(), less(Got::Fewer));
                }
                Attempt::UpTo(vectors) => {
                    if let Some(held) = self.up_to(vectors) {
                        let all = held == vectors.count() && nth == 0;
                        return (held, if all { Got::All } else { Got::Fewer });
                    }
                }
                Attempt::Msi if self.matrix.assign(1) => return (1, less(Got::Fewer)),
                Attempt::Line if self.has_line(line) => return (0, less(Got::Line)),
                Attempt::Msix(_) | Attempt::Msi | Attempt::Line => {}
            }
        }
        (0, Got::Nothing)
    }

    fn msix(&mut self, vectors: Msix) -> bool {
        let before = self.matrix.clone();
        let idle = match self.setting.kernel.assignment() {
            Assignment::AtAllocation => vectors.idle,
            Assignment::AtRequest => 0,
        };
        let there = self.spread(vectors.spread) && self.matrix.assign(vectors.plain + idle);
        if !there {
            self.matrix = before;
        }
        there
    }

    /// As many as there are, but the plain ones all.
    fn up_to(&mut self, vectors: Msix) -> Option<u32> {
        if self.setting.kernel.assignment() == Assignment::AtAllocation {
            let held = vectors.count().min(self.matrix.available());
            return (held >= vectors.plain && self.matrix.assign(held)).then_some(held);
        }
        let before = self.matrix.clone();
        let spread = (0..=vectors.spread)
            .rev()
            .find(|count| self.matrix.spread(*count));
        // What was set aside is not given back for the sake of the others.
        match self.matrix.assign(vectors.plain) {
            true => spread.map(|spread| vectors.plain + spread),
            false => {
                self.matrix = before;
                None
            }
        }
    }

    fn spread(&mut self, count: u32) -> bool {
        match self.setting.kernel.assignment() {
            Assignment::AtAllocation => self.matrix.assign(count),
            Assignment::AtRequest => self.matrix.spread(count),
        }
    }

    /// Up to 4.14 a line that got no vector when its device was enabled never gets one.
    fn has_line(&mut self, line: u16) -> bool {
        match self.setting.kernel.assignment() {
            Assignment::AtAllocation => self.matrix.has_line(line),
            Assignment::AtRequest => self.matrix.line(line),
        }
    }

    fn line(&self, device: &Device) -> u16 {
        slots::line(self.setting.chipset, device.slot)
    }

    fn why_not(&self, rule: &Rule) -> Got {
        let drivers = &self.setting.drivers;
        let needed = [rule.bus, rule.driver].into_iter().flatten();
        let by = needed
            .filter_map(|name| drivers.iter().find(|driver| driver.name == name))
            .find_map(|driver| driver.kept_out_by.clone());
        by.map_or(Got::NoDriver, Got::KeptOut)
    }
}

fn forecast(device: &Device, rule: &Rule, asked: u32, got: Got) -> Forecast {
    let Slot {
        device: number,
        function,
    } = device.slot;
    Forecast {
        slot: format!("00:{number:02x}.{function}"),
        device: name(device.kind),
        driver: rule.driver,
        table: device.table,
        asked,
        granted: 0,
        taken: 0,
        got,
    }
}

fn rule(kind: Kind) -> &'static Rule {
    match kind {
        Kind::Scenario(kind) => rules::rule(kind),
        Kind::Sata => rules::rule(DeviceKind::Ahci),
        Kind::Smbus => &rules::I801,
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Scenario(kind) => crate::machine::catalogue::entry(kind).name,
        Kind::Sata => "8086:2922",
        Kind::Smbus => "8086:2930",
    }
}

#[cfg(test)]
mod tests;
