//! Facts to the text of a scenario.

use std::path::Path;

use super::asked::capture;
use super::configuration::{Drilled, configuration};
use super::devices::{Devices, Row, Setting, Stated, devices};
use super::facts::{Facts, LogKind};
use super::kernel::{self, Image};
use super::private::Scrubber;
use super::scale::{self, Chosen};
use super::yaml::{Yaml, device, kind_of, quoted, sentence};
use super::{Host, ImportError, Offered, Options};
use crate::diagnose::Reader;
use crate::kdump::crashkernel::Crashkernel;
use crate::machine::{MachinePlan, catalogue};
use crate::scenario::model::{
    Apic, Boot, Chipset, Device, DeviceKind, Expect, LoadOrder, Machine, SysconfigFile,
};
use crate::scenario::{self, ScenarioFile};
use crate::units::{Bytes, Cpus};
use crate::vectors::Kernel;
use crate::verdict::RuleBook;
use crate::verdict::outcome::{Cause, Verdict};

/// A scenario, and what became of the customer's machine in it.
#[derive(Debug)]
pub struct Imported {
    /// The scenario's YAML.
    pub text: String,
    /// The same, checked.
    pub scenario: ScenarioFile,
    /// The customer's functions, and what stands for each.
    pub rows: Vec<Row>,
    /// CPUs of the capture kernel: those of the customer's, and those of the drill.
    pub capture_cpus: (u16, u16),
    /// What the drill does not have of the customer's machine.
    pub lost: Vec<String>,
    /// How the customer's machine ended, if the files show it.
    pub expect: Option<Expect>,
    /// Private things that placeholders stand for.
    pub replaced: usize,
}

/// Everything that is decided.
struct Decided {
    image: Image,
    cpus: Chosen<Cpus>,
    memory: Chosen<Bytes>,
    crashkernel: Chosen<Crashkernel>,
    apic: Chosen<Apic>,
    order: LoadOrder,
    kdump: Drilled,
    devices: Devices,
    expect: Option<(Expect, LogKind)>,
}

/// Writes a scenario.
///
/// # Errors
/// The machine does not fit the host as it is to, or not the bus; no image has a kernel for it.
pub fn write(
    facts: &Facts,
    offered: &[Offered],
    host: Host,
    options: &Options,
) -> Result<Imported, ImportError> {
    let mut scrubber = Scrubber::of_machine(options.keep_names, facts);
    let decided = decide(facts, offered, host, options, &mut scrubber)?;
    let lost = lost(&decided);
    let text = text(facts, &decided, &lost, options);
    let file = format!("{}.yaml", options.name);
    let scenario = scenario::parse(Path::new(&file), &text, catalogue::facts)
        .map_err(|bad| ImportError::Refused(bad.render(100, false)))?;
    let line = &decided.kdump.capture;
    let theirs = capture_cpus(facts, line, decided.cpus.value.get());
    let ours = capture(decided.image.kernel, line, decided.cpus.value.get()).online;
    Ok(Imported {
        text,
        scenario,
        rows: decided.devices.rows,
        capture_cpus: (theirs, ours),
        lost,
        expect: decided.expect.map(|(expect, _)| expect),
        replaced: scrubber.replaced(),
    })
}

