//! Where every PCI function goes on bus 0. Pure and deterministic: the slot decides the interrupt
//! line, and the order of slots decides in which order a driver finds its devices.
//!
//! On q35, INTA of slots 0x1 to 0x18 goes to GSI 20 + slot modulo 4; 0x19 to 0x1d and the chipset's
//! own 0x1f share GSI 16; 0x1e is on the line of 0x14. Every device of the catalogue uses INTA,
//! whatever its function number. Source: QEMU's `hw/isa/lpc_ich9.c` and its ACPI tables.
//!
//! A card with several ports has a slot to itself, a function a port.
//!
//! An igb brings eight SR-IOV functions, 0x80 and then every second place after its own. Newer
//! QEMUs put them there before anybody enables them, and refuse to start where they overlap.

use std::collections::{BTreeMap, BTreeSet};

use crate::scenario::model::{Chipset, Line};
use crate::units::Slot;

/// What one device asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The slot that the scenario states.
    pub slot: Option<Slot>,
    /// Its functions: the ports of a card.
    pub functions: u8,
    /// The line that it states.
    pub line: Option<Line>,
    /// The dump goes here: it gets a line of its own unless the scenario says otherwise.
    pub target: bool,
    /// Eight places more are kept for its SR-IOV functions.
    pub virtual_functions: bool,
}

/// Functions that cannot all be placed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// Taken by the chipset.
    #[error("slot {0} belongs to the chipset; use one of {1}")]
    Reserved(Slot, &'static str),
    /// Stated twice.
    #[error("slot {0} is stated twice")]
    Twice(Slot),
    /// A card that does not begin where cards begin.
    #[error("a card with {1} ports begins at function 0: state {zero:#x}, not {0}", zero = .0.device)]
    Card(Slot, u8),
    /// A card with several ports, and something else in its slot.
    #[error("slot {0} is in that of a card with several ports, which has a slot to itself")]
    InCard(Slot),
    /// The kernel does not look at other functions of a slot without function 0.
    #[error("slot {0} needs a device at function 0, {zero:#x}", zero = .0.device)]
    NoFunctionZero(Slot),
    /// SR-IOV functions that overlap with something.
    #[error(
        "slot {0} leaves no room for the device's virtual functions, which need the slots 0x10 and \
         0x11 above it (up to 0x1e) for themselves"
    )]
    VirtualFunctions(Slot),
    /// Bus 0 is full.
    #[error("no room on PCI bus 0 for more than {0} functions of this machine")]
    Full(usize),
    /// There are four lines, and someone must share.
    #[error(
        "no interrupt line is left that nobody else is on; q35 has four for slots 0x1 to 0x18 (slots \
         equal modulo 4 share one)"
    )]
    NoOwnLine,
    /// The stated slots contradict the stated line.
    #[error(
        "slot {0} is to have a line of its own, but shares one with slot {1} (slots equal modulo 4 do)"
    )]
    Contradiction(Slot, Slot),
    /// `line: shared` with nobody on the same line.
    #[error("slot {0} is to share its interrupt line, but no other device is on it")]
    NothingToShare(Slot),
    /// On `pc` interrupt lines are ISA interrupts.
    #[error(
        "`line` means nothing on `pc`, whose interrupt lines are ISA interrupts with vectors of their \
         own; use q35 or remove it"
    )]
    LineOnPc,
}

/// One interrupt line of q35: slots whose INTA it is.
type LineId = u8;

/// The line that slots 0x19 to 0x1d share with the chipset's SATA controller and SMBus.
const CHIPSET_LINE: LineId = 4;

fn line_of(slot: Slot) -> LineId {
    match slot.device {
        0x1e => 0,
        0x19..=0x1f => CHIPSET_LINE,
        device => device % 4,
    }
}

/// The GSI that INTA of a slot goes to. On `pc` it is the ISA interrupt that QEMU's firmware gives
/// to the link (SeaBIOS, src/fw/pciinit.c, `pci_irqs`).
pub fn line(chipset: Chipset, slot: Slot) -> u16 {
    match (chipset, line_of(slot)) {
        (Chipset::Pc, _) => [11, 10, 10, 11][usize::from(slot.device % 4)],
        (Chipset::Q35, CHIPSET_LINE) => 16,
        (Chipset::Q35, line) => 20 + u16::from(line),
    }
}

