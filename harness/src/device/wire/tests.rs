use proptest::prelude::*;

use super::*;

/// A whole command, as QEMU sends it.
fn message(command: u16, flags: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(0x1234u16.to_le_bytes());
    bytes.extend(command.to_le_bytes());
    bytes.extend((HEADER as u32 + body.len() as u32).to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    bytes.extend(0u32.to_le_bytes());
    bytes.extend(body);
    bytes
}

fn header(command: u16) -> Header {
    Header::parse(message(command, 0, &[]).first_chunk().unwrap()).unwrap()
}

fn body(words: &[u32], longs: &[u64]) -> Vec<u8> {
    let words = words.iter().flat_map(|word| word.to_le_bytes());
    words
        .chain(longs.iter().flat_map(|long| long.to_le_bytes()))
        .collect()
}

fn access(offset: u64, region: u32, count: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = body(&[], &[offset]);
    bytes.extend(body(&[region, count], &[]));
    bytes.extend(data);
    bytes
}

#[test]
fn every_command() {
    let version = body(&[0x0001_0000], &[]);
    let map = body(&[32, 3], &[0x1000, 0x8_0000, 0x4000]);
    let unmap = body(&[24, 0], &[0x8_0000, 0x4000]);
    let unmap_all = body(&[24, 2], &[0, 0]);
    let region = body(&[32, 0, 7, 0], &[0, 0]);
    let interrupt = body(&[16, 0, 2, 0], &[]);
    let eventfds = body(&[20, 0x24, 2, 16, 8], &[]);
    let disable = body(&[20, 0x21, 2, 0, 0], &[]);
    let unmask = body(&[20, 0x11, 0, 0, 1], &[]);
    let bools = [&body(&[23, 0x22, 2, 0, 3], &[])[..], &[1, 0, 1]].concat();
    let read = access(0x30, 0, 4, &[]);
    let write = access(0x30, 0, 4, &[1, 2, 3, 4]);
    let set = |index, start, count, action, data| {
        Command::SetInterrupts(SetInterrupts {
            index,
            start,
            count,
            action,
            data,
        })
    };
    for (command, body, expected) in [
        (1, &version, Command::Version { major: 0 }),
        (
            2,
            &map,
            Command::Map {
                address: 0x8_0000,
                size: 0x4000,
                offset: 0x1000,
                writable: true,
            },
        ),
        (
            3,
            &unmap,
            Command::Unmap {
                range: Some((0x8_0000, 0x4000)),
                body: &unmap,
            },
        ),
        (
            3,
            &unmap_all,
            Command::Unmap {
                range: None,
                body: &unmap_all,
            },
        ),
        (4, &vec![], Command::DeviceInfo),
        (5, &region, Command::RegionInfo(7)),
        (7, &interrupt, Command::InterruptInfo(2)),
        (8, &eventfds, set(2, 16, 8, Action::Trigger, Data::Eventfds)),
        (8, &disable, set(2, 0, 0, Action::Trigger, Data::None)),
        (8, &unmask, set(0, 0, 1, Action::Unmask, Data::None)),
        (
            8,
            &bools,
            set(2, 0, 3, Action::Trigger, Data::Bools(&[1, 0, 1])),
        ),
        (
            9,
            &read,
            Command::Read {
                region: 0,
                offset: 0x30,
                count: 4,
            },
        ),
        (
            10,
            &write,
            Command::Write {
                region: 0,
                offset: 0x30,
                data: &[1, 2, 3, 4],
            },
        ),
        (13, &vec![], Command::Reset),
    ] {
        assert_eq!(Command::parse(&header(command), body), Ok(expected));
        // Cut anywhere, it is refused or, where only a list at its end is cut, not the same.
        for length in 0..body.len() {
            let cut = Command::parse(&header(command), &body[..length]);
            let whole = Command::parse(&header(command), body);
            match command {
                // Capabilities are not looked at.
                1 if length >= 4 => assert_eq!(cut, whole),
                _ => assert_eq!(cut, Err(Errno::Invalid), "{command} {length}"),
            }
        }
    }
    for unknown in [0, 6, 11, 12, 14, 15, u16::MAX] {
        let refused = Command::parse(&header(unknown), &[0; 64]);
        assert_eq!(refused, Err(Errno::NotSupported), "{unknown}");
    }
}

#[test]
fn what_makes_no_sense() {
    for (command, body) in [
        // Two actions, none; two kinds of data, none; fewer bytes than vectors.
        (8, body(&[20, 0x31, 2, 0, 1], &[])),
        (8, body(&[20, 0x01, 2, 0, 1], &[])),
        (8, body(&[20, 0x25, 2, 0, 1], &[])),
        (8, body(&[20, 0x20, 2, 0, 1], &[])),
        (8, body(&[20, 0x22, 2, 0, u32::MAX], &[])),
        (9, access(0, 0, MAX_TRANSFER as u32 + 1, &[])),
        (9, access(0, 0, u32::MAX, &[])),
        (10, access(0, 0, 5, &[0; 4])),
        (10, access(0, 0, 3, &[0; 4])),
        (10, access(0, 0, u32::MAX, &[0; 4])),
    ] {
        let refused = Command::parse(&header(command), &body);
        assert_eq!(refused, Err(Errno::Invalid), "{command} {body:?}");
    }
}

#[test]
fn headers() {
    let parse = |bytes: &[u8]| Header::parse(bytes.first_chunk().unwrap());
    let posted = parse(&message(10, NO_REPLY, &[0; 20])).unwrap();
    assert_eq!(posted.body, 20);
    assert!(!posted.wants_reply());
    let asked = parse(&message(9, 0, &[])).unwrap();
    assert!(asked.wants_reply());
    assert_eq!(
        asked.reply(Ok(&[7, 8])),
        [0x34, 0x12, 9, 0, 18, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 8]
    );
    assert_eq!(
        asked.reply(Err(Errno::NotSupported)),
        [0x34, 0x12, 9, 0, 16, 0, 0, 0, 0x21, 0, 0, 0, 95, 0, 0, 0]
    );
    for kind in 1..=TYPE {
        assert_eq!(parse(&message(9, kind, &[])), Err(Garbled::Reply));
    }
    let mut bytes = message(9, 0, &[]);
    for (size, good) in [
        (0, false),
        (HEADER as u32 - 1, false),
        (HEADER as u32, true),
        (MAX_MESSAGE as u32, true),
        (MAX_MESSAGE as u32 + 1, false),
        (u32::MAX, false),
    ] {
        bytes[4..8].copy_from_slice(&size.to_le_bytes());
        match good {
            true => assert_eq!(parse(&bytes).unwrap().body, size as usize - HEADER),
            false => assert_eq!(parse(&bytes), Err(Garbled::Size(size))),
        }
    }
}

/// QEMU takes these apart by structures of `<linux/vfio.h>`.
#[test]
fn answers() {
    let version = version();
    assert_eq!(version[..4], [0; 4]);
    let (zero, capabilities) = version[4..].split_last().unwrap();
    assert_eq!(*zero, 0);
    let capabilities: serde_json::Value = serde_json::from_slice(capabilities).unwrap();
    assert_eq!(capabilities["capabilities"]["max_msg_fds"], 16);
    assert_eq!(capabilities["capabilities"]["max_data_xfer_size"], 4096);

    assert_eq!(device_info(), body(&[16, 3, 9, 5], &[]));
    assert_eq!(region_info(0, 0x8000), body(&[32, 3, 0, 0], &[0x8000, 0]));
    assert_eq!(region_info(6, 0), body(&[32, 0, 6, 0], &[0, 0]));
    assert_eq!(interrupt_info(0, 1), body(&[16, 7, 0, 1], &[]));
    assert_eq!(interrupt_info(2, 129), body(&[16, 1, 2, 129], &[]));
    assert_eq!(interrupt_info(3, 0), body(&[16, 0, 3, 0], &[]));
    assert_eq!(read_reply(2, 0x10, &[5, 6]), access(0x10, 2, 2, &[5, 6]));
    assert_eq!(write_reply(2, 0x10, 2), access(0x10, 2, 2, &[]));
}

proptest! {
    #[test]
    fn accesses_come_through(offset: u64, region: u32, data in prop::collection::vec(any::<u8>(), 0..100)) {
        let sent = access(offset, region, data.len() as u32, &data);
        let bytes = message(10, 0, &sent);
        let header = Header::parse(bytes.first_chunk().unwrap()).unwrap();
        prop_assert_eq!(header.body, sent.len());
        let command = Command::parse(&header, &bytes[HEADER..]);
        prop_assert_eq!(command, Ok(Command::Write { region, offset, data: &data }));
        let reply = header.reply(Ok(&write_reply(region, offset, data.len())));
        prop_assert_eq!(&reply[HEADER..], &sent[..16]);
    }

    #[test]
    fn any_bytes(command in 0u16..16, body in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(Command::Read { count, .. }) = Command::parse(&header(command), &body) {
            prop_assert!(count <= MAX_TRANSFER);
        }
    }
}
