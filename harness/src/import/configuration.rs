//! A customer's kdump files for a drill: word for word, but for what is private, for what only their
//! machine has, and for what a drill does not act out. That is said where it stands.

mod lines;

use lines::{joined, off, stated, without_errors};

use super::facts::{Facts, Vendor};
use super::private::{KEY, SERVER, Scrubber, USER, parameters};
use crate::kdump::commandline::kept_out;
use crate::kdump::conf::{DumpTarget, FailureAction, KdumpConf};
use crate::kdump::configuration::Configuration;
use crate::kdump::flavour::Flavour;
use crate::kdump::kdump_tools::KdumpTools;
use crate::kdump::suse::{SaveDir, SuseKdump};
use crate::kdump::sysconfig::Sysconfig;
use crate::scenario::model::{Boot, Kdump, SysconfigFile};
use crate::vectors::Kernel;

/// The file system that a drill's dump target has, where kdump.conf names a device of the customer's.
const TARGET: &str = "UUID=00000000-0000-4000-8000-000000000001";

/// kdump in the drill.
#[derive(Debug, Default)]
pub(super) struct Drilled {
    pub(super) boot: Boot,
    /// The section of the scenario.
    pub(super) kdump: Kdump,
    /// Added to the first kernel's command line.
    pub(super) append: String,
    /// The capture kernel's, as the drill has it.
    pub(super) capture: String,
    /// Drivers that the capture kernel does not load, with underscores.
    pub(super) kept_out: Vec<String>,
    /// The dump goes over the network.
    pub(super) network: bool,
    /// `dump_to_rootfs` needs a root file system.
    pub(super) root: bool,
    /// The dump is written to a disk without a file system, by the node that the drill's target has.
    pub(super) raw: bool,
    /// Above the section.
    pub(super) comment: Vec<String>,
    /// What a drill of it loses.
    pub(super) lost: Vec<String>,
}

/// Whose kdump it is.
fn flavour(facts: &Facts) -> (Flavour, Option<&'static str>) {
    let known = facts
        .distribution
        .as_ref()
        .and_then(|it| it.value.flavour());
    if let Some(known) = known {
        return (known, None);
    }
    let said =
        Some("the files do not say which distribution it is; taken from what they look like");
    if facts.kdump.kdump_tools.is_some() {
        return (Flavour::Debian, said);
    }
    let release = facts.kernel.as_ref().map(|release| release.value.as_str());
    let name = release.unwrap_or_default();
    let flavour = match release.and_then(Kernel::of_release) {
        _ if name.contains(".fc") => Flavour::Fedora,
        Some(kernel) if name.contains(".el") => match kernel.version {
            (..=2, _) => Flavour::Rhel6,
            (3, _) => Flavour::Rhel7,
            (4, _) => Flavour::Rhel8,
            _ => Flavour::Rhel9,
        },
        _ => Flavour::Rhel7,
    };
    (flavour, said)
}

/// All of it. `node` is the drill's target disk, which `raw` needs.
pub(super) fn configuration(facts: &Facts, node: &str, scrubber: &mut Scrubber) -> Drilled {
    let (flavour, said) = flavour(facts);
    let mut drilled = Drilled::default();
    drilled.comment.extend(said.map(str::to_owned));
    let modules: Vec<&str> = facts
        .functions
        .values()
        .filter_map(|function| function.driver.as_deref())
        .collect();
    if let Some(line) = &facts.command_line {
        let found = parameters(&line.value, &modules);
        drilled.append = found.kept.join(" ");
        if !found.left.is_empty() {
            let names = found.left.join(", ");
            drilled.comment.push(format!(
                "left out of the first kernel's command line: {names}"
            ));
        }
    }
    match flavour {
        Flavour::Debian => debian(facts, &mut drilled, scrubber),
        Flavour::Opensuse => suse(facts, &mut drilled, scrubber),
        flavour => redhat(facts, flavour, node, &modules, &mut drilled, scrubber),
    }
    if let Ok(read) = Configuration::read(&drilled.kdump) {
        drilled.capture = read.capture_commandline(&drilled.append, 0).to_string();
        let usual = KdumpConf::defaults(drilled.kdump.flavour);
        let conf = match &read {
            Configuration::Kdumpctl { conf, .. } => conf,
            _ => &usual,
        };
        let out = kept_out(&drilled.capture, conf);
        drilled.kept_out = out.into_iter().map(|out| out.driver).collect();
        drilled.network = conf.target.as_ref().is_some_and(DumpTarget::is_remote);
        drilled.root = conf.failure_action == FailureAction::DumpToRootfs;
        drilled.raw = matches!(conf.target, Some(DumpTarget::Raw(_)));
    }
    drilled
}

