//! From a drill and an image to everything that is decided before a machine starts.

use std::collections::{BTreeMap, BTreeSet};

use crashdrill_guest::order::{CaptureOrder, FirstOrder};
use crashdrill_guest::syscalls::{self, LastCall};

mod capture;
mod disks;
mod drivers;
mod fidelity;
mod kernel;
mod kexec;
mod remote;
mod requests;
mod server;
mod vectors;

pub(super) use capture::APPLETS;
pub use disks::DiskProblem;
pub use drivers::BadPattern;
pub(super) use fidelity::models;
pub use remote::RemoteError;
pub(super) use server::SERVER_IMAGE;
pub use server::{ServerPlan, Supplies};

use self::capture::Capture;
use self::disks::Use;
use self::drivers::{Files, Keepers, Parameters, extra_modules, load_order};
use super::disk::{self, Distribution};
use crate::image::{ConfigError, Image, Module, ModuleError, Need};
use crate::initramfs::ArchiveError;
use crate::kdump::commandline;
use crate::kdump::conf::KdumpConf;
use crate::kdump::configuration::Configuration;
use crate::kdump::error::ConfError;
use crate::kdump::flavour::Flavour;
use crate::machine::{self, MachinePlan, PlacedFunction, catalogue};
use crate::scenario::Drill;
use crate::scenario::model::{Boot, Scenario};
use crate::target::Content;
use crate::verdict::Expectations;

/// The APIC id of the CPU that the firmware starts on QEMU's machines.
pub(super) const BOOT_APIC_ID: u32 = 0;
/// The parameter that carries a drill's token.
const TOKEN_PARAMETER: &str = "crashdrill";

/// Everything about a drill that is known before it starts.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Functions, slots, disks, CPUs; with the first kernel's command line.
    pub machine: MachinePlan,
    /// Tells this drill's dump from any other; it stands on the first kernel's command line.
    pub token: String,
    /// Who does the work in both kernels.
    pub boot: BootPlan,
    /// Directory on the target below which the host looks for the dump.
    pub dump_directory: String,
    /// What the verdict has to know of all this.
    pub expectations: Expectations,
}

/// Who does the work in both kernels.
#[derive(Debug, Clone)]
pub enum BootPlan {
    /// crashdrill's own /init.
    Direct(Box<Direct>),
    /// A distribution on the disk of the target device.
    Disk(Box<Distribution>),
}

/// What crashdrill's own /init does in either kernel.
#[derive(Debug, Clone)]
pub struct Direct {
    /// The capture kernel's command line, as kdump's scripts would put it together.
    pub capture_commandline: String,
    /// What the first kernel's /init does, and the files that it needs for it.
    pub first: Stage<FirstOrder>,
    /// What the capture kernel's /init does, and the files that it needs for it.
    pub capture: Stage<CaptureOrder>,
    /// What each of [`MachinePlan::file_disks`] holds before the machine starts, in that order.
    pub contents: Vec<Content>,
    /// The machine that takes the dump, where kdump.conf sends it over the network and somebody is
    /// to answer.
    pub server: Option<ServerPlan>,
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
    /// Configuration files.
    pub texts: Vec<TextFile>,
    /// busybox as /bin/sh.
    pub busybox: bool,
}

/// A configuration file of an initramfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// Where it lies in the guest.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// What it says.
    pub text: String,
}

