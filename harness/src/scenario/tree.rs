//! YAML text to a tree in which every key and value knows where it stands.

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use super::path::{Path, Step};

/// Deeper than any scenario, and shallow enough to recurse into.
const MAX_DEPTH: usize = 32;
/// After aliases are expanded.
const MAX_NODES: usize = 50_000;

/// A value and the bytes of the file that hold it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) span: Range<usize>,
    pub(super) literal: bool,
    /// The word of a number, for types that read digits in a way of their own.
    pub(super) number: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Node,
}

/// Something that YAML does not allow, or that we do not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Node {
    pub(super) fn new(value: Value, span: Range<usize>) -> Self {
        Self {
            value,
            span,
            literal: false,
            number: None,
        }
    }

    pub(super) fn get(&self, path: &Path) -> Option<&Node> {
        path.0
            .iter()
            .try_fold(self, |node, step| match (step, &node.value) {
                (Step::Key(key), Value::Mapping(entries)) => entries
                    .iter()
                    .find(|entry| entry.key == *key)
                    .map(|entry| &entry.value),
                (Step::Index(index), Value::List(items)) => items.get(*index),
                _ => None,
            })
    }

    pub(super) fn get_mut(&mut self, steps: &[Step]) -> Option<&mut Node> {
        steps
            .iter()
            .try_fold(self, |node, step| match (step, &mut node.value) {
                (Step::Key(key), Value::Mapping(entries)) => entries
                    .iter_mut()
                    .find(|entry| entry.key == *key)
                    .map(|entry| &mut entry.value),
                (Step::Index(index), Value::List(items)) => items.get_mut(*index),
                _ => None,
            })
    }

    /// Where a part of this scalar's text stands in the file, if the two can be laid side by side.
    pub(super) fn inside(&self, source: &str, part: &Range<usize>) -> Option<Range<usize>> {
        let Value::Text(text) = &self.value else {
            return None;
        };
        let raw = source.get(self.span.clone())?;
        if self.literal {
            return literal_part(source, self.span.start, text, part);
        }
        let offset = match raw.chars().next() {
            _ if raw == text => 0,
            Some('"' | '\'') if raw.get(1..raw.len() - 1) == Some(text) => 1,
            _ => return None,
        };
        let start = self.span.start + offset;
        Some(start + part.start..start + part.end)
    }
}

/// A line of a `|` block is a line of the file, indented. The span of the block begins at its first
/// line, or at the first that is not empty.
fn literal_part(
    source: &str,
    start: usize,
    text: &str,
    part: &Range<usize>,
) -> Option<Range<usize>> {
    let before = text.get(..part.start)?;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].split('\n').next()?;
    let leading = text.len() - text.trim_start_matches('\n').len();
    let skipped = if source.get(start..)?.starts_with(['\n', '\r']) {
        0
    } else {
        leading
    };
    let mut at = source
        .get(..start)?
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    for _ in 0..before.matches('\n').count().checked_sub(skipped)? {
        at += source.get(at..)?.find('\n')? + 1;
    }
    let raw = source.get(at..)?.split('\n').next()?.trim_end_matches('\r');
    let indent = raw.strip_suffix(line)?.len();
    let offset = part.start - line_start;
    let length = (part.end - part.start).min(line.len() - offset);
    let start = at + indent + offset;
    Some(start..start + length)
}

/// Parses one document. A syntax error ends the parse; everything else that is refused is
/// collected, and the tree goes on without it.
pub(super) fn parse(source: &str) -> Result<(Node, Vec<Refusal>), Refusal> {
    let offsets = Offsets::new(source);
    let mut builder = Builder {
        source,
        offsets: &offsets,
        stack: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        nodes: 0,
        documents: 0,
        refusals: Vec::new(),
    };
    for event in Parser::new_from_str(source) {
        match event {
            Ok((event, span)) => builder.take(event, span)?,
            Err(error) => return Err(syntax(source, &offsets, &error)),
        }
    }
    let root = builder.root.ok_or_else(|| Refusal {
        span: 0..0,
        message: "the file is empty".to_owned(),
        help: Some("begin with `name: …`; see `crashdrill schema`".to_owned()),
    })?;
    Ok((root, builder.refusals))
}

/// The parser counts characters, everybody else bytes.
struct Offsets(Option<Vec<usize>>, usize);

impl Offsets {
    fn new(source: &str) -> Self {
        let table = (!source.is_ascii()).then(|| source.char_indices().map(|(at, _)| at).collect());
        Self(table, source.len())
    }

