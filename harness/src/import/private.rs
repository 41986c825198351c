//! What is private in a customer's texts, and what stands for it: addresses of documentation, names of
//! nobody.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::facts::Facts;
use crate::kdump::conf::DEFAULT_SSHKEY;
use crate::kdump::conf::options::is_option;

/// Name of a drill's dump server.
pub(super) const SERVER: &str = "dump-server";
/// Who logs in to it.
pub(super) const USER: &str = "kdump";
/// Where a drill has the key for it.
pub(super) const KEY: &str = DEFAULT_SSHKEY;

/// What nobody's file system has.
const UUID: &str = "00000000-0000-4000-8000-";

/// Each kind of private thing, in the order in which they are looked for. What a replacement puts in
/// must not be found by those behind it.
struct Patterns {
    uuid: Regex,
    /// A MAC address, or an InfiniBand GUID.
    mac: Regex,
    ipv6: Regex,
    ipv4: Regex,
    /// `user@host`.
    login: Regex,
    /// With a suffix that no program's name has.
    domain: Regex,
    home: Regex,
    /// World-wide names and serial numbers of disks.
    serial: Regex,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    // A unit test compiles the same texts.
    let regex = |text: &str| Regex::new(text).unwrap_or_else(|error| unreachable!("{error}"));
    Patterns {
        uuid: regex(r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        mac: regex(r"(?i)[0-9a-f]{2}([:-][0-9a-f]{2}){5,}"),
        // The whole word with two colons or more: HOST:/PATH is none.
        ipv6: regex(r"[0-9A-Za-z._@-]*:[0-9A-Za-z._@-]*:[0-9A-Za-z._@:-]*"),
        ipv4: regex(r"[0-9]+(\.[0-9]+){3,}"),
        login: regex(r"[A-Za-z0-9._+-]+@[A-Za-z0-9._-]+"),
        domain: regex(
            r"(?i)\b[a-z0-9_-]+(\.[a-z0-9_-]+)*\.(com|net|org|edu|gov|mil|int|info|biz|io|cloud|local|localdomain|lan|internal|intra|corp|home|private)\b",
        ),
        home: regex(r"/home/[A-Za-z0-9._-]+"),
        serial: regex(
            r"(?i)\b(?:(?:wwn|scsi|ata|nvme|usb|dm-uuid)-[0-9a-z_.+:-]{6,}|eui\.[0-9a-f]{16,}|(?:0x)?[0-9a-f]*[0-9][0-9a-f]{14,}[0-9a-f]*)",
        ),
    }
});

/// Takes private things out of texts: the same thing always becomes the same placeholder.
#[derive(Debug, Default)]
pub(super) struct Scrubber {
    /// Off with `--keep-names`.
    off: bool,
    /// By kind and by what it stands for.
    known: BTreeMap<(Kind, String), usize>,
    /// Names of the customer's hosts, which look like any word.
    names: Option<Regex>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Uuid,
    Mac,
    V6,
    V4,
    Serial,
    Name,
}

/// What is no host's name, though a host may be called so.
const WORDS: [&str; 29] = [
    "boot",
    "crash",
    "default",
    "devices",
    "dev",
    "dump",
    "halt",
    "home",
    "host",
    "irqpoll",
    "kdump",
    "kernel",
    "linux",
    "local",
    "localdomain",
    "localhost",
    "makedumpfile",
    "mnt",
    "name",
    "none",
    "number",
    "poweroff",
    "reboot",
    "root",
    "serial",
    "server",
    "shell",
    "usr",
    "var",
];

/// Names of hosts in the files: the machine's own, and those that kdump.conf speaks of.
fn hosts(facts: &Facts) -> Vec<String> {
    /// More than anybody has.
    const MOST: usize = 64;
    let mut names: Vec<&str> = facts.host.iter().map(String::as_str).collect();
    let conf = facts.kdump.conf.as_ref();
    let conf = conf.map(|conf| conf.value.as_str()).unwrap_or_default();
    let lines = conf.lines().map(str::trim_start);
    for line in lines.filter(|line| !line.starts_with('#')) {
        let words = line.split([' ', '\t', '"', '\'', ',']);
        let nodes = line.starts_with("fence_kdump_nodes");
        for word in words.skip(1).filter(|word| !word.is_empty()) {
            let word = word.rsplit('@').next().unwrap_or(word);
            match word.split_once(":/") {
                Some((host, _)) => names.push(host),
                None if nodes => names.push(word),
                None => {}
            }
        }
    }
    // The whole name, and its first part.
    let parts = names.iter().flat_map(|name| {
        let short = name.split('.').next().unwrap_or(name);
        [*name, short]
    });
    let mut found: Vec<String> = Vec::new();
    for part in parts {
        let part = part.to_ascii_lowercase();
        let plain = part
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"-._".contains(&c));
        let number = !part.contains(|c: char| c.is_ascii_alphabetic());
        let word = WORDS.contains(&part.as_str()) || part == SERVER || is_option(&part);
        let length = (3..=255).contains(&part.len());
        if plain && length && !number && !word && !found.contains(&part) && found.len() < MOST {
            found.push(part);
        }
    }
    found
}

