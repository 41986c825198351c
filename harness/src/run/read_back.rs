//! What a drill has left on its disks.

use std::fs::File;

use crashdrill_guest::order;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::assemble::Assembled;
use super::watch::channel;
use super::{BootPlan, Direct, HarnessError, Job, Plan};
use crate::target::{BlockDevice, Content, Target, TargetError};
use crate::verdict::Dump;
use crate::vmcore;

/// A full disk may still have a little less than the largest write of a guest: at most 2 MiB.
const ROOM: i64 = 4 << 20;

/// Some of QEMU's controllers (nvme in 7.2) tell only the guest that the host's disk is full. A
/// drill that leaves no dump there proves nothing.
pub(super) fn has_room(files: &Assembled) -> Result<(), HarnessError> {
    let server = files.server.iter().flat_map(|server| &server.disks);
    for disk in files.disks.iter().chain(server) {
        let size = disk
            .metadata()
            .map_err(channel("looking at the disk"))?
            .len();
        let end = i64::try_from(size).unwrap_or(i64::MAX - ROOM);
        // Behind the end, and without moving it: what the disk holds stays as it is.
        let room = fallocate(disk, FallocateFlags::FALLOC_FL_KEEP_SIZE, end, ROOM);
        if let Err(error @ (Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG)) = room {
            return Err(HarnessError::Disk(error.desc().to_owned()));
        }
    }
    Ok(())
}

/// What the host finds.
pub(super) fn read_back(job: &Job, files: &Assembled) -> Dump {
    match &job.plan.boot {
        BootPlan::Direct(direct) => read_back_direct(&job.plan, direct, files),
        // The root disk is the only one.
        BootPlan::Disk(distribution) => match files.disks.first() {
            Some(disk) => read_disk(&job.plan, disk, &job.plan.dump_directory, |device| {
                Target::open(&distribution.root.device(device)?)
            }),
            None => Dump::NotLookedFor,
        },
    }
}

/// What is on the dump target, or else on the root file system, to which `dump_to_rootfs` goes.
fn read_back_direct(plan: &Plan, direct: &Direct, files: &Assembled) -> Dump {
    let disks = || {
        let disks = plan.machine.file_disks().zip(&direct.contents);
        disks
            .zip(&files.disks)
            .map(|(((function, _), content), disk)| (function, content, disk))
    };
    let raw = matches!(direct.capture.order.target, order::Target::Raw { .. });
    let target = disks().find(|(function, ..)| function.target);
    let remote = direct.capture.order.target.network().is_some();
    let servers = files
        .server
        .as_ref()
        .and_then(|server| server.disks.first());
    let directory = plan.dump_directory.as_str();
    let on_target = match target {
        _ if remote => match servers {
            Some(disk) => read_disk(plan, disk, directory, Target::open),
            // Without a server there is none on any.
            None => Dump::None,
        },
        None => Dump::NotLookedFor,
        Some((_, _, disk)) if raw => {
            read_disk(plan, disk, directory, |device| Ok(Target::raw(device)))
        }
        // Nothing but a file system can hold one.
        Some((_, Content::Blank, _)) => Dump::None,
        Some((_, Content::Filesystem(_), disk)) => read_disk(plan, disk, directory, Target::open),
    };
    if matches!(on_target, Dump::Found(_)) || direct.capture.order.failure_action.root().is_none() {
        return on_target;
    }
    let root = disks().find(|(function, ..)| function.root);
    // Not below what a server exports.
    let own = format!("/{}", direct.capture.order.path.trim_start_matches('/'));
    match root.map(|(_, _, disk)| read_disk(plan, disk, &own, Target::open)) {
        None | Some(Dump::None) => on_target,
        Some(on_root) => on_root,
    }
}

fn read_disk(
    plan: &Plan,
    disk: &File,
    directory: &str,
    open: impl FnOnce(&BlockDevice) -> Result<Target, TargetError>,
) -> Dump {
    let device = BlockDevice::whole(disk).map_err(TargetError::Disk);
    let found = device.and_then(|device| {
        let target = open(&device)?;
        let found = target.find_dumps(directory)?;
        match found.dumps.into_iter().next() {
            Some(dump) => target
                .open_dump(&dump.path)
                .map(|reader| Some((dump, reader))),
            None => Ok(None),
        }
    });
    match found {
        Err(error) => Dump::Unreadable(error.to_string()),
        Ok(None) => Dump::None,
        Ok(Some((dump, reader))) => match vmcore::inspect(&reader, reader.len()) {
            Ok(inspection) => Dump::Found(inspection.outcome(&plan.token)),
            Err(error) => Dump::Unreadable(format!("{}: {error}", dump.name)),
        },
    }
}
