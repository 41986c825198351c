// SPDX-License-Identifier: GPL-2.0
/*
 * One function per way to crash a kernel. The function's name is what a good
 * reader of the console log must come back with.
 *
 * Write "NAME" or "CONTEXT NAME" to /proc/crashes, or load with at_init=NAME.
 * Contexts: process (the default), timer, hrtimer, tasklet, rcu, irq, work,
 * thread, cpu1 (an interrupt on that CPU), thread1 (a thread bound to it).
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/kobject.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nmi.h>
#include <linux/objtool.h>
#include <linux/proc_fs.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/sched/debug.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

struct victim {
	char name[16];
	int *target;
	struct list_head list;
};

/* Volatile, so that the compiler knows nothing of the values. */
static struct victim *volatile nobody;
static void (*volatile nowhere)(void);
static volatile int zero;
static volatile int many = 64;
static volatile unsigned long odd_address = 0x1badb002deadbeefUL;
static char __user *user_buffer;
static const unsigned long read_only_words[4] = { 1, 2, 3, 4 };
static unsigned long data_area[16] = { 1 };
static int sink;

/* --- BUG, WARN, panic --- */

static noinline void crash_bug(void)
{
	BUG();
}

static noinline void crash_bug_on(void)
{
	BUG_ON(!zero);
}

static noinline void crash_warn_on(void)
{
	WARN_ON(!zero);
}

static noinline void crash_warn(void)
{
	WARN(1, "crashes: ring %d is in state %#x, not in %#x\n", 3, 0x21, 0x20);
}

static noinline void crash_warn_once(void)
{
	int i;

	for (i = 0; i < 3; i++)
		WARN_ONCE(1, "crashes: said once\n");
}

static noinline void crash_panic(void)
{
	panic("crashes: controller %d does not answer", 2);
}

static noinline void crash_dump_stack(void)
{
	dump_stack();
}

/* --- bad accesses --- */

static noinline void crash_null_read(void)
{
	sink = (int)(unsigned long)nobody->target;
}

static noinline void crash_null_write(void)
{
	nobody->name[0] = 1;
}

static noinline void crash_null_call(void)
{
	nowhere();
	barrier();
}

static noinline void crash_wild_call(void)
{
	nowhere = (void (*)(void))(unsigned long)(0xffffc9000dead000UL + zero);
	nowhere();
	barrier();
}

static noinline void crash_exec_data(void)
{
	nowhere = (void (*)(void))data_area;
	nowhere();
	barrier();
}

static noinline void crash_exec_user(void)
{
	nowhere = (void (*)(void))user_buffer;
	nowhere();
	barrier();
}

static noinline void crash_user_access(void)
{
	*(volatile char __force *)user_buffer = 1;
}

static noinline void crash_unmapped_write(void)
{
	volatile char *area = vmalloc(PAGE_SIZE);

	vfree((void *)area);
	rcu_barrier();
	vm_unmap_aliases();
	area[8] = 1;
}

static noinline void crash_guard_read(void)
{
	volatile char *area = vmalloc(PAGE_SIZE);

	sink = area[PAGE_SIZE + 16];
}

static noinline void crash_readonly_write(void)
{
	*(volatile unsigned long *)&read_only_words[zero + 1] = 7;
}

static noinline void crash_error_pointer(void)
{
	struct victim *victim = ERR_PTR(-ENODEV + zero);

	sink = READ_ONCE(victim->name[0]);
}

static noinline void crash_non_canonical(void)
{
	sink = *(volatile int *)odd_address;
}

static noinline void crash_strlen(void)
{
	sink = strlen((const char *)odd_address);
}

static noinline void crash_memcpy(void)
{
	memcpy(data_area, (void *)(unsigned long)(0xffffc9000dead000UL + zero), many);
}

/* --- other processor exceptions --- */

static noinline void crash_divide(void)
{
	sink = 100 / zero;
}

#ifdef CONFIG_X86
static noinline void crash_stack_segment(void)
{
	unsigned long value;

	asm volatile("push %%rbp\n\tmov %1, %%rbp\n\tmov (%%rbp), %0\n\tpop %%rbp"
		     : "=a"(value) : "c"(odd_address) : "memory");
	sink = value;
}

