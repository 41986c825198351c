use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::console::{LineAssembler, LineRef};

fn follow<'a>(lines: impl Iterator<Item = &'a str>) -> Found {
    let mut boots = Boots::new();
    for (index, text) in lines.enumerate() {
        boots.observe(LineRef::new(index as u64 + 1, text), true);
    }
    boots.finish()
}

/// `first 1-9 open FirstKernel@1 Crashed@5`, one a boot; cycles are told by a `/`.
fn tell(found: &Found) -> Vec<String> {
    let mut told = Vec::new();
    for boot in &found.boots {
        let mut text = format!(
            "{} {:?} {}-{} {:?}",
            boot.cycle, boot.role, boot.first_line, boot.last_line, boot.end
        );
        for began in &boot.phases {
            write!(text, " {:?}@{}", began.phase, began.line.line).unwrap();
        }
        told.push(text);
    }
    told
}

fn boots(log: &str) -> Vec<String> {
    tell(&follow(log.lines()))
}

fn file(name: &str) -> Found {
    let path = format!("{}/tests/logs/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut boots = Boots::new();
    let mut assembler = LineAssembler::new();
    assembler.push(&std::fs::read(path).unwrap(), |line| {
        boots.observe(line, true);
    });
    assembler.finish(|line| {
        boots.observe(line, true);
    });
    boots.finish()
}

#[test]
fn real_logs() {
    for (name, wanted) in [
        (
            "crashkernel-too-small-6.1",
            &[
                "0 First 1-378 Kexec FirstKernel@1 Crashed@338",
                "0 Capture 379-786 Panicked CaptureKernel@379",
            ][..],
        ),
        (
            "crashkernel-too-small-to-load-6.1",
            &["0 First 1-368 Panicked FirstKernel@1 Crashed@340"],
        ),
        // The console's level hides the first lines of both kernels.
        (
            "exhausted-mpt3sas-6.1",
            &[
                "0 First 1-53 Kexec FirstKernel@3 Crashed@17",
                "0 Capture 54-84 PoweredOff CaptureKernel@54",
            ],
        ),
        (
            "exhausted-kdump-tools-6.1",
            &[
                "0 First 1-613 Kexec FirstKernel@1 Armed@582 Crashed@613",
                "0 Capture 614-1062 PoweredOff CaptureKernel@614 CaptureDrivers@990",
            ],
        ),
        (
            "exhausted-nvme-3.10",
            &[
                "0 First 1-239 Kexec FirstKernel@1 Crashed@204",
                "0 Capture 240-698 Panicked CaptureKernel@240",
            ],
        ),
        (
            "exhausted-nvme-6.1",
            &[
                "0 First 1-413 Kexec FirstKernel@3 Crashed@378",
                "0 Capture 414-839 PoweredOff CaptureKernel@414 CaptureDrivers@801",
            ],
        ),
        (
            "field-report-cured-by-blacklist-3.10",
            &[
                "0 First 1-355 Kexec FirstKernel@1 Crashed@320",
                "0 Capture 356-888 PoweredOff CaptureKernel@356",
            ],
        ),
        (
            "field-report-reproduced-3.10-i40e-mpt3sas",
            &[
                "0 First 1-349 Kexec FirstKernel@1 Crashed@314",
                "0 Capture 350-977 Panicked CaptureKernel@350",
            ],
        ),
        (
            "healthy-kdump-tools-6.1",
            &[
                "0 First 1-609 Kexec FirstKernel@1 Armed@545 Crashed@567",
                "0 Capture 610-1178 Restarted CaptureKernel@610 CaptureDrivers@963 Saving@1161 \
                 Saved@1171",
            ],
        ),
        (
            "healthy-virtio-blk-3.10",
            &[
                "0 First 1-236 Kexec FirstKernel@1 Crashed@201",
                "0 Capture 237-472 PoweredOff CaptureKernel@237",
            ],
        ),
        (
            "healthy-virtio-blk-6.1",
            &[
                "0 First 1-394 Kexec FirstKernel@3 Crashed@357",
                "0 Capture 395-791 PoweredOff CaptureKernel@395 CaptureDrivers@761 Saving@786",
            ],
        ),
        (
            "more-cpus-cure-physical-apic-nvme-3.10",
            &[
                "0 First 1-457 Kexec FirstKernel@1 Crashed@422",
                "0 Capture 458-907 PoweredOff CaptureKernel@458",
            ],
        ),
        (
            "more-cpus-do-not-cure-flat-apic-3.10",
            &[
                "0 First 1-351 Kexec FirstKernel@1 Crashed@316",
                "0 Capture 352-991 Panicked CaptureKernel@352",
            ],
        ),
        (
            "no-crashkernel-6.1",
            &["0 First 1-369 Panicked FirstKernel@1 Crashed@337"],
        ),
    ] {
        assert_eq!(tell(&file(&format!("{name}.log"))), wanted, "{name}");
    }
}

/// The text before each stamp within a line, as the reader of lines splits it.
fn split(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut from = 0;
        for (at, _) in line.match_indices("[ ") {
            if at > from && LineRef::new(1, &line[at..]).stamp().is_some() {
                lines.push(&line[from..at]);
                from = at;
            }
        }
        lines.push(&line[from..]);
    }
    lines
}

