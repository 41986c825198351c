use super::super::registers::*;
use super::super::tests::Rig;
use super::*;

/// As `i40e_read_nvm_word_srctl` does.
fn word(rig: &mut Rig, address: u32) -> u16 {
    assert_ne!(rig.read(GLNVM_SRCTL) & DONE, 0);
    rig.write(GLNVM_SRCTL, address << 14 | START);
    assert_ne!(rig.read(GLNVM_SRCTL) & DONE, 0);
    (rig.read(GLNVM_SRDATA) >> 16) as u16
}

#[test]
fn the_checksum_is_what_the_driver_works_out() {
    // `i40e_calc_nvm_checksum`.
    let mut rig = Rig::new();
    let size = 512 << (rig.read(0xb_6100) >> 5 & 7);
    assert_eq!(
        size, 2048,
        "a sector, which is the least that the driver reads"
    );
    let words: Vec<_> = (0..size).map(|at| word(&mut rig, at)).collect();
    assert_eq!(words[0] >> 6 & 3, 1, "valid");
    let mut sum = 0u16;
    for (at, word) in words.iter().enumerate() {
        let in_module = |pointer: usize| {
            let start = usize::from(words[pointer]);
            (start..start + 512).contains(&at)
        };
        if at != 0x3f && !in_module(0x2f) && !in_module(0x3e) {
            sum = sum.wrapping_add(*word);
        }
    }
    assert_eq!(words[0x3f], 0xbabau16.wrapping_sub(sum));
    assert_ne!(sum, 0);
    assert_eq!(word(&mut rig, 2048), 0xffff, "beyond the end");
}

#[test]
fn versions_as_the_driver_prints_them() {
    let mut rig = Rig::new();
    let mut at = |at| word(&mut rig, at);
    assert_eq!((at(0x18) >> 12, at(0x18) & 0xff), (5, 5));
    let boot = u32::from(at(0x17));
    let oem = u32::from(at(boot + 0x83)) << 16 | u32::from(at(boot + 0x84));
    assert_eq!((oem >> 24, oem >> 8 & 0xffff, oem & 0xff), (1, 1313, 0));
    assert_eq!(at(0x1b), 0xffff);
}

#[test]
fn reads_by_command() {
    let mut rig = Rig::new();
    rig.begin();
    let mut read = |module: u8, offset: u32, length: u16| {
        let mut parameters = [0; 16];
        parameters[1] = module;
        parameters[2..4].copy_from_slice(&length.to_le_bytes());
        parameters[4..8].copy_from_slice(&offset.to_le_bytes());
        let (code, _, data) = rig.exchange(0x0701, parameters, &vec![9; usize::from(length)]);
        (code, data)
    };
    assert_eq!(read(0, 0, 2), (0, vec![0x40, 0]));
    assert_eq!(read(0, 0x18 * 2 + 1, 1), (0, vec![0x50]));
    // Word 7 of the module that word 15 points to: the LLDP agents of four ports.
    assert_eq!(read(15, 14, 2), (0, vec![0x33, 0x33]));
    for (module, offset, length) in [(0, 4095, 2), (0, u32::MAX, 1), (15, 4096, 1), (0x18, 0, 1)] {
        let (code, data) = read(module, offset, length);
        assert_eq!(
            (code, data),
            (14, vec![9; usize::from(length)]),
            "{module} {offset}"
        );
    }
}
