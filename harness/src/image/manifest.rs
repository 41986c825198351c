//! images/NAME.yaml: what an image is made of.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::error::ImageError;
use crate::units::Bytes;

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
    /// A root disk made of Debian packages, for drills with `boot: disk`.
    Disk(DiskSource),
    /// A disk image that lies on this machine, for drills with `boot: disk`.
    DiskImage(DiskImageSource),
    /// A disk image that a distribution publishes, for drills with `boot: disk`.
    Url(UrlSource),
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

/// A root disk made of Debian packages: a whole distribution that boots by itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DiskSource {
    /// The release, by its code name: `bookworm`.
    pub suite: String,
    /// What to install beside the essential packages; dependencies follow, recommendations do
    /// not. It takes a kernel, an init, initramfs-tools and kdump-tools.
    pub packages: Vec<String>,
    /// Size of the disk. Only what is written to it takes space.
    #[serde(default = "usual_disk")]
    pub size: Bytes,
    /// Files that are there before the packages are installed, path to text: what an administrator
    /// put into /etc/modprobe.d or /etc/initramfs-tools. mode 0644.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// A disk with a distribution on it, with its own kdump and with cloud-init.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DiskImageSource {
    /// qcow2 or raw. Relative to this file.
    pub file: PathBuf,
}

/// Debian's kernel and its modules alone are half a gibibyte, and the dump comes on top.
const LEAST_DISK: Bytes = Bytes(Bytes::GIB);

fn usual_disk() -> Bytes {
    Bytes(4 * Bytes::GIB)
}

/// A disk image that a distribution publishes, and what else of it a drill needs. All of these
/// are https:// URLs; nothing is believed that the key has not signed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct UrlSource {
    /// The disk, qcow2 or raw.
    pub disk: String,
    /// The distribution's list of checksums, signed in place, in which the disk's name stands.
    pub checksums: String,
    /// Directories with `repodata/` from which missing packages come.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// The key that signs the checksums and the packages. Relative to this file.
    pub key: PathBuf,
    /// The key's fingerprint: 40 hexadecimal digits, with or without blanks.
    pub fingerprint: String,
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
            // All of these end up on apt's or mmdebstrap's command line.
            Source::Apt(AptSource { suite, packages })
            | Source::Disk(DiskSource {
                suite, packages, ..
            }) => {
                if !word(suite, "-.") {
                    return error("suite", format!("`{suite}` is not a Debian suite"));
                }
                if packages.is_empty() {
                    return error(
                        "packages",
                        "no packages: at least a kernel is needed".into(),
                    );
                }
                if let Some(odd) = packages.iter().find(|name| !word(name, "-.+")) {
                    return error("packages", format!("`{odd}` is not a Debian package name"));
                }
            }
            Source::Url(url) => {
                let directory = file.parent().unwrap_or(Path::new("."));
                url.key = directory.join(&url.key);
                for (key, url) in [("disk", &url.disk), ("checksums", &url.checksums)]
                    .into_iter()
                    .chain(url.repositories.iter().map(|url| ("repositories", url)))
                {
                    if !url.starts_with("https://") || url.contains(char::is_whitespace) {
                        return error(key, format!("`{url}` is no https:// URL"));
                    }
                }
                let digits = url.fingerprint.chars().filter(|c| !c.is_whitespace());
                let digits: Vec<char> = digits.collect();
                if digits.len() != 40 || !digits.iter().all(char::is_ascii_hexdigit) {
                    let message = format!(
                        "`{}` is no fingerprint of 40 hexadecimal digits",
                        url.fingerprint
                    );
                    return error("fingerprint", message);
                }
                if !url.key.is_file() {
                    return error("key", format!("no key in {}", url.key.display()));
                }
            }
            Source::Local(local) => {
                absolute(file, &mut local.kernel);
                let modules = local.modules.iter_mut();
                modules.for_each(|path| absolute(file, path));
            }
            Source::DiskImage(image) => absolute(file, &mut image.file),
        }
        if let Source::Disk(disk) = &manifest.source
            && let Some(odd) = disk.files.keys().find(|path| !is_plain(path))
        {
            return error("files", format!("`{odd}` is no plain absolute path"));
        }
        if let Source::Disk(disk) = &manifest.source
            && (disk.size < LEAST_DISK || !disk.size.0.is_multiple_of(Bytes::MIB))
        {
            let message = format!("a root disk has at least {LEAST_DISK}, in whole mebibytes");
            return error("size", message);
        }
        Ok(manifest)
    }
}

/// `path` as it is meant in the manifest `file`.
fn absolute(file: &Path, path: &mut PathBuf) {
    let joined = file.parent().unwrap_or(Path::new(".")).join(&*path);
    *path = std::path::absolute(&joined).unwrap_or(joined);
}

fn is_plain(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| {
        let mut parts = rest.split('/');
        parts.all(|part| !matches!(part, "" | "." | "..")) && !rest.contains(['\0', '\n'])
    })
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
        let image = parse("name: a\nabout: x\nsource: {disk-image: {file: ../a.qcow2}}\n").unwrap();
        let Source::DiskImage(image) = image.source else {
            panic!()
        };
        assert_eq!(image.file, Path::new("/images/../a.qcow2"));
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
        for (disk, wanted) in [
            ("packages: [c], size: 10M", "at least 1G"),
            ("packages: [c], files: {etc/x: y}", "no plain absolute path"),
            ("packages: []", "no packages"),
            ("packages: [c], kernel: d", "unknown field `kernel`"),
        ] {
            let text = format!("name: a\nabout: x\nsource: {{disk: {{suite: b, {disk}}}}}\n");
            let (line, _, message) = position(&text);
            assert_eq!(line, 3, "{message}");
            assert!(message.contains(wanted), "{message}");
        }
        let url = "name: a\nabout: x\nsource:\n  url:\n    disk: https://x.example/a.qcow2\n    checksums: https://x.example/sums.asc\n    key: none\n    fingerprint: 6341 AB27 53D7 8A78 A7C2 7BB1 24C6 A8A7 F4A8 0EB5\n";
        assert_eq!(position(url).0, 7, "no such key");
        assert_eq!(position(&url.replace("0EB5", "0EBX")).0, 8);
        assert_eq!(
            position(&url.replace("https://x.example/a", "http://x/a")).0,
            5
        );
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
