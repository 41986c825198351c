//! A customer's kdump files for a drill: word for word, but for what is private, for what only their
//! machine has, and for what a drill does not act out. That is said where it stands.

use std::collections::BTreeMap;

use super::facts::{Facts, Vendor};
use super::private::{KEY, SERVER, Scrubber, USER, parameters};
use crate::kdump::commandline::kept_out;
use crate::kdump::conf::{DumpTarget, FailureAction, KdumpConf};
use crate::kdump::configuration::Configuration;
use crate::kdump::error::ConfError;
use crate::kdump::flavour::Flavour;
use crate::kdump::kdump_tools::KdumpTools;
use crate::kdump::suse::SuseKdump;
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
                drilled.lost.push(format!(
                    "kdump-tools' {key}: the dump goes to the root disk"
                ));
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

/// Lines that say something; comments hold whatever their authors wished. A line that the next
/// continues is one with it.
fn stated(text: &str) -> Vec<String> {
    /// More than any has.
    const LINES: usize = 1000;
    const COLUMNS: usize = 4000;
    const CHARACTERS: usize = 64 << 10;
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    let mut all = 0;
    for line in text.lines() {
        if lines.len() == LINES || all > CHARACTERS {
            lines.push("# the file goes on; the rest is left out".to_owned());
            break;
        }
        let line: String = line
            .chars()
            .take(COLUMNS)
            .map(|c| if c == '\t' { ' ' } else { c })
            .filter(|c| !c.is_control())
            .collect();
        let line = line.trim();
        let (part, more) = match line.strip_suffix('\\') {
            Some(part) => (part.trim_end(), true),
            None => (line, false),
        };
        match (open, lines.last_mut()) {
            (true, Some(last)) if last.len() < COLUMNS => {
                last.push(' ');
                last.push_str(part);
            }
            _ if part.is_empty() || part.starts_with('#') => continue,
            _ => lines.push(part.to_owned()),
        }
        all += part.len() + 1;
        open = more;
    }
    lines
}

