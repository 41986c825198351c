use proptest::prelude::*;

use super::*;
use crate::console::splat::frame::frames;
use crate::console::splat::symbol::symbol;

/// The function for a place and a trace as printed, with `|` between the frames.
fn blamed(kind: Kind, at: &str, trace: &str) -> Option<String> {
    let at = symbol(at).map(|(symbol, _)| symbol);
    let mut all = Vec::new();
    for line in trace.split('|') {
        frames(line, &mut |frame| all.push(frame));
    }
    culprit(kind, at.as_ref(), &all)
}

#[test]
fn the_place_itself() {
    for kind in [
        Kind::KernelBug,
        Kind::Warning,
        Kind::NullDereference,
        Kind::SoftLockup,
    ] {
        assert_eq!(
            blamed(
                kind,
                "__clear_irq_vector+0x9d/0x100",
                "arch_teardown_hwirq+0x3e/0x70"
            ),
            Some("__clear_irq_vector".into()),
        );
    }
    assert_eq!(
        blamed(Kind::Warning, "foo.isra.42.cold+0x1/0x2 [mod]", ""),
        Some("foo".into())
    );
    // It is its own warning.
    assert_eq!(
        blamed(
            Kind::Warning,
            "do_user_addr_fault+0x1/0x2",
            "exc_page_fault+0x1/0x2|foo+0x1/0x2"
        ),
        Some("do_user_addr_fault".into())
    );
}

