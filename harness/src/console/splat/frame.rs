//! Lines of call traces.
//!
//! Every architecture has its own form: show_trace_log_lvl() of arch/x86/kernel/dumpstack.c,
//! dump_backtrace_entry() of arch/arm64/kernel/stacktrace.c and arch/arm/kernel/traps.c,
//! show_stack() of arch/powerpc/kernel/process.c, show_stack() of arch/s390/kernel/dumpstack.c,
//! print_ip_sym() for the others; stack_trace_print() of kernel/stacktrace.c. Symbolizers
//! (scripts/decode_stacktrace.sh and syzbot's) add or replace what stands behind the name.

use std::sync::LazyLock;

use memchr::memmem;

use super::field;
use super::symbol::{
    braced, hex_digits, is_address, module, module_name, name, named, symbol, whole,
};
use super::{Frame, MAX_TEXT, Source, Symbol};
use crate::console::LineRef;

/// All frames that a message holds, in their order, and whether it holds any.
///
/// A frame stands at the begin of the message, behind another frame or behind `Call Trace:`; what
/// only mentions a symbol in running text is none. On arm, where a line names a function and its
/// caller, it is the caller: the function was the line before's.
pub(super) fn frames(message: &str, out: &mut dyn FnMut(Frame)) -> bool {
    if let Some(frame) = common(message) {
        out(frame);
        return true;
    }
    let rest = skip_gap(message);
    if let Some((frame, rest)) = one(rest) {
        out(frame);
        more(rest, out);
        return true;
    }
    // Only the joined lines of a whole report have frames further behind.
    let mut any = false;
    for at in TRACE.find_iter(message.as_bytes()) {
        let (before, after) = (message.get(..at), message.get(at + 5..));
        let (Some(before), Some(after)) = (before, after) else {
            continue;
        };
        if !TRACE_WORDS.iter().any(|word| before.ends_with(word)) {
            continue;
        }
        if let Some((frame, rest)) = one(skip_gap(after)) {
            out(frame);
            more(rest, out);
            any = true;
        }
    }
    any
}

/// A line that is nothing but a frame in one of the commonest forms, which the others would read
/// likewise: ` [<ffffffff8105803e>] ? foo+0x3e/0x70 [mod]`, ` ? foo+0x3e/0x70 [mod]`.
fn common(message: &str) -> Option<Frame> {
    let bytes = message.as_bytes();
    let blanks = bytes.iter().take_while(|byte| **byte == b' ').count();
    let mut rest = message.get(blanks..)?;
    if rest.starts_with("[<") {
        let digits = hex_digits(rest.get(2..)?);
        if !matches!(digits, 8 | 16) {
            return None;
        }
        rest = rest.get(2 + digits..)?.strip_prefix(">] ")?;
    }
    let mut reliable = true;
    if let Some(doubted) = rest.strip_prefix("? ") {
        reliable = false;
        rest = doubted;
    }
    Some(Frame {
        symbol: whole(rest)?,
        reliable,
        source: None,
    })
}

/// The end of `Call Trace:` and its kin.
static TRACE: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("race:"));

/// What stands before `race:` where a trace begins.
const TRACE_WORDS: [&str; 5] = ["Call T", "Call t", "Backt", "backt", "Stack T"];

/// The frames behind one of the same message.
fn more(mut rest: &str, out: &mut dyn FnMut(Frame)) {
    loop {
        let next = skip_gap(rest);
        let found = one(next).or_else(|| one(behind_prose(next)?));
        let Some((frame, after)) = found else {
            return;
        };
        out(frame);
        rest = after;
    }
}

/// The text behind what somebody wrote behind a frame: from the next time stamp or address.
/// Nothing where the report itself goes on in another way.
fn behind_prose(text: &str) -> Option<&str> {
    if text.is_empty() || field::field(text).is_some() {
        return None;
    }
    for at in memchr::memchr_iter(b'[', text.as_bytes()) {
        let after = text.get(at..)?;
        let message = LineRef::new(0, after).message();
        if message.len() < after.len() {
            return Some(skip_gap(message));
        }
        if pointer(after).is_some() {
            let before = text.get(..at)?.trim_end();
            let instruction = before.ends_with("RIP") || before.ends_with(':');
            return (!instruction).then_some(after);
        }
    }
    None
}

