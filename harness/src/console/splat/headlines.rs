//! What a kernel's report begins with, as data. See [`super::pattern`] for the notation.
//!
//! Spellings from 2.6.32 to 6.13, all architectures. The first entry that fits decides, so the
//! special stands above the general.

use super::Kind;
use super::headline::Role;
use Kind::*;
use Role::{Adds, Begins, Dies, Kills, Panics};

/// Pattern, kind, and what the line does to an event.
pub(super) type Entry = (&'static str, Kind, Role);

pub(super) const HEADLINES: &[Entry] = &[
    // lib/bug.c, include/asm-generic/bug.h
    ("kernel BUG at {source}!", KernelBug, Kills),
    ("kernel BUG at {source}", KernelBug, Kills),
    ("Kernel BUG at {at} [", KernelBug, Kills),
    ("Kernel BUG at {hex}", KernelBug, Kills),
    ("kernel BUG at {hex}", KernelBug, Kills),
    // arch/x86/mm/fault.c
    (
        "BUG: unable to handle kernel NULL pointer",
        NullDereference,
        Kills,
    ),
    ("BUG: kernel NULL pointer", NullDereference, Kills),
    (
        "BUG: unable to handle kernel paging request",
        PagingRequest,
        Kills,
    ),
    ("BUG: unable to handle page fault", PagingRequest, Kills),
    ("BUG: unable to handle kernel access", PagingRequest, Kills),
    (
        "kernel tried to execute NX-protected page - exploit attempt?",
        PagingRequest,
        Kills,
    ),
    (
        "unable to execute userspace code (SMEP?)",
        PagingRequest,
        Kills,
    ),
    // arch/powerpc/mm/fault.c
    ("BUG: Kernel NULL pointer", NullDereference, Kills),
    (
        "BUG: Unable to handle kernel instruction fetch (NULL pointer?)",
        NullDereference,
        Kills,
    ),
    ("BUG: Unable to handle", PagingRequest, Kills),
    (
        "Kernel attempted to * user page ({hex}) - exploit attempt?",
        PagingRequest,
        Kills,
    ),
    (
        "Unable to handle kernel paging request for data at address 0x00000000$",
        NullDereference,
        Kills,
    ),
    // arch/{arm,arm64,riscv,s390,sparc,sh,m68k,...}/mm/fault.c
    (
        "Unable to handle kernel NULL pointer",
        NullDereference,
        Kills,
    ),
    (
        "Unable to handle kernel paging request",
        PagingRequest,
        Kills,
    ),
    (
        "Unable to handle kernel pointer dereference",
        PagingRequest,
        Kills,
    ),
    ("Unable to handle kernel access", PagingRequest, Kills),
    ("Unable to handle kernel read", PagingRequest, Kills),
    ("Unable to handle kernel write", PagingRequest, Kills),
    ("Unable to handle kernel execut", PagingRequest, Kills),
    (
        "Unable to handle kernel * at virtual address",
        PagingRequest,
        Kills,
    ),
    // arch/{mips,loongarch}/mm/fault.c
    (
        "CPU {cpu} Unable to handle kernel paging request at virtual address",
        PagingRequest,
        Kills,
    ),
    ("CPU {cpu} Unable to handle kernel", PagingRequest, Kills),
    ("Alignment trap: not handling instruction", Oops, Begins),
    ("Unhandled fault: ", Oops, Kills),
    ("Unhandled prefetch abort: ", Oops, Kills),
    ("Bad mode in * handler detected", Oops, Kills),
    ("Unhandled exception", Oops, Kills),
    ("SError Interrupt on CPU{cpu}", Oops, Begins),
    // arch/x86/kernel/traps.c
    ("PANIC: double fault", DoubleFault, Kills),
    ("BUG: stack guard page was hit at", StackOverflow, Kills),
    ("BUG: * stack guard page was hit at", StackOverflow, Kills),
    (
        "kernel stack overflow (page fault)*[#{number}]",
        StackOverflow,
        Dies,
    ),
    (
        "kernel stack overflow (double-fault)*[#{number}]",
        StackOverflow,
        Dies,
    ),
    (
        "Insufficient stack space to handle exception!",
        StackOverflow,
        Kills,
    ),
    ("Kernel stack overflow in process", StackOverflow, Kills),
    ("Kernel stack overflow.$", StackOverflow, Kills),
    (
        "do_IRQ: * has overflown the kernel stack",
        StackOverflow,
        Begins,
    ),
    ("do_IRQ: stack overflow: ", StackOverflow, Begins),
    ("Missing ENDBR: {at}", Cfi, Kills),
    (
        "Oops: general protection fault*[#{number}]",
        GeneralProtection,
        Dies,
    ),
    (
        "general protection fault*[#{number}]",
        GeneralProtection,
        Dies,
    ),
    ("Oops: divide error*[#{number}]", DivideError, Dies),
    ("divide error*[#{number}]", DivideError, Dies),
    ("Oops: invalid opcode*[#{number}]", InvalidOpcode, Dies),
    ("invalid opcode*[#{number}]", InvalidOpcode, Dies),
    ("Oops: double fault*[#{number}]", DoubleFault, Dies),
    ("double fault*[#{number}]", DoubleFault, Dies),
    ("Oops: UBSAN: *[#{number}]", Ubsan, Dies),
    ("Oops: CFI*[#{number}]", Cfi, Dies),
    // arch/{arm,arm64}/kernel/traps.c
    ("Internal error: Oops - BUG*[#{number}]", KernelBug, Dies),
    (
        "Internal error: Oops - undefined instruction*[#{number}]",
        InvalidOpcode,
        Dies,
    ),
    (
        "Internal error: Oops - Undefined instruction*[#{number}]",
        InvalidOpcode,
        Dies,
    ),
    ("Internal error: Oops - CFI*[#{number}]", Cfi, Dies),
    (
        "Internal error: Oops - kernel stack overflow*[#{number}]",
        StackOverflow,
        Dies,
    ),
    ("Internal error: BRK handler*[#{number}]", Oops, Dies),
    ("Internal error: UBSAN: *[#{number}]", Ubsan, Dies),
    ("Internal error: KASAN*[#{number}]", Kasan, Dies),
    ("Internal error: *[#{number}]", Oops, Dies),
    ("Internal error: ", Oops, Dies),
    // arch/riscv/kernel/traps.c, arch/mips/kernel/traps.c, arch/s390/kernel/dis.c
    ("Kernel BUG [#{number}]", KernelBug, Dies),
    ("Kernel bug detected[#{number}]", KernelBug, Dies),
    ("Kernel unaligned instruction access[#{number}]", Oops, Dies),
    ("Unhandled kernel unaligned access[#{number}]", Oops, Dies),
    ("Kernel stack overflow*[#{number}]", StackOverflow, Dies),
    ("illegal operation: {hex} *[#{number}]", InvalidOpcode, Dies),
    (
        "fixed point divide exception: {hex} *[#{number}]",
        DivideError,
        Dies,
    ),
    ("monitor event: {hex} *[#{number}]", KernelBug, Dies),
    (
        "Oops - illegal instruction [#{number}]",
        InvalidOpcode,
        Dies,
    ),
    ("Oops - *[#{number}]", Oops, Dies),
    (
        "Oops: Kernel stack overflow*[#{number}]",
        StackOverflow,
        Dies,
    ),
    ("Oops: Oops: *[#{number}]", Oops, Dies),
    ("Oops: *[#{number}]", Oops, Dies),
    ("Oops*[#{number}]", Oops, Dies),
    ("Oops: {hex} ", Oops, Dies),
    ("Oops: Kernel access of bad area, sig: {number}", Oops, Dies),
    ("Oops: Exception in kernel mode, sig: {number}", Oops, Dies),
    ("Oops: Machine check, sig: {number}", MachineCheck, Dies),
    ("int3: {hex} [#{number}]", Oops, Dies),
    ("stack segment: {hex} [#{number}]", Oops, Dies),
    // arch/{parisc,alpha,ia64}/kernel/traps.c
    ("Kernel Fault: Code={number}", PagingRequest, Kills),
    // kernel/panic.c and those that call it
    (
        "Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: {at}",
        StackCorruption,
        Panics,
    ),
    (
        "Kernel panic - not syncing: stack-protector",
        StackCorruption,
        Panics,
    ),
    (
        "Kernel panic - not syncing: corrupted stack end",
        StackCorruption,
        Panics,
    ),
    (
        "Kernel panic - not syncing: kernel stack overflow",
        StackOverflow,
        Panics,
    ),
    (
        "Kernel panic - not syncing: Kernel stack overflow",
        StackOverflow,
        Panics,
    ),
    (
        "Kernel panic - not syncing: Machine halted.",
        DoubleFault,
        Panics,
    ),
    (
        "Kernel panic - not syncing: Fatal machine check",
        MachineCheck,
        Panics,
    ),
    (
        "Kernel panic - not syncing: Fatal Machine check",
        MachineCheck,
        Panics,
    ),
    (
        "Kernel panic - not syncing: Machine check",
        MachineCheck,
        Panics,
    ),
    (
        "Kernel panic - not syncing: Uncorrected machine check",
        MachineCheck,
        Panics,
    ),
    (
        "Kernel panic - not syncing: Timeout: Not all CPUs entered broadcast exception handler",
        MachineCheck,
        Panics,
    ),
    (
        "Kernel panic - not syncing: Timeout synchronizing machine check",
        MachineCheck,
        Panics,
    ),
    (
        "Kernel panic - not syncing: Fatal hardware error",
        MachineCheck,
        Panics,
    ),
    (
        "Kernel panic - not syncing: * hardware error",
        MachineCheck,
        Panics,
    ),
    ("Kernel panic - not syncing: Out of memory", Oom, Panics),
    ("Kernel panic - not syncing: out of memory", Oom, Panics),
    (
        "Kernel panic - not syncing: System is deadlocked on memory",
        Oom,
        Panics,
    ),
    ("Kernel panic - not syncing: hung_task:", HungTask, Panics),
    (
        "Kernel panic - not syncing: softlockup:",
        SoftLockup,
        Panics,
    ),
    (
        "Kernel panic - not syncing: Watchdog detected hard LOCKUP on cpu {cpu}",
        HardLockup,
        Panics,
    ),
    (
        "Kernel panic - not syncing: Hard LOCKUP",
        HardLockup,
        Panics,
    ),
    (
        "Kernel panic - not syncing: NMI Watchdog detected LOCKUP",
        HardLockup,
        Panics,
    ),
    ("Kernel panic - not syncing: RCU Stall", RcuStall, Panics),
    ("Kernel panic - not syncing: NMI", Nmi, Panics),
    ("Kernel panic - not syncing: An NMI occurred", Nmi, Panics),
    ("Kernel panic - not syncing: nmi_panic", Nmi, Panics),
    ("Kernel panic - not syncing: KASAN:", Kasan, Panics),
    ("Kernel panic - not syncing: UBSAN:", Ubsan, Panics),
    ("Kernel panic - not syncing: CFI failure", Cfi, Panics),
    (
        "Kernel panic - not syncing: scheduling while atomic",
        SchedulingWhileAtomic,
        Panics,
    ),
    ("Kernel panic - not syncing: bad locking", Spinlock, Panics),
    ("Kernel panic - not syncing", Panic, Panics),
    // kernel/panic.c: __warn(), warn_slowpath_common()
    (
        "WARNING: CPU: {cpu} PID: {pid} at {source} {at}",
        Warning,
        Begins,
    ),
    (
        "WARNING: CPU: {cpu} PID: {pid} at {source}",
        Warning,
        Begins,
    ),
    ("WARNING: CPU: {cpu} PID: {pid} at {at}", Warning, Begins),
    ("WARNING: CPU: {cpu} PID: {pid}", Warning, Begins),
    ("WARNING: at {source} {at}", Warning, Begins),
    ("WARNING: at {source}", Warning, Begins),
    (
        "WARNING: {source} at {at}, CPU#{cpu}: {proc}",
        Warning,
        Begins,
    ),
    ("WARNING: {source} at {at}", Warning, Begins),
    ("WARNING: at {at}, CPU#{cpu}: {proc}", Warning, Begins),
    ("CPU: {cpu} PID: {pid} at {source} {at}", Warning, Begins),
    ("BUG: warning at {source}", Warning, Begins),
    ("BUG: at {source} {at}", Warning, Begins),
    ("Badness at {source}", Warning, Begins),
    ("------------[ cut here ]------------", Warning, Adds),
    // kernel/watchdog.c, arch/powerpc/kernel/watchdog.c, kernel/watchdog_hld.c
    (
        "BUG: soft lockup - CPU#{cpu} stuck for {number}s! [{task}]",
        SoftLockup,
        Begins,
    ),
    ("BUG: soft lockup", SoftLockup, Begins),
    (
        "Watchdog detected hard LOCKUP on cpu {cpu}",
        HardLockup,
        Begins,
    ),
    (
        "CPU{cpu}: Watchdog detected hard LOCKUP",
        HardLockup,
        Begins,
    ),
    ("Watchdog CPU:{cpu} Hard LOCKUP", HardLockup, Begins),
    ("CPU {cpu} self-detected hard LOCKUP", HardLockup, Begins),
    (
        "CPU {number} detected hard LOCKUP on other CPUs",
        HardLockup,
        Begins,
    ),
    ("CPU {cpu} Hard LOCKUP", HardLockup, Begins),
    (
        "BUG: NMI Watchdog detected LOCKUP on CPU{cpu}",
        HardLockup,
        Begins,
    ),
    (
        "NMI Watchdog detected LOCKUP on CPU {cpu}",
        HardLockup,
        Begins,
    ),
    (
        "NMI Watchdog detected LOCKUP on CPU{cpu}",
        HardLockup,
        Begins,
    ),
    // kernel/rcu/tree_stall.h, tree_exp.h, tasks.h
    (
        "INFO: rcu* self-detected stall on CPU {cpu}",
        RcuStall,
        Begins,
    ),
    ("INFO: rcu* self-detected stall on CPU", RcuStall, Begins),
    ("INFO: rcu* detected stall on CPU {cpu}", RcuStall, Begins),
    ("INFO: rcu* detected stall", RcuStall, Begins),
    ("INFO: rcu* detected expedited stall", RcuStall, Begins),
    ("INFO: RCU detected CPU {cpu} stall", RcuStall, Begins),
    ("INFO: RCU detected", RcuStall, Begins),
    ("rcu* kthread starved for", RcuStall, Adds),
    ("rcu* kthread timer wakeup didn't happen", RcuStall, Adds),
    // kernel/hung_task.c
    ("INFO: task {task} blocked for more than", HungTask, Begins),
    (
        "INFO: task {task} blocked in I/O wait for more than",
        HungTask,
        Begins,
    ),
    // kernel/workqueue.c
    ("BUG: workqueue lockup - pool", WorkqueueLockup, Begins),
    // kernel/sched/core.c
    (
        "BUG: sleeping function called from invalid context at {source}",
        SleepInAtomic,
        Begins,
    ),
    (
        "BUG: sleeping function called from invalid context",
        SleepInAtomic,
        Begins,
    ),
    (
        "Debug: sleeping function called from invalid context",
        SleepInAtomic,
        Begins,
    ),
    (
        "BUG: scheduling while atomic: {proc}/0x",
        SchedulingWhileAtomic,
        Begins,
    ),
    (
        "BUG: scheduling while atomic",
        SchedulingWhileAtomic,
        Begins,
    ),
    (
        "bad: scheduling from the idle thread!",
        SchedulingWhileAtomic,
        Begins,
    ),
    // kernel/locking/spinlock_debug.c, lib/spinlock_debug.c
    ("BUG: spinlock * on CPU#{cpu}, {proc}", Spinlock, Begins),
    ("BUG: rwlock * on CPU#{cpu}, {proc}", Spinlock, Begins),
    (
        "BUG: read-lock lockup on CPU#{cpu}, {proc}",
        Spinlock,
        Begins,
    ),
    (
        "BUG: write-lock lockup on CPU#{cpu}, {proc}",
        Spinlock,
        Begins,
    ),
    ("BUG: spinlock ", Spinlock, Begins),
    ("BUG: rwlock ", Spinlock, Begins),
    ("BUG: rt_mutex", Spinlock, Begins),
    ("BUG: mutex", Spinlock, Begins),
    ("BUG: rwsem", Spinlock, Begins),
    ("DEBUG_LOCKS_WARN_ON(lock->magic != lock)", Spinlock, Begins),
    // mm/kasan/report.c
    ("BUG: KASAN: * in {at}", Kasan, Begins),
    ("BUG: KASan: * in {at}", Kasan, Begins),
    ("BUG: KASAN: ", Kasan, Begins),
    ("BUG: KASan: ", Kasan, Begins),
    ("AddressSanitizer: * in {at}", Kasan, Begins),
    // arch/*/mm/kasan: what the address of a general protection fault may be
    ("KASAN: null-ptr-deref in range", Kasan, Adds),
    ("KASAN: probably ", Kasan, Adds),
    ("KASAN: maybe ", Kasan, Adds),
    ("kernel/kcsan: ", Kcsan, Adds),
    ("BUG: KCSAN: * in {at}", Kcsan, Begins),
    ("BUG: KCSAN: ", Kcsan, Begins),
    ("BUG: KMSAN: * in {at}", Kmsan, Begins),
    ("BUG: KMSAN: ", Kmsan, Begins),
    ("BUG: KFENCE: * in {at}", Kfence, Begins),
    ("BUG: KFENCE: ", Kfence, Begins),
    // lib/ubsan.c
    ("UBSAN: Undefined behaviour in {source}", Ubsan, Begins),
    ("UBSAN: * in {source}", Ubsan, Begins),
    // lib/list_debug.c
    ("list_add corruption", ListCorruption, Begins),
    ("list_del corruption", ListCorruption, Begins),
    ("list_add double add", ListCorruption, Begins),
    ("list_del attempt", ListCorruption, Begins),
    ("plist corruption", ListCorruption, Begins),
    ("prev->next should be ", ListCorruption, Adds),
    // lib/refcount.c
    ("refcount_t: underflow", Refcount, Begins),
    ("refcount_t: addition", Refcount, Begins),
    ("refcount_t: increment", Refcount, Begins),
    ("refcount_t: decrement", Refcount, Begins),
    ("refcount_t: saturated", Refcount, Begins),
    ("refcount_t: unknown saturation", Refcount, Begins),
    ("refcount_t overflow at {at} in {task}", Refcount, Begins),
    ("refcount error occurred at", Refcount, Begins),
    // lib/debugobjects.c
    ("ODEBUG: object ", DebugObjects, Begins),
    ("ODEBUG: * object type: ", DebugObjects, Begins),
    ("ODEBUG: * object: ", DebugObjects, Begins),
    // mm/page_alloc.c, mm/memory.c, kernel/fork.c
    (
        "BUG: Bad page state in process {comm}  pfn:",
        BadPage,
        Begins,
    ),
    ("BUG: Bad page map in process {comm}  pte:", BadPage, Begins),
    ("BUG: Bad page ", BadPage, Begins),
    ("BUG: Bad rss-counter state", BadPage, Begins),
    ("Bad page state in process", BadPage, Begins),
    // mm/slub.c, mm/slab.c
    ("BUG {word} (*ainted*): ", SlabCorruption, Begins),
    ("BUG: {word} (*ainted*): ", SlabCorruption, Begins),
    ("BUG {word}: Poison overwritten", SlabCorruption, Begins),
    ("BUG {word}: Redzone overwritten", SlabCorruption, Begins),
    ("BUG {word}: Object ", SlabCorruption, Begins),
    ("BUG {word}: Padding overwritten", SlabCorruption, Begins),
    ("BUG {word}: Invalid object pointer", SlabCorruption, Begins),
    ("BUG {word}: Freechain corrupt", SlabCorruption, Begins),
    ("BUG {word}: Freepointer corrupt", SlabCorruption, Begins),
    ("BUG {word}: Wrong ", SlabCorruption, Begins),
    ("Slab corruption", SlabCorruption, Begins),
    ("slab error in {at}: ", SlabCorruption, Begins),
    (
        "slab: Internal list corruption detected",
        SlabCorruption,
        Begins,
    ),
    ("cache_from_obj: Wrong slab cache.", SlabCorruption, Begins),
    // mm/usercopy.c
    ("Kernel memory exposure attempt detected", Usercopy, Kills),
    ("Kernel memory overwrite attempt detected", Usercopy, Kills),
    ("kernel memory exposure attempt detected", Usercopy, Kills),
    ("kernel memory overwrite attempt detected", Usercopy, Kills),
    ("Bad or missing usercopy whitelist?", Usercopy, Begins),
    // kernel/cfi.c
    ("CFI failure at {at}", Cfi, Begins),
    ("CFI failure (target: {at}", Cfi, Begins),
    ("CFI failure", Cfi, Begins),
    // mm/kmemleak.c
    ("BUG: memory leak", MemoryLeak, Begins),
    (
        "kmemleak: {number} new suspected memory leak",
        MemoryLeak,
        Begins,
    ),
    (
        "unreferenced object {hex} (size {number}):",
        MemoryLeak,
        Begins,
    ),
    // mm/oom_kill.c
    ("Out of memory: Kill", Oom, Begins),
    ("Out of memory: kill", Oom, Begins),
    ("Memory cgroup out of memory: Kill", Oom, Begins),
    ("Out of memory and no killable processes", Oom, Begins),
    // arch/x86/kernel/cpu/mce
    ("CPU {cpu}: Machine Check Exception: ", MachineCheck, Kills),
    ("CPU {cpu}: Machine Check: ", MachineCheck, Begins),
    ("Machine check events logged", MachineCheck, Begins),
    ("Machine Check Exception on CPU {cpu}", MachineCheck, Kills),
    ("Uncorrected hardware memory error in", MachineCheck, Kills),
    ("event severity: fatal", MachineCheck, Kills),
    ("event severity: corrected", MachineCheck, Begins),
    ("event severity: recoverable", MachineCheck, Begins),
    ("Machine check in kernel mode.", MachineCheck, Kills),
    // arch/x86/kernel/nmi.c
    ("Uhhuh. NMI received", Nmi, Begins),
    ("NMI: PCI system error (SERR)", Nmi, Begins),
    ("NMI: IOCK error", Nmi, Begins),
    ("NMI: Unknown NMI", Nmi, Begins),
    ("Dazed and confused, but trying to continue", Nmi, Adds),
    // kernel/irq/spurious.c
    ("irq {number}: nobody cared", IrqNobodyCared, Begins),
    (
        "irq event {number}: bogus return value",
        IrqNobodyCared,
        Begins,
    ),
    // kernel/locking/lockdep.c
    ("INFO: trying to register non-static key", Lockdep, Begins),
    ("suspicious rcu_dereference_check() usage", Lockdep, Begins),
    // kernel/printk, oops= and friends: only with a report around it
    (
        "BUG: using {word} in preemptible [{hex}] code: {proc}",
        Bug,
        Begins,
    ),
    ("BUG: workqueue leaked", Bug, Begins),
    ("BUG: {any}", Bug, Begins),
];

/// Lines whose first word is a name that may be anything.
pub(super) const NAMED: &[Entry] = &[
    ("{comm} invoked oom-killer: ", Oom, Begins),
    (
        "{comm}: page allocation failure",
        PageAllocationFailure,
        Begins,
    ),
    (
        "{comm}: page allocation stalls for",
        PageAllocationFailure,
        Begins,
    ),
    ("{comm}: vmalloc error: size", PageAllocationFailure, Begins),
    (
        "{comm}: vmalloc: allocation failure",
        PageAllocationFailure,
        Begins,
    ),
    ("{comm}({pid}): Kernel bad sw trap *[#{number}]", Oops, Dies),
    ("{comm}({pid}): Oops [#{number}]", Oops, Dies),
    ("{comm}({pid}): Oops {number}", Oops, Dies),
    ("{comm}({pid}): Kernel Bug ", KernelBug, Dies),
    ("{comm}[{pid}]: Oops {number} [{number}]", Oops, Dies),
    ("{comm}: Corrupted page table at address", Oops, Dies),
    ("{comm}: {hex} [#{number}]", Oops, Dies),
    ("{comm}: {hex} ilc:{number} [#{number}]", Oops, Dies),
    ("{comm}[#{number}]:$", Oops, Dies),
];

/// What lockdep says after `WARNING: `, or, before 4.14, within `[ INFO:  ]` and `[ BUG:  ]`
/// (kernel/locking/lockdep.c, kernel/locking/rtmutex-debug.c).
pub(super) const LOCKDEP: &[&str] = &[
    "possible circular locking dependency detected",
    "possible recursive locking detected",
    "possible irq lock inversion dependency detected",
    "possible irq locking dependency detected",
    "inconsistent lock state",
    "bad unlock balance detected",
    "bad contention detected",
    "held lock freed",
    "lock held when returning to user space",
    "lock held at task exit time",
    "nested lock was not taken",
    "Nested lock was not taken",
    "suspicious RCU usage",
    "suspicious rcu_dereference",
    "Invalid wait context",
    "circular locking deadlock detected",
    "-unsafe lock order detected",
    "still has locks held",
];

/// Words of subsystems that stand before a headline (pr_fmt of the kernel's files).
pub(super) const SUB_PREFIXES: &[&str] = &[
    "------------[ cut here ]------------",
    "8<--- cut here ---",
    // syslogd shouts at terminals without a blank.
    "kernel:",
    "NMI watchdog: ",
    "watchdog: ",
    "traps: ",
    "rcu: ",
    "mce: ",
    "MCE: ",
    "[Hardware Error]: ",
    "usercopy: ",
    "slab: ",
    "slub: ",
    "sched: ",
    "page_alloc: ",
    "workqueue: ",
    "hung_task: ",
    "ODEBUG: ODEBUG: ",
    "x86/mm: ",
    "x86/fault: ",
    "list: ",
    "cfi: ",
    "mm: ",
    "RAS: ",
];
