//! Of one package at a time: its header, who signed it, and what is in it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::sync::LazyLock;

use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::SignatureType;
use proptest::prelude::*;

use super::*;

mod content;
mod forge;
mod image;

use forge::{
    ALL, HEADER, How, Member, OWN, RSA, STRANGER, TestKey, USUAL, archive, binary, blob, file,
    fixture, header, member, package, text,
};

const ROOMY: Budget = Budget {
    bytes: 1 << 20,
    files: 100,
};

fn key(key: TestKey) -> Key {
    Key::read(&key.file(), key.fingerprint()).unwrap()
}

static OWN_KEY: LazyLock<Key> = LazyLock::new(|| key(OWN));
static RSA_KEY: LazyLock<Key> = LazyLock::new(|| key(RSA));

/// What was unpacked: of a file its text and whether it can be run, of a link its target.
type Census = BTreeMap<String, (String, bool)>;

fn census(root: &Path) -> Census {
    fn add(root: &Path, below: &Path, found: &mut Census) {
        for entry in fs::read_dir(below).unwrap() {
            use std::os::unix::fs::PermissionsExt;
            let path = entry.unwrap().path();
            let data = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            let mode = data.permissions().mode();
            let value = match () {
                _ if data.is_dir() => {
                    add(root, &path, found);
                    continue;
                }
                _ if data.is_symlink() => {
                    let target = fs::read_link(&path).unwrap();
                    (target.to_str().unwrap().to_owned(), false)
                }
                _ => {
                    assert_eq!(mode & 0o7022, 0, "{name}");
                    (fs::read_to_string(&path).unwrap(), mode & 0o100 != 0)
                }
            };
            found.insert(name.to_owned(), value);
        }
    }
    let mut found = Census::new();
    add(root, root, &mut found);
    found
}

/// Name and version, and what it unpacks to, once `key` vouches for it.
fn read(bytes: &[u8], key: &Key) -> Result<(String, Census), PackageError> {
    let mut package = PackageFile::read(Cursor::new(bytes))?;
    package.verify(key)?;
    let name = format!("{} {}", package.name, package.version);
    let directory = tempfile::tempdir().unwrap();
    package.unpack(&mut Root::new(directory.path().to_owned(), ROOMY))?;
    Ok((name, census(directory.path())))
}

fn refusal(bytes: &[u8], key: &Key) -> String {
    read(bytes, key).unwrap_err().to_string()
}

