use super::super::admin::get;
use super::super::registers::PRTMAC_LINKSTA;
use super::super::tests::Rig;
use super::*;

fn status(rig: &mut Rig, events: u8) -> [u8; 16] {
    let mut parameters = [0; 16];
    parameters[0] = events;
    let (code, reply) = rig.command(0x0607, parameters);
    assert_eq!(code, 0);
    reply
}

#[test]
fn up_at_the_speed_of_the_device() {
    for (device, phy, speed, register) in [(0x1572, 0x14, 1 << 3, 2), (0x1584, 0x19, 1 << 4, 3)] {
        let mut rig = Rig::of(Port::new(device, 0, 0, 1));
        rig.begin();
        let reply = status(&mut rig, 0);
        assert_eq!(
            reply[..6],
            [0, 0, phy, speed, UP | PLUGGED, NEGOTIATED | QUALIFIED]
        );
        assert_eq!(get(&reply, 8), MAX_FRAME);
        assert_eq!(rig.read(PRTMAC_LINKSTA), 1 << 30 | register << 27);
        let (code, _, abilities) = rig.exchange(0x0600, [0; 16], &[9; ABILITIES]);
        assert_eq!(code, 0);
        assert_eq!(abilities[..4], (1u32 << phy).to_le_bytes());
        assert_eq!(abilities[4..6], [speed, NEGOTIATES | ENABLED]);
        assert_eq!(rig.exchange(0x0600, [0; 16], &[0; ABILITIES - 1]).0, 14);
    }
}

#[test]
fn an_event_once_for_each_time_that_it_is_asked_for() {
    let mut rig = Rig::new();
    rig.begin();
    let mut restart = [0; 16];
    restart[0] = 2 | RESTART_ENABLED;
    rig.command(0x0605, restart);
    assert_eq!(rig.events().len(), 0, "nobody asked");
    assert_eq!(status(&mut rig, EVENTS_ON)[0], 1);
    rig.command(0x0605, restart);
    assert_eq!(rig.heard(0), 1);
    let events = rig.events();
    assert_eq!((events.len(), events[0][20] & UP), (1, UP));
    assert_eq!(status(&mut rig, 0)[0], 0);
    rig.command(0x0605, restart);
    assert_eq!(rig.events().len(), 1);
    // Masked.
    status(&mut rig, EVENTS_ON);
    rig.command(0x0613, [0xff; 16]);
    rig.command(0x0605, restart);
    assert_eq!(rig.events().len(), 1);
    assert_eq!(status(&mut rig, EVENTS_OFF)[0], 0);
}

#[test]
fn down_and_up_by_configuration() {
    let mut rig = Rig::new();
    rig.begin();
    status(&mut rig, EVENTS_ON);
    let mut parameters = [0; 16];
    parameters[5] = PAUSE;
    rig.command(0x0601, parameters);
    let down = status(&mut rig, EVENTS_ON);
    assert_eq!((down[3], down[4], down[5]), (0, PLUGGED, QUALIFIED));
    assert_eq!(rig.read(PRTMAC_LINKSTA) >> 30, 0);
    parameters[5] = PAUSE | ENABLED | AT_ONCE;
    rig.command(0x0601, parameters);
    assert_eq!(status(&mut rig, 0)[5], NEGOTIATED | QUALIFIED | 0x60);
    let ups: Vec<_> = rig.events().iter().map(|event| event[20] & UP).collect();
    assert_eq!(ups, [0, UP]);
}
