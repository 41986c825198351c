//! From kdump.conf to what the capture kernel's /init does.

use std::collections::BTreeSet;

use crashdrill_guest::order::{self, Action, CaptureOrder, Script};

use super::disks::ROOT_UUID;
use super::drivers::{Files, Keepers, Parameters, filesystem_modules, load_order};
use super::remote::Remote;
use super::{PlanError, Shell, Stage};
use crate::image::{Image, ModuleError};
use crate::kdump::conf::{
    DumpTarget, FailureAction, Filesystem, FinalAction, KdumpConf, TargetDevice,
};
use crate::kdump::flavour::Flavour;
use crate::machine::MachinePlan;
use crate::scenario::model::Scenario;

/// busybox has these as applets, so that kdump.conf may name them.
pub(in crate::run) const APPLETS: [&str; 2] = ["cp", "dd"];
/// kdump.sh's DMESG_COLLECTOR; of kexec-tools.
const DMESG_COLLECTOR: &str = "vmcore-dmesg";

/// Whose script a direct drill acts out.
pub(super) fn script(flavour: Flavour) -> Result<Script, PlanError> {
    match flavour {
        Flavour::Rhel6 => Ok(Script::Rhel6),
        Flavour::Rhel7 => Ok(Script::Rhel7),
        Flavour::Rhel8 => Ok(Script::Rhel8),
        Flavour::Rhel9 => Ok(Script::Rhel9),
        Flavour::Fedora => Ok(Script::Fedora),
        Flavour::Debian | Flavour::Opensuse => Err(PlanError::Flavour(flavour)),
    }
}

/// All that decides what the capture kernel does.
pub(super) struct Capture<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) image: &'a Image,
    pub(super) conf: &'a KdumpConf,
    pub(super) script: Script,
    pub(super) machine: &'a MachinePlan,
    pub(super) remote: Option<&'a Remote>,
    pub(super) drivers: &'a [String],
    pub(super) keepers: &'a Keepers,
    pub(super) parameters: &'a Parameters<'a>,
    pub(super) shell: Shell,
}

