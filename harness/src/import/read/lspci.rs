//! lspci, with `-n` or `-nn`, and any number of `v`.
//!
//! The forms are those of pciutils 3.0 to 3.13 (lspci.c, ls-caps.c, ls-ecaps.c). A function that
//! is shown twice, as RHEL 6's sosreports do, is put together.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::super::facts::{
    Bar, BarKind, Buses, Capabilities, Express, InBar, Line, Msi, Msix, Note, PciAddress,
    PciFunction, PciId, Pin,
};
use super::{Text, between, leading, module, unquoted};
use crate::units::{Bytes, TableSize};

/// Functions that are kept: 256 buses have 65536, no machine has a tenth of that.
const MOST_FUNCTIONS: usize = 16_384;
/// Registers of a function: six, and the expansion ROM.
const ROM: u8 = 6;
/// Of a description.
const MOST_WORDS: usize = 200;

/// Classes that matter here, as pci.ids names them, for a listing without numbers.
const CLASSES: [(&str, u16); 17] = [
    ("SCSI storage controller", 0x0100),
    ("IDE interface", 0x0101),
    ("RAID bus controller", 0x0104),
    ("SATA controller", 0x0106),
    ("Serial Attached SCSI controller", 0x0107),
    ("Non-Volatile memory controller", 0x0108),
    ("Mass storage controller", 0x0180),
    ("Ethernet controller", 0x0200),
    ("Infiniband controller", 0x0207),
    ("Network controller", 0x0280),
    ("VGA compatible controller", 0x0300),
    ("Host bridge", 0x0600),
    ("ISA bridge", 0x0601),
    ("PCI bridge", 0x0604),
    ("System peripheral", 0x0880),
    ("USB controller", 0x0c03),
    ("Fibre Channel", 0x0c04),
];

/// Everything that one text shows.
#[derive(Debug, Default)]
pub(in super::super) struct Lspci {
    /// By address.
    pub(in super::super) functions: BTreeMap<PciAddress, PciFunction>,
    /// What is missing.
    pub(in super::super) notes: Vec<Note>,
}

/// Reads lspci's text.
pub(in super::super) fn read(text: &Text<'_>) -> Lspci {
    let mut all = Lspci::default();
    let mut current: Option<PciAddress> = None;
    let mut capability = Capability::Other;
    let mut flat = false;
    let mut denied = 0;
    let unquoted = text.lines().map(|(number, line)| (number, unquoted(line)));
    let mut lines = without_errors(unquoted).peekable();
    while let Some((number, mut whole)) = lines.next() {
        let mut above = whole.clone();
        while let Some((_, rest)) = lines.next_if(|(_, line)| is_rest(&above, line)) {
            let joined = whole.to_mut();
            joined.push(' ');
            joined.push_str(&rest);
            above = rest;
        }
        let line: &str = &whole;
        if let Some((address, rest)) = head(line) {
            if all.functions.len() == MOST_FUNCTIONS && !all.functions.contains_key(&address) {
                let text = text.note(number, "more PCI functions than any machine has: not read");
                all.notes.push(text);
                break;
            }
            let function = all.functions.entry(address);
            let function = function.or_insert_with(|| PciFunction::new(text.at(number)));
            title(rest, function);
            current = Some(address);
            capability = Capability::Other;
            continue;
        }
        let Some(function) = current.and_then(|address| all.functions.get_mut(&address)) else {
            continue;
        };
        let is_indented = line.starts_with([' ', '\t']);
        let line = line.trim();
        // What is not indented is another program's, unless the paste lost all indentation: then a
        // function goes to the next empty line.
        flat |= !is_indented && is_detail(line);
        if !is_indented && (line.is_empty() || !flat) {
            current = None;
            continue;
        }
        if line == "Capabilities: <access denied>" {
            denied += 1;
            continue;
        }
        // All of its configuration space reads as ones.
        if line.starts_with("!!! Unknown header type 7f") {
            let words = "the function does not answer: nothing of its interrupts is known";
            all.notes.push(text.note(number, words));
            continue;
        }
        detail(line, function, &mut capability);
    }
    if denied > 0 {
        let words = format!(
            "lspci was not run by root: no interrupts of {denied} functions are known; \
             `sudo lspci -nnvv` shows them"
        );
        all.notes.push(text.note(0, words));
    }
    all
}

