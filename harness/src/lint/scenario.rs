//! A scenario: what crashdrill itself refuses, and for every drill of it what its kdump section
//! and its machine are together.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path as File;

use miette::Diagnostic;

use super::{Finding, Level, Lint, Settings, commandline, drivers};
use crate::kdump::commandline::kept_out;
use crate::kdump::conf::KdumpConf;
use crate::kdump::configuration::Configuration;
use crate::kdump::crashkernel::{Crashkernel, Reserved};
use crate::kdump::error::{ConfError, ConfigFile};
use crate::kdump::flavour::Flavour;
use crate::kdump::kdump_tools::KdumpTools;
use crate::kdump::reservation::reservation;
use crate::kdump::suse::SuseKdump;
use crate::kdump::sysconfig::Sysconfig;
use crate::machine::{MachinePlan, catalogue};
use crate::pci::Id;
use crate::scenario::model::{Apic, DeviceKind, Scenario, SysconfigFile};
use crate::scenario::{Drill, Path, Problem, parse, some_of};
use crate::vectors::{Driver, Kernel, Prediction, Setting, predict};

/// The flavour, if all drills agree on it, and what is wrong.
pub(super) fn check(name: &str, text: &str, settings: Settings) -> (Option<Flavour>, Vec<Finding>) {
    let file = match parse(File::new(name), text, catalogue::facts) {
        Ok(file) => file,
        Err(bad) => {
            let findings = bad.faults.iter().map(|fault| {
                let at = fault
                    .labels()
                    .and_then(|mut labels| labels.next())
                    .map_or(0..0, |label| label.offset()..label.offset() + label.len());
                let finding = Finding::new(Level::Error, Lint::Scenario, at, fault.message.clone());
                Finding {
                    help: fault.help.clone(),
                    ..finding
                }
            });
            return (None, findings.collect());
        }
    };
    let mut all: BTreeMap<(usize, String), (Finding, Vec<String>)> = BTreeMap::new();
    for drill in &file.drills {
        for finding in drill_findings(drill, settings) {
            let key = (finding.at.start, finding.message.clone());
            let entry = all.entry(key).or_insert_with(|| (finding, Vec::new()));
            entry.1.extend(drill.id.variant.clone());
        }
    }
    let drills = file.drills.len();
    let findings = all
        .into_values()
        .map(|(mut finding, variants)| {
            if !variants.is_empty() && variants.len() < drills {
                finding.message += &format!(" (variant {})", some_of(&variants));
            }
            finding
        })
        .collect();
    let mut flavours = file.drills.iter().map(|drill| drill.scenario.kdump.flavour);
    let first = flavours.next();
    (
        first.filter(|first| flavours.all(|it| it == *first)),
        findings,
    )
}

fn drill_findings(drill: &Drill, settings: Settings) -> Vec<Finding> {
    let scenario = &drill.scenario;
    let Ok(configuration) = Configuration::read(&scenario.kdump) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    warnings(drill, &mut findings);
    crashkernel(drill, settings, &mut findings);
    let first = scenario.first_kernel.append.as_str();
    let line = configuration.capture_commandline(first, 0).to_string();
    let nothing = KdumpConf::defaults(Flavour::default());
    let conf = match &configuration {
        Configuration::Kdumpctl { conf, .. } => conf,
        _ => &nothing,
    };
    let needed: Vec<&str> = scenario
        .machine
        .devices
        .iter()
        .filter(|device| device.target)
        .flat_map(|device| catalogue::entry(device.device).drivers)
        .copied()
        .collect();
    let flavour = scenario.kdump.flavour;
    let place = drill.place(&kdump("sysconfig"));
    let conf_place = drill.place(&kdump("conf"));
    for (_, finding) in drivers::kept_out(&line, conf, &needed, flavour, &[""], &[0]) {
        let at = match finding.message.starts_with("--omit-drivers") {
            true => conf_place.clone(),
            false => place.clone(),
        };
        findings.push(Finding { at, ..finding });
    }
    budget(scenario, &line, conf, place, &mut findings);
    empty(drill, &mut findings);
    findings
}

/// A `generic` that a model would be: its driver, where one of the kernels loads it, finds a device in
/// which nothing answers.
fn empty(drill: &Drill, findings: &mut Vec<Finding>) {
    let model_of = |id: Id| {
        let mut entries = catalogue::ALL.into_iter().map(catalogue::entry);
        entries.find(|entry| {
            let models = entry.model.as_ref();
            models.is_some_and(|model| model.ids.contains(&id))
        })
    };
    for (nth, device) in drill.scenario.machine.devices.iter().enumerate() {
        let Some(id) = device.id.filter(|_| device.device == DeviceKind::Generic) else {
            continue;
        };
        let Some(entry) = model_of(id) else {
            continue;
        };
        let name = entry.name;
        let path = Path::default().key("machine").key("devices").index(nth);
        let message = format!(
            "{id} is a device that `{name}` models; as `generic` it takes no vectors, and its driver, \
             where one is loaded, fails on it"
        );
        let finding = Finding::new(
            Level::Note,
            Lint::Scenario,
            drill.place(&path.key("id")),
            message,
        );
        findings.push(finding.help(format!("`device: {name}`")));
    }
}

fn kdump(key: &str) -> Path {
    Path::default().key("kdump").key(key)
}

