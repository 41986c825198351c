use proptest::prelude::*;

use super::*;

const KNOWN: [&str; 3] = ["A", "B", "APPEND"];

fn bash(text: &str) -> Assignments {
    read(text, Dialect::Bash, &KNOWN)
}

fn good(text: &str) -> Vec<(String, String)> {
    let found = bash(text);
    let errors: Vec<_> = found.errors.iter().collect();
    assert!(errors.is_empty(), "{text}: {errors:?}");
    found
        .by_name
        .into_iter()
        .map(|(name, assignment)| (name, assignment.value))
        .collect()
}

fn one(text: &str) -> String {
    let values = good(text);
    assert_eq!(values.len(), 1, "{values:?}");
    values[0].1.clone()
}

#[test]
fn values() {
    assert_eq!(one("A=b"), "b");
    assert_eq!(one("  A=\"b c\" # comment\n"), "b c");
    assert_eq!(one("A='b \"c'\"d $\"e"), "b \"cd $e");
    assert_eq!(one("A=\"a\\\"b\\$c\\n\""), "a\"b$c\\n");
    assert_eq!(one("A=a\\ b"), "a b");
    assert_eq!(one("A=\"a \\\nb\""), "a b");
    assert_eq!(one("export A=x"), "x");
    assert_eq!(one("A=1\nA=2\n"), "2");
    assert_eq!(one("A=1\nA+=\" 2\"\n"), "1 2");
    assert_eq!(one("A="), "");
    assert_eq!(one("A=a#b"), "a#b");
    assert_eq!(one("A=x\nexport A\n"), "x");
    assert_eq!(one("A=1;A=\"${A}2\""), "12");
    assert_eq!(
        good("A=1 B=2"),
        [
            ("A".to_owned(), "1".to_owned()),
            ("B".to_owned(), "2".to_owned())
        ]
    );
    let nothing = bash("A+=x");
    assert!(nothing.by_name["A"].appended_to_nothing);
    let unset = bash("A=$UNSET");
    assert_eq!(unset.by_name["A"].value, "");
    assert_eq!(unset.warnings.iter().count(), 1);
}

fn fault(text: &str, dialect: Dialect) -> (String, String, String) {
    let found = read(text, dialect, &KNOWN);
    let errors: Vec<_> = found.errors.iter().cloned().collect();
    let [fault] = &errors[..] else {
        panic!("{text}: {errors:?}");
    };
    let fault = fault.clone();
    (
        text[fault.at].to_owned(),
        fault.message,
        fault.help.unwrap_or_default(),
    )
}

#[test]
fn what_is_no_assignment() {
    for (text, at, message, help) in [
        (
            "APPEND=irqpoll nr_cpus=1 reset_devices\n",
            "nr_cpus",
            "ends at the blank",
            "APPEND=\"irqpoll nr_cpus=1 reset_devices\"",
        ),
        (
            "APPEND=irqpoll reset_devices\n",
            "reset_devices",
            "run as a command",
            "APPEND=\"irqpoll reset_devices\"",
        ),
        ("A = b\n", "A = b", "no blanks around `=`", "A=\"b\""),
        ("A= \"b\"\n", "\"b\"", "run as a command", "A=\"b\""),
        (
            "A=$(uname -r)\n",
            "$(uname -r)",
            "runs nothing",
            "NAME=\"value\"",
        ),
        ("A=`id`\n", "`id`", "runs nothing", "NAME=\"value\""),
        ("A=${B:-c}\n", "${B:-c}", "expansions", "value itself"),
        ("rm -rf /\n", "rm -rf /", "runs nothing", "NAME=\"value\""),
        ("A=\"b\nc", "\"b", "unexpected EOF", "close the quote"),
        ("A='b\n", "'b", "unexpected EOF", "close the quote"),
        ("KDUMP-A=b", "KDUMP-A=b", "name of a variable", "KDUMP_A=b"),
        ("A=b|c", "|c", "runs nothing", "NAME"),
    ] {
        let (found_at, found, found_help) = fault(text, Dialect::Bash);
        assert_eq!(found_at, at, "{text}");
        assert!(found.contains(message), "{text}: {found}");
        assert!(found_help.contains(help), "{text}: {found_help}");
    }
    let (_, message, help) = fault("A=1\nA+=\" b c\"\n", Dialect::Dash);
    assert!(message.starts_with("A+=: not found"));
    assert_eq!(help, "A=\"$A b c\"");
}

#[test]
fn an_error_hides_no_other_line() {
    let found = bash("A=$(id)\nB=2\nfoo\n");
    assert_eq!(found.errors.iter().count(), 2);
    assert_eq!(found.by_name["B"].value, "2");
}

#[test]
fn doubling_is_bounded() {
    let found = bash(&format!("A=0123456789\n{}", "A=$A$A\n".repeat(100)));
    assert!(found.by_name["A"].value.len() <= MAX_VALUE);
    assert!(found.errors.iter().count() > 0);
    let found = bash(&format!("A=0123456789\n{}", "A+=$A\n".repeat(100)));
    assert!(found.by_name["A"].value.len() <= MAX_VALUE);
}

#[test]
fn copies_of_a_long_value_are_bounded() {
    let long = format!("B={}\n", "x".repeat(60_000));
    for line in ["=$B\n", "=\"${B}\"\n", "+=$B\n"] {
        let names: String = (0..1000).map(|nth| format!("A{nth}{line}")).collect();
        let found = bash(&format!("{long}{names}"));
        let bytes: usize = found.by_name.values().map(|it| it.value.len()).sum();
        assert!(bytes <= MAX_COPIED + long.len(), "{bytes}");
        let errors: Vec<&Fault> = found.errors.iter().collect();
        assert!(errors[0].message.contains("from each other"), "{errors:?}");
        assert_eq!(errors.len(), 1);
    }
    let found = bash(&format!("{long}{}", "B+=y\n".repeat(1000)));
    assert_eq!(found.errors.iter().count(), 1);
}

proptest! {
    #[test]
    fn never_panics(text in "([AB]|APPEND|=|\\+=|\"|'|\\\\|\\$|\\$\\{|\\}|\\(|`|#|;|export | |\n|\r\n|é|x|\\PC){0,40}") {
        for dialect in [Dialect::Bash, Dialect::Dash] {
            let found = read(&text, dialect, &KNOWN);
            for fault in found.errors.iter().chain(found.warnings.iter()) {
                prop_assert!(text.get(fault.at.clone()).is_some(), "{fault:?}");
            }
        }
    }

    #[test]
    fn a_quoted_value_is_read_back(value in "[^'\\x00\r]{0,40}") {
        let text = format!("A='{value}'\n");
        let found = bash(&text);
        prop_assert_eq!(found.errors.iter().count(), 0);
        prop_assert_eq!(&found.by_name["A"].value, &value);
    }
}
