use std::collections::BTreeMap;

use super::super::tests::Rig;
use super::*;

fn capabilities(rig: &mut Rig, opcode: u16) -> BTreeMap<u16, [u32; 3]> {
    let (code, reply, list) = rig.exchange(opcode, [0; 16], &[0; 1280]);
    assert_eq!(code, 0);
    let count = wide(&reply, 4) as usize;
    let number = |element: &[u8], at| u32::from_le_bytes(element[at..at + 4].try_into().unwrap());
    let elements = list.chunks(32).take(count);
    let numbers = elements.map(|it| (get(it, 0), [4, 8, 12].map(|at| number(it, at))));
    numbers.collect()
}

#[test]
fn capabilities_give_3_10_eleven_vectors_on_one_cpu() {
    // `i40e_sw_init`, `i40e_determine_queue_usage` and `i40e_init_msix` of 3.10.0-514.
    let mut rig = Rig::of(Port::new(0x1572, 0, 1, 2));
    rig.begin();
    let of = capabilities(&mut rig, 0x000a);
    let cpus = 1;
    let queues = of[&0x42][0];
    assert_eq!(of[&0x41], of[&0x42]);
    assert_eq!(of[&0x42][2], QUEUES, "after those of port 0");
    let lan_queues = (1 << of[&0x40][1]).max(cpus).min(queues);
    let mut left = queues - lan_queues;
    let director = u32::from(of[&0x45][0] > 0 && left > 1);
    left -= director;
    let pools = if of[&0x14][0] == 1 { left.min(8) } else { 0 };
    let fcoe = of.contains_key(&0x21);
    let iwarp = of.contains_key(&0x51);
    assert!(!fcoe && !iwarp);
    let wanted = 1 + cpus + director + pools;
    assert_eq!(wanted.min(of[&0x43][0]), 11);
}

#[test]
fn capabilities_of_function_and_device() {
    let mut rig = Rig::of(Port::new(0x1572, 0, 1, 2));
    rig.begin();
    let (function, device) = (
        capabilities(&mut rig, 0x000a),
        capabilities(&mut rig, 0x000b),
    );
    assert_eq!(function[&0x05], [0b11, 0, 0]);
    assert_eq!((function[&0x43][0], device[&0x43][0]), (129, 258));
    assert_eq!(device[&0x42], [1536, 0, 0]);
    // Too small a buffer: how much it takes.
    let mut parameters = [0; 16];
    parameters[12..].copy_from_slice(&0x8000u32.to_le_bytes());
    let (code, _, _) = rig.exchange(0x000a, parameters, &[0; 40]);
    assert_eq!(code, Code::NoMemory as u16);
}

#[test]
fn the_nvm_is_lent() {
    let mut rig = Rig::new();
    rig.begin();
    let mut ask = |resource: u16, access: u16| {
        let mut parameters = [0; 16];
        put(&mut parameters, 0, &resource.to_le_bytes());
        put(&mut parameters, 2, &access.to_le_bytes());
        let (code, reply) = rig.command(0x0008, parameters);
        (code, wide(&reply, 4))
    };
    assert_eq!(ask(1, 1), (0, NVM_TO_READ));
    assert_eq!(ask(1, 2), (0, NVM_TO_WRITE));
    assert_eq!(ask(3, 1).0, Code::Invalid as u16);
}

#[test]
fn addresses_are_filtered_one_by_one() {
    let mut rig = Rig::new();
    rig.begin();
    let mut parameters = [0; 16];
    parameters[0] = 3;
    // The driver assumes the worst before it asks.
    let (code, _, back) = rig.exchange(0x0250, parameters, &[0xff; 48]);
    assert_eq!(code, 0);
    assert_eq!([12, 28, 44].map(|at| back[at]), [1; 3]);
    let (code, _, back) = rig.exchange(0x0251, parameters, &[0xff; 48]);
    assert_eq!((code, back[12]), (0, 0));
    assert_eq!(
        rig.exchange(0x0250, parameters, &[0; 47]).0,
        Code::Invalid as u16
    );
}

#[test]
fn an_address_of_ones_own() {
    let mut rig = Rig::new();
    rig.begin();
    // `i40e_aq_mac_address_write` of 02:11:22:33:44:55.
    let mut parameters = [0; 16];
    put(&mut parameters, 2, &0x0211u16.to_le_bytes());
    put(&mut parameters, 4, &0x2233_4455u32.to_le_bytes());
    assert_eq!(rig.command(0x0108, parameters).0, 0);
    let (_, _, addresses) = rig.exchange(0x0107, [0; 16], &[0; 24]);
    assert_eq!(addresses[..6], [0x02, 0x11, 0x22, 0x33, 0x44, 0x55]);
    assert_eq!(
        addresses[12..18],
        [0x3c, 0xfd, 0xfe, 0, 0, 0],
        "the port's own"
    );
}

#[test]
fn the_scheduler_has_one_class() {
    let mut rig = Rig::new();
    rig.begin();
    let mut parameters = [0; 16];
    put(&mut parameters, 0, &390u16.to_le_bytes());
    let (code, _, limits) = rig.exchange(0x0408, parameters, &[9; 64]);
    assert_eq!((code, limits[0]), (0, 1));
    let (code, _, shares) = rig.exchange(0x040a, parameters, &[9; 32]);
    assert_eq!((code, shares[0], shares[4]), (0, 1, 1));
    let (code, _, sets) = rig.exchange(0x0407, parameters, &[1; 32]);
    assert_eq!((code, get(&sets, 16)), (0, get(&limits, 16)));
    put(&mut parameters, 0, &500u16.to_le_bytes());
    assert_eq!(
        rig.exchange(0x0408, parameters, &[0; 64]).0,
        Code::NoEntry as u16
    );
}

#[test]
fn pxe_mode_is_left_once() {
    let mut rig = Rig::new();
    rig.begin();
    assert_eq!(rig.command(0x0110, [0; 16]).0, 0);
    assert_eq!(rig.read(GLLAN_RCTL_0), 0);
    assert_eq!(rig.command(0x0110, [0; 16]).0, Code::Exists as u16);
}
