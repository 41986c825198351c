//! PCI functions as sysfs shows them.

use std::fs;
use std::path::Path;

use crashdrill_guest::report::Report;

use crate::Init;

const DEVICES: &str = "/sys/bus/pci/devices";

/// One report for each function that has MSI, MSI-X or a driver, in the order of addresses.
pub(crate) fn report(init: &mut Init) {
    let Ok(entries) = fs::read_dir(DEVICES) else {
        return;
    };
    let mut addresses: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    addresses.sort();
    for address in addresses {
        let device = Path::new(DEVICES).join(&address);
        let capabilities = fs::read(device.join("config"))
            .map(|config| capabilities(&config))
            .unwrap_or_default();
        let driver = fs::read_link(device.join("driver"))
            .ok()
            .and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned()));
        if capabilities == Capabilities::default() && driver.is_none() {
            continue;
        }
        init.report(&Report::Function {
            address: address.to_string_lossy().into_owned(),
            id: format!("{}:{}", id(&device, "vendor"), id(&device, "device")),
            table: capabilities.table,
            // Since Linux 3.2 (Documentation/ABI/testing/sysfs-bus-pci): one entry a vector, a
            // directory before 3.14, a file from there on.
            granted: fs::read_dir(device.join("msi_irqs"))
                .map(|irqs| u16::try_from(irqs.count()).unwrap_or(u16::MAX))
                .unwrap_or(0),
            driver,
        });
    }
}

fn id(device: &Path, file: &str) -> String {
    let text = fs::read_to_string(device.join(file)).unwrap_or_default();
    let text = text.trim_end();
    text.strip_prefix("0x").unwrap_or(text).to_owned()
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Capabilities {
    msi: bool,
    /// Entries of the MSI-X table, 0 without the capability.
    table: u16,
}

/// Walks the capability list (PCI Local Bus Specification 3.0, 6.7 and 6.8).
fn capabilities(config: &[u8]) -> Capabilities {
    const STATUS: usize = 0x06;
    const STATUS_CAPABILITY_LIST: u8 = 1 << 4;
    const CAPABILITIES_POINTER: usize = 0x34;
    const ID_MSI: u8 = 0x05;
    const ID_MSIX: u8 = 0x11;
    /// What fits into 256 bytes less the header, 4 bytes each: a list that is longer has a loop.
    const MOST: usize = 48;

    let mut found = Capabilities::default();
    let byte = |at: usize| config.get(at).copied();
    // A function that does not answer reads as all ones.
    if byte(STATUS).is_none_or(|status| status == 0xff || status & STATUS_CAPABILITY_LIST == 0) {
        return found;
    }
    let mut next = byte(CAPABILITIES_POINTER);
    for _ in 0..MOST {
        let Some(at) = next.map(|pointer| usize::from(pointer & !3)) else {
            break;
        };
        if at < 0x40 {
            break;
        }
        match byte(at) {
            Some(ID_MSI) => found.msi = true,
            Some(ID_MSIX) => {
                if let (Some(low), Some(high)) = (byte(at + 2), byte(at + 3)) {
                    found.table = (u16::from_le_bytes([low, high]) & 0x7ff) + 1;
                }
            }
            _ => {}
        }
        next = byte(at + 1);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Vec<u8> {
        let mut config = vec![0; 256];
        config[0x06] = 0x10;
        config[0x34] = 0x40;
        config[0x40..0x44].copy_from_slice(&[0x05, 0x50, 0, 0]);
        config[0x50..0x54].copy_from_slice(&[0x11, 0x00, 0x41, 0x80]);
        config
    }

    #[test]
    fn msi_and_an_enabled_msix_table() {
        let found = capabilities(&config());
        assert_eq!(
            found,
            Capabilities {
                msi: true,
                table: 66
            }
        );
    }

    #[test]
    fn a_loop_a_short_file_and_a_dead_device() {
        let mut looping = config();
        looping[0x51] = 0x40;
        assert_eq!(capabilities(&looping).table, 66);
        assert_eq!(capabilities(&[0xff; 256]), Capabilities::default());
        assert_eq!(capabilities(&config()[..64]), Capabilities::default());
        assert_eq!(capabilities(&config()[..0x52]).table, 0);
        assert_eq!(capabilities(&[]), Capabilities::default());
    }
}
