//! Payloads that nobody should unpack, signed or not.

use super::*;
use crate::image::unpack::UnpackError;

/// What is checked in is smaller, and larger ones take long in a debug build.
const PACKAGE: Budget = Budget {
    bytes: 64 << 20,
    files: 20_000,
};

fn unpack(payload: impl Read, budget: Budget) -> Result<Census, PayloadError> {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    fs::create_dir(&root).unwrap();
    let reader = std::io::BufReader::new(payload);
    let unpacked = payload::unpack(reader, &mut Root::new(root.clone(), budget), PACKAGE);
    let there = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(there, 1, "something is outside of the root");
    unpacked.map(|()| census(&root))
}

fn refused(members: &[Member]) -> String {
    let error = unpack(&archive(members)[..], ROOMY).unwrap_err();
    error.to_string()
}

#[test]
fn members_that_are_refused_by_name() {
    let file = |name| member(name, 0o100_644, b"x");
    let link = |name, to: &str| member(name, 0o120_777, to.as_bytes());
    for (members, says) in [
        (vec![file("../out")], "\"../out\": the name has `..` in it"),
        (
            vec![file("./a/../../out")],
            "\"./a/../../out\": the name has `..` in it",
        ),
        (
            vec![link("a", ".."), file("a/out")],
            "\"a/out\": \"a\" is a symbolic link",
        ),
        (
            vec![link("a", "/etc"), file("./a/out")],
            "\"./a/out\": \"a\" is a symbolic link",
        ),
        (
            vec![link("a", "/etc/x"), file("a")],
            "\"a\": this file would replace a symbolic link",
        ),
        (
            vec![member("dev/sda", 0o060_600, b"")],
            "\"dev/sda\" is a device node",
        ),
        (
            vec![member("dev/null", 0o020_666, b"")],
            "\"dev/null\" is a device node",
        ),
        (
            vec![member("run/fifo", 0o010_600, b"")],
            "\"run/fifo\" is a fifo",
        ),
        (
            vec![member("run/socket", 0o140_600, b"")],
            "\"run/socket\" is a socket",
        ),
        (
            vec![member("odd", 0o030_600, b"")],
            "\"odd\" is of an unknown type",
        ),
        (
            vec![member("l", 0o120_777, &[b'x'; 5000])],
            "\"l\": the target of this symbolic link is too long",
        ),
        (
            vec![member("l", 0o120_777, b"\xff")],
            "\"l\": the target of this symbolic link is not UTF-8",
        ),
        (vec![link("l", "")], "\"l\": a symbolic link to nothing"),
    ] {
        let error = refused(&members);
        assert!(
            error.starts_with(says) && error.ends_with("refused"),
            "{error}"
        );
    }
    // An absolute one is inside the root.
    let found = unpack(&archive(&[file("/etc/x")])[..], ROOMY).unwrap();
    assert_eq!(found, [("etc/x".into(), ("x".into(), false))].into());
}

#[test]
fn formats() {
    let mut with_checksum = Vec::new();
    member("a", 0o100_755, b"text").write("070702", &mut with_checksum);
    member("TRAILER!!!", 0, b"").write("070702", &mut with_checksum);
    let found = unpack(&with_checksum[..], ROOMY).unwrap();
    assert_eq!(found, [("a".into(), ("text".into(), true))].into());
    let mut stripped = Vec::new();
    member("a", 0o100_644, b"").write("07070X", &mut stripped);
    let error = unpack(&stripped[..], ROOMY).unwrap_err().to_string();
    assert!(
        error.contains("07070X, which rpm writes for files over 4 GiB"),
        "{error}"
    );
    for unknown in [&b""[..], b"0707", b"\x89LZO\0\r\n", b"\x7fELF", b"070707"] {
        assert!(unpack(unknown, ROOMY).is_err(), "{unknown:?}");
    }
    let error = unpack(&b"\x89LZO\0\r\n"[..], ROOMY)
        .unwrap_err()
        .to_string();
    assert!(error.contains("rpm knows gzip, bzip2"), "{error}");
}

