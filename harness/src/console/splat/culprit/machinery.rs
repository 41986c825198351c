//! Functions that are seldom to blame, as data. What a group has in common and where it is
//! defined stands above it.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::super::Kind;

/// What part a function plays in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// May be to blame.
    Suspect,
    /// Does what its caller told it: waits, locks, allocates, copies. To blame if nothing else is.
    Helper,
    /// Where every task begins: to blame if nothing else is, and no helper either.
    Base,
    /// Entry of an exception or interrupt, and what it passes through to report.
    Entry,
    /// Checks or reports.
    Reporter,
}

/// A group of functions, by name or by how the name begins, for some kinds of reports or all.
struct Group {
    role: Role,
    kinds: &'static [Kind],
    names: &'static [&'static str],
    begins: &'static [&'static str],
}

/// What part a function, by its plain name, plays in a report of this kind.
pub(super) fn role(kind: Kind, name: &str) -> Role {
    // arm64's position independent aliases (arch/arm64/include/asm/assembler.h).
    let name = name.strip_prefix("__pi_").unwrap_or(name);
    let index = &*INDEX;
    let by_name = index.names.get(name).into_iter().flatten().copied();
    let first = name
        .as_bytes()
        .first()
        .map_or(0, |first| usize::from(*first));
    let by_begin = index.begins[first].iter();
    let by_begin = by_begin.filter(|(begin, _)| name.starts_with(begin));
    let groups = by_name.chain(by_begin.map(|(_, group)| *group));
    let groups = groups.filter(|group| {
        let kinds = GROUPS[*group].kinds;
        kinds.is_empty() || kinds.contains(&kind)
    });
    // The first group in the order of the table decides.
    groups
        .min()
        .map_or(Role::Suspect, |group| GROUPS[group].role)
}

/// The table by what is looked up.
struct Index {
    /// Groups by name.
    names: HashMap<&'static str, Vec<usize>>,
    /// Beginnings with their groups, by their first byte.
    begins: Vec<Vec<(&'static str, usize)>>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut index = Index {
        names: HashMap::new(),
        begins: vec![Vec::new(); 256],
    };
    for (number, group) in GROUPS.iter().enumerate() {
        for name in group.names {
            index.names.entry(name).or_default().push(number);
        }
        for begin in group.begins {
            let first = begin
                .as_bytes()
                .first()
                .map_or(0, |first| usize::from(*first));
            index.begins[first].push((begin, number));
        }
    }
    index
});

/// Reports that show where a CPU or a task stood, because it stood there too long.
const STALLS: &[Kind] = &[
    Kind::SoftLockup,
    Kind::HardLockup,
    Kind::RcuStall,
    Kind::HungTask,
    Kind::WorkqueueLockup,
    Kind::Nmi,
    Kind::IrqNobodyCared,
];

/// Whether a report shows where something stood, not what went wrong there.
pub(super) fn is_stall(kind: Kind) -> bool {
    STALLS.contains(&kind)
}

/// Reports where a lock's or a waiting function's caller did wrong.
const LOCKS: &[Kind] = &[
    Kind::SoftLockup,
    Kind::HardLockup,
    Kind::RcuStall,
    Kind::HungTask,
    Kind::WorkqueueLockup,
    Kind::Nmi,
    Kind::Lockdep,
    Kind::SleepInAtomic,
    Kind::SchedulingWhileAtomic,
    Kind::Spinlock,
    // Found in the scheduler.
    Kind::StackCorruption,
];

