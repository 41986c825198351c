//! The `crashkernel=` grammar, as `kernel/kexec.c` of RHEL 7 reads it (3.10.0-514, lines
//! 1677-2000). Its complaints are the kernel's own.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::units::Bytes;

/// Value of `crashkernel=`, or `none`.
///
/// As text: `none`, `auto`, `256M`, `256M@16M`, `1G-4G:160M,4G-:256M`, `512M,high`, or
/// `512M,high 72M,low` for the two parameters of a reservation above 4 GiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crashkernel {
    /// No such parameter.
    None,
    /// The kernel decides: a patch of RHEL 6 to 8, unknown to nearly all other kernels.
    Auto,
    /// `size[@offset]`.
    Simple {
        /// How much to reserve.
        size: Bytes,
        /// Where; the kernel chooses when absent.
        offset: Option<Bytes>,
    },
    /// `start-[end]:size[,…][@offset]`: the first range that the machine's memory falls into.
    Ranges {
        /// At least one.
        ranges: Vec<MemoryRange>,
        /// Where; the kernel chooses when absent.
        offset: Option<Bytes>,
    },
    /// `size,high`, alone or with a second parameter `size,low`.
    High {
        /// How much to reserve, above 4 GiB if it can be.
        size: Bytes,
        /// How much below 4 GiB; the kernel chooses when absent, zero means none.
        low: Option<Bytes>,
    },
}

/// `start-[end]:size`: half-open, without an end it reaches up to all memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryRange {
    /// The least memory that falls into it.
    pub start: Bytes,
    /// The least memory that no longer does.
    pub end: Option<Bytes>,
    /// How much to reserve.
    pub size: Bytes,
}

/// What a kernel with so much memory reserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// That much, if the place is free.
    Bytes(Bytes),
    /// Nothing: no parameter, or no range matches.
    Nothing,
    /// `auto`: it depends on the kernel.
    KernelDecides,
}

/// A text that the kernel would not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("crashkernel: {complaint}")]
pub struct CrashkernelError {
    /// The kernel's words where it has some.
    pub complaint: &'static str,
    /// What to write instead.
    pub help: &'static str,
    /// The bytes of the text that it is about; empty at its end.
    pub at: Range<usize>,
}

impl Crashkernel {
    /// What goes on the first kernel's command line: no word, one, or two.
    pub fn parameters(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            _ => {
                let text = self.to_string();
                text.split(' ')
                    .map(|value| format!("crashkernel={value}"))
                    .collect()
            }
        }
    }

    /// What a kernel that counts `memory` reserves. Kernels count a little less than a machine
    /// has, so that a machine of exactly a range's start may fall out of it.
    pub fn reserved(&self, memory: Bytes) -> Reserved {
        match self {
            Self::None => Reserved::Nothing,
            Self::Auto => Reserved::KernelDecides,
            Self::Simple { size, .. } | Self::High { size, .. } => Reserved::Bytes(*size),
            Self::Ranges { ranges, .. } => {
                ranges
                    .iter()
                    .find(|range| range.holds(memory))
                    .map_or(Reserved::Nothing, |range| match range.size {
                        Bytes(0) => Reserved::Nothing,
                        size => Reserved::Bytes(size),
                    })
            }
        }
    }
}

impl MemoryRange {
    fn holds(&self, memory: Bytes) -> bool {
        memory >= self.start && self.end.is_none_or(|end| memory < end)
    }
}

impl fmt::Display for Crashkernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |f: &mut fmt::Formatter<'_>, offset: &Option<Bytes>| match offset {
            Some(offset) => write!(f, "@{offset}"),
            None => Ok(()),
        };
        match self {
            Self::None => f.write_str("none"),
            Self::Auto => f.write_str("auto"),
            Self::Simple { size, offset } => {
                write!(f, "{size}")?;
                at(f, offset)
            }
            Self::Ranges { ranges, offset } => {
                for (nth, range) in ranges.iter().enumerate() {
                    let comma = if nth == 0 { "" } else { "," };
                    write!(f, "{comma}{}-", range.start)?;
                    if let Some(end) = range.end {
                        write!(f, "{end}")?;
                    }
                    write!(f, ":{}", range.size)?;
                }
                at(f, offset)
            }
            Self::High { size, low: None } => write!(f, "{size},high"),
            Self::High {
                size,
                low: Some(low),
            } => write!(f, "{size},high {low},low"),
        }
    }
}