#[test]
fn names_of_one_file() {
    let named = |name: &str, inode, data: &[u8]| Member {
        inode,
        links: 3,
        ..member(name, 0o100_755, data)
    };
    let found = unpack(
        &archive(&[
            named("a", 7, b""),
            named("empty", 8, b""),
            named("sub/b", 7, b""),
            named("c", 7, b"data"),
            named("late", 7, b""),
            named("usr/share/doc/d", 8, b""),
        ])[..],
        ROOMY,
    )
    .unwrap();
    let data = |text: &str, executable| (text.to_owned(), executable);
    assert_eq!(
        found,
        [
            ("a", data("data", true)),
            ("sub/b", data("data", true)),
            ("c", data("data", true)),
            ("late", data("data", true)),
            ("empty", data("", false)),
            ("usr/share/doc/d", data("", false)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    );
    let error = refused(&[named("a", 1, b""), named("../b", 1, b"x")]);
    assert!(error.contains("`..`"), "{error}");
    let error = refused(&[named("../a", 1, b""), named("b", 1, b"x")]);
    assert!(error.contains("`..`"), "{error}");
}

/// An archive without an end.
struct Endless {
    begin: Vec<u8>,
    again: Vec<u8>,
    at: usize,
}

impl Endless {
    fn of(member: &Member) -> Self {
        let mut again = Vec::new();
        member.write("070701", &mut again);
        Self {
            begin: Vec::new(),
            again,
            at: 0,
        }
    }
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at < self.begin.len() {
            let count = (&self.begin[self.at..]).read(buffer)?;
            self.at += count;
            return Ok(count);
        }
        for byte in &mut *buffer {
            *byte = self.again[(self.at - self.begin.len()) % self.again.len()];
            self.at += 1;
        }
        Ok(buffer.len())
    }
}

#[test]
fn what_never_ends_ends_with_an_error() {
    let budget = |error: PayloadError| {
        assert!(
            matches!(&error, PayloadError::Unpack(UnpackError::Budget { .. })),
            "{error}"
        );
    };
    budget(unpack(Endless::of(&member("a", 0o100_644, b"x")), ROOMY).unwrap_err());
    // Directories cost nothing the second time, and what is left out never does.
    for endless in [
        member("a", 0o040_755, b""),
        member("usr/share/doc/x", 0o100_644, b""),
    ] {
        let error = unpack(Endless::of(&endless), ROOMY)
            .unwrap_err()
            .to_string();
        assert_eq!(error, "the payload has more than 20000 files: refused");
    }
    let hard = Member {
        links: 2,
        ..member(&"x".repeat(4000), 0o100_644, b"")
    };
    let error = unpack(Endless::of(&hard), ROOMY).unwrap_err().to_string();
    assert!(error.contains("bytes of names of hard links"), "{error}");
    // One file of 4 GiB.
    let mut begin = Vec::new();
    member("a", 0o100_644, b"").write("070701", &mut begin);
    begin[54..62].copy_from_slice(b"ffffffff");
    let large = Endless {
        begin,
        again: vec![0],
        at: 0,
    };
    budget(unpack(large, ROOMY).unwrap_err());
}

/// Some hundred kilobytes that would be gigabytes.
#[test]
fn bombs() {
    let mut begin = Vec::new();
    member("usr/share/doc/bomb", 0o100_644, b"").write("070701", &mut begin);
    begin[54..62].copy_from_slice(b"fffffff0");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&begin).unwrap();
    // Of which the payload has as many as it takes.
    let mut more = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    more.write_all(&vec![0; 4 << 20]).unwrap();
    let bomb = Endless {
        begin: gzip.finish().unwrap(),
        again: more.finish().unwrap(),
        at: 0,
    };
    let error = unpack(bomb, ROOMY).unwrap_err().to_string();
    assert!(
        error.contains("it unpacks to more than 67108864 bytes: refused"),
        "{error}"
    );

    // Not left out: the budget of the image is what counts.
    begin.clear();
    member("bomb", 0o100_644, b"").write("070701", &mut begin);
    begin[54..62].copy_from_slice(b"40000000");
    let mut small = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    small.write_all(&begin).unwrap();
    let error = unpack(&small.finish().unwrap()[..], ROOMY).unwrap_err();
    let error = error.to_string();
    assert_eq!(
        error,
        "\"bomb\": with it there would be more than 1048576 bytes: refused"
    );
}

#[test]
fn decompressors_that_would_take_too_much_memory() {
    // A dictionary of 1.5 GiB.
    let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
    options.dict_size(1 << 16);
    let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(&one_file()).unwrap();
    let mut lzma = encoder.finish().unwrap();
    assert!(unpack(&lzma[..], ROOMY).is_ok());
    lzma[1..5].copy_from_slice(&(3_u32 << 29).to_le_bytes());
    assert!(unpack(&lzma[..], ROOMY).is_err());
    // A window of 1 GiB.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 20 << 3, 0x01, 0, 0];
    let error = unpack(&zstd[..], ROOMY).unwrap_err().to_string();
    assert!(error.contains("zstd payload is damaged"), "{error}");
}

/// The payload of a package that is checked in.
fn fixture_payload(name: &str) -> Vec<u8> {
    let bytes = fs::read(fixture(&format!("{name}.rpm"))).unwrap();
    let front = header::Front::read(&bytes[..]).unwrap();
    bytes[front.bytes.len()..].to_vec()
}

#[test]
fn payloads_cut_off_anywhere() {
    for name in ["gzip", "bzip2", "lzma", "xz", "zstd", "none"] {
        let payload = fixture_payload(name);
        let step = payload.len().div_ceil(120);
        for length in (0..payload.len()).step_by(step) {
            match unpack(&payload[..length], ROOMY) {
                // What follows the archive's end is of no use.
                Ok(found) => assert_eq!(found, rehearsal(), "{name} {length}"),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
        let error = unpack(&payload[..payload.len() / 2], ROOMY);
        assert!(error.is_err(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the damage, and no signature that would show it: an end, and nothing outside.
    #[test]
    fn payloads_damaged_anywhere(
        which in prop::sample::select(vec!["gzip", "bzip2", "lzma", "xz", "zstd", "none"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut payload = fixture_payload(which);
        for (at, byte) in changes {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        let _ = payload::unpack(&payload[..], &mut Root::new(root, ROOMY), PACKAGE);
        prop_assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
