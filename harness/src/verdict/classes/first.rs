//! First kernels.

use super::*;

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
