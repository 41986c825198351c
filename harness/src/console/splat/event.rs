//! Which lines are of one event: a BUG, the oops that it raises, the panic that follows.

use super::Kind;
use super::headline::{Heading, Role};
use Kind::*;

/// How much a kind says. A report is named by the one that says most.
pub(super) fn rank(kind: Kind) -> u8 {
    match kind {
        Panic => 0,
        Warning | Oops => 1,
        Bug | InvalidOpcode => 2,
        PagingRequest | GeneralProtection | DivideError => 3,
        // powerpc reports the access first: arch/powerpc/mm/fault.c, sanity_check_fault().
        NullDereference => 4,
        KernelBug | DoubleFault => 5,
        _ => 6,
    }
}

/// Whether the kernel ends reports of the kind with `---[ end trace`.
pub(super) fn has_end(kind: Kind) -> bool {
    matches!(
        kind,
        KernelBug
            | NullDereference
            | PagingRequest
            | GeneralProtection
            | DivideError
            | InvalidOpcode
            | DoubleFault
            | Oops
            | Panic
            | Warning
    )
}

/// Lines after the last of a report at which a panic can still be its consequence.
pub(super) fn linger(kind: Kind, fatal: bool) -> u64 {
    match kind {
        // The table of all tasks, the locks that they hold, the traces of all CPUs.
        Oom | HungTask => 4096,
        SoftLockup | HardLockup | RcuStall | MachineCheck | Nmi => 1024,
        _ if fatal => 256,
        _ => 64,
    }
}

/// What the decision needs to know of an open report.
#[derive(Debug, Clone, Copy)]
pub(super) struct State<'a> {
    pub kind: Kind,
    pub title: &'a str,
    pub fatal: bool,
    /// die() has spoken.
    pub died: bool,
    /// panic() has spoken.
    pub panicked: bool,
    /// Its end was printed.
    pub ended: bool,
    /// Neither process nor trace has been printed.
    pub bare: bool,
    /// Its own trace has been printed.
    pub traced: bool,
    /// Its last headline names a function that a symbolizer found inlined: into which comes next.
    pub inlined: bool,
    /// Lines since its last.
    pub lines: u64,
    /// Microseconds since its last line, if both have a stamp.
    pub micros: Option<u64>,
}

/// Lines between a text and the BUG() or WARN() that it announces.
const NEAR: u64 = 8;

/// Whether a line goes on with what an open report began.
pub(super) fn follows(open: State<'_>, next: &Heading<'_>) -> bool {
    match next.role {
        Role::Adds => !open.ended,
        Role::Dies => dies(open, next) || wild_access(open, next),
        Role::Panics => panics(open, next),
        Role::Begins | Role::Kills => {
            begins(open, next) || (next.role == Role::Kills && wild_access(open, next))
        }
    }
}

fn dies(open: State<'_>, next: &Heading<'_>) -> bool {
    let leads = matches!(
        open.kind,
        KernelBug
            | NullDereference
            | PagingRequest
            | StackOverflow
            | StackCorruption
            | DoubleFault
            | Cfi
            | Usercopy
            | ListCorruption
            | SlabCorruption
            | Ubsan
            | Kasan
            | Refcount
            | MachineCheck
            | Oops
            | Bug
    );
    leads
        && !open.died
        && !open.ended
        && open.bare
        && open.lines <= 4 * NEAR
        && !(matches!(next.kind, DivideError) && open.kind != DivideError)
}

/// KASAN saw the access, and then it happened.
fn wild_access(open: State<'_>, next: &Heading<'_>) -> bool {
    open.kind == Kasan
        && !open.died
        && open.lines <= 4 * NEAR
        && ["null-ptr-deref", "wild-memory-access", "user-memory-access"]
            .iter()
            .any(|access| open.title.contains(access))
        && matches!(
            next.kind,
            NullDereference | PagingRequest | GeneralProtection | Oops
        )
}

