use proptest::prelude::*;

use super::*;

const NAME: u64 = 0x5000_c500_0000_0010;
const UNIT: [u8; 8] = [0; 8];

/// A disk of this many blocks that has been asked once.
fn disk(blocks: u64) -> Disk {
    let mut disk = Disk::new(blocks * BLOCK, NAME);
    assert_eq!(
        disk.command(UNIT, &cdb(&[0x00])),
        Action::Check(Sense::POWER_ON_OR_RESET)
    );
    disk
}

fn cdb(bytes: &[u8]) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[..bytes.len()].copy_from_slice(bytes);
    cdb
}

fn answer(disk: &mut Disk, bytes: &[u8]) -> Vec<u8> {
    match disk.command(UNIT, &cdb(bytes)) {
        Action::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn extent(at: u64, count: u64) -> Extent {
    Extent {
        offset: at * BLOCK,
        length: count * BLOCK,
    }
}

#[test]
fn inquiry_and_its_pages() {
    let mut disk = disk(100);
    let standard = answer(&mut disk, &[0x12, 0, 0, 0, 96]);
    assert_eq!((standard[0], standard[2], standard.len()), (0, 6, 96));
    assert_eq!(&standard[8..32], b"CRASHDRLSAS DISK        ");
    assert_eq!(answer(&mut disk, &[0x12, 0, 0, 0, 36]).len(), 36);
    let listed = answer(&mut disk, &[0x12, 1, 0, 0, 255]);
    for &page in &listed[4..] {
        let there = answer(&mut disk, &[0x12, 1, page, 0, 255]);
        assert_eq!(there[1], page);
        assert_eq!(usize::from(there[3]) + 4, there.len());
    }
    let serial = answer(&mut disk, &[0x12, 1, 0x80, 0, 255]);
    assert_eq!(&serial[4..], b"5000C50000000010");
    let names = answer(&mut disk, &[0x12, 1, 0x83, 0, 255]);
    assert_eq!(names[8..16], NAME.to_be_bytes());
    let unknown = disk.command(UNIT, &cdb(&[0x12, 1, 0x89, 0, 255]));
    assert_eq!(unknown, Action::Check(Sense::INVALID_FIELD));
}

#[test]
fn other_units_are_not_there() {
    let mut disk = disk(100);
    let second = [0, 1, 0, 0, 0, 0, 0, 0];
    let Action::Answer(inquiry) = disk.command(second, &cdb(&[0x12, 0, 0, 0, 36])) else {
        panic!()
    };
    assert_eq!(inquiry[0], 0x7f);
    let read = disk.command(second, &cdb(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1]));
    assert_eq!(read, Action::Check(Sense::NO_SUCH_UNIT));
    let luns = answer(&mut disk, &[0xa0, 0, 0, 0, 0, 0, 0, 0, 16, 0]);
    assert_eq!(luns, [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn capacity() {
    let mut small = disk(0x0001_0000);
    assert_eq!(answer(&mut small, &[0x25]), [0, 0, 0xff, 0xff, 0, 0, 2, 0]);
    let mut large = disk(1 << 40);
    assert_eq!(answer(&mut large, &[0x25])[..4], [0xff; 4]);
    let long = answer(
        &mut large,
        &[0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32],
    );
    assert_eq!(long[..8], ((1u64 << 40) - 1).to_be_bytes());
    assert_eq!(long.len(), 32);
}

#[test]
fn reads_and_writes_in_each_length() {
    let mut disk = disk(0x10_0000);
    let mut does = |bytes: &[u8]| disk.command(UNIT, &cdb(bytes));
    assert_eq!(
        does(&[0x08, 0x01, 0x02, 0x03, 4]),
        Action::Read(extent(0x1_0203, 4))
    );
    assert_eq!(does(&[0x0a, 0, 0, 1, 0]), Action::Write(extent(1, 256)));
    assert_eq!(
        does(&[0x28, 0, 0, 1, 2, 3, 0, 1, 0]),
        Action::Read(extent(0x1_0203, 256))
    );
    assert_eq!(
        does(&[0x2a, 8, 0, 0, 0, 9, 0, 0, 2]),
        Action::Write(extent(9, 2))
    );
    assert_eq!(does(&[0x2a, 0, 0, 0, 0, 9, 0, 0, 0]), Action::Done);
    let mut long = [0x8a, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 3, 0, 0];
    assert_eq!(does(&long), Action::Write(extent(0x100, 3)));
    long[0] = 0x88;
    assert_eq!(does(&long), Action::Read(extent(0x100, 3)));
    long[0] = 0x93;
    assert_eq!(does(&long), Action::Fill(extent(0x100, 3)));
    // With protection information, which is not there.
    assert_eq!(
        does(&[0x28, 0x20, 0, 0, 0, 0, 0, 0, 1]),
        Action::Check(Sense::INVALID_FIELD)
    );
}

#[test]
fn the_end_of_the_medium() {
    let mut disk = disk(100);
    let mut does = |bytes: &[u8]| disk.command(UNIT, &cdb(bytes));
    assert_eq!(
        does(&[0x28, 0, 0, 0, 0, 99, 0, 0, 1]),
        Action::Read(extent(99, 1))
    );
    let beyond = Action::Check(Sense::out_of_range(99));
    for opcode in [0x28, 0x2a, 0x2f, 0x41] {
        assert_eq!(does(&[opcode, 0, 0, 0, 0, 99, 0, 0, 2]), beyond);
    }
    assert_eq!(does(&[0x35, 0, 0, 0, 0, 99]), Action::Done);
    let mut far = [0xff; 16];
    (far[0], far[1]) = (0x8a, 0);
    assert_eq!(does(&far), Action::Check(Sense::out_of_range(u64::MAX)));
    let sense = Sense::out_of_range(99).bytes();
    assert_eq!(
        sense,
        [0xf0, 0, 5, 0, 0, 0, 99, 10, 0, 0, 0, 0, 0x21, 0, 0, 0, 0, 0]
    );
    assert_eq!(Sense::out_of_range(1 << 32).bytes()[0], 0x70);
}

#[test]
fn mode_pages() {
    let mut disk = disk(100);
    let caching = answer(&mut disk, &[0x1a, 0x08, 0x08, 0, 255]);
    assert_eq!(caching[..6], [23, 0, 0x10, 0, 0x08, 18]);
    let all = answer(&mut disk, &[0x5a, 0, 0x3f, 0, 0, 0, 0, 1, 0]);
    assert_eq!(usize::from(all[1]) + 2, all.len());
    assert_eq!(all[7], 8);
    assert_eq!(all[8..16], [0, 0, 0, 100, 0, 0, 2, 0]);
    let changeable = answer(&mut disk, &[0x1a, 0x08, 0x48, 0, 255]);
    assert!(changeable[6..].iter().all(|&byte| byte == 0));
    for (page, subpage, sense) in [
        (0x1c, 0, Sense::INVALID_FIELD),
        (0x08, 1, Sense::INVALID_FIELD),
        (0xc8, 0, Sense::NOTHING_SAVED),
    ] {
        let refused = disk.command(UNIT, &cdb(&[0x1a, 0x08, page, subpage, 255]));
        assert_eq!(refused, Action::Check(sense));
    }
}

#[test]
fn attention_is_told_once_and_waits_for_whoever_minds() {
    let mut disk = Disk::new(100 * BLOCK, NAME);
    answer(&mut disk, &[0x12, 0, 0, 0, 36]);
    let read = cdb(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1]);
    let told = disk.command(UNIT, &read);
    assert_eq!(told, Action::Check(Sense::POWER_ON_OR_RESET));
    assert_eq!(disk.command(UNIT, &read), Action::Read(extent(0, 1)));
    disk.reset();
    assert_eq!(answer(&mut disk, &[0x03, 0, 0, 0, 18])[2], 6);
    assert_eq!(answer(&mut disk, &[0x03, 0, 0, 0, 18])[2], 0);
}

#[test]
fn stopped_and_started() {
    let mut disk = disk(100);
    let mut does = |bytes: &[u8]| disk.command(UNIT, &cdb(bytes));
    assert_eq!(does(&[0x1b]), Action::Done);
    assert_eq!(does(&[0x00]), Action::Check(Sense::STOPPED));
    assert_eq!(
        does(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1]),
        Action::Check(Sense::STOPPED)
    );
    assert_eq!(does(&[0x1b, 0, 0, 0, 1]), Action::Done);
    assert_eq!(does(&[0x00]), Action::Done);
}

#[test]
fn what_it_does_not_know() {
    let mut disk = disk(100);
    // ATA PASS-THROUGH(16), UNMAP, PERSISTENT RESERVE IN, MAINTENANCE IN.
    for opcode in [0x85, 0x42, 0x5e, 0xa3, 0xff] {
        let refused = disk.command(UNIT, &cdb(&[opcode]));
        assert_eq!(refused, Action::Check(Sense::UNKNOWN_COMMAND));
    }
}

proptest! {
    /// Whatever is asked: an answer of bounded size, and never a byte beyond the medium.
    #[test]
    fn any_command(
        commands in proptest::collection::vec((any::<[u8; 8]>(), any::<[u8; 16]>()), 1..20),
        blocks in prop_oneof![0u64..300, Just(1u64 << 34)],
        addressed in any::<bool>(),
    ) {
        let mut disk = Disk::new(blocks * BLOCK, NAME);
        for (unit, cdb) in commands {
            let unit = if addressed { UNIT } else { unit };
            match disk.command(unit, &cdb) {
                Action::Answer(answer) => prop_assert!(answer.len() <= 256),
                Action::Read(extent) | Action::Write(extent) | Action::Fill(extent) => {
                    prop_assert!(extent.offset + extent.length <= blocks * BLOCK);
                    prop_assert!(extent.length <= u64::from(MOST_BLOCKS) * BLOCK);
                }
                Action::Done | Action::Check(_) => {}
            }
        }
    }
}
