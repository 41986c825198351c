//! What /init prints on the console, where it is fixed text. The words are those of kdumpctl, of
//! dracut and of each distribution's kdump script wherever these have words for it.

use crate::order::{Action, FailureAction, Script};

/// kdumpctl: crashkernel= is absent, or its memory could not be reserved.
pub const NO_MEMORY_RESERVED: &str = "kdump: No memory reserved for crash kernel";
/// kdumpctl: kexec succeeded.
pub const KEXEC_LOADED: &str = "kdump: kexec: loaded kdump kernel";
/// kdumpctl: kexec failed.
pub const KEXEC_FAILED: &str = "kdump: kexec: failed to load kdump kernel";
/// kdumpctl: the first kernel is armed.
pub const STARTING_OK: &str = "kdump: Starting kdump: [OK]";
/// kdumpctl: the first kernel is not armed.
pub const STARTING_FAILED: &str = "kdump: Starting kdump: [FAILED]";

/// Ours: the first line of the capture kernel's /init.
pub const LOADING_DRIVERS: &str = "kdump: crashdrill capture init: loading drivers";
/// dracut: the dump target did not appear in time. A second line names it.
pub const TARGET_TIMEOUT: &str = "Warning: dracut-initqueue timeout - starting timeout scripts";
/// kdump.sh and, without its prefix, RHEL 6: so there will be no dump.
pub const PRE_FAILED: &str = "kdump: kdump_pre script exited with non-zero status!";
/// kdump.sh.
pub const POST_FAILED: &str = "kdump: kdump_post script exited with non-zero status!";
/// kdump.sh: the core collector starts.
pub const SAVING: &str = "kdump: saving vmcore";
/// kdump.sh: the dump is synced and carries its final name.
pub const SAVING_COMPLETE: &str = "kdump: saving vmcore complete";
/// kdump.sh: whatever the reason.
pub const SAVING_FAILED: &str = "kdump: saving vmcore failed";
/// RHEL 6: the dump is written and carries its final name.
pub const RHEL6_COMPLETE: &str = "Saving core complete";

/// Where the root file system is mounted, for dump_to_rootfs.
pub const ROOT_MOUNT_POINT: &str = "/sysroot";

