//! From scenario files to jobs: QEMU, accelerator, images and plans.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use miette::Diagnostic;

use super::Job;
use super::known::{accelerator, capabilities};
use super::plan::{self, BootPlan, DiskProblem, Plan, PlanError, Shell, Supplies};
use crate::image::qemu::{Origin, QEMU_VARIABLE};
use crate::image::{Cache, Image, ImageError, Keys, Manifest, Progress, Qemu, keys, qemu};
use crate::kdump::configuration::Configuration;
use crate::kdump::error::ConfigFile;
use crate::machine::probe::{Capabilities, Lacking};
use crate::machine::{self, Accel, AccelChoice, MachineError, catalogue};
use crate::project::Project;
use crate::scenario::model::Device;
use crate::scenario::{BadScenario, Drill, DrillId, Path, Problem};
use crate::suggest;
use crate::vectors::predict;

/// Everything that a run needs.
#[derive(Debug)]
pub struct Prepared {
    /// One for each drill whose image is there, in the order of the drills.
    pub jobs: Vec<Job>,
    /// Images that cannot be had; none after [`prepare`].
    pub missing: Vec<MissingImage>,
    /// Drills that another image than their scenario's has no driver or program for, and drills
    /// with devices for which the QEMU is too old; none after [`prepare`].
    pub left_out: Vec<LeftOut>,
    /// Which accelerator, and why.
    pub accel: AccelChoice,
    /// The QEMU. Jobs with devices for which the one on PATH is too old have crashdrill's own.
    pub qemu: Arc<Qemu>,
}

/// An image that cannot be had.
#[derive(Debug)]
pub struct MissingImage {
    /// The drills that need it.
    pub drills: Vec<DrillId>,
    /// Why.
    pub error: ImageError,
}

/// A drill that does not fit the image on which it was to run instead of its scenario's, or the QEMU
/// that is there.
#[derive(Debug)]
pub struct LeftOut {
    /// The drill.
    pub id: DrillId,
    /// What is lacking.
    pub why: String,
    /// The same, where the scenario asks for it.
    refusal: Box<BadScenario>,
}

/// Why a run cannot begin.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum PrepareError {
    /// Scenarios that are wrong, or that ask for what is not there.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Scenario(#[from] Box<BadScenario>),
    /// An image or QEMU cannot be had.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// QEMU cannot be asked.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// No randomness for the drill's token.
    #[error("cannot read /dev/urandom: {0}")]
    Random(io::Error),
}

/// Turns drills into jobs. What is missing is fetched; what cannot be done is said before
/// anything starts.
///
/// # Errors
/// See [`PrepareError`].
pub fn prepare(
    project: &Project,
    cache: &Cache,
    drills: Vec<Drill>,
    accel: Option<Accel>,
    shell: Shell,
    progress: &dyn Progress,
) -> Result<Prepared, PrepareError> {
    let mut prepared = prepare_possible(project, cache, drills, accel, shell, progress)?;
    match (prepared.missing.pop(), prepared.left_out.pop()) {
        (Some(missing), _) => Err(missing.error.into()),
        (None, Some(left_out)) => Err(left_out.refusal.into()),
        (None, None) => Ok(prepared),
    }
}