/// Without what pciutils says of a device that does not answer: sosreports have both streams in one
/// file, and what is not buffered (`pcilib: sysfs_read_vpd: read failed: Input/output error`) stands
/// anywhere in what is, in the middle of a line too.
fn without_errors<'a>(
    lines: impl Iterator<Item = (u32, &'a str)>,
) -> impl Iterator<Item = (u32, Cow<'a, str>)> {
    let mut lines = lines;
    std::iter::from_fn(move || {
        let (mut first, mut line) = lines.next()?;
        let mut begun = String::new();
        while let Some((before, _)) = line.split_once("pcilib: ") {
            begun.push_str(before);
            let Some((number, next)) = lines.next() else {
                return Some((first, begun.into()));
            };
            if begun.is_empty() {
                first = number;
            }
            line = next;
        }
        Some(match begun.is_empty() {
            true => (first, line.into()),
            false => (first, (begun + line).into()),
        })
    })
}

/// Whether a line is the rest of the one above, which a mail program broke because the next word did
/// not fit.
fn is_rest(above: &str, line: &str) -> bool {
    /// Mails have lines of 72 to 80 characters; a tab counts as one or as eight.
    const FULL: usize = 66;
    const MOST: usize = 80;
    let fits = |word: &str| above.len() + 1 + word.len() < FULL;
    let begins = line.split_whitespace().next();
    begins.is_some_and(|word| !fits(word))
        && above.len() <= MOST
        && !above.ends_with([')', ']'])
        && !line.starts_with([' ', '\t'])
        // A prompt.
        && !line.contains('@')
        && !is_detail(line)
        && head(line).is_none()
}

/// `3b:00.0 ` or `0000:3b:00.0 ` at the beginning of a line, which may be indented as a whole paste
/// is. `-PP` has the bridges in front: `0000:3a:00.0/3b:00.0 `.
fn head(line: &str) -> Option<(PciAddress, &str)> {
    let (path, rest) = line.trim_start().split_once(' ')?;
    let (bridges, address) = path.rsplit_once('/').unwrap_or(("", path));
    let mut address: PciAddress = address.parse().ok()?;
    if let Some(root) = bridges.split('/').next().filter(|root| !root.is_empty()) {
        address.domain = root.parse::<PciAddress>().ok()?.domain;
    }
    Some((address, rest.trim()))
}

/// Behind the address: `Ethernet controller [0200]: Intel Corporation Ethernet Controller X710 for
/// 10GbE SFP+ [8086:1572] (rev 02) (prog-if 00)`, `0200: 8086:1572 (rev 02)`.
fn title(text: &str, function: &mut PciFunction) {
    let mut text = text;
    while let Some((rest, inner)) = text
        .strip_suffix(')')
        .and_then(|text| text.rsplit_once(" ("))
    {
        let first = |text: &str| text.split_whitespace().next().map(str::to_owned);
        if let Some(revision) = inner.strip_prefix("rev ") {
            let revision = u8::from_str_radix(&first(revision).unwrap_or_default(), 16);
            function.revision = revision.unwrap_or(function.revision);
        } else if let Some(interface) = inner.strip_prefix("prog-if ") {
            let interface = first(interface).unwrap_or_default();
            function.prog_if = u8::from_str_radix(&interface, 16).ok();
        } else {
            break;
        }
        text = rest.trim_end();
    }
    let Some((class, device)) = split_title(text) else {
        return;
    };
    if let Some(class) = hex16(class) {
        function.class = Some(class);
    } else if let Some((_, number)) = bracketed(class) {
        function.class = hex16(number).or(function.class);
    } else if let Some((_, number)) = CLASSES.iter().find(|(name, _)| *name == class) {
        function.class = Some(*number);
    }
    if let Some(id) = id(device) {
        function.id = Some(id);
    } else if let Some((words, number)) = bracketed(device)
        && let Some(id) = id(number)
    {
        function.id = Some(id);
        function.description = clipped(words);
    } else {
        function.description = clipped(device);
    }
}

