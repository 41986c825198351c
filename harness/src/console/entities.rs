//! Logs copied from the source of a web page: bug trackers write `&lt;IRQ&gt;`.

use std::borrow::Cow;

const ENTITIES: [(&str, char); 6] = [
    ("&lt;", '<'),
    ("&gt;", '>'),
    ("&amp;", '&'),
    ("&quot;", '"'),
    ("&#39;", '\''),
    ("&#x27;", '\''),
];

/// The text with entities replaced, once: `&amp;lt;` is `&lt;`.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'&', text.as_bytes()) else {
        return Cow::Borrowed(text);
    };
    let find = |rest: &str| {
        let mut entities = ENTITIES.iter();
        entities
            .find(|(entity, _)| rest.starts_with(entity))
            .copied()
    };
    let mut decoded = String::new();
    let mut done = 0;
    for at in memchr::memchr_iter(b'&', &text.as_bytes()[first..]).map(|at| first + at) {
        if let Some((entity, character)) = find(&text[at..]) {
            decoded.push_str(&text[done..at]);
            decoded.push(character);
            done = at + entity.len();
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    decoded.push_str(&text[done..]);
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_decoded_once() {
        for (text, decoded) in [
            (
                "&lt;IRQ&gt; &amp;lt; &quot;x&quot; &#39;",
                "<IRQ> &lt; \"x\" '",
            ),
            ("(&dev->mutex){+.+.}, at: &x", "(&dev->mutex){+.+.}, at: &x"),
            ("&", "&"),
            ("&lt", "&lt"),
            ("", ""),
            ("\u{e4}&amp;\u{e4}", "\u{e4}&\u{e4}"),
        ] {
            assert_eq!(decode(text), decoded, "{text}");
        }
    }
}