/// What differs from script to script.
impl Script {
    /// Where the dump target is mounted.
    pub fn mount_point(self) -> &'static str {
        match self {
            Script::Rhel6 => "/mnt",
            _ => "/kdumproot",
        }
    }

    /// Whether it says what it does with `kdump: ` before it, and saves vmcore-dmesg.txt.
    pub fn is_kdump_sh(self) -> bool {
        self != Script::Rhel6
    }

    /// Whether it runs what lies in /etc/kdump/pre.d and post.d (2020).
    pub fn has_script_directories(self) -> bool {
        !matches!(self, Script::Rhel6 | Script::Rhel7)
    }

    /// Whether makedumpfile gets a thread for each CPU (2021).
    pub fn adds_threads(self) -> bool {
        matches!(self, Script::Rhel9 | Script::Fedora)
    }

    /// Whether a script that fails is named with its status (2020).
    pub fn names_failed_scripts(self) -> bool {
        self.has_script_directories()
    }

    /// Whether only root may read vmcore-dmesg.txt (2020).
    pub fn keeps_logs_private(self) -> bool {
        self.has_script_directories()
    }

    /// Whether the capture kernel's own log is saved after kdump_post (2021), and not right after
    /// the dump.
    pub fn saves_log_last(self) -> bool {
        self.adds_threads()
    }

    /// The directory of the dump as it is written: until 2021 the slash of `path` came on top of
    /// another.
    pub fn directory(self, mount_point: &str, path: &str, name: &str) -> String {
        match self {
            Script::Rhel6 => format!("{mount_point}/{path}/{name}"),
            Script::Rhel7 | Script::Rhel8 => format!("{mount_point}/{path}/{name}/"),
            Script::Rhel9 | Script::Fedora => squeezed(&format!("{mount_point}/{path}/{name}/")),
        }
    }

    /// Nothing is mounted where the dump should go.
    pub fn not_mounted(self, mount_point: &str) -> Vec<String> {
        match self {
            // mount(8) has said it.
            Script::Rhel6 => Vec::new(),
            Script::Rhel7 => vec![
                "kdump: dump target is ".to_owned(),
                "kdump: error: Dump target  is not mounted.".to_owned(),
            ],
            Script::Rhel8 => vec![
                format!("kdump: dump path \"{mount_point}\" is not mounted, trying to mount..."),
                format!("kdump: failed to dump to \"{mount_point}\", it's not a mount point!"),
            ],
            Script::Rhel9 | Script::Fedora => vec![
                format!("kdump: dump path '{mount_point}' is not mounted, trying to mount..."),
                format!("kdump: failed to dump to '{mount_point}', it's not a mount point!"),
            ],
        }
    }

    /// The network did not come up.
    pub fn no_network(self) -> &'static [&'static str] {
        match self {
            Script::Rhel6 => &[],
            Script::Rhel7 | Script::Rhel8 => &["kdump: wrong kdumpnic: eth0"],
            Script::Rhel9 | Script::Fedora => {
                &["kdump: Oops. The network still isn't ready after waiting 10mins."]
            }
        }
    }

    /// Before anything is written to a file system. `node` is what is mounted there.
    pub fn saving_to(self, node: &str, directory: &str) -> Vec<String> {
        let saving = format!("kdump: saving to {directory}");
        match self {
            Script::Rhel6 => Vec::new(),
            Script::Rhel7 => vec![format!("kdump: dump target is {node}"), saving],
            Script::Rhel8 | Script::Rhel9 | Script::Fedora => vec![saving],
        }
    }

    /// Before vmcore-dmesg runs.
    pub fn saving_dmesg(self, directory: &str) -> String {
        match self {
            Script::Rhel6 | Script::Rhel7 => "kdump: saving vmcore-dmesg.txt".to_owned(),
            _ => format!("kdump: saving vmcore-dmesg.txt to {directory}"),
        }
    }

    /// The core collector failed: what is said besides [`SAVING_FAILED`].
    pub fn collector_failed(self, status: i32) -> Option<String> {
        match self {
            Script::Rhel6 | Script::Rhel7 => None,
            Script::Rhel8 => Some(format!("{SAVING_FAILED}, _exitcode:{status}")),
            Script::Rhel9 | Script::Fedora => Some(format!("{SAVING_FAILED}, exitcode:{status}")),
        }
    }

    /// The core collector was content, the file system was not. Before 2019 nobody asked.
    pub fn sync_failed(self) -> Option<&'static str> {
        match self {
            Script::Rhel6 | Script::Rhel7 => None,
            Script::Rhel8 => Some("kdump: sync vmcore failed, _exitcode:1"),
            Script::Rhel9 | Script::Fedora => Some("kdump: sync vmcore failed, exitcode:1"),
        }
    }

    /// Before the failure action.
    pub fn failure_action(self, action: &FailureAction) -> Vec<String> {
        let (command, end) = match action {
            FailureAction::Shell => ("kdump_emergency_shell", ""),
            FailureAction::DumpToRootfs(_) => ("dump_to_rootfs", ""),
            FailureAction::End(action) => (self.command(*action), " && exit"),
        };
        match self {
            Script::Rhel6 if *action == FailureAction::Shell => vec![
                "dropping to initramfs shell".to_owned(),
                "exiting this shell will reboot your system".to_owned(),
            ],
            Script::Rhel6 => Vec::new(),
            Script::Rhel7 => vec![format!("Kdump: Executing default action {command}")],
            _ => vec![format!("kdump: Executing failure action {command}{end}")],
        }
    }

    /// Before the final action, of which RHEL 6 and RHEL 7.3 say nothing.
    pub fn final_action(self, action: Action) -> Option<String> {
        match self {
            Script::Rhel6 | Script::Rhel7 => None,
            _ => Some(format!(
                "kdump: Executing final action {}",
                self.command(action)
            )),
        }
    }

    fn command(self, action: Action) -> &'static str {
        match (self, action) {
            (_, Action::Reboot) => "systemctl reboot -f",
            (_, Action::Halt) => "halt",
            (Script::Rhel6 | Script::Rhel7, Action::PowerOff) => "poweroff",
            (_, Action::PowerOff) => "systemctl poweroff -f",
        }
    }

    /// While the root file system is brought up.
    pub fn waiting_for_root(self) -> &'static [&'static str] {
        match self {
            Script::Rhel6 => &[],
            Script::Rhel7 => &[
                "Kdump: trying to bring up rootfs device",
                "Kdump: waiting for rootfs mount, will timeout after 90 seconds",
            ],
            Script::Rhel8 => &[
                "kdump: Trying to bring up rootfs device",
                "kdump: Waiting for rootfs mount, will timeout after 90 seconds",
            ],
            Script::Rhel9 | Script::Fedora => &[
                "kdump: Trying to bring up initqueue for rootfs mount",
                "kdump: Clean up dead systemd services",
                "kdump: Waiting for rootfs mount, will timeout after 90 seconds",
            ],
        }
    }

    /// The root file system cannot be mounted.
    pub fn root_not_mounted(self) -> Vec<String> {
        match self {
            Script::Rhel9 | Script::Fedora => vec!["kdump: Failed to mount rootfs".to_owned()],
            _ => self.not_mounted(ROOT_MOUNT_POINT),
        }
    }

    /// At the beginning of the emergency shell.
    pub fn emergency(self) -> &'static [&'static str] {
        match self {
            Script::Rhel6 => &[],
            Script::Rhel7 | Script::Rhel8 => {
                &["Entering emergency mode. Exit the shell to continue."]
            }
            Script::Rhel9 | Script::Fedora => &["Entering kdump emergency mode."],
        }
    }
}

/// `tr -s /`.
fn squeezed(path: &str) -> String {
    let mut squeezed = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !squeezed.ends_with('/') {
            squeezed.push(c);
        }
    }
    squeezed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_as_each_script_prints_them() {
        let reboot = FailureAction::End(Action::Reboot);
        for (script, failure, last) in [
            (Script::Rhel6, None, None),
            (
                Script::Rhel7,
                Some("Kdump: Executing default action systemctl reboot -f"),
                None,
            ),
            (
                Script::Rhel8,
                Some("kdump: Executing failure action systemctl reboot -f && exit"),
                Some("kdump: Executing final action systemctl poweroff -f"),
            ),
        ] {
            assert_eq!(
                script.failure_action(&reboot).first().map(String::as_str),
                failure
            );
            assert_eq!(script.final_action(Action::PowerOff).as_deref(), last);
        }
        assert_eq!(Script::Rhel6.failure_action(&FailureAction::Shell).len(), 2);
    }

    #[test]
    fn directories() {
        let name = "127.0.0.1-2026-01-02-03:04:05";
        for (script, directory) in [
            (
                Script::Rhel6,
                "/mnt//var/crash/127.0.0.1-2026-01-02-03:04:05",
            ),
            (
                Script::Rhel7,
                "/mnt//var/crash/127.0.0.1-2026-01-02-03:04:05/",
            ),
            (
                Script::Fedora,
                "/mnt/var/crash/127.0.0.1-2026-01-02-03:04:05/",
            ),
        ] {
            assert_eq!(script.directory("/mnt", "/var/crash", name), directory);
        }
        assert_eq!(squeezed("//a///b/"), "/a/b/");
    }
}
