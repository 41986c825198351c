//! `crashdrill import` from a made-up report of a server whose capture kernel ran out of vectors, to a
//! drill that ends for the same cause.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn crashdrill(arguments: &[&str], directory: &Path) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Command::new(env!("CARGO_BIN_EXE_crashdrill"))
        .arg("--root")
        .arg(root)
        .args(arguments)
        .current_dir(directory)
        // The QEMU of the oldest distribution has no place for devices of crashdrill's.
        .env("CRASHDRILL_QEMU", "fetched")
        .output()
        .unwrap()
}

fn report() -> String {
    let report = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/customer/sosreport");
    report.display().to_string()
}

#[test]
fn a_file_is_not_overwritten_unless_it_is_to_be() {
    let directory = tempfile::tempdir().unwrap();
    let report = report();
    let import = |more: &[&str]| {
        let arguments = [&["import", report.as_str(), "-o", "case-1.yaml"], more].concat();
        crashdrill(&arguments, directory.path())
    };
    let first = import(&["--explain"]);
    let said = String::from_utf8_lossy(&first.stderr);
    assert_eq!(first.status.code(), Some(0), "{said}");
    assert!(said.contains("wrote case-1.yaml"), "{said}");
    let table = String::from_utf8_lossy(&first.stdout);
    assert!(table.contains("mpt3sas"), "{table}");
    let again = import(&[]);
    let said = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(2), "{said}");
    assert!(said.contains("--force overwrites it"), "{said}");
    assert_eq!(
        import(&["--force", "--image", "debian-12"]).status.code(),
        Some(0)
    );
    assert_eq!(
        import(&["--force", "--image", "nonsense"]).status.code(),
        Some(2)
    );
    assert_eq!(import(&["--force", "--exact"]).status.code(), Some(2));
    // No findings but the shortage that the scenario is about.
    let checked = crashdrill(&["check", "--json", "case-1.yaml"], directory.path());
    let findings = String::from_utf8_lossy(&checked.stdout);
    assert!(!findings.contains("\"level\":\"error\""), "{findings}");
    let missing = crashdrill(&["import", "no-such-file"], directory.path());
    assert_eq!(missing.status.code(), Some(3));
}

#[test]
fn no_scenario_of_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir(at("empty")).unwrap();
    std::fs::write(at("notes.txt"), "Called the customer.\n").unwrap();
    for (given, note) in [("empty", ""), ("notes.txt", "note: notes.txt: is none of")] {
        let import = crashdrill(&["import", given, "-o", "case-2.yaml"], directory.path());
        let said = String::from_utf8_lossy(&import.stderr);
        assert_eq!(import.status.code(), Some(2), "{said}");
        assert!(
            said.starts_with(note) && said.contains("nothing here tells of a machine"),
            "{said}"
        );
        assert!(!said.contains("is missing"), "{said}");
        assert!(!at("case-2.yaml").exists());
    }
}

#[test]
fn the_drill_ends_as_the_machine_did() {
    let directory = tempfile::tempdir().unwrap();
    let report = report();
    let imported = crashdrill(
        &["import", &report, "--image", "debian-12"],
        directory.path(),
    );
    let text = String::from_utf8(imported.stdout).unwrap();
    // 3.10 dies of what newer kernels live with.
    let expected = "{verdict: capture-panicked, cause: irq-vector-exhaustion}";
    assert!(text.contains(expected), "{text}");
    let text = text.replace("{verdict: capture-panicked,", "{verdict: no-vmcore,");
    std::fs::write(directory.path().join("customer.yaml"), text).unwrap();
    let run = crashdrill(
        &["run", "customer.yaml", "--json", "run.json"],
        directory.path(),
    );
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(0), "{said}");
    assert!(said.contains("as the scenario expects"), "{said}");
    let json = std::fs::read(directory.path().join("run.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let drill = &json["drills"][0];
    assert_eq!(drill["result"], "as-expected");
    assert_eq!(drill["expected"]["verdict"], "no-vmcore");
    assert_eq!(drill["met"], true);
    let evidence = drill["outcome"]["evidence"].to_string();
    assert!(
        evidence.contains("mpt3sas0: unable to allocate interrupt"),
        "{evidence}"
    );
    let fidelity = drill["outcome"]["fidelity"].to_string();
    assert!(
        fidelity.contains("Linux 6.1 for their 3.10.0-693.5.2.el7.x86_64"),
        "{fidelity}"
    );
}
