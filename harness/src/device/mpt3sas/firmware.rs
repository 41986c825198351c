//! The firmware: what it answers to each request, whichever way it came (mpi2_ioc.h, mpi2_sas.h).

use super::chip::Chip;
use super::message::{Message, REPLY, Status, function};
use super::pages::{self, Action, Page, Written};
use super::queues::Queues;
use super::sgl::Places;
use super::target::Target;
use super::topology::{Device, Topology, events_change};
use crate::device::Bus;

/// IOCCapabilities: MPI2_IOCFACTS_CAPABILITY_. Each is one that the model has.
const CAPABILITIES: u32 = TASK_SET_FULL | TLR | EVENT_REPLAY | MSI_X_INDEX | RDPQ_ARRAY;
const TASK_SET_FULL: u32 = 0x4;
const TLR: u32 = 0x800;
const EVENT_REPLAY: u32 = 0x2000;
const MSI_X_INDEX: u32 = 0x8000;
/// Without it drivers that know of it take at most eight vectors.
const RDPQ_ARRAY: u32 = 0x4_0000;

/// RequestCredit and HighPriorityCredit, as firmware 16 of a SAS9300-8i has them ("Max Controller
/// Queue Depth(10240)").
const REQUEST_CREDIT: u16 = 10_240;
const HIGH_PRIORITY_CREDIT: u16 = 128;

/// Bytes of MPI2_FW_IMAGE_HEADER.
const IMAGE_HEADER: usize = 0x100;

/// The adapter without its registers and queues.
#[derive(Debug)]
pub(super) struct Firmware {
    pub(super) chip: Chip,
    /// MSI-X table entries.
    pub(super) vectors: u16,
    pub(super) topology: Topology,
    pages: Written,
    target: Option<Target>,
}

/// How a request ends.
#[derive(Debug)]
pub(super) enum Answer {
    /// SCSI I/O without anything to say.
    Good,
    /// A reply, after these events.
    Reply {
        events: Vec<Message>,
        reply: Message,
    },
}

impl From<Message> for Answer {
    fn from(reply: Message) -> Self {
        Self::Reply {
            events: Vec::new(),
            reply,
        }
    }
}

impl Firmware {
    pub(super) fn new(chip: Chip, vectors: u16, address: u64, target: Option<Target>) -> Self {
        let disk = target.as_ref().map(|target| target.disk.name());
        Self {
            chip,
            vectors,
            topology: Topology::new(address, chip.phys(), disk),
            pages: Written::default(),
            target,
        }
    }

    /// Starts anew; `links` says whether those were reset as well, which the disk notices.
    pub(super) fn restart(&mut self, links: bool) {
        self.topology.forget();
        if let Some(target) = self.target.as_mut().filter(|_| links) {
            target.disk.reset();
        }
    }

    /// Forgets what the host has written; power was off.
    pub(super) fn power_on(&mut self) {
        self.pages = Written::default();
        self.restart(true);
    }

    /// A request that came by the doorbell, save IOCInit.
    pub(super) fn by_doorbell(&self, request: &Message, who: u8, bus: &mut Bus) -> Message {
        match request.function() {
            function::FACTS => self.facts(request, who),
            function::PORT_FACTS => self.port_facts(request),
            _ => unknown(request, bus),
        }
    }

    /// A request that came by the queue; `masks` are the events that the host does not want.
    pub(super) fn by_queue(
        &mut self,
        request: &Message,
        who: u8,
        queues: &Queues,
        masks: &mut [u32; 4],
        bus: &mut Bus,
    ) -> Answer {
        match request.function() {
            function::SCSI_IO => self.scsi_io(request, queues, bus),
            function::TASK_MANAGEMENT => self.manage(request, bus).into(),
            function::CONFIG => self.config(request, bus).into(),
            function::FACTS => self.facts(request, who).into(),
            function::PORT_FACTS => self.port_facts(request).into(),
            function::PORT_ENABLE => Answer::Reply {
                events: self.topology.discover(),
                reply: Message::reply(request, REPLY),
            },
            function::EVENTS => {
                for (nth, mask) in masks.iter_mut().enumerate() {
                    *mask = request.u32(0x14 + 4 * nth);
                }
                events_change(request).into()
            }
            // No event of this model asks for one.
            function::EVENT_ACK => Message::reply(request, REPLY).into(),
            function::UPLOAD => self.upload(request, bus).into(),
            function::UNIT_CONTROL => control(request, bus).into(),
            // Nothing at the links speaks SMP or ATA.
            function::SMP_PASSTHROUGH => Message::refusal(request, Status::SmpRequestFailed).into(),
            function::SATA_PASSTHROUGH => {
                Message::refusal(request, Status::InvalidDevHandle).into()
            }
            function::INIT => Message::refusal(request, Status::InvalidState).into(),
            _ => unknown(request, bus).into(),
        }
    }

