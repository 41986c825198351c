//! The text of a kdump.conf to what it says.

use super::dracut::{self, Argument};
use super::options::{self, Rule};
use super::{
    DumpTarget, FailureAction, Filesystem, FinalAction, KdumpConf, TargetDevice, Written, collector,
};
use crate::kdump::error::{ConfigFile, Fault, Faults, Reading, placed, shown};
use crate::kdump::flavour::Flavour;
use crate::kdump::words::shell_words;
use crate::suggest;

pub(super) fn read(text: &str, flavour: Flavour) -> Reading<KdumpConf> {
    let mut reader = Reader {
        flavour,
        conf: KdumpConf::defaults(flavour),
        errors: Faults::default(),
        warnings: Faults::default(),
    };
    if let Some(at) = text.find('\0') {
        reader.errors.push(
            Fault::new(
                at..at + 1,
                "a NUL byte: the shell that reads the file drops it",
            )
            .help("save it as plain text, in UTF-8"),
        );
    }
    // Since 2021 it is taken for a blank at the line's end.
    if matches!(flavour, Flavour::Rhel6 | Flavour::Rhel7)
        && let Some(at) = text.find("\r\n")
    {
        reader.errors.push(
            Fault::new(
                at..at + 1,
                "newlines of Windows: the carriage return becomes part of the value",
            )
            .help("convert the file: `sed -i 's/\\r$//' FILE`"),
        );
    }
    let mut start = 0;
    for (nth, line) in text.split_inclusive('\n').enumerate() {
        let content = line.trim_end_matches(['\n', '\r']);
        if let Some(line) = OptionLine::new(content, start, nth + 1)
            && let Err(fault) = reader.take(&line)
        {
            reader.errors.push(fault);
            if reader.errors.full() {
                break;
            }
        }
        start += line.len();
    }
    reader.whole_file();
    Reading {
        value: reader.conf,
        errors: placed(ConfigFile::KdumpConf, text, reader.errors),
        warnings: placed(ConfigFile::KdumpConf, text, reader.warnings),
    }
}

/// One `option value` line.
struct OptionLine<'a> {
    /// In the text.
    start: usize,
    /// From 1.
    line: usize,
    /// In front of the option.
    blanks: usize,
    option: &'a str,
    value: &'a str,
    /// In the text.
    value_at: usize,
}

impl<'a> OptionLine<'a> {
    /// `None` for a line without an option.
    fn new(text: &'a str, start: usize, line: usize) -> Option<Self> {
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
            start,
            line,
            blanks,
            option,
            value: unquoted,
            value_at: start + value_at,
        })
    }

    fn written(&self) -> Written {
        let at = self.start + self.blanks;
        Written {
            option: self.option.to_owned(),
            value: self.value.to_owned(),
            line: self.line,
            at: at..at + self.option.len(),
            value_at: self.value_at..self.value_at + self.value.len(),
        }
    }

    fn on_option(&self, message: impl Into<String>) -> Fault {
        Fault::new(self.written().at, message)
    }

    fn on_value(&self, message: impl Into<String>) -> Fault {
        Fault::new(self.written().value_at, message)
    }

    fn words(&self) -> Result<Vec<String>, Fault> {
        shell_words(self.value).map_err(|unclosed| {
            let end = self.value_at + self.value.len();
            Fault::new(
                self.value_at + unclosed.at..end,
                "the quote is never closed",
            )
            .help("close it on the same line")
        })
    }

    fn list(&self) -> impl Iterator<Item = String> + use<'a> {
        self.value.split_whitespace().map(str::to_owned)
    }

    fn script(&self) -> Result<Option<String>, Fault> {
        if !self.value.starts_with('/') {
            let name = shown(self.value);
            return Err(self
                .on_value(format!(
                    "`{}` takes the absolute path of a program",
                    self.option
                ))
                .help(format!("{} /usr/local/bin/{name}", self.option)));
        }
        Ok(Some(self.value.to_owned()))
    }
}

struct Reader {
    flavour: Flavour,
    conf: KdumpConf,
    errors: Faults,
    warnings: Faults,
}

