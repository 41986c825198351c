//! `foo+0x9d/0x100 [mod]`: how the kernel prints a place in its code (`%pS`, `%pB`;
//! kernel/kallsyms.c, __sprint_symbol()).

use super::{MAX_TEXT, Symbol};

/// A symbol at the very start of `text`, and how many bytes it takes. It has an offset, or it is
/// an address that no symbol covers.
pub(super) fn symbol(text: &str) -> Option<(Symbol, usize)> {
    if let Some((digits, length)) = address(text) {
        let (module, length) = with_module(text, length);
        let symbol = Symbol {
            name: format!("0x{digits}"),
            offset: None,
            size: None,
            module,
        };
        return Some((symbol, length));
    }
    let name = name(text)?;
    let (offset, mut length) = number(text, name, "+")?;
    let mut size = None;
    if let Some((bytes, end)) = number(text, length, "/") {
        size = Some(bytes);
        length = end;
    }
    let (module, length) = with_module(text, length);
    let symbol = Symbol {
        name: text.get(..name)?.to_owned(),
        offset: Some(offset),
        size,
        module,
    };
    Some((symbol, length))
}

/// A text that is nothing but a symbol with offset and size, in hexadecimal, and perhaps a module.
pub(super) fn whole(text: &str) -> Option<Symbol> {
    let end = name(text)?;
    let (offset, rest) = hex(text.get(end..)?.strip_prefix("+0x")?)?;
    let (size, rest) = hex(rest.strip_prefix("/0x")?)?;
    let module = match rest {
        "" => None,
        rest => {
            let (name, length) = module(rest)?;
            if length != rest.len() {
                return None;
            }
            Some(name.to_owned())
        }
    };
    Some(Symbol {
        name: text.get(..end)?.to_owned(),
        offset: Some(offset),
        size: Some(size),
        module,
    })
}

/// A hexadecimal number of at most 16 digits, and the rest.
fn hex(text: &str) -> Option<(u64, &str)> {
    let mut value = 0;
    let mut length = 0;
    for byte in text.bytes() {
        let Some(digit) = char::from(byte).to_digit(16) else {
            break;
        };
        if length == 16 {
            return None;
        }
        value = value << 4 | u64::from(digit);
        length += 1;
    }
    Some((value, text.get(length..).filter(|_| length > 0)?))
}

/// A symbol by its name alone, as symbolizers leave it.
pub(super) fn named(name: &str) -> Symbol {
    Symbol {
        name: name.to_owned(),
        offset: None,
        size: None,
        module: None,
    }
}

/// `{foo+16}`, `{:mod:foo+16}`: x86-64 before 2.6.18 (arch/x86_64/kernel/traps.c).
pub(super) fn braced(text: &str) -> Option<(Symbol, usize)> {
    let mut inner = text.strip_prefix('{')?;
    let mut module = None;
    if let Some(rest) = inner.strip_prefix(':') {
        let end = module_name(rest);
        module = Some(rest.get(..end).filter(|name| !name.is_empty())?.to_owned());
        inner = rest.get(end..)?.strip_prefix(':')?;
    }
    let (mut symbol, length) = symbol(inner)?;
    let rest = inner.get(length..)?.strip_prefix('}')?;
    symbol.module = module;
    Some((symbol, text.len() - rest.len()))
}

/// A function's name as an engineer says it: without the suffixes of what the compiler split off,
/// without the dot of powerpc's function descriptors, and without the prefix of the padding that
/// stands before a function (arch/x86/include/asm/linkage.h).
pub(super) fn plain_name(name: &str) -> &str {
    let name = name.strip_prefix('.').unwrap_or(name);
    let padding = name.strip_prefix("__pfx_");
    let name = padding.filter(|name| !name.is_empty()).unwrap_or(name);
    let mut from = 0;
    while let Some(dot) = memchr::memchr(b'.', &name.as_bytes()[from..]) {
        let at = from + dot;
        let suffix = name.get(at + 1..).unwrap_or_default();
        let word = suffix.split('.').next().unwrap_or_default();
        let numbered = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        if at > 0 && (numbered || SUFFIXES.contains(&word)) {
            return &name[..at];
        }
        from = at + 1;
    }
    name
}

/// What GCC and Clang append.
const SUFFIXES: [&str; 14] = [
    "isra",
    "constprop",
    "part",
    "cold",
    "unlikely",
    "llvm",
    "cfi",
    "cfi_jt",
    "lto_priv",
    "localalias",
    "__uniq",
    "clone",
    "warm",
    "specialized",
];

/// Whether a symbol is only an address.
pub(super) fn is_address(name: &str) -> bool {
    name.starts_with("0x")
}

/// Whether a byte may stand in an identifier.
static IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$');
        byte += 1;
    }
    table
};

