//! Names and numbers of the kernel, in words.

use nix::errno::Errno;
use regex::Regex;
use std::sync::LazyLock;

use crate::console::boots::{Boot, BootEnd, Role};
use crate::verdict::outcome::Verdict;

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::VmcoreSaved => "A: dump was saved.",
        Verdict::NoVmcore => "The capture kernel came up and left no dump.",
        Verdict::CapturePanicked => "The capture kernel panicked.",
        Verdict::CaptureHung => "The capture kernel fell silent.",
        Verdict::CaptureOom => "The capture kernel ran out of memory.",
        Verdict::DumpTargetMissing => "The dump target did not appear, or could not be mounted.",
        Verdict::DumpFailed => "The dump could not be written, or is not complete.",
        Verdict::CaptureNeverStarted => "The kernel crashed and no capture kernel came up.",
        Verdict::NotArmed => "The capture kernel was not loaded.",
        Verdict::FirstKernelFailed => "The kernel did not come up.",
        Verdict::Unknown => "The log does not tell what came of it.",
    }
}

pub(super) fn role(boot: &Boot) -> &'static str {
    match boot.role {
        Role::First => "first kernel",
        Role::Capture => "capture kernel",
        Role::Unknown => "kernel",
    }
}

pub(super) fn end(end: BootEnd) -> &'static str {
    match end {
        BootEnd::Open => "how it ended is not in the log",
        BootEnd::Kexec => "started the capture kernel",
        BootEnd::Panicked => "panicked",
        BootEnd::Halted => "halted",
        BootEnd::PoweredOff => "powered off",
        BootEnd::Restarted => "restarted the machine",
        BootEnd::Reset => "reset without a word",
    }
}

/// Of a capture kernel's command line, which is long, the parameters that make it one.
pub(super) fn telling(text: &str) -> Option<String> {
    let telling: Vec<&str> = text
        .split_whitespace()
        .filter(|word| {
            ["elfcorehdr=", "reset_devices", "nr_cpus=", "maxcpus="]
                .iter()
                .any(|start| word.starts_with(start))
        })
        .collect();
    (!telling.is_empty()).then(|| format!("... {}", telling.join(" ... ")))
}

