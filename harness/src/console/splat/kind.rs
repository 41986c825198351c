//! What kinds of report there are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a report is, by the most specific of its headlines.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `kernel BUG at file:line!` (lib/bug.c).
    KernelBug,
    /// A null pointer was followed (arch/x86/mm/fault.c, arch/arm64/mm/fault.c).
    NullDereference,
    /// An address that is not mapped was used.
    PagingRequest,
    /// General protection fault (arch/x86/kernel/traps.c).
    GeneralProtection,
    /// Division by zero.
    DivideError,
    /// An invalid instruction, without a BUG() behind it.
    InvalidOpcode,
    /// An exception within an exception.
    DoubleFault,
    /// The kernel's stack ran into its guard page.
    StackOverflow,
    /// A stack's canary or end mark was overwritten.
    StackCorruption,
    /// Any other fatal trap that die() reports.
    Oops,
    /// A panic that no other report led to (kernel/panic.c).
    Panic,
    /// WARN() (kernel/panic.c).
    Warning,
    /// A CPU did not schedule (kernel/watchdog.c).
    SoftLockup,
    /// A CPU took no interrupts (kernel/watchdog.c).
    HardLockup,
    /// An RCU grace period did not end (kernel/rcu/tree_stall.h).
    RcuStall,
    /// A task waited too long (kernel/hung_task.c).
    HungTask,
    /// A workqueue's pool stood still (kernel/workqueue.c).
    WorkqueueLockup,
    /// Lock validator, RCU's usage checks among them (kernel/locking/lockdep.c).
    Lockdep,
    /// A function that may sleep was called where it must not (kernel/sched/core.c).
    SleepInAtomic,
    /// schedule() was called where it must not (kernel/sched/core.c).
    SchedulingWhileAtomic,
    /// Debugging of spinlocks, rwlocks and mutexes (kernel/locking/spinlock_debug.c).
    Spinlock,
    /// Kernel address sanitizer (mm/kasan/report.c).
    Kasan,
    /// Kernel concurrency sanitizer (kernel/kcsan/report.c).
    Kcsan,
    /// Kernel memory sanitizer (mm/kmsan/report.c).
    Kmsan,
    /// Kernel electric fence (mm/kfence/report.c).
    Kfence,
    /// Undefined behaviour sanitizer (lib/ubsan.c).
    Ubsan,
    /// A linked list's pointers do not agree (lib/list_debug.c).
    ListCorruption,
    /// A reference counter overflowed or underflowed (lib/refcount.c).
    Refcount,
    /// Debugging of objects' life times (lib/debugobjects.c).
    DebugObjects,
    /// A page's state or map count is wrong (mm/page_alloc.c, mm/memory.c).
    BadPage,
    /// The slab allocator found its marks overwritten (mm/slub.c).
    SlabCorruption,
    /// Copying to or from user space beyond an object (mm/usercopy.c).
    Usercopy,
    /// Control flow integrity (kernel/cfi.c).
    Cfi,
    /// kmemleak's report of an object that nothing refers to (mm/kmemleak.c).
    MemoryLeak,
    /// Out of memory (mm/oom_kill.c).
    Oom,
    /// One allocation failed (mm/page_alloc.c). Often harmless.
    PageAllocationFailure,
    /// Machine check (arch/x86/kernel/cpu/mce/core.c).
    MachineCheck,
    /// A non-maskable interrupt that nothing explains (arch/x86/kernel/nmi.c).
    Nmi,
    /// An interrupt that no driver claims (kernel/irq/spurious.c).
    IrqNobodyCared,
    /// Any other line that begins with `BUG: `.
    Bug,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}
