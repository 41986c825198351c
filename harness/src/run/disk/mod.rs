//! A drill of a whole distribution: what is put onto a copy of its root disk, or beside it.

mod copy;
mod image;
mod iso9660;
mod seed;

use std::collections::BTreeMap;

use crashdrill_guest::agent::{Service, Task};

pub use copy::DiskError;
pub(super) use copy::prepare;
pub use seed::Seed;

use super::plan::{
    BOOT_APIC_ID, BootPlan, Plan, PlanError, device_names, first_commandline, machine_plan, models,
};
use crate::image::disk::ROOT_UUID;
use crate::image::{BootKernel, CaptureInitrd, Image, KdumpService, RootDisk, RootKind};
use crate::initramfs::{Archive, ArchiveError, Content, GUEST_INIT, Node};
use crate::kdump::configuration::Configuration;
use crate::machine::catalogue;
use crate::scenario::Drill;
use crate::verdict::Expectations;

/// The program that crashes the first kernel and looks at the second, on the disk.
const AGENT: &str = "/usr/local/sbin/crashdrill-agent";
/// The same in the capture kernel's initramfs.
const AGENT_IN_INITRAMFS: &str = "/crashdrill/agent";
const UNITS: &str = "/etc/systemd/system";
const KDUMP_TOOLS: &str = "/etc/default/kdump-tools";

/// What a drill adds to the distribution's disk.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// The image's disk, of which the drill gets a copy, and what starts it.
    pub root: RootDisk,
    /// The capture kernel's command line, as the distribution's scripts should put it together.
    pub capture_commandline: String,
    /// How the drill gets its configuration and its agent there.
    pub added: Added,
}

/// How a drill gets its configuration and its agent to the distribution.
#[derive(Debug, Clone)]
pub enum Added {
    /// Written onto a disk that was made of packages.
    Files {
        /// What the capture kernel's part is appended to.
        capture_initrd: CaptureInitrd,
        /// Files and links for the root file system; those that are there are replaced.
        disk: Archive,
        /// Appended to the capture kernel's initramfs.
        initramfs: Archive,
    },
    /// On a medium of its own, for the image's cloud-init.
    Seed(Seed),
}

/// Plans a drill whose image has a root disk.
pub(super) fn plan(
    drill: &Drill,
    image: &Image,
    root: &RootDisk,
    token: &str,
) -> Result<Plan, PlanError> {
    let scenario = &drill.scenario;
    let configuration = Configuration::read(&scenario.kdump).map_err(PlanError::Conf)?;
    let (service, uuid) = match &root.kind {
        RootKind::Packages(_) => (KdumpService::KdumpTools, ROOT_UUID),
        RootKind::Image(found) => (found.service, found.uuid.as_str()),
    };
    let dump_directory = dump_directory(&configuration, service, &image.name)?;
    let mut machine = machine_plan(scenario, image)?;
    if machine.file_disks().any(|(function, _)| !function.target) {
        let text =
            "with `boot: disk` the machine has one disk, its root; others are not supported yet";
        return Err(PlanError::Boot(text.to_owned()));
    }
    let target = machine.target().ok_or(PlanError::NoTarget)?;
    let node = target
        .disk
        .as_ref()
        .ok_or(PlanError::NoTarget)?
        .node
        .clone();
    let target_drivers: Vec<String> = drivers(catalogue::entry(target.kind).drivers);
    machine.append = format!("root=UUID={uuid} ro {}", first_commandline(scenario, token));
    let crash = |service| Task::Crash {
        service,
        cpu: u32::from(scenario.crash.cpu),
        token: token.to_owned(),
        drivers: scenario.first_kernel.drivers.clone(),
    };
    let unit = service.unit().to_owned();
    let added = match &root.kind {
        RootKind::Packages(capture_initrd) => Added::Files {
            capture_initrd: capture_initrd.clone(),
            disk: disk_files(
                &crash(Service::Started(unit)),
                scenario.kdump.kdump_tools.as_deref(),
            )
            .map_err(PlanError::Files)?,
            initramfs: initramfs_files(&scenario.capture.files).map_err(PlanError::Files)?,
        },
        RootKind::Image(_) => {
            image::check(scenario)?;
            let crash = crash(Service::Restarted(unit));
            Added::Seed(Seed::new(&scenario.kdump, service, &crash, token))
        }
    };
    let capture_commandline = configuration
        .capture_commandline(&machine.append, BOOT_APIC_ID)
        .to_string();
    let mut notes = match &added {
        Added::Files { initramfs, .. } => fidelity(initramfs),
        Added::Seed(_) => image::fidelity(service),
    };
    if let BootKernel::Pvh(_) = image.kernel.boot {
        notes.push(
            "the first kernel starts uncompressed, without its decompressor: no KASLR in it"
                .to_owned(),
        );
    }
    notes.extend(models(&machine));
    notes.extend(scenario.fidelity.iter().cloned());
    let expectations = Expectations {
        target: node,
        target_drivers,
        capture_drivers: drivers(&machine.drivers()),
        pre_script: false,
        devices: device_names(&machine),
        // udev loads drivers in parallel.
        forecast: None,
        machine: format!("{}, {}", machine.machine_type(), machine.cpu_model()),
        fidelity: notes,
    };
    Ok(Plan {
        machine,
        token: token.to_owned(),
        boot: BootPlan::Disk(Box::new(Distribution {
            root: root.clone(),
            capture_commandline,
            added,
        })),
        dump_directory,
        expectations,
    })
}