/// [`prepare`] for drills that do not depend on each other: an image that this host cannot make or
/// fetch keeps only its own drills from running.
///
/// # Errors
/// See [`PrepareError`].
pub fn prepare_possible(
    project: &Project,
    cache: &Cache,
    drills: Vec<Drill>,
    accel: Option<Accel>,
    shell: Shell,
    progress: &dyn Progress,
) -> Result<Prepared, PrepareError> {
    let usual = Emulator::new(cache, qemu::find(cache, progress)?, accel)?;
    let mut own = None;
    let images = images(project, cache, &drills, progress)?;
    let mut jobs = Vec::new();
    let mut left_out = Vec::new();
    let mut supplies = Remote::default();
    for drill in drills {
        let Some(image) = images.opened.get(&drill.scenario.image).cloned() else {
            continue;
        };
        let planned = supplies.plan(project, cache, &drill, &image, shell, progress)?;
        let (mut plan, server) = match planned {
            Ok(planned) => planned,
            Err(error) => {
                let refusal = Box::new(drill.refuse(&problems(&drill, &error)));
                if drill.id.image.is_none() || !is_lack(&error) {
                    return Err(refusal.into());
                }
                left_out.push(LeftOut {
                    id: drill.id,
                    why: error.to_string(),
                    refusal,
                });
                continue;
            }
        };
        let mut emulator = &usual;
        let mut lacking = usual.lacking(&mut plan);
        let mut unavailable = None;
        // What somebody has named is not replaced.
        if lacking.iter().any(Lacking::is_for_models) && usual.qemu.origin == Origin::Path {
            let own = own.get_or_insert_with(|| {
                let qemu = qemu::fetch(cache, progress)?;
                Ok::<_, PrepareError>(Emulator::new(cache, qemu, accel)?)
            });
            match own {
                Ok(own) => {
                    lacking = own.lacking(&mut plan);
                    emulator = own;
                }
                Err(error) => unavailable = Some(error.to_string()),
            }
        }
        if !lacking.is_empty() {
            let help = match unavailable {
                None => format!(
                    "{QEMU_VARIABLE}=fetched runs crashdrill's own QEMU, the newest that Debian has"
                ),
                Some(error) => format!("crashdrill's own QEMU cannot be had: {error}"),
            };
            let problems: Vec<Problem> = lacking
                .iter()
                .map(|lacking| lack(&drill, lacking).help(help.clone()))
                .collect();
            let refusal = Box::new(drill.refuse(&problems));
            let Some(why) = lacking.iter().find(|lacking| lacking.is_for_models()) else {
                return Err(refusal.into());
            };
            left_out.push(LeftOut {
                id: drill.id,
                why: format!("{why}; {help}"),
                refusal,
            });
            continue;
        }
        jobs.push(Job {
            drill,
            plan,
            image,
            server,
            qemu: emulator.qemu.clone(),
            postmortem: None,
        });
    }
    Ok(Prepared {
        jobs,
        missing: images.missing,
        left_out,
        accel: usual.accel,
        qemu: usual.qemu,
    })
}

/// A QEMU, and what can be done with it.
struct Emulator {
    qemu: Arc<Qemu>,
    capabilities: Capabilities,
    accel: AccelChoice,
}

impl Emulator {
    fn new(cache: &Cache, qemu: Qemu, wish: Option<Accel>) -> Result<Self, MachineError> {
        Ok(Self {
            capabilities: capabilities(cache, &qemu)?,
            accel: accelerator(cache, &qemu, wish)?,
            qemu: Arc::new(qemu),
        })
    }

    /// Plans for this QEMU; gives what it lacks.
    fn lacking(&self, plan: &mut Plan) -> Vec<Lacking> {
        plan.machine.accel = self.accel.accel;
        if let Some(server) = plan.server_mut() {
            server.machine.accel = self.accel.accel;
        }
        self.capabilities.lacking(&plan.machine)
    }
}

/// Names of the images that drills are made with, the dump server's among them. What one of these
/// borrows from comes on top.
pub fn images_of(drills: &[Drill]) -> BTreeSet<&str> {
    let own = drills.iter().map(|drill| drill.scenario.image.as_str());
    let remote = drills.iter().any(|drill| drill.scenario.is_remote());
    own.chain(remote.then_some(plan::SERVER_IMAGE)).collect()
}

/// The plan of a drill and the image that it runs on, without a QEMU to run it.
///
/// # Errors
/// See [`PrepareError`].
pub fn prepare_plan(
    project: &Project,
    cache: &Cache,
    drill: &Drill,
    progress: &dyn Progress,
) -> Result<(Plan, Arc<Image>), PrepareError> {
    let load = |name: &str| Manifest::load(&project.image(name));
    let manifest = manifest(project, drill)?;
    let image = Arc::new(Image::open(&manifest, &load, cache, progress)?);
    let mut supplies = Remote::default();
    let planned = supplies.plan(project, cache, drill, &image, Shell::No, progress)?;
    let (plan, _) = planned.map_err(|error| Box::new(drill.refuse(&problems(drill, &error))))?;
    Ok((plan, image))
}

struct Images {
    opened: BTreeMap<String, Arc<Image>>,
    missing: Vec<MissingImage>,
}