impl Capture<'_> {
    pub(super) fn stage(&self) -> Result<Stage<CaptureOrder>, PlanError> {
        let modules = |source| self.module_error(source);
        let mut files = Files::default();
        let order = CaptureOrder {
            script: self.script,
            drivers: load_order(
                self.image,
                self.drivers,
                self.keepers,
                self.parameters,
                &mut files,
            )
            .map_err(modules)?,
            target: self.target(&mut files)?,
            wait_ms: self.scenario.limits.target.0,
            path: self.conf.path.clone(),
            collector: collector(self.conf, self.script),
            pre: self.user_script(self.conf.kdump_pre.as_deref()),
            post: self.user_script(self.conf.kdump_post.as_deref()),
            emergency: self.user_script(self.conf.kdump_emergency.as_deref()),
            failure_action: self.failure_action(&mut files)?,
            final_action: final_action(self.conf, self.script),
            shell: self.shell == Shell::Capture,
        };
        let scripts: Vec<(String, String)> =
            self.scenario.capture.files.clone().into_iter().collect();
        Ok(Stage {
            programs: self.programs(&order)?,
            modules: files.modules,
            busybox: order.shell
                || !scripts.is_empty()
                || order.failure_action == order::FailureAction::Shell,
            scripts,
            texts: self
                .remote
                .map_or_else(Vec::new, |remote| remote.texts.clone()),
            order,
        })
    }

    fn module_error(&self, source: ModuleError) -> PlanError {
        PlanError::Module {
            image: self.image.name.clone(),
            source,
        }
    }

    /// The target that kdump.conf names, or else the device that the scenario marks.
    fn target(&self, files: &mut Files) -> Result<order::Target, PlanError> {
        let (filesystem, device) = match &self.conf.target {
            Some(DumpTarget::Filesystem { filesystem, device }) => (*filesystem, spelt(device)),
            Some(DumpTarget::Raw(device)) => {
                return Ok(order::Target::Raw {
                    device: device.clone(),
                });
            }
            Some(DumpTarget::Nfs { host, .. }) => {
                let remote = self.remote.ok_or(PlanError::NotEmulated("`nfs`"))?;
                return Ok(order::Target::Nfs {
                    host: host.clone(),
                    export: remote.offered.clone(),
                    network: remote.network.clone(),
                    modules: self.nfs_modules(files)?,
                });
            }
            Some(DumpTarget::Ssh { user, host }) => {
                let remote = self.remote.ok_or(PlanError::NotEmulated("`ssh`"))?;
                return Ok(order::Target::Ssh {
                    user: user.clone(),
                    host: host.clone(),
                    key: self.conf.sshkey.clone(),
                    network: remote.network.clone(),
                });
            }
            Some(DumpTarget::Minix(_)) => return Err(PlanError::NotEmulated("`minix`")),
            Some(DumpTarget::Virtiofs(_)) => return Err(PlanError::NotEmulated("`virtiofs`")),
            None => {
                let disk = self
                    .machine
                    .target()
                    .and_then(|target| target.disk.as_ref());
                (
                    Filesystem::Ext4,
                    disk.ok_or(PlanError::NoTarget)?.node.clone(),
                )
            }
        };
        self.filesystem(filesystem, device, files)
            .map(order::Target::Filesystem)
    }

    fn filesystem(
        &self,
        filesystem: Filesystem,
        device: String,
        files: &mut Files,
    ) -> Result<order::Filesystem, PlanError> {
        let kind = filesystem.name();
        let modules = filesystem_modules(self.image, kind, self.parameters, files);
        Ok(order::Filesystem {
            device,
            kind: kind.to_owned(),
            modules: modules.map_err(|source| self.module_error(source))?,
        })
    }

    /// Nothing loads a module in the capture kernel but /init, so every version's is there. Kernels
    /// before 3.6 have all of them in one.
    fn nfs_modules(&self, files: &mut Files) -> Result<Vec<order::Module>, PlanError> {
        let mut modules: Vec<order::Module> = Vec::new();
        for name in ["nfs", "nfsv3", "nfsv4"] {
            match filesystem_modules(self.image, name, self.parameters, files) {
                Ok(found) => {
                    let new = |module: &order::Module| !modules.contains(module);
                    let found: Vec<_> = found.into_iter().filter(new).collect();
                    modules.extend(found);
                }
                Err(ModuleError::Unknown { .. }) if name != "nfs" => {}
                Err(source) => return Err(self.module_error(source)),
            }
        }
        Ok(modules)
    }

    fn failure_action(&self, files: &mut Files) -> Result<order::FailureAction, PlanError> {
        Ok(order::FailureAction::End(match self.conf.failure_action {
            FailureAction::Reboot => Action::Reboot,
            FailureAction::Halt => Action::Halt,
            FailureAction::Poweroff => Action::PowerOff,
            FailureAction::Shell => return Ok(order::FailureAction::Shell),
            FailureAction::DumpToRootfs => {
                let devices = &self.scenario.machine.devices;
                if !devices.iter().any(|device| device.root) {
                    return Err(PlanError::NoRoot);
                }
                let root = devices
                    .iter()
                    .find(|device| device.root)
                    .and_then(|device| device.filesystem.as_ref());
                let kind = super::disks::root_filesystem(root);
                let uuid = root.and_then(|root| root.uuid.as_deref());
                let device = format!("UUID={}", uuid.unwrap_or(ROOT_UUID));
                return self
                    .filesystem(kind, device, files)
                    .map(order::FailureAction::DumpToRootfs);
            }
        }))
    }

    /// kdump.sh runs it in quotes; RHEL 6's /init has it as a line of its own.
    fn user_script(&self, value: Option<&str>) -> Option<Vec<String>> {
        let value = value?;
        Some(match self.script {
            Script::Rhel6 => value.split_whitespace().map(str::to_owned).collect(),
            _ => vec![value.to_owned()],
        })
    }

    /// Programs of the image that the capture kernel needs.
    fn programs(&self, order: &CaptureOrder) -> Result<BTreeSet<String>, PlanError> {
        let mut wanted: Vec<(&'static str, &str)> = Vec::new();
        if let Some(program) = order.collector.first() {
            wanted.push(("core_collector", program));
        }
        for (option, argv) in [
            ("kdump_pre", &order.pre),
            ("kdump_post", &order.post),
            ("kdump_emergency", &order.emergency),
        ] {
            if let Some(program) = argv.as_ref().and_then(|argv| argv.first()) {
                wanted.push((option, program));
            }
        }
        let bins = self.conf.extra_bins.iter();
        wanted.extend(bins.map(|program| ("extra_bins", program.as_str())));
        let mut programs = BTreeSet::new();
        for (option, program) in wanted {
            if self.scenario.capture.files.contains_key(program) {
                continue;
            }
            if !APPLETS.contains(&program) && !self.has_program(program) {
                return Err(PlanError::NoProgram {
                    option,
                    program: program.to_owned(),
                    image: self.image.name.clone(),
                });
            }
            programs.insert(program.to_owned());
        }
        if let Some(remote) = self.remote {
            programs.extend(remote.programs.iter().cloned());
        }
        if matches!(order.target, order::Target::Raw { .. }) {
            programs.insert("dd".to_owned());
        }
        if self.script.is_kdump_sh() && self.has_program(DMESG_COLLECTOR) {
            programs.insert(DMESG_COLLECTOR.to_owned());
        }
        Ok(programs)
    }

    fn has_program(&self, program: &str) -> bool {
        let name = program.rsplit('/').next().unwrap_or(program);
        self.image.userland.closure(&[name]).is_ok()
    }
}

