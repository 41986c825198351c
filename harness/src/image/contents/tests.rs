use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;

use super::*;

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// An entry with all kinds of things in it.
fn filled() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = |path: &str| directory.path().join(path);
    write(&at("kernel/bzImage"), b"kernel");
    write(&at("userland/usr/bin/a b\n\\x41"), b"program");
    write(&at("empty"), b"");
    fs::create_dir(at("userland/tmp")).unwrap();
    symlink("usr/lib", at("userland/lib")).unwrap();
    fs::set_permissions(at("kernel/bzImage"), PermissionsExt::from_mode(0o640)).unwrap();
    record(directory.path()).unwrap();
    directory
}

fn changes(directory: &Path) -> Vec<(String, Change)> {
    match verify(directory).unwrap() {
        Verified::Compared { differences, .. } => differences
            .into_iter()
            .map(|difference| (difference.path.display().to_string(), difference.change))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_as_recorded() {
    let entry = filled();
    let all_well = Verified::Compared {
        files: 3,
        differences: Vec::new(),
    };
    assert_eq!(verify(entry.path()).unwrap(), all_well);
    let text = fs::read_to_string(entry.path().join(CONTENTS)).unwrap();
    let kernel = text.lines().find(|line| line.ends_with("kernel/bzImage"));
    let sum = Sum::of(&b"kernel"[..]).unwrap();
    assert_eq!(
        kernel.unwrap(),
        format!("file 640 6 {sum} kernel/bzImage").as_str()
    );
    assert!(
        text.contains(r"userland/usr/bin/a\x20b\x0a\x5cx41"),
        "{text}"
    );
}

#[test]
fn every_change_is_named() {
    let entry = filled();
    let at = |path: &str| entry.path().join(path);
    // One bit, in a file that keeps its size and its time.
    let modified = fs::metadata(at("kernel/bzImage")).unwrap().modified();
    write(&at("kernel/bzImage"), b"kernem");
    let file = File::options().write(true).open(at("kernel/bzImage"));
    file.unwrap().set_modified(modified.unwrap()).unwrap();
    fs::set_permissions(at("empty"), PermissionsExt::from_mode(0o755)).unwrap();
    fs::remove_file(at("userland/lib")).unwrap();
    symlink("usr/lib64", at("userland/lib")).unwrap();
    fs::remove_dir(at("userland/tmp")).unwrap();
    write(&at("userland/tmp"), b"");
    fs::remove_file(at("userland/usr/bin/a b\n\\x41")).unwrap();
    write(&at("userland/usr/bin/b"), b"");
    let change = |path: &str, change| (path.to_owned(), change);
    assert_eq!(
        changes(entry.path()),
        [
            change("empty", Change::Mode(0o644, 0o755)),
            change("kernel/bzImage", Change::Content),
            change("userland/lib", Change::Content),
            change("userland/tmp", Change::Kind),
            change("userland/usr/bin/a b\n\\x41", Change::Missing),
            change("userland/usr/bin/b", Change::Added),
        ]
    );
}

#[test]
fn a_pipe_is_not_waited_for() {
    let entry = filled();
    let pipe = entry.path().join("empty");
    fs::remove_file(&pipe).unwrap();
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(changes(entry.path()), [("empty".to_owned(), Change::Kind)]);
}

#[test]
fn records_that_cannot_be_used() {
    let entry = filled();
    let path = entry.path().join(CONTENTS);
    let good = fs::read_to_string(&path).unwrap();
    let twice = format!("{good}{}\n", good.lines().last().unwrap());
    for bad in [
        "",
        "crashdrill contents 2\n",
        &good[..good.len() - 40],
        &twice,
    ] {
        fs::write(&path, bad).unwrap();
        let verified = verify(entry.path()).unwrap();
        assert!(matches!(verified, Verified::BadRecord(_)), "{verified:?}");
    }
    fs::write(&path, b"\xff\xfe").unwrap();
    let verified = verify(entry.path()).unwrap();
    assert!(matches!(verified, Verified::BadRecord(_)), "{verified:?}");
    fs::remove_file(&path).unwrap();
    assert_eq!(verify(entry.path()).unwrap(), Verified::NoRecord);
}

/// The digest of a file with these blocks: none is a hole.
fn digest_of(blocks: &[Option<&[u8]>], rest: &[u8]) -> Sum {
    let mut file = tempfile::tempfile().unwrap();
    let whole = BLOCK * blocks.len() as u64;
    file.set_len(whole).unwrap();
    for (at, block) in (0..).step_by(BLOCK as usize).zip(blocks) {
        if let Some(block) = block {
            file.write_all_at(block, at).unwrap();
        }
    }
    io::Seek::seek(&mut file, io::SeekFrom::End(0)).unwrap();
    file.write_all(rest).unwrap();
    let bytes = whole + rest.len() as u64;
    digest(&file, bytes, &mut vec![0; BUFFER]).unwrap()
}

#[test]
fn a_digest_does_not_tell_holes_from_zeros() {
    let (one, two) = ([1; BLOCK as usize], [2; BLOCK as usize]);
    let hole = None;
    let zeros = Some(&ZEROS[..]);
    let data = Some(&one[..]);
    let some = digest_of(&[hole, data, hole, hole, data, hole], b"end");
    assert_eq!(
        some,
        digest_of(&[zeros, data, hole, zeros, data, zeros], b"end")
    );
    // Written out, as the head of the file says it.
    let mut inner = Sha256::new();
    inner.update(one);
    inner.update(one);
    inner.update(b"end");
    let mut outer = Sha256::new();
    outer.update(inner.finalize());
    for number in [0, 1, 2, 2, 5, 1_u64] {
        outer.update((number * BLOCK).to_le_bytes());
    }
    assert_eq!(some, Sum::from(<[u8; 32]>::from(outer.finalize())));
    // Where the zeros are matters, and how many there are.
    for other in [
        digest_of(&[data, hole, hole, hole, data, hole], b"end"),
        digest_of(&[hole, data, hole, hole, data], b"end"),
        digest_of(&[hole, data, hole, hole, Some(&two), hole], b"end"),
        digest_of(&[data, data], b"end"),
    ] {
        assert_ne!(some, other);
    }
    // Without a block of zeros it is what sha256sum prints.
    let plain: Vec<u8> = [&one[..], &two, &[0; 100]].concat();
    let sum = Sum::of(&plain[..]).unwrap();
    assert_eq!(digest_of(&[data, Some(&two)], &[0; 100]), sum);
    assert_eq!(digest_of(&[], b""), Sum::of(&b""[..]).unwrap());
}

#[test]
fn a_disk_of_holes_costs_nothing() {
    let file = tempfile::tempfile().unwrap();
    let bytes = 1 << 42;
    file.set_len(bytes).unwrap();
    file.write_all_at(b"x", bytes / 2).unwrap();
    let sum = digest(&file, bytes, &mut vec![0; BUFFER]).unwrap();
    file.write_all_at(b"x", bytes / 2 - BLOCK).unwrap();
    assert_ne!(digest(&file, bytes, &mut vec![0; BUFFER]).unwrap(), sum);
}

#[test]
fn a_file_that_shrinks_is_an_error() {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(&[1; 5000], 0).unwrap();
    let error = digest(&file, 9000, &mut vec![0; BUFFER]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

fn node() -> impl Strategy<Value = Node> {
    let kind = prop::sample::select(&Kind::ALL[..]);
    let digest = prop::option::of(any::<[u8; 32]>());
    (kind, 0..0o10000_u32, any::<u64>(), digest).prop_map(|(kind, mode, bytes, digest)| Node {
        kind,
        mode,
        bytes,
        digest: digest.map(Sum::from),
    })
}

proptest! {
    #[test]
    fn a_record_says_all(
        nodes in prop::collection::btree_map(prop::collection::vec(1..=255_u8, 1..20), node(), 0..20),
    ) {
        let path = |bytes: Vec<u8>| PathBuf::from(OsString::from_vec(bytes));
        let contents = Contents(nodes.into_iter().map(|(name, node)| (path(name), node)).collect());
        prop_assert_eq!(Contents::parse(&contents.to_text()), Ok(contents));
    }

    #[test]
    fn any_text_is_a_record_or_not(text in ".{0,100}", bytes in "[-a-z0-9 \\\\]{0,100}") {
        for line in [text, bytes] {
            let _ = Contents::parse(&format!("{FIRST_LINE}\n{line}"));
            let _ = parse_line(&format!("file 644 1 - {line}"));
        }
    }
}
