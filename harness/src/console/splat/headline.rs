//! The lines that a report begins with.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::headlines::{Entry, HEADLINES, LOCKDEP, NAMED, SUB_PREFIXES};
use super::pattern::{Holes, Pattern};
use super::{Kind, MAX_TEXT, Process, Source, Symbol};

/// Literals, at least 5 bytes each, to be looked for regardless of ASCII case. Every line that can
/// begin a report, or witness one whose beginning is lost, holds one of them.
pub const BEGINNINGS: &[&str] = &[
    // Headlines. Two for those that matter most: one dropped character must not hide them.
    "BUG at ",
    "BUG: ",
    "BUG [#",
    "bug detected[#",
    "unable to handle",
    "pointer dereference",
    "paging request",
    "unable to execute userspace",
    "exploit attempt",
    "internal error: ",
    "protection fault",
    "invalid opcode",
    "divide error",
    "double fault",
    "stack overflow",
    "stack space to handle",
    "overflown the kernel stack",
    "stack guard page",
    "unhandled fault",
    "unhandled prefetch",
    "unhandled exception",
    "unhandled kernel",
    "bad mode in",
    "alignment trap",
    "serror interrupt",
    "missing endbr",
    "kernel fault: code",
    "kernel bad sw trap",
    "kernel unaligned",
    "corrupted page table",
    " [#1]",
    " [#2]",
    " [#3]",
    " [#4]",
    " [#5]",
    " [#6]",
    " [#7]",
    " [#8]",
    " [#9]",
    "000 [#",
    "Oops[#",
    "Oops: ",
    "Oops -",
    ": Oops",
    "kernel panic",
    "not syncing",
    "warning: ",
    "PID: ",
    "Badness at",
    "cut here",
    "soft lockup",
    "hard lockup",
    "detected lockup",
    "detected stall",
    "-detected stall",
    "detected expedited stall",
    "RCU detected",
    "kthread starved for",
    "kthread timer wakeup",
    "blocked for more than",
    "wait for more than",
    "sleeping function",
    "scheduling while atomic",
    "scheduling from the idle",
    "DEBUG_LOCKS_WARN_ON",
    "KASAN: ",
    "AddressSanitizer",
    "kcsan: ",
    "UBSAN: ",
    "corruption",
    "list_add double",
    "list_del attempt",
    "->next should be",
    "refcount",
    "ODEBUG: ",
    "bad page state",
    "BUG kmalloc",
    "(tainted: ",
    "(not tainted",
    "overwritten",
    "BUG size-",
    "object already free",
    "slab error in",
    "wrong slab cache",
    "attempt detected",
    "usercopy whitelist",
    "CFI failure",
    "suspected memory leak",
    "unreferenced object",
    "invoked oom-killer",
    "out of memory",
    "page allocation",
    "vmalloc error",
    "allocation failure",
    "machine check",
    "hardware memory error",
    "event severity",
    "NMI received",
    "NMI: PCI",
    "NMI: IOCK",
    "NMI: Unknown",
    "dazed and confused",
    "nobody cared",
    "bogus return value",
    "locking ",
    "inconsistent lock",
    "unlock balance",
    "bad contention",
    "lock freed",
    "lock held",
    "locks held",
    "nested lock",
    "suspicious r",
    "wait context",
    "lock order",
    "non-static key",
    "illegal operation",
    "monitor event",
    "divide exception",
    // Witnesses.
    "call trace",
    "backtrace",
    "RIP: 0",
    "IP  [<",
    "IP [<",
    "IP: [<",
    "EIP: ",
    "pc : ",
    "epc : ",
    "PC is at",
    "NIP [",
    "end trace",
    "modules linked in",
    "end kernel panic",
    "kernel offset: ",
    "SysRq",
];

/// Whether one of [`BEGINNINGS`] stands in a message.
pub(super) fn can_begin(message: &str) -> bool {
    BEGINNINGS.iter().any(|word| {
        let mut places = message.as_bytes().windows(word.len());
        places.any(|place| place.eq_ignore_ascii_case(word.as_bytes()))
    })
}