impl Reader {
    fn take(&mut self, line: &OptionLine<'_>) -> Result<(), Fault> {
        if line.blanks > 0 {
            let blanks = line.start..line.start + line.blanks;
            if self.flavour == Flavour::Rhel7 {
                return Err(Fault::new(
                    blanks,
                    "No whitespaces are allowed before a kdump option name in /etc/kdump.conf",
                )
                .help("begin the line with the option"));
            }
            if self.flavour == Flavour::Rhel6 {
                self.warnings.push(
                    Fault::new(blanks, "blanks in front of an option")
                        .help("begin the line with the option: RHEL 7 refuses such a line"),
                );
            }
        }
        let option = line.option;
        match options::rule(option, self.flavour) {
            Rule::Taken => {}
            Rule::Renamed(name) => self.warnings.push(
                line.on_option(format!(
                    "WARNING: Option '{option}' was renamed '{name}' and will be removed in the \
                     future."
                ))
                .help(format!("{name} {}", shown(line.value))),
            ),
            Rule::Deprecated => {
                return Err(line
                    .on_option(format!(
                        "Deprecated kdump config option: {option}. Refer to kdump.conf manpage \
                         for alternatives."
                    ))
                    .help(options::instead_of_deprecated(option, line.value)));
            }
            Rule::Unknown => {
                let message = match self.flavour {
                    Flavour::Rhel6 => format!("Unknown parameter {}", shown(option)),
                    _ => format!("Invalid kdump config option {}", shown(option)),
                };
                let help = options::instead_of_unknown(option, self.flavour);
                return Err(Fault {
                    help,
                    ..line.on_option(message)
                });
            }
        }
        if line.value.is_empty() {
            let message = match self.flavour {
                Flavour::Rhel6 | Flavour::Rhel7 => {
                    format!("Invalid kdump config value for option {option}.")
                }
                _ => format!("Invalid kdump config value for option '{option}'"),
            };
            return Err(line
                .on_option(message)
                .help(format!("{option} {}", options::example(option))));
        }
        if line.value.contains(['“', '”', '„', '‘', '’']) {
            self.warnings.push(
                line.on_value("a typographic quote is no quote, but a part of the value")
                    .help("write a straight one: `\"`"),
            );
        }
        self.twice(line)?;
        self.conf.written.push(line.written());
        self.set(line)
    }

    /// Before RHEL 8 the last line counts.
    fn twice(&mut self, line: &OptionLine<'_>) -> Result<(), Fault> {
        let option = line.option;
        let Some(first) = self.conf.last(option) else {
            return Ok(());
        };
        let help = format!("keep one of them; the other is on line {}", first.line);
        if is_target(option) {
            return Err(line
                .on_option("More than one dump targets specified")
                .help("keep one of them"));
        }
        if !matches!(self.flavour, Flavour::Rhel6 | Flavour::Rhel7) {
            return Err(line
                .on_option(format!("Duplicated kdump config value of option {option}"))
                .help(help));
        }
        if !adds_up(option) {
            let message = format!("`{option}` a second time: this line counts, the first does not");
            self.warnings.push(line.on_option(message).help(help));
        }
        Ok(())
    }

    fn set(&mut self, line: &OptionLine<'_>) -> Result<(), Fault> {
        let conf = &mut self.conf;
        match line.option {
            "path" => conf.path = line.value.to_owned(),
            "core_collector" => conf.core_collector = line.words()?,
            "kdump_pre" => conf.kdump_pre = line.script()?,
            "kdump_post" => conf.kdump_post = line.script()?,
            "kdump_emergency" => conf.kdump_emergency = line.script()?,
            "default" | "failure_action" => {
                conf.failure_action = failure_action(line, self.flavour)?
            }
            "final_action" => conf.final_action = final_action(line)?,
            "sshkey" => conf.sshkey = line.value.to_owned(),
            "extra_bins" => conf.extra_bins.extend(line.list()),
            "extra_modules" => conf.extra_modules.extend(line.list()),
            "blacklist" => conf.blacklist.extend(line.list()),
            "options" => {
                let (module, options) = line
                    .value
                    .split_once([' ', '\t'])
                    .unwrap_or((line.value, ""));
                let options = options.trim_start().to_owned();
                conf.module_options.push((module.to_owned(), options));
            }
            "dracut_args" => self.dracut_args(line)?,
            "force_rebuild" | "force_no_rebuild" => {
                if !matches!(line.value, "0" | "1") {
                    let message = format!("{} value is invalid", line.option);
                    return Err(line.on_value(message).help("write 0 or 1"));
                }
            }
            "link_delay" | "disk_timeout" | "debug_mem_level" => {
                if line.value.parse::<u32>().is_err() {
                    let message = format!("`{}` takes a whole number", line.option);
                    let example = options::example(line.option);
                    return Err(line
                        .on_value(message)
                        .help(format!("{} {example}", line.option)));
                }
            }
            "auto_reset_crashkernel" => {
                if !matches!(line.value, "yes" | "no") {
                    self.warnings.push(
                        line.on_value("anything but `yes` is `no`")
                            .help("write `yes` or `no`"),
                    );
                }
            }
            "fence_kdump_args" | "fence_kdump_nodes" => {}
            _ => {
                let target = target(line)?;
                self.target(line, target)?;
            }
        }
        Ok(())
    }