    /// MPI2_IOC_FACTS_REPLY
    fn facts(&self, request: &Message, who: u8) -> Message {
        Message::reply(request, 0x44)
            .with_u16(0x00, self.chip.version())
            // HeaderVersion, of the firmware's own.
            .with_u16(0x04, 0x2e00)
            // MaxChainDepth
            .with_u8(0x14, 128)
            .with_u8(0x15, who)
            // NumberOfPorts, MaxMSIxVectors
            .with_u8(0x16, 1)
            .with_u8(0x17, self.vectors.min(255) as u8)
            .with_u16(0x18, REQUEST_CREDIT)
            .with_u16(0x1a, self.chip.product())
            .with_u32(0x1c, CAPABILITIES)
            .with_u32(0x20, self.chip.firmware())
            // IOCRequestFrameSize, in dwords; IOCMaxChainSegmentSize, in elements.
            .with_u16(0x24, 32)
            .with_u16(0x26, 8)
            // MaxInitiators, MaxTargets, MaxSasExpanders, MaxEnclosures
            .with_u16(0x28, 32)
            .with_u16(0x2a, 1024)
            .with_u16(0x2c, 64)
            .with_u16(0x2e, 65)
            // ProtocolFlags: SCSI initiator
            .with_u16(0x30, 0x0002)
            .with_u16(0x32, HIGH_PRIORITY_CREDIT)
            // MaxReplyDescriptorPostQueueDepth
            .with_u16(0x34, 65_504)
            // ReplyFrameSize, in dwords
            .with_u8(0x36, 32)
            // MaxDevHandle, MaxPersistentEntries, MinDevHandle
            .with_u16(0x38, 1056)
            .with_u16(0x3a, 128)
            .with_u16(0x3c, u16::from(self.chip.phys()) + 1)
    }

    /// MPI2_PORT_FACTS_REPLY: physical SAS.
    fn port_facts(&self, request: &Message) -> Message {
        Message::reply(request, 0x1c)
            .with_u8(0x06, request.u8(0x06))
            .with_u8(0x15, 0x30)
    }

    fn scsi_io(&mut self, request: &Message, queues: &Queues, bus: &mut Bus) -> Answer {
        match self.target_of(request.u16(0x00)) {
            Some(target) => {
                let sense = queues.sense(request.u32(0x0c));
                let reply = target.scsi_io(request, sense, bus);
                reply.map_or(Answer::Good, Answer::from)
            }
            // MPI2_SCSI_IO_REPLY without a status from a target.
            None => Message::reply(request, 0x34)
                .with_u16(0x00, request.u16(0x00))
                .with_u8(0x0d, 0x04)
                .with_status(Status::InvalidDevHandle)
                .into(),
        }
    }

    fn target_of(&mut self, handle: u16) -> Option<&mut Target> {
        match self.topology.device(handle) {
            Some(Device::Disk { .. }) => self.target.as_mut(),
            _ => None,
        }
    }

    /// Task management: every command has ended before the next request is read, so there is none to
    /// abort (MPI2_SCSI_TASK_MANAGE_REPLY; TaskType: MPI2_SCSITASKMGMT_TASKTYPE_).
    fn manage(&mut self, request: &Message, bus: &mut Bus) -> Message {
        let kind = request.u8(0x05);
        let reply = Message::reply(request, 0x1c)
            .with_u16(0x00, request.u16(0x00))
            .with_u8(0x05, kind);
        let Some(target) = self.target_of(request.u16(0x00)) else {
            return reply.with_status(Status::InvalidDevHandle);
        };
        match kind {
            // Reset of the target or of its unit.
            0x03 | 0x05 => target.disk.reset(),
            // Abort a task, or all of them, or ask for them.
            0x01 | 0x02 | 0x06..=0x0a => {}
            _ => {
                bus.note(|| format!("task management of unknown type {kind:#04x}"));
                return reply.with_status(Status::InvalidField);
            }
        }
        reply
    }

    /// MPI2_CONFIG_REQUEST
    fn config(&mut self, request: &Message, bus: &mut Bus) -> Message {
        // The header of the page is in the reply whatever comes: the driver panics the machine when
        // the reply is of another type.
        let header = request.field::<4>(0x14);
        let reply = Message::reply(request, 0x18)
            .with_u8(0x00, request.u8(0x00))
            .with_u8(0x06, request.u8(0x06));
        match self.page(request, bus) {
            Ok(page) => {
                let extended = page.u8(3) & 0x0f == 0x0f;
                let length = if extended { page.u16(4) } else { 0 };
                reply.with_u16(0x04, length).with(0x14, page.field::<4>(0))
            }
            Err(status) => {
                if !matches!(status, Status::ConfigInvalidPage) {
                    let page = request.field::<4>(0x14);
                    bus.note(|| format!("configuration page {page:02x?}: {status:?}"));
                }
                reply.with(0x14, header).with_status(status)
            }
        }
    }