/// What tests/rpms/rehearsal.spec puts into a package, less its documentation.
fn rehearsal() -> Census {
    let script = ("#!/bin/sh\necho rehearsed\n".to_owned(), true);
    let library: String = (1..=2000).map(|n| format!("{n}\n")).collect();
    [
        ("etc/rehearsal.conf", ("path /var/crash\n".into(), false)),
        (
            "usr/lib64/librehearsal.so.1",
            ("librehearsal.so.1.0".into(), false),
        ),
        ("usr/lib64/librehearsal.so.1.0", (library, false)),
        ("usr/sbin/another-rehearse", script.clone()),
        ("usr/sbin/rehearse", script),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

#[test]
fn packages_of_rpmbuild_in_every_compression() {
    for name in ["gzip", "bzip2", "lzma", "xz", "zstd", "none", "el7"] {
        let bytes = fs::read(fixture(&format!("{name}.rpm"))).unwrap();
        let (package, found) = read(&bytes, &RSA_KEY).unwrap();
        assert_eq!(package, "rehearsal 1:1.0-1.el7.noarch");
        assert_eq!(found, rehearsal(), "{name}");
    }
}

/// With the entries of its signature header that have one of these tags.
fn with_signatures(package: &[u8], tags: &[u32]) -> Vec<u8> {
    let front = header::Front::read(package).unwrap();
    let metadata = ::rpm::PackageMetadata::parse(&mut &package[..]).unwrap();
    let signatures: Vec<_> = tags
        .iter()
        .map(|tag| match metadata.signature.entry(*tag).unwrap() {
            ::rpm::IndexData::Bin(bytes) => binary(*tag, bytes),
            other => panic!("{other}"),
        })
        .collect();
    file(&signatures, front.header(), &package[front.bytes.len()..])
}

#[test]
fn signatures_of_version_3_as_centos_7_has_them() {
    let bytes = fs::read(fixture("el7.rpm")).unwrap();
    let metadata = ::rpm::PackageMetadata::parse(&mut &bytes[..]).unwrap();
    for tag in [HEADER, ALL] {
        let ::rpm::IndexData::Bin(signature) = metadata.signature.entry(tag).unwrap() else {
            panic!()
        };
        // Old format packet with a length of two bytes, and the version.
        assert_eq!((signature[0], signature[3]), (0x89, 3));
        let alone = with_signatures(&bytes, &[tag]);
        assert_eq!(read(&alone, &RSA_KEY).unwrap().1, rehearsal());
        let mut damaged = alone.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let error = refusal(&damaged, &RSA_KEY);
        match tag {
            ALL => assert!(
                error.contains("signature over header and payload is wrong"),
                "{error}"
            ),
            _ => assert!(error.contains("SHA-256 of its payload"), "{error}"),
        }
    }
}

#[test]
fn the_key_of_centos_7() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/RPM-GPG-KEY-CentOS-7");
    let fingerprint = "6341 AB27 53D7 8A78 A7C2 7BB1 24C6 A8A7 F4A8 0EB5";
    let key = Key::read(&file, fingerprint.parse().unwrap()).unwrap();
    assert_eq!(key.signer.fingerprint.to_string(), fingerprint);
    // Vouched for by a self-signature of SHA-1.
    assert_eq!(
        key.signer.user,
        "CentOS-7 Key (CentOS 7 Official Signing Key) <security@centos.org>"
    );
    assert_eq!(
        RSA_KEY.signer.user,
        "crashdrill test key (its secret half is published) <nobody@example.org>"
    );
}

#[test]
fn key_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("KEYS");
    let read = |text: &[u8], key: TestKey| {
        fs::write(&path, text).unwrap();
        Key::read(&path, key.fingerprint()).map_err(|error| error.to_string())
    };
    let [rsa, own, stranger] = [RSA, OWN, STRANGER].map(|key| fs::read(key.file()).unwrap());
    let all = [
        b"The first:\n",
        &rsa[..],
        b"\nThe others:\n",
        &stranger,
        &own,
    ]
    .concat();
    for key in [RSA, OWN, STRANGER] {
        let read = read(&all, key).unwrap();
        assert_eq!(read.signer.fingerprint, key.fingerprint());
    }
    let error = read(&[&rsa[..], &stranger].concat(), OWN).unwrap_err();
    let bare = |key: TestKey| key.fingerprint().to_string().replace(' ', "");
    assert_eq!(
        error,
        format!(
            "{}: no key {} in it; it has {}, {}",
            path.display(),
            OWN.fingerprint(),
            bare(RSA),
            bare(STRANGER)
        )
    );
    let error = read(b"not a key", OWN).unwrap_err();
    assert!(
        error.ends_with("no other in ASCII armor that can be read"),
        "{error}"
    );
    let error = read(&vec![b'-'; 2 << 20], OWN).unwrap_err();
    assert!(error.ends_with("larger than 1 MiB"), "{error}");
    // Damaged in the middle: the others can still be read.
    let mut damaged = all.clone();
    damaged[rsa.len() / 2] = b'!';
    assert!(read(&damaged, RSA).is_err());
    assert!(read(&damaged, OWN).is_ok());

    let file = fixture("TEST-KEY-revoked.asc");
    let revoked = "43B6DE53407D557406CA2A6B7631E6A9BA3C0718";
    let error = Key::read(&file, revoked.parse().unwrap()).unwrap_err();
    assert!(error.to_string().ends_with("0718 is revoked"), "{error}");
    let error = Key::read(&directory.path().join("gone"), OWN.fingerprint()).unwrap_err();
    assert!(error.to_string().contains("cannot read it"), "{error}");
}

/// A payload with one file in it.
fn one_file() -> Vec<u8> {
    archive(&[member("./etc/forged", 0o100_644, b"forged\n")])
}