impl Scrubber {
    /// `keep` leaves everything as it is.
    pub(super) fn new(keep: bool) -> Self {
        Self {
            off: keep,
            ..Self::default()
        }
    }

    /// One that knows the names of a customer's hosts.
    pub(super) fn of_machine(keep: bool, facts: &Facts) -> Self {
        let mut names = hosts(facts);
        // A part of a name is none.
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let names: Vec<String> = names.iter().map(|name| regex::escape(name)).collect();
        let pattern = format!("(?i){}", names.join("|"));
        Self {
            names: Regex::new(&pattern).ok().filter(|_| !names.is_empty()),
            ..Self::new(keep)
        }
    }

    /// Whether names stay.
    pub(super) fn keeps(&self) -> bool {
        self.off
    }

    /// How many different things were replaced.
    pub(super) fn replaced(&self) -> usize {
        self.known.len()
    }

    /// A text without anything private.
    pub(super) fn clean(&mut self, text: &str) -> String {
        if self.off {
            return text.to_owned();
        }
        // Next to each other, placeholders can look like something else.
        const MOST: usize = 8;
        let mut text = text.to_owned();
        for _ in 0..MOST {
            let cleaner = self.once(&text);
            if cleaner == text {
                break;
            }
            text = cleaner;
        }
        text
    }

    fn once(&mut self, text: &str) -> String {
        let patterns = &*PATTERNS;
        let text = self.each(&patterns.uuid, text, Kind::Uuid);
        // Digits of the others' placeholders would be taken for a part of it.
        let text = self.each(&patterns.ipv4, &text, Kind::V4);
        let text = self.each(&patterns.mac, &text, Kind::Mac);
        let text = self.each(&patterns.ipv6, &text, Kind::V6);
        let text = patterns.login.replace_all(&text, |found: &Captures<'_>| {
            // Addresses have placeholders of their own by now.
            match found[0].split_once('@') {
                Some((_, host)) if patterns.ipv4.is_match(host) => format!("{USER}@{host}"),
                _ => format!("{USER}@{SERVER}"),
            }
        });
        let text = self.without_names(&text);
        let text = patterns.domain.replace_all(&text, |found: &Captures<'_>| {
            // dracut's parameters begin like a domain: `rd.net.timeout.carrier=30`.
            let behind = found.get(0).map_or("", |found| &text[found.end()..]);
            match &found[0] {
                "rd.net" if behind.starts_with('.') => "rd.net".to_owned(),
                _ => SERVER.to_owned(),
            }
        });
        let text = patterns.home.replace_all(&text, "/root");
        self.each(&patterns.serial, &text, Kind::Serial)
    }

    /// Without the names of the customer's hosts, where they are whole words.
    fn without_names(&mut self, text: &str) -> String {
        let Some(names) = self.names.take() else {
            return text.to_owned();
        };
        let clean = names.replace_all(text, |found: &Captures<'_>| {
            let (before, behind) = found.get(0).map_or(("", ""), |found| {
                (&text[..found.start()], &text[found.end()..])
            });
            let inner = |c: char| c.is_ascii_alphanumeric();
            match before.ends_with(inner) || behind.starts_with(inner) {
                true => found[0].to_owned(),
                false => self.of(Kind::Name, &found[0]),
            }
        });
        let clean = clean.into_owned();
        self.names = Some(names);
        clean
    }

    fn each(&mut self, pattern: &Regex, text: &str, kind: Kind) -> String {
        let replaced = pattern.replace_all(text, |found: &Captures<'_>| self.of(kind, &found[0]));
        match replaced {
            Cow::Borrowed(text) => text.to_owned(),
            Cow::Owned(text) => text,
        }
    }

    fn of(&mut self, kind: Kind, found: &str) -> String {
        if is_placeholder(kind, found) {
            return found.to_owned();
        }
        let next = self.known.keys().filter(|(of, _)| *of == kind).count();
        let key = (kind, found.to_ascii_lowercase());
        let nth = *self.known.entry(key).or_insert(next) + 1;
        placeholder(kind, nth)
    }
}

