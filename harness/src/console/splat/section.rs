//! Lines of a report that are neither headline nor field: what they announce.

use super::field::{Field, field};

/// How frames follow a line that says whose they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    Frames,
    /// `Call Trace:` comes first.
    Trace,
    /// Likewise, and the trace is of a bystander.
    Aside,
}

/// Lines above a trace: mm/kasan/report.c, mm/kfence/report.c, mm/kmsan/report.c,
/// kernel/kcsan/report.c, mm/slub.c, mm/page_owner.c, kernel/locking/lockdep.c, lib/nmi_backtrace.c.
const SECTIONS: [(&str, Begins); 33] = [
    // kernel/rcu/tree_stall.h
    ("RCU grace-period kthread stack dump:", Begins::Aside),
    ("rcu: RCU grace-period kthread stack dump:", Begins::Aside),
    ("Allocated by task", Begins::Frames),
    ("Freed by task", Begins::Frames),
    ("Allocated by:", Begins::Frames),
    ("Freed by:", Begins::Frames),
    ("Allocated:", Begins::Frames),
    ("Freed:", Begins::Frames),
    ("Allocated in ", Begins::Frames),
    ("Freed in ", Begins::Frames),
    ("INFO: Allocated in ", Begins::Frames),
    ("INFO: Freed in ", Begins::Frames),
    ("Slab disabled", Begins::Frames),
    ("Last potentially related work creation", Begins::Frames),
    ("Second to last potentially related work", Begins::Frames),
    ("Last call_rcu():", Begins::Frames),
    ("Second to last call_rcu():", Begins::Frames),
    ("The buggy address belongs to stack", Begins::Frames),
    ("allocated by task ", Begins::Frames),
    ("freed by task ", Begins::Frames),
    ("page last allocated via", Begins::Frames),
    ("page allocated via", Begins::Frames),
    ("page last free", Begins::Frames),
    ("Uninit was ", Begins::Frames),
    ("Local variable ", Begins::Frames),
    ("Memory was marked", Begins::Frames),
    ("read to 0x", Begins::Frames),
    ("write to 0x", Begins::Frames),
    ("read-write to 0x", Begins::Frames),
    ("read (", Begins::Frames),
    ("-> #", Begins::Frames),
    ("NMI backtrace for cpu ", Begins::Trace),
    ("Task dump for CPU ", Begins::Trace),
];

pub(super) fn section(text: &str) -> Option<Begins> {
    let text = text.trim();
    let begins = SECTIONS.iter().find(|(begin, _)| text.starts_with(begin));
    if let Some((_, section)) = begins {
        return Some(*section);
    }
    // lockdep: `{HARDIRQ-ON-W} state was registered at:`, `... which became SOFTIRQ-safe at:`
    let at = text.ends_with("registered at:")
        || (text.ends_with(" at:") && text.contains(" is trying to release lock "))
        || (text.starts_with("... ") && text.ends_with(" at:"))
        || text.ends_with("irq-safe at:")
        || text.ends_with("irq-unsafe at:");
    at.then_some(Begins::Frames)
}

/// Lines that belong to a report with a headline, but could stand anywhere without one.
pub(super) fn is_detail(text: &str) -> bool {
    const DETAILS: [&str; 29] = [
        "Kernel Offset: ",
        "Rebooting in ",
        "Dumping ftrace buffer",
        "=======",
        "-------",
        "*** DEADLOCK ***",
        "other info that might help us debug this",
        "Memory state around the buggy address",
        "The buggy address belongs",
        "Sending NMI ",
        "Workqueue: ",
        "Mem-Info:",
        "Mem abort info:",
        "Data abort info:",
        "handlers:",
        "Disabling IRQ #",
        "Node ",
        "Faulting instruction address",
        "kworker",
        "Showing all locks held in the system",
        "locks held by ",
        "Redzone ",
        "Object ",
        "Padding ",
        "Bytes b4 ",
        "Slab 0x",
        "INFO: Slab 0x",
        "INFO: Object 0x",
        "Disabling lock debugging",
    ];
    let text = text.trim_start();
    DETAILS.iter().any(|detail| text.starts_with(detail)) || text.contains(" lock held by ")
}

/// Whether a line begins a trace that somebody asked for (drivers/tty/sysrq.c, lib/nmi_backtrace.c).
pub(super) fn is_dump(text: &str) -> bool {
    const DUMPS: [&str; 6] = [
        "NMI backtrace for cpu ",
        "sysrq: Show ",
        "SysRq : Show ",
        "sysrq: SysRq : Show ",
        "SysRq: Show ",
        "sysrq: show",
    ];
    DUMPS.iter().any(|dump| text.starts_with(dump))
}

/// Whether a line can be the first that is left of a report.
pub(super) fn is_witness(text: &str) -> bool {
    match field(text) {
        Some(Field::Process { process, .. }) => process.is_some(),
        Some(Field::Instruction(..) | Field::Modules(_) | Field::TraceBegin | Field::EndTrace) => {
            true
        }
        _ => false,
    }
}