static noinline void crash_int3(void)
{
	asm volatile("int3");
}

static noinline void crash_ud2(void)
{
	asm volatile("ud2");
}

static noinline void crash_bad_msr(void)
{
	unsigned int low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0x12345678 + zero));
}

static noinline void crash_unchecked_msr(void)
{
	wrmsrl(0x12345678 + zero, 1);
}

static noinline void crash_double_fault(void)
{
	asm volatile("mov %0, %%rsp\n\tpush %%rax" : : "r"(odd_address) : "memory");
}
STACK_FRAME_NON_STANDARD(crash_double_fault);
#else
static noinline void crash_undefined(void)
{
	asm volatile("udf #7");
}

static noinline void crash_break(void)
{
	asm volatile("brk #0x55");
}

static noinline void crash_unaligned_atomic(void)
{
	atomic_inc((atomic_t *)((char *)data_area + 1 + zero));
}
#endif

/* --- stacks --- */

static noinline int crash_stack_overflow_at(int depth)
{
	volatile char frame[256];

	frame[depth & 255] = depth;
	return crash_stack_overflow_at(depth + 1) + frame[depth & 255];
}

static noinline void crash_stack_overflow(void)
{
	sink = crash_stack_overflow_at(1);
}

static noinline void crash_stack_smash(void)
{
	volatile char frame[16];
	int i;

	for (i = 0; i < many; i++)
		frame[i] = 'x';
}

static noinline void crash_stack_end(void)
{
	*end_of_stack(current) = 0;
	schedule_timeout_uninterruptible(1);
}

/* --- data structures --- */

static noinline void crash_list_add(void)
{
	LIST_HEAD(head);
	LIST_HEAD(elsewhere);
	struct victim one = {}, two = {};

	list_add(&one.list, &head);
	head.next = &elsewhere;
	list_add(&two.list, &head);
}

static noinline void crash_list_add_twice(void)
{
	LIST_HEAD(head);
	struct victim one = {};

	list_add(&one.list, &head);
	list_add(&one.list, &head);
}

static noinline void crash_list_del(void)
{
	LIST_HEAD(head);
	LIST_HEAD(elsewhere);
	struct victim one = {};

	list_add(&one.list, &head);
	one.list.next = &elsewhere;
	list_del(&one.list);
}

static noinline void crash_list_del_twice(void)
{
	LIST_HEAD(head);
	struct victim one = {};

	list_add(&one.list, &head);
	list_del(&one.list);
	list_del(&one.list);
}

static noinline void crash_refcount_underflow(void)
{
	refcount_t count = REFCOUNT_INIT(0);

	if (refcount_dec_and_test(&count))
		sink = 1;
}

static noinline void crash_refcount_inc_zero(void)
{
	refcount_t count = REFCOUNT_INIT(0);

	refcount_inc(&count);
	sink = refcount_read(&count);
}

static noinline void crash_refcount_saturate(void)
{
	refcount_t count = REFCOUNT_INIT(INT_MAX);

	refcount_inc(&count);
	sink = refcount_read(&count);
}

static noinline void crash_fortify(void)
{
	struct victim one;

	memset(one.name, 0, many);
	sink = one.name[zero];
}

static noinline void crash_kobject_twice(void)
{
	struct kobject *one = kobject_create_and_add("crashes", NULL);
	struct kobject *two = kobject_create_and_add("crashes", NULL);

	kobject_put(two);
	kobject_put(one);
}

static noinline void crash_timer_twice(void)
{
	static struct timer_list timer;

	timer_setup(&timer, NULL, 0);
	timer.expires = jiffies + 1000;
	add_timer(&timer);
	add_timer(&timer);
}

/* --- memory --- */

static noinline void crash_slab_overflow(void)
{
	volatile char *object = kmalloc(64, GFP_KERNEL);

	object[64 + zero] = 1;
	object[65 + zero] = 2;
	kfree((void *)object);
}

static noinline void crash_slab_use_after_free(void)
{
	volatile char *object = kmalloc(96, GFP_KERNEL);
	void *again[64];
	int i;

	kfree((void *)object);
	object[40] = 0x12;
	for (i = 0; i < 64; i++)
		again[i] = kmalloc(96, GFP_KERNEL);
	for (i = 0; i < 64; i++)
		kfree(again[i]);
}