fn redhat(
    facts: &Facts,
    flavour: Flavour,
    node: &str,
    modules: &[&str],
    drilled: &mut Drilled,
    scrubber: &mut Scrubber,
) {
    drilled.kdump.flavour = flavour;
    match &facts.kdump.conf {
        None => {
            let said = format!("no kdump.conf in the files: what {flavour} has by default");
            drilled.comment.push(said);
        }
        Some(conf) => {
            let conf = conf_text(&conf.value, facts, flavour, node, scrubber);
            drilled.kdump.conf = Some(conf.text);
            drilled.lost.extend(conf.lost);
        }
    }
    match (&facts.kdump.sysconfig, &facts.capture_command_line) {
        (Some(sysconfig), _) => {
            let text = sysconfig_text(&sysconfig.value, flavour, modules, drilled, scrubber);
            drilled.kdump.sysconfig = SysconfigFile::Text(text);
        }
        (None, Some(line)) => {
            let first: Vec<&str> = drilled.append.split(' ').collect();
            let found = parameters(&line.value, modules);
            let words = found.kept.iter().map(String::as_str);
            let append: Vec<&str> = words.filter(|word| !first.contains(word)).collect();
            drilled.comment.push(
                "no sysconfig/kdump in the files: from the capture kernel's command line in a log"
                    .to_owned(),
            );
            drilled.kdump.sysconfig = SysconfigFile::Keys(Box::new(Sysconfig {
                kdump_commandline_append: Some(append.join(" ")),
                ..Sysconfig::default()
            }));
        }
        (None, None) => {
            let said = format!("no sysconfig/kdump in the files: what {flavour} has by default");
            drilled.comment.push(said);
        }
    }
}

/// kdump.conf, and what it loses.
struct Conf {
    text: String,
    lost: Vec<String>,
}

/// Options whose files a customer's archive does not have.
const WITH_FILES: [&str; 5] = [
    "kdump_pre",
    "kdump_post",
    "kdump_emergency",
    "extra_bins",
    "extra_modules",
];

fn conf_text(
    text: &str,
    facts: &Facts,
    flavour: Flavour,
    node: &str,
    scrubber: &mut Scrubber,
) -> Conf {
    let mut lost = Vec::new();
    let mut lines = Vec::new();
    for line in stated(text) {
        let (option, value) = line.split_once([' ', '\t']).unwrap_or((&line, ""));
        let value = value.trim();
        let line = match option {
            "ext2" | "ext3" | "ext4" | "xfs" | "btrfs" | "minix"
                if !value.starts_with("LABEL=") =>
            {
                format!("{option} {TARGET}")
            }
            "raw" => format!("raw {node}"),
            "ssh" | "nfs" | "nfs4" | "net" if !scrubber.keeps() => {
                format!("{option} {}", remote(value, scrubber))
            }
            "sshkey" if !scrubber.keeps() => format!("sshkey {KEY}"),
            option if WITH_FILES.contains(&option) => {
                let what = format!("kdump.conf's {option}, as the files are not at hand");
                lost.push(format!("{what}: it is left out"));
                off(&scrubber.clean(&line), "its files are not at hand")
            }
            _ => scrubber.clean(&line),
        };
        lines.push(line);
    }
    without_errors(&mut lines, &mut lost, |text| {
        let read = KdumpConf::read(text, flavour);
        match read.errors.is_empty() {
            true => read.value.not_emulated(text),
            false => read.errors,
        }
    });
    let read = KdumpConf::read(&lines.join("\n"), flavour).value;
    if read.target.is_none() {
        let target = facts.target.as_ref();
        let filesystem = target.and_then(|target| target.filesystem.as_ref());
        let kind = filesystem.map(|it| it.value.as_str());
        if let Some(kind @ ("ext2" | "ext3" | "xfs" | "btrfs")) = kind {
            lines
                .push("# kdump's default is the root file system; this one is like it:".to_owned());
            lines.push(format!("{kind} {TARGET}"));
        }
        lost.push(
            "a disk of its own is the dump target, in place of the root file system".to_owned(),
        );
    }
    Conf {
        text: joined(&lines),
        lost,
    }
}

/// `HOST:/EXPORT` or `USER@HOST`, on the drill's own server.
fn remote(value: &str, scrubber: &mut Scrubber) -> String {
    let host = |host: &str, scrubber: &mut Scrubber| {
        let clean = scrubber.clean(host);
        let address = clean.parse::<std::net::Ipv4Addr>().is_ok();
        if address { clean } else { SERVER.to_owned() }
    };
    match (value.split_once('@'), value.rsplit_once(":/")) {
        (Some((_, on)), None) => format!("{USER}@{}", host(on, scrubber)),
        (_, Some((on, export))) => {
            format!("{}:/{}", host(on, scrubber), scrubber.clean(export))
        }
        (None, None) => scrubber.clean(value),
    }
}

