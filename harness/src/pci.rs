//! What lspci(8) shows of a PCI function, as scenarios write it down.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::units::{Bytes, UnitError};

/// Vendor and device, or subsystem vendor and subsystem: `8086:1572`, as `lspci -nn` has it in
/// brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Before the colon.
    pub vendor: u16,
    /// Behind it.
    pub device: u16,
}

impl Id {
    /// The two numbers.
    pub const fn new(vendor: u16, device: u16) -> Self {
        Self { vendor, device }
    }
}

impl FromStr for Id {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let halves = text.split_once(':');
        let id = halves.and_then(|(vendor, device)| {
            let half = |text: &str| Some(hex(text, &[4])? as u16);
            Some(Self::new(half(vendor)?, half(device)?))
        });
        id.ok_or_else(|| UnitError {
            given: text.to_owned(),
            wanted: "a pair of PCI ids such as 8086:1572",
        })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.device)
    }
}

/// Class, subclass and programming interface, 24 bits: `0200`, or `010802` with the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class(u32);

impl Class {
    /// Class, subclass and programming interface.
    pub const fn new(class: u8, subclass: u8, interface: u8) -> Self {
        Self(u32::from_be_bytes([0, class, subclass, interface]))
    }

    /// The 24 bits as the configuration space holds them.
    pub fn get(self) -> u32 {
        self.0
    }

    /// A bridge to another PCI bus, which has a header of its own (PCI Local Bus Specification 3.0,
    /// appendix D).
    pub fn is_pci_bridge(self) -> bool {
        self.0 >> 8 == 0x0604
    }
}

impl FromStr for Class {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        match hex(text, &[4, 6]) {
            Some(class) if digits(text).len() == 4 => Ok(Self(class << 8)),
            Some(class) => Ok(Self(class)),
            None => Err(UnitError {
                given: text.to_owned(),
                wanted: "a PCI class such as 0200, or 010802 with its interface",
            }),
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 & 0xff {
            0 => write!(f, "{:04x}", self.0 >> 8),
            _ => write!(f, "{:06x}", self.0),
        }
    }
}

/// Revision: `02`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision(pub u8);

impl FromStr for Revision {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        match hex(text, &[1, 2]) {
            Some(revision) => Ok(Self(revision as u8)),
            None => Err(UnitError {
                given: text.to_owned(),
                wanted: "a revision of two hexadecimal digits such as 02",
            }),
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.0)
    }
}

/// Hexadecimal digits, so many of them, with or without `0x`.
fn hex(text: &str, lengths: &[usize]) -> Option<u32> {
    let digits = digits(text);
    let number: Result<u32, ParseIntError> = u32::from_str_radix(digits, 16);
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    number
        .ok()
        .filter(|_| plain && lengths.contains(&digits.len()))
}

fn digits(text: &str) -> &str {
    text.strip_prefix("0x").unwrap_or(text)
}

/// A region of registers (BAR): `8M 64-bit prefetchable`, `64K`, `256 I/O`; memory of 32 bits where it
/// does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// A power of two.
    size: Bytes,
    space: Space,
}

/// Where a region lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// I/O ports.
    Ports,
    /// Memory.
    Memory {
        /// Anywhere; it takes two of the six registers.
        wide: bool,
        /// Reading has no side effects.
        prefetchable: bool,
    },
}

impl Region {
    /// Registers that a function has for its regions.
    pub const REGISTERS: usize = 6;

    /// Memory of 32 bits, at least so large.
    pub fn memory(least: u64) -> Self {
        Self {
            size: Bytes(least.clamp(4096, LARGEST_32).next_power_of_two()),
            space: Space::Memory {
                wide: false,
                prefetchable: false,
            },
        }
    }

    /// One that registers can decode.
    ///
    /// # Errors
    /// The size is no power of two, or outside of what there can be.
    pub fn new(size: Bytes, space: Space) -> Result<Self, RegionError> {
        let (what, least, most) = match space {
            Space::Ports => ("I/O", SMALLEST_PORTS, LARGEST_PORTS),
            Space::Memory { wide: true, .. } => ("64-bit memory", SMALLEST_MEMORY, LARGEST_64),
            Space::Memory { wide: false, .. } => ("32-bit memory", SMALLEST_MEMORY, LARGEST_32),
        };
        if !size.0.is_power_of_two() {
            return Err(RegionError::Size(size));
        }
        match (least..=most).contains(&size.0) {
            true => Ok(Self { size, space }),
            false => Err(RegionError::Range {
                what,
                least: Bytes(least),
                most: Bytes(most),
                size,
            }),
        }
    }

    /// In bytes.
    pub fn size(self) -> u64 {
        self.size.0
    }

    /// Where it lies.
    pub fn space(self) -> Space {
        self.space
    }

    /// Registers that it takes.
    pub fn registers(self) -> usize {
        match self.space {
            Space::Memory { wide: true, .. } => 2,
            Space::Ports | Space::Memory { .. } => 1,
        }
    }
}

/// One such region fits below 4 GiB, where the machine's memory and the rest of its devices are.
const LARGEST_32: u64 = 256 * Bytes::MIB;
/// A GPU's.
const LARGEST_64: u64 = 64 * Bytes::GIB;
/// PCI Local Bus Specification 3.0, 6.2.5.1: I/O takes up to 256 bytes, memory at least 16.
const LARGEST_PORTS: u64 = 256;
const SMALLEST_PORTS: u64 = 4;
const SMALLEST_MEMORY: u64 = 16;

