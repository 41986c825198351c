use std::path::Path;
use std::time::Duration;

use super::*;
use crate::image::cache::Kind;
use crate::image::contents::{Change, Difference, Verified};
use crate::image::{ModuleTree, Origin, Signer, Userland};
use crate::report::View;

const PRINT: &str = "6341 AB27 53D7 8A78 A7C2 7BB1 24C6 A8A7 F4A8 0EB5";
const SUM: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn manifest(name: &str, source: &str) -> Manifest {
    let text = format!("name: {name}\nabout: What {name} is.\nsource: {source}\n");
    // A directory with a key in it.
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
    Manifest::parse(&text, &images.join("x.yaml")).unwrap()
}

fn described(known: Result<(Manifest, State), String>, name: &str) -> Described {
    Described {
        name: name.to_owned(),
        file: format!("images/{name}.yaml").into(),
        known,
    }
}

fn listed(kind: Kind, name: &str, bytes: u64) -> Listed {
    Listed {
        kind,
        name: name.to_owned(),
        path: Path::new("/cache").join(name),
        bytes,
        filled: UNIX_EPOCH + Duration::from_secs(1_795_341_130),
    }
}

fn cached(name: &str, packages: Vec<Package>, modules: &str) -> State {
    let entry = listed(Kind::Image, &format!("{name}-0123456789ab"), 432_100_000);
    let userland = Userland::at(entry.path.join("userland"));
    let mut image = Image::for_plans(name, ModuleTree::at(modules), userland);
    image.packages = packages;
    State::Cached(Box::new(Cached { entry, image }))
}

fn deb(name: &str, version: &str) -> Package {
    Package {
        name: name.to_owned(),
        version: version.to_owned(),
        origin: None,
    }
}

fn rpm(name: &str, place: &str) -> Package {
    Package {
        origin: Some(Origin {
            from: format!("{place}/{name}-1.el7.x86_64.rpm"),
            bytes: 45_123_456,
            sha256: SUM.parse().unwrap(),
            signer: Some(Signer {
                fingerprint: PRINT.parse().unwrap(),
                user: "CentOS-7 Key <security@example.org>".to_owned(),
            }),
        }),
        ..deb(name, "1.el7")
    }
}

const APT: &str = "{apt: {suite: bookworm, packages: [linux-image-amd64, kexec-tools]}}";

fn rpm_source() -> String {
    format!(
        "{{rpm: {{key: RPM-GPG-KEY-CentOS-7, fingerprint: {PRINT}, userland: debian-12, \
         packages: [https://example.org/7/kernel-1.el7.x86_64.rpm]}}}}"
    )
}

/// One of each kind and in each state.
fn inventory() -> Inventory {
    let packages = vec![rpm("kernel", "https://example.org/7")];
    let of = |name: &str, source: &str, state| described(Ok((manifest(name, source), state)), name);
    let there = |name: &str| cached(name, Vec::new(), "/lib/modules/3.10.0");
    let damaged = listed(Kind::Image, "damaged-0123456789ab", 5000);
    let disk = format!("{{disk-image: {{file: 'https://example.org/x', sha256: {SUM}}}}}");
    let url = format!("{{url: {{archive: a.tar, sha256: {SUM}, userland: debian-12}}}}");
    Inventory {
        cache: "/cache".into(),
        images: vec![
            of(
                "centos-7.4",
                &rpm_source(),
                cached("centos-7.4", packages, "/cache/m"),
            ),
            of(
                "damaged",
                APT,
                State::Unusable(damaged, "image.json: nonsense".to_owned()),
            ),
            of("debian-12", APT, there("debian-12")),
            of(
                "disk",
                "{disk: {suite: trixie, packages: [a]}}",
                State::Absent,
            ),
            of("golden", &disk, State::Absent),
            of(
                "host",
                "{host: {userland: debian-12}}",
                State::Impossible("no kernel in /boot, nor in /lib/modules".to_owned()),
            ),
            of(
                "ours",
                "{local: {kernel: /boot/vmlinuz, userland: debian-12}}",
                there("ours"),
            ),
            of("tar", &url, State::Absent),
            described(
                Err("images/wrong.yaml:3:5: unknown field `ap`".to_owned()),
                "wrong",
            ),
        ],
        others: vec![
            Other {
                entry: listed(Kind::Image, "debian-12-ba9876543210", 400_000_000),
                role: Role::Unused,
            },
            Other {
                entry: listed(Kind::Image, "wrong-ba9876543210", 400_000_000),
                role: Role::Undecided,
            },
            Other {
                entry: listed(Kind::Qemu, "qemu-0123456789ab", 14_000_000_000),
                role: Role::Used,
            },
        ],
        downloads: vec![
            download("0123456789ab-kernel.rpm", 1_000_000, false),
            download("ba9876543210-lzo.rpm", 50_000, true),
        ],
    }
}

fn download(name: &str, bytes: u64, complete: bool) -> Download {
    Download {
        name: name.to_owned(),
        bytes,
        complete,
        path: Path::new("/cache/download").join(name),
    }
}

#[test]
fn a_list_of_all() {
    insta::assert_snapshot!(plain(&image_list_text(&inventory(), 100)));
}

#[test]
fn lines_are_not_wider_than_the_terminal() {
    for width in [80, 120] {
        let text = plain(&image_list_text(&inventory(), width));
        let wide = text.lines().find(|line| line.chars().count() > width);
        assert_eq!(wide, None, "{width}");
    }
}

