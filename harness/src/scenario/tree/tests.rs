use super::*;

fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Mapping(entries) => entries,
        other => panic!("{other:?}"),
    }
}

fn tree(source: &str) -> Node {
    let (node, refusals) = parse(source).unwrap();
    assert_eq!(refusals, []);
    node
}

#[test]
fn spans_are_bytes() {
    for source in [
        "über: ä\nwert: [ööö, 12]\n",
        "über: ä\r\nwert: [ööö, 12]\r\n",
        "\u{feff}über: ä\nwert: [ööö, 12]\n",
    ] {
        let root = tree(source);
        let at = |path: &str| &source[root.get(&path.parse().unwrap()).unwrap().span.clone()];
        assert_eq!(at("über"), "ä", "{source:?}");
        assert_eq!(at("wert[0]"), "ööö", "{source:?}");
        assert_eq!(at("wert[1]"), "12", "{source:?}");
        assert_eq!(at("wert"), "[ööö, 12]", "{source:?}");
        assert_eq!(
            &source[entries(&root)[1].key_span.clone()],
            "wert",
            "{source:?}"
        );
    }
}

#[test]
fn block_scalars_line_by_line() {
    for (newline, first) in [("\n", ""), ("\r\n", ""), ("\n", "\n\n"), ("\r\n", "    \n")] {
        let text = format!("k:\n  conf: |\n{first}    é one\n\n    two three\n  other: 1\n");
        let source = text.replace('\n', newline);
        let root = tree(&source);
        let node = root.get(&"k.conf".parse().unwrap()).unwrap();
        let Value::Text(text) = &node.value else {
            panic!("{node:?}");
        };
        let three = text.find("three").unwrap();
        let found = node.inside(&source, &(three..three + 5)).unwrap();
        assert_eq!(&source[found.clone()], "three");
        assert_eq!(found.start, source.find("three").unwrap());
        let one = text.find("one").unwrap();
        let found = node.inside(&source, &(one..one + 3)).unwrap();
        assert_eq!(found.start, source.find("one").unwrap());
    }
}

#[test]
fn quoted_scalars() {
    let source = "a: \"12 34\"\nb: plain text\nc: \"\\t34\"\n";
    let root = tree(source);
    let inside = |key: &str, part| {
        let node = root.get(&key.parse().unwrap()).unwrap();
        node.inside(source, &part).map(|range| &source[range])
    };
    assert_eq!(inside("a", 3..5), Some("34"));
    assert_eq!(inside("b", 6..10), Some("text"));
    assert_eq!(inside("c", 1..3), None);
}

#[test]
fn types() {
    for (text, value) in [
        ("~", Value::Null),
        ("true", Value::Bool(true)),
        ("yes", Value::Text("yes".into())),
        ("0x1e", Value::Unsigned(30)),
        ("0x1e.3", Value::Text("0x1e.3".into())),
        ("-4", Value::Signed(-4)),
        ("1.5", Value::Float(1.5)),
        ("nan", Value::Text("nan".into())),
        ("1_000", Value::Text("1_000".into())),
        ("'7'", Value::Text("7".into())),
        ("!!str 7", Value::Text("7".into())),
    ] {
        let root = tree(&format!("a: {text}\n"));
        assert_eq!(entries(&root)[0].value.value, value, "{text}");
    }
}

#[test]
fn aliases_are_copied_and_counted() {
    let root = tree("a: &x {b: 1}\nc: *x\n");
    assert_eq!(
        root.get(&"c.b".parse().unwrap()).unwrap().value,
        Value::Unsigned(1)
    );
    let mut bomb = "a0: &a0 [x]\n".to_owned();
    for n in 1..20 {
        let last = format!("*a{}, ", n - 1).repeat(10);
        bomb += &format!("a{n}: &a{n} [{last}]\n");
    }
    assert!(parse(&bomb).unwrap_err().message.contains("50000"));
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(32)).is_ok());
    assert!(
        parse(&nested(33))
            .unwrap_err()
            .message
            .contains("32 levels")
    );
    assert!(parse(&nested(10_000)).is_err());
}
