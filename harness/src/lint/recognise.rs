//! What a file is, and whose.

use schemars::JsonSchema;
use serde::Serialize;

use super::{CheckedFile, Input, MAX_SIZE, Unusable};
use crate::kdump::conf::options::is_option;
use crate::kdump::flavour::Flavour;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// /etc/kdump.conf.
    KdumpConf,
    /// /etc/sysconfig/kdump.
    Sysconfig,
    /// /etc/default/kdump-tools.
    KdumpTools,
    /// A kernel's command line, as in /proc/cmdline.
    Commandline,
    /// A scenario of crashdrill's.
    Scenario,
}

pub(super) fn kind(input: &Input<'_>) -> Result<Kind, Unusable> {
    let bytes = input.bytes;
    if bytes.len() > MAX_SIZE {
        return Err(Unusable::Large);
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Unusable::Utf16);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        Unusable::NotText {
            line: good.iter().filter(|byte| **byte == b'\n').count() + 1,
            byte: good.iter().rev().take_while(|byte| **byte != b'\n').count() + 1,
        }
    })?;
    // Without a byte order mark every second byte of ASCII is zero.
    let zeros = bytes.iter().filter(|byte| **byte == 0).count();
    if bytes.len() >= 4 && zeros * 3 > bytes.len() && zeros * 3 < bytes.len() * 2 {
        return Err(Unusable::Utf16);
    }
    by_name(input.name)
        .or_else(|| by_content(text))
        .ok_or(Unusable::Unknown)
}

fn by_name(path: &str) -> Option<Kind> {
    let path = path.replace('\\', "/");
    let name = path.rsplit('/').next().unwrap_or(&path);
    if name.ends_with(".yaml") || name.ends_with(".yml") {
        Some(Kind::Scenario)
    } else if name.contains("kdump-tools") {
        Some(Kind::KdumpTools)
    } else if name.contains("kdump.conf") {
        Some(Kind::KdumpConf)
    } else if path.ends_with("sysconfig/kdump")
        || name.contains("sysconfig") && name.contains("kdump")
    {
        Some(Kind::Sysconfig)
    } else if name.contains("cmdline") {
        Some(Kind::Commandline)
    } else {
        None
    }
}

fn by_content(text: &str) -> Option<Kind> {
    let lines = || {
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
    };
    let mut seen_kdump_key = false;
    for line in lines() {
        let assigned = line.strip_prefix("export ").unwrap_or(line);
        let name = assigned.split(['=', '+']).next().unwrap_or_default();
        if assigned[name.len()..].starts_with(['=', '+']) {
            if DEBIAN_KEYS.contains(&name) {
                return Some(Kind::KdumpTools);
            }
            seen_kdump_key |= name.starts_with("KDUMP_") || name.starts_with("KEXEC_");
        }
    }
    if seen_kdump_key {
        return Some(Kind::Sysconfig);
    }
    let mut words = lines().filter_map(|line| line.split([' ', '\t', ':']).next());
    if lines().any(|line| line.starts_with("name:")) && words.any(|word| word == "image") {
        return Some(Kind::Scenario);
    }
    if lines().count() == 1
        && lines().any(|line| {
            line.split_ascii_whitespace().any(|word| {
                ["root=", "BOOT_IMAGE=", "crashkernel=", "console="]
                    .iter()
                    .any(|parameter| word.starts_with(parameter))
            })
        })
    {
        return Some(Kind::Commandline);
    }
    lines()
        .any(|line| line.split([' ', '\t']).next().is_some_and(is_option))
        .then_some(Kind::KdumpConf)
}

const DEBIAN_KEYS: [&str; 6] = [
    "USE_KDUMP",
    "KDUMP_COREDIR",
    "KDUMP_CMDLINE",
    "KDUMP_CMDLINE_APPEND",
    "MAKEDUMP_ARGS",
    "KDUMP_FAIL_CMD",
];

const SUSE_KEYS: [&str; 9] = [
    "KDUMP_SAVEDIR",
    "KDUMP_DUMPLEVEL",
    "KDUMP_DUMPFORMAT",
    "KDUMP_IMMEDIATE_REBOOT",
    "KDUMP_KEEP_OLD_DUMPS",
    "KDUMP_FREE_DISK_SIZE",
    "KDUMP_CPUS",
    "KDUMP_NETCONFIG",
    "KEXEC_OPTIONS",
];

/// Whose the files look like, and why; RHEL 7's where nothing tells.
pub(super) fn flavour(files: &[CheckedFile]) -> (Flavour, String) {
    let of = |kind| files.iter().filter(move |file| file.kind == Ok(kind));
    if of(Kind::KdumpTools).next().is_some() {
        return (Flavour::Debian, "a file of kdump-tools".to_owned());
    }
    for file in of(Kind::Sysconfig) {
        if let Some(key) = SUSE_KEYS.iter().find(|key| sets(&file.text, key)) {
            return (Flavour::Opensuse, format!("{key}, a key of openSUSE's"));
        }
    }
    for file in of(Kind::Commandline) {
        for (mark, flavour) in [
            (".el6", Flavour::Rhel6),
            (".el7", Flavour::Rhel7),
            (".el8", Flavour::Rhel8),
            (".el9", Flavour::Rhel9),
            (".fc", Flavour::Fedora),
        ] {
            let release = file
                .text
                .split_ascii_whitespace()
                .find(|word| word.starts_with("BOOT_IMAGE=") && word.contains(mark));
            if release.is_some() {
                return (flavour, format!("`{mark}` in the kernel's release"));
            }
        }
    }
    for file in of(Kind::KdumpConf) {
        let has = |option: &str| {
            file.text
                .lines()
                .any(|line| line.split([' ', '\t']).next() == Some(option))
        };
        for (option, flavour) in [
            ("kdump_emergency", Flavour::Fedora),
            ("auto_reset_crashkernel", Flavour::Rhel9),
            ("virtiofs", Flavour::Rhel9),
            ("failure_action", Flavour::Rhel8),
            ("final_action", Flavour::Rhel8),
        ] {
            if has(option) {
                return (flavour, format!("the option `{option}`"));
            }
        }
    }
    for file in of(Kind::Sysconfig) {
        for (key, flavour) in [
            ("VMCORE_CREATION_NOTIFICATION", Flavour::Fedora),
            ("FADUMP_COMMANDLINE_APPEND", Flavour::Rhel9),
            ("KDUMP_STDLOGLVL", Flavour::Rhel8),
        ] {
            if sets(&file.text, key) {
                return (flavour, format!("the key {key}"));
            }
        }
    }
    (Flavour::Rhel7, "nothing: it is the default".to_owned())
}

fn sets(text: &str, key: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line);
        line.strip_prefix(key)
            .is_some_and(|rest| rest.starts_with(['=', '+']))
    })
}
