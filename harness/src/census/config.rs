//! One function's configuration space, as far as interrupts go.
//!
//! Layout: PCI Local Bus Specification 3.0, 6.1 (header), 6.2.5 (BARs), 6.8.1 (MSI), 6.8.2 (MSI-X).

use super::message::Message;

/// What is read of a function: its header and its capabilities. MSI and MSI-X never lie beyond.
pub const CONFIG_SIZE: usize = 256;
/// What fits into the configuration space less the header, 4 bytes each: a longer list has a loop.
const MOST_CAPABILITIES: usize = 48;

const ID_MSI: u8 = 0x05;
const ID_MSIX: u8 = 0x11;
const COMMAND_MEMORY: u16 = 1 << 1;
const COMMAND_INTX_DISABLE: u16 = 1 << 10;
const STATUS_CAPABILITIES: u16 = 1 << 4;

/// What a function's registers say of its interrupts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// INTA to INTD as 1 to 4; none without an interrupt pin.
    pub pin: Option<u8>,
    /// The driver may raise the pin.
    pub pin_enabled: bool,
    /// MSI.
    pub msi: Option<Msi>,
    /// MSI-X, without the table's entries.
    pub msix: Option<MsiX>,
}

/// Message signalled interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Msi {
    /// The driver has switched it on.
    pub enabled: bool,
    /// Messages that the device can tell apart, a power of two.
    pub capable: u8,
    /// Messages that it was given.
    pub granted: u8,
    /// The first message; the others differ in the low bits of the data.
    pub message: Message,
}

/// MSI-X.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MsiX {
    /// The driver has switched it on.
    pub enabled: bool,
    /// All entries are masked at once.
    pub masked: bool,
    /// Entries of the table.
    pub size: u16,
    /// The table's address in guest-physical memory; none while the BAR that holds it has no
    /// address or is not decoded.
    pub table: Option<u64>,
}

impl Config {
    /// Reads it; `None` where no function answers.
    pub fn parse(bytes: &[u8; CONFIG_SIZE]) -> Option<Self> {
        let registers = Registers(bytes);
        let vendor = registers.word(0x00);
        if vendor == 0xffff {
            return None;
        }
        let command = registers.word(0x04);
        let mut config = Self {
            vendor,
            device: registers.word(0x02),
            pin: Some(registers.byte(0x3d)).filter(|pin| (1..=4).contains(pin)),
            pin_enabled: command & COMMAND_INTX_DISABLE == 0,
            msi: None,
            msix: None,
        };
        let decoded = command & COMMAND_MEMORY != 0;
        for at in registers.capabilities() {
            match registers.byte(at) {
                ID_MSI => config.msi = Some(registers.msi(at)),
                ID_MSIX => config.msix = Some(registers.msix(at, decoded)),
                _ => {}
            }
        }
        Some(config)
    }
}

struct Registers<'a>(&'a [u8; CONFIG_SIZE]);

