//! The doorbell: messages word by word, for a host that has no queues yet (mpi2.h, MPI2_DOORBELL_;
//! the host's side is `_base_handshake_req_reply_wait` in drivers/scsi/mpt3sas/mpt3sas_base.c). Pure.

use std::collections::VecDeque;

use super::message::Message;

/// Where a handshake stands.
#[derive(Debug, Default)]
pub(super) struct Doorbell {
    phase: Phase,
    /// IOC2SYS_DB_STATUS: the host has to look.
    interrupt: bool,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Idle,
    /// So many bytes of a request are to come.
    Request { length: usize, so_far: Vec<u8> },
    /// The reply, in words of 16 bits; the first one is in the register.
    Reply(VecDeque<u16>),
}

/// Something that the host wants done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// MPI2_FUNCTION_IOC_MESSAGE_UNIT_RESET
    Reset,
    /// A whole request.
    Request(Message),
}

const USED: u32 = 0x0800_0000;
const MESSAGE_UNIT_RESET: u8 = 0x40;
const HANDSHAKE: u8 = 0x42;

impl Doorbell {
    /// What the register shows besides the state of the adapter.
    pub(super) fn read(&self) -> u32 {
        match &self.phase {
            Phase::Idle => 0,
            Phase::Request { .. } => USED,
            Phase::Reply(words) => USED | words.front().copied().map_or(0, u32::from),
        }
    }

    /// Whether the host has to look.
    pub(super) fn interrupts(&self) -> bool {
        self.interrupt
    }

    /// # Errors
    /// A function that the doorbell does not know.
    pub(super) fn write(&mut self, value: u32) -> Result<Option<Order>, u32> {
        match &mut self.phase {
            Phase::Request { length, so_far } => {
                so_far.extend(value.to_le_bytes());
                if so_far.len() < *length {
                    return Ok(None);
                }
                let request = std::mem::take(so_far);
                self.phase = Phase::Idle;
                Ok(Some(Order::Request(Message::from(request))))
            }
            Phase::Idle | Phase::Reply(_) => {
                let [_, _, dwords, function] = value.to_le_bytes();
                match (function, dwords) {
                    (MESSAGE_UNIT_RESET, _) => Ok(Some(Order::Reset)),
                    (HANDSHAKE, 1..) => {
                        self.phase = Phase::Request {
                            length: 4 * usize::from(dwords),
                            so_far: Vec::new(),
                        };
                        self.interrupt = true;
                        Ok(None)
                    }
                    _ => Err(value),
                }
            }
        }
    }

    /// Begins to hand over the reply to a request.
    pub(super) fn reply(&mut self, reply: &Message) {
        let words = reply.bytes().chunks_exact(2);
        let words = words.map(|word| u16::from_le_bytes([word[0], word[1]]));
        self.phase = Phase::Reply(words.collect());
        self.interrupt = true;
    }

    /// The host has looked: the next word, and one more interrupt when there is none left.
    pub(super) fn acknowledge(&mut self) {
        self.interrupt = false;
        if let Phase::Reply(words) = &mut self.phase {
            words.pop_front();
            if words.is_empty() {
                self.phase = Phase::Idle;
            }
            self.interrupt = true;
        }
    }

    /// Nothing is going on, except that the host has to look at the adapter's new state.
    pub(super) fn reset(&mut self) {
        *self = Self {
            phase: Phase::Idle,
            interrupt: true,
        };
    }
}
