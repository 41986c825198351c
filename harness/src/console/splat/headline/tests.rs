use proptest::prelude::*;

use super::*;
use Kind::*;

/// Message, kind, fatal.
const HEADINGS: &[(&str, Kind, bool)] = &[
    (
        "kernel BUG at arch/x86/kernel/apic/io_apic.c:1358!",
        KernelBug,
        true,
    ),
    (
        "------------[ cut here ]------------ kernel BUG at mm/slub.c:305!",
        KernelBug,
        true,
    ),
    (
        "kernel BUG at /build/linux/fs/ext4/inode.c:2721!",
        KernelBug,
        true,
    ),
    (
        "Kernel BUG at ext4_writepages+0x1/0x2 [verbose debug info unavailable]",
        KernelBug,
        true,
    ),
    (
        "BUG: unable to handle kernel NULL pointer dereference at           (null)",
        NullDereference,
        true,
    ),
    (
        "BUG: unable to handle kernel NULL pointer dereference at 0000000000000028",
        NullDereference,
        true,
    ),
    (
        "BUG: kernel NULL pointer dereference, address: 0000000000000000",
        NullDereference,
        true,
    ),
    (
        "BUG: unable to handle kernel paging request at ffff88002bde1e40",
        PagingRequest,
        true,
    ),
    (
        "BUG: unable to handle page fault for address: ffffffffc0a3e000",
        PagingRequest,
        true,
    ),
    (
        "kernel tried to execute NX-protected page - exploit attempt? (uid: 0)",
        PagingRequest,
        true,
    ),
    (
        "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008",
        NullDereference,
        true,
    ),
    (
        "Unable to handle kernel paging request at virtual address dead000000000108",
        PagingRequest,
        true,
    ),
    (
        "Unable to handle kernel access to user memory outside uaccess routines at virtual address 0000000000000050",
        PagingRequest,
        true,
    ),
    (
        "Unable to handle kernel read from unreadable memory at virtual address 00000010",
        PagingRequest,
        true,
    ),
    (
        "Unable to handle kernel write to read-only memory at virtual address ffff8000",
        PagingRequest,
        true,
    ),
    (
        "Unable to handle kernel execute from non-executable memory at virtual address 0010",
        PagingRequest,
        true,
    ),
    (
        "Unable to handle kernel pointer dereference in virtual kernel address space",
        PagingRequest,
        true,
    ),
    (
        "Unable to handle kernel paging request for data at address 0x00000028",
        PagingRequest,
        true,
    ),
    (
        "BUG: Kernel NULL pointer dereference on read at 0x00000000",
        NullDereference,
        true,
    ),
    (
        "BUG: Unable to handle kernel data access on write at 0xc00c000000000000",
        PagingRequest,
        true,
    ),
    (
        "BUG: Unable to handle kernel instruction fetch (NULL pointer?)",
        NullDereference,
        true,
    ),
    (
        "CPU 0 Unable to handle kernel paging request at virtual address 00000000, epc == 80123, ra == 80122",
        PagingRequest,
        true,
    ),
    ("Oops: 0002 [#1] SMP", Oops, true),
    ("Oops: Oops: 0002 [#1] PREEMPT SMP NOPTI", Oops, true),
    ("Oops [#1]", Oops, true),
    ("Oops[#1]:", Oops, true),
    ("Oops - illegal instruction [#1]", InvalidOpcode, true),
    (
        "Internal error: Oops: 96000004 [#1] PREEMPT SMP",
        Oops,
        true,
    ),
    (
        "Internal error: Oops - BUG: 0 [#1] PREEMPT SMP ARM",
        KernelBug,
        true,
    ),
    (
        "Internal error: synchronous external abort: 96000210 [#1] SMP",
        Oops,
        true,
    ),
    (
        "Internal error: Oops - undefined instruction: 0 [#1] SMP ARM",
        InvalidOpcode,
        true,
    ),
    (
        "Internal error: UBSAN: array index out of bounds: 00000000f2005512 [#1] PREEMPT SMP",
        Ubsan,
        true,
    ),
    ("Internal error: : 1008 [#1] SMP ARM", Oops, true),
    ("Oops: Kernel access of bad area, sig: 11 [#1]", Oops, true),
    ("Oops: Exception in kernel mode, sig: 4 [#1]", Oops, true),
    (
        "general protection fault: 0000 [#1] SMP",
        GeneralProtection,
        true,
    ),
    (
        "general protection fault, probably for non-canonical address 0xdffffc0000000000: 0000 [#1] PREEMPT SMP KASAN",
        GeneralProtection,
        true,
    ),
    (
        "Oops: general protection fault, probably for non-canonical address 0xdffffc0000000000: 0000 [#1] PREEMPT",
        GeneralProtection,
        true,
    ),
    (
        "general protection fault maybe for address 0x0: 0000 [#3] SMP",
        GeneralProtection,
        true,
    ),
    ("divide error: 0000 [#1] SMP", DivideError, true),
    (
        "Oops: divide error: 0000 [#1] PREEMPT SMP",
        DivideError,
        true,
    ),
    ("invalid opcode: 0000 [#1] SMP", InvalidOpcode, true),
    ("int3: 0000 [#1] SMP", Oops, true),
    ("stack segment: 0000 [#1] SMP", Oops, true),
    ("bounds: 0000 [#1] SMP", Oops, true),
    ("double fault: 0000 [#1] SMP", DoubleFault, true),
    ("PANIC: double fault, error_code: 0x0", DoubleFault, true),
    (
        "traps: PANIC: double fault, error_code: 0x0",
        DoubleFault,
        true,
    ),
    (
        "BUG: stack guard page was hit at ffffc90000000000 (stack is ffff..ffff)",
        StackOverflow,
        true,
    ),
    (
        "BUG: TASK stack guard page was hit at 00000000a0b5e6e5",
        StackOverflow,
        true,
    ),
    (
        "kernel stack overflow (page fault): 0000 [#1] SMP",
        StackOverflow,
        true,
    ),
    (
        "kernel stack overflow (double-fault): 0000 [#1] SMP",
        StackOverflow,
        true,
    ),
    (
        "Insufficient stack space to handle exception!",
        StackOverflow,
        true,
    ),
    (
        "Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: lkdtm_CORRUPT_STACK+0x1/0x2 [lkdtm]",
        StackCorruption,
        true,
    ),
    (
        "Kernel panic - not syncing: corrupted stack end detected inside scheduler",
        StackCorruption,
        true,
    ),
    (
        "Kernel panic - not syncing: Fatal machine check on current CPU",
        MachineCheck,
        true,
    ),
    (
        "Kernel panic - not syncing: Out of memory and no killable processes...",
        Oom,
        true,
    ),
    (
        "Kernel panic - not syncing: System is deadlocked on memory",
        Oom,
        true,
    ),
    (
        "Kernel panic - not syncing: hung_task: blocked tasks",
        HungTask,
        true,
    ),
    (
        "Kernel panic - not syncing: softlockup: hung tasks",
        SoftLockup,
        true,
    ),
    (
        "Kernel panic - not syncing: Watchdog detected hard LOCKUP on cpu 3",
        HardLockup,
        true,
    ),
    ("Kernel panic - not syncing: RCU Stall", RcuStall, true),
    ("Kernel panic - not syncing: NMI: Not continuing", Nmi, true),
    (
        "Kernel panic - not syncing: Fatal exception in interrupt",
        Panic,
        true,
    ),
    (
        "Kernel panic - not syncing: panic_on_warn set ...",
        Panic,
        true,
    ),
    (
        "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b",
        Panic,
        true,
    ),
    (
        "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
        Panic,
        true,
    ),
    (
        "Kernel panic - not syncing: sysrq triggered crash",
        Panic,
        true,
    ),
    (
        "WARNING: at kernel/softirq.c:159 local_bh_enable_ip+0x7d/0xb0()",
        Warning,
        false,
    ),
    (
        "WARNING: CPU: 0 PID: 1 at kernel/foo.c:123 foo+0x12/0x34()",
        Warning,
        false,
    ),
    (
        "WARNING: CPU: 1 PID: 234 at drivers/net/x.c:9 x_probe+0x1/0x2 [x]",
        Warning,
        false,
    ),
    (
        "WARNING: kernel/foo.c:12 at foo+0x1/0x2, CPU#1: swapper/0/1",
        Warning,
        false,
    ),
    (
        "Unhandled fault: external abort on non-linefetch (0x1008) at 0xc8a0e000",
        Oops,
        true,
    ),
    (
        "Bad mode in Error handler detected on CPU0, code 0xbf000002 -- SError",
        Oops,
        true,
    ),
    ("Kernel BUG [#1]", KernelBug, true),
    ("Kernel bug detected[#1]:", KernelBug, true),
    (
        "illegal operation: 0001 ilc:1 [#1] SMP",
        InvalidOpcode,
        true,
    ),
    (
        "monitor event: 0040 ilc:2 [#1] PREEMPT SMP",
        KernelBug,
        true,
    ),
    ("specification exception: 0006 ilc:2 [#1] SMP", Oops, true),
    ("Unhandled kernel unaligned access[#1]:", Oops, true),
    ("swapper(1): Oops [#1]", Oops, true),
    ("modprobe[123]: Oops 8813272891392 [1]", Oops, true),
    (
        "BUG: soft lockup - CPU#0 stuck for 61s! [foo:123]",
        SoftLockup,
        false,
    ),
    (
        "watchdog: BUG: soft lockup - CPU#2 stuck for 22s! [kworker/2:1:77]",
        SoftLockup,
        false,
    ),
    (
        "NMI watchdog: BUG: soft lockup - CPU#2 stuck for 22s! [swapper/2:0]",
        SoftLockup,
        false,
    ),
    (
        "NMI watchdog: Watchdog detected hard LOCKUP on cpu 1",
        HardLockup,
        false,
    ),
    (
        "watchdog: Watchdog detected hard LOCKUP on cpu 1",
        HardLockup,
        false,
    ),
    (
        "watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 1",
        HardLockup,
        false,
    ),
    (
        "watchdog: CPU 3 self-detected hard LOCKUP @ foo+0x1/0x2",
        HardLockup,
        false,
    ),
    (
        "INFO: rcu_sched self-detected stall on CPU { 1}  (t=60000 jiffies)",
        RcuStall,
        false,
    ),
    (
        "INFO: rcu_preempt detected stalls on CPUs/tasks: { 1} (detected by 0)",
        RcuStall,
        false,
    ),
    (
        "rcu: INFO: rcu_sched self-detected stall on CPU",
        RcuStall,
        false,
    ),
    (
        "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 0-... }",
        RcuStall,
        false,
    ),
    ("INFO: rcu_tasks detected stalls on tasks:", RcuStall, false),
    (
        "INFO: task jbd2/sda1-8:123 blocked for more than 120 seconds.",
        HungTask,
        false,
    ),
    (
        "INFO: task kworker/u8:2:77 blocked in I/O wait for more than 143 seconds.",
        HungTask,
        false,
    ),
    (
        "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 30s!",
        WorkqueueLockup,
        false,
    ),
    (
        "WARNING: possible circular locking dependency detected",
        Lockdep,
        false,
    ),
    (
        "[ INFO: possible recursive locking detected ]",
        Lockdep,
        false,
    ),
    ("[ INFO: inconsistent lock state ]", Lockdep, false),
    (
        "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected",
        Lockdep,
        false,
    ),
    ("[ BUG: bad unlock balance detected! ]", Lockdep, false),
    ("WARNING: held lock freed!", Lockdep, false),
    ("[ BUG: held lock freed! ]", Lockdep, false),
    (
        "WARNING: lock held when returning to user space!",
        Lockdep,
        false,
    ),
    ("[ INFO: suspicious RCU usage. ]", Lockdep, false),
    ("WARNING: suspicious RCU usage", Lockdep, false),
    (
        "INFO: suspicious rcu_dereference_check() usage.",
        Lockdep,
        false,
    ),
    ("[ BUG: Invalid wait context ]", Lockdep, false),
    ("WARNING: bad contention detected!", Lockdep, false),
    ("WARNING: foo/12 still has locks held!", Lockdep, false),
    ("INFO: trying to register non-static key.", Lockdep, false),
    ("BUG: MAX_LOCKDEP_ENTRIES too low!", Bug, false),
    (
        "BUG: sleeping function called from invalid context at mm/slab.h:421",
        SleepInAtomic,
        false,
    ),
    (
        "BUG: scheduling while atomic: swapper/0/1/0x00000002",
        SchedulingWhileAtomic,
        false,
    ),
    (
        "BUG: using smp_processor_id() in preemptible [00000000] code: kworker/0:1/123",
        Bug,
        false,
    ),
    (
        "BUG: spinlock bad magic on CPU#0, swapper/0/1",
        Spinlock,
        false,
    ),
    (
        "BUG: spinlock lockup suspected on CPU#1, foo/12",
        Spinlock,
        false,
    ),
    (
        "BUG: rwlock bad magic on CPU#0, foo/12, ffff8800",
        Spinlock,
        false,
    ),
    (
        "BUG: KASAN: use-after-free in kasan_uaf+0x8f/0xc0 [test_kasan] at addr ffff88006b5b2b88",
        Kasan,
        false,
    ),
    (
        "BUG: KASAN: slab-out-of-bounds in kmalloc_oob_right+0x1/0x2",
        Kasan,
        false,
    ),
    (
        "BUG: KASAN: double-free or invalid-free in kfree+0x1/0x2",
        Kasan,
        false,
    ),
    (
        "BUG: KASan: out of bounds access in foo+0x1/0x2 at addr ffff",
        Kasan,
        false,
    ),
    ("BUG: KCSAN: data-race in do_a / do_b", Kcsan, false),
    ("BUG: KMSAN: uninit-value in foo+0x1/0x2", Kmsan, false),
    (
        "BUG: KFENCE: out-of-bounds read in test_f+0xa3/0x22b",
        Kfence,
        false,
    ),
    (
        "UBSAN: Undefined behaviour in fs/ext4/super.c:123:14",
        Ubsan,
        false,
    ),
    (
        "UBSAN: shift-out-of-bounds in drivers/x.c:12:3",
        Ubsan,
        false,
    ),
    (
        "list_add corruption. prev->next should be next (ffffffff81a5e3c0), but was (null). (prev=ffff).",
        ListCorruption,
        false,
    ),
    (
        "list_del corruption, ffff88013a0c2ec0->next is LIST_POISON1 (dead000000000100)",
        ListCorruption,
        false,
    ),
    (
        "list_add double add: new=ffff, prev=ffff, next=ffff.",
        ListCorruption,
        false,
    ),
    ("refcount_t: underflow; use-after-free.", Refcount, false),
    (
        "refcount_t: addition on 0; use-after-free.",
        Refcount,
        false,
    ),
    (
        "ODEBUG: free active (active state 0) object type: timer_list hint: foo+0x0/0x10",
        DebugObjects,
        false,
    ),
    (
        "ODEBUG: object ffffc90000 is on stack ffffc9, but NOT annotated.",
        DebugObjects,
        false,
    ),
    (
        "BUG: Bad page state in process foo bar  pfn:12345",
        BadPage,
        false,
    ),
    (
        "BUG: Bad page map in process foo  pte:8000 pmd:1234",
        BadPage,
        false,
    ),
    (
        "BUG: Bad rss-counter state mm:ffff idx:1 val:1",
        BadPage,
        false,
    ),
    (
        "BUG kmalloc-64 (Tainted: G    B      ): Poison overwritten",
        SlabCorruption,
        false,
    ),
    (
        "BUG kmalloc-8 (Not tainted): Redzone overwritten",
        SlabCorruption,
        false,
    ),
    (
        "BUG kmalloc-2048: Poison overwritten",
        SlabCorruption,
        false,
    ),
    (
        "BUG filp (Not tainted): Object already free",
        SlabCorruption,
        false,
    ),
    (
        "Slab corruption (Not tainted): size-64 start=ffff, len=64",
        SlabCorruption,
        false,
    ),
    (
        "slab error in verify_redzone_free(): cache `size-64': double free detected",
        SlabCorruption,
        false,
    ),
    (
        "usercopy: Kernel memory exposure attempt detected from SLUB object 'x' (offset 0, size 1)!",
        Usercopy,
        true,
    ),
    (
        "usercopy: kernel memory overwrite attempt detected to ffff (kmalloc-64) (64 bytes)",
        Usercopy,
        true,
    ),
    (
        "CFI failure at foo+0x1/0x2 [lkdtm] (target: bar+0x0/0x10; expected type: 0x12345678)",
        Cfi,
        false,
    ),
    (
        "unreferenced object 0xffff88810a1b2c00 (size 32):",
        MemoryLeak,
        false,
    ),
    (
        "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
        MemoryLeak,
        false,
    ),
    (
        "Web Content invoked oom-killer: gfp_mask=0x201da, order=0, oom_score_adj=0",
        Oom,
        false,
    ),
    (
        "Out of memory: Killed process 123 (foo) total-vm:1kB",
        Oom,
        false,
    ),
    (
        "Memory cgroup out of memory: Kill process 12 (foo) score 1000 or sacrifice child",
        Oom,
        false,
    ),
    (
        "kworker/u16:1: page allocation failure: order:4, mode:0x40dc0(GFP_KERNEL|__GFP_COMP)",
        PageAllocationFailure,
        false,
    ),
    (
        "swapper: page allocation failure. order:1, mode:0x20",
        PageAllocationFailure,
        false,
    ),
    (
        "mce: [Hardware Error]: CPU 0: Machine Check Exception: 5 Bank 0: be00000000800400",
        MachineCheck,
        true,
    ),
    (
        "[Hardware Error]: CPU 2: Machine Check Exception: 4 Bank 5: b200000000070f0f",
        MachineCheck,
        true,
    ),
    (
        "mce: [Hardware Error]: Machine check events logged",
        MachineCheck,
        false,
    ),
    (
        "{1}[Hardware Error]: event severity: fatal",
        MachineCheck,
        true,
    ),
    (
        "Uhhuh. NMI received for unknown reason 3d on CPU 0.",
        Nmi,
        false,
    ),
    (
        "NMI: IOCK error (debug interrupt?) for reason 71 on CPU 0.",
        Nmi,
        false,
    ),
    (
        "NMI: PCI system error (SERR) for reason b1 on CPU 0.",
        Nmi,
        false,
    ),
    (
        "irq 16: nobody cared (try booting with the \"irqpoll\" option)",
        IrqNobodyCared,
        false,
    ),
    (
        "BUG: Dentry ffff8800{i=1,n=x} still in use (1) [unmount of ext4 sda1]",
        Bug,
        false,
    ),
    // One character dropped.
    ("kernl BUG at mm/slub.c:305!", KernelBug, true),
    (
        "BUG: unable to hadle kernel NULL pointer dereference at 0000000000000028",
        NullDereference,
        true,
    ),
    ("Kernel panic - ot syncing: Fatal exception", Panic, true),
];

