//! `crashdrill image fetch`.

use std::time::Instant;

use clap::Args;

use super::super::run::drills;
use super::unknown;
use crate::cli::progress::Shown;
use crate::cli::{CliError, Context, Status, print, width};
use crate::image::{Image, Manifest, cache, entry_id};
use crate::report::{Fetched, fetched_text};
use crate::run::images_of;

/// Fetch images that are not in the cache yet.
///
/// Those that are named, or those that the scenarios in scenarios/ need, with what these borrow from
/// and the dump server if a drill sends its dump there.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  crashdrill image fetch              what the scenarios need; a drill fetches it as well
  crashdrill image fetch debian-13    one image
  crashdrill image fetch --all        every manifest in images/

An image that cannot be had does not keep the others from being fetched.

Exit codes:
  0  all of them are in the cache
  2  bad input: no such image, a manifest or a scenario that is wrong
  3  an image cannot be had")]
pub(super) struct Fetch {
    /// Names of images [default: what the scenarios need].
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Fetch every image that images/ has a manifest of.
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

impl Fetch {
    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        let files = context.project.images().map_err(CliError::input)?;
        let stems = files.iter().filter_map(|file| file.file_stem());
        let known: Vec<String> = stems.map(|stem| stem.to_string_lossy().into()).collect();
        let wanted = match (self.all, self.names.is_empty()) {
            (true, _) => known.clone(),
            (false, false) => self.names,
            (false, true) => {
                let drills = drills(context, &[], &[])?;
                images_of(&drills).into_iter().map(str::to_owned).collect()
            }
        };
        if let Some(name) = wanted.iter().find(|name| !known.contains(name)) {
            return Err(unknown(&known, name));
        }
        let mut failed = None;
        for name in with_lenders(context, wanted) {
            if let Err(error) = fetch(context, &name) {
                failed = failed.max(Some(error.code()));
                error.show();
            }
        }
        Ok(match failed {
            None => Status::Good,
            Some(2) => Status::Input,
            Some(_) => Status::Harness,
        })
    }
}

/// A lender before those that borrow from it, so that each is told of by itself.
fn with_lenders(context: &Context, wanted: Vec<String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in wanted {
        // One that is wrong says so when its turn comes.
        let manifest = Manifest::load(&context.project.image(&name)).ok();
        let lender = manifest.and_then(|manifest| manifest.source.lender().map(str::to_owned));
        for name in lender.into_iter().chain([name]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

fn fetch(context: &Context, name: &str) -> Result<(), CliError> {
    let load = |name: &str| Manifest::load(&context.project.image(name));
    let manifest = load(name).map_err(CliError::image)?;
    let id = entry_id(&manifest).map_err(CliError::image)?;
    let hold = || context.cache.held(&id).map_err(CliError::harness);
    let there = hold()?.is_some();
    let begin = Instant::now();
    let opened = Image::open(&manifest, &load, &context.cache, &Shown::new());
    // It keeps the entry from being removed.
    let _opened = opened.map_err(CliError::image)?;
    let took = (!there).then(|| begin.elapsed());
    let Some(entry) = hold()? else {
        return Err(CliError::harness(format!("{name} is gone again")));
    };
    let parts = cache::parts(&entry.path).map_err(CliError::harness)?;
    // Without what a lender has.
    let image = Image::from_entry(name, entry).map_err(CliError::image)?;
    let fetched = Fetched {
        manifest: &manifest,
        image: &image,
        bytes: parts.iter().map(|(_, bytes)| bytes).sum(),
        took,
    };
    print(&fetched_text(&fetched, width()))
}