    fn target(&mut self, line: &OptionLine<'_>, target: DumpTarget) -> Result<(), Fault> {
        if self.conf.target.is_some() {
            return Err(line
                .on_option("More than one dump targets specified")
                .help("keep one of them"));
        }
        if line.option == "net" {
            let new = if matches!(target, DumpTarget::Ssh { .. }) {
                "ssh"
            } else {
                "nfs"
            };
            self.warnings.push(
                line.on_option("`net` is the older name: RHEL 7 refuses it")
                    .help(format!("{new} {}", shown(line.value))),
            );
        }
        self.conf.target = Some(target);
        Ok(())
    }

    /// The options of dracut that decide about drivers and the target; the others stay as they
    /// are.
    fn dracut_args(&mut self, line: &OptionLine<'_>) -> Result<(), Fault> {
        let words = line.words()?;
        if line.value.matches("--mount").count() > 1 {
            return Err(line
                .on_value("Multiple mount targets specified in one \"dracut_args\".")
                .help("keep one of them"));
        }
        let arguments = dracut::arguments(words).map_err(|option| {
            let example = match option.as_str() {
                "--mount" => "\"/dev/nvme0n1 /kdumproot ext4\"",
                _ => "\"i40e ice\"",
            };
            line.on_value(format!("dracut's `{option}` lacks its value"))
                .help(format!("dracut_args {option} {example}"))
        })?;
        for argument in arguments {
            match argument {
                Argument::Omit(drivers) => self.conf.omit_drivers.extend(drivers),
                Argument::Add(drivers) => self.conf.extra_modules.extend(drivers),
                Argument::Mount(mount) => match mounted(&mount) {
                    Some(target) => self.target(line, target)?,
                    None => self.conf.dracut_args.extend(["--mount".to_owned(), mount]),
                },
                Argument::Other(word) => self.conf.dracut_args.push(word),
            }
        }
        Ok(())
    }

    /// What only all lines together can be wrong about.
    fn whole_file(&mut self) {
        let on = |written: &Written, message: &str| Fault::new(written.at.clone(), message);
        let conf = &self.conf;
        if let (Some(old), Some(_)) = (conf.last("default"), conf.last("failure_action")) {
            self.errors.push(
                on(
                    old,
                    "Cannot specify 'failure_action' and 'default' option together",
                )
                .help("remove `default`, the older name"),
            );
        }
        let is_one = |option| conf.last(option).filter(|written| written.value == "1");
        if let (Some(one), Some(_)) = (is_one("force_no_rebuild"), is_one("force_rebuild")) {
            let message =
                "force_rebuild and force_no_rebuild are enabled simultaneously in kdump.conf";
            self.errors.push(on(one, message).help("keep one of them"));
        }
        if let (Some(DumpTarget::Raw(_)), Some(path)) = (&conf.target, conf.last("path")) {
            self.warnings.push(
                on(path, "a raw target has no directories: `path` is ignored")
                    .help("remove the line"),
            );
        }
        if let Some(key) = conf.last("sshkey")
            && !matches!(conf.target, Some(DumpTarget::Ssh { .. }))
        {
            self.warnings.push(
                on(key, "`sshkey` is for an `ssh` target, and there is none")
                    .help("remove the line, or name the target: `ssh user@server`"),
            );
        }
        let flattened = matches!(
            conf.target,
            Some(DumpTarget::Raw(_) | DumpTarget::Ssh { .. })
        );
        match conf.last("core_collector").cloned() {
            None if flattened => self.conf.core_collector.push("-F".to_owned()),
            None => {}
            Some(written) => {
                let (errors, warnings) = (&mut self.errors, &mut self.warnings);
                collector::check(&written, &self.conf, self.flavour, errors, warnings)
            }
        }
    }
}

fn is_target(option: &str) -> bool {
    Filesystem::named(option).is_some()
        || matches!(
            option,
            "minix" | "raw" | "nfs" | "nfs4" | "net" | "ssh" | "virtiofs"
        )
}

/// Options whose lines before RHEL 8 all count.
fn adds_up(option: &str) -> bool {
    matches!(
        option,
        "extra_bins" | "extra_modules" | "blacklist" | "options" | "dracut_args"
    )
}

fn target(line: &OptionLine<'_>) -> Result<DumpTarget, Fault> {
    let value = line.value;
    let one_word = !value.contains(char::is_whitespace);
    match line.option {
        "raw" if value.starts_with("/dev/") && one_word => Ok(DumpTarget::Raw(value.to_owned())),
        "raw" => Err(line
            .on_value(format!("Bad raw disk {}", shown(value)))
            .help("write a device, such as `raw /dev/nvme0n1`")),
        "minix" => on_device(line).map(DumpTarget::Minix),
        "virtiofs" => Ok(DumpTarget::Virtiofs(value.to_owned())),
        "ssh" | "net" if value.contains('@') || line.option == "ssh" => login(line),
        "nfs" | "nfs4" | "net" => export(value).filter(|_| one_word).ok_or_else(|| {
            line.on_value(format!("Dump target {} is invalid", shown(value)))
                .help(format!("write `{} server:/export`", line.option))
        }),
        option => match Filesystem::named(option) {
            Some(filesystem) => Ok(DumpTarget::Filesystem {
                filesystem,
                device: on_device(line)?,
            }),
            // Every option that reaches this is a target.
            None => Err(line.on_option(format!("Invalid kdump config option {}", shown(option)))),
        },
    }
}

