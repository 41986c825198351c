//! Sizes, counts and addresses that the type system keeps apart.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is none of what the type accepts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {wanted}")]
pub struct UnitError {
    /// What the user wrote.
    pub given: String,
    /// What would have been accepted, with an example.
    pub wanted: &'static str,
}

/// A size in bytes, written as the kernel's memparse() reads it: `256M`, `1G`, `0x10000000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl Bytes {
    /// One kibibyte.
    pub const KIB: u64 = 1 << 10;
    /// One mebibyte.
    pub const MIB: u64 = 1 << 20;
    /// One gibibyte.
    pub const GIB: u64 = 1 << 30;
}

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError {
            given: text.to_owned(),
            wanted: "a size such as 256M or 1G",
        };
        let (digits, shift) = match text.chars().last() {
            Some('k' | 'K') => (&text[..text.len() - 1], 10),
            Some('m' | 'M') => (&text[..text.len() - 1], 20),
            Some('g' | 'G') => (&text[..text.len() - 1], 30),
            Some('t' | 'T') => (&text[..text.len() - 1], 40),
            _ => (text, 0),
        };
        let number = match digits.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None if digits.starts_with('+') => return Err(error()),
            None => digits.parse(),
        }
        .map_err(|_| error())?;
        number.checked_mul(1 << shift).map(Bytes).ok_or_else(error)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => write!(f, "0"),
            n if n % Self::GIB == 0 => write!(f, "{}G", n / Self::GIB),
            n if n % Self::MIB == 0 => write!(f, "{}M", n / Self::MIB),
            n if n % Self::KIB == 0 => write!(f, "{}K", n / Self::KIB),
            n => write!(f, "{n}"),
        }
    }
}

/// A number of CPUs. QEMU's q35 stops at 4096 with KVM and 255 without an IOMMU; the machine
/// checks that, this type only that there is at least one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Cpus(pub NonZeroU16);

impl Cpus {
    /// A single CPU.
    pub const ONE: Cpus = Cpus(NonZeroU16::MIN);

    /// The plain number.
    pub fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Entries of an MSI-X table: 1 to 2048 (PCI Local Bus Specification 3.0, 6.8.2.3: the Table Size
/// field has eleven bits and holds N - 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TableSize(u16);

impl TableSize {
    /// The largest table that PCI allows.
    pub const MAX: u16 = 2048;

    /// `None` outside 1 to 2048.
    pub fn new(entries: u16) -> Option<Self> {
        (1..=Self::MAX).contains(&entries).then_some(Self(entries))
    }

    /// The plain number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl<'de> Deserialize<'de> for TableSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = u64::deserialize(deserializer)?;
        u16::try_from(given)
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| {
                serde::de::Error::custom(format_args!(
                    "an MSI-X table has 1 to {} entries, not {given}",
                    Self::MAX
                ))
            })
    }
}

impl JsonSchema for TableSize {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TableSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "integer", "minimum": 1, "maximum": TableSize::MAX,
            "description": "Entries of an MSI-X table."
        })
    }
}

/// Device and function number on a bus, written `0x5` or `0x1e.3`, as QEMU's `addr=` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// 0 to 31.
    pub device: u8,
    /// 0 to 7.
    pub function: u8,
}

impl FromStr for Slot {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError {
            given: text.to_owned(),
            wanted: "a PCI slot such as 0x5 or 0x1e.3",
        };
        let (device, function) = text.split_once('.').unwrap_or((text, "0"));
        let device = match device.strip_prefix("0x") {
            Some(hex) => u8::from_str_radix(hex, 16),
            None => device.parse(),
        }
        .map_err(|_| error())?;
        let function = function.parse().map_err(|_| error())?;
        (device < 32 && function < 8)
            .then_some(Self { device, function })
            .ok_or_else(error)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.function {
            0 => write!(f, "{:#x}", self.device),
            function => write!(f, "{:#x}.{function}", self.device),
        }
    }
}

/// A span of time, written `90s` or `500ms`; whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// For the clock.
    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl FromStr for Millis {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError {
            given: text.to_owned(),
            wanted: "a time such as 90s, 2m or 500ms",
        };
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let number: u64 = text[..split].parse().map_err(|_| error())?;
        let factor = match &text[split..] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            _ => return Err(error()),
        };
        number.checked_mul(factor).map(Self).ok_or_else(error)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n % 1000 == 0 => write!(f, "{}s", n / 1000),
            n => write!(f, "{n}ms"),
        }
    }
}

/// YAML reads a bare `0x5` as the number five, so a slot may arrive as either.
impl<'de> Deserialize<'de> for Slot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Slot;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a PCI slot such as 0x5 or 0x1e.3")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Slot, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Slot, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for Slot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Slot {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Slot".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A PCI slot: 0x5, 0x1e.3.",
            "oneOf": [
                { "type": "string", "pattern": "^(0x[0-9a-fA-F]{1,2}|[0-9]{1,2})(\\.[0-7])?$" },
                { "type": "integer", "minimum": 0, "maximum": 31 }
            ]
        })
    }
}

/// Text in YAML, a checked value in the program.
macro_rules! as_text {
    ($type:ty, $pattern:literal, $about:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string", "pattern": $pattern, "description": $about
                })
            }
        }
    };
}
pub(crate) use as_text;

as_text!(
    Bytes,
    "^(0x[0-9a-fA-F]+|[0-9]+)[kKmMgGtT]?$",
    "A size: 256M, 1G."
);
as_text!(
    Millis,
    "^[0-9]+(ms|s|m)$",
    "A span of time: 90s, 2m, 500ms."
);
