//! kdump.conf as Red Hat's and Fedora's kdump read it.
//!
//! What is accepted and refused, and in which words, follows kdumpctl and mkdumprd: for RHEL 7
//! those of 2015 to 2017, for RHEL 8 those of 2021, for RHEL 9 those of 2023, for Fedora those of
//! 2026. For RHEL 6, whose scripts differ from all of them, it follows its last mkdumprd. What a
//! drill does not act out is another question: [`KdumpConf::not_emulated`].

mod collector;
mod dracut;
mod emulated;
pub(crate) mod options;
mod read;

use std::ops::Range;

use serde::Serialize;

use super::error::{ConfError, Reading};
use super::flavour::Flavour;

/// RHEL 7's default for `path`.
pub const DEFAULT_PATH: &str = "/var/crash";

/// Where RHEL looks for the private key when `sshkey` does not say.
pub const DEFAULT_SSHKEY: &str = "/root/.ssh/kdump_id_rsa";

/// A kdump.conf, with the defaults of its flavour where it is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KdumpConf {
    /// Where the dump goes; by default the file system that holds `path`.
    pub target: Option<DumpTarget>,
    /// `path`, below the target's root.
    pub path: String,
    /// `core_collector`, the command and its arguments.
    pub core_collector: Vec<String>,
    /// `kdump_pre`: run before the dump, which it prevents by failing.
    pub kdump_pre: Option<String>,
    /// `kdump_post`: run after the dump, with its status.
    pub kdump_post: Option<String>,
    /// `failure_action`, or its older name `default`: what to do when the dump has failed.
    pub failure_action: FailureAction,
    /// `final_action`: what to do after a dump.
    pub final_action: FinalAction,
    /// `sshkey`: the private key that `ssh` logs in with.
    pub sshkey: String,
    /// `extra_bins`: programs and scripts that the capture initramfs holds besides.
    pub extra_bins: Vec<String>,
    /// `extra_modules`, and `--add-drivers` of `dracut_args`.
    pub extra_modules: Vec<String>,
    /// `--omit-drivers` of `dracut_args`.
    pub omit_drivers: Vec<String>,
    /// RHEL 6's `blacklist`: drivers that modprobe is told to leave alone.
    pub blacklist: Vec<String>,
    /// RHEL 6's `options`: a module, and what it is loaded with.
    pub module_options: Vec<(String, String)>,
    /// `kdump_emergency`, of 2026: run before the emergency shell.
    pub kdump_emergency: Option<String>,
    /// The other arguments of `dracut_args`, word by word.
    pub dracut_args: Vec<String>,
    /// Every option as it is written, from top to bottom.
    pub written: Vec<Written>,
}

/// One option of a kdump.conf as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its name.
    pub option: String,
    /// Its value, without a pair of double quotes around it.
    pub value: String,
    /// From 1.
    pub line: usize,
    /// The bytes of the name in the whole text.
    pub at: Range<usize>,
    /// The bytes of the value in the whole text.
    pub value_at: Range<usize>,
}

/// Where the dump goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DumpTarget {
    /// `ext4 DEVICE` and its like, and the target of `dracut_args --mount`.
    Filesystem {
        /// Its type, as it is mounted.
        filesystem: Filesystem,
        /// Where it is.
        device: TargetDevice,
    },
    /// `raw DEVICE`: the dump is written to the device itself.
    Raw(String),
    /// `nfs HOST:/EXPORT`.
    Nfs {
        /// The server, by name or address.
        host: String,
        /// The exported directory.
        export: String,
    },
    /// `ssh USER@HOST`.
    Ssh {
        /// Who logs in.
        user: String,
        /// The server, by name or address.
        host: String,
    },
    /// `minix DEVICE`: accepted by every kdumpctl, though hardly any kernel still has it.
    Minix(TargetDevice),
    /// `virtiofs TAG`, of 2022: a directory of the host that the guest runs on.
    Virtiofs(String),
}

impl DumpTarget {
    /// Whether the dump leaves the machine.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Nfs { .. } | Self::Ssh { .. })
    }
}

/// File systems that a dump target can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Filesystem {
    /// Second extended.
    Ext2,
    /// Third extended.
    Ext3,
    /// Fourth extended.
    Ext4,
    /// XFS.
    Xfs,
    /// Btrfs.
    Btrfs,
}

impl Filesystem {
    /// As kdump.conf and mount(8) call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Ext2, Self::Ext3, Self::Ext4, Self::Xfs, Self::Btrfs]
            .into_iter()
            .find(|filesystem| filesystem.name() == name)
    }
}

/// How kdump.conf names a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetDevice {
    /// `/dev/nvme0n1`.
    Node(String),
    /// `UUID=…` of the file system.
    Uuid(String),
    /// `LABEL=…` of the file system.
    Label(String),
}

/// RHEL 7's `default`, called `failure_action` since 2019.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureAction {
    /// Reboot.
    #[default]
    Reboot,
    /// Halt.
    Halt,
    /// Power off.
    Poweroff,
    /// A shell on the console.
    Shell,
    /// Try again on the root file system: `dump_to_rootfs`, and RHEL 6's `mount_root_run_init`.
    DumpToRootfs,
}

/// `final_action`, of 2019: what to do after a dump, or after a shell or `dump_to_rootfs`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalAction {
    /// Reboot.
    #[default]
    Reboot,
    /// Halt.
    Halt,
    /// Power off.
    Poweroff,
}

impl Default for KdumpConf {
    /// RHEL 7's.
    fn default() -> Self {
        Self::defaults(Flavour::Rhel7)
    }
}

impl KdumpConf {
    /// What an empty kdump.conf means to `flavour`.
    pub fn defaults(flavour: Flavour) -> Self {
        Self {
            target: None,
            path: DEFAULT_PATH.to_owned(),
            core_collector: options::core_collector(flavour)
                .split(' ')
                .map(str::to_owned)
                .collect(),
            kdump_pre: None,
            kdump_post: None,
            failure_action: FailureAction::default(),
            final_action: FinalAction::default(),
            sshkey: DEFAULT_SSHKEY.to_owned(),
            extra_bins: Vec::new(),
            extra_modules: Vec::new(),
            omit_drivers: Vec::new(),
            blacklist: Vec::new(),
            module_options: Vec::new(),
            kdump_emergency: None,
            dracut_args: Vec::new(),
            written: Vec::new(),
        }
    }

    /// Reads the whole text as `flavour` does.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str, flavour: Flavour) -> Result<Self, Vec<ConfError>> {
        Self::read(text, flavour).into_result()
    }

    /// Reads the whole text as `flavour` does, with what it takes and should not stay.
    pub fn read(text: &str, flavour: Flavour) -> Reading<Self> {
        read::read(text, flavour)
    }

    /// The last line with this option: the one that counts.
    pub fn last(&self, option: &str) -> Option<&Written> {
        self.written.iter().rfind(|line| line.option == option)
    }
}

#[cfg(test)]
mod tests;