fn decide(
    facts: &Facts,
    offered: &[Offered],
    host: Host,
    options: &Options,
    scrubber: &mut Scrubber,
) -> Result<Decided, ImportError> {
    // Where the target's disk is called something else, the text is written again below.
    let mut kdump = configuration(facts, "/dev/sda", scrubber);
    let flavour = kdump.kdump.flavour;
    let release = facts.kernel.as_ref().map(|release| &release.value);
    let wish = options.image.as_deref();
    let image = kernel::image(release, flavour, kdump.boot, offered, wish)?;
    if let Some(offer) = offered.iter().find(|offer| offer.name == image.name)
        && offer.boot != kdump.boot
    {
        return Err(ImportError::Boot {
            image: image.name,
            boot: kdump.boot,
        });
    }
    let crashkernel = scale::crashkernel(facts, flavour);
    let memory = scale::memory(facts, &crashkernel.value, host, options.exact)?;
    let cpus = scale::cpus(facts, &kdump.capture, host, options.exact)?;
    let theirs = release.and_then(|release| Kernel::of_release(release.as_str()));
    let known = facts.cpus.possible.as_ref().or(facts.cpus.online.as_ref());
    let all = known.map_or(cpus.value.get(), |cpus| cpus.value.max(1));
    let setting = Setting {
        theirs: capture(theirs.unwrap_or(image.kernel), &kdump.capture, all),
        ours: capture(image.kernel, &kdump.capture, cpus.value.get()),
        kept_out: &kdump.kept_out,
        capture_only: options.capture_only,
        network: kdump.network,
    };
    let mut devices = devices(facts, &setting)?;
    if kdump.root && kdump.boot == Boot::Direct {
        let mut device = Device::new(DeviceKind::VirtioBlk);
        device.root = true;
        devices.lines.push(Stated {
            device,
            comment: "the root file system, for dump_to_rootfs".to_owned(),
        });
    }
    let modelled = |line: &Stated| catalogue::entry(line.device.device).is_modelled();
    let modelled = devices.lines.iter().any(modelled);
    let apic = scale::apic(facts, image.kernel, cpus.value, modelled);
    let expect = expect(facts);
    let starved = expect
        .as_ref()
        .and_then(|(expect, _)| expect.cause.as_ref())
        .is_some_and(|cause| *cause == Cause::named("irq-vector-exhaustion"));
    // What made the target's driver come too late is not known; that it did, is.
    let order = match starved || kdump.boot == Boot::Disk {
        true => LoadOrder::Explicit,
        false => LoadOrder::Pci,
    };
    if kdump.raw {
        let machine = Machine {
            chipset: Chipset::Q35,
            cpu: None,
            cpus: cpus.value,
            apic: apic.value,
            memory: memory.value,
            devices: devices
                .lines
                .iter()
                .map(|line| line.device.clone())
                .collect(),
        };
        let plan = MachinePlan::new(&machine)?;
        let target = plan.target().and_then(|target| target.disk.as_ref());
        let node = target.map_or("/dev/sda", |disk| disk.node.as_str());
        kdump = configuration(facts, node, scrubber);
    }
    Ok(Decided {
        image,
        cpus,
        memory,
        crashkernel,
        apic,
        order,
        kdump,
        devices,
        expect,
    })
}

/// CPUs of the customer's capture kernel.
fn capture_cpus(facts: &Facts, line: &str, usual: u16) -> u16 {
    let known = facts.cpus.possible.as_ref().or(facts.cpus.online.as_ref());
    let all = known.map_or(usual, |cpus| cpus.value);
    // Only the number counts.
    let kernel = Kernel {
        version: (0, 0),
        ia32: true,
    };
    capture(kernel, line, all).online
}

/// How the customer's machine ended: what the likeliest of the logs shows.
fn expect(facts: &Facts) -> Option<(Expect, LogKind)> {
    let book = RuleBook::builtin();
    facts.logs.iter().find_map(|log| {
        let mut reader = Reader::new(book.clone());
        reader.push(&log.bytes);
        let diagnosis = reader.finish(None);
        // A kernel that died and left its dump, or lived, is no failure of kdump's.
        let failed = !matches!(diagnosis.verdict, Verdict::Unknown | Verdict::VmcoreSaved);
        failed.then(|| {
            let cause = diagnosis.cause;
            let known = cause != Cause::UNKNOWN && cause != Cause::NONE;
            let expect = Expect {
                verdict: diagnosis.verdict,
                cause: known.then_some(cause),
            };
            (expect, log.kind)
        })
    })
}

/// Sentences for the outcome.
fn lost(decided: &Decided) -> Vec<String> {
    let mut lost = Vec::new();
    let scaled = [
        &decided.image.lost,
        &decided.cpus.lost,
        &decided.memory.lost,
        &decided.crashkernel.lost,
        &decided.apic.lost,
    ];
    lost.extend(scaled.into_iter().flatten().cloned());
    lost.extend(decided.kdump.lost.iter().cloned());
    lost.extend(decided.devices.target.clone());
    // What several have in common is said once.
    let mut alike: Vec<(&Row, Vec<String>)> = Vec::new();
    for row in &decided.devices.rows {
        // What is nobody's is said with the target.
        if row.stands.is_none() || row.lost.is_empty() || row.at.is_empty() {
            continue;
        }
        let same = |(other, _): &&mut (&Row, Vec<String>)| {
            other.stands == row.stands && other.driver == row.driver && other.lost == row.lost
        };
        match alike.iter_mut().find(same) {
            Some((_, places)) => places.push(places_of(row)),
            None => alike.push((row, vec![places_of(row)])),
        }
    }
    for (row, places) in alike {
        let stands = row.stands.as_deref().unwrap_or_default();
        let what = row.driver.as_deref().unwrap_or(&row.what);
        let at = places.join(", ");
        lost.push(printable(&format!(
            "{stands} for {what} at {at}: {}",
            row.lost
        )));
    }
    let out = decided
        .devices
        .rows
        .iter()
        .filter(|row| row.stands.is_none());
    let out: usize = out.map(|row| row.at.len()).sum();
    match out {
        0 => {}
        1 => lost.push("1 of their PCI functions is left out".to_owned()),
        many => lost.push(format!("{many} of their PCI functions are left out")),
    }
    lost.dedup();
    lost
}