#[test]
fn the_field_report() {
    let path = format!("{}/tests/logs/field-report.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let found = follow(split(&text).into_iter());
    assert_eq!(
        tell(&found),
        [
            "0 Capture 1-133 Panicked CaptureKernel@4",
            "0 First 76-93 Open FirstKernel@76",
        ]
    );
    let why = |boot: usize| found.boots[boot].why.as_ref().unwrap().text.as_str();
    assert!(why(0).contains("total mem (496792 kB)"), "{}", why(0));
    assert!(why(1).contains("total mem (393786508 kB)"), "{}", why(1));
    assert!(found.because(0).is_some_and(|why| why.contains("1 GiB")));
}

const FIRST: &str = "[    0.000000] Linux version 6.1.0-9 (x@y) #1 SMP
[    0.000000] Command line: root=/dev/sda1 crashkernel=256M
[    0.104211] smp: Bringing up
[    1.204217] sd 0:0:0:0: attached
[    2.304213] systemd[1]: systemd 252 running in system mode
[    9.404219] kdump: kexec: loaded kdump kernel
";
const PANIC: &str = "[   50.504213] sysrq: Trigger a crash
[   50.504717] Kernel panic - not syncing: sysrq triggered crash
[   50.504719] Call Trace:
";
const CAPTURE: &str = "[    0.000000] Linux version 6.1.0-9 (x@y) #1 SMP
[    0.000000] Command line: root=/dev/sda1 irqpoll nr_cpus=1 reset_devices elfcorehdr=802164K
[    0.104931] smp: Bringing up
[    1.504933] Run /init as init process
[    4.604937] kdump[411]: saving to /sysroot//var/crash/127.0.0.1/
[    4.604939] kdump[411]: saving vmcore-dmesg.txt
[    4.704937] kdump[411]: saving vmcore-dmesg.txt complete
[    4.704939] kdump[411]: saving vmcore
[    9.704937] kdump[411]: saving vmcore complete
[   10.004931] reboot: Restarting system
";
const FIRMWARE: &str = "SeaBIOS (version 1.16.2)
Booting from Hard Disk...
Welcome to GRUB!
";
/// The second run of the first kernel: the same text, another clock.
const AGAIN: &str = "[    0.000000] Linux version 6.1.0-9 (x@y) #1 SMP
[    0.000000] Command line: root=/dev/sda1 crashkernel=256M
[    0.104317] smp: Bringing up
[    1.208311] sd 0:0:0:0: attached
[    2.384313] systemd[1]: systemd 252 running in system mode
";

#[test]
fn a_crash_and_a_dump_and_the_first_kernel_again() {
    let first = "0 First 1-9 Kexec FirstKernel@1 Armed@6 Crashed@7";
    let capture = "0 Capture 10-19 Restarted CaptureKernel@10 CaptureDrivers@13 Saving@14 Saved@18";
    assert_eq!(
        boots(&format!("{FIRST}{PANIC}{CAPTURE}{FIRMWARE}{AGAIN}")),
        [first, capture, "1 First 20-27 Open FirstKernel@23"]
    );
    // Silent firmware.
    assert_eq!(
        boots(&format!("{FIRST}{PANIC}{CAPTURE}{AGAIN}")),
        [first, capture, "1 First 20-24 Open FirstKernel@20"]
    );
    // Firmware, and the log ends.
    assert_eq!(
        boots(&format!("{FIRST}{PANIC}{CAPTURE}{FIRMWARE}")),
        [first, capture]
    );
}

#[test]
fn a_reboot_is_no_capture_kernel() {
    let crashed = "0 First 1-10 Panicked FirstKernel@1 Armed@6 Crashed@7";
    for end in [
        "[   50.504799] Rebooting in 30 seconds..\n",
        "[   50.504799] ---[ end Kernel panic - not syncing: x ]---\n",
        "[   50.504799] ACPI MEMORY or I/O RESET_REG.\n",
    ] {
        assert_eq!(
            boots(&format!("{FIRST}{PANIC}{end}{AGAIN}")),
            [crashed, "1 First 11-15 Open FirstKernel@11"],
            "{end}"
        );
    }
    // panic=-1 says nothing. The command line tells.
    assert_eq!(
        boots(&format!("{FIRST}{PANIC}{AGAIN}")),
        [
            "0 First 1-9 Panicked FirstKernel@1 Armed@6 Crashed@7",
            "1 First 10-14 Open FirstKernel@10"
        ]
    );
    // A watchdog.
    assert_eq!(
        boots(&format!("{FIRST}{AGAIN}")),
        [
            "0 First 1-6 Reset FirstKernel@1 Armed@6",
            "1 First 7-11 Open FirstKernel@7"
        ]
    );
}

#[test]
fn a_log_that_is_printed_again_is_no_boot() {
    let one = |log: &str, last: usize| {
        assert_eq!(
            boots(log),
            [format!("0 First 1-{last} Open FirstKernel@1 Armed@6")],
            "{log}"
        );
    };
    // dmesg, with and without the console's lines after it.
    one(&format!("{FIRST}{FIRST}"), 12);
    one(
        &format!("{FIRST}# dmesg\n{FIRST}[   77.704213] x\n[   78.704213] y\n"),
        15,
    );
    one(
        &format!("{FIRST}[   20.004213] a\n{FIRST}{FIRST}[   77.704213] x\n"),
        20,
    );
    // dmesg | tail, dmesg | grep.
    let tail = FIRST.split_inclusive('\n').skip(3).collect::<String>();
    one(&format!("{FIRST}{tail}[   12.704213] x\n"), 10);
    let grep = "[    0.604219] a\n[    1.704219] b\n[   12.704213] x\n[   13.704213] y\n";
    one(&format!("{FIRST}{grep}"), 10);
    // /proc/version.
    one(
        &format!("{FIRST}Linux version 6.1.0-9 (x@y) #1 SMP\n[   12.704213] x\n"),
        8,
    );
    // A damaged digit.
    one(
        &format!("{FIRST}[   12.704213] x\n[    2.804213] x\n[   12.904213] x\n"),
        9,
    );
    one(
        &format!("{FIRST}[  912.704213] x\n[   12.804213] x\n[   12.904213] x\n"),
        9,
    );
    // Several CPUs.
    one(
        &format!("{FIRST}[   12.704213] x\n[   12.004213] x\n[   12.904213] x\n"),
        9,
    );
    // Suspended.
    one(
        &format!(
            "{FIRST}[   12.704213] PM: suspend entry (deep)\n[    5.004213] x\n[    5.904213] x\n"
        ),
        9,
    );
}

#[test]
fn a_console_that_is_registered_prints_the_log_again() {
    let begin = "[    0.000000] Linux version 3.10.0 (x@y) #1 SMP
[    0.000000] Command line: console=ttyS0 earlyprintk=ttyS0
[    0.000000] bootconsole [earlyser0] enabled
[    0.000000] console [ttyS0] enabled
[    1.600000] later
";
    let (before, _) = begin.split_at(begin.find("[    1.6").unwrap());
    assert_eq!(
        boots(&format!("{before}{begin}")),
        ["0 First 1-9 Open FirstKernel@1"]
    );
    let disabled = format!("{before}[    0.000000] bootconsole [earlyser0] disabled\n{begin}");
    assert_eq!(boots(&disabled), ["0 First 1-10 Open FirstKernel@1"]);
}

#[test]
fn an_oops_is_a_crash_only_if_a_capture_kernel_follows() {
    let oops = "[   20.504213] Oops: 0002 [#1] SMP\n[   20.504219] RIP: 0010:x\n";
    assert_eq!(
        boots(&format!("{FIRST}{oops}{CAPTURE}"))[0],
        "0 First 1-8 Kexec FirstKernel@1 Armed@6 Crashed@7"
    );
    // The process died, and its user looks at the log.
    assert_eq!(
        boots(&format!("{FIRST}{oops}{FIRST}{oops}[   99.504219] x\n")),
        ["0 First 1-17 Open FirstKernel@1 Armed@6"]
    );
}

#[test]
fn logs_that_begin_in_the_middle() {
    let middle = CAPTURE.split_inclusive('\n').skip(3).collect::<String>();
    assert_eq!(
        boots(&middle),
        ["0 Capture 1-7 Restarted CaptureKernel@1 CaptureDrivers@1 Saving@2 Saved@6"]
    );
    assert_eq!(
        boots(&format!("{PANIC}{CAPTURE}"))[0],
        "0 First 1-3 Kexec FirstKernel@1 Crashed@1"
    );
    assert_eq!(boots(PANIC), ["0 Unknown 1-3 Panicked Crashed@1"]);
    // Quiet consoles.
    assert_eq!(
        boots(&format!("{PANIC}[    8.496246] a\n[    8.499246] b\n")),
        [
            "0 First 1-3 Kexec FirstKernel@1 Crashed@1",
            "0 Capture 4-5 Open CaptureKernel@4"
        ]
    );
    assert_eq!(
        boots(&format!(
            "{PANIC}[   50.600000] Rebooting in 3 seconds..\n[    8.496246] a\n[    8.499246] b\n"
        )),
        ["0 Unknown 1-4 Panicked Crashed@1", "1 Unknown 5-6 Open"]
    );
}

#[test]
fn logs_without_stamps() {
    let bare = |text: &str| {
        let lines = text
            .lines()
            .map(|line| LineRef::new(1, line).message().to_owned() + "\n");
        lines.collect::<String>()
    };
    let log = format!("{}{}{}", bare(FIRST), bare(PANIC), bare(CAPTURE));
    let told = boots(&log);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("0 First 1-9 Kexec"), "{told:?}");
    assert!(told[1].starts_with("0 Capture 10-19 Restarted"), "{told:?}");
}

