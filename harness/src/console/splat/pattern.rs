//! The notation of the tables: text with holes.
//!
//! `*` is any text up to what follows, `{source}` is `file.c:12`, `{at}` is `func+0x1/0x2` or
//! `func`, `{cpu}` and `{pid}` and `{number}` are decimal, `{hex}` is hexadecimal with or without
//! `0x`, `{comm}` is the name of a process, `{task}` is `comm:pid`, `{proc}` is `comm/pid`,
//! `{word}` is text without a space, `{any}` is any text at all, `$` is the end.

use memchr::memmem;

use super::symbol::{hex_digits, name, named, symbol};
use super::{MAX_TEXT, Process, Source, Symbol};

/// A pattern, taken apart.
#[derive(Debug)]
pub(super) struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Text(&'static str),
    /// `*`
    Gap,
    Source,
    At,
    Cpu,
    Pid,
    Number,
    Hex,
    Comm,
    Task,
    Proc,
    Word,
    Some,
    End,
}

/// What stood in the holes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Holes {
    pub source: Option<Source>,
    pub at: Option<Symbol>,
    pub cpu: Option<u32>,
    pub process: Option<Process>,
}

/// Shorter text is too common for a dropped character to be forgiven.
const MIN_DAMAGED: usize = 12;
/// Bytes of the longest name of a process: a workqueue's thread (kernel/workqueue.c).
const MAX_COMM: usize = 64;

impl Pattern {
    pub(super) fn new(notation: &'static str) -> Self {
        let mut parts = Vec::new();
        let mut rest = notation;
        while let Some(at) = rest.find(['{', '*', '$']) {
            if at > 0 {
                parts.push(Part::Text(&rest[..at]));
            }
            rest = &rest[at..];
            let length = match rest.as_bytes()[0] {
                b'{' => rest.find('}').map_or(rest.len(), |end| end + 1),
                _ => 1,
            };
            // What is no hole is text: `stalls on CPUs/tasks: {`.
            parts.push(match &rest[..length] {
                "*" => Part::Gap,
                "$" => Part::End,
                "{source}" => Part::Source,
                "{at}" => Part::At,
                "{cpu}" => Part::Cpu,
                "{pid}" => Part::Pid,
                "{number}" => Part::Number,
                "{hex}" => Part::Hex,
                "{comm}" => Part::Comm,
                "{task}" => Part::Task,
                "{proc}" => Part::Proc,
                "{word}" => Part::Word,
                "{any}" => Part::Some,
                text => Part::Text(text),
            });
            rest = &rest[length..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest));
        }
        Self { parts }
    }

    /// What every text that fits begins with.
    pub(super) fn begin(&self) -> &'static [u8] {
        match self.parts.first() {
            Some(Part::Text(text)) => text.as_bytes(),
            _ => &[],
        }
    }

    /// What stands in the holes, if the text begins like the pattern.
    /// With `damaged`, one byte of the pattern's first text may be missing.
    pub(super) fn fit(&self, text: &str, damaged: bool) -> Option<Holes> {
        if !self.may_fit(text.as_bytes(), damaged) {
            return None;
        }
        self.fill(text, damaged)
    }

    /// Cheap, and nearly always right: a damaged line is as good as whole at the end of the
    /// pattern's first text, one byte earlier.
    fn may_fit(&self, text: &[u8], damaged: bool) -> bool {
        let begin = self.begin();
        if !damaged {
            return text.starts_with(begin);
        }
        let length = begin.len();
        length >= MIN_DAMAGED && text.get(length - 5..length - 1) == begin.get(length - 4..)
    }

    fn fill(&self, text: &str, damaged: bool) -> Option<Holes> {
        let mut holes = Holes::default();
        let mut pid = None;
        let mut rest = text;
        let mut parts = self.parts.iter().copied().enumerate();
        while let Some((index, part)) = parts.next() {
            // The text that ends a hole of any content.
            let until = match self.parts.get(index + 1) {
                Some(Part::Text(text)) => Some(*text),
                _ => None,
            };
            match part {
                Part::Text(literal) => {
                    rest = match rest.strip_prefix(literal) {
                        Some(rest) => rest,
                        None if damaged && index == 0 => without_one(rest, literal)?,
                        None => return None,
                    };
                }
                Part::Gap => {
                    let until = until?;
                    rest = &rest[find(rest, until)? + until.len()..];
                    parts.next();
                }
                Part::Source => {
                    let (source, length) = source(rest)?;
                    holes.source = Some(source);
                    rest = &rest[length..];
                }
                Part::At => {
                    let (at, length) = place(rest)?;
                    holes.at = Some(at);
                    rest = &rest[length..];
                }
                Part::Cpu => {
                    let (number, length) = number(rest)?;
                    holes.cpu = Some(number);
                    rest = &rest[length..];
                }
                Part::Pid => {
                    let (number, length) = number(rest)?;
                    pid = Some(number);
                    rest = &rest[length..];
                }
                Part::Number => {
                    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                    rest = rest.get(digits..).filter(|_| digits > 0)?;
                }
                Part::Hex => {
                    let bare = rest.strip_prefix("0x").unwrap_or(rest);
                    let digits = bare.bytes().take_while(u8::is_ascii_hexdigit).count();
                    rest = bare.get(digits..).filter(|_| digits > 0)?;
                }
                Part::Word => {
                    let length = rest
                        .bytes()
                        .take_while(|b| !matches!(b, b' ' | b':'))
                        .count();
                    rest = rest.get(length..).filter(|_| length > 0)?;
                }
                Part::Some => {
                    if rest.trim().is_empty() {
                        return None;
                    }
                    rest = "";
                }
                Part::Comm | Part::Task | Part::Proc => {
                    let name = match until {
                        Some(until) => &rest[..find_within(rest, until)?],
                        None => rest.split([',', ' ']).next()?,
                    };
                    let (comm, number) = match part {
                        Part::Comm => (name, None),
                        Part::Task => split(name, ':')?,
                        _ => split(name, '/')?,
                    };
                    if comm.is_empty() || comm.len() > MAX_COMM || comm.starts_with(' ') {
                        return None;
                    }
                    pid = number.or(pid);
                    holes.process = Some(Process {
                        comm: comm.to_owned(),
                        pid,
                    });
                    rest = &rest[name.len()..];
                }
                Part::End if rest.trim().is_empty() => {}
                Part::End => return None,
            }
        }
        if let Some(process) = &mut holes.process {
            process.pid = pid;
        }
        Some(holes)
    }
}

