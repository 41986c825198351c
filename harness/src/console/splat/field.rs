//! The lines of a report beside its headline and its trace: who ran, where, on what.

mod plain;

use plain::plain_line;

use super::frame::{pointer, source};
use super::symbol::{braced, hex_digits, module_name, name, named, symbol};
use super::{MAX_MODULES, MAX_TEXT, Module, Process, Source, Symbol};

/// What a line of a report says. A line that holds frames ([`super::frame::frames`]) is to be
/// taken for that first: 3.x prints ` <IRQ>  [<ffffffff8105803e>] foo+0x1/0x2` in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// `CPU: 0 PID: 234 Comm: systemd-udevd Tainted: G OE 3.10.0 #1` and older forms, which say
    /// only some of it (lib/dump_stack.c, dump_stack_print_info()).
    Process {
        /// The CPU's number.
        cpu: Option<u32>,
        /// The command and its process id.
        process: Option<Process>,
        /// The taint's flags, `G OE`, empty for `Not tainted`.
        taint: Option<String>,
        /// The kernel's release.
        release: Option<String>,
    },
    /// `Hardware name: `: the rest.
    Hardware(&'a str),
    /// Where the instruction pointer stood in kernel mode. The name is an address, `0x0`, where no
    /// symbol covers it. Within a trace it is the interrupted function, which the trace does not
    /// repeat.
    Instruction(Symbol, Option<Source>),
    /// `Modules linked in: `. The list may go on in the next lines.
    Modules(Vec<Module>),
    /// `Call Trace:` and its kin: frames follow.
    TraceBegin,
    /// `Last Breaking-Event-Address:`, `Preemption disabled at:`: a frame may follow, but it is not
    /// of the trace.
    NoTrace,
    /// `<IRQ>`, `</TASK>`, `<#DF>`: the trace goes on on another stack. The text within.
    Marker(&'a str),
    /// `---[ end trace 389c806a74c30735 ]---`, `---[ end Kernel panic - not syncing: ... ]---`.
    EndTrace,
    /// Belongs to a report and says nothing that is kept: registers, stack, code, page tables.
    Machinery,
}

/// What a message says, if it is a line of a report.
pub(super) fn field(message: &str) -> Option<Field<'_>> {
    let text = message.trim_start();
    match text.as_bytes().first()? {
        // lib/smp_processor_id.c.
        b'c' if text.starts_with("caller is ") => at(text.get(10..)?),
        b'C' => cpu(text).or_else(|| plain_line(text)),
        b'P' => pid(text).or_else(|| plain_line(text)),
        b'H' => match text.strip_prefix("Hardware name: ") {
            Some(name) => Some(Field::Hardware(name.trim())),
            None => plain_line(text),
        },
        b'M' => match text.strip_prefix("Modules linked in:") {
            Some(list) => Some(Field::Modules(modules(list))),
            None => plain_line(text),
        },
        b'<' => marker(text).map(|(word, _)| Field::Marker(word)),
        b'-' if text.starts_with("---[ end ") => Some(Field::EndTrace),
        b'T' => task_line(text).or_else(|| plain_line(text)),
        b't' => task_line(text).or_else(|| plain_line(text)),
        b'B' | b'S' | b'b' | b's' => trace_begin(text).or_else(|| plain_line(text)),
        b'R' if text.starts_with("REGS: ") => Some(regs(text)),
        b'R' | b'E' | b'p' | b'N' | b'K' | b'e' | b'i' | b'I' => {
            instruction(text).or_else(|| plain_line(text))
        }
        _ => plain_line(text),
    }
}

/// Whether a message is nothing but registers of x86-64: `RAX: 0000000000000246 RBX: ...`, which is
/// [`Field::Machinery`].
pub(super) fn is_registers(text: &str) -> bool {
    const WIDTH: usize = 22;
    let bytes = text.as_bytes();
    let named = matches!(
        bytes,
        [
            b'R',
            b'A' | b'B' | b'C' | b'D' | b'0'..=b'9',
            b'X' | b'P' | b'0'..=b'9',
            ..
        ] | [b'C' | b'D', b'R', b'0'..=b'9', ..]
    );
    let value = |word: &[u8]| {
        matches!(word, [b'A'..=b'Z', b'A'..=b'Z' | b'0'..=b'9', b'A'..=b'Z' | b'0'..=b'9', b':', b' ', digits @ ..]
            if digits.get(..16).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
                && digits.get(16).is_none_or(|byte| *byte == b' '))
    };
    named && bytes.len() <= 3 * WIDTH && bytes.chunks(WIDTH).all(value)
}

