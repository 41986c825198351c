use std::collections::BTreeMap;

use crashdrill_guest::report::{Exit, Report, Role};
use proptest::prelude::*;

use super::super::evidence::{Expectations, Recorder};
use super::super::normalise;
use super::super::outcome::{Phase, Vmcore};
use super::*;

#[allow(non_upper_case_globals)]
mod causes {
    use super::Cause;

    pub(super) const Unknown: Cause = Cause::UNKNOWN;
    pub(super) const CoreCollectorFailed: Cause = Cause::named("core-collector-failed");
    pub(super) const CrashkernelTooSmall: Cause = Cause::named("crashkernel-too-small");
    pub(super) const IrqVectorExhaustion: Cause = Cause::named("irq-vector-exhaustion");
    pub(super) const NoCrashkernelMemory: Cause = Cause::named("no-crashkernel-memory");
    pub(super) const TargetDriverMissing: Cause = Cause::named("target-driver-missing");
    pub(super) const TargetFull: Cause = Cause::named("target-full");
    pub(super) const TargetWrongFilesystem: Cause = Cause::named("target-wrong-filesystem");
    pub(super) const TargetNotFound: Cause = Cause::named("target-not-found");
    pub(super) const UserScript: Cause = Cause::named("user-script");
}
use crate::console::Terminal;
use crate::units::Millis;

