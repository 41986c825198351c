//! What hangs at the adapter's links, and how the host is told: handles, SAS addresses, events
//! (drivers/scsi/mpt3sas/mpi/mpi2_ioc.h, mpi2_sas.h). Pure.
//!
//! One disk at the first link, or nothing. It is found by discovery, which port enable starts and
//! which here takes no time: the host hears of it before its request is answered, as mpt3sas wants
//! it for devices that were there at start.

use super::message::{Message, function};
use crate::device::scsi;

/// Events: MPI2_EVENT_.
const SAS_DISCOVERY: u16 = 0x0016;
const TOPOLOGY_CHANGE_LIST: u16 = 0x001c;
const ENCLOSURE_STATUS_CHANGE: u16 = 0x001d;
const EVENT_CHANGE: u16 = 0x000a;

/// The only enclosure: the adapter's own connectors.
pub(super) const ENCLOSURE: u16 = 1;
/// PhysicalPort where nothing is attached.
pub(super) const NO_PORT: u8 = 0xff;

/// 12 Gbit/s, as it is negotiated (both nibbles: logical and physical), or the fastest of a range
/// from 1.5 Gbit/s on.
pub(super) const RATE: u8 = 0xbb;
pub(super) const RATES: u8 = 0xb8;

/// The adapter with its links.
#[derive(Debug)]
pub(super) struct Topology {
    /// The adapter's SAS address, of all of its phys.
    pub(super) address: u64,
    pub(super) phys: u8,
    /// The disk's NAA name.
    disk: Option<u64>,
    /// Discovery has been.
    discovered: bool,
}

/// Something with a SAS address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Device {
    /// The adapter, by one of its phys.
    Adapter { phy: u8 },
    /// The disk at phy 0, by its NAA name.
    Disk { name: u64 },
}

impl Topology {
    pub(super) fn new(address: u64, phys: u8, disk: Option<u64>) -> Self {
        Self {
            address,
            phys,
            disk,
            discovered: false,
        }
    }

    /// Forgets what was discovered.
    pub(super) fn forget(&mut self) {
        self.discovered = false;
    }

    /// The handle of the device at a phy, 0 for none.
    pub(super) fn attached(&self, phy: u8) -> u16 {
        match (phy, self.disk) {
            (0, Some(_)) if self.discovered => self.disk_handle(),
            _ => 0,
        }
    }

    /// Phys have handles of their own, from 1 on; the disk has the next.
    fn disk_handle(&self) -> u16 {
        u16::from(self.phys) + 1
    }

    /// The device with a handle.
    pub(super) fn device(&self, handle: u16) -> Option<Device> {
        match u8::try_from(handle) {
            Ok(phy @ 1..) if phy <= self.phys => Some(Device::Adapter { phy: phy - 1 }),
            _ if handle != 0 && handle == self.attached(0) => {
                self.disk.map(|name| Device::Disk { name })
            }
            _ => None,
        }
    }

    /// The attached device that follows a handle; 0xffff is before the first.
    pub(super) fn after(&self, handle: u16) -> Option<u16> {
        match self.attached(0) {
            0 => None,
            disk if handle == 0xffff || handle < disk => Some(disk),
            _ => None,
        }
    }

    /// Discovers; gives the events.
    pub(super) fn discover(&mut self) -> Vec<Message> {
        self.discovered = true;
        let mut events = vec![discovery(true), self.enclosure()];
        if self.attached(0) != 0 {
            events.push(self.disk_added());
        }
        events.push(discovery(false));
        events
    }

    /// MPI2_EVENT_DATA_SAS_ENCL_DEV_STATUS_CHANGE: added.
    fn enclosure(&self) -> Message {
        let data = Message::new(0x14)
            .with_u16(0x00, ENCLOSURE)
            .with_u8(0x02, 0x01)
            .with_u64(0x04, self.address)
            .with_u16(0x0c, u16::from(self.phys))
            .with_u32(0x10, (1u32 << self.phys) - 1);
        event(ENCLOSURE_STATUS_CHANGE, &data)
    }

    /// MPI2_EVENT_DATA_SAS_TOPOLOGY_CHANGE_LIST: one entry, for phy 0, a target added.
    fn disk_added(&self) -> Message {
        let data = Message::new(0x0c)
            .with_u16(0x00, ENCLOSURE)
            // Whose links these are: the adapter's.
            .with_u16(0x02, 1)
            .with_u8(0x04, self.phys)
            .with_u8(0x08, 1)
            .with_u16(0x0c, self.attached(0))
            .with_u8(0x0e, RATE & 0xf0)
            .with_u8(0x0f, 0x01);
        event(TOPOLOGY_CHANGE_LIST, &data)
    }
}

impl Device {
    /// Its SAS address.
    pub(super) fn address(self, topology: &Topology) -> u64 {
        match self {
            Self::Adapter { .. } => topology.address,
            Self::Disk { name } => scsi::port(name),
        }
    }

    /// DeviceInfo: an end device, and what it speaks (mpi2_sas.h, MPI2_SAS_DEVICE_INFO_).
    pub(super) fn info(self) -> u32 {
        match self {
            // Initiator by SSP, STP and SMP.
            Self::Adapter { .. } => 0x0071,
            // SSP target, attached without an expander.
            Self::Disk { .. } => 0x0c01,
        }
    }
}

/// MPI2_EVENT_DATA_SAS_DISCOVERY: started, or completed with something found.
fn discovery(started: bool) -> Message {
    let (flags, reason) = match started {
        true => (0x01, 0x01),
        false => (0x02, 0x02),
    };
    let data = Message::new(0x08).with_u8(0, flags).with_u8(1, reason);
    event(SAS_DISCOVERY, &data)
}

/// The answer to a request for events, which is an event itself.
pub(super) fn events_change(request: &Message) -> Message {
    Message::reply(request, 0x20)
        .with_u16(0x00, 1)
        .with_u16(0x14, EVENT_CHANGE)
}

fn event(kind: u16, data: &Message) -> Message {
    let request = Message::new(0).with_u8(0x03, function::EVENTS);
    Message::reply(&request, 0x1c + data.bytes().len())
        .with_u16(0x00, (data.bytes().len() / 4) as u16)
        .with_u16(0x14, kind)
        .with_bytes(0x1c, data.bytes())
}

/// Whether a host that masks these does not want to hear of an event.
pub(super) fn is_masked(masks: &[u32; 4], event: &Message) -> bool {
    let kind = usize::from(event.u16(0x14));
    masks
        .get(kind / 32)
        .is_none_or(|word| word >> (kind % 32) & 1 != 0)
}