    fn byte(&self, marker: &Marker) -> usize {
        match &self.0 {
            Some(table) => table.get(marker.index()).copied().unwrap_or(self.1),
            None => marker.index().min(self.1),
        }
    }

    fn range(&self, span: Span) -> Range<usize> {
        let start = self.byte(&span.start);
        start..self.byte(&span.end).max(start)
    }
}

/// A collection that is still open.
struct Open {
    start: usize,
    anchor: usize,
    parts: Parts,
}

enum Parts {
    List(Vec<Node>),
    Mapping {
        entries: Vec<Entry>,
        key: Option<(String, Range<usize>)>,
    },
}

struct Builder<'a> {
    source: &'a str,
    offsets: &'a Offsets,
    stack: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    documents: usize,
    refusals: Vec<Refusal>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Refusal> {
        let range = self.offsets.range(span);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(fatal(
                        range,
                        "a second document begins here",
                        "one file holds one scenario: remove the `---`, or put what follows into \
                         a file of its own",
                    ));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let span = self.trimmed(range);
                let value = self.scalar(&text, style, tag.as_deref(), &span);
                let is_number = matches!(
                    value,
                    Value::Unsigned(_) | Value::Signed(_) | Value::Float(_)
                );
                let node = Node {
                    value,
                    span,
                    literal: style == ScalarStyle::Literal,
                    number: is_number.then(|| text.to_string()),
                };
                self.finish(node, anchor)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), &range);
                self.open(range, anchor, Parts::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), &range);
                let parts = Parts::Mapping {
                    entries: Vec::new(),
                    key: None,
                };
                self.open(range, anchor, parts)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.stack.pop() {
                    let span = self.trimmed(open.start..range.end.max(open.start));
                    let value = match open.parts {
                        Parts::List(items) => Value::List(items),
                        Parts::Mapping { entries, .. } => Value::Mapping(entries),
                    };
                    self.finish(Node::new(value, span), open.anchor)?;
                }
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(fatal(
                        range,
                        "this alias stands inside its own anchor",
                        "write the value out",
                    ));
                };
                self.nodes += count(&node);
                self.finish(node, 0)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn open(&mut self, range: Range<usize>, anchor: usize, parts: Parts) -> Result<(), Refusal> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(fatal(
                range,
                "nested more than 32 levels deep",
                "a scenario needs five",
            ));
        }
        self.stack.push(Open {
            start: range.start,
            anchor,
            parts,
        });
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Refusal> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(fatal(
                node.span,
                "the file grows beyond 50000 values here",
                "aliases are copied wherever they are used: write fewer of them",
            ));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.parts {
            Parts::List(items) => items.push(node),
            Parts::Mapping { entries, key } => match key.take() {
                None => {
                    let text = match &node.value {
                        Value::Text(text) => text.clone(),
                        Value::List(_) | Value::Mapping(_) => {
                            return Err(fatal(
                                node.span,
                                "a key is a word, not a list or a mapping",
                                "text that begins with `[` or `{` goes into quotes",
                            ));
                        }
                        _ => self.source[node.span.clone()].to_owned(),
                    };
                    *key = Some((text, node.span));
                }
                Some((key, key_span)) => {
                    if let Some(refusal) = refuse_key(self.source, entries, &key, &key_span) {
                        self.refusals.push(refusal);
                    } else {
                        entries.push(Entry {
                            key,
                            key_span,
                            value: node,
                        });
                    }
                }
            },
        }
        Ok(())
    }

    fn trimmed(&self, range: Range<usize>) -> Range<usize> {
        let text = self.source.get(range.clone()).unwrap_or_default();
        range.start..range.start + text.trim_end().len()
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, span: &Range<usize>) {
        if let Some(tag) = tag {
            let line = self.source[span.start..].lines().next().unwrap_or_default();
            let tag = if tag.is_yaml_core_schema() {
                format!("!!{}", tag.suffix)
            } else {
                tag.to_string()
            };
            self.refusals.push(Refusal {
                span: span.start..span.start + line.trim_end().len(),
                message: format!("the tag `{tag}` has no meaning here"),
                help: Some("remove it; text that looks like a number goes into quotes".to_owned()),
            });
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: &Range<usize>,
    ) -> Value {
        match tag {
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => {
                return Value::Text(text.to_owned());
            }
            // A lone `!` makes text of anything.
            Some(tag) if tag.suffix.is_empty() => return Value::Text(text.to_owned()),
            tag => self.refuse_tag(tag, span),
        }
        if style == ScalarStyle::Plain {
            plain(text)
        } else {
            Value::Text(text.to_owned())
        }
    }
}

