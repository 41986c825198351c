//! The command `image`, as a script sees it: a project and a cache of its own, no network, no QEMU.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crashdrill::image::cache::Entry;
use crashdrill::image::{Cache, CacheError, Manifest, Silent, entry_id};

const DISTRO: &str = "name: distro\nabout: A distribution.\nsource:\n  apt: {suite: bookworm, packages: [linux-image-amd64]}\n";
const OURS: &str =
    "name: ours\nabout: Our kernel.\nsource:\n  local: {kernel: vmlinuz, userland: distro}\n";
const OTHER: &str = "name: other\nabout: Another distribution.\nsource:\n  apt: {suite: trixie, packages: [linux-image-amd64]}\n";

struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    /// distro and ours are in the cache, other is not.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fixture = Self { directory };
        for name in ["images", "scenarios"] {
            fs::create_dir(fixture.path(name)).unwrap();
        }
        for (name, text) in [("distro", DISTRO), ("ours", OURS), ("other", OTHER)] {
            fs::write(fixture.manifest(name), text).unwrap();
        }
        fs::write(fixture.path("images/vmlinuz"), "a kernel").unwrap();
        for name in ["distro", "ours"] {
            fixture.entry(name);
        }
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn manifest(&self, name: &str) -> PathBuf {
        self.path(&format!("images/{name}.yaml"))
    }

    fn cache(&self) -> Cache {
        Cache::at(self.path("cache"))
    }

    /// The image's entry; filled first if it is not there.
    fn entry(&self, name: &str) -> Entry {
        let id = entry_id(&Manifest::load(&self.manifest(name)).unwrap()).unwrap();
        self.cache().entry(&id, name, &Silent, fill).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_crashdrill"))
            .args(["--root", self.directory.path().to_str().unwrap(), "image"])
            .args(arguments)
            .env("CRASHDRILL_CACHE", self.path("cache"))
            // No apt: nothing is fetched, whatever happens.
            .env("PATH", self.path("nowhere"))
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// Exit code 0, and nothing to complain of.
    fn good(&self, arguments: &[&str]) -> String {
        let (code, out, complaint) = self.run(arguments);
        assert_eq!((code, complaint.as_str()), (0, ""), "{arguments:?}: {out}");
        out
    }
}

fn fill(staging: &Path) -> Result<(), CacheError> {
    for directory in ["kernel", "modules", "userland/usr/bin"] {
        fs::create_dir_all(staging.join(directory)).unwrap();
    }
    let index = r#"{"release": "6.1.0-test", "kernel": "bzimage", "modules": "here",
        "packages": [{"name": "kexec-tools", "version": "1:2.0"}], "root": null}"#;
    for (name, text) in [
        ("image.json", index),
        ("kernel/bzImage", "a kernel"),
        ("modules/modules.dep", ""),
        ("userland/usr/bin/kexec", "a program"),
    ] {
        fs::write(staging.join(name), text).unwrap();
    }
    Ok(())
}

