//! The kernel log since 5.10: `struct printk_ringbuffer`, a ring of descriptors beside a ring of
//! text (kernel/printk/printk_ringbuffer.c says how they work together).

use super::bytes::{u16_at, u64_at};
use super::log::{LogError, MAX_RECORDS, Text, offset, size, symbol};
use super::paging::KernelMemory;
use super::vmcoreinfo::VmcoreInfo;

/// A descriptor's state is the upper two bits of its state variable, its id the others.
const STATE_SHIFT: u32 = 62;
const ID_MASK: u64 = (1 << STATE_SHIFT) - 1;
const COMMITTED: u64 = 1;
const FINALIZED: u64 = 2;

/// Every text block begins with the id of its descriptor, an unsigned long.
const BLOCK_ID: u64 = 8;
/// The kernel's own limit is far below: log_buf_len= stops at 2 GiB.
const MAX_BITS: u32 = 31;

/// What VMCOREINFO says about the structures.
struct Layout {
    desc_size: usize,
    desc_state: usize,
    desc_begin: usize,
    desc_next: usize,
    info_size: usize,
    info_time: usize,
    info_text_len: usize,
}

impl Layout {
    fn new(info: &VmcoreInfo) -> Result<Self, LogError> {
        let counter = offset(info, "atomic_long_t.counter")?;
        let blk = offset(info, "prb_desc.text_blk_lpos")?;
        Ok(Self {
            desc_size: size(info, "prb_desc")?,
            desc_state: offset(info, "prb_desc.state_var")? + counter,
            desc_begin: blk + offset(info, "prb_data_blk_lpos.begin")?,
            desc_next: blk + offset(info, "prb_data_blk_lpos.next")?,
            info_size: size(info, "printk_info")?,
            info_time: offset(info, "printk_info.ts_nsec")?,
            info_text_len: offset(info, "printk_info.text_len")?,
        })
    }
}

/// A ring whose size is a power of two.
struct Ring {
    start: u64,
    bits: u32,
}

impl Ring {
    fn new(start: u64, bits: u32) -> Result<Self, LogError> {
        match bits {
            1..=MAX_BITS => Ok(Self { start, bits }),
            _ => Err(LogError::Damaged(format!("a ring of 2^{bits}"))),
        }
    }

    fn len(&self) -> u64 {
        1 << self.bits
    }

    fn index(&self, position: u64) -> u64 {
        position & (self.len() - 1)
    }
}

pub(super) fn read(kernel: &mut KernelMemory, info: &VmcoreInfo) -> Result<String, LogError> {
    let layout = Layout::new(info)?;
    let counter = offset(info, "atomic_long_t.counter")? as u64;
    let ring = kernel.read_u64(symbol(info, "prb")?)?;
    let member =
        |base: u64, name: &str| offset(info, name).map(|offset| base.wrapping_add(offset as u64));
    let descs_at = member(ring, "printk_ringbuffer.desc_ring")?;
    let bits = kernel.read_u32(member(descs_at, "prb_desc_ring.count_bits")?)?;
    let descs = Ring::new(
        kernel.read_u64(member(descs_at, "prb_desc_ring.descs")?)?,
        bits,
    )?;
    let infos = kernel.read_u64(member(descs_at, "prb_desc_ring.infos")?)?;
    let head = member(descs_at, "prb_desc_ring.head_id")?.wrapping_add(counter);
    let head = kernel.read_u64(head)? & ID_MASK;
    let tail = member(descs_at, "prb_desc_ring.tail_id")?.wrapping_add(counter);
    let tail = kernel.read_u64(tail)? & ID_MASK;

    let data_at = member(ring, "printk_ringbuffer.text_data_ring")?;
    let bits = kernel.read_u32(member(data_at, "prb_data_ring.size_bits")?)?;
    let data = Ring::new(
        kernel.read_u64(member(data_at, "prb_data_ring.data")?)?,
        bits,
    )?;

    let records = head.wrapping_sub(tail) & ID_MASK;
    if records >= descs.len() {
        return Err(LogError::Damaged(format!(
            "records {tail:#x} to {head:#x} in a ring of {}",
            descs.len()
        )));
    }
    if records > MAX_RECORDS {
        return Err(LogError::Damaged(format!("{records} records")));
    }
    let mut text = Text::default();
    let mut desc = vec![0; layout.desc_size];
    let mut about = vec![0; layout.info_size];
    let mut body = Vec::new();
    for step in 0..=records {
        let id = tail.wrapping_add(step) & ID_MASK;
        let index = descs.index(id);
        let slot = |base: u64, size: usize| base.wrapping_add(index * size as u64);
        kernel.read(slot(descs.start, layout.desc_size), &mut desc)?;
        let state = u64_at(&desc, layout.desc_state);
        // Reserved but never written, or already given to another record.
        if state & ID_MASK != id || !matches!(state >> STATE_SHIFT, COMMITTED | FINALIZED) {
            continue;
        }
        kernel.read(slot(infos, layout.info_size), &mut about)?;
        let begin = u64_at(&desc, layout.desc_begin);
        let next = u64_at(&desc, layout.desc_next);
        // Odd positions stand for "no text" and "the text was lost".
        if begin & 1 != 0 || next & 1 != 0 {
            continue;
        }
        let Some((from, room)) = block(&data, begin, next) else {
            return Err(LogError::Damaged(format!(
                "record {id:#x} has its text at {begin:#x} to {next:#x}"
            )));
        };
        let len = u64::from(u16_at(&about, layout.info_text_len)).min(room);
        body.resize(len as usize, 0);
        kernel.read(data.start.wrapping_add(from), &mut body)?;
        if !text.record(u64_at(&about, layout.info_time), &body) {
            return Err(LogError::Damaged("it has no end".to_owned()));
        }
    }
    Ok(text.finish())
}

/// Where a block's text begins in the ring, and how much room it has. A block that would cross
/// the ring's end lies at its beginning instead.
fn block(data: &Ring, begin: u64, next: u64) -> Option<(u64, u64)> {
    let (first, end) = match (begin >> data.bits, next >> data.bits) {
        (a, b) if a == b && begin < next => (data.index(begin), data.index(next)),
        // Exactly up to the ring's end.
        (a, b) if a.wrapping_add(1) == b && data.index(next) == 0 => {
            (data.index(begin), data.len())
        }
        (a, b) if a.wrapping_add(1) == b => (0, data.index(next)),
        _ => return None,
    };
    Some((first + BLOCK_ID, (end - first).checked_sub(BLOCK_ID)?))
}