/// sysconfig/kdump. An absent key is absent for kdumpctl, so that all keys stay.
fn sysconfig_text(
    text: &str,
    flavour: Flavour,
    modules: &[&str],
    drilled: &mut Drilled,
    scrubber: &mut Scrubber,
) -> String {
    let mut lines = Vec::new();
    for line in stated(text) {
        let key = line
            .split('=')
            .next()
            .unwrap_or_default()
            .trim_start_matches("export ");
        let line = match key {
            "KDUMP_COMMANDLINE" => {
                let value = Sysconfig::read(&line, flavour).value.kdump_commandline;
                let kept = parameters(value.as_deref().unwrap_or_default(), modules).kept;
                format!("KDUMP_COMMANDLINE=\"{}\"", kept.join(" ").replace('"', ""))
            }
            "KDUMP_COMMANDLINE_APPEND" => without_network(&scrubber.clean(&line)),
            _ => scrubber.clean(&line),
        };
        lines.push(line);
    }
    without_errors(&mut lines, &mut drilled.lost, |text| {
        Sysconfig::read(text, flavour).errors
    });
    joined(&lines)
}

/// Network parameters name the customer's interfaces.
fn without_network(line: &str) -> String {
    const NETWORK: [&str; 8] = [
        "ip=",
        "ifname=",
        "nameserver=",
        "bond=",
        "vlan=",
        "bridge=",
        "team=",
        "rd.route=",
    ];
    let Some((key, value)) = line.split_once('=') else {
        return line.to_owned();
    };
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let bare = value.trim_matches(['"', '\'']);
    let words = bare.split_whitespace();
    let kept: Vec<&str> = words
        .filter(|word| !NETWORK.iter().any(|begin| word.starts_with(begin)))
        .collect();
    if kept.len() == bare.split_whitespace().count() {
        return line.to_owned();
    }
    let quote = quote.map(String::from).unwrap_or_default();
    format!("{key}={quote}{}{quote}", kept.join(" "))
}

fn debian(facts: &Facts, drilled: &mut Drilled, scrubber: &mut Scrubber) {
    drilled.boot = Boot::Disk;
    drilled.kdump.flavour = Flavour::Debian;
    let name = facts.distribution.as_ref().map(|it| &it.value.vendor);
    if name == Some(&Vendor::Ubuntu) {
        drilled
            .lost
            .push("Debian's kdump-tools for Ubuntu's".to_owned());
    }
    let Some(tools) = &facts.kdump.kdump_tools else {
        let said = "no default/kdump-tools in the files: what Debian has by default";
        drilled.comment.push(said.to_owned());
        return;
    };
    let mut lines = Vec::new();
    for line in stated(&tools.value) {
        let key = line.split('=').next().unwrap_or_default();
        let clean = scrubber.clean(&line);
        lines.push(match key {
            "SSH" | "SSH_KEY" | "NFS" | "NFS_TIMEO" | "NFS_RETRANS" | "NFS_MOUNT_RETRY" | "FTP"
            | "FTP_REMOTE_HOST" | "FTP_USER" | "FTP_PASSWORD" | "FTP_PORT" | "FTP_COREDIR"
            | "HOSTTAG" => {
                let name = format!("{key}=");
                // The others are about these.
                if matches!(key, "SSH" | "NFS" | "FTP") {
                    drilled.lost.push(format!(
                        "kdump-tools' {key}: the dump goes to the root disk"
                    ));
                }
                off(&name, "the dump goes to the root disk")
            }
            // It would replace the root file system's name.
            "KDUMP_CMDLINE" => off("KDUMP_CMDLINE=", "the drill has its own"),
            "KDUMP_KERNEL" | "KDUMP_INITRD" | "DEBUG_KERNEL" => {
                off(&clean, "the drill has its own")
            }
            _ => clean,
        });
    }
    without_errors(&mut lines, &mut drilled.lost, |text| {
        KdumpTools::read(text).errors
    });
    drilled.kdump.kdump_tools = Some(joined(&lines));
}

/// No drill acts SUSE's scripts out: what their file says about the capture kernel goes to Red Hat's.
fn suse(facts: &Facts, drilled: &mut Drilled, scrubber: &mut Scrubber) {
    drilled.kdump.flavour = Flavour::Rhel9;
    drilled.lost.push(
        "the kdump of RHEL 9 for SUSE's, which no drill acts out: another capture script and its words"
            .to_owned(),
    );
    let Some(text) = &facts.kdump.sysconfig else {
        return;
    };
    let suse = SuseKdump::read(&text.value).value;
    if let SaveDir::Remote { .. } = suse.savedir {
        let server = "a disk is the dump target, in place of the server that KDUMP_SAVEDIR names";
        drilled.lost.push(server.to_owned());
    }
    let line = suse.capture_commandline("", 0).to_string();
    // SUSE's own words for its initramfs say where the dump goes; the drill has a disk.
    let kept: Vec<String> = parameters(&line, &[]).kept;
    drilled.kdump.sysconfig = SysconfigFile::Keys(Box::new(Sysconfig {
        kdump_commandline_append: Some(scrubber.clean(&kept.join(" "))),
        ..Sysconfig::default()
    }));
    drilled.comment.push(
        "from SUSE's sysconfig/kdump: the words that it adds to the capture kernel's command line"
            .to_owned(),
    );
}

#[cfg(test)]
mod tests;