/// What the files' grammars warn of.
fn warnings(drill: &Drill, findings: &mut Vec<Finding>) {
    let kdump_section = &drill.scenario.kdump;
    let flavour = kdump_section.flavour;
    let mut found: Vec<ConfError> = Vec::new();
    match flavour {
        Flavour::Debian => {
            if let Some(text) = &kdump_section.kdump_tools {
                found.extend(KdumpTools::read(text).warnings);
            }
        }
        _ => {
            if let Some(text) = &kdump_section.conf {
                let read = KdumpConf::read(text, flavour);
                found.extend(read.warnings);
                for missing in read.value.not_emulated(text) {
                    let at = drill.place_inside(&kdump("conf"), missing.at);
                    let message = format!("in a direct drill {}", missing.message);
                    let finding = Finding::new(Level::Note, Lint::Scenario, at, message);
                    findings.push(Finding {
                        help: missing.help,
                        ..finding
                    });
                }
            }
            if let SysconfigFile::Text(text) = &kdump_section.sysconfig {
                found.extend(match flavour {
                    Flavour::Opensuse => SuseKdump::read(text).warnings,
                    _ => Sysconfig::read(text, flavour).warnings,
                });
            }
        }
    }
    for warning in found {
        let path = kdump(match warning.file {
            ConfigFile::KdumpConf => "conf",
            ConfigFile::Sysconfig => "sysconfig",
            ConfigFile::KdumpTools => "kdump-tools",
        });
        let at = drill.place_inside(&path, warning.at);
        let finding = Finding::new(Level::Warning, Lint::Suspicious, at, warning.message);
        findings.push(Finding {
            help: warning.help,
            ..finding
        });
    }
}

fn crashkernel(drill: &Drill, settings: Settings, findings: &mut Vec<Finding>) {
    let scenario = &drill.scenario;
    // `none` is how a drill says that there is none on purpose.
    let line = scenario.crashkernel.parameters().join(" ");
    if line.is_empty() {
        return;
    }
    let memory = settings.memory.unwrap_or(scenario.machine.memory);
    let mut found = Vec::new();
    commandline::crashkernel(&line, scenario.kdump.flavour, Some(memory), &mut found);
    let at = drill.place(&Path::default().key("crashkernel"));
    findings.extend(found.into_iter().map(|finding| Finding {
        at: at.clone(),
        // The drill may be there to show just that.
        level: Level::Warning,
        ..finding
    }));
    // What the image's kernel is, its manifest does not tell.
    if scenario.crashkernel == Crashkernel::Auto
        && let Some(Reserved::Bytes(size)) =
            reservation(&line, Some(memory), scenario.kdump.flavour).reserved
    {
        let message = "`auto` is a word of the kernels of RHEL 6 to 8 alone: with an image that \
                       has another, nothing is reserved";
        findings.push(
            Finding::new(Level::Note, Lint::Crashkernel, at, message).help(format!(
                "write what RHEL's reserves on {memory}: `crashkernel: {size}`"
            )),
        );
    }
}

fn budget(
    scenario: &Scenario,
    line: &str,
    conf: &KdumpConf,
    at: Range<usize>,
    findings: &mut Vec<Finding>,
) {
    let Ok(machine) = MachinePlan::new(&scenario.machine) else {
        return;
    };
    let kept = kept_out(line, conf);
    let driver = |name: &str| Driver {
        name: name.to_owned(),
        kept_out_by: kept
            .iter()
            .find(|kept| kept.driver == name)
            .map(|kept| kept.by.to_string()),
    };
    let drivers = machine.drivers().into_iter().map(driver).collect();
    let kernel = usual_kernel(scenario.kdump.flavour);
    let setting = Setting {
        // With flat routing it depends on the kernel's version whether more CPUs help.
        apic: Apic::Physical,
        ..Setting::new(kernel, &machine, line, scenario.crash.cpu, drivers)
    };
    let Prediction {
        cpus,
        demand,
        available,
        needed_cpus,
        ..
    } = predict(&setting);
    if demand <= available {
        return;
    }
    let finding = Finding::new(
        Level::Warning,
        Lint::Vectors,
        at,
        format!(
            "the devices' drivers take {demand} interrupt vectors, and the capture kernel's {} \
             about {available}",
            if cpus == 1 {
                "one CPU has".to_owned()
            } else {
                format!("{cpus} CPUs have")
            }
        ),
    );
    findings.push(finding.help(match needed_cpus {
        Some(more) => format!(
            "nr_cpus={more} (with flat APIC routing on a kernel before 4.15 it does not help), or \
             keep a driver out: rd.driver.blacklist=DRIVER"
        ),
        None => "keep a driver out: rd.driver.blacklist=DRIVER".to_owned(),
    }));
}

/// The oldest kernel of a flavour, as nobody looks into the image here; and of its configuration the
/// one with more vectors, so that nothing is warned of without need.
fn usual_kernel(flavour: Flavour) -> Kernel {
    let version = match flavour {
        Flavour::Rhel6 | Flavour::Rhel7 => (3, 10),
        Flavour::Rhel8 => (4, 18),
        Flavour::Rhel9 => (5, 14),
        Flavour::Fedora | Flavour::Debian | Flavour::Opensuse => (6, 1),
    };
    Kernel {
        version,
        ia32: false,
    }
}

impl Drill {
    /// The bytes of the file that hold a value, or the key that it would be under.
    fn place(&self, path: &Path) -> Range<usize> {
        self.place_of(&Problem::new(path.clone(), ""))
    }

    fn place_inside(&self, path: &Path, inside: Range<usize>) -> Range<usize> {
        self.place_of(&Problem {
            inside: Some(inside),
            ..Problem::new(path.clone(), "")
        })
    }

    fn place_of(&self, problem: &Problem) -> Range<usize> {
        let bad = self.refuse(std::slice::from_ref(problem));
        bad.faults
            .first()
            .and_then(|fault| fault.labels()?.next())
            .map_or(0..0, |label| label.offset()..label.offset() + label.len())
    }
}
