//! QEMU's `a,key=value,…` option strings.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Builds one option string; a comma inside a value is doubled, as QEMU's parser wants it.
#[derive(Debug, Clone)]
pub(super) struct Options(Vec<u8>);

impl Options {
    /// Begins with a value that has no key of its own: `nvme`, `socket`, `tcg`.
    pub(super) fn of(first: &str) -> Self {
        let mut options = Self(Vec::new());
        options.push_value(first.as_ref());
        options
    }

    /// Begins with a key.
    pub(super) fn keyed(key: &str, value: impl AsRef<OsStr>) -> Self {
        let mut options = Self(format!("{key}=").into_bytes());
        options.push_value(value.as_ref());
        options
    }

    /// Appends `,key=value`.
    pub(super) fn with(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.extend_from_slice(format!(",{key}=").as_bytes());
        self.push_value(value.as_ref());
        self
    }

    fn push_value(&mut self, value: &OsStr) {
        for &byte in value.as_bytes() {
            self.0.push(byte);
            if byte == b',' {
                self.0.push(byte);
            }
        }
    }
}

impl From<Options> for OsString {
    fn from(options: Options) -> Self {
        OsString::from_vec(options.0)
    }
}