/// Bytes of the identifier that the text begins with. Dots and dollars are the compilers'.
pub(super) fn name(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let first = bytes.first()?;
    if !(first.is_ascii_alphabetic() || matches!(first, b'_' | b'.' | b'$')) {
        return None;
    }
    let end = bytes
        .iter()
        .take(MAX_TEXT + 1)
        .position(|byte| !IN_NAME[usize::from(*byte)])
        .unwrap_or(bytes.len());
    (end <= MAX_TEXT && end > usize::from(*first == b'.')).then_some(end)
}

/// `0xffffffffc01e7fff`: the digits, and the length of it all.
fn address(text: &str) -> Option<(&str, usize)> {
    let digits = text.strip_prefix("0x")?;
    let length = hex_digits(digits);
    let glued = digits.as_bytes().get(length);
    if !(1..=16).contains(&length)
        || glued.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    {
        return None;
    }
    Some((digits.get(..length)?, 2 + length))
}

/// How many hexadecimal digits the text begins with.
pub(super) fn hex_digits(text: &str) -> usize {
    let digits = text.bytes().take(MAX_TEXT);
    digits.take_while(u8::is_ascii_hexdigit).count()
}

/// The number behind `sign` at `at`, hexadecimal with 0x, and where it ends.
fn number(text: &str, at: usize, sign: &str) -> Option<(u64, usize)> {
    let rest = text.get(at..)?.strip_prefix(sign)?;
    let at = at + sign.len();
    if let Some(digits) = rest.strip_prefix("0x") {
        let length = hex_digits(digits);
        let value = u64::from_str_radix(digits.get(..length)?, 16).ok()?;
        return Some((value, at + 2 + length));
    }
    let length = rest.bytes().take(20).take_while(u8::is_ascii_digit).count();
    Some((rest.get(..length)?.parse().ok()?, at + length))
}

/// The module behind a symbol that ends at `at`, and where that ends.
fn with_module(text: &str, at: usize) -> (Option<String>, usize) {
    match text.get(at..).and_then(module) {
        Some((name, length)) => (Some(name.to_owned()), at + length),
        None => (None, at),
    }
}

/// ` [mod]`, ` [mod 0123456789abcdef]` with a build id (CONFIG_STACKTRACE_BUILD_ID): its name and
/// the length of it all.
pub(super) fn module(text: &str) -> Option<(&str, usize)> {
    let inner = text.strip_prefix(" [")?;
    let end = module_name(inner);
    let name = inner.get(..end).filter(|name| !name.is_empty())?;
    let mut rest = inner.get(end..)?;
    if let Some(id) = rest.strip_prefix(' ') {
        let length = hex_digits(id);
        if length < 8 {
            return None;
        }
        rest = id.get(length..)?;
    }
    let rest = rest.strip_prefix(']')?;
    // The stack address of powerpc's next frame, on a joined line; and the symbolizer's mark.
    let address = matches!(end, 8 | 15 | 16) && hex_digits(name) == end;
    (!address && name != "inline").then_some((name, text.len() - rest.len()))
}

