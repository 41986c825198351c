//! Configuration pages: what a driver reads to learn what the adapter is and what is attached
//! (drivers/scsi/mpt3sas/mpi/mpi2_cnfg.h). Pure.

use std::collections::BTreeMap;

use super::chip::Chip;
use super::message::{Message, Status};
use super::topology::{Device, ENCLOSURE, NO_PORT, RATE, RATES, Topology};

/// Which page: its type, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Page {
    kind: Kind,
    number: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    IoUnit,
    Ioc,
    Bios,
    Manufacturing,
    SasIoUnit,
    SasExpander,
    SasDevice,
    SasPhy,
    Enclosure,
}

/// PageType of pages whose type is in ExtPageType.
const EXTENDED: u8 = 0x0f;

/// Its size is known before its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    version: u8,
    length: usize,
    /// The host may write it.
    changeable: bool,
}

/// What a request wants with a page: MPI2_CONFIG_ACTION_.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Header,
    Read,
    ReadDefault,
    Write,
    Default,
}

impl Action {
    pub(super) fn new(code: u8) -> Result<Self, Status> {
        match code {
            0x00 => Ok(Self::Header),
            0x01 | 0x06 => Ok(Self::Read),
            0x02 | 0x04 => Ok(Self::Write),
            0x03 => Ok(Self::Default),
            0x05 => Ok(Self::ReadDefault),
            _ => Err(Status::ConfigInvalidAction),
        }
    }
}

/// Pages that the host has written. There are as many as can be written, each as long as it is.
#[derive(Debug, Default)]
pub(super) struct Written(BTreeMap<Page, Vec<u8>>);

impl Page {
    /// The page that a request names.
    pub(super) fn of(request: &Message) -> Result<Self, Status> {
        let kind = match (request.u8(0x17) & 0x0f, request.u8(0x06)) {
            (0x00, _) => Kind::IoUnit,
            (0x01, _) => Kind::Ioc,
            (0x02, _) => Kind::Bios,
            (0x09, _) => Kind::Manufacturing,
            (EXTENDED, 0x10) => Kind::SasIoUnit,
            (EXTENDED, 0x11) => Kind::SasExpander,
            (EXTENDED, 0x12) => Kind::SasDevice,
            (EXTENDED, 0x13) => Kind::SasPhy,
            (EXTENDED, 0x15) => Kind::Enclosure,
            // Types of RAID, NVMe and Ethernet: none of it is here.
            _ => return Err(Status::ConfigInvalidPage),
        };
        let number = request.u8(0x16);
        Ok(Self { kind, number })
    }

    fn shape(self, phys: u8) -> Result<Shape, Status> {
        let phys = usize::from(phys);
        let fixed = |version, length| (version, length, false);
        let (version, length, changeable) = match (self.kind, self.number) {
            (Kind::IoUnit, 0) => fixed(0x02, 0x14),
            (Kind::IoUnit, 1) => (0x04, 0x08, true),
            (Kind::IoUnit, 7) => fixed(0x05, 0x28),
            (Kind::IoUnit, 8) => fixed(0x00, 0x10),
            (Kind::Ioc, 0) => fixed(0x02, 0x1c),
            (Kind::Ioc, 1) => (0x05, 0x18, true),
            (Kind::Ioc, 8) => fixed(0x00, 0x18),
            (Kind::Bios, 1) => (0x07, 0x20, true),
            (Kind::Bios, 2) => (0x04, 0x70, true),
            (Kind::Bios, 3) => (0x01, 0x60, true),
            (Kind::Bios, 4) => (0x01, 0x08 + 16 * phys, true),
            (Kind::Manufacturing, 0) => fixed(0x00, 0x4c),
            (Kind::Manufacturing, 5) => fixed(0x03, 0x10 + 16 * phys),
            (Kind::Manufacturing, 11) => (0x00, 0x60, true),
            (Kind::SasIoUnit, 0) => fixed(0x05, 0x10 + 0x14 * phys),
            (Kind::SasIoUnit, 1) => (0x09, 0x14 + 0x0c * phys, true),
            (Kind::SasExpander, 0) => fixed(0x06, 0x3c),
            (Kind::SasExpander, 1) => fixed(0x02, 0x2c),
            (Kind::SasDevice, 0) => fixed(0x09, 0x38),
            (Kind::SasDevice, 1) => fixed(0x01, 0x30),
            (Kind::SasPhy, 0) => fixed(0x03, 0x20),
            (Kind::SasPhy, 1) => fixed(0x01, 0x1c),
            (Kind::Enclosure, 0) => fixed(0x04, 0x28),
            _ => return Err(Status::ConfigInvalidPage),
        };
        Ok(Shape {
            version,
            length,
            changeable,
        })
    }