/// Slots of a line in the order in which they are given away.
fn slots_of(line: LineId) -> &'static [u8] {
    match line {
        0 => &[0x4, 0x8, 0xc, 0x10, 0x14, 0x18, 0x1e],
        1 => &[0x5, 0x9, 0xd, 0x11, 0x15, 0x1],
        2 => &[0x6, 0xa, 0xe, 0x12, 0x16, 0x2],
        3 => &[0x7, 0xb, 0xf, 0x13, 0x17, 0x3],
        _ => &[0x19, 0x1a, 0x1b, 0x1c, 0x1d],
    }
}

/// Lines in the order in which devices without a line of their own fill them, and the reverse
/// order of that in which owners choose: 0x5 first.
const SHARED_LINES: [LineId; 5] = [0, 2, 3, 1, CHIPSET_LINE];
const OWN_LINES: [LineId; 4] = [1, 3, 2, 0];

fn reserved(chipset: Chipset) -> (&'static [u8], &'static str) {
    match chipset {
        Chipset::Q35 => (&[0x0, 0x1f], "0x1 to 0x1e"),
        Chipset::Pc => (&[0x0, 0x1], "0x2 to 0x1f"),
    }
}

/// One slot for each request, in the same order: that of its first function.
///
/// # Errors
/// What the scenario states is impossible, or there is no room.
pub fn place(chipset: Chipset, requests: &[Request]) -> Result<Vec<Slot>, SlotError> {
    if chipset == Chipset::Pc && requests.iter().any(|request| request.line.is_some()) {
        return Err(SlotError::LineOnPc);
    }
    let mut bus = Bus::default();
    let (taken, free) = reserved(chipset);
    for (index, request) in requests.iter().enumerate() {
        if let Some(slot) = request.slot {
            if taken.contains(&slot.device) {
                return Err(SlotError::Reserved(slot, free));
            }
            if request.functions > 1 && slot.function > 0 {
                return Err(SlotError::Card(slot, request.functions));
            }
            let place = (slot.device, slot.function);
            let card = request.functions > 1 || bus.cards.contains(&slot.device);
            if card && bus.is_taken(slot.device) {
                return Err(SlotError::InCard(slot));
            }
            if bus.functions.contains_key(&place) {
                return Err(SlotError::Twice(slot));
            }
            bus.put(place, index, request.functions);
        }
    }
    for request in requests.iter().filter(|request| request.virtual_functions) {
        if let Some(slot) = request.slot {
            let places = bus.room(chipset, (slot.device, slot.function));
            bus.kept
                .extend(places.ok_or(SlotError::VirtualFunctions(slot))?);
        }
    }

    match chipset {
        Chipset::Q35 => bus.place_q35(requests)?,
        Chipset::Pc => {
            let open: Vec<u8> = (0x4..=0x1f).chain([0x3, 0x2]).collect();
            bus.fill(chipset, &open, requests, unplaced(requests, |_| true))?;
        }
    }

    let mut slots = vec![None; requests.len()];
    for (&(device, function), &index) in &bus.functions {
        let slot = Slot { device, function };
        if function > 0 && !bus.functions.contains_key(&(device, 0)) {
            return Err(SlotError::NoFunctionZero(slot));
        }
        // In ascending order: the first function is the device's place.
        slots[index].get_or_insert(slot);
    }
    let placed = slots.iter().flatten().count();
    slots
        .into_iter()
        .collect::<Option<Vec<Slot>>>()
        .ok_or(SlotError::Full(placed))
}

/// Requests without a stated slot that are `wanted`, by index.
fn unplaced(requests: &[Request], wanted: impl Fn(&Request) -> bool) -> Vec<usize> {
    let all = requests.iter().enumerate();
    all.filter(|(_, request)| request.slot.is_none() && wanted(request))
        .map(|(index, _)| index)
        .collect()
}

fn wants_own(request: &Request) -> bool {
    match request.line {
        Some(line) => line == Line::Own,
        None => request.target,
    }
}

/// Device and function number.
type Place = (u8, u8);

/// What lies where.
#[derive(Default)]
struct Bus {
    /// The request that lies at a place, by index.
    functions: BTreeMap<Place, usize>,
    /// Slots of cards with several ports.
    cards: BTreeSet<u8>,
    /// Places of SR-IOV functions. No other device goes into their slots.
    kept: BTreeSet<Place>,
}

