//! Scatter-gather lists: where in the guest's memory a request's data lies. IEEE 64-bit elements with
//! chains, as MPI 2.5 has them (mpi2.h, MPI2_IEEE_SGE_SIMPLE64 and MPI25_IEEE_SGE_CHAIN64).

use super::message::Message;
use crate::device::{Bus, Unreachable};

/// Bytes of an element.
const ELEMENT: usize = 16;
const CHAIN: u8 = 0x80;
const END_OF_LIST: u8 = 0x40;
/// Where data may lie besides the host's memory; none of it is here.
const ELSEWHERE: u8 = 0x03;

/// Elements that a list may have, chains included: MaxChainDepth segments of eight are 1024. A list
/// that chains in a circle ends here.
const MOST_ELEMENTS: usize = 2048;

/// A list that cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadList {
    #[error("a scatter-gather list of more than {MOST_ELEMENTS} elements")]
    Endless,
    #[error("a scatter-gather list that ends before its data")]
    Short,
    #[error("a scatter-gather list in the adapter's own memory")]
    Elsewhere,
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
}

/// Stretches of the guest's memory, in order; neighbours are one.
#[derive(Debug, Default)]
pub(super) struct Places {
    pieces: Vec<(u64, u64)>,
    /// The piece that comes next, and how much of it is used.
    at: usize,
    used: u64,
}

impl Places {
    /// Follows the list at `start` of a request as far as `total` bytes.
    pub(super) fn follow(
        request: &Message,
        start: usize,
        total: u64,
        bus: &Bus,
    ) -> Result<Self, BadList> {
        let mut places = Self::default();
        let mut missing = total;
        let mut segment = None::<Message>;
        let mut at = start;
        for _ in 0..MOST_ELEMENTS {
            if missing == 0 {
                return Ok(places);
            }
            let list = segment.as_ref().unwrap_or(request);
            if at + ELEMENT > list.bytes().len() {
                return Err(BadList::Short);
            }
            let (address, length) = (list.u64(at), list.u32(at + 8));
            let flags = list.u8(at + 15);
            at += ELEMENT;
            if flags & ELSEWHERE != 0 {
                return Err(BadList::Elsewhere);
            }
            if flags & CHAIN != 0 {
                let length = (length as usize).min(MOST_ELEMENTS * ELEMENT);
                let mut bytes = vec![0; length];
                bus.read(address, &mut bytes)?;
                (segment, at) = (Some(Message::from(bytes)), 0);
                continue;
            }
            let length = u64::from(length).min(missing);
            missing -= length;
            places.push(address, length);
            if flags & END_OF_LIST != 0 && missing > 0 {
                return Err(BadList::Short);
            }
        }
        match missing {
            0 => Ok(places),
            _ => Err(BadList::Endless),
        }
    }

    fn push(&mut self, address: u64, length: u64) {
        match self.pieces.last_mut() {
            Some((before, so_far)) if before.checked_add(*so_far) == Some(address) => {
                *so_far += length;
            }
            _ => self.pieces.push((address, length)),
        }
    }

    /// Takes the next bytes from there.
    pub(super) fn read(&mut self, bus: &Bus, data: &mut [u8]) -> Result<(), BadList> {
        let mut done = 0;
        while done < data.len() {
            let (address, length) = self.next(data.len() - done)?;
            bus.read(address, &mut data[done..done + length])?;
            done += length;
        }
        Ok(())
    }

    /// Puts bytes there next.
    pub(super) fn write(&mut self, bus: &Bus, data: &[u8]) -> Result<(), BadList> {
        let mut done = 0;
        while done < data.len() {
            let (address, length) = self.next(data.len() - done)?;
            bus.write(address, &data[done..done + length])?;
            done += length;
        }
        Ok(())
    }

    /// The next stretch, of at most `most` bytes.
    fn next(&mut self, most: usize) -> Result<(u64, usize), BadList> {
        loop {
            let &(address, length) = self.pieces.get(self.at).ok_or(BadList::Short)?;
            match length - self.used {
                0 => (self.at, self.used) = (self.at + 1, 0),
                left => {
                    let length = usize::try_from(left).unwrap_or(most).min(most);
                    let from = address.wrapping_add(self.used);
                    self.used += length as u64;
                    return Ok((from, length));
                }
            }
        }
    }
}