/// `<IRQ>`, `</IRQ>`, `<<EOE>>`, `<#DF>`: the word, and the text behind it.
pub(super) fn marker(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('<')?;
    let inner = inner.strip_prefix('<').unwrap_or(inner);
    let word = inner.strip_prefix('/').unwrap_or(inner);
    let word = word.strip_prefix('#').unwrap_or(word);
    let length = word
        .bytes()
        .take(32)
        .take_while(|byte| byte.is_ascii_uppercase() || *byte == b'_' || byte.is_ascii_digit())
        .count();
    if length < 2 || !word.as_bytes().first()?.is_ascii_uppercase() {
        return None;
    }
    let rest = word.get(length..)?.strip_prefix('>')?;
    let end = text.len() - rest.len() - 1;
    let word = text.get(text.len() - inner.len()..end)?;
    Some((word, rest.strip_prefix('>').unwrap_or(rest)))
}

/// The modules of a list: `a b(OE+) c(E-) [last unloaded: d]`, or of a further line of it.
pub(super) fn modules(text: &str) -> Vec<Module> {
    let mut modules = Vec::new();
    for word in text.split_ascii_whitespace().take(MAX_MODULES) {
        let length = module_name(word);
        let Some((name, rest)) = word.split_at_checked(length) else {
            break;
        };
        let flags = match rest
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'))
        {
            Some(flags) if flags.len() <= 16 && flags.bytes().all(is_flag) => flags,
            None if rest.is_empty() => "",
            _ => break,
        };
        if name.is_empty() {
            break;
        }
        modules.push(Module {
            name: name.to_owned(),
            flags: flags.to_owned(),
        });
    }
    modules
}

/// A taint's letter, or the state of the module.
fn is_flag(byte: u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, b'+' | b'-')
}

/// `Call Trace:`, `Stack Trace:`, `backtrace (crc 1a2b3c4d):`.
fn trace_begin(text: &str) -> Option<Field<'_>> {
    const BEGINS: [&str; 8] = [
        "Call Trace:",
        "Call trace:",
        "Stack Trace:",
        "Backtrace:",
        "backtrace:",
        "stack backtrace:",
        "backtrace (crc ",
        "Stack trace:",
    ];
    BEGINS
        .iter()
        .any(|begin| text.starts_with(begin))
        .then_some(Field::TraceBegin)
}

/// `CPU: 0 PID: 234 Comm: x Not tainted 6.1.0 #1`, `CPU: 1    Not tainted  (2.6.32 #1)`, `CPU 3 `.
fn cpu(text: &str) -> Option<Field<'_>> {
    if let Some(begin) = trace_begin(text) {
        return Some(begin);
    }
    let rest = text.strip_prefix("CPU")?;
    let rest = rest.strip_prefix(':').unwrap_or(rest).strip_prefix(' ')?;
    let (cpu, rest) = decimal(rest)?;
    let rest = rest.trim_start();
    // What only begins so: `CPU: 0 on fire`, `CPU 3 is now offline`.
    if rest.is_empty() {
        return Some(said(Some(cpu), None, None, None));
    }
    if rest.starts_with("PID: ") || rest.starts_with("UID: ") {
        let (_, rest) = rest.split_once("PID: ")?;
        let (pid, rest) = decimal(rest)?;
        let rest = rest.trim_start().strip_prefix("Comm: ")?;
        return Some(ran(Some(cpu), Some(pid), rest));
    }
    if rest.starts_with("Not tainted") || rest.starts_with("Tainted: ") {
        let (taint, release) = taint(rest);
        return Some(said(Some(cpu), None, taint, release));
    }
    None
}

/// `Pid: 123, comm: foo Not tainted 2.6.32 #1`, `Process foo (pid: 123, `, `PC is at foo+0x1/0x2`.
fn pid(text: &str) -> Option<Field<'_>> {
    if let Some(rest) = text.strip_prefix("Pid: ") {
        let (pid, rest) = decimal(rest)?;
        let rest = rest.strip_prefix(", comm: ")?;
        return Some(ran(None, Some(pid), rest.trim_start()));
    }
    if let Some(rest) = text.strip_prefix("Process ") {
        let (comm, rest) = rest.split_once(" (pid: ")?;
        let (pid, _) = decimal(rest)?;
        return Some(said(None, Some(process(comm, Some(pid))), None, None));
    }
    instruction(text)
}