impl Bus {
    fn place_q35(&mut self, requests: &[Request]) -> Result<(), SlotError> {
        let owners = unplaced(requests, wants_own);
        let others = unplaced(requests, |request| !wants_own(request));
        // A stated slot wins over the target's unstated wish for a line of its own.
        let mut kept: Vec<LineId> = requests
            .iter()
            .filter(|request| request.line == Some(Line::Own))
            .filter_map(|request| request.slot.map(line_of))
            .collect();
        for owner in owners {
            let line = OWN_LINES
                .into_iter()
                .find(|&line| !self.is_used(line))
                .ok_or(SlotError::NoOwnLine)?;
            self.fill(Chipset::Q35, slots_of(line), requests, vec![owner])?;
            kept.push(line);
        }
        let open: Vec<u8> = SHARED_LINES
            .into_iter()
            .filter(|line| !kept.contains(line))
            .flat_map(|line| slots_of(line).iter().copied())
            .collect();
        if open.is_empty() && !others.is_empty() {
            return Err(SlotError::NoOwnLine);
        }
        self.fill(Chipset::Q35, &open, requests, others)?;
        self.check_lines(requests)
    }

    fn is_used(&self, line: LineId) -> bool {
        let mut places = self.functions.keys();
        places.any(|&(device, function)| line_of(Slot { device, function }) == line)
    }

    /// Function 0 of every slot first, then function 1 of each slot that has a function 0, and so
    /// on: as few multifunction devices as will do.
    fn fill(
        &mut self,
        chipset: Chipset,
        open: &[u8],
        requests: &[Request],
        indices: Vec<usize>,
    ) -> Result<(), SlotError> {
        for index in indices {
            let places = (0..8).flat_map(|function| open.iter().map(move |&slot| (slot, function)));
            let functions = requests[index].functions;
            let mut free = places.filter(|place| match functions {
                1 => self.is_free(*place),
                _ => self.is_empty(*place),
            });
            let (place, kept) = match requests[index].virtual_functions {
                true => free.find_map(|place| Some((place, self.room(chipset, place)?))),
                false => free.next().map(|place| (place, Vec::new())),
            }
            .ok_or(SlotError::Full(self.functions.len()))?;
            self.put(place, index, functions);
            self.kept.extend(kept);
        }
        Ok(())
    }

    fn put(&mut self, (device, function): Place, index: usize, functions: u8) {
        if functions > 1 {
            self.cards.insert(device);
        }
        let places = (function..function + functions).map(|function| (device, function));
        self.functions.extend(places.map(|place| (place, index)));
    }

    /// Function 0 of a slot in which there is nothing.
    fn is_empty(&self, (device, function): Place) -> bool {
        function == 0 && self.is_free((device, 0)) && !self.is_taken(device)
    }

    fn is_taken(&self, device: u8) -> bool {
        self.functions
            .range((device, 0)..=(device, 7))
            .next()
            .is_some()
    }

    fn is_free(&self, (device, function): Place) -> bool {
        !self.functions.contains_key(&(device, function))
            && (function == 0 || self.functions.contains_key(&(device, 0)))
            && !self.cards.contains(&device)
            && !self.kept.iter().any(|&(kept, _)| kept == device)
    }

    /// Places of the SR-IOV functions of a device here, if nobody is in their slots.
    fn room(&self, chipset: Chipset, (device, function): Place) -> Option<Vec<Place>> {
        let (reserved, _) = reserved(chipset);
        let own = device * 8 + function;
        (0..8)
            .map(|nth| {
                let number = own.checked_add(0x80)?.checked_add(2 * nth)?;
                let place = (number / 8, number % 8);
                let free = !reserved.contains(&place.0)
                    && !self.kept.contains(&place)
                    && !self.is_taken(place.0);
                free.then_some(place)
            })
            .collect()
    }

    /// Holds what was stated about lines against where everything lies now.
    fn check_lines(&self, requests: &[Request]) -> Result<(), SlotError> {
        let slot = |(device, function)| Slot { device, function };
        for (&place, &index) in &self.functions {
            let here = slot(place);
            let mut others = self.functions.keys().copied().map(slot);
            let neighbour = others.find(|&other| {
                let own = self.functions.get(&(other.device, other.function)) == Some(&index);
                !own && line_of(other) == line_of(here)
            });
            match (requests[index].line, neighbour) {
                (Some(Line::Own), Some(neighbour)) => {
                    return Err(SlotError::Contradiction(here, neighbour));
                }
                // The chipset's own functions are neighbours too.
                (Some(Line::Shared), None) if line_of(here) != CHIPSET_LINE => {
                    return Err(SlotError::NothingToShare(here));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
