//! `crashdrill image`.

mod fetch;
mod inventory;
mod prune;
mod verify;

use clap::{Args, Subcommand};

use self::inventory::inventory;
use super::{CliError, Context, Status, width};
use crate::image::cache::{self, Listed};
use crate::report::{
    Described, ImageState, Inventory, image_list_json, image_list_schema, image_list_text,
    image_text,
};
use crate::suggest;

/// List, fetch, show, verify and prune images.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  crashdrill image list                 what there is, what is in the cache, who vouches for it
  crashdrill image fetch                what the scenarios need, so that CI can cache it
  crashdrill image show debian-12       what it is made of
  crashdrill image verify               whether the cache still holds what was put there
  crashdrill image prune --dry-run      what nothing uses any more")]
pub(super) struct Image {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    // What is said of them is longer, and stands with their arguments.
    List(List),
    Fetch(fetch::Fetch),
    Show(Show),
    Verify(verify::Verify),
    Prune(prune::Prune),
}

/// List the manifests in images/, and what is in the cache.
///
/// Nothing is fetched. Of each image: where it comes from, what it takes of the disk if it is in the
/// cache, who vouches for it, and its kernel.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  crashdrill image list
  crashdrill image list --json | jq -r '.images[] | select(.state == \"absent\") | .name'

Exits with 2 when a manifest is wrong; the others are listed all the same.")]
struct List {
    /// Print one JSON document, on one line. `--schema` describes it.
    #[arg(long)]
    json: bool,
    /// Print the JSON Schema of what --json prints.
    #[arg(long, conflicts_with = "json")]
    schema: bool,
}

/// Show what an image is made of.
///
/// Packages or files with their digests and signers, the kernel, what it takes of the disk, whose
/// programs it borrows. Nothing is fetched: of an image that is not in the cache, what its manifest
/// says is shown.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  crashdrill image show debian-12")]
struct Show {
    /// Name of an image: of a file in images/, without `.yaml`.
    name: String,
}

impl Image {
    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        match self.action {
            Action::List(list) => list.execute(context),
            Action::Fetch(fetch) => fetch.execute(context),
            Action::Show(show) => show.execute(context),
            Action::Verify(verify) => verify.execute(context),
            Action::Prune(prune) => prune.execute(context),
        }
    }
}

impl List {
    fn execute(self, context: &Context) -> Result<Status, CliError> {
        if self.schema {
            let schema = serde_json::to_string_pretty(&image_list_schema());
            say!("{}", schema.map_err(CliError::harness)?);
            return Ok(Status::Good);
        }
        let inventory = inventory(context)?;
        match self.json {
            true => {
                let json = image_list_json(&inventory);
                say!("{}", json.map_err(CliError::harness)?);
            }
            false => super::print(&image_list_text(&inventory, width()))?,
        }
        Ok(
            match inventory.images.iter().all(|image| image.known.is_ok()) {
                true => Status::Good,
                false => Status::Input,
            },
        )
    }
}

impl Show {
    fn execute(self, context: &Context) -> Result<Status, CliError> {
        let inventory = inventory(context)?;
        let image = named(&inventory, &self.name)?;
        let (manifest, state) = match &image.known {
            Ok(known) => known,
            Err(message) => return Err(CliError::wrong(message)),
        };
        let sizes = match state {
            ImageState::Cached(cached) => cache::parts(&cached.entry.path),
            _ => Ok(Vec::new()),
        };
        let lender = manifest.source.lender();
        let lender = lender.and_then(|name| inventory.images.iter().find(|one| one.name == name));
        let sizes = sizes.map_err(CliError::harness)?;
        let text = image_text(image, manifest, state, &sizes, lender, width());
        super::print(&text)?;
        Ok(match state {
            ImageState::Unusable(..) => Status::Differs,
            _ => Status::Good,
        })
    }
}

/// The image with this name.
fn named<'a>(inventory: &'a Inventory, name: &str) -> Result<&'a Described, CliError> {
    let mut images = inventory.images.iter();
    images
        .find(|image| image.name == name)
        .ok_or_else(|| unknown(&manifests(inventory), name))
}

fn manifests(inventory: &Inventory) -> Vec<String> {
    let images = inventory.images.iter();
    images.map(|image| image.name.clone()).collect()
}

/// Names that mean something: of manifests, and of what else is in the cache.
fn known(inventory: &Inventory) -> Vec<String> {
    let mut names = manifests(inventory);
    names.extend(inventory.entries().map(|entry| entry.of().to_owned()));
    names.sort();
    names.dedup();
    names
}

/// `debian-12`, `debian-12-0123456789ab`.
fn is_named(entry: &Listed, name: &str) -> bool {
    entry.of() == name || entry.name == name
}

fn unknown(known: &[String], name: &str) -> CliError {
    let help = match suggest::closest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    CliError::wrong(format!("there is no image `{name}`; {help}"))
}
