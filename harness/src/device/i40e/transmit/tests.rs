use super::super::registers::{GLHMC_LANTXBASE, PFHMC_SDCMD, QINT_TQCTL, QTX_TAIL};
use super::super::tests::Rig;
use super::*;

const SEGMENT_AT: u64 = 0x2_0000;
const HEAD_AT: u64 = 0x9000;
const FIRST: u32 = 2;

/// Names segment 0, and posts the context of queue [`FIRST`] to where it is.
fn queue(rig: &mut Rig, low: u64, context_at: u64, flags: u16) {
    rig.begin();
    rig.write(PFHMC_SDDATALOW, low as u32);
    rig.write(PFHMC_SDCMD, WRITE);
    let mut context = [0; CONTEXT];
    context[20..22].copy_from_slice(&(512 << 1 | flags).to_le_bytes());
    context[24..32].copy_from_slice(&HEAD_AT.to_le_bytes());
    rig.bus.write(context_at, &context).unwrap();
    rig.write(QTX_ENA + 4 * FIRST, 1);
    rig.write(QINT_TQCTL + 4 * FIRST, 1 << 30 | 5);
    rig.write(super::super::registers::PFINT_DYN_CTLN + 4 * 4, 1);
}

fn head(rig: &mut Rig) -> (u32, u32) {
    let in_memory = u32::from_le_bytes(rig.bus.get(HEAD_AT).unwrap());
    (rig.read(QTX_HEAD + 4 * FIRST), in_memory)
}

#[test]
fn what_is_posted_is_done() {
    let mut rig = Rig::new();
    let context = SEGMENT_AT + 128 * u64::from(FIRST);
    queue(&mut rig, SEGMENT_AT | DIRECT | VALID, context, 1);
    rig.write(QTX_TAIL + 4 * FIRST, 0);
    assert_eq!(rig.heard(5), 0, "nothing posted");
    rig.write(QTX_TAIL + 4 * FIRST, 7);
    assert_eq!(head(&mut rig), (7, 7));
    assert_eq!(rig.heard(5), 1);
    // Beyond the ring, and on a queue that is off.
    rig.write(QTX_TAIL + 4 * FIRST, 512);
    rig.write(QTX_TAIL + 4 * (FIRST + 1), 3);
    rig.write(QTX_ENA + 4 * FIRST, 0);
    rig.write(QTX_TAIL + 4 * FIRST, 9);
    assert_eq!(head(&mut rig), (7, 7));
}

#[test]
fn contexts_behind_a_page_of_pages() {
    let mut rig = Rig::new();
    // The function's contexts begin in its second page.
    queue(
        &mut rig,
        SEGMENT_AT | VALID,
        0x3_0000 + 128 * u64::from(FIRST),
        1,
    );
    rig.write(GLHMC_LANTXBASE, 4096 / 512);
    rig.bus
        .write(SEGMENT_AT + 8, &(0x3_0000u64 | VALID).to_le_bytes())
        .unwrap();
    rig.write(QTX_TAIL + 4 * FIRST, 1);
    assert_eq!(head(&mut rig), (1, 1));
    rig.bus
        .write(SEGMENT_AT + 8, &0x3_0000u64.to_le_bytes())
        .unwrap();
    rig.write(QTX_TAIL + 4 * FIRST, 2);
    assert_eq!(head(&mut rig), (1, 1), "the page is not valid");
}

#[test]
fn segments_that_are_not_there() {
    let mut rig = Rig::new();
    let context = SEGMENT_AT + 128 * u64::from(FIRST);
    queue(&mut rig, SEGMENT_AT | DIRECT | VALID, context, 0);
    rig.write(QTX_TAIL + 4 * FIRST, 4);
    assert_eq!(head(&mut rig), (4, 0), "no head in memory is wanted");
    rig.write(PFHMC_SDDATALOW, 0);
    rig.write(PFHMC_SDCMD, WRITE);
    rig.write(QTX_TAIL + 4 * FIRST, 5);
    assert_eq!(head(&mut rig), (4, 0));
    assert_eq!(rig.heard(5), 0);
}
