//! Which function to blame for a report.

mod machinery;

use machinery::{Role, is_stall, role};

use super::symbol::{is_address, plain_name};
use super::{Frame, Kind, Symbol};

/// The function to blame: where the instruction pointer stood or what the headline names, unless
/// that is machinery of reporting, checking or waiting, or no function at all (a call of address
/// 0). Then the innermost function of the trace that is not. What the unwinder only found on the
/// stack counts only if nothing else is left. Without the compiler's suffixes.
pub(super) fn culprit(kind: Kind, at: Option<&Symbol>, trace: &[Frame]) -> Option<String> {
    let at = at
        .map(|symbol| plain_name(&symbol.name))
        .filter(|name| !is_address(name));
    let at_role = at.map(|name| match role(kind, name) {
        // The headline knows better: a warning of an exception's handler is its own.
        Role::Entry | Role::Base => Role::Suspect,
        other => other,
    });
    if at_role == Some(Role::Suspect) {
        return at.map(str::to_owned);
    }
    // What a symbolizer found inlined has no offset. The kernel, and people, name the function that
    // it was inlined into. Where the symbolizer replaced all offsets there is no telling.
    let offsets = trace.iter().any(|frame| frame.symbol.offset.is_some());
    // An unwinder that doubts everything, as before 4.10 without frame pointers, is as good as one
    // that doubts nothing.
    let doubts = trace.iter().any(|frame| frame.reliable);
    let frames = || {
        behind_interrupt(kind, trace)
            .iter()
            .filter(|frame| !offsets || frame.symbol.offset.is_some())
            .map(|frame| (frame.reliable || !doubts, plain_name(&frame.symbol.name)))
            .filter(|(_, name)| !is_address(name))
    };
    let first = |reliable: bool, wanted: &[Role]| {
        frames()
            .find(|(sure, name)| *sure == reliable && wanted.contains(&role(kind, name)))
            .map(|(_, name)| name)
    };
    first(true, &[Role::Suspect])
        .or_else(|| at.filter(|_| at_role == Some(Role::Helper)))
        .or_else(|| first(true, &[Role::Helper]))
        .or_else(|| first(false, &[Role::Suspect]))
        .or_else(|| first(false, &[Role::Helper]))
        .or_else(|| first(true, &[Role::Base]))
        .or(at)
        .or_else(|| frames().map(|(_, name)| name).next())
        .map(str::to_owned)
}

/// The trace without the interrupt's handler that printed it: a non-maskable one's, or, in a stall,
/// the tick's.
fn behind_interrupt(kind: Kind, trace: &[Frame]) -> &[Frame] {
    let reliable = |frame: &Frame, names: &[&str]| {
        frame.reliable && names.contains(&plain_name(&frame.symbol.name))
    };
    let entry = trace
        .iter()
        .rposition(|frame| reliable(frame, &NMI_ENTRIES));
    let entry = entry.or_else(|| {
        let tick = is_stall(kind)
            .then(|| trace.iter().position(|frame| reliable(frame, &TICK)))
            .flatten()?;
        let entry = trace.get(tick..)?.iter();
        Some(
            tick + entry
                .clone()
                .position(|frame| reliable(frame, &IRQ_ENTRIES))?,
        )
    });
    let behind = entry.and_then(|entry| trace.get(entry + 1..));
    behind.filter(|rest| !rest.is_empty()).unwrap_or(trace)
}

/// Entries of non-maskable interrupts (arch/x86/entry).
const NMI_ENTRIES: [&str; 5] = [
    "nmi",
    "end_repeat_nmi",
    "asm_exc_nmi",
    "nmi_stack_correct",
    "asm_xenpv_exc_nmi",
];
/// What every tick that looks for stalls passes through (kernel/time, kernel/watchdog.c).
const TICK: [&str; 2] = ["update_process_times", "watchdog_timer_fn"];
/// Entries of interrupts: arch/arm/kernel/entry-armv.S, arch/arm64/kernel/entry.S, arch/x86/entry,
/// arch/mips/kernel/genex.S, arch/s390/kernel/entry.S.
const IRQ_ENTRIES: [&str; 13] = [
    "__irq_svc",
    "el1_irq",
    "el1h_64_irq",
    "apic_timer_interrupt",
    "asm_sysvec_apic_timer_interrupt",
    "sysvec_apic_timer_interrupt",
    "smp_apic_timer_interrupt",
    "handle_int",
    "ext_int_handler",
    "ret_from_irq",
    "hardware_interrupt_common",
    "decrementer_common",
    "xen_do_hypervisor_callback",
];

#[cfg(test)]
mod tests;