#[test]
fn whose_machinery() {
    for (kind, at, trace, expected) in [
        // A call of address 0.
        (
            Kind::NullDereference,
            "0x0",
            "? __die_body.cold+0x1a/0x1f|foo+0x1/0x2 [mod]|do_syscall_64+0x1/0x2",
            "foo",
        ),
        (
            Kind::NullDereference,
            "memcpy+0x1/0x2",
            "foo+0x1/0x2|bar+0x1/0x2",
            "foo",
        ),
        (
            Kind::GeneralProtection,
            "strlen+0x1/0x2",
            "foo+0x1/0x2|bar+0x1/0x2",
            "foo",
        ),
        (
            Kind::PagingRequest,
            "__pi_memcpy+0x1/0x2",
            "foo+0x1/0x2",
            "foo",
        ),
        (Kind::PagingRequest, "memcpy+0x1/0x2", "", "memcpy"),
        // What an unwinder doubts from end to end.
        (
            Kind::PagingRequest,
            "memcpy+0x1/0x2",
            "? foo+0x1/0x2|? bar+0x1/0x2",
            "foo",
        ),
        // A lock, a tree and an allocator that fault, and a file system's own panic().
        (
            Kind::NullDereference,
            "_raw_spin_lock_irqsave+0x1/0x2",
            "__wake_up+0x1/0x2|foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::GeneralProtection,
            "__rb_insert_augmented+0x1/0x2",
            "dup_mm+0x1/0x2",
            "dup_mm",
        ),
        (
            Kind::GeneralProtection,
            "kmem_cache_alloc+0x1/0x2",
            "spl_kmem_cache_alloc+0x1/0x2 [spl]",
            "spl_kmem_cache_alloc",
        ),
        (
            Kind::KernelBug,
            "__reiserfs_panic.cold+0x1/0x2",
            "do_journal_end+0x1/0x2",
            "do_journal_end",
        ),
        // The driver core warns for a driver.
        (
            Kind::Warning,
            "add_uevent_var+0x1/0x2",
            "kobject_uevent_env+0x1/0x2|device_add+0x1/0x2|input_register_device+0x1/0x2",
            "input_register_device",
        ),
        // The tick that looked for the stall, whatever the interrupt controller's handler is called.
        (
            Kind::RcuStall,
            "",
            "rcu_check_callbacks+0x1/0x2|update_process_times+0x1/0x2|vendor_intc+0x1/0x2|\
             __irq_svc+0x1/0x2|foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::KernelBug,
            "skb_panic+0x1/0x2",
            "skb_put+0x1/0x2|foo_rx+0x1/0x2",
            "foo_rx",
        ),
        (
            Kind::ListCorruption,
            "__list_add_valid+0x1/0x2",
            "foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::ListCorruption,
            "__list_del_entry+0x1/0x2",
            "[<ffffffff81053e87>] warn_slowpath_common+0x87/0xc0| [<ffffffff81053f76>] warn_slowpath_fmt+0x46/0x50| [<ffffffff8127a3a1>] __list_del_entry+0xa1/0xd0| [<ffffffff8127a3dd>] list_del+0xd/0x30| [<ffffffffa0001234>] foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::Refcount,
            "refcount_warn_saturate+0x1/0x2",
            "foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::Refcount,
            "refcount_inc_checked+0x1/0x2",
            "foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::Usercopy,
            "usercopy_abort+0x1/0x2",
            "__check_heap_object+0x1/0x2|__check_object_size+0x1/0x2|foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::DebugObjects,
            "debug_print_object+0x1/0x2",
            "__debug_check_no_obj_freed+0x1/0x2|kfree+0x1/0x2|foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::Kasan,
            "",
            "dump_stack_lvl+0x1/0x2|print_report+0x1/0x2|kasan_report+0x1/0x2|? foo+0x5/0x6|__asan_load4+0x1/0x2|foo+0x1/0x2|do_syscall_64+0x1/0x2",
            "foo",
        ),
        (
            Kind::Kasan,
            "memcpy+0x1/0x2",
            "dump_stack+0x1/0x2|kasan_report+0x1/0x2|memcpy+0x1/0x2|foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::Ubsan,
            "",
            "dump_stack+0x1/0x2|ubsan_epilogue+0x1/0x2|__ubsan_handle_shift_out_of_bounds+0x1/0x2|foo.cold+0x1/0x2",
            "foo",
        ),
        (
            Kind::SleepInAtomic,
            "",
            "dump_stack+0x1/0x2|___might_sleep.cold+0x1/0x2|mutex_lock+0x1/0x2|foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::SchedulingWhileAtomic,
            "",
            "dump_stack+0x1/0x2|__schedule_bug+0x1/0x2|__schedule+0x1/0x2|schedule+0x1/0x2|schedule_timeout+0x1/0x2|msleep+0x1/0x2|foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::HungTask,
            "",
            "__schedule+0x1/0x2|schedule+0x1/0x2|rwsem_down_write_slowpath+0x1/0x2|down_write+0x1/0x2|foo+0x1/0x2|ksys_write+0x1/0x2",
            "foo",
        ),
        (
            Kind::HungTask,
            "",
            "__schedule+0x1/0x2|schedule+0x1/0x2|worker_thread+0x1/0x2|kthread+0x1/0x2|ret_from_fork+0x1/0x2",
            "__schedule",
        ),
        (
            Kind::SoftLockup,
            "native_queued_spin_lock_slowpath+0x1/0x2",
            "_raw_spin_lock+0x1/0x2|foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::SoftLockup,
            "smp_call_function_many_cond+0x1/0x2",
            "on_each_cpu_cond_mask+0x1/0x2|foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::SoftLockup,
            "native_safe_halt+0x1/0x2",
            "default_idle+0x1/0x2|do_idle+0x1/0x2|start_secondary+0x1/0x2",
            "native_safe_halt",
        ),
        (
            Kind::RcuStall,
            "",
            "<IRQ>|dump_stack+0x1/0x2|nmi_cpu_backtrace+0x1/0x2|nmi_trigger_cpumask_backtrace+0x1/0x2|rcu_dump_cpu_stacks+0x1/0x2|rcu_sched_clock_irq+0x1/0x2|update_process_times+0x1/0x2|tick_sched_timer+0x1/0x2|__hrtimer_run_queues+0x1/0x2|hrtimer_interrupt+0x1/0x2|smp_apic_timer_interrupt+0x1/0x2|apic_timer_interrupt+0x1/0x2|foo+0x1/0x2|bar+0x1/0x2",
            "foo",
        ),
        (
            Kind::HardLockup,
            "",
            "<NMI>|dump_stack+0x1/0x2|panic+0x1/0x2|watchdog_overflow_callback+0x1/0x2|__perf_event_overflow+0x1/0x2|x+0x1/0x2|end_repeat_nmi+0x1/0x2|_raw_spin_lock+0x1/0x2|foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::PageAllocationFailure,
            "",
            "dump_stack+0x1/0x2|warn_alloc+0x1/0x2|__alloc_pages_slowpath+0x1/0x2|__alloc_pages_nodemask+0x1/0x2|kmalloc_order_trace+0x1/0x2|__kmalloc+0x1/0x2|foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::MemoryLeak,
            "",
            "kmemleak_alloc+0x1/0x2|kmem_cache_alloc_trace+0x1/0x2|foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::Panic,
            "",
            "dump_stack+0x1/0x2|panic+0x1/0x2|mount_block_root+0x1/0x2|mount_root+0x1/0x2",
            "mount_block_root",
        ),
        (
            Kind::Panic,
            "",
            "dump_stack_lvl+0x34/0x48|panic+0x107/0x2d7|sysrq_handle_crash+0x16/0x20|__handle_sysrq+0x1/0x2",
            "sysrq_handle_crash",
        ),
        (
            Kind::BadPage,
            "",
            "dump_stack+0x1/0x2|bad_page+0x1/0x2|free_pages_prepare+0x1/0x2|free_unref_page+0x1/0x2|__free_pages+0x1/0x2|foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::Lockdep,
            "",
            "dump_stack+0x1/0x2|print_circular_bug+0x1/0x2|check_noncircular+0x1/0x2|__lock_acquire+0x1/0x2|lock_acquire+0x1/0x2|__mutex_lock+0x1/0x2|foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::Spinlock,
            "",
            "dump_stack+0x1/0x2|spin_bug+0x1/0x2|do_raw_spin_lock+0x1/0x2|_raw_spin_lock+0x1/0x2|foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::StackCorruption,
            "",
            "dump_stack+0x1/0x2|panic+0x1/0x2|__stack_chk_fail+0x1/0x2|foo+0x1/0x2",
            "foo",
        ),
        // Inlined functions.
        (
            Kind::HungTask,
            "",
            " context_switch kernel/sched/core.c:5242 [inline]| __schedule+0x1/0x2 kernel/sched/core.c:6549| schedule+0x1/0x2 kernel/sched/core.c:6625| bar fs/x.c:1 [inline]| foo+0x1/0x2 fs/x.c:2",
            "foo",
        ),
        (
            Kind::HungTask,
            "",
            "__schedule (kernel/sched/core.c:5242)|schedule (kernel/sched/core.c:6625)|foo (fs/x.c:1)|bar (fs/x.c:2)",
            "foo",
        ),
        // Nothing but what was found on the stack.
        (
            Kind::Warning,
            "",
            "? dump_stack+0x1/0x2|? warn_slowpath_common+0x1/0x2|? foo+0x1/0x2",
            "foo",
        ),
        (
            Kind::Warning,
            "",
            "dump_stack+0x1/0x2|? foo+0x1/0x2|kthread+0x1/0x2",
            "foo",
        ),
        // arm.
        (
            Kind::Warning,
            "",
            "[<c010f250>] (unwind_backtrace) from [<c010b894>] (show_stack+0x10/0x14)|[<c010b894>] (show_stack) from [<c08f0b14>] (dump_stack+0x98/0xac)|[<c08f0b14>] (dump_stack) from [<c011c1a8>] (__warn+0xf8/0x110)|[<c011c1a8>] (__warn) from [<c011c270>] (warn_slowpath_null+0x40/0x48)|[<c011c270>] (warn_slowpath_null) from [<c0123456>] (foo+0x1/0x2)",
            "foo",
        ),
        // powerpc's dots.
        (Kind::NullDereference, ".foo+0x1/0x2", "", "foo"),
    ] {
        assert_eq!(
            blamed(kind, at, trace).as_deref(),
            Some(expected),
            "{kind} {at} {trace}"
        );
    }
    assert_eq!(blamed(Kind::Panic, "", ""), None);
    assert_eq!(blamed(Kind::NullDereference, "0x0", ""), None);
    assert_eq!(
        blamed(Kind::NullDereference, "0x0", " 0xffffffffc01e7fff"),
        None
    );
}

proptest! {
    #[test]
    fn a_function_is_found_wherever_there_is_one(
        names in proptest::collection::vec("[a-z_]{1,12}", 1..12),
        kind in proptest::sample::select(vec![Kind::Oops, Kind::SoftLockup, Kind::Kasan, Kind::Oom]),
    ) {
        let trace: Vec<String> = names.iter().map(|name| format!("{name}+0x1/0x2")).collect();
        let found = blamed(kind, "", &trace.join("|"));
        prop_assert!(found.is_some_and(|found| names.contains(&found)));
    }
}
