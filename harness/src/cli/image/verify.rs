//! `crashdrill image verify`.

use clap::Args;

use super::inventory::inventory;
use super::{is_named, unknown};
use crate::cli::{CliError, Context, Status, print, width};
use crate::image::cache::{Kind, Listed};
use crate::image::contents;
use crate::report::{Described, Held, ImageState, Inventory, Kept, Role, View, verified_text};

/// Prove that the cache holds what was put there.
///
/// Every file, link and mode of an entry is held against the record that was made when it was
/// filled.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  crashdrill image verify              everything in the cache
  crashdrill image verify debian-12    one image
  crashdrill image verify || crashdrill image prune --all    in CI, behind a cache of others

The record tells damage, not deceit: who may write to the cache may write the record too. It is
the file `contents` in the entry; its digests are those of sha256sum(1), except for files with
blocks of zeros. Files of your own, such as the modules of a `local` image, are used where they
are, and not recorded.

Exit codes:
  0  everything is as it was filled
  1  something differs, has no record, or was named and is not in the cache
  2  bad input: no such image
  3  the cache cannot be read")]
pub(super) struct Verify {
    /// Names of images, of entries as `crashdrill image list` shows them, `qemu` or `ssh`
    /// [default: everything in the cache].
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Show all that differs, however much it is.
    #[arg(short, long)]
    verbose: bool,
}

impl Verify {
    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        let inventory = inventory(context)?;
        let mut status = Status::Good;
        for name in &self.names {
            if inventory.entries().any(|entry| is_named(entry, name)) {
                continue;
            }
            if !inventory.images.iter().any(|image| image.name == *name) {
                return Err(unknown(&super::known(&inventory), name));
            }
            say!("{name}: not in the cache");
            status = Status::Differs;
        }
        let wanted = |entry: &Listed| {
            self.names.is_empty() || self.names.iter().any(|name| is_named(entry, name))
        };
        let view = View {
            width: width(),
            verbose: self.verbose,
        };
        for entry in inventory.entries().filter(|entry| wanted(entry)) {
            let lease = context
                .cache
                .held_listed(entry)
                .map_err(CliError::harness)?;
            let Some(lease) = lease else {
                say!(
                    "{}: being removed by another crashdrill process",
                    entry.name
                );
                continue;
            };
            let verified = contents::verify(&lease.path).map_err(CliError::harness)?;
            let held = held(&inventory, entry, verified);
            print(&verified_text(&held, view))?;
            if held.kept() != Kept::Same {
                status = Status::Differs;
            }
        }
        Ok(status)
    }
}

fn held<'a>(inventory: &'a Inventory, entry: &'a Listed, verified: contents::Verified) -> Held<'a> {
    let own = |image: &&Described| image.entry().is_some_and(|own| own.name == entry.name);
    let image = inventory
        .images
        .iter()
        .find(own)
        .filter(|_| entry.kind == Kind::Image);
    let other = inventory.others.iter().find(|other| other.entry == *entry);
    let mut held = Held {
        entry,
        verified,
        cached: None,
        notes: Vec::new(),
        wrong: Vec::new(),
        repair: match entry.kind {
            Kind::Image => format!(
                "crashdrill image prune {0} && crashdrill image fetch {0}",
                entry.of()
            ),
            Kind::Qemu | Kind::Keys => format!(
                "crashdrill image prune {}; the next drill that needs it has it made",
                entry.of()
            ),
        },
    };
    match image.and_then(|image| image.known.as_ref().ok()) {
        Some((manifest, ImageState::Cached(cached))) => held.cached = Some((manifest, cached)),
        Some((_, ImageState::Unusable(_, why))) => {
            held.wrong.push(format!("It cannot be used: {why}."))
        }
        _ => {}
    }
    match other.map(|other| other.role) {
        Some(Role::Unused) => {
            held.notes.push(
                "No manifest defines it any more, or a file that its manifest names has changed \
                 since: a drill makes such an image anew."
                    .to_owned(),
            );
            held.repair = format!("nothing uses it; crashdrill image prune {}", entry.name);
        }
        Some(Role::Undecided) => held.notes.push(
            "Its manifest cannot say at present whether it is used: `crashdrill image list` says \
             why."
                .to_owned(),
        ),
        Some(Role::Used) | None => {}
    }
    held
}
