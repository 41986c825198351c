//! A host without a kernel: registers, queues and frames as the driver uses them
//! (drivers/scsi/mpt3sas/mpt3sas_base.c).

mod host;
mod hostile;

use std::os::unix::fs::FileExt;

use super::message::function;
use super::*;
use host::{DATA, Host, Sge, elements};

const DISK_HANDLE: u16 = 9;
const GOOD: u64 = 0x00;
const ADDRESS: u64 = 0x01;
const FAST_PATH: u64 = 0x06;

fn cdb(opcode: u8, block: u32, blocks: u16) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[0] = opcode;
    cdb[2..6].copy_from_slice(&block.to_be_bytes());
    cdb[7..9].copy_from_slice(&blocks.to_be_bytes());
    cdb
}

fn config(action: u8, header: [u8; 4], ext: u8, address: u32, length: u32) -> Message {
    Message::new(0x60)
        .with_u8(0x00, action)
        .with_u8(0x03, function::CONFIG)
        .with_u8(0x06, ext)
        .with(0x14, header)
        .with_u32(0x18, address)
        .with_u32(0x1c, 0xd200_0000 | length)
        .with_u64(0x20, DATA)
}

/// A page as a driver reads it: its header first.
fn page(host: &mut Host, header: [u8; 4], ext: u8, address: u32) -> Result<Message, u16> {
    let first = host.reply_to(&config(0, header, ext, address, 0));
    if first.u16(0x0e) != 0 {
        assert_eq!(first.field::<4>(0x14), header);
        return Err(first.u16(0x0e));
    }
    let length = match first.u8(0x17) & 0xf {
        0xf => first.u16(0x04),
        _ => u16::from(first.u8(0x15)),
    };
    let length = 4 * u32::from(length);
    host.put(DATA, &vec![0; length as usize]);
    let header = first.field(0x14);
    let second = host.reply_to(&config(1, header, ext, address, length));
    assert_eq!((second.u8(0x17), second.u8(0x06)), (header[3], ext));
    match second.u16(0x0e) {
        0 => Ok(Message::from(host.get(DATA, length as usize))),
        status => Err(status),
    }
}

const SAS_IO_UNIT_0: ([u8; 4], u8) = ([0, 0, 0, 0x0f], 0x10);
const SAS_DEVICE_0: ([u8; 4], u8) = ([0, 0, 0, 0x0f], 0x12);
const SAS_PHY_0: ([u8; 4], u8) = ([0, 0, 0, 0x0f], 0x13);
const ENCLOSURE_0: ([u8; 4], u8) = ([0, 0, 0, 0x0f], 0x15);
const MANUFACTURING_11: [u8; 4] = [0, 0, 11, 0x09];

#[test]
fn facts_by_the_doorbell() {
    let mut host = Host::new();
    assert_eq!(host.read(DOORBELL), 0x1000_0000);
    let facts = host.handshake(&Message::new(0x0c).with_u8(0x03, function::FACTS));
    assert_eq!(facts.u16(0x00), 0x0205);
    assert_eq!((facts.u8(0x02), facts.u8(0x03)), (17, 3));
    assert_eq!(facts.u8(0x17), 96);
    assert_eq!(facts.u32(0x1c) & 0x4_8000, 0x4_8000);
    let port = host.handshake(&Message::new(0x0c).with_u8(0x03, function::PORT_FACTS));
    assert_eq!(port.u8(0x15), 0x30);
    let unknown = host.handshake(&Message::new(0x0c).with_u8(0x03, 0x2f));
    assert_eq!(unknown.u16(0x0e), Status::InvalidFunction as u16);
    assert_eq!(host.read(DOORBELL), 0x1000_0000);
}

#[test]
fn init_needs_sensible_queues_and_happens_once() {
    let mut host = Host::new();
    let good = host.init_request(1);
    for bad in [
        good.clone().with_u16(0x1c, 15),
        good.clone().with_u16(0x1e, 0),
        good.clone().with_u16(0x1a, 4),
        good.clone().with_u8(0x17, 97),
    ] {
        let refused = host.handshake(&bad);
        assert_eq!(refused.u16(0x0e), Status::InvalidField as u16);
        assert_eq!(host.read(DOORBELL) >> 28, 1);
    }
    host.init(1);
    assert_eq!(host.read(DOORBELL), 0x2400_0000);
    let again = host.handshake(&good);
    assert_eq!(again.u16(0x0e), Status::InvalidState as u16);
}