fn find(text: &str, what: &str) -> Option<usize> {
    // Foreign lines may be long; no headline is.
    let reach = text.len().min(MAX_TEXT);
    memmem::find(&text.as_bytes()[..reach], what.as_bytes())
}

fn find_within(text: &str, what: &str) -> Option<usize> {
    let reach = text.len().min(2 * MAX_COMM + what.len());
    memmem::find(&text.as_bytes()[..reach], what.as_bytes())
}

/// The rest of a text that begins with the literal but for one byte that got lost.
fn without_one<'a>(text: &'a str, literal: &str) -> Option<&'a str> {
    if literal.len() < MIN_DAMAGED {
        return None;
    }
    let same = text
        .bytes()
        .zip(literal.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    if same < 3 {
        return None;
    }
    text.get(same..)?.strip_prefix(literal.get(same + 1..)?)
}

/// `comm:12`, whose name may hold the separator too: `kworker/0:1:123`.
fn split(text: &str, separator: char) -> Option<(&str, Option<u32>)> {
    let (comm, pid) = text.rsplit_once(separator)?;
    Some((comm, Some(pid.parse().ok()?)))
}

fn number(text: &str) -> Option<(u32, usize)> {
    let digits = text.bytes().take(10).take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, digits))
}

/// `lib/list_debug.c:28`, and its length. UBSAN adds a column.
fn source(text: &str) -> Option<(Source, usize)> {
    let end = text
        .bytes()
        .take(MAX_TEXT)
        .take_while(|b| !matches!(b, b' ' | b'!' | b'\t'))
        .count();
    let word = text.get(..end)?;
    // Of all the file names that a kernel prints, none lacks its extension.
    let dot = word.find(".c:").or_else(|| word.find(".h:"));
    let dot = dot.or_else(|| word.find(".S:").or_else(|| word.find(".rs:")))?;
    let colon = dot + word[dot..].find(':')?;
    let file = &word[..colon];
    let (line, length) = number(&word[colon + 1..])?;
    let printable = file.bytes().all(|b| b.is_ascii_graphic());
    if dot == 0 || !printable {
        return None;
    }
    let mut used = colon + 1 + length;
    if let Some(column) = word[used..].strip_prefix(':') {
        used += 1 + column.bytes().take_while(u8::is_ascii_digit).count();
    }
    Some((Source::new(file, line), used))
}

/// A symbol, and its length: with offset and module, or a bare name of a function.
fn place(text: &str) -> Option<(Symbol, usize)> {
    let (symbol, mut length) = match symbol(text) {
        Some(found) => found,
        None => {
            let length = name(text)?;
            // A path is none, nor is an address.
            let address = length >= 8 && hex_digits(&text[..length]) == length;
            if address || text[length..].starts_with('/') {
                return None;
            }
            (named(&text[..length]), length)
        }
    };
    // WARNING of 2.6 to 4.4, and `using smp_processor_id()`.
    if text[length..].starts_with("()") {
        length += 2;
    }
    Some((symbol, length))
}
