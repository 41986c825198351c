//! images/NAME.yaml: what an image is made of.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::error::ImageError;
use super::location::Location;
use super::trust::{Fingerprint, Sum};
use crate::machine::is_cpu_model;
use crate::units::Bytes;

/// An image: a kernel with its modules, and the programs that arm kdump and save the dump.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// The file's own name without `.yaml`: small letters, digits, dots and hyphens.
    pub name: String,
    /// What it is, for people.
    pub about: String,
    /// QEMU's name of the CPU model that a machine has whose scenario names none: programs may
    /// need more than qemu64, such as those of RHEL 9, which are built for x86-64-v2.
    #[serde(default)]
    pub cpu: Option<String>,
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
    /// RPM packages, fetched or on this machine, all signed with one key.
    Rpm(RpmSource),
    /// An archive with a kernel and its modules, fetched or on this machine.
    Url(UrlSource),
    /// The kernel that this machine runs, with its modules.
    Host(HostSource),
    /// A kernel that lies on this machine.
    Local(LocalSource),
    /// A root disk made of Debian packages, for drills with `boot: disk`.
    Disk(DiskSource),
    /// A disk image, fetched or on this machine, for drills with `boot: disk`.
    DiskImage(DiskImageSource),
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
    /// qcow2 or raw: a path relative to this file, or a URL.
    pub file: Location,
    /// The file's SHA-256; needed for one at a URL.
    #[serde(default)]
    pub sha256: Option<Sum>,
}

/// Debian's kernel and its modules alone are half a gibibyte, and the dump comes on top.
const LEAST_DISK: Bytes = Bytes(Bytes::GIB);

fn usual_disk() -> Bytes {
    Bytes(4 * Bytes::GIB)
}

/// RPM packages. Nothing of them is believed, and nothing unpacked, before the signature has been
/// checked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RpmSource {
    /// A file with the key that the packages are signed with, as `RPM-GPG-KEY-...` in
    /// /etc/pki/rpm-gpg. Relative to this file.
    pub key: PathBuf,
    /// Which key of that file counts.
    pub fingerprint: Fingerprint,
    /// The kernel with its modules, kexec-tools, makedumpfile where it is a package of its own,
    /// and what these need: paths relative to this file, or URLs.
    pub packages: Vec<Location>,
    /// Name of the image that lends what the packages have not, such as busybox, and the programs
    /// that make file systems on this machine; its source must be `apt`.
    #[serde(default)]
    pub userland: Option<String>,
}

/// An archive with a kernel and its modules, as the kernel's own `make tarxz-pkg` packs them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct UrlSource {
    /// A tar, plain or packed with gzip, xz, bzip2 or zstd, in which boot/vmlinuz-RELEASE and
    /// lib/modules/RELEASE lie: a URL, or a path relative to this file.
    pub archive: Location,
    /// The archive's SHA-256.
    pub sha256: Sum,
    /// Name of the image that lends kexec, makedumpfile and busybox; its source must be `apt`.
    pub userland: String,
}

/// The kernel that this machine runs, and the kdump programs that are installed on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HostSource {
    /// Name of the image that lends what is not installed, and the programs that make file
    /// systems; its source must be `apt`.
    pub userland: String,
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

impl Source {
    /// Name of the image that lends programs.
    pub fn lender(&self) -> Option<&str> {
        match self {
            Self::Rpm(source) => source.userland.as_deref(),
            Self::Url(source) => Some(&source.userland),
            Self::Host(source) => Some(&source.userland),
            Self::Local(source) => Some(&source.userland),
            Self::Apt(_) | Self::Disk(_) | Self::DiskImage(_) => None,
        }
    }
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
        if let Some(cpu) = &manifest.cpu
            && !is_cpu_model(cpu)
        {
            let message = format!("`{cpu}` is no CPU model of QEMU, such as qemu64 or Nehalem");
            return error("cpu", message);
        }
        let directory = file.parent().unwrap_or(Path::new("."));
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
            Source::Rpm(rpm) => {
                absolute(file, &mut rpm.key);
                if rpm.packages.is_empty() {
                    let message = "no packages: at least a kernel is needed";
                    return error("packages", message.into());
                }
                let here = rpm.packages.drain(..);
                rpm.packages = here.map(|package| package.below(directory)).collect();
                if !rpm.key.is_file() {
                    return error("key", format!("no key in {}", rpm.key.display()));
                }
            }
            Source::Url(url) => url.archive = url.archive.clone().below(directory),
            Source::Host(HostSource { .. }) => {}
            Source::Local(local) => {
                absolute(file, &mut local.kernel);
                let modules = local.modules.iter_mut();
                modules.for_each(|path| absolute(file, path));
            }
            Source::DiskImage(image) => {
                image.file = image.file.clone().below(directory);
                if let (Location::Url(_), None) = (&image.file, image.sha256) {
                    let message = "a file at a URL takes `sha256`, by which it is known";
                    return error("file", message.into());
                }
            }
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
mod tests;
