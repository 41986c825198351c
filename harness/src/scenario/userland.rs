//! What a scenario may say depends on who does the work: crashdrill's own /init, or a whole
//! distribution on a root disk.

use super::check::Problem;
use super::model::{Boot, Limits, LoadOrder, Scenario};
use super::path::Path;
use crate::kdump::flavour::Flavour;

const DISK: &str = "with `boot: disk`";

/// Where a file of the user's would take the place of the link that leads to everything else.
const MERGED: [&str; 4] = ["/bin", "/lib", "/lib64", "/sbin"];

/// Keys that the scenario's way of booting does not read.
pub(super) fn check(scenario: &Scenario, found: &mut Vec<Problem>) {
    let root = |key: &str| Path::default().key(key);
    let boot = root("boot");
    if scenario.boot == Boot::Direct {
        return;
    }
    let mut refuse = |path: Path, message: String, help: &str| {
        let problem = Problem::new(path, message).help(help);
        found.push(Problem {
            on_key: true,
            ..problem.rests_on(boot.clone())
        });
    };
    for (key, stated) in [
        ("drivers", scenario.capture.drivers.is_some()),
        ("order", scenario.capture.order != LoadOrder::Explicit),
    ] {
        if stated {
            refuse(
                root("capture").key(key),
                format!("{DISK} udev loads the capture kernel's drivers, in an order of its own"),
                "remove it; files in /etc/modprobe.d of `capture.files` can order and forbid",
            );
        }
    }
    for file in scenario.capture.files.keys() {
        let merged = MERGED.iter().find(|link| {
            let below = file.strip_prefix(*link);
            below.is_some_and(|below| below.starts_with('/'))
        });
        if let Some(link) = merged {
            refuse(
                root("capture").key("files").key(file),
                format!("`{link}` is a link to `/usr{link}` in a distribution's initramfs"),
                &format!("`/usr{file}`"),
            );
        }
    }
    if let Flavour::Rhel6 | Flavour::Opensuse = scenario.kdump.flavour {
        found.push(
            Problem::new(
                root("kdump").key("flavour"),
                format!(
                    "{DISK} the kdump of {} cannot be drilled yet",
                    scenario.kdump.flavour
                ),
            )
            .help("`debian`, `rhel7`, `rhel8`, `rhel9` or `fedora`, as the image is")
            .rests_on(boot.clone()),
        );
    }
    if scenario.limits.target != Limits::default().target {
        found.push(
            Problem::new(
                root("limits").key("target"),
                format!("{DISK} the initramfs has its own patience"),
            )
            .help("remove it; `rootdelay=` on the capture kernel's command line lengthens the 30 s of initramfs-tools")
            .rests_on(boot.clone()),
        );
    }
    for (nth, device) in scenario.machine.devices.iter().enumerate() {
        let line = root("machine").key("devices").index(nth);
        if device.target && device.size.is_some() {
            found.push(
                Problem::new(
                    line.clone().key("size"),
                    format!("{DISK} the target is the root disk, whose size is its image's"),
                )
                .help("remove it; `source.disk.size` of the image's manifest, or the image itself")
                .rests_on(boot.clone()),
            );
        }
        for (key, stated) in [
            ("filesystem", device.filesystem.is_some()),
            ("root", device.root),
        ] {
            if stated {
                found.push(
                    Problem::new(
                        line.clone().key(key),
                        format!("{DISK} the target is the root disk, which comes with its image"),
                    )
                    .help(format!("remove `{key}`"))
                    .rests_on(boot.clone()),
                );
            }
        }
    }
}