fn refuse_key(
    source: &str,
    entries: &[Entry],
    key: &str,
    key_span: &Range<usize>,
) -> Option<Refusal> {
    if key == "<<" {
        return Some(Refusal {
            span: key_span.clone(),
            message: "merge keys are not supported".to_owned(),
            help: Some("write the keys out, or say what differs in `variants:`".to_owned()),
        });
    }
    let first = entries.iter().find(|entry| entry.key == key)?;
    let line = source[..first.key_span.start].matches('\n').count() + 1;
    Some(Refusal {
        span: key_span.clone(),
        message: format!("`{key}` is written twice"),
        help: Some(format!("the first one is on line {line}: keep one of them")),
    })
}

/// The core schema of YAML 1.2, as users of 1.1 meet it: `yes` and `on` are text.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix('+').unwrap_or(text);
    let unsigned = if let Some(hex) = digits.strip_prefix("0x") {
        u64::from_str_radix(hex, 16)
            .ok()
            .filter(|_| !hex.starts_with('+'))
    } else if let Some(octal) = digits.strip_prefix("0o") {
        u64::from_str_radix(octal, 8)
            .ok()
            .filter(|_| !octal.starts_with('+'))
    } else {
        digits.parse().ok().filter(|_| !digits.starts_with('+'))
    };
    if let Some(number) = unsigned {
        return Value::Unsigned(number);
    }
    if let Ok(number) = text.parse() {
        return Value::Signed(number);
    }
    // Rust's f64 takes `inf` and `nan`, which are text in YAML.
    if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
        && text.contains(|c: char| c.is_ascii_digit())
        && let Ok(number) = text.parse()
    {
        return Value::Float(number);
    }
    Value::Text(text.to_owned())
}

fn count(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => items.iter().map(count).sum::<usize>() + 1,
        Value::Mapping(entries) => {
            entries
                .iter()
                .map(|entry| count(&entry.value))
                .sum::<usize>()
                + 1
        }
        _ => 1,
    }
}

fn fatal(span: Range<usize>, message: &str, help: &str) -> Refusal {
    Refusal {
        span,
        message: message.to_owned(),
        help: Some(help.to_owned()),
    }
}

/// `devices[0]`.
fn has_index(line: &str) -> bool {
    line.as_bytes().windows(3).any(|w| {
        w[0].is_ascii_alphanumeric() && w[1] == b'[' && (w[2].is_ascii_digit() || w[2] == b'"')
    })
}

/// The parser's words, with what is most often behind them.
fn syntax(source: &str, offsets: &Offsets, error: &ScanError) -> Refusal {
    let mut at = offsets.byte(error.marker());
    // At the end of the file there is nothing to underline: point to the last thing that is there.
    if at >= source.len() {
        at = source
            .trim_end()
            .char_indices()
            .next_back()
            .map_or(0, |(at, _)| at);
    }
    let start_of_line = source[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = source[start_of_line..].lines().next().unwrap_or_default();
    // What is left open on one line is often noticed on the next.
    let before = source[..start_of_line]
        .trim_end()
        .lines()
        .next_back()
        .unwrap_or_default();
    let indent = &line[..line.len() - line.trim_start().len()];
    let info = error.info();
    let mut span = at..at + source[at..].chars().next().map_or(0, char::len_utf8);
    let help = if let Some(tab) = indent.find('\t') {
        span = start_of_line + tab..start_of_line + tab + 1;
        Some("YAML is indented with blanks: replace the tab")
    } else if info.contains("mapping values are not allowed") {
        Some("text that holds `: ` goes into quotes; keys of one mapping begin in one column")
    } else if info.contains("unknown anchor") {
        Some("text that begins with `*` goes into quotes")
    } else if info.contains("cannot start any token") || info.contains("unexpected character") {
        Some("text that begins with `@`, `` ` `` or `%` goes into quotes")
    } else if line.contains('{') && has_index(line) {
        Some("between `{` and `}`, a path with `[…]` in it goes into quotes")
    } else if line.contains(['[', '{']) || before.contains(['[', '{']) || info.contains("flow") {
        Some("is a `]`, a `}` or a comma missing, or does text with one need quotes?")
    } else if line.contains(['"', '\'']) || info.contains("quoted scalar") {
        Some("is a closing quote missing, or does something stand behind it?")
    } else if info.contains("block mapping") || info.contains("simple key") || info.contains("key")
    {
        Some("each line is `key: value`, and the keys of one mapping begin in one column")
    } else {
        None
    };
    Refusal {
        span,
        message: format!("not YAML: {info}"),
        help: help.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests;
