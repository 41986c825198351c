//! Slots for what stands for a customer's devices: all on bus 0, in the order of their addresses
//! there, because that is the order in which a kernel finds them.

use crate::units::Slot;

/// What wants a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    /// Functions, of which the first is function 0 unless it may share.
    pub(super) functions: u8,
    /// Others of its customer's card lie in the same slot: their number.
    pub(super) group: usize,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// May be one of several functions of a slot.
    Plain,
    /// Has its slot to itself.
    Card,
    /// The same, and the places of its SR-IOV functions: [`crate::machine::slots`].
    VirtualFunctions,
    /// The dump target with an interrupt line that nobody else is on.
    OwnLine,
}

/// q35's, where 0 and 0x1f are the chipset's.
const LAST: u8 = 0x1e;
/// The last that lines are given to by number modulo 4.
const LAST_OF_LINES: u8 = 0x18;
/// Functions of a slot.
const FUNCTIONS: u8 = 8;

/// The first slot of each need, as sparsely as will do; none where the bus has not the room.
pub(super) fn place(needs: &[Need]) -> Option<Vec<Slot>> {
    let own = needs.iter().any(|need| need.what == What::OwnLine);
    // The lines in the order in which a machine's own placement gives them to owners.
    let lines: &[Option<u8>] = match own {
        true => &[Some(1), Some(3), Some(2), Some(0)],
        false => &[None],
    };
    (0..=FUNCTIONS).find_map(|together| {
        let mut lines = lines.iter();
        lines.find_map(|line| layout(needs, *line, together))
    })
}

/// With up to `together` functions of different cards in one slot.
fn layout(needs: &[Need], line: Option<u8>, together: u8) -> Option<Vec<Slot>> {
    let mut slots = Vec::new();
    let mut kept: Vec<u8> = Vec::new();
    let mut next = 1;
    // The slot that is being filled: number, functions, the customer's card.
    let mut open: Option<(u8, u8, usize)> = None;
    for need in needs {
        if need.what == What::Plain
            && let Some((device, function, group)) = open
        {
            let most = match group == need.group {
                true => FUNCTIONS,
                false => together,
            };
            if function + need.functions <= most {
                slots.push(Slot { device, function });
                open = Some((device, function + need.functions, need.group));
                continue;
            }
        }
        let fits = |device: &u8| {
            let of_line = (*device <= LAST_OF_LINES && Some(device % 4) == line)
                || (*device == LAST && line == Some(0));
            let room = |above: u8| device + above <= LAST && !kept.contains(&(device + above));
            !kept.contains(device)
                && of_line == (need.what == What::OwnLine)
                && (need.what != What::OwnLine || *device <= LAST_OF_LINES)
                && (need.what != What::VirtualFunctions || (room(0x10) && room(0x11)))
        };
        let device = (next..=LAST).find(fits)?;
        if need.what == What::VirtualFunctions {
            kept.extend([device + 0x10, device + 0x11]);
        }
        slots.push(Slot {
            device,
            function: 0,
        });
        open = (need.what == What::Plain).then_some((device, need.functions, need.group));
        next = device + 1;
    }
    Some(slots)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::machine::slots::{self, Request};
    use crate::scenario::model::{Chipset, Line};

    fn needs() -> impl Strategy<Value = Vec<Need>> {
        let need = (0..10_u8, 0..3_usize).prop_map(|(kind, step)| {
            let (functions, what) = match kind {
                0 => (4, What::Card),
                1 => (2, What::Card),
                2 => (1, What::VirtualFunctions),
                _ => (1, What::Plain),
            };
            (functions, what, step)
        });
        (
            prop::collection::vec(need, 1..40),
            any::<Option<prop::sample::Index>>(),
        )
            .prop_map(|(all, target)| {
                let mut group = 0;
                let mut needs: Vec<Need> = all
                    .into_iter()
                    .map(|(functions, what, step)| {
                        group += step;
                        Need {
                            functions,
                            group,
                            what,
                        }
                    })
                    .collect();
                if let Some(target) = target {
                    let nth = target.index(needs.len());
                    needs[nth] = Need {
                        functions: 1,
                        what: What::OwnLine,
                        ..needs[nth]
                    };
                }
                needs
            })
    }

    proptest! {
        #[test]
        fn the_machine_takes_every_layout(needs in needs()) {
            let Some(found) = place(&needs) else { return Ok(()) };
            // In the customer's order.
            let all: Vec<_> = found.iter().map(|slot| (slot.device, slot.function)).collect();
            prop_assert!(all.is_sorted(), "{:?}", all);
            prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
            let requests: Vec<Request> = needs.iter().zip(&found).map(|(need, slot)| Request {
                slot: Some(*slot),
                line: (need.what == What::OwnLine).then_some(Line::Own),
                target: need.what == What::OwnLine,
                functions: need.functions,
                virtual_functions: need.what == What::VirtualFunctions,
            }).collect();
            let placed = slots::place(Chipset::Q35, &requests);
            prop_assert!(placed.is_ok(), "{:?} {:?}", all, placed);
        }
    }

    #[test]
    fn thirty_cards_and_a_target_fit() {
        let card = |group| Need {
            functions: 1,
            group,
            what: What::Plain,
        };
        let mut needs: Vec<Need> = (0..30).map(card).collect();
        needs[20].what = What::OwnLine;
        assert!(place(&needs).is_some());
        let cards: Vec<Need> = (0..31)
            .map(|group| Need {
                functions: 4,
                group,
                what: What::Card,
            })
            .collect();
        assert_eq!(place(&cards), None);
    }
}