#[test]
fn other_distributions_tools() {
    let log = "[    0.000000] Linux version 5.15.0 (x@y)
[    0.000000] Command line: root=/dev/vda1 elfcorehdr=802164K
[    1.100000] Loading, please wait...
[    5.100000] kdump-tools[301]:  * running makedumpfile -c -d 31 /proc/vmcore /var/crash/dump
[    9.100000] kdump-tools[301]:  * kdump-tools: saved vmcore in /var/crash/dump
";
    assert_eq!(
        boots(log),
        ["0 Capture 1-5 Open CaptureKernel@1 CaptureDrivers@3 Saving@4 Saved@5"]
    );
}

#[test]
fn places_of_lines() {
    let found = follow(format!("{FIRST}{PANIC}{CAPTURE}").lines());
    assert_eq!(found.place(0, 1), Some((0, Phase::FirstKernel)));
    assert_eq!(found.place(0, 8), Some((0, Phase::Crashed)));
    // In doubt when it came.
    assert_eq!(found.place(0, 10), Some((1, Phase::CaptureKernel)));
    assert_eq!(found.place(1, 17), Some((1, Phase::Saving)));
    assert_eq!(found.place(7, 17), None);
}

#[test]
fn very_many_boots() {
    let mut boots = Boots::new();
    let mut number = 0;
    for _ in 0..500 {
        for text in FIRST.lines().chain(PANIC.lines()).chain(CAPTURE.lines()) {
            number += 1;
            boots.observe(LineRef::new(number, text), true);
        }
    }
    let found = boots.finish();
    assert_eq!(found.boots.len(), 128);
    assert_eq!(found.omitted, 1000 - 128);
    assert_eq!(found.boots[127].cycle, 499);
    assert_eq!(found.boots[127].role, Role::Capture);
}