/// Whether a configuration for these distributions (`RHEL 7, 8, CentOS; then restart kdump`) is for
/// the one whose kernels have such releases. False where the release does not tell.
pub(super) fn is_for(on: &str, release: &str) -> bool {
    let names = |names: &[&str]| names.iter().any(|name| on.contains(name));
    let mut parts = release.split(['.', '-', '+', '_']);
    if let Some(version) = release.split('.').find_map(|part| {
        let version = part.strip_prefix("el")?.split(['_', '-']).next()?;
        version.parse::<u8>().ok()
    }) {
        let numbers: Vec<u8> = on
            .split(|char: char| !char.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        return names(&["RHEL", "CentOS"]) && (numbers.is_empty() || numbers.contains(&version));
    }
    let mut has = |marks: &[&str]| parts.any(|part| marks.contains(&part));
    match () {
        () if release.contains(".fc") => names(&["Fedora"]),
        () if release.ends_with("-default") => names(&["SLES", "SUSE"]),
        () if release.ends_with("-generic") => names(&["Ubuntu"]),
        () if has(&["amd64", "arm64", "cloud"]) => names(&["Debian"]),
        () => false,
    }
}

/// A kernel's clock, as printk writes it.
pub(super) fn stamp(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// `1 line`, `2 lines`.
pub(super) fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

/// Taint flags one by one (Documentation/admin-guide/tainted-kernels.rst; H and the other T are
/// RHEL's).
pub(super) fn taint(flags: &str) -> String {
    let mut words = Vec::new();
    for flag in flags.chars().filter(|flag| !flag.is_whitespace()) {
        words.push(
            match flag {
                'G' => "G: no proprietary module",
                'P' => "P: proprietary module",
                'F' => "F: module loaded by force",
                'S' => "S: CPU or system out of specification",
                'R' => "R: module removed by force",
                'M' => "M: machine check before",
                'B' => "B: bad page before",
                'U' => "U: asked for by user space",
                'D' => "D: oops or BUG before",
                'A' => "A: ACPI table overridden",
                'W' => "W: warning before",
                'C' => "C: staging driver",
                'I' => "I: workaround for a firmware bug",
                'O' => "O: out-of-tree module",
                'E' => "E: unsigned module",
                'L' => "L: soft lockup before",
                'K' => "K: live patched",
                'X' => "X: the distribution's own flag",
                'T' => "T: randomized structs, or RHEL's technology preview",
                'N' => "N: a test ran in the kernel",
                'J' => "J: fwctl debugging from user space",
                'H' => "H: hardware that RHEL does not support",
                other => {
                    words.push(format!("{other}: not known"));
                    continue;
                }
            }
            .to_owned(),
        );
    }
    words.join("; ")
}

/// A negative number that something is said to have failed with. `irq -1` is none.
static FAILED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?ix) \b (?: err(?:or|no)? | ret(?:urn(?:ed|s)?|val|code)? | rc | r | res(?:ult)? | status | code
          | fail(?:ed|ure|s)? | unable | can(?:no|')t | could\ not ) \b
          (?: [^-]* | .*? [\s(\[=:,] ) ( -[0-9]{1,3} ) (?: $ | [^0-9.:\w-] | [.:](?:\s|$) )",
    )
    .ok()
});

/// Where in a line an error number ends, and its name: `status: -28` is ENOSPC.
pub(super) fn errno(text: &str) -> Option<(usize, String)> {
    let number = FAILED.as_ref()?.captures(text)?.get(1)?;
    if number.start() > 0 && !text[..number.start()].ends_with([' ', '(', '[', '=', ':', ',']) {
        return None;
    }
    let name = match number.as_str().strip_prefix('-')?.parse().ok()? {
        // -1 is what drivers return when they mean nothing by it; EPERM would mislead.
        0 | 1 => return None,
        // The kernel's own (include/linux/errno.h).
        512 => "ERESTARTSYS".to_owned(),
        517 => "EPROBE_DEFER".to_owned(),
        524 => "ENOTSUPP".to_owned(),
        number => match Errno::from_raw(number) {
            Errno::UnknownErrno => return None,
            errno => format!("{errno:?}"),
        },
    };
    (!text.contains(&name)).then(|| (number.end(), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_numbers_have_names() {
        for (text, wanted) in [
            (
                "mpt3sas0: unable to allocate interrupt 214, r: -38!",
                Some("ENOSYS"),
            ),
            (
                "nvme nvme0: Removing after probe failure status: -28",
                Some("ENOSPC"),
            ),
            (
                "probe of 0000:00:05.0 failed with error -12",
                Some("ENOMEM"),
            ),
            (
                "Failed to allocate MSI-X interrupts. Err: -28",
                Some("ENOSPC"),
            ),
            (
                "mlx5_load_one failed with error code -110",
                Some("ETIMEDOUT"),
            ),
            ("foo: probe failed (-517)", Some("EPROBE_DEFER")),
            ("mpt3sas_cm0: pci_enable_msix failed (r=-1)", None),
            ("do_IRQ: 0.214 No irq handler for vector (irq -1)", None),
            ("no of cores: 1, max_msix_vectors: -1", None),
            ("failed with error -28 (ENOSPC)", None),
            ("error at 2017-12-24: -x", None),
            ("ata1: failed to recover 0-28", None),
            ("error -999", None),
            ("temperature -28", None),
        ] {
            let found = errno(text);
            assert_eq!(
                found.as_ref().map(|(_, name)| name.as_str()),
                wanted,
                "{text}"
            );
            if let Some((end, _)) = found {
                assert!(
                    text.is_char_boundary(end) && text[..end].contains('-'),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn taints_are_explained() {
        assert_eq!(
            taint("G  OE"),
            "G: no proprietary module; O: out-of-tree module; E: unsigned module"
        );
        assert_eq!(taint("~"), "~: not known");
        assert_eq!(taint(""), "");
    }

    #[test]
    fn a_capture_kernels_command_line_is_told_by_its_parameters() {
        assert_eq!(
            telling(
                "Command line: root=/dev/sda1 ro nr_cpus=1 quiet reset_devices elfcorehdr=867724K"
            )
            .as_deref(),
            Some("... nr_cpus=1 ... reset_devices ... elfcorehdr=867724K")
        );
        assert_eq!(telling("kdump: saving vmcore"), None);
    }

    #[test]
    fn a_kernels_release_tells_its_distribution() {
        let rhel = "RHEL 7, 8, 9, CentOS, Fedora; then systemctl restart kdump";
        for (on, release, wanted) in [
            (rhel, "3.10.0-693.5.2.el7.x86_64", true),
            (rhel, "4.18.0-553.el8_10.x86_64", true),
            (rhel, "2.6.32-754.el6.x86_64", false),
            (rhel, "6.1.0-13-amd64", false),
            (rhel, "6.8.5-301.fc40.x86_64", true),
            ("RHEL 6", "3.10.0-693.5.2.el7.x86_64", false),
            ("Debian, Ubuntu", "6.1.0-13-amd64", true),
            ("Debian, Ubuntu", "6.1.0-13-cloud-amd64", true),
            ("Debian, Ubuntu", "5.15.0-91-generic", true),
            ("Debian, Ubuntu", "5.14.21-150400.24.100-default", false),
            ("SLES, openSUSE", "5.14.21-150400.24.100-default", true),
            (rhel, "6.6.0", false),
        ] {
            assert_eq!(is_for(on, release), wanted, "{on}: {release}");
        }
    }

    #[test]
    fn clocks_are_printks() {
        assert_eq!(stamp(17_428_239), "17.428239");
        assert_eq!(stamp(5), "0.000005");
    }
}
