//! Every class of failure by a short log of it, as somebody might send one.

use super::outcome::{Cause, Verdict};
use super::{Judgement, LogReader, RuleBook, assess};
use Verdict::*;

/// A first kernel that crashed and a capture kernel that has come up.
const CAPTURE: &str = "[    0.000000] Linux version 3.10.0-693.el7.x86_64 (x@y) #1 SMP
[    0.000000] Command line: BOOT_IMAGE=/vmlinuz root=/dev/sda1 crashkernel=auto
[  102.569500] SysRq : Trigger a crash
[  102.571146] BUG: unable to handle kernel NULL pointer dereference at           (null)
[  102.571435] IP: [<ffffffff8123c00d>] sysrq_handle_crash+0xd/0x20
[  102.571435] Oops: 0002 [#1] SMP
[  102.571435] RIP: 0010:[<ffffffff8123c00d>]  [<ffffffff8123c00d>] sysrq_handle_crash+0xd/0x20
[    0.000000] Linux version 3.10.0-693.el7.x86_64 (x@y) #1 SMP
[    0.000000] Command line: irqpoll nr_cpus=1 reset_devices elfcorehdr=916852K
";

/// A first kernel that is about to crash.
const FIRST: &str = "[    0.000000] Linux version 6.1.0-18-amd64 (x@y) #1 SMP
[    0.000000] Command line: BOOT_IMAGE=/vmlinuz root=/dev/sda1 crashkernel=256M
[    0.000000] Kernel command line: BOOT_IMAGE=/vmlinuz root=/dev/sda1 crashkernel=256M
";

const PANIC: &str = "[  102.569500] sysrq: Trigger a crash
[  102.569600] Kernel panic - not syncing: sysrq triggered crash
";

const REBOOTING: &str = "[  102.700000] Rebooting in 10 seconds..\n";

/// The BUG of a kernel without vectors, as 3.10 prints it.
const VECTOR_BUG: &str = "[   17.433467] kernel BUG at arch/x86/kernel/apic/io_apic.c:1358!
[   17.439916] invalid opcode: 0000 [#1] SMP
[   17.444670] Modules linked in: mpt3sas(OE+) raid_class scsi_transport_sas i40e(OE) ast ptp
[   17.465081] CPU: 0 PID: 234 Comm: systemd-udevd Tainted: G           OE  ------------   3.10.0-693.el7.x86_64 #1
[   17.493359] RIP: 0010:[<ffffffff8105641d>]  [<ffffffff8105641d>] __clear_irq_vector+0x9d/0x100
[   17.613574] Call Trace:
[   17.616697]  [<ffffffff8105803e>] arch_teardown_hwirq+0x3e/0x70
[   17.657100]  [<ffffffff8104f407>] acpi_unregister_gsi+0x17/0x20
[   17.690421]  [<ffffffffc01979d8>] _base_unmap_resources+0xa8/0xf0 [mpt3sas]
[   17.713763]  [<ffffffffc01a680d>] _scsih_probe+0x6ad/0xb40 [mpt3sas]
[   17.720752]  [<ffffffff8136ca25>] local_pci_probe+0x45/0xa0
[   17.867900] ---[ end trace 389c806a74c30735 ]---
[   17.999540] Kernel panic - not syncing: Fatal exception
[   18.135825] Rebooting in 30 seconds..
";

/// A null pointer followed in a driver's probe function.
const PROBE_OOPS: &str = "[    5.100000] BUG: unable to handle kernel NULL pointer dereference at 0000000000000010
[    5.100001] IP: [<ffffffffc0012345>] bnx2x_nic_init+0x45/0x200 [bnx2x]
[    5.100002] Oops: 0000 [#1] SMP
[    5.100003] Modules linked in: bnx2x(+) mdio
[    5.100004] CPU: 0 PID: 99 Comm: systemd-udevd Not tainted 3.10.0-693.el7.x86_64 #1
[    5.100005] RIP: 0010:[<ffffffffc0012345>]  [<ffffffffc0012345>] bnx2x_nic_init+0x45/0x200 [bnx2x]
[    5.100006] Call Trace:
[    5.100007]  [<ffffffffc0012900>] bnx2x_init_one+0x100/0x900 [bnx2x]
[    5.100008]  [<ffffffff8136ca25>] local_pci_probe+0x45/0xa0
[    5.100009]  [<ffffffff8136e0d9>] pci_device_probe+0x109/0x160
[    5.100010] ---[ end trace 389c806a74c30735 ]---
[    5.100011] Kernel panic - not syncing: Fatal exception
[    5.100012] Rebooting in 10 seconds..
";

const TIMEOUT: &str = "Warning: dracut-initqueue timeout - starting timeout scripts\n";

const FIRMWARE: &str =
    "SeaBIOS (version 1.16.2)\n[    0.000000] Linux version 3.10.0-693.el7.x86_64 (x@y) #1 SMP\n";

fn judged<R>(log: &str, look: impl FnOnce(&Judgement<'_>) -> R) -> R {
    let book = RuleBook::builtin();
    let mut reader = LogReader::new(book.clone());
    reader.push(log.as_bytes(), |_| ());
    let evidence = reader.finish().evidence(0);
    look(&assess(&book, &evidence))
}

fn was(log: &str) -> (Verdict, String) {
    judged(log, |found| (found.happened, found.why.to_string()))
}

/// What came out otherwise, all of it at once.
#[derive(Default)]
struct Wrong(String);

impl Wrong {
    fn check(&mut self, log: &str, verdict: Verdict, cause: &str) {
        let found = was(log);
        if found != (verdict, cause.to_owned()) {
            let Self(text) = self;
            let end = log.len().min(2000);
            let log = &log[..log.floor_char_boundary(end)];
            text.push_str(&format!("{found:?}, not {verdict}, {cause}:\n{log}\n\n"));
        }
    }

    fn none(self) {
        assert!(self.0.is_empty(), "{}", self.0);
    }
}

fn contributing(log: &str) -> Vec<String> {
    judged(log, |found| {
        let names = found.contributing.iter();
        names.map(|finding| finding.rule.name.clone()).collect()
    })
}

/// What contributes to a log that is nothing but a capture kernel and this.
fn noted(lines: &str) -> Vec<String> {
    contributing(&format!("{CAPTURE}{lines}\n"))
}

#[test]
fn every_class_of_the_field_has_a_rule() {
    let book = RuleBook::builtin();
    let rows = [
        &["irq-vector-exhaustion", "target-refused-vectors"][..],
        &["msi-teardown-bug"],
        &["pcieport-irq-shortage"],
        &["stray-interrupt", "interrupt-storm"],
        &["crashkernel-too-small"],
        &["page-allocation-failure"],
        &["driver-memory-appetite"],
        &[
            "no-crashkernel-memory",
            "crashkernel-not-understood",
            "crashkernel-too-small-to-load",
        ],
        &["capture-image-not-loaded"],
        &["broken-capture-initramfs"],
        &[
            "target-not-found",
            "target-not-mounted",
            "target-of-another-type",
        ],
        &["core-collector-failed", "makedumpfile-older-than-kernel"],
        &["adapter-left-in-old-mode"],
        &["dma-in-flight"],
        &["driver-oops-on-stale-hardware"],
        &["smp-bring-up"],
        &["watchdog-reset"],
        &["console-artefact"],
        &["died-after-the-dump"],
        &["vmcore-saved"],
    ];
    for (row, names) in rows.iter().enumerate() {
        for name in *names {
            let there = book.rules().iter().any(|rule| rule.name == *name);
            assert!(there, "class {}: {name}", row + 1);
        }
    }
}

#[test]
fn causes_are_spelled_like_classes() {
    for rule in RuleBook::builtin().rules() {
        if let Some(cause) = &rule.cause {
            let cause = cause.to_string();
            let named = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            assert!(cause.bytes().all(named), "{}: {cause}", rule.name);
        }
        let contributes = rule.cause.is_none() && rule.verdict.is_none();
        assert!(!contributes || rule.remedies.is_empty(), "{}", rule.name);
        let knows = rule
            .cause
            .as_ref()
            .is_some_and(|cause| *cause != Cause::UNKNOWN && *cause != Cause::NONE);
        assert!(
            !knows || !rule.remedies.is_empty(),
            "no remedy: {}",
            rule.name
        );
    }
}

#[test]
fn capture_kernels_of_logs() {
    let mut wrong = Wrong::default();
    let irq = "irq-vector-exhaustion";
    let small = "crashkernel-too-small";
    let missing = "target-not-found";
    let stale = "driver-oops-on-stale-hardware";
    let broken = "broken-capture-initramfs";
    let old_mode = "adapter-left-in-old-mode";
    let msi = PROBE_OOPS
        .replace(
            "BUG: unable to handle kernel NULL pointer dereference at 0000000000000010",
            "kernel BUG at drivers/pci/msi.c:362!",
        )
        .replace("Oops: 0000 [#1] SMP", "invalid opcode: 0000 [#1] SMP")
        .replace(
            "[<ffffffffc0012345>] bnx2x_nic_init+0x45/0x200 [bnx2x]",
            "[<ffffffff81371234>] free_msi_irqs+0x144/0x150",
        )
        .replace(
            "bnx2x_init_one",
            "pci_disable_msix+0x3d/0x50\n[    5.100007]  [<ffffffffc0012900>] bnx2x_init_one",
        );
    let appetite = "[    6.000000] kworker/0:1 invoked oom-killer: gfp_mask=0xd0, order=0
[    6.000001] CPU: 0 PID: 20 Comm: kworker/0:1 Not tainted 3.10.0-693.el7.x86_64 #1
[    6.000002] Call Trace:
[    6.000003]  [<ffffffff816a3d91>] dump_stack+0x19/0x1b
[    6.000004]  [<ffffffff8118652e>] oom_kill_process+0x24e/0x3c0
[    6.000005]  [<ffffffff8118c9d6>] __alloc_pages_nodemask+0x9b6/0xba0
[    6.000006]  [<ffffffffc0211111>] mlx5_alloc_buf+0x41/0x90 [mlx5_core]
[    6.000007] Kernel panic - not syncing: Out of memory and no killable processes...
[    6.000008] Rebooting in 10 seconds..
";
    let oom = "[    4.000000] init invoked oom-killer: gfp_mask=0x1
[    4.000000] Out of memory and no killable processes...
[    4.000000] Kernel panic - not syncing: System is deadlocked on memory
[    4.000001] Rebooting in 10 seconds..
";
    for (tail, verdict, cause) in [
        // 1: vectors.
        (VECTOR_BUG.to_owned(), CapturePanicked, irq),
        (
            format!("nvme 0000:00:05.0: Removing after probe failure status: -28\n{TIMEOUT}"),
            NoVmcore,
            irq,
        ),
        (
            format!("mlx5_core 0000:5e:00.0: enable msix failed\nmlx5_core 0000:5e:00.0: mlx5_load_one failed with error code -28\n{TIMEOUT}"),
            NoVmcore,
            irq,
        ),
        (
            format!("[    3.000000] Interrupt reservation exceeds available resources\n{TIMEOUT}"),
            DumpTargetMissing,
            irq,
        ),
        (
            "[    8.100000] mpt3sas0: unable to allocate interrupt 21!\n[   13.893792] reboot: Power down\n"
                .to_owned(),
            NoVmcore,
            irq,
        ),
        // The refused driver's error path is what died.
        (
            format!("bnx2x 0000:01:00.0: probe of 0000:01:00.0 failed with error -28\n{PROBE_OOPS}"),
            CapturePanicked,
            irq,
        ),
        // 2
        (msi, CapturePanicked, "msi-teardown-bug"),
        // 3
        (
            "pcieport 0000:18:01.0: PME: Signaling with IRQ 109
[   60.000000] INFO: task swapper/0:1 blocked for more than 120 seconds.
[   60.000000] task:swapper/0 state:D stack:    0 pid:    1 ppid:     0 flags:0x00004000
[   60.000000] Call Trace:
[   60.000000]  __schedule+0x2d1/0x830
[   60.000000]  schedule+0x35/0xa0
[   60.000000]  wait_for_completion+0x82/0xf0
"
            .to_owned(),
            CaptureHung,
            "pcieport-irq-shortage",
        ),
        // 4
        (
            format!("irq 16: nobody cared (try booting with the \"irqpoll\" option)\nDisabling IRQ #16\n{TIMEOUT}"),
            DumpTargetMissing,
            "interrupt-storm",
        ),
        // 5
        (oom.to_owned(), CaptureOom, small),
        ("Initramfs unpacking failed: write error\n".to_owned(), CaptureOom, small),
        // 7
        (appetite.to_owned(), CaptureOom, "driver-memory-appetite"),
        (
            format!("mlx5_core 0000:5e:00.0: failed to allocate boot pages\n{oom}"),
            CaptureOom,
            "driver-memory-appetite",
        ),
        // 10
        (
            "/init: error while loading shared libraries: libzstd.so.1: cannot open shared object file
[    2.000000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00007f00
"
            .to_owned(),
            CapturePanicked,
            broken,
        ),
        (
            "[    2.000000] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n"
                .to_owned(),
            CapturePanicked,
            broken,
        ),
        // 11
        (
            format!("{TIMEOUT}kdump: failed to dump to '/kdumproot', it's not a mount point!\n"),
            DumpTargetMissing,
            missing,
        ),
        // 12
        (
            "kdump[601]: saving vmcore
readpage_elf: Attempt to read non-existent page at 0x1000.
makedumpfile Failed.
kdump[609]: saving vmcore failed, exitcode:1
"
            .to_owned(),
            DumpFailed,
            "core-collector-failed",
        ),
        (
            "kdump: saving vmcore
write_buffer: Can't write the dump file(/x). No space left on device
makedumpfile Failed.
"
            .to_owned(),
            DumpFailed,
            "target-full",
        ),
        // 13
        (
            format!("nvme nvme0: I/O 8 QID 0 timeout, disable controller\nnvme nvme0: Device not ready; aborting reset, CSTS=0x1\n{TIMEOUT}"),
            DumpTargetMissing,
            old_mode,
        ),
        (
            format!("aacraid: aac_fib_send: first asynchronous command timed out.\n{TIMEOUT}"),
            DumpTargetMissing,
            old_mode,
        ),
        // 14
        (
            format!("DMAR: Failed to copy translation tables from previous kernel for dmar1\n{TIMEOUT}"),
            DumpTargetMissing,
            "dma-in-flight",
        ),
        (
            format!("tg3 0000:01:00.0: DMA engine test failed, aborting\ntg3: probe of 0000:01:00.0 failed with error -12\n{TIMEOUT}"),
            DumpTargetMissing,
            "dma-in-flight",
        ),
        (
            format!("DMAR: [DMA Read] Request device [02:00.0] fault addr ffe3a000 [fault reason 06] PTE Read access is not set\n{TIMEOUT}"),
            DumpTargetMissing,
            "dma-in-flight",
        ),
        // 15
        (PROBE_OOPS.to_owned(), CapturePanicked, stale),
        // 16
        (
            format!("[    0.100000] x86: Booting SMP configuration:\n{FIRMWARE}"),
            NoVmcore,
            "smp-bring-up",
        ),
        // 17
        (
            format!("kdump: saving vmcore\n\rCopying data : [ 17.9 %]\r\n{FIRMWARE}"),
            DumpFailed,
            "watchdog-reset",
        ),
        // 20
        (
            "kdump: saving vmcore\nkdump: saving vmcore complete\n".to_owned(),
            VmcoreSaved,
            "none",
        ),
        // The first attempt failed; dump_to_rootfs did not.
        (
            "kdump: saving vmcore\nkdump: saving vmcore failed, exitcode:1\nkdump: saving vmcore\nkdump: saving vmcore complete\n"
                .to_owned(),
            VmcoreSaved,
            "none",
        ),
        (
            "[    7.000839] kdump-tools[769]: The dumpfile is saved to STDOUT.
[    7.003347] kdump-tools[769]: makedumpfile Completed.
[    7.006824] kdump-tools[747]:  * kdump-tools: saved vmcore in /var/crash/202601210724
"
            .to_owned(),
            VmcoreSaved,
            "none",
        ),
        (
            "The dumpfile is saved to /mnt/vmcore.\n\nmakedumpfile Completed.\n".to_owned(),
            VmcoreSaved,
            "none",
        ),
        (
            "The dumpfile is saved to /mnt/vmcore.\nmakedumpfile Completed.\nkdump: sync vmcore failed, exitcode:1\n"
                .to_owned(),
            DumpFailed,
            "core-collector-failed",
        ),
        // Beside the rows.
        (
            "kdump: kdump_pre script exited with non-zero status!\n".to_owned(),
            NoVmcore,
            "user-script",
        ),
        (
            "kdump[530]: Oops. The network still isn't ready after waiting 10mins.\n".to_owned(),
            DumpTargetMissing,
            "network-not-ready",
        ),
        (
            "kdump: wrong kdumpnic: eth0\nkdump: get_host_ip exited with non-zero status!\n".to_owned(),
            DumpTargetMissing,
            "network-not-ready",
        ),
        (
            "mount.nfs: Connection timed out\nkdump: saving vmcore failed\n".to_owned(),
            DumpTargetMissing,
            "dump-server-unreachable",
        ),
        (
            "kdumproot.mount: Mounting timed out. Terminating.\n".to_owned(),
            DumpTargetMissing,
            "dump-server-unreachable",
        ),
        (
            "ssh: connect to host 192.0.2.1 port 22: No route to host\n".to_owned(),
            DumpTargetMissing,
            "dump-server-unreachable",
        ),
        (
            "mount.nfs: access denied by server while mounting dumps:/export\n\
             kdump: failed to dump to '/kdumproot', it's not a mount point!\n"
                .to_owned(),
            DumpTargetMissing,
            "nfs-access-denied",
        ),
        (
            "mount.nfs: mounting dumps:/exprot failed, reason given by server: No such file or \
             directory\n"
                .to_owned(),
            DumpTargetMissing,
            "nfs-export-missing",
        ),
        (
            "kdump: saving to kdump@192.0.2.1:/var/crash/192.0.2.2-2026-01-02-03:04:05\n\
             kdump@192.0.2.1: Permission denied (publickey,password).\n"
                .to_owned(),
            DumpTargetMissing,
            "ssh-key-refused",
        ),
        (
            "Host key verification failed.\nkdump: saving vmcore failed\n".to_owned(),
            DumpTargetMissing,
            "ssh-host-key-unknown",
        ),
        (PANIC.to_owned(), CapturePanicked, "user-script"),
        (
            "[    4.000000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\n"
                .to_owned(),
            CapturePanicked,
            "unknown",
        ),
        // A bystander was refused, and something else panicked.
        (
            "e1000e 0000:00:06.0 eth0: Unable to allocate interrupt, Error: -38
[    4.000000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b
"
            .to_owned(),
            CapturePanicked,
            "unknown",
        ),
    ] {
        wrong.check(&format!("{CAPTURE}{tail}"), verdict, cause);
    }
    wrong.none();
}

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

#[test]
fn a_capture_kernel_without_low_memory() {
    let mut wrong = Wrong::default();
    let log = format!(
        "{CAPTURE}[    0.500000] Kernel panic - not syncing: Can not allocate SWIOTLB buffer earlier and can't now provide you with the DMA bounce buffer\n{REBOOTING}"
    );
    wrong.check(&log, CaptureOom, "crashkernel-too-small");
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

#[test]
fn first_kernels_of_logs() {
    let mut wrong = Wrong::default();
    let none = "no-crashkernel-memory";
    let no_memory = FIRST.replace(" crashkernel=256M", "");
    for (log, verdict, cause) in [
        // 8
        (
            format!(
                "{FIRST}[    0.100000] crashkernel reservation failed - No suitable area found.\n"
            ),
            NotArmed,
            none,
        ),
        (
            format!(
                "{FIRST}kdumpctl[900]: kdump: No memory reserved for crash kernel\n{PANIC}{REBOOTING}"
            ),
            NotArmed,
            none,
        ),
        (format!("{no_memory}{PANIC}{REBOOTING}"), NotArmed, none),
        (
            format!(
                "{FIRST}[    0.000000] crashkernel: memory value expected\nkdump: No memory reserved \
                 for crash kernel\n"
            ),
            NotArmed,
            "crashkernel-not-understood",
        ),
        (
            format!("{FIRST}[    0.000000] crashkernel: '-' expected\n{PANIC}{REBOOTING}"),
            NotArmed,
            "crashkernel-not-understood",
        ),
        (
            format!(
                "{FIRST}Could not find a free area of memory of 0x3f00000 bytes...\nlocate_hole failed\nkdump: kexec: failed to load kdump kernel\n"
            ),
            NotArmed,
            "crashkernel-too-small",
        ),
        // 9
        (
            format!("{FIRST}kdump: kexec: failed to load kdump kernel\n{PANIC}{REBOOTING}"),
            NotArmed,
            "capture-image-not-loaded",
        ),
        (
            format!("{FIRST}kdumpctl[900]: Failed to detect kdump kernel location\n"),
            NotArmed,
            "capture-image-not-loaded",
        ),
        (
            format!("{FIRST}{PANIC}{REBOOTING}"),
            CaptureNeverStarted,
            "unknown",
        ),
        // 16
        (
            format!(
                "{FIRST}[  101.000000] SMP: failed to stop secondary CPUs\n{PANIC}[  102.600000] SMP: failed to stop secondary CPUs 0-3\n{REBOOTING}"
            ),
            CaptureNeverStarted,
            "smp-bring-up",
        ),
        // A log that ends in the middle proves nothing.
        (format!("{FIRST}{PANIC}"), Unknown, "unknown"),
        (FIRST.to_owned(), Unknown, "unknown"),
        (no_memory, Unknown, "unknown"),
        (CAPTURE.to_owned(), Unknown, "unknown"),
        (String::new(), Unknown, "unknown"),
        ("some text\n".to_owned(), Unknown, "unknown"),
    ] {
        wrong.check(&log, verdict, cause);
    }
    wrong.none();
}

#[test]
fn what_contributes_decides_nothing() {
    for (lines, name) in [
        // 4
        (
            "do_IRQ: 0.89 No irq handler for vector (irq -1)",
            "stray-interrupt",
        ),
        (
            "__common_interrupt: 0.55 No irq handler for vector",
            "stray-interrupt",
        ),
        // 6
        (
            "init: page allocation failure: order:4, mode:0xcc1(GFP_KERNEL|GFP_DMA)",
            "page-allocation-failure",
        ),
        // 12
        (
            "The kernel version is not supported.",
            "makedumpfile-older-than-kernel",
        ),
        // 18
        (
            "[    1.500000] printk: console [ttyS0] disabled",
            "console-artefact",
        ),
        // 1, clues
        (
            "megasas: current msix/online cpus : (0/1)",
            "megasas-without-msix",
        ),
        ("vmw_pvscsi: using INTx", "msi-x-fallback"),
        ("hpsa 0000:03:00.0: MSI-X init failed -28", "msi-x-fallback"),
        (
            "mpt3sas_cm0: 32 BIT PCI BUS DMA ADDRESSING SUPPORTED, total mem (496792 kB)",
            "32-bit-dma",
        ),
        (
            "DMAR: [DMA Write] Request device [02:00.0] fault addr ffe3a000 ",
            "dma-faults",
        ),
        ("kdump: saving vmcore-dmesg.txt failed", "dmesg-not-saved"),
    ] {
        let log = format!("{CAPTURE}{lines}\n");
        assert_eq!(was(&log), (Unknown, "unknown".to_owned()), "{lines}");
        assert_eq!(contributing(&log), [name], "{lines}");
    }
    // 19
    let log = format!(
        "{CAPTURE}kdump: saving vmcore\nkdump: saving vmcore complete\n[   20.000000] Kernel panic - not syncing: NMI: Not continuing\n"
    );
    assert_eq!(was(&log), (VmcoreSaved, "none".to_owned()));
    assert_eq!(contributing(&log), ["died-after-the-dump"]);
}

#[test]
fn notes_beside_exhausted_vectors() {
    let lines = "[    0.100000] Setting APIC routing to flat.
[   18.306304] mpt3sas_cm0: 32 BIT PCI BUS DMA ADDRESSING SUPPORTED, total mem (496792 kB)
[   18.419317] mpt3sas0: unable to allocate interrupt 214!
[   18.419318] mpt3sas0: unable to allocate interrupt 214, r: -38!
";
    let names = noted(&format!("{lines}{VECTOR_BUG}"));
    assert_eq!(
        names,
        [
            "hidden-by-log-level",
            "errno-38",
            "32-bit-dma",
            "one-capture-cpu",
            "flat-apic-routing"
        ]
    );
    let seen = "mpt3sas_cm0: pci_enable_msix_exact failed (r=-1) !!!\n";
    let names = noted(&format!("{seen}{lines}"));
    assert!(!names.iter().any(|name| name == "hidden-by-log-level"));
    judged(&format!("{CAPTURE}{lines}{VECTOR_BUG}"), |found| {
        let finding = found.cause.as_ref().unwrap();
        assert_eq!(finding.suspects, ["i40e"]);
        let remedy = &finding.rule.remedies[0];
        let files: Vec<&str> = remedy
            .config
            .iter()
            .map(|line| line.file.as_str())
            .collect();
        assert!(files.contains(&"/etc/sysconfig/kdump"));
        assert!(remedy.action.contains("RHEL 7 and later refuse"));
    });
}

/// Lines of a first kernel, and of no kernel in particular, are not a capture kernel's.
#[test]
fn another_kernels_lines_give_no_verdict() {
    for lines in [
        "[    4.000000] init invoked oom-killer: gfp_mask=0x1\n[    4.100000] Out of memory: Killed process 12 (x)\n",
        "[    4.000000] nvme nvme0: I/O 8 QID 0 timeout, disable controller\n",
        "dracut-initqueue[300]: Warning: dracut-initqueue timeout - starting timeout scripts\n",
        "[    4.000000] nvme 0000:00:05.0: Removing after probe failure status: -28\n",
    ] {
        for log in [format!("{FIRST}{lines}"), lines.to_owned()] {
            assert_eq!(was(&log), (Unknown, "unknown".to_owned()), "{log}");
        }
    }
}

/// The driver in the trace is the victim of a shortage of vectors, and to blame for its own oops.
#[test]
fn suspects_are_named() {
    let suspects = |lines: &str| {
        judged(&format!("{CAPTURE}{lines}"), |found| {
            found.cause.as_ref().unwrap().suspects.clone()
        })
    };
    assert_eq!(suspects(PROBE_OOPS), ["bnx2x"]);
    assert_eq!(
        suspects(&PROBE_OOPS.replace("bnx2x", "homemade")),
        ["homemade"]
    );
    assert_eq!(suspects(VECTOR_BUG), ["i40e"]);
    let own = VECTOR_BUG.replace(
        "_scsih_probe+0x6ad/0xb40 [mpt3sas]",
        "i40e_probe+0x1/0x2 [i40e]",
    );
    assert!(suspects(&own).is_empty());
}

/// The fixtures, read as somebody's logs: nobody looked for a dump, and only their own init scripts
/// speak of one.
#[test]
fn real_logs() {
    let irq = "irq-vector-exhaustion";
    let clues = ["hidden-by-log-level", "32-bit-dma", "one-capture-cpu"];
    let dump = |name: &str| {
        let path = format!("{}/tests/logs/{name}", env!("CARGO_MANIFEST_DIR"));
        String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
    };
    let mut wrong = Wrong::default();
    for (name, verdict, cause, notes) in [
        ("field-report.txt", CapturePanicked, irq, &clues[..]),
        (
            "field-report-reproduced-3.10-i40e-mpt3sas.log",
            CapturePanicked,
            irq,
            &clues,
        ),
        (
            "more-cpus-do-not-cure-flat-apic-3.10.log",
            CapturePanicked,
            irq,
            &["flat-apic-routing"],
        ),
        (
            "exhausted-nvme-3.10.log",
            CapturePanicked,
            irq,
            &["errno-38"],
        ),
        (
            "exhausted-nvme-6.1.log",
            NoVmcore,
            irq,
            &["one-capture-cpu"],
        ),
        ("exhausted-mpt3sas-6.1.log", NoVmcore, irq, &[]),
        (
            "crashkernel-too-small-6.1.log",
            CaptureOom,
            "crashkernel-too-small",
            &[],
        ),
        (
            "crashkernel-too-small-to-load-6.1.log",
            NotArmed,
            "crashkernel-too-small",
            &[],
        ),
        (
            "no-crashkernel-6.1.log",
            NotArmed,
            "no-crashkernel-memory",
            &[],
        ),
        (
            "field-report-cured-by-blacklist-3.10.log",
            Unknown,
            "unknown",
            &["32-bit-dma"],
        ),
        (
            "more-cpus-cure-physical-apic-nvme-3.10.log",
            VmcoreSaved,
            "none",
            &[],
        ),
        (
            "exhausted-kdump-tools-6.1.log",
            NoVmcore,
            irq,
            &["one-capture-cpu"],
        ),
        ("healthy-kdump-tools-6.1.log", VmcoreSaved, "none", &[]),
        ("healthy-virtio-blk-3.10.log", VmcoreSaved, "none", &[]),
        ("healthy-virtio-blk-6.1.log", VmcoreSaved, "none", &[]),
    ] {
        let log = dump(name);
        wrong.check(&log, verdict, cause);
        let found = contributing(&log);
        for note in notes {
            assert!(found.iter().any(|name| name == note), "{name}: {found:?}");
        }
    }
    wrong.none();
    judged(&dump("field-report.txt"), |found| {
        let finding = found.cause.as_ref().unwrap();
        assert_eq!(finding.suspects, ["i40e"]);
        let quoted = |text: &str| finding.lines.iter().any(|(_, line)| line.contains(text));
        assert!(quoted("mpt3sas0: unable to allocate interrupt 214!"));
        assert!(quoted("r: -38"));
    });
}
