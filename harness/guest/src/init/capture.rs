//! The capture kernel: load drivers, find the target, and do what kdump's script does.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crashdrill_guest::console::{
    LOADING_DRIVERS, POST_FAILED, PRE_FAILED, ROOT_MOUNT_POINT, SAVING_FAILED, TARGET_TIMEOUT,
};
use crashdrill_guest::order::{
    Action, CaptureOrder, FailureAction, Filesystem, Network, Script, Target,
};
use crashdrill_guest::report::{Exit, Report};

use crate::error::errno_name;
use crate::ssh::{self, Login};
use crate::target::{self, Uevents};
use crate::{
    Init, child, console, drivers, entropy, interrupts, irq_debugfs, network, nfs, pci, save,
};

/// kdump.sh's HOST_IP where the target is local.
const LOCAL: &str = "127.0.0.1";
/// What kdump.sh's dump functions return, whatever went wrong.
const FAILED: i32 = 1;

/// What became of the search for the target.
enum Place {
    /// The file system of this device is mounted where the script wants it.
    Mounted(PathBuf),
    /// The device is there, its file system could not be mounted.
    NotMounted,
    /// The device is there and is to be written to as it is.
    Raw(PathBuf),
    /// The network to the other machine is up.
    Reachable,
    /// The network is not up.
    Unreachable,
    /// It did not appear.
    Missing,
}

/// What kdump's script does; returns how the machine is to end.
pub(crate) fn run(init: &mut Init, order: &CaptureOrder) -> Action {
    console::print(LOADING_DRIVERS);
    let uevents = Uevents::open();
    drivers::load(init, &order.drivers);
    let place = find_target(init, order, &uevents);
    if order.shell {
        child::shell(
            init,
            &format!(
                "capture kernel; the dump is /proc/vmcore, the target is on {} if it could be \
                 mounted, `exit` ends the machine",
                order.script.mount_point()
            ),
        );
        return order.final_action;
    }
    // dracut's initqueue gives up and starts kdump's error handler in the place of kdump.sh; RHEL
    // 6's /init goes on, and its mount(8) fails.
    if matches!(place, Place::Missing) && order.script.is_kdump_sh() {
        return failure(init, order, &uevents);
    }
    if matches!(place, Place::Unreachable) && order.script.is_kdump_sh() {
        console::print("kdump: get_host_ip exited with non-zero status!");
        return failure(init, order, &uevents);
    }
    if !pre(init, order) {
        // A refusal, not a failure.
        return finish(order);
    }
    let (status, saved) = match dump(init, order, &place) {
        Ok(directory) => (0, directory),
        Err(failed) => (failed.status, failed.directory),
    };
    post(init, order, &place, status);
    if order.script.saves_log_last() {
        match (login(order), &saved) {
            (Some(login), Some(directory)) => ssh::log(init, &login, directory),
            (Some(_), None) => {}
            (None, _) => save::log(init, order.script, saved.as_deref()),
        }
    }
    match status {
        0 => finish(order),
        _ => failure(init, order, &uevents),
    }
}

/// Waits for the target and mounts it, if it is to be mounted.
fn find_target(init: &mut Init, order: &CaptureOrder, uevents: &Uevents) -> Place {
    let device = match &order.target {
        Target::Filesystem(filesystem) => &filesystem.device,
        Target::Raw { device } => device,
        Target::Nfs { network, .. } | Target::Ssh { network, .. } => {
            return reach_target(init, order, network);
        }
    };
    let node = target::wait(uevents, device, Duration::from_millis(order.wait_ms));
    if node.is_none() && order.script.is_kdump_sh() {
        console::print(TARGET_TIMEOUT);
        console::print(&format!("Warning: {device} does not exist"));
    }
    // Not before the target is there, or its time is up: some drivers go on probing in a
    // workqueue after their module has been loaded, and only what has settled can be counted.
    count(init, order);
    let (place, mount_error) = match (node, &order.target) {
        (None, _) => (Place::Missing, None),
        (Some(node), Target::Filesystem(filesystem)) => {
            match target::mount_at(init, filesystem, &node, order.script.mount_point()) {
                Ok(()) => (Place::Mounted(node), None),
                Err(errno) => (Place::NotMounted, Some(errno_name(errno))),
            }
        }
        (Some(node), _) => (Place::Raw(node), None),
    };
    init.report(&Report::Target {
        device: device.clone(),
        found: !matches!(place, Place::Missing),
        mount_error,
    });
    place
}

