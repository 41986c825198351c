//! `crashdrill image list`.

use super::{Described, Inventory, Other, Role, State, Voucher, kind_and_suite};
use crate::report::page::{BAD, BOLD, DIM, GOOD, NEW, Page, Text, heading};
use crate::report::vmcore::amount;

const COLUMNS: [&str; 5] = [
    "image",
    "source",
    "in the cache",
    "vouched for by",
    "kernel",
];

/// Manifests with what is in the cache of them, then what else is in it.
pub fn image_list_text(inventory: &Inventory, width: usize) -> String {
    let mut page = Page::new(width);
    let rows: Vec<Row> = inventory.images.iter().map(Row::of).collect();
    let head = COLUMNS.map(|name| Text::new().styled(DIM, name));
    let all = || std::iter::once(&head).chain(rows.iter().map(|row| &row.cells));
    let widths: [usize; 5] = std::array::from_fn(|nth| {
        let widths = all().filter_map(|cells| cells.get(nth)).map(Text::width);
        widths.max().unwrap_or_default()
    });
    put(&mut page, &head, &widths);
    for row in &rows {
        put(&mut page, &row.cells, &widths);
        for line in &row.below {
            page.flow(&Text::new().plain("    "), line);
        }
    }
    let rest = rest(inventory);
    if !rest.is_empty() {
        heading(&mut page, "Also in the cache");
        table(&mut page, &rest);
        let unused = |other: &Other| other.role == Role::Unused;
        if inventory.others.iter().any(unused) || !inventory.downloads.is_empty() {
            let hint = "`crashdrill image prune` removes what is not used any more, and downloads.";
            page.flow(&Text::new().plain("  "), &Text::new().plain(hint));
        }
    }
    page.blank();
    let total = format!(
        "{} in {}, {} in all",
        match inventory.entries().count() {
            1 => "1 entry".to_owned(),
            number => format!("{number} entries"),
        },
        inventory.cache.display(),
        amount(inventory.bytes())
    );
    page.flow(&Text::new(), &Text::new().plain(&total));
    page.finish()
}

/// The last column has the rest of the line.
fn put(page: &mut Page, cells: &[Text; 5], widths: &[usize; 5]) {
    let [first @ .., last] = cells;
    let lead = first
        .iter()
        .zip(widths)
        .fold(Text::new(), |lead, (cell, width)| {
            lead.then(cell.clone().padded(width + 2))
        });
    page.flow_at(&lead, 4, last);
}

struct Row {
    cells: [Text; 5],
    below: Vec<Text>,
}

impl Row {
    fn of(image: &Described) -> Self {
        let plain = |text: &str| Text::new().plain(text);
        let name = Text::new().styled(BOLD, &image.name);
        let (manifest, state) = match &image.known {
            Ok(known) => known,
            Err(message) => {
                let wrong = Text::new().styled(BAD, "wrong");
                return Self {
                    cells: [name, plain("-"), wrong, plain("-"), plain("-")],
                    below: vec![Text::new().styled(NEW, message)],
                };
            }
        };
        let (there, release, why) = match state {
            State::Cached(cached) => (
                Text::new().styled(GOOD, &amount(cached.entry.bytes)),
                cached.image.kernel.release.as_str(),
                None,
            ),
            State::Unusable(_, why) => (Text::new().styled(BAD, "unusable"), "-", Some(why)),
            State::Absent => (plain("no"), "-", None),
            State::Impossible(why) => (Text::new().styled(NEW, "impossible"), "-", Some(why)),
        };
        let voucher = Voucher::of(&manifest.source, state.packages());
        let cells = [
            name,
            plain(&kind_and_suite(&manifest.source)),
            there,
            plain(&voucher.short()),
            plain(release),
        ];
        let mut below = vec![Text::new().styled(DIM, &manifest.about)];
        below.extend(why.map(|why| Text::new().styled(NEW, why)));
        Self { cells, below }
    }
}

/// What is there beside the images: kind, name, bytes, and what for.
type Rest<'a> = (String, &'a str, u64, &'static str);

fn rest(inventory: &Inventory) -> Vec<Rest<'_>> {
    let others = inventory.others.iter().map(|other| {
        let entry = &other.entry;
        let kind = entry.kind.to_string();
        (kind, entry.name.as_str(), entry.bytes, role(other.role))
    });
    let downloads = inventory.downloads.iter().map(|download| {
        let for_what = match download.complete {
            true => "for an image that is not made yet",
            false => "interrupted: a fetch goes on from here",
        };
        let (name, bytes) = (download.name.as_str(), download.bytes);
        ("download".to_owned(), name, bytes, for_what)
    });
    others.chain(downloads).collect()
}

fn table(page: &mut Page, rest: &[Rest<'_>]) {
    let widest = |of: fn(&Rest<'_>) -> usize| rest.iter().map(of).max().unwrap_or_default();
    let kinds = widest(|row| row.0.len());
    let names = widest(|row| row.1.len());
    let sizes = widest(|row| amount(row.2).len());
    for (kind, name, bytes, for_what) in rest {
        let lead = Text::new()
            .plain("  ")
            .then(Text::new().plain(kind).padded(kinds + 2))
            .then(Text::new().plain(name).padded(names + 2))
            .then(Text::new().plain(&amount(*bytes)).right(sizes))
            .plain("  ");
        page.flow_at(&lead, 4, &Text::new().styled(DIM, for_what));
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Used => "in use",
        Role::Unused => "not used any more",
        Role::Undecided => "its manifest cannot say now whether it is used",
    }
}
