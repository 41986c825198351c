//! Images and the cache, for people: what there is, where it comes from, who stands for it, what it
//! takes, and whether it still is what was put there.

mod fetched;
mod json;
mod list;
mod show;
mod verified;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

pub use fetched::{Fetched, fetched_text};
pub use json::{image_list_json, image_list_schema};
pub use list::image_list_text;
pub use show::image_text;
pub use verified::{Held, Kept, verified_text};

use schemars::JsonSchema;
use serde::Serialize;

use crate::image::cache::Listed;
use crate::image::{Download, Fingerprint, Image, Manifest, Package, Source, Sum};

/// The manifests of a project, and what is in the cache.
#[derive(Debug)]
pub struct Inventory {
    /// The cache's directory.
    pub cache: PathBuf,
    /// One for each file in images/, by name.
    pub images: Vec<Described>,
    /// Entries that are not among these.
    pub others: Vec<Other>,
    /// Files that were downloaded for an image that is not made yet, whole or not.
    pub downloads: Vec<Download>,
}

/// A manifest, and what is there of it.
#[derive(Debug)]
pub struct Described {
    /// The file's own name without `.yaml`.
    pub name: String,
    /// The manifest's file.
    pub file: PathBuf,
    /// What it says, and what is in the cache; or what is wrong with it.
    pub known: Result<(Manifest, State), String>,
}

/// What is in the cache of an image.
#[derive(Debug)]
pub enum State {
    /// It is there.
    Cached(Box<Cached>),
    /// It is there and cannot be used, and why.
    Unusable(Listed, String),
    /// It has to be fetched.
    Absent,
    /// It is not there, and cannot be had on this machine, and why.
    Impossible(String),
}

/// An image in the cache.
#[derive(Debug)]
pub struct Cached {
    /// The entry.
    pub entry: Listed,
    /// What is in it, without the programs of a lender.
    pub image: Image,
}

/// An entry that is not of a manifest.
#[derive(Debug)]
pub struct Other {
    /// The entry.
    pub entry: Listed,
    /// What for.
    pub role: Role,
}

/// What an entry is good for that is not of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// crashdrill uses it.
    Used,
    /// Nothing uses it any more.
    Unused,
    /// It has the name of an image whose manifest does not say at present which entry it defines.
    Undecided,
}

/// Who stands for what an image is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Voucher<'a> {
    /// Debian's archive keys: apt checks them.
    Archive,
    /// A key that signed every package; whose it says it is, once that is known.
    Key(Fingerprint, Option<&'a str>),
    /// The digest in the manifest.
    Digest(Sum),
    /// Nobody: the user's own files.
    Nobody,
}

impl Inventory {
    /// All entries: first those of the manifests.
    pub fn entries(&self) -> impl Iterator<Item = &Listed> {
        let images = self.images.iter().filter_map(Described::entry);
        images.chain(self.others.iter().map(|other| &other.entry))
    }

    /// Disk space of everything, in bytes.
    fn bytes(&self) -> u64 {
        let entries: u64 = self.entries().map(|entry| entry.bytes).sum();
        let downloads: u64 = self.downloads.iter().map(|download| download.bytes).sum();
        entries + downloads
    }
}

impl Described {
    /// What is in the cache of it.
    pub fn entry(&self) -> Option<&Listed> {
        self.known.as_ref().ok()?.1.entry()
    }
}

impl State {
    fn entry(&self) -> Option<&Listed> {
        match self {
            State::Cached(cached) => Some(&cached.entry),
            State::Unusable(entry, _) => Some(entry),
            State::Absent | State::Impossible(_) => None,
        }
    }

    fn packages(&self) -> &[Package] {
        match self {
            State::Cached(cached) => &cached.image.packages,
            State::Unusable(..) | State::Absent | State::Impossible(_) => &[],
        }
    }
}

impl<'a> Voucher<'a> {
    fn of(source: &Source, packages: &'a [Package]) -> Self {
        match source {
            Source::Apt(_) | Source::Disk(_) => Voucher::Archive,
            Source::Rpm(rpm) => {
                let mut signers = packages
                    .iter()
                    .filter_map(|package| package.origin.as_ref()?.signer.as_ref());
                let signer = signers.find(|signer| signer.fingerprint == rpm.fingerprint);
                Voucher::Key(rpm.fingerprint, signer.map(|signer| signer.user.as_str()))
            }
            Source::Url(url) => Voucher::Digest(url.sha256),
            Source::DiskImage(image) => image.sha256.map_or(Voucher::Nobody, Voucher::Digest),
            Source::Host(_) | Source::Local(_) => Voucher::Nobody,
        }
    }