impl TextFile {
    /// For everybody to read.
    fn plain(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            mode: 0o644,
            text: text.to_owned(),
        }
    }

    /// For root alone.
    fn private(path: &str, text: &str) -> Self {
        Self {
            mode: 0o600,
            ..Self::plain(path, text)
        }
    }
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
    /// A dump target on the network.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Something of kdump.conf that is not acted out yet.
    #[error("{0} is not emulated yet")]
    NotEmulated(&'static str),
    /// A distribution whose scripts are not acted out.
    #[error("a direct drill acts out the scripts of RHEL and Fedora, not those of flavour {0}")]
    Flavour(Flavour),
    /// A disk that cannot be made.
    #[error("{problem}")]
    Disk {
        /// Index into `machine.devices`.
        device: usize,
        /// What is wrong with it.
        problem: DiskProblem,
    },
    /// dracut's `--omit-drivers`.
    #[error(transparent)]
    Pattern(#[from] BadPattern),
    /// A program that is neither in the image nor among the scenario's files.
    #[error("`{option}`: image {image} has no program {program}")]
    NoProgram {
        /// The option of kdump.conf.
        option: &'static str,
        /// As it is written.
        program: String,
        /// The image.
        image: String,
    },
    /// `dump_to_rootfs` without a root file system.
    #[error("`dump_to_rootfs` needs a root file system, and no device has one")]
    NoRoot,
    /// `crashdrill.syscalls=` on a kernel's command line.
    #[error("{0}")]
    SystemCalls(String),
    /// `boot` and the image do not fit.
    #[error("{0}")]
    Boot(String),
    /// The configuration that the kernel came with.
    #[error("image {image}: {source}")]
    Config {
        /// The image.
        image: String,
        /// What is wrong with it.
        source: ConfigError,
    },
    /// A kernel that was built without what a drill needs of it.
    #[error(
        "image {image}: its kernel, {release}, was built without\n{}",
        lacking.iter().map(|need| format!("  {need}")).collect::<Vec<_>>().join("\n")
    )]
    Lacking {
        /// The image.
        image: String,
        /// Of the kernel.
        release: String,
        /// What, and why it is needed.
        lacking: Vec<&'static Need>,
    },
    /// The user's files cannot be put into the capture initramfs.
    #[error(transparent)]
    Files(ArchiveError),
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
    /// The capture kernel's command line, as kdump's scripts put it together.
    pub fn capture_commandline(&self) -> &str {
        match &self.boot {
            BootPlan::Direct(direct) => &direct.capture_commandline,
            BootPlan::Disk(distribution) => &distribution.capture_commandline,
        }
    }

    /// The machine that takes the dump, if there is one.
    pub fn server(&self) -> Option<&ServerPlan> {
        match &self.boot {
            BootPlan::Direct(direct) => direct.server.as_ref(),
            BootPlan::Disk(_) => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn server_mut(&mut self) -> Option<&mut ServerPlan> {
        match &mut self.boot {
            BootPlan::Direct(direct) => direct.server.as_mut(),
            BootPlan::Disk(_) => None,
        }
    }

    /// Plans a drill. `token` must be new for every run. `supplies` are needed where kdump.conf
    /// sends the dump over the network.
    ///
    /// # Errors
    /// The scenario asks for something that the image, the machine or crashdrill does not have.
    pub fn new(
        drill: &Drill,
        image: &Image,
        supplies: Option<Supplies<'_>>,
        token: &str,
        shell: Shell,
    ) -> Result<Self, PlanError> {
        let scenario = &drill.scenario;
        match (scenario.boot, &image.root) {
            (Boot::Disk, Some(root)) if shell == Shell::No => {
                if SystemCalls::of(&scenario.first_kernel.append, "")? != SystemCalls::default() {
                    return Err(PlanError::SystemCalls(format!(
                        "`{}` is /init's to act on, which does not run with `boot: disk`",
                        syscalls::PARAMETER
                    )));
                }
                return disk::plan(drill, image, root, token);
            }
            (Boot::Disk, Some(_)) => {
                let text = "a shell in a drill with `boot: disk` is not supported yet";
                return Err(PlanError::Boot(text.to_owned()));
            }
            (Boot::Disk, None) => {
                return Err(PlanError::Boot(format!(
                    "image {} has no root disk; debian-12-disk has one, and so has one whose source is \
                     `disk-image`",
                    image.name
                )));
            }
            (Boot::Direct, Some(_)) => {
                return Err(PlanError::Boot(format!(
                    "image {} is a root disk, which takes `boot: disk`",
                    image.name
                )));
            }
            (Boot::Direct, None) => {}
        }
        let flavour = scenario.kdump.flavour;
        let script = capture::script(flavour)?;
        let configuration = Configuration::read(&scenario.kdump).map_err(PlanError::Conf)?;
        let Configuration::Kdumpctl {
            conf, sysconfig, ..
        } = &configuration
        else {
            return Err(PlanError::Flavour(flavour));
        };
        let text = scenario.kdump.conf.as_deref().unwrap_or_default();
        let missing = conf.not_emulated(text);
        if !missing.is_empty() {
            return Err(PlanError::Conf(missing));
        }
        let mut machine = machine_plan(scenario, image)?;
        machine.append = first_commandline(scenario, token);
        let capture_commandline = configuration
            .capture_commandline(&machine.append, BOOT_APIC_ID)
            .to_string();
        let system_calls = SystemCalls::of(&machine.append, &capture_commandline)?;
        let keepers = Keepers::new(
            flavour,
            commandline::kept_out(&capture_commandline, conf),
            &conf.omit_drivers,
            &conf.extra_modules,
        )?;
        let modules = |source| PlanError::Module {
            image: image.name.clone(),
            source,
        };
        let mut drivers = machine.load_order(&scenario.capture);
        machine.name_disks(&drivers);
        let (more, messages) = extra_modules(image, &conf.extra_modules).map_err(modules)?;
        drivers.extend(more);

        let first = first_stage(
            scenario,
            image,
            &machine.append,
            messages,
            kexec::command(image, sysconfig, &capture_commandline),
            (token, shell),
        )
        .map_err(modules)?;
        let parameters = Parameters {
            // RHEL 6's /init loads with insmod.
            commandline: script.is_kdump_sh().then_some(capture_commandline.as_str()),
            options: &conf.module_options,
        };
        let remote = remote::plan(scenario, conf, supplies)?;
        let capture = Capture {
            scenario,
            image,
            conf,
            script,
            machine: &machine,
            remote: remote.as_ref(),
            drivers: &drivers,
            keepers: &keepers,
            parameters: &parameters,
            shell,
        }
        .stage()?;
        let config = kernel::check(image, &first, &capture)?;
        let contents = contents(scenario, conf, &machine)?;
        let mut fidelity = fidelity::notes(
            image,
            &machine,
            (&capture, &capture_commandline),
            system_calls,
        );
        fidelity.insert(0, fidelity::load_order(scenario.capture.order, &drivers));
        fidelity.extend(kernel::auto(scenario, image, &config));
        fidelity.extend(scenario.fidelity.iter().cloned());
        let expectations = Expectations {
            fidelity,
            ..expectations(&machine, &capture.order, drivers)
        };
        let own = format!("/{}", conf.path.trim_start_matches('/'));
        let (server, dump_directory) = match remote {
            Some(remote) => (remote.server, remote.dump_directory),
            None => (None, own),
        };
        Ok(Self {
            machine,
            token: token.to_owned(),
            dump_directory,
            boot: BootPlan::Direct(Box::new(Direct {
                capture_commandline,
                first,
                capture,
                contents,
                server,
            })),
            expectations,
        })
    }
}

/// Which system calls each kernel is to answer; all of them where it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct SystemCalls {
    first: Option<LastCall>,
    capture: Option<LastCall>,
}

