//! images/NAME.yaml: what an image is made of.

use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::error::ImageError;

/// An image: a kernel with its modules, and the programs that arm kdump and save the dump.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// The file's own name without `.yaml`: small letters, digits, dots and hyphens.
    pub name: String,
    /// What it is, for people.
    pub about: String,
    /// Where it comes from.
    #[serde(deserialize_with = "serde_yaml::with::singleton_map::deserialize")]
    #[schemars(with = "Source")]
    pub source: Source,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Debian packages, through the apt and the mirror of this machine.
    Apt(AptSource),
    /// A kernel that lies on this machine.
    Local(LocalSource),
}

/// Debian packages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AptSource {
    /// The release, by its code name: `bookworm`.
    pub suite: String,
    /// What to install; dependencies follow.
    pub packages: Vec<String>,
}

/// A kernel that lies on this machine, with the userland of another image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LocalSource {
    /// A bzImage (`/boot/vmlinuz-...`), or an ELF vmlinux with the PVH note. Relative to this file.
    pub kernel: PathBuf,
    /// The directory that holds `modules.dep`, or a directory above it such as an unpacked
    /// package. Absent when everything that is needed is built in. Relative to this file.
    #[serde(default)]
    pub modules: Option<PathBuf>,
    /// Name of the image that lends kexec, makedumpfile and busybox; its source must be `apt`.
    pub userland: String,
}

impl Manifest {
    /// Reads a manifest; relative paths in it are made absolute.
    ///
    /// # Errors
    /// With the file, and line and column where YAML says them.
    pub fn load(file: &Path) -> Result<Self, ImageError> {
        let text = fs::read_to_string(file).map_err(|source| ImageError::Io {
            doing: "read",
            path: file.to_owned(),
            source,
        })?;
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let manifest = Self::parse(&text, file)?;
        match manifest.name == stem {
            true => Ok(manifest),
            false => Err(invalid(
                file,
                &text,
                "name",
                format!(
                    "the name `{}` is not the file's own, `{stem}`",
                    manifest.name
                ),
            )),
        }
    }

    /// Checks the text of a manifest; `file` is for messages and relative paths.
    ///
    /// # Errors
    /// See [`Manifest::load`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, ImageError> {
        let mut manifest: Self = serde_yaml::from_str(text).map_err(|error| {
            let at = error.location();
            ImageError::Manifest {
                file: file.to_owned(),
                line: at.as_ref().map_or(1, |at| at.line()),
                column: at.as_ref().map_or(1, |at| at.column()),
                message: without_location(&error.to_string()).to_owned(),
            }
        })?;
        let error = |key, message: String| Err(invalid(file, text, key, message));
        let word = |text: &str, extra: &str| {
            let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || extra.contains(c);
            text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && text.chars().all(inner)
        };
        if !word(&manifest.name, "-.") {
            return error(
                "name",
                format!(
                    "`{}` is not a name of small letters, digits, dots and hyphens",
                    manifest.name
                ),
            );
        }
        match &mut manifest.source {
            // Both end up on apt's command line.
            Source::Apt(apt) => {
                if !word(&apt.suite, "-.") {
                    return error("suite", format!("`{}` is not a Debian suite", apt.suite));
                }
                if apt.packages.is_empty() {
                    return error(
                        "packages",
                        "no packages: at least a kernel is needed".into(),
                    );
                }
                if let Some(odd) = apt.packages.iter().find(|name| !word(name, "-.+")) {
                    return error("packages", format!("`{odd}` is not a Debian package name"));
                }
            }
            Source::Local(local) => {
                let directory = file.parent().unwrap_or(Path::new("."));
                let absolute = |path: &mut PathBuf| {
                    let joined = directory.join(&*path);
                    *path = std::path::absolute(&joined).unwrap_or(joined);
                };
                absolute(&mut local.kernel);
                local.modules.iter_mut().for_each(absolute);
            }
        }
        Ok(manifest)
    }
}

/// An error at the first line that has this key.
fn invalid(file: &Path, text: &str, key: &str, message: String) -> ImageError {
    let found = text.lines().enumerate().find_map(|(number, line)| {
        let at = line.find(key)?;
        let before = &line[..at];
        let is_key = before.chars().all(|c| c == ' ' || c == '{' || c == ',')
            || before.ends_with(['{', ' ']);
        (is_key && line[at + key.len()..].trim_start().starts_with(':'))
            .then_some((number + 1, at + 1))
    });
    let (line, column) = found.unwrap_or((1, 1));
    ImageError::Manifest {
        file: file.to_owned(),
        line,
        column,
        message,
    }
}

/// The message says the position in a field of its own.
fn without_location(message: &str) -> &str {
    match message.rfind(" at line ") {
        Some(at) => &message[..at],
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APT: &str = "name: debian-12\nabout: x\nsource: {apt: {suite: bookworm, packages: [linux-image-amd64]}}\n";

    fn parse(text: &str) -> Result<Manifest, ImageError> {
        Manifest::parse(text, Path::new("/images/debian-12.yaml"))
    }

    fn position(text: &str) -> (usize, usize, String) {
        match parse(text) {
            Err(ImageError::Manifest {
                line,
                column,
                message,
                ..
            }) => (line, column, message),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_sources_are_read() {
        let apt = parse(APT).unwrap();
        assert!(matches!(apt.source, Source::Apt(apt) if apt.suite == "bookworm"));
        let local = parse(
            "name: el7\nabout: x\nsource:\n  local: {kernel: el7/vmlinuz, modules: /m, userland: debian-12}\n",
        )
        .unwrap();
        let Source::Local(local) = local.source else {
            panic!()
        };
        assert_eq!(local.kernel, Path::new("/images/el7/vmlinuz"));
        assert_eq!(local.modules.as_deref(), Some(Path::new("/m")));
    }

    #[test]
    fn errors_have_a_position() {
        let (line, _, message) =
            position("name: a\nabout: x\nsource: {apt: {suite: b, packages: [c], mirror: d}}\n");
        assert_eq!(line, 3, "{message}");
        assert!(message.contains("unknown field `mirror`"), "{message}");
        let (line, column, message) = position(&APT.replace("[linux-image-amd64]", "[--force]"));
        assert_eq!((line, column), (3, 33), "{message}");
        let (line, ..) = position(&APT.replace("debian-12", "'../x'"));
        assert_eq!(line, 1);
        let (_, _, message) = position("name: a\nabout: x\nsource: {rpm: {}}\n");
        assert!(message.contains("unknown variant `rpm`"), "{message}");
    }

    #[test]
    fn shipped_manifests_are_valid() {
        let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
        let mut seen = 0;
        for file in fs::read_dir(images)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if file
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                Manifest::load(&file).unwrap();
                seen += 1;
            }
        }
        assert!(seen >= 2);
    }
}
