//! The disk, as SCSI I/O requests reach it: commands to [`crate::device::scsi`], data between the
//! guest's memory and a file of the host (drivers/scsi/mpt3sas/mpi/mpi2_init.h).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::message::{Message, Status};
use super::sgl::{BadList, Places};
use crate::device::Bus;
use crate::device::scsi::{Action, BLOCK, Disk, Extent, Sense};

/// What moves at once between the guest's memory and the file.
const PIECE: usize = 1 << 20;

/// SCSI status codes (SAM-5).
const GOOD: u8 = 0x00;
const CHECK_CONDITION: u8 = 0x02;
/// SCSIState: MPI2_SCSI_STATE_.
const AUTOSENSE_VALID: u8 = 0x01;
const AUTOSENSE_FAILED: u8 = 0x02;

/// A disk with its medium.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) disk: Disk,
    file: File,
    /// Kept, so that it is not made anew for every request.
    buffer: Vec<u8>,
}

/// The data phase of a request: which way, and how much of it the host has room or bytes for.
struct Data<'a> {
    request: &'a Message,
    into_host: u64,
    out_of_host: u64,
}

/// What a command came to.
#[derive(Debug, Default)]
struct Ending {
    /// What the disk wanted to move.
    wanted: u64,
    moved: u64,
    sense: Option<Sense>,
}

impl Target {
    /// A disk on a file, with this NAA name.
    pub(super) fn new(file: File, name: u64) -> io::Result<Self> {
        let disk = Disk::new(file.metadata()?.len(), name);
        Ok(Self {
            disk,
            file,
            buffer: vec![0; PIECE],
        })
    }

    /// Carries out a SCSI I/O request; `None` when all went well and there is nothing to add.
    /// `sense` is where the host wants sense data.
    pub(super) fn scsi_io(
        &mut self,
        request: &Message,
        sense: u64,
        bus: &mut Bus,
    ) -> Option<Message> {
        if let Some(what) = beyond_the_model(request) {
            bus.note(|| format!("a SCSI I/O request with {what}"));
            return Some(Message::refusal(request, Status::InvalidField));
        }
        let total = u64::from(request.u32(0x1c));
        // Control: the direction.
        let data = match request.u32(0x3c) >> 24 & 3 {
            1 => Data::new(request, 0, total),
            2 => Data::new(request, total, 0),
            _ => Data::new(request, 0, 0),
        };
        let cdb = request.field(0x40);
        let action = self.disk.command(request.field(0x34), &cdb);
        let ending = match self.act(action, &data, bus) {
            Ok(ending) => ending,
            Err(bad) => {
                bus.note(|| format!("SCSI command {:#04x}: {bad}", cdb[0]));
                let status = match bad {
                    BadList::Unreachable(_) => Status::InternalError,
                    _ => Status::InvalidSgl,
                };
                return Some(Message::refusal(request, status));
            }
        };
        let status = match () {
            () if ending.wanted > data.into_host + data.out_of_host => Status::DataOverrun,
            () if ending.moved < total => Status::DataUnderrun,
            () if ending.sense.is_none() => return None,
            () => Status::Success,
        };
        // MPI2_SCSI_IO_REPLY
        let reply = Message::reply(request, 0x34)
            .with_u16(0x00, request.u16(0x00))
            .with_u8(0x0c, GOOD)
            .with_status(status)
            .with_u32(0x14, ending.moved as u32)
            .with_u16(0x20, u16::MAX);
        Some(match ending.sense {
            None => reply,
            Some(told) => {
                let room = usize::from(request.u8(0x12)).min(Sense::LENGTH);
                let (state, count) = match bus.write(sense, &told.bytes()[..room]) {
                    Ok(()) => (AUTOSENSE_VALID, room),
                    Err(_) => (AUTOSENSE_FAILED, 0),
                };
                reply
                    .with_u8(0x0c, CHECK_CONDITION)
                    .with_u8(0x0d, state)
                    .with_u32(0x18, count as u32)
            }
        })
    }

