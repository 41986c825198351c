mod fixtures;

use fixtures::*;
use proptest::prelude::*;

use super::{View, diagnosis_json, diagnosis_schema, diagnosis_text};
use crate::diagnose::Diagnosis;

const VIEW: View = View {
    width: 100,
    verbose: false,
};
const EVERYTHING: View = View {
    width: 100,
    verbose: true,
};

/// As in a pipe: without styles.
fn plain(diagnosis: &Diagnosis, view: View) -> String {
    anstream::adapter::strip_str(&diagnosis_text(diagnosis, None, view)).to_string()
}

#[test]
fn field_report_is_told() {
    let text = plain(&field_report(), VIEW);
    insta::assert_snapshot!("field-report", text);
    assert!(text.lines().count() <= 80, "more than a screen and a half");
}

#[test]
fn field_report_with_everything() {
    insta::assert_snapshot!("field-report-verbose", plain(&field_report(), EVERYTHING));
}

#[test]
fn field_report_on_a_narrow_terminal() {
    let view = View {
        width: 60,
        verbose: false,
    };
    let text = plain(&field_report(), view);
    let wide = text.lines().filter(|line| line.chars().count() > 60);
    // What is copied is not broken.
    assert!(
        wide.into_iter().all(|line| line.contains("_APPEND=")),
        "{text}"
    );
}

#[test]
fn a_healthy_log() {
    insta::assert_snapshot!("healthy", plain(&healthy(), VIEW));
}

#[test]
fn an_empty_log() {
    assert_eq!(
        plain(&empty(), VIEW),
        "console.log: no crash found\n  The log is empty. No kernel speaks in it.\n"
    );
}

#[test]
fn an_oops_without_kdump() {
    insta::assert_snapshot!("plain-oops", plain(&plain_oops(), VIEW));
}

#[test]
fn the_last_of_two_crashes_comes_first() {
    insta::assert_snapshot!("two-crashes", plain(&two_crashes(), VIEW));
}

#[test]
fn a_log_read_in_part() {
    let text = diagnosis_text(&healthy(), Some("the gzip data ends too early"), VIEW);
    assert!(
        text.contains("Read only in part, and this is about that part: the gzip data"),
        "{text}"
    );
}

#[test]
fn hostile_texts_are_shown_and_not_obeyed() {
    let text = "\x1b[2J\x1b]0;owned\x07 a\u{9b}31m\u{202e}b\r\nroot#";
    insta::assert_snapshot!("hostile", plain(&everywhere(text), VIEW));
}

#[test]
fn styles_are_balanced() {
    let text = diagnosis_text(&field_report(), None, VIEW);
    assert!(
        text.contains("\u{1b}[1m\u{1b}[31mcapture-panicked"),
        "{text:?}"
    );
    for line in text.lines() {
        assert!(
            !line.contains('\u{1b}')
                || line.trim_end().ends_with("\u{1b}[0m")
                || line.rfind("\u{1b}[0m") >= line.rfind("\u{1b}[1m"),
            "{line:?}"
        );
    }
}

#[test]
fn long_lists_are_cut_and_say_so() {
    let mut diagnosis = field_report();
    diagnosis.cases[0].evidence = (1..=30).map(|line| quote(line, &"x".repeat(500))).collect();
    diagnosis.reports = (0..200)
        .map(|n| reported(0, splat(crate::console::splat::Kind::Warning, "WARNING", n)))
        .collect();
    diagnosis.boots = vec![diagnosis.boots[0].clone(); 100];
    let text = plain(&diagnosis, VIEW);
    assert!(
        text.contains("... 22 more (-v)") && text.contains("more characters]"),
        "{text}"
    );
    assert!(
        text.contains("... 94 before (-v)") && text.contains("... 189 more (-v)"),
        "{text}"
    );
    assert!(text.lines().count() < 120);
    let text = plain(&diagnosis, EVERYTHING);
    assert!(!text.contains("(-v)"), "{text}");
}

#[test]
fn json_is_one_line_and_says_the_same() {
    let text = diagnosis_json(&field_report(), None).unwrap();
    assert!(!text.contains('\n'));
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    insta::assert_snapshot!(
        "field-report-json",
        serde_json::to_string_pretty(&value).unwrap()
    );
    let hostile = "\x1b[2J\u{9b}31m\u{7f}\n";
    let text = diagnosis_json(&everywhere(hostile), Some("x")).unwrap();
    assert!(!text.chars().any(char::is_control));
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["file"], hostile);
    assert_eq!(value["unread"], "x");
}

/// That each property of a document stands in the schema, and each that must be there is.
fn conforms(
    schema: &serde_json::Value,
    root: &serde_json::Value,
    value: &serde_json::Value,
    at: &str,
) {
    if let Some(name) = schema.get("$ref").and_then(|name| name.as_str()) {
        let named = root.pointer(name.trim_start_matches('#')).unwrap();
        return conforms(named, root, value, at);
    }
    if let Some(any) = schema.get("anyOf").and_then(|any| any.as_array()) {
        if !value.is_null() {
            conforms(&any[0], root, value, at);
        }
        return;
    }
    match value {
        serde_json::Value::Object(object) => {
            let properties = schema["properties"].as_object().unwrap();
            for (key, value) in object {
                let schema = properties
                    .get(key)
                    .unwrap_or_else(|| panic!("{at}.{key} is not described"));
                conforms(schema, root, value, &format!("{at}.{key}"));
            }
            for key in schema["required"].as_array().unwrap() {
                assert!(
                    object.contains_key(key.as_str().unwrap()),
                    "{at}.{key} is missing"
                );
            }
            assert_eq!(
                schema["required"].as_array().unwrap().len(),
                object.len(),
                "{at}"
            );
        }
        serde_json::Value::Array(items) => {
            for item in items {
                conforms(&schema["items"], root, item, at);
            }
        }
        _ => assert!(schema.is_object(), "{at}"),
    }
}

#[test]
fn the_schema_describes_the_documents() {
    let schema = diagnosis_schema();
    for diagnosis in [
        field_report(),
        healthy(),
        plain_oops(),
        two_crashes(),
        empty(),
    ] {
        let text = diagnosis_json(&diagnosis, None).unwrap();
        let value = serde_json::from_str(&text).unwrap();
        conforms(&schema, &schema, &value, "");
    }
    assert_eq!(schema["title"], "crashdrill diagnosis");
    let required = schema["required"].as_array().unwrap();
    for key in [
        "format", "file", "crash", "verdict", "cause", "boots", "reports", "cases", "unread",
    ] {
        assert!(required.contains(&key.into()), "{key}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_steers_the_terminal(text in any::<String>(), width in 1usize..200, verbose: bool) {
        let diagnosis = everywhere(&text);
        let shown = diagnosis_text(&diagnosis, Some(&text), View { width, verbose });
        let stripped = anstream::adapter::strip_str(&shown).to_string();
        prop_assert!(!stripped.chars().any(|char| char.is_control() && char != '\n'));
        // Nothing was taken for a sequence but our own styles.
        let styles = shown.matches('\u{1b}').count();
        prop_assert_eq!(shown.matches("\u{1b}[").count(), styles);
        let json = diagnosis_json(&diagnosis, None).unwrap();
        prop_assert!(!json.chars().any(char::is_control));
    }
}
