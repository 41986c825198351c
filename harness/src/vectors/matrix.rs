//! The free vectors of a kernel's CPUs, and how it gives them away.

use std::collections::BTreeSet;

use super::kernel::{Assignment, Kernel, LINES_IN_USE};

/// An interrupt line: the number of its GSI.
pub(super) type Line = u16;

/// What is free, CPU by CPU.
#[derive(Debug, Clone)]
pub(super) struct Matrix {
    kernel: Kernel,
    /// Free vectors of each possible CPU; one entry for all of them where a vector is taken on
    /// every CPU at once.
    free: Vec<u32>,
    /// Of these so many, from the first, are online.
    online: usize,
    /// Lines that have a vector.
    lines: BTreeSet<Line>,
}

impl Matrix {
    /// `shared`: a vector is taken on all CPUs at once.
    pub(super) fn new(kernel: Kernel, shared: bool, possible: u16, online: u16) -> Self {
        let count = match shared {
            true => 1,
            false => usize::from(possible.max(1)),
        };
        let mut matrix = Self {
            kernel,
            free: vec![kernel.per_cpu(); count],
            online: usize::from(online.max(1)).min(count),
            lines: BTreeSet::new(),
        };
        match kernel.assignment() {
            // `lapic_assign_legacy_vector`: on the boot CPU, and never moved off it.
            Assignment::AtRequest => {
                matrix.free[0] -= 1;
                for _ in 1..LINES_IN_USE {
                    matrix.assign(1);
                }
            }
            // `init_IRQ` gives the ISA interrupts their vectors on the first CPU alone.
            Assignment::AtAllocation => {
                for free in matrix.free.iter_mut().skip(1) {
                    *free += super::kernel::ISA;
                }
            }
        }
        matrix
    }

    /// Free vectors of all CPUs that are online.
    pub(super) fn available(&self) -> u32 {
        self.free[..self.online].iter().sum()
    }

    /// Takes `count` vectors on the CPUs that are online, all or none.
    pub(super) fn assign(&mut self, count: u32) -> bool {
        if self.available() < count {
            return false;
        }
        for _ in 0..count {
            let mut online = self.free[..self.online].iter_mut();
            let cpu = match self.kernel.assignment() {
                // The first in the mask that has one.
                Assignment::AtAllocation => online.find(|free| **free > 0),
                // `matrix_find_best_cpu`: the one with most, the first of several.
                Assignment::AtRequest => online.rev().max_by_key(|free| **free),
            };
            if let Some(free) = cpu {
                *free -= 1;
            }
        }
        true
    }

    /// Sets `count` managed interrupts aside, spread over all possible CPUs: each takes a vector on
    /// every CPU of its share (kernel/irq/affinity.c, `irq_matrix_reserve_managed`). All or none.
    pub(super) fn spread(&mut self, count: u32) -> bool {
        let cpus = self.free.len();
        let count = count as usize;
        if count == 0 {
            return true;
        }
        let before = self.free.clone();
        for nth in 0..count {
            // More interrupts than CPUs begin anew at the first CPU.
            let share = match count < cpus {
                true => {
                    let (each, extra) = (cpus / count, cpus % count);
                    let start = nth * each + nth.min(extra);
                    start..start + each + usize::from(nth < extra)
                }
                false => nth % cpus..nth % cpus + 1,
            };
            for free in &mut self.free[share] {
                match free.checked_sub(1) {
                    Some(rest) => *free = rest,
                    None => {
                        self.free = before;
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Gives a line its vector, if it has none yet.
    pub(super) fn line(&mut self, line: Line) -> bool {
        let there = self.lines.contains(&line) || self.is_isa(line) || self.assign(1);
        if there {
            self.lines.insert(line);
        }
        there
    }

    /// Whether a line has its vector.
    pub(super) fn has_line(&self, line: Line) -> bool {
        self.lines.contains(&line) || self.is_isa(line)
    }

    /// Up to 4.14 an ISA interrupt keeps its vector whether it is used or not.
    fn is_isa(&self, line: Line) -> bool {
        self.kernel.assignment() == Assignment::AtAllocation && line < super::kernel::ISA as Line
    }
}
