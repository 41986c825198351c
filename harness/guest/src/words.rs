//! The one syntax of orders and reports: a line is a head and `key=value` words, separated by
//! single spaces. A value is escaped so that a line is printable ASCII and holds no space.

use std::fmt::{self, Display, Write as _};
use std::str::FromStr;

/// A line that is not what this crate writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    pub(crate) why: String,
}

impl SyntaxError {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

impl Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for SyntaxError {}

/// Writes one line.
pub(crate) struct Line(String);

impl Line {
    pub(crate) fn new(head: &str) -> Self {
        Self(head.to_owned())
    }

    pub(crate) fn word(mut self, key: &str, value: impl Display) -> Self {
        let _ = write!(self.0, " {key}=");
        for byte in value.to_string().bytes() {
            match byte {
                b'%' | 0..=b' ' | 0x7f.. => {
                    let _ = write!(self.0, "%{byte:02x}");
                }
                _ => self.0.push(char::from(byte)),
            }
        }
        self
    }

    pub(crate) fn optional(self, key: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.word(key, value),
            None => self,
        }
    }

    pub(crate) fn all(self, key: &str, values: &[String]) -> Self {
        values
            .iter()
            .fold(self, |line, value| line.word(key, value))
    }

    /// The line with its line feed.
    pub(crate) fn end(mut self) -> String {
        self.0.push('\n');
        self.0
    }
}

/// Reads one line. Every word has to be taken, by its key, before [`Words::finish`].
pub(crate) struct Words<'a> {
    head: &'a str,
    words: Vec<(&'a str, String)>,
}

impl<'a> Words<'a> {
    /// `line` comes without its line feed.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, SyntaxError> {
        if let Some(byte) = line.iter().find(|byte| !matches!(byte, b' '..=b'~')) {
            return Err(SyntaxError::new(format!(
                "byte {byte:#04x} is not printable ASCII"
            )));
        }
        let line = str::from_utf8(line).map_err(|error| SyntaxError::new(error.to_string()))?;
        let mut parts = line.split(' ');
        let head = parts.next().unwrap_or_default();
        let words = parts
            .map(|word| {
                let (key, value) = word
                    .split_once('=')
                    .ok_or_else(|| SyntaxError::new(format!("`{word}` is not key=value")))?;
                Ok((key, unescape(value)?))
            })
            .collect::<Result<_, SyntaxError>>()?;
        Ok(Self { head, words })
    }

    pub(crate) fn head(&self) -> &'a str {
        self.head
    }

    pub(crate) fn take_optional(&mut self, key: &str) -> Option<String> {
        let at = self.words.iter().position(|(name, _)| *name == key)?;
        Some(self.words.remove(at).1)
    }

    pub(crate) fn take(&mut self, key: &str) -> Result<String, SyntaxError> {
        self.take_optional(key)
            .ok_or_else(|| SyntaxError::new(format!("`{}` has no `{key}`", self.head)))
    }

    pub(crate) fn take_all(&mut self, key: &str) -> Vec<String> {
        let mut values = Vec::new();
        self.words.retain_mut(|(name, value)| {
            let wanted = *name == key;
            if wanted {
                values.push(std::mem::take(value));
            }
            !wanted
        });
        values
    }

    pub(crate) fn parse_value<T: FromStr>(&mut self, key: &str) -> Result<T, SyntaxError> {
        let value = self.take(key)?;
        parse(key, &value)
    }

    pub(crate) fn parse_optional<T: FromStr>(
        &mut self,
        key: &str,
    ) -> Result<Option<T>, SyntaxError> {
        let value = self.take_optional(key);
        value.map(|value| parse(key, &value)).transpose()
    }

    pub(crate) fn finish(self) -> Result<(), SyntaxError> {
        match self.words.first() {
            None => Ok(()),
            Some((key, _)) => Err(SyntaxError::new(format!(
                "`{}` has an unknown or repeated `{key}`",
                self.head
            ))),
        }
    }
}

fn parse<T: FromStr>(key: &str, value: &str) -> Result<T, SyntaxError> {
    value
        .parse()
        .map_err(|_| SyntaxError::new(format!("`{key}={value}` is out of range or misspelt")))
}

fn unescape(value: &str) -> Result<String, SyntaxError> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        match (digit(rest.next()), digit(rest.next())) {
            (Some(high), Some(low)) => bytes.push((high << 4 | low) as u8),
            _ => return Err(SyntaxError::new(format!("bad escape in `{value}`"))),
        }
    }
    String::from_utf8(bytes).map_err(|_| SyntaxError::new(format!("`{value}` is not UTF-8")))
}
