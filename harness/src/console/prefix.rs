//! What may stand before the kernel's message on a line: its own log level, clock and caller, and
//! what syslog, journald, dmesg, terminal servers, BMCs and mail put before those.

mod clock;

use clock::{bare_clock, bracketed_clock, clock, delta};

/// Who printed a line, with CONFIG_PRINTK_CALLER.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// `[  T123]`: a task.
    Task(u32),
    /// `[    C0]`: a CPU, in an interrupt.
    Cpu(u32),
}

/// What stands before a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Prefix {
    /// Where the message begins.
    pub(super) end: usize,
    /// The kernel's clock in microseconds.
    pub(super) stamp: Option<u64>,
    /// Who printed it.
    pub(super) caller: Option<Caller>,
    /// Something in it begins a record of a log, which quoting and indentation do not.
    pub(super) record: bool,
    /// It is a time stamp and a space, nothing else.
    pub(super) plain: bool,
}

/// Pieces of a prefix that are looked for: a quoted syslog line with everything has eight.
const MAX_PIECES: usize = 12;

/// Seconds of a clock that no kernel reaches: 31 years of uptime. Beyond, it is the time of day
/// since 1970, or `sched_clock()` counted below zero (`[18446744004.990806]`).
const NO_UPTIME: u64 = 1_000_000_000;

/// The prefix of a line.
#[inline]
pub(super) fn parse(bytes: &[u8]) -> Prefix {
    // Nearly every line of nearly every log.
    if let Some(stamp) = plain_stamp(bytes)
        && bytes.get(PLAIN) == Some(&b' ')
        && !vendors_next(&bytes[PLAIN + 1..])
    {
        return Prefix {
            end: PLAIN + 1,
            stamp: Some(stamp),
            caller: None,
            record: true,
            plain: true,
        };
    }
    general(bytes)
}

/// Length of `[    1.234567]`.
const PLAIN: usize = 14;

/// `[    1.234567]`, as print_time() of kernel/printk/printk.c writes it for the first 27 hours.
#[inline]
fn plain_stamp(bytes: &[u8]) -> Option<u64> {
    let line: &[u8; PLAIN] = bytes.first_chunk()?;
    if line[0] != b'[' || line[6] != b'.' || line[13] != b']' || line[5] == b' ' {
        return None;
    }
    let (head, tail) = (line.first_chunk()?, line.last_chunk()?);
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const LOW: u64 = 0x0f0f_0f0f_0f0f_0f0f;
    const SPACES: u64 = 0x1010_1010_1010_1010;
    // Eight digits each: `000SSSSS` and `00UUUUUU`.
    let seconds = u64::from_le_bytes(*head) << 16 & !0xff_ffff | ZEROS & 0xff_ffff;
    let micros = u64::from_le_bytes(*tail) << 8 & !0xffff | ZEROS & 0xffff;
    // A space and a zero differ in one bit.
    let padding = !seconds & SPACES;
    if seconds & padding.wrapping_mul(0x0f) >> 4 & LOW != 0 {
        return None;
    }
    Some(eight_digits(seconds | padding)? * 1_000_000 + eight_digits(micros)?)
}

/// The number that eight ASCII digits write, the first in the lowest byte.
#[inline(always)]
fn eight_digits(digits: u64) -> Option<u64> {
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    let carried = digits.wrapping_add(0x0606_0606_0606_0606);
    if (digits & HIGH) | (carried & HIGH) >> 4 != 0x3333_3333_3333_3333 {
        return None;
    }
    // Pairs, then fours, then all eight: each step multiplies and adds the neighbours.
    let ones = digits & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (ones.wrapping_mul(10) + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours.wrapping_mul(10_000) + (fours >> 32)) & 0xffff_ffff)
}

/// Whether there is more of a prefix after the kernel's stamp and a space.
#[inline]
fn vendors_next(message: &[u8]) -> bool {
    match message.first() {
        Some(b'<') => level(message).is_some(),
        Some(b'[') => cpu_and_task(message).is_some() || caller(message).is_some(),
        Some(b'(') => cpu_and_task(message).is_some(),
        Some(b' ') => message.get(1) == Some(&b'[') && cpu_and_task(&message[1..]).is_some(),
        Some(first) if first.is_ascii_alphanumeric() => monotonic_tag(message).is_some(),
        _ => false,
    }
}

