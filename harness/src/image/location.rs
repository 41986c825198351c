//! Where a file of a manifest is: on this machine, or at a URL.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// Where a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// On this machine.
    File(PathBuf),
    /// `https://` or `http://`: what is fetched is believed only once its signature or its digest
    /// has been checked.
    Url(String),
}

impl Location {
    /// The file's own name: what is behind the last slash.
    pub fn file_name(&self) -> Cow<'_, str> {
        match self {
            Self::File(path) => path.file_name().unwrap_or_default().to_string_lossy(),
            Self::Url(url) => {
                let path = url.split(['?', '#']).next().unwrap_or_default();
                path.rsplit('/').next().unwrap_or_default().into()
            }
        }
    }

    /// The same, where a path is relative to `directory`.
    pub(super) fn below(self, directory: &Path) -> Self {
        match self {
            Self::File(path) => {
                let joined = directory.join(path);
                Self::File(std::path::absolute(&joined).unwrap_or(joined))
            }
            url => url,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(url),
        }
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let error = |why: &str| Err(serde::de::Error::custom(format!("`{text}` {why}")));
        match text.split_once("://") {
            Some(("https" | "http", rest)) => match rest.split('/').next() {
                None | Some("") => error("names no server"),
                // Not shown, here or anywhere.
                Some(server) if server.contains('@') => Err(serde::de::Error::custom(
                    "a URL with a user or a password would be seen in logs and in the cache; \
                     fetch the file yourself and name its path",
                )),
                _ if !text.chars().all(|c| c.is_ascii_graphic()) => {
                    error("is no URL: write blanks and other characters as %XX")
                }
                _ if text.ends_with('/') => error("names no file"),
                _ => Ok(Self::Url(text)),
            },
            Some(_) => error("is neither a path nor an https:// or http:// URL"),
            None if text.is_empty() => error("names no file"),
            None => Ok(Self::File(text.into())),
        }
    }
}

impl JsonSchema for Location {
    fn schema_name() -> Cow<'static, str> {
        "Location".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "description": "A path, relative to the manifest, or an https:// or http:// URL.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Location, String> {
        serde_json::from_value(text.into()).map_err(|error| error.to_string())
    }

    #[test]
    fn paths_and_urls() {
        let url = read("https://example.org/a/kernel-1.rpm?x=/y").unwrap();
        assert_eq!(url.file_name(), "kernel-1.rpm");
        assert_eq!(url.clone().below(Path::new("/images")), url);
        let file = read("../kernel-1.rpm").unwrap();
        assert_eq!(file.file_name(), "kernel-1.rpm");
        assert_eq!(
            file.below(Path::new("/images")),
            Location::File("/images/../kernel-1.rpm".into())
        );
        for wrong in [
            "",
            "ftp://x/y",
            "https:///y",
            "http://x/",
            "https://x/a b",
            "https://x/ä",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let error = read("https://me:secret@x/y").unwrap_err();
        assert!(error.contains("password") && !error.contains("secret"));
        assert!(read("https://x/y@2").is_ok());
    }
}
