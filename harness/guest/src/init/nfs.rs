//! A dump target that another machine exports: mounted by the image's own mount.nfs, which tries
//! the versions of NFS as the distributions' does, and whose words are those that operators know.

use std::fs::{self, File};
use std::time::Duration;

use crashdrill_guest::order::Module;
use crashdrill_guest::report::{Exit, Report};

use crate::error::Context;
use crate::{Init, child, console, drivers};

/// Without rpc.statd there is no locking, and the mount of a version before 4 would fail.
const OPTIONS: &str = "nolock";
/// Where its words go before they go to the console.
const SAYS: &str = "/tmp/mount.nfs";

/// Mounts `source`, `HOST:/EXPORT`. What stopped it, in mount.nfs's own words, comes back.
pub(crate) fn mount(
    init: &mut Init,
    source: &str,
    modules: &[Module],
    mount_point: &str,
    limit: Duration,
) -> Result<(), String> {
    drivers::load_modules(init, "nfs", modules);
    let made = fs::create_dir_all(mount_point)
        .context(|| format!("mkdir {mount_point}"))
        .and_then(|()| File::create(SAYS).context(|| format!("create {SAYS}")));
    let errors = made.map_err(|failure| failure.to_string())?;
    let argv = ["mount.nfs", source, mount_point, "-o", OPTIONS].map(str::to_owned);
    let ended = child::run_for(&mut init.memory, &argv, limit, |command| {
        command.stderr(errors);
    });
    let text = fs::read_to_string(SAYS).unwrap_or_default();
    text.lines().for_each(console::print);
    let said = text.lines().rfind(|line| !line.trim().is_empty());
    let status = ended.unwrap_or(Exit::Signal(libc::SIGKILL));
    init.report(&Report::Remote {
        program: "mount.nfs".to_owned(),
        status,
        said: said.map(str::to_owned),
    });
    match (ended, said) {
        (Some(Exit::Code(0)), _) => Ok(()),
        (None, _) => {
            // As systemd says of a mount unit that takes too long.
            let unit = mount_point.trim_start_matches('/');
            console::print(&format!("{unit}.mount: Mounting timed out. Terminating."));
            Err("timed out".to_owned())
        }
        (Some(_), Some(said)) => Err(said.to_owned()),
        (Some(status), None) => Err(format!("mount.nfs: {status}")),
    }
}
