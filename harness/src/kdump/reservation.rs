//! All crashkernel= parameters of a command line together: which counts, and what the kernel
//! reserves with so much memory and says about it.
//!
//! RHEL 7: kernel/kexec.c and arch/x86/kernel/setup.c of 3.10.0-514. Newer: kernel/crash_core.c,
//! arch/x86/kernel/setup.c of 6.1.

use std::ops::Range;

use super::crashkernel::{Crashkernel, CrashkernelError, Reserved};
use super::flavour::Flavour;
use super::words::kernel_words_at;
use crate::units::Bytes;

/// One crashkernel= parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The bytes of the command line that hold its value.
    pub at: Range<usize>,
    /// Which of the kernel's four it is.
    pub form: Form,
    /// Its value.
    pub value: Result<Crashkernel, CrashkernelError>,
}

/// The kernel looks for each form on its own, and takes the last of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Neither of the others: if it is good, the others do not count.
    Plain,
    /// `size,high`.
    High,
    /// `size,low`: counts with a `,high` alone.
    Low,
    /// `size,cma`, of Linux 6.17: comes on top of what another one reserves.
    Cma,
}

/// What the kernel makes of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// All crashkernel= parameters, from left to right.
    pub parameters: Vec<Parameter>,
    /// The one of them that decides, if any is good.
    pub decides: Option<usize>,
    /// How much is reserved; absent when that depends on the memory, which is not known.
    pub reserved: Option<Reserved>,
    /// What the kernel says about it. `…` stands for addresses.
    pub says: Vec<String>,
}

/// Reads a kernel command line. `memory` is what the machine has.
pub fn reservation(line: &str, memory: Option<Bytes>, flavour: Flavour) -> Reservation {
    let parameters: Vec<Parameter> = kernel_words_at(line)
        .into_iter()
        .filter_map(|word| {
            let value = line[word.clone()].strip_prefix("crashkernel=")?;
            Some(parameter(value, word.end - value.len(), flavour))
        })
        .collect();
    let mut says = Vec::new();
    let last = |form| parameters.iter().rposition(|it| it.form == form);
    // A plain one that is wrong does not keep a `,high` one from counting.
    let decides = [last(Form::Plain), last(Form::High)]
        .into_iter()
        .flatten()
        .find(|nth| match &parameters[*nth].value {
            Ok(_) => true,
            Err(error) => {
                says.push(format!("crashkernel: {}", error.complaint));
                false
            }
        });
    let value = decides.and_then(|nth| parameters[nth].value.as_ref().ok());
    let reserved = match value {
        None => Some(Reserved::Nothing),
        Some(value) => of(value, memory, flavour, &mut says),
    };
    Reservation {
        parameters,
        decides,
        reserved,
        says,
    }
}

/// Quotes are a part of the value: parse_crashkernel() looks at the line itself.
fn parameter(value: &str, start: usize, flavour: Flavour) -> Parameter {
    let at = start..start + value.len();
    // To the older ones it is a plain one with a letter too much.
    let has_cma = matches!(
        flavour,
        Flavour::Fedora | Flavour::Debian | Flavour::Opensuse
    );
    let (size, form) = match value.rsplit_once(',') {
        Some((size, "high")) => (size, Form::High),
        Some((size, "low")) => (size, Form::Low),
        Some((size, "cma")) if has_cma => (size, Form::Cma),
        _ => (value, Form::Plain),
    };
    let value = match form {
        Form::Cma => size.parse(),
        Form::Low => {
            // Zero means none below 4 GiB.
            match size.parse::<Bytes>() {
                Ok(size) => Ok(Crashkernel::High {
                    size: Bytes(0),
                    low: Some(size),
                }),
                Err(_) => size.parse(),
            }
        }
        // A word of crashdrill's own, not of the kernel's.
        _ if value == "none" => Err(CrashkernelError {
            complaint: "Memory value expected",
            help: "leave the parameter out",
            at: 0..value.len(),
        }),
        _ => value.parse(),
    };
    Parameter { at, form, value }
}

/// Below this, RHEL 6 and 7 reserve nothing for `auto` (RHEL 6 Deployment Guide 32.2.3, RHEL 7
/// Kernel Crash Dump Guide B.2). It is what the machine has that counts: kernels of CentOS 7 that
/// print "System RAM: 2047MB" reserve.
const AUTO_THRESHOLD: u64 = 2 * Bytes::GIB;
const TIB: u64 = 1 << 40;

