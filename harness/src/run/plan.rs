//! From a drill and an image to everything that is decided before a machine starts.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crashdrill_guest::order::{self, Action, CaptureOrder, FirstOrder, Script};

use crate::image::{CaptureKernel, Found, Image, Module, ModuleError};
use crate::initramfs::{CAPTURE_INITRAMFS, CAPTURE_KERNEL};
use crate::kdump::commandline::{self, KeptOut, KeptOutBy};
use crate::kdump::conf::{DumpTarget, FailureAction, Filesystem, KdumpConf, TargetDevice};
use crate::kdump::configuration::Configuration;
use crate::kdump::error::ConfError;
use crate::kdump::flavour::Flavour;
use crate::kdump::sysconfig::Sysconfig;
use crate::machine::{self, MachinePlan, catalogue};
use crate::scenario::Drill;
use crate::scenario::model::{Chipset, Scenario};
use crate::verdict::Expectations;

/// The APIC id of the CPU that the firmware starts on QEMU's machines.
const BOOT_APIC_ID: u32 = 0;
/// The parameter that carries a drill's token.
const TOKEN_PARAMETER: &str = "crashdrill";

/// Everything about a drill that is known before it starts.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Functions, slots, disks, CPUs; with the first kernel's command line.
    pub machine: MachinePlan,
    /// Tells this drill's dump from any other; it stands on the first kernel's command line.
    pub token: String,
    /// The capture kernel's command line, as kdump's scripts would put it together.
    pub capture_commandline: String,
    /// What the first kernel's /init does, and the files that it needs for it.
    pub first: Stage<FirstOrder>,
    /// What the capture kernel's /init does, and the files that it needs for it.
    pub capture: Stage<CaptureOrder>,
    /// Directory on the target below which the host looks for the dump.
    pub dump_directory: String,
    /// What the verdict has to know of all this.
    pub expectations: Expectations,
}

/// One kernel's part of a drill.
#[derive(Debug, Clone)]
pub struct Stage<O> {
    /// For /init.
    pub order: O,
    /// Programs of the image's userland.
    pub programs: BTreeSet<String>,
    /// Module files by their path in the initramfs.
    pub modules: BTreeMap<String, Module>,
    /// The user's own files.
    pub scripts: Vec<(String, String)>,
    /// busybox as /bin/sh.
    pub busybox: bool,
}

/// A drill that cannot be planned on its image.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// kdump.conf.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Conf(Vec<ConfError>),
    /// A driver that the kernel does not have.
    #[error("image {image}: {source}")]
    Module {
        /// The image.
        image: String,
        /// Which module, and what may have been meant.
        source: ModuleError,
    },
    /// The devices do not fit the machine.
    #[error(transparent)]
    Machine(#[from] machine::PlanError),
    /// Something of kdump.conf that is not acted out yet.
    #[error("{0} is not emulated yet")]
    NotEmulated(&'static str),
    /// No device of the machine is marked as target and kdump.conf names none.
    #[error("the drill has no dump target: mark a device with `target: true`")]
    NoTarget,
}

/// Which kernel gets an interactive shell instead of doing its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shell {
    /// None: a drill.
    #[default]
    No,
    /// The first kernel, before anything is armed.
    First,
    /// The capture kernel, before anything is saved.
    Capture,
}

impl Plan {
    /// Plans a drill. `token` must be new for every run.
    ///
    /// # Errors
    /// The scenario asks for something that the image, the machine or crashdrill does not have.
    pub fn new(drill: &Drill, image: &Image, token: &str, shell: Shell) -> Result<Self, PlanError> {
        let scenario = &drill.scenario;
        let configuration = Configuration::read(&scenario.kdump).map_err(PlanError::Conf)?;
        let Configuration::Kdumpctl {
            conf, sysconfig, ..
        } = &configuration
        else {
            return Err(PlanError::NotEmulated(match scenario.kdump.flavour {
                Flavour::Debian => "a direct drill with `flavour: debian`",
                _ => "a direct drill with `flavour: opensuse`",
            }));
        };
        if let Some(text) = &scenario.kdump.conf {
            let missing = conf.not_emulated(text);
            if !missing.is_empty() {
                return Err(PlanError::Conf(missing));
            }
        }
        let mut machine = MachinePlan::new(&scenario.machine)?;
        machine.append = first_commandline(scenario, token);
        let capture_commandline = configuration
            .capture_commandline(&machine.append, BOOT_APIC_ID)
            .to_string();
        let kept_out = commandline::kept_out(&capture_commandline, conf);
        let modules = |source| PlanError::Module {
            image: image.name.clone(),
            source,
        };

        let kexec = arm(sysconfig, &capture_commandline);
        let first = first_stage(scenario, image, kexec, token, shell).map_err(modules)?;
        let drivers = match &scenario.capture.drivers {
            Some(drivers) => drivers.clone(),
            None => machine.drivers().into_iter().map(str::to_owned).collect(),
        };
        let drivers: Vec<String> = drivers
            .into_iter()
            .chain(conf.extra_modules.iter().cloned())
            .collect();
        let (device, filesystem) = target(conf, &machine)?;
        let mut files = Files::default();
        let order = CaptureOrder {
            script: Script::Rhel7,
            drivers: load_order(image, &drivers, &kept_out, &mut files).map_err(modules)?,
            target: order::Target::Filesystem(order::Filesystem {
                device: device.clone(),
                kind: filesystem.name().to_owned(),
                modules: filesystem_modules(image, filesystem, &mut files).map_err(modules)?,
            }),
            wait_ms: scenario.limits.target.0,
            path: conf.path.clone(),
            collector: conf.core_collector.clone(),
            pre: conf.kdump_pre.clone().map(|script| vec![script]),
            post: conf.kdump_post.clone().map(|script| vec![script]),
            emergency: None,
            failure_action: failure_action(conf.failure_action)?,
            final_action: Action::PowerOff,
            shell: shell == Shell::Capture,
        };
        let scripts: Vec<(String, String)> = scenario.capture.files.clone().into_iter().collect();
        let capture = Stage {
            programs: collector_program(&order.collector, &scripts),
            modules: files.modules,
            busybox: shell == Shell::Capture
                || !scripts.is_empty()
                || order.failure_action == order::FailureAction::Shell,
            scripts,
            order,
        };
        let expectations = expectations(image, &machine, &device, drivers, conf);
        Ok(Self {
            machine,
            token: token.to_owned(),
            capture_commandline,
            first,
            capture,
            dump_directory: conf.path.clone(),
            expectations,
        })
    }
}

