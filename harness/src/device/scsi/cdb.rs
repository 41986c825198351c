//! Command descriptor blocks: what an initiator asks for (SPC-4, SBC-3).

use super::Sense;
use super::mode::{Form, Page};

/// A command that the disk knows. `room` is the allocation length, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    TestUnitReady,
    RequestSense {
        room: u32,
    },
    /// With the number of a vital product data page, or without for the standard data.
    Inquiry {
        page: Option<u8>,
        room: u32,
    },
    ModeSense {
        page: Page,
        form: Form,
        room: u32,
    },
    StartStop {
        start: bool,
    },
    ReadCapacity10,
    ReadCapacity16 {
        room: u32,
    },
    Read(Blocks),
    Write(Blocks),
    Fill(Blocks),
    Verify(Blocks),
    Synchronize {
        at: u64,
    },
    ReportLuns {
        room: u32,
    },
}

/// A range of logical blocks, anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocks {
    pub(super) at: u64,
    pub(super) count: u32,
}

/// Reads one.
pub(super) fn parse(cdb: &[u8; 16]) -> Result<Command, Sense> {
    let command = match cdb[0] {
        0x00 => Command::TestUnitReady,
        0x03 => Command::RequestSense {
            room: u32::from(cdb[4]),
        },
        0x08 => Command::Read(six(cdb)),
        0x0a => Command::Write(six(cdb)),
        0x12 => Command::Inquiry {
            page: match (cdb[1] & 1, cdb[2]) {
                (0, 0) => None,
                (0, _) => return Err(Sense::INVALID_FIELD),
                (_, page) => Some(page),
            },
            room: word(cdb, 3),
        },
        0x1a => mode_sense(cdb, Form::Six, u32::from(cdb[4])),
        0x1b => Command::StartStop { start: start(cdb)? },
        0x25 => Command::ReadCapacity10,
        0x28 => Command::Read(unprotected(cdb, ten(cdb))?),
        0x2a => Command::Write(unprotected(cdb, ten(cdb))?),
        0x2f => Command::Verify(verify(cdb, ten(cdb))?),
        0x35 => Command::Synchronize { at: ten(cdb).at },
        0x41 => Command::Fill(fill(cdb, ten(cdb))?),
        0x5a => mode_sense(cdb, Form::Ten, word(cdb, 7)),
        0x88 => Command::Read(unprotected(cdb, sixteen(cdb))?),
        0x8a => Command::Write(unprotected(cdb, sixteen(cdb))?),
        0x8f => Command::Verify(verify(cdb, sixteen(cdb))?),
        0x91 => Command::Synchronize {
            at: sixteen(cdb).at,
        },
        0x93 => Command::Fill(fill(cdb, sixteen(cdb))?),
        // SERVICE ACTION IN(16): READ CAPACITY(16) alone.
        0x9e => match cdb[1] & 0x1f {
            0x10 => Command::ReadCapacity16 {
                room: long(cdb, 10),
            },
            _ => return Err(Sense::INVALID_FIELD),
        },
        0xa0 => match long(cdb, 6) {
            // SPC-4, 6.33: less than the header and one unit is an error.
            0..16 => return Err(Sense::INVALID_FIELD),
            room => Command::ReportLuns { room },
        },
        _ => return Err(Sense::UNKNOWN_COMMAND),
    };
    Ok(command)
}

fn word(cdb: &[u8; 16], at: usize) -> u32 {
    u32::from(cdb[at]) << 8 | u32::from(cdb[at + 1])
}

fn long(cdb: &[u8; 16], at: usize) -> u32 {
    word(cdb, at) << 16 | word(cdb, at + 2)
}

/// 21 bits of address, and 0 for 256 blocks.
fn six(cdb: &[u8; 16]) -> Blocks {
    Blocks {
        at: u64::from(long(cdb, 0) & 0x001f_ffff),
        count: match cdb[4] {
            0 => 256,
            count => u32::from(count),
        },
    }
}

fn ten(cdb: &[u8; 16]) -> Blocks {
    Blocks {
        at: u64::from(long(cdb, 2)),
        count: word(cdb, 7),
    }
}

fn sixteen(cdb: &[u8; 16]) -> Blocks {
    Blocks {
        at: u64::from(long(cdb, 2)) << 32 | u64::from(long(cdb, 6)),
        count: long(cdb, 10),
    }
}

/// RDPROTECT or WRPROTECT: there is no protection information on this disk.
fn unprotected(cdb: &[u8; 16], blocks: Blocks) -> Result<Blocks, Sense> {
    match cdb[1] & 0xe0 {
        0 => Ok(blocks),
        _ => Err(Sense::INVALID_FIELD),
    }
}

/// Without BYTCHK, which compares with the initiator's data.
fn verify(cdb: &[u8; 16], blocks: Blocks) -> Result<Blocks, Sense> {
    match cdb[1] & 0x06 {
        0 => unprotected(cdb, blocks),
        _ => Err(Sense::INVALID_FIELD),
    }
}

/// WRITE SAME: without ANCHOR, UNMAP and NDOB, and not 0 for "to the end" (WSNZ in VPD page b0h).
fn fill(cdb: &[u8; 16], blocks: Blocks) -> Result<Blocks, Sense> {
    match (cdb[1] & 0x19, blocks.count) {
        (0, 1..) => unprotected(cdb, blocks),
        _ => Err(Sense::INVALID_FIELD),
    }
}

/// START STOP UNIT: starts and stops; there are no power conditions, and nothing to eject.
fn start(cdb: &[u8; 16]) -> Result<bool, Sense> {
    match (cdb[4] >> 4, cdb[4] & 0x02) {
        (0, 0) => Ok(cdb[4] & 1 != 0),
        _ => Err(Sense::INVALID_FIELD),
    }
}

fn mode_sense(cdb: &[u8; 16], form: Form, room: u32) -> Command {
    Command::ModeSense {
        page: Page {
            control: cdb[2] >> 6,
            code: cdb[2] & 0x3f,
            subcode: cdb[3],
            block_descriptor: cdb[1] & 0x08 == 0,
        },
        form,
        room,
    }
}