    /// ExtPageType of an extended page; `None` for the others, with their PageType.
    fn kind_code(self) -> Result<u8, u8> {
        match self.kind {
            Kind::IoUnit => Err(0x00),
            Kind::Ioc => Err(0x01),
            Kind::Bios => Err(0x02),
            Kind::Manufacturing => Err(0x09),
            Kind::SasIoUnit => Ok(0x10),
            Kind::SasExpander => Ok(0x11),
            Kind::SasDevice => Ok(0x12),
            Kind::SasPhy => Ok(0x13),
            Kind::Enclosure => Ok(0x15),
        }
    }

    /// The page with its header and nothing else.
    pub(super) fn empty(self, phys: u8) -> Result<Message, Status> {
        let shape = self.shape(phys)?;
        let page = Message::new(shape.length)
            .with_u8(0, shape.version)
            .with_u8(2, self.number);
        Ok(match self.kind_code() {
            Err(code) => page.with_u8(1, (shape.length / 4) as u8).with_u8(
                3,
                code | match shape.changeable {
                    // MPI2_CONFIG_PAGEATTR_PERSISTENT, MPI2_CONFIG_PAGEATTR_READ_ONLY.
                    true => 0x20,
                    false => 0x00,
                },
            ),
            Ok(code) => page
                .with_u8(3, EXTENDED)
                .with_u16(4, (shape.length / 4) as u16)
                .with_u8(6, code),
        })
    }
}

impl Written {
    /// The page as it is: as it was written, or as it comes.
    pub(super) fn read(
        &self,
        page: Page,
        address: u32,
        chip: Chip,
        topology: &Topology,
    ) -> Result<Message, Status> {
        match self.0.get(&page) {
            Some(bytes) => Ok(Message::from(bytes.clone())),
            None => default(page, address, chip, topology),
        }
    }

    /// Takes the host's bytes for a page; its header stays.
    pub(super) fn write(&mut self, page: Page, bytes: &[u8], phys: u8) -> Result<(), Status> {
        let shape = page.shape(phys)?;
        if !shape.changeable || bytes.len() != shape.length {
            return Err(Status::ConfigCantCommit);
        }
        let header = page.empty(phys)?.field::<4>(0);
        let kept = Message::from(bytes.to_vec()).with(0, header);
        self.0.insert(page, kept.bytes().to_vec());
        Ok(())
    }

    /// Back to how it comes.
    pub(super) fn restore(&mut self, page: Page) {
        self.0.remove(&page);
    }
}

/// The page as the adapter comes, or as what is attached makes it.
pub(super) fn default(
    page: Page,
    address: u32,
    chip: Chip,
    topology: &Topology,
) -> Result<Message, Status> {
    let phys = topology.phys;
    let empty = page.empty(phys)?;
    Ok(match (page.kind, page.number) {
        (Kind::IoUnit, 0) => empty.with_u64(0x04, topology.address),
        (Kind::IoUnit, 7) => {
            // Eight lanes of 8 GT/s, and 45 degrees Celsius.
            let empty = empty.with_u8(0x06, 8).with_u8(0x07, 2);
            empty.with_u16(0x10, 45).with_u8(0x12, 2).with_u8(0x13, 1)
        }
        (Kind::Ioc, 0) => ioc_0(empty, chip),
        // Nobody has told it its place on the bus.
        (Kind::Ioc, 1) => empty.with(0x0d, [0xff; 3]),
        (Kind::Ioc, 8) => empty
            .with_u8(0x04, phys)
            .with_u16(0x08, 128)
            .with_u16(0x0a, 1024)
            // Device persistence mapping, with target ID 0 kept free.
            .with_u16(0x0c, 0x0010),
        (Kind::Bios, 3) => empty.with_u32(0x08, 0x0825_0000),
        (Kind::Bios, 4) => empty.with_u8(0x04, phys),
        (Kind::Manufacturing, 0) => empty
            .with_bytes(0x04, chip.name().as_bytes())
            .with_bytes(0x14, b"C0")
            .with_bytes(0x1c, b"crashdrill"),
        (Kind::Manufacturing, 5) => {
            let each = 0..usize::from(phys);
            each.fold(empty.with_u8(0x04, phys), |page, phy| {
                page.with_u64(0x10 + 16 * phy, topology.address)
            })
        }
        // EEDPTagMode: where it is 0 the driver says that it overrides it.
        (Kind::Manufacturing, 11) => empty.with_u8(0x09, 0x01),
        (Kind::SasIoUnit, 0) => sas_io_unit_0(empty, topology),
        (Kind::SasIoUnit, 1) => sas_io_unit_1(empty, phys),
        (Kind::SasDevice, 0) => {
            let handle = sas_device_handle(address, topology)?;
            sas_device_0(empty, handle, topology)?
        }
        (Kind::SasPhy, number) => {
            // Form 0: by the phy's number; form 1: by its place in a table that is the same here.
            let phy = match (address >> 28, u8::try_from(address & 0x0fff_ffff)) {
                (0 | 1, Ok(phy)) if phy < phys => phy,
                _ => return Err(Status::ConfigInvalidPage),
            };
            match number {
                0 => sas_phy_0(empty, phy, topology),
                _ => empty,
            }
        }
        (Kind::Enclosure, _) => {
            match (address >> 28, address as u16) {
                (0, 0xffff | 0) | (1, ENCLOSURE) => {}
                _ => return Err(Status::ConfigInvalidPage),
            }
            // Managed by the adapter over SGPIO; level 0 is valid.
            empty
                .with_u64(0x0c, topology.address)
                .with_u16(0x14, 0x0012)
                .with_u16(0x16, ENCLOSURE)
                .with_u16(0x18, u16::from(phys))
        }
        // No expander, and a disk that was never ATA.
        (Kind::SasExpander | Kind::SasDevice, _) => return Err(Status::ConfigInvalidPage),
        // Their zeros mean: nothing special.
        (Kind::IoUnit | Kind::Ioc | Kind::Bios | Kind::Manufacturing | Kind::SasIoUnit, _) => empty,
    })
}

