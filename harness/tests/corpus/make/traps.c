// SPDX-License-Identifier: GPL-2.0
/* User-space faults, which the kernel logs and survives: traps NAME. No libc. */
static int is(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

__attribute__((used)) static void run(const char *name)
{
	volatile int zero = 0;

	if (is(name, "segfault"))
		zero = *(volatile int *)(unsigned long)(zero + 8);
	if (is(name, "write"))
		*(volatile int *)(unsigned long)run = 0;
	if (is(name, "call"))
		((void (*)(void))(unsigned long)zero)();
	if (is(name, "jump"))
		((void (*)(void))(0xdead000UL + zero))();
	if (is(name, "protection"))
		zero = *(volatile int *)(0x1badb002deadbeefUL + zero);
	if (is(name, "divide"))
		zero = 100 / zero;
	if (is(name, "opcode"))
		asm volatile("ud2");
	if (is(name, "int3"))
		asm volatile("int3");
	if (is(name, "stack"))
		asm volatile("xor %rsp, %rsp\n\tpush %rax");
	asm volatile("syscall" : : "a"(60), "D"(0));
}

asm(".globl _start\n_start: mov 16(%rsp), %rdi\n\tcall run");