#[test]
fn discovery_is_told_before_port_enable_is_answered() {
    let mut host = Host::operational(1);
    let enable = Message::new(0x0c).with_u8(0x03, function::PORT_ENABLE);
    host.send(&enable, 0);
    let told = host.replies(0);
    let events: Vec<_> = told[..told.len() - 1]
        .iter()
        .map(|(descriptor, reply)| {
            assert_eq!(descriptor & 0xffff_00ff, ADDRESS);
            reply
                .as_ref()
                .map(|reply| (reply.u8(0x03), reply.u16(0x14)))
        })
        .collect();
    assert_eq!(
        events,
        [
            Some((7, 0x16)),
            Some((7, 0x1d)),
            Some((7, 0x1c)),
            Some((7, 0x16))
        ]
    );
    let added = told[2].1.as_ref().unwrap();
    assert_eq!((added.u8(0x24), added.u16(0x28)), (1, DISK_HANDLE));
    assert_eq!(added.u16(0x00), 4);
    let (_, Some(last)) = &told[4] else { panic!() };
    assert_eq!((last.u8(0x03), last.u16(0x0e)), (6, 0));
}

#[test]
fn events_that_the_host_masks_are_not_told() {
    let mut host = Host::new();
    host.init(1);
    host.send(&Message::new(0x0c).with_u8(0x03, function::PORT_ENABLE), 0);
    assert_eq!(host.replies(0).len(), 1);
}

#[test]
fn pages_show_the_disk_once_it_is_discovered() {
    let mut host = Host::operational(1);
    let (header, ext) = SAS_IO_UNIT_0;
    let before = page(&mut host, header, ext, 0).unwrap();
    assert_eq!(
        (before.u8(0x0c), before.u8(0x10), before.u16(0x18)),
        (8, 0xff, 0)
    );
    let next = (SAS_DEVICE_0.0, SAS_DEVICE_0.1, 0xffff);
    assert_eq!(page(&mut host, next.0, next.1, next.2), Err(0x22));
    host.discover();
    let after = page(&mut host, header, ext, 0).unwrap();
    assert_eq!(
        (after.u8(0x10), after.u8(0x13), after.u16(0x18)),
        (0, 0xbb, DISK_HANDLE)
    );
    assert_eq!((after.u8(0x24), after.u16(0x2c)), (0xff, 0));
    let disk = page(&mut host, next.0, next.1, next.2).unwrap();
    assert_eq!((disk.u16(0x18), disk.u32(0x1c)), (DISK_HANDLE, 0x0c01));
    let by_handle = u32::from(DISK_HANDLE) | 0x2000_0000;
    assert_eq!(page(&mut host, next.0, next.1, by_handle).unwrap(), disk);
    let adapter = page(&mut host, next.0, next.1, 0x2000_0001).unwrap();
    assert_ne!(adapter.u64(0x0c), disk.u64(0x0c));
    assert_eq!(
        page(&mut host, next.0, next.1, DISK_HANDLE.into()),
        Err(0x22)
    );
    let (header, ext) = SAS_PHY_0;
    let phy = page(&mut host, header, ext, 0).unwrap();
    assert_eq!((phy.u16(0x08), phy.u16(0x0c)), (1, DISK_HANDLE));
    assert_eq!(page(&mut host, header, ext, 8), Err(0x22));
    let (header, ext) = ENCLOSURE_0;
    let enclosure = page(&mut host, header, ext, 0x1000_0001).unwrap();
    assert_eq!(enclosure.u64(0x0c), adapter.u64(0x0c));
    // Expanders, volumes, NVMe: none.
    for (header, ext) in [
        ([0, 0, 0, 0x0f], 0x11),
        ([0, 0, 0, 0x08], 0),
        ([0, 0, 0, 0x0f], 0x1d),
    ] {
        assert_eq!(page(&mut host, header, ext, 0xffff), Err(0x22));
    }
}