/// What the script of a capture kernel prints of its own log does not end it.
#[test]
fn a_kernel_goes_on_after_its_old_lines() {
    let grep = "[    0.604219] a\n[    1.704219] b\n[   22.704213] x\n[   23.704213] y\n";
    let capture = CAPTURE.split_inclusive('\n').take(4).collect::<String>();
    let end = "[   24.704213] Kernel panic - not syncing: x\n";
    let lower = "[    4.504213] z\n[    4.704213] z\n";
    let told = boots(&format!("{FIRST}{PANIC}{capture}{grep}{end}{lower}"));
    assert_eq!(
        told,
        [
            "0 First 1-9 Kexec FirstKernel@1 Armed@6 Crashed@7",
            "0 Capture 10-20 Panicked CaptureKernel@10 CaptureDrivers@13"
        ]
    );
}

#[test]
fn other_machines() {
    // arm64: no elfcorehdr= on the command line; the crashed kernel says what it does.
    let arm = "[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd083]
[    0.000000] Linux version 5.14.0 (x@y)
[    0.000000] Kernel command line: root=/dev/sda2 crashkernel=1G
[    9.504213] Kernel panic - not syncing: x
[    9.504219] Starting crashdump kernel...
[    9.504221] Bye!
[    0.000000] Booting Linux on physical CPU 0x0000000003 [0x410fd083]
[    0.000000] Linux version 5.14.0 (x@y)
[    0.000000] Kernel command line: root=/dev/sda2 irqpoll nr_cpus=1 reset_devices
[    2.504213] Run /init as init process
";
    assert_eq!(
        boots(arm),
        [
            "0 First 1-6 Kexec FirstKernel@1 Crashed@4",
            "0 Capture 7-10 Open CaptureKernel@7 CaptureDrivers@10"
        ]
    );
    // powerpc: the firmware keeps the memory, and boots.
    let fadump = format!(
        "{FIRST}{PANIC}GNU GRUB  version 2.06
[    0.000000] Linux version 6.1.0-9 (x@y) #1 SMP
[    0.000000] rtas fadump: Firmware-assisted dump is active.
[    0.000000] Kernel command line: root=/dev/sda1 fadump=on
[    1.204217] x
"
    );
    assert_eq!(boots(&fadump)[1], "0 Capture 10-14 Open CaptureKernel@11");
    // kexec -e.
    let kexec = format!("{FIRST}[   99.504213] kexec_core: Starting new kernel\n{AGAIN}");
    assert_eq!(
        boots(&kexec),
        [
            "0 First 1-7 Restarted FirstKernel@1 Armed@6",
            "1 First 8-12 Open FirstKernel@8"
        ]
    );
    // The decompressor speaks in kexec too.
    let loud = CAPTURE.replacen(
        "[    0.000000] Linux",
        "early console in extract_kernel\nDecompressing Linux... done.\n[    0.000000] Linux",
        1,
    );
    assert_eq!(
        boots(&format!("{FIRST}{PANIC}{loud}"))[1],
        "0 Capture 10-21 Restarted CaptureKernel@10 CaptureDrivers@15 Saving@16 Saved@20"
    );
}

