//! /proc/cpuinfo and /proc/meminfo.

use super::super::facts::{CpuModel, Sourced};
use super::{Text, leading, log};
use crate::units::Bytes;

/// The processors.
#[derive(Debug, Default)]
pub(in super::super) struct CpuInfo {
    /// Those that are online.
    pub(in super::super) online: Option<Sourced<u16>>,
    /// Of the first.
    pub(in super::super) model: Option<Sourced<CpuModel>>,
}

/// Reads /proc/cpuinfo.
pub(in super::super) fn read(text: &Text<'_>) -> CpuInfo {
    let mut count = 0u16;
    let mut first = None;
    let (mut name, mut family, mut model, mut stepping, mut x2apic) =
        (None, None, None, None, None);
    for (number, line) in text.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        if key.trim_end() == "processor" {
            count = count.saturating_add(1);
            first = first.or(Some(number));
        }
        if count > 1 {
            continue;
        }
        match key.trim_end() {
            "model name" => name = Some(log::words(value)),
            "cpu family" => family = value.parse().ok(),
            "model" => model = value.parse().ok(),
            "stepping" => stepping = value.parse().ok(),
            "flags" => x2apic = Some(value.split(' ').any(|flag| flag == "x2apic")),
            _ => {}
        }
    }
    let whole = |family, model| CpuModel {
        name: name.unwrap_or_default(),
        family,
        model,
        stepping: stepping.unwrap_or(0),
        x2apic,
    };
    let line = first.unwrap_or(0);
    CpuInfo {
        online: (count > 0).then(|| text.fact(0, count)),
        model: family
            .zip(model)
            .map(|(family, model)| text.fact(line, whole(family, model))),
    }
}

/// `MemTotal` of /proc/meminfo: what is left of the memory after the kernel and its reservations.
pub(in super::super) fn memory(text: &Text<'_>) -> Option<Sourced<Bytes>> {
    text.lines().find_map(|(number, line)| {
        let (kib, _) = leading::<u64>(line.strip_prefix("MemTotal:")?.trim_start())?;
        Some(text.fact(number, Bytes(kib.checked_mul(1024)?)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text<'_> {
        Text {
            label: "file".into(),
            first: 1,
            text,
        }
    }

    #[test]
    fn of_two() {
        let one = "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: Intel(R)  \
                   Xeon(R) Gold 6130 CPU @ 2.10GHz\nstepping\t: 4\nflags\t\t: fpu x2apic\n\n";
        let both = format!("processor\t: 0\n{one}processor\t: 1\n{one}");
        let info = read(&text(&both));
        assert_eq!(info.online.unwrap().value, 2);
        let model = info.model.unwrap();
        assert_eq!(model.source.line.unwrap().get(), 1);
        let expected = CpuModel {
            name: "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz".into(),
            family: 6,
            model: 85,
            stepping: 4,
            x2apic: Some(true),
        };
        assert_eq!(model.value, expected);
    }

    #[test]
    fn total() {
        let found = memory(&text("MemTotal:       16265876 kB\nMemFree: 1 kB\n")).unwrap();
        assert_eq!(found.value, Bytes(16_265_876 << 10));
        assert!(memory(&text("MemTotal: 99999999999999999999 kB\n")).is_none());
        assert!(memory(&text(&format!("MemTotal: {} kB\n", u64::MAX))).is_none());
    }
}