#[inline(never)]
fn general(bytes: &[u8]) -> Prefix {
    let mut prefix = Prefix::default();
    let mut clocked = false;
    for _ in 0..MAX_PIECES {
        let rest = &bytes[prefix.end..];
        let indented = rest
            .iter()
            .take_while(|b| matches!(b, b' ' | b'\t'))
            .count();
        let Some(piece) = piece(&rest[indented..], prefix.stamp.is_some(), clocked) else {
            break;
        };
        let record = !matches!(piece.what, What::Quote);
        if indented > 0 && prefix.stamp.is_some() && !matches!(piece.what, What::Vendor) {
            break;
        }
        match piece.what {
            What::Stamp(micros) => {
                prefix.stamp = Some(micros);
                prefix.caller = None;
            }
            What::Caller(caller) => prefix.caller = Some(caller),
            What::Clock => clocked = true,
            What::Source => clocked = false,
            What::Quote | What::Level | What::Vendor => {}
        }
        prefix.record |= record;
        prefix.end += indented + piece.length;
        // One space parts a prefix from what follows; more are the kernel's own.
        if piece.spaced && matches!(bytes.get(prefix.end), Some(b' ' | b'\t')) {
            prefix.end += 1;
        }
    }
    prefix
}

/// One piece of a prefix.
struct Piece {
    what: What,
    length: usize,
    /// A space after it belongs to it.
    spaced: bool,
}

enum What {
    /// `> `.
    Quote,
    /// `<4>`, `kern  :emerg : `.
    Level,
    /// The kernel's clock in microseconds.
    Stamp(u64),
    Caller(Caller),
    /// Any other clock, or what one says in its place.
    Clock,
    /// Who sent it: `host kernel: `, `host login: `.
    Source,
    /// What vendors' kernels put after the stamp.
    Vendor,
}

fn piece(rest: &[u8], stamped: bool, clocked: bool) -> Option<Piece> {
    let spaced = |what, length| {
        Some(Piece {
            what,
            length,
            spaced: true,
        })
    };
    let bare = |what, length| {
        Some(Piece {
            what,
            length,
            spaced: false,
        })
    };
    if stamped {
        return if let Some((caller, length)) = caller(rest) {
            spaced(What::Caller(caller), length)
        } else if let Some(length) = level(rest) {
            bare(What::Level, length)
        } else if let Some(length) = cpu_and_task(rest) {
            spaced(What::Vendor, length)
        } else if let Some(length) = monotonic_tag(rest) {
            spaced(What::Source, length)
        } else {
            None
        };
    }
    if clocked && let Some(length) = source(rest) {
        return spaced(What::Source, length);
    }
    match *rest.first()? {
        b'<' => bare(What::Level, level(rest)?),
        b'>' => spaced(What::Quote, 1),
        b'[' => {
            if let Some((micros, length)) = stamp(rest) {
                // A clock that cannot be the kernel's uptime is none.
                match micros {
                    Some(micros) => spaced(What::Stamp(micros), length),
                    None => spaced(What::Clock, length),
                }
            } else if let Some((caller, length)) = caller(rest) {
                spaced(What::Caller(caller), length)
            } else {
                spaced(What::Clock, bracketed_clock(rest)?)
            }
        }
        b'0'..=b'9' => {
            if let Some((micros, length)) = kmsg(rest) {
                bare(What::Stamp(micros), length)
            } else if let Some((micros, length)) = unopened_stamp(rest) {
                spaced(What::Stamp(micros), length)
            } else if let Some(length) = bare_clock(rest) {
                spaced(What::Clock, length)
            } else {
                spaced(What::Source, prompt(rest)?)
            }
        }
        first if first.is_ascii_alphabetic() => {
            if let Some(length) = bare_clock(rest) {
                spaced(What::Clock, length)
            } else if let Some(length) = facility(rest) {
                spaced(What::Level, length)
            } else if rest.starts_with(b"SOL> ") {
                spaced(What::Source, 4)
            } else {
                let tag = kernel_tag(rest).filter(|length| rest.len() > length + 1);
                spaced(What::Source, tag.or_else(|| prompt(rest))?)
            }
        }
        _ => None,
    }
}

/// `<4>`, or `<4>1` of a RFC 5424 header: where it ends.
fn level(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"<")?;
    let digits = digits(rest, 4);
    if digits == 0 || rest.get(digits) != Some(&b'>') {
        return None;
    }
    let length = digits + 2;
    let version = &bytes[length..];
    let modern = version.starts_with(b"1 ") && clock(&version[2..]).is_some();
    Some(length + if modern { 2 } else { 0 })
}

/// Length of `[    1.234567]` that may stand within a line and begins a message: followed by a
/// space or a bracket.
pub(super) fn embedded_stamp(bytes: &[u8]) -> Option<usize> {
    let (_, length) = bracketed_seconds(bytes)?;
    (bytes.get(length - 1) == Some(&b']') && matches!(bytes.get(length), Some(b' ' | b'[')))
        .then_some(length)
}