const BEFORE: &str = "[    0.000000] Linux version 3.10.0-514 (x@y) #5 SMP
kdump: kexec: loaded kdump kernel
[    2.569500] SysRq : Trigger a crash
[    2.571146] BUG: unable to handle kernel NULL pointer dereference at           (null)
[    2.571435] Oops: 0002 [#1] SMP
[    2.571435] RIP: 0010:[<ffffffff8123c00d>]  [<ffffffff8123c00d>] sysrq_handle_crash+0xd/0x20
[    0.000000] Linux version 3.10.0-514 (x@y) #5 SMP
[    0.000000] Command line: irqpoll nr_cpus=1 elfcorehdr=916852K
kdump: crashdrill capture init: loading drivers
";

const BUG: &str = "[    2.763117] kernel BUG at arch/x86/kernel/apic/io_apic.c:1356!
[    2.763117] invalid opcode: 0000 [#1] SMP
[    2.763117] RIP: 0010:[<ffffffff81030bc0>]  [<ffffffff81030bc0>] __clear_irq_vector+0xc0/0x140
[    2.763117] Kernel panic - not syncing: Fatal exception
[    2.763117] Rebooting in 10 seconds..
";

/// A drill of which only the console is known.
fn console(log: &[u8], end: End) -> Evidence {
    let mut recorder = Recorder::new(RuleBook::builtin());
    recorder.console(log);
    recorder.finish(end, Dump::NotLookedFor, Vec::new(), Expectations::default())
}

fn captured(tail: &str, end: End) -> Outcome {
    judge(&console(format!("{BEFORE}{tail}").as_bytes(), end))
}

fn was(outcome: &Outcome) -> (Verdict, Cause) {
    (outcome.verdict, outcome.cause.clone())
}

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/logs/{name}.log", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

#[test]
fn real_logs() {
    use End::{Panicked, PoweredOff};
    let capture = &[Phase::FirstKernel, Phase::Crashed, Phase::CaptureKernel][..];
    let bug = (Verdict::CapturePanicked, causes::IrqVectorExhaustion);
    let refused = (Verdict::NoVmcore, causes::IrqVectorExhaustion);
    // Their init scripts print none of our lines and nobody read their dumps back.
    let unknown = (Verdict::NoVmcore, Cause::UNKNOWN);
    let drivers = &[
        Phase::FirstKernel,
        Phase::Armed,
        Phase::Crashed,
        Phase::CaptureKernel,
        Phase::CaptureDrivers,
        Phase::Saving,
        Phase::Saved,
    ][..];
    for (name, phases, end, wanted) in [
        (
            "exhausted-kdump-tools-6.1",
            &drivers[..5],
            PoweredOff,
            refused.clone(),
        ),
        // Nobody read its dump back.
        (
            "healthy-kdump-tools-6.1",
            drivers,
            End::Reset,
            unknown.clone(),
        ),
        ("exhausted-nvme-3.10", capture, Panicked, bug.clone()),
        ("exhausted-nvme-6.1", capture, PoweredOff, refused.clone()),
        // The console's level hides the first lines of both kernels.
        (
            "exhausted-mpt3sas-6.1",
            &capture[1..],
            PoweredOff,
            refused.clone(),
        ),
        (
            "field-report-reproduced-3.10-i40e-mpt3sas",
            capture,
            Panicked,
            bug.clone(),
        ),
        (
            "field-report-cured-by-blacklist-3.10",
            capture,
            PoweredOff,
            unknown.clone(),
        ),
        (
            "more-cpus-do-not-cure-flat-apic-3.10",
            capture,
            Panicked,
            bug.clone(),
        ),
        (
            "healthy-virtio-blk-3.10",
            capture,
            PoweredOff,
            unknown.clone(),
        ),
        (
            "healthy-virtio-blk-6.1",
            capture,
            PoweredOff,
            unknown.clone(),
        ),
        (
            "more-cpus-cure-physical-apic-nvme-3.10",
            capture,
            PoweredOff,
            unknown.clone(),
        ),
    ] {
        let log = fixture(name);
        let mut recorder = Recorder::new(RuleBook::builtin());
        recorder.console(&log);
        let terminal = match end {
            Panicked => Terminal::Panicked,
            End::Reset => Terminal::Restarting,
            _ => Terminal::PoweringOff,
        };
        assert_eq!(recorder.terminal(), Some(terminal), "{name}");
        let evidence =
            recorder.finish(end, Dump::NotLookedFor, Vec::new(), Expectations::default());
        let reached: Vec<Phase> = evidence.phases.iter().map(|mark| mark.phase).collect();
        assert_eq!(reached, phases, "{name}");
        let outcome = judge(&evidence);
        assert_eq!(was(&outcome), wanted, "{name}: {outcome:#?}");
        assert!(!outcome.evidence.is_empty(), "{name}");
    }
}

/// Debian 12's kernel and kexec-tools; the init script of these runs crashed the machine even when
/// it was not armed.
#[test]
fn real_logs_of_scarce_memory() {
    let small = causes::CrashkernelTooSmall;
    let dead = [
        "<process> invoked oom-killer",
        "Out of memory and no killable processes...",
        "Kernel panic - not syncing: System is deadlocked on memory",
    ];
    let refused = [
        "Could not find a free area of memory of <hex> bytes...",
        "locate_hole failed",
    ];
    for (name, wanted, evidence) in [
        (
            "crashkernel-too-small-6.1",
            (Verdict::CaptureOom, small.clone()),
            &dead[..],
        ),
        (
            "crashkernel-too-small-to-load-6.1",
            (Verdict::NotArmed, small.clone()),
            &refused,
        ),
        (
            "no-crashkernel-6.1",
            (Verdict::NotArmed, causes::NoCrashkernelMemory),
            &["Memory for crashkernel is not reserved"],
        ),
    ] {
        let outcome = normalise(&judge(&console(&fixture(name), End::Reset)));
        assert_eq!(was(&outcome), wanted, "{name}: {outcome:#?}");
        assert_eq!(outcome.evidence, evidence, "{name}");
    }
}

/// What went wrong on the way did not matter if the dump is there: virtio falls back to an
/// interrupt line, a watchdog panics after the last byte.
#[test]
fn a_proven_dump_outweighs_every_line() {
    for name in ["exhausted-nvme-6.1", "exhausted-nvme-3.10"] {
        let mut evidence = console(&fixture(name), End::PoweredOff);
        evidence.dump = Dump::Found(vmcore());
        assert_eq!(
            was(&judge(&evidence)),
            (Verdict::VmcoreSaved, Cause::NONE),
            "{name}"
        );
    }
}

#[test]
fn evidence_of_the_field_report() {
    let log = fixture("field-report-reproduced-3.10-i40e-mpt3sas");
    let outcome = normalise(&judge(&console(&log, End::Panicked)));
    assert_eq!(
        outcome.evidence,
        [
            "i40e 0000:00:18.0: MSI-X vector reservation failed: -28",
            "mpt3sas0: unable to allocate interrupt <irq>!",
            "kernel BUG at arch/x86/kernel/apic/io_apic.c:<line>!",
            "invalid opcode: 0000 [#1] SMP",
            "RIP: 0010:__clear_irq_vector",
            "Kernel panic - not syncing: Fatal exception",
        ]
    );
}

/// Every row of what was measured on 3.10 with an exhausted capture kernel.
#[test]
fn exhausted_3_10() {
    let bug = (Verdict::CapturePanicked, causes::IrqVectorExhaustion);
    let none = (Verdict::NoVmcore, causes::IrqVectorExhaustion);
    let missing = "Warning: dracut-initqueue timeout - starting timeout scripts\n";
    for (lines, tail, end, wanted) in [
        (
            "mpt3sas0: unable to allocate interrupt 21!",
            BUG,
            End::Panicked,
            bug.clone(),
        ),
        (
            "megasas: current msix/online cpus : (0/1)\nmegaraid_sas 0000:00:05.0: Failed to register IRQ from megasas_setup_irqs_ioapic",
            BUG,
            End::Panicked,
            bug.clone(),
        ),
        (
            "vmw_pvscsi: using INTx\nvmw_pvscsi: unable to request IRQ: -38",
            BUG,
            End::Panicked,
            bug.clone(),
        ),
        (
            "sym0: request irq 21 failure\nsym0: giving up ...",
            BUG,
            End::Panicked,
            bug.clone(),
        ),
        (
            "ahci 0000:00:05.0: flags: 64bit ncq only ",
            BUG,
            End::Panicked,
            bug.clone(),
        ),
        (
            "nvme 0000:00:05.0: Removing after probe failure status: -38",
            BUG,
            End::Panicked,
            bug.clone(),
        ),
        (
            "xhci_hcd 0000:00:05.0: request interrupt 21 failed\nxhci_hcd 0000:00:05.0: startup error -38",
            BUG,
            End::Panicked,
            bug.clone(),
        ),
        (
            "mptbase: ioc0: ERROR - Unable to allocate interrupt 21!\nmptsas: probe of 0000:00:05.0 failed with error -16",
            missing,
            End::PoweredOff,
            none.clone(),
        ),
        (
            "virtio_blk: probe of virtio3 failed with error -38",
            missing,
            End::PoweredOff,
            none.clone(),
        ),
        (
            "e1000e 0000:00:05.0 eth0: Unable to allocate interrupt, Error: -38",
            "",
            End::PoweredOff,
            none.clone(),
        ),
        (
            "vmxnet3 0000:00:05.0: Failed to enable MSI-X, error: -28\nvmxnet3 0000:00:05.0 eth0: Failed to request irq (intr type:1), error -38",
            "",
            End::PoweredOff,
            none.clone(),
        ),
        (
            "e1000: eth0: e1000_request_irq: Unable to allocate interrupt Error: -38",
            BUG,
            End::Panicked,
            bug.clone(),
        ),
    ] {
        let outcome = captured(&format!("{lines}\n{tail}"), end);
        assert_eq!(was(&outcome), wanted, "{lines}: {outcome:#?}");
    }
}

#[test]
fn clues_decide_nothing() {
    for clue in [
        "megasas: current msix/online cpus : (0/1)",
        "e1000e 0000:00:05.0: Failed to initialize MSI-X interrupts.  Falling back to MSI",
        "init: page allocation failure: order:4, mode:0xcc1(GFP_KERNEL|GFP_DMA)",
        "do_IRQ: 0.89 No irq handler for vector (irq -1)",
    ] {
        let evidence = console(format!("{BEFORE}{clue}\n").as_bytes(), End::PoweredOff);
        let book = RuleBook::builtin();
        let judgement = assess(&book, &evidence);
        assert_eq!(
            (judgement.happened, judgement.why.clone()),
            (Verdict::NoVmcore, Cause::UNKNOWN),
            "{clue}"
        );
        assert_eq!(judgement.contributing.len(), 1, "{clue}");
    }
}

#[test]
fn console_alone() {
    use Verdict::*;
    use causes::Unknown;
    use causes::*;
    let first = "[    0.000000] Linux version 6.1.0\n";
    let silent = End::Silent(Millis(60_000));
    let off = End::PoweredOff;
    let before = BEFORE;
    let rows: Vec<(String, End, (Verdict, Cause))> = vec![
        (String::new(), silent, (FirstKernelFailed, Unknown)),
        (first.to_owned(), silent, (FirstKernelFailed, Unknown)),
        (
            format!(
                "{first}[    0.5] x\n[    1.000000] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n[    1.0] x"
            ),
            End::Panicked,
            (FirstKernelFailed, Unknown),
        ),
        (
            format!(
                "{first}kdump: No memory reserved for crash kernel\nkdump: Starting kdump: [FAILED]\n"
            ),
            off,
            (NotArmed, NoCrashkernelMemory),
        ),
        (
            format!(
                "{first}Could not find a free area of memory of 0x3f00000 bytes...\nlocate_hole failed\nkdump: kexec: failed to load kdump kernel\n"
            ),
            off,
            (NotArmed, CrashkernelTooSmall),
        ),
        (
            format!(
                "{first}kdump: kexec: loaded kdump kernel\n[    9.1] x\n[    9.100000] sysrq: Trigger a crash\n[    9.100000] Kernel panic - not syncing: sysrq triggered crash\n"
            ),
            silent,
            (CaptureNeverStarted, Unknown),
        ),
        (
            format!(
                "{before}[    4.000000] init invoked oom-killer: gfp_mask=0x1\n[    4.000000] Kernel panic - not syncing: System is deadlocked on memory\n"
            ),
            End::Panicked,
            (CaptureOom, CrashkernelTooSmall),
        ),
        (
            format!(
                "{before}[    4.000000] Kernel panic - not syncing: Out of memory and no killable processes...\n"
            ),
            End::Panicked,
            (CaptureOom, CrashkernelTooSmall),
        ),
        (
            format!(
                "{before}[    4.000000] Initramfs unpacking failed: write error\n[    5.000000] Kernel panic - not syncing: No working init found.\n"
            ),
            End::Panicked,
            (CaptureOom, CrashkernelTooSmall),
        ),
        (
            format!(
                "{before}[    4.000000] sysrq: Trigger a crash\n[    4.000000] Kernel panic - not syncing: sysrq triggered crash\n"
            ),
            End::Panicked,
            (CapturePanicked, UserScript),
        ),
        (
            format!(
                "{before}[    4.000000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\n"
            ),
            End::Panicked,
            (CapturePanicked, Unknown),
        ),
        (before.to_owned(), silent, (CaptureHung, Unknown)),
        (
            before.to_owned(),
            End::TotalLimit(Millis(1)),
            (NoVmcore, Unknown),
        ),
        (
            format!(
                "{before}kdump: saving vmcore\nmakedumpfile Failed.\nkdump: saving vmcore failed, exitcode:1\n"
            ),
            off,
            (DumpFailed, CoreCollectorFailed),
        ),
        (
            format!(
                "{before}kdump: saving vmcore\nwrite_buffer: Can't write the dump file. No space left on device\nmakedumpfile Failed.\n"
            ),
            off,
            (DumpFailed, TargetFull),
        ),
        (
            format!(
                "{before}kdump: saving vmcore\nmakedumpfile invoked oom-killer: gfp\nkdump: saving vmcore failed, exitcode:137\n"
            ),
            off,
            (CaptureOom, CrashkernelTooSmall),
        ),
        (
            format!(
                "{before}Warning: dracut-initqueue timeout - starting timeout scripts\nkdump: failed to dump to '/kdumproot', it's not a mount point!\n"
            ),
            End::Reset,
            (DumpTargetMissing, TargetNotFound),
        ),
        (
            format!("{before}kdump: kdump_pre script exited with non-zero status!\n"),
            End::Reset,
            (NoVmcore, UserScript),
        ),
        // Saved, by its own account; nobody looked.
        (
            format!("{before}kdump: saving vmcore\nkdump: saving vmcore complete\n"),
            off,
            (NoVmcore, Unknown),
        ),
    ];
    for (log, end, wanted) in rows {
        let outcome = judge(&console(log.as_bytes(), end));
        assert_eq!(was(&outcome), wanted, "{log}: {outcome:#?}");
        assert!(!outcome.evidence.is_empty());
    }
}

/// The first kernel's own troubles are not the capture kernel's.
#[test]
fn lines_count_in_their_phase() {
    let log = BEFORE.replace(
        "kdump: kexec: loaded",
        "x invoked oom-killer: y\nnvme nvme0: Removing after probe failure status: -28\nkdump: kexec: loaded",
    );
    let outcome = judge(&console(log.as_bytes(), End::Silent(Millis(60_000))));
    assert_eq!(was(&outcome), (Verdict::CaptureHung, Cause::UNKNOWN));
}

fn vmcore() -> Vmcore {
    Vmcore {
        format: "kdump-compressed".to_owned(),
        dump_level: Some(31),
        complete: true,
        panic: Some("SysRq : Trigger a crash".to_owned()),
        this_drill: true,
    }
}

fn drill(tail: &str, end: End, dump: Dump, reports: Vec<Report>) -> Evidence {
    let mut recorder = Recorder::new(RuleBook::builtin());
    recorder.console(format!("{BEFORE}{tail}").as_bytes());
    let started = |role, cpus| Report::Started {
        role,
        release: "6.1.0".to_owned(),
        cpus,
        uptime_ms: 1,
        memory: 1 << 28,
    };
    recorder.report(started(Role::First, 4));
    recorder.report(Report::Armed {
        status: Exit::Code(0),
        loaded: true,
    });
    recorder.report(started(Role::Capture, 1));
    for report in reports {
        recorder.report(report);
    }
    let expectations = Expectations {
        target: "/dev/nvme0n1".to_owned(),
        target_drivers: vec!["nvme".to_owned()],
        capture_drivers: vec!["virtio_console".to_owned(), "nvme".to_owned()],
        devices: BTreeMap::from([("00:05.0".to_owned(), "nvme".to_owned())]),
        machine: "q35, qemu64".to_owned(),
        ..Expectations::default()
    };
    recorder.finish(end, dump, Vec::new(), expectations)
}

fn interrupts() -> Report {
    Report::Interrupts {
        after: "end".to_owned(),
        msi: 194,
        pins: 6,
    }
}

fn target(found: bool, mount_error: Option<&str>) -> Report {
    Report::Target {
        device: "/dev/nvme0n1".to_owned(),
        found,
        mount_error: mount_error.map(str::to_owned),
    }
}

#[test]
fn exhausted_drill_as_yaml() {
    let evidence = drill(
        "[    4.124072] Interrupt reservation exceeds available resources
[    4.411157] nvme nvme0: pci function 0000:00:05.0
[    4.454908] nvme nvme0: Removing after probe failure status: -28
Warning: dracut-initqueue timeout - starting timeout scripts
kdump: failed to dump to '/kdumproot', it's not a mount point!
",
        End::PoweredOff,
        Dump::None,
        vec![
            interrupts(),
            Report::Function {
                address: "0000:00:05.0".to_owned(),
                id: "1b36:0010".to_owned(),
                table: 65,
                granted: 0,
                driver: None,
            },
            Report::Function {
                address: "0000:00:04.0".to_owned(),
                id: "1af4:1003".to_owned(),
                table: 64,
                granted: 64,
                driver: Some("virtio-pci".to_owned()),
            },
            target(false, None),
            Report::Ending,
        ],
    );
    let outcome = normalise(&judge(&evidence));
    assert_eq!(
        serde_yaml::to_string(&outcome).unwrap(),
        "verdict: no-vmcore
cause: irq-vector-exhaustion
phase: capture-drivers
evidence:
- Interrupt reservation exceeds available resources
- 'nvme nvme0: Removing after probe failure status: -28'
- 'Warning: dracut-initqueue timeout - starting timeout scripts'
vectors:
  capture-cpus: 1
  available: null
  planned: null
  allocated: 194
  used: []
  first-refused: null
devices:
- slot: 00:04.0
  device: 1af4:1003
  table: 64
  asked: null
  planned: null
  granted: 64
  fell-back: false
  driver: virtio-pci
- slot: 00:05.0
  device: nvme
  table: 65
  asked: null
  planned: null
  granted: 0
  fell-back: false
  driver: null
vmcore: null
machine: q35, qemu64
fidelity: []
"
    );
}

#[test]
fn healthy_drill_as_yaml() {
    let evidence = drill(
        "kdump: saving vmcore
\rCopying data : [ 17.9 %]\rCopying data : [100.0 %]\r
kdump: saving vmcore complete
",
        End::PoweredOff,
        Dump::Found(vmcore()),
        vec![interrupts(), target(true, None), Report::Ending],
    );
    let outcome = normalise(&judge(&evidence));
    assert_eq!(
        serde_yaml::to_string(&outcome).unwrap(),
        "verdict: vmcore-saved
cause: none
phase: saved
evidence:
- 'kdump: saving vmcore complete'
- 'dump: complete; its own log holds this drill''s token and its crash'
- 'end: the machine powered off'
vectors:
  capture-cpus: 1
  available: null
  planned: null
  allocated: 194
  used: []
  first-refused: null
devices: []
vmcore:
  format: kdump-compressed
  dump-level: 31
  complete: true
  panic: 'SysRq : Trigger a crash'
  this-drill: true
machine: q35, qemu64
fidelity: []
"
    );
}

#[test]
fn with_reports() {
    use Verdict::*;
    use causes::Unknown;
    use causes::*;
    let off = End::PoweredOff;
    let silent = End::Silent(Millis(60_000));
    let timeout = "Warning: dracut-initqueue timeout - starting timeout scripts\n";
    let saving = "kdump: saving vmcore\n";
    let saved = "kdump: saving vmcore\nkdump: saving vmcore complete\n";
    let collector = |status| Report::Collector {
        status,
        target_free: Some(1 << 30),
    };
    let found = |change: fn(&mut Vmcore)| {
        let mut dump = vmcore();
        change(&mut dump);
        Dump::Found(dump)
    };
    for (tail, end, dump, reports, wanted) in [
        (
            timeout,
            off,
            Dump::None,
            vec![target(false, None)],
            (DumpTargetMissing, TargetNotFound),
        ),
        (
            "",
            off,
            Dump::None,
            vec![target(false, None)],
            (DumpTargetMissing, TargetNotFound),
        ),
        (
            timeout,
            off,
            Dump::None,
            vec![
                Report::KeptOut {
                    driver: "nvme".to_owned(),
                    by: "rd.driver.blacklist=nvme".to_owned(),
                },
                target(false, None),
            ],
            (DumpTargetMissing, TargetDriverMissing),
        ),
        (
            "[    4.124072] Interrupt reservation exceeds available resources\n",
            off,
            Dump::None,
            vec![target(false, None)],
            (DumpTargetMissing, IrqVectorExhaustion),
        ),
        // The target is there: whoever was refused a vector, it was not the target.
        (
            "e1000e 0000:00:06.0 eth0: Unable to allocate interrupt, Error: -38\nkdump: failed to dump to '/kdumproot', it's not a mount point!\n",
            off,
            Dump::None,
            vec![target(true, Some("EINVAL"))],
            (DumpTargetMissing, Unknown),
        ),
        (
            "",
            off,
            Dump::None,
            vec![
                Report::Module {
                    driver: "virtio_console".to_owned(),
                    module: "virtio_console".to_owned(),
                    error: Some("ENOMEM".to_owned()),
                },
                target(false, None),
            ],
            (CaptureOom, CrashkernelTooSmall),
        ),
        (
            saving,
            off,
            Dump::None,
            vec![collector(Exit::Code(1))],
            (DumpFailed, CoreCollectorFailed),
        ),
        (
            saving,
            off,
            Dump::None,
            vec![collector(Exit::NotRun(2))],
            (DumpFailed, CoreCollectorFailed),
        ),
        // To a raw device: makedumpfile was content, dd was not.
        (
            saving,
            off,
            Dump::None,
            vec![
                Report::Collector {
                    status: Exit::Code(0),
                    target_free: None,
                },
                Report::Writer {
                    program: "dd".to_owned(),
                    status: Exit::Code(1),
                },
            ],
            (DumpFailed, CoreCollectorFailed),
        ),
        (
            "kdump: saving vmcore\ndd: writing '/dev/vda': No space left on device\n",
            off,
            Dump::Unreadable("cut short".to_owned()),
            vec![Report::Writer {
                program: "dd".to_owned(),
                status: Exit::Code(1),
            }],
            (DumpFailed, TargetFull),
        ),
        (
            "XFS (vda): Invalid superblock magic number\nkdump: error: Dump target  is not mounted.\nkdump: saving vmcore failed\n",
            off,
            Dump::None,
            vec![target(true, Some("EINVAL"))],
            (DumpTargetMissing, TargetWrongFilesystem),
        ),
        // btrfs says nothing.
        (
            "mount: /dev/vda on /kdumproot: Invalid argument\nkdump: saving vmcore failed\n",
            off,
            Dump::None,
            vec![target(true, Some("EINVAL"))],
            (DumpTargetMissing, TargetWrongFilesystem),
        ),
        (
            "mount: /dev/vda on /kdumproot: Input/output error\n",
            off,
            Dump::None,
            vec![target(true, Some("EIO"))],
            (DumpTargetMissing, Unknown),
        ),
        // The target never came, and the root file system took the dump.
        (
            "Warning: dracut-initqueue timeout - starting timeout scripts\nkdump: Executing failure action dump_to_rootfs\nkdump: saving vmcore\nkdump: saving vmcore complete\n",
            off,
            found(|_| ()),
            vec![
                target(false, None),
                Report::Root {
                    device: "UUID=1".to_owned(),
                    found: true,
                    mount_error: None,
                },
                collector(Exit::Code(0)),
            ],
            (VmcoreSaved, Cause::NONE),
        ),
        (
            saved,
            off,
            Dump::None,
            vec![collector(Exit::Code(0))],
            (DumpFailed, Unknown),
        ),
        (
            saved,
            off,
            found(|dump| dump.complete = false),
            vec![],
            (DumpFailed, Unknown),
        ),
        (
            saved,
            off,
            found(|dump| dump.this_drill = false),
            vec![],
            (DumpFailed, Unknown),
        ),
        (
            saved,
            off,
            found(|dump| dump.panic = None),
            vec![],
            (DumpFailed, Unknown),
        ),
        (
            saved,
            off,
            Dump::Unreadable("x".to_owned()),
            vec![],
            (DumpFailed, Unknown),
        ),
        (
            saving,
            silent,
            found(|dump| dump.complete = false),
            vec![],
            (CaptureHung, Unknown),
        ),
        (
            "",
            off,
            Dump::None,
            vec![Report::Script {
                which: "kdump_pre".to_owned(),
                status: Exit::Code(3),
            }],
            (NoVmcore, UserScript),
        ),
        (
            "",
            off,
            Dump::None,
            vec![Report::Failed {
                step: "mount /proc".to_owned(),
                error: "ENODEV".to_owned(),
            }],
            (NoVmcore, Unknown),
        ),
    ] {
        let outcome = judge(&drill(tail, end, dump.clone(), reports.clone()));
        assert_eq!(
            was(&outcome),
            wanted,
            "{tail}{reports:?}{dump:?}: {outcome:#?}"
        );
    }
}

#[test]
fn a_hang_in_kdump_pre_is_the_scripts() {
    let silent = End::Silent(Millis(60_000));
    let reports = vec![interrupts(), target(true, None)];
    let mut evidence = drill("", silent, Dump::None, reports);
    assert_eq!(
        was(&judge(&evidence)),
        (Verdict::CaptureHung, Cause::UNKNOWN)
    );
    evidence.expectations.as_mut().unwrap().pre_script = true;
    assert_eq!(
        was(&judge(&evidence)),
        (Verdict::CaptureHung, causes::UserScript)
    );
    evidence.reports.push(Report::Script {
        which: "kdump_pre".to_owned(),
        status: Exit::Code(0),
    });
    assert_eq!(
        was(&judge(&evidence)),
        (Verdict::CaptureHung, Cause::UNKNOWN)
    );
}

#[test]
fn not_armed_by_reports_alone() {
    let mut recorder = Recorder::new(RuleBook::builtin());
    recorder.console(b"[    0.000000] Linux version 6.1.0\n");
    recorder.report(Report::Started {
        role: Role::First,
        release: "6.1.0".to_owned(),
        cpus: 1,
        uptime_ms: 1,
        memory: 0,
    });
    recorder.report(Report::Armed {
        status: Exit::Code(255),
        loaded: false,
    });
    let evidence = recorder.finish(
        End::PoweredOff,
        Dump::None,
        Vec::new(),
        Expectations::default(),
    );
    let outcome = judge(&evidence);
    assert_eq!(
        was(&outcome),
        (Verdict::NotArmed, causes::NoCrashkernelMemory)
    );
    assert_eq!(
        outcome.evidence[1..3],
        [
            "report: kexec ended with status 255",
            "report: the first kernel has reserved no crashkernel memory"
        ]
    );
}

/// Wherever a machine may end, some rule says so.
#[test]
fn every_end_has_a_rule() {
    let ends = [
        End::PoweredOff,
        End::Reset,
        End::Silent(Millis(1)),
        End::TotalLimit(Millis(1)),
        End::Panicked,
        End::Halted,
    ];
    let mut incomplete = vmcore();
    incomplete.complete = false;
    let dumps = [
        Dump::NotLookedFor,
        Dump::None,
        Dump::Unreadable("x".to_owned()),
        Dump::Found(vmcore()),
        Dump::Found(incomplete),
    ];
    let log = format!(
        "SeaBIOS (version 1)\n{BEFORE}kdump: saving vmcore\nkdump: saving vmcore complete\n"
    );
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    for length in 0..=lines.len() {
        for end in ends {
            for dump in &dumps {
                let mut evidence = console(lines[..length].concat().as_bytes(), end);
                evidence.dump = dump.clone();
                let book = RuleBook::builtin();
                let judgement = assess(&book, &evidence);
                assert!(judgement.verdict.is_some(), "{length} {end:?} {dump:?}");
                assert!(!quotes(&judgement, &evidence).is_empty());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_cut_gives_the_same_outcome(cuts in proptest::collection::vec(0usize..70_000, 1..8)) {
        let log = fixture("exhausted-nvme-3.10");
        let whole = console(&log, End::Panicked);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(log.len())).collect();
        cuts.extend([0, log.len()]);
        cuts.sort_unstable();
        let mut recorder = Recorder::new(RuleBook::builtin());
        let mut marks = Vec::new();
        for pair in cuts.windows(2) {
            marks.extend(recorder.console(&log[pair[0]..pair[1]]));
        }
        let evidence = recorder.finish(End::Panicked, Dump::NotLookedFor, Vec::new(), Expectations::default());
        prop_assert_eq!(&marks, &whole.phases);
        prop_assert_eq!(evidence, whole);
    }

    #[test]
    fn unrelated_text_changes_nothing(before in "([ -~]{0,40}\n){0,5}", after in "\n([ -~]{0,40}\n){0,5}") {
        for name in ["exhausted-nvme-3.10", "exhausted-nvme-6.1"] {
            let log = fixture(name);
            let plain = judge(&console(&log, End::PoweredOff));
            let framed = [before.as_bytes(), &log, after.as_bytes()].concat();
            prop_assert_eq!(judge(&console(&framed, End::PoweredOff)), plain);
        }
    }

    #[test]
    fn random_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        let outcome = judge(&console(&bytes, End::PoweredOff));
        prop_assert!(!outcome.evidence.is_empty());
        normalise(&outcome);
    }
}

fn network(interface: Option<&str>, error: Option<&str>, carrier: bool) -> Report {
    Report::Network {
        interface: interface.map(str::to_owned),
        error: error.map(str::to_owned),
        carrier,
    }
}

fn remote(program: &str, status: Exit, said: Option<&str>) -> Report {
    Report::Remote {
        program: program.to_owned(),
        status,
        said: said.map(str::to_owned),
    }
}

/// What kdump's scripts keep to themselves, /init tells: `ssh -q` says nothing on the console.
#[test]
fn dumps_that_go_over_the_network() {
    let up = || network(Some("eth0"), None, true);
    let refused = Some("kdump@192.0.2.1: Permission denied (publickey).");
    for (reports, cause, sentence) in [
        (
            vec![network(None, None, false), target(false, None)],
            "network-not-ready",
            "report: the network device that the dump goes to did not appear",
        ),
        (
            vec![
                network(Some("eth0"), Some("ENOSPC"), false),
                target(false, None),
            ],
            "network-not-ready",
            "report: eth0 could not be switched on: ENOSPC",
        ),
        (
            vec![network(Some("eth0"), None, false), target(false, None)],
            "network-not-ready",
            "report: eth0 has no carrier",
        ),
        (
            vec![
                up(),
                remote("mount.nfs", Exit::Signal(9), None),
                target(true, Some("timed out")),
            ],
            "dump-server-unreachable",
            "report: mount.nfs had no answer from the dump server in time",
        ),
        (
            vec![
                up(),
                target(true, None),
                remote(
                    "ssh",
                    Exit::Code(255),
                    Some("ssh: connect to host 192.0.2.1 port 22: No route to host"),
                ),
            ],
            "dump-server-unreachable",
            "report: ssh: connect to host 192.0.2.1 port 22: No route to host",
        ),
        (
            vec![
                up(),
                target(true, None),
                remote("ssh", Exit::Code(255), refused),
            ],
            "ssh-key-refused",
            "report: ssh: kdump@192.0.2.1: Permission denied (publickey).",
        ),
        (
            vec![
                up(),
                target(true, None),
                remote(
                    "ssh",
                    Exit::Code(255),
                    Some("Host key verification failed."),
                ),
            ],
            "ssh-host-key-unknown",
            "report: ssh: Host key verification failed.",
        ),
        (
            vec![
                up(),
                remote(
                    "mount.nfs",
                    Exit::Code(32),
                    Some("mount.nfs: access denied by server while mounting dumps:/export"),
                ),
                target(true, Some("access denied")),
            ],
            "nfs-access-denied",
            "report: mount.nfs: access denied by server while mounting dumps:/export",
        ),
    ] {
        let outcome = judge(&drill("", End::Reset, Dump::None, reports));
        assert_eq!(
            (outcome.verdict, outcome.cause.to_string().as_str()),
            (Verdict::DumpTargetMissing, cause)
        );
        assert!(
            outcome.evidence.iter().any(|quote| quote == sentence),
            "{:?}",
            outcome.evidence
        );
    }
}

/// A remote command that failed on the way to a dump that was saved is no trouble.
#[test]
fn a_saved_dump_outweighs_what_ssh_said() {
    let reports = vec![
        network(Some("eth0"), None, true),
        remote("scp", Exit::Code(1), Some("Connection refused")),
        remote("ssh", Exit::Code(0), Some("Permission denied (publickey).")),
    ];
    let evidence = drill("", End::Reset, Dump::Found(vmcore()), reports);
    assert_eq!(judge(&evidence).verdict, Verdict::VmcoreSaved);
}
