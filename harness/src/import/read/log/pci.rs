//! What a kernel says of PCI functions: its scan of the buses, and its drivers.

use super::super::super::facts::{Bar, BarKind, Buses, Express, PciAddress, PciFunction, PciId};
use super::super::{Text, between, module};
use super::Boot;
use crate::units::Bytes;

/// Functions and interfaces of a boot that are kept.
const MOST: usize = 16_384;

/// Reads a line that begins with who says it and of what: `pci 0000:3b:00.0: `, `i40e 0000:3b:00.0: `.
pub(super) fn line(boot: &mut Boot, text: &Text<'_>, number: u32, message: &str) {
    let Some((who, rest)) = message.split_once(' ') else {
        return;
    };
    let Some((place, said)) = rest.split_once(' ') else {
        return;
    };
    // `i40e 0000:3b:00.0 eth0: ...`, as netdev_printk() has it.
    let (place, interface) = match place.strip_suffix(':') {
        Some(place) => (place, None),
        None => (place, said.split_once(':').map(|(name, _)| name)),
    };
    // With a domain always, so that no clock is taken for one.
    if place.len() < 12 || who.ends_with(':') {
        return;
    }
    let Ok(address) = place.parse::<PciAddress>() else {
        return;
    };
    if boot.functions.len() >= MOST || boot.interfaces.len() >= MOST {
        return;
    }
    if who != "pci" {
        driver(boot, text, number, address, who);
        let renamed = said
            .split_once(": renamed from ")
            .map(|(name, _)| name.rsplit(' ').next().unwrap_or(name));
        for name in interface.into_iter().chain(renamed) {
            if is_interface(name) {
                boot.interfaces.insert(name.to_owned(), address);
            }
        }
        // Up to 3.x, with `ignore_loglevel` or on a debug build.
        if said.starts_with("irq ") && said.ends_with("for MSI/MSI-X") {
            let function = known(boot, text, number, address);
            function.vectors = Some(function.vectors.unwrap_or(0).saturating_add(1));
        }
        return;
    }
    if let Some((id, class)) = found(said) {
        let function = known(boot, text, number, address);
        function.id = Some(id);
        function.class = Some(u16::try_from(class >> 8).unwrap_or_default());
        function.prog_if = u8::try_from(class & 0xff).ok();
        function.express = express(said).or(function.express);
        return;
    }
    let secondary = said
        .strip_prefix("PCI bridge to [bus ")
        .and_then(|rest| rest.split_once(']'))
        .and_then(|(buses, _)| range(buses))
        // 2.6.32: with the domain, and only the nearest bus.
        .or_else(|| {
            let (_, bus) = said
                .strip_prefix("PCI bridge, secondary bus ")?
                .split_once(':')?;
            range(bus)
        });
    if let Some(buses) = secondary {
        known(boot, text, number, address).buses = Some(buses);
    } else if let Some(bar) = register(said) {
        let function = known(boot, text, number, address);
        function.bars.retain(|known| known.index != bar.index);
        function.bars.push(bar);
        function.bars.sort_by_key(|bar| bar.index);
    }
}

fn known<'b>(
    boot: &'b mut Boot,
    text: &Text<'_>,
    number: u32,
    address: PciAddress,
) -> &'b mut PciFunction {
    let function = boot.functions.entry(address);
    function.or_insert_with(|| PciFunction::new(text.at(number)))
}

/// dev_printk() begins with the driver's name once one is bound (drivers/base/core.c,
/// dev_driver_string).
fn driver(boot: &mut Boot, text: &Text<'_>, number: u32, address: PciAddress, who: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if who.len() <= 40
        && who.chars().all(plain)
        && who.starts_with(|c: char| c.is_ascii_lowercase())
    {
        known(boot, text, number, address).driver = Some(module(who));
    }
}

/// IFNAMSIZ of <linux/if.h> is 16 with the NUL.
fn is_interface(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..16).contains(&name.len()) && name.chars().all(plain)
}

/// `[8086:1572] type 00 class 0x020000`; 2.6.3x `[8086:1572] type 0 class 0x000200`, whose class has
/// no interface; 2.6.2x `found [8086:1572] class 000200 header type 00`.
fn found(said: &str) -> Option<(PciId, u32)> {
    let rest = said.strip_prefix("found ").unwrap_or(said);
    let (ids, rest) = rest.strip_prefix('[')?.split_once("] ")?;
    let (vendor, device) = ids.split_once(':')?;
    let hex = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let id = PciId {
        vendor: u16::try_from(hex(vendor)?).ok()?,
        device: u16::try_from(hex(device)?).ok()?,
    };
    let class = rest.split_once("class ")?.1;
    let class = hex(class.split_whitespace().next()?)?;
    let short = match rest.strip_prefix("type ") {
        Some(kind) => kind.split_whitespace().next()?.len() == 1,
        None => true,
    };
    Some((
        id,
        if short {
            class.checked_mul(256)?
        } else {
            class
        } & 0xff_ffff,
    ))
}

/// Since 6.9 behind the class.
fn express(said: &str) -> Option<Express> {
    let (_, name) = said.rsplit_once(" PCIe ")?;
    Some(match name {
        "Endpoint" => Express::Endpoint,
        "Legacy Endpoint" => Express::LegacyEndpoint,
        "Root Port" => Express::RootPort,
        "Switch Upstream Port" => Express::UpstreamPort,
        "Switch Downstream Port" => Express::DownstreamPort,
        "to PCI/PCI-X bridge" | "to PCIe bridge" => Express::Bridge,
        "Root Complex Integrated Endpoint" => Express::IntegratedEndpoint,
        "Root Complex Event Collector" => Express::EventCollector,
        _ => return None,
    })
}

/// `01`, `01-02`.
fn range(text: &str) -> Option<Buses> {
    let hex = |text: &str| u8::from_str_radix(text.trim(), 16).ok();
    let (secondary, subordinate) = text.split_once('-').unwrap_or((text, text));
    Some(Buses {
        secondary: hex(secondary)?,
        subordinate: hex(subordinate)?,
    })
}

/// `reg 0x10: [mem 0xfe000000-0xfe7fffff 64bit pref]`, before 3.9 `reg 10:`, since 6.9
/// `BAR 0 [mem ...]`, `ROM [mem ...]`.
fn register(said: &str) -> Option<Bar> {
    let index = if let Some(rest) = said.strip_prefix("reg ") {
        let (offset, _) = rest.split_once(':')?;
        match u8::from_str_radix(offset.trim_start_matches("0x"), 16).ok()? {
            offset @ 0x10..=0x24 => (offset - 0x10) / 4,
            0x30 => 6,
            _ => return None,
        }
    } else if let Some(rest) = said.strip_prefix("BAR ") {
        rest.split(' ')
            .next()?
            .parse()
            .ok()
            .filter(|index| *index < 6)?
    } else if said.starts_with("ROM [") {
        6
    } else {
        return None;
    };
    let range = between(said, "[", "]")?;
    let mut words = range.split_whitespace();
    let kind = words.next()?;
    let (first, last) = words.next()?.split_once('-')?;
    let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let flags: Vec<&str> = words.collect();
    let kind = match kind {
        "io" => BarKind::Io,
        "mem" => BarKind::Memory {
            wide: flags.contains(&"64bit"),
            prefetchable: flags.contains(&"pref"),
        },
        _ => return None,
    };
    let size = hex(last)?.checked_sub(hex(first)?)?.checked_add(1);
    let size = size.map(Bytes);
    Some(Bar { index, kind, size })
}