/// `foo Tainted: G OE 3.10.0 #1` behind CPU and process id.
fn ran(cpu: Option<u32>, pid: Option<u32>, text: &str) -> Field<'_> {
    let end = [" Kdump: loaded", " Not tainted", " Tainted: "]
        .iter()
        .filter_map(|word| text.find(word))
        .min();
    let comm = match end {
        Some(end) => text.get(..end).unwrap_or(text),
        // Cut off.
        None => text,
    };
    let (taint, release) = match end {
        Some(end) => taint(text.get(end..).unwrap_or_default()),
        None => (None, None),
    };
    said(cpu, Some(process(comm, pid)), taint, release)
}

fn said(
    cpu: Option<u32>,
    process: Option<Process>,
    taint: Option<String>,
    release: Option<String>,
) -> Field<'static> {
    Field::Process {
        cpu,
        process,
        taint,
        release,
    }
}

fn process(comm: &str, pid: Option<u32>) -> Process {
    Process {
        comm: bounded(comm.trim()).to_owned(),
        pid,
    }
}

/// `Not tainted 6.1.0 #1`, `Tainted: G           OE  ------------   3.10.0 #1 SMP`: the flags and
/// the release, which is the word before the build's number.
fn taint(text: &str) -> (Option<String>, Option<String>) {
    let mut rest = text.trim_start();
    if let Some(after) = rest.strip_prefix("Kdump: loaded") {
        rest = after.trim_start();
    }
    let mut flags = String::new();
    let tainted = match rest.strip_prefix("Not tainted") {
        Some(after) => {
            rest = after;
            false
        }
        None => match rest.strip_prefix("Tainted:") {
            Some(after) => {
                rest = after;
                true
            }
            None => return (None, None),
        },
    };
    let mut release = None;
    for word in rest.split_ascii_whitespace().take(32) {
        let word = word.trim_start_matches('(');
        if word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.') {
            release = Some(bounded(word.trim_end_matches(')')).to_owned());
            break;
        }
        if word.starts_with('#') || !tainted {
            break;
        }
        // RHEL prints dashes for the flags that it added and that are not set.
        let set: String = word.chars().filter(char::is_ascii_uppercase).collect();
        if set.len() + word.matches('-').count() != word.len() && !word.contains('r') {
            break;
        }
        if !set.is_empty() && flags.len() < MAX_TEXT {
            if !flags.is_empty() {
                flags.push(' ');
            }
            flags.push_str(&set);
        }
    }
    (Some(flags), release)
}

/// `REGS: c0000000fb3f7780 TRAP: 0300   Not tainted  (4.4.0)`: powerpc.
fn regs(text: &str) -> Field<'_> {
    let trap = text
        .split_once(" TRAP: ")
        .map(|(_, trap)| trap.trim_start());
    match trap
        .and_then(|trap| trap.get(hex_digits(trap)..))
        .map(taint)
    {
        Some((taint @ Some(_), release)) => said(None, None, taint, release),
        _ => Field::Machinery,
    }
}

/// `task:kworker/0:1 state:D stack:0 pid:1234 `, `TASK = c0000000fb3e0000[1234] 'insmod' `.
fn task_line(text: &str) -> Option<Field<'_>> {
    if let Some(rest) = text.strip_prefix("task:") {
        let Some((comm, rest)) = rest.split_once(" state:") else {
            // 3.10: `task: ffff880032419fa0 ti: ffff88002bfbc000`.
            return rest.starts_with(' ').then_some(Field::Machinery);
        };
        let (_, pid) = rest.split_once("pid:")?;
        let (pid, _) = decimal(pid.trim_start())?;
        return Some(said(None, Some(process(comm, Some(pid))), None, None));
    }
    if let Some(rest) = text
        .strip_prefix("TASK = ")
        .or_else(|| text.strip_prefix("TASK: "))
    {
        let (pid, rest) = rest
            .get(hex_digits(rest)..)?
            .strip_prefix('[')
            .and_then(decimal)?;
        let (comm, rest) = rest.strip_prefix("] '")?.split_once('\'')?;
        let cpu = rest.split_once("CPU: ").and_then(|(_, cpu)| decimal(cpu));
        let cpu = cpu.map(|(cpu, _)| cpu);
        return Some(said(cpu, Some(process(comm, Some(pid))), None, None));
    }
    if text.starts_with("TPC: <") {
        return at(text.get(6..)?).or(Some(Field::Machinery));
    }
    None
}

