use proptest::prelude::*;

use super::*;

fn may_matter(filter: &Filter, text: &str) -> bool {
    let mut any = false;
    filter.find(text, 0, |_| any = true);
    any
}

#[test]
fn literals_of_patterns() {
    for (pattern, literals) in [
        ("kernel BUG at", &["kernel bug at"][..]),
        (r"^\s*BUG: unable to handle", &["bug: unable to handle"]),
        (
            r"[Uu]nable to allocate interrupt (\d+)!",
            &["unable to allocate interrupt "],
        ),
        ("(?i)kasan: slab", &["kasan: slab"]),
        (r"soft lockup|hard LOCKUP", &["hard lockup", "soft lockup"]),
        (
            r"(?P<device>\w+): page allocation failure\.",
            &[": page allocation failure."],
        ),
        (
            r"watchdog: BUG: (soft|hard) lockup - CPU#\d+",
            &[
                "watchdog: bug: hard lockup - cpu#",
                "watchdog: bug: soft lockup - cpu#",
            ],
        ),
        (r"x.*longer text", &["longer text"]),
        (r"colou?red", &["colored", "coloured"]),
        (r"(?:abcde)+", &["abcde"]),
        (
            r"task \S+ blocked for more than \d+ seconds",
            &[" blocked for more than "],
        ),
        (r"\bkernel\b", &["kernel"]),
    ] {
        assert_eq!(required_literals(pattern).unwrap(), literals, "{pattern}");
    }
}

#[test]
fn patterns_without_fixed_text() {
    for pattern in [
        "",
        ".*",
        "BUG:?",
        r"\w+\s+\d+",
        "kernel BUG|oops|x",
        "(?:abcdefgh)*",
        "[a-z]{5}",
        "a.b.c.d.e",
    ] {
        let error = required_literals(pattern).unwrap_err();
        assert_eq!(error, PatternError::NoFixedText, "{pattern}");
        assert!(
            error
                .to_string()
                .starts_with("has no fixed text of at least 5 letters")
        );
    }
    assert!(matches!(
        required_literals("("),
        Err(PatternError::Syntax(_))
    ));
    // Neither slow nor large.
    assert!(required_literals("((a{1000}){1000}){1000}").is_ok());
    assert!(required_literals("(?:){1000000}(?:a|b|c|d){900}").is_err());
}

#[test]
fn lines_that_matter() {
    let filter = Filter::new(["kernel BUG at", "Oops:", "Kernel panic - not syncing"]).unwrap();
    for text in [
        "[    1.234567] kernel BUG at mm/slub.c:1!",
        "KERNEL bug AT",
        "oops:",
        "x oops: 0000",
        "xx Oops:",
        "a long line that ends with the literal, so that nothing follows it: Oops:",
    ] {
        assert!(may_matter(&filter, text), "{text}");
    }
    for text in [
        "",
        "Oop",
        "Oops",
        "kernel BUG a",
        "[    1.234567] usb 1-1: new device",
        "not syncing",
    ] {
        assert!(!may_matter(&filter, text), "{text}");
    }
    let error = Filter::new(["kernel", "BUG:"]).unwrap_err();
    assert_eq!(error.literal, "BUG:");
    let nothing = Filter::new(Vec::<String>::new()).unwrap();
    assert!(!may_matter(&nothing, "kernel BUG at"));
}

/// Patterns of what rules have: text, classes, gaps, alternatives, groups, repetitions.
fn pattern() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => "[a-cA-CkKsS :#0-9]{1,7}",
        1 => proptest::sample::select(vec![
            ".*", r"\d+", r"\s+", "[Uu]", "[a-c]", r"\b", "^", "k?", "(?i:bask)", "[xyz]{2}", "(?i:S)",
        ]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            4 => proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            1 => proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join("|"))),
            1 => (inner.clone(), proptest::sample::select(vec!["+", "{2}", "?", "*", "{1,2}"]))
                .prop_map(|(part, times)| format!("(?:{part}){times}")),
            1 => inner.prop_map(|part| format!("(?i:{part})")),
        ]
    })
}

/// A pattern and texts around what it matches.
fn matched() -> impl Strategy<Value = (String, String)> {
    pattern().prop_flat_map(|pattern| {
        // Without anchors, which the generator of strings does not know.
        let shape = pattern.replace(r"\b", "").replace('^', "");
        let text = proptest::string::string_regex(&shape)
            .map(BoxedStrategyOf::boxed)
            .unwrap_or_else(|_| Just(String::new()).boxed());
        ("[ -~]{0,50}", text, "[ -~]{0,50}")
            .prop_map(move |(before, text, after)| (pattern.clone(), before + &text + &after))
    })
}

use proptest::strategy::Strategy as BoxedStrategyOf;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn no_match_is_missed((pattern, text) in matched()) {
        let regex = regex::bytes::RegexBuilder::new(&pattern).unicode(false).build();
        let Ok(regex) = regex else { return Ok(()) };
        let Ok(literals) = required_literals(&pattern) else { return Ok(()) };
        let filter = Filter::new(&literals).unwrap();
        let lower = text.to_ascii_lowercase();
        let holds = literals.iter().any(|literal| lower.contains(literal.as_str()));
        if regex.is_match(text.as_bytes()) {
            prop_assert!(holds, "{:?} {:?}", literals, text);
        }
        prop_assert_eq!(may_matter(&filter, &text), holds);
    }

    #[test]
    fn the_filter_is_exact(
        literals in proptest::collection::vec("[ab]{5,9}", 1..5), text in "[abAB]{0,120}"
    ) {
        let filter = Filter::new(&literals).unwrap();
        let lower = text.to_ascii_lowercase();
        let mut found = std::collections::BTreeSet::new();
        filter.find(&text, 0, |literal| {
            found.insert(literal);
        });
        let numbered = literals.iter().enumerate();
        let held = numbered.filter(|(_, literal)| lower.contains(*literal)).map(|(at, _)| at);
        prop_assert_eq!(found, held.collect());
    }

    #[test]
    fn a_stamp_hides_nothing(
        literals in proptest::collection::vec("[\\[ab0 .\\]]{5,9}", 1..4), text in "[\\[abAB0 .\\]]{0,80}"
    ) {
        let filter = Filter::new(&literals).unwrap();
        let text = format!("[    0.000000] {text}");
        let mut found = std::collections::BTreeSet::new();
        filter.find(&text, 15, |literal| {
            found.insert(literal);
        });
        let lower = text.to_ascii_lowercase();
        let numbered = literals.iter().enumerate();
        let held = numbered.filter(|(_, literal)| lower.contains(*literal)).map(|(at, _)| at);
        prop_assert_eq!(found, held.collect());
    }
}
