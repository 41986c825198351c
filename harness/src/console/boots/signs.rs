//! What a line says of boots: one table of texts, each with what it is a sign of.

use std::sync::LazyLock;

use memchr::memmem;

use super::Role;
use crate::console::LineRef;
use crate::console::filter::Filter;

/// How much a clue to the role of a kernel weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// Other kernels may print it too; nothing if the command line is known.
    Likely,
    /// Only one of the two kernels has a reason to print it.
    Certain,
    /// It makes the kernel what it is: its command line.
    Proof,
}

/// A hint at which kernel it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clue {
    pub(super) role: Role,
    pub(super) strength: Strength,
    /// Why it tells.
    pub(super) means: &'static str,
}

/// What a line is a sign of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// `Linux version 6.1.0`.
    FirstLine,
    /// Printed before `Linux version` by the same kernel: by the decompressor, or by arm's head.
    EarlyLine,
    /// `Command line: `, `Kernel command line: `.
    CommandLine,
    Firmware,
    /// A console was registered: the log may be printed once more.
    Console,
    /// Suspended or resumed.
    Sleep,
    Sysrq,
    Panic,
    Oops,
    /// Nothing follows a panic but waiting.
    PanicOver,
    /// Printed by panic() after it tried to start a capture kernel.
    KernelOffset,
    Halted,
    PoweringOff,
    Restarting,
    /// An ordinary kexec, or a reset after a panic.
    Leaving,
    /// The crashed kernel jumps into the capture kernel.
    Kexec,
    Armed,
    /// crashdrill's own /init.
    Drivers,
    /// Any other user space.
    UserSpace,
    /// `saving vmcore`, as kdump.sh and crashdrill print it, or kdump-tools' word for it.
    Saving,
    /// Another tool's word for the same.
    ForeignSaving,
    Saved,
    ForeignSaved,
    Clue(Clue),
}

/// Where in a line the text has to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Anywhere.
    Any,
    /// At the message's begin.
    Start,
    /// At the begin of a line without a time stamp: no kernel prints it.
    Bare,
}

