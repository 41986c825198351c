//! What a kernel was built with: the `.config` of its source tree, from a file beside the kernel or
//! out of the kernel itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use memchr::memmem;

/// Distributions' have 150 to 300 KiB.
const LARGEST: u64 = 4 << 20;
/// In front of the gzipped `.config` in a kernel with CONFIG_IKCONFIG=y (kernel/configs.c).
const IKCONFIG: &[u8] = b"IKCFG_ST";
/// Behind it.
const IKCONFIG_END: &[u8] = b"IKCFG_ED";
/// No kernel has more than one; a damaged one may have any number.
const MOST_PLACES: usize = 16;

/// A configuration that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file.
    #[error("cannot read the kernel's configuration {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The text.
    #[error("the kernel's configuration {}: {source}", path.display())]
    Text {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: BadConfig,
    },
}

/// A text that is no kernel's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadConfig {
    /// It does not end where any configuration has ended.
    #[error("larger than {} MiB, which no kernel's configuration is", LARGEST >> 20)]
    TooLarge,
    /// Binary data.
    #[error("not a text")]
    NotText,
    /// Neither a setting nor a comment.
    #[error("line {line} is neither `CONFIG_…=…` nor a comment: the file is damaged")]
    Line {
        /// From 1.
        line: usize,
    },
    /// Nothing is set: an empty file, or one of comments.
    #[error("no line `CONFIG_…=…`: it is no kernel's configuration")]
    Empty,
}

/// How a symbol is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Built in, or a text or number.
    Yes,
    /// A module.
    Module,
    /// Not built, or unknown to this version of the kernel.
    No,
    /// Nobody knows: the kernel came without a configuration.
    Unknown,
}

/// What a kernel was built with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelConfig {
    /// By name without `CONFIG_`, what stands behind the equals sign; absent when it is not known.
    set: Option<BTreeMap<String, String>>,
}

impl KernelConfig {
    /// Of a kernel that came without one.
    pub const UNKNOWN: Self = Self { set: None };

    /// Reads a file as kconfig writes it.
    ///
    /// # Errors
    /// [`ConfigError`], with the file's name.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
            .map_err(|source| ConfigError::Io {
                path: path.to_owned(),
                source,
            })?;
        Self::parse(&bytes).map_err(|source| ConfigError::Text {
            path: path.to_owned(),
            source,
        })
    }

    /// Reads the text of a `.config`.
    ///
    /// # Errors
    /// [`BadConfig`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BadConfig> {
        if bytes.len() as u64 > LARGEST {
            return Err(BadConfig::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| BadConfig::NotText)?;
        let mut set = BTreeMap::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim_end();
            let (name, value) = match text.strip_prefix('#') {
                _ if text.is_empty() => continue,
                None => assignment(text).ok_or(BadConfig::Line { line })?,
                Some(comment) => match unset(comment) {
                    None => continue,
                    Some(name) => (name, "n"),
                },
            };
            // As kconfig reads it, the last one counts.
            match value {
                "n" => set.remove(name),
                _ => set.insert(name.to_owned(), value.to_owned()),
            };
        }
        match set.is_empty() {
            true => Err(BadConfig::Empty),
            false => Ok(Self { set: Some(set) }),
        }
    }

    /// The text of the configuration that lies in a decompressed kernel, if one does that can be
    /// read.
    pub(super) fn inside(kernel: &[u8]) -> Option<Vec<u8>> {
        memmem::find_iter(kernel, IKCONFIG)
            .take(MOST_PLACES)
            .find_map(|at| {
                let mut packed = kernel.get(at + IKCONFIG.len()..)?;
                let mut text = Vec::new();
                // A `bufread` decoder takes no byte behind the end.
                GzDecoder::new(&mut packed)
                    .take(LARGEST + 1)
                    .read_to_end(&mut text)
                    .ok()?;
                let whole = packed.starts_with(IKCONFIG_END) && Self::parse(&text).is_ok();
                whole.then_some(text)
            })
    }

    /// How a symbol is set, by its name without `CONFIG_`. A symbol that is not mentioned is not
    /// set: whether the kernel's version has it at all is for the caller to know.
    pub fn setting(&self, symbol: &str) -> Setting {
        let Some(set) = &self.set else {
            return Setting::Unknown;
        };
        match set.get(symbol).map(String::as_str) {
            None => Setting::No,
            Some("m") => Setting::Module,
            Some(_) => Setting::Yes,
        }
    }
}

/// `CONFIG_NAME=value`, with a value of kconfig's.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix("CONFIG_")?.split_once('=')?;
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let quoted = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
    let fits = !name.is_empty()
        && name.chars().all(word)
        && (quoted || (!value.is_empty() && value.chars().all(plain)));
    fits.then_some((name, value))
}

/// ` CONFIG_NAME is not set`, behind the `#`.
fn unset(comment: &str) -> Option<&str> {
    comment
        .strip_prefix(" CONFIG_")?
        .strip_suffix(" is not set")
}

#[cfg(test)]
pub(super) mod tests;
