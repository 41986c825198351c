//! How a kernel ends.

use crashdrill_guest::console::ROOT_MOUNT_POINT;
use crashdrill_guest::order::{Action, Script};
use crashdrill_guest::report::Report;
use nix::mount::umount;
use nix::sys::reboot::{RebootMode, reboot};
use nix::unistd::{pause, sync};

use crate::{Init, console};

/// Never returns to its caller: the machine is gone, or halted.
pub(crate) fn end(init: &mut Init, action: Action) -> ! {
    sync();
    // EINVAL where nothing was mounted.
    for mount_point in [
        Script::Rhel6.mount_point(),
        Script::Rhel7.mount_point(),
        ROOT_MOUNT_POINT,
    ] {
        let _ = umount(mount_point);
    }
    init.report(&Report::Ending);
    console::drain();
    let mode = match action {
        Action::Reboot => RebootMode::RB_AUTOBOOT,
        Action::Halt => RebootMode::RB_HALT_SYSTEM,
        Action::PowerOff => RebootMode::RB_POWER_OFF,
    };
    let Err(errno) = reboot(mode);
    console::print(&format!("kdump: crashdrill: reboot: {errno}"));
    loop {
        pause();
    }
}
