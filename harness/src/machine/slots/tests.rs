use proptest::prelude::*;

use super::*;

const FILLER: Request = Request {
    slot: None,
    functions: 1,
    line: None,
    target: false,
    virtual_functions: false,
};
const TARGET: Request = Request {
    target: true,
    ..FILLER
};

fn at(text: &str) -> Request {
    Request {
        slot: Some(text.parse().unwrap()),
        ..FILLER
    }
}

fn placed(requests: &[Request]) -> Vec<String> {
    let slots = place(Chipset::Q35, requests).unwrap();
    slots.iter().map(Slot::to_string).collect()
}

#[test]
fn fillers_share_one_line_and_the_target_has_its_own() {
    assert_eq!(
        placed(&[FILLER, FILLER, FILLER, FILLER, TARGET]),
        ["0x4", "0x8", "0xc", "0x10", "0x5"]
    );
}

#[test]
fn a_sharing_target_joins_the_fillers() {
    let target = Request {
        line: Some(Line::Shared),
        ..TARGET
    };
    assert_eq!(placed(&[FILLER, target]), ["0x4", "0x8"]);
    assert_eq!(
        place(Chipset::Q35, &[target]),
        Err(SlotError::NothingToShare("0x4".parse().unwrap()))
    );
}

#[test]
fn stated_slots_are_kept() {
    assert_eq!(
        placed(&[at("0x5"), TARGET, at("0x4.0"), at("0x4.7"), FILLER]),
        ["0x5", "0x7", "0x4", "0x4.7", "0x8"]
    );
    // The slot decides, not the target's usual wish.
    let target = Request {
        target: true,
        ..at("0x8")
    };
    assert_eq!(placed(&[at("0x4"), target]), ["0x4", "0x8"]);
}

#[test]
fn impossible_requests() {
    let q35 = |requests: &[Request]| place(Chipset::Q35, requests).unwrap_err();
    let slot = |text: &str| text.parse::<Slot>().unwrap();
    assert!(matches!(q35(&[at("0x0")]), SlotError::Reserved(..)));
    assert!(matches!(q35(&[at("0x1f.4")]), SlotError::Reserved(..)));
    assert_eq!(q35(&[at("0x5"), at("0x5")]), SlotError::Twice(slot("0x5")));
    assert_eq!(
        q35(&[at("0x5.1")]),
        SlotError::NoFunctionZero(slot("0x5.1"))
    );
    let own = |text| Request {
        line: Some(Line::Own),
        ..at(text)
    };
    assert_eq!(
        q35(&[own("0x5"), at("0x9")]),
        SlotError::Contradiction(slot("0x5"), slot("0x9"))
    );
    let own = Request {
        line: Some(Line::Own),
        ..FILLER
    };
    assert_eq!(q35(&[own; 5]), SlotError::NoOwnLine);
    assert_eq!(place(Chipset::Pc, &[own]).unwrap_err(), SlotError::LineOnPc);
    assert!(matches!(q35(&[FILLER; 241]), SlotError::Full(_)));
}

#[test]
fn virtual_functions_need_room_of_their_own() {
    let igb = Request {
        virtual_functions: true,
        ..FILLER
    };
    // 0x4 keeps 0x14 and 0x15, 0x8 keeps 0x18 and 0x19.
    assert_eq!(
        placed(&[igb, igb, FILLER, FILLER, FILLER, FILLER, TARGET]),
        ["0x4", "0x8", "0xc", "0x10", "0x1e", "0x6", "0x5"]
    );
    let stated = |text| Request {
        virtual_functions: true,
        ..at(text)
    };
    let q35 = |requests: &[Request]| place(Chipset::Q35, requests).unwrap_err();
    let slot = |text: &str| text.parse::<Slot>().unwrap();
    assert_eq!(
        q35(&[stated("0x4"), stated("0x5")]),
        SlotError::VirtualFunctions(slot("0x5"))
    );
    assert_eq!(
        q35(&[at("0x15"), stated("0x4")]),
        SlotError::VirtualFunctions(slot("0x4"))
    );
    assert_eq!(
        q35(&[stated("0x10")]),
        SlotError::VirtualFunctions(slot("0x10"))
    );
    // Even functions of 0x14 and 0x15 are those of 0x4.0, odd ones those of 0x4.1.
    assert_eq!(placed(&[stated("0x4"), stated("0x4.1")]), ["0x4", "0x4.1"]);
}

