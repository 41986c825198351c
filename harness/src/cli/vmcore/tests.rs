use std::path::Path;

use clap::Parser;
use serde_json::Value;

use super::*;
use crate::vmcore::fixture::{self, Codec, LogKind, Machine, Mapping, flatten};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    vmcore: Vmcore,
}

fn run(arguments: &[&str], files: &[&Path]) -> (u8, String) {
    let files = files.iter().map(|path| path.to_str().unwrap());
    let line = ["vmcore"].into_iter().chain(arguments.iter().copied());
    let line = Line::try_parse_from(line.chain(files)).unwrap();
    let mut out = Vec::new();
    let status = line.vmcore.write(&mut out).unwrap();
    (status.code(), String::from_utf8(out).unwrap())
}

fn machine() -> Machine {
    Machine::new(LogKind::Ring, Mapping::Small, 4)
}

/// A directory with the files of these contents.
fn files(contents: &[&[u8]]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let directory = tempfile::tempdir().unwrap();
    let write = |(index, bytes): (usize, &&[u8])| {
        let path = directory.path().join(format!("vmcore{index}"));
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let paths = contents.iter().enumerate().map(write).collect();
    (directory, paths)
}

#[test]
fn a_complete_dump_is_0_and_the_worst_of_several_counts() {
    let good = machine().kdump(6, Codec::Lzo, 31);
    let (_directory, paths) = files(&[&good, &good[..good.len() - 1], b"", b"a text\n"]);
    let [good, cut, empty, text] = &paths[..] else {
        panic!()
    };
    let code = |files: &[&Path]| run(&[], files).0;
    assert_eq!(code(&[good]), 0);
    assert_eq!(code(&[cut]), 1);
    assert_eq!(code(&[empty]), 1);
    assert_eq!(code(&[text]), 2);
    assert_eq!(code(&[text, cut, good]), 2);
    assert_eq!(code(&[good, cut, good]), 1);
}

#[test]
fn a_device_may_be_larger_than_the_dump_on_it() {
    let dumps = [
        machine().elf(),
        machine().kdump(6, Codec::Zlib, 31),
        flatten(&machine().kdump(6, Codec::Lzo, 1), 4096),
    ];
    let (_directory, paths) = files(&dumps.each_ref().map(Vec::as_slice));
    for path in &paths {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(1 << 40).unwrap();
        let (code, text) = run(&[], &[path]);
        assert_eq!(code, 0, "{text}");
    }
    // Zeros from the first byte.
    let file = File::create(&paths[0]).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(run(&[], &[&paths[0]]).0, 2);
}

#[test]
fn what_is_no_file_is_bad_input() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let said = |path: &Path| {
        let error = open(path).unwrap_err();
        (Status::from(&error).code(), error.to_string())
    };
    assert_eq!(said(&directory.path().join("none")).0, 2);
    assert_eq!(said(&pipe.join("below")).0, 2);
    for (path, word) in [
        (directory.path(), "directory"),
        // Without waiting for somebody to write into it.
        (&pipe, "pipe"),
        (Path::new("/dev/zero"), "character device"),
        (Path::new("-"), "pipe"),
    ] {
        let (code, text) = said(path);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(word), "{text}");
    }
}

/// A disk that has gone bad behind its first bytes.
struct Failing(Vec<u8>);

impl crate::vmcore::ReadAt for Failing {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        match offset + (buf.len() as u64) < 20_000 {
            true => self.0[..].read_exact_at(offset, buf),
            false => Err(io::Error::from_raw_os_error(libc::EIO)),
        }
    }
}

#[test]
fn a_medium_that_fails_is_3() {
    for dump in [
        machine().kdump(6, Codec::Lzo, 0),
        flatten(&machine().elf(), 4096),
    ] {
        let failing = Failing(dump);
        let found = inspect(&failing, failing.0.len() as u64);
        assert_eq!(status(&found).code(), 3);
        let error = found.unwrap_err().to_string();
        assert!(error.contains("cannot be read at byte"), "{error}");
    }
}

#[test]
fn dmesg_is_the_log_and_nothing_else() {
    let dump = machine().elf();
    let flat = flatten(&dump, 4096);
    let old = machine().kdump(1, Codec::Zlib, 0);
    let (_directory, paths) = files(&[&dump, &flat[..flat.len() - 16], &old]);
    let log = fixture::dmesg();
    assert_eq!(run(&["--dmesg"], &[&paths[0]]), (0, log.clone()));
    assert_eq!(run(&["--dmesg"], &[&paths[1]]), (1, log));
    assert_eq!(run(&["--dmesg"], &[&paths[2]]), (1, String::new()));
}

#[test]
fn json_is_a_document_a_dump_as_the_schema_says() {
    let good = flatten(&machine().kdump(6, Codec::Zstd, 17), 3000);
    let (_directory, paths) = files(&[&good, &good[..5000], b"no dump"]);
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let (code, out) = run(&["--json"], &paths);
    assert_eq!(code, 2);
    let documents: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [good, cut] = &documents[..] else {
        panic!("{out}")
    };
    assert_eq!(good["state"], "complete");
    assert_eq!(good["lack"], Value::Null);
    let dump = &good["dump"];
    assert_eq!(dump["layout"], "kdump-compressed");
    assert_eq!(dump["left-out"], serde_json::json!(["zero", "free"]));
    assert_eq!(dump["stream"]["behind"], 0);
    assert_eq!(dump["vmcoreinfo"]["OSRELEASE"], "6.1.0-test");
    assert_eq!(dump["packed"][0]["compression"], "zstd");
    assert_eq!(cut["state"], "damaged");
    assert!(cut["lack"].as_str().unwrap().contains("cut off"));

    let (code, schema) = run(&["--schema"], &[]);
    assert_eq!(code, 0);
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let known = |document: &Value, properties: &Value| {
        let keys: Vec<_> = document.as_object().unwrap().keys().cloned().collect();
        let properties = properties.as_object().unwrap();
        assert!(
            keys.iter().all(|key| properties.contains_key(key)),
            "{keys:?}"
        );
        assert_eq!(keys.len(), properties.len());
    };
    known(good, &schema["properties"]);
    known(dump, &schema["$defs"]["Dump"]["properties"]);
}

#[test]
fn options_exclude_one_another() {
    for line in [
        &["vmcore"][..],
        &["vmcore", "--json", "--dmesg", "x"],
        &["vmcore", "--schema", "x"],
    ] {
        assert!(Line::try_parse_from(line).is_err(), "{line:?}");
    }
}