/// A text that is no region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegionError {
    /// A word or a size that means nothing.
    #[error("`{0}` is not a region such as `8M 64-bit prefetchable`, `64K` or `256 I/O`")]
    Text(String),
    /// Registers decode addresses in powers of two.
    #[error("the size of a region is a power of two, which {0} is not")]
    Size(Bytes),
    /// Outside of what there can be.
    #[error("a region of {what} has {least} to {most}, not {size}")]
    Range {
        /// Memory or I/O.
        what: &'static str,
        /// Smallest.
        least: Bytes,
        /// Largest.
        most: Bytes,
        /// What it says.
        size: Bytes,
    },
    /// I/O ports know neither.
    #[error("I/O is neither 64-bit nor prefetchable")]
    Ports,
}

impl FromStr for Region {
    type Err = RegionError;

    fn from_str(text: &str) -> Result<Self, RegionError> {
        let error = || RegionError::Text(text.to_owned());
        let mut size = None;
        let [mut ports, mut wide, mut prefetchable] = [false; 3];
        for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
            match word {
                "I/O" | "i/o" | "io" => ports = true,
                "64-bit" => wide = true,
                "32-bit" | "non-prefetchable" | "memory" => {}
                "prefetchable" => prefetchable = true,
                word if size.is_none() => {
                    size = Some(word.parse::<Bytes>().map_err(|_| error())?);
                }
                _ => return Err(error()),
            }
        }
        let size = size.ok_or_else(error)?;
        let space = match (ports, wide, prefetchable) {
            (true, false, false) => Space::Ports,
            (true, _, _) => return Err(RegionError::Ports),
            (false, wide, prefetchable) => Space::Memory { wide, prefetchable },
        };
        Self::new(size, space)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.size)?;
        match self.space {
            Space::Ports => f.write_str(" I/O"),
            Space::Memory { wide, prefetchable } => {
                let wide = if wide { " 64-bit" } else { "" };
                let prefetchable = if prefetchable { " prefetchable" } else { "" };
                write!(f, "{wide}{prefetchable}")
            }
        }
    }
}

/// Which of these regions holds an MSI-X table of so many entries: the last of memory with room for
/// it and, in its other half, for the pending bits. By number of its first register; none if there
/// is no such region.
pub fn table_region(regions: &[Region], entries: u16) -> Option<(u8, u64)> {
    let table = u64::from(entries) * 16;
    let mut found = None;
    let mut register = 0;
    for region in regions {
        if region.space != Space::Ports && region.size() / 2 >= table {
            found = Some((register, region.size()));
        }
        register += region.registers() as u8;
    }
    found
}

/// What QEMU's firmware has for all regions of a machine. It gives every region its place, and stops
/// where it cannot. Below 4 GiB that is what neither the machine's memory nor the chipset has; above
/// it is what surely lies within 40 address bits, QEMU's usual (SeaBIOS 1.17 goes beyond them with
/// eight regions of 64 GiB, and the kernel then has no place for any).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    memory: Bytes,
    wide: Bytes,
    ports: Bytes,
}

/// Regions that do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {what} of all devices together have room for {room}")]
pub struct NoRoom {
    what: &'static str,
    room: Bytes,
}

impl Room {
    /// Of a machine without devices.
    pub const ALL: Self = Self {
        memory: Bytes(768 * Bytes::MIB),
        wide: Bytes(256 * Bytes::GIB),
        ports: Bytes(8 * Bytes::KIB),
    };

    /// What so many devices with these regions leave.
    ///
    /// # Errors
    /// There is not so much.
    pub fn without(mut self, regions: &[Region], devices: u64) -> Result<Self, NoRoom> {
        for region in regions {
            let (left, room, what) = match region.space {
                Space::Ports => (&mut self.ports, Self::ALL.ports, "I/O regions"),
                Space::Memory { wide: false, .. } => (
                    &mut self.memory,
                    Self::ALL.memory,
                    "regions of 32-bit memory",
                ),
                Space::Memory { wide: true, .. } => {
                    (&mut self.wide, Self::ALL.wide, "regions of 64-bit memory")
                }
            };
            let all = region.size().saturating_mul(devices);
            left.0 = left.0.checked_sub(all).ok_or(NoRoom { what, room })?;
        }
        Ok(self)
    }
}

/// Ports of a network card, each a function of its own: 1, 2 or 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports(u8);

impl Ports {
    /// A card with one.
    pub const ONE: Self = Self(1);

    /// The plain number.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Serialize for Ports {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.0)
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            ports @ (1 | 2 | 4) => Ok(Self(ports as u8)),
            ports => Err(serde::de::Error::custom(format_args!(
                "a card has 1, 2 or 4 ports, not {ports}"
            ))),
        }
    }
}

impl JsonSchema for Ports {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Ports".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [1, 2, 4], "description": "Ports of a network card." })
    }
}

/// Text in YAML. Digits are those of lspci, hexadecimal without `0x`, so a bare `0200` or `10` is read
/// as it is written and not as the number that YAML takes it for.
macro_rules! as_written {
    ($type:ty, $name:literal, $pattern:literal, $about:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("text")
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": ["string", "number"], "pattern": $pattern, "description": $about
                })
            }
        }
    };
}

as_written!(
    Id,
    "Id",
    "^(0x)?[0-9a-fA-F]{4}:(0x)?[0-9a-fA-F]{4}$",
    "Vendor and device as lspci -nn shows them: 8086:1572."
);
as_written!(
    Class,
    "Class",
    "^(0x)?([0-9a-fA-F]{4}|[0-9a-fA-F]{6})$",
    "A PCI class: 0200, or 010802 with its interface."
);
as_written!(
    Revision,
    "Revision",
    "^(0x)?[0-9a-fA-F]{1,2}$",
    "A revision: 02."
);
as_written!(
    Region,
    "Region",
    "^.*[0-9].*$",
    "A region of registers: 8M 64-bit prefetchable, 64K, 256 I/O."
);

#[cfg(test)]
mod tests;
