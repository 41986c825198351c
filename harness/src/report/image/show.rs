//! `crashdrill image show`.

use std::path::Path;

use super::{Cached, Described, State, Voucher, kind_and_suite, one_word, parts};
use crate::image::{BootKernel, CaptureKernel, KdumpService, Manifest, Origin, Package, RootKind};
use crate::report::page::{BAD, BOLD, DIM, GOOD, NEW, Page, Text, facts, heading};
use crate::report::vmcore::{amount, utc};

/// Everything that is known of an image. `sizes` says what takes the space of its entry, `lender` what
/// is there of the image that it borrows from.
pub fn image_text(
    image: &Described,
    manifest: &Manifest,
    state: &State,
    sizes: &[(String, u64)],
    lender: Option<&Described>,
    width: usize,
) -> String {
    let mut page = Page::new(width);
    let fetch = format!("`crashdrill image fetch {}`", image.name);
    let head = Text::new().styled(BOLD, &image.name).plain(": ");
    let (head, below) = match state {
        State::Cached(_) => (head.styled(GOOD, "in the cache"), None),
        State::Absent => (
            head.styled(NEW, "not in the cache"),
            Some(format!(
                "{fetch} fetches it, and so does a drill that needs it."
            )),
        ),
        State::Impossible(why) => (
            head.styled(NEW, "cannot be had on this machine"),
            Some(why.clone()),
        ),
        State::Unusable(_, why) => (
            head.styled(BAD, "in the cache, and cannot be used"),
            Some(why.clone()),
        ),
    };
    page.flow(&Text::new(), &head);
    if let Some(below) = below {
        page.flow(&Text::new().plain("  "), &Text::new().styled(NEW, &below));
    }
    page.blank();
    facts(&mut page, 2, &manifest_rows(image, manifest, state, lender));
    if let State::Cached(cached) = state {
        page.blank();
        facts(&mut page, 2, &cached_rows(cached, sizes));
    }
    match state.packages() {
        [] => made_of(&mut page, manifest),
        packages => package_table(&mut page, packages),
    }
    page.finish()
}

fn plain(text: &str) -> Text {
    Text::new().plain(text)
}

fn manifest_rows(
    image: &Described,
    manifest: &Manifest,
    state: &State,
    lender: Option<&Described>,
) -> Vec<(&'static str, Text)> {
    let voucher = Voucher::of(&manifest.source, state.packages());
    let mut rows = vec![
        ("about", plain(&manifest.about)),
        ("manifest", plain(&image.file.display().to_string())),
        ("source", plain(&kind_and_suite(&manifest.source))),
        ("vouched for by", plain(&voucher.long())),
    ];
    if let Some(lender) = lender {
        let there = match lender.entry() {
            Some(_) => "in the cache",
            None => "not in the cache",
        };
        rows.push(("borrows from", plain(&format!("{}, {there}", lender.name))));
    }
    let cpu = manifest.cpu.as_deref();
    let cpu = cpu.map_or_else(|| Text::new().styled(DIM, "none named"), plain);
    rows.push(("CPU model", cpu));
    rows
}

fn cached_rows(cached: &Cached, sizes: &[(String, u64)]) -> Vec<(&'static str, Text)> {
    let image = &cached.image;
    let kernel = &image.kernel;
    // In the entry, which has a line of its own.
    let inside = |path: &Path| {
        let inside = path.strip_prefix(&cached.entry.path);
        inside.unwrap_or(path).display().to_string()
    };
    let boots = match &kernel.boot {
        BootKernel::Pvh(path) => format!("{} (ELF, entered through PVH)", inside(path)),
        BootKernel::BzImage(path) => format!("{} (bzImage)", inside(path)),
    };
    let captures = match &kernel.capture {
        CaptureKernel::Unpacked(path) => format!("{} (bzImage, not compressed)", inside(path)),
        CaptureKernel::BzImage(path) => format!("{} (bzImage)", inside(path)),
    };
    let config = match &kernel.config {
        Some(path) => plain(&inside(path)),
        None => Text::new().styled(DIM, "not known"),
    };
    let modules = match (image.modules.directory(), &image.root) {
        (Some(directory), _) => plain(&inside(directory)),
        (None, Some(_)) => Text::new().styled(DIM, "on the root disk"),
        (None, None) => Text::new().styled(DIM, "none: all drivers have to be built in"),
    };
    let filled = utc(super::seconds_since_1970(cached.entry.filled));
    let mut rows = vec![
        ("entry", plain(&cached.entry.path.display().to_string())),
        ("filled", plain(&filled)),
        ("kernel", plain(&kernel.release)),
        ("boots", plain(&boots)),
        ("captures", plain(&captures)),
        ("its config", config),
        ("modules", modules),
    ];
    if let Some(root) = &image.root {
        let made = match &root.kind {
            RootKind::Packages(_) => "kdump-tools.service",
            RootKind::Image(found) => KdumpService::unit(found.service),
        };
        rows.push((
            "root disk",
            plain(&format!("{}, armed by {made}", inside(&root.disk))),
        ));
    }
    let of = sizes
        .iter()
        .map(|(name, bytes)| format!("{name} {}", amount(*bytes)));
    let size = format!(
        "{}: {}",
        amount(cached.entry.bytes),
        of.collect::<Vec<_>>().join(", ")
    );
    rows.push(("size on disk", plain(&size)));
    rows
}

/// What the manifest asks for.
fn made_of(page: &mut Page, manifest: &Manifest) {
    let parts = parts(&manifest.source);
    if parts.is_empty() {
        return;
    }
    heading(page, "Made of");
    for part in parts {
        page.flow(&Text::new().plain("  "), &plain(&part));
    }
}

/// What was fetched.
fn package_table(page: &mut Page, packages: &[Package]) {
    heading(page, "Made of");
    let names = packages.iter().map(|package| plain(&package.name).width());
    let width = names.max().unwrap_or_default().min(40);
    for package in packages {
        let lead = Text::new()
            .plain("  ")
            .plain(&package.name)
            .padded(width + 4);
        page.flow_at(&lead, 6, &plain(&package.version));
        if let Some(origin) = &package.origin {
            for line in origin_lines(origin, &package.version) {
                page.verbatim(6, &Text::new().styled(DIM, &line));
            }
        }
    }
}

fn origin_lines(origin: &Origin, version: &str) -> Vec<String> {
    let mut lines = vec![format!("{} ({})", origin.from, amount(origin.bytes))];
    let sum = origin.sha256.to_string();
    // A file that is no package has its digest for a version.
    if sum != version {
        lines.push(format!("sha256 {sum}"));
    }
    if let Some(signer) = &origin.signer {
        lines.push(format!(
            "signed by {}, key {}",
            signer.user,
            one_word(signer.fingerprint)
        ));
    }
    lines
}
