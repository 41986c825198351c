use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use proptest::prelude::*;
use tar::{Builder, Header};

use super::*;

const MOST: Budget = Budget {
    bytes: 4 << 20,
    files: 100,
};

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header
}

/// With a name that no decent program would write.
pub(in super::super) fn raw(kind: EntryType, name: &[u8], target: &[u8], data: &[u8]) -> Vec<u8> {
    let mut header = header(kind, data.len() as u64);
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name);
    old.linkname[..target.len()].copy_from_slice(target);
    header.set_cksum();
    let mut member = header.as_bytes().to_vec();
    member.extend(data);
    member.resize(member.len().next_multiple_of(512), 0);
    member
}

pub(in super::super) fn file(name: &str, data: &[u8]) -> Vec<u8> {
    raw(EntryType::Regular, name.as_bytes(), b"", data)
}

pub(in super::super) fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    let mut archive = members.concat();
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// What comes out, path to text; links as `-> target`.
fn unpack(archive: &[u8]) -> Result<Vec<(String, String)>, String> {
    unpack_within(archive, MOST)
}

fn unpack_within(archive: &[u8], most: Budget) -> Result<Vec<(String, String)>, String> {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    fs::create_dir(&root).unwrap();
    let result = unpack_archive(archive, &root, most);
    let beside = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(beside, 1, "it left the root");
    result.map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    let mut pending = vec![root.clone()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let data = fs::symlink_metadata(&path).unwrap();
            if data.is_dir() {
                pending.push(path);
                continue;
            }
            let text = match data.is_symlink() {
                true => format!("-> {}", fs::read_link(&path).unwrap().display()),
                false => fs::read_to_string(&path).unwrap(),
            };
            let name = path.strip_prefix(&root).unwrap();
            found.push((name.to_string_lossy().into_owned(), text));
        }
    }
    found.sort();
    Ok(found)
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(data).unwrap();
    gzip.finish().unwrap()
}

pub(in super::super) fn packed(data: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bzip2.write_all(data).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
    xz.write_all(data).unwrap();
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    vec![
        ("plain", data.to_vec()),
        ("gzip", gzip(data)),
        ("bzip2", bzip2.finish().unwrap()),
        ("xz", xz.finish().unwrap()),
        ("zstd", ruzstd::encoding::compress_to_vec(data, level)),
    ]
}

/// What an honest archive has.
fn honest() -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    let mut put = |name: &str, mode: u32, text: &str| {
        let mut header = header(EntryType::Regular, text.len() as u64);
        header.set_mode(mode);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    };
    put("./boot/vmlinuz-6.1.0", 0o644, "kernel");
    put("usr/bin/tool", 0o4755, "tool");
    let long = format!("usr/share/{}/f", "d/".repeat(80));
    put(&long, 0o600, "long");
    let link = |kind| header(kind, 0);
    tar.append_link(&mut link(EntryType::Symlink), "bin", "usr/bin")
        .unwrap();
    tar.append_link(&mut link(EntryType::Symlink), "usr/bin/t", "tool")
        .unwrap();
    tar.append_link(&mut link(EntryType::Link), "sbin/hard", "./usr/bin/tool")
        .unwrap();
    tar.append_link(
        &mut link(EntryType::Symlink),
        "lib/modules/6.1.0/build",
        "/usr/src/linux-headers",
    )
    .unwrap();
    tar.append_pax_extensions([("path", "etc/named-by-pax".as_bytes())])
        .unwrap();
    tar.append(&header(EntryType::Regular, 3).checked(), &b"pax"[..])
        .unwrap();
    tar.into_inner().unwrap()
}

trait Checked {
    fn checked(self) -> Self;
}

impl Checked for Header {
    fn checked(mut self) -> Self {
        self.set_cksum();
        self
    }
}

#[test]
fn what_it_is_packed_with_makes_no_difference() {
    let plain = honest();
    let long = format!("usr/share/{}f", "d/".repeat(80));
    let wanted = [
        ("boot/vmlinuz-6.1.0", "kernel"),
        ("etc/named-by-pax", "pax"),
        ("usr/bin/t", "-> tool"),
        ("usr/bin/tool", "tool"),
        ("usr/sbin/hard", "tool"),
        (&long, "long"),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()));
    for (format, archive) in packed(&plain) {
        assert_eq!(unpack(&archive).as_deref(), Ok(&wanted[..]), "{format}");
    }
    // In pieces, as several processors pack it.
    let (one, other) = plain.split_at(700);
    for ((format, mut one), (_, other)) in packed(one).into_iter().zip(packed(other)) {
        one.extend(other);
        assert_eq!(unpack(&one).as_deref(), Ok(&wanted[..]), "{format}");
    }
    // Frames of zstd that hold notes.
    let mut notes = packed(&plain).pop().unwrap().1;
    notes.extend(0x184d_2a53_u32.to_le_bytes());
    notes.extend([3, 0, 0, 0, b'a', b'b', b'c']);
    assert_eq!(unpack(&notes).as_deref(), Ok(&wanted[..]));

    let directory = tempfile::tempdir().unwrap();
    unpack_archive(&plain[..], directory.path(), MOST).unwrap();
    let mode = |name: &str| {
        let data = fs::metadata(directory.path().join(name)).unwrap();
        data.mode() & 0o7777
    };
    assert_eq!((mode("usr/bin/tool"), mode(&long)), (0o755, 0o644));
}

