//! The customer's dump target: through which function the dump goes, and its interrupt line.

use crate::import::facts::{Facts, InterruptKind, PciAddress, PciFunction};
use crate::import::stand_in::{self, StandIn, driver};
use crate::machine::catalogue;
use crate::scenario::model::Line;

/// Classes of PCI Code and ID Assignment Specification.
const SATA: u16 = 0x0106;
const FIBRE_CHANNEL: u16 = 0x0c04;

/// The function that the dump goes through, and what is to be said about it.
pub(super) fn target(
    facts: &Facts,
    network: bool,
    shown: bool,
) -> (Option<PciAddress>, Option<String>) {
    let known = facts
        .target
        .as_ref()
        .map(|target| target.functions.as_slice());
    let there = |at: &&PciAddress| facts.functions.contains_key(at);
    if let Some(at) = known.unwrap_or_default().iter().find(there) {
        let said = (known.unwrap_or_default().len() > 1).then(|| {
            let at = at.short();
            format!("several paths lead to the dump target; the drill has the one by {at}")
        });
        return (Some(*at), said);
    }
    let carries = |function: &PciFunction| match (network, function.class) {
        (false, Some(0x0100..=0x01ff | FIBRE_CHANNEL)) | (true, Some(0x0200..=0x02ff)) => {
            driver(function, shown).is_some()
        }
        _ => false,
    };
    let all: Vec<_> = facts
        .functions
        .iter()
        .filter(|(_, it)| carries(it))
        .collect();
    let what = if network { "network" } else { "storage" };
    match all.as_slice() {
        [] => (
            None,
            Some(format!(
                "the files show no {what} adapter with a driver: the dump target is made up"
            )),
        ),
        [(at, _)] => (
            Some(**at),
            Some(format!(
                "the only {what} adapter, so the dump is taken to go through it"
            )),
        ),
        several => {
            // SAS and RAID before a SAN, and that before SATA, where servers have a CD drive or nothing;
            // a card that dumps can be sent through here before others.
            let unlikely = |function: &PciFunction| match (network, function.class) {
                (false, Some(SATA)) => 2,
                (false, Some(FIBRE_CHANNEL)) => 1,
                (false, _) => 0,
                (true, _) => {
                    let found =
                        driver(function, shown).and_then(|name| stand_in::stand_in(function, name));
                    let usable = |it: &StandIn| catalogue::entry(it.kind).network;
                    u8::from(!found.is_some_and(usable))
                }
            };
            let best = several.iter().min_by_key(|(_, it)| unlikely(it));
            let best = best.unwrap_or(&several[0]);
            (
                Some(*best.0),
                Some(format!(
                    "the files do not tell which of {} {what} adapters the dump goes through: this is \
                     a guess; another line can have `target: true`",
                    several.len()
                )),
            )
        }
    }
}

/// Whether the dump target has an interrupt line of its own, as far as the files tell.
pub(super) fn line_of(facts: &Facts, target: Option<PciAddress>) -> Option<Line> {
    let target = target?;
    // A message's number is in the same place while MSI is in use.
    let line = |function: &PciFunction| {
        let msi = function.msi.is_some_and(|msi| msi.enabled);
        function.line.filter(|_| !msi)?.irq
    };
    let Some(own) = facts.functions.get(&target).and_then(line) else {
        return Some(Line::Own);
    };
    let others = facts.functions.iter().filter(|(at, _)| **at != target);
    let shared = others
        .filter(|(_, it)| it.driver.is_some())
        .any(|(_, it)| line(it) == Some(own));
    let named = facts.interrupts.iter().map(|it| &it.value).any(|it| {
        it.irq == own && matches!(it.kind, InterruptKind::Line(_)) && it.actions.len() > 1
    });
    (!shared && !named).then_some(Line::Own)
}
