//! Messages of the firmware's interface, MPI 2.5: requests, replies and pages are little-endian
//! fields at fixed offsets (drivers/scsi/mpt3sas/mpi/mpi2.h). Pure.

/// A message from the host or for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message(Vec<u8>);

/// Offsets that all requests and replies have in common.
const LENGTH: usize = 0x02;
const FUNCTION: usize = 0x03;
const STATUS: usize = 0x0e;

/// The header of every reply, up to IOCLogInfo.
pub(super) const REPLY: usize = 0x14;

/// What a message asks for: MPI2_FUNCTION_ and so on.
pub(super) mod function {
    pub(in super::super) const SCSI_IO: u8 = 0x00;
    pub(in super::super) const TASK_MANAGEMENT: u8 = 0x01;
    pub(in super::super) const INIT: u8 = 0x02;
    pub(in super::super) const FACTS: u8 = 0x03;
    pub(in super::super) const CONFIG: u8 = 0x04;
    pub(in super::super) const PORT_FACTS: u8 = 0x05;
    pub(in super::super) const PORT_ENABLE: u8 = 0x06;
    pub(in super::super) const EVENTS: u8 = 0x07;
    pub(in super::super) const EVENT_ACK: u8 = 0x08;
    pub(in super::super) const UPLOAD: u8 = 0x12;
    pub(in super::super) const SMP_PASSTHROUGH: u8 = 0x1a;
    pub(in super::super) const UNIT_CONTROL: u8 = 0x1b;
    pub(in super::super) const SATA_PASSTHROUGH: u8 = 0x1c;
}

/// How it went: MPI2_IOCSTATUS_.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Success = 0x0000,
    InvalidFunction = 0x0001,
    InvalidSgl = 0x0003,
    InternalError = 0x0004,
    InvalidField = 0x0007,
    InvalidState = 0x0008,
    ConfigInvalidAction = 0x0020,
    ConfigInvalidPage = 0x0022,
    ConfigCantCommit = 0x0025,
    InvalidDevHandle = 0x0042,
    DataOverrun = 0x0044,
    DataUnderrun = 0x0045,
    SmpRequestFailed = 0x0090,
}

impl Message {
    /// Zeros.
    pub(super) fn new(length: usize) -> Self {
        Self(vec![0; length])
    }

    /// Bytes as they came.
    pub(super) fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The reply of `length` bytes to a request, so far without a word.
    pub(super) fn reply(to: &Self, length: usize) -> Self {
        Self::new(length)
            .with_u8(LENGTH, (length / 4) as u8)
            .with_u8(FUNCTION, to.function())
            // MsgFlags, VP_ID and VF_ID.
            .with(0x07, [to.u8(0x07), to.u8(0x08), to.u8(0x09)])
    }

    /// The reply that only says how it went.
    pub(super) fn refusal(to: &Self, status: Status) -> Self {
        Self::reply(to, REPLY).with_status(status)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn function(&self) -> u8 {
        self.u8(FUNCTION)
    }

    pub(super) fn with_status(self, status: Status) -> Self {
        self.with_u16(STATUS, status as u16)
    }

    /// A field; zero where the message is shorter.
    pub(super) fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        let there = self.0.get(at..).and_then(<[u8]>::first_chunk);
        there.copied().unwrap_or([0; N])
    }

    pub(super) fn u8(&self, at: usize) -> u8 {
        let [byte] = self.field(at);
        byte
    }

    pub(super) fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.field(at))
    }

    pub(super) fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.field(at))
    }

    pub(super) fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.field(at))
    }

    /// Sets a field; the message becomes as long as that takes.
    pub(super) fn with<const N: usize>(mut self, at: usize, bytes: [u8; N]) -> Self {
        if self.0.len() < at + N {
            self.0.resize(at + N, 0);
        }
        self.0[at..at + N].copy_from_slice(&bytes);
        self
    }

    pub(super) fn with_u8(self, at: usize, value: u8) -> Self {
        self.with(at, [value])
    }

    pub(super) fn with_u16(self, at: usize, value: u16) -> Self {
        self.with(at, value.to_le_bytes())
    }

    pub(super) fn with_u32(self, at: usize, value: u32) -> Self {
        self.with(at, value.to_le_bytes())
    }

    pub(super) fn with_u64(self, at: usize, value: u64) -> Self {
        self.with(at, value.to_le_bytes())
    }

    /// Text or data of any length.
    pub(super) fn with_bytes(self, at: usize, bytes: &[u8]) -> Self {
        let each = bytes.iter().enumerate();
        each.fold(self, |message, (nth, &byte)| {
            message.with_u8(at + nth, byte)
        })
    }
}
