//! kdump.conf as RHEL 7 reads it: the part of it that a drill can act out.
//!
//! What is accepted and refused, and in which words, follows kdumpctl of 2015 to 2017. An option
//! that RHEL 7 knows and that is not acted out yet is refused by name.

use std::ops::Range;

use serde::Serialize;

use super::flavour::Flavour;
use super::words::shell_words;
use crate::suggest;

/// RHEL 7's default for `path`.
pub const DEFAULT_PATH: &str = "/var/crash";

/// RHEL 7.3's default for `core_collector`.
pub const DEFAULT_CORE_COLLECTOR: &str = "makedumpfile -l --message-level 1 -d 31";

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
    /// `virtiofs TAG`, of 2022: a directory of the host that the guest runs on.
    Virtiofs(String),
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
    /// Minix.
    Minix,
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
            Self::Minix => "minix",
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
    /// Try again on the root file system.
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

/// One thing wrong with a kdump.conf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("kdump.conf, line {line}, column {column}: {message}")]
pub struct ConfError {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The bytes of the whole text that it is about; never over the end of the line.
    pub at: Range<usize>,
    /// kdumpctl's own words where it has some.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Default for KdumpConf {
    fn default() -> Self {
        Self {
            target: None,
            path: DEFAULT_PATH.to_owned(),
            core_collector: DEFAULT_CORE_COLLECTOR
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
}

impl KdumpConf {
    /// Reads the whole text as `flavour` does and finds everything that is wrong with it.
    pub fn parse(text: &str, _flavour: Flavour) -> Result<Self, Vec<ConfError>> {
        let mut reader = Reader::default();
        let mut start = 0;
        for (nth, line) in text.split_inclusive('\n').enumerate() {
            let option = OptionLine::new(line.trim_end_matches(['\n', '\r']));
            if let Some(Err(Fault { at, message, help })) = option.map(|line| reader.take(&line)) {
                reader.errors.push(ConfError {
                    line: nth + 1,
                    column: line[..at.start].chars().count() + 1,
                    at: start + at.start..start + at.end,
                    message,
                    help,
                });
            }
            start += line.len();
        }
        if reader.errors.is_empty() {
            Ok(reader.conf)
        } else {
            Err(reader.errors)
        }
    }
}

/// One `option value` line. Offsets are bytes of the line.
struct OptionLine<'a> {
    blanks: usize,
    option: &'a str,
    value: &'a str,
    value_at: usize,
}

impl<'a> OptionLine<'a> {
    /// `None` for a line without an option.
    fn new(text: &'a str) -> Option<Self> {
        let code = text.split('#').next().unwrap_or(text).trim_end();
        let option_and_value = code.trim_start();
        let blanks = code.len() - option_and_value.len();
        let option = option_and_value.split([' ', '\t']).next()?;
        if option.is_empty() {
            return None;
        }
        let value = option_and_value[option.len()..].trim_start();
        let mut value_at = code.len() - value.len();
        let mut unquoted = value;
        if let Some(inner) = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            && !inner.contains('"')
        {
            unquoted = inner;
            value_at += 1;
        }
        Some(Self {
            blanks,
            option,
            value: unquoted,
            value_at,
        })
    }

    fn option_fault(&self, message: String, help: Option<String>) -> Fault {
        Fault {
            at: self.blanks..self.blanks + self.option.len(),
            message,
            help,
        }
    }

    fn value_fault(&self, message: String, help: impl Into<String>) -> Fault {
        Fault {
            at: self.value_at..self.value_at + self.value.len(),
            message,
            help: Some(help.into()),
        }
    }

    fn words(&self) -> Result<Vec<String>, Fault> {
        shell_words(self.value).map_err(|unclosed| Fault {
            at: self.value_at + unclosed.at..self.value_at + self.value.len(),
            message: "the quote is never closed".to_owned(),
            help: Some("close it on the same line".to_owned()),
        })
    }

