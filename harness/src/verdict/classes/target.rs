//! Dump targets that do not appear, and dumps that do not stay.

use super::*;

#[test]
fn targets_as_each_script_tells() {
    let mut wrong = Wrong::default();
    let other_type = "target-wrong-filesystem";
    for (tail, verdict, cause) in [
        (
            "[    4.1] XFS (sda1): Invalid superblock magic number
kdump: dump target is 
kdump: error: Dump target  is not mounted.
kdump: saving vmcore failed
",
            DumpTargetMissing,
            other_type,
        ),
        (
            "[    4.1] EXT4-fs (sda1): VFS: Can't find ext4 filesystem
kdump[512]: dump path \"/kdumproot\" is not mounted, trying to mount...
kdump[512]: failed to dump to \"/kdumproot\", it's not a mount point!
kdump[514]: saving vmcore failed
",
            DumpTargetMissing,
            other_type,
        ),
        (
            "kdump[512]: failed to dump to '/kdumproot', it's not a mount point!\n",
            DumpTargetMissing,
            "unknown",
        ),
        (
            "kdump: error: Dump target  is not mounted.\nkdump: saving vmcore failed\n",
            DumpTargetMissing,
            "unknown",
        ),
        // RHEL 6.
        (
            "Saving to the local filesystem /dev/sda3\nSaving core complete\n",
            VmcoreSaved,
            "none",
        ),
        (
            "kdump_pre script exited with non-zero status\n",
            NoVmcore,
            "user-script",
        ),
        // The second chance.
        (
            "Warning: dracut-initqueue timeout - starting timeout scripts
kdump: Executing failure action dump_to_rootfs
kdump: saving vmcore
kdump: saving vmcore complete
",
            VmcoreSaved,
            "none",
        ),
    ] {
        wrong.check(&format!("{CAPTURE}{tail}"), verdict, cause);
    }
    wrong.none();
}

/// dracut since 055 words it anew.
#[test]
fn a_timeout_of_a_newer_dracut() {
    let mut wrong = Wrong::default();
    let waiting = "[  131.287000] dracut-initqueue[331]: Warning: dracut-initqueue: timeout, still waiting for following initqueue hooks:
[  131.290000] dracut-initqueue[331]: Warning: /lib/dracut/hooks/initqueue/finished/devexists-\\x2fdev\\x2fmapper\\x2frhel-root.sh: \"[ -e \"/dev/mapper/rhel-root\" ]\"
";
    let starting = "[  131.300000] dracut-initqueue[331]: Warning: dracut-initqueue: starting timeout scripts\n";
    let refused = "[    4.454908] nvme nvme0: Device not ready; aborting reset, CSTS=0x1\n";
    for (tail, cause) in [
        (waiting.to_owned(), "target-not-found"),
        (starting.to_owned(), "target-not-found"),
        (
            format!("{refused}{waiting}{starting}"),
            "adapter-left-in-old-mode",
        ),
    ] {
        wrong.check(&format!("{CAPTURE}{tail}"), DumpTargetMissing, cause);
    }
    wrong.none();
}

#[test]
fn a_target_that_systemd_waits_for() {
    let mut wrong = Wrong::default();
    let swap = "[ TIME ] Timed out waiting for device dev-mapper-rhel\\x2dswap.device.
[DEPEND] Dependency failed for Swap.
";
    let failed = "[FAILED] Failed to mount /kdumproot.\n";
    let gone = "[ TIME ] Timed out waiting for device /dev/disk/by-uuid/6f3b.
[DEPEND] Dependency failed for /kdumproot.
";
    for (tail, verdict, cause) in [
        (gone.to_owned(), DumpTargetMissing, "target-not-found"),
        (
            gone.replace(" /kdumproot", " kdumproot.mount - /kdumproot"),
            DumpTargetMissing,
            "target-not-found",
        ),
        (
            "[   92.000000] systemd[1]: dev-sda2.device: Job dev-sda2.device/start timed out.
[   92.000001] systemd[1]: Dependency failed for Kdump Vmcore Save Service.
"
            .to_owned(),
            DumpTargetMissing,
            "target-not-found",
        ),
        // The dump needs no swap.
        (swap.to_owned(), Unknown, "unknown"),
        (failed.to_owned(), DumpTargetMissing, "unknown"),
        (
            format!("[    4.1] XFS (sda1): Invalid superblock magic number\n{failed}"),
            DumpTargetMissing,
            "target-wrong-filesystem",
        ),
        (
            format!("mount[550]: mount.nfs: Connection timed out\n{failed}"),
            DumpTargetMissing,
            "dump-server-unreachable",
        ),
        (
            format!("{gone}kdump: saving vmcore\nkdump: saving vmcore complete\n"),
            VmcoreSaved,
            "none",
        ),
    ] {
        wrong.check(&format!("{CAPTURE}{tail}"), verdict, cause);
    }
    wrong.none();
}

/// kdumptool looks at the space that is left after makedumpfile is done, and removes the dump.
#[test]
fn a_dump_that_is_removed_again() {
    let mut wrong = Wrong::default();
    let saved = "[   29.400000] kdump-save[410]: The dumpfile is saved to /kdump/mnt1/var/crash/2023-05-01-10:00/vmcore.
[   29.400000] kdump-save[410]: makedumpfile Completed.
";
    wrong.check(&format!("{CAPTURE}{saved}"), VmcoreSaved, "none");
    let removed =
        "[   29.500000] kdump-save[400]: Dump too large. Aborting. Check KDUMP_FREE_DISK_SIZE.\n";
    wrong.check(
        &format!("{CAPTURE}{saved}{removed}"),
        DumpFailed,
        "target-full",
    );
    wrong.none();
}
