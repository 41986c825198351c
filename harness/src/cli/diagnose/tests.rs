use std::io::Write as _;

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    diagnose: Diagnose,
}

struct Logs(tempfile::TempDir);

impl Logs {
    fn new() -> Self {
        let logs = Self(tempfile::tempdir().unwrap());
        logs.add("good", b"Linux version 6.1\n");
        logs.add("bad", b"Linux version 6.1\nKernel panic - not syncing: x\n");
        logs.add("cut.gz", &{
            let text: String = (0..20_000).map(|n| format!("{n} panic\n")).collect();
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(text.as_bytes()).unwrap();
            let mut packed = gzip.finish().unwrap();
            packed.truncate(packed.len() / 2);
            packed
        });
        logs
    }

    fn add(&self, name: &str, content: &[u8]) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    fn run(&self, words: &str) -> (u8, String) {
        let mut out = Vec::new();
        let words = words
            .split_whitespace()
            .map(|word| match word.starts_with('-') {
                true => word.into(),
                false => self.0.path().join(word),
            });
        let words = std::iter::once(PathBuf::from("diagnose")).chain(words);
        let command = Command::try_parse_from(words).unwrap().diagnose;
        let status = command.read(&RuleBook::builtin(), &mut out).unwrap();
        (code(status), String::from_utf8(out).unwrap())
    }
}

fn code(status: Status) -> u8 {
    // ExitCode has no way to ask.
    match format!("{:?}", std::process::ExitCode::from(status)) {
        text if text.contains("(0)") => 0,
        text if text.contains("(1)") => 1,
        text if text.contains("(3)") => 3,
        text => panic!("{text}"),
    }
}

#[test]
fn exit_codes_tell_what_was_found() {
    let logs = Logs::new();
    for (words, wanted) in [
        ("good", 0),
        ("bad", 1),
        ("good bad", 1),
        ("missing", 3),
        ("missing bad", 3),
        ("cut.gz", 3),
    ] {
        assert_eq!(logs.run(words).0, wanted, "{words}");
    }
}

#[test]
fn one_that_cannot_be_read_does_not_stop_the_others() {
    let logs = Logs::new();
    let (code, out) = logs.run("--json missing bad cut.gz good");
    assert_eq!(code, 3);
    let documents: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(documents.len(), 3);
    assert_eq!(documents[0]["crash"], true);
    assert_eq!(documents[0]["unread"], serde_json::Value::Null);
    assert!(documents[1]["lines"].as_u64().unwrap() > 5_000);
    let unread = documents[1]["unread"].as_str().unwrap();
    assert!(unread.contains("gzip data ends too early"), "{unread}");
    assert!(documents[2]["file"].as_str().unwrap().ends_with("good"));
}

#[test]
fn a_log_that_is_cut_says_so_on_its_page() {
    let (_, out) = Logs::new().run("cut.gz");
    let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        out.contains("Read only in part") && out.contains("ends too early"),
        "{out}"
    );
}

#[test]
fn a_closed_pipe_is_no_error() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let logs = Logs::new();
    let words = ["diagnose".into(), logs.0.path().join("bad")];
    let command = Command::try_parse_from(words).unwrap().diagnose;
    let status = command.read(&RuleBook::builtin(), &mut Closed).unwrap();
    assert_eq!(code(status), 1);
}

#[test]
fn a_wrong_rule_is_underlined() {
    let text = "- name: a\n  lines: ['(']\n";
    let error = bad_rules(
        "my.yaml",
        text,
        2,
        11,
        "`(` is no regular expression".to_owned(),
    );
    assert_eq!(error.code(), 2);
    let shown = format!("{:?}", miette::Report::new(error));
    assert!(
        shown.contains("my.yaml:2:11") && shown.contains("is no regular"),
        "{shown}"
    );
    // Beyond the text, as for a file that ends too early.
    let error = bad_rules("my.yaml", text, 9, 1, "it ends".to_owned());
    assert!(format!("{:?}", miette::Report::new(error)).contains("it ends"));
    let _ = format!(
        "{:?}",
        miette::Report::new(bad_rules("e", "", 1, 1, "empty".to_owned()))
    );
}
