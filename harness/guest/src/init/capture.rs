//! The capture kernel: load drivers, find the target, save the dump.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crashdrill_guest::console::{
    FAILURE_ACTION, FINAL_ACTION, LOADING_DRIVERS, POST_FAILED, PRE_FAILED, SAVING,
    SAVING_COMPLETE, SAVING_FAILED, SAVING_TO, SYNC_FAILED, TARGET_MOUNT_POINT,
};
use crashdrill_guest::order::{Action, CaptureOrder, FailureAction, Target};
use crashdrill_guest::report::{Exit, Report};
use nix::sys::statvfs::statvfs;
use nix::unistd::sync;

use crate::error::{Context, Failure};
use crate::target::{self, Uevents};
use crate::{Init, child, console, drivers, interrupts, pci};

/// kdump.sh's HOST_IP where the target is local.
const HOST_IP: &str = "127.0.0.1";

/// What kdump.sh does; returns how the machine is to end.
pub(crate) fn run(init: &mut Init, order: &CaptureOrder) -> Action {
    console::print(LOADING_DRIVERS);
    let uevents = Uevents::open();
    drivers::load(init, &order.drivers);
    let Target::Filesystem(filesystem) = &order.target else {
        init.failed(&Failure::new("find the target", "not a file system"));
        return failure(init, order);
    };
    let node = target::wait(
        &uevents,
        &filesystem.device,
        Duration::from_millis(order.wait_ms),
    );
    // Not before the target is there, or its time is up: some drivers go on probing in a
    // workqueue after their module has been loaded, and only what has settled can be counted.
    interrupts::report(init, "end");
    pci::report(init);
    if node.is_some() {
        drivers::load_modules(init, &filesystem.kind, &filesystem.modules);
    }
    let mounted = target::mount_at(init, filesystem, node.as_deref());

    if order.shell {
        child::shell(
            init,
            "capture kernel; the dump is /proc/vmcore, the target is on /kdumproot if it could be \
             mounted, `exit` ends the machine",
        );
        return order.final_action;
    }
    if !mounted {
        return failure(init, order);
    }
    if !script(init, "kdump_pre", order.pre.as_deref(), &[]) {
        console::print(PRE_FAILED);
        // kdump.sh: a refusal, not a failure.
        return finish(order);
    }
    let status = match save(init, order) {
        Ok(status) => status,
        Err(failure) => {
            init.failed(&failure);
            1
        }
    };
    if !script(
        init,
        "kdump_post",
        order.post.as_deref(),
        &[&status.to_string()],
    ) {
        console::print(POST_FAILED);
    }
    match status {
        0 => finish(order),
        _ => failure(init, order),
    }
}

fn finish(order: &CaptureOrder) -> Action {
    console::print(&format!("{FINAL_ACTION}{}", order.final_action));
    order.final_action
}

fn failure(init: &mut Init, order: &CaptureOrder) -> Action {
    match &order.failure_action {
        FailureAction::End(action) => {
            console::print(&format!("{FAILURE_ACTION}{action}"));
            *action
        }
        FailureAction::Shell => {
            console::print(&format!("{FAILURE_ACTION}shell"));
            child::shell(init, "`exit` ends the machine");
            order.final_action
        }
        FailureAction::DumpToRootfs(_) => {
            init.failed(&Failure::new("dump_to_rootfs", "no root file system"));
            order.final_action
        }
    }
}

/// Whether the script, if there is one, ended with 0.
fn script(init: &mut Init, which: &str, argv: Option<&[String]>, more: &[&str]) -> bool {
    let Some(argv) = argv else {
        return true;
    };
    child::install_applets(&mut init.memory);
    let status = child::run(&mut init.memory, argv, more);
    init.report(&Report::Script {
        which: which.to_owned(),
        status,
    });
    status.success()
}

/// The status that kdump_post gets: the core collector's, or 1.
fn save(init: &mut Init, order: &CaptureOrder) -> Result<i32, Failure> {
    let directory = format!(
        "{}/{HOST_IP}-{}",
        order.path.trim_end_matches('/'),
        date(SystemTime::now())
    );
    let mounted = format!("{TARGET_MOUNT_POINT}{directory}");
    console::print(&format!("{SAVING_TO}{mounted}/"));
    fs::create_dir_all(&mounted).context(|| format!("mkdir {mounted}"))?;

    console::print(SAVING);
    let incomplete = format!("{mounted}/vmcore-incomplete");
    let status = child::run(
        &mut init.memory,
        &order.collector,
        &["/proc/vmcore", &incomplete],
    );
    let target_free = statvfs(TARGET_MOUNT_POINT)
        .map(|target| target.blocks_available() * target.fragment_size())
        .context(|| format!("statvfs {TARGET_MOUNT_POINT}"))?;
    init.report(&Report::Collector {
        status,
        target_free: Some(target_free),
    });
    if status != Exit::Code(0) {
        let status = status.shell_status();
        console::print(&format!("{SAVING_FAILED}{status}"));
        return Ok(status);
    }
    let bytes = make_durable(&mounted, &incomplete).inspect_err(|_| console::print(SYNC_FAILED))?;
    console::print(SAVING_COMPLETE);
    let memory_low = init.memory.lowest();
    init.report(&Report::Saved {
        path: format!("{directory}/vmcore"),
        bytes: Some(bytes),
        memory_low,
    });
    Ok(0)
}

/// The dump gets its name only once it is on the disk, and the name is on the disk when this
/// returns. The dump's size in bytes.
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

/// `date +%Y-%m-%d-%T` in UTC.
fn date(now: SystemTime) -> String {
    let seconds = now
        .duration_since(UNIX_EPOCH)
        .map(|since| since.as_secs())
        .unwrap_or(0);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, in eras of 400 years: years that begin in March have their leap day
    // at the end.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = year + era * 400 + carry;
    format!(
        "{year:04}-{month:02}-{day_of_month:02}-{:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let at = |seconds| date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01-00:00:00");
        assert_eq!(at(951_782_399), "2000-02-28-23:59:59");
        assert_eq!(at(951_782_400), "2000-02-29-00:00:00");
        assert_eq!(at(951_868_800), "2000-03-01-00:00:00");
        assert_eq!(at(1_704_067_199), "2023-12-31-23:59:59");
        assert_eq!(at(4_107_542_400), "2100-03-01-00:00:00");
    }
}