fn first_commandline(scenario: &Scenario, token: &str) -> String {
    let mut words = vec!["console=ttyS0".to_owned()];
    words.extend(scenario.crashkernel.parameters());
    words.push(format!("{TOKEN_PARAMETER}={token}"));
    if !scenario.first_kernel.append.is_empty() {
        words.push(scenario.first_kernel.append.clone());
    }
    words.join(" ")
}

fn first_stage(
    scenario: &Scenario,
    image: &Image,
    arm: Vec<String>,
    token: &str,
    shell: Shell,
) -> Result<Stage<FirstOrder>, ModuleError> {
    let mut files = Files::default();
    let drivers = load_order(image, &scenario.first_kernel.drivers, &[], &mut files)?;
    Ok(Stage {
        order: FirstOrder {
            drivers,
            messages: Vec::new(),
            arm,
            crash_cpu: u32::from(scenario.crash.cpu),
            token: token.to_owned(),
            shell: shell == Shell::First,
        },
        programs: BTreeSet::from(["kexec".to_owned()]),
        modules: files.modules,
        scripts: Vec::new(),
        busybox: shell == Shell::First,
    })
}

/// The command that RHEL 7's kdumpctl runs, with kexec_load(2): `kexec $KEXEC_ARGS -p …`.
fn arm(sysconfig: &Sysconfig, capture_commandline: &str) -> Vec<String> {
    // kexec-tools 2.0.29 tries kexec_file_load(2) first; 3.10 has kexec_load(2) alone.
    let mut argv = vec!["kexec".to_owned(), "--kexec-syscall".to_owned()];
    let more = sysconfig.kexec_args.as_deref().unwrap_or_default();
    argv.extend(more.split_ascii_whitespace().map(str::to_owned));
    argv.extend([
        "-p".to_owned(),
        CAPTURE_KERNEL.to_owned(),
        format!("--initrd={CAPTURE_INITRAMFS}"),
        format!("--command-line={capture_commandline}"),
    ]);
    argv
}

/// Module files of one initramfs, none twice.
#[derive(Default)]
struct Files {
    modules: BTreeMap<String, Module>,
}

impl Files {
    /// Adds those of `modules` that are new, and gives them as the order names them.
    fn add(&mut self, release: &str, modules: Vec<Module>) -> Vec<order::Module> {
        let mut new = Vec::new();
        for module in modules {
            let file = module
                .file
                .split_inclusive(".ko")
                .next()
                .unwrap_or(&module.file);
            let path = format!("/lib/modules/{release}/{file}");
            if let Entry::Vacant(free) = self.modules.entry(path) {
                new.push(order::Module {
                    name: module.name.clone(),
                    path: free.key().clone(),
                    parameters: String::new(),
                });
                free.insert(module);
            }
        }
        new
    }
}

