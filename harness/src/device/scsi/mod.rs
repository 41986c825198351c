//! A SCSI disk as its commands see it: SPC-4 and SBC-3, as far as an operating system asks. Pure: a
//! command goes in, and what is to be done with the medium comes out.

mod cdb;
mod inquiry;
mod mode;
mod sense;
#[cfg(test)]
mod tests;

pub(super) use inquiry::port;
pub(super) use sense::Sense;

/// Bytes of a logical block.
pub(super) const BLOCK: u64 = 512;

/// Blocks that one command may move, or fill: VPD page b0h says so. 32 MiB.
const MOST_BLOCKS: u32 = 0xffff;

/// A disk with one logical unit.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    blocks: u64,
    name: u64,
    /// Told to whoever sends the next command.
    attention: bool,
    stopped: bool,
}

/// A stretch of the medium, in bytes; always within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Where it begins.
    pub(super) offset: u64,
    /// How long it is.
    pub(super) length: u64,
}

/// What a command comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// GOOD; nothing moves.
    Done,
    /// GOOD, and these bytes for the initiator.
    Answer(Vec<u8>),
    /// The medium's bytes for the initiator.
    Read(Extent),
    /// The initiator's bytes for the medium.
    Write(Extent),
    /// One block of the initiator's, for each block of the medium.
    Fill(Extent),
    /// CHECK CONDITION.
    Check(Sense),
}

impl Disk {
    /// A disk of `size` bytes, of which whole blocks count, with this NAA name, just switched on.
    pub(super) fn new(size: u64, name: u64) -> Self {
        Self {
            blocks: size / BLOCK,
            name,
            attention: true,
            stopped: false,
        }
    }

    /// Its NAA name.
    pub(super) fn name(&self) -> u64 {
        self.name
    }

    /// Reset by whoever it is attached to.
    pub(super) fn reset(&mut self) {
        self.attention = true;
    }

    /// Carries out a command for a logical unit, addressed as SAM-5 does.
    pub(super) fn command(&mut self, unit: [u8; 8], cdb: &[u8; 16]) -> Action {
        let command = match cdb::parse(cdb) {
            Ok(command) => command,
            Err(sense) => return Action::Check(sense),
        };
        // These three answer whatever the unit is, and leave its attention (SAM-5, 5.14).
        match command {
            cdb::Command::Inquiry { page, room } => return self.inquiry(unit, page, room),
            cdb::Command::ReportLuns { room } => return Action::Answer(cut(report_luns(), room)),
            cdb::Command::RequestSense { room } => return self.request_sense(unit, room),
            _ => {}
        }
        if !is_the_unit(unit) {
            return Action::Check(Sense::NO_SUCH_UNIT);
        }
        if std::mem::take(&mut self.attention) {
            return Action::Check(Sense::POWER_ON_OR_RESET);
        }
        self.execute(command)
    }

    fn execute(&mut self, command: cdb::Command) -> Action {
        use cdb::Command;
        let ready = |action| match self.stopped {
            true => Action::Check(Sense::STOPPED),
            false => action,
        };
        match command {
            Command::TestUnitReady => ready(Action::Done),
            Command::StartStop { start } => {
                self.stopped = !start;
                Action::Done
            }
            Command::ModeSense { page, form, room } => match mode::sense(page, form, self.blocks) {
                Ok(answer) => Action::Answer(cut(answer, room)),
                Err(sense) => Action::Check(sense),
            },
            Command::ReadCapacity10 => ready(Action::Answer(self.capacity_10())),
            Command::ReadCapacity16 { room } => {
                ready(Action::Answer(cut(self.capacity_16(), room)))
            }
            Command::Read(blocks) => ready(self.moves(blocks, Action::Read)),
            Command::Write(blocks) => ready(self.moves(blocks, Action::Write)),
            Command::Fill(blocks) => ready(self.moves(blocks, Action::Fill)),
            // What has been written is on the medium: mode page 08h has no write cache.
            Command::Synchronize { at } | Command::Verify(cdb::Blocks { at, count: 0 }) => {
                match at <= self.blocks {
                    true => ready(Action::Done),
                    false => Action::Check(Sense::out_of_range(at)),
                }
            }
            Command::Verify(blocks) => ready(self.moves(blocks, |_| Action::Done)),
            Command::Inquiry { .. } | Command::ReportLuns { .. } | Command::RequestSense { .. } => {
                Action::Done
            }
        }
    }

    /// A range of blocks on the medium.
    fn moves(&self, blocks: cdb::Blocks, to: impl FnOnce(Extent) -> Action) -> Action {
        let count = u64::from(blocks.count);
        match blocks.at.checked_add(count) {
            Some(end) if end <= self.blocks => {}
            _ => return Action::Check(Sense::out_of_range(blocks.at)),
        }
        if blocks.count > MOST_BLOCKS {
            return Action::Check(Sense::INVALID_FIELD);
        }
        match count {
            0 => Action::Done,
            count => to(Extent {
                offset: blocks.at * BLOCK,
                length: count * BLOCK,
            }),
        }
    }

    fn inquiry(&self, unit: [u8; 8], page: Option<u8>, room: u32) -> Action {
        match (is_the_unit(unit), page) {
            (true, None) => Action::Answer(cut(inquiry::standard(), room)),
            (true, Some(page)) => match inquiry::page(page, self.name) {
                Some(answer) => Action::Answer(cut(answer, room)),
                None => Action::Check(Sense::INVALID_FIELD),
            },
            (false, None) => Action::Answer(cut(inquiry::no_unit(), room)),
            (false, Some(_)) => Action::Check(Sense::INVALID_FIELD),
        }
    }

    /// The answer is the sense data, and the status is GOOD.
    fn request_sense(&mut self, unit: [u8; 8], room: u32) -> Action {
        let sense = match () {
            () if !is_the_unit(unit) => Sense::NO_SUCH_UNIT,
            () if std::mem::take(&mut self.attention) => Sense::POWER_ON_OR_RESET,
            () if self.stopped => Sense::STOPPED,
            () => Sense::NONE,
        };
        Action::Answer(cut(sense.bytes().to_vec(), room))
    }

    /// SBC-3, 5.15: the last block, or that it does not fit.
    fn capacity_10(&self) -> Vec<u8> {
        let last = u32::try_from(self.last()).unwrap_or(u32::MAX);
        [last.to_be_bytes(), (BLOCK as u32).to_be_bytes()].concat()
    }

    /// SBC-3, 5.16: 32 bytes; no protection, no provisioning, one logical block a physical one.
    fn capacity_16(&self) -> Vec<u8> {
        let mut answer = self.last().to_be_bytes().to_vec();
        answer.extend((BLOCK as u32).to_be_bytes());
        answer.resize(32, 0);
        answer
    }

    fn last(&self) -> u64 {
        self.blocks.saturating_sub(1)
    }
}

/// SAM-5, 4.7: unit 0 in either way of addressing one.
fn is_the_unit(unit: [u8; 8]) -> bool {
    matches!(unit, [0x00 | 0x40, 0, 0, 0, 0, 0, 0, 0])
}

/// SPC-4, 6.33: one logical unit, number 0.
fn report_luns() -> Vec<u8> {
    let mut answer = vec![0; 16];
    answer[3] = 8;
    answer
}

/// As much of an answer as the initiator has room for.
fn cut(mut answer: Vec<u8>, room: u32) -> Vec<u8> {
    answer.truncate(room as usize);
    answer
}
