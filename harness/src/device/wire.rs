//! vfio-user's messages (QEMU's docs/interop/vfio-user.rst), as far as a server of PCI devices needs
//! them. Pure.

/// Bytes of a message's header.
pub const HEADER: usize = 16;
/// What one message may move, in bytes; told to QEMU when it connects. The most that it asks for is
/// a whole configuration space.
pub const MAX_TRANSFER: usize = 4096;
/// The largest message: a write of that much, a list of capabilities, or a byte for each of 2048
/// vectors.
pub const MAX_MESSAGE: usize = 2 * MAX_TRANSFER;
/// Descriptors that may come with one message; told to QEMU when it connects, which takes no more
/// for an answer (hw/vfio-user/protocol.h, VFIO_USER_MAX_MAX_FDS).
pub const MAX_DESCRIPTORS: usize = 16;

/// Regions of a PCI device (`<linux/vfio.h>`, VFIO_PCI_BAR0_REGION_INDEX and so on).
pub const REGIONS: u32 = 9;
/// The configuration space among them.
pub const CONFIG_REGION: u32 = 7;
/// Interrupt indexes of a PCI device: line, MSI, MSI-X, error, request.
pub const INTERRUPTS: u32 = 5;

const REPLY: u32 = 1;
const TYPE: u32 = 0xf;
const NO_REPLY: u32 = 1 << 4;
const ERROR: u32 = 1 << 5;

/// The beginning of every message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    id: u16,
    command: u16,
    /// Of what follows.
    pub body: usize,
    flags: u32,
}

/// A stream that is none of vfio-user's: nothing after it can be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Garbled {
    /// Shorter than its own header, or longer than was agreed upon.
    #[error("a message of {0} bytes")]
    Size(u32),
    /// A server sends no commands, so nobody replies to any.
    #[error("a reply where a command was expected")]
    Reply,
    /// More than were agreed upon.
    #[error("more than {MAX_DESCRIPTORS} descriptors with one message")]
    Descriptors,
}

impl Header {
    /// Reads one.
    ///
    /// # Errors
    /// Not the beginning of a command.
    pub fn parse(bytes: &[u8; HEADER]) -> Result<Self, Garbled> {
        let fields = Fields(bytes);
        let size = fields.u32(4);
        let flags = fields.u32(8);
        if flags & TYPE != 0 {
            return Err(Garbled::Reply);
        }
        match size as usize {
            size if (HEADER..=MAX_MESSAGE).contains(&size) => Ok(Self {
                id: fields.u16(0),
                command: fields.u16(2),
                body: size - HEADER,
                flags,
            }),
            _ => Err(Garbled::Size(size)),
        }
    }

    /// Whether anybody waits for the answer.
    pub fn wants_reply(&self) -> bool {
        self.flags & NO_REPLY == 0
    }

    /// The whole reply: what was asked for, or the number of an error.
    pub fn reply(&self, result: Result<&[u8], Errno>) -> Vec<u8> {
        let (flags, errno, body) = match result {
            Ok(body) => (REPLY, 0, body),
            Err(errno) => (REPLY | ERROR, errno as u32, &[][..]),
        };
        let size = (HEADER + body.len()) as u32;
        let mut reply = Vec::with_capacity(size as usize);
        reply.extend(self.id.to_le_bytes());
        reply.extend(self.command.to_le_bytes());
        reply.extend(size.to_le_bytes());
        reply.extend(flags.to_le_bytes());
        reply.extend(errno.to_le_bytes());
        reply.extend(body);
        reply
    }
}

/// What a refused command is answered with: errno(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errno {
    /// The device failed.
    Io = 5,
    /// Something in it makes no sense.
    Invalid = 22,
    /// The server does not know the command.
    NotSupported = 95,
}

/// One command.
#[derive(Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// The first message of a connection.
    Version {
        /// Incompatible where it differs.
        major: u16,
    },
    /// Memory that the device may reach.
    Map {
        /// Guest-physical address.
        address: u64,
        /// In bytes.
        size: u64,
        /// Of the descriptor that comes with it.
        offset: u64,
        /// May be written.
        writable: bool,
    },
    /// It may no longer.
    Unmap {
        /// As [`Command::Map`]; `None` for everything.
        range: Option<(u64, u64)>,
        /// The body, which the reply repeats.
        body: &'a [u8],
    },
    /// What kind of device it is.
    DeviceInfo,
    /// A BAR, the configuration space.
    RegionInfo(u32),
    /// An interrupt index.
    InterruptInfo(u32),
    /// How interrupts are to be delivered.
    SetInterrupts(SetInterrupts<'a>),
    /// Registers.
    Read {
        /// Which.
        region: u32,
        /// In it.
        offset: u64,
        /// Bytes.
        count: usize,
    },
    /// Registers.
    Write {
        /// Which.
        region: u32,
        /// In it.
        offset: u64,
        /// At most [`MAX_TRANSFER`].
        data: &'a [u8],
    },
    /// The machine is reset.
    Reset,
}

/// VFIO_DEVICE_SET_IRQS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetInterrupts<'a> {
    /// Interrupt index.
    pub index: u32,
    /// First vector.
    pub start: u32,
    /// Vectors.
    pub count: u32,
    /// What to do.
    pub action: Action,
    /// To which of them.
    pub data: Data<'a>,
}

/// VFIO_IRQ_SET_ACTION_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Hold back.
    Mask,
    /// Go on.
    Unmask,
    /// Signal.
    Trigger,
}

