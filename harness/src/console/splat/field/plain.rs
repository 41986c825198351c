//! Lines of a report that say nothing that is kept: registers, stack, code, page tables. From
//! __show_regs(), show_stack(), show_opcodes() and the page fault's handler of each architecture.

use super::super::symbol::hex_digits;
use super::Field;

/// Lines that are known by how they begin.
pub(super) fn plain_line(text: &str) -> Option<Field<'_>> {
    let first = *text.as_bytes().first()?;
    if matches!(first, b'L' | b'P')
        && (text.starts_with("Last Breaking-Event-Address:")
            || text.starts_with("Preemption disabled at:"))
    {
        return Some(Field::NoTrace);
    }
    let machinery = begins(first).iter().any(|begin| text.starts_with(begin))
        || is_register(text)
        || is_stack(text);
    machinery.then_some(Field::Machinery)
}

/// How lines begin that are not kept, by their first byte.
#[rustfmt::skip]
fn begins(first: u8) -> &'static [&'static str] {
    match first {
        b'(' => &["(ftrace buffer empty)"],
        b'*' => &["*pde", "*pdpt"],
        b'-' => &["--- interrupt:"],
        b'C' => &["Code:", "CS: ", "Control: ", "CM = ", "CFAR: "],
        b'D' => &["DS: ", "Dumping ftrace buffer:", "Data abort info:"],
        b'E' => &["Exception stack(", "ESR = ", "EC = "],
        b'F' => &["FS:  ", "Fixing recursive fault", "Flags: ", "FSC = "],
        b'G' => &["GPR"],
        b'I' => &["ISV = ", "IRQMASK: ", "Instruction dump:"],
        b'K' => &["Kernel Offset:", "Krnl GPRS:", "Krnl Code:"],
        b'L' => &["LR is at ", "LR [", "LR = "],
        b'M' => &["Mem abort info:", "MSR: "],
        b'O' => &["ORIG_RAX"],
        b'P' => &["PGD ", "PUD ", "PMD ", "P4D ", "PTE ", "PKRU: "],
        b'R' => &["RSP <", "RSP [<", "Register r", "R:0 T:"],
        b'S' => &["Stack:", "Stack :", "Sched_ext: ", "SET = "],
        b'T' => &["Tainted: ["],
        b'U' => &["Unloaded tainted modules:", "User PSW :"],
        b'W' => &["Workqueue: "],
        b'l' => &["last sysfs file:"],
        b'n' => &["note: "],
        b'p' => &["pstate:", "psr: "],
        b's' => &["swapper pgtable:"],
        b't' => &["task: "],
        b'u' => &["user pgtable:"],
        _ => &[],
    }
}

/// `RAX: 0000000000000246 RBX: ...`, `x29: ffff...`, `lr : foo+0x1/0x2`, `$ 0   : 00000000`.
fn is_register(text: &str) -> bool {
    let colon = text.bytes().take(10).position(|byte| byte == b':');
    let Some((name, value)) = colon.and_then(|colon| text.split_at_checked(colon)) else {
        return false;
    };
    let (name, padded) = (name.trim_end(), name.ends_with(' '));
    if matches!(name, "RSP" | "ESP") || (padded && matches!(name, "lr" | "ra")) {
        return true;
    }
    let known = name.len() <= 4
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'$' | b' '));
    let known = known
        || matches!(
            name,
            "EFLAGS" | "status" | "cause" | "Cause" | "Status" | "BadVA"
        );
    let value = value.trim_start_matches([':', ' ']);
    let digits = hex_digits(value);
    let ends = !value
        .as_bytes()
        .get(digits)
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'-'));
    known && matches!(digits, 8 | 16) && ends
}

/// ` 00000000000000d6 ffff880029e1db40`: words of the stack, or registers of s390.
fn is_stack(text: &str) -> bool {
    let digits = hex_digits(text);
    let next = text.as_bytes().get(digits);
    matches!(digits, 8 | 16) && next.is_none_or(u8::is_ascii_whitespace)
}
