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
fn a_key_that_is_not_the_signers_any_more() {
    const PRINT: &str = "6341 AB27 53D7 8A78 A7C2 7BB1 24C6 A8A7 F4A8 0EB5";
    let fixture = Fixture::new();
    let key = fixture.path("images/key");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/RPM-GPG-KEY-CentOS-7");
    fs::copy(shipped, &key).unwrap();
    let manifest = format!(
        "name: centos\nabout: x\nsource:\n  rpm: {{key: key, fingerprint: {PRINT}, \
         packages: [https://example.org/7/kernel-1.rpm]}}\n"
    );
    fs::write(fixture.manifest("centos"), manifest).unwrap();
    let manifest = Manifest::load(&fixture.manifest("centos")).unwrap();
    let signed = |staging: &Path| {
        fill(staging)?;
        let index = fs::read_to_string(staging.join("image.json")).unwrap();
        let origin = format!(
            r#""1", "origin": {{"from": "https://example.org/7/kernel-1.rpm", "bytes": 5,
            "sha256": "{:064}", "signer": {{"fingerprint": "{PRINT}", "user": "CentOS"}}}}"#,
            7
        );
        let index = index.replace(r#""1:2.0""#, &origin);
        fs::write(staging.join("image.json"), index).unwrap();
        Ok::<(), CacheError>(())
    };
    let id = entry_id(&manifest).unwrap();
    drop(fixture.cache().entry(&id, "x", &Silent, signed).unwrap());
    let text = fixture.good(&["verify", "centos"]);
    let key_of = format!("vouched for by CentOS, key {}\n", PRINT.replace(' ', ""));
    assert!(text.contains(&key_of), "{text}");
    assert!(
        text.contains("1 file from https://example.org/7/\n"),
        "{text}"
    );
    let shown = fixture.good(&["show", "centos"]);
    assert!(
        shown.contains("      signed by CentOS, key 6341AB"),
        "{shown}"
    );
    fs::write(&key, "somebody else's").unwrap();
    let (code, text, _) = fixture.run(&["verify", "centos"]);
    assert_eq!(code, 1);
    assert!(text.contains("does not hold the key that signed"), "{text}");
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

/// The manifests of distributions that crashdrill ships, on a machine whose proxy does not answer.
#[test]
fn distributions_without_a_network() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cache = tempfile::tempdir().unwrap();
    for name in ["centos-7.4", "centos-7.9", "rocky-8", "rocky-9"] {
        let output = Command::new(env!("CARGO_BIN_EXE_crashdrill"))
            .args(["--root", checkout.to_str().unwrap(), "image", "fetch", name])
            .env("CRASHDRILL_CACHE", cache.path())
            // Nor an apt for the lender.
            .env("PATH", cache.path())
            // Port 9 discards, where anybody listens at all.
            .env("https_proxy", "http://127.0.0.1:9")
            .env_remove("HTTPS_PROXY")
            .env_remove("ALL_PROXY")
            .env_remove("all_proxy")
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{name}: {said}");
        let words = said.split_whitespace().filter(|word| *word != "│");
        let said = words.collect::<Vec<_>>().join(" ");
        for wanted in ["https://", "kernel-", "127.0.0.1:9", "into the manifest"] {
            assert!(said.contains(wanted), "{name}: {wanted}: {said}");
        }
    }
    let entries = Cache::at(cache.path()).entries().unwrap();
    assert_eq!(entries, []);
}