static noinline void crash_slab_double_free(void)
{
	void *object = kmalloc(64, GFP_KERNEL);

	kfree(object);
	kfree(object);
}

static noinline void crash_slab_invalid_free(void)
{
	char *object = kmalloc(64, GFP_KERNEL);

	kfree(object + 24);
}

static noinline void crash_cache_in_use(void)
{
	struct kmem_cache *cache =
		kmem_cache_create("crashes_cache", 200, 0, 0, NULL);

	sink = kmem_cache_alloc(cache, GFP_KERNEL) != NULL;
	kmem_cache_destroy(cache);
}

/* KFENCE guards one allocation now and then, so try until it has one. */
static noinline void crash_kfence_use_after_free(void)
{
	unsigned long end = jiffies + 20 * HZ;

	while (time_before(jiffies, end)) {
		volatile char *object = kmalloc(48, GFP_KERNEL);

		kfree((void *)object);
		sink = object[10];
		cond_resched();
	}
}

static noinline void crash_kfence_overflow(void)
{
	unsigned long end = jiffies + 20 * HZ;

	while (time_before(jiffies, end)) {
		volatile char *object = kmalloc(32, GFP_KERNEL);

		sink = object[32 + zero];
		sink = object[-1 + zero];
		kfree((void *)object);
		cond_resched();
	}
}

static noinline void crash_kfence_corruption(void)
{
	unsigned long end = jiffies + 20 * HZ;

	while (time_before(jiffies, end)) {
		volatile char *object = kmalloc(30, GFP_KERNEL);

		object[30 + zero] = 'x';
		kfree((void *)object);
		cond_resched();
	}
}

static noinline void crash_usercopy_from_slab(void)
{
	char *object = kmalloc(64, GFP_KERNEL);

	if (copy_to_user(user_buffer, object, many + 64))
		sink = 1;
	kfree(object);
}

/* As above, but the compiler must not know the object's size. */
static noinline void crash_usercopy_object(void)
{
	char *volatile object = kmalloc(64, GFP_KERNEL);

	if (copy_to_user(user_buffer, object, many + 64))
		sink = 1;
}

static noinline void crash_usercopy_to_text(void)
{
	if (copy_from_user((void *)crash_bug, user_buffer, many))
		sink = 1;
}

static noinline void crash_usercopy_stack(void)
{
	unsigned long here = (unsigned long)&here & ~0xfUL;

	if (copy_to_user(user_buffer, (char *)here - 8192 * 2 + zero, many))
		sink = 1;
}

static noinline void crash_bad_page(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 5);

	atomic_set(&page->_mapcount, 2);
	__free_pages(page, 5);
}

static noinline void crash_page_free_twice(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 5);

	__free_pages(page, 5);
	atomic_set(&page->_refcount, 1);
	__free_pages(page, 5);
}

static noinline void crash_page_order(void)
{
	sink = alloc_pages(GFP_KERNEL, 14 + zero) != NULL;
}

static noinline void crash_page_allocation(void)
{
	int i;

	for (i = 0; i < 10000; i++)
		if (!alloc_pages(GFP_ATOMIC, 9))
			break;
}

static noinline void crash_vmalloc_fail(void)
{
	sink = vmalloc(1UL << 36) != NULL;
}

/* Eats all memory in the kernel, where no process can be blamed. */
static noinline void crash_eat_memory(void)
{
	while (alloc_page(GFP_KERNEL))
		;
}

/* --- sleeping and locks --- */

static DEFINE_SPINLOCK(spin);
static DEFINE_SPINLOCK(other_spin);
static DEFINE_MUTEX(mutex);
static DECLARE_RWSEM(rwsem);
static DECLARE_COMPLETION(never);

static noinline void crash_sleep_in_atomic(void)
{
	spin_lock(&spin);
	msleep(20);
	spin_unlock(&spin);
}

static noinline void crash_schedule_in_atomic(void)
{
	preempt_disable();
	schedule();
	preempt_enable();
}

