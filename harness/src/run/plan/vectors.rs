//! What the vectors of a drill's capture kernel depend on, taken from its plan.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{BootPlan, Direct, Plan};
use crate::image::{Found, Image, ModuleTree};
use crate::kdump::commandline::{self, KeptOut, KeptOutBy};
use crate::kdump::conf::KdumpConf;
use crate::kdump::configuration::Configuration;
use crate::kdump::flavour::Flavour;
use crate::machine::MachinePlan;
use crate::scenario::Drill;
use crate::vectors::{Driver, Kernel, Setting};

/// Drivers of what q35 brings along, which udev loads before those of a scenario's devices in a
/// whole distribution. In a drill of crashdrill's own nobody loads them unasked.
const CHIPSET: [&str; 2] = ["ahci", "i2c_i801"];

impl Plan {
    /// What decides who gets which interrupt vectors in the capture kernel; none if the kernel's
    /// release does not tell its version. `drill` and `image` are those of this plan.
    pub fn vectors(&self, drill: &Drill, image: &Image) -> Option<Setting> {
        let kernel = kernel(image)?;
        let line = self.capture_commandline();
        let drivers = match &self.boot {
            BootPlan::Direct(direct) => direct_drivers(direct, image, kernel),
            BootPlan::Disk(_) => {
                let conf = match Configuration::read(&drill.scenario.kdump) {
                    Ok(Configuration::Kdumpctl { conf, .. }) => *conf,
                    _ => KdumpConf::defaults(Flavour::default()),
                };
                udev_drivers(&self.machine, &commandline::kept_out(line, &conf), kernel)
            }
        };
        let drivers = builtin(&self.machine, &image.modules)
            .into_iter()
            .chain(drivers)
            .collect();
        let crash_cpu = drill.scenario.crash.cpu;
        Some(Setting::new(
            kernel,
            &self.machine,
            line,
            crash_cpu,
            drivers,
        ))
    }
}

fn kernel(image: &Image) -> Option<Kernel> {
    let kernel = Kernel::of_release(&image.kernel.release)?;
    let config = image.kernel.config.as_deref().and_then(read);
    Some(match config {
        Some(config) => Kernel {
            ia32: config.lines().any(|line| line == "CONFIG_IA32_EMULATION=y"),
            ..kernel
        },
        None => kernel,
    })
}

/// A kernel's configuration; none if it cannot be read, which is no reason not to plan.
fn read(path: &Path) -> Option<String> {
    const MOST: u64 = 4 << 20;
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(MOST).read_to_string(&mut text).ok()?;
    Some(text)
}

/// What is part of the kernel looks for its devices before anything is loaded.
fn builtin(machine: &MachinePlan, modules: &ModuleTree) -> Vec<Driver> {
    let is_builtin = |name: &&str| {
        modules
            .closure(&[name])
            .is_ok_and(|found| matches!(found[..], [ref driver] if driver.found == Found::Builtin))
    };
    let drivers = CHIPSET.into_iter().chain(machine.drivers());
    drivers
        .filter(is_builtin)
        .map(|name| driver(name, None))
        .collect()
}

fn driver(name: &str, kept_out_by: Option<String>) -> Driver {
    Driver {
        name: name.replace('-', "_"),
        kept_out_by,
    }
}

/// What the kernel itself refuses; 3.10 does not know the parameter.
fn refused(line: &str, kernel: Kernel) -> BTreeSet<String> {
    let nothing = KdumpConf::defaults(Flavour::default());
    commandline::kept_out(line, &nothing)
        .into_iter()
        .filter(|kept| kept.by == KeptOutBy::ModuleBlacklist && kernel.is(4, 8))
        .map(|kept| kept.driver)
        .collect()
}

/// /init loads what its order says, as far as all of it is there and the kernel takes it.
fn direct_drivers(direct: &Direct, image: &Image, kernel: Kernel) -> Vec<Driver> {
    let refused = refused(&direct.capture_commandline, kernel);
    let there: BTreeSet<&str> = direct
        .capture
        .modules
        .values()
        .map(|module| module.name.as_str())
        .collect();
    let order = &direct.capture.order.drivers;
    let missing = |name: &str| {
        let [found] = &image.modules.closure(&[name]).ok()?[..] else {
            return None;
        };
        let Found::Files(files) = &found.found else {
            return None;
        };
        let names = || files.iter().map(|file| file.name.as_str());
        if let Some(module) = names().find(|module| refused.contains(*module)) {
            return Some(format!("{}{module}", KeptOutBy::ModuleBlacklist));
        }
        let module = names().find(|module| !there.contains(module))?;
        let kept = order.iter().find(|driver| driver.name == module)?;
        kept.kept_out_by.clone()
    };
    order
        .iter()
        .map(|listed| {
            let by = listed.kept_out_by.clone();
            driver(&listed.name, by.or_else(|| missing(&listed.name)))
        })
        .collect()
}

/// A distribution's udev loads whatever has a device. It does so in parallel: that the chipset's come
/// first and the dump target's last is what drills of Debian 12 have shown.
fn udev_drivers(machine: &MachinePlan, kept_out: &[KeptOut], kernel: Kernel) -> Vec<Driver> {
    let by = |name: &str| {
        let mut keepers = kept_out
            .iter()
            .filter(|kept| kept.by != KeptOutBy::ModuleBlacklist || kernel.is(4, 8));
        let keeper = keepers.find(|kept| kept.driver == name)?;
        Some(format!("{}{name}", keeper.by))
    };
    let drivers = CHIPSET.into_iter().chain(machine.drivers());
    drivers.map(|name| driver(name, by(name))).collect()
}

#[cfg(test)]
mod tests;