/// What `crashkernel=auto` reserves, a patch of RHEL 6 to 8; `None` for kernels that do not know
/// it. On x86_64, without the additions for encrypted memory.
pub fn auto(memory: Bytes, flavour: Flavour) -> Option<Bytes> {
    let Bytes(memory) = memory;
    Some(Bytes(match flavour {
        Flavour::Rhel6 | Flavour::Rhel7 if memory < AUTO_THRESHOLD => 0,
        // Two bits for every 4 KiB, which is 64 MB for each TB, rounded up. Seen: 129 MB with 9216
        // MB on RHEL 6; 161 MB with 2047 to 12283 MB, 168 MB with 130524 MB on RHEL 7.
        Flavour::Rhel6 => (128 + memory.div_ceil(TIB / 64)) * Bytes::MIB,
        Flavour::Rhel7 => (160 + memory.div_ceil(TIB / 64)) * Bytes::MIB,
        // 8.3's 1G-4G:160M,4G-64G:192M,64G-1T:256M,1T-:512M.
        Flavour::Rhel8 => match memory {
            m if m < Bytes::GIB => 0,
            m if m < 4 * Bytes::GIB => 160 * Bytes::MIB,
            m if m < 64 * Bytes::GIB => 192 * Bytes::MIB,
            m if m < TIB => 256 * Bytes::MIB,
            _ => 512 * Bytes::MIB,
        },
        _ => return None,
    }))
}

/// What a kernel counts of a machine's memory before it looks for a range. Old ones lack what the
/// firmware keeps, which is a mebibyte at the very least; new ones round up to 128 MiB.
fn counted(memory: Bytes, flavour: Flavour) -> Bytes {
    const ROUND: u64 = 128 * Bytes::MIB;
    match flavour {
        Flavour::Rhel6 | Flavour::Rhel7 => Bytes(memory.0.saturating_sub(Bytes::MIB)),
        _ => Bytes(memory.0.div_ceil(ROUND).saturating_mul(ROUND)),
    }
}

/// Without `,high` a kernel before 5.2 looks below this alone (arch/x86/kernel/setup.c).
const LOW_LIMIT: Bytes = Bytes(896 * Bytes::MIB);