/// Bytes of the module's name that the text begins with. The kernel prints `-` as `_`, but
/// an early `-` has been seen.
pub(super) fn module_name(text: &str) -> usize {
    // MODULE_NAME_LEN is 64 less a pointer's size.
    let bytes = text.bytes().take(64);
    bytes
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        .count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms() {
        for (text, name, offset, size, module, rest) in [
            ("foo+0x9d/0x100", "foo", Some(0x9d), Some(0x100), None, ""),
            (
                "foo.isra.42+0x1/0x2 [mod]",
                "foo.isra.42",
                Some(1),
                Some(2),
                Some("mod"),
                "",
            ),
            (
                "foo+0x1/0x2 [mod 0123456789abcdef0123456789abcdef01234567] (P)",
                "foo",
                Some(1),
                Some(2),
                Some("mod"),
                " (P)",
            ),
            ("foo+0x12", "foo", Some(0x12), None, None, ""),
            ("foo+16/32", "foo", Some(16), Some(32), None, ""),
            (
                "0xffffffffc01e7fff",
                "0xffffffffc01e7fff",
                None,
                None,
                None,
                "",
            ),
            ("0x0", "0x0", None, None, None, ""),
            (
                ".foo+0x1/0x2 (unreliable)",
                ".foo",
                Some(1),
                Some(2),
                None,
                " (unreliable)",
            ),
            ("foo.cold+0x1/0x2", "foo.cold", Some(1), Some(2), None, ""),
            (
                "foo.llvm.123+0x1/0x2",
                "foo.llvm.123",
                Some(1),
                Some(2),
                None,
                "",
            ),
            (
                "_RNvNtCs1234_6kernel5print+0x1/0x2",
                "_RNvNtCs1234_6kernel5print",
                Some(1),
                Some(2),
                None,
                "",
            ),
            (
                "_ZN4core3ptr42drop_in_place$LT$T$GT$17h0123E+0x1/0x2",
                "_ZN4core3ptr42drop_in_place$LT$T$GT$17h0123E",
                Some(1),
                Some(2),
                None,
                "",
            ),
            (
                "bpf_prog_6deef7357e7b4530_f+0x40/0x70",
                "bpf_prog_6deef7357e7b4530_f",
                Some(0x40),
                Some(0x70),
                None,
                "",
            ),
            // What follows on a joined line is no module.
            (
                "foo+0x1/0x2 [   17.623293] x",
                "foo",
                Some(1),
                Some(2),
                None,
                " [   17.623293] x",
            ),
            (
                "foo+0x1/0x2 [<ffffffff8105902a>] x",
                "foo",
                Some(1),
                Some(2),
                None,
                " [<ffffffff8105902a>] x",
            ),
            (
                "foo+0x1/0x2 [c0000000fb3f7a10] [c000000000012345] x",
                "foo",
                Some(1),
                Some(2),
                None,
                " [c0000000fb3f7a10] [c000000000012345] x",
            ),
            (
                "foo+0x188/0x710 [mpt3sas]------调用",
                "foo",
                Some(0x188),
                Some(0x710),
                Some("mpt3sas"),
                "------调用",
            ),
        ] {
            let (symbol, length) = symbol(text).unwrap();
            assert_eq!(symbol.name, name, "{text}");
            assert_eq!((symbol.offset, symbol.size), (offset, size), "{text}");
            assert_eq!(symbol.module.as_deref(), module, "{text}");
            assert_eq!(&text[length..], rest, "{text}");
        }
    }

    #[test]
    fn no_symbols() {
        for text in [
            "",
            "foo",
            "foo [mod]",
            "foo+",
            "foo+0x",
            "foo+bar",
            " foo+0x1/0x2",
            "+0x1",
            ".+0x1",
            "1foo+0x1",
            "0x",
            "0xzz",
            "0x12345678901234567",
            "foo+0x12345678901234567",
            "ffff880029e1db40",
            "失败+0x1",
        ] {
            assert_eq!(symbol(text), None, "{text}");
        }
        assert_eq!(symbol(&format!("{}+0x1", "x".repeat(600))), None);
    }

    #[test]
    fn ancient() {
        let (symbol, length) = braced("{:ext3:ext3_get_block+16} <ff").unwrap();
        assert_eq!(symbol.name, "ext3_get_block");
        assert_eq!(symbol.offset, Some(16));
        assert_eq!(symbol.module.as_deref(), Some("ext3"));
        assert_eq!(length, 25);
        assert_eq!(braced("{printk+0x17"), None);
    }

    #[test]
    fn plain_names() {
        for (name, plain) in [
            ("foo", "foo"),
            ("foo.isra.42", "foo"),
            ("foo.constprop.0.isra.1.cold", "foo"),
            ("foo.part.3", "foo"),
            ("foo.cold.12", "foo"),
            ("foo.llvm.1234567", "foo"),
            ("foo.cfi", "foo"),
            ("foo.lto_priv.0", "foo"),
            ("foo.12345", "foo"),
            (".foo", "foo"),
            (".foo.isra.0", "foo"),
            ("a.b", "a.b"),
            ("a.b.cold", "a.b"),
            ("..", "."),
            ("", ""),
        ] {
            assert_eq!(plain_name(name), plain, "{name}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_survived(text in "\\PC*") {
            symbol(&text);
            braced(&text);
            plain_name(&text);
        }

        #[test]
        fn a_whole_symbol_is_one(text in "[a-c_.0x]{0,3}\\+0x[0-9a-f]{0,18}/0x[0-9a-f]{0,18}( \\[[a-f0-9]{0,17}\\])?") {
            if let Some(symbol) = whole(&text) {
                prop_assert_eq!(super::symbol(&text), Some((symbol, text.len())));
            }
        }

        #[test]
        fn near_symbols_are_survived(text in "[a0x+/.\\[\\] {}:ä1]{0,40}") {
            if let Some((_, length)) = symbol(&text) {
                prop_assert!(text.is_char_boundary(length));
            }
            if let Some((_, length)) = braced(&text) {
                prop_assert!(text.is_char_boundary(length));
            }
            plain_name(&text);
        }

        #[test]
        fn what_is_printed_is_read(
            name in "[a-z_][a-z0-9_]{0,30}(\\.isra\\.[0-9])?(\\.cold)?",
            offset: u64,
            size: Option<u64>,
            module in proptest::option::of("[a-z_]{1,7}"),
        ) {
            let mut text = format!("{name}+{offset:#x}");
            if let Some(size) = size {
                text += &format!("/{size:#x}");
            }
            if let Some(module) = &module {
                text += &format!(" [{module}]");
            }
            let expected = Symbol { name, offset: Some(offset), size, module };
            prop_assert_eq!(symbol(&text), Some((expected, text.len())));
        }
    }
}