/// Says who holds which interrupt vectors, and lets the harness count them in the meantime.
fn count(init: &mut Init, order: &CaptureOrder) {
    init.port.expect_answer();
    interrupts::report(init, "end");
    irq_debugfs::report(init);
    pci::report(init);
    if !order.shell {
        init.port.wait_for_answer();
    }
}

/// Brings up the network, and mounts what is to be mounted over it.
fn reach_target(init: &mut Init, order: &CaptureOrder, network: &Network) -> Place {
    let limit = Duration::from_millis(order.wait_ms);
    let interface = network::bring_up(init, network, limit);
    // A network device's vectors are taken when it is switched on.
    count(init, order);
    let mut mount_error = None;
    let place = match (&interface, &order.target) {
        (None, _) => {
            for line in order.script.no_network() {
                console::print(line);
            }
            Place::Unreachable
        }
        (Some(_), Target::Nfs { modules, .. }) => {
            let source = order.target.to_string();
            let mount_point = order.script.mount_point();
            match nfs::mount(init, &source, modules, mount_point, limit) {
                Ok(()) => Place::Mounted(source.into()),
                Err(why) => {
                    mount_error = Some(why);
                    Place::NotMounted
                }
            }
        }
        (Some(_), _) => {
            if let Err(failure) = entropy::seed(&network.seed) {
                init.failed(&failure);
            }
            Place::Reachable
        }
    };
    init.report(&Report::Target {
        device: order.target.to_string(),
        found: interface.is_some(),
        mount_error,
    });
    place
}

/// Where the dump is, if it has a directory; or what its failure left.
fn dump(
    init: &mut Init,
    order: &CaptureOrder,
    place: &Place,
) -> Result<Option<String>, save::Failed> {
    let mount_point = order.script.mount_point();
    if let (Script::Rhel6, Target::Filesystem(filesystem)) = (order.script, &order.target) {
        console::print(&format!(
            "Saving to the local filesystem {}",
            filesystem.device
        ));
    }
    let result = match place {
        Place::Mounted(node) => {
            save::to_filesystem(init, order, node, mount_point, &host_ip(order)).map(Some)
        }
        Place::Reachable => match login(order) {
            Some(login) => ssh::save(init, order, &login, &host_ip(order)).map(Some),
            None => Err(save::Failed::new(FAILED)),
        },
        Place::Raw(node) => save::to_device(init, order, node).map(|()| None),
        Place::NotMounted | Place::Missing | Place::Unreachable => {
            for line in order.script.not_mounted(mount_point) {
                console::print(&line);
            }
            Err(save::Failed::new(FAILED))
        }
    };
    if result.is_err() && order.script.is_kdump_sh() {
        console::print(SAVING_FAILED);
    }
    result
}

/// kdump.sh's HOST_IP: whose dump it is.
fn host_ip(order: &CaptureOrder) -> String {
    match order.target.network() {
        Some(network) => network.address.to_string(),
        None => LOCAL.to_owned(),
    }
}

fn login(order: &CaptureOrder) -> Option<Login<'_>> {
    match &order.target {
        Target::Ssh {
            user, host, key, ..
        } => Some(Login { user, host, key }),
        _ => None,
    }
}

/// Whether kdump_pre, if there is one, ended with 0. What lies in pre.d has no say.
fn pre(init: &mut Init, order: &CaptureOrder) -> bool {
    if let Some(argv) = &order.pre {
        let status = script(init, order, "kdump_pre", argv, &[]);
        if !status.success() {
            console::print(match order.script {
                Script::Rhel6 => "kdump_pre script exited with non-zero status",
                _ => PRE_FAILED,
            });
            return false;
        }
    }
    directory(init, order, "/etc/kdump/pre.d", &[]);
    true
}

