//! Hosts that do whatever they like: nothing of it may panic, take for ever, or grow the disk's file.

use proptest::prelude::*;

use super::*;

/// What a host may do.
#[derive(Debug, Clone)]
enum Deed {
    Write {
        at: u64,
        value: u32,
    },
    Write64 {
        at: u64,
        value: u64,
    },
    Read {
        bar: u8,
        at: u64,
    },
    Put {
        at: u64,
        bytes: Vec<u8>,
    },
    /// A request by the queue.
    Send {
        kind: u8,
        bytes: Vec<u8>,
    },
    ScsiIo {
        cdb: [u8; 16],
        way: u32,
        length: u32,
        list: Vec<(bool, u64, u32)>,
    },
    Handshake {
        bytes: Vec<u8>,
    },
    DiagnosticReset,
    Discover,
}

fn register() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(DOORBELL),
        Just(WRITE_SEQUENCE),
        Just(HOST_DIAGNOSTIC),
        Just(INTERRUPT_STATUS),
        Just(INTERRUPT_MASK),
        Just(REPLY_FREE_INDEX),
        Just(REPLY_POST_INDEX),
        Just(REQUEST_LOW),
        Just(MORE_POST_INDEXES),
        0..0x1_0000u64,
    ]
}

fn address() -> impl Strategy<Value = u64> {
    prop_oneof![Just(DATA), 0..(16u64 << 20), any::<u64>()]
}

fn deed() -> impl Strategy<Value = Deed> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..128);
    let cdb = (
        prop::sample::select(vec![
            0x00, 0x12, 0x1a, 0x28, 0x2a, 0x35, 0x41, 0x88, 0x8a, 0x93, 0x9e,
        ]),
        prop_oneof![Just([0; 15]), any::<[u8; 15]>()],
    );
    let cdb = cdb.prop_map(|(opcode, rest)| {
        let mut cdb = [opcode; 16];
        cdb[1..].copy_from_slice(&rest);
        cdb
    });
    let element = (
        any::<bool>(),
        address(),
        prop_oneof![Just(512u32), any::<u32>()],
    );
    let list = proptest::collection::vec(element, 0..12);
    let length = prop_oneof![Just(0u32), Just(512), 0..0x1_0000u32, any::<u32>()];
    prop_oneof![
        (register(), any::<u32>()).prop_map(|(at, value)| Deed::Write { at, value }),
        (register(), any::<u64>()).prop_map(|(at, value)| Deed::Write64 { at, value }),
        (0..6u8, 0..0x1_0000u64).prop_map(|(bar, at)| Deed::Read { bar, at }),
        (0..(16u64 << 20) - 128, bytes()).prop_map(|(at, bytes)| Deed::Put { at, bytes }),
        (0..0x34u8, bytes()).prop_map(|(kind, bytes)| Deed::Send { kind, bytes }),
        (cdb, 0..4u32, length, list).prop_map(|(cdb, way, length, list)| Deed::ScsiIo {
            cdb,
            way,
            length,
            list,
        }),
        bytes().prop_map(|bytes| Deed::Handshake { bytes }),
        Just(Deed::DiagnosticReset),
        Just(Deed::Discover),
    ]
}

fn act(host: &mut Host, deed: Deed) {
    match deed {
        Deed::Write { at, value } => host.write(at, value),
        Deed::Write64 { at, value } => host.write64(at, value),
        Deed::Read { bar, at } => {
            let mut data = [0; 8];
            host.adapter.read(bar, at, &mut data, &mut host.bus);
        }
        Deed::Put { at, bytes } => host.put(at, &bytes),
        Deed::Send { kind, bytes } => {
            host.send(&Message::from(bytes).with_u8(0x03, kind), kind);
        }
        Deed::ScsiIo {
            cdb,
            way,
            length,
            list,
        } => {
            let list = list
                .into_iter()
                .map(|(chain, address, length)| match chain {
                    true => Sge::Chain(address, length),
                    false => Sge::Data(address, length),
                });
            let list: Vec<_> = list.collect();
            let request = host.scsi_io(DISK_HANDLE, cdb, way, length, &list);
            host.send(&request, 0);
        }
        Deed::Handshake { bytes } => {
            host.write(DOORBELL, 0x4200_0000 | (bytes.len() as u32 / 4) << 16);
            for dword in bytes.chunks_exact(4) {
                let dword = u32::from_le_bytes([dword[0], dword[1], dword[2], dword[3]]);
                host.write(DOORBELL, dword);
            }
        }
        Deed::DiagnosticReset => {
            host.diagnostic_reset();
            host.init(4);
        }
        Deed::Discover => {
            host.send(&Message::new(0x0c).with_u8(0x03, function::PORT_ENABLE), 0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn whatever_a_host_does(deeds in proptest::collection::vec(deed(), 1..40)) {
        let mut host = Host::operational(4);
        host.discover();
        for deed in deeds {
            act(&mut host, deed);
        }
        prop_assert_eq!(host.disk.metadata().unwrap().len(), 1 << 20);
        host.adapter.reset();
        prop_assert_eq!(host.read(DOORBELL), 0x1000_0000);
    }
}