/// Seconds and microseconds after a bracket, and the length with the byte after them, whichever
/// that is.
fn bracketed_seconds(bytes: &[u8]) -> Option<((u64, u64), usize)> {
    let rest = bytes.strip_prefix(b"[")?;
    let spaces = spaces(rest, 12);
    let rest = &rest[spaces..];
    let whole = digits(rest, 12);
    if !(1..=11).contains(&whole) || rest.get(whole) != Some(&b'.') {
        return None;
    }
    let fraction = &rest[whole + 1..];
    if digits(fraction, 7) != 6 {
        return None;
    }
    let seconds = number(&rest[..whole]);
    // What a 64-bit count of nanoseconds can hold.
    if seconds > u64::MAX / 1_000_000_000 {
        return None;
    }
    Some((
        (seconds, number(&fraction[..6])),
        1 + spaces + whole + 1 + 6 + 1,
    ))
}

/// `[    1.234567]`, `[    1.234567@0]`, `[    1.234567,0]`, and of `dmesg -d`
/// `[    1.234567 <    0.000012>]`: microseconds, if they can be an uptime, and length.
fn stamp(bytes: &[u8]) -> Option<(Option<u64>, usize)> {
    let ((seconds, micros), mut length) = bracketed_seconds(bytes)?;
    match bytes.get(length - 1)? {
        b']' => {}
        b'@' | b',' => {
            let cpu = digits(&bytes[length..], 4);
            if cpu == 0 || bytes.get(length + cpu) != Some(&b']') {
                return None;
            }
            length += cpu + 1;
        }
        b' ' => {
            let rest = &bytes[length..];
            length += delta(rest)?;
            if bytes.get(length) != Some(&b']') {
                return None;
            }
            length += 1;
        }
        _ => return None,
    }
    let uptime = (seconds < NO_UPTIME).then_some(seconds * 1_000_000 + micros);
    Some((uptime, length))
}

/// `1.234567] `: a stamp that was copied without its first column, in microseconds, and its length.
fn unopened_stamp(bytes: &[u8]) -> Option<(u64, usize)> {
    let whole = digits(bytes, 12);
    let fraction = bytes.get(whole..)?.strip_prefix(b".")?;
    if !(1..=9).contains(&whole) || digits(fraction, 7) != 6 || fraction.get(6) != Some(&b']') {
        return None;
    }
    let micros = number(&bytes[..whole]) * 1_000_000 + number(&fraction[..6]);
    Some((micros, whole + 8))
}

/// `[  T123]` or `[    C0]`, and its length.
fn caller(bytes: &[u8]) -> Option<(Caller, usize)> {
    let rest = bytes.strip_prefix(b"[")?;
    let spaces = spaces(rest, 12);
    let rest = &rest[spaces..];
    let digits = digits(rest.get(1..)?, 10);
    if digits == 0 || rest.get(1 + digits) != Some(&b']') {
        return None;
    }
    let number = u32::try_from(number(&rest[1..=digits])).ok()?;
    let caller = match rest[0] {
        b'T' => Caller::Task(number),
        b'C' => Caller::Cpu(number),
        _ => return None,
    };
    Some((caller, spaces + digits + 3))
}

/// Samsung's `[0:  swapper/0:    1]` and MediaTek's `(0)[1:swapper/0]`.
fn cpu_and_task(bytes: &[u8]) -> Option<usize> {
    let begin = match bytes.first()? {
        b'(' => {
            let cpu = digits(&bytes[1..], 3);
            if cpu == 0 || bytes.get(1 + cpu) != Some(&b')') {
                return None;
            }
            2 + cpu
        }
        _ => 0,
    };
    let rest = bytes.get(begin..)?.strip_prefix(b"[")?;
    let cpu = digits(rest, 8);
    if cpu == 0 || rest.get(cpu) != Some(&b':') {
        return None;
    }
    let end = rest.iter().take(48).position(|b| *b == b']')?;
    let inside = &rest[cpu + 1..end];
    let last = inside.rsplit(|b| *b == b':').next()?;
    let padding = spaces(last, 12);
    let task = digits(&last[padding..], 10);
    let numbered = begin > 0 || (task > 0 && padding + task == last.len());
    // Four numbers are a SCSI device.
    (numbered && inside.iter().any(u8::is_ascii_alphabetic)).then_some(begin + 1 + end + 1)
}

/// A record of /dev/kmsg, `6,339,5140900,-;text`: microseconds and length of what precedes the
/// text. Format: Documentation/ABI/testing/dev-kmsg.
fn kmsg(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut at = 0;
    let mut last = 0;
    for _ in 0..3 {
        let field = digits(&bytes[at..], 19);
        if field == 0 || bytes.get(at + field) != Some(&b',') {
            return None;
        }
        last = number(&bytes[at..at + field]);
        at += field + 1;
    }
    let flags = bytes[at..].iter().take(32).position(|b| *b == b';')?;
    let flagged = matches!(bytes.get(at), Some(b'-' | b'c' | b'+'))
        && (flags == 1 || bytes.get(at + 1) == Some(&b','));
    (flagged && last / 1_000_000 < NO_UPTIME).then_some((last, at + flags + 1))
}