    fn script(&self) -> Result<Option<String>, Fault> {
        if !self.value.starts_with('/') {
            return Err(self.value_fault(
                format!("`{}` takes the absolute path of a program", self.option),
                format!("{} /usr/local/bin/{}", self.option, self.value),
            ));
        }
        Ok(Some(self.value.to_owned()))
    }
}

struct Fault {
    at: Range<usize>,
    message: String,
    help: Option<String>,
}

#[derive(Default)]
struct Reader {
    conf: KdumpConf,
    errors: Vec<ConfError>,
}

impl Reader {
    fn take(&mut self, line: &OptionLine<'_>) -> Result<(), Fault> {
        if line.blanks > 0 {
            return Err(Fault {
                at: 0..line.blanks,
                message: "No whitespaces are allowed before a kdump option name in /etc/kdump.conf"
                    .to_owned(),
                help: Some("begin the line with the option".to_owned()),
            });
        }
        let option = line.option;
        refused(line)?;
        if line.value.is_empty() {
            return Err(line.option_fault(
                format!("Invalid kdump config value for option {option}."),
                Some(format!("{option} {}", example(option))),
            ));
        }
        match option {
            "path" => self.conf.path = line.value.to_owned(),
            "core_collector" => self.conf.core_collector = line.words()?,
            "kdump_pre" => self.conf.kdump_pre = line.script()?,
            "kdump_post" => self.conf.kdump_post = line.script()?,
            "default" => self.conf.failure_action = failure_action(line)?,
            "extra_modules" => {
                self.conf
                    .extra_modules
                    .extend(line.value.split_whitespace().map(str::to_owned));
            }
            "dracut_args" => self.dracut_args(line)?,
            // The drill's initramfs is always built anew.
            "force_rebuild" | "force_no_rebuild" => {
                if !matches!(line.value, "0" | "1") {
                    return Err(
                        line.value_fault(format!("{option} value is invalid"), "write 0 or 1")
                    );
                }
            }
            _ => self.target(line)?,
        }
        Ok(())
    }

    fn target(&mut self, line: &OptionLine<'_>) -> Result<(), Fault> {
        let Some(filesystem) = Filesystem::named(line.option) else {
            let closest = suggest::closest(line.option, OPTIONS.iter().copied());
            return Err(line.option_fault(
                format!("Invalid kdump config option {}", line.option),
                closest.map(|closest| format!("did you mean `{closest}`?")),
            ));
        };
        if self.conf.target.is_some() {
            return Err(line.option_fault(
                "More than one dump targets specified".to_owned(),
                Some("keep one of them".to_owned()),
            ));
        }
        let value = line.value;
        let device = if let Some(uuid) = value.strip_prefix("UUID=") {
            TargetDevice::Uuid(uuid.trim_matches('"').to_owned())
        } else if let Some(label) = value.strip_prefix("LABEL=") {
            TargetDevice::Label(label.trim_matches('"').to_owned())
        } else if value.starts_with("/dev/") && !value.contains(char::is_whitespace) {
            TargetDevice::Node(value.to_owned())
        } else {
            return Err(line.value_fault(
                format!("Dump target {value} is invalid"),
                format!(
                    "write a device, UUID= or LABEL=, such as `{} /dev/nvme0n1`",
                    line.option
                ),
            ));
        };
        self.conf.target = Some(DumpTarget::Filesystem { filesystem, device });
        Ok(())
    }

    /// The two options of dracut that decide about drivers; every other would change the capture
    /// initramfs in a way that a drill does not follow.
    fn dracut_args(&mut self, line: &OptionLine<'_>) -> Result<(), Fault> {
        let words = line.words()?;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (option, value) = match word.split_once('=') {
                Some((option, value)) => (option, Some(value)),
                None => (word.as_str(), None),
            };
            let list = match option {
                "--omit-drivers" => &mut self.conf.omit_drivers,
                "--add-drivers" | "--force-drivers" => &mut self.conf.extra_modules,
                _ => {
                    let known = ["--omit-drivers", "--add-drivers", "--force-drivers"];
                    let help = match suggest::closest(option, known.into_iter()) {
                        Some(closest) => format!("did you mean `{closest}`?"),
                        None => format!("of dracut's options, only {} are", known.join(", ")),
                    };
                    return Err(line
                        .value_fault(format!("`dracut_args {option}` is not emulated yet"), help));
                }
            };
            let Some(drivers) = value.or_else(|| words.next().map(String::as_str)) else {
                return Err(line.value_fault(
                    format!("dracut's `{option}` lacks its list of drivers"),
                    format!("dracut_args {option} \"i40e ice\""),
                ));
            };
            list.extend(drivers.split_whitespace().map(str::to_owned));
        }
        Ok(())
    }
}

