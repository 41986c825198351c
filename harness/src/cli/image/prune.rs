//! `crashdrill image prune`.

use clap::Args;

use super::inventory::inventory;
use super::{is_named, unknown};
use crate::cli::{CliError, Context, Status};
use crate::image::CacheError;
use crate::image::cache::Listed;
use crate::report::{Inventory, Role, amount};

/// Remove from the cache what nothing uses any more.
///
/// That is what no manifest defines. What a drill has open stays.
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

impl Prune {
    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        let (chosen, asked) = {
            let inventory = inventory(context)?;
            // What the inventory holds open could not be removed.
            (self.choose(&inventory)?, !self.names.is_empty())
        };
        let mut freed = 0;
        let mut status = Status::Good;
        for entry in chosen {
            let what = format!("{} {} ({})", entry.kind, entry.name, amount(entry.bytes));
            if self.dry_run {
                say!("would remove {what}");
                freed += entry.bytes;
                continue;
            }
            match context.cache.remove(&entry) {
                Ok(()) => {
                    say!("removed {what}");
                    freed += entry.bytes;
                }
                Err(error @ CacheError::InUse { .. }) => {
                    say!("kept {what}: {error}");
                    if asked {
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

    fn choose(&self, inventory: &Inventory) -> Result<Vec<Listed>, CliError> {
        let mut chosen = Vec::new();
        for name in &self.names {
            let named = inventory.entries().filter(|entry| is_named(entry, name));
            let before = chosen.len();
            chosen.extend(named.cloned());
            if chosen.len() > before {
                continue;
            }
            match inventory.images.iter().any(|image| image.name == *name) {
                true => say!("{name}: not in the cache"),
                false => return Err(unknown(&super::known(inventory), name)),
            }
        }
        if self.all {
            chosen.extend(inventory.entries().cloned());
        }
        if self.all || !self.names.is_empty() {
            return Ok(chosen);
        }
        for other in &inventory.others {
            match other.role {
                Role::Used => {}
                Role::Unused => chosen.push(other.entry.clone()),
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
