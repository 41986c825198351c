//! Where in a scenario something stands: `machine.devices[0].msix`.

use std::fmt;
use std::str::FromStr;

/// A way from the root of a scenario to a value in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(pub Vec<Step>);

/// One step of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a list, from zero.
    Index(usize),
}

impl Path {
    /// One level further down, under a key.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.push(Step::Key(key.into()));
        self
    }

    /// One level further down, into a list.
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Step::Index(index));
        self
    }

    /// Whether `other` is this place or lies in it.
    pub fn holds(&self, other: &Path) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if is_plain(key) && nth == 0 => f.write_str(key)?,
                Step::Key(key) if is_plain(key) => write!(f, ".{key}")?,
                Step::Key(key) => write!(f, "[\"{key}\"]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && !key.contains(|c: char| c == '.' || c == '[' || c == ']' || c.is_control())
}

/// A text that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a path such as `machine.cpus` or `machine.devices[0].msix`")]
pub struct PathError(String);

impl FromStr for Path {
    type Err = PathError;

    /// Keys with dots or brackets in them are written `["…"]`.
    fn from_str(text: &str) -> Result<Self, PathError> {
        let error = || PathError(text.to_owned());
        let mut path = Path::default();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("[\"") {
                let end = after.find("\"]").ok_or_else(error)?;
                path = path.key(&after[..end]);
                rest = &after[end + 2..];
            } else if let Some(after) = rest.strip_prefix('[') {
                let end = after.find(']').ok_or_else(error)?;
                path = path.index(after[..end].parse().map_err(|_| error())?);
                rest = &after[end + 1..];
            } else {
                let after = match rest.strip_prefix('.') {
                    Some(after) if !path.0.is_empty() => after,
                    None if path.0.is_empty() => rest,
                    _ => return Err(error()),
                };
                let end = after.find(['.', '[']).unwrap_or(after.len());
                if !is_plain(&after[..end]) {
                    return Err(error());
                }
                path = path.key(&after[..end]);
                rest = &after[end..];
            }
        }
        if matches!(path.0.first(), Some(Step::Key(_))) {
            Ok(path)
        } else {
            Err(error())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn written_and_read() {
        let path: Path = "machine.devices[0].msix".parse().unwrap();
        let wanted = Path::default()
            .key("machine")
            .key("devices")
            .index(0)
            .key("msix");
        assert_eq!(path, wanted);
        assert_eq!(path.to_string(), "machine.devices[0].msix");
        let path: Path = "capture.files[\"/a.sh\"]".parse().unwrap();
        assert_eq!(path.to_string(), "capture.files[\"/a.sh\"]");
        for bad in [
            "", ".a", "a.", "a..b", "a[", "a[x]", "[0]", "a[-1]", "a]b", "a[\"x]",
        ] {
            assert!(bad.parse::<Path>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text(text in "[a-z.\\[\\]\"0-9]{0,16}") {
            if let Ok(path) = text.parse::<Path>() {
                prop_assert_eq!(path.to_string().parse::<Path>(), Ok(path));
            }
        }
    }
}
