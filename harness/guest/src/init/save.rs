//! Writing the dump: kdump.sh's dump_fs and dump_raw, and what RHEL 6's /init has for them.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use crashdrill_guest::console::{RHEL6_COMPLETE, SAVING, SAVING_COMPLETE};
use crashdrill_guest::order::{CaptureOrder, Script};
use crashdrill_guest::report::{Exit, Report};
use crashdrill_guest::utc::Utc;
use nix::sys::statvfs::statvfs;
use nix::unistd::sync;

use crate::error::{Context, Failure};
use crate::{Init, child, console, system};

/// kdump.sh's DMESG_COLLECTOR.
pub(crate) const DMESG_COLLECTOR: &str = "vmcore-dmesg";
/// kdump.sh's KDUMP_LOG_FILE.
pub(crate) const LOG_FILE: &str = "/run/initramfs/kexec-dmesg.log";
/// Where dd's own words go.
const DD_PROGRESS: &str = "/tmp/dd_progress_file";
/// Most of the kernel's log that is saved, in bytes: above any CONFIG_LOG_BUF_SHIFT in use.
pub(crate) const LOG_SIZE: usize = 4 << 20;

/// No dump.
#[derive(Debug)]
pub(crate) struct Failed {
    /// What kdump_post is told.
    pub(crate) status: i32,
    /// What there is of a dump is here.
    pub(crate) directory: Option<String>,
}

impl Failed {
    pub(crate) fn new(status: i32) -> Self {
        Self {
            status,
            directory: None,
        }
    }
}

/// Saves the dump below `mount_point`, where the file system of `node` is mounted; gives the dump's
/// directory.
pub(crate) fn to_filesystem(
    init: &mut Init,
    order: &CaptureOrder,
    node: &Path,
    mount_point: &str,
    host_ip: &str,
) -> Result<String, Failed> {
    let script = order.script;
    let name = directory_name(host_ip);
    let directory = script.directory(mount_point, &order.path, &name);
    for line in script.saving_to(&node.display().to_string(), &directory) {
        console::print(&line);
    }
    if let Err(failure) = fs::create_dir_all(&directory).context(|| format!("mkdir {directory}")) {
        init.failed(&failure);
        return Err(Failed::new(1));
    }
    if script.is_kdump_sh() {
        dmesg(init, order, &directory);
        console::print(SAVING);
    }
    let base = directory.trim_end_matches('/');
    let incomplete = format!("{base}/vmcore-incomplete");
    if script == Script::Rhel6 {
        init.vmcore = Some(format!("{base}/vmcore"));
    }
    let status = child::run_with(
        &mut init.memory,
        &order.collector_on(system::cpus()),
        &["/proc/vmcore", &incomplete],
        |command| {
            if script == Script::Rhel6 {
                command.stdout(Stdio::null());
            }
        },
    );
    init.report(&Report::Collector {
        status,
        target_free: free(mount_point),
    });
    let result = match status {
        Exit::Code(0) => complete(init, order, base, &incomplete),
        _ => {
            let status = status.shell_status();
            if let Some(line) = script.collector_failed(status) {
                console::print(&line);
            }
            // Only RHEL 6 hands the core collector's own status on.
            Err(match script {
                Script::Rhel6 => status,
                _ => 1,
            })
        }
    };
    if script == Script::Rhel8 {
        log(init, script, Some(&directory));
    }
    match result {
        Ok(bytes) => {
            let memory_low = init.memory.lowest();
            init.report(&Report::Saved {
                path: format!("/{}/vmcore", below(base, mount_point)),
                bytes: Some(bytes),
                memory_low,
            });
            Ok(directory)
        }
        Err(status) => Err(Failed {
            status,
            directory: Some(directory),
        }),
    }
}

/// Without the mount point and the slashes behind it.
fn below<'a>(path: &'a str, mount_point: &str) -> &'a str {
    let below = path.strip_prefix(mount_point).unwrap_or(path);
    below.trim_start_matches('/')
}

/// Free space in bytes, where it can be asked for.
fn free(mount_point: &str) -> Option<u64> {
    let target = statvfs(mount_point).ok()?;
    Some(target.blocks_available() * target.fragment_size())
}

/// The dump gets its name: since 2019 only once it is on the disk, and in any case the name is on
/// the disk when this returns. The dump's size in bytes, or the status.
fn complete(
    init: &mut Init,
    order: &CaptureOrder,
    directory: &str,
    incomplete: &str,
) -> Result<u64, i32> {
    make_durable(directory, incomplete)
        .inspect(|_| {
            console::print(match order.script {
                Script::Rhel6 => RHEL6_COMPLETE,
                _ => SAVING_COMPLETE,
            });
        })
        .map_err(|failure| {
            if let Some(line) = order.script.sync_failed() {
                console::print(line);
            }
            init.failed(&failure);
            1
        })
}

