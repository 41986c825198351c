//! Vectors as the kernel itself has assigned them: debugfs has a file for each interrupt where the
//! kernel was built with CONFIG_GENERIC_IRQ_DEBUGFS. Distributions' kernels for every day are not;
//! their debug kernels are.
//!
//! Format: kernel/irq/debugfs.c (`irq_debug_show`) and, from Linux 4.15 on,
//! arch/x86/kernel/apic/vector.c (`x86_vector_debug_show`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crashdrill_guest::report::{Report, Source};
use nix::mount::{MsFlags, mount};

use crate::Init;

const DEBUGFS: &str = "/sys/kernel/debug";

/// One report for each vector of a PCI function or an interrupt line; none where the kernel does
/// not tell.
pub(crate) fn report(init: &mut Init) {
    // Mounted already, or not there: what can be read decides.
    let _ = mount(
        Some("debugfs"),
        DEBUGFS,
        Some("debugfs"),
        MsFlags::empty(),
        None::<&str>,
    );
    let directory = Path::new(DEBUGFS).join("irq/irqs");
    let Ok(entries) = fs::read_dir(&directory) else {
        return;
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut irqs: Vec<u32> = names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect();
    irqs.sort_unstable();
    let apic_ids = apic_ids(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default());
    for irq in irqs {
        let text = fs::read_to_string(directory.join(irq.to_string())).unwrap_or_default();
        if let Some(Assigned {
            source,
            cpu,
            vector,
        }) = assigned(&text)
        {
            init.report(&Report::Vector {
                source,
                cpu,
                apic: apic_ids.get(&cpu).copied().unwrap_or(cpu),
                vector,
            });
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Assigned {
    source: Source,
    cpu: u32,
    vector: u8,
}

/// An interrupt that is only reserved has `Vector: 0`; one that the old PIC delivers goes to no
/// CPU of its own.
fn assigned(text: &str) -> Option<Assigned> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    // The first of each name: further down come the domains above.
    let first = |name: &str| {
        let (_, value) = lines.clone().find(|(key, _)| key.trim() == name)?;
        Some(value.trim())
    };
    let vector = first("Vector")?
        .parse()
        .ok()
        .filter(|vector| *vector != 0)?;
    let cpu = first("Target")?.parse().ok()?;
    let device = first("device").and_then(|name| name.parse().ok());
    let source = match device {
        Some(source @ Source::Function(_)) => source,
        _ if first("domain")?.starts_with("IO-APIC") => {
            let pin = first("hwirq")?.strip_prefix("0x")?;
            Source::Line(u8::from_str_radix(pin, 16).ok()?)
        }
        _ => return None,
    };
    Some(Assigned {
        source,
        cpu,
        vector,
    })
}

/// CPUs by the kernel's numbers, which begin with the CPU that crashed.
fn apic_ids(cpuinfo: &str) -> BTreeMap<u32, u32> {
    let mut ids = BTreeMap::new();
    let mut cpu = None;
    for (key, value) in cpuinfo.lines().filter_map(|line| line.split_once(':')) {
        let number = value.trim().parse().ok();
        match (key.trim(), cpu, number) {
            ("processor", ..) => cpu = number,
            ("apicid", Some(cpu), Some(id)) => {
                ids.insert(cpu, id);
            }
            _ => {}
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As Linux 6.1 shows an interrupt of a virtual machine's device, and as 6.2 and later do, which
    /// have a domain for each device and its message besides.
    fn msi(device: &str, domain: &str, message: &str, vector: &str) -> String {
        format!(
            "handler:  handle_edge_irq
device:   {device}
status:   0x00000000
istate:   0x00004000
ddepth:   0
wdepth:   0
dstate:   0x1d401200
            IRQD_ACTIVATED
            IRQD_IRQ_STARTED
            IRQD_SINGLE_TARGET
node:     -1
affinity: 0
effectiv: 0
pending:\x20\x20
domain:  {domain}
 hwirq:   0x1
 chip:    PCI-MSI
  flags:   0x430
             IRQCHIP_SKIP_SET_WAKE
             IRQCHIP_ONESHOT_SAFE
{message} parent:
    domain:  VECTOR
     hwirq:   0x2d
     chip:    APIC
      flags:   0x0
     Vector:    {vector}
     Target:     2
     Previous vector:    49
     Previous target:    44
     move_in_progress: 0
     is_managed:       0
     can_reserve:      1
     has_reserved:     0
     cleanup_pending:  0
"
        )
    }

    #[test]
    fn messages() {
        let told = Assigned {
            source: Source::Function("0000:00:06.0".to_owned()),
            cpu: 2,
            vector: 69,
        };
        let message = "\n  address_hi: 0x00000000\n  address_lo: 0xfee02000\n  msg_data:   0x45\n";
        for (domain, message) in [("PCI-MSI-2", ""), ("PCI-MSIX-0000:00:06.0-12", message)] {
            let text = msi("0000:00:06.0", domain, message, "69");
            assert_eq!(assigned(&text).as_ref(), Some(&told), "{domain}");
        }
    }

    #[test]
    fn what_has_no_vector_or_no_place() {
        for (device, vector) in [
            ("0000:00:06.0", "0"),
            ("0000:00:06.0", "Not assigned"),
            ("(null)", "69"),
            ("dmar0", "69"),
        ] {
            let text = msi(device, "DMAR-MSI", "", vector);
            assert_eq!(assigned(&text), None, "{device} {vector}");
        }
        let whole = msi("0000:00:06.0", "PCI-MSI-2", "", "69");
        let lines: Vec<&str> = whole.lines().collect();
        let target = lines.iter().position(|line| line.contains("Target"));
        for end in 0..=target.unwrap() - 1 {
            assert_eq!(assigned(&lines[..=end].join("\n")), None, "{end} lines");
        }
    }

    /// As of a virtual machine, with and without the I/O APIC.
    #[test]
    fn lines() {
        let text = "handler:  handle_fasteoi_irq
device:   (null)
status:   0x00000100
dstate:   0x1f403200
            IRQD_LEVEL
node:     0
affinity: 1
effectiv: 1
domain:  IO-APIC-0
 hwirq:   0x14
 chip:    IO-APIC
  flags:   0x410
             IRQCHIP_SKIP_SET_WAKE
 parent:
    domain:  VECTOR
     hwirq:   0x14
     chip:    APIC
      flags:   0x0
     Vector:    33
     Target:     1
     move_in_progress: 0
";
        let told = Assigned {
            source: Source::Line(20),
            cpu: 1,
            vector: 33,
        };
        assert_eq!(assigned(text), Some(told));
        let old = text.replace("Target:     1", "Target: Legacy PIC all CPUs");
        assert_eq!(assigned(&old), None);
        assert_eq!(assigned(&text.replace("0x14", "0x114")), None);
        let pic = "handler:  handle_level_irq\ndevice:   (null)\ndomain:\n hwirq:   0x0\n chip:    XT-PIC\n";
        assert_eq!(assigned(pic), None);
    }

    /// A capture kernel that runs on the second CPU.
    #[test]
    fn cpus() {
        let cpuinfo = "processor\t: 0\nvendor_id\t: AuthenticAMD\napicid\t\t: 1\ninitial apicid\t: 1\n\n\
                       processor\t: 1\napicid\t\t: 3\n\npower management:\n";
        assert_eq!(apic_ids(cpuinfo), BTreeMap::from([(0, 1), (1, 3)]));
        assert_eq!(
            apic_ids("apicid\t: 1\nprocessor\t: x\napicid\t: 2\n"),
            BTreeMap::new()
        );
    }

    proptest! {
        #[test]
        fn whatever_the_kernel_says(lines in proptest::collection::vec(
            ("(device|domain| hwirq| *Vector| *Target|x)", "(: *)?", "[ -~]{0,12}"), 0..12))
        {
            let lines = lines.iter().map(|(key, colon, value)| format!("{key}{colon}{value}\n"));
            let text: String = lines.collect();
            let _ = apic_ids(&text);
            if let Some(Assigned { vector, .. }) = assigned(&text) {
                prop_assert_ne!(vector, 0);
            }
        }
    }
}