/// Without what may stand before a frame: blanks, time stamps, callers, marks of stacks.
fn skip_gap(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        let shorter = match text.as_bytes().first() {
            // An address is no clock: that has neither letters nor a sign.
            Some(b'[') if matches!(text.as_bytes(), [_, b'<', b'a'..=b'f', ..]) => return text,
            Some(b'[') => LineRef::new(0, text).message(),
            Some(b'<') => match field::marker(text) {
                Some((_, rest)) => rest,
                None => LineRef::new(0, text).message(),
            },
            _ => return text,
        };
        if shorter.len() == text.len() {
            return text;
        }
        text = shorter;
    }
}

/// One frame at the begin of the text, and the rest.
fn one(text: &str) -> Option<(Frame, &str)> {
    match text.as_bytes().first()? {
        b'[' => bracketed(text),
        b'(' => parenthesised(text),
        b'<' => ancient(text),
        b'?' => {
            let rest = text.strip_prefix("? ")?.trim_start_matches(' ');
            let (frame, rest) = pointed(rest).or_else(|| bare(rest))?;
            Some((unreliable(frame), rest))
        }
        b'-' => interrupted(text),
        _ => bare(text),
    }
}

fn reliable(symbol: Symbol) -> Frame {
    Frame {
        symbol,
        reliable: true,
        source: None,
    }
}

fn unreliable(frame: Frame) -> Frame {
    Frame {
        reliable: false,
        ..frame
    }
}

/// `foo+0x1/0x2 [mod]`, `foo from bar+0x1/0x2`, `foo (file.c:12) mod`, `foo file.c:12 [inline]`,
/// `0xffffffffc01e7fff`.
fn bare(text: &str) -> Option<(Frame, &str)> {
    if text.starts_with("0x") {
        let (symbol, length) = symbol(text)?;
        let rest = text.get(length..)?;
        // Tables of addresses are no traces.
        let kernel = length >= 10 || symbol.name == "0x0";
        return (kernel && ends_frame(rest)).then(|| (reliable(symbol), rest));
    }
    let end = name(text)?;
    let rest = text.get(end..)?;
    match rest.as_bytes().first()? {
        b'+' if rest.starts_with("+0x") => {
            let (symbol, length) = symbol(text)?;
            let rest = text.get(length..)?;
            caller(rest).or_else(|| Some(tail(reliable(symbol), rest)))
        }
        b' ' => {
            let symbol = || named(text.get(..end).unwrap_or_default());
            if rest.starts_with(" (") {
                return decoded(symbol, rest);
            }
            let behind_module = module(rest).and_then(|(_, length)| rest.get(length..));
            if let Some(found) = caller(behind_module.unwrap_or(rest)) {
                return Some(found);
            }
            let (source, rest) = source(rest.get(1..)?)?;
            let rest = rest.strip_prefix(" [inline]")?;
            let frame = Frame {
                source,
                ..reliable(symbol())
            };
            Some((frame, rest))
        }
        _ => None,
    }
}

/// ` from bar+0x1/0x2`, ` from [<c0008d24>] (bar+0x10/0x20)`: arm.
fn caller(text: &str) -> Option<(Frame, &str)> {
    let rest = text.strip_prefix(" from ")?;
    if let Some(rest) = pointer(rest) {
        let rest = rest.trim_start_matches(' ').strip_prefix('(')?;
        let (symbol, length) = symbol(rest)?;
        // The line may end too early.
        let rest = match rest.get(length..)? {
            "" => "",
            more => more.strip_prefix(')')?,
        };
        return Some((reliable(symbol), rest));
    }
    let (symbol, length) = symbol(rest)?;
    Some(tail(reliable(symbol), rest.get(length..)?))
}

/// `[<ffffffff8105803e>] foo+0x3e/0x70` and its kin, `[inline] foo file.c:12`,
/// `[c0000000fb3f7a10] [c000000000012345] foo+0x1/0x2 (unreliable)`.
fn bracketed(text: &str) -> Option<(Frame, &str)> {
    if text.starts_with("[<") {
        return pointed(text).or_else(|| inline(text));
    }
    if text.starts_with("[inline]") {
        return inline(text);
    }
    let mut rest = stack_address(text)?.trim_start_matches(' ');
    if let Some(second) = stack_address(rest) {
        rest = second.trim_start_matches(' ');
    }
    let (symbol, length) = symbol(rest)?;
    Some(tail(reliable(symbol), rest.get(length..)?))
}