#[test]
fn a_card_has_a_slot_to_itself() {
    let card = Request {
        functions: 4,
        ..FILLER
    };
    let ports = |text| Request {
        functions: 2,
        ..at(text)
    };
    assert_eq!(placed(&[FILLER, card, card]), ["0x4", "0x8", "0xc"]);
    assert_eq!(
        placed(&[ports("0x10"), at("0x8"), at("0x8.1"), card]),
        ["0x10", "0x8", "0x8.1", "0x4"]
    );
    // Its own functions are no neighbours on its line.
    let own = Request {
        line: Some(Line::Own),
        ..card
    };
    assert_eq!(placed(&[own, FILLER]), ["0x5", "0x4"]);
    // 30 cards fill the bus: no other device goes to a function that they leave.
    assert_eq!(placed(&[card; 30]).len(), 30);
    let mut full = vec![card; 30];
    full.push(FILLER);
    assert_eq!(place(Chipset::Q35, &full), Err(SlotError::Full(120)));
    let slot = |text: &str| text.parse::<Slot>().unwrap();
    for (requests, error) in [
        (
            [ports("0x10.2"), FILLER],
            SlotError::Card(slot("0x10.2"), 2),
        ),
        (
            [ports("0x10"), at("0x10.5")],
            SlotError::InCard(slot("0x10.5")),
        ),
        (
            [at("0x10.5"), ports("0x10")],
            SlotError::InCard(slot("0x10")),
        ),
        (
            [ports("0x10"), ports("0x10")],
            SlotError::InCard(slot("0x10")),
        ),
    ] {
        assert_eq!(place(Chipset::Q35, &requests), Err(error));
    }
}

#[test]
fn the_bus_holds_240_functions() {
    assert_eq!(placed(&[FILLER; 240]).len(), 240);
    assert_eq!(place(Chipset::Pc, &[FILLER; 240]).unwrap().len(), 240);
}

fn request() -> impl Strategy<Value = Request> {
    let slot = proptest::option::weighted(0.2, (0u8..32, 0u8..8));
    let line =
        prop_oneof![5 => Just(None), 1 => Just(Some(Line::Own)), 1 => Just(Some(Line::Shared))];
    (
        slot,
        prop_oneof![8 => Just(1u8), 1 => Just(2), 1 => Just(4)],
        line,
        proptest::bool::weighted(0.1),
        proptest::bool::weighted(0.2),
    )
        .prop_map(
            |(slot, functions, line, target, virtual_functions)| Request {
                slot: slot.map(|(device, function)| Slot { device, function }),
                functions,
                line,
                target,
                virtual_functions: virtual_functions && functions == 1,
            },
        )
}

proptest! {
    #[test]
    fn whatever_is_placed_is_placed_well(requests in proptest::collection::vec(request(), 0..60)) {
        let Ok(slots) = place(Chipset::Q35, &requests) else { return Ok(()) };
        prop_assert_eq!(&slots, &place(Chipset::Q35, &requests).unwrap());
        prop_assert_eq!(slots.len(), requests.len());
        for (index, (slot, request)) in slots.iter().zip(&requests).enumerate() {
            prop_assert!(!matches!(slot.device, 0x0 | 0x1f));
            prop_assert!(!slots[..index].contains(slot));
            let neighbours = slots.iter().filter(|other| other.device == slot.device).count();
            prop_assert!(request.functions == 1 || (neighbours == 1 && slot.function == 0));
            prop_assert!(request.slot.is_none_or(|stated| stated == *slot));
            let zero = Slot { function: 0, ..*slot };
            prop_assert!(slots.contains(&zero));
            let alone = slots.iter().filter(|other| line_of(**other) == line_of(*slot)).count() == 1;
            match request.line {
                Some(Line::Own) => prop_assert!(alone),
                Some(Line::Shared) => prop_assert!(!alone || line_of(*slot) == CHIPSET_LINE),
                None => {}
            }
        }
    }

    #[test]
    fn fillers_never_take_the_targets_line(fillers in 0usize..180) {
        let mut requests = vec![FILLER; fillers];
        requests.push(TARGET);
        let slots = place(Chipset::Q35, &requests).unwrap();
        let lines = slots.iter().filter(|slot| line_of(**slot) == 1).count();
        prop_assert_eq!(lines, 1);
    }
}
