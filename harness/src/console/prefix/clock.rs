//! The clocks of whoever kept the log: syslog, journald, dmesg, BMCs, terminal servers.

use super::{digits, number, spaces};

/// Any clock in brackets but the kernel's: `[2026-11-22 10:00:00.123]`,
/// `[Sun Nov 22 10:00:00 2026]`, `[10:00:00]`, `[Nov22 10:00]`, `[  +0.000012]`, `[timestamp: ...]`.
pub(super) fn bracketed_clock(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"[")?;
    let closed = |length: usize| (rest.get(length) == Some(&b']')).then_some(length + 2);
    if let Some(length) = clock(rest) {
        return closed(length);
    }
    if rest.starts_with(b"timestamp:") {
        let end = rest.iter().take(64).position(|b| *b == b']')?;
        return Some(end + 2);
    }
    if let Some(length) = delta(rest) {
        return closed(length);
    }
    // `dmesg -e`: hours and minutes where the minute changes, else the time since the last line.
    let padding = spaces(rest, 12);
    if rest.get(padding) == Some(&b'+') {
        return closed(padding + 1 + seconds(&rest[padding + 1..])?);
    }
    let month = month(rest)?;
    let day = digits(&rest[month..], 3);
    let time = rest.get(month + day + 1..)?;
    let minute = day > 0 && digits(time, 3) == 2 && time[2..].starts_with(b":");
    let minute = minute && digits(&time[3..], 3) == 2;
    minute.then(|| closed(month + day + 1 + 5)).flatten()
}

/// A clock without brackets and what parts it from the rest: its length without the space.
pub(super) fn bare_clock(bytes: &[u8]) -> Option<usize> {
    let mut length = clock(bytes)?;
    if bytes.get(length) == Some(&b':') {
        length += 1;
    }
    matches!(bytes.get(length), None | Some(b' ' | b'\t' | b'[')).then_some(length)
}

/// The length of a time of day, with or without a date, in the ways that loggers write them.
pub(super) fn clock(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    if let Some(length) = weekday(bytes) {
        at += length + 1;
    }
    let rest = bytes.get(at..)?;
    let mut year_later = false;
    if let Some(length) = numeric_date(rest) {
        at += length + 1;
    } else if let Some(length) = month(rest) {
        let space = spaces(&rest[length..], 3);
        let day = digits(&rest[length + space..], 3);
        if space == 0 || !(1..=2).contains(&day) || rest.get(length + space + day) != Some(&b' ') {
            return None;
        }
        at += length + space + day + 1;
        if let Some(year) = year(bytes.get(at..)?) {
            at += year + 1;
        }
        year_later = true;
    } else if at > 0 {
        return None;
    } else if digits(rest, 11) == 10 {
        // Seconds since 1970, of `journalctl -o short-unix`.
        return seconds(rest);
    }
    at += time_of_day(bytes.get(at..)?)?;
    at += zone(&bytes[at..]);
    if year_later && bytes.get(at) == Some(&b' ') {
        at += year(&bytes[at + 1..]).map_or(0, |year| 1 + year);
    }
    Some(at)
}

/// `2026-11-22`, `2026/11/22`, `11/22/2026`, `22.11.2026`.
fn numeric_date(bytes: &[u8]) -> Option<usize> {
    let first = digits(bytes, 5);
    let mark = *bytes.get(first)?;
    let second = digits(&bytes[first + 1..], 3);
    let third_at = first + 1 + second + 1;
    let third = digits(bytes.get(third_at..)?, 5);
    let shape = matches!((first, third), (4, 2) | (1..=2, 4 | 2)) && (1..=2).contains(&second);
    let same = matches!(mark, b'-' | b'/' | b'.') && bytes[third_at - 1] == mark;
    let end = third_at + third;
    (shape && same && matches!(bytes.get(end), Some(b' ' | b'T' | b't' | b'_' | b'-')))
        .then_some(end)
}