fn placeholder(kind: Kind, nth: usize) -> String {
    match kind {
        Kind::Uuid => format!("{UUID}{nth:012x}"),
        // Locally administered.
        Kind::Mac => format!("02:00:00:00:00:{:02x}", nth % 256),
        // RFC 3849, RFC 5737.
        Kind::V6 => format!("2001:db8::{:x}", nth % 0x10000),
        Kind::V4 => format!("192.0.2.{}", nth.clamp(1, 254)),
        Kind::Serial => "serial-number".to_owned(),
        Kind::Name => "host-name".to_owned(),
    }
}

/// A mask, an address of nobody's, or one of ours.
fn is_placeholder(kind: Kind, found: &str) -> bool {
    match kind {
        Kind::Uuid => found.starts_with(UUID),
        Kind::Mac => found.starts_with("02:00:00:00:00:") && found.len() == 17,
        // What a MAC address became has colons, too; colons alone are no address.
        Kind::V6 => {
            let ours = found.strip_prefix("2001:db8::");
            ours.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_hexdigit()))
                || (found.starts_with("02:00:00:00:00:") && found.len() == 17)
                || !found.contains(|c: char| c.is_ascii_alphanumeric())
        }
        Kind::V4 => {
            let parts: Vec<&str> = found.split('.').collect();
            matches!(
                parts.as_slice(),
                ["192", "0", "2", _]
                    | ["255", _, _, _]
                    | ["127", "0", "0", _]
                    | ["0", "0", "0", "0"]
            )
        }
        Kind::Serial => {
            // 12 hexadecimal digits of a placeholder's UUID stand behind its hyphen.
            found.chars().all(|c| c == '0') || found == "serial-number"
        }
        Kind::Name => found == "host-name",
    }
}

/// Of a kernel's command line, the parameters that can decide over kdump, and the names of the others.
/// What is not known to matter stays out, as command lines hold addresses, names and identities.
pub(super) struct Parameters {
    pub(super) kept: Vec<String>,
    pub(super) left: Vec<String>,
}

/// Beginnings of words.
const MATTER: [&str; 50] = [
    "acpi",
    "amd_iommu=",
    "apic",
    "audit=",
    "cgroup_disable=",
    "clocksource=",
    "cma=",
    "disable_cpu_apicid=",
    "hest_disable",
    "hpet=",
    "hugetlb_cma=",
    "intel_idle.",
    "intel_iommu=",
    "intremap=",
    "iommu",
    "irqpoll",
    "irqaffinity=",
    "kfence.",
    "lapic",
    "log_buf_len=",
    "maxcpus=",
    "mce",
    "mitigations=",
    "modprobe.blacklist=",
    "module_blacklist=",
    "nmi_watchdog=",
    "no_timer_check",
    "no_x2apic_optout",
    "noapic",
    "noirqdebug",
    "nokaslr",
    "nolapic",
    "nosmp",
    "novmcoredd",
    "nox2apic",
    "nr_cpus=",
    "numa=",
    "pci=",
    "pcie_",
    "possible_cpus=",
    "processor.",
    "rd.driver.",
    "rdblacklist=",
    "rdloaddriver=",
    "reset_devices",
    "swiotlb=",
    "transparent_hugepage=",
    "tsc=",
    "udev.children-max=",
    "x2apic_phys",
];

/// The words of a command line that matter to the capture kernel; `modules` are those whose parameters
/// do.
pub(super) fn parameters(line: &str, modules: &[&str]) -> Parameters {
    let mut parameters = Parameters {
        kept: Vec::new(),
        left: Vec::new(),
    };
    for word in crate::kdump::words::kernel_words(line) {
        let name = word.split('=').next().unwrap_or(word);
        let of_module = name
            .split_once('.')
            .is_some_and(|(module, _)| modules.contains(&module.replace('-', "_").as_str()));
        let plain = word.chars().all(|c| c.is_ascii_graphic());
        // A kernel's own words need no scrubbing, but a value may be anything.
        let private = Scrubber::default().clean(word) != word;
        if plain && !private && (of_module || MATTER.iter().any(|begin| word.starts_with(begin))) {
            parameters.kept.push(word.to_owned());
        } else {
            let name: String = name
                .chars()
                .filter(char::is_ascii_graphic)
                .take(40)
                .collect();
            let name = match Scrubber::default().clean(&name) == name {
                true => name,
                false => "…".to_owned(),
            };
            if !parameters.left.contains(&name) {
                parameters.left.push(name);
            }
        }
    }
    parameters
}

#[cfg(test)]
mod tests;
