//! The host's side.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::*;
use crate::device::interrupts::{Change, Mode, Trigger};

const MEMORY: u64 = 16 << 20;
const FRAMES: u64 = 0x10_0000;
const REPLIES: u64 = 0x20_0000;
const FREE: u64 = 0x30_0000;
const POSTS: u64 = 0x40_0000;
const POST_SIZE: u64 = 0x1000;
const ARRAY: u64 = 0x3f_0000;
const SENSE: u64 = 0x50_0000;
/// Chain segments of a request.
const CHAINS: u64 = 0x60_0000;
/// For the data of tests.
pub(super) const DATA: u64 = 0x80_0000;

pub(super) const FREE_DEPTH: u16 = 64;
pub(super) const POST_DEPTH: u16 = 256;

/// Elements in a request and in each segment of its chain.
const IN_FRAME: usize = 2;
const IN_SEGMENT: usize = 8;

/// A scatter-gather element.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sge {
    Data(u64, u32),
    Chain(u64, u32),
}

/// Elements as they lie in memory; the last one ends the list unless it is a chain.
pub(super) fn elements(list: &[Sge]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (nth, element) in list.iter().enumerate() {
        let (address, length, flags) = match *element {
            Sge::Data(address, length) if nth + 1 == list.len() => (address, length, 0x40),
            Sge::Data(address, length) => (address, length, 0),
            Sge::Chain(address, length) => (address, length, 0x80),
        };
        bytes.extend(address.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend([0, 0, 0, flags]);
    }
    bytes
}

pub(super) struct Host {
    pub(super) adapter: Mpt3sas,
    pub(super) bus: Bus,
    pub(super) disk: File,
    memory: File,
    vectors: Vec<File>,
    /// How far each reply post queue has been read.
    seen: [u64; 16],
    /// Where the next frame is lent.
    lent: u32,
}

impl Host {
    pub(super) fn new() -> Self {
        Self::with(Chip::Sas3008)
    }

    pub(super) fn with(chip: Chip) -> Self {
        let disk = disk();
        let theirs = disk.try_clone().unwrap();
        Self::of(chip, Some(theirs), disk)
    }

    pub(super) fn empty() -> Self {
        Self::of(Chip::Sas3008, None, disk())
    }

    /// With a disk on a file that may not be written.
    pub(super) fn read_only() -> Self {
        let named = tempfile::NamedTempFile::new().unwrap();
        named.as_file().set_len(1 << 20).unwrap();
        let theirs = File::open(named.path()).unwrap();
        Self::of(Chip::Sas3008, Some(theirs), named.into_file())
    }

    fn of(chip: Chip, theirs: Option<File>, disk: File) -> Self {
        let memory = tempfile::tempfile().unwrap();
        memory.set_len(MEMORY).unwrap();
        let mut bus = Bus::new(Mpt3sas::config(&chip.identity(), 96));
        let shared = memory.try_clone().unwrap();
        bus.memory.map((0, MEMORY), (shared, 0), true).unwrap();
        // Memory and bus mastering; MSI-X.
        bus.config.write(0x04, &[0x06]);
        bus.config.write(0xc2, &[0x5f, 0x80]);
        bus.configured();
        let (vectors, triggers) = (0..16).map(|_| eventfd()).unzip();
        let change = Change::Triggers(triggers);
        bus.interrupts.change(Mode::MsiX, (0, 16), change).unwrap();
        Self {
            adapter: Mpt3sas::new(chip, 96, 0, theirs).unwrap(),
            bus,
            disk,
            memory,
            vectors,
            seen: [0; 16],
            lent: 0,
        }
    }

    /// With queues, and open to events.
    pub(super) fn operational(vectors: u8) -> Self {
        let mut host = Self::new();
        host.init(vectors);
        host.listen();
        host
    }

    pub(super) fn read(&mut self, at: u64) -> u32 {
        let mut data = [0; 4];
        self.adapter.read(1, at, &mut data, &mut self.bus);
        u32::from_le_bytes(data)
    }

    pub(super) fn write(&mut self, at: u64, value: u32) {
        self.adapter
            .write(1, at, &value.to_le_bytes(), &mut self.bus);
    }

    pub(super) fn write64(&mut self, at: u64, value: u64) {
        self.adapter
            .write(1, at, &value.to_le_bytes(), &mut self.bus);
    }

    pub(super) fn get(&self, at: u64, length: usize) -> Vec<u8> {
        let mut data = vec![0; length];
        self.memory.read_exact_at(&mut data, at).unwrap();
        data
    }

    pub(super) fn put(&self, at: u64, data: &[u8]) {
        self.memory.write_all_at(data, at).unwrap();
    }

    pub(super) fn everything(&self) -> Vec<u8> {
        self.get(0, MEMORY as usize)
    }

    fn interrupted(&mut self) {
        assert_eq!(self.read(INTERRUPT_STATUS) & DOORBELL_INTERRUPT, 1);
        self.write(INTERRUPT_STATUS, 0);
    }

    /// A message and its reply by the doorbell.
    pub(super) fn handshake(&mut self, request: &Message) -> Message {
        assert_eq!(self.read(DOORBELL) & 0x0800_0000, 0);
        if self.read(INTERRUPT_STATUS) & DOORBELL_INTERRUPT != 0 {
            self.write(INTERRUPT_STATUS, 0);
        }
        let dwords = request.bytes().len() as u32 / 4;
        self.write(DOORBELL, 0x4200_0000 | dwords << 16);
        self.interrupted();
        for dword in 0..dwords {
            assert_eq!(self.read(DOORBELL) & 0x0800_0000, 0x0800_0000);
            self.write(DOORBELL, request.u32(4 * dword as usize));
            assert_eq!(self.read(INTERRUPT_STATUS) & 0x8000_0000, 0);
        }
        let mut reply = Message::new(0);
        let mut words = 2;
        let mut nth = 0;
        while nth < words {
            assert_eq!(self.read(INTERRUPT_STATUS) & DOORBELL_INTERRUPT, 1);
            let word = self.read(DOORBELL) as u16;
            self.write(INTERRUPT_STATUS, 0);
            reply = reply.with_u16(2 * nth, word);
            nth += 1;
            if nth == 2 {
                words = 2 * usize::from(reply.u8(0x02));
            }
        }
        self.interrupted();
        assert_eq!(self.read(DOORBELL) & 0x0800_0000, 0);
        reply
    }

    pub(super) fn init_request(&self, vectors: u8) -> Message {
        for queue in 0..u64::from(vectors) {
            // Not where they would be without the array.
            let base = POSTS + (15 - queue) * POST_SIZE;
            self.put(ARRAY + 16 * queue, &base.to_le_bytes());
        }
        Message::new(0x48)
            .with_u8(0x00, 4)
            .with_u8(0x03, function::INIT)
            .with_u8(0x07, 1)
            .with_u8(0x17, vectors)
            .with_u16(0x1a, 32)
            .with_u16(0x1c, POST_DEPTH)
            .with_u16(0x1e, FREE_DEPTH)
            .with_u64(0x28, FRAMES)
            .with_u64(0x30, ARRAY)
            .with_u64(0x38, FREE)
    }

    pub(super) fn init(&mut self, vectors: u8) {
        let request = self.init_request(vectors);
        for nth in 0..u64::from(FREE_DEPTH) {
            let frame = (REPLIES + 128 * nth) as u32;
            self.put(FREE + 4 * nth, &frame.to_le_bytes());
        }
        self.put(POSTS, &vec![0xff; (16 * POST_SIZE) as usize]);
        self.seen = [0; 16];
        let reply = self.handshake(&request);
        assert_eq!((reply.u8(0x03), reply.u16(0x0e)), (2, 0));
        self.lent = u32::from(FREE_DEPTH) - 1;
        self.write(REPLY_FREE_INDEX, self.lent);
        for queue in 0..u32::from(vectors) {
            let at = MORE_POST_INDEXES + 0x10 * u64::from(queue / 8);
            self.write(at, (queue % 8) << 24);
        }
        self.write(INTERRUPT_MASK, ALL_MASKED & !REPLY_INTERRUPT);
    }

    fn listen(&mut self) {
        let listen = Message::new(0x2c).with_u8(0x03, function::EVENTS);
        assert_eq!(self.reply_to(&listen).u16(0x14), 0x0a);
    }

    /// Listens, and lets the adapter find what there is.
    pub(super) fn discover(&mut self) {
        self.listen();
        self.send(&Message::new(0x0c).with_u8(0x03, function::PORT_ENABLE), 0);
        assert!(self.replies(0).len() >= 4);
    }

    /// Has heard that the disk was switched on.
    pub(super) fn attended(&mut self) {
        let ready = self.scsi_io(9, [0; 16], 0, 0, &[]);
        assert_eq!(self.reply_to(&ready).u8(0x0c), 2);
    }

    /// Posts a request as frame 1.
    pub(super) fn send(&mut self, request: &Message, vector: u8) {
        self.send_as(0, request, vector);
    }

    pub(super) fn send_as(&mut self, kind: u64, request: &Message, vector: u8) {
        self.put(FRAMES + 128, request.bytes());
        self.write64(REQUEST_LOW, kind | u64::from(vector) << 8 | 1 << 16);
    }

    /// Posts a request and gives its reply; the host has then seen it.
    pub(super) fn reply_to(&mut self, request: &Message) -> Message {
        self.send(request, 0);
        let mut replies = self.replies(0);
        assert_eq!(replies.len(), 1);
        let (descriptor, reply) = replies.remove(0);
        assert_eq!(descriptor & 0xffff_ffff, ADDRESS | 1 << 16);
        reply.unwrap()
    }

    /// What is new in a reply post queue: descriptors without the address, and the frames, which are
    /// lent again.
    pub(super) fn replies(&mut self, queue: usize) -> Vec<(u64, Option<Message>)> {
        let base = POSTS + (15 - queue as u64) * POST_SIZE;
        let mut replies = Vec::new();
        loop {
            let at = base + 8 * self.seen[queue];
            let bytes = self.get(at, 8);
            let descriptor = u64::from_le_bytes(bytes.try_into().unwrap());
            if descriptor == u64::MAX {
                break;
            }
            self.put(at, &[0xff; 8]);
            self.seen[queue] = (self.seen[queue] + 1) % u64::from(POST_DEPTH);
            let reply = (descriptor & 0xf == ADDRESS).then(|| {
                let frame = self.get(descriptor >> 32, 128);
                let length = 4 * usize::from(frame[2]);
                self.lend((descriptor >> 32) as u32);
                Message::from(frame[..length].to_vec())
            });
            replies.push((descriptor & 0xffff_ffff, reply));
        }
        let at = MORE_POST_INDEXES + 0x10 * (queue as u64 / 8);
        let index = (queue as u32 % 8) << 24 | self.seen[queue] as u32;
        if queue < 8 {
            self.write(at, index);
        }
        replies
    }

    fn lend(&mut self, frame: u32) {
        self.put(FREE + 4 * u64::from(self.lent), &frame.to_le_bytes());
        self.lent = (self.lent + 1) % u32::from(FREE_DEPTH);
        self.write(REPLY_FREE_INDEX, self.lent);
    }

    /// A SCSI I/O request with this list, chained where it does not fit. `way` is 1 for data out of
    /// the host, 2 for data into it.
    pub(super) fn scsi_io(
        &self,
        handle: u16,
        cdb: [u8; 16],
        way: u32,
        length: u32,
        list: &[Sge],
    ) -> Message {
        let mut rest = list.to_vec();
        let mut room = IN_FRAME;
        let mut segment = CHAINS;
        let mut parts = Vec::new();
        while rest.len() > room {
            let mut part: Vec<_> = rest.drain(..room - 1).collect();
            let next = rest.len().min(IN_SEGMENT) as u32;
            part.push(Sge::Chain(segment, 16 * next));
            parts.push(part);
            (room, segment) = (IN_SEGMENT, segment + 0x1000);
        }
        parts.push(rest);
        for (nth, part) in parts.iter().enumerate().skip(1) {
            self.put(CHAINS + 0x1000 * (nth as u64 - 1), &elements(part));
        }
        Message::new(0x60)
            .with_u16(0x00, handle)
            .with_u32(0x0c, SENSE as u32)
            .with_u8(0x12, 96)
            .with_u8(0x14, 0x60 / 4)
            .with_u32(0x1c, length)
            .with_u16(0x24, 16)
            .with_u32(0x3c, way << 24)
            .with(0x40, cdb)
            .with_bytes(0x60, &elements(&parts[0]))
    }

    pub(super) fn sense(&self) -> Vec<u8> {
        self.get(SENSE, 18)
    }

    pub(super) fn diagnostic_reset(&mut self) {
        self.write(WRITE_SEQUENCE, 0);
        for key in KEYS {
            self.write(WRITE_SEQUENCE, key.into());
        }
        assert_eq!(self.read(HOST_DIAGNOSTIC) & WRITE_ENABLE, WRITE_ENABLE);
        self.write(HOST_DIAGNOSTIC, RESET_ADAPTER | WRITE_ENABLE);
        let done = self.read(HOST_DIAGNOSTIC);
        assert_eq!(done, WRITE_ENABLE | RESET_HISTORY);
        self.write(HOST_DIAGNOSTIC, done);
        self.write(WRITE_SEQUENCE, 0);
    }

    /// Vectors that have interrupted since the last time.
    pub(super) fn heard(&mut self) -> Vec<usize> {
        let each = self.vectors.iter_mut().enumerate();
        each.filter_map(|(nth, vector)| vector.read(&mut [0; 8]).is_ok().then_some(nth))
            .collect()
    }
}

fn disk() -> File {
    let disk = tempfile::tempfile().unwrap();
    disk.set_len(1 << 20).unwrap();
    disk
}

fn eventfd() -> (File, Option<Trigger>) {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let mine: OwnedFd = EventFd::from_flags(flags).unwrap().into();
    let mine = File::from(mine);
    let theirs = Trigger::new(mine.try_clone().unwrap()).unwrap();
    (mine, Some(theirs))
}