#[test]
fn pages_that_may_be_written_keep_it() {
    let mut host = Host::operational(1);
    let page_11 = page(&mut host, MANUFACTURING_11, 0, 0).unwrap();
    let changed = page_11.clone().with_u8(0x2e, 7).with_u8(0x03, 0xff);
    host.put(DATA, changed.bytes());
    let length = changed.bytes().len() as u32;
    let header = page_11.field(0);
    let write = host.reply_to(&config(2, header, 0, 0, length));
    assert_eq!(write.u16(0x0e), 0);
    let read = page(&mut host, MANUFACTURING_11, 0, 0).unwrap();
    assert_eq!(read, page_11.clone().with_u8(0x2e, 7));
    let restored = host.reply_to(&config(3, header, 0, 0, 0));
    assert_eq!(restored.u16(0x0e), 0);
    assert_eq!(page(&mut host, MANUFACTURING_11, 0, 0).unwrap(), page_11);
    let (header, ext) = SAS_IO_UNIT_0;
    let refused = host.reply_to(&config(2, header, ext, 0, 0xffff));
    assert_eq!(refused.u16(0x0e), Status::ConfigCantCommit as u16);
    let unknown = host.reply_to(&config(9, header, ext, 0, 0));
    assert_eq!(unknown.u16(0x0e), Status::ConfigInvalidAction as u16);
}

/// As a driver with 32-bit DMA names the page's buffer, which it has in most capture kernels.
#[test]
fn a_page_by_a_32_bit_element() {
    let mut host = Host::operational(1);
    let request = config(1, MANUFACTURING_11, 0, 0, 0x60)
        .with_u32(0x1c, 0xd000_0060)
        .with_u32(0x20, DATA as u32)
        .with_u32(0x24, u32::MAX);
    assert_eq!(host.reply_to(&request).u16(0x0e), 0);
    assert_eq!(host.get(DATA, 4), [0, 0x18, 11, 0x29]);
}

#[test]
fn every_chip_s_pages_are_as_long_as_they_say() {
    for chip in Chip::ALL {
        let mut host = Host::with(chip);
        host.init(1);
        host.discover();
        for (kind, ext, address) in [
            (0x00, 0, 0),
            (0x01, 0, 0),
            (0x02, 0, 0),
            (0x09, 0, 0),
            (0x0f, 0x10, 0),
            (0x0f, 0x12, 0xffff),
            (0x0f, 0x13, 0),
            (0x0f, 0x15, 0xffff),
        ] {
            let there = (0..32).filter(|&number| {
                page(&mut host, [0, 0, number, kind], ext, address).is_ok_and(|page| {
                    assert_eq!((page.u8(2), page.u8(3) & 0xf), (number, kind));
                    true
                })
            });
            assert!(there.count() > 0, "{chip:?} {kind:#x} {ext:#x}");
        }
        assert_eq!(Chip::by_device(chip.device()), Some(chip));
    }
}

#[test]
fn what_is_written_through_chains_is_read_back() {
    let mut host = Host::operational(1);
    host.discover();
    host.attended();
    let blocks: Vec<u8> = (0..16 * 512).map(|nth| (nth / 7 % 251) as u8).collect();
    // Scattered backwards over memory, in pieces that are no blocks.
    let pieces: Vec<_> = blocks.chunks(700).collect();
    let mut list = Vec::new();
    for (nth, piece) in pieces.iter().enumerate() {
        let at = DATA + 0x1000 * (pieces.len() - nth) as u64;
        host.put(at, piece);
        list.push(Sge::Data(at, piece.len() as u32));
    }
    let write = host.scsi_io(DISK_HANDLE, cdb(0x2a, 3, 16), 1, 16 * 512, &list);
    host.send(&write, 0);
    assert_eq!(host.replies(0), [(GOOD | 1 << 16, None)]);
    let mut there = vec![0; blocks.len()];
    host.disk.read_exact_at(&mut there, 3 * 512).unwrap();
    assert_eq!(there, blocks);
    let read = host.scsi_io(
        DISK_HANDLE,
        cdb(0x28, 3, 16),
        2,
        16 * 512,
        &[Sge::Data(DATA, 16 * 512)],
    );
    host.send_as(0x0c, &read, 0);
    assert_eq!(host.replies(0), [(FAST_PATH | 1 << 16, None)]);
    assert_eq!(host.get(DATA, blocks.len()), blocks);
}