/// Where on the root file system the dump is to be found.
fn dump_directory(
    configuration: &Configuration,
    service: KdumpService,
    image: &str,
) -> Result<String, PlanError> {
    match (service, configuration) {
        (KdumpService::KdumpTools, Configuration::KdumpTools(tools)) => {
            match tools.remotes.is_empty() {
                true => Ok(tools.coredir.clone()),
                false => Err(PlanError::NotEmulated(
                    "sending the dump over the network with `boot: disk`",
                )),
            }
        }
        (KdumpService::Kdumpctl, Configuration::Kdumpctl { conf, .. }) => {
            let mount = |word: &String| word.starts_with("--mount");
            if conf.target.is_some() || conf.dracut_args.iter().any(mount) {
                let what = "a dump target other than the root file system with `boot: disk`";
                return Err(PlanError::NotEmulated(what));
            }
            Ok(format!("/{}", conf.path.trim_start_matches('/')))
        }
        (KdumpService::KdumpTools, _) => Err(PlanError::Boot(format!(
            "image {image} has Debian's kdump-tools; write `kdump: {{flavour: debian}}`"
        ))),
        (KdumpService::Kdumpctl, _) => Err(PlanError::Boot(format!(
            "image {image} has kdumpctl; the flavour is `rhel7`, `rhel8`, `rhel9` or `fedora`"
        ))),
    }
}