/// Text, place, meaning.
type Row = (&'static str, At, Sign);

const fn first(means: &'static str) -> Sign {
    clue(Role::First, Strength::Certain, means)
}

const fn capture(means: &'static str) -> Sign {
    clue(Role::Capture, Strength::Certain, means)
}

const fn likely_capture(means: &'static str) -> Sign {
    clue(Role::Capture, Strength::Likely, means)
}

const fn clue(role: Role, strength: Strength, means: &'static str) -> Sign {
    Sign::Clue(Clue {
        role,
        strength,
        means,
    })
}

const ONE_CPU: &str = "one CPU is online, as nr_cpus=1 makes it in a capture kernel";
/// Which kernel it is depends on the number: see [`memory`].
const MEMORY: &str = "";
const VMCORE: &str = "only a capture kernel has /proc/vmcore";
const SAVES: &str = "a dump is saved in the capture kernel";
const RESERVED: &str = "memory is reserved for a capture kernel";
const LOADED: &str = "a capture kernel is loaded";

/// Sources: printk texts of Linux 3.10 to 6.12; kdump-utils' dracut module and kdumpctl,
/// kdump-tools, openSUSE's kdump, makedumpfile; SeaBIOS, GRUB, iPXE, EDK II, U-Boot, TF-A.
const ROWS: &[Row] = &[
    // A kernel begins.
    ("Linux version ", At::Any, Sign::FirstLine),
    ("Booting Linux on physical CPU", At::Start, Sign::EarlyLine),
    ("early console in ", At::Start, Sign::EarlyLine),
    ("Decompressing Linux", At::Start, Sign::EarlyLine),
    ("Uncompressing Linux", At::Start, Sign::EarlyLine),
    ("ommand line: ", At::Any, Sign::CommandLine),
    // The machine begins.
    ("SeaBIOS (", At::Bare, Sign::Firmware),
    ("iPXE ", At::Bare, Sign::Firmware),
    ("gPXE ", At::Bare, Sign::Firmware),
    ("PXE-E", At::Bare, Sign::Firmware),
    ("PXE-M", At::Bare, Sign::Firmware),
    ("PXELINUX ", At::Bare, Sign::Firmware),
    ("SYSLINUX ", At::Bare, Sign::Firmware),
    ("ISOLINUX ", At::Bare, Sign::Firmware),
    ("GRUB loading", At::Bare, Sign::Firmware),
    ("Welcome to GRUB", At::Bare, Sign::Firmware),
    ("GNU GRUB ", At::Bare, Sign::Firmware),
    ("Booting `", At::Bare, Sign::Firmware),
    ("Booting from ", At::Bare, Sign::Firmware),
    ("Loading Linux ", At::Bare, Sign::Firmware),
    ("Loading initial ramdisk", At::Bare, Sign::Firmware),
    ("BdsDxe: ", At::Bare, Sign::Firmware),
    ("EFI stub: ", At::Bare, Sign::Firmware),
    ("UEFI Interactive Shell", At::Bare, Sign::Firmware),
    ("UEFI firmware", At::Bare, Sign::Firmware),
    ("UEFI v", At::Bare, Sign::Firmware),
    ("American Megatrends", At::Bare, Sign::Firmware),
    ("AMIBIOS", At::Bare, Sign::Firmware),
    ("Phoenix ", At::Bare, Sign::Firmware),
    ("InsydeH2O", At::Bare, Sign::Firmware),
    ("System BIOS", At::Bare, Sign::Firmware),
    ("BIOS Version", At::Bare, Sign::Firmware),
    ("BIOS Date", At::Bare, Sign::Firmware),
    ("POST Code", At::Bare, Sign::Firmware),
    ("coreboot-", At::Bare, Sign::Firmware),
    ("U-Boot ", At::Bare, Sign::Firmware),
    ("NOTICE:  BL", At::Bare, Sign::Firmware),
    ("Press F2 ", At::Bare, Sign::Firmware),
    ("Press <DEL>", At::Bare, Sign::Firmware),
    // The log is printed once more, or the clock stands still.
    ("console [", At::Any, Sign::Console),
    ("PM: suspend ", At::Any, Sign::Sleep),
    ("PM: resume ", At::Any, Sign::Sleep),
    ("PM: Syncing filesystems", At::Any, Sign::Sleep),
    ("PM: hibernation", At::Any, Sign::Sleep),
    ("Low-level resume complete", At::Any, Sign::Sleep),
    // The kernel ends.
    ("Trigger a crash", At::Any, Sign::Sysrq),
    ("Kernel panic - not syncing", At::Any, Sign::Panic),
    ("Oops: ", At::Any, Sign::Oops),
    ("Oops [#", At::Any, Sign::Oops),
    ("Oops[#", At::Any, Sign::Oops),
    ("Kernel BUG [#", At::Any, Sign::Oops),
    ("Internal error: ", At::Any, Sign::Oops),
    ("invalid opcode: ", At::Any, Sign::Oops),
    ("protection fault", At::Any, Sign::Oops),
    ("divide error: ", At::Any, Sign::Oops),
    ("double fault: ", At::Any, Sign::Oops),
    ("stack segment: ", At::Any, Sign::Oops),
    ("alignment check: ", At::Any, Sign::Oops),
    ("segment not present: ", At::Any, Sign::Oops),
    ("invalid TSS: ", At::Any, Sign::Oops),
    ("simd exception: ", At::Any, Sign::Oops),
    ("fpu exception: ", At::Any, Sign::Oops),
    ("control protection", At::Any, Sign::Oops),
    ("int3: ", At::Any, Sign::Oops),
    ("bounds: ", At::Any, Sign::Oops),
    ("Rebooting in ", At::Start, Sign::PanicOver),
    ("---[ end Kernel panic", At::Start, Sign::PanicOver),
    ("Kernel Offset: ", At::Start, Sign::KernelOffset),
    ("System halted", At::Start, Sign::Halted),
    ("reboot: System halted", At::Start, Sign::Halted),
    ("Power down", At::Start, Sign::PoweringOff),
    ("reboot: Power down", At::Start, Sign::PoweringOff),
    ("Restarting system", At::Start, Sign::Restarting),
    ("reboot: Restarting system", At::Start, Sign::Restarting),
    ("Starting new kernel", At::Any, Sign::Leaving),
    ("I/O RESET_REG", At::Any, Sign::Leaving),
    ("Starting crashdump kernel", At::Any, Sign::Kexec),
    ("Loading crashdump kernel", At::Any, Sign::Kexec),
    ("I'm in purgatory", At::Any, Sign::Kexec),
    // kdump goes on.
    ("kexec: loaded kdump kernel", At::Any, Sign::Armed),
    ("]: loaded kdump kernel", At::Any, Sign::Armed),
    ("Crash recovery kernel arming.", At::Any, Sign::Armed),
    ("Finished kdump.service", At::Any, Sign::Armed),
    ("Starting kdump: [OK]", At::Any, Sign::Armed),
    ("Starting kdump: [  OK  ]", At::Any, Sign::Armed),
    ("Kdump: loaded", At::Any, Sign::Armed),
    (
        "crashdrill capture init: loading drivers",
        At::Any,
        Sign::Drivers,
    ),
    ("as init process", At::Any, Sign::UserSpace),
    ("running in system mode", At::Any, Sign::UserSpace),
    ("dracut", At::Any, Sign::UserSpace),
    ("udevd[", At::Any, Sign::UserSpace),
    ("Starting udev", At::Any, Sign::UserSpace),
    ("Loading, please wait...", At::Start, Sign::UserSpace),
    (": saving vmcore", At::Any, Sign::Saving),
    // RHEL 6's /init.
    ("Saving to the local filesystem ", At::Start, Sign::Saving),
    ("Saving to partition ", At::Start, Sign::Saving),
    ("Saving core complete", At::Any, Sign::Saved),
    ("saving to /", At::Any, Sign::ForeignSaving),
    ("running makedumpfile", At::Any, Sign::ForeignSaving),
    ("running makedumpfile", At::Any, Sign::Saving),
    ("Copying data", At::Any, Sign::ForeignSaving),
    (": saving vmcore complete", At::Any, Sign::Saved),
    ("saved vmcore in ", At::Any, Sign::Saved),
    ("The dumpfile is saved to", At::Any, Sign::ForeignSaved),
    ("saved vmcore", At::Any, Sign::ForeignSaved),
    ("Saved vmcore", At::Any, Sign::ForeignSaved),
    // Which kernel it is: the first.
    ("for crashkernel", At::Any, first(RESERVED)),
    ("crashkernel reserved: ", At::Any, first(RESERVED)),
    (
        "crashkernel reservation failed",
        At::Any,
        first("it was told to reserve memory for a capture kernel"),
    ),
    ("kexec: loaded kdump kernel", At::Any, first(LOADED)),
    ("]: loaded kdump kernel", At::Any, first(LOADED)),
    ("Kdump: loaded", At::Any, first(LOADED)),
    ("Crash recovery kernel arming.", At::Any, first(LOADED)),
    ("Starting kdump: [", At::Any, first(LOADED)),
    // Which kernel it is: the capture kernel. RHEL's `crash memory driver` is none: that module
    // serves the crash utility on a live system.
    ("Kdump: vmcore ", At::Any, capture(VMCORE)),
    ("/proc/vmcore", At::Any, capture(VMCORE)),
    (
        "for elfcorehdr",
        At::Any,
        capture("the first kernel left the description of its memory to it"),
    ),
    ("kdump: saving ", At::Any, capture(SAVES)),
    (": saving vmcore", At::Any, capture(SAVES)),
    ("Saving to the local filesystem ", At::Start, capture(SAVES)),
    ("Saving to partition ", At::Start, capture(SAVES)),
    ("Kdump Vmcore Save Service", At::Any, capture(SAVES)),
    ("Starting kdump save", At::Any, capture(SAVES)),
    ("save kernel crash dump", At::Any, capture(SAVES)),
    ("running makedumpfile", At::Any, capture(SAVES)),
    ("Copying data", At::Any, capture(SAVES)),
    ("The dumpfile is saved to", At::Any, capture(SAVES)),
    (
        "dracut: kdump",
        At::Any,
        capture("kdump's part of the initramfs runs"),
    ),
    (
        "kdump.sh",
        At::Any,
        capture("kdump's part of the initramfs runs"),
    ),
    (
        "crashdrill capture init: ",
        At::Any,
        capture("crashdrill's /init says so"),
    ),
    (
        "Firmware-assisted dump is active",
        At::Any,
        capture("the firmware kept the first kernel's memory"),
    ),
    ("no of cores: 1,", At::Any, likely_capture(ONE_CPU)),
    ("nr_cpu_ids=1.", At::Any, likely_capture(ONE_CPU)),
    ("Memory: ", At::Start, likely_capture(MEMORY)),
    ("total mem (", At::Any, likely_capture(MEMORY)),
];

const TEXTS: [&str; ROWS.len()] = {
    let mut texts = [""; ROWS.len()];
    let mut at = 0;
    while at < ROWS.len() {
        texts[at] = ROWS[at].0;
        at += 1;
    }
    texts
};

/// A line without any of these texts says nothing of boots but by its clock.
pub(super) const LITERALS: &[&str] = &TEXTS;

/// One pass finds all texts of the table, in any case.
static FINDER: LazyLock<Option<Filter>> = LazyLock::new(|| Filter::new(TEXTS).ok());

/// What the line is a sign of.
pub(super) fn signs(line: LineRef<'_>) -> Vec<Sign> {
    let Some(finder) = FINDER.as_ref() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    finder.find(line.text(), line.stamp_length(), |row| found.push(row));
    found.sort_unstable();
    found.dedup();
    let rows = found.into_iter().filter_map(|row| ROWS.get(row));
    let text = line.text().as_bytes();
    rows.filter(|row| memmem::find(text, row.0.as_bytes()).is_some())
        .filter_map(|row| sign(line, row))
        .collect()
}

fn sign(line: LineRef<'_>, (text, at, sign): &Row) -> Option<Sign> {
    let message = line.message();
    let there = match at {
        At::Any => true,
        At::Start => message.starts_with(text),
        At::Bare => line.stamp().is_none() && message.trim_start().starts_with(text),
    };
    let holds = there
        && match sign {
            Sign::FirstLine => first_line(line).is_some(),
            Sign::CommandLine => command_line(line).is_some(),
            Sign::Console => message.contains(" enabled") || message.contains("] disabled"),
            Sign::Panic => !message.contains("end Kernel panic"),
            Sign::Oops => is_oops(message),
            // kdump-tools, which runs it for the log alone before.
            Sign::Saving if *text == "running makedumpfile" => {
                message.contains("kdump-tools") && !message.contains("--dump-dmesg")
            }
            Sign::Saved if *text == "saved vmcore in " => message.contains("kdump-tools"),
            Sign::Saving if *text == ": saving vmcore" => {
                message.contains("kdump") && message.trim_end().ends_with(": saving vmcore")
            }
            Sign::Saved if text.starts_with(':') => message.contains("kdump"),
            Sign::ForeignSaved => !message.contains("vmcore-dmesg"),
            Sign::ForeignSaving if *text == "saving to /" => message.contains("kdump"),
            // Unit files name it as a condition; systemd quotes them in the first kernel.
            Sign::Clue(_) if *text == "/proc/vmcore" => !message.contains("ondition"),
            Sign::Clue(_) if *text == ": saving vmcore" => message.contains("kdump"),
            Sign::Clue(_) if *text == "for crashkernel" => message.contains("Reserving "),
            Sign::Clue(_) if *text == "for elfcorehdr" => message.contains("Reserving "),
            // systemd tells in the first kernel too that it skipped the unit.
            Sign::Clue(_) if *text == "Kdump Vmcore Save Service" => message.contains("Start"),
            Sign::Clue(_) if *text == "Starting kdump: [" => message.contains("OK"),
            _ => true,
        };
    match sign {
        _ if !holds => None,
        Sign::Clue(clue) if clue.means.is_empty() => memory(message).map(Sign::Clue),
        sign => Some(*sign),
    }
}

/// The kernel's first line as it was printed, and its stamp: firmware's last words may stand
/// before it in the same line. None for the text that /proc/version gives later.
pub(super) fn first_line<'a>(line: LineRef<'a>) -> Option<(&'a str, Option<u64>)> {
    let text = line.text();
    let at = text.find("Linux version ")?;
    let version = text.get(at..)?;
    version
        .as_bytes()
        .get("Linux version ".len())
        .filter(|byte| byte.is_ascii_digit())?;
    let stamp = match line.stamp() {
        Some(stamp) => Some(stamp),
        None => embedded_stamp(text.get(..at)?),
    };
    // A second: the first line comes before the clock runs.
    (stamp.is_none_or(|stamp| stamp < super::DISORDER)).then_some((version, stamp))
}

