//! What images/ and the cache hold.

use crate::cli::{CliError, Context};
use crate::image::cache::{Kind, Listed};
use crate::image::{
    Cache, CacheError, Image, Manifest, Source, disk, downloads, entry_id, keys, qemu,
};
use crate::report::{Cached, Described, ImageState, Inventory, Other, Role};

/// Looks at all manifests and all entries. Nothing is fetched.
pub(super) fn inventory(context: &Context) -> Result<Inventory, CliError> {
    let files = context.project.images().map_err(CliError::input)?;
    let mut entries = context.cache.entries().map_err(CliError::harness)?;
    let mut host = Host::default();
    let mut images = Vec::new();
    for file in files {
        let known = match Manifest::load(&file) {
            Err(error) => Err(error.to_string()),
            Ok(manifest) => {
                let state = state(&context.cache, &manifest, &mut entries, &mut host);
                Ok((manifest, state.map_err(CliError::harness)?))
            }
        };
        let stem = file.file_stem().unwrap_or_default();
        images.push(Described {
            name: stem.to_string_lossy().into_owned(),
            file,
            known,
        });
    }
    images.sort_by(|one, other| one.name.cmp(&other.name));
    check_lenders(&mut images);
    let others = entries.into_iter().map(|entry| Other {
        role: role(&entry, &images),
        entry,
    });
    Ok(Inventory {
        others: others.collect(),
        cache: context.cache.root().to_owned(),
        downloads: downloads(&context.cache).map_err(CliError::harness)?,
        images,
    })
}

/// Takes the image's own entry out of `entries`.
fn state(
    cache: &Cache,
    manifest: &Manifest,
    entries: &mut Vec<Listed>,
    host: &mut Host,
) -> Result<ImageState, CacheError> {
    let id = match entry_id(manifest) {
        Ok(id) => id,
        Err(error) => return Ok(ImageState::Impossible(error.to_string())),
    };
    if let Some(nth) = entries.iter().position(|entry| entry.is(&id))
        && let Some(held) = cache.held(&id)?
    {
        let entry = entries.remove(nth);
        return Ok(match Image::from_entry(&manifest.name, held) {
            Ok(image) => ImageState::Cached(Box::new(Cached { entry, image })),
            Err(error) => ImageState::Unusable(entry, error.to_string()),
        });
    }
    Ok(match host.lacks(&manifest.source) {
        Some(why) => ImageState::Impossible(why),
        None => ImageState::Absent,
    })
}

/// What this machine lacks for fetching, asked once.
#[derive(Default)]
struct Host {
    apt: Option<Option<String>>,
    disk: Option<Option<String>>,
}

impl Host {
    fn lacks(&mut self, source: &Source) -> Option<String> {
        let apt = || {
            let lacks = !disk::on_path("apt-get");
            lacks.then(|| "no apt-get on this machine, which fetches Debian's packages".to_owned())
        };
        match source {
            Source::Apt(_) => self.apt.get_or_insert_with(apt).clone(),
            Source::Disk(_) => {
                let apt = self.apt.get_or_insert_with(apt).clone();
                apt.or_else(|| self.disk.get_or_insert_with(disk::lacking).clone())
            }
            _ => None,
        }
    }
}

/// An image whose lender cannot lend cannot be used.
fn check_lenders(images: &mut [Described]) {
    let wrong: Vec<Option<String>> = images
        .iter()
        .map(|image| {
            let lender = image.known.as_ref().ok()?.0.source.lender()?;
            let found = images.iter().find(|other| other.name == lender);
            let why = match found.map(|found| &found.known) {
                None => "which is not in images/",
                Some(Err(_)) => "whose manifest is wrong",
                Some(Ok((manifest, _))) => match manifest.source {
                    Source::Apt(_) => return None,
                    _ => "whose source is not `apt`",
                },
            };
            Some(format!("it borrows from `{lender}`, {why}"))
        })
        .collect();
    for (image, wrong) in images.iter_mut().zip(wrong) {
        let (Ok((_, state)), Some(why)) = (&mut image.known, wrong) else {
            continue;
        };
        let entry = match std::mem::replace(state, ImageState::Absent) {
            ImageState::Cached(cached) => Some(cached.entry),
            ImageState::Unusable(entry, _) => Some(entry),
            ImageState::Absent | ImageState::Impossible(_) => None,
        };
        *state = match entry {
            Some(entry) => ImageState::Unusable(entry, why),
            None => ImageState::Impossible(why),
        };
    }
}

/// What an entry is good for that no manifest defines.
fn role(entry: &Listed, images: &[Described]) -> Role {
    let mut same_name = images.iter().filter(|image| image.name == entry.of());
    match entry.kind {
        // What it defines, nobody can tell now: a file that it names may be back tomorrow.
        Kind::Image
            if same_name.any(|image| match &image.known {
                Err(_) => true,
                Ok((manifest, _)) => entry_id(manifest).is_err(),
            }) =>
        {
            Role::Undecided
        }
        Kind::Image => Role::Unused,
        Kind::Qemu if entry.is(&qemu::entry_id()) => Role::Used,
        Kind::Keys if entry.is(&keys::entry_id()) => Role::Used,
        Kind::Qemu | Kind::Keys => Role::Unused,
    }
}