/// `[<ffffffff8105803e>]` with what stands behind it.
fn pointed(text: &str) -> Option<(Frame, &str)> {
    let after = pointer(text)?;
    let mut rest = after.trim_start_matches(' ');
    let mut sure = true;
    if let Some(doubted) = rest.strip_prefix("? ") {
        rest = doubted.trim_start_matches(' ');
        sure = false;
    }
    if let Some((symbol, length)) = symbol(rest) {
        let (mut frame, rest) = tail(reliable(symbol), rest.get(length..)?);
        frame.reliable &= sure;
        return Some((frame, rest));
    }
    // arm: `(foo) from [<c0008d24>] (bar+0x10/0x20)`.
    if let Some(inner) = rest.strip_prefix('(') {
        let end = inner.bytes().take(MAX_TEXT).position(|byte| byte == b')')?;
        if let Some(found) = inner.get(end + 1..).and_then(caller) {
            return Some(found);
        }
        let (symbol, length) = symbol(inner)?;
        return (length == end).then(|| (reliable(symbol), inner.get(end + 1..).unwrap_or("")));
    }
    if let Some((symbol, length)) = braced(rest) {
        return Some((reliable(symbol), rest.get(length..)?));
    }
    if let Some(end) = name(rest) {
        let behind = rest.get(end..)?;
        if behind.starts_with(" (") {
            let symbol = || named(rest.get(..end).unwrap_or_default());
            let (mut frame, rest) = decoded(symbol, behind)?;
            frame.reliable &= sure;
            return Some((frame, rest));
        }
        if let Some((source, behind)) = behind.strip_prefix(' ').and_then(source)
            && let Some(behind) = behind.strip_prefix(" [inline]")
        {
            let frame = Frame {
                source,
                ..reliable(named(rest.get(..end)?))
            };
            return Some((frame, behind));
        }
    }
    // Without kallsyms.
    let digits = text.get(2..text.len() - after.len() - 2)?;
    if !ends_frame(after) || hex_digits(digits) != digits.len() {
        return None;
    }
    let mut frame = reliable(named(&format!("0x{digits}")));
    frame.reliable = sure;
    Some((frame, after))
}

/// `([<0000000000123456>] foo+0x1/0x2)`: s390, where the parentheses mean doubt.
fn parenthesised(text: &str) -> Option<(Frame, &str)> {
    let (frame, rest) = pointed(text.strip_prefix('(')?)?;
    let rest = rest.strip_prefix(')')?;
    Some((unreliable(frame), rest))
}

/// `<ffffffff81234567>{foo+16}`.
fn ancient(text: &str) -> Option<(Frame, &str)> {
    let digits = text.strip_prefix('<')?;
    let length = hex_digits(digits);
    if length < 8 {
        return None;
    }
    let rest = digits.get(length..)?.strip_prefix('>')?;
    let rest = rest.trim_start_matches(' ');
    let (symbol, length) = braced(rest)?;
    Some((reliable(symbol), rest.get(length..)?))
}

/// `--- interrupt: 300 at foo+0x1/0x2`, `--- Exception: 901 at .foo+0x1/0x2`: powerpc names the
/// interrupted function only here.
fn interrupted(text: &str) -> Option<(Frame, &str)> {
    let rest = text.strip_prefix("--- ")?;
    let rest = rest
        .strip_prefix("interrupt: ")
        .or_else(|| rest.strip_prefix("Exception: "))?;
    let rest = rest.get(hex_digits(rest)..)?.strip_prefix(" at ")?;
    let (symbol, length) = symbol(rest)?;
    // User space.
    if is_address(&symbol.name) {
        return None;
    }
    Some((reliable(symbol), rest.get(length..)?))
}

/// `[inline] foo file.c:12`, `[<     inline     >] foo file.c:12`.
fn inline(text: &str) -> Option<(Frame, &str)> {
    let rest = match text.strip_prefix("[inline]") {
        Some(rest) => rest,
        None => text
            .strip_prefix("[<")?
            .trim_start_matches(' ')
            .strip_prefix("inline")?
            .trim_start_matches(' ')
            .strip_prefix(">]")?,
    };
    let rest = rest.trim_start_matches(' ');
    let end = name(rest)?;
    let symbol = named(rest.get(..end)?);
    let (source, rest) = source(rest.get(end..)?.strip_prefix(' ')?)?;
    let frame = Frame {
        source,
        ..reliable(symbol)
    };
    Some((frame, rest))
}

/// What may stand behind a symbol that has an offset.
fn tail(mut frame: Frame, mut rest: &str) -> (Frame, &str) {
    if let Some(after) = rest.strip_prefix(" (unreliable)") {
        return (unreliable(frame), after);
    }
    if let Some(after) = arm64_flags(rest) {
        rest = after;
    }
    if let Some(after) = rest.strip_prefix(' ')
        && let Some((source, after)) = source(after)
    {
        frame.source = source;
        rest = after.strip_prefix(" [inline]").unwrap_or(after);
        if frame.symbol.module.is_none()
            && let Some((name, length)) = module(rest)
        {
            frame.symbol.module = Some(name.to_owned());
            rest = rest.get(length..).unwrap_or_default();
        }
    }
    (frame, rest)
}

