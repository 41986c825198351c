use super::*;

const APT: &str =
    "name: debian-12\nabout: x\nsource: {apt: {suite: bookworm, packages: [linux-image-amd64]}}\n";

fn parse(text: &str) -> Result<Manifest, ImageError> {
    Manifest::parse(text, Path::new("/images/debian-12.yaml"))
}

fn position(text: &str) -> (usize, usize, String) {
    match parse(text) {
        Err(ImageError::Manifest {
            line,
            column,
            message,
            ..
        }) => (line, column, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_sources_are_read() {
    let apt = parse(APT).unwrap();
    assert!(matches!(apt.source, Source::Apt(apt) if apt.suite == "bookworm"));
    let local = parse(
        "name: el7\nabout: x\nsource:\n  local: {kernel: el7/vmlinuz, modules: /m, userland: debian-12}\n",
    )
    .unwrap();
    let Source::Local(local) = local.source else {
        panic!()
    };
    assert_eq!(local.kernel, Path::new("/images/el7/vmlinuz"));
    assert_eq!(local.modules.as_deref(), Some(Path::new("/m")));
    let image = parse("name: a\nabout: x\nsource: {disk-image: {file: ../a.qcow2}}\n").unwrap();
    let Source::DiskImage(image) = image.source else {
        panic!()
    };
    assert_eq!(image.file, Location::File("/images/../a.qcow2".into()));
}

#[test]
fn errors_have_a_position() {
    let (line, _, message) =
        position("name: a\nabout: x\nsource: {apt: {suite: b, packages: [c], mirror: d}}\n");
    assert_eq!(line, 3, "{message}");
    assert!(message.contains("unknown field `mirror`"), "{message}");
    let (line, column, message) = position(&APT.replace("[linux-image-amd64]", "[--force]"));
    assert_eq!((line, column), (3, 33), "{message}");
    let (line, ..) = position(&APT.replace("debian-12", "'../x'"));
    assert_eq!(line, 1);
    for (disk, wanted) in [
        ("packages: [c], size: 10M", "at least 1G"),
        ("packages: [c], files: {etc/x: y}", "no plain absolute path"),
        ("packages: []", "no packages"),
        ("packages: [c], kernel: d", "unknown field `kernel`"),
    ] {
        let text = format!("name: a\nabout: x\nsource: {{disk: {{suite: b, {disk}}}}}\n");
        let (line, _, message) = position(&text);
        assert_eq!(line, 3, "{message}");
        assert!(message.contains(wanted), "{message}");
    }
    let rpm = "name: a\nabout: x\nsource:\n  rpm:\n    key: none\n    fingerprint: 6341 AB27 53D7 8A78 A7C2 7BB1 24C6 A8A7 F4A8 0EB5\n    packages:\n      - https://x.example/kernel-1.rpm\n";
    let (line, _, message) = position(rpm);
    assert_eq!(
        (line, message.contains("no key in")),
        (5, true),
        "{message}"
    );
    for (from, to, wanted) in [
        ("0EB5", "0EBX", "no fingerprint"),
        ("https://x", "ftp://x", "neither a path nor"),
        ("key:", "keys:", "unknown field `keys`"),
        ("a\n", "a\ncpu: a,b\n", "no CPU model"),
    ] {
        let (_, _, message) = position(&rpm.replacen(from, to, 1));
        assert!(message.contains(wanted), "{message}");
    }
    let image = "name: a\nabout: x\nsource: {disk-image: {file: https://x.example/a.qcow2}}\n";
    let (line, _, message) = position(image);
    assert_eq!((line, message.contains("sha256")), (3, true), "{message}");
    let (_, _, message) = position("name: a\nabout: x\nsource: {iso: {}}\n");
    assert!(message.contains("unknown variant `iso`"), "{message}");
}

#[test]
fn shipped_manifests_are_valid() {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
    let mut seen = 0;
    for file in fs::read_dir(images)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if file
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            Manifest::load(&file).unwrap();
            seen += 1;
        }
    }
    assert!(seen >= 2);
}