#[test]
fn write_same_fills() {
    let mut host = Host::operational(1);
    host.discover();
    host.attended();
    host.put(DATA, &[0x5a; 512]);
    let list = [Sge::Data(DATA, 512)];
    let fill = host.scsi_io(DISK_HANDLE, cdb(0x41, 1, 3), 1, 512, &list);
    host.send(&fill, 0);
    assert_eq!(host.replies(0), [(GOOD | 1 << 16, None)]);
    let mut there = [0; 5 * 512];
    host.disk.read_exact_at(&mut there, 0).unwrap();
    let filled = |range: std::ops::Range<usize>| there[range].iter().all(|&byte| byte == 0x5a);
    assert!(filled(512..4 * 512));
    assert_eq!((there[511], there[4 * 512]), (0, 0));
}

#[test]
fn less_than_asked_for_and_more() {
    let mut host = Host::operational(1);
    host.discover();
    let mut inquiry = [0; 16];
    (inquiry[0], inquiry[4]) = (0x12, 255);
    let list = [Sge::Data(DATA, 255)];
    let request = host.scsi_io(DISK_HANDLE, inquiry, 2, 255, &list);
    let reply = host.reply_to(&request);
    assert_eq!(reply.u16(0x0e), Status::DataUnderrun as u16);
    assert_eq!((reply.u8(0x0c), reply.u32(0x14)), (0, 96));
    assert_eq!(host.get(DATA + 8, 8), b"CRASHDRL");
    let request = host.scsi_io(DISK_HANDLE, inquiry, 2, 36, &list);
    let reply = host.reply_to(&request);
    assert_eq!(reply.u16(0x0e), Status::DataOverrun as u16);
    assert_eq!(reply.u32(0x14), 36);
}

#[test]
fn errors_come_with_sense() {
    let mut host = Host::operational(1);
    host.discover();
    host.attended();
    let list = [Sge::Data(DATA, 1024)];
    let beyond = host.scsi_io(DISK_HANDLE, cdb(0x2a, 2047, 2), 1, 1024, &list);
    let reply = host.reply_to(&beyond);
    assert_eq!((reply.u8(0x0c), reply.u8(0x0d)), (2, 1));
    assert_eq!((reply.u32(0x14), reply.u32(0x18)), (0, 18));
    assert_eq!(host.sense()[..3], [0xf0, 0, 5]);
    assert_eq!(host.sense()[12], 0x21);
    // A file that is shorter than it was.
    host.disk.set_len(512).unwrap();
    let gone = host.scsi_io(DISK_HANDLE, cdb(0x28, 1, 2), 2, 1024, &list);
    let reply = host.reply_to(&gone);
    assert_eq!(reply.u8(0x0c), 2);
    assert_eq!((host.sense()[2], host.sense()[12]), (3, 0x11));
    let nobody = host.scsi_io(DISK_HANDLE + 1, cdb(0x28, 0, 1), 2, 512, &list);
    let reply = host.reply_to(&nobody);
    assert_eq!(reply.u16(0x0e), Status::InvalidDevHandle as u16);
}

#[test]
fn a_medium_that_cannot_be_written() {
    let mut host = Host::read_only();
    host.init(1);
    host.discover();
    host.attended();
    let list = [Sge::Data(DATA, 512)];
    let write = host.scsi_io(DISK_HANDLE, cdb(0x2a, 0, 1), 1, 512, &list);
    let reply = host.reply_to(&write);
    assert_eq!((reply.u8(0x0c), reply.u32(0x14)), (2, 0));
    assert_eq!((host.sense()[2], host.sense()[12]), (3, 0x0c));
}

#[test]
fn lists_that_lead_nowhere() {
    let mut host = Host::operational(1);
    host.discover();
    host.attended();
    // A chain whose only element is itself.
    host.put(DATA, &elements(&[Sge::Chain(DATA, 16)]));
    for (list, status) in [
        (vec![Sge::Chain(DATA, 16)], Status::InvalidSgl),
        (vec![Sge::Chain(DATA, 0)], Status::InvalidSgl),
        (vec![Sge::Data(DATA + 64, 100)], Status::InvalidSgl),
        (vec![Sge::Data(1 << 40, 512)], Status::InternalError),
        (vec![Sge::Chain(1 << 40, 512)], Status::InternalError),
        (vec![Sge::Data(u64::MAX, 512)], Status::InternalError),
    ] {
        let request = host.scsi_io(DISK_HANDLE, cdb(0x2a, 0, 1), 1, 512, &list);
        let reply = host.reply_to(&request);
        assert_eq!(reply.u16(0x0e), status as u16, "{list:?}");
    }
}