/// The time stamp that the text ends with.
fn embedded_stamp(text: &str) -> Option<u64> {
    let at = text.trim_end().rfind('[')?;
    LineRef::new(0, text.get(at..)?).stamp()
}

/// The parameters of a line that prints the kernel's command line.
pub(super) fn command_line<'a>(line: LineRef<'a>) -> Option<&'a str> {
    let (before, parameters) = line.text().split_once("ommand line: ")?;
    let before = before
        .strip_suffix("Kernel c")
        .or_else(|| before.strip_suffix('C'))?;
    let whole = match before.trim_end() {
        "" => true,
        before => line.message().starts_with(['C', 'K']) || before.ends_with(']'),
    };
    whole.then(|| parameters.trim())
}

/// The header that die() prints for every fatal trap: `Oops: 0002 [#1] SMP`,
/// `invalid opcode: 0000 [#1] SMP`, `general protection fault, … : 0000 [#1] PREEMPT SMP`;
/// powerpc's `Oops: Kernel access of bad area, sig: 11 [#1]`, riscv's `Oops [#1]`.
fn is_oops(message: &str) -> bool {
    let plain = ["Oops", "Kernel BUG [#"];
    if plain.iter().any(|start| message.starts_with(start)) {
        return message.contains("[#");
    }
    message
        .split_once(" [#")
        .and_then(|(title, _)| title.rsplit_once(": "))
        .is_some_and(|(_, code)| {
            let code = code.strip_prefix("0x").unwrap_or(code);
            code.len() >= 4 && code.bytes().all(|b| b.is_ascii_hexdigit())
        })
}