/// What a line means for the event that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Begins a report of something that was survived.
    Begins,
    /// Begins a report of something that was not.
    Kills,
    /// die()'s line: it begins a report if nothing of the event was printed before.
    Dies,
    /// panic()'s line: likewise.
    Panics,
    /// Says more of what has begun, or of what begins.
    Adds,
}

/// A line that is more than a line of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heading<'a> {
    pub kind: Kind,
    pub role: Role,
    /// The message without what stood before it.
    pub text: &'a str,
    pub source: Option<Source>,
    pub at: Option<Symbol>,
    pub cpu: Option<u32>,
    pub process: Option<Process>,
}

impl Heading<'_> {
    pub(super) fn fatal(&self) -> bool {
        matches!(self.role, Role::Kills | Role::Dies | Role::Panics)
    }
}

type Compiled = (Pattern, Kind, Role);

/// Bytes by which entries are grouped: most lines begin with none of the groups. A dropped
/// character among them is not forgiven.
const KEY: usize = 3;

/// The table's entries by the bytes that they begin with.
struct Table {
    entries: Vec<Compiled>,
    /// By the first byte, then by the first three.
    groups: Vec<Vec<([u8; KEY], Vec<u16>)>>,
    prefixes: Vec<Vec<&'static str>>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let entries = compile(HEADLINES);
    let mut groups: Vec<Vec<([u8; KEY], Vec<u16>)>> = vec![Vec::new(); 256];
    for (index, (pattern, ..)) in (0u16..).zip(&entries) {
        let Some(key) = pattern.begin().first_chunk::<KEY>() else {
            continue;
        };
        let group = &mut groups[usize::from(key[0])];
        match group.iter_mut().find(|(known, _)| known == key) {
            Some((_, indexes)) => indexes.push(index),
            None => group.push((*key, vec![index])),
        }
    }
    let mut prefixes = vec![Vec::new(); 256];
    for prefix in SUB_PREFIXES {
        if let Some(first) = prefix.bytes().next() {
            prefixes[usize::from(first)].push(*prefix);
        }
    }
    Table {
        entries,
        groups,
        prefixes,
    }
});
static BY_NAME: LazyLock<Vec<Compiled>> = LazyLock::new(|| compile(NAMED));
/// One of these stands in every line that fits an entry of [`NAMED`].
static NAMED_MARKS: LazyLock<[Finder<'static>; 5]> = LazyLock::new(|| {
    [
        Finder::new("oom-killer"),
        Finder::new(": page allocation "),
        Finder::new(": vmalloc"),
        Finder::new(": Oops "),
        Finder::new("orrupted page table"),
    ]
});

/// Whether a line may fit an entry of [`NAMED`].
fn is_named(text: &str) -> bool {
    let text = clip(text).as_bytes();
    // A register's line: four in five that are no frame.
    if text.get(3) == Some(&b':') && text[1].is_ascii_alphanumeric() && text[0] != b':' {
        let register = matches!(text[0], b'R' | b'E' | b'C' | b'D' | b'F' | b'x');
        if register && text[1] != b'i' {
            return false;
        }
    }
    let counted = memchr::memchr_iter(b'#', text).any(|at| at > 0 && text[at - 1] == b'[');
    counted || NAMED_MARKS.iter().any(|mark| mark.find(text).is_some())
}

fn compile(entries: &[Entry]) -> Vec<Compiled> {
    let compile = |(notation, kind, role): &Entry| (Pattern::new(notation), *kind, *role);
    entries.iter().map(compile).collect()
}