/// At the colon behind the class: names of classes have none, and numbers are followed by one.
fn split_title(text: &str) -> Option<(&str, &str)> {
    let (class, device) = text.split_once(": ")?;
    // `Class 0107` of versions before 3.0, `Class [0107]` of a class without a name.
    let class = class.trim_start_matches("Class ").trim();
    Some((class, device.trim()))
}

fn bracketed(text: &str) -> Option<(&str, &str)> {
    let (words, number) = text.strip_suffix(']')?.rsplit_once('[')?;
    Some((words.trim_end(), number))
}

fn hex16(text: &str) -> Option<u16> {
    let plain = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u16::from_str_radix(text, 16).ok())?
}

fn id(text: &str) -> Option<PciId> {
    let (vendor, device) = text.split_once(':')?;
    Some(PciId {
        vendor: hex16(vendor)?,
        device: hex16(device)?,
    })
}

fn clipped(words: &str) -> String {
    words.chars().take(MOST_WORDS).collect()
}

/// Which capability the lines belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Capability {
    MsiX,
    Sriov,
    Other,
}

/// Whether a line is one of a function's, though nothing stands in front of it.
fn is_detail(line: &str) -> bool {
    let begins = [
        "Subsystem:",
        "Control:",
        "Status:",
        "Latency",
        "Interrupt:",
        "NUMA node:",
        "Region ",
        "Bus:",
        "Capabilities:",
        "Kernel driver in use:",
        "Kernel modules:",
        "Flags:",
        "Memory ",
        "I/O ",
        "Expansion ROM",
        "Vector table:",
        "PBA:",
        "IOMMU group:",
        "DeviceName:",
        "Physical Slot:",
        "Prefetchable memory behind bridge",
        "Secondary status:",
        "BridgeCtl:",
        "IOVCap:",
        "IOVCtl:",
        "IOVSta:",
        "Initial VFs:",
        "VF offset:",
        "DevCap",
        "DevCtl",
        "DevSta",
        "LnkCap",
        "LnkCtl",
        "LnkSta",
        "Address:",
        "Masking:",
    ];
    begins.iter().any(|begin| line.starts_with(begin))
}