#[test]
fn who_signed_what() {
    let payload = one_file();
    let good = Census::from([("etc/forged".into(), ("forged\n".into(), false))]);
    let with_digest = header("forged", "x86_64", Some(&payload));
    let without = header("forged", "x86_64", None);
    let signed = |tag, by: TestKey, how: How, header: &[u8]| {
        let all = [header, &payload].concat();
        let data = if tag == ALL { &all } else { header };
        file(&[binary(tag, by.sign(how, data))], header, &payload)
    };
    let primary = How {
        by_subkey: false,
        ..USUAL
    };
    for how in [USUAL, primary] {
        for (tag, header) in [(HEADER, &with_digest), (ALL, &with_digest), (ALL, &without)] {
            let (name, found) = read(&signed(tag, OWN, how, header), &OWN_KEY).unwrap();
            assert_eq!(name, "forged 1.0-1.x86_64");
            assert_eq!(found, good);
        }
    }
    // DSA's tags are as good.
    assert!(read(&signed(267, OWN, USUAL, &with_digest), &OWN_KEY).is_ok());

    let error = refusal(&file(&[], &with_digest, &payload), &OWN_KEY);
    assert!(error.starts_with("it is not signed"), "{error}");
    for tag in [HEADER, ALL] {
        let error = refusal(&signed(tag, STRANGER, USUAL, &with_digest), &OWN_KEY);
        let by = STRANGER.fingerprint().to_string().replace(' ', "");
        let wanted = OWN.fingerprint();
        assert_eq!(
            error,
            format!("it is signed by another key, {by}; the manifest names {wanted}")
        );
    }
    // One of version 3 says no more than a key id.
    let el7 = fs::read(fixture("el7.rpm")).unwrap();
    let id = RSA.fingerprint().to_string().replace(' ', "").split_off(24);
    let error = refusal(&el7, &OWN_KEY);
    assert!(
        error.starts_with(&format!("it is signed by another key, {id}; ")),
        "{error}"
    );

    let error = refusal(&signed(HEADER, OWN, USUAL, &without), &OWN_KEY);
    assert!(error.starts_with("only its header is signed"), "{error}");
    let other = header("forged", "x86_64", Some(b"another payload"));
    let error = refusal(&signed(HEADER, OWN, USUAL, &other), &OWN_KEY);
    assert!(error.contains("of its payload is"), "{error}");
    assert!(error.contains("damaged, or was tampered with"), "{error}");

    // A signature over a single byte, and one whose hash has collisions.
    for (how, says) in [
        (
            How {
                typ: SignatureType::Standalone,
                ..USUAL
            },
            "not a signature of a file",
        ),
        (
            How {
                typ: SignatureType::Timestamp,
                ..USUAL
            },
            "not a signature of a file",
        ),
        (
            How {
                typ: SignatureType::Text,
                ..USUAL
            },
            "not a signature of a file",
        ),
        (
            How {
                hash: HashAlgorithm::Sha1,
                ..USUAL
            },
            "too weak",
        ),
    ] {
        let error = refusal(&signed(ALL, RSA, how, &with_digest), &RSA_KEY);
        assert!(
            error.contains("its signature over header and payload cannot be believed"),
            "{error}"
        );
        assert!(error.contains(says), "{error}");
    }

    // Of another header.
    let signature = binary(HEADER, OWN.sign(USUAL, &without));
    let error = refusal(&file(&[signature], &with_digest, &payload), &OWN_KEY);
    assert!(
        error.contains("its signature over the header is wrong"),
        "{error}"
    );
    for garbage in [
        &b""[..],
        b"\x89\x02",
        b"\xc2\xff\xff\xff\xff\xff",
        &[0x89; 70_000],
    ] {
        let mut signature = binary(HEADER, garbage.to_owned());
        signature.count = signature.count.max(1);
        assert!(read(&file(&[signature], &with_digest, &payload), &OWN_KEY).is_err());
    }

    // One that does not hold is not made good by another.
    let good = binary(HEADER, OWN.sign(USUAL, &with_digest));
    let bad = binary(ALL, OWN.sign(USUAL, &with_digest));
    let error = refusal(
        &file(&[good.clone(), bad], &with_digest, &payload),
        &OWN_KEY,
    );
    assert!(
        error.contains("over header and payload is wrong"),
        "{error}"
    );
    // Somebody else's besides does no harm.
    let all = [&with_digest[..], &payload].concat();
    let others = binary(ALL, STRANGER.sign(USUAL, &all));
    assert!(read(&file(&[good, others], &with_digest, &payload), &OWN_KEY).is_ok());
}