#[test]
fn what_leaves_the_root_or_is_no_file_is_refused_by_name() {
    let link =
        |name: &str, target: &str| raw(EntryType::Symlink, name.as_bytes(), target.as_bytes(), b"");
    let hard =
        |name: &str, target: &str| raw(EntryType::Link, name.as_bytes(), target.as_bytes(), b"");
    let plain = |kind, name: &str| raw(kind, name.as_bytes(), b"", b"");
    let mut sparse = header(EntryType::GNUSparse, 0);
    sparse.as_old_mut().name[..5].copy_from_slice(b"holes");
    sparse.as_gnu_mut().unwrap().set_real_size(0);
    let sparse = sparse.checked().as_bytes().to_vec();
    let mut pax = Builder::new(Vec::new());
    pax.append_pax_extensions([("GNU.sparse.major", "1".as_bytes())])
        .unwrap();
    let mut pax = pax.into_inner().unwrap();
    pax.truncate(pax.len() - 1024);
    for (members, wanted) in [
        (vec![file("usr/../../evil", b"x")], "usr/../../evil"),
        (vec![file("../evil", b"x")], "../evil"),
        (vec![link("a", "/tmp"), file("a/evil", b"x")], "a/evil"),
        (
            vec![link("a", "../.."), plain(EntryType::Directory, "a/evil/")],
            "a/evil",
        ),
        (vec![hard("a", "/etc/passwd")], "etc/passwd"),
        (vec![hard("a", "../../etc/passwd")], ".."),
        (vec![link("a", "/etc"), hard("b", "a/passwd")], "a/passwd"),
        (vec![link("a", "/etc/passwd"), hard("b", "a")], "no file"),
        (
            vec![link("a", "/etc/passwd"), file("a", b"x")],
            "symbolic link",
        ),
        (vec![plain(EntryType::Char, "dev/null")], "dev/null"),
        (vec![plain(EntryType::Block, "dev/sda")], "device node"),
        (vec![plain(EntryType::Fifo, "run/fifo")], "run/fifo"),
        (vec![plain(EntryType::new(b'V'), "label")], "label"),
        (vec![sparse], "\"holes\" is stored as a sparse"),
        (vec![pax, file("holes", b"x")], "sparse"),
        (
            vec![raw(EntryType::Regular, b"a\xff", b"", b"")],
            "no UTF-8",
        ),
        (
            vec![raw(EntryType::Symlink, b"a", b"\xff", b"")],
            "no UTF-8",
        ),
        (
            vec![raw(EntryType::Symlink, b"a", b"", b"")],
            "link to nothing",
        ),
        (vec![file("", b"x")], "empty name"),
    ] {
        let error = unpack(&archive(&members)).unwrap_err();
        assert!(error.contains(wanted), "{wanted}: {error}");
        let error = unpack(&gzip(&archive(&members))).unwrap_err();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
    let modules = [
        link("lib/modules/6.1/modules.dep", "/etc/passwd"),
        link("./usr//lib/modules/6.1/build", "/usr/src"),
    ];
    assert_eq!(unpack(&archive(&modules)), Ok(Vec::new()));
}

/// An archive that is not all in memory: so many bytes of a pattern behind its start.
fn endless(start: Vec<u8>, pattern: Vec<u8>, most: u64) -> impl Read {
    struct Repeat(Vec<u8>, usize);
    impl Read for Repeat {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = into.len().min(self.0.len() - self.1);
            into[..count].copy_from_slice(&self.0[self.1..][..count]);
            self.1 = (self.1 + count) % self.0.len();
            Ok(count)
        }
    }
    io::Cursor::new(start).chain(Repeat(pattern, 0).take(most))
}