impl FromStr for Crashkernel {
    type Err = CrashkernelError;

    fn from_str(text: &str) -> Result<Self, CrashkernelError> {
        let mut cursor = Cursor { text, at: 0 };
        match text {
            "none" => return Ok(Self::None),
            "auto" => return Ok(Self::Auto),
            _ if text.starts_with("crashkernel=") => {
                return Err(CrashkernelError {
                    complaint: "the parameter's name stands in front of its value",
                    help: "write the value alone, such as `256M`; a second value goes behind a \
                           blank: `512M,high 72M,low`",
                    at: 0.."crashkernel=".len(),
                });
            }
            _ => {}
        }
        // The kernel chooses between its two grammars by a colon before the first blank.
        let first = text.split(' ').next().unwrap_or(text);
        if first.contains(':') {
            cursor.ranges()
        } else {
            cursor.simple()
        }
    }
}

const SIZE: &str = "a size is a number with K, M, G or T behind it, such as `256M`";

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn error(&self, complaint: &'static str, help: &'static str) -> CrashkernelError {
        let length = self.rest().chars().next().map_or(0, char::len_utf8);
        CrashkernelError {
            complaint,
            help,
            at: self.at..self.at + length,
        }
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    /// The kernel's memparse(): hexadecimal, octal or decimal, and a unit.
    fn size(&mut self) -> Result<Bytes, CrashkernelError> {
        let rest = self.rest();
        let hex = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"));
        let (radix, prefix) = match hex {
            Some(digits) if digits.starts_with(|c: char| c.is_ascii_hexdigit()) => (16, 2),
            _ if rest.starts_with('0') => (8, 0),
            _ => (10, 0),
        };
        let digits = rest[prefix..]
            .find(|c: char| !c.is_digit(radix))
            .unwrap_or(rest.len() - prefix);
        if digits == 0 {
            return Err(self.error("Memory value expected", SIZE));
        }
        let end = prefix + digits;
        let shift = match rest[end..].chars().next() {
            Some('k' | 'K') => 10,
            Some('m' | 'M') => 20,
            Some('g' | 'G') => 30,
            Some('t' | 'T') => 40,
            Some('p' | 'P') => 50,
            Some('e' | 'E') => 60,
            _ => 0,
        };
        let length = end + usize::from(shift > 0);
        let value = u64::from_str_radix(&rest[prefix..end], radix)
            .ok()
            .and_then(|number| number.checked_mul(1 << shift))
            .ok_or(CrashkernelError {
                complaint: "the size does not fit into 64 bits",
                help: SIZE,
                at: self.at..self.at + length,
            })?;
        self.at += length;
        Ok(Bytes(value))
    }

    fn offset(&mut self) -> Result<Option<Bytes>, CrashkernelError> {
        self.eat("@").then(|| self.size()).transpose()
    }

    fn end(&self) -> Result<(), CrashkernelError> {
        if self.rest().is_empty() {
            return Ok(());
        }
        if matches!(self.rest().to_ascii_lowercase().as_str(), "b" | "ib") {
            return Err(self.error("unrecognized char", "a unit is one letter: `256M`, `1G`"));
        }
        Err(self.error(
            "unrecognized char",
            "the forms are `256M`, `256M@16M`, `1G-4G:160M,4G-:256M`, `512M,high`, \
             `512M,high 72M,low`, `auto` and `none`",
        ))
    }

    fn simple(&mut self) -> Result<Crashkernel, CrashkernelError> {
        let start = self.at;
        let size = self.size()?;
        let size_end = self.at;
        if self.eat(",low") {
            return Err(CrashkernelError {
                complaint: "a `,low` value without a `,high` one reserves nothing",
                help: "write both: `512M,high 72M,low`",
                at: start..self.at,
            });
        }
        if size == Bytes(0) {
            return Err(CrashkernelError {
                complaint: "invalid size",
                help: "a size of zero reserves nothing: write `none` to drill that",
                at: start..size_end,
            });
        }
        if self.eat(",high") {
            let low = if self.eat(" ") {
                let low = self.size()?;
                if !self.eat(",low") {
                    return Err(self.error(
                        "unrecognized char",
                        "the second value is the one below 4 GiB: `512M,high 72M,low`",
                    ));
                }
                Some(low)
            } else {
                None
            };
            self.end()?;
            return Ok(Crashkernel::High { size, low });
        }
        let offset = self.offset()?;
        self.end()?;
        Ok(Crashkernel::Simple { size, offset })
    }

    fn ranges(&mut self) -> Result<Crashkernel, CrashkernelError> {
        let mut ranges = Vec::new();
        loop {
            let start_at = self.at;
            let start = self.size()?;
            if !self.eat("-") {
                return Err(self.error("'-' expected", "a range is `start-end:size`: `1G-4G:160M`"));
            }
            let end = if self.rest().starts_with(':') {
                None
            } else {
                Some(self.size()?)
            };
            if end.is_some_and(|end| end <= start) {
                return Err(CrashkernelError {
                    complaint: "end <= start",
                    help: "a range begins with the smaller size: `1G-4G:160M`",
                    at: start_at..self.at,
                });
            }
            if !self.eat(":") {
                return Err(self.error("':' expected", "a range is `start-end:size`: `1G-4G:160M`"));
            }
            let size = self.size()?;
            ranges.push(MemoryRange { start, end, size });
            if !self.eat(",") {
                break;
            }
        }
        let offset = self.offset()?;
        self.end()?;
        Ok(Crashkernel::Ranges { ranges, offset })
    }
}

