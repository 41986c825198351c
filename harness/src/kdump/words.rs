//! Splitting into words, as the shell and the kernel do.

use std::ops::Range;

/// A quote that is never closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unclosed {
    /// Byte offset of the quote.
    pub(super) at: usize,
}

/// Splits as a POSIX shell does, without expansion: blanks separate, single and double quotes and
/// a backslash protect.
pub(super) fn shell_words(text: &str) -> Result<Vec<String>, Unclosed> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\\' => {
                let next = chars.next().map_or('\\', |(_, c)| c);
                word.get_or_insert_default().push(next);
            }
            '"' | '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        None => return Err(Unclosed { at }),
                        Some((_, inner)) if inner == c => break,
                        Some((_, '\\')) if c == '"' => {
                            let (_, next) = chars.next().ok_or(Unclosed { at })?;
                            if !matches!(next, '"' | '\\' | '$' | '`') {
                                word.push('\\');
                            }
                            word.push(next);
                        }
                        Some((_, inner)) => word.push(inner),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Splits a kernel command line as `next_arg()` in the kernel's lib/cmdline.c does: blanks
/// separate, except between double quotes; quotes stay in the word.
pub fn kernel_words(text: &str) -> Vec<&str> {
    kernel_words_at(text)
        .into_iter()
        .map(|word| &text[word])
        .collect()
}

/// As [`kernel_words`], as byte ranges of the text.
pub(crate) fn kernel_words_at(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut word: Option<Range<usize>> = None;
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        if c == '"' {
            quoted = !quoted;
        }
        if c.is_ascii_whitespace() && !quoted {
            words.extend(word.take());
        } else {
            word = Some(word.map_or(at, |range| range.start)..at + c.len_utf8());
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell() {
        let split = |text| shell_words(text).unwrap();
        assert_eq!(
            split(r#"--omit-drivers "a b" c"#),
            ["--omit-drivers", "a b", "c"]
        );
        assert_eq!(
            split(r#" a\ b 'c"d' "e\"f\x" """#),
            ["a b", "c\"d", "e\"f\\x", ""]
        );
        assert_eq!(shell_words("a \"b"), Err(Unclosed { at: 2 }));
    }

    #[test]
    fn kernel() {
        assert_eq!(
            kernel_words(" quiet  dyndbg=\"file a.c +p\"\tx= "),
            ["quiet", "dyndbg=\"file a.c +p\"", "x="]
        );
        assert_eq!(kernel_words("a \"b c"), ["a", "\"b c"]);
    }
}
