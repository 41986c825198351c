//! The message that a device writes to raise an interrupt: which vector on which CPU.
//!
//! Layout: Intel SDM volume 3, "Message Signalled Interrupts".

use std::fmt;

/// Bytes of one entry of an MSI-X table.
pub const ENTRY_SIZE: usize = 16;
/// The range of addresses that the CPUs' local APICs take messages at.
const WINDOW: u64 = 0xfee0_0000;
/// Vectors below are exceptions of the CPU itself.
const FIRST_VECTOR: u8 = 0x10;

/// Address and data of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Message {
    /// Where it is written to.
    pub address: u64,
    /// What is written.
    pub data: u32,
}

/// Which CPU or CPUs a message goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// One CPU, by its APIC id.
    Physical(u8),
    /// The CPUs of a mask: with flat routing bit N is CPU N.
    Logical(u8),
}

impl Message {
    /// The vector, and whom it goes to; `None` when this is no interrupt message.
    pub fn target(&self) -> Option<(Destination, u8)> {
        let vector = self.data as u8;
        let inside = self.address & !0xf_ffff == WINDOW;
        // Delivery modes other than fixed (0) and lowest priority (1) take no vector.
        let delivers = self.data >> 8 & 7 <= 1;
        if !inside || !delivers || vector < FIRST_VECTOR {
            return None;
        }
        let destination = (self.address >> 12) as u8;
        let destination = match self.address & 1 << 2 {
            0 => Destination::Physical(destination),
            _ => Destination::Logical(destination),
        };
        Some((destination, vector))
    }
}

impl Destination {
    /// The CPUs that a vector is taken on, where APIC ids and bits of the mask count CPUs from 0,
    /// as on QEMU's machines.
    pub fn cpus(self) -> impl Iterator<Item = u8> {
        let of_mask = |mask: u8| (0..8).filter(move |bit| mask & 1 << bit != 0);
        let (one, mask) = match self {
            Self::Physical(id) => (Some(id), 0),
            Self::Logical(mask) => (None, mask),
        };
        one.into_iter().chain(of_mask(mask))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Physical(id) => write!(f, "CPU {id}"),
            Self::Logical(mask) => write!(f, "CPUs {mask:#04x}"),
        }
    }
}

/// One entry of an MSI-X table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry {
    /// What the device would write.
    pub message: Message,
    /// It may not.
    pub masked: bool,
}

impl Entry {
    /// Reads 16 bytes.
    pub fn parse(bytes: &[u8; ENTRY_SIZE]) -> Self {
        let long = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Self {
            message: Message {
                address: u64::from(long(0)) | u64::from(long(4)) << 32,
                data: long(8),
            },
            masked: long(12) & 1 != 0,
        }
    }

    /// Where its message goes, if it may be sent.
    pub fn open(&self) -> Option<(Destination, u8)> {
        self.message.target().filter(|_| !self.masked)
    }

    /// Reads a redirection table entry of an I/O APIC, which sends such a message when its line is
    /// raised (82093AA I/O APIC, 3.2.4).
    pub fn redirection(entry: u64) -> Self {
        let destination = entry >> 56;
        let logical = entry >> 11 & 1;
        Self {
            message: Message {
                address: WINDOW | destination << 12 | logical << 2,
                data: (entry & 0x7ff) as u32,
            },
            masked: entry >> 16 & 1 != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(address: u64, data: u32) -> Option<(Destination, u8)> {
        Message { address, data }.target()
    }

    #[test]
    fn targets() {
        assert_eq!(
            target(0xfee0_3000, 0x4031),
            Some((Destination::Physical(3), 0x31))
        );
        let logical = target(0xfee0_500c, 0x0022);
        assert_eq!(logical, Some((Destination::Logical(5), 0x22)));
        let cpus: Vec<u8> = logical.unwrap().0.cpus().collect();
        assert_eq!(cpus, [0, 2]);
        assert_eq!(Destination::Physical(200).cpus().collect::<Vec<_>>(), [200]);
        for (address, data) in [
            (0, 0),
            (0xfee0_0000, 0x0f),
            (0xfee0_0000, 0x0400 | 0x31),
            (0xfef0_0000, 0x31),
            (0x1_fee0_0000, 0x31),
        ] {
            assert_eq!(target(address, data), None, "{address:x} {data:x}");
        }
    }

    #[test]
    fn a_redirection_entry() {
        let entry = Entry::redirection(0x0300_0000_0000_8931);
        assert!(!entry.masked);
        assert_eq!(
            entry.message.target(),
            Some((Destination::Logical(3), 0x31))
        );
        assert!(Entry::redirection(0x1_0000).masked);
        assert_eq!(Entry::redirection(0x1_0000).message.target(), None);
    }

    #[test]
    fn an_entry() {
        let mut bytes = [0; ENTRY_SIZE];
        bytes[..4].copy_from_slice(&0xfee0_1000_u32.to_le_bytes());
        bytes[8..12].copy_from_slice(&0x4042_u32.to_le_bytes());
        bytes[12] = 1;
        let entry = Entry::parse(&bytes);
        assert!(entry.masked);
        assert_eq!(
            entry.message.target(),
            Some((Destination::Physical(1), 0x42))
        );
    }
}