fn of(
    value: &Crashkernel,
    memory: Option<Bytes>,
    flavour: Flavour,
    says: &mut Vec<String>,
) -> Option<Reserved> {
    let old = matches!(flavour, Flavour::Rhel6 | Flavour::Rhel7);
    let counted = memory.map(|memory| counted(memory, flavour));
    let size = match value {
        Crashkernel::None => Bytes(0),
        Crashkernel::Simple { size, .. } | Crashkernel::High { size, .. } => *size,
        Crashkernel::Auto => {
            let known = auto(Bytes(0), flavour).is_some();
            if !known {
                says.push("crashkernel: memory value expected".to_owned());
                return Some(Reserved::Nothing);
            }
            auto(if old { memory? } else { counted? }, flavour)?
        }
        Crashkernel::Ranges { .. } => match value.reserved(counted?) {
            Reserved::Bytes(size) => size,
            _ => Bytes(0),
        },
    };
    if size == Bytes(0) {
        says.extend(
            match value {
                Crashkernel::Auto => {
                    Some("crashkernel=auto resulted in zero bytes of reserved memory.")
                }
                Crashkernel::Ranges { .. } if !old => {
                    Some("crashkernel size resulted in zero bytes")
                }
                _ => None,
            }
            .map(str::to_owned),
        );
        return Some(Reserved::Nothing);
    }
    let high = matches!(value, Crashkernel::High { .. });
    let nowhere = memory.is_some_and(|memory| size >= memory) || (old && !high && size > LOW_LIMIT);
    if nowhere {
        says.push("crashkernel reservation failed - No suitable area found.".to_owned());
        return Some(Reserved::Nothing);
    }
    let mib = size.0 / Bytes::MIB;
    says.push(if old || matches!(flavour, Flavour::Rhel8) {
        let ram = counted.map_or("…".to_owned(), |Bytes(ram)| {
            (ram / Bytes::MIB).to_string()
        });
        format!("Reserving {mib}MB of memory at …MB for crashkernel (System RAM: {ram}MB)")
    } else {
        format!("crashkernel reserved: 0x… - 0x… ({mib} MB)")
    });
    Some(Reserved::Bytes(size))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const G: u64 = Bytes::GIB;
    const M: u64 = Bytes::MIB;

    fn reserved(line: &str, memory: u64, flavour: Flavour) -> (Option<u64>, Vec<String>) {
        let found = reservation(line, Some(Bytes(memory)), flavour);
        let size = match found.reserved.unwrap() {
            Reserved::Bytes(Bytes(size)) => Some(size / M),
            Reserved::Nothing => None,
            Reserved::KernelDecides => panic!("{line}"),
        };
        (size, found.says)
    }

    #[test]
    fn auto_by_flavour() {
        for (flavour, memory, size) in [
            (Flavour::Rhel6, 2 * G - 1, Some(0)),
            (Flavour::Rhel6, 4 * G, Some(129)),
            (Flavour::Rhel6, 9216 * M, Some(129)),
            (Flavour::Rhel6, 2 << 40, Some(256)),
            (Flavour::Rhel7, 2 * G - 1, Some(0)),
            (Flavour::Rhel7, 2 * G, Some(161)),
            (Flavour::Rhel7, 12 * G, Some(161)),
            (Flavour::Rhel7, 130_524 * M, Some(168)),
            (Flavour::Rhel7, 1 << 40, Some(224)),
            (Flavour::Rhel8, G, Some(160)),
            (Flavour::Rhel8, 64 * G, Some(256)),
            (Flavour::Rhel9, 64 * G, None),
            (Flavour::Debian, 64 * G, None),
        ] {
            let size = size.map(|size| Bytes(size * M));
            assert_eq!(auto(Bytes(memory), flavour), size, "{flavour} {memory}");
        }
        let (size, says) = reserved("crashkernel=auto", 2 * G, Flavour::Rhel7);
        assert_eq!(size, Some(161), "the kernel counts a little less than 2G");
        assert!(says[0].contains("Reserving 161MB") && says[0].contains("2047MB"));
        let (size, says) = reserved("crashkernel=auto", G, Flavour::Rhel7);
        assert_eq!(size, None);
        assert_eq!(
            says,
            ["crashkernel=auto resulted in zero bytes of reserved memory."]
        );
        let (size, says) = reserved("crashkernel=auto", 8 * G, Flavour::Rhel9);
        assert_eq!((size, says.len()), (None, 1));
    }

    #[test]
    fn which_parameter_counts() {
        for (line, size) in [
            ("ro quiet", None),
            ("crashkernel=128M x crashkernel=256M", Some(256)),
            ("crashkernel=512M,high crashkernel=72M,low", Some(512)),
            ("crashkernel=72M,low", None),
            ("crashkernel=128M crashkernel=512M,high", Some(128)),
            ("crashkernel=128MB crashkernel=512M,high", Some(512)),
            ("xcrashkernel=128M", None),
            ("crashkernel=none", None),
            ("crashkernel=\"192M\"", None),
            ("crashkernel=256M crashkernel=512M,cma", None),
        ] {
            assert_eq!(reserved(line, 8 * G, Flavour::Rhel7).0, size, "{line}");
        }
        let with_cma = "crashkernel=256M crashkernel=512M,cma";
        assert_eq!(reserved(with_cma, 8 * G, Flavour::Fedora).0, Some(256));
        let cma_alone = "crashkernel=512M,cma";
        assert_eq!(reserved(cma_alone, 8 * G, Flavour::Fedora).0, None);
    }

    #[test]
    fn messages() {
        let says = |line, memory, flavour| reserved(line, memory, flavour).1;
        assert_eq!(
            says("crashkernel=256M", 4 * G, Flavour::Rhel7),
            ["Reserving 256MB of memory at …MB for crashkernel (System RAM: 4095MB)"]
        );
        assert_eq!(
            says("crashkernel=256M", 4 * G, Flavour::Rhel9),
            ["crashkernel reserved: 0x… - 0x… (256 MB)"]
        );
        assert_eq!(
            says("crashkernel=1G", 64 * G, Flavour::Rhel7),
            ["crashkernel reservation failed - No suitable area found."]
        );
        assert_eq!(
            says("crashkernel=2G-64G:256M", G, Flavour::Fedora),
            ["crashkernel size resulted in zero bytes"]
        );
        assert_eq!(
            says("crashkernel=256MB", G, Flavour::Rhel7),
            ["crashkernel: unrecognized char"]
        );
        // Old kernels do not reach the range's start, new ones round up to it.
        let line = "crashkernel=4G-:256M";
        assert_eq!(reserved(line, 4 * G, Flavour::Rhel7).0, None);
        assert_eq!(reserved(line, 4 * G - 64 * M, Flavour::Rhel9).0, Some(256));
        assert_eq!(
            reservation(line, None, Flavour::Rhel7).reserved,
            None,
            "without the memory nobody knows"
        );
    }

    proptest! {
        #[test]
        fn never_panics(line in "(crashkernel=|[0-9]{1,20}|[KMGTx]|-|:|,high|,low|@|auto|\"| |\\PC){0,20}", memory: u64) {
            for flavour in Flavour::ALL {
                let found = reservation(&line, Some(Bytes(memory)), flavour);
                for parameter in found.parameters {
                    prop_assert!(line.get(parameter.at).is_some());
                }
            }
        }
    }
}