/// The crash is missing: the session was cut.
#[test]
fn a_capture_kernel_without_a_crash() {
    assert_eq!(
        boots(&format!("{FIRST}{CAPTURE}")),
        [
            "0 First 1-6 Kexec FirstKernel@1 Armed@6",
            "0 Capture 7-16 Restarted CaptureKernel@7 CaptureDrivers@10 Saving@11 Saved@15"
        ]
    );
}

/// Prose in another language and in English.
#[test]
fn excerpts_with_text_between() {
    let log = "It died like this in the kernel that is there for the dump:
[   17.428239] kernel BUG at x.c:1!
[   18.135825] Rebooting in 30 seconds..
and this is what we see in the log of the other kernel, which is the first:
[   11.056440] mpt3sas version 21.00.00.00 loaded
[   11.062317] mpt3sas_cm0: 64 BIT PCI BUS DMA ADDRESSING SUPPORTED, total mem (393786508 kB)
and then again, with more text that is printed by the driver:
[   17.397195] mpt3sas0: new add vector: 214
[   18.306304] mpt3sas_cm0: 32 BIT PCI BUS DMA ADDRESSING SUPPORTED, total mem (496792 kB)
";
    assert_eq!(
        boots(log),
        [
            "0 Capture 1-9 Panicked CaptureKernel@2",
            "0 First 5-7 Open FirstKernel@5"
        ]
    );
}

