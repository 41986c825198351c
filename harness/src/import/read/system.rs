//! The small texts: what is installed, and how it was started.

use std::collections::BTreeMap;

use super::super::facts::{Distribution, PciAddress, Release, Sourced, Vendor, Version};
use super::{Text, leading, module};

/// /proc/cmdline: the first line with something in it.
pub(in super::super) fn command_line(text: &Text<'_>) -> Option<Sourced<String>> {
    let mut lines = text.lines().filter(|(_, line)| !line.is_empty());
    // /proc/cmdline has at most COMMAND_LINE_SIZE, 2048 on x86.
    lines
        .next()
        .filter(|(_, line)| line.len() <= 4096)
        .map(|(number, line)| text.fact(number, line.trim().to_owned()))
}

/// `uname -a`, `Linux HOST 3.10.0-693.el7.x86_64 #1 SMP ...`, or /proc/version.
pub(in super::super) fn uname(text: &Text<'_>) -> Option<Sourced<Release>> {
    text.lines().find_map(|(number, line)| {
        let rest = line.strip_prefix("Linux ")?;
        // `version` stands where the host's name does.
        let release = rest.split(' ').nth(1)?.parse().ok()?;
        Some(text.fact(number, release))
    })
}

/// The host's name in `uname -a`; none in /proc/version.
pub(in super::super) fn host(text: &Text<'_>) -> Option<String> {
    /// `__NEW_UTS_LEN` of <linux/utsname.h>.
    const MOST: usize = 64;
    let mut hosts = text.lines().filter_map(|(_, line)| {
        let (host, _) = line.strip_prefix("Linux ")?.split_once(' ')?;
        (host != "version" && host.len() <= MOST).then(|| host.to_owned())
    });
    hosts.next()
}

/// os-release(5).
pub(in super::super) fn os_release(text: &Text<'_>) -> Option<Sourced<Distribution>> {
    let mut keys = BTreeMap::new();
    for (_, line) in text.lines().take(200) {
        if let Some((key, value)) = line.split_once('=') {
            keys.insert(key, value.trim_matches(['"', '\'']));
        }
    }
    let id = *keys.get("ID")?;
    let vendor = match id {
        "rhel" => Vendor::Rhel,
        "centos" => Vendor::Centos,
        "rocky" => Vendor::Rocky,
        "almalinux" => Vendor::Alma,
        "ol" => Vendor::Oracle,
        "fedora" => Vendor::Fedora,
        "debian" => Vendor::Debian,
        "ubuntu" => Vendor::Ubuntu,
        "sles" | "sles_sap" | "sled" => Vendor::Sle,
        "opensuse" | "opensuse-leap" | "opensuse-tumbleweed" => Vendor::Opensuse,
        _ => Vendor::Other(keys.get("NAME").unwrap_or(&id).chars().take(60).collect()),
    };
    let version = keys.get("VERSION_ID").and_then(|text| version(text));
    let distribution = Distribution { vendor, version };
    Some(text.fact(0, distribution))
}

/// /etc/redhat-release and its like: `CentOS Linux release 7.4.1708 (Core)`.
pub(in super::super) fn release_line(text: &Text<'_>) -> Option<Sourced<Distribution>> {
    const NAMES: [(&str, Vendor); 10] = [
        ("Red Hat Enterprise Linux", Vendor::Rhel),
        ("CentOS", Vendor::Centos),
        ("Rocky", Vendor::Rocky),
        ("AlmaLinux", Vendor::Alma),
        ("Oracle", Vendor::Oracle),
        ("Fedora", Vendor::Fedora),
        ("Debian", Vendor::Debian),
        ("Ubuntu", Vendor::Ubuntu),
        ("SUSE Linux Enterprise", Vendor::Sle),
        ("openSUSE", Vendor::Opensuse),
    ];
    let (number, line) = text.lines().find(|(_, line)| !line.is_empty())?;
    let named = NAMES.iter().find(|(name, _)| line.starts_with(name));
    let vendor = match named {
        Some((_, vendor)) => vendor.clone(),
        None => Vendor::Other(line.split(" release ").next()?.chars().take(60).collect()),
    };
    let mut words = line.split_whitespace();
    let version = words.find_map(version);
    let distribution = Distribution { vendor, version };
    Some(text.fact(number, distribution))
}

/// `7.4.1708`, `12`: what is behind the second number says nothing that matters here.
fn version(text: &str) -> Option<Version> {
    let (major, rest) = leading(text)?;
    let minor = rest.strip_prefix('.').and_then(leading);
    Some(Version {
        major,
        minor: minor.map(|(minor, _)| minor),
    })
}