/// Whether the report that `cut here` announces may belong to what is open.
pub(super) fn announced(open: State<'_>) -> bool {
    let text = open.bare || (open.kind == SlabCorruption && !open.traced);
    text && !open.ended && !open.died && open.lines <= NEAR
}

/// panic() for what was survived otherwise.
const ON_ANY: [&str; 5] = [
    "panic_on_warn",
    "panic_on_taint",
    "kernel.panic_on",
    "kmsan.panic",
    ".fault=panic",
];
/// panic() for reasons of its own.
const ON_NONE: [&str; 6] = [
    "VFS: ",
    "No working init",
    "No init found",
    "Requested init",
    "sysrq",
    "Attempted to kill init! exitcode=0x00000000",
];

fn panics(open: State<'_>, next: &Heading<'_>) -> bool {
    if open.panicked {
        return next.text.contains("not syncing") && open.lines <= NEAR;
    }
    let reason = next
        .text
        .split_once("not syncing")
        .map_or("", |(_, why)| why);
    if ON_ANY.iter().any(|why| reason.contains(why)) {
        return true;
    }
    if next.kind != Panic {
        // A double fault's panic is `Machine halted.`; the others name their kind.
        return open.kind == next.kind || (open.fatal && next.kind == DoubleFault);
    }
    open.fatal && !ON_NONE.iter().any(|why| reason.contains(why))
}

fn begins(open: State<'_>, next: &Heading<'_>) -> bool {
    if open.kind == next.kind {
        return repeats(open);
    }
    // SLUB prints the object and who had it, and only then where it was noticed.
    if open.kind == SlabCorruption && next.kind == Warning {
        return !open.traced && !open.ended && open.lines <= 2 * NEAR;
    }
    if !open.bare || open.ended || open.lines > NEAR {
        return false;
    }
    match (open.kind, next.kind) {
        // The text first, then BUG().
        (
            ListCorruption | Usercopy | SlabCorruption | Bug | Cfi | Refcount | BadPage | Kasan
            | StackOverflow | Spinlock | DebugObjects | Nmi,
            KernelBug,
        ) => true,
        // WARN() since 4.15.
        (
            ListCorruption | Refcount | DebugObjects | Usercopy | Cfi | SlabCorruption | Spinlock
            | StackOverflow | BadPage,
            Warning,
        ) => true,
        // WARN() before.
        (
            Warning,
            ListCorruption | Refcount | DebugObjects | Usercopy | Cfi | SlabCorruption | Spinlock,
        ) => true,
        // `kernel tried to execute NX-protected page`, then the fault itself.
        (
            NullDereference | PagingRequest | Oops | StackOverflow,
            NullDereference | PagingRequest | Oops | DoubleFault | StackOverflow,
        ) => !open.died,
        _ => false,
    }
}

/// Whether a second headline of the same kind is of the same event.
fn repeats(open: State<'_>) -> bool {
    const SECOND: u64 = 1_000_000;
    let at_once = open.micros.is_none_or(|micros| micros <= SECOND);
    match open.kind {
        // `X invoked oom-killer`, then `Out of memory: Killed process`.
        Oom => !open.title.contains("Out of memory") && !open.title.contains("out of memory"),
        // One line a bank.
        MachineCheck | Nmi => at_once && !open.panicked,
        // All tasks that one look found.
        HungTask => at_once && !open.panicked && open.lines <= 4 * NEAR,
        // Two CPUs see the same: on powerpc the one that hangs speaks second.
        RcuStall | HardLockup => at_once && open.bare && open.lines <= NEAR,
        // A symbolizer repeats the line for every function that was inlined.
        Kasan | Kmsan | Kcsan | Kfence => {
            open.bare && (open.lines <= 1 || (open.inlined && open.lines <= NEAR))
        }
        // The same in other words, before anything else is said.
        PagingRequest | StackOverflow | DoubleFault | ListCorruption | Usercopy => {
            open.bare && !open.died && open.lines <= 2
        }
        MemoryLeak => open.bare && open.lines <= 2 && !open.title.starts_with("unreferenced"),
        _ => false,
    }
}