#[test]
fn headings() {
    for (message, kind, fatal) in HEADINGS {
        let found = heading(message);
        let found = found.as_ref().map(|found| (found.kind, found.fatal()));
        assert_eq!(found, Some((*kind, *fatal)), "{message}");
    }
}

#[test]
fn every_heading_passes_the_filter() {
    for (message, ..) in HEADINGS {
        let message = message.to_ascii_lowercase();
        let passes = |word: &str| message.contains(&word.to_ascii_lowercase());
        assert!(BEGINNINGS.iter().any(|word| passes(word)), "{message}");
    }
    assert!(BEGINNINGS.iter().all(|word| word.len() >= 5));
}

#[test]
fn patterns_make_sense() {
    for (notation, ..) in HEADLINES {
        assert!(Pattern::new(notation).begin().len() >= KEY, "{notation}");
    }
    for (notation, ..) in HEADLINES.iter().chain(NAMED) {
        let gap = ["*{", "*$", "**"]
            .iter()
            .any(|pair| notation.contains(pair));
        assert!(!gap && !notation.ends_with('*'), "{notation}");
    }
}

#[test]
fn no_headings() {
    for message in [
        "",
        "Call Trace:",
        "[Firmware Bug]: TSC_DEADLINE disabled due to Errata",
        "ACPI BIOS Error (bug): Could not resolve [^^^RP05.PEGP.VID]",
        "ACPI: Using ACPI (MADT) for SMP configuration information",
        "Command line: root=/dev/vda panic=10 oops=panic nmi_watchdog=1",
        "Kernel command line: BOOT_IMAGE=/vmlinuz BUG: panic=10",
        "systemd[1]: Starting Kdump Vmcore Save Service...",
        "systemd[1]: segfault at 0 ip 00007f rsp 00007ffc error 4 in libc.so",
        "foo[123]: segfault at 0 ip 00007f sp 00007ffc error 4 in foo[400000+1000]",
        "traps: foo[123] general protection fault ip:7f12 sp:7ffc error:0 in libc-2.31.so",
        "traps: foo[123] trap divide error ip:400 sp:7ff error:0 in foo",
        "sysrq: Trigger a crash",
        "SysRq : Trigger a crash",
        "* 1a2b3c4 Fix NULL pointer dereference in foo_probe()",
        "Fix kernel BUG at mm/slub.c",
        "Bug fixes: Oops",
        "the kernel said BUG: unable to handle kernel paging request",
        "See BUG: KASAN: use-after-free in foo+0x1/0x2",
        "rcu: Hierarchical RCU implementation.",
        "rcu: RCU restricting CPUs from NR_CPUS=8192 to nr_cpu_ids=1.",
        "INFO: lockdep is turned off.",
        "NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.",
        "NMI watchdog: disabled (cpu0): hardware events not enabled",
        "watchdog: Delayed init of the lockup detector failed: -19",
        "mce: CPU supports 10 MCE banks",
        "MCE: In-kernel MCE decoding enabled.",
        "mce: [Firmware Bug]: Ignoring request to disable invalid MCA bank 10.",
        "WARNING: Running pip as the 'root' user can result in broken permissions",
        "WARNING: Failed to connect to lvmetad. Falling back to device scanning.",
        "INFO: task finished",
        "slab: Using generic",
        "SLUB: HWalign=64, Order=0-3, MinObjects=0, CPUs=1, Nodes=1",
        "kmemleak: Kernel memory leak detector initialized (mem pool available: 15678)",
        "KASAN: no error",
        "kasan: KernelAddressSanitizer initialized",
        "CPU: Physical Processor ID: 0",
        "CPU: 0 PID: 234 Comm: systemd-udevd Tainted: G OE 3.10.0 #1",
        "CPU0: Intel QEMU Virtual CPU version 2.5+ (fam: 06, model: 0d, stepping: 03)",
        "Spectre V2 : Mitigation: Full generic retpoline",
        "Unhandled event 12 from device",
        "irq 16: Affinity broken due to vector space exhaustion.",
        "EDAC MC0: 1 CE memory read error",
        "usb 1-1: device descriptor read/64, error -71 [#3]",
        "perf: interrupt took too long (2501 > 2500), lowering",
        "Memory: 3917788K/4193784K available",
        "Freeing unused kernel memory",
    ] {
        assert_eq!(heading(message).map(|found| found.kind), None, "{message}");
    }
}