fn images(
    project: &Project,
    cache: &Cache,
    drills: &[Drill],
    progress: &dyn Progress,
) -> Result<Images, PrepareError> {
    let load = |name: &str| Manifest::load(&project.image(name));
    let mut images = BTreeMap::new();
    let mut missing = BTreeMap::<&str, MissingImage>::new();
    for drill in drills {
        let name = &drill.scenario.image;
        if let Some(missing) = missing.get_mut(name.as_str()) {
            missing.drills.push(drill.id.clone());
            continue;
        }
        if images.contains_key(name) {
            continue;
        }
        let manifest = manifest(project, drill)?;
        match Image::open(&manifest, &load, cache, progress) {
            Ok(image) => {
                images.insert(name.clone(), Arc::new(image));
            }
            Err(error) => {
                let drills = vec![drill.id.clone()];
                missing.insert(name, MissingImage { drills, error });
            }
        }
    }
    Ok(Images {
        opened: images,
        missing: missing.into_values().collect(),
    })
}

/// The manifest of a drill's image.
fn manifest(project: &Project, drill: &Drill) -> Result<Manifest, PrepareError> {
    let name = &drill.scenario.image;
    if !project.image(name).is_file() {
        let problem = Problem::new(
            Path::default().key("image"),
            format!("there is no image `{name}`"),
        );
        let known = project.image_names().unwrap_or_default();
        let help = match suggest::closest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("images/ holds {}", known.join(", ")),
        };
        return Err(Box::new(drill.refuse(&[problem.help(help)])).into());
    }
    Ok(Manifest::load(&project.image(name))?)
}

/// A plan, and the image of the drill's dump server.
type Planned = (Plan, Option<Arc<Image>>);

/// What drills over the network share: fetched for the first, and only then.
#[derive(Default)]
struct Remote(Option<(Arc<Image>, Keys)>);

impl Remote {
    /// The plan of one drill, and the image of its dump server.
    fn plan(
        &mut self,
        project: &Project,
        cache: &Cache,
        drill: &Drill,
        image: &Image,
        shell: Shell,
        progress: &dyn Progress,
    ) -> Result<Result<Planned, PlanError>, PrepareError> {
        let token = token().map_err(PrepareError::Random)?;
        let remote = match drill.scenario.is_remote() {
            true => Some(self.get(project, cache, image, progress)?),
            false => None,
        };
        let seeds = [
            seed().map_err(PrepareError::Random)?,
            seed().map_err(PrepareError::Random)?,
        ];
        let given = remote.as_ref().map(|(image, keys)| Supplies {
            image,
            keys,
            seeds: &seeds,
        });
        let plan = Plan::new(drill, image, given, &token, shell).map(|mut plan| {
            if let BootPlan::Direct(_) = plan.boot {
                let setting = plan.vectors(drill, image);
                plan.expectations.forecast = setting.map(|setting| predict(&setting));
            }
            plan
        });
        Ok(plan.map(|plan| (plan, remote.map(|(image, _)| image))))
    }

    fn get(
        &mut self,
        project: &Project,
        cache: &Cache,
        image: &Image,
        progress: &dyn Progress,
    ) -> Result<(Arc<Image>, Keys), PrepareError> {
        if let Some(known) = &self.0 {
            return Ok(known.clone());
        }
        let load = |name: &str| Manifest::load(&project.image(name));
        let server = Image::open(&load(plan::SERVER_IMAGE)?, &load, cache, progress)?;
        let keys = keys::open(&image.userland, cache, progress)?;
        Ok(self.0.insert((Arc::new(server), keys)).clone())
    }
}

/// What this QEMU lacks, at the device that needs it.
fn lack(drill: &Drill, lacking: &Lacking) -> Problem {
    let machine = Path::default().key("machine");
    let path = match lacking {
        Lacking::MachineType { .. } => machine.key("chipset"),
        Lacking::X2apic(_) => machine.key("apic"),
        Lacking::Device { device, .. } => {
            let needs = |line: &Device| catalogue::entry(line.device).qemu.contains(device);
            match drill.scenario.machine.devices.iter().position(needs) {
                Some(line) => machine.key("devices").index(line).key("device"),
                None => machine,
            }
        }
    };
    Problem::new(path, lacking.to_string())
}

/// Whether it is the image that lacks something, which another may have.
fn is_lack(error: &PlanError) -> bool {
    matches!(
        error,
        PlanError::Module { .. } | PlanError::NoProgram { .. } | PlanError::Boot(_)
    )
}

