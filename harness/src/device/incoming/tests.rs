use std::io::IoSlice;

use nix::sys::socket::{ControlMessage, UnixAddr, sendmsg};
use proptest::prelude::*;

use super::*;

fn message(id: u16, length: usize) -> Vec<u8> {
    let mut message = id.to_le_bytes().to_vec();
    message.extend([10, 0]);
    message.extend(((HEADER + length) as u32).to_le_bytes());
    message.extend([0; 8]);
    message.resize(HEADER + length, id as u8);
    message
}

fn send(socket: &UnixStream, bytes: &[u8], descriptors: &[File]) {
    let fds: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let control = if fds.is_empty() { &[][..] } else { &rights };
    let slices = [IoSlice::new(bytes)];
    let fd = socket.as_raw_fd();
    let sent = sendmsg::<UnixAddr>(fd, &slices, control, MsgFlags::empty(), None);
    assert_eq!(sent.unwrap(), bytes.len());
}

/// Files of this many bytes each, so that they are known again.
fn files(sizes: &[u64]) -> Vec<File> {
    let file = |size: &u64| {
        let file = tempfile::tempfile().unwrap();
        file.set_len(*size).unwrap();
        file
    };
    sizes.iter().map(file).collect()
}

fn sizes(files: &[File]) -> Vec<u64> {
    let size = |file: &File| file.metadata().unwrap().len();
    files.iter().map(size).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However they are cut, and however much is there at once: each message comes whole, with its
    /// own descriptors.
    #[test]
    fn whole_messages_with_their_own_descriptors(
        messages in prop::collection::vec((0usize..200, 0usize..=MAX_DESCRIPTORS), 1..8),
        cuts in prop::collection::vec(1usize..100, 0..8),
        ahead in 0usize..8,
    ) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut incoming = Incoming::new(&theirs);
        let mut expected = std::collections::VecDeque::new();
        let check = |incoming: &mut Incoming<'_>, (bytes, own): (Vec<u8>, Vec<u64>)| {
            let message = incoming.next().unwrap().unwrap();
            let header = Header::parse(bytes.first_chunk().unwrap()).unwrap();
            assert_eq!(message.header, header);
            assert_eq!(message.body, &bytes[HEADER..]);
            assert_eq!(sizes(&message.descriptors), own);
        };
        for (id, (length, count)) in (0u16..).zip(messages) {
            let own: Vec<u64> = (0..count as u64).map(|nth| u64::from(id) * 100 + nth).collect();
            let bytes = message(id, length);
            let mut descriptors = files(&own);
            let mut rest = &bytes[..];
            for cut in &cuts {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                if !piece.is_empty() {
                    send(&ours, piece, &descriptors);
                    descriptors.clear();
                }
                rest = after;
            }
            if !rest.is_empty() {
                send(&ours, rest, &descriptors);
            }
            expected.push_back((bytes, own));
            // The reader is some messages behind.
            if expected.len() > ahead {
                check(&mut incoming, expected.pop_front().unwrap());
            }
        }
        for one in expected {
            check(&mut incoming, one);
        }
        drop(ours);
        prop_assert!(incoming.next().unwrap().is_none());
    }
}

#[test]
fn the_largest_messages_one_after_the_other() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut incoming = Incoming::new(&theirs);
    let largest = MAX_MESSAGE - HEADER;
    for id in 0..5 {
        send(&ours, &message(id, largest), &[]);
        send(&ours, &message(id, 1), &[]);
    }
    for _ in 0..5 {
        for length in [largest, 1] {
            let message = incoming.next().unwrap().unwrap();
            assert_eq!(message.body, vec![message.body[0]; length]);
        }
    }
    send(&ours, &message(0, largest + 1), &[]);
    assert!(matches!(
        incoming.next(),
        Err(Problem::Garbled(Garbled::Size(_)))
    ));
}

#[test]
fn cut_off() {
    for length in 0..HEADER + 4 {
        let (ours, theirs) = UnixStream::pair().unwrap();
        if length > 0 {
            send(&ours, &message(1, 4)[..length], &[]);
        }
        drop(ours);
        assert!(Incoming::new(&theirs).next().unwrap().is_none());
    }
}

/// A device that nobody talks to must not take the CPU that the guest runs on.
#[test]
fn what_does_not_come_is_waited_for_asleep() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let reader = thread::spawn(move || {
        tell.send(nix::unistd::gettid()).unwrap();
        let mut incoming = Incoming::new(&theirs);
        incoming.next().unwrap().unwrap().header
    });
    let stat = format!("/proc/self/task/{}/stat", told.recv().unwrap());
    let begin = Instant::now();
    // proc_pid_stat(5): the state comes after the name, S for one that waits.
    while !std::fs::read_to_string(&stat).unwrap().contains(") S ") {
        assert!(begin.elapsed() < Duration::from_secs(10), "it never sleeps");
        thread::yield_now();
    }
    let bytes = message(7, 3);
    send(&ours, &bytes, &[]);
    let header = Header::parse(bytes.first_chunk().unwrap()).unwrap();
    assert_eq!(reader.join().unwrap(), header);
}