    /// Does what is asked for with a page; gives at least its header.
    fn page(&mut self, request: &Message, bus: &Bus) -> Result<Message, Status> {
        let action = Action::new(request.u8(0x00))?;
        let page = Page::of(request)?;
        let phys = self.topology.phys;
        let empty = page.empty(phys)?;
        let address = request.u32(0x18);
        let content = match action {
            Action::Header => return Ok(empty),
            Action::Default => {
                self.pages.restore(page);
                return Ok(empty);
            }
            Action::Read => self.pages.read(page, address, self.chip, &self.topology)?,
            Action::ReadDefault => pages::default(page, address, self.chip, &self.topology)?,
            Action::Write => {
                let mut bytes = vec![0; empty.bytes().len()];
                let (at, length) = simple_element(request);
                if length < bytes.len() {
                    return Err(Status::InvalidSgl);
                }
                let read = bus.read(at, &mut bytes);
                read.map_err(|_| Status::InternalError)?;
                self.pages.write(page, &bytes, phys)?;
                return Ok(empty);
            }
        };
        let (at, length) = simple_element(request);
        let length = length.min(content.bytes().len());
        let written = bus.write(at, &content.bytes()[..length]);
        written.map_err(|_| Status::InternalError)?;
        Ok(content)
    }

    /// FWUpload of the firmware itself gives its header, which names the versions; there is nothing
    /// behind it (mpi2_image.h, MPI2_FW_IMAGE_HEADER).
    fn upload(&self, request: &Message, bus: &mut Bus) -> Message {
        const CURRENT: u8 = 0x00;
        const FLASH: u8 = 0x01;
        if !matches!(request.u8(0x00), CURRENT | FLASH) {
            let image = request.u8(0x00);
            bus.note(|| format!("an upload of image type {image:#04x}, which is not there"));
            return Message::refusal(request, Status::InvalidField);
        }
        let header = Message::new(IMAGE_HEADER)
            .with_u32(0x00, 0xea00_0000)
            .with_u32(0x04, 0x5afa_a55a)
            .with_u32(0x08, 0xa55a_faa5)
            .with_u32(0x0c, 0x5aa5_5afa)
            .with_u32(0x10, u32::from(self.chip.version()) << 16)
            .with_u32(0x14, self.chip.firmware())
            .with_u32(0x1c, self.chip.firmware())
            .with_u16(0x20, self.chip.identity().vendor)
            .with_u16(0x22, self.chip.product())
            .with_u32(0x28, CAPABILITIES)
            .with_u32(0x2c, IMAGE_HEADER as u32);
        let bytes = header.bytes();
        let offset = (request.u32(0x18) as usize).min(bytes.len());
        let length = (request.u32(0x1c) as usize).min(bytes.len() - offset);
        let sent = Places::follow(request, 0x20, length as u64, bus)
            .and_then(|mut places| places.write(bus, &bytes[offset..offset + length]));
        let reply = Message::reply(request, 0x18).with_u32(0x14, bytes.len() as u32);
        match sent {
            Ok(()) => reply,
            Err(bad) => {
                bus.note(|| format!("a firmware upload: {bad}"));
                reply.with_status(Status::InvalidSgl)
            }
        }
    }
}

/// SAS IO Unit Control (mpi2_sas.h, MPI2_SAS_OP_): what would be done to links and to devices that
/// are gone; neither changes anything here.
fn control(request: &Message, bus: &mut Bus) -> Message {
    let operation = request.u8(0x00);
    let reply = Message::reply(request, REPLY)
        .with_u8(0x00, operation)
        .with_u16(0x04, request.u16(0x04));
    match operation {
        // Clear persistent mappings; reset a link, or clear its counters; discover; remove a device;
        // set a parameter of the adapter (its clock).
        0x02 | 0x06..=0x08 | 0x0b | 0x0d | 0x0f => reply,
        _ => {
            bus.note(|| format!("SAS IO unit control, unknown operation {operation:#04x}"));
            reply.with_status(Status::InvalidField)
        }
    }
}

fn unknown(request: &Message, bus: &mut Bus) -> Message {
    let function = request.function();
    bus.note(|| format!("a request of unknown function {function:#04x}"));
    Message::refusal(request, Status::InvalidFunction)
}

/// The page's buffer: one element of the older kind, with 32 or 64 bits of address (mpi2.h,
/// MPI2_SGE_SIMPLE_UNION).
fn simple_element(request: &Message) -> (u64, usize) {
    const SIXTY_FOUR_BITS: u32 = 0x0200_0000;
    let flags_length = request.u32(0x1c);
    let address = match flags_length & SIXTY_FOUR_BITS {
        0 => u64::from(request.u32(0x20)),
        _ => request.u64(0x20),
    };
    (address, (flags_length & 0x00ff_ffff) as usize)
}
