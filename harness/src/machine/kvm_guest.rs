//! The guest of the KVM probe: real mode to long mode, then work that only a real CPU does in time.
//!
//! A KVM that has no hardware behind it can still emulate the guest's instructions one by one: it
//! creates machines, runs a BIOS, and is a thousand times too slow for a kernel. So the guest
//! has to count to 20 million in long mode before it says `4`: 20 ms on a CPU, minutes emulated.
//! It is a firmware image of its own, so that nothing else has to run before it.

use std::arch::global_asm;

/// Written to the report port when everything worked.
pub(super) const DONE: u8 = b'4';

/// QEMU accepts firmware in multiples of 64 KiB and maps its end at 4 GiB.
const FIRMWARE: usize = 64 << 10;

/// The firmware image.
pub(super) fn firmware() -> Vec<u8> {
    unsafe extern "C" {
        static crashdrill_kvm_guest: [u8; 512];
    }
    // SAFETY: the label stands before exactly 512 bytes of the block below (`.org 0x200`).
    let code = unsafe { &crashdrill_kvm_guest };
    let mut image = vec![0; FIRMWARE - code.len()];
    image.extend_from_slice(code);
    image
}

// The block's last 16 bytes are where a CPU starts after reset (0xfffffff0), in real mode with a
// code segment that begins 64 KiB below 4 GiB. Progress goes to port 0xe9 as 1, 2, 3, 4.
global_asm!(
    r#"
    .pushsection .rodata.crashdrill_kvm_guest, "a", @progbits
    .globl crashdrill_kvm_guest
    .hidden crashdrill_kvm_guest
    .set crashdrill_base, 0xfffffe00
crashdrill_kvm_guest:
    .code16
    cli
    movb $'1', %al
    outb %al, $0xe9
    lgdtl %cs:(0xfe00 + 28f - crashdrill_kvm_guest)
    movl $0x11, %eax
    movl %eax, %cr0
    ljmpl $8, $(crashdrill_base + (20f - crashdrill_kvm_guest))

    .code32
20: movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movb $'2', %al
    outb %al, $0xe9
    # Page tables from 0x1000 on: the first 2 MiB and the last 2 MiB below 4 GiB, as they are.
    cld
    movl $0x1000, %edi
    xorl %eax, %eax
    movl $0x1000, %ecx
    rep stosl
    movl $0x2003, 0x1000
    movl $0x3003, 0x2000
    movl $0x4003, 0x2018
    movl $0x83, 0x3000
    movl $0xffe00083, 0x4ff8
    movl $0x620, %eax
    movl %eax, %cr4
    movl $0x1000, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl $0x80010033, %eax
    movl %eax, %cr0
    ljmpl $24, $(crashdrill_base + (22f - crashdrill_kvm_guest))

    .code64
22: movb $'3', %al
    outb %al, $0xe9
    movl $0x8000, %esp
    movl $20000000, %ecx
24: pushq %rcx
    popq %rcx
    decl %ecx
    jnz 24b
    movb $'4', %al
    outb %al, $0xe9
25: cli
    hlt
    jmp 25b

    .balign 8
26: .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00af9b000000ffff
28: .word 31
    .long crashdrill_base + (26b - crashdrill_kvm_guest)

    .org crashdrill_kvm_guest + 0x1f0
    .code16
    jmp crashdrill_kvm_guest
    .org crashdrill_kvm_guest + 0x200
    .code64
    .popsection
    "#,
    options(att_syntax)
);
