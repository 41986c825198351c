//! The way of a dump that leaves the machine: who is where, and what the capture kernel needs to get
//! there.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use crashdrill_guest::order::Network;

use super::server::{ServerPlan, Supplies, plan as plan_server};
use super::{PlanError, TextFile};
use crate::kdump::conf::{DumpTarget, KdumpConf};
use crate::machine::link::DRILL_MAC;
use crate::scenario::model::{DumpServer, Scenario};

/// What a server that is named by name is given: TEST-NET-1 of RFC 5737.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The two machines are alone on their network, so it may be wide.
pub(super) const PREFIX: u8 = 8;
/// Number of the user that logs in, unless it is root.
pub(super) const USER: u32 = 1000;

/// A dump target on the network.
#[derive(Debug)]
pub(super) struct Remote {
    /// The capture kernel's end of the cable.
    pub(super) network: Network,
    /// What the server offers: the exported directory, or `path`.
    pub(super) offered: String,
    /// Programs of the image that the capture kernel needs.
    pub(super) programs: BTreeSet<String>,
    /// Files that those need.
    pub(super) texts: Vec<TextFile>,
    /// The server, unless there is to be none.
    pub(super) server: Option<ServerPlan>,
    /// Directory on the server's disk below which the dump is looked for.
    pub(super) dump_directory: String,
}

/// A target that cannot be acted out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// An IPv6 address.
    #[error(
        "the dump server `{0}` has an IPv6 address, which is not emulated; use a name, or IPv4"
    )]
    Ipv6(String),
    /// An address that no machine has.
    #[error("no dump server can have the address {0}")]
    Address(Ipv4Addr),
    /// Not what a host is called.
    #[error("`{0}` is neither an IPv4 address nor the name of a host")]
    Name(String),
    /// Not what Linux calls users.
    #[error("`{0}` is no user's name; small letters, digits, `_`, `.` and `-`")]
    User(String),
    /// A directory that the server needs for itself.
    #[error(
        "the dump server cannot offer {0}: it has its own files there; use a directory such as \
         /var/crash or /export"
    )]
    Directory(String),
}

/// Where both ends are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) server: Ipv4Addr,
    pub(super) client: Ipv4Addr,
}

impl Addresses {
    fn of(host: &str) -> Result<Self, RemoteError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare.len() < host.len() || bare.parse::<Ipv6Addr>().is_ok() {
            return Err(RemoteError::Ipv6(host.to_owned()));
        }
        let Ok(server) = host.parse::<Ipv4Addr>() else {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            let digits = |c: char| c.is_ascii_digit() || c == '.';
            return match !host.is_empty() && host.chars().all(plain) && !host.chars().all(digits) {
                true => Ok(Self {
                    server: ADDRESS,
                    client: neighbour(ADDRESS),
                }),
                false => Err(RemoteError::Name(host.to_owned())),
            };
        };
        let taken = server.octets()[0] == 0
            || server.is_loopback()
            || server.octets()[0] >= 224
            || is_of_the_network(server);
        match taken {
            true => Err(RemoteError::Address(server)),
            false => Ok(Self {
                server,
                client: neighbour(server),
            }),
        }
    }
}

/// The address of the network itself, or of everybody on it.
fn is_of_the_network(address: Ipv4Addr) -> bool {
    let hosts = u32::MAX >> PREFIX;
    matches!(address.to_bits() & hosts, 0) || address.to_bits() & hosts == hosts
}

/// The next one, or the one before where the next would not look like a machine's.
fn neighbour(address: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, last] = address.octets();
    let last = if last < 254 { last + 1 } else { last - 1 };
    Ipv4Addr::new(a, b, c, last)
}

/// Plans the way of a dump over the network; `None` when it stays on the machine.
pub(super) fn plan(
    scenario: &Scenario,
    conf: &KdumpConf,
    supplies: Option<Supplies<'_>>,
) -> Result<Option<Remote>, PlanError> {
    let (Some(target), Some(supplies)) = (&conf.target, supplies) else {
        return Ok(None);
    };
    let (host, directory) = match target {
        DumpTarget::Nfs { host, export } => (host, export.as_str()),
        DumpTarget::Ssh { host, .. } => (host, conf.path.as_str()),
        _ => return Ok(None),
    };
    let addresses = Addresses::of(host)?;
    let offered = offered(directory)?;
    let mut texts = common_files();
    let mut hosts = "127.0.0.1 localhost\n".to_owned();
    if host.parse::<Ipv4Addr>().is_err() {
        hosts += &format!("{} {host}\n", addresses.server);
    }
    texts.push(TextFile::plain("/etc/hosts", &hosts));
    texts.push(TextFile::plain(
        "/etc/passwd",
        "root:*:0:0:root:/root:/bin/sh\n",
    ));
    let (programs, dump_directory, login) = match target {
        DumpTarget::Ssh { user, .. } => {
            let login = Login::new(user)?;
            texts.push(TextFile::private(&conf.sshkey, &supplies.keys.user.private));
            let known = format!("{host} {}\n", supplies.keys.host.public);
            texts.push(TextFile::plain("/root/.ssh/known_hosts", &known));
            // kdump.sh copies the capture kernel's own log, which is no pipe.
            (vec!["ssh", "scp"], offered.clone(), Some(login))
        }
        _ => {
            let below = format!("{offered}/{}", conf.path.trim_start_matches('/'));
            (vec!["mount.nfs"], below, None)
        }
    };
    let server = match scenario.server {
        DumpServer::Absent => None,
        DumpServer::Ready | DumpServer::Refuses => {
            Some(plan_server(scenario, addresses, &offered, login, supplies)?)
        }
    };
    Ok(Some(Remote {
        network: Network {
            mac: DRILL_MAC.to_owned(),
            address: addresses.client,
            prefix: PREFIX,
            seed: supplies.seeds[0].clone(),
        },
        offered,
        programs: programs.into_iter().map(str::to_owned).collect(),
        texts,
        server,
        dump_directory,
    }))
}

