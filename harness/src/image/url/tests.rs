use std::path::Path;

use tar::EntryType;

use super::super::fetch::downloads;
use super::super::fetch::server::{Answer, Server};
use super::super::kernel::tests::{bzimage, payloads, vmlinux};
use super::super::location::Location;
use super::super::manifest::{Manifest, Source};
use super::super::modules::Found;
use super::super::modules::tests::module;
use super::super::progress::Silent;
use super::super::trust::Sum;
use super::archive::tests::{archive, file, packed, raw};
use super::*;

const RELEASE: &str = "3.10.0-514.el7.x86_64";

/// What `make tarxz-pkg` packs, and a program besides.
fn members() -> Vec<Vec<u8>> {
    let kernel = bzimage(&payloads(&vmlinux(false))[0].1);
    let modules = format!("lib/modules/{RELEASE}");
    let nvme = module("name=nvme\0depends=nvme-core\0");
    vec![
        raw(EntryType::Directory, b"./", b"", b""),
        file(&format!("./boot/vmlinuz-{RELEASE}"), &kernel),
        file(
            &format!("./boot/config-{RELEASE}"),
            b"CONFIG_BLK_DEV_NVME=m\n",
        ),
        file(&format!("./{modules}/modules.order"), b""),
        raw(
            EntryType::Symlink,
            format!("./{modules}/build").as_bytes(),
            b"/usr/src/linux",
            b"",
        ),
        file(&format!("./{modules}/kernel/nvme.ko"), &nvme),
        file(
            &format!("./{modules}/kernel/nvme-core.ko"),
            &module("name=nvme_core\0depends=\0"),
        ),
        file("./usr/bin/tool", b"#!/bin/sh\n"),
    ]
}

/// A manifest in a directory of its own, with a cache.
struct Try {
    directory: tempfile::TempDir,
    cache: Cache,
}

impl Try {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            cache: Cache::at(directory.path().join("cache")),
            directory,
        }
    }

    fn manifest(&self, archive: &str, sum: Sum) -> UrlSource {
        let text = format!(
            "name: built\nabout: x\nsource:\n  url: {{archive: \"{archive}\", sha256: {sum}, \
             userland: debian-12}}\n"
        );
        let file = self.directory.path().join("built.yaml");
        match Manifest::parse(&text, &file).unwrap().source {
            Source::Url(source) => source,
            other => panic!("{other:?}"),
        }
    }

    fn open(&self, source: &UrlSource) -> Result<Image, String> {
        open("built", source, &self.cache, &Silent).map_err(|error| error.to_string())
    }

    fn is_untouched(&self) -> bool {
        let entries = self.cache.entries().unwrap();
        let left = fs::read_dir(self.cache.root().join("image")).unwrap();
        let names = left.map(|entry| entry.unwrap().file_name());
        let locks = names.map(|name| name.to_string_lossy().ends_with(".lock"));
        entries.is_empty() && locks.into_iter().all(|lock| lock)
    }
}

fn sum(bytes: &[u8]) -> Sum {
    Sum::of(bytes).unwrap()
}

fn check(image: &Image, from: &str, archive: &[u8]) {
    assert_eq!(image.kernel.release, RELEASE);
    assert!(image.kernel.config.as_deref().is_some_and(Path::is_file));
    match &image.modules.closure(&["nvme"]).unwrap()[0].found {
        Found::Files(files) => assert_eq!(files.len(), 2),
        other => panic!("{other:?}"),
    }
    let [package] = &image.packages[..] else {
        panic!("{:?}", image.packages);
    };
    let origin = package.origin.as_ref().unwrap();
    assert_eq!(package.version, sum(archive).to_string());
    assert_eq!((origin.from.as_str(), &origin.signer), (from, &None));
    assert_eq!(origin.bytes, archive.len() as u64);
}

#[test]
fn an_archive_becomes_an_image_once() {
    for (format, bytes) in packed(&archive(&members())) {
        let it = Try::new();
        let file = it.directory.path().join("kernel.tar");
        fs::write(&file, &bytes).unwrap();
        let source = it.manifest("kernel.tar", sum(&bytes));
        let image = it.open(&source).expect(format);
        check(&image, file.to_str().unwrap(), &bytes);
        drop(image);
        assert!(file.exists());
        // Not even the file is needed any more.
        fs::remove_file(&file).unwrap();
        it.open(&source).unwrap();
    }
}