/// `10:00:00`, with a fraction of a second after a point or a comma.
fn time_of_day(bytes: &[u8]) -> Option<usize> {
    let &[h, hh, b':', m, mm, b':', s, ss] = bytes.first_chunk::<8>()? else {
        return None;
    };
    if ![h, hh, m, mm, s, ss].iter().all(u8::is_ascii_digit) {
        return None;
    }
    // A leap second is the 60th.
    if number(&[h, hh]) > 23 || number(&[m, mm]) > 59 || number(&[s, ss]) > 60 {
        return None;
    }
    let rest = &bytes[8..];
    let fraction = match rest.first() {
        Some(b'.' | b',') => digits(&rest[1..], 10),
        _ => 0,
    };
    Some(8 + if fraction > 0 { 1 + fraction } else { 0 })
}

/// `Z`, `+00:00`, `-0700`, ` UTC`: its length, 0 if there is none.
fn zone(bytes: &[u8]) -> usize {
    const NAMES: [&[u8]; 22] = [
        b"UTC", b"GMT", b"WET", b"WEST", b"CET", b"CEST", b"EET", b"EEST", b"MSK", b"BST", b"IST",
        b"EST", b"EDT", b"CST", b"CDT", b"MST", b"MDT", b"PST", b"PDT", b"JST", b"KST", b"AEST",
    ];
    match bytes {
        [b'Z' | b'z', ..] => 1,
        [b'+' | b'-', rest @ ..] => match digits(rest, 5) {
            2 if rest.get(2) == Some(&b':') && digits(&rest[3..], 3) == 2 => 6,
            4 => 5,
            2 => 3,
            _ => 0,
        },
        [b' ', rest @ ..] => {
            let word = rest.iter().take(5).take_while(|b| b.is_ascii_uppercase());
            let length = word.count();
            if NAMES.contains(&&rest[..length]) {
                1 + length
            } else {
                0
            }
        }
        _ => 0,
    }
}

fn year(bytes: &[u8]) -> Option<usize> {
    let year = digits(bytes, 5) == 4 && matches!(bytes.first_chunk(), Some(b"19" | b"20"));
    let ends = match bytes.get(4) {
        None | Some(b' ' | b']') => true,
        // Not the beginning of an address.
        Some(b':') => bytes.get(5) == Some(&b' '),
        _ => false,
    };
    (year && ends).then_some(4)
}

fn month(bytes: &[u8]) -> Option<usize> {
    matches!(
        bytes.first_chunk()?,
        b"Jan"
            | b"Feb"
            | b"Mar"
            | b"Apr"
            | b"May"
            | b"Jun"
            | b"Jul"
            | b"Aug"
            | b"Sep"
            | b"Oct"
            | b"Nov"
            | b"Dec"
    )
    .then_some(3)
}

/// `Sun` before a space, or `Sun,`.
fn weekday(bytes: &[u8]) -> Option<usize> {
    let day = matches!(
        bytes.first_chunk()?,
        b"Mon" | b"Tue" | b"Wed" | b"Thu" | b"Fri" | b"Sat" | b"Sun"
    );
    match bytes.get(3)? {
        b' ' if day => Some(3),
        b',' if day => Some(4),
        _ => None,
    }
}

/// `<    0.000012>` of `dmesg -d`.
pub(super) fn delta(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"<")?;
    let length = 1 + seconds(rest)?;
    (bytes.get(length) == Some(&b'>')).then_some(length + 1)
}

/// `   12.345678`: its length.
fn seconds(bytes: &[u8]) -> Option<usize> {
    let spaces = spaces(bytes, 12);
    let whole = digits(&bytes[spaces..], 11);
    let point = spaces + whole;
    (whole > 0 && bytes.get(point) == Some(&b'.') && digits(&bytes[point + 1..], 7) == 6)
        .then_some(point + 7)
}