fn make_durable(directory: &str, incomplete: &str) -> Result<u64, Failure> {
    let sync_file = |path: &str| {
        File::open(path)
            .and_then(|file| file.sync_all().map(|()| file))
            .context(|| format!("fsync {path}"))
    };
    let bytes = sync_file(incomplete)?
        .metadata()
        .context(|| format!("stat {incomplete}"))?
        .len();
    let complete = Path::new(directory).join("vmcore");
    fs::rename(incomplete, complete).context(|| format!("rename {incomplete}"))?;
    sync_file(directory)?;
    sync();
    Ok(bytes)
}

/// Pipes the dump through dd to the device itself.
pub(crate) fn to_device(init: &mut Init, order: &CaptureOrder, node: &Path) -> Result<(), Failed> {
    let node = node.display().to_string();
    if order.script.is_kdump_sh() {
        console::print(&format!("kdump: saving to raw disk {node}"));
        console::print(SAVING);
    } else {
        console::print(&format!("Saving to partition {node}"));
    }
    let mut dd = child::command("dd");
    dd.args([&format!("of={node}"), "bs=512"]);
    if let Ok(progress) = File::create(DD_PROGRESS)
        && let Ok(errors) = progress.try_clone()
    {
        dd.stdout(progress).stderr(errors);
    }
    let (status, written) = child::pipe(
        &mut init.memory,
        &order.collector_on(system::cpus()),
        &["/proc/vmcore"],
        &mut dd,
    );
    init.report(&Report::Collector {
        status,
        target_free: None,
    });
    init.report(&Report::Writer {
        program: "dd".to_owned(),
        status: written,
    });
    let script = order.script;
    // kdump.sh runs under bash with pipefail; RHEL 6's shell only asks dd.
    let ended = match script {
        Script::Rhel6 => written.shell_status(),
        _ if !status.success() || !written.success() => 1,
        _ => 0,
    };
    if ended != 0 {
        said(DD_PROGRESS);
        return Err(Failed::new(ended));
    }
    sync_device(&node).map_err(|failure| {
        init.failed(&failure);
        Failed::new(1)
    })?;
    console::print(match script {
        Script::Rhel6 => RHEL6_COMPLETE,
        _ => SAVING_COMPLETE,
    });
    let memory_low = init.memory.lowest();
    init.report(&Report::Saved {
        path: node,
        bytes: None,
        memory_low,
    });
    Ok(())
}

fn sync_device(node: &str) -> Result<(), Failure> {
    File::open(node)
        .and_then(|device| device.sync_all())
        .context(|| format!("fsync {node}"))?;
    sync();
    Ok(())
}

/// The words of a program whose output went to a file.
fn said(path: &str) {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().for_each(console::print);
}

/// vmcore-dmesg.txt, without which there may still be a dump.
fn dmesg(init: &mut Init, order: &CaptureOrder, directory: &str) {
    console::print(&order.script.saving_dmesg(directory));
    let base = directory.trim_end_matches('/');
    let incomplete = format!("{base}/vmcore-dmesg-incomplete.txt");
    let status = match File::create(&incomplete) {
        Ok(file) => {
            let argv = [DMESG_COLLECTOR.to_owned()];
            child::run_with(&mut init.memory, &argv, &["/proc/vmcore"], |command| {
                command.stdout(file);
            })
        }
        Err(error) => Exit::NotRun(error.raw_os_error().unwrap_or(libc::EIO)),
    };
    let complete = format!("{base}/vmcore-dmesg.txt");
    let done = status.success() && fs::rename(&incomplete, &complete).is_ok();
    if done {
        if order.script.keeps_logs_private() {
            // Nothing is lost where it cannot be done.
            let _ = fs::set_permissions(&complete, Permissions::from_mode(0o600));
        }
        sync();
    }
    let how = if done { "complete" } else { "failed" };
    console::print(&format!("kdump: saving vmcore-dmesg.txt {how}"));
}

/// The capture kernel's own log beside the dump, as kexec-tools do since 2020. A target without
/// directories gets none.
pub(crate) fn log(init: &mut Init, script: Script, directory: Option<&str>) {
    let Some(directory) = directory else {
        return;
    };
    // The slashes are kdump.sh's own.
    let slashes = if script == Script::Rhel8 { "" } else { "//" };
    console::print(&format!(
        "kdump: saving the {LOG_FILE} to {directory}{slashes}"
    ));
    let directory = directory.trim_end_matches('/');
    let path = format!("{directory}/kexec-dmesg.log");
    let written = fs::write(&path, system::kernel_log(LOG_SIZE))
        .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o600)))
        .context(|| format!("write {path}"));
    if let Err(failure) = written {
        init.failed(&failure);
    }
    sync();
}

/// `<IP>-` and `date +%Y-%m-%d-%T`, in UTC.
pub(crate) fn directory_name(host_ip: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = Utc::since_1970(now.map_or(0, |since| since.as_secs()));
    format!("{host_ip}-{}-{}", now.date(), now.time())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_on_the_target() {
        assert_eq!(
            below("/kdumproot//var/crash/x", "/kdumproot"),
            "var/crash/x"
        );
        assert_eq!(below("/elsewhere", "/kdumproot"), "elsewhere");
    }
}