/// `3b:00.0 to 3b:00.3`.
fn places_of(row: &Row) -> String {
    match row.at.as_slice() {
        [] => String::new(),
        [one] => one.short(),
        [first, .., last] => format!("{} to {}", first.short(), last.short()),
    }
}

fn text(facts: &Facts, decided: &Decided, lost: &[String], options: &Options) -> String {
    let mut yaml = Yaml::default();
    head(facts, decided, options, &mut yaml);
    yaml.line(0, &format!("name: {}", options.name));
    yaml.line(0, &format!("about: {}", quoted(&about(facts, decided))));
    let (said, manifest) = match decided.image.comment.split_first() {
        Some((said, manifest)) => (sentence(std::slice::from_ref(said)), manifest),
        None => (String::new(), [].as_slice()),
    };
    yaml.comment(0, &said);
    for line in manifest {
        yaml.comment(0, line);
    }
    yaml.line(0, &format!("image: {}", decided.image.name));
    if decided.kdump.boot == Boot::Disk {
        yaml.comment(0, "Debian's own systemd, initramfs and kdump-tools");
        yaml.line(0, "boot: disk");
    }
    machine(decided, &mut yaml);
    let crashkernel = &decided.crashkernel;
    yaml.chosen(
        0,
        "crashkernel",
        crashkernel,
        &quoted(&crashkernel.value.to_string()),
    );
    first_kernel(decided, &mut yaml);
    kdump(decided, &mut yaml);
    if decided.order == LoadOrder::Pci {
        yaml.comment(0, "As udev begins: by PCI address.");
        yaml.line(0, "capture: {order: pci}");
    }
    let limits = match decided.kdump.boot {
        Boot::Direct => "{total: 10m, silence: 2m}",
        Boot::Disk => "{total: 20m, silence: 3m}",
    };
    yaml.line(0, &format!("limits: {limits}"));
    if let Some((expect, kind)) = &decided.expect {
        let mut said = format!("How their machine ended, by {}.", log(*kind));
        if decided.image.lost.is_some() {
            said.push_str(" Another kernel may end otherwise of the same cause.");
        }
        yaml.comment(0, &said);
        let mut parts = vec![format!("verdict: {}", expect.verdict)];
        parts.extend(expect.cause.as_ref().map(|cause| format!("cause: {cause}")));
        yaml.line(0, &format!("expect: {{{}}}", parts.join(", ")));
    }
    if !lost.is_empty() {
        yaml.comment(
            0,
            "What this drill does not have of their machine; the outcome says it, too.",
        );
        yaml.line(0, "fidelity:");
        for sentence in lost {
            yaml.line(1, &format!("- {}", quoted(sentence)));
        }
    }
    yaml.finish()
}

fn head(facts: &Facts, decided: &Decided, options: &Options, yaml: &mut Yaml) {
    let mut said = "Made by `crashdrill import` from a customer's files".to_owned();
    if let Some(distribution) = &facts.distribution {
        said.push_str(&format!(" of a machine with {}", distribution.value));
    }
    if let Some(hypervisor) = &facts.hypervisor {
        said.push_str(&format!(", a guest of {}", hypervisor.value));
    }
    said.push('.');
    yaml.comment(0, &printable(&said));
    if let Some(model) = &facts.cpus.model {
        yaml.comment(0, &printable(&format!("Processors: {}.", model.value.name)));
    }
    if !options.keep_names {
        yaml.comment(
            0,
            "Host names, addresses, users, keys and serial numbers are placeholders; `--keep-names` \
             would keep them.",
        );
    }
    yaml.comment(
        0,
        "PCI addresses in comments are theirs; here all functions are on bus 0, in their order.",
    );
    let out: Vec<&Row> = decided
        .devices
        .rows
        .iter()
        .filter(|row| row.stands.is_none())
        .collect();
    if !out.is_empty() {
        yaml.comment(
            0,
            &format!(
                "Left out ({}):",
                out.iter().map(|row| row.at.len()).sum::<usize>()
            ),
        );
        /// More are in `--explain`.
        const SHOWN: usize = 12;
        for row in out.iter().take(SHOWN) {
            yaml.comment(
                0,
                &printable(&format!("  {} {}: {}", places_of(row), row.what, row.lost)),
            );
        }
        if out.len() > SHOWN {
            yaml.comment(
                0,
                &format!("  and {} more, which `--explain` lists", out.len() - SHOWN),
            );
        }
    }
}

