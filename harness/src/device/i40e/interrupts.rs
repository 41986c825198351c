//! Interrupts: the causes of vector 0, and the switch that each vector has (datasheet, chapter 7.5;
//! `i40e_intr` and `i40e_irq_dynamic_enable_icr0` of drivers/net/ethernet/intel/i40e/i40e_main.c).

use super::VECTORS;
use crate::device::Bus;

/// PFINT_ICR0: there is a cause.
const EVENT: u32 = 1 << 0;
/// PFINT_ICR0: the first of eight causes for queues that interrupt vector 0.
const QUEUE_0: u32 = 1 << 1;
const ALL_QUEUES: u32 = 0xff << 1;
/// PFINT_ICR0: a reset of the whole device is coming.
pub(super) const GLOBAL_RESET: u32 = 1 << 20;
/// PFINT_ICR0: something in an admin queue.
pub(super) const ADMIN_QUEUE: u32 = 1 << 30;
/// PFINT_ICR0: the driver asked for it.
const SOFTWARE: u32 = 1 << 31;

/// PFINT_DYN_CTL: the vector may interrupt; clears itself when it does.
const ENABLE: u32 = 1 << 0;
/// PFINT_DYN_CTL: interrupt by software.
const TRIGGER: u32 = 1 << 2;
/// PFINT_DYN_CTL: leave ENABLE as it is.
const KEEP_ENABLE: u32 = 1 << 31;

/// QINT_TQCTL: interrupt when a descriptor is done.
const QUEUE_ENABLE: u32 = 1 << 30;

/// One vector.
#[derive(Debug, Clone, Copy, Default)]
struct Vector {
    control: u32,
    /// Something has happened since it last interrupted. Not for vector 0, which has causes.
    pending: bool,
}

/// All of a function's.
#[derive(Debug)]
pub(super) struct Interrupts {
    causes: u32,
    /// PFINT_ICR0_ENA.
    enabled: u32,
    vectors: [Vector; VECTORS as usize],
}

impl Interrupts {
    pub(super) fn new() -> Self {
        Self {
            causes: 0,
            enabled: 0,
            vectors: [Vector::default(); VECTORS as usize],
        }
    }

    pub(super) fn control(&self, vector: u16) -> u32 {
        self.vectors
            .get(usize::from(vector))
            .map_or(0, |vector| vector.control)
    }

    /// Writes a PFINT_DYN_CTL.
    pub(super) fn set_control(&mut self, vector: u16, value: u32, bus: &mut Bus) {
        let Some(this) = self.vectors.get_mut(usize::from(vector)) else {
            return;
        };
        let enable = match value & KEEP_ENABLE {
            0 => value & ENABLE,
            _ => this.control & ENABLE,
        };
        // Bit 1 clears the pending bit of MSI-X, which QEMU keeps.
        this.control = value & !(KEEP_ENABLE | TRIGGER | 2 | ENABLE) | enable;
        if value & TRIGGER != 0 {
            match vector {
                0 => self.causes |= SOFTWARE,
                _ => this.pending = true,
            }
        }
        self.fire(vector, bus);
    }

    pub(super) fn enabled(&self) -> u32 {
        self.enabled
    }

    /// Writes PFINT_ICR0_ENA.
    pub(super) fn set_enabled(&mut self, causes: u32, bus: &mut Bus) {
        self.enabled = causes;
        self.fire(0, bus);
    }

    /// Reads PFINT_ICR0, which clears it.
    pub(super) fn take_causes(&mut self, bus: &mut Bus) -> u32 {
        bus.line(false);
        match std::mem::take(&mut self.causes) {
            0 => 0,
            causes => causes | EVENT,
        }
    }

    /// A cause of vector 0.
    pub(super) fn raise(&mut self, cause: u32, bus: &mut Bus) {
        self.causes |= cause;
        self.fire(0, bus);
    }

    /// A queue has something to say; `control` is its QINT_TQCTL.
    pub(super) fn raise_queue(&mut self, control: u32, bus: &mut Bus) {
        if control & QUEUE_ENABLE == 0 {
            return;
        }
        match (control & 0xff) as u16 {
            0 => self.raise(QUEUE_0 << (control >> 13 & 7), bus),
            vector => {
                if let Some(this) = self.vectors.get_mut(usize::from(vector)) {
                    this.pending = true;
                    self.fire(vector, bus);
                }
            }
        }
    }

    /// Interrupts once, if there is a reason and the driver has asked for it.
    fn fire(&mut self, vector: u16, bus: &mut Bus) {
        let unmasked = self.causes & (self.enabled | ALL_QUEUES | SOFTWARE) != 0;
        let Some(this) = self.vectors.get_mut(usize::from(vector)) else {
            return;
        };
        let reason = match vector {
            0 => unmasked,
            _ => this.pending,
        };
        if !reason || this.control & ENABLE == 0 {
            return;
        }
        this.control &= !ENABLE;
        this.pending = false;
        bus.message(vector);
        if vector == 0 {
            bus.line(true);
        }
    }
}

#[cfg(test)]
mod tests;
