//! `--image`, as far as it goes without a machine: what is refused and how, and where outcomes are
//! kept.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;
use std::process::Command;

use crashdrill::machine::catalogue;
use crashdrill::scenario::{Drill, parse};
use crashdrill::snapshot::{Comparison, compare};

/// Exit code and what is said, in one line, of a crashdrill that finds neither QEMU nor packages.
fn crashdrill(root: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_crashdrill"))
        .args(["--root", root.to_str().unwrap()])
        .args(arguments)
        .env_clear()
        // An empty PATH would be execvp's own choice.
        .env("PATH", root.join("nothing"))
        .env("CRASHDRILL_QEMU", root.join("nothing/qemu"))
        .env("CRASHDRILL_CACHE", root.join("cache"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let words: Vec<&str> = said
        .split_whitespace()
        .filter(|word| !["×", "│"].contains(word))
        .collect();
    (output.status.code(), words.join(" "))
}

fn drills() -> Vec<Drill> {
    let text = "name: x\nabout: A drill.\nimage: debian-12\ncrashkernel: 256M\n\
                machine: {devices: [{device: nvme, target: true}]}\nvariants: {a: {}, b: {boot: disk}}";
    let file = parse(Path::new("x.yaml"), text, catalogue::facts);
    file.unwrap_or_else(|bad| panic!("{}", bad.render(100, false)))
        .drills
}

fn project() -> tempfile::TempDir {
    let project = tempfile::tempdir().unwrap();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for directory in ["scenarios", "images"] {
        fs::create_dir(project.path().join(directory)).unwrap();
        for file in fs::read_dir(checkout.join(directory)).unwrap().flatten() {
            let to = project.path().join(directory).join(file.file_name());
            fs::copy(file.path(), to).unwrap();
        }
    }
    fs::write(project.path().join("images/bad.yaml"), "name: bad\n").unwrap();
    project
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_fetched() {
    let project = project();
    for (arguments, said) in [
        (
            &["run", "--image", "debian-21"][..],
            "there is no image `debian-21`; did you mean `debian-1",
        ),
        (
            &["run", "healthy", "--image", "../images/host"],
            "there is no image `../images/host`; images/ holds ",
        ),
        (
            &["run", "healthy", "--image", "debian-12-disk"],
            "no drill is left: image debian-12-disk is a root disk, which takes `boot: disk`",
        ),
        (
            &["run", "vector-exhaustion-disk", "--image", "host"],
            "no drill is left: image host has no root disk, which `boot: disk` takes",
        ),
        (
            &["run", "healthy", "--image", "bad"],
            "images/bad.yaml:1:1: missing field `about`",
        ),
        (
            &["compare", "healthy@nvme", "healthy@ahci", "--image", "hots"],
            "there is no image `hots`; did you mean `host`?",
        ),
        (
            &[
                "search",
                "healthy@nvme",
                "--minimise",
                "crashkernel",
                "--image",
                "debian-12-disk",
            ],
            "healthy@nvme: image debian-12-disk is a root disk",
        ),
    ] {
        let (code, all) = crashdrill(project.path(), arguments);
        assert!(all.contains(said), "{arguments:?}: {all}");
        assert_eq!(code, Some(2), "{arguments:?}");
    }
    // Of a whole set the others would run, if there were anything to run them in.
    let (code, all) = crashdrill(project.path(), &["run", "--image", "debian-13"]);
    assert_eq!(code, Some(3), "{all}");
    assert!(
        all.contains("left out vector-exhaustion-disk@exhausted: image debian-13 has no root disk")
            && !all.contains("left out healthy@"),
        "{all}"
    );
    assert!(!project.path().join("snapshots").exists());
}

#[test]
fn on_its_own_image_a_drill_is_itself() {
    let [drill, ..] = &drills()[..] else { panic!() };
    let same = drill.clone().on("debian-12");
    assert_eq!(&same, drill);
    assert_eq!(same.id.to_string(), "x@a");
    let other = drill.clone().on("rhel-7");
    assert_eq!(other.scenario.image, "rhel-7");
    assert_eq!(other.id.to_string(), "x@a on rhel-7");
    assert_eq!(other.id.path(), Path::new("rhel-7/x@a"));
    // A search for the least memory stays on that image.
    let path = "machine.memory".parse().unwrap();
    let value = crashdrill::scenario::Setting::Text("512M".to_owned());
    let smaller = other.with(&path, value, catalogue::facts).unwrap();
    assert_eq!(smaller.scenario.image, "rhel-7");
    assert_eq!(smaller.id, other.id);
}

#[test]
fn each_image_has_snapshots_of_its_own() {
    let snapshots = tempfile::tempdir().unwrap();
    let at = |path: &str| snapshots.path().join(path);
    let snapshot = |verdict: &str| format!("---\nsource: x\n---\nverdict: {verdict}\n");
    fs::write(at("x@a.snap"), snapshot("no-vmcore")).unwrap();
    let drill = drills().remove(0);
    let on = |image: &str| drill.clone().on(image).id;
    let saved = "verdict: vmcore-saved\n";
    let compared = |image: &str| compare(snapshots.path(), &on(image), saved);
    let file = at("rhel-7/x@a.snap");
    assert!(matches!(compared("rhel-7"), Comparison::New { file: new, .. } if new == file));
    assert!(matches!(compared("debian-12"), Comparison::Changed { .. }));
    fs::create_dir_all(at("rhel-7")).unwrap();
    fs::write(&file, snapshot("vmcore-saved")).unwrap();
    assert_eq!(compared("rhel-7"), Comparison::Same);
    fs::write(&file, snapshot("no-vmcore")).unwrap();
    assert!(
        matches!(compared("rhel-7"), Comparison::Changed { file: changed, .. } if changed == file)
    );
}
