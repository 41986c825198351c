use super::super::tests::Rig;
use super::*;

#[test]
fn commands_in_a_row_and_around_the_ring() {
    let mut rig = Rig::new();
    rig.begin();
    for _ in 0..70 {
        let (code, version) = rig.command(0x0001, [0; 16]);
        assert_eq!(code, 0);
        assert_eq!([8, 10, 12, 14].map(|at| get(&version, at)), [5, 0, 1, 5]);
    }
    assert_eq!(rig.heard(0), 0, "they are silent");
}

#[test]
fn interrupts_are_as_the_command_wants() {
    let mut rig = Rig::new();
    let heard = |rig: &mut Rig, flags, opcode| {
        rig.begin();
        rig.send(flags, opcode, 0, [0; 16]);
        rig.heard(0)
    };
    assert_eq!(heard(&mut rig, SILENT, 0x0001), 0);
    assert_eq!(heard(&mut rig, 0, 0x0001), 1);
    assert_eq!(heard(&mut rig, SILENT | UNLESS_FAILED, 0x0001), 0);
    assert_eq!(heard(&mut rig, SILENT | UNLESS_FAILED, 0xeeee), 1);
}

#[test]
fn unknown_commands_and_buffers_that_are_not_there() {
    let mut rig = Rig::new();
    rig.begin();
    assert_eq!(rig.command(0xeeee, [0; 16]).0, Code::NoCommand as u16);
    let mut nowhere = [0; 16];
    nowhere[8] = 1;
    let (code, _) = rig.send(SILENT | BUFFER, 0x0107, 24, nowhere);
    assert_eq!(code, Code::BadAddress as u16);
    let (code, _) = rig.send(SILENT | BUFFER, 0x0107, 5000, [0; 16]);
    assert_eq!(code, Code::Invalid as u16);
    assert_eq!(rig.command(0x0107, [0; 16]).0, Code::Invalid as u16);
}

#[test]
fn a_queue_that_is_off_or_nowhere() {
    let mut rig = Rig::new();
    rig.write(PF_ATQT, 3);
    assert_eq!(rig.read(PF_ATQH), 0);
    rig.begin();
    rig.write(PF_ATQBAH, 1);
    rig.write(PF_ATQT, 3);
    assert_eq!(rig.read(PF_ATQLEN) & CRITICAL, CRITICAL);
    assert_eq!(rig.read(PF_ATQH), 0);
    // Nor may it reach memory before it is a master.
    rig.begin();
    rig.bus.config.write(0x04, &[0x02]);
    rig.write(PF_ATQT, 1);
    assert_eq!(rig.read(PF_ATQLEN) & CRITICAL, CRITICAL);
}

#[test]
fn events_until_there_is_no_room() {
    let mut rig = Rig::new();
    rig.begin();
    let restart = [6; 16];
    let mut watched = [0; 16];
    watched[0] = 3;
    for nth in 1..32 {
        rig.command(0x0607, watched);
        rig.command(0x0605, restart);
        assert_eq!(rig.events().len(), nth);
    }
    assert_eq!(rig.read(PF_ARQLEN) & OVERFLOW, 0);
    rig.command(0x0607, watched);
    rig.command(0x0605, restart);
    assert_eq!(rig.events().len(), 31);
    assert_eq!(rig.read(PF_ARQLEN) & OVERFLOW, OVERFLOW);
    let event = rig.events()[30];
    assert_eq!((get(&event, 0), get(&event, 2)), (DONE, 0x0607));
}
