//! The dump server: the smallest machine that serves, and what its /init does.

use std::net::Ipv4Addr;

use crashdrill_guest::order::{Network, ServerOrder, Service};

use super::drivers::{Files, Keepers, Parameters, load_order};
use super::remote::{Addresses, Login, PREFIX, common_files};
use super::{PlanError, Stage, TextFile};
use crate::image::{Image, Keys};
use crate::kdump::conf::Filesystem;
use crate::machine::link::SERVER_MAC;
use crate::machine::plan::usual_disk;
use crate::machine::{self, MachinePlan};
use crate::scenario::model::{self, Device, DeviceKind, DumpServer, Scenario};
use crate::target::{Content, Format};
use crate::units::Bytes;

/// The manifest in images/ that the server is made of.
pub(in crate::run) const SERVER_IMAGE: &str = "dump-server";

const MEMORY: Bytes = Bytes(256 * Bytes::MIB);
/// Its console is of interest only when the server itself is in trouble.
const COMMANDLINE: &str = "console=ttyS0 quiet panic=-1";

/// What a drill over the network needs besides its own image.
#[derive(Debug, Clone, Copy)]
pub struct Supplies<'a> {
    /// The server's image.
    pub image: &'a Image,
    /// Keys for ssh.
    pub keys: &'a Keys,
    /// Randomness: for the capture kernel, and for the server.
    pub seeds: &'a [String; 2],
}

/// The machine that takes the dump.
#[derive(Debug, Clone)]
pub struct ServerPlan {
    /// One CPU, a network device, a disk.
    pub machine: MachinePlan,
    /// What its /init does, and the files that it needs for it.
    pub stage: Stage<ServerOrder>,
    /// What its disk holds before it starts.
    pub contents: Vec<Content>,
}

/// `login` is who logs in over ssh; without one the directory is exported.
pub(super) fn plan(
    scenario: &Scenario,
    addresses: Addresses,
    directory: &str,
    login: Option<Login>,
    supplies: Supplies<'_>,
) -> Result<ServerPlan, PlanError> {
    let image = supplies.image;
    let mut machine = machine(scenario)?;
    machine.append = COMMANDLINE.to_owned();
    machine.mac = SERVER_MAC;
    let refuses = scenario.server == DumpServer::Refuses;
    let mut files = Files::default();
    let mut drivers = machine.drivers();
    drivers.push("ext4");
    let mut texts = common_files();
    texts.push(TextFile::plain("/etc/hosts", "127.0.0.1 localhost\n"));
    let line = login.as_ref().map_or("", |login| login.line.as_str());
    texts.push(TextFile::plain(
        "/etc/passwd",
        &format!(
            "root:*:0:0:root:/root:/bin/sh\n{line}\
             sshd:*:100:65534::/run/sshd:/usr/sbin/nologin\n\
             _rpc:*:101:65534::/run/rpcbind:/usr/sbin/nologin\n\
             nobody:*:65534:65534::/nonexistent:/usr/sbin/nologin\n"
        ),
    ));
    let (service, programs): (_, &[&str]) = match &login {
        None => {
            drivers.push("nfsd");
            // In a network of two, everybody else is one address further on.
            let client = match refuses {
                true => Ipv4Addr::from(addresses.client.to_bits() ^ 4),
                false => addresses.client,
            };
            let service = Service::Nfs {
                client: client.to_string(),
            };
            (service, &["exportfs", "rpc.mountd", "rpc.nfsd", "rpcbind"])
        }
        Some(_) => {
            let keys = supplies.keys;
            let known = match refuses {
                true => &keys.stranger,
                false => &keys.user,
            };
            texts.push(TextFile::private("/etc/ssh/host_key", &keys.host.private));
            texts.push(TextFile::plain(
                "/etc/ssh/authorized_keys",
                &format!("{}\n", known.public),
            ));
            texts.push(TextFile::plain("/etc/ssh/sshd_config", SSHD));
            // scp before OpenSSH 9, RHEL's among them, runs its like at the other end.
            (Service::Ssh, &["scp", "sshd"])
        }
    };
    let disk = machine.file_disks().next();
    let disk = disk.map(|(_, disk)| disk.node.clone()).unwrap_or_default();
    let drivers: Vec<String> = drivers.into_iter().map(str::to_owned).collect();
    let drivers = load_order(
        image,
        &drivers,
        &Keepers::default(),
        &Parameters {
            commandline: None,
            options: &[],
        },
        &mut files,
    )
    .map_err(|source| PlanError::Module {
        image: image.name.clone(),
        source,
    })?;
    Ok(ServerPlan {
        machine,
        contents: vec![Content::Filesystem(Format::new(Filesystem::Ext4))],
        stage: Stage {
            order: ServerOrder {
                drivers,
                network: Network {
                    mac: SERVER_MAC.to_owned(),
                    address: addresses.server,
                    prefix: PREFIX,
                    seed: supplies.seeds[1].clone(),
                },
                disk,
                directory: directory.to_owned(),
                owner: login.as_ref().map_or(0, |login| login.number),
                service,
            },
            programs: programs.iter().map(|name| (*name).to_owned()).collect(),
            modules: files.modules,
            scripts: Vec::new(),
            texts,
            // What a login runs: sh, mkdir, dd, mv.
            busybox: login.is_some(),
        },
    })
}

const SSHD: &str = "\
HostKey /etc/ssh/host_key
AuthorizedKeysFile /etc/ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
UseDNS no
PidFile none
Subsystem sftp internal-sftp
";

/// The smallest machine that serves.
fn machine(scenario: &Scenario) -> Result<MachinePlan, machine::PlanError> {
    let device = |device, target, size| Device {
        target,
        size,
        ..Device::new(device)
    };
    let disk = usual_disk(scenario.machine.memory);
    MachinePlan::new(&model::Machine {
        memory: MEMORY,
        devices: vec![
            device(DeviceKind::VirtioNet, true, None),
            device(DeviceKind::VirtioBlk, false, Some(disk)),
        ],
        ..model::Machine::default()
    })
}
