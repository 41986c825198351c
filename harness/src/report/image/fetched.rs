//! `crashdrill image fetch`.

use std::time::Duration;

use super::provenance;
use crate::image::{Image, Manifest};
use crate::report::page::{BOLD, GOOD, Page, Text};
use crate::report::seconds;
use crate::report::vmcore::amount;

/// An image that was fetched, or was there already.
#[derive(Debug)]
pub struct Fetched<'a> {
    /// Its manifest.
    pub manifest: &'a Manifest,
    /// Without what it borrows.
    pub image: &'a Image,
    /// What it takes of the disk.
    pub bytes: u64,
    /// How long it took; none when it was there already.
    pub took: Option<Duration>,
}

/// What was done, where from, and who stands for it.
pub fn fetched_text(fetched: &Fetched<'_>, width: usize) -> String {
    let mut page = Page::new(width);
    let head = Text::new().styled(BOLD, &fetched.image.name).plain(": ");
    let head = match fetched.took {
        None => head.styled(GOOD, "in the cache already"),
        Some(took) => head.styled(GOOD, &format!("fetched in {}", seconds(took))),
    };
    let head = head.plain(&format!(
        ", {}, kernel {}",
        amount(fetched.bytes),
        fetched.image.kernel.release
    ));
    page.flow_at(&Text::new(), 2, &head);
    for line in provenance(fetched.manifest, fetched.image) {
        page.flow(&Text::new().plain("  "), &Text::new().plain(&line));
    }
    page.finish()
}