static noinline void crash_preempt_leak(void)
{
	preempt_disable();
}

static noinline void crash_irqs_left_off(void)
{
	local_irq_disable();
}

static noinline void crash_soft_lockup(void)
{
	for (;;)
		cpu_relax();
}

static noinline void crash_soft_lockup_atomic(void)
{
	preempt_disable();
	for (;;)
		cpu_relax();
}

static noinline void crash_hard_lockup(void)
{
	local_irq_disable();
	for (;;)
		cpu_relax();
}

static noinline void crash_rcu_reader(void)
{
	rcu_read_lock();
	for (;;)
		cpu_relax();
}

static noinline void crash_spin_recursion(void)
{
	spin_lock(&spin);
	spin_lock(&spin);
}

static noinline void crash_spin_irq_recursion(void)
{
	unsigned long flags;

	spin_lock(&other_spin);
	spin_lock_irqsave(&other_spin, flags);
}

static noinline void crash_mutex_recursion(void)
{
	mutex_lock(&mutex);
	mutex_lock(&mutex);
}

static noinline void crash_rwsem_recursion(void)
{
	down_write(&rwsem);
	down_read(&rwsem);
}

static noinline void crash_wait_forever(void)
{
	wait_for_completion(&never);
}

static noinline void crash_sleep_forever(void)
{
	set_current_state(TASK_UNINTERRUPTIBLE);
	schedule();
}

static irqreturn_t crash_irq_handler(int irq, void *data)
{
	return IRQ_NONE;
}

static noinline void crash_irq_nobody(void)
{
	int irq = irq_alloc_desc(-1), i;

	irq_set_chip_and_handler(irq, &dummy_irq_chip, handle_simple_irq);
	if (request_irq(irq, crash_irq_handler, 0, "crashes", &sink))
		return;
	for (i = 0; i < 100001; i++) {
		local_irq_disable();
		generic_handle_irq(irq);
		local_irq_enable();
	}
}

static noinline void crash_free_irq(void)
{
	free_irq(7, &sink);
}

/* --- what only kernels with debugging options notice --- */

static int global_array[10];
static struct victim __rcu *rcu_victim;
static struct timer_list shared_timer;
static void *lost;

static noinline void crash_stack_out_of_bounds(void)
{
	volatile char frame[20];

	frame[0] = 1;
	sink = frame[21 + zero];
}

static noinline void crash_global_out_of_bounds(void)
{
	int *volatile array = global_array;

	array[11 + zero] = 1;
}

static noinline void crash_shift(void)
{
	sink = 1 << (many + 3);
}

static noinline void crash_array_index(void)
{
	global_array[many] = 1;
}

static noinline void crash_invalid_bool(void)
{
	static char not_bool = 5;

	sink = *(volatile bool *)&not_bool;
}

static noinline void crash_mutex_in_atomic(void)
{
	spin_lock(&spin);
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	spin_unlock(&spin);
}

static noinline void crash_allocate_in_atomic(void)
{
	unsigned long flags;

	local_irq_save(flags);
	lost = kmalloc(100, GFP_KERNEL);
	local_irq_restore(flags);
}

static noinline void crash_lock_order(void)
{
	spin_lock(&spin);
	spin_lock(&other_spin);
	spin_unlock(&other_spin);
	spin_unlock(&spin);
	spin_lock(&other_spin);
	spin_lock(&spin);
	spin_unlock(&spin);
	spin_unlock(&other_spin);
}

static void shared_timer_runs(struct timer_list *timer)
{
	spin_lock(&spin);
	spin_unlock(&spin);
}

static noinline void crash_lock_irq_state(void)
{
	timer_setup(&shared_timer, shared_timer_runs, 0);
	mod_timer(&shared_timer, jiffies + 1);
	msleep(100);
	spin_lock(&spin);
	spin_unlock(&spin);
}

static noinline void crash_unlock_twice(void)
{
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	mutex_unlock(&mutex);
}

static noinline void crash_lock_kept(void)
{
	mutex_lock(&mutex);
}

static noinline void crash_free_held_lock(void)
{
	struct mutex *held = kmalloc(sizeof(*held), GFP_KERNEL);

	mutex_init(held);
	mutex_lock(held);
	kfree(held);
}