impl Serialize for Crashkernel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Crashkernel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Crashkernel {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Crashkernel".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": concat!(
                r"^(none|auto|[0-9][0-9a-fA-FxX]*[kKmMgGtTpPeE]?(@[0-9a-zA-Z]+)?",
                r"|[0-9a-zA-Z]+,high( [0-9a-zA-Z]+,low)?",
                r"|[0-9a-zA-Z]+-[0-9a-zA-Z]*:[0-9a-zA-Z]+(,[0-9a-zA-Z]+-[0-9a-zA-Z]*:[0-9a-zA-Z]+)*",
                r"(@[0-9a-zA-Z]+)?)$"
            ),
            "description": "Value of crashkernel=: 256M, 1G-4G:160M,4G-:256M, 512M,high, or none.",
            "examples": ["256M", "1G-4G:160M,4G-:256M", "512M,high 72M,low", "none"]
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const M: u64 = Bytes::MIB;
    const G: u64 = Bytes::GIB;

    fn parse(text: &str) -> Crashkernel {
        text.parse().unwrap()
    }

    #[test]
    fn forms() {
        assert_eq!(parse("none"), Crashkernel::None);
        assert_eq!(parse("auto"), Crashkernel::Auto);
        let simple = |size, offset| Crashkernel::Simple {
            size: Bytes(size),
            offset,
        };
        assert_eq!(parse("256M"), simple(256 * M, None));
        assert_eq!(
            parse("0x10000000@16m"),
            simple(256 * M, Some(Bytes(16 * M)))
        );
        // Octal, as the kernel has it.
        assert_eq!(parse("010M"), simple(8 * M, None));
        assert_eq!(
            parse("512M,high 72M,low"),
            Crashkernel::High {
                size: Bytes(512 * M),
                low: Some(Bytes(72 * M))
            }
        );
        assert_eq!(
            parse("1G-4G:160M,4G-:256M@16M"),
            Crashkernel::Ranges {
                ranges: vec![
                    MemoryRange {
                        start: Bytes(G),
                        end: Some(Bytes(4 * G)),
                        size: Bytes(160 * M)
                    },
                    MemoryRange {
                        start: Bytes(4 * G),
                        end: None,
                        size: Bytes(256 * M)
                    },
                ],
                offset: Some(Bytes(16 * M))
            }
        );
    }