#[rustfmt::skip]
const GROUPS: &[Group] = &[
    // Printing of stacks: lib/dump_stack.c, arch/x86/kernel/dumpstack.c,
    // arch/arm64/kernel/stacktrace.c, arch/arm/kernel/{traps,unwind}.c, lib/nmi_backtrace.c.
    Group {
        role: Role::Reporter,
        kinds: &[],
        names: &[
            "__dump_stack", "dump_trace", "dump_backtrace", "unwind_backtrace", "dump_cpu_task",
            "sched_show_task", "_sched_show_task", "show_regs", "__show_regs",
            "show_regs_print_info", "nmi_cpu_backtrace", "nmi_trigger_cpumask_backtrace",
            "print_context_stack", "walk_stackframe", "arch_stack_walk",
        ],
        begins: &[
            "dump_stack", "show_stack", "show_trace", "save_stack", "stack_trace_save",
            "trigger_single_cpu", "trigger_all_cpu", "arch_trigger_", "rcu_dump_cpu_stacks",
        ],
    },
    // Panics, warnings, deaths: kernel/panic.c, lib/bug.c, arch/x86/kernel/{traps,dumpstack}.c,
    // arch/arm64/kernel/traps.c.
    Group {
        role: Role::Reporter,
        kinds: &[],
        names: &[
            "panic", "vpanic", "nmi_panic", "__warn", "__warn_printk", "check_panic_on_warn",
            "report_bug", "__report_bug", "handle_bug", "fixup_bug", "die", "__die", "__die_body",
            "__die_header", "die_addr", "die_nmi", "die_kernel_fault", "oops_begin", "oops_end",
            "arm64_notify_die", "arm_notify_die", "notify_die", "bug_handler", "bug_brk_handler",
            "__stack_chk_fail", "fortify_panic", "__fortify_panic", "__fortify_report",
            "copy_overflow", "__copy_overflow", "__bad_copy_from", "__bad_copy_to", "mce_panic",
            "handle_stack_overflow", "do_unexpected_trap", "bust_spinlocks", "crash_kexec",
            "__crash_kexec", "machine_kexec", "notifier_call_chain", "warn_bogus_irq_restore",
            "atomic_notifier_call_chain", "__atomic_notifier_call_chain",
        ],
        begins: &["warn_slowpath", "page_fault_oops", "__x86_indirect_", "__x86_return_thunk"],
    },
    // Checks of data structures, which find what somebody else spoilt: lib/list_debug.c,
    // lib/refcount.c, mm/usercopy.c, lib/debugobjects.c, kernel/cfi.c, net/core/skbuff.c.
    Group {
        role: Role::Reporter,
        kinds: &[],
        names: &[
            "usercopy_abort", "usercopy_warn", "report_usercopy", "__check_object_size",
            "__check_heap_object", "check_heap_object", "check_kernel_text_object",
            "check_stack_object", "refcount_warn_saturate", "refcount_error_report",
            "ex_handler_refcount", "skb_panic", "skb_over_panic", "skb_under_panic",
            "debug_print_object", "report_cfi_failure", "handle_cfi_failure", "cfi_handler",
            "__cfi_check_fail", "cfi_failure_handler",
        ],
        begins: &[
            "__list_add_valid", "__list_del_entry_valid", "debug_object_", "__debug_object_",
            "debug_check_no_obj_freed", "__debug_check_no_obj_freed", "__cfi_slowpath",
        ],
    },
    // What file systems, and drivers with a core of their own, call for their BUG() and WARN():
    // fs/reiserfs/prints.c, fs/btrfs/messages.c, fs/xfs/xfs_message.c; ZFS's spl-err.c, Lustre's
    // linux-debug.c. Who counts references with a list: lib/ref_tracker.c.
    Group {
        role: Role::Reporter,
        kinds: &[],
        names: &[
            "__reiserfs_panic", "reiserfs_panic", "__btrfs_panic", "btrfs_assertfail", "assfail",
            "asswarn", "xfs_assert", "spl_panic", "spl_dumpstack", "spl_panicstr",
            "lbug_with_loc", "libcfs_call_trace", "ref_tracker_free", "ref_tracker_alloc",
            "ref_tracker_dir_exit",
        ],
        begins: &[],
    },
    // Checks of the context: kernel/sched/core.c, mm/memory.c, lib/smp_processor_id.c.
    Group {
        role: Role::Reporter,
        kinds: &[],
        names: &[
            "__might_sleep", "___might_sleep", "__might_resched", "might_sleep", "might_resched",
            "__might_fault", "might_fault", "might_alloc", "fs_reclaim_acquire", "__fs_reclaim_acquire", "fs_reclaim_release", "__schedule_bug", "schedule_debug",
            "check_preemption_disabled", "debug_smp_processor_id", "__this_cpu_preempt_check",
            "in_atomic_preempt_off", "__cant_sleep", "__cant_migrate",
        ],
        begins: &[],
    },
    // Sanitizers' entry points: mm/kasan, mm/kmsan, mm/kfence, kernel/kcsan, lib/ubsan.c.
    Group {
        role: Role::Reporter,
        kinds: &[],
        names: &[
            "print_address_description", "print_report", "describe_address", "check_region_inline",
            "addr_has_metadata", "handle_overflow", "val_to_string", "report_access",
            "read_word_at_a_time",
        ],
        begins: &[
            "kasan_", "__kasan_", "____kasan_", "__asan_", "__hwasan_", "check_memory_region", "kmsan_",
            "__kmsan_", "__msan_", "kcsan_", "__tsan_", "kfence_", "__kfence_", "ubsan_",
            "__ubsan_", "__sanitizer_cov_", "instrument_",
        ],
    },
    // kernel/locking/lockdep.c.
    Group {
        role: Role::Reporter,
        kinds: &[],
        names: &[
            "check_noncircular", "check_prev_add", "check_prevs_add", "check_deadlock",
            "check_usage", "check_irq_usage", "check_usage_forwards", "check_usage_backwards",
            "check_wait_context", "validate_chain", "__lock_acquire", "lock_acquire",
            "lock_release", "__lock_release", "__lock_set_class", "reacquire_held_locks",
            "register_lock_class", "assign_lock_key", "look_up_lock_class", "mark_lock",
            "mark_lock_irq", "mark_usage", "mark_held_locks", "valid_state",
            "trace_hardirqs_on_caller", "trace_hardirqs_on", "trace_softirqs_on",
            "debug_check_no_locks_freed", "debug_check_no_locks_held", "lockdep_rcu_suspicious",
            "lockdep_sys_exit",
        ],
        begins: &[
            "print_circular_bug", "print_deadlock_bug", "print_bad_irq_dependency",
            "print_irq_inversion_bug", "print_usage_bug", "print_unlock_imbalance_bug",
            "print_lock_invalid_wait_context", "print_freed_lock_bug", "print_held_locks_bug",
            "lockdep_", "__lockdep_",
        ],
    },
    // kernel/locking/spinlock_debug.c, kernel/locking/mutex-debug.c.
    Group {
        role: Role::Reporter,
        kinds: LOCKS,
        names: &["spin_bug", "spin_dump", "rwlock_bug", "__spin_lock_debug"],
        begins: &["debug_spin_", "debug_mutex_", "debug_rt_mutex"],
    },
    // mm/slub.c and mm/slab.c, the checks.
    Group {
        role: Role::Reporter,
        kinds: &[Kind::SlabCorruption, Kind::Bug, Kind::KernelBug],
        names: &[
            "slab_bug", "slab_err", "__slab_err", "object_err", "print_trailer", "check_bytes_and_report",
            "check_object", "check_slab", "slab_pad_check", "on_freelist", "alloc_debug_processing",
            "free_debug_processing", "free_to_partial_list", "alloc_consistency_checks",
            "free_consistency_checks", "slab_fix", "__slab_error", "cache_free_debugcheck",
            "cache_alloc_debugcheck_after", "check_poison_obj", "verify_redzone_free",
        ],
        begins: &[],
    },
    // mm/page_alloc.c, mm/memory.c, mm/debug.c.
    Group {
        role: Role::Reporter,
        kinds: &[Kind::BadPage],
        names: &[
            "bad_page", "bad_page_map", "print_bad_pte", "print_bad_page_map", "dump_page",
            "check_free_page", "check_free_page_bad", "free_page_is_bad", "free_page_is_bad_report",
            "check_new_page", "check_new_page_bad", "free_pages_check", "free_pages_check_bad",
        ],
        begins: &[],
    },
    // mm/oom_kill.c, mm/memcontrol.c.
    Group {
        role: Role::Reporter,
        kinds: &[Kind::Oom],
        names: &[
            "dump_header", "oom_kill_process", "__oom_kill_process", "out_of_memory",
            "pagefault_out_of_memory", "__out_of_memory",
        ],
        begins: &["mem_cgroup_", "try_charge", "__mem_cgroup_", "charge_memcg"],
    },
    // Who looks for stalls: kernel/rcu/tree_stall.h, kernel/watchdog.c, kernel/watchdog_perf.c,
    // kernel/hung_task.c, arch/x86/kernel/nmi.c, kernel/events/core.c; and the tick that calls it.
    Group {
        role: Role::Reporter,
        kinds: STALLS,
        names: &[
            "print_cpu_stall", "print_other_cpu_stall", "check_cpu_stall", "__rcu_pending",
            "invoke_rcu_core", "check_hung_uninterruptible_tasks", "check_hung_task", "watchdog",
            "nmi_handle", "default_do_nmi", "do_nmi", "unknown_nmi_error", "io_check_error",
            "pci_serr_error", "perf_event_nmi_handler", "perf_ibs_nmi_handler",
            "perf_event_overflow", "__perf_event_overflow", "handle_pmi_common",
            "intel_pmu_handle_irq", "x86_pmu_handle_irq", "amd_pmu_handle_irq",
            "update_process_times", "local_apic_timer_interrupt", "__sysvec_apic_timer_interrupt",
            "sysvec_apic_timer_interrupt", "smp_apic_timer_interrupt", "__report_bad_irq",
            "note_interrupt", "profile_tick", "panic_on_rcu_stall", "rebalance_domains",
            "scheduler_tick", "sched_tick",
        ],
        begins: &[
            "rcu_", "__rcu_", "watchdog_", "is_softlockup", "tick_", "hrtimer_", "__hrtimer_",
            "arch_timer_handler_", "ghes_notify_nmi",
        ],
    },
    // Handling of interrupts: kernel/softirq.c, kernel/irq, arch/x86/kernel/irq.c,
    // drivers/irqchip.
    Group {
        role: Role::Entry,
        kinds: STALLS,
        names: &[
            "do_softirq", "__do_softirq", "handle_softirqs", "do_softirq_own_stack",
            "do_softirq_post_hardirq", "call_softirq", "irq_exit", "irq_exit_rcu", "__irq_exit_rcu",
            "invoke_softirq", "run_ksoftirqd", "smpboot_thread_fn", "do_IRQ", "__do_irq",
            "timer_interrupt", "handle_irq", "__handle_irq", "__handle_domain_irq",
            "handle_domain_irq", "handle_percpu_devid_irq", "generic_handle_irq",
            "generic_handle_domain_irq", "handle_IRQ", "asm_do_IRQ", "do_interrupt_handler",
            "call_on_irq_stack", "run_timer_softirq", "__run_timers", "call_timer_fn",
            "expire_timers", "__flush_smp_call_function_queue", "flush_smp_call_function_queue",
            "generic_smp_call_function_single_interrupt", "generic_smp_call_function_interrupt",
            "smp_call_function_single_interrupt", "smp_call_function_interrupt",
        ],
        begins: &[
            "handle_irq_event", "handle_fasteoi_", "handle_edge_irq", "handle_level_irq",
            "gic_handle_irq", "__gic_handle_irq",
        ],
    },
    // Entries of exceptions and interrupts, and what reports a fault behind them:
    // arch/x86/entry, arch/x86/mm/fault.c, arch/x86/kernel/traps.c.
    Group {
        role: Role::Entry,
        kinds: &[],
        names: &[
            "page_fault", "do_page_fault", "__do_page_fault", "trace_do_page_fault",
            "trace_page_fault", "async_page_fault", "do_async_page_fault", "no_context", "bad_area",
            "bad_area_nosemaphore", "__bad_area", "__bad_area_nosemaphore", "mm_fault_error",
            "kernelmode_fixup_or_oops", "do_kern_addr_fault", "do_user_addr_fault", "do_error_trap",
            "do_trap", "do_trap_no_signal", "do_invalid_op", "invalid_op", "error_entry",
            "error_exit", "paranoid_entry", "paranoid_exit", "error_code", "error_sti",
            "do_general_protection", "general_protection", "do_double_fault", "double_fault",
            "do_divide_error", "divide_error", "do_int3", "int3", "do_debug", "debug",
            "stack_segment", "do_stack_segment", "do_machine_check", "machine_check", "nmi",
            "end_repeat_nmi", "repeat_nmi", "ret_from_intr", "retint_kernel", "restore_args",
            "restore_regs_and_iret", "apic_timer_interrupt", "reschedule_interrupt",
            "call_function_interrupt", "call_function_single_interrupt", "common_interrupt",
            "__common_interrupt", "irq_entries_start", "irqentry_exit", "irqentry_enter",
        ],
        begins: &[
            "asm_exc_", "exc_", "asm_sysvec_", "sysvec_", "asm_common_interrupt", "__exc_",
            "xen_do_",
        ],
    },
    // The same of the other architectures: arch/arm64/kernel/{entry,entry-common}, arch/arm64/mm/
    // fault.c, arch/arm/kernel/entry-armv.S, arch/powerpc/kernel/exceptions-64s.S,
    // arch/s390/kernel/entry.S, arch/riscv/kernel/{entry.S,traps.c}, arch/mips/kernel/genex.S.
    Group {
        role: Role::Entry,
        kinds: &[],
        names: &[
            "el1_sync", "el1_irq", "el1_da", "el1_ia", "el1_dbg", "el1_undef", "el1_abort",
            "el1_brk64", "el1_interrupt", "do_mem_abort", "do_undefinstr", "do_el1_undef",
            "do_translation_fault", "do_bad_area", "do_bad", "do_alignment_fault", "do_sea",
            "__do_kernel_fault", "do_debug_exception", "do_el1_brk64", "brk_handler",
            "call_break_hook", "call_el1_break_hook", "__dabt_svc", "__pabt_svc", "__und_svc",
            "__und_svc_finish", "__irq_svc", "do_DataAbort", "do_PrefetchAbort",
            "handle_page_fault", "bad_page_fault", "__bad_page_fault", "do_program_check",
            "program_check_exception", "_exception", "_exception_pkey", "pgm_check_handler",
            "__do_pgm_check", "do_dat_exception", "do_protection_exception", "do_report_trap",
            "illegal_op", "monitor_event_exception", "io_int_handler", "ext_int_handler",
            "handle_exception", "ret_from_exception", "do_trap_break", "do_trap_insn_illegal",
            "do_bp", "do_ri", "do_ade", "do_irq", "handle_riscv_irq", "handle_arch_irq",
            "ret_from_irq", "tlb_do_page_fault_0", "tlb_do_page_fault_1",
        ],
        begins: &[
            "el1h_64_", "el1t_64_", "data_access_", "instruction_access_", "program_check_common",
            "hardware_interrupt_common", "decrementer_common", "handle_adel", "handle_ades",
            "handle_bp", "handle_ri",
        ],
    },
    // Where every task begins: arch/x86/entry/entry_64.S, kernel/{kthread,workqueue}.c,
    // init/main.c, arch/arm64/kernel/syscall.c.
    Group {
        role: Role::Base,
        kinds: &[],
        names: &[
            "do_syscall_64", "do_fast_syscall_32", "do_int80_syscall_32", "__do_fast_syscall_32",
            "do_syscall_x64", "x64_sys_call", "system_call_fastpath", "system_call_after_swapgs",
            "system_call", "sysenter_do_call", "sysenter_past_esp", "syscall_call", "tracesys",
            "invoke_syscall", "do_el0_svc", "system_call_exception", "system_call_common",
            "system_call_vectored_common", "__do_syscall", "do_trap_ecall_u", "syscall_common",
            "syscall_exit", "kthread", "kthread_worker_fn", "worker_thread", "process_one_work",
            "process_scheduled_works", "kernel_thread_helper", "kernel_thread_starter", "child_rip",
            "start_secondary", "start_kernel", "rest_init", "arch_call_rest_init", "kernel_init",
            "kernel_init_freeable", "do_one_initcall", "do_initcalls",
        ],
        begins: &[
            "entry_SYSCALL_", "entry_SYSENTER_", "entry_INT80_", "ret_from_fork", "ret_from_kernel",
            "ret_to_user", "ret_fast_syscall", "el0_svc", "el0t_64_sync", "secondary_startup",
            "x86_64_start_", "__secondary_switched",
        ],
    },
    // Strings and memory, user's memory among it: lib/string.c, arch/*/lib, lib/usercopy.c.
    Group {
        role: Role::Helper,
        kinds: &[],
        names: &[
            "memcpy", "__memcpy", "memcpy_erms", "memcpy_orig", "memmove", "__memmove",
            "memmove_erms", "memset", "__memset", "memset_erms", "memset_orig", "memcmp",
            "__memcmp", "bcmp", "memchr", "memchr_inv", "memscan", "memset32", "memset64",
            "memset16", "strlen", "strnlen", "strcmp", "strncmp", "strcpy", "strncpy", "strlcpy",
            "strscpy", "sized_strscpy", "strcat", "strncat", "strlcat", "strchr", "strnchr",
            "strchrnul", "strrchr", "strstr", "strnstr", "strsep", "strspn", "strcspn", "strpbrk",
            "strcasecmp", "strncasecmp", "strlen_user", "strnlen_user", "strncpy_from_user",
            "strim", "skip_spaces", "rep_movs_alternative", "rep_stos_alternative",
            "_copy_from_user", "_copy_to_user", "copy_from_user", "copy_to_user",
            "_inline_copy_from_user", "_inline_copy_to_user", "__copy_user_nocache",
            "__copy_user_ll", "__arch_copy_from_user", "__arch_copy_to_user", "__memcpy_fromio",
            "__memcpy_toio", "memcpy_fromio", "memcpy_toio", "memcpy_mcsafe", "__memcpy_mcsafe",
            "clear_user", "__clear_user",
        ],
        begins: &[
            "copy_user_", "raw_copy_", "__raw_copy_", "__get_user_", "__put_user_", "fortify_mem",
            "__fortify_mem", "csum_partial",
        ],
    },
    // Copies between the kernel and what users named: lib/iov_iter.c, net/core/datagram.c.
    Group {
        role: Role::Helper,
        kinds: &[],
        names: &[
            "_copy_to_iter", "_copy_from_iter", "_copy_from_iter_full", "copy_to_iter",
            "copy_from_iter", "simple_copy_to_iter", "copyout", "copyin", "copy_page_to_iter",
            "copy_page_from_iter", "copy_folio_to_iter", "memcpy_to_iter", "memcpy_from_iter",
        ],
        begins: &["copy_to_user_", "copy_from_user_", "__check_copy_", "check_copy_size"],
    },
    // Trees and formatted text do what they are told to: lib/rbtree.c, lib/vsprintf.c,
    // lib/kasprintf.c.
    Group {
        role: Role::Helper,
        kinds: &[],
        names: &[
            "rb_insert_color", "rb_erase", "rb_next", "rb_prev", "rb_first", "rb_last",
            "rb_replace_node", "rb_first_postorder", "rb_next_postorder", "____rb_erase_color",
            "string", "string_nocheck", "pointer", "number", "format_decode", "hex_string",
            "vsnprintf", "snprintf", "vscnprintf", "scnprintf", "vsprintf", "sprintf", "kasprintf",
            "kvasprintf", "kvasprintf_const", "seq_printf", "seq_vprintf", "dentry_name",
            "symbol_string", "vprintk", "vprintk_emit", "vprintk_store", "vprintk_default",
            "vprintk_func", "printk", "_printk", "dev_printk_emit", "__dev_printk", "_dev_printk",
            "_dev_info", "_dev_notice", "_dev_warn", "_dev_err", "_dev_alert", "_dev_crit",
            "_dev_emerg", "dev_err", "dev_warn", "dev_info", "__dynamic_pr_debug",
            "__dynamic_dev_dbg",
        ],
        begins: &["__rb_insert_", "__rb_erase_"],
    },
    // The driver core acts for the driver that registers a device or removes it:
    // lib/{kobject,kobject_uevent}.c, drivers/base/core.c, fs/sysfs.
    Group {
        role: Role::Helper,
        kinds: &[],
        names: &[
            "add_uevent_var", "get_device_parent", "get_device", "put_device", "device_add", "device_del", "device_register",
            "device_unregister", "device_create", "device_destroy", "device_create_file",
            "device_remove_file", "sysfs_warn_dup", "internal_create_group",
            "internal_create_groups",
        ],
        begins: &[
            "kobject_", "__kobject_", "sysfs_create_", "sysfs_remove_", "sysfs_add_", "sysfs_do_create_",
            "device_create_", "kernfs_remove",
        ],
    },
    // Work, timers and threads, of which their owner asks too much: kernel/workqueue.c,
    // kernel/time/timer.c, kernel/kthread.c, kernel/rcu/srcutree.c, kernel/sched/wait.c.
    Group {
        role: Role::Helper,
        kinds: &[],
        names: &[
            "check_flush_dependency", "try_to_grab_pending", "flush_work", "__flush_work",
            "flush_workqueue", "__flush_workqueue", "drain_workqueue", "destroy_workqueue",
            "cancel_work_sync", "__cancel_work_sync", "__cancel_work_timer", "__cancel_work",
            "cancel_delayed_work", "cancel_delayed_work_sync", "flush_delayed_work", "del_timer",
            "del_timer_sync", "try_to_del_timer_sync", "__timer_delete", "__timer_delete_sync",
            "timer_delete", "timer_delete_sync", "detach_if_pending", "kthread_stop",
            "cleanup_srcu_struct", "finish_wait", "prepare_to_wait", "prepare_to_wait_event",
            "add_wait_queue", "remove_wait_queue", "__wake_up", "__wake_up_common",
            "__wake_up_common_lock", "__wake_up_sync_key", "complete", "complete_all",
        ],
        begins: &[],
    },
    // Lists and counters, whose callers spoilt them: lib/list_debug.c up to 4.9, lib/refcount.c.
    Group {
        role: Role::Helper,
        kinds: &[],
        names: &[
            "list_del", "list_add", "list_add_tail", "__list_add", "__list_del_entry",
            "list_del_init", "list_del_rcu", "__list_add_rcu", "list_move", "list_move_tail",
            "__list_del", "list_splice", "list_splice_init",
        ],
        begins: &[],
    },
    Group {
        role: Role::Helper,
        kinds: &[Kind::Refcount],
        names: &["kref_get", "kref_put", "kref_sub"],
        begins: &["refcount_", "__refcount_"],
    },
    // Locks: kernel/locking, arch/x86/kernel/{kvm,paravirt-spinlocks}.c, lib/locking in 2.6. A lock
    // that faults lies in memory that its user spoilt.
    Group {
        role: Role::Helper,
        kinds: &[],
        names: &[
            "down", "up", "__down", "__up", "__down_common", "___down_common", "virt_spin_lock",
            "kvm_wait", "pv_wait", "__pv_kick", "lock_is_held_type", "mspin_lock", "rt_mutex_lock",
            "queued_spin_lock", "kvm_lock_spinning", "xen_spin_wait", "kvm_kick_cpu",
            "optimistic_spin", "__local_bh_enable_ip", "__local_bh_disable_ip", "local_bh_enable",
            "local_bh_disable", "_local_bh_enable_ip", "local_bh_enable_ip",
            "arch_local_irq_restore",
        ],
        begins: &[
            "_raw_spin_", "_raw_read_", "_raw_write_", "__raw_spin_", "__raw_read_", "__raw_write_",
            "raw_spin_", "do_raw_", "_spin_", "_read_", "_write_", "__spin_lock", "spin_lock",
            "spin_unlock", "spin_trylock", "native_queued_", "__pv_queued_", "pv_queued_",
            "queued_read_", "queued_write_", "queued_spin_", "__ticket_spin_", "ticket_spin_",
            "mutex_", "__mutex_", "ww_mutex_", "__ww_mutex_", "down_", "__down_", "up_read",
            "up_write", "__up_read", "__up_write", "rwsem_", "__rwsem_", "call_rwsem_", "rt_mutex_",
            "__rt_mutex_", "rt_spin_", "rtlock_", "percpu_down_", "__percpu_down_", "percpu_rwsem_",
            "osq_", "arch_spin_", "do_raw_spin", "cmpxchg_double_slab",
        ],
    },
    // Scheduler: kernel/sched/core.c, kernel/time/{timer,hrtimer}.c.
    Group {
        role: Role::Helper,
        kinds: LOCKS,
        names: &[
            "schedule", "__schedule", "___schedule", "schedule_idle", "schedule_timeout",
            "schedule_timeout_interruptible", "schedule_timeout_uninterruptible",
            "schedule_timeout_killable", "schedule_timeout_idle", "schedule_preempt_disabled",
            "schedule_user", "schedule_tail", "context_switch", "__switch_to", "__switch_to_asm",
            "finish_task_switch", "_cond_resched", "__cond_resched", "cond_resched",
            "rt_mutex_schedule", "io_schedule", "io_schedule_timeout", "io_schedule_prepare",
            "thread_return", "msleep", "msleep_interruptible", "usleep_range", "usleep_range_state",
            "do_nanosleep", "__cond_resched_lock", "resched_task", "dequeue_task", "yield",
            "__sched_text_start", "do_sched_yield",
        ],
        begins: &[
            "schedule_hrtimeout", "preempt_schedule", "__preempt_schedule", "schedule_rtlock",
        ],
    },
    // Waiting: kernel/sched/{wait,wait_bit,completion}.c, mm/filemap.c, kernel/workqueue.c,
    // kernel/rcu, lib/klist.c.
    Group {
        role: Role::Helper,
        kinds: LOCKS,
        names: &[
            "wait_for_common", "__wait_for_common", "do_wait_for_common", "wait_for_common_io",
            "__wait_on_bit", "__wait_on_bit_lock", "bit_wait", "bit_wait_io", "bit_wait_timeout",
            "bit_wait_io_timeout", "wait_on_bit", "wait_on_bit_io", "sleep_on_page",
            "sleep_on_page_killable", "sleep_on_buffer", "sync_page", "sync_buffer", "__lock_page",
            "__lock_page_killable", "wait_on_page_bit", "wait_on_page_bit_common",
            "wait_on_page_bit_killable", "folio_wait_bit", "folio_wait_bit_common", "__folio_lock",
            "__folio_lock_killable", "__wait_rcu_gp", "_synchronize_rcu_expedited", "rcu_barrier",
            "_rcu_barrier", "wait_rcu_gp", "wait_rcu_exp_gp", "flush_work", "__flush_work",
            "flush_workqueue", "__flush_workqueue", "flush_delayed_work", "cancel_work_sync",
            "__cancel_work_sync", "cancel_delayed_work_sync", "__cancel_work_timer",
            "drain_workqueue", "kthread_stop", "inode_sleep_on_writeback", "wait_woken",
            "cleanup_srcu_struct",
        ],
        begins: &[
            "wait_for_completion", "out_of_line_wait_on_bit", "synchronize_", "__synchronize_",
        ],
    },
    // Calls to other CPUs: kernel/smp.c, kernel/stop_machine.c, arch/x86/mm/tlb.c.
    Group {
        role: Role::Helper,
        kinds: STALLS,
        names: &[
            "csd_lock_wait", "__csd_lock_wait", "csd_lock_record", "generic_exec_single",
            "native_flush_tlb_others", "native_flush_tlb_multi", "flush_tlb_others", "on_each_cpu",
            "on_each_cpu_mask", "on_each_cpu_cond", "on_each_cpu_cond_mask", "multi_cpu_stop",
            "stop_machine_yield", "cpu_stopper_thread", "stop_cpus", "stop_one_cpu", "__stop_cpus",
            "stop_machine_cpu_stop", "stop_machine", "stop_machine_cpuslocked", "__stop_machine",
            "kick_ilb", "native_send_call_func_ipi", "native_send_call_func_single_ipi",
            "native_apic_mem_write",
        ],
        begins: &["smp_call_function"],
    },
    // Idle: kernel/sched/idle.c, drivers/cpuidle, arch/x86/kernel/process.c, and their kin.
    Group {
        role: Role::Helper,
        kinds: STALLS,
        names: &[
            "native_safe_halt", "pv_native_safe_halt", "native_halt", "safe_halt", "arch_safe_halt",
            "do_idle", "cpu_startup_entry", "cpu_idle", "cpu_idle_loop", "cpu_idle_poll",
            "call_cpuidle", "cpuidle_idle_call", "poll_idle", "cpu_do_idle", "cpu_bringup_and_idle",
            "snooze_loop", "shared_cede_loop", "dedicated_cede_loop", "enabled_wait",
            "pseries_lpar_idle", "psw_idle", "wait_for_interrupt", "r4k_wait", "r4k_wait_irqoff",
            "xen_safe_halt", "xen_hypercall_sched_op", "kvm_halt", "acpi_safe_halt",
            "plpar_hcall_norets", "plpar_hcall_norets_notrace", "power7_idle", "tdx_safe_halt",
            "xen_idle",
        ],
        begins: &[
            "default_idle", "arch_cpu_idle", "cpuidle_enter", "intel_idle", "acpi_idle_",
            "acpi_processor_ffh_", "mwait_idle", "psci_cpu_", "psci_enter_", "amd_e400_idle",
            "c1e_idle", "power9_idle",
        ],
    },
    // Allocators: mm/{page_alloc,slub,slab,slab_common,vmalloc,util,mempool,percpu,kmemleak}.c. They
    // warn of what their callers ask, and fault on what others wrote.
    Group {
        role: Role::Helper,
        kinds: &[],
        names: &[
            "get_page_from_freelist", "rmqueue", "rmqueue_bulk", "warn_alloc", "prep_new_page",
            "warn_alloc_failed", "__get_free_pages", "get_zeroed_page", "__get_free_pages_noprof",
            "get_free_pages_noprof", "get_zeroed_page_noprof", "prepare_alloc_pages",
            "__perform_reclaim", "allocate_slab", "alloc_slab_page", "new_slab", "new_slab_objects",
            "slab_post_alloc_hook", "slab_pre_alloc_hook", "slab_alloc", "slab_alloc_node",
            "__slab_alloc", "___slab_alloc", "slab_free", "__slab_free", "do_slab_free",
            "slab_free_hook", "slab_free_freelist_hook", "slab_free_after_rcu_debug", "kfree",
            "kvfree", "vfree", "__vunmap", "__vfree", "kfree_sensitive", "kzfree", "kmem_getpages", "get_partial_node",
            "get_any_partial", "get_partial", "__kmem_cache_shutdown", "kmem_cache_close",
            "kmem_cache_free", "__kmem_cache_free", "kmem_cache_free_bulk", "fallback_alloc", "____cache_alloc",
            "____cache_alloc_node", "__do_cache_alloc", "cache_alloc_refill", "cache_grow",
            "cache_grow_begin", "cache_flusharray", "___cache_free", "__cache_free", "free_block",
            "qlist_free_all", "qlink_free", "kmemdup", "kmemdup_nul", "kmemdup_noprof",
            "memdup_user", "memdup_user_nul", "vmemdup_user", "kstrdup", "kstrdup_const",
            "kstrndup", "kasprintf", "kvasprintf", "kvasprintf_const", "krealloc", "create_object",
            "__create_object", "mempool_alloc", "mempool_alloc_slab", "mempool_kmalloc",
            "mempool_alloc_noprof", "pcpu_alloc", "pcpu_alloc_noprof", "__alloc_percpu",
            "__alloc_percpu_gfp", "pcpu_mem_zalloc", "pcpu_create_chunk", "free_pages_prepare",
            "__free_one_page", "free_one_page", "__free_pages_ok", "__free_frozen_pages",
            "free_the_page", "free_pages", "free_compound_page", "__put_page", "put_page",
            "__folio_put", "folio_put", "release_pages", "free_page_and_swap_cache",
            "__page_cache_release", "free_pages_and_swap_cache", "folios_put_refs",
            "__folio_batch_release", "__alloc_frozen_pages_noprof", "alloc_frozen_pages_noprof",
            "folio_alloc", "folio_alloc_noprof", "__folio_alloc", "__folio_alloc_noprof",
            "vma_alloc_folio", "vma_alloc_folio_noprof", "kcalloc", "kzalloc", "vzalloc",
            "vzalloc_noprof", "post_alloc_hook", "__kvmalloc_node_noprof", "kvcalloc", "kvzalloc",
        ],
        begins: &[
            "__alloc_pages", "alloc_page", "__alloc_page", "kmalloc", "__kmalloc", "__do_kmalloc",
            "___kmalloc", "kmem_cache_alloc", "__kmem_cache_alloc", "kmem_cache_zalloc", "kvmalloc",
            "__kvmalloc", "vmalloc", "__vmalloc", "krealloc", "kmemleak_", "free_unref_",
            "free_hot_cold_page", "free_pcppages_", "free_pcp_", "__free_pages", "free_reserved_",
            "kfree_", "tlb_", "kmem_cache_destroy", "kmem_cache_free_bulk",
        ],
    },
    // Users of debugobjects, which check what their caller frees or starts: kernel/time/{timer,
    // hrtimer}.c, kernel/workqueue.c, lib/percpu_counter.c, kernel/rcu.
    Group {
        role: Role::Helper,
        kinds: &[Kind::DebugObjects],
        names: &[
            "__init_work", "__init_timer", "init_timer_key", "mod_timer", "__mod_timer",
            "add_timer", "del_timer", "del_timer_sync", "call_rcu", "__call_rcu",
            "__call_rcu_common", "del_timer_sync", "delayed_work_timer_fn",
        ],
        begins: &[
            "timer_", "hrtimer_", "__hrtimer_", "percpu_counter_", "__percpu_counter_", "rcu_",
            "debug_timer_", "debug_hrtimer_", "debug_work_", "debug_rcu_",
        ],
    },
    // Socket buffers' allocation: net/core/skbuff.c. Who allocated what leaks is its caller.
    Group {
        role: Role::Helper,
        kinds: &[Kind::MemoryLeak],
        names: &[
            "__alloc_skb", "alloc_skb", "alloc_skb_with_frags", "__netdev_alloc_skb",
            "__napi_alloc_skb", "napi_alloc_skb", "sock_alloc_send_pskb", "sock_alloc_send_skb",
            "skb_clone", "idr_get_free", "radix_tree_node_alloc", "radix_tree_extend",
        ],
        begins: &[],
    },
    // Socket buffers' arithmetic: net/core/skbuff.c. It checks what its caller computed.
    Group {
        role: Role::Helper,
        kinds: &[Kind::KernelBug],
        names: &[
            "skb_put", "__skb_put", "skb_push", "__skb_push", "skb_pull", "__skb_pull",
            "skb_put_data", "pskb_put", "skb_pull_rcsum",
        ],
        begins: &[],
    },
    // RCU's readers: include/linux/rcupdate.h, inlined.
    Group {
        role: Role::Helper,
        kinds: &[Kind::Lockdep],
        names: &[],
        begins: &["rcu_read_", "rcu_lock_", "__rcu_read_"],
    },
];
