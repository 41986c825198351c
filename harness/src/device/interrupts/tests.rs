use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};
use proptest::prelude::*;

use super::*;

/// An eventfd, and a copy to hand over.
fn eventfd() -> (File, Trigger) {
    let mine: OwnedFd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC).unwrap().into();
    let mine = File::from(mine);
    let theirs = Trigger::new(mine.try_clone().unwrap()).unwrap();
    (mine, theirs)
}

/// How often it has been raised since the last time.
fn heard(mut eventfd: &File) -> u64 {
    let mut count = [0; 8];
    match eventfd.read_exact(&mut count) {
        Ok(()) => u64::from_ne_bytes(count),
        // It does not wait: it has been handed over.
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
            0
        }
    }
}

fn set(interrupts: &mut Interrupts, mode: Mode, start: u32, triggers: Vec<Option<Trigger>>) {
    let count = triggers.len() as u32;
    interrupts
        .change(mode, (start, count), Change::Triggers(triggers))
        .unwrap();
}

/// QEMU's interrupt would last until the guest next reaches for a BAR, and its driver has no more
/// cause to.
#[test]
fn an_interrupt_that_nobody_has_heard_of_is_taken_back() {
    let mut interrupts = Interrupts::new(0, 0);
    let (line, trigger) = eventfd();
    set(&mut interrupts, Mode::Line, 0, vec![Some(trigger)]);
    interrupts.open_line(true);
    interrupts.line(true);
    interrupts.line(false);
    assert_eq!(heard(&line), 0);
    // And the next one is not held back.
    interrupts.line(true);
    assert_eq!(heard(&line), 1);
}

#[test]
fn the_line_is_a_level() {
    let mut interrupts = Interrupts::new(0, 0);
    let (line, trigger) = eventfd();
    let change = |interrupts: &mut Interrupts, change| {
        interrupts.change(Mode::Line, (0, 1), change).unwrap();
    };
    interrupts.open_line(true);
    interrupts.line(true);
    // Raised before anybody listened: it still is.
    set(&mut interrupts, Mode::Line, 0, vec![Some(trigger)]);
    assert_eq!(heard(&line), 1);
    // Masked by its interrupt.
    interrupts.line(true);
    interrupts.line(false);
    interrupts.line(true);
    assert_eq!(heard(&line), 0);
    // Still raised when the guest has looked.
    change(&mut interrupts, Change::Unmask);
    assert_eq!(heard(&line), 1);
    interrupts.line(false);
    change(&mut interrupts, Change::Unmask);
    assert_eq!(heard(&line), 0);
    interrupts.line(true);
    assert_eq!(heard(&line), 1);
    change(&mut interrupts, Change::Mask);
    change(&mut interrupts, Change::Raise);
    assert_eq!(heard(&line), 1);
    // The guest turns to messages, or sets Interrupt Disable, and comes back.
    interrupts.open_line(false);
    change(&mut interrupts, Change::Unmask);
    assert_eq!(heard(&line), 0);
    interrupts.open_line(true);
    assert_eq!(heard(&line), 1);
    interrupts.reset();
    change(&mut interrupts, Change::Unmask);
    assert_eq!(heard(&line), 0);
    interrupts.line(true);
    change(&mut interrupts, Change::Disable);
    change(&mut interrupts, Change::Unmask);
    assert_eq!(heard(&line), 1);
}

#[test]
fn messages_go_where_they_were_told_to() {
    let mut interrupts = Interrupts::new(1, 4);
    let (first, first_trigger) = eventfd();
    let (second, second_trigger) = eventfd();
    set(
        &mut interrupts,
        Mode::MsiX,
        1,
        vec![Some(first_trigger), Some(second_trigger)],
    );
    for vector in [1, 2, 2, 4, u16::MAX] {
        interrupts.message(Mode::MsiX, vector);
    }
    interrupts.message(Mode::Line, 1);
    interrupts.message(Mode::Msi, 0);
    assert_eq!((heard(&first), heard(&second)), (1, 2));
    interrupts
        .change(Mode::MsiX, (0, 4), Change::Raise)
        .unwrap();
    assert_eq!((heard(&first), heard(&second)), (1, 1));
    interrupts
        .change(Mode::MsiX, (0, 0), Change::Disable)
        .unwrap();
    interrupts.message(Mode::MsiX, 1);
    assert_eq!(heard(&first), 0);
}

#[test]
fn a_message_behind_a_mask_is_pending() {
    let mut interrupts = Interrupts::new(0, 2);
    interrupts.message(Mode::MsiX, 0);
    interrupts.message(Mode::MsiX, 0);
    let (eventfd_0, trigger) = eventfd();
    set(&mut interrupts, Mode::MsiX, 0, vec![Some(trigger)]);
    assert_eq!(heard(&eventfd_0), 1);
    set(&mut interrupts, Mode::MsiX, 0, vec![None]);
    interrupts.message(Mode::MsiX, 0);
    interrupts.reset();
    let (eventfd_0, trigger) = eventfd();
    set(&mut interrupts, Mode::MsiX, 0, vec![Some(trigger)]);
    assert_eq!(heard(&eventfd_0), 0);
    // Nobody has ever asked for the other one.
    interrupts.message(Mode::MsiX, 1);
    interrupts
        .change(Mode::MsiX, (0, 0), Change::Disable)
        .unwrap();
    let (eventfd_1, trigger) = eventfd();
    set(&mut interrupts, Mode::MsiX, 1, vec![Some(trigger)]);
    assert_eq!(heard(&eventfd_1), 0);
}

#[test]
fn what_is_no_eventfd_does_not_keep_anybody_waiting() {
    let mut interrupts = Interrupts::new(0, 3);
    let (_reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    let full: EventFd = EventFd::from_value_and_flags(u32::MAX, EfdFlags::EFD_CLOEXEC).unwrap();
    full.write(u64::MAX - 1 - u64::from(u32::MAX)).unwrap();
    let full = full.as_fd().try_clone_to_owned().unwrap();
    let directory = File::open("/").unwrap();
    let triggers = [File::from(writer), File::from(full), directory];
    let triggers = triggers.map(|file| Some(Trigger::new(file).unwrap()));
    set(&mut interrupts, Mode::MsiX, 0, triggers.into());
    // More than a pipe holds.
    for _ in 0..10_000 {
        interrupts.message(Mode::MsiX, 0);
    }
    interrupts.message(Mode::MsiX, 1);
    interrupts.message(Mode::MsiX, 2);
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Line), Just(Mode::Msi), Just(Mode::MsiX)]
}

proptest! {
    /// A change is made to what there is, all of it, or refused.
    #[test]
    fn ranges(
        mode in mode(), msix in 0u16..40, start in prop_oneof![0u32..50, any::<u32>()],
        count in prop_oneof![0u32..50, any::<u32>()], given in 0usize..50, which in 0..5,
    ) {
        let mut interrupts = Interrupts::new(1, msix);
        let change = match which {
            0 => Change::Triggers((0..given).map(|_| None).collect()),
            1 => Change::Disable,
            2 => Change::Raise,
            3 => Change::Mask,
            _ => Change::Unmask,
        };
        let there = u64::from(start) + u64::from(count) <= u64::from(interrupts.count(mode));
        let fits = which != 0 || given == count as usize;
        let known = mode == Mode::Line || which < 3;
        // An empty range of the line's triggers says nothing.
        let said = !(mode == Mode::Line && which == 0 && count == 0);
        let changed = interrupts.change(mode, (start, count), change);
        prop_assert_eq!(changed.is_ok(), there && fits && known && said);
    }
}