static noinline void crash_rcu_dereference(void)
{
	sink = rcu_dereference(rcu_victim) != NULL;
}

static noinline void crash_spin_magic(void)
{
	static spinlock_t never_initialised;

	memset(&never_initialised, 0x11 * !zero, sizeof(never_initialised));
	spin_lock(&never_initialised);
}

static noinline void crash_spin_unlock(void)
{
	spin_unlock(&spin);
}

static noinline void crash_processor_id(void)
{
	sink = smp_processor_id();
}

static noinline void crash_free_active_timer(void)
{
	struct timer_list *timer = kzalloc(sizeof(*timer), GFP_KERNEL);

	timer_setup(timer, shared_timer_runs, 0);
	mod_timer(timer, jiffies + 10 * HZ);
	kfree(timer);
}

static noinline void crash_init_active_timer(void)
{
	timer_setup(&shared_timer, shared_timer_runs, 0);
	mod_timer(&shared_timer, jiffies + 10 * HZ);
	timer_setup(&shared_timer, shared_timer_runs, 0);
}

static noinline void crash_leak(void)
{
	int i;

	for (i = 0; i < 5; i++)
		lost = kmalloc(1000, GFP_KERNEL);
	lost = NULL;
}

#define CRASH(name) { #name, crash_##name }
static const struct crash {
	const char *name;
	void (*run)(void);
} crashes[] = {
	CRASH(bug), CRASH(bug_on), CRASH(warn_on), CRASH(warn), CRASH(warn_once),
	CRASH(panic), CRASH(dump_stack), CRASH(null_read), CRASH(null_write),
	CRASH(null_call), CRASH(wild_call), CRASH(exec_data), CRASH(exec_user),
	CRASH(user_access), CRASH(unmapped_write), CRASH(guard_read),
	CRASH(readonly_write), CRASH(error_pointer), CRASH(non_canonical),
	CRASH(strlen), CRASH(memcpy), CRASH(divide), CRASH(stack_overflow), CRASH(stack_smash),
	CRASH(stack_end), CRASH(list_add), CRASH(list_add_twice), CRASH(list_del),
	CRASH(list_del_twice), CRASH(refcount_underflow), CRASH(refcount_inc_zero),
	CRASH(refcount_saturate), CRASH(fortify), CRASH(kobject_twice),
	CRASH(timer_twice), CRASH(slab_overflow), CRASH(slab_use_after_free),
	CRASH(slab_double_free), CRASH(slab_invalid_free), CRASH(cache_in_use),
	CRASH(kfence_use_after_free), CRASH(kfence_overflow),
	CRASH(kfence_corruption), CRASH(usercopy_from_slab),
	CRASH(usercopy_object), CRASH(usercopy_to_text), CRASH(usercopy_stack), CRASH(bad_page),
	CRASH(page_free_twice), CRASH(page_order), CRASH(page_allocation),
	CRASH(vmalloc_fail), CRASH(eat_memory), CRASH(sleep_in_atomic),
	CRASH(schedule_in_atomic), CRASH(preempt_leak), CRASH(irqs_left_off),
	CRASH(soft_lockup), CRASH(soft_lockup_atomic), CRASH(hard_lockup),
	CRASH(rcu_reader), CRASH(spin_recursion), CRASH(spin_irq_recursion),
	CRASH(mutex_recursion), CRASH(rwsem_recursion), CRASH(wait_forever),
	CRASH(sleep_forever), CRASH(irq_nobody), CRASH(free_irq),
	CRASH(stack_out_of_bounds), CRASH(global_out_of_bounds), CRASH(shift),
	CRASH(array_index), CRASH(invalid_bool), CRASH(mutex_in_atomic),
	CRASH(allocate_in_atomic), CRASH(lock_order), CRASH(lock_irq_state),
	CRASH(unlock_twice), CRASH(lock_kept), CRASH(free_held_lock),
	CRASH(rcu_dereference), CRASH(spin_magic), CRASH(spin_unlock),
	CRASH(processor_id), CRASH(free_active_timer), CRASH(init_active_timer),
	CRASH(leak),
#ifdef CONFIG_X86
	CRASH(stack_segment), CRASH(int3), CRASH(ud2), CRASH(bad_msr),
	CRASH(unchecked_msr), CRASH(double_fault),
#else
	CRASH(undefined), CRASH(break), CRASH(unaligned_atomic),
#endif
};

