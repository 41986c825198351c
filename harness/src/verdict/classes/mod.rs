//! Every class of failure by a short log of it, as somebody might send one.

mod beside;
mod capture;
mod first;
mod real;
mod target;

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