fn load_order(
    image: &Image,
    drivers: &[String],
    kept_out: &[KeptOut],
    files: &mut Files,
) -> Result<Vec<order::Driver>, ModuleError> {
    let names: Vec<&str> = drivers.iter().map(String::as_str).collect();
    let found = image.modules.closure(&names)?;
    let mut order = Vec::new();
    for (asked, driver) in drivers.iter().zip(found) {
        // `module_blacklist=` is the kernel's own: it refuses the module itself, if it is new
        // enough to know the parameter.
        let keeper = kept_out
            .iter()
            .find(|keeper| keeper.driver == driver.name && keeper.by != KeptOutBy::ModuleBlacklist);
        let modules = match (keeper, driver.found) {
            (None, Found::Files(modules)) => files.add(&image.kernel.release, modules),
            (Some(_), _) | (None, Found::Builtin | Found::Assumed) => Vec::new(),
        };
        order.push(order::Driver {
            name: asked.clone(),
            modules,
            kept_out_by: keeper.map(|keeper| format!("{}{}", keeper.by, keeper.driver)),
        });
    }
    Ok(order)
}

fn filesystem_modules(
    image: &Image,
    filesystem: Filesystem,
    files: &mut Files,
) -> Result<Vec<order::Module>, ModuleError> {
    let mut modules = Vec::new();
    for driver in image.modules.closure(&[filesystem.name()])? {
        if let Found::Files(found) = driver.found {
            modules.extend(files.add(&image.kernel.release, found));
        }
    }
    Ok(modules)
}

/// The target that kdump.conf names, or else the device that the scenario marks.
fn target(conf: &KdumpConf, machine: &MachinePlan) -> Result<(String, Filesystem), PlanError> {
    match &conf.target {
        Some(DumpTarget::Filesystem { filesystem, device }) => {
            let device = match device {
                TargetDevice::Node(node) => node.clone(),
                TargetDevice::Uuid(uuid) => format!("UUID={uuid}"),
                TargetDevice::Label(label) => format!("LABEL={label}"),
            };
            return Ok((device, *filesystem));
        }
        Some(DumpTarget::Raw(_)) => return Err(PlanError::NotEmulated("`raw`")),
        Some(DumpTarget::Nfs { .. }) => return Err(PlanError::NotEmulated("`nfs`")),
        Some(DumpTarget::Ssh { .. }) => return Err(PlanError::NotEmulated("`ssh`")),
        Some(DumpTarget::Virtiofs(_)) => return Err(PlanError::NotEmulated("`virtiofs`")),
        None => {}
    }
    let disk = machine.target().and_then(|function| function.disk.as_ref());
    let disk = disk.ok_or(PlanError::NoTarget)?;
    Ok((disk.node.clone(), Filesystem::Ext4))
}

fn failure_action(action: FailureAction) -> Result<order::FailureAction, PlanError> {
    let end = match action {
        FailureAction::Reboot => Action::Reboot,
        FailureAction::Halt => Action::Halt,
        FailureAction::Poweroff => Action::PowerOff,
        FailureAction::Shell => return Ok(order::FailureAction::Shell),
        FailureAction::DumpToRootfs => {
            return Err(PlanError::NotEmulated(
                "kdump.conf's `default dump_to_rootfs`",
            ));
        }
    };
    Ok(order::FailureAction::End(end))
}

/// The collector is a program of the image, unless it is one of the user's own files.
fn collector_program(collector: &[String], scripts: &[(String, String)]) -> BTreeSet<String> {
    collector
        .first()
        .filter(|program| !scripts.iter().any(|(path, _)| path == *program))
        .cloned()
        .into_iter()
        .collect()
}

fn expectations(
    image: &Image,
    machine: &MachinePlan,
    device: &str,
    capture_drivers: Vec<String>,
    conf: &KdumpConf,
) -> Expectations {
    let name = |kind| catalogue::entry(kind).name.to_owned();
    let target_drivers = machine
        .target()
        .map_or(&[][..], |function| catalogue::entry(function.kind).drivers);
    let devices = machine
        .functions
        .iter()
        .map(|function| {
            let slot = function.slot;
            (
                format!("00:{:02x}.{}", slot.device, slot.function),
                name(function.kind),
            )
        })
        .collect();
    Expectations {
        target: device.to_owned(),
        target_drivers: target_drivers
            .iter()
            .map(|driver| (*driver).to_owned())
            .collect(),
        capture_drivers,
        pre_script: conf.kdump_pre.is_some(),
        devices,
        machine: format!("{}, {}", machine.machine_type(), machine.cpu_model()),
        fidelity: fidelity(image, machine),
    }
}

/// What differs from a customer's machine, for the outcome.
fn fidelity(image: &Image, machine: &MachinePlan) -> Vec<String> {
    let mut notes = vec![
        "the capture initramfs is crashdrill's own, not dracut's: no udev, drivers load one after \
         the other in the order of the scenario"
            .to_owned(),
        "the first kernel runs /init alone: no services, no load when it crashes".to_owned(),
    ];
    if let CaptureKernel::Unpacked(_) = image.kernel.capture {
        notes.push(
            "both kernels start uncompressed, without their decompressor: no KASLR in either"
                .to_owned(),
        );
    }
    if machine.chipset == Chipset::Pc {
        notes.push(
            "chipset pc: interrupt lines use preallocated ISA vectors, unlike on a server"
                .to_owned(),
        );
    }
    notes
}