/// Where the scenario is wrong.
fn problems(drill: &Drill, error: &PlanError) -> Vec<Problem> {
    let PlanError::Conf(errors) = error else {
        let problem = problem(error);
        return vec![Problem {
            inside: line_of(drill, error),
            ..problem
        }];
    };
    let kdump = Path::default().key("kdump");
    errors
        .iter()
        .map(|error| {
            let key = match error.file {
                ConfigFile::KdumpConf => "conf",
                ConfigFile::Sysconfig => "sysconfig",
                ConfigFile::KdumpTools => "kdump-tools",
            };
            let message = format!("{}, line {}: {}", error.file, error.line, error.message);
            Problem {
                inside: Some(error.at.clone()),
                help: error.help.clone(),
                ..Problem::new(kdump.clone().key(key), message)
            }
        })
        .collect()
}

/// The bytes of kdump.conf that an error of planning is about.
fn line_of(drill: &Drill, error: &PlanError) -> Option<Range<usize>> {
    let options: &[&str] = match error {
        PlanError::NoProgram { option, .. } => &[option],
        PlanError::NoRoot => &["failure_action", "default"],
        PlanError::Pattern(_) => &["dracut_args"],
        PlanError::Disk {
            problem: DiskProblem::Conf(_),
            ..
        } => &["ext2", "ext3", "ext4", "xfs", "btrfs"],
        _ => return None,
    };
    let Ok(Configuration::Kdumpctl { conf, .. }) = Configuration::read(&drill.scenario.kdump)
    else {
        return None;
    };
    let mut lines = conf.written.into_iter();
    let line = lines.find(|line| options.contains(&line.option.as_str()))?;
    Some(line.at.start..line.value_at.end)
}

/// The key that an error of planning is about.
fn problem(error: &PlanError) -> Problem {
    let conf = Path::default().key("kdump").key("conf");
    let machine = Path::default().key("machine");
    let devices = machine.clone().key("devices");
    let path = match error {
        PlanError::Conf(_)
        | PlanError::NotEmulated(_)
        | PlanError::Remote(_)
        | PlanError::Pattern(_)
        | PlanError::NoProgram { .. }
        | PlanError::NoRoot => conf,
        PlanError::Flavour(_) => Path::default().key("kdump").key("flavour"),
        PlanError::Disk { device, problem } => match problem {
            DiskProblem::Conf(_) => conf,
            DiskProblem::Device(_) => devices.index(*device).key("filesystem"),
            DiskProblem::Small { .. } => devices.index(*device).key("size"),
        },
        PlanError::Boot(_) => Path::default().key("boot"),
        PlanError::SystemCalls(_) => Path::default().key("first-kernel").key("append"),
        PlanError::Config { .. } | PlanError::Lacking { .. } => Path::default().key("image"),
        PlanError::Files(_) => Path::default().key("capture").key("files"),
        PlanError::Module { .. } => Path::default().key("capture").key("drivers"),
        PlanError::Machine(machine::PlanError::Device { device, .. }) => devices.index(*device),
        PlanError::Machine(machine::PlanError::Cpus(_) | machine::PlanError::FlatCpus(_)) => {
            machine.key("cpus")
        }
        PlanError::Machine(machine::PlanError::Memory(_)) => machine.key("memory"),
        PlanError::Machine(machine::PlanError::CpuModel(_)) => machine.key("cpu"),
        PlanError::Machine(_) | PlanError::NoTarget => devices,
    };
    let problem = Problem::new(path, error.to_string());
    match error {
        PlanError::Flavour(_) => problem.help(
            "`boot: disk` runs the distribution's own scripts; `flavour: rhel7` acts out those of \
             RHEL 7 on this kernel",
        ),
        PlanError::Lacking { .. } => problem.help(
            "build the kernel with it, or name an image whose kernel has it, such as debian-12",
        ),
        PlanError::NoProgram { program, .. } => problem.help(format!(
            "put it into `capture.files` of the scenario: `{program}: |` and its text"
        )),
        PlanError::NoRoot => {
            problem.help("add a device with one, such as `- {device: virtio-blk, root: true}`")
        }
        _ => problem,
    }
}

/// 64 random bits, new for every run of every drill.
fn token() -> io::Result<String> {
    random::<8>()
}

/// As many as make a kernel's generator ready twice over.
fn seed() -> io::Result<String> {
    random::<64>()
}

fn random<const BYTES: usize>() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