fn failure_action(line: &OptionLine<'_>) -> Result<FailureAction, Fault> {
    Ok(match line.value {
        "reboot" => FailureAction::Reboot,
        "halt" => FailureAction::Halt,
        "poweroff" => FailureAction::Poweroff,
        "shell" => FailureAction::Shell,
        "dump_to_rootfs" => FailureAction::DumpToRootfs,
        given => {
            let actions = ["reboot", "halt", "poweroff", "shell", "dump_to_rootfs"];
            return Err(line.value_fault(
                format!("`{given}` is no action for `default`"),
                match suggest::closest(given, actions.into_iter()) {
                    Some(closest) => format!("did you mean `{closest}`?"),
                    None => format!("one of {}", actions.join(", ")),
                },
            ));
        }
    })
}

const OPTIONS: [&str; 15] = [
    "ext2",
    "ext3",
    "ext4",
    "xfs",
    "btrfs",
    "path",
    "core_collector",
    "kdump_pre",
    "kdump_post",
    "default",
    "extra_modules",
    "dracut_args",
    "force_rebuild",
    "force_no_rebuild",
    "extra_bins",
];

fn example(option: &str) -> &'static str {
    match option {
        "path" => DEFAULT_PATH,
        "core_collector" => DEFAULT_CORE_COLLECTOR,
        "kdump_pre" | "kdump_post" => "/usr/local/bin/script.sh",
        "default" => "reboot",
        "extra_modules" => "megaraid_sas",
        "dracut_args" => "--omit-drivers \"i40e ice\"",
        "force_rebuild" | "force_no_rebuild" => "0",
        _ => "/dev/nvme0n1",
    }
}

/// Options that RHEL 7 refuses, knows and a drill does not, or does not know yet.
fn refused(line: &OptionLine<'_>) -> Result<(), Fault> {
    let value = line.value;
    let first_word = value.split_whitespace().next().unwrap_or("DRIVER");
    let deprecated = |help: String| {
        Err(line.option_fault(
            format!(
                "Deprecated kdump config option: {}. Refer to kdump.conf manpage for alternatives.",
                line.option
            ),
            Some(help),
        ))
    };
    let later = |help: &str| {
        Err(line.option_fault(
            format!("Invalid kdump config option {}", line.option),
            Some(help.to_owned()),
        ))
    };
    match line.option {
        "blacklist" => {
            let drivers = if value.is_empty() { "DRIVER" } else { value };
            deprecated(format!(
                "to leave the driver out of the initramfs: `dracut_args --omit-drivers \
                 \"{drivers}\"`; to keep it from being loaded: `rd.driver.blacklist={}` in \
                 KDUMP_COMMANDLINE_APPEND",
                drivers.split_whitespace().collect::<Vec<_>>().join(",")
            ))
        }
        "net" if value.contains('@') => deprecated(format!("ssh {value}")),
        "net" => deprecated(format!("nfs {value}")),
        "options" => deprecated(format!(
            "module options go on the command line: `{first_word}.OPTION=VALUE` in \
             KDUMP_COMMANDLINE_APPEND"
        )),
        "link_delay" | "disk_timeout" => deprecated(
            "remove it: the wait for the target is `limits.target` in the scenario".to_owned(),
        ),
        "debug_mem_level" => {
            deprecated("remove it, or write `rd.memdebug=3` in KDUMP_COMMANDLINE_APPEND".to_owned())
        }
        "failure_action" => later("RHEL 7 calls it `default`; the name is of 2019"),
        "final_action" => later("RHEL 7 has none (it is of 2019): it reboots after a dump"),
        "kdump_emergency" | "virtiofs" | "auto_reset_crashkernel" => {
            later("RHEL 7 does not know this newer option")
        }
        "raw"
        | "nfs"
        | "nfs4"
        | "ssh"
        | "sshkey"
        | "minix"
        | "extra_bins"
        | "fence_kdump_args"
        | "fence_kdump_nodes"
        | "override_resettable" => Err(line.option_fault(
            format!("`{}` is not emulated yet", line.option),
            Some(match line.option {
                "raw" | "nfs" | "nfs4" | "ssh" | "minix" => {
                    "use a file system on a local disk, such as `ext4 /dev/nvme0n1`".to_owned()
                }
                "extra_bins" => "put scripts into `capture.files` of the scenario".to_owned(),
                _ => "remove the line".to_owned(),
            }),
        )),
        option if option.contains('=') => {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            Err(line.option_fault(
                format!("Invalid kdump config option {option}"),
                Some(format!(
                    "option and value are separated by a blank: `{name} {value}`"
                )),
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