/// ` (P)`, ` (LK)`: where the unwinder has it from (arch/arm64/kernel/stacktrace.c since 6.13).
fn arm64_flags(text: &str) -> Option<&str> {
    let flags = text.strip_prefix(" (")?;
    let count = flags.bytes().take(5).take_while(u8::is_ascii_uppercase);
    let count = count.count();
    if !(1..=4).contains(&count) {
        return None;
    }
    flags.get(count..)?.strip_prefix(')')
}

/// ` (file.c:12 (discriminator 3) file.h:7) mod` behind a name: scripts/decode_stacktrace.sh.
fn decoded(symbol: impl Fn() -> Symbol, text: &str) -> Option<(Frame, &str)> {
    let inner = text.strip_prefix(" (")?;
    let (source, rest) = source(inner)?;
    // Inlined functions' places follow, and discriminators in parentheses.
    let mut depth = 1usize;
    let end = rest.bytes().take(4 * MAX_TEXT).position(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        depth == 0
    })?;
    let mut rest = rest.get(end + 1..)?;
    let mut symbol = symbol();
    if let Some((name, length)) = module(rest) {
        symbol.module = Some(name.to_owned());
        rest = rest.get(length..)?;
    } else if let Some(word) = rest.strip_prefix(' ') {
        let length = module_name(word);
        let after = word.get(length..)?;
        let last = after.trim_start().is_empty() || after.starts_with(" [");
        if length > 0 && last {
            symbol.module = Some(word.get(..length)?.to_owned());
            rest = after;
        }
    }
    let mut frame = Frame {
        source,
        ..reliable(symbol)
    };
    if let Some(after) = arm64_flags(rest) {
        rest = after;
    } else if let Some(after) = rest.strip_prefix(" (unreliable)") {
        frame.reliable = false;
        rest = after;
    }
    Some((frame, rest))
}

/// `drivers/x/y.c:123`, `:123:4`, `??:?`, `y.c:?` at the begin of the text, and the rest. What the
/// symbolizer does not know is no source, but it is its form.
pub(super) fn source(text: &str) -> Option<(Option<Source>, &str)> {
    let end = text
        .bytes()
        .take(MAX_TEXT)
        .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'(' | b')' | b':'))?;
    let file = text.get(..end)?;
    let rest = text.get(end..)?.strip_prefix(':')?;
    if file != "??" && !is_source_file(file) {
        return None;
    }
    if let Some(rest) = rest.strip_prefix('?') {
        return Some((None, rest));
    }
    let digits = rest.bytes().take(10).take_while(u8::is_ascii_digit).count();
    let line = rest.get(..digits)?.parse().ok()?;
    let mut rest = rest.get(digits..)?;
    if let Some(column) = rest.strip_prefix(':') {
        let digits = column.bytes().take(10).take_while(u8::is_ascii_digit);
        match digits.count() {
            0 => {}
            count => rest = column.get(count..)?,
        }
    }
    let known = file != "??" && line > 0;
    let source = known.then(|| Source::new(file, line));
    Some((source, rest))
}

/// Whether a path ends like those of the kernel's sources.
fn is_source_file(path: &str) -> bool {
    [".c", ".h", ".S", ".rs", ".s", ".cc", ".y", ".l"]
        .iter()
        .any(|end| path.len() > end.len() && path.ends_with(end))
}

/// `[<ffffffff8105803e>]`, `[<(____ptrval____)>]`, `[<          (null)>]`: the text behind it.
pub(super) fn pointer(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("[<")?;
    let digits = hex_digits(inner);
    if let Some(rest) = inner.get(digits..)?.strip_prefix(">]") {
        return (4..=16).contains(&digits).then_some(rest);
    }
    let inner = inner.trim_start_matches(' ');
    ["(ptrval)>]", "(____ptrval____)>]", "(null)>]"]
        .iter()
        .find_map(|word| inner.strip_prefix(word))
}

/// `[c0000000fb3f7a10]`: the text behind it.
fn stack_address(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let digits = hex_digits(inner);
    let rest = inner.get(digits..)?.strip_prefix(']')?;
    (8..=16).contains(&digits).then_some(rest)
}

/// Whether nothing, or the next frame, follows.
fn ends_frame(rest: &str) -> bool {
    let next = rest.trim_start();
    next.is_empty()
        || (next.len() < rest.len()
            && (next.starts_with(['[', '?', '<']) || symbol(next).is_some()))
}

#[cfg(test)]
mod tests;