#[test]
fn packages_of_the_rpm_crate() {
    use ::rpm::{BuildConfig, CompressionType, FileOptions, PackageBuilder};
    let signer = ::rpm::signature::pgp::Signer::from_asc_bytes(
        &fs::read(fixture("TEST-KEY-subkey.secret.asc")).unwrap(),
    )
    .unwrap();
    for (config, compression) in [
        (BuildConfig::v4(), CompressionType::Gzip),
        (BuildConfig::v4(), CompressionType::Xz),
        (BuildConfig::v4(), CompressionType::Bzip2),
        (BuildConfig::v4(), CompressionType::Zstd),
        (BuildConfig::v4(), CompressionType::None),
    ] {
        let config = config.compression(compression);
        let mut package = PackageBuilder::new("built", "2", "none", "x86_64", "A test")
            .using_config(config)
            .epoch(3)
            .with_file_contents(
                &b"Built."[..],
                FileOptions::new("/sbin/built").mode(0o100_755),
            )
            .unwrap()
            .build()
            .unwrap();
        let written = |package: &::rpm::Package| {
            let mut bytes = Vec::new();
            package.write(&mut bytes).unwrap();
            bytes
        };
        let error = refusal(&written(&package), &OWN_KEY);
        assert!(error.starts_with("it is not signed"), "{error}");
        package.sign(&signer).unwrap();
        let (name, found) = read(&written(&package), &OWN_KEY).unwrap();
        assert_eq!(name, "built 3:2-1.x86_64");
        let built = ("usr/sbin/built".to_owned(), ("Built.".to_owned(), true));
        assert_eq!(found, [built].into());
    }
    let mut newest = PackageBuilder::new("built", "2", "none", "x86_64", "A test")
        .using_config(BuildConfig::v6().compression(CompressionType::None))
        .with_file_contents(&b"Built."[..], FileOptions::new("/sbin/built"))
        .unwrap()
        .build()
        .unwrap();
    newest.sign(&signer).unwrap();
    let mut bytes = Vec::new();
    newest.write(&mut bytes).unwrap();
    let error = refusal(&bytes, &OWN_KEY);
    assert!(error.contains("in packages of version 6"), "{error}");
}

#[test]
fn packages_that_do_not_fit() {
    let payload = one_file();
    let refused = |header: Vec<u8>| {
        let signature = binary(HEADER, OWN.sign(USUAL, &header));
        refusal(&file(&[signature], &header, &payload), &OWN_KEY)
    };
    let error = refused(header("forged", "aarch64", Some(&payload)));
    assert_eq!(error, "it is for aarch64; drills run on x86_64");
    let error = refused(header("for ged", "x86_64", Some(&payload)));
    assert!(error.contains("the name is no word"), "{error}");
    let error = refused(blob(63, &[text(1000, "forged")]));
    assert!(error.contains("header cannot be read"), "{error}");
    let usual = |more| {
        let words = ["forged", "1", "1"].into_iter().zip(1000..);
        let mut entries: Vec<_> = words.map(|(word, tag)| text(tag, word)).collect();
        entries.push(text(1022, "x86_64"));
        entries.push(more);
        blob(63, &entries)
    };
    let error = refused(usual(text(1106, "1")));
    assert!(error.starts_with("it is a source package"), "{error}");
    let error = refused(usual(text(1124, "drpm")));
    assert!(error.contains("\"drpm\", and not cpio"), "{error}");
}