fn on_device(line: &OptionLine<'_>) -> Result<TargetDevice, Fault> {
    device(line.value).ok_or_else(|| {
        line.on_value(format!("Dump target {} is invalid", shown(line.value)))
            .help(format!(
                "write a device, UUID= or LABEL=, such as `{} /dev/nvme0n1`",
                line.option
            ))
    })
}

fn device(value: &str) -> Option<TargetDevice> {
    let tag = |name: &str| {
        let value = value.strip_prefix(name)?.trim_matches('"');
        (!value.is_empty()).then(|| value.to_owned())
    };
    if let Some(uuid) = tag("UUID=") {
        Some(TargetDevice::Uuid(uuid))
    } else if let Some(label) = tag("LABEL=") {
        Some(TargetDevice::Label(label))
    } else if value.starts_with("/dev/") && !value.contains(char::is_whitespace) {
        Some(TargetDevice::Node(value.to_owned()))
    } else {
        None
    }
}

fn login(line: &OptionLine<'_>) -> Result<DumpTarget, Fault> {
    let value = line.value;
    match value.split_once('@') {
        Some((user, host))
            if !user.is_empty() && !host.is_empty() && !value.contains(char::is_whitespace) =>
        {
            Ok(DumpTarget::Ssh {
                user: user.to_owned(),
                host: host.to_owned(),
            })
        }
        _ => Err(line.on_value("Bad ssh dump target").help(format!(
            "Please verify that /etc/kdump.conf contains '{} <user>@<host>'",
            line.option
        ))),
    }
}

/// `host:/export`, with an IPv6 address in brackets.
fn export(value: &str) -> Option<DumpTarget> {
    let colon = match value.strip_prefix('[') {
        Some(address) => address.find("]:/")? + 2,
        None => value.find(":/")?,
    };
    let (host, export) = (&value[..colon], &value[colon + 1..]);
    (!host.is_empty()).then(|| DumpTarget::Nfs {
        host: host.to_owned(),
        export: export.to_owned(),
    })
}

/// `--mount "device mountpoint type options"`, if a target of that type is known.
pub(super) fn mounted(value: &str) -> Option<DumpTarget> {
    let mut words = value.split_whitespace();
    let (what, _, kind) = (words.next()?, words.next()?, words.next()?);
    match kind {
        "nfs" | "nfs4" => export(what),
        kind => Some(DumpTarget::Filesystem {
            filesystem: Filesystem::named(kind)?,
            device: device(what)?,
        }),
    }
}

fn failure_action(line: &OptionLine<'_>, flavour: Flavour) -> Result<FailureAction, Fault> {
    let rhel6 = flavour == Flavour::Rhel6;
    Ok(match line.value {
        "reboot" => FailureAction::Reboot,
        "halt" => FailureAction::Halt,
        "poweroff" => FailureAction::Poweroff,
        "shell" => FailureAction::Shell,
        "dump_to_rootfs" if !rhel6 => FailureAction::DumpToRootfs,
        // Its init script saves the dump there.
        "mount_root_run_init" if rhel6 => FailureAction::DumpToRootfs,
        value if rhel6 => {
            let message = format!("{} is not a valid default option", shown(value));
            return Err(line
                .on_value(message)
                .help("one of reboot, halt, poweroff, shell, mount_root_run_init"));
        }
        _ => {
            let actions = ["reboot", "halt", "poweroff", "shell", "dump_to_rootfs"];
            return Err(no_action(line, &actions));
        }
    })
}

fn final_action(line: &OptionLine<'_>) -> Result<FinalAction, Fault> {
    Ok(match line.value {
        "reboot" => FinalAction::Reboot,
        "halt" => FinalAction::Halt,
        "poweroff" => FinalAction::Poweroff,
        _ => return Err(no_action(line, &["reboot", "halt", "poweroff"])),
    })
}

fn no_action(line: &OptionLine<'_>, actions: &[&'static str]) -> Fault {
    let option = line.option;
    let message = format!("Usage kdump.conf: {option} {{{}}}", actions.join("|"));
    line.on_value(message).help(
        match suggest::closest(line.value, actions.iter().copied()) {
            Some(closest) => format!("did you mean `{closest}`?"),
            None => format!("one of {}", actions.join(", ")),
        },
    )
}