#[test]
fn task_management_and_control() {
    let mut host = Host::operational(1);
    host.discover();
    host.attended();
    let manage = |handle, kind| {
        Message::new(0x34)
            .with_u16(0x00, handle)
            .with_u8(0x03, function::TASK_MANAGEMENT)
            .with_u8(0x05, kind)
    };
    for (handle, kind, status) in [
        (DISK_HANDLE, 0x01, 0),
        (DISK_HANDLE, 0x03, 0),
        (DISK_HANDLE, 0x55, Status::InvalidField as u16),
        (77, 0x03, Status::InvalidDevHandle as u16),
    ] {
        let reply = host.reply_to(&manage(handle, kind));
        assert_eq!((reply.u8(0x05), reply.u16(0x0e)), (kind, status));
    }
    // The reset is told to the next command.
    let ready = host.scsi_io(DISK_HANDLE, [0; 16], 0, 0, &[]);
    assert_eq!(host.reply_to(&ready).u8(0x0c), 2);
    assert_eq!(host.sense()[12], 0x29);
    for (function, first, status) in [
        (function::UNIT_CONTROL, 0x0d, 0),
        (function::UNIT_CONTROL, 0x77, Status::InvalidField as u16),
        (function::EVENT_ACK, 0, 0),
        (
            function::SMP_PASSTHROUGH,
            0,
            Status::SmpRequestFailed as u16,
        ),
        (0x15, 0, Status::InvalidFunction as u16),
        (function::INIT, 0, Status::InvalidState as u16),
    ] {
        let request = Message::new(0x40)
            .with_u8(0x00, first)
            .with_u8(0x03, function);
        assert_eq!(host.reply_to(&request).u16(0x0e), status, "{function:#x}");
    }
}

#[test]
fn the_firmware_s_header_can_be_uploaded() {
    let mut host = Host::operational(1);
    let request = Message::new(0x20)
        .with_u8(0x00, 0x01)
        .with_u8(0x03, function::UPLOAD)
        .with_u32(0x1c, 0x100)
        .with_bytes(0x20, &elements(&[Sge::Data(DATA, 0x100)]));
    let reply = host.reply_to(&request);
    assert_eq!((reply.u16(0x0e), reply.u32(0x14)), (0, 0x100));
    assert_eq!(host.get(DATA + 0x14, 4), 0x1000_0c00u32.to_le_bytes());
}

/// What a capture kernel meets: an adapter that is operational, with the dead kernel's queues.
#[test]
fn a_message_unit_reset_ends_the_dead_kernel_s_queues() {
    let mut host = Host::operational(4);
    host.discover();
    host.attended();
    let facts = host.handshake(&Message::new(0x0c).with_u8(0x03, function::FACTS));
    assert_eq!(facts.u8(0x15), 4);
    assert_eq!(host.read(DOORBELL) >> 28, 2);
    let before = host.everything();
    host.write(DOORBELL, 0x4000_0000);
    assert_eq!(host.read(INTERRUPT_STATUS) & 0x8000_0000, 0);
    assert_eq!(host.read(DOORBELL), 0x1000_0000);
    // A descriptor on its way, and the dead kernel's indexes.
    host.write64(REQUEST_LOW, 1 << 16);
    host.write(REPLY_POST_INDEX, 3);
    host.write(REPLY_FREE_INDEX, 3);
    assert_eq!(host.everything(), before);
    host.init(1);
    host.discover();
    let ready = host.scsi_io(DISK_HANDLE, [0; 16], 0, 0, &[]);
    host.send(&ready, 0);
    assert_eq!(host.replies(0), [(GOOD | 1 << 16, None)]);
}

#[test]
fn a_handshake_that_the_dead_kernel_began_takes_a_diagnostic_reset() {
    let mut host = Host::operational(1);
    host.write(DOORBELL, 0x4203_0000);
    host.write(DOORBELL, 0);
    // The driver sees the doorbell in use, and takes the big hammer.
    assert_eq!(host.read(DOORBELL) & 0x0800_0000, 0x0800_0000);
    host.write(HOST_DIAGNOSTIC, RESET_ADAPTER);
    assert_eq!(host.read(DOORBELL) >> 28, 2);
    for wrong in [0xf, 0x4, 0xb, 0x2, 0x7, 0xf] {
        host.write(WRITE_SEQUENCE, wrong);
    }
    assert_eq!(host.read(HOST_DIAGNOSTIC), 0);
    host.diagnostic_reset();
    assert_eq!(host.read(HOST_DIAGNOSTIC), RESET_HISTORY);
    assert_eq!(host.read(DOORBELL), 0x1000_0000);
    assert_eq!(host.read(INTERRUPT_MASK), ALL_MASKED);
    host.init(1);
    host.discover();
    let ready = host.scsi_io(DISK_HANDLE, [0; 16], 0, 0, &[]);
    assert_eq!(host.reply_to(&ready).u8(0x0c), 2);
}

