//! `crashdrill image verify`.

use super::{Cached, count, provenance};
use crate::image::cache::Listed;
use crate::image::contents::{Change, Difference, Verified};
use crate::image::{Manifest, Source};
use crate::report::View;
use crate::report::page::{BAD, BOLD, GOOD, NEW, Page, Text};
use crate::report::vmcore::{amount, utc};

/// Differences that are shown without `-v`.
const SHOWN: usize = 20;

/// An entry of the cache that was held against its record.
#[derive(Debug)]
pub struct Held<'a> {
    /// The entry.
    pub entry: &'a Listed,
    /// The image in it.
    pub cached: Option<(&'a Manifest, &'a Cached)>,
    /// What came of it.
    pub verified: Verified,
    /// What else there is to say, a sentence each.
    pub notes: Vec<String>,
    /// What is wrong beside the contents, a sentence each.
    pub wrong: Vec<String>,
    /// How to have it made again.
    pub repair: String,
}

/// Whether an entry is what was put there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is.
    Same,
    /// It is not.
    Differs,
    /// Nobody knows.
    Unknown,
}

impl Held<'_> {
    /// Whether it is what was put there.
    pub fn kept(&self) -> Kept {
        match &self.verified {
            _ if !self.wrong.is_empty() => Kept::Differs,
            Verified::NoRecord => Kept::Unknown,
            Verified::BadRecord(_) => Kept::Differs,
            Verified::Compared { differences, .. } if differences.is_empty() => Kept::Same,
            Verified::Compared { .. } => Kept::Differs,
        }
    }
}

/// One entry.
pub fn verified_text(held: &Held<'_>, view: View) -> String {
    let mut page = Page::new(view.width);
    let head = Text::new().styled(BOLD, &held.entry.name).plain(": ");
    let head = match held.kept() {
        Kept::Same => head.styled(GOOD, "as it was filled"),
        Kept::Differs => head.styled(BAD, "DIFFERS"),
        Kept::Unknown => head.styled(NEW, "cannot be proven"),
    };
    let filled = utc(super::seconds_since_1970(held.entry.filled));
    let (size, files) = (amount(held.entry.bytes), &held.verified);
    let head = match files {
        Verified::Compared { files, .. } => head.plain(&format!(
            ", {}, {size}, filled {filled}",
            count(*files, "file")
        )),
        _ => head.plain(&format!(", {size}, filled {filled}")),
    };
    page.flow_at(&Text::new(), 2, &head);
    let indent = Text::new().plain("  ");
    let mut say = |text: Text| page.flow(&indent, &text);
    if let Some((manifest, cached)) = held.cached {
        for line in provenance(manifest, &cached.image) {
            say(Text::new().plain(&line));
        }
        for line in outside(manifest, cached) {
            say(Text::new().plain(&line));
        }
    }
    for note in &held.notes {
        say(Text::new().plain(note));
    }
    for wrong in &held.wrong {
        say(Text::new().styled(BAD, wrong));
    }
    match &held.verified {
        Verified::NoRecord => say(Text::new().styled(
            NEW,
            "The crashdrill that filled it kept no record of its contents.",
        )),
        Verified::BadRecord(why) => {
            say(Text::new().styled(
                BAD,
                &format!("The record of its contents is damaged: {why}."),
            ));
        }
        Verified::Compared { differences, .. } => {
            let most = if view.verbose { usize::MAX } else { SHOWN };
            for difference in differences.iter().take(most) {
                let (word, path) = line(difference);
                page.verbatim(2, &Text::new().styled(BAD, &word).plain(&path));
            }
            if let more @ 1.. = differences.len().saturating_sub(most) {
                page.verbatim(
                    2,
                    &Text::new().plain(&format!("and {more} more (-v shows all)")),
                );
            }
        }
    }
    if held.kept() != Kept::Same {
        page.flow(
            &indent,
            &Text::new().plain(&format!("To have it made again: {}", held.repair)),
        );
    }
    page.finish()
}

/// What is used and lies outside of the cache.
fn outside(manifest: &Manifest, cached: &Cached) -> Vec<String> {
    let image = &cached.image;
    let disk = image.root.as_ref().map(|root| root.disk.as_path());
    let used = [
        ("its modules are", image.modules.directory()),
        ("its disk is", disk),
    ];
    let mut lines: Vec<String> = used
        .into_iter()
        .filter_map(|(what, path)| Some((what, path?)))
        .filter(|(_, path)| !path.starts_with(&cached.entry.path))
        .map(|(what, path)| format!("{what} your own, {}: not recorded", path.display()))
        .collect();
    // Otherwise the manifest would define another entry.
    if let Source::Local(_) | Source::DiskImage(_) | Source::Host(_) = manifest.source {
        lines
            .push("your files are still the ones that it was made of, by size and time".to_owned());
    }
    lines
}

fn line(difference: &Difference) -> (String, String) {
    let (word, more) = match difference.change {
        Change::Content => ("changed", String::new()),
        Change::Mode(then, now) => ("mode", format!(" (was {then:04o}, is {now:04o})")),
        Change::Kind => ("changed", " (it is of another kind now)".to_owned()),
        Change::Missing => ("missing", String::new()),
        Change::Added => ("added", String::new()),
        Change::Unreadable => ("unread", " (may not be read)".to_owned()),
    };
    (
        format!("{word:9}"),
        format!("{}{more}", difference.path.display()),
    )
}