impl SystemCalls {
    /// What both command lines ask for.
    fn of(first: &str, capture: &str) -> Result<Self, PlanError> {
        let last = |commandline| {
            LastCall::on(commandline).map_err(|error| PlanError::SystemCalls(error.to_string()))
        };
        Ok(Self {
            first: last(first)?,
            capture: last(capture)?,
        })
    }
}

/// The scenario's machine, with the CPU that the image's programs need where the scenario names none.
pub(super) fn machine_plan(
    scenario: &Scenario,
    image: &Image,
) -> Result<MachinePlan, machine::PlanError> {
    let mut plan = MachinePlan::new(&scenario.machine)?;
    if let (None, Some(cpu)) = (&scenario.machine.cpu, &image.cpu) {
        plan.cpu.clone_from(cpu);
    }
    Ok(plan)
}

pub(super) fn first_commandline(scenario: &Scenario, token: &str) -> String {
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
    commandline: &str,
    messages: Vec<String>,
    arm: Vec<String>,
    (token, shell): (&str, Shell),
) -> Result<Stage<FirstOrder>, ModuleError> {
    let mut files = Files::default();
    let parameters = Parameters {
        commandline: Some(commandline),
        options: &[],
    };
    let drivers = load_order(
        image,
        &scenario.first_kernel.drivers,
        &Keepers::default(),
        &parameters,
        &mut files,
    )?;
    Ok(Stage {
        order: FirstOrder {
            drivers,
            messages,
            arm,
            crash_cpu: u32::from(scenario.crash.cpu),
            token: token.to_owned(),
            shell: shell == Shell::First,
        },
        programs: BTreeSet::from(["kexec".to_owned()]),
        modules: files.modules,
        scripts: Vec::new(),
        texts: Vec::new(),
        busybox: shell == Shell::First,
    })
}

/// What each disk with a file holds, in the order of [`MachinePlan::file_disks`].
fn contents(
    scenario: &Scenario,
    conf: &KdumpConf,
    machine: &MachinePlan,
) -> Result<Vec<Content>, PlanError> {
    let with_file = |function: &PlacedFunction| {
        function
            .disk
            .as_ref()
            .filter(|disk| disk.backing == machine::Backing::File)
            .map(|disk| disk.size)
    };
    machine
        .functions
        .iter()
        .filter_map(|function| {
            let device = scenario.machine.devices.get(function.line)?;
            Some((function, device, with_file(function)?))
        })
        .enumerate()
        .map(|(nth, (function, device, size))| {
            let use_ = match function {
                function if function.target => Use::Target,
                function if function.root => Use::Root,
                _ => Use::Other(nth),
            };
            disks::content(conf, device, use_, size).map_err(|problem| PlanError::Disk {
                device: function.line,
                problem,
            })
        })
        .collect()
}

/// PCI address without domain to catalogue name.
pub(super) fn device_names(machine: &MachinePlan) -> BTreeMap<String, String> {
    let functions = machine.functions.iter();
    functions
        .map(|function| {
            let slot = function.slot;
            (
                format!("00:{:02x}.{}", slot.device, slot.function),
                catalogue::entry(function.kind).name.to_owned(),
            )
        })
        .collect()
}

/// All but the notes on fidelity.
fn expectations(
    machine: &MachinePlan,
    order: &CaptureOrder,
    capture_drivers: Vec<String>,
) -> Expectations {
    let target_drivers = machine
        .target()
        .map_or(&[][..], |function| catalogue::entry(function.kind).drivers);
    Expectations {
        target: order.target.to_string(),
        target_drivers: target_drivers
            .iter()
            .map(|driver| (*driver).to_owned())
            .collect(),
        capture_drivers,
        pre_script: order.pre.is_some(),
        devices: device_names(machine),
        forecast: None,
        machine: format!("{}, {}", machine.machine_type(), machine.cpu_model()),
        fidelity: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
