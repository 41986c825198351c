use super::super::registers::*;
use super::super::tests::Rig;
use super::*;

#[test]
fn vector_0_interrupts_once_until_enabled_again() {
    let mut rig = Rig::new();
    rig.begin();
    rig.device.interrupts.raise(ADMIN_QUEUE, &mut rig.bus);
    assert_eq!(rig.heard(0), 1);
    rig.device.interrupts.raise(ADMIN_QUEUE, &mut rig.bus);
    assert_eq!(rig.heard(0), 0, "it has not been enabled again");
    assert_eq!(rig.read(PFINT_DYN_CTL0) & ENABLE, 0);
    assert_eq!(rig.read(PFINT_ICR0), ADMIN_QUEUE | EVENT);
    rig.write(PFINT_DYN_CTL0, ENABLE);
    assert_eq!(rig.heard(0), 0, "the cause has been taken");
    rig.device.interrupts.raise(ADMIN_QUEUE, &mut rig.bus);
    assert_eq!(rig.heard(0), 1);
}

/// A crashed kernel may not have looked why it was interrupted, and the next one may use the line.
#[test]
fn a_reset_lowers_the_line() {
    let resets: [fn(&mut Rig); 2] = [
        |rig| rig.write(PFGEN_CTRL, 1),
        |rig| {
            rig.write(GLGEN_RTRIG, 1);
            rig.read(GLGEN_RSTAT);
        },
    ];
    for reset in resets {
        let mut rig = Rig::new();
        rig.begin();
        rig.device.interrupts.raise(ADMIN_QUEUE, &mut rig.bus);
        reset(&mut rig);
        assert_eq!(rig.interrupts_by_the_line(), 0);
    }
    let mut rig = Rig::new();
    rig.begin();
    rig.device.interrupts.raise(ADMIN_QUEUE, &mut rig.bus);
    assert_eq!(rig.interrupts_by_the_line(), 1);
}

#[test]
fn a_cause_waits_for_its_enable_bit() {
    let mut rig = Rig::new();
    rig.begin();
    rig.write(PFINT_ICR0_ENA, 0);
    rig.device.interrupts.raise(ADMIN_QUEUE, &mut rig.bus);
    assert_eq!(rig.heard(0), 0);
    rig.write(PFINT_ICR0_ENA, ADMIN_QUEUE);
    assert_eq!(rig.heard(0), 1);
}

#[test]
fn software_triggers() {
    let mut rig = Rig::new();
    rig.begin();
    rig.write(PFINT_DYN_CTL0, ENABLE | TRIGGER);
    assert_eq!(rig.heard(0), 1);
    assert_eq!(rig.read(PFINT_ICR0), SOFTWARE | EVENT);
    // Vector 3: triggered while it is off, and then not touched by a write that keeps it.
    let third = PFINT_DYN_CTLN + 4 * 2;
    rig.write(third, TRIGGER);
    assert_eq!(rig.heard(3), 0);
    rig.write(third, KEEP_ENABLE | ENABLE);
    assert_eq!(rig.heard(3), 0);
    rig.write(third, ENABLE | 0x18);
    assert_eq!(rig.heard(3), 1);
    assert_eq!(rig.read(third), 0x18, "what clears itself has");
    rig.write(third, ENABLE);
    assert_eq!(rig.heard(3), 0);
}

#[test]
fn queues_interrupt_where_they_are_told_to() {
    let mut rig = Rig::new();
    rig.begin();
    rig.write(PFINT_DYN_CTLN, ENABLE);
    let raise = |rig: &mut Rig, control| {
        rig.device.interrupts.raise_queue(control, &mut rig.bus);
    };
    raise(&mut rig, 1);
    assert_eq!(rig.heard(1), 0, "its cause is not enabled");
    raise(&mut rig, QUEUE_ENABLE | 1);
    assert_eq!(rig.heard(1), 1);
    // Through vector 0, as with MSI: cause QUEUE_2.
    raise(&mut rig, QUEUE_ENABLE | 2 << 13);
    assert_eq!(rig.heard(0), 1);
    assert_eq!(rig.read(PFINT_ICR0), 1 << 3 | EVENT);
    // A vector that there is not.
    raise(&mut rig, QUEUE_ENABLE | 200);
}

#[test]
fn without_msix_the_line_follows_the_causes() {
    use crate::device::interrupts::{Change, Mode, Trigger};
    use nix::sys::eventfd::{EfdFlags, EventFd};
    use std::io::Read;

    let mut rig = Rig::new();
    rig.begin();
    rig.bus.config.write(0x72, &[0, 0]);
    rig.bus.configured();
    let flags = EfdFlags::EFD_CLOEXEC;
    let line: std::os::fd::OwnedFd = EventFd::from_flags(flags).unwrap().into();
    let mut line = std::fs::File::from(line);
    let trigger = Some(Trigger::new(line.try_clone().unwrap()).unwrap());
    let change = |rig: &mut Rig, change| {
        rig.bus
            .interrupts
            .change(Mode::Line, (0, 1), change)
            .unwrap();
    };
    change(&mut rig, Change::Triggers(vec![trigger]));
    rig.device.interrupts.raise(ADMIN_QUEUE, &mut rig.bus);
    let mut count = [0; 8];
    assert!(line.read(&mut count).is_ok());
    change(&mut rig, Change::Unmask);
    assert!(line.read(&mut count).is_ok(), "still raised");
    rig.read(PFINT_ICR0);
    change(&mut rig, Change::Unmask);
    assert!(line.read(&mut count).is_err(), "lowered");
    assert_eq!(rig.heard(0), 0);
}
