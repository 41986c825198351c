//! The recorded logs.

use super::*;

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
