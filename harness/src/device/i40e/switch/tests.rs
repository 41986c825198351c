use super::super::admin::{get, put};
use super::super::tests::Rig;
use super::*;

fn naming(seid: u16) -> [u8; 16] {
    let mut parameters = [0; 16];
    put(&mut parameters, 0, &seid.to_le_bytes());
    parameters
}

#[test]
fn a_driver_finds_its_own_vsi() {
    let mut rig = Rig::of(Port::new(0x1572, 0, 1, 2));
    rig.begin();
    let (code, _, found) = rig.exchange(0x0200, [0; 16], &[0; 512]);
    assert_eq!(code, 0);
    assert_eq!((get(&found, 0), found[16]), (1, ELEMENT_VSI));
    let (seid, uplink) = (get(&found, 18), get(&found, 20));
    assert_eq!((seid, uplink), (391, 3));
    let (code, reply, properties) = rig.exchange(0x0212, naming(seid), &[0; PROPERTIES]);
    assert_eq!(code, 0);
    assert_eq!(
        [0, 2, 4, 6].map(|at| get(&reply, at)),
        [391, VSIS, 1, VSIS - 1]
    );
    assert_eq!(get(&properties, 2), 3, "in the switch of its port");
    assert_ne!(get(&properties, QUEUE_SETS), NO_QUEUE_SET);
    assert_eq!(get(&properties, QUEUE_SETS + 2), NO_QUEUE_SET);
}

#[test]
fn vsis_come_change_and_go() {
    let mut rig = Rig::new();
    rig.begin();
    let mut properties = [0; PROPERTIES];
    properties[12] = 0x55;
    assert_eq!(
        rig.exchange(0x0210, naming(77), &properties).0,
        2,
        "no such uplink"
    );
    assert_eq!(rig.exchange(0x0210, naming(2), &[0; 127]).0, 14);
    let mut added = Vec::new();
    for _ in 1..VSIS {
        let (code, reply, back) = rig.exchange(0x0210, naming(2), &properties);
        assert_eq!((code, back[12]), (0, 0x55));
        added.push((get(&reply, 0), get(&reply, 2)));
    }
    assert_eq!(
        rig.exchange(0x0210, naming(2), &properties).0,
        16,
        "there are no more"
    );
    let mut numbers: Vec<_> = added.iter().map(|&(_, number)| number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), added.len());
    // Only the sections that are valid are taken.
    let (seid, _) = added[3];
    properties[..2].copy_from_slice(&0x0002u16.to_le_bytes());
    properties[6] = 7;
    properties[12] = 0;
    let (code, _, back) = rig.exchange(0x0211, naming(seid), &properties);
    assert_eq!((code, back[6], back[12]), (0, 7, 0x55));
    // One that is gone is gone, and its place is free.
    assert_eq!(rig.command(0x0243, naming(seid)).0, 0);
    assert_eq!(rig.command(0x0243, naming(seid)).0, 2);
    assert_eq!(rig.exchange(0x0212, naming(seid), &properties).0, 2);
    let (code, reply, _) = rig.exchange(0x0210, naming(2), &properties);
    assert_eq!((code, get(&reply, 0)), (0, seid));
}

#[test]
fn bridges() {
    let mut rig = Rig::new();
    rig.begin();
    let (code, reply) = rig.command(0x0230, naming(2));
    let veb = get(&reply, 8);
    assert_eq!((code, veb), (0, FIRST_VEB));
    let (code, reply) = rig.command(0x0232, naming(veb));
    assert_eq!((code, get(&reply, 0), get(&reply, 8)), (0, veb, 1));
    assert_eq!(
        rig.exchange(0x0210, naming(veb), &[0; PROPERTIES]).0,
        0,
        "a VSI below it"
    );
    assert_eq!(rig.command(0x0230, naming(999)).0, 2);
    // A reset of the function takes all that it has made.
    rig.begin();
    assert_eq!(rig.command(0x0232, naming(veb)).0, 2);
}