#[test]
fn headers_that_would_hurt_the_crate() {
    let ok = fs::read(fixture("none.rpm")).unwrap();
    let entry = |words: [u32; 4]| words.map(u32::to_be_bytes).concat();
    // The index of the header begins here.
    let front = header::Front::read(&ok[..]).unwrap();
    let start = front.bytes.len() - front.header().len();
    let with = |at: usize, bytes: &[u8]| {
        let mut damaged = ok.clone();
        damaged[at..at + bytes.len()].copy_from_slice(bytes);
        PackageFile::read(Cursor::new(damaged))
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(with(0, &ok[..8]), None);
    let first = start + 16 + 16;
    let max = u32::MAX;
    for (at, bytes, says) in [
        (0, vec![0xed, 0xab, 0xee, 0xdc], "no RPM package"),
        (4, vec![2], "older than that of rpm 3"),
        (79, vec![1], "older than that of rpm 3"),
        (
            96,
            vec![0x8f],
            "the signature header is damaged: it does not begin",
        ),
        (
            start + 5,
            vec![1],
            "the header is damaged: it does not begin",
        ),
        (
            start + 8,
            entry([0, 0, 0, 0])[..4].to_vec(),
            "no entries, or more than 4096",
        ),
        (
            start + 8,
            entry([max; 4])[..4].to_vec(),
            "no entries, or more than 4096",
        ),
        (
            start + 8,
            entry([4096; 4])[..4].to_vec(),
            "the file is cut short",
        ),
        (
            start + 12,
            entry([max; 4])[..4].to_vec(),
            "larger than 32 MiB",
        ),
        (
            start + 12,
            entry([32 << 20; 4])[..4].to_vec(),
            "the file is cut short",
        ),
        (
            start + 12,
            entry([0; 4])[..4].to_vec(),
            "begins behind its end",
        ),
        (first, entry([1000, 6, max, 1]), "begins behind its end"),
        (
            first,
            entry([1000, 6, 0x8000_0000, 1]),
            "begins behind its end",
        ),
        (first, entry([1000, 6, 0, 0]), "no value"),
        (first, entry([1000, 6, 0, max]), "more than one value"),
        (first, entry([1000, 8, 0, max]), "a string has no end"),
        (first, entry([1000, 4, 0, max]), "ends behind its end"),
        (
            first,
            entry([1000, 5, 0, 0x2000_0001]),
            "ends behind its end",
        ),
        (first, entry([1000, 7, 0, max]), "ends behind its end"),
        (first, entry([1000, 3, 1, 1]), "not aligned"),
        (first, entry([1000, 10, 0, 1]), "unknown type"),
        (first, entry([1000, 0, 0, 1]), "unknown type"),
        (first, entry([99, 6, 0, 1]), "unknown tag"),
        (first, entry([1000, 7, 0, 1000]), "entries overlap"),
        (first - 16, entry([63, 7, 0, 17]), "its region is none"),
        (first - 16, entry([63, 6, 0, 16]), "its region is none"),
    ] {
        let error = with(at, &bytes).unwrap_or_default();
        assert!(error.contains(says), "{at} {bytes:x?}: {error}");
    }
}

/// A package that is quick to check.
static SMALL: LazyLock<Vec<u8>> = LazyLock::new(|| package("forged", OWN, &one_file()));

#[test]
fn cut_off_anywhere() {
    for length in 0..SMALL.len() {
        assert!(read(&SMALL[..length], &OWN_KEY).is_err(), "{length}");
    }
    assert!(read(&SMALL, &OWN_KEY).is_ok());
    // Nor may something follow.
    let longer = [&SMALL[..], b"x"].concat();
    assert!(read(&longer, &OWN_KEY).is_err());
}

#[test]
fn any_byte_of_a_small_package_damaged() {
    let good = read(&SMALL, &OWN_KEY).unwrap();
    let mut same = 0;
    for at in 0..SMALL.len() {
        let mut damaged = SMALL.clone();
        damaged[at] ^= 1 << (at % 8);
        match read(&damaged, &OWN_KEY) {
            Ok(read) => {
                same += 1;
                assert_eq!(read, good, "{at}");
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert!(same < 200, "{same}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Of real packages: refused, or nothing has changed.
    #[test]
    fn any_byte_of_a_real_package_damaged(
        which in prop::sample::select(vec!["el7", "gzip", "zstd"]),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let mut bytes = fs::read(fixture(&format!("{which}.rpm"))).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok((name, found)) = read(&bytes, &RSA_KEY) {
            prop_assert_eq!(name, "rehearsal 1:1.0-1.el7.noarch");
            prop_assert_eq!(found, rehearsal());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Numbers anywhere in the front of a package: no panic, and nothing that passes the check is
    /// too much for the crate.
    #[test]
    fn any_front_is_read_or_refused(
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![
                any::<u32>(), 0..64_u32, Just(u32::MAX), Just(0x8000_0000), 1000..1200_u32,
            ]),
            1..6,
        ),
        index_only in any::<bool>(),
    ) {
        static GOOD: LazyLock<Vec<u8>> =
            LazyLock::new(|| fs::read(fixture("none.rpm")).unwrap());
        let mut bytes = GOOD.clone();
        let front = header::Front::read(&bytes[..]).unwrap().bytes.len();
        for (at, word) in changes {
            let at = match index_only {
                true => 96 + at.index(200) * 4,
                false => at.index(front / 4) * 4,
            };
            bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
        }
        match PackageFile::read(Cursor::new(&bytes)) {
            Ok(mut package) => {
                let _ = package.verify(&OWN_KEY);
                let _ = package.metadata.header.get_all_entries();
                let _ = package.metadata.signature.get_all_entries();
            }
            Err(error) => prop_assert!(error.to_string().len() < 1000),
        }
    }

    /// So is any signature packet.
    #[test]
    fn any_signature_is_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| OWN.sign(USUAL, b"x"));
        let mut bytes = GOOD.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = signature::parse(&bytes);
        let _ = signature::parse(&bytes[..cut.index(bytes.len())]);
    }
}