fn ioc_0(page: Message, chip: Chip) -> Message {
    let identity = chip.identity();
    page.with_u16(0x0c, identity.vendor)
        .with_u16(0x0e, identity.device)
        .with_u8(0x10, identity.revision)
        .with_u32(0x14, identity.class)
        .with_u16(0x18, identity.subvendor)
        .with_u16(0x1a, identity.subdevice)
}

/// What each phy has: a port, a rate, and something attached.
fn sas_io_unit_0(page: Message, topology: &Topology) -> Message {
    let page = page.with_u8(0x0c, topology.phys);
    (0..topology.phys).fold(page, |page, phy| {
        let at = 0x10 + 0x14 * usize::from(phy);
        let (port, rate) = match topology.attached(phy) {
            0 => (NO_PORT, 0),
            _ => (0, RATE),
        };
        page.with_u8(at, port)
            // Ports are made by what is found.
            .with_u8(at + 0x01, 0x01)
            .with_u8(at + 0x03, rate)
            .with_u32(at + 0x04, Device::Adapter { phy }.info())
            .with_u16(at + 0x08, topology.attached(phy))
            .with_u16(at + 0x0a, u16::from(phy) + 1)
    })
}

fn sas_io_unit_1(page: Message, phys: u8) -> Message {
    // SASNarrowMaxQueueDepth, SASWideMaxQueueDepth and SATAMaxQDepth are 0: the driver's own.
    (0..phys).fold(page.with_u8(0x10, phys), |page, phy| {
        let at = 0x14 + 0x0c * usize::from(phy);
        page.with_u8(at + 0x01, 0x01)
            .with_u8(at + 0x03, RATES)
            .with_u32(at + 0x04, Device::Adapter { phy }.info())
    })
}

/// By handle (form 2), or the one that follows (form 0).
fn sas_device_handle(address: u32, topology: &Topology) -> Result<u16, Status> {
    let handle = address as u16;
    let found = match address >> 28 {
        0 => topology.after(handle),
        2 => Some(handle),
        _ => None,
    };
    found.ok_or(Status::ConfigInvalidPage)
}

fn sas_device_0(page: Message, handle: u16, topology: &Topology) -> Result<Message, Status> {
    let device = topology.device(handle).ok_or(Status::ConfigInvalidPage)?;
    let page = page
        .with_u16(0x0a, ENCLOSURE)
        .with_u64(0x0c, device.address(topology))
        .with_u16(0x18, handle)
        .with_u32(0x1c, device.info())
        // Present, and its enclosure's level is valid.
        .with_u16(0x20, 0x0003);
    Ok(match device {
        Device::Adapter { phy } => page.with_u8(0x16, phy),
        Device::Disk { name } => page
            // Its parent is the adapter's phy 0.
            .with_u16(0x14, 1)
            .with_u8(0x23, 1)
            .with_u64(0x24, name),
    })
}

fn sas_phy_0(page: Message, phy: u8, topology: &Topology) -> Message {
    let attached = topology.attached(phy);
    page.with_u16(0x08, u16::from(phy) + 1)
        .with_u16(0x0c, attached)
        .with_u8(0x14, RATES)
        .with_u8(0x15, RATES)
        // Since power was switched on.
        .with_u32(0x18, 0x0001_0000)
        .with_u8(0x1c, if attached == 0 { 0 } else { RATE })
}