/// Top directories of the server's own, and what the kernel mounts.
const OWN: [&str; 13] = [
    "/", "/bin", "/dev", "/disk", "/etc", "/init", "/lib", "/lib64", "/proc", "/root", "/run",
    "/sbin", "/sys",
];

/// The directory, with one slash between its parts and none at its end.
fn offered(directory: &str) -> Result<String, RemoteError> {
    let parts: Vec<&str> = directory
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let directory = format!("/{}", parts.join("/"));
    let below = |own: &&str| directory.starts_with(&format!("{own}/"));
    let own = OWN.contains(&directory.as_str())
        || ["/dev", "/disk", "/proc", "/sys"].iter().any(below)
        || parts.contains(&"..")
        || matches!(
            parts[..],
            ["usr"] | ["usr", "bin" | "lib" | "lib64" | "sbin"]
        )
        || directory.contains(char::is_whitespace);
    match own {
        true => Err(RemoteError::Directory(directory)),
        false => Ok(directory),
    }
}

/// Who logs in on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    /// Numbers of the user and of the group.
    pub(super) number: u32,
    /// The line of passwd(5), if the user has none yet.
    pub(super) line: String,
}

impl Login {
    fn new(user: &str) -> Result<Self, RemoteError> {
        let first = |c: char| c.is_ascii_lowercase() || c == '_';
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
        match user {
            "root" => Ok(Self {
                number: 0,
                line: String::new(),
            }),
            user if user.starts_with(first) && user.chars().all(inner) => Ok(Self {
                number: USER,
                line: format!(
                    "{user}:*:{USER}:{USER}::/:/bin/sh
"
                ),
            }),
            user => Err(RemoteError::User(user.to_owned())),
        }
    }
}

/// What programs of the C library look up, on either machine.
pub(super) fn common_files() -> Vec<TextFile> {
    vec![
        TextFile::plain(
            "/etc/nsswitch.conf",
            "passwd: files
group: files
hosts: files
services: files
",
        ),
        TextFile::plain(
            "/etc/group",
            &format!(
                "root:*:0:
users:*:{USER}:
nogroup:*:65534:
"
            ),
        ),
        TextFile::plain(
            "/etc/services",
            "sunrpc 111/tcp portmapper
sunrpc 111/udp portmapper
nfs 2049/tcp
nfs 2049/udp
",
        ),
        // netconfig(5): what libtirpc can talk over.
        TextFile::plain(
            "/etc/netconfig",
            "udp tpi_clts v inet udp - -
tcp tpi_cots_ord v inet tcp - -
\
             local tpi_cots_ord - loopback - - -
",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(host: &str) -> Result<(String, String), RemoteError> {
        let addresses = Addresses::of(host)?;
        Ok((addresses.server.to_string(), addresses.client.to_string()))
    }

    #[test]
    fn both_ends_have_an_address() {
        let both = |server: &str, client: &str| Ok((server.to_owned(), client.to_owned()));
        assert_eq!(pair("dumps.example.com"), both("192.0.2.1", "192.0.2.2"));
        assert_eq!(pair("10.1.2.4"), both("10.1.2.4", "10.1.2.5"));
        assert_eq!(pair("10.0.0.1"), both("10.0.0.1", "10.0.0.2"));
        assert_eq!(
            pair("10.255.255.254"),
            both("10.255.255.254", "10.255.255.253")
        );
    }

    #[test]
    fn hosts_that_cannot_be() {
        assert_eq!(
            pair("[fe80::1]"),
            Err(RemoteError::Ipv6("[fe80::1]".to_owned()))
        );
        assert_eq!(
            pair("fe80::1"),
            Err(RemoteError::Ipv6("fe80::1".to_owned()))
        );
        for address in [
            "0.0.0.0",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "10.0.0.0",
        ] {
            let parsed = address.parse().unwrap();
            assert_eq!(pair(address), Err(RemoteError::Address(parsed)));
        }
        for name in [
            "",
            "10.1.2",
            "10.1.2.300",
            "a b",
            "host;x",
            "dumps\n192.0.2.9 x",
        ] {
            assert_eq!(
                pair(name),
                Err(RemoteError::Name(name.to_owned())),
                "{name}"
            );
        }
    }

    #[test]
    fn directories_that_the_server_can_offer() {
        for (asked, offers) in [
            ("/var/crash", "/var/crash"),
            ("//export//a/", "/export/a"),
            ("var/crash", "/var/crash"),
            ("/usr/share/dumps", "/usr/share/dumps"),
        ] {
            assert_eq!(offered(asked).as_deref(), Ok(offers));
        }
        for own in [
            "/",
            "",
            "/etc",
            "/proc/sys",
            "/a/../etc",
            "/usr/bin",
            "/a b",
            "/dev/shm",
        ] {
            assert!(offered(own).is_err(), "{own}");
        }
    }

    #[test]
    fn users() {
        assert_eq!(Login::new("root").map(|login| login.number), Ok(0));
        assert_eq!(
            Login::new("kdump").map(|login| login.line),
            Ok("kdump:*:1000:1000::/:/bin/sh
"
            .to_owned())
        );
        for bad in [
            "",
            "a:b",
            "a
b",
            "-oProxyCommand=x",
            "Kdump",
        ] {
            assert_eq!(Login::new(bad), Err(RemoteError::User(bad.to_owned())));
        }
    }
}
