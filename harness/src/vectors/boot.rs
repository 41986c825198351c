//! The capture kernel's boot, as far as vectors are concerned.

use std::collections::BTreeSet;

use super::kernel::Assignment;
use super::matrix::Matrix;
use super::rules::{self, Asking, Asks, Attempt, Msix, Requested, Rule};
use super::{Device, Forecast, Got, Kind, Prediction, Routing, Setting};
use crate::machine::slots;
use crate::scenario::model::DeviceKind;
use crate::units::Slot;

/// One boot, all of whose drivers are loaded in their order; [`Prediction::needed_cpus`] stays open.
pub(super) fn boot(setting: &Setting) -> Prediction {
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
        let is_loaded = |driver: &str| self.loaded.contains(driver);
        let (driven, waiting) = self.waiting.iter().partition(|device| {
            let rule = rule(device.kind);
            let asks = match rule.asks {
                Asks::Kernel => true,
                Asks::Module(name) => is_loaded(name),
                Asks::Nobody => false,
            };
            asks && rule.bus.is_none_or(is_loaded)
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
            reset_devices: self.setting.reset_devices,
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
        let attempts = match adapter.requested {
            Requested::OpenOrFail => &adapter.attempts[..1],
            Requested::Open | Requested::Probe => &adapter.attempts[..],
        };
        let (granted, got) = self.take(attempts, adapter.line);
        let device = &mut self.devices[adapter.index];
        // Who does not fall back keeps what it cannot use.
        if adapter.requested == Requested::Open {
            device.granted = granted;
        }
        let got = match got {
            Got::Nothing => Got::Refused,
            got => got,
        };
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
            true => spread.map(|spread| vectors.plain + spread + vectors.idle),
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
        let needed = [rule.bus, rule.asks.module()].into_iter().flatten();
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
        driver: rule.asks.module(),
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
