//! The command `check`, as a script sees it: what it prints, and how it ends.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn check(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_crashdrill"))
        .arg("check")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end without reading any of it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn ended(output: &Output) -> (Option<i32>, String) {
    (
        output.status.code(),
        String::from_utf8(output.stdout.clone()).unwrap(),
    )
}

fn file(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn exit_codes() {
    let good = file("good-configs/rhel7/default.kdump.conf");
    let warned = file("bad-configs/rhel7/path-twice.kdump.conf");
    let wrong = file("bad-configs/rhel7/blacklist.kdump.conf");
    let noted = file("bad-configs/rhel7/keeps-storage-out.sysconfig-kdump");
    let unusable = file("bad-configs/rhel7/utf-16.kdump.conf");
    for (files, code) in [
        (vec![good.as_str()], 0),
        (vec![&noted], 0),
        (vec![&warned], 1),
        (vec![&good, &wrong], 1),
        (vec![&wrong, &unusable], 2),
        (vec!["no/such/file"], 2),
        (vec![&wrong, "no/such/file"], 2),
        (vec![], 2),
        (vec!["--flavour", "rhel5", &good], 2),
        (vec!["--memory", "lots", &good], 2),
    ] {
        assert_eq!(ended(&check(&files, "")).0, Some(code), "{files:?}");
    }
}

/// As the commands that run drills take them.
#[test]
fn scenarios_by_name_and_directory() {
    for (argument, code, text) in [
        ("healthy", 0, "1 file checked"),
        ("../scenarios", 1, "files checked"),
        ("healty", 2, "did you mean `healthy`?"),
        ("healthy@nvme", 2, "all variants: `healthy`"),
        ("src", 2, "src holds no scenario"),
        ("kdump.conf", 2, "kdump.conf: No such file"),
    ] {
        let output = check(&[argument], "");
        let said = ended(&output).1 + &String::from_utf8(output.stderr.clone()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{argument}: {said}");
        assert!(said.contains(text), "{argument}: {said}");
    }
}

/// Messages go where nobody reads them, and the exit code stays what it is.
#[test]
fn nobody_reads_the_errors() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = Command::new(env!("CARGO_BIN_EXE_crashdrill"))
        .args(["check", "no/such/file"])
        .stderr(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn standard_input() {
    let (code, text) = ended(&check(&["-"], "path /a\nblacklist i40e\n"));
    assert_eq!(code, Some(1));
    assert!(text.contains("[-:2:1]"), "{text}");
    assert!(
        text.contains("dracut_args --omit-drivers \"i40e\""),
        "{text}"
    );
}

#[test]
fn json_is_a_line_a_file() {
    let good = file("good-configs/rhel7/default.kdump.conf");
    let unusable = file("bad-configs/rhel7/utf-16.kdump.conf");
    let (code, text) = ended(&check(&["--json", &good, &unusable], ""));
    assert_eq!(code, Some(2));
    let documents: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[0]["findings"], serde_json::json!([]));
    assert!(
        documents[1]["unusable"]
            .as_str()
            .unwrap()
            .contains("UTF-16")
    );
    let (code, schema) = ended(&check(&["--schema"], ""));
    assert_eq!(code, Some(0));
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    for key in documents[0].as_object().unwrap().keys() {
        assert!(schema["properties"].get(key).is_some(), "{key}");
    }
}
