//! What images there are, for programs.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Described, Inventory, Role, State, Voucher, kind, parts, suite};
use crate::image::cache::Listed;
use crate::image::{Fingerprint, Manifest, Sum};
use crate::report::{json_line, json_schema};

/// Counts up when a field changes its meaning.
const FORMAT: u32 = 1;

/// The images of a project, and what is in the cache.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    /// Version of this document.
    format: u32,
    /// The cache's directory.
    cache: &'a Path,
    /// Disk space of all that is in it, in bytes.
    bytes: u64,
    /// One for each manifest, by name.
    images: Vec<Row<'a>>,
    /// What else is in the cache.
    others: Vec<OtherRow<'a>>,
    /// Files that were downloaded for an image that is not made yet.
    downloads: Vec<DownloadRow<'a>>,
}

/// A manifest, and what is there of it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct Row<'a> {
    /// The manifest's own name without `.yaml`.
    name: &'a str,
    /// The manifest's file.
    manifest: &'a Path,
    /// What is there of it.
    state: RowState,
    /// Why it is unusable, impossible or wrong.
    reason: Option<&'a str>,
    /// What it is, for people.
    about: Option<&'a str>,
    /// What it is made of.
    source: Option<SourceRow<'a>>,
    /// The CPU model of a machine whose scenario names none.
    cpu: Option<&'a str>,
    /// Who stands for what it is made of; null when nobody does: the files are the user's own.
    vouched_for_by: Option<VoucherRow<'a>>,
    /// `uname -r` of the kernel in the cache.
    kernel: Option<&'a str>,
    /// The entry in the cache.
    entry: Option<EntryRow<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum RowState {
    /// It is in the cache.
    Cached,
    /// It is in the cache and cannot be used.
    Unusable,
    /// It has to be fetched.
    Absent,
    /// It is not in the cache and cannot be had on this machine.
    Impossible,
    /// The manifest is wrong.
    Wrong,
}

/// What an image is made of.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct SourceRow<'a> {
    /// `apt`, `rpm`, `url`, `host`, `local`, `disk` or `disk-image`.
    kind: &'static str,
    /// Debian's code name of the release.
    suite: Option<&'a str>,
    /// Packages by name, or files by path or URL, as the manifest has them.
    parts: Vec<String>,
    /// Name of the image that lends programs.
    userland: Option<&'a str>,
}

/// Who stands for what an image is made of.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "by")]
enum VoucherRow<'a> {
    /// Debian's archive keys.
    DebianArchive,
    /// A key that signed all packages.
    #[serde(rename_all = "kebab-case")]
    Key {
        /// Its fingerprint.
        fingerprint: Fingerprint,
        /// Whose it says it is; null before the packages were fetched.
        user: Option<&'a str>,
    },
    /// A digest in the manifest.
    #[serde(rename_all = "kebab-case")]
    Digest {
        /// The SHA-256.
        sha256: Sum,
    },
}

/// An entry of the cache.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct EntryRow<'a> {
    /// Name of its directory.
    name: &'a str,
    /// Its directory.
    path: &'a Path,
    /// Disk space that it takes.
    bytes: u64,
    /// When it was filled, in seconds since 1970.
    filled: u64,
}

/// An entry that is not of a manifest.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct OtherRow<'a> {
    /// `image`, `qemu` or `keys`.
    kind: String,
    /// What it is good for.
    role: Role,
    /// The entry.
    entry: EntryRow<'a>,
}

/// A file that was downloaded for an image that is not made yet.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct DownloadRow<'a> {
    /// Its own name, behind a hash of where it came from.
    name: &'a str,
    /// Where it is.
    path: &'a Path,
    /// Its size so far.
    bytes: u64,
    /// Whether all of it has come.
    complete: bool,
}

/// One line, without its end.
///
/// # Errors
/// None that an image can cause.
pub fn image_list_json(inventory: &Inventory) -> Result<String, serde_json::Error> {
    json_line(&Document {
        format: FORMAT,
        cache: &inventory.cache,
        bytes: inventory.bytes(),
        images: inventory.images.iter().map(row).collect(),
        others: inventory
            .others
            .iter()
            .map(|other| OtherRow {
                kind: other.entry.kind.to_string(),
                role: other.role,
                entry: entry(&other.entry),
            })
            .collect(),
        downloads: inventory
            .downloads
            .iter()
            .map(|download| DownloadRow {
                name: &download.name,
                path: &download.path,
                bytes: download.bytes,
                complete: download.complete,
            })
            .collect(),
    })
}

/// The JSON Schema of [`image_list_json`].
pub fn image_list_schema() -> Value {
    json_schema::<Document<'_>>("crashdrill image list")
}

fn row(image: &Described) -> Row<'_> {
    let known = image.known.as_ref();
    let (manifest, state) = known.map_or((None, None), |(m, state)| (Some(m), Some(state)));
    let reason = match (state, known) {
        (Some(State::Unusable(_, why) | State::Impossible(why)), _) | (None, Err(why)) => Some(why),
        _ => None,
    };
    Row {
        name: &image.name,
        manifest: &image.file,
        state: match state {
            None => RowState::Wrong,
            Some(State::Cached(_)) => RowState::Cached,
            Some(State::Unusable(..)) => RowState::Unusable,
            Some(State::Absent) => RowState::Absent,
            Some(State::Impossible(_)) => RowState::Impossible,
        },
        reason: reason.map(String::as_str),
        about: manifest.map(|manifest| manifest.about.as_str()),
        source: manifest.map(source),
        cpu: manifest.and_then(|manifest| manifest.cpu.as_deref()),
        vouched_for_by: manifest
            .zip(state)
            .and_then(|(manifest, state)| voucher(manifest, state)),
        kernel: match state {
            Some(State::Cached(cached)) => Some(&cached.image.kernel.release),
            _ => None,
        },
        entry: image.entry().map(entry),
    }
}

fn source(manifest: &Manifest) -> SourceRow<'_> {
    SourceRow {
        kind: kind(&manifest.source),
        suite: suite(&manifest.source),
        parts: parts(&manifest.source),
        userland: manifest.source.lender(),
    }
}

fn voucher<'a>(manifest: &Manifest, state: &'a State) -> Option<VoucherRow<'a>> {
    match Voucher::of(&manifest.source, state.packages()) {
        Voucher::Archive => Some(VoucherRow::DebianArchive),
        Voucher::Key(fingerprint, user) => Some(VoucherRow::Key { fingerprint, user }),
        Voucher::Digest(sha256) => Some(VoucherRow::Digest { sha256 }),
        Voucher::Nobody => None,
    }
}

fn entry(entry: &Listed) -> EntryRow<'_> {
    EntryRow {
        name: &entry.name,
        path: &entry.path,
        bytes: entry.bytes,
        filled: super::seconds_since_1970(entry.filled),
    }
}