impl Registers<'_> {
    /// Past the end it reads as zeros: a capability may begin in the last bytes.
    fn byte(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    fn word(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.byte(at), self.byte(at + 1)])
    }

    fn long(&self, at: usize) -> u32 {
        u32::from(self.word(at)) | u32::from(self.word(at + 2)) << 16
    }

    fn quad(&self, at: usize) -> u64 {
        u64::from(self.long(at)) | u64::from(self.long(at + 4)) << 32
    }

    fn capabilities(&self) -> impl Iterator<Item = usize> {
        let there = self.word(0x06) & STATUS_CAPABILITIES != 0;
        let valid = |pointer: u8| Some(usize::from(pointer & !3)).filter(|at| *at >= 0x40);
        let first = valid(self.byte(0x34)).filter(|_| there);
        std::iter::successors(first, move |at| valid(self.byte(at + 1))).take(MOST_CAPABILITIES)
    }

    fn msi(&self, at: usize) -> Msi {
        let control = self.word(at + 2);
        let wide = control & 1 << 7 != 0;
        let (address, data) = match wide {
            true => (self.quad(at + 4), at + 12),
            false => (self.long(at + 4).into(), at + 8),
        };
        // Three bits each; 6 and 7 are reserved, and mean no more than 32.
        let messages = |exponent: u16| 1 << (exponent & 7).min(5);
        Msi {
            enabled: control & 1 != 0,
            capable: messages(control >> 1),
            granted: messages(control >> 4),
            message: Message {
                address,
                data: self.word(data).into(),
            },
        }
    }

    fn msix(&self, at: usize, decoded: bool) -> MsiX {
        let control = self.word(at + 2);
        let place = self.long(at + 4);
        let offset = u64::from(place & !7);
        let base = self.bar((place & 7) as usize).filter(|_| decoded);
        MsiX {
            enabled: control & 1 << 15 != 0,
            masked: control & 1 << 14 != 0,
            size: (control & 0x7ff) + 1,
            table: base.and_then(|base| base.checked_add(offset)),
        }
    }

    /// The address of a memory BAR.
    fn bar(&self, index: usize) -> Option<u64> {
        if index > 5 {
            return None;
        }
        let at = 0x10 + 4 * index;
        let low = self.long(at);
        if low & 1 != 0 {
            return None;
        }
        let high = match low >> 1 & 3 {
            2 if index < 5 => u64::from(self.long(at + 4)) << 32,
            _ => 0,
        };
        Some(high | u64::from(low & !0xf)).filter(|address| *address != 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn space(writes: &[(usize, &[u8])]) -> [u8; CONFIG_SIZE] {
        let mut space = [0; CONFIG_SIZE];
        for (at, bytes) in writes {
            space[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        space
    }

    /// As QEMU's virtio-serial shows itself: MSI-X in BAR 1, the list goes on behind it.
    #[test]
    fn msix_with_its_table() {
        let space = space(&[
            (0x00, &[0xf4, 0x1a, 0x03, 0x10, 0x07, 0x05, 0x10, 0x00]),
            (0x14, &[0x00, 0x10, 0x05, 0xfe]),
            (0x34, &[0x98]),
            (0x3c, &[0x0b, 0x01]),
            (0x98, &[0x11, 0x84, 0x41, 0x80, 0x01, 0x08, 0, 0]),
            (0x84, &[0x09, 0x00]),
        ]);
        let config = Config::parse(&space).unwrap();
        assert_eq!((config.vendor, config.device), (0x1af4, 0x1003));
        assert_eq!((config.pin, config.pin_enabled), (Some(1), false));
        assert_eq!(config.msi, None);
        assert_eq!(
            config.msix,
            Some(MsiX {
                enabled: true,
                masked: false,
                size: 66,
                table: Some(0xfe05_1800),
            })
        );
    }

    #[test]
    fn a_bar_of_64_bits_and_one_without_address() {
        let mut space = space(&[
            (0x00, &[0x36, 0x1b, 0x10, 0x00, 0x02, 0x00, 0x10, 0x00]),
            (0x10, &[0x04, 0x40, 0, 0xfe, 0x80, 0, 0, 0]),
            (0x34, &[0x40]),
            (0x40, &[0x11, 0, 0x40, 0xc0, 0x00, 0x20, 0, 0]),
        ]);
        let msix = Config::parse(&space).unwrap().msix.unwrap();
        assert_eq!(msix.table, Some(0x80_fe00_6000));
        assert!(msix.enabled && msix.masked);
        space[0x04] = 0;
        assert_eq!(Config::parse(&space).unwrap().msix.unwrap().table, None);
        space[0x04] = 2;
        space[0x10..0x18].fill(0);
        assert_eq!(Config::parse(&space).unwrap().msix.unwrap().table, None);
        space[0x44] = 0x07;
        assert_eq!(Config::parse(&space).unwrap().msix.unwrap().table, None);
    }

    #[test]
    fn msi_of_both_widths() {
        let mut space = space(&[
            (0x00, &[0x86, 0x80, 0x22, 0x29, 0x00, 0x00, 0x10, 0x00]),
            (0x34, &[0x80]),
            (
                0x80,
                &[0x05, 0, 0x25, 0, 0x00, 0x10, 0xe0, 0xfe, 0x31, 0x40],
            ),
        ]);
        let msi = Config::parse(&space).unwrap().msi.unwrap();
        assert!(msi.enabled);
        assert_eq!((msi.capable, msi.granted), (4, 4));
        assert_eq!(
            msi.message,
            Message {
                address: 0xfee0_1000,
                data: 0x4031
            }
        );
        space[0x82] = 0x80;
        space[0x8c] = 0x22;
        let msi = Config::parse(&space).unwrap().msi.unwrap();
        assert!(!msi.enabled);
        assert_eq!((msi.capable, msi.granted), (1, 1));
        assert_eq!(msi.message.data, 0x22);
        assert_eq!(msi.message.address, 0x4031_fee0_1000);
    }

    #[test]
    fn nobody_answers() {
        assert_eq!(Config::parse(&[0xff; CONFIG_SIZE]), None);
    }

    proptest! {
        #[test]
        fn whatever_the_registers_say(bytes in proptest::collection::vec(any::<u8>(), CONFIG_SIZE)) {
            let space: [u8; CONFIG_SIZE] = bytes.try_into().unwrap();
            if let Some(config) = Config::parse(&space) {
                prop_assert!(config.msix.is_none_or(|msix| (1..=2048).contains(&msix.size)));
            }
        }
    }
}
