//! Replies on their way to the host: it lends the adapter frames for them (the reply free queue), and
//! finds out about them in reply post queues, one for each vector.

use super::message::{Message, Status};
use crate::device::{Bus, Unreachable};

/// mpi2_ioc.h, MPI2_RDPQ_DEPTH_MIN.
const LEAST_DEPTH: u16 = 16;
/// MsgFlags of IOCInit: the reply post queues' addresses are in an array.
const RDPQ_ARRAY: u8 = 0x01;

/// Types of reply descriptors: MPI2_RPY_DESCRIPT_FLAGS_.
const SCSI_IO_SUCCESS: u8 = 0x00;
const ADDRESS_REPLY: u8 = 0x01;
const FAST_PATH_SUCCESS: u8 = 0x06;

/// What the host laid out for the adapter with IOCInit.
#[derive(Debug)]
pub(super) struct Queues {
    frames: u64,
    frame_size: usize,
    sense_high: u64,
    reply_high: u64,
    free: Ring,
    posts: Vec<Ring>,
}

/// A ring in the guest's memory.
#[derive(Debug)]
struct Ring {
    base: u64,
    depth: u32,
    /// The adapter's place.
    here: u32,
    /// The host's.
    host: u32,
}

impl Ring {
    fn after(&self, index: u32) -> u32 {
        match index + 1 {
            next if next < self.depth => next,
            _ => 0,
        }
    }
}

/// What a request descriptor names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptor {
    /// Its type: MPI2_REQ_DESCRIPT_FLAGS_.
    kind: u8,
    vector: u8,
    /// System message ID: which frame.
    pub(super) frame: u16,
}

impl Descriptor {
    pub(super) fn new(bits: u64) -> Self {
        let [kind, vector, low, high, ..] = bits.to_le_bytes();
        Self {
            kind: kind & 0x1e,
            vector,
            frame: u16::from_le_bytes([low, high]),
        }
    }

    fn is_fast_path(self) -> bool {
        self.kind == 0x0c
    }
}

/// Something that stops the adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stuck {
    #[error("the host has lent no frame for a reply")]
    NoFrame,
    #[error("the host has not looked into reply post queue {0} until it was full")]
    Full(usize),
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
}

impl Queues {
    /// Takes over what IOCInit says (mpi2_ioc.h, MPI2_IOC_INIT_REQUEST).
    pub(super) fn new(init: &Message, vectors: u16, bus: &Bus) -> Result<Self, Status> {
        let frame_size = 4 * usize::from(init.u16(0x1a));
        let (post_depth, free_depth) = (init.u16(0x1c), init.u16(0x1e));
        let count = u16::from(init.u8(0x17).max(1));
        if !(0x60..=0x400).contains(&frame_size)
            || post_depth < LEAST_DEPTH
            || free_depth < LEAST_DEPTH
            || count > vectors.max(1)
        {
            return Err(Status::InvalidField);
        }
        let ring = |base, depth: u16| Ring {
            base,
            depth: u32::from(depth),
            here: 0,
            host: 0,
        };
        let address = init.u64(0x30);
        let mut posts = Vec::new();
        for nth in 0..u64::from(count) {
            let base = match init.u8(0x07) & RDPQ_ARRAY {
                0 => address.wrapping_add(nth * u64::from(post_depth) * 8),
                _ => {
                    let entry = bus.get(address.wrapping_add(nth * 16));
                    u64::from_le_bytes(entry.map_err(|_| Status::InvalidField)?)
                }
            };
            posts.push(ring(base, post_depth));
        }
        Ok(Self {
            frames: init.u64(0x28),
            frame_size,
            sense_high: u64::from(init.u32(0x20)) << 32,
            reply_high: u64::from(init.u32(0x24)) << 32,
            free: ring(init.u64(0x38), free_depth),
            posts,
        })
    }

    /// Reads a request.
    pub(super) fn request(&self, frame: u16, bus: &Bus) -> Result<Message, Unreachable> {
        let address = u64::from(frame) * self.frame_size as u64;
        let mut bytes = vec![0; self.frame_size];
        bus.read(self.frames.wrapping_add(address), &mut bytes)?;
        Ok(Message::from(bytes))
    }

    /// Where a request wants its sense data, by the lower half of the address.
    pub(super) fn sense(&self, low: u32) -> u64 {
        self.sense_high | u64::from(low)
    }

    /// A SCSI command that went well: no frame, only the descriptor.
    pub(super) fn succeed(&mut self, request: Descriptor, bus: &mut Bus) -> Result<u16, Stuck> {
        let kind = match request.is_fast_path() {
            true => FAST_PATH_SUCCESS,
            false => SCSI_IO_SUCCESS,
        };
        // The task's tag says nothing here.
        self.post(kind, request, 0, bus)
    }

    /// A reply to a request.
    pub(super) fn reply(
        &mut self,
        request: Descriptor,
        reply: &Message,
        bus: &mut Bus,
    ) -> Result<u16, Stuck> {
        if self.free.here == self.free.host {
            return Err(Stuck::NoFrame);
        }
        let entry = self.free.base.wrapping_add(u64::from(self.free.here) * 4);
        let low = u32::from_le_bytes(bus.get(entry)?);
        bus.write(self.reply_high | u64::from(low), reply.bytes())?;
        self.free.here = self.free.after(self.free.here);
        self.post(ADDRESS_REPLY, request, low, bus)
    }

    /// Something that no request asked for, on the first queue.
    pub(super) fn event(&mut self, event: &Message, bus: &mut Bus) -> Result<u16, Stuck> {
        self.reply(Descriptor::new(0), event, bus)
    }

    /// Gives the vector that the host is to be told by.
    fn post(
        &mut self,
        kind: u8,
        request: Descriptor,
        rest: u32,
        bus: &mut Bus,
    ) -> Result<u16, Stuck> {
        let wanted = usize::from(request.vector);
        let nth = if wanted < self.posts.len() { wanted } else { 0 };
        let ring = &mut self.posts[nth];
        let next = ring.after(ring.here);
        if next == ring.host {
            return Err(Stuck::Full(nth));
        }
        let mut descriptor = [kind, nth as u8, 0, 0, 0, 0, 0, 0];
        descriptor[2..4].copy_from_slice(&request.frame.to_le_bytes());
        descriptor[4..8].copy_from_slice(&rest.to_le_bytes());
        let entry = ring.base.wrapping_add(u64::from(ring.here) * 8);
        bus.write(entry, &descriptor)?;
        ring.here = next;
        Ok(nth as u16)
    }

    /// The host has lent frames up to this place.
    pub(super) fn lent(&mut self, index: u32) {
        self.free.host = index.min(self.free.depth - 1);
    }

    /// The host has seen a reply post queue up to this place.
    pub(super) fn seen(&mut self, queue: usize, index: u32) {
        if let Some(ring) = self.posts.get_mut(queue) {
            ring.host = index.min(ring.depth - 1);
        }
    }

    /// Queues that hold something the host has not seen.
    pub(super) fn unseen(&self) -> impl Iterator<Item = u16> {
        let held = self.posts.iter().enumerate();
        held.filter(|(_, ring)| ring.here != ring.host)
            .map(|(nth, _)| nth as u16)
    }
}