fn detail(line: &str, function: &mut PciFunction, capability: &mut Capability) {
    if let Some(rest) = line.strip_prefix("Capabilities: [") {
        function.capabilities = Capabilities::Shown;
        *capability = Capability::Other;
        if let Some((_, rest)) = rest.split_once("] ") {
            *capability = begin(rest, function);
        }
        return;
    }
    let Some((key, value)) = line.split_once(':') else {
        return plain(line, function);
    };
    let value = value.trim();
    match key {
        "Subsystem" => {
            let number = bracketed(value).map_or(value, |(_, number)| number);
            function.subsystem = id(number).or(function.subsystem);
        }
        // Of the configuration space: it has no capabilities.
        "Status" if value.starts_with("Cap-") => function.capabilities = Capabilities::Shown,
        "Interrupt" => function.line = interrupt(value).or(function.line),
        "Flags" => {
            // `-v`: `bus master, fast devsel, latency 0, IRQ 16, NUMA node 0`.
            for flag in value.split(", ") {
                if let Some((irq, _)) = flag.strip_prefix("IRQ ").and_then(leading) {
                    let pin = function.line.and_then(|line| line.pin);
                    function.line = Some(Line {
                        pin,
                        irq: Some(irq),
                    });
                } else if let Some((node, _)) = flag.strip_prefix("NUMA node ").and_then(leading) {
                    function.numa = Some(node);
                }
            }
        }
        "NUMA node" => function.numa = leading(value).map(|(node, _)| node),
        "Bus" => function.buses = buses(value).or(function.buses),
        "Kernel driver in use" => function.driver = Some(module(value)),
        "Kernel modules" => {
            let names = value.split(", ").filter(|name| !name.is_empty());
            function.modules = names.map(module).collect();
        }
        "Vector table" if *capability == Capability::MsiX => {
            if let Some(msix) = &mut function.msix {
                msix.table = in_bar(value);
            }
        }
        "PBA" if *capability == Capability::MsiX => {
            if let Some(msix) = &mut function.msix {
                msix.pending = in_bar(value);
            }
        }
        "Initial VFs" if *capability == Capability::Sriov => {
            let number = |name| between(line, name, ",").and_then(|text| text.trim().parse().ok());
            if let (Some(total), Some(enabled)) = (number("Total VFs:"), number("Number of VFs:")) {
                let sriov = function.sriov.get_or_insert_default();
                (sriov.total, sriov.enabled) = (total, enabled);
            }
        }
        "VF offset" if *capability == Capability::Sriov => {
            let number = |name| between(line, name, ",").and_then(|text| text.trim().parse().ok());
            let sriov = function.sriov.get_or_insert_default();
            sriov.offset = number("VF offset:").unwrap_or(0);
            sriov.stride = number("stride:").unwrap_or(0);
        }
        // Below SR-IOV they are those of virtual functions.
        _ if key.starts_with("Region ") && *capability != Capability::Sriov => {
            if let Some((index @ 0..ROM, "")) = key.strip_prefix("Region ").and_then(leading) {
                set(function, index, value);
            }
        }
        _ => plain(line, function),
    }
}

/// `-v` does not number the registers: `Memory at c0300000 (64-bit, non-prefetchable) [size=1M]`.
fn plain(line: &str, function: &mut PciFunction) {
    let rest = line.strip_prefix("[virtual] ").unwrap_or(line);
    if rest.starts_with("Expansion ROM at ") {
        set(function, ROM, rest);
    } else if rest.starts_with("Memory at ") || rest.starts_with("I/O ports at ") {
        let index = function.bars.iter().filter(|bar| bar.index < ROM);
        let index = index.map(next).max().unwrap_or(0);
        if index < ROM {
            set(function, index, rest);
        }
    }
}

/// The register behind one.
fn next(bar: &Bar) -> u8 {
    match bar.kind {
        BarKind::Memory { wide: true, .. } => bar.index + 2,
        _ => bar.index + 1,
    }
}

fn set(function: &mut PciFunction, index: u8, value: &str) {
    let value = value.strip_prefix("[virtual] ").unwrap_or(value);
    let kind = match value.starts_with("I/O ports") {
        true => BarKind::Io,
        false => BarKind::Memory {
            wide: value.contains("64-bit"),
            prefetchable: value.contains(" prefetchable") || value.contains("(prefetchable"),
        },
    };
    // An empty register is shown as `<unassigned>` and has its size all the same.
    let size = between(value, "[size=", "]").and_then(|size| size.parse::<Bytes>().ok());
    function.bars.retain(|bar| bar.index != index);
    function.bars.push(Bar { index, kind, size });
    function.bars.sort_by_key(|bar| bar.index);
}

/// `pin A routed to IRQ 16`.
fn interrupt(text: &str) -> Option<Line> {
    let (_, rest) = text.split_once("pin ")?;
    let pin = match rest.chars().next()? {
        'A' => Some(Pin::A),
        'B' => Some(Pin::B),
        'C' => Some(Pin::C),
        'D' => Some(Pin::D),
        _ => None,
    };
    let irq = rest.split_once("IRQ ").and_then(|(_, irq)| leading(irq));
    Some(Line {
        pin,
        irq: irq.map(|(irq, _)| irq),
    })
}

/// `primary=00, secondary=01, subordinate=02, sec-latency=0`.
fn buses(text: &str) -> Option<Buses> {
    let number = |name| {
        let (_, rest) = text.split_once(name)?;
        u8::from_str_radix(rest.get(..2)?, 16).ok()
    };
    Some(Buses {
        secondary: number("secondary=")?,
        subordinate: number("subordinate=")?,
    })
}

