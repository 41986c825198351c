//! Who gets which interrupt vectors in a capture kernel, said before anything boots.
//!
//! One x86 CPU has some two hundred vectors for devices ([`Kernel`]), each driver asks for its own
//! number of them (rules.rs), and they are given away in the order in which drivers are loaded.
//! Everything here is pure; [`Setting`] is all that decides.

mod boot;
mod kernel;
mod matrix;
mod rules;

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

pub use kernel::{Assignment, Kernel};

use crate::kdump::commandline::last_value;
use crate::kdump::words::kernel_words;
use crate::machine::MachinePlan;
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
    /// `reset_devices` is on the command line.
    pub reset_devices: bool,
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
    /// The module that asks; null where it is part of every kernel, or where nobody does.
    pub driver: Option<&'static str>,
    /// Entries of its MSI-X table.
    pub table: u16,
    /// Vectors that its driver wants; 1 for an interrupt line.
    pub asked: u32,
    /// MSI and MSI-X vectors that its driver holds once all are loaded, as /sys lists them; of the
    /// network adapter that the dump goes through, once that was opened.
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
            reset_devices: words.contains(&"reset_devices"),
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

/// A kernel as far as the demands of its drivers depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    /// The kernel.
    pub kernel: Kernel,
    /// CPUs that it may ever have.
    pub possible: u16,
    /// CPUs that it runs on.
    pub online: u16,
    /// `reset_devices` is on its command line.
    pub reset_devices: bool,
}

/// Vectors that the driver of such a device wants where nothing keeps it from having them; an
/// interrupt line is none.
pub fn wanted(kind: DeviceKind, table: u16, asking: Asking) -> u16 {
    let asking = rules::Asking {
        kernel: asking.kernel,
        table: table.into(),
        possible: asking.possible.into(),
        online: asking.online.into(),
        reset_devices: asking.reset_devices,
    };
    let attempts = rules::rule(kind).attempts(asking, true);
    match attempts.first() {
        None | Some(rules::Attempt::Line) => 0,
        Some(attempt) => u16::try_from(attempt.count()).unwrap_or(u16::MAX),
    }
}

/// Who gets what, and how many CPUs it would take for everybody to get what it asks for.
pub fn predict(setting: &Setting) -> Prediction {
    let enough = |cpus: &u16| {
        let prediction = boot::boot(&setting.with_cpus(*cpus));
        prediction.first_refused().is_none()
    };
    Prediction {
        needed_cpus: (1..=setting.most).find(enough),
        ..boot::boot(setting)
    }
}

#[cfg(test)]
mod tests;