/// Understands a message that begins a report, or belongs to one as more than a mere line of it.
pub(super) fn heading(message: &str) -> Option<Heading<'_>> {
    // An address in a trace: most lines of a report.
    if message.starts_with(" [<") {
        return None;
    }
    let trimmed = message.trim();
    let text = without_prefixes(trimmed);
    if text.len() < 5 {
        return None;
    }
    let found = |kind, role, holes: Holes| Heading {
        kind,
        role,
        text: title_of(trimmed, text),
        source: holes.source,
        at: holes.at,
        cpu: holes.cpu,
        process: holes.process,
    };
    if let Some(what) = bracketed(text) {
        let locks = LOCKDEP.iter().any(|says| what.contains(says));
        if locks && what.len() < MAX_TEXT {
            return Some(found(Kind::Lockdep, Role::Begins, Holes::default()));
        }
    }
    let table = &*TABLE;
    let key = text.as_bytes().first_chunk::<KEY>()?;
    let group = table.groups[usize::from(key[0])].iter();
    let candidates = group
        .filter(|(known, _)| known == key)
        .flat_map(|(_, indexes)| indexes);
    let fit = |damaged| {
        candidates.clone().find_map(|index| {
            let (pattern, kind, role) = &table.entries[usize::from(*index)];
            Some((*kind, *role, pattern.fit(text, damaged)?))
        })
    };
    // `BUG: ` and anything may be something better that lost a character.
    let whole = fit(false);
    let best = match whole {
        Some((Kind::Bug, ..)) | None => fit(true).or(whole),
        known => known,
    };
    if let Some((kind, role, holes)) = best {
        return Some(refine(found(kind, role, holes)));
    }
    // A name does not begin with a space, but most frames do.
    if !message.starts_with(' ') && is_named(text) {
        for (pattern, kind, role) in BY_NAME.iter() {
            if let Some(holes) = pattern.fit(text, false) {
                return Some(refine(found(*kind, *role, holes)));
            }
        }
    }
    None
}

/// What stands behind `WARNING: `, or within `[ INFO:  ]`.
fn bracketed(text: &str) -> Option<&str> {
    if !matches!(text.as_bytes().first()?, b'[' | b'W' | b'I' | b'B') {
        return None;
    }
    let bare = text.strip_prefix("[ ").unwrap_or(text);
    ["WARNING: ", "INFO: ", "BUG: "]
        .iter()
        .find_map(|word| bare.strip_prefix(word))
}

/// What the table cannot say.
fn refine(mut heading: Heading<'_>) -> Heading<'_> {
    let text = heading.text;
    match heading.kind {
        // show_regs() and die() of the others print a process's line with the same words.
        Kind::Oops if text.contains("Oops - BUG") => heading.kind = Kind::KernelBug,
        Kind::Oops if text.contains("CFI") => heading.kind = Kind::Cfi,
        _ => {}
    }
    heading
}

/// The headline as a title: without the mark that stood before it on a joined line.
fn title_of<'a>(trimmed: &'a str, text: &'a str) -> &'a str {
    let whole = trimmed
        .strip_prefix(super::headlines::SUB_PREFIXES[0])
        .map_or(trimmed, str::trim_start);
    clip(if whole.is_empty() { text } else { whole })
}

fn without_prefixes(message: &str) -> &str {
    let mut text = message;
    // `NMI watchdog: BUG: ...` has one, `kernel: watchdog: BUG: ...` two.
    for _ in 0..3 {
        let Some(first) = text.as_bytes().first() else {
            break;
        };
        let prefixes = &TABLE.prefixes[usize::from(*first)];
        let Some(rest) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) else {
            break;
        };
        if rest.trim_start().is_empty() {
            break;
        }
        text = rest.trim_start();
    }
    // Generic Hardware Error Source: `{1}[Hardware Error]: event severity: fatal`.
    if text.starts_with('{')
        && let Some((number, rest)) = text.split_once("}[Hardware Error]: ")
        && number[1..].bytes().all(|b| b.is_ascii_digit())
    {
        return rest.trim_start();
    }
    // `CPU: 0 PID: ...`, where the buddy of the stuck CPU speaks.
    if text.starts_with("CPU")
        && let Some((cpu, rest)) = text.split_once(": ")
        && rest.starts_with("Watchdog detected")
        && cpu.len() < 10
    {
        return rest;
    }
    text
}

/// At most [`MAX_TEXT`] bytes.
pub(super) fn clip(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;