#[test]
fn what_a_heading_names() {
    let name = |message| {
        let found = heading(message).unwrap();
        let at = found.at.map(|at| at.name).unwrap_or_default();
        let source = found.source.map(|source| (source.file, source.line));
        let process = found.process.map(|process| (process.comm, process.pid));
        (source.unwrap_or_default(), at, found.cpu, process)
    };
    let source = |file: &str, line| (file.to_owned(), line);
    let none = source("", 0);
    let ran = |comm: &str, pid| Some((comm.to_owned(), Some(pid)));
    assert_eq!(
        name("kernel BUG at lib/list_debug.c:28!"),
        (source("lib/list_debug.c", 28), String::new(), None, None)
    );
    assert_eq!(
        name("WARNING: CPU: 3 PID: 12 at kernel/foo.c:123 foo.isra.1+0x12/0x34 [bar]()"),
        (
            source("kernel/foo.c", 123),
            "foo.isra.1".into(),
            Some(3),
            None
        )
    );
    assert_eq!(
        name("WARNING: at net/core/x.c:9 dev_watchdog+0x1/0x2()"),
        (source("net/core/x.c", 9), "dev_watchdog".into(), None, None)
    );
    assert_eq!(
        name("watchdog: BUG: soft lockup - CPU#2 stuck for 22s! [kworker/2:1:77]"),
        (none.clone(), String::new(), Some(2), ran("kworker/2:1", 77))
    );
    assert_eq!(
        name("INFO: task kworker/u8:2:77 blocked for more than 120 seconds."),
        (none.clone(), String::new(), None, ran("kworker/u8:2", 77))
    );
    assert_eq!(
        name("BUG: scheduling while atomic: swapper/0/1/0x00000002"),
        (none.clone(), String::new(), None, ran("swapper/0", 1))
    );
    assert_eq!(
        name("BUG: KASAN: use-after-free in uaf+0x8f/0xc0 [test] at addr ffff"),
        (none.clone(), "uaf".into(), None, None)
    );
    assert_eq!(
        name("BUG: KCSAN: data-race in do_a / do_b"),
        (none.clone(), "do_a".into(), None, None)
    );
    assert_eq!(
        name("UBSAN: shift-out-of-bounds in drivers/x.c:12:3"),
        (source("drivers/x.c", 12), String::new(), None, None)
    );
    assert_eq!(
        name("Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: ffffffff81a5e3c0").1,
        ""
    );
    assert_eq!(
        name(
            "Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: bad+0x1/0x2"
        )
        .1,
        "bad"
    );
}

proptest! {
    #[test]
    fn anything_is_survived(text in "\\PC{0,200}") {
        heading(&text);
    }

    #[test]
    fn damaged_headings_are_survived(index in 0..HEADINGS.len(), at in 0usize..120, with in "\\PC{0,3}") {
        let mut text = HEADINGS[index].0.to_owned();
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) { at -= 1; }
        text.insert_str(at, &with);
        heading(&text);
        heading(&text[at..]);
        heading(&text[..at]);
    }
}