/// `BAR=3 offset=00001000`.
fn in_bar(text: &str) -> Option<InBar> {
    let (_, rest) = text.split_once("BAR=")?;
    let (bar, rest) = leading(rest)?;
    let offset = rest.trim_start().strip_prefix("offset=")?;
    let end = offset.find(|c: char| !c.is_ascii_hexdigit());
    let offset = u32::from_str_radix(&offset[..end.unwrap_or(offset.len())], 16).ok()?;
    (bar < ROM).then_some(InBar { bar, offset })
}

/// The first line of a capability, behind its offset.
fn begin(text: &str, function: &mut PciFunction) -> Capability {
    if let Some(rest) = text.strip_prefix("MSI-X: ") {
        let enabled = rest.starts_with("Enable+");
        // Up to 2.x it was `Mask- TabSize=`.
        let count = ["Count=", "TabSize="]
            .into_iter()
            .find_map(|name| leading(rest.split_once(name)?.1));
        if let Some(size) = count.and_then(|(size, _)| TableSize::new(size)) {
            let before = function.msix;
            function.msix = Some(Msix {
                enabled,
                size,
                table: before.and_then(|msix| msix.table),
                pending: before.and_then(|msix| msix.pending),
            });
        }
        return Capability::MsiX;
    }
    let msi_of_2 = text.strip_prefix("Message Signalled Interrupts: ");
    if let Some(rest) = text.strip_prefix("MSI: ").or(msi_of_2) {
        function.msi = msi(rest).or(function.msi);
    } else if text.starts_with("Single Root I/O Virtualization") {
        function.sriov.get_or_insert_default();
        return Capability::Sriov;
    } else if let Some(rest) = text.strip_prefix("Express ") {
        function.express = express(rest).or(function.express);
    }
    Capability::Other
}

/// `Enable+ Count=1/8 Maskable- 64bit+`; before 3.0 `Mask- 64bit+ Count=1/8 Enable+`, and even
/// older `Queue=0/3`, which are powers of two.
fn msi(text: &str) -> Option<Msi> {
    let (granted, most) = if let Some((_, counts)) = text.split_once("Count=") {
        let (granted, rest) = leading(counts)?;
        let (most, _) = leading(rest.strip_prefix('/')?)?;
        (granted, most)
    } else {
        let (granted, rest) = leading::<u32>(text.split_once("Queue=")?.1)?;
        let (most, _) = leading::<u32>(rest.strip_prefix('/')?)?;
        (1u8.checked_shl(granted)?, 1u8.checked_shl(most)?)
    };
    let fits = |count: u8| count.is_power_of_two() && count <= 32;
    (fits(granted) && fits(most)).then_some(Msi {
        enabled: text.contains("Enable+"),
        granted,
        most,
        maskable: text.contains("Maskable+") || text.contains("Mask+"),
    })
}

/// `(v2) Root Port (Slot+), MSI 00`; `-v` has the same without what is in parentheses.
fn express(text: &str) -> Option<Express> {
    let text = match text.strip_prefix('(') {
        Some(rest) => rest.split_once(") ")?.1,
        None => text,
    };
    const NAMES: [(&str, Express); 9] = [
        ("Endpoint", Express::Endpoint),
        ("Legacy Endpoint", Express::LegacyEndpoint),
        ("Root Port", Express::RootPort),
        ("Upstream Port", Express::UpstreamPort),
        ("Downstream Port", Express::DownstreamPort),
        ("PCI-Express to PCI", Express::Bridge),
        ("PCI/PCI-X to PCI-Express", Express::Bridge),
        (
            "Root Complex Integrated Endpoint",
            Express::IntegratedEndpoint,
        ),
        ("Root Complex Event Collector", Express::EventCollector),
    ];
    let named = NAMES.iter().find(|(name, _)| text.starts_with(name));
    named.map(|(_, express)| *express)
}

#[cfg(test)]
mod tests;
