//! The interrupt vectors of one x86 CPU, as each kernel divides them.

use std::fmt;

/// What decides how a kernel deals with vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kernel {
    /// Major and minor version: 3.10, 6.1.
    pub version: (u16, u16),
    /// CONFIG_IA32_EMULATION, as all distributions have it: the vector of `int 0x80` is no device's.
    pub ia32: bool,
}

/// First vector for anything but exceptions (FIRST_EXTERNAL_VECTOR).
const FIRST_EXTERNAL: u32 = 0x20;
/// ISA interrupts, each with a vector of its own from the start (ISA_IRQ_VECTOR).
pub(super) const ISA: u32 = 16;

/// How a kernel assigns vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignment {
    /// When a driver enables MSI or MSI-X, and when a device with an interrupt line is enabled
    /// (arch/x86/kernel/apic/io_apic.c, `__assign_irq_vector`; up to 4.14).
    AtAllocation,
    /// When a driver requests the interrupt; before that it is only counted. Interrupts whose CPUs
    /// the kernel chooses ("managed") are set aside at once, on each of them
    /// (arch/x86/kernel/apic/vector.c, `assign_irq_vector_policy`; from 4.15).
    AtRequest,
}

/// Interrupt lines that QEMU's machines have in use when the first driver is loaded, none of which
/// is a device's of the scenario: timer (0), keyboard (1), ttyS0 (4), clock (8), ACPI (9), mouse
/// (12). Seen in /proc/interrupts on 3.10 and 6.1.
pub(super) const LINES_IN_USE: u32 = 6;

impl Kernel {
    /// What `uname -r` says, such as `3.10.0-693.5.2.el7.x86_64`; none if it does not begin with a
    /// version.
    pub fn of_release(release: &str) -> Option<Self> {
        let mut numbers = release.splitn(3, ['.', '-']);
        let mut number = || {
            let text = numbers.next()?;
            let end = text.find(|c: char| !c.is_ascii_digit());
            text[..end.unwrap_or(text.len())].parse().ok()
        };
        Some(Self {
            version: (number()?, number()?),
            ia32: true,
        })
    }

    /// Whether it is this version or newer. What a distribution has taken from newer kernels is not
    /// seen.
    pub fn is(self, major: u16, minor: u16) -> bool {
        self.version >= (major, minor)
    }

    /// When vectors are assigned.
    pub fn assignment(self) -> Assignment {
        match self.is(4, 15) {
            true => Assignment::AtRequest,
            false => Assignment::AtAllocation,
        }
    }

    /// Vectors of one CPU that devices and interrupt lines share; the first CPU's ISA interrupts
    /// are counted where the kernel keeps them whether they are used or not.
    ///
    /// Sources: arch/x86/include/asm/irq_vectors.h, and what is taken inside of that:
    /// `__assign_irq_vector` with `used_vectors` (arch/x86/kernel/irqinit.c, traps.c), from 4.15
    /// `lapic_assign_system_vectors` (vector.c).
    pub fn per_cpu(self) -> u32 {
        let syscall = u32::from(self.ia32);
        // IRQ_MOVE_CLEANUP_VECTOR is FIRST_EXTERNAL_VECTOR itself; 6.6 cleans up with a timer.
        let cleanup = u32::from(!self.is(6, 6));
        let inside = match self.assignment() {
            Assignment::AtAllocation => ISA,
            // The cascade of the two PICs (PIC_CASCADE_IR) is a system vector. All other ISA
            // vectors are free until they are requested (`vector_configure_legacy`).
            Assignment::AtRequest => 1,
        };
        self.first_system() - FIRST_EXTERNAL - syscall - cleanup - inside
    }

    /// FIRST_SYSTEM_VECTOR: the lowest of those that the kernel keeps for itself at the upper end,
    /// which has moved down with each that was added.
    fn first_system(self) -> u32 {
        const STEPS: [((u16, u16), u32); 4] = [
            // POSTED_MSI_NOTIFICATION_VECTOR
            ((6, 10), 0xeb),
            // LOCAL_TIMER_VECTOR below HYPERV_STIMER0_VECTOR
            ((4, 17), 0xec),
            // below HYPERV_REENLIGHTENMENT_VECTOR
            ((4, 16), 0xed),
            // below MANAGED_IRQ_SHUTDOWN_VECTOR
            ((4, 15), 0xee),
        ];
        let step = STEPS.iter().find(|(since, _)| self.version >= *since);
        step.map_or(0xef, |(_, vector)| *vector)
    }

    /// Vectors that are left for devices on a kernel with one CPU.
    pub fn for_devices(self) -> u32 {
        match self.assignment() {
            Assignment::AtAllocation => self.per_cpu(),
            Assignment::AtRequest => self.per_cpu() - LINES_IN_USE,
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Linux {}.{}", self.version.0, self.version.1)
    }
}