#[test]
fn a_list_and_a_manifest_that_is_wrong() {
    let fixture = Fixture::new();
    let list = fixture.good(&["list"]);
    assert!(list.contains("6.1.0-test"), "{list}");
    // No apt here.
    assert!(list.contains("other   apt trixie    impossible"), "{list}");
    fs::write(
        fixture.manifest("wrong"),
        "name: wrong\nabout: x\nsource: {ap: 1}\n",
    )
    .unwrap();
    let (code, list, _) = fixture.run(&["list"]);
    assert_eq!(code, 2);
    assert!(
        list.contains("6.1.0-test") && list.contains("wrong.yaml:3:"),
        "{list}"
    );
    let (code, json, _) = fixture.run(&["list", "--json"]);
    assert_eq!(code, 2);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let images = json["images"].as_array().unwrap();
    let states: Vec<(&str, &str)> = images
        .iter()
        .map(|image| {
            (
                image["name"].as_str().unwrap(),
                image["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        states,
        [
            ("distro", "cached"),
            ("other", "impossible"),
            ("ours", "cached"),
            ("wrong", "wrong")
        ]
    );
    let schema: serde_json::Value =
        serde_json::from_str(&fixture.good(&["list", "--schema"])).unwrap();
    for key in json.as_object().unwrap().keys() {
        assert!(schema["properties"].get(key).is_some(), "{key}");
    }
    assert_eq!(fixture.run(&["show", "wrong"]).0, 2);
    assert_eq!(fixture.run(&["fetch", "wrong"]).0, 2);
}

#[test]
fn show_fetches_nothing() {
    let fixture = Fixture::new();
    let shown = fixture.good(&["show", "ours"]);
    assert!(shown.starts_with("ours: in the cache\n"), "{shown}");
    assert!(
        shown.contains("borrows from    distro, in the cache\n"),
        "{shown}"
    );
    let shown = fixture.good(&["show", "other"]);
    assert!(shown.contains("  linux-image-amd64\n"), "{shown}");
    assert_eq!(fixture.cache().entries().unwrap().len(), 2);
    let (code, _, complaint) = fixture.run(&["show", "orus"]);
    assert_eq!(code, 2);
    assert!(complaint.contains("did you mean `ours`?"), "{complaint}");
}

#[test]
fn one_byte_that_changed_is_found() {
    let fixture = Fixture::new();
    let all_well = fixture.good(&["verify"]);
    assert_eq!(
        all_well.matches(": as it was filled, 4 files,").count(),
        2,
        "{all_well}"
    );
    let kexec = fixture.entry("distro").path.join("userland/usr/bin/kexec");
    fs::write(&kexec, "a progran").unwrap();
    fs::set_permissions(&kexec, PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(kexec.with_file_name("more"), "").unwrap();
    let (code, text, _) = fixture.run(&["verify"]);
    assert_eq!(code, 1);
    assert_eq!(
        text.matches(": as it was filled, 4 files,").count(),
        1,
        "{text}"
    );
    for says in [
        ": DIFFERS, 4 files,",
        "  changed  userland/usr/bin/kexec\n",
        "  mode     userland/usr/bin/kexec (was 0644, is 0755)\n",
        "  added    userland/usr/bin/more\n",
        "crashdrill image prune distro && crashdrill image fetch distro\n",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    fixture.good(&["verify", "ours"]);
    assert_eq!(fixture.run(&["verify", "distro"]).0, 1);
    let (code, text, _) = fixture.run(&["verify", "other"]);
    assert_eq!((code, text.as_str()), (1, "other: not in the cache\n"));
    assert_eq!(fixture.run(&["verify", "nonsense"]).0, 2);
    // An entry of before there were records.
    let ours = fixture.entry("ours").path;
    fs::remove_file(ours.join("contents")).unwrap();
    let (code, text, _) = fixture.run(&["verify", "ours"]);
    assert_eq!(code, 1);
    assert!(text.contains("cannot be proven"), "{text}");
}

#[test]
fn files_of_ones_own_may_change() {
    let fixture = Fixture::new();
    let text = fixture.good(&["verify", "ours"]);
    assert!(text.contains("your files are still the ones"), "{text}");
    fs::write(fixture.path("images/vmlinuz"), "a newer kernel").unwrap();
    let text = fixture.good(&["verify", "ours"]);
    assert!(text.contains("has changed since"), "{text}");
    assert!(
        fixture
            .good(&["show", "ours"])
            .starts_with("ours: not in the cache\n")
    );
    // Nobody knows what the manifest defines while its file is away.
    fs::remove_file(fixture.path("images/vmlinuz")).unwrap();
    let text = fixture.good(&["prune"]);
    assert!(
        text.contains("kept ours-") && text.contains("nothing was removed"),
        "{text}"
    );
    fs::write(fixture.path("images/vmlinuz"), "a newer kernel").unwrap();
    let text = fixture.good(&["prune"]);
    assert!(text.starts_with("removed image ours-"), "{text}");
    assert_eq!(fixture.cache().entries().unwrap().len(), 1);
}

#[test]
fn what_is_pruned_and_what_stays() {
    let fixture = Fixture::new();
    assert_eq!(fixture.good(&["prune"]), "nothing was removed\n");
    fs::remove_file(fixture.manifest("ours")).unwrap();
    let text = fixture.good(&["prune", "--dry-run"]);
    assert!(text.starts_with("would remove image ours-"), "{text}");
    assert_eq!(fixture.cache().entries().unwrap().len(), 2);
    fixture.good(&["prune"]);
    assert_eq!(fixture.cache().entries().unwrap().len(), 1);
    // In use.
    let open = fixture.entry("distro");
    let text = fixture.good(&["prune", "--all"]);
    assert!(text.starts_with("kept image distro-"), "{text}");
    assert_eq!(fixture.run(&["prune", "distro"]).0, 3);
    drop(open);
    let text = fixture.good(&["prune", "distro"]);
    assert!(
        text.starts_with("removed image distro-") && text.contains(" freed\n"),
        "{text}"
    );
    assert_eq!(
        fixture.good(&["prune", "distro"]).lines().next(),
        Some("distro: not in the cache")
    );
    assert_eq!(fixture.run(&["prune", "distri"]).0, 2);
}

#[test]
fn what_an_interrupted_download_left() {
    let fixture = Fixture::new();
    let downloads = fixture.path("cache/download");
    fs::create_dir(&downloads).unwrap();
    let part = downloads.join("0123456789ab-kernel.rpm.part");
    fs::write(&part, [1; 5000]).unwrap();
    let list = fixture.good(&["list"]);
    assert!(
        list.contains("0123456789ab-kernel.rpm  5000 bytes  interrupted"),
        "{list}"
    );
    let text = fixture.good(&["prune"]);
    assert_eq!(
        text,
        "removed download 0123456789ab-kernel.rpm (5000 bytes)\n5000 bytes freed\n"
    );
    assert!(!part.exists());
}

#[test]
fn one_that_cannot_be_had_does_not_keep_the_others() {
    let fixture = Fixture::new();
    let text = fixture.good(&["fetch", "distro"]);
    assert!(text.starts_with("distro: in the cache already, "), "{text}");
    let (code, text, complaint) = fixture.run(&["fetch", "other", "ours"]);
    assert_eq!(code, 3);
    // The lender comes by itself.
    let heads = text.lines().filter(|line| !line.starts_with(' '));
    let names = heads.filter_map(|line| line.split_once(": "));
    let names: Vec<&str> = names.map(|(name, _)| name).collect();
    assert_eq!(names, ["distro", "ours"], "{text}");
    assert!(complaint.contains("apt"), "{complaint}");
    assert_eq!(fixture.run(&["fetch", "otter"]).0, 2);
    // What the scenarios need, and no more.
    let scenario = "name: x\nabout: A drill.\nimage: ours\ncrashkernel: 256M\n\
                    machine: {devices: [{device: nvme, target: true}]}\n";
    fs::write(fixture.path("scenarios/x.yaml"), scenario).unwrap();
    let text = fixture.good(&["fetch"]);
    assert!(
        text.contains("ours: in the cache already") && !text.contains("other"),
        "{text}"
    );
    assert_eq!(fixture.run(&["fetch", "--all"]).0, 3);
}