    #[test]
    fn complaints_and_where() {
        for (text, complaint, at) in [
            ("", "Memory value expected", 0..0),
            ("lots", "Memory value expected", 0..1),
            ("256MB", "unrecognized char", 4..5),
            ("256M,hihg", "unrecognized char", 4..5),
            ("256M@", "Memory value expected", 5..5),
            ("0", "invalid size", 0..1),
            (
                "72M,low",
                "a `,low` value without a `,high` one reserves nothing",
                0..7,
            ),
            ("512M,high 72M", "unrecognized char", 13..13),
            ("1G:160M", "'-' expected", 2..3),
            ("1G-4G160M:1", "':' expected", 5..6),
            ("4G-1G:160M", "end <= start", 0..5),
            ("1G-4G:,4G-:256M", "Memory value expected", 6..7),
            ("1G-4G:160M,", "Memory value expected", 11..11),
            (
                "99999999999999999999M",
                "the size does not fit into 64 bits",
                0..21,
            ),
            ("256M é", "unrecognized char", 4..5),
        ] {
            let error = text.parse::<Crashkernel>().unwrap_err();
            assert_eq!((error.complaint, error.at), (complaint, at), "{text}");
        }
    }

    #[test]
    fn reserves() {
        let ranges = parse("1G-4G:160M,4G-:256M");
        assert_eq!(ranges.reserved(Bytes(G - 1)), Reserved::Nothing);
        assert_eq!(ranges.reserved(Bytes(G)), Reserved::Bytes(Bytes(160 * M)));
        assert_eq!(
            ranges.reserved(Bytes(4 * G - 1)),
            Reserved::Bytes(Bytes(160 * M))
        );
        assert_eq!(
            ranges.reserved(Bytes(4 * G)),
            Reserved::Bytes(Bytes(256 * M))
        );
        assert_eq!(parse("auto").reserved(Bytes(G)), Reserved::KernelDecides);
        assert_eq!(parse("none").reserved(Bytes(G)), Reserved::Nothing);
    }

    #[test]
    fn on_the_command_line() {
        assert_eq!(parse("none").parameters(), Vec::<String>::new());
        assert_eq!(parse("256M").parameters(), ["crashkernel=256M"]);
        assert_eq!(
            parse("512M,high 72M,low").parameters(),
            ["crashkernel=512M,high", "crashkernel=72M,low"]
        );
    }

    fn any_crashkernel() -> impl Strategy<Value = Crashkernel> {
        let size = || (1..u64::MAX).prop_map(Bytes);
        let range = (
            any::<u64>(),
            proptest::option::of(any::<u64>()),
            any::<u64>(),
        )
            .prop_map(|(start, end, size)| MemoryRange {
                start: Bytes(start),
                end: end.filter(|end| *end > start).map(Bytes),
                size: Bytes(size),
            });
        let offset = || proptest::option::of(any::<u64>().prop_map(Bytes));
        prop_oneof![
            Just(Crashkernel::None),
            Just(Crashkernel::Auto),
            (size(), offset()).prop_map(|(size, offset)| Crashkernel::Simple { size, offset }),
            (size(), offset()).prop_map(|(size, low)| Crashkernel::High { size, low }),
            (proptest::collection::vec(range, 1..4), offset())
                .prop_map(|(ranges, offset)| Crashkernel::Ranges { ranges, offset }),
        ]
    }

    proptest! {
        #[test]
        fn display_and_parse_agree(value in any_crashkernel()) {
            prop_assert_eq!(value.to_string().parse::<Crashkernel>(), Ok(value));
        }

        #[test]
        fn errors_point_into_the_text(text in "[0-9MGx:@, -]{0,12}|\\PC{0,8}") {
            if let Err(error) = text.parse::<Crashkernel>() {
                prop_assert!(text.get(error.at).is_some());
            }
        }
    }
}