fn piece() -> impl Strategy<Value = String> {
    let texts = Boots::LITERALS;
    prop_oneof![
        (0..texts.len()).prop_map(move |at| format!("{}5.1 x", texts[at])),
        (0u64..40, 0..texts.len()).prop_map(move |(s, at)| format!(
            "[{s:5}.{:06}] {}8 y",
            s * 7919 % 999_999,
            texts[at]
        )),
        (0u64..60).prop_map(|s| format!("[{s:5}.000001] line")),
        "\\PC{0,30}",
        proptest::sample::select(vec![FIRST, PANIC, CAPTURE, FIRMWARE, AGAIN])
            .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn whatever_comes(pieces in proptest::collection::vec(piece(), 0..60)) {
        let log = pieces.join("\n");
        let mut boots = Boots::new();
        let mut seen = Vec::new();
        let mut phase = Phase::Firmware;
        let mut current = 0;
        for (index, text) in log.lines().enumerate() {
            let number = index as u64 + 1;
            let step = boots.observe(LineRef::new(number, text), true);
            prop_assert!(step.cycle || boots.phase() >= phase);
            prop_assert_eq!(step.boot, boots.current() != current);
            phase = boots.phase();
            current = boots.current();
            seen.push((current, number));
        }
        let found = boots.finish();
        prop_assert!(found.boots.len() <= 128);
        for (current, number) in seen {
            if let Some((boot, _)) = found.place(current, number) {
                prop_assert!(boot < found.boots.len());
            }
        }
        let mut cycle = 0;
        for boot in &found.boots {
            prop_assert!(boot.first_line <= boot.last_line);
            prop_assert!(boot.phases.is_sorted_by_key(|began| (began.line.line, began.phase)));
            prop_assert!(boot.phases.is_sorted_by_key(|began| began.phase));
            prop_assert!(boot.cycle >= cycle);
            cycle = boot.cycle;
        }
    }

    /// A caller's filter changes nothing.
    #[test]
    fn lines_that_hold_no_literal_do_not_matter(pieces in proptest::collection::vec(piece(), 0..40)) {
        let log = pieces.join("\n");
        let mut boots = Boots::new();
        for (index, text) in log.lines().enumerate() {
            let matters = Boots::LITERALS.iter().any(|literal| text.contains(literal));
            boots.observe(LineRef::new(index as u64 + 1, text), matters);
        }
        prop_assert_eq!(boots.finish(), follow(log.lines()));
    }
}