fn post(init: &mut Init, order: &CaptureOrder, place: &Place, status: i32) {
    // RHEL 6 runs it only after a mount.
    let reached = matches!(place, Place::Mounted(_) | Place::Raw(_) | Place::Reachable);
    if order.script == Script::Rhel6 && !reached {
        return;
    }
    let status = status.to_string();
    directory(init, order, "/etc/kdump/post.d", &[&status]);
    if let Some(argv) = &order.post
        && !script(init, order, "kdump_post", argv, &[&status]).success()
        && order.script.is_kdump_sh()
    {
        console::print(POST_FAILED);
    }
}

/// Every script of a directory, in the order of a shell's `*`.
fn directory(init: &mut Init, order: &CaptureOrder, path: &str, more: &[&str]) {
    if !order.script.has_script_directories() {
        return;
    }
    let Ok(entries) = fs::read_dir(path) else {
        return;
    };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    for name in names {
        let file = format!("{path}/{}", name.to_string_lossy());
        script(init, order, &file.clone(), &[file], more);
    }
}

fn script(
    init: &mut Init,
    order: &CaptureOrder,
    which: &str,
    argv: &[String],
    more: &[&str],
) -> Exit {
    child::install_applets(&mut init.memory);
    let vmcore = init.vmcore.clone();
    let status = child::run_with(&mut init.memory, argv, more, |command| {
        // RHEL 6 exports it.
        if let Some(vmcore) = vmcore {
            command.env("VMCORE", vmcore);
        }
    });
    if !status.success() && order.script.names_failed_scripts() {
        let name = argv.first().map(String::as_str).unwrap_or_default();
        let status = status.shell_status();
        console::print(&format!("kdump: {name} exited with {status} status"));
    }
    init.report(&Report::Script {
        which: which.to_owned(),
        status,
    });
    status
}

fn finish(order: &CaptureOrder) -> Action {
    if let Some(line) = order.script.final_action(order.final_action) {
        console::print(&line);
    }
    order.final_action
}

/// kdump's error handler.
fn failure(init: &mut Init, order: &CaptureOrder, uevents: &Uevents) -> Action {
    if order.script == Script::Fedora {
        directory(init, order, "/etc/kdump/emergency.d", &[]);
        if let Some(argv) = &order.emergency {
            script(init, order, "kdump_emergency", argv, &[]);
        }
    }
    for line in order.script.failure_action(&order.failure_action) {
        console::print(&line);
    }
    match &order.failure_action {
        FailureAction::End(action) => return *action,
        FailureAction::Shell => {
            for line in order.script.emergency() {
                console::print(line);
            }
            child::shell_with(init, "kdump:${PWD}# ");
        }
        FailureAction::DumpToRootfs(root) => {
            let saved = dump_to_rootfs(init, order, root, uevents);
            if order.script.saves_log_last() {
                save::log(init, order.script, saved.as_deref());
            }
        }
    }
    finish(order)
}

/// The directory of the dump, once it is complete or has failed.
fn dump_to_rootfs(
    init: &mut Init,
    order: &CaptureOrder,
    root: &Filesystem,
    uevents: &Uevents,
) -> Option<String> {
    for line in order.script.waiting_for_root() {
        console::print(line);
    }
    let node = target::wait(uevents, &root.device, Duration::from_millis(order.wait_ms));
    let mounted = node
        .as_deref()
        .map(|node| target::mount_at(init, root, node, ROOT_MOUNT_POINT));
    init.report(&Report::Root {
        device: root.device.clone(),
        found: node.is_some(),
        mount_error: match mounted {
            Some(Err(errno)) => Some(errno_name(errno)),
            _ => None,
        },
    });
    match (node, mounted) {
        (Some(node), Some(Ok(()))) => {
            match save::to_filesystem(init, order, &node, ROOT_MOUNT_POINT, &host_ip(order)) {
                Ok(directory) => Some(directory),
                Err(failed) => failed.directory,
            }
        }
        _ => {
            for line in order.script.root_not_mounted() {
                console::print(&line);
            }
            None
        }
    }
}
