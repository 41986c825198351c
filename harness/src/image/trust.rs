//! What a manifest can trust in: the key that signed a file, or the file's own digest.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::units::as_text;

/// The fingerprint of an OpenPGP key of version 4 (RFC 9580, 5.5.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 20]);

/// A file's SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum([u8; 32]);

/// Text that is no fingerprint or no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no {what} of {digits} hexadecimal digits")]
pub struct NoHex {
    given: String,
    what: &'static str,
    digits: usize,
}

impl Fingerprint {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl From<[u8; 20]> for Fingerprint {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Fingerprint {
    type Err = NoHex;

    /// With blanks or without.
    fn from_str(text: &str) -> Result<Self, NoHex> {
        let digits: String = text.split_whitespace().collect();
        hex(&digits).map(Self).ok_or_else(|| NoHex {
            given: text.to_owned(),
            what: "fingerprint",
            digits: 40,
        })
    }
}

/// In groups of four digits, as gpg shows it.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, pair) in self.0.chunks(2).enumerate() {
            let space = if nth == 0 { "" } else { " " };
            write!(f, "{space}{:02X}{:02X}", pair[0], pair[1])?;
        }
        Ok(())
    }
}

impl From<[u8; 32]> for Sum {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl Sum {
    /// Of everything that is left in `from`.
    ///
    /// # Errors
    /// Those of reading.
    pub fn of(mut from: impl Read) -> io::Result<Self> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(Self(hash.finalize().into())),
                Ok(count) => hash.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl FromStr for Sum {
    type Err = NoHex;

    fn from_str(text: &str) -> Result<Self, NoHex> {
        hex(text).map(Self).ok_or_else(|| NoHex {
            given: text.to_owned(),
            what: "SHA-256",
            digits: 64,
        })
    }
}

/// As sha256sum(1) prints it.
impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if digits.len() != 2 * N || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

as_text!(
    Fingerprint,
    "^([0-9A-Fa-f]\\s*){40}$",
    "Fingerprint of an OpenPGP key: 40 hexadecimal digits, with or without blanks."
);
as_text!(
    Sum,
    "^[0-9A-Fa-f]{64}$",
    "SHA-256 of a file, as sha256sum prints it."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints() {
        let text = "6341 AB27 53D7 8A78 A7C2 7BB1 24C6 A8A7 F4A8 0EB5";
        let print: Fingerprint = text.parse().unwrap();
        assert_eq!(print.to_string(), text);
        assert_eq!(text.replace(' ', "").to_lowercase().parse(), Ok(print));
        for wrong in ["", "6341", &text.replace('5', "X"), &format!("{text}0")] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sums() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Sum::of(&b""[..]).unwrap().to_string(), empty);
        assert_eq!(empty.to_uppercase().parse(), Ok(Sum::of(&b""[..]).unwrap()));
        let error = "e3b0".parse::<Sum>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`e3b0` is no SHA-256 of 64 hexadecimal digits"
        );
    }
}