/// VFIO_IRQ_SET_DATA_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data<'a> {
    /// All of them.
    None,
    /// Those whose byte is not zero.
    Bools(&'a [u8]),
    /// By descriptors that come with the message.
    Eventfds,
}

impl<'a> Command<'a> {
    /// Understands the body of a message.
    ///
    /// # Errors
    /// What the reply has to say.
    pub fn parse(header: &Header, body: &'a [u8]) -> Result<Self, Errno> {
        let fields = Fields(body);
        let needs = |size: usize| match body.len() < size {
            true => Err(Errno::Invalid),
            false => Ok(()),
        };
        Ok(match header.command {
            1 => {
                needs(4)?;
                Self::Version {
                    major: fields.u16(0),
                }
            }
            2 => {
                needs(32)?;
                Self::Map {
                    offset: fields.u64(8),
                    address: fields.u64(16),
                    size: fields.u64(24),
                    writable: fields.u32(4) & 2 != 0,
                }
            }
            3 => {
                needs(24)?;
                let all = fields.u32(4) & 2 != 0;
                Self::Unmap {
                    range: (!all).then(|| (fields.u64(8), fields.u64(16))),
                    body: &body[..24],
                }
            }
            4 => Self::DeviceInfo,
            5 => {
                needs(32)?;
                Self::RegionInfo(fields.u32(8))
            }
            7 => {
                needs(16)?;
                Self::InterruptInfo(fields.u32(8))
            }
            8 => {
                needs(20)?;
                Self::SetInterrupts(SetInterrupts::parse(fields, &body[20..])?)
            }
            9 => {
                needs(16)?;
                let count = fields.u32(12) as usize;
                match count <= MAX_TRANSFER {
                    true => Self::Read {
                        offset: fields.u64(0),
                        region: fields.u32(8),
                        count,
                    },
                    false => return Err(Errno::Invalid),
                }
            }
            10 => {
                needs(16)?;
                let data = &body[16..];
                match data.len() == fields.u32(12) as usize {
                    true => Self::Write {
                        offset: fields.u64(0),
                        region: fields.u32(8),
                        data,
                    },
                    false => return Err(Errno::Invalid),
                }
            }
            13 => Self::Reset,
            _ => return Err(Errno::NotSupported),
        })
    }
}

impl<'a> SetInterrupts<'a> {
    fn parse(fields: Fields<'a>, data: &'a [u8]) -> Result<Self, Errno> {
        let (index, start, count) = (fields.u32(8), fields.u32(12), fields.u32(16));
        let flags = fields.u32(4);
        let action = match flags & 0x38 {
            0x08 => Action::Mask,
            0x10 => Action::Unmask,
            0x20 => Action::Trigger,
            _ => return Err(Errno::Invalid),
        };
        let data = match flags & 0x07 {
            1 => Data::None,
            2 if data.len() == count as usize => Data::Bools(data),
            4 => Data::Eventfds,
            _ => return Err(Errno::Invalid),
        };
        Ok(Self {
            index,
            start,
            count,
            action,
            data,
        })
    }
}

/// The answer to [`Command::Version`].
pub fn version() -> Vec<u8> {
    // Version 0.0, and what a client must know of this server.
    let capabilities = format!(
        "{{\"capabilities\":{{\"max_msg_fds\":{MAX_DESCRIPTORS},\"max_data_xfer_size\":{MAX_TRANSFER}}}}}\0"
    );
    let mut body = vec![0; 4];
    body.extend(capabilities.as_bytes());
    body
}

/// The answer to [`Command::DeviceInfo`]: a PCI device that can be reset.
pub fn device_info() -> Vec<u8> {
    const RESETTABLE_PCI: u32 = 3;
    words(&[16, RESETTABLE_PCI, REGIONS, INTERRUPTS])
}

/// The answer to [`Command::RegionInfo`].
pub fn region_info(index: u32, size: u64) -> Vec<u8> {
    const READ_WRITE: u32 = 3;
    let flags = if size > 0 { READ_WRITE } else { 0 };
    let mut body = words(&[32, flags, index, 0]);
    body.extend(size.to_le_bytes());
    body.extend(0u64.to_le_bytes());
    body
}

/// The answer to [`Command::InterruptInfo`].
pub fn interrupt_info(index: u32, count: u32) -> Vec<u8> {
    const EVENTFD: u32 = 1;
    const MASKABLE_AUTOMASKED: u32 = 2 | 4;
    // Not VFIO_IRQ_INFO_NORESIZE: QEMU would take all vectors back for each one that it adds.
    let flags = match (index, count) {
        (_, 0) => 0,
        (0, _) => EVENTFD | MASKABLE_AUTOMASKED,
        _ => EVENTFD,
    };
    words(&[16, flags, index, count])
}

/// The answer to [`Command::Read`].
pub fn read_reply(region: u32, offset: u64, data: &[u8]) -> Vec<u8> {
    let mut body = write_reply(region, offset, data.len());
    body.extend(data);
    body
}

/// The answer to [`Command::Write`].
pub fn write_reply(region: u32, offset: u64, count: usize) -> Vec<u8> {
    let mut body = offset.to_le_bytes().to_vec();
    body.extend(words(&[region, count as u32]));
    body
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Little-endian fields; beyond the end there are zeros.
#[derive(Debug, Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(self, at: usize) -> [u8; N] {
        let found = self.0.get(at..).and_then(|rest| rest.first_chunk());
        found.copied().unwrap_or([0; N])
    }

    fn u16(self, at: usize) -> u16 {
        u16::from_le_bytes(self.bytes(at))
    }

    fn u32(self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    fn u64(self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes(at))
    }
}

#[cfg(test)]
mod tests;
