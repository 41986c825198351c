//! What of a kdump.conf a `direct` drill does not act out. Its capture initramfs is crashdrill's
//! own, so whatever decides what dracut puts into it has to be followed, or refused by name.

use super::dracut::{self, Argument};
use super::read::mounted;
use super::{DumpTarget, KdumpConf, Written};
use crate::kdump::error::{ConfError, ConfigFile, Fault, Faults, placed, shown};
use crate::kdump::words::shell_words;

impl KdumpConf {
    /// The lines that a `direct` drill does not act out, each by its name, in the order of the
    /// file. `text` is what the configuration was read from.
    pub fn not_emulated(&self, text: &str) -> Vec<ConfError> {
        let mut faults = Faults::default();
        for line in &self.written {
            if let Some((what, help)) = missing(line) {
                let message = format!("{what} is not emulated yet");
                faults.push(Fault::new(line.at.clone(), message).help(help));
            }
        }
        placed(ConfigFile::KdumpConf, text, faults)
    }
}

fn missing(line: &Written) -> Option<(String, &'static str)> {
    let named = || format!("`{}`", line.option);
    match line.option.as_str() {
        "minix" | "virtiofs" => Some((
            named(),
            "use another file system on a local disk, such as `ext4 /dev/nvme0n1`",
        )),
        "fence_kdump_args" | "fence_kdump_nodes" => {
            Some((named(), "remove the line: a drill has no cluster"))
        }
        "link_delay" | "disk_timeout" => Some((
            named(),
            "remove the line: the wait for the target is `limits.target` of the scenario",
        )),
        "default" if line.value == "mount_root_run_init" => Some((
            "`default mount_root_run_init`".to_owned(),
            "write `default reboot`, or halt, poweroff or shell",
        )),
        "debug_mem_level" if line.value != "0" => Some((named(), "remove the line")),
        "dracut_args" => unfollowed(line),
        _ => None,
    }
}

/// What of a `dracut_args` line is not followed.
fn unfollowed(line: &Written) -> Option<(String, &'static str)> {
    let arguments = dracut::arguments(shell_words(&line.value).ok()?).ok()?;
    arguments.iter().find_map(|argument| match argument {
        Argument::Omit(_) | Argument::Add(_) => None,
        Argument::Mount(mount) => match mounted(mount) {
            Some(DumpTarget::Filesystem { .. } | DumpTarget::Nfs { .. }) => None,
            _ => Some((
                format!("`dracut_args --mount \"{}\"`", shown(mount)),
                "mount a file system on a local disk, such as \"/dev/nvme0n1 /kdumproot ext4\"",
            )),
        },
        Argument::Other(word) => Some((
            format!("`dracut_args {}`", shown(word)),
            "of dracut's options, only --omit-drivers, --add-drivers, --force-drivers and \
                 --mount are",
        )),
    })
}