#[test]
fn an_archive_is_downloaded_once_and_not_kept() {
    let bytes = packed(&archive(&members())).swap_remove(3).1;
    let served = bytes.clone();
    let server = Server::start(move |nth, asked| {
        let answer = Answer::file(asked, &served, "\"1\"");
        if nth == 0 { answer.cut(300) } else { answer }
    });
    let (it, url) = (Try::new(), server.url("pub/linux-3.10.tar.xz"));
    let source = it.manifest(&url, sum(&bytes));
    for _ in 0..2 {
        let image = it.open(&source).unwrap();
        check(&image, &url, &bytes);
        assert_eq!(image.packages[0].name, "linux-3.10.tar.xz");
    }
    assert_eq!(server.asked().len(), 2);
    assert_eq!(downloads(&it.cache).unwrap(), []);
}

#[test]
fn nothing_is_read_before_the_digest_is_right() {
    // It would be refused for what it holds, too.
    let bytes = archive(&[file("../evil", b"x")]);
    let wrong = sum(b"another");
    let served = bytes.clone();
    let server = Server::start(move |_, asked| Answer::file(asked, &served, "\"1\""));
    let it = Try::new();
    fs::write(it.directory.path().join("a.tar"), &bytes).unwrap();
    for archive in ["a.tar", &server.url("a.tar")] {
        let error = it.open(&it.manifest(archive, wrong)).unwrap_err();
        assert!(
            error.contains("SHA-256") && error.contains("a.tar"),
            "{error}"
        );
        assert!(it.is_untouched());
    }
    assert_eq!(downloads(&it.cache).unwrap(), []);
}

#[test]
fn what_is_hostile_leaves_no_trace() {
    let secret = tempfile::tempdir().unwrap();
    let doc = secret.path().join("doc");
    fs::create_dir(&doc).unwrap();
    fs::write(doc.join("kept"), "kept").unwrap();
    let with = |more: &[Vec<u8>]| archive(&[members(), more.to_vec()].concat());
    let outside = secret.path().to_str().unwrap().as_bytes();
    let bare = |name: &str| raw(EntryType::Directory, name.as_bytes(), b"", b"");
    let mut cut = with(&[]);
    cut.truncate(cut.len() - 1500);
    for (bytes, wanted) in [
        (with(&[file("usr/../../evil", b"x")]), "usr/../../evil"),
        (
            with(&[raw(EntryType::Char, b"dev/mem", b"", b"")]),
            "dev/mem",
        ),
        (
            with(&[raw(EntryType::Fifo, b"run/pipe", b"", b"")]),
            "run/pipe",
        ),
        (
            with(&[
                raw(EntryType::Symlink, b"a", outside, b""),
                file("a/evil", b"x"),
            ]),
            "a/evil",
        ),
        (
            with(&[raw(EntryType::Link, b"a", b"/etc/passwd", b"")]),
            "/etc/passwd",
        ),
        (cut, "usr/bin/tool"),
        (b"<html>not found</html>".to_vec(), "no tar"),
        (archive(&[bare("boot/")]), "no kernel"),
        (with(&[file("boot/vmlinuz-6.1.0", b"x")]), "2 kernels"),
        (archive(&members()[1..3]), "not its modules"),
        (
            archive(&[
                file(&format!("boot/vmlinuz-{RELEASE}"), b"no kernel"),
                file(&format!("lib/modules/{RELEASE}/modules.order"), b""),
            ]),
            "vmlinuz-",
        ),
    ] {
        let served = bytes.clone();
        let server = Server::start(move |_, asked| Answer::file(asked, &served, "\"1\""));
        let it = Try::new();
        let error = it.open(&it.manifest(&server.url("a.tar"), sum(&bytes)));
        let error = error.unwrap_err();
        assert!(error.contains(wanted), "{wanted}: {error}");
        assert!(it.is_untouched(), "{wanted}");
    }
    // A link that leads out is text; nothing of ours follows it.
    let links = with(&[
        raw(EntryType::Symlink, b"usr/share", outside, b""),
        raw(
            EntryType::Symlink,
            format!("lib/modules/{RELEASE}/modules.dep").as_bytes(),
            doc.join("kept").to_str().unwrap().as_bytes(),
            b"",
        ),
    ]);
    let it = Try::new();
    fs::write(it.directory.path().join("a.tar"), &links).unwrap();
    it.open(&it.manifest("a.tar", sum(&links))).unwrap();
    assert_eq!(fs::read_to_string(doc.join("kept")).unwrap(), "kept");
    assert_eq!(fs::read_dir(secret.path()).unwrap().count(), 1);
}

#[test]
fn an_image_is_known_by_place_and_digest() {
    let source = |archive: &str, text: &[u8]| UrlSource {
        archive: Location::Url(archive.to_owned()),
        sha256: sum(text),
        userland: "debian-12".to_owned(),
    };
    let base = id("a", &source("https://x/a.tar", b"1"));
    assert_eq!(base, id("a", &source("https://x/a.tar", b"1")));
    assert_ne!(base, id("a", &source("https://x/a.tar", b"2")));
    assert_ne!(base, id("a", &source("https://y/a.tar", b"1")));
}
