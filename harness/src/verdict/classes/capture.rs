//! Capture kernels.

use super::*;

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
fn a_capture_kernel_without_low_memory() {
    let mut wrong = Wrong::default();
    let log = format!(
        "{CAPTURE}[    0.500000] Kernel panic - not syncing: Can not allocate SWIOTLB buffer earlier and can't now provide you with the DMA bounce buffer\n{REBOOTING}"
    );
    wrong.check(&log, CaptureOom, "crashkernel-too-small");
    wrong.none();
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