fn joined(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

/// A line that stays to be seen.
fn off(line: &str, why: &str) -> String {
    format!("# left out, {why}: {line}")
}

/// Turns off every line that is refused, until none is.
fn without_errors(
    lines: &mut [String],
    lost: &mut Vec<String>,
    refused: impl Fn(&str) -> Vec<ConfError>,
) {
    /// Files have one mistake or two; one with so many is no configuration.
    const MOST: usize = 64;
    // Each round turns a line off.
    for round in 0..=lines.len() {
        let errors = refused(&lines.join("\n"));
        if let Some(error) = errors.first().filter(|_| round == MOST) {
            lost.push(format!("{}: all of it is left out", error.file));
            for line in lines.iter_mut().filter(|line| !line.starts_with('#')) {
                *line = off(line, "there are too many mistakes");
            }
            return;
        }
        let mut first: BTreeMap<usize, ConfError> = BTreeMap::new();
        for error in errors {
            first.entry(error.line).or_insert(error);
        }
        let before = lines.to_vec();
        for (number, error) in first {
            // A quote that nothing closes is missed where the file ends, behind lines that are off.
            let on = |nth: &usize| lines.get(*nth).is_some_and(|line| !line.starts_with('#'));
            let above = (0..number.min(lines.len())).rev().find(on);
            let Some(nth) = above.or_else(|| (0..lines.len()).find(on)) else {
                return;
            };
            let line = &mut lines[nth];
            // The message may quote the line.
            let option: String = line
                .split([' ', '='])
                .next()
                .unwrap_or_default()
                .chars()
                .take(40)
                .collect();
            if lost.len() < MOST {
                lost.push(format!(
                    "{}: `{option}` is left out, {}",
                    error.file, error.message
                ));
            }
            *line = off(line, &error.message);
        }
        if before == lines {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::facts::{Source, Sourced};

    fn sourced(text: &str) -> Option<Sourced<String>> {
        Some(Sourced {
            value: text.to_owned(),
            source: Source {
                file: "etc/kdump.conf".into(),
                line: None,
            },
        })
    }

    fn conf(text: &str) -> Drilled {
        let mut facts = Facts::default();
        facts.kdump.conf = sourced(text);
        configuration(&facts, "/dev/sda", &mut Scrubber::new(false))
    }

    #[test]
    fn devices_hosts_and_scripts() {
        let drilled = conf(
            "# written by jdoe on web1.acme.com\n\nxfs /dev/mapper/acme-crash\npath /var/crash\n\
             core_collector makedumpfile -l --message-level 1 -d 31\nkdump_post /var/crash/scripts/post.sh\n\
             fence_kdump_nodes node2.acme.com\ndefault dump_to_rootfs\n",
        );
        let text = drilled.kdump.conf.unwrap();
        insta::assert_snapshot!(text, @"
        xfs UUID=00000000-0000-4000-8000-000000000001
        path /var/crash
        core_collector makedumpfile -l --message-level 1 -d 31
        # left out, its files are not at hand: kdump_post /var/crash/scripts/post.sh
        # left out, `fence_kdump_nodes` is not emulated yet: fence_kdump_nodes dump-server
        default dump_to_rootfs
        ");
        assert!(drilled.root && !drilled.network);
        assert_eq!(drilled.lost.len(), 2, "{:?}", drilled.lost);
    }

    #[test]
    fn a_server_by_the_names_of_a_drill() {
        let drilled = conf(
            "ssh jdoe@vault.acme.com\nsshkey /home/jdoe/.ssh/key\ncore_collector makedumpfile -F -l -d 31\n",
        );
        let text = drilled.kdump.conf.unwrap();
        assert!(
            text.starts_with("ssh kdump@dump-server\nsshkey /root/.ssh/kdump_id_rsa\n"),
            "{text}"
        );
        assert!(drilled.network);
        let text = conf("nfs 10.1.2.3:/srv/dumps\n").kdump.conf.unwrap();
        assert_eq!(text, "nfs 192.0.2.1:/srv/dumps\n");
    }

    #[test]
    fn what_kdump_refuses_is_turned_off() {
        let drilled = conf("path var/crash\nnonsense\next4 /dev/sdb1\ndisk_timeout 180\n");
        let text = drilled.kdump.conf.clone().unwrap();
        assert!(text.contains("# left out"), "{text}");
        assert!(Configuration::read(&drilled.kdump).is_ok(), "{text}");
        assert!(
            KdumpConf::read(&text, Flavour::Rhel7)
                .value
                .not_emulated(&text)
                .is_empty()
        );
    }

    #[test]
    fn a_file_that_is_none() {
        let mut facts = Facts::default();
        // A quote that nothing closes, behind lines that are turned off.
        facts.kdump.sysconfig = sourced("x='\n_='\na='\n");
        let drilled = configuration(&facts, "/dev/sda", &mut Scrubber::new(false));
        assert!(
            Configuration::read(&drilled.kdump).is_ok(),
            "{:?}",
            drilled.kdump
        );

        let nonsense: String = (0..100_000).map(|nth| format!("option{nth} x\n")).collect();
        let drilled = conf(&nonsense);
        assert!(Configuration::read(&drilled.kdump).is_ok());
        assert!(drilled.lost.len() < 100);
        assert!(drilled.kdump.conf.unwrap().contains("the rest is left out"));
        let long = conf(&format!("path /{}\n", "x\\\n".repeat(100_000)));
        assert!(long.kdump.conf.unwrap().len() < 100_000);
    }

    #[test]
    fn sysconfig_without_interfaces() {
        let mut facts = Facts::default();
        facts.kdump.sysconfig = sourced(
            "# comment\nKDUMP_KERNELVER=\"\"\nKDUMP_COMMANDLINE=\"\"\n\
             KDUMP_COMMANDLINE_APPEND=\"irqpoll nr_cpus=1 ip=10.0.0.7:::255.255.255.0:web1:eth0:none \
             rd.driver.blacklist=i40e\"\n",
        );
        let drilled = configuration(&facts, "/dev/sda", &mut Scrubber::new(false));
        let SysconfigFile::Text(text) = &drilled.kdump.sysconfig else {
            panic!("{:?}", drilled.kdump.sysconfig);
        };
        assert!(
            text.contains("APPEND=\"irqpoll nr_cpus=1 rd.driver.blacklist=i40e\"\n"),
            "{text}"
        );
        assert_eq!(drilled.kept_out, ["i40e"]);
    }
}