#[test]
fn vectors_beyond_eight_have_registers_of_their_own() {
    let mut host = Host::operational(12);
    host.discover();
    host.attended();
    host.heard();
    let ready = host.scsi_io(DISK_HANDLE, [0; 16], 0, 0, &[]);
    host.send(&ready, 11);
    assert_eq!(host.heard(), [11]);
    assert_eq!(
        host.read(INTERRUPT_STATUS) & REPLY_INTERRUPT,
        REPLY_INTERRUPT
    );
    assert_eq!(host.replies(11), [(GOOD | 11 << 8 | 1 << 16, None)]);
    // Queue 11 is the fourth of the second eight.
    host.write(MORE_POST_INDEXES + 0x10, 3 << 24 | 1);
    assert_eq!(host.read(INTERRUPT_STATUS) & REPLY_INTERRUPT, 0);
}

#[test]
fn masked_interrupts_wait() {
    let mut host = Host::operational(4);
    host.discover();
    host.attended();
    host.heard();
    host.write(INTERRUPT_MASK, ALL_MASKED);
    let ready = host.scsi_io(DISK_HANDLE, [0; 16], 0, 0, &[]);
    host.send(&ready, 2);
    assert!(host.heard().is_empty());
    host.write(INTERRUPT_MASK, ALL_MASKED & !REPLY_INTERRUPT);
    assert_eq!(host.heard(), [2]);
}

#[test]
fn a_host_that_lends_no_frames_or_never_looks_makes_it_fail() {
    let mut host = Host::operational(1);
    host.discover();
    let fault = |host: &mut Host| {
        let state = host.read(DOORBELL);
        host.write(DOORBELL, 0x4000_0000);
        assert_eq!(host.read(DOORBELL), state);
        (state >> 28, state & 0xffff)
    };
    let ack = Message::new(0x14).with_u8(0x03, function::EVENT_ACK);
    for _ in 0..host::FREE_DEPTH {
        host.send(&ack, 0);
    }
    assert_eq!(fault(&mut host), (4, u32::from(FAULT_QUEUES)));
    host.diagnostic_reset();
    host.init(1);
    host.discover();
    host.attended();
    let ready = host.scsi_io(DISK_HANDLE, [0; 16], 0, 0, &[]);
    for _ in 0..host::POST_DEPTH {
        host.send(&ready, 0);
    }
    assert_eq!(fault(&mut host), (4, u32::from(FAULT_QUEUES)));
    host.diagnostic_reset();
    host.init(1);
    // No longer a bus master.
    host.bus.config.write(0x04, &[0x02]);
    host.send(&ready, 0);
    assert_eq!(fault(&mut host), (4, u32::from(FAULT_MEMORY)));
}

#[test]
fn without_a_disk() {
    let mut host = Host::empty();
    host.init(1);
    host.discover();
    let (header, ext) = SAS_DEVICE_0;
    assert_eq!(page(&mut host, header, ext, 0xffff), Err(0x22));
}

#[test]
fn configuration_space_as_lspci_shows_it() {
    let config = Mpt3sas::config(&Chip::Sas3008.identity(), 96);
    let mut space = [0; 256];
    config.read(0, &mut space);
    assert_eq!(space[..4], [0x00, 0x10, 0x97, 0x00]);
    let capabilities = [0x34, 0x51, 0x69, 0xa9, 0xc1].map(|at| space[at]);
    assert_eq!(capabilities, [0x50, 0x68, 0xa8, 0xc0, 0]);
    assert_eq!(
        space[0xc0..0xcc],
        [0x11, 0, 95, 0, 1, 0xe0, 0, 0, 1, 0xf0, 0, 0]
    );
    assert_eq!(space[0x10] & 1, 1);
    assert_eq!((space[0x14] & 0xf, space[0x1c] & 0xf), (4, 4));
}