/// The instruction pointer's line of each architecture.
fn instruction(text: &str) -> Option<Field<'_>> {
    for begin in ["RIP: ", "EIP: "] {
        if let Some(rest) = text.strip_prefix(begin) {
            return selected(rest).or(Some(Field::Machinery));
        }
    }
    // `RIP  [<ffffffff8105641d>] foo+0x9d/0x100`, the trailer; `NIP [c000000000012345] foo+0x1/0x2`.
    for begin in [
        "RIP", "EIP", "IP", "NIP", "EPC", "IAOQ[0]:", "ERA:", "epc", "pc", "PC", "ERA",
    ] {
        if let Some(rest) = text.strip_prefix(begin)
            && rest.starts_with([' ', ':'])
        {
            let rest = rest.trim_start();
            let rest = rest.strip_prefix(": ").unwrap_or(rest);
            let rest = rest.strip_prefix("is at ").unwrap_or(rest);
            if let Some(found) = at(rest.trim_start()) {
                return Some(found);
            }
            break;
        }
    }
    if let Some(rest) = text.strip_prefix("ip is at ") {
        return at(rest);
    }
    let rest = text.strip_prefix("Krnl PSW : ")?;
    match rest.split_once('(') {
        Some((_, rest)) => at(rest).or(Some(Field::Machinery)),
        None => Some(Field::Machinery),
    }
}

/// `0010:foo+0x1/0x2`, `0010:[<ffffffff8105641d>]  [<ffffffff8105641d>] foo+0x1/0x2`.
fn selected(text: &str) -> Option<Field<'_>> {
    let digits = hex_digits(text);
    let Some(rest) = text.get(digits..)?.strip_prefix(':') else {
        return at(text);
    };
    let selector = u16::from_str_radix(text.get(..digits)?, 16).ok()?;
    // The lowest two bits are the privilege level. Xen's paravirtual kernel runs in ring 3 on
    // x86-64 and in ring 1 on i386, with selectors above 0xe000.
    if selector & 3 == 3 && selector < 0xe000 {
        return Some(Field::Machinery);
    }
    at(rest.trim_start())
}

/// A place behind any addresses: `[<ffffffff8105641d>] foo+0x9d/0x100`, `80123456 foo+0x1/0x2`.
fn at(text: &str) -> Option<Field<'_>> {
    let mut rest = text;
    let mut address = None;
    for _ in 0..3 {
        let after = match pointer(rest) {
            Some(after) => after,
            None => {
                let inner = rest.strip_prefix(['[', '<']).unwrap_or(rest);
                let digits = hex_digits(inner);
                let after = inner.get(digits..)?;
                let after = after.strip_prefix([']', '>']).unwrap_or(after);
                if !(8..=16).contains(&digits)
                    || !(after.is_empty() || after.starts_with([' ', '{']))
                {
                    break;
                }
                after
            }
        };
        address = rest.get(..rest.len() - after.len());
        rest = after.trim_start();
    }
    if let Some((symbol, length)) = symbol(rest) {
        let behind = rest.get(length..)?;
        let place = behind.strip_prefix(' ').and_then(source);
        return Some(Field::Instruction(
            symbol,
            place.and_then(|(place, _)| place),
        ));
    }
    if let Some((symbol, _)) = braced(rest) {
        return Some(Field::Instruction(symbol, None));
    }
    if let Some(end) = name(rest)
        && let Some(inner) = rest.get(end..)?.strip_prefix(" (")
        && let Some((place, _)) = source(inner)
    {
        return Some(Field::Instruction(named(rest.get(..end)?), place));
    }
    if let Some(end) = name(rest)
        && let Some((_, behind)) = rest
            .get(end..)
            .and_then(|rest| source(rest.strip_prefix(' ')?))
        && behind.starts_with(" [inline]")
    {
        // The function that it was inlined into follows.
        return Some(Field::Machinery);
    }
    if rest.starts_with("(null)") {
        return Some(Field::Instruction(named("0x0"), None));
    }
    // A lone address comes with a line that has the symbol, or the kernel knows none. But address
    // 0 says that a null pointer was called.
    let address = address?.trim_matches(['[', '<', '>', ']']);
    let null = address.bytes().all(|byte| byte == b'0');
    Some(match null {
        true => Field::Instruction(named("0x0"), None),
        false => Field::Machinery,
    })
}

/// A decimal number, and the rest.
fn decimal(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take(10).take_while(u8::is_ascii_digit).count();
    Some((text.get(..digits)?.parse().ok()?, text.get(digits..)?))
}

/// At most [`MAX_TEXT`] bytes.
fn bounded(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests;