/// The version of a package out of `rpm -qa`, sosreport's installed-rpms, `dpkg -l`, or
/// supportconfig's table.
pub(in super::super) fn package(text: &Text<'_>, name: &str) -> Option<Sourced<String>> {
    text.lines().find_map(|(number, line)| {
        let line = line.strip_prefix("ii ").unwrap_or(line).trim_start();
        let rest = line.strip_prefix(name)?;
        let version = if let Some(rest) = rest.strip_prefix('-') {
            // NAME-VERSION-RELEASE.ARCHITECTURE, then anything.
            let rest = rest.split_whitespace().next()?;
            rest.split('-').next()?
        } else if rest.starts_with([' ', '\t', ':']) {
            // Debian's `NAME[:ARCHITECTURE] EPOCH:VERSION-REVISION`; SUSE's columns, with the
            // distribution before the version.
            let mut words = rest.split_whitespace();
            let version = words.find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
            let version = version.split_once(':').map_or(version, |(_, rest)| rest);
            version.split('-').next()?
        } else {
            return None;
        };
        let plain = version.starts_with(|c: char| c.is_ascii_digit()) && version.len() <= 40;
        plain.then(|| text.fact(number, version.to_owned()))
    })
}

/// What `ethtool -i` says of an interface: its driver and its function.
pub(in super::super) fn ethtool(text: &Text<'_>) -> Option<(PciAddress, String)> {
    let value = |key: &str| text.lines().find_map(|(_, line)| line.strip_prefix(key));
    let address = value("bus-info:")?.trim().parse().ok()?;
    Some((address, module(value("driver:")?.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text<'_> {
        Text {
            label: "file".into(),
            first: 1,
            text,
        }
    }

    #[test]
    fn distributions() {
        let shown = |found: Option<Sourced<Distribution>>| found.unwrap().value.to_string();
        for (line, expected) in [
            (
                "Red Hat Enterprise Linux Server release 7.4 (Maipo)",
                "Red Hat Enterprise Linux 7.4",
            ),
            ("CentOS Linux release 7.4.1708 (Core) ", "CentOS 7.4"),
            ("CentOS release 6.10 (Final)", "CentOS 6.10"),
            ("Rocky Linux release 9.2 (Blue Onyx)", "Rocky Linux 9.2"),
            ("Fedora release 40 (Forty)", "Fedora 40"),
            ("Miracle Linux release 8.4 (Peony)", "Miracle Linux 8.4"),
        ] {
            assert_eq!(shown(release_line(&text(line))), expected);
        }
        for (file, expected) in [
            (
                "NAME=\"Ubuntu\"\nVERSION_ID=\"22.04\"\nID=ubuntu\n",
                "Ubuntu 22.04",
            ),
            (
                "NAME='SLES'\nVERSION_ID='15.4'\nID='sles'",
                "SUSE Linux Enterprise 15.4",
            ),
            ("ID=debian\nNAME=\"Debian GNU/Linux\"\n", "Debian"),
            ("ID=arch\nNAME=\"Arch Linux\"\n", "Arch Linux"),
        ] {
            assert_eq!(shown(os_release(&text(file))), expected);
        }
    }

    #[test]
    fn packages() {
        let version = |line: &str| package(&text(line), "kexec-tools").map(|found| found.value);
        for (line, expected) in [
            (
                "kexec-tools-2.0.14-17.el7.x86_64          Tue Jan 1 00:00:00 2019",
                "2.0.14",
            ),
            (
                "ii  kexec-tools   1:2.0.25-3+b1  amd64  tools to support fast kexec",
                "2.0.25",
            ),
            (
                "ii  kexec-tools:amd64   1:2.0.25-3+b1  amd64  tools",
                "2.0.25",
            ),
            (
                "kexec-tools   SUSE Linux Enterprise 15   2.0.20-150300.9",
                "2.0.20",
            ),
        ] {
            // SUSE's distribution may have a number, which is no version: it has no dot.
            let found = version(line);
            match line.contains("SUSE") {
                true => assert!(found.is_some()),
                false => assert_eq!(found.as_deref(), Some(expected)),
            }
        }
        assert_eq!(version("kexec-tools-doc"), None);
        assert_eq!(version("kexec-toolsx-2.0"), None);
    }

    #[test]
    fn started() {
        let line = uname(&text(
            "Linux h 3.10.0-693.el7.x86_64 #1 SMP Tue x86_64 GNU/Linux",
        ));
        assert_eq!(line.unwrap().value.as_str(), "3.10.0-693.el7.x86_64");
        assert!(uname(&text("Linux h not-a-kernel #1")).is_none());
        let line = command_line(&text("\r\nroot=/dev/sda1 ro crashkernel=auto\r\n")).unwrap();
        assert_eq!(line.value, "root=/dev/sda1 ro crashkernel=auto");
        assert_eq!(line.source.line.unwrap().get(), 2);
    }
}
