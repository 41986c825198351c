//! `crashdrill image prune`.

use std::fmt;

use clap::Args;

use super::inventory::inventory;
use super::{is_named, unknown};
use crate::cli::{CliError, Context, Status};
use crate::image::cache::Listed;
use crate::image::{Cache, CacheError, Download, remove_download};
use crate::report::{Inventory, Role, amount};

/// Remove from the cache what nothing uses any more.
///
/// That is what no manifest defines, and what interrupted downloads left. What a drill has open
/// stays.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  crashdrill image prune --dry-run    what would be removed
  crashdrill image prune              what nothing uses any more
  crashdrill image prune debian-12    all that is there of one image, so that it is fetched anew
  crashdrill image prune qemu         the QEMU that was fetched

Exits with 3 when something that was named is in use.")]
pub(super) struct Prune {
    /// Names of images, of entries as `crashdrill image list` shows them, `qemu` or `ssh`: all that
    /// is there of them.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Remove everything.
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Only say what would be removed.
    #[arg(long)]
    dry_run: bool,
}

/// What can be removed.
enum Item {
    Entry(Listed),
    Download(Download),
}

impl Item {
    fn bytes(&self) -> u64 {
        match self {
            Item::Entry(entry) => entry.bytes,
            Item::Download(download) => download.bytes,
        }
    }

    fn remove(&self, cache: &Cache) -> Result<(), CacheError> {
        match self {
            Item::Entry(entry) => cache.remove(entry),
            Item::Download(download) => remove_download(cache, download),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Entry(entry) => write!(f, "{} {}", entry.kind, entry.name),
            Item::Download(download) => write!(f, "download {}", download.name),
        }?;
        write!(f, " ({})", amount(self.bytes()))
    }
}

impl Prune {
    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        // What the inventory holds open could not be removed.
        let chosen = self.choose(&inventory(context)?)?;
        let mut freed = 0;
        let mut status = Status::Good;
        for item in &chosen {
            if self.dry_run {
                say!("would remove {item}");
                freed += item.bytes();
                continue;
            }
            match item.remove(&context.cache) {
                Ok(()) => {
                    say!("removed {item}");
                    freed += item.bytes();
                }
                Err(error @ CacheError::InUse { .. }) => {
                    say!("kept {item}: {error}");
                    if !self.names.is_empty() {
                        status = Status::Harness;
                    }
                }
                Err(error) => return Err(CliError::harness(error)),
            }
        }
        match (freed, self.dry_run) {
            (0, _) => say!("nothing was removed"),
            (freed, false) => say!("{} freed", amount(freed)),
            (freed, true) => say!("{} would be freed", amount(freed)),
        }
        Ok(status)
    }

    fn choose(&self, inventory: &Inventory) -> Result<Vec<Item>, CliError> {
        let mut chosen = Vec::new();
        for name in &self.names {
            let named = inventory.entries().filter(|entry| is_named(entry, name));
            let before = chosen.len();
            chosen.extend(named.cloned().map(Item::Entry));
            if chosen.len() > before {
                continue;
            }
            match inventory.images.iter().any(|image| image.name == *name) {
                true => say!("{name}: not in the cache"),
                false => return Err(unknown(&super::known(inventory), name)),
            }
        }
        if !self.names.is_empty() {
            return Ok(chosen);
        }
        let downloads = inventory.downloads.iter().cloned();
        chosen.extend(downloads.map(Item::Download));
        if self.all {
            chosen.extend(inventory.entries().cloned().map(Item::Entry));
            return Ok(chosen);
        }
        for other in &inventory.others {
            match other.role {
                Role::Used => {}
                Role::Unused => chosen.push(Item::Entry(other.entry.clone())),
                Role::Undecided => say!(
                    "kept {}: the manifest of {} cannot say at present whether it is used \
                     (`crashdrill image list` says why)",
                    other.entry.name,
                    other.entry.of()
                ),
            }
        }
        Ok(chosen)
    }
}
