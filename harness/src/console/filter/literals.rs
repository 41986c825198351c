//! The fixed text of a pattern: literals of which every match holds at least one.

use std::collections::BTreeSet;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};
use thiserror::Error;

use super::MIN_LITERAL;

/// Texts that a part of a pattern may be, at most. Beyond, it counts as unknown.
const MAX_TEXTS: usize = 16;

/// Bytes above which a literal is not thought better for being longer.
const LONG: usize = 12;

/// A pattern whose matches cannot be looked for quickly.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// It is not a regular expression.
    #[error("{0}")]
    Syntax(Box<regex_syntax::Error>),
    /// Any line could match.
    #[error(
        "has no fixed text of at least {MIN_LITERAL} letters that stands in every match; write out \
         more of the line, in each of the alternatives"
    )]
    NoFixedText,
}

/// Literals in lower case, each of at least [`MIN_LITERAL`] bytes. Every match of the pattern holds
/// one of them, when its ASCII letters are made lower case. Classes and cases are those of ASCII.
///
/// # Errors
/// What is not a regular expression of the `regex` crate's syntax, or has no such literals.
pub fn required_literals(pattern: &str) -> Result<Vec<String>, PatternError> {
    let mut parser = ParserBuilder::new().unicode(false).utf8(false).build();
    let hir = parser
        .parse(pattern)
        .map_err(|error| PatternError::Syntax(Box::new(error)))?;
    required(&hir)
        .map(|texts| texts.into_iter().collect())
        .ok_or(PatternError::NoFixedText)
}

type Texts = BTreeSet<String>;

/// The best set of literals for a part of a pattern.
fn required(hir: &Hir) -> Option<Texts> {
    let whole = exact(hir).filter(good_enough);
    whole.or_else(|| match hir.kind() {
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Alternation(parts) => {
            let mut all = Texts::new();
            for part in parts {
                all.extend(required(part)?);
            }
            Some(all)
        }
        HirKind::Concat(parts) => concat(parts),
        _ => None,
    })
}

/// Of what must all stand there, the best: neighbours whose texts are known are read together.
fn concat(parts: &[Hir]) -> Option<Texts> {
    let mut candidates = Vec::new();
    let mut run = Texts::from([String::new()]);
    for part in flat(parts) {
        let texts = exact(part);
        let longer = texts.as_ref().and_then(|texts| product(&run, texts));
        run = match (longer, texts) {
            (Some(longer), _) => longer,
            (None, texts) => {
                candidates.push(std::mem::take(&mut run));
                candidates.extend(required(part));
                texts.unwrap_or_else(|| Texts::from([String::new()]))
            }
        };
    }
    candidates.push(run);
    candidates
        .into_iter()
        .filter(good_enough)
        .max_by_key(|texts| {
            let shortest = texts.iter().map(String::len).min().unwrap_or(0);
            (shortest.min(LONG) as isize) - (texts.len() as isize)
        })
}

/// The parts of a sequence, those of groups in it too.
fn flat(parts: &[Hir]) -> Vec<&Hir> {
    let mut flattened = Vec::new();
    for part in parts {
        let mut inner = part;
        while let HirKind::Capture(capture) = inner.kind() {
            inner = &capture.sub;
        }
        match inner.kind() {
            HirKind::Concat(parts) => flattened.extend(flat(parts)),
            _ => flattened.push(inner),
        }
    }
    flattened
}

/// All texts that a part of a pattern matches, folded, if they are few.
fn exact(hir: &Hir) -> Option<Texts> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(Texts::from([String::new()])),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            Some(Texts::from([text.to_ascii_lowercase()]))
        }
        HirKind::Class(class) => class_texts(class),
        HirKind::Capture(capture) => exact(&capture.sub),
        HirKind::Repetition(repetition) => match (repetition.min, repetition.max) {
            (0, Some(1)) => {
                let mut texts = exact(&repetition.sub)?;
                texts.insert(String::new());
                Some(texts)
            }
            (min, max) if max == Some(min) => {
                let texts = exact(&repetition.sub)?;
                let mut all = Texts::from([String::new()]);
                for _ in 0..min {
                    all = product(&all, &texts)?;
                }
                Some(all)
            }
            _ => None,
        },
        HirKind::Concat(parts) => parts
            .iter()
            .try_fold(Texts::from([String::new()]), |all, part| {
                product(&all, &exact(part)?)
            }),
        HirKind::Alternation(parts) => {
            let mut all = Texts::new();
            for part in parts {
                all.extend(exact(part)?);
            }
            (all.len() <= MAX_TEXTS).then_some(all)
        }
    }
}

fn class_texts(class: &Class) -> Option<Texts> {
    let mut characters = Texts::new();
    match class {
        Class::Unicode(class) => {
            for range in class.ranges() {
                // Before folding, both cases of each.
                if range.len() > 2 * MAX_TEXTS {
                    return None;
                }
                characters.extend(
                    (range.start()..=range.end()).map(|c| c.to_ascii_lowercase().to_string()),
                );
            }
        }
        Class::Bytes(class) => {
            for range in class.ranges() {
                if range.end() > 0x7f || range.len() > 2 * MAX_TEXTS {
                    return None;
                }
                let range = range.start()..=range.end();
                characters
                    .extend(range.map(|byte| char::from(byte).to_ascii_lowercase().to_string()));
            }
        }
    }
    (1..=MAX_TEXTS)
        .contains(&characters.len())
        .then_some(characters)
}

/// Each of the first before each of the second, if those are few and not endless.
fn product(first: &Texts, second: &Texts) -> Option<Texts> {
    let length = |texts: &Texts| texts.iter().map(String::len).max().unwrap_or(0);
    if first.len() * second.len() > MAX_TEXTS || length(first) + length(second) > 4096 {
        return None;
    }
    let pairs = first
        .iter()
        .flat_map(|head| second.iter().map(move |tail| format!("{head}{tail}")));
    Some(pairs.collect())
}

fn good_enough(texts: &Texts) -> bool {
    !texts.is_empty() && texts.iter().all(|text| text.len() >= MIN_LITERAL)
}
