//! The dump server: exports a directory over NFS, or takes ssh's logins, until its cable is pulled.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crashdrill_guest::order::{Action, ServerOrder, Service};
use crashdrill_guest::report::Report;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::error::{Context, Failure};
use crate::network::{self, Links};
use crate::{Init, child, drivers, entropy, events, system};

/// Where the disk is mounted as a whole.
const DISK: &str = "/disk";
const NFSD: &str = "/proc/fs/nfsd";
/// How long a driver that probes asynchronously may take to show its device.
const DEVICE_LIMIT: Duration = Duration::from_secs(30);

/// Comes back when the harness has pulled the cable. What was written is on the disk then.
pub(crate) fn run(init: &mut Init, order: &ServerOrder) -> Action {
    if let Err(failure) = serve(init, order) {
        init.failed(&failure);
    }
    Action::PowerOff
}

fn serve(init: &mut Init, order: &ServerOrder) -> Result<(), Failure> {
    let links = Links::open()?;
    entropy::seed(&order.network.seed)?;
    drivers::load(init, &order.drivers);
    network::loopback_up()?;
    let interface = links
        .wait(DEVICE_LIMIT, || network::find(&order.network.mac))
        .ok_or_else(|| Failure::new("find the network adapter", "it did not appear"))?;
    network::up(&interface, &order.network)?;
    mount_disk(order)?;

    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    match &order.service {
        Service::Nfs { client } => start_nfs(init, order, client)?,
        Service::Ssh => start_sshd()?,
    }
    let daemons = daemons();
    // Not earlier: children would inherit the mask.
    signals
        .thread_block()
        .context(|| "block SIGCHLD".to_owned())?;
    let died = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .context(|| "open a signalfd".to_owned())?;
    let has_carrier = || network::has_carrier(&interface).then_some(());
    if links.wait(DEVICE_LIMIT, has_carrier).is_none() {
        return Err(Failure::new(
            "wait for the network's carrier",
            "there is none",
        ));
    }
    init.report(&Report::Serving);
    while network::has_carrier(&interface) {
        if let Some(name) = reap(&daemons) {
            return Err(Failure::new(format!("serve: {name}"), "it ended"));
        }
        events::wait(&[links.fd(), died.as_fd()], Duration::MAX);
        links.drain();
        while let Ok(Some(_)) = died.read_signal() {}
    }
    Ok(())
}

/// Everything that serves, before the first client.
fn daemons() -> Vec<(i32, String)> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .map(|pid: i32| (pid, system::line(&format!("/proc/{pid}/comm"))))
        .filter(|(_, name)| ["rpcbind", "rpc.mountd", "sshd"].contains(&name.as_str()))
        .collect()
}

/// Buries every child that has ended, orphans of sessions among them; the name of a daemon, which
/// should not have.
fn reap(daemons: &[(i32, String)]) -> Option<String> {
    while let Ok(status @ (WaitStatus::Exited(..) | WaitStatus::Signaled(..))) =
        waitpid(None, Some(WaitPidFlag::WNOHANG))
    {
        let pid = status.pid()?.as_raw();
        if let Some((_, name)) = daemons.iter().find(|(daemon, _)| *daemon == pid) {
            return Some(name.clone());
        }
    }
    None
}

/// The disk, and the served directory on it under the path that clients know.
fn mount_disk(order: &ServerOrder) -> Result<(), Failure> {
    let disk = order.disk.as_str();
    fs::create_dir_all(DISK).context(|| format!("mkdir {DISK}"))?;
    mount(
        Some(disk),
        DISK,
        Some("ext4"),
        MsFlags::empty(),
        None::<&str>,
    )
    .context(|| format!("mount {disk}"))?;
    let stored = format!("{DISK}{}", order.directory);
    for directory in [&stored, &order.directory] {
        fs::create_dir_all(directory).context(|| format!("mkdir {directory}"))?;
    }
    chown(&stored, Some(order.owner), Some(order.owner)).context(|| format!("chown {stored}"))?;
    mount(
        Some(stored.as_str()),
        order.directory.as_str(),
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )
    .context(|| format!("mount --bind {stored}"))
}

/// As nfs-server.service does. NFSv4 clients begin at the file system with `fsid=0` and walk from
/// there, so that both ways lead to the same directory.
fn start_nfs(init: &mut Init, order: &ServerOrder, client: &str) -> Result<(), Failure> {
    mount(
        Some("nfsd"),
        NFSD,
        Some("nfsd"),
        MsFlags::empty(),
        None::<&str>,
    )
    .context(|| format!("mount {NFSD}"))?;
    for directory in ["/var/lib/nfs/v4recovery", "/run/rpcbind"] {
        fs::create_dir_all(directory).context(|| format!("mkdir {directory}"))?;
    }
    for file in ["/var/lib/nfs/etab", "/var/lib/nfs/rmtab"] {
        fs::write(file, "").context(|| format!("write {file}"))?;
    }
    let options = "rw,no_root_squash,no_subtree_check,insecure";
    let exports = format!(
        "{DISK} {client}({options},fsid=0)\n{} {client}({options},fsid=1)\n",
        order.directory
    );
    fs::write("/etc/exports", exports).context(|| "write /etc/exports".to_owned())?;
    let commands: [&[&str]; 4] = [
        &["rpcbind"],
        &["exportfs", "-r"],
        &["rpc.nfsd", "4"],
        &["rpc.mountd"],
    ];
    for argv in commands {
        let owned: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
        let exit = child::run(&mut init.memory, &owned, &[]);
        if !exit.success() {
            return Err(Failure::new(argv.join(" "), exit));
        }
    }
    // A server that has been up for a while is past the time in which it waits for clients to
    // claim what they had open before.
    let grace = format!("{NFSD}/v4_end_grace");
    fs::write(&grace, "Y").context(|| format!("write {grace}"))
}

/// Comes back when sshd listens, which it tells as it tells systemd.
fn start_sshd() -> Result<(), Failure> {
    const NOTIFY: &str = "/run/notify";
    fs::create_dir_all("/run/sshd").context(|| "mkdir /run/sshd".to_owned())?;
    let notify = UnixDatagram::bind(NOTIFY).context(|| format!("bind {NOTIFY}"))?;
    notify
        .set_read_timeout(Some(DEVICE_LIMIT))
        .context(|| format!("set the limit of {NOTIFY}"))?;
    let mut command = child::command("/usr/sbin/sshd");
    command
        .args(["-D", "-e", "-f", "/etc/ssh/sshd_config"])
        .env("NOTIFY_SOCKET", NOTIFY);
    command.spawn().context(|| "start sshd".to_owned())?;
    let mut message = [0; 4096];
    loop {
        let length = notify
            .recv(&mut message)
            .context(|| "wait for sshd".to_owned())?;
        let text = String::from_utf8_lossy(message.get(..length).unwrap_or_default());
        if text.lines().any(|line| line == "READY=1") {
            return Ok(());
        }
    }
}