fn about(facts: &Facts, decided: &Decided) -> String {
    let what = match &facts.distribution {
        Some(distribution) => format!("A customer's machine with {}", distribution.value),
        None => "A customer's machine".to_owned(),
    };
    let text = match &decided.expect {
        Some((expect, _)) => format!("{what}, whose kdump ended in {expect}."),
        None => format!("{what}."),
    };
    printable(&text)
}

fn machine(decided: &Decided, yaml: &mut Yaml) {
    yaml.line(0, "machine:");
    let Decided {
        cpus, memory, apic, ..
    } = decided;
    yaml.chosen(1, "cpus", cpus, &cpus.value.to_string());
    yaml.chosen(1, "memory", memory, &memory.value.to_string());
    yaml.chosen(1, "apic", apic, &kind_of(&apic.value));
    yaml.line(1, "devices:");
    for line in &decided.devices.lines {
        yaml.comment(2, &printable(&line.comment));
        if line.device.target
            && let Some(target) = &decided.devices.target
        {
            yaml.comment(2, &sentence(std::slice::from_ref(target)));
        }
        yaml.line(2, &device(&line.device));
    }
}

/// What the first kernel had loaded leaves its devices in use.
fn first_kernel(decided: &Decided, yaml: &mut Yaml) {
    let mut drivers: Vec<&str> = Vec::new();
    let real = decided.devices.lines.iter().filter(|line| {
        // Fillers and ports are nobody's hardware; a driver of `boot: disk` udev loads.
        let kind = line.device.device;
        catalogue::entry(kind).is_modelled() && decided.kdump.boot == Boot::Direct
    });
    for line in real {
        for driver in catalogue::entry(line.device.device).drivers {
            if !drivers.contains(driver) {
                drivers.push(driver);
            }
        }
    }
    let append = &decided.kdump.append;
    if append.is_empty() && drivers.is_empty() {
        return;
    }
    yaml.line(0, "first-kernel:");
    if !append.is_empty() {
        yaml.comment(
            1,
            "Of their first kernel's command line, what can decide over kdump.",
        );
        yaml.line(1, &format!("append: {}", quoted(append)));
    }
    if !drivers.is_empty() {
        yaml.comment(
            1,
            "Live when it crashes, as there: the capture kernel finds the devices in use.",
        );
        yaml.line(1, &format!("drivers: [{}]", drivers.join(", ")));
    }
}

fn kdump(decided: &Decided, yaml: &mut Yaml) {
    let Drilled { kdump, comment, .. } = &decided.kdump;
    for line in comment {
        yaml.comment(0, &sentence(std::slice::from_ref(line)));
    }
    yaml.line(0, "kdump:");
    yaml.line(1, &format!("flavour: {}", kdump.flavour));
    if let Some(conf) = &kdump.conf {
        yaml.comment(1, "Their kdump.conf, without its comments.");
        yaml.block(1, "conf", conf);
    }
    match &kdump.sysconfig {
        SysconfigFile::Text(text) => {
            yaml.comment(1, "Their sysconfig/kdump, without its comments.");
            yaml.block(1, "sysconfig", text);
        }
        SysconfigFile::Keys(keys) => {
            if let Some(append) = &keys.kdump_commandline_append {
                yaml.line(1, "sysconfig:");
                yaml.line(2, &format!("KDUMP_COMMANDLINE_APPEND: {}", quoted(append)));
            }
        }
    }
    if let Some(text) = &kdump.kdump_tools {
        yaml.comment(1, "Their default/kdump-tools, without its comments.");
        yaml.block(1, "kdump-tools", text);
    }
}

fn log(kind: LogKind) -> &'static str {
    match kind {
        LogKind::Console => "the console's log",
        LogKind::VmcoreDmesg => "vmcore-dmesg.txt",
        LogKind::Journal => "the system's log",
        LogKind::Dmesg => "the kernel's log",
    }
}

/// Without what a terminal or YAML takes for something else.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests;