/// As kdump.conf has it.
fn spelt(device: &TargetDevice) -> String {
    match device {
        TargetDevice::Node(node) => node.clone(),
        TargetDevice::Uuid(uuid) => format!("UUID={uuid}"),
        TargetDevice::Label(label) => format!("LABEL={label}"),
    }
}

/// The core collector with what the script makes of it before it knows the number of CPUs.
fn collector(conf: &KdumpConf, script: Script) -> Vec<String> {
    let mut argv = conf.core_collector.clone();
    if !argv.iter().any(|word| word.contains("makedumpfile")) {
        return argv;
    }
    let piped = matches!(
        conf.target,
        Some(DumpTarget::Raw(_) | DumpTarget::Ssh { .. })
    );
    let flat = argv.iter().any(|word| word.contains("-F"));
    let written = conf
        .written
        .iter()
        .any(|line| line.option == "core_collector");
    match script {
        // Right behind the name, and only where it is piped.
        Script::Rhel6 if piped && !flat => argv.insert(1, "-F".to_owned()),
        Script::Rhel6 => {}
        // `s/-F//g`, wherever it stands.
        _ if !piped => argv = argv.iter().map(|word| word.replace("-F", "")).collect(),
        // Where kdump.conf names a collector, kdumpctl has refused one without it, Fedora puts it
        // right.
        _ if !flat && (!written || script == Script::Fedora) => argv.push("-F".to_owned()),
        _ => {}
    }
    argv.retain(|word| !word.is_empty());
    argv
}

/// RHEL 6 ends as its `default` says, after a dump too.
fn final_action(conf: &KdumpConf, script: Script) -> Action {
    match (script, conf.failure_action) {
        (Script::Rhel6, FailureAction::Halt) => return Action::Halt,
        (Script::Rhel6, FailureAction::Poweroff) => return Action::PowerOff,
        _ => {}
    }
    match conf.final_action {
        FinalAction::Reboot => Action::Reboot,
        FinalAction::Halt => Action::Halt,
        FinalAction::Poweroff => Action::PowerOff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(text: &str) -> KdumpConf {
        KdumpConf::parse(text, Flavour::Rhel7).unwrap()
    }

    fn with_target(text: &str, target: DumpTarget) -> KdumpConf {
        KdumpConf {
            target: Some(target),
            ..conf(text)
        }
    }

    #[test]
    fn flat_where_it_is_piped() {
        let raw = || DumpTarget::Raw("/dev/vda".to_owned());
        let line = |conf: &KdumpConf, script| collector(conf, script).join(" ");
        let plain = conf("ext4 /dev/vda\ncore_collector makedumpfile -F -c -d 31\n");
        assert_eq!(line(&plain, Script::Rhel7), "makedumpfile -c -d 31");
        assert_eq!(line(&plain, Script::Rhel6), "makedumpfile -F -c -d 31");
        let default = with_target("", raw());
        assert!(line(&default, Script::Rhel7).ends_with(" -F"));
        let written = KdumpConf {
            written: vec![crate::kdump::conf::Written {
                option: "core_collector".to_owned(),
                value: "makedumpfile -d 31".to_owned(),
                line: 1,
                at: 0..14,
                value_at: 15..33,
            }],
            ..with_target("core_collector makedumpfile -d 31\n", raw())
        };
        assert_eq!(line(&written, Script::Fedora), "makedumpfile -d 31 -F");
        assert_eq!(line(&written, Script::Rhel9), "makedumpfile -d 31");
        assert_eq!(line(&written, Script::Rhel6), "makedumpfile -F -d 31");
        let cat = with_target("core_collector cat -F\n", raw());
        assert_eq!(line(&cat, Script::Rhel7), "cat -F");
    }

    #[test]
    fn rhel_6_has_one_action_for_both_ends() {
        let halt = conf("default halt\n");
        assert_eq!(final_action(&halt, Script::Rhel6), Action::Halt);
        assert_eq!(final_action(&halt, Script::Rhel7), Action::Reboot);
        let shell = conf("default shell\n");
        assert_eq!(final_action(&shell, Script::Rhel6), Action::Reboot);
    }
}