/// Memory of the kernel, by mem_init()'s line or mpt3sas': a capture kernel has what crashkernel=
/// reserved. Of `Memory: 240788k/917504k available` the second is the highest address on 3.10,
/// the first what is free.
fn memory(message: &str) -> Option<Clue> {
    const GIB: u64 = 1 << 20;
    let text = match message.split_once("total mem (") {
        Some((_, text)) => text,
        None if message.contains("available") => message.strip_prefix("Memory: ")?,
        None => return None,
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = text.get(digits..)?.trim_start();
    if !unit.starts_with(['k', 'K']) {
        return None;
    }
    let kib: u64 = text.get(..digits)?.parse().ok()?;
    if kib < GIB {
        Some(Clue {
            role: Role::Capture,
            strength: Strength::Likely,
            means: "less than 1 GiB of memory, which is what crashkernel= reserves",
        })
    } else if kib > 8 * GIB {
        Some(Clue {
            role: Role::First,
            strength: Strength::Certain,
            means: "more memory than anyone reserves for a capture kernel",
        })
    } else {
        None
    }
}

/// What a command line tells.
pub(super) fn parameters_clue(parameters: &str) -> Option<Clue> {
    let mut clue = None;
    for word in parameters.split_ascii_whitespace() {
        if word.starts_with("elfcorehdr=") {
            return Some(Clue {
                role: Role::Capture,
                strength: Strength::Proof,
                means: "elfcorehdr= tells a capture kernel where the first kernel's memory is",
            });
        }
        // arm64 has elfcorehdr in its device tree and s390 at a fixed place.
        if matches!(word, "reset_devices" | "novmcoredd") {
            clue = Some(Clue {
                role: Role::Capture,
                strength: Strength::Certain,
                means: "a parameter that kdump gives to capture kernels",
            });
        } else if word.starts_with("crashkernel=") {
            clue = clue.or(Some(Clue {
                role: Role::First,
                strength: Strength::Proof,
                means: "crashkernel= without elfcorehdr= is the first kernel's",
            }));
        }
    }
    clue
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_long_enough_for_a_filter() {
        assert!(
            LITERALS
                .iter()
                .all(|text| text.len() >= 5 && text.is_ascii())
        );
    }

    #[test]
    fn clues() {
        let clue = |text: &str| {
            let signs = signs(LineRef::new(1, text));
            signs.into_iter().find_map(|sign| match sign {
                Sign::Clue(clue) => Some((clue.role, clue.strength)),
                _ => None,
            })
        };
        let capture = Some((Role::Capture, Strength::Certain));
        let likely = Some((Role::Capture, Strength::Likely));
        let first = Some((Role::First, Strength::Certain));
        for (text, wanted) in [
            (
                "kdump: saving to /sysroot//var/crash/127.0.0.1-2020-01-01-00:00:00/",
                capture,
            ),
            ("kdump[512]: saving vmcore-dmesg.txt", capture),
            ("         Starting Kdump Vmcore Save Service...", capture),
            ("Kdump: vmcore not initialized", capture),
            (
                "kdump-tools[301]: running makedumpfile -c -d 31 /proc/vmcore /var/crash/d",
                capture,
            ),
            (
                "systemd[1]: kdump-save.service: skipped, unmet condition check (ConditionPathExists=/proc/vmcore)",
                None,
            ),
            (
                "[    0.0] Memory: 240788k/917504k available (3397k kernel code)",
                None,
            ),
            (
                "[    0.000000] Memory: 240788k/917504k available (3397k kernel code)",
                likely,
            ),
            (
                "[   18.306304] mpt3sas_cm0: 32 BIT PCI BUS DMA ADDRESSING SUPPORTED, total mem (496792 kB)",
                likely,
            ),
            (
                "[   11.062317] mpt3sas_cm0: 64 BIT PCI BUS DMA ADDRESSING SUPPORTED, total mem (393786508 kB)",
                first,
            ),
            ("[    0.000000] Memory: 3979000K/4194304K available", None),
            (
                "[    0.000000] Reserving 256MB of memory at 640MB for crashkernel (System RAM: 1023MB)",
                first,
            ),
            (
                "[    0.000000] crashkernel reserved: 0x0000000072000000 - 0x0000000080000000 (224 MB)",
                first,
            ),
            (
                "CPU: 3 PID: 1 Comm: init Kdump: loaded Not tainted 6.1.0",
                first,
            ),
            ("crash memory driver: version 1.2", None),
        ] {
            assert_eq!(clue(text), wanted, "{text}");
        }
    }

    #[test]
    fn oops_headers() {
        for header in [
            "invalid opcode: 0000 [#1] SMP ",
            "Oops: 0002 [#1] PREEMPT SMP NOPTI",
            "general protection fault, probably for non-canonical address 0xdead: 0000 [#2] SMP",
            "Internal error: Oops: 96000044 [#1] SMP",
            "Internal error: Oops: 0000000096000044 [#1] SMP",
            "Oops: general protection fault, maybe for address 0x0: 0000 [#1] SMP",
        ] {
            assert!(is_oops(header), "{header}");
        }
        assert!(!is_oops("usb: port [#1] reset"));
        assert!(!is_oops("a: b [#1]: c"));
    }
}