#[test]
fn bombs_end_early() {
    let big = |kind: EntryType, name: &str, size: u64| {
        let mut header = header(kind, size);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.checked().as_bytes().to_vec()
    };
    let huge = 1 << 40;
    let tiny: Vec<u8> = (0..200)
        .flat_map(|nth| file(&format!("f{nth}"), b"x"))
        .collect();
    let zeros = vec![0; 1 << 16];
    let directory = raw(EntryType::Directory, b"d/", b"", b"");
    let comment = raw(EntryType::XGlobalHeader, b"g", b"", &[b'x'; 512]);
    for (start, pattern, wanted) in [
        (
            big(EntryType::Regular, "large", huge),
            zeros.clone(),
            "large",
        ),
        (tiny, zeros.clone(), "more than 100 files"),
        (vec![], directory, "more than 4399104 bytes"),
        (vec![], comment, "more than 4399104 bytes"),
        (
            big(EntryType::GNULongName, "l", huge),
            vec![b'a'; 1 << 16],
            "64 KiB",
        ),
        (
            big(EntryType::GNULongLink, "l", huge),
            vec![b'a'; 1 << 16],
            "64 KiB",
        ),
        (
            big(EntryType::XHeader, "x", huge),
            vec![b'a'; 1 << 16],
            "64 KiB",
        ),
        (
            big(EntryType::XGlobalHeader, "x", huge),
            zeros.clone(),
            "more than",
        ),
        (big(EntryType::Symlink, "s", huge), zeros.clone(), "nothing"),
        (
            archive(&[file("f", b"x")]),
            zeros,
            "more than 4399104 bytes",
        ),
    ] {
        let begin = Instant::now();
        let directory = tempfile::tempdir().unwrap();
        let archive = endless(start, pattern, huge);
        let error = unpack_archive(archive, directory.path(), MOST).unwrap_err();
        assert!(error.to_string().contains(wanted), "{wanted}: {error}");
        assert!(begin.elapsed().as_secs() < 20, "{wanted}");
    }
    // The same from a kilobyte on the disk.
    let mut bomb = big(EntryType::Regular, "large", 1 << 30);
    bomb.resize(64 << 20, 0);
    for (format, bomb) in packed(&bomb).into_iter().skip(1) {
        assert!(bomb.len() < 1 << 20, "{format}: {}", bomb.len());
        let error = unpack(&bomb).unwrap_err();
        assert!(error.contains("large"), "{format}: {error}");
    }
    // A sparse file whose list of pieces does not end.
    let mut sparse = header(EntryType::GNUSparse, 0);
    sparse.as_gnu_mut().unwrap().set_is_extended(true);
    let mut start = sparse.checked().as_bytes().to_vec();
    let mut more = vec![0; 512];
    more[504] = 1;
    start.extend(&more);
    let directory = tempfile::tempdir().unwrap();
    let error = unpack_archive(endless(start, more, huge), directory.path(), MOST).unwrap_err();
    assert!(matches!(error, ArchiveError::Header { .. }), "{error}");
}

#[test]
fn what_is_cut_short_or_is_no_archive_is_told() {
    let whole = archive(&[file("a", &[b'x'; 600]), file("b", b"y")]);
    let data = whole.len() - 1024;
    for (length, wanted) in [
        (data, "ends behind \"b\""),
        (data - 100, "ends behind \"b\""),
        (
            data - 512,
            "\"b\" has 1 bytes, but the archive ends after 0",
        ),
        (data - 900, "ends behind \"a\""),
        (data - 1024, "ends behind \"a\""),
        (700, "\"a\" has 600 bytes, but the archive ends after 188"),
        (100, "no tar"),
        (0, "it ends behind \"\""),
    ] {
        let error = unpack(&whole[..length]).unwrap_err();
        assert!(error.contains(wanted), "{length}: {wanted}: {error}");
    }
    for (format, packed) in packed(&whole).into_iter().skip(1) {
        for cut in [1, 5, packed.len() / 2] {
            let result = unpack(&packed[..packed.len() - cut]);
            assert!(result.is_err(), "{format} without {cut} bytes: {result:?}");
        }
    }
    for (bytes, wanted) in [
        (vec![b'<'; 2000], "it is no tar"),
        (b"PK\x03\x04zip".to_vec(), "it is no tar"),
        (gzip(&[b'<'; 2000]), "it is no tar"),
    ] {
        let error = unpack(&bytes).unwrap_err();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
    let mut damaged = whole.clone();
    damaged[1536] ^= 1;
    let error = unpack(&damaged).unwrap_err();
    assert!(error.contains("behind \"a\" it is damaged"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_damage_is_survived(
        damage in prop::collection::vec((0_usize..8000, any::<u8>()), 1..20),
        format in 0_usize..5,
        end in prop::option::of(0_usize..8000),
    ) {
        let mut bytes = packed(&honest()).swap_remove(format).1;
        for (at, byte) in damage {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        bytes.truncate(end.unwrap_or(bytes.len()));
        let _ = unpack(&bytes);
    }
}