/* --- contexts --- */

static const struct crash *chosen;
static DECLARE_COMPLETION(ran);

static void run_timer(struct timer_list *timer)
{
	chosen->run();
	complete(&ran);
}

static enum hrtimer_restart run_hrtimer(struct hrtimer *timer)
{
	chosen->run();
	complete(&ran);
	return HRTIMER_NORESTART;
}

static void run_tasklet(struct tasklet_struct *tasklet)
{
	chosen->run();
	complete(&ran);
}

static void run_rcu(struct rcu_head *head)
{
	chosen->run();
	complete(&ran);
}

static void run_irq_work(struct irq_work *work)
{
	chosen->run();
	complete(&ran);
}

static void run_work(struct work_struct *work)
{
	chosen->run();
	complete(&ran);
}

static int run_thread(void *unused)
{
	chosen->run();
	complete(&ran);
	return 0;
}

static void run_on_cpu(void *unused)
{
	chosen->run();
	complete(&ran);
}

static void run_in(const char *context)
{
	static struct timer_list timer;
	static struct hrtimer hrtimer;
	static struct tasklet_struct tasklet;
	static struct irq_work irq_work;
	static struct rcu_head rcu;
	static DECLARE_WORK(work, run_work);
	struct task_struct *thread;

	if (!strcmp(context, "timer")) {
		timer_setup(&timer, run_timer, 0);
		mod_timer(&timer, jiffies + 2);
	} else if (!strcmp(context, "hrtimer")) {
		hrtimer_init(&hrtimer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
		hrtimer.function = run_hrtimer;
		hrtimer_start(&hrtimer, ms_to_ktime(5), HRTIMER_MODE_REL);
	} else if (!strcmp(context, "tasklet")) {
		tasklet_setup(&tasklet, run_tasklet);
		tasklet_schedule(&tasklet);
	} else if (!strcmp(context, "irq")) {
		init_irq_work(&irq_work, run_irq_work);
		irq_work_queue(&irq_work);
	} else if (!strcmp(context, "rcu")) {
		call_rcu(&rcu, run_rcu);
	} else if (!strcmp(context, "work")) {
		schedule_work(&work);
	} else if (!strcmp(context, "thread")) {
		kthread_run(run_thread, NULL, "crashes-%d", 7);
	} else if (!strcmp(context, "thread1")) {
		thread = kthread_create(run_thread, NULL, "crashes/1");
		kthread_bind(thread, 1);
		wake_up_process(thread);
	} else if (!strcmp(context, "cpu1")) {
		smp_call_function_single(1, run_on_cpu, NULL, 0);
	} else {
		chosen->run();
		return;
	}
	wait_for_completion_interruptible_timeout(&ran, 5 * HZ);
}

static const struct crash *find(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(crashes); i++)
		if (!strcmp(name, crashes[i].name))
			return &crashes[i];
	return NULL;
}

static ssize_t crashes_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	char words[64] = {};
	char *name;

	if (copy_from_user(words, from, min(size, sizeof(words) - 1)))
		return -EFAULT;
	user_buffer = (char __user *)from;
	name = strim(words);
	if (strchr(name, ' '))
		name = strchr(name, ' ') + 1;
	chosen = find(name);
	if (!chosen)
		return -EINVAL;
	if (name != words)
		name[-1] = 0;
	run_in(name == words ? "" : words);
	return size;
}

static const struct proc_ops crashes_ops = { .proc_write = crashes_write };

static char *at_init;
module_param(at_init, charp, 0);

static int __init crashes_init(void)
{
	proc_create("crashes", 0200, NULL, &crashes_ops);
	if (at_init) {
		chosen = find(at_init);
		if (chosen)
			chosen->run();
	}
	return 0;
}

static void __exit crashes_exit(void)
{
	remove_proc_entry("crashes", NULL);
}

module_init(crashes_init);
module_exit(crashes_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Ways to crash a kernel, one function each");
