//! The image that has a customer's kernel, or the one whose kernel is closest.

use super::facts::Release;
use super::{ImportError, Offered};
use crate::kdump::flavour::Flavour;
use crate::scenario::model::Boot;
use crate::vectors::Kernel;

/// An image for the drill.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Image {
    pub(super) name: String,
    pub(super) kernel: Kernel,
    pub(super) comment: Vec<String>,
    pub(super) lost: Option<String>,
}

/// Chooses among those that boot in this way; `wish` is the user's own choice.
///
/// # Errors
/// There is none.
pub(super) fn image(
    release: Option<&Release>,
    flavour: Flavour,
    boot: Boot,
    offered: &[Offered],
    wish: Option<&str>,
) -> Result<Image, ImportError> {
    let theirs = release.and_then(|release| Kernel::of_release(release.as_str()));
    let exact = |offer: &Offered| release.is_some_and(|it| offer.release.as_ref() == Some(it));
    let mut fitting = offered.iter().filter(|offer| offer.boot == boot);
    let chosen = match wish {
        Some(wish) => offered.iter().find(|offer| offer.name == wish),
        None => fitting.clone().find(|offer| exact(offer)).or_else(|| {
            let distance = |offer: &&Offered| {
                let same =
                    release.is_some_and(|it| series(it) == offer.release.as_ref().and_then(series));
                let steps = theirs.map_or(0, |theirs| apart(theirs, offer.kernel));
                (!(same && series_of(release)), steps)
            };
            // Without a kernel's release, the distribution tells what it had.
            match theirs {
                Some(_) => fitting.clone().min_by_key(distance),
                None => {
                    let usual = usual(flavour);
                    fitting
                        .clone()
                        .min_by_key(|offer| apart(usual, offer.kernel))
                }
            }
        }),
    };
    let Some(offer) = chosen else {
        return Err(match wish {
            Some(wish) => ImportError::NoSuchImage(wish.to_owned()),
            None => {
                let _ = fitting.next();
                ImportError::NoImage
            }
        });
    };
    let mut image = Image {
        name: offer.name.clone(),
        kernel: offer.kernel,
        comment: Vec::new(),
        lost: None,
    };
    match release {
        Some(release) if exact(offer) => image.comment.push(format!("their own kernel, {release}")),
        Some(release) => {
            let has = offer
                .release
                .as_ref()
                .map_or_else(|| offer.kernel.to_string(), |it| format!("Linux {it}"));
            image.comment.push(format!(
                "their kernel was {release}; the closest image here has {has}"
            ));
            image.comment.extend(how_to_have(release));
            image.lost = Some(format!("{has} for their {release}"));
        }
        None => {
            image
                .comment
                .push("the files do not say which kernel they had".to_owned());
            image.lost = Some("their kernel's version is not known".to_owned());
        }
    }
    Ok(image)
}

fn series_of(release: Option<&Release>) -> bool {
    release.and_then(series).is_some()
}

/// `el7` of Red Hat's kernels.
fn series(release: &Release) -> Option<&str> {
    let mut parts = release.as_str().split(['.', '-']);
    let found = parts.find(|part| part.starts_with("el") && part.len() > 2)?;
    Some(found.split('_').next().unwrap_or(found))
}

/// Steps between two kernels; a major version counts for all its minor ones.
fn apart(one: Kernel, other: Kernel) -> u32 {
    let number = |kernel: Kernel| u32::from(kernel.version.0) * 100 + u32::from(kernel.version.1);
    number(one).abs_diff(number(other))
}

fn usual(flavour: Flavour) -> Kernel {
    let version = match flavour {
        Flavour::Rhel6 => (2, 6),
        Flavour::Rhel7 => (3, 10),
        Flavour::Rhel8 => (4, 18),
        Flavour::Rhel9 => (5, 14),
        Flavour::Fedora | Flavour::Debian | Flavour::Opensuse => (6, 1),
    };
    Kernel {
        version,
        ia32: true,
    }
}

/// What to put into images/ so that the drill runs on their kernel.
fn how_to_have(release: &Release) -> Vec<String> {
    let mut lines = vec![format!(
        "To drill theirs, write images/their-kernel.yaml, and `image: their-kernel` here:"
    )];
    let mut more = |line: &str| lines.push(line.to_owned());
    more("  name: their-kernel");
    more(&format!("  about: Linux {release}"));
    let el = series(release).and_then(|series| series[2..].parse::<u8>().ok());
    let Some(el) = el else {
        // `make tarxz-pkg`, or a distribution's package unpacked and packed again.
        more("  source:");
        more("    url:");
        more(&format!(
            "      archive: /path/to/{release}.tar.xz   # boot/vmlinuz-{release} and lib/modules/{release}"
        ));
        more("      sha256: ...                          # of the archive");
        more("      userland: debian-12");
        return lines;
    };
    more("  source:");
    more("    rpm:");
    more("      key: RPM-GPG-KEY-...                 # of their distribution, and its fingerprint");
    more("      fingerprint: ...");
    more("      packages:                            # paths or URLs; kexec-tools and glibc, too");
    let kernels: &[&str] = match el {
        ..=7 => &["kernel"],
        8 => &["kernel-core", "kernel-modules"],
        _ => &["kernel-core", "kernel-modules-core", "kernel-modules"],
    };
    for package in kernels {
        more(&format!("        - {package}-{release}.rpm"));
    }
    more("      userland: debian-12");
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(name: &str, release: &str, boot: Boot) -> Offered {
        Offered {
            name: name.to_owned(),
            kernel: Kernel::of_release(release).unwrap(),
            release: release.parse().ok().filter(|_| release.contains('-')),
            boot,
        }
    }

    fn chosen(release: &str) -> (String, Option<String>, String) {
        let all = [
            offered("centos-7.4", "3.10.0-693.5.2.el7.x86_64", Boot::Direct),
            offered("centos-7.9", "3.10.0-1160.119.1.el7.x86_64", Boot::Direct),
            offered("rocky-8", "4.18.0-425.3.1.el8.x86_64", Boot::Direct),
            offered("debian-12", "6.1", Boot::Direct),
            offered("debian-12-disk", "6.1", Boot::Disk),
        ];
        let release: Release = release.parse().unwrap();
        let image = image(Some(&release), Flavour::Rhel7, Boot::Direct, &all, None).unwrap();
        (image.name, image.lost, image.comment.join("\n"))
    }

    #[test]
    fn their_own_or_the_closest() {
        let (name, lost, _) = chosen("3.10.0-693.5.2.el7.x86_64");
        assert_eq!((name.as_str(), lost), ("centos-7.4", None));
        let (name, lost, comment) = chosen("3.10.0-514.el7.x86_64");
        assert_eq!(name, "centos-7.4");
        assert!(lost.unwrap().contains("3.10.0-514"));
        assert!(
            comment.contains("- kernel-3.10.0-514.el7.x86_64.rpm"),
            "{comment}"
        );
        let (name, _, comment) = chosen("4.18.0-372.9.1.el8_6.x86_64");
        assert_eq!(name, "rocky-8");
        assert!(comment.contains("kernel-core-4.18.0-372.9.1.el8_6.x86_64.rpm"));
        let (name, _, comment) = chosen("5.15.0-91-generic");
        assert_eq!(name, "debian-12");
        assert!(comment.contains("url:"), "{comment}");
    }
}