#[test]
fn a_list_for_programs() {
    let json = image_list_json(&inventory()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let image = |name: &str| {
        let images = value["images"].as_array().unwrap();
        images.iter().find(|image| image["name"] == name).unwrap()
    };
    let states = [
        ("centos-7.4", "cached"),
        ("damaged", "unusable"),
        ("disk", "absent"),
        ("host", "impossible"),
        ("wrong", "wrong"),
    ];
    for (name, state) in states {
        assert_eq!(image(name)["state"], state, "{name}");
    }
    assert_eq!(image("centos-7.4")["vouched-for-by"]["by"], "key");
    assert_eq!(image("centos-7.4")["vouched-for-by"]["fingerprint"], PRINT);
    assert_eq!(image("debian-12")["vouched-for-by"]["by"], "debian-archive");
    assert_eq!(image("golden")["vouched-for-by"]["sha256"], SUM);
    assert_eq!(image("ours")["vouched-for-by"], serde_json::Value::Null);
    assert_eq!(value["others"][0]["role"], "unused");
    assert_eq!(value["downloads"][0]["complete"], false);
    assert_eq!(value["bytes"], inventory().bytes());
    insta::assert_snapshot!(
        serde_json::to_string_pretty(image("centos-7.4"))
            .unwrap()
            .replace(env!("CARGO_MANIFEST_DIR"), ".")
    );
    let schema = image_list_schema();
    for key in value.as_object().unwrap().keys() {
        assert!(schema["properties"].get(key).is_some(), "{key}");
    }
}

fn shown(name: &str) -> String {
    let inventory = inventory();
    let of = |name: &str| inventory.images.iter().find(|image| image.name == name);
    let image = of(name).unwrap();
    let (manifest, state) = image.known.as_ref().unwrap();
    let lender = manifest.source.lender().and_then(of);
    let sizes = [
        ("kernel".to_owned(), 80_000_000),
        ("contents".to_owned(), 9000),
    ];
    plain(&image_text(image, manifest, state, &sizes, lender, 100))
}

#[test]
fn an_image_that_is_there() {
    insta::assert_snapshot!(shown("centos-7.4"));
}

#[test]
fn images_that_are_not() {
    for (name, says) in [
        (
            "disk",
            "disk: not in the cache\n  `crashdrill image fetch disk` fetches it",
        ),
        (
            "host",
            "host: cannot be had on this machine\n  no kernel in /boot",
        ),
        (
            "damaged",
            "damaged: in the cache, and cannot be used\n  image.json: nonsense",
        ),
    ] {
        let text = shown(name);
        assert!(text.starts_with(says), "{text}");
    }
    assert!(shown("tar").contains("borrows from    debian-12, in the cache\n"));
}

fn verified(name: &str, verified: Verified, verbose: bool) -> (Kept, String) {
    let inventory = inventory();
    let image = inventory.images.iter().find(|image| image.name == name);
    let (manifest, state) = image.unwrap().known.as_ref().unwrap();
    let State::Cached(cached) = state else {
        panic!("{state:?}");
    };
    let held = Held {
        entry: &cached.entry,
        cached: Some((manifest, cached)),
        verified,
        notes: Vec::new(),
        wrong: Vec::new(),
        repair: "crashdrill image prune x && crashdrill image fetch x".to_owned(),
    };
    let view = View {
        width: 100,
        verbose,
    };
    (held.kept(), plain(&verified_text(&held, view)))
}

fn differences(number: usize) -> Verified {
    let change = |nth| match nth % 6 {
        0 => Change::Content,
        1 => Change::Mode(0o644, 0o4755),
        2 => Change::Kind,
        3 => Change::Missing,
        4 => Change::Added,
        _ => Change::Unreadable,
    };
    let differences = (0..number).map(|nth| Difference {
        path: format!("userland/usr/bin/\x1b[31m{nth}").into(),
        change: change(nth),
    });
    Verified::Compared {
        files: 4334,
        differences: differences.collect(),
    }
}

#[test]
fn what_was_verified() {
    let (kept, text) = verified("debian-12", differences(0), false);
    assert_eq!(kept, Kept::Same);
    insta::assert_snapshot!(text);
    let (kept, text) = verified("ours", differences(30), false);
    assert_eq!(kept, Kept::Differs);
    insta::assert_snapshot!(text);
    assert!(verified("ours", differences(30), true).1.contains("[31m29"));
    let (kept, text) = verified("centos-7.4", Verified::NoRecord, false);
    assert_eq!(kept, Kept::Unknown);
    insta::assert_snapshot!(text);
    let bad = Verified::BadRecord("line 7 is none of a record".to_owned());
    let (kept, text) = verified("centos-7.4", bad, false);
    assert_eq!(kept, Kept::Differs);
    assert!(
        text.contains("damaged: line 7 is none of a record."),
        "{text}"
    );
}

#[test]
fn what_was_fetched() {
    let manifest = manifest("centos-7.4", &rpm_source());
    let packages = ["kernel", "kexec-tools"].map(|name| rpm(name, "https://example.org/7"));
    let mut packages = packages.to_vec();
    packages.push(rpm("lzo", "/srv"));
    let State::Cached(cached) = cached("centos-7.4", packages, "/cache/m") else {
        panic!();
    };
    let text = |took| {
        plain(&fetched_text(
            &Fetched {
                manifest: &manifest,
                image: &cached.image,
                bytes: 432_100_000,
                took,
            },
            100,
        ))
    };
    insta::assert_snapshot!(text(Some(Duration::from_millis(61_300))));
    assert!(text(None).starts_with("centos-7.4: in the cache already, 412.1 MiB, kernel "));
}