    fn act(&mut self, action: Action, data: &Data<'_>, bus: &mut Bus) -> Result<Ending, BadList> {
        match action {
            Action::Done => Ok(Ending::default()),
            Action::Check(sense) => Ok(Ending {
                sense: Some(sense),
                ..Ending::default()
            }),
            Action::Answer(answer) => {
                let moved = data.into_host.min(answer.len() as u64);
                let mut places = data.places(moved, bus)?;
                places.write(bus, &answer[..moved as usize])?;
                Ok(Ending {
                    wanted: answer.len() as u64,
                    moved,
                    sense: None,
                })
            }
            Action::Read(extent) => self.read(extent, data, bus),
            Action::Write(extent) => self.write(extent, data, bus),
            Action::Fill(extent) => self.fill(extent, data, bus),
        }
    }

    fn read(&mut self, from: Extent, data: &Data<'_>, bus: &mut Bus) -> Result<Ending, BadList> {
        let mut ending = Ending {
            wanted: from.length,
            ..Ending::default()
        };
        let length = from.length.min(data.into_host);
        let mut places = data.places(length, bus)?;
        while ending.moved < length {
            let at = from.offset + ending.moved;
            let piece = piece(&mut self.buffer, length - ending.moved);
            if let Err(error) = self.file.read_exact_at(piece, at) {
                bus.note(|| format!("reading the disk's file at {at}: {error}"));
                ending.sense = Some(Sense::unreadable(at / BLOCK));
                break;
            }
            places.write(bus, piece)?;
            ending.moved += piece.len() as u64;
        }
        Ok(ending)
    }

    fn write(&mut self, to: Extent, data: &Data<'_>, bus: &mut Bus) -> Result<Ending, BadList> {
        let mut ending = Ending {
            wanted: to.length,
            ..Ending::default()
        };
        let length = to.length.min(data.out_of_host);
        let mut places = data.places(length, bus)?;
        while ending.moved < length {
            let at = to.offset + ending.moved;
            let piece = piece(&mut self.buffer, length - ending.moved);
            places.read(bus, piece)?;
            if let Some(sense) = put(&self.file, piece, at, bus) {
                ending.sense = Some(sense);
                break;
            }
            ending.moved += piece.len() as u64;
        }
        Ok(ending)
    }

    /// WRITE SAME: one block from the host, over and over.
    fn fill(&mut self, to: Extent, data: &Data<'_>, bus: &mut Bus) -> Result<Ending, BadList> {
        let mut ending = Ending {
            wanted: BLOCK,
            ..Ending::default()
        };
        if data.out_of_host < BLOCK {
            return Ok(ending);
        }
        let mut block = [0; BLOCK as usize];
        data.places(BLOCK, bus)?.read(bus, &mut block)?;
        ending.moved = BLOCK;
        let all = piece(&mut self.buffer, to.length);
        all.chunks_exact_mut(block.len())
            .for_each(|one| one.copy_from_slice(&block));
        let mut done = 0;
        while done < to.length && ending.sense.is_none() {
            let piece = piece(&mut self.buffer, to.length - done);
            ending.sense = put(&self.file, piece, to.offset + done, bus);
            done += piece.len() as u64;
        }
        Ok(ending)
    }
}

impl<'a> Data<'a> {
    fn new(request: &'a Message, into_host: u64, out_of_host: u64) -> Self {
        Self {
            request,
            into_host,
            out_of_host,
        }
    }

    /// Where the first `length` bytes of it lie: SGLOffset0 counts dwords.
    fn places(&self, length: u64, bus: &Bus) -> Result<Places, BadList> {
        let start = 4 * usize::from(self.request.u8(0x14));
        Places::follow(self.request, start, length, bus)
    }
}

/// What of a request is not modelled, and what its driver has no cause to use.
fn beyond_the_model(request: &Message) -> Option<&'static str> {
    let (io, protection) = (request.u16(0x24), request.u16(0x26));
    match () {
        () if io & 0x1000 != 0 || io & 0x01ff > 16 => Some("a command longer than 16 bytes"),
        () if io & 0x0800 != 0 => Some("data both ways"),
        () if protection & 0x07 != 0 => Some("protection information"),
        () => None,
    }
}

fn piece(buffer: &mut [u8], most: u64) -> &mut [u8] {
    let length = usize::try_from(most).unwrap_or(PIECE).min(buffer.len());
    &mut buffer[..length]
}

fn put(file: &File, bytes: &[u8], at: u64, bus: &mut Bus) -> Option<Sense> {
    let error = file.write_all_at(bytes, at).err()?;
    bus.note(|| format!("writing the disk's file at {at}: {error}"));
    Some(Sense::unwritable(at / BLOCK))
}