    /// For a column.
    fn short(self) -> String {
        match self {
            Voucher::Archive => "Debian's keys".to_owned(),
            Voucher::Key(fingerprint, _) => {
                let all = one_word(fingerprint);
                format!("key {}", all.get(24..).unwrap_or_default())
            }
            Voucher::Digest(sum) => {
                let all = sum.to_string();
                format!("sha256 {}…", all.get(..12).unwrap_or_default())
            }
            Voucher::Nobody => "-".to_owned(),
        }
    }

    /// For a sentence.
    fn long(self) -> String {
        match self {
            Voucher::Archive => {
                "Debian's archive keys, against which apt checked what it fetched".to_owned()
            }
            Voucher::Key(fingerprint, None) => format!("key {}", one_word(fingerprint)),
            Voucher::Key(fingerprint, Some(user)) => {
                format!("{user}, key {}", one_word(fingerprint))
            }
            Voucher::Digest(sum) => format!("SHA-256 {sum} in the manifest"),
            Voucher::Nobody => "nobody: these are your own files".to_owned(),
        }
    }
}

/// So that it stays on one line, and gpg(1) takes it.
fn one_word(fingerprint: Fingerprint) -> String {
    fingerprint.to_string().replace(' ', "")
}

/// What a manifest calls it.
fn kind(source: &Source) -> &'static str {
    match source {
        Source::Apt(_) => "apt",
        Source::Rpm(_) => "rpm",
        Source::Url(_) => "url",
        Source::Host(_) => "host",
        Source::Local(_) => "local",
        Source::Disk(_) => "disk",
        Source::DiskImage(_) => "disk-image",
    }
}

fn suite(source: &Source) -> Option<&str> {
    match source {
        Source::Apt(apt) => Some(&apt.suite),
        Source::Disk(disk) => Some(&disk.suite),
        _ => None,
    }
}

/// `apt bookworm`, `rpm`.
fn kind_and_suite(source: &Source) -> String {
    match suite(source) {
        Some(suite) => format!("{} {suite}", kind(source)),
        None => kind(source).to_owned(),
    }
}

/// Packages by name, or files by place.
fn parts(source: &Source) -> Vec<String> {
    match source {
        Source::Apt(apt) => apt.packages.clone(),
        Source::Disk(disk) => disk.packages.clone(),
        Source::Rpm(rpm) => rpm.packages.iter().map(ToString::to_string).collect(),
        Source::Url(url) => vec![url.archive.to_string()],
        Source::DiskImage(image) => vec![image.file.to_string()],
        Source::Local(local) => {
            let paths = [Some(&local.kernel), local.modules.as_ref()];
            let paths = paths.into_iter().flatten();
            paths.map(|path| path.display().to_string()).collect()
        }
        Source::Host(_) => Vec::new(),
    }
}

/// Where an image came from and who stands for that, a sentence each.
fn provenance(manifest: &Manifest, image: &Image) -> Vec<String> {
    let packages = &image.packages;
    let mut places: Vec<(&str, usize)> = Vec::new();
    for origin in packages
        .iter()
        .filter_map(|package| package.origin.as_ref())
    {
        let place = origin.from.rsplit_once('/').map_or("", |(place, _)| place);
        match places.iter_mut().find(|(known, _)| *known == place) {
            Some((_, number)) => *number += 1,
            None => places.push((place, 1)),
        }
    }
    let from = match &manifest.source {
        Source::Apt(_) | Source::Disk(_) => {
            vec![format!(
                "{} of Debian {}, through this machine's apt",
                count(packages.len(), "package"),
                suite(&manifest.source).unwrap_or_default()
            )]
        }
        _ if places.is_empty() => {
            let parts = parts(&manifest.source).into_iter();
            parts.map(|part| format!("made of {part}")).collect()
        }
        _ => places
            .into_iter()
            .map(|(place, number)| format!("{} from {place}/", count(number, "file")))
            .collect(),
    };
    let voucher = Voucher::of(&manifest.source, packages).long();
    from.into_iter()
        .chain([format!("vouched for by {voucher}")])
        .collect()
}

fn seconds_since_1970(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// `1 file`, `2 files`.
fn count(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

#[cfg(test)]
mod tests;