/// `kern  :emerg :` of `dmesg -x`.
fn facility(bytes: &[u8]) -> Option<usize> {
    const LEVELS: [&[u8]; 8] = [
        b"emerg", b"alert", b"crit", b"err", b"warn", b"notice", b"info", b"debug",
    ];
    let name = bytes
        .iter()
        .take(9)
        .take_while(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        .count();
    let colon = name + spaces(&bytes[name..], 6);
    if bytes.get(colon) != Some(&b':') {
        return None;
    }
    let rest = &bytes[colon + 1..];
    let level = LEVELS.iter().find(|level| rest.starts_with(level))?;
    let end = level.len() + spaces(&rest[level.len()..], 6);
    (rest.get(end) == Some(&b':')).then_some(colon + 1 + end + 1)
}

/// What a terminal server, a getty or an operator's console says before the kernel speaks:
/// `host login: `, `host console: `, not followed by nothing.
fn prompt(bytes: &[u8]) -> Option<usize> {
    let host = host(bytes)?;
    let rest = bytes.get(host + 1..)?;
    let word = [&b"login:"[..], b"console:"]
        .into_iter()
        .find(|word| rest.starts_with(word))?;
    let message = rest[word.len()..].strip_prefix(b" ")?;
    (!message.trim_ascii().is_empty()).then_some(host + 1 + word.len())
}

/// After a clock: `host kernel:`, `kernel[12]:`, `host kern.warn kernel:`, `host kernel - - -`, an
/// address, or any host right before the kernel's own stamp.
fn source(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    for _ in 0..3 {
        if let Some(length) = kernel_tag(&bytes[at..]) {
            return Some(at + length);
        }
        match host(&bytes[at..]) {
            Some(host) => at += host + 1,
            None => break,
        }
    }
    let (first, rest) = bytes.split_at(host(bytes)?);
    if stamp(rest.trim_ascii_start()).is_some() {
        return Some(first.len());
    }
    let address = std::str::from_utf8(first).ok()?;
    let address = address.strip_suffix(':').unwrap_or(address);
    address
        .parse::<std::net::IpAddr>()
        .is_ok()
        .then_some(first.len())
}

/// `host kernel:` after the stamp of `journalctl -o short-monotonic`.
#[inline(always)]
fn monotonic_tag(bytes: &[u8]) -> Option<usize> {
    let space = first_space(bytes)?;
    let tag = bytes.get(space + 1..)?;
    if tag.first() != Some(&b'k') || !tag.starts_with(b"kernel:") || host(bytes)? != space {
        return None;
    }
    Some(space + 1 + kernel_tag(tag)?)
}

/// The first space among the first 64 bytes, eight at a time: this runs for every line.
#[inline]
fn first_space(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    for (index, eight) in bytes.as_chunks().0.iter().take(8).enumerate() {
        // A space becomes zero; of bytes without their highest bit, only that borrows.
        let bytes = u64::from_le_bytes(*eight) ^ (ONES * 0x20);
        let zeros = bytes.wrapping_sub(ONES) & !bytes & (ONES * 0x80);
        if zeros != 0 {
            return Some(index * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    // Shorter messages than a host, a space and `kernel:` are of no interest.
    None
}

/// `kernel:`, `kernel[12]:`, or of RFC 5424 `kernel - - -`.
fn kernel_tag(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"kernel")?;
    let length = match rest.first()? {
        b':' => 1,
        b'[' => {
            let process = digits(&rest[1..], 10);
            rest[1 + process..]
                .starts_with(b"]:")
                .then_some(process + 3)?
        }
        _ if rest.starts_with(b" - - -") => 6,
        _ => return None,
    };
    matches!(rest.get(length), None | Some(b' ')).then_some(b"kernel".len() + length)
}

/// Length of a host's name or address, with a space after it.
fn host(bytes: &[u8]) -> Option<usize> {
    let length = bytes
        .iter()
        .take(64)
        .take_while(|b| matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-'..=b':' | b'_' | b'(' | b')' | b'@'))
        .count();
    (length > 0 && bytes.get(length) == Some(&b' ')).then_some(length)
}

/// Digits at the beginning, at most `limit`.
#[inline]
fn digits(bytes: &[u8], limit: usize) -> usize {
    let digits = bytes.iter().take(limit).take_while(|b| b.is_ascii_digit());
    digits.count()
}

#[inline]
fn spaces(bytes: &[u8], limit: usize) -> usize {
    bytes.iter().take(limit).take_while(|b| **b == b' ').count()
}

/// At most 19 digits.
fn number(digits: &[u8]) -> u64 {
    let digits = digits.iter().map(|digit| u64::from(digit - b'0'));
    digits.fold(0, |sum, digit| sum * 10 + digit)
}

#[cfg(test)]
mod tests;