fn drivers(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A unit that runs the agent of the root file system.
struct Unit {
    name: &'static str,
    wanted_by: &'static str,
    conditions: &'static str,
    task: Task,
}

impl Unit {
    /// In the capture kernel systemd.unit=kdump-tools-dump.service pulls in sysinit.target and no
    /// more. Whichever of the two services comes first saves and reboots, so the look has to come
    /// before either.
    fn look() -> Self {
        Self {
            name: "crashdrill-look.service",
            wanted_by: "sysinit.target",
            conditions: "ConditionPathExists=/proc/vmcore\nDefaultDependencies=no\n\
                         After=systemd-udev-trigger.service\n\
                         Before=kdump-tools.service kdump-tools-dump.service",
            task: Task::Look,
        }
    }

    fn path(&self) -> String {
        format!("{UNITS}/{}", self.name)
    }

    /// The link that enables it.
    fn link(&self) -> String {
        format!("{UNITS}/{}.wants/{}", self.wanted_by, self.name)
    }

    fn text(&self) -> String {
        format!(
            "[Unit]\nDescription=crashdrill: {}\n{}\n\n\
             [Service]\nType=oneshot\nStandardOutput=tty\nStandardError=tty\n\
             TTYPath=/dev/console\nExecStart={AGENT} {}\n",
            self.name,
            self.conditions,
            self.task.encode().join(" ")
        )
    }
}

fn disk_files(crash: &Task, kdump_tools: Option<&str>) -> Result<Archive, ArchiveError> {
    let mut disk = Archive::new();
    disk.add_file(AGENT, 0o755, Content::Static(GUEST_INIT))?;
    let units = [
        Unit {
            name: "crashdrill-crash.service",
            wanted_by: "multi-user.target",
            conditions: "ConditionPathExists=!/proc/vmcore\nAfter=kdump-tools.service",
            task: crash.clone(),
        },
        Unit::look(),
    ];
    for unit in units {
        disk.add_file(&unit.path(), 0o644, unit.text().into_bytes().into())?;
        disk.add_symlink(&unit.link(), &unit.path())?;
    }
    if let Some(text) = kdump_tools {
        disk.add_file(KDUMP_TOOLS, 0o644, text.as_bytes().to_vec().into())?;
    }
    Ok(disk)
}

/// initramfs-tools sources scripts/panic/ORDER before it gives the console a shell.
fn initramfs_files(files: &BTreeMap<String, String>) -> Result<Archive, ArchiveError> {
    let mut archive = Archive::new();
    archive.add_file(AGENT_IN_INITRAMFS, 0o755, Content::Static(GUEST_INIT))?;
    let order = format!("{AGENT_IN_INITRAMFS} {}\n", Task::Lost.encode().join(" "));
    archive.add_file("/scripts/panic/ORDER", 0o644, order.into_bytes().into())?;
    for (path, text) in files {
        archive.add_file(path, 0o755, text.clone().into_bytes().into())?;
    }
    Ok(archive)
}

fn fidelity(added: &Archive) -> Vec<String> {
    let mut notes = vec![
        "QEMU loads kernel and initramfs of the first kernel: no boot loader, no partitions"
            .to_owned(),
        "the capture initramfs was made with the image, with MODULES=most; kdump-tools would make \
         it on the machine, with MODULES=dep"
            .to_owned(),
        "units of crashdrill's own crash the first kernel and look at the devices of the capture \
         kernel; where its initramfs gives up and would wait at a prompt, the machine powers off"
            .to_owned(),
    ];
    let added = added.entries();
    let own = [AGENT_IN_INITRAMFS, "/scripts/panic/ORDER"].map(|path| &path[1..]);
    let files: Vec<String> = added
        .filter(|(path, entry)| {
            matches!(entry.node, Node::File(_)) && !own.contains(&path.trim_start_matches('/'))
        })
        .map(|(path, _)| format!("/{}", path.trim_start_matches('/')))
        .collect();
    if !files.is_empty() {
        notes.push(format!(
            "added to the capture initramfs: {}",
            files.join(", ")
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(archive: &Archive, path: &str) -> String {
        let Some(Node::File(content)) = archive.get(path).map(|entry| &entry.node) else {
            panic!("no {path}")
        };
        let mut bytes = Vec::new();
        content.copy_to(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// What the agent makes of its command line.
    fn task(line: &str, program: &str) -> Task {
        let arguments = line.strip_prefix(program).unwrap();
        let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        Task::decode(&arguments).unwrap()
    }

    #[test]
    fn units_start_the_agent_with_its_task() {
        let crash = Task::Crash {
            service: Service::Started("kdump-tools.service".to_owned()),
            cpu: 2,
            token: "00ff".to_owned(),
            drivers: vec!["nvme".to_owned()],
        };
        let conf = "# as it is\nUSE_KDUMP=1\nMAKEDUMP_ARGS='-c -d 31'";
        let disk = disk_files(&crash, Some(conf)).unwrap();
        assert_eq!(text(&disk, KDUMP_TOOLS), conf);
        for (unit, wanted_by, wanted) in [
            ("crashdrill-crash", "multi-user", crash),
            ("crashdrill-look", "sysinit", Task::Look),
        ] {
            let file = text(&disk, &format!("{UNITS}/{unit}.service"));
            let start = file.lines().find_map(|l| l.strip_prefix("ExecStart="));
            assert_eq!(task(start.unwrap(), AGENT), wanted);
            let link = format!("{UNITS}/{wanted_by}.target.wants/{unit}.service");
            let Some(Node::Symlink(to)) = disk.get(&link).map(|entry| &entry.node) else {
                panic!("no {link}")
            };
            assert_eq!(*to, format!("{UNITS}/{unit}.service"));
        }
        assert!(
            disk_files(&Task::Look, None)
                .unwrap()
                .get(KDUMP_TOOLS)
                .is_none()
        );
    }

    #[test]
    fn the_initramfs_gets_the_agent_and_the_users_files() {
        let path = "/etc/modprobe.d/mine.conf".to_owned();
        let files = BTreeMap::from([(path.clone(), "blacklist x\n".to_owned())]);
        let archive = initramfs_files(&files).unwrap();
        assert_eq!(text(&archive, &path), "blacklist x\n");
        let order = text(&archive, "/scripts/panic/ORDER");
        assert_eq!(task(&order, AGENT_IN_INITRAMFS), Task::Lost);
        let taken = BTreeMap::from([("/scripts/panic/ORDER".to_owned(), String::new())]);
        assert!(initramfs_files(&taken).is_err());
    }
}
