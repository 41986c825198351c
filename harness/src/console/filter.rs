//! Whether a line can matter at all, asked of every line of a log: a pattern is tried only on
//! lines that may hold some of the fixed text of some pattern.

mod literals;

use std::collections::BTreeMap;

use thiserror::Error;

pub use literals::{PatternError, required_literals};

/// Bytes of the shortest literal: fewer would let most lines pass.
pub const MIN_LITERAL: usize = 5;

/// Bytes that are looked up together.
const GRAM: usize = 4;

/// How far apart they are looked up. Every literal has that many in a row in the table, so one of
/// them is looked up wherever the literal stands.
const STRIDE: usize = MIN_LITERAL - GRAM + 1;

/// Lookups at a time.
const LANES: usize = 16;

/// Words of a table with a bit for every hash.
const KNOWN: usize = (1 << 16) / 32;

/// Bytes that they take.
const WINDOW: usize = LANES * STRIDE + GRAM - STRIDE;

/// A literal that a filter cannot use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{literal:?} is shorter than {MIN_LITERAL} bytes, so that lines cannot be told apart by it, or \
     is one of more than 30000"
)]
pub struct TooShort {
    /// The literal.
    pub literal: String,
}

/// Finds which of many literals a line holds, in any case of ASCII letters.
///
/// At every second byte of a line, four are looked up in a table; what is found there is compared
/// with the literals that have them.
#[derive(Debug, Clone)]
pub struct Filter {
    /// A bit for four bytes that stand in a literal, by their hash. 8 KiB stay in the first cache.
    known: Box<[u32; KNOWN]>,
    /// By hash: where in `places` those with it begin.
    by_hash: Box<[u16]>,
    /// Of every literal, the fours that are looked up, by their hash.
    places: Vec<Place>,
    literals: Vec<Box<[u8]>>,
    /// Nothing that is looked up may stand in a time stamp.
    skips_stamps: bool,
}

/// Four bytes of a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    gram: u32,
    literal: usize,
    at: usize,
    /// Where in the literal up to eight bytes begin that are compared first.
    near: usize,
    /// They, folded, and which of their bits count.
    eight: u64,
    mask: u64,
}

impl Filter {
    /// A filter for these literals, which it knows by their numbers, from 0.
    ///
    /// # Errors
    /// A literal of fewer than [`MIN_LITERAL`] bytes.
    pub fn new<L: AsRef<str>>(literals: impl IntoIterator<Item = L>) -> Result<Self, TooShort> {
        let mut folded = Vec::new();
        for literal in literals {
            let literal = literal.as_ref();
            // Numbers of places are kept in 16 bits.
            if literal.len() < MIN_LITERAL || folded.len() * STRIDE >= usize::from(u16::MAX) {
                return Err(TooShort {
                    literal: literal.to_owned(),
                });
            }
            folded.push(literal.to_ascii_lowercase().into_bytes().into_boxed_slice());
        }
        let mut known = Box::new([0; KNOWN]);
        let mut skips_stamps = true;
        let words = common_fours();
        let mut places = Vec::new();
        for (literal, text) in folded.iter().enumerate() {
            let begin = rarest(text, &words);
            let looked_up = text.get(begin..begin + GRAM + STRIDE - 1);
            skips_stamps &= looked_up.is_some_and(|bytes| !bytes.iter().all(in_stamp));
            for at in begin..begin + STRIDE {
                let gram = gram(&text[at..at + GRAM]);
                let hash = hash(gram);
                known[usize::from(hash >> 5)] |= 1 << (hash & 31);
                let near = at.saturating_sub(GRAM);
                let (eight, mask) = eight(&text[near..]);
                places.push(Place {
                    gram,
                    literal,
                    at,
                    near,
                    eight: eight & mask,
                    mask,
                });
            }
        }
        places.sort_by_key(|place| hash(place.gram));
        let mut by_hash = vec![0; 1 << 16].into_boxed_slice();
        for (number, place) in places.iter().enumerate().rev() {
            by_hash[usize::from(hash(place.gram))] = number as u16;
        }
        Ok(Self {
            known,
            by_hash,
            places,
            literals: folded,
            skips_stamps,
        })
    }

    /// Calls `found` with the number of every literal that stands in the text, in no order and
    /// perhaps more than once. The text begins with a time stamp and a space of `stamp` bytes.
    #[inline]
    pub fn find(&self, text: &str, stamp: usize, mut found: impl FnMut(usize)) {
        let bytes = text.as_bytes();
        // A literal may begin in the stamp, but not all that is looked up of it is there.
        let mut begin = match self.skips_stamps {
            true => stamp.saturating_sub(GRAM + STRIDE - 2),
            false => 0,
        };
        while let Some(window) = bytes.get(begin..).and_then(<[u8]>::first_chunk) {
            self.look(bytes, window, begin, &mut found);
            begin += LANES * STRIDE;
        }
        let Some(rest) = bytes.get(begin..).filter(|rest| rest.len() >= GRAM) else {
            return;
        };
        // Of the same bytes twice no harm comes: whichever the first lookup, one of two
        // neighbours is looked up.
        if let Some(window) = bytes.last_chunk() {
            self.look(bytes, window, bytes.len() - WINDOW, &mut found);
            return;
        }
        let mut window = [0; WINDOW];
        window[..rest.len()].copy_from_slice(rest);
        self.look(bytes, &window, begin, &mut found);
    }

    /// Looks up the fours of the window, which stands at `begin`.
    #[inline]
    fn look(
        &self,
        text: &[u8],
        window: &[u8; WINDOW],
        begin: usize,
        found: &mut impl FnMut(usize),
    ) {
        // Unrolled, without a check of bounds, by the compiler.
        for lane in 0..LANES {
            let at = lane * STRIDE;
            let gram = gram(&window[at..at + GRAM]);
            let hash = hash(gram);
            if self.known[usize::from(hash >> 5)] >> (hash & 31) & 1 != 0 {
                self.compare(text, begin + at, gram, found);
            }
        }
    }

    /// Which literals stand around four bytes of the text.
    #[inline(never)]
    fn compare(&self, text: &[u8], place: usize, gram: u32, found: &mut impl FnMut(usize)) {
        let hash = hash(gram);
        let first = usize::from(self.by_hash[usize::from(hash)]);
        for known in &self.places[first..] {
            if known.gram != gram {
                if self::hash(known.gram) != hash {
                    break;
                }
                continue;
            }
            let Some(from) = place.checked_sub(known.at) else {
                continue;
            };
            let (eight, _) = eight(text.get(from + known.near..).unwrap_or_default());
            if eight & known.mask != known.eight {
                continue;
            }
            let literal = &self.literals[known.literal];
            let here = text.get(from..from + literal.len());
            if here.is_some_and(|here| here.eq_ignore_ascii_case(literal)) {
                found(known.literal);
            }
        }
    }
}

/// Up to eight bytes with the bit set in which upper and lower case differ, and a mask of them.
#[inline]
fn eight(bytes: &[u8]) -> (u64, u64) {
    const FOLD: u64 = 0x2020_2020_2020_2020;
    if let Some(eight) = bytes.first_chunk() {
        return (u64::from_le_bytes(*eight) | FOLD, u64::MAX);
    }
    let mut eight = [0; 8];
    eight[..bytes.len()].copy_from_slice(bytes);
    let mask = (1 << (8 * bytes.len())) - 1;
    (u64::from_le_bytes(eight) | FOLD, mask)
}

/// Whether a byte may stand in `[    1.234567] `.
fn in_stamp(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b' ' | b'.' | b'[' | b']')
}

/// Four bytes with the bit set in which upper and lower case differ.
#[inline]
fn gram(bytes: &[u8]) -> u32 {
    let bytes = bytes.first_chunk().copied().unwrap_or_default();
    u32::from_le_bytes(bytes) | 0x2020_2020
}

#[inline]
fn hash(gram: u32) -> u16 {
    (gram.wrapping_mul(0x9e37_79b1) >> 16) as u16
}

/// Words of many console logs, the commonest first.
const COMMON_WORDS: &str = "\
    0000 0000:00: msi/msi-x acpi: virtio-pci [mem kernel registered interrupt link type code: cpu: \
    rip: eflags: rsp: rbx: rcx: pid: rax: rdi: rsi: rdx: rbp: table hardware entries: comm: \
    tainted: using call hash trace: pci: (irqs reserved bios name: node pci_bus resource window] \
    (order: from module root linked modules enabled standard initialized version bridge disabled \
    cpus with system ---[ init: ]--- configured class virtio_blk memory loading bytes) processors \
    loaded memory: ahci found smpboot: int_src_ovr (bus global_irq bus_irq and/or unable bug: uid: \
    hpet bytes, tsc: family protocol net: added panic sd_mod verification high access power pages \
    mbcache failed: syncing: kernel. out-of-tree taints missing libahci linear) rcu: orig_rax: \
    signature tainting required modules, scsi_mod libata failover virtio_net net_failover \
    scsi_common level) down command freeing here logical [bus ]------------ state device \
    ------------[ line: oops: available controller apic plug platform driver port modprobe linux \
    freed rtc_cmos preempt mtrr: integrity: keyring asymmetric evm: agp: configuration zone \
    device) _osc: governor usable total vfs: setting lapic pnp: nopti your events reserving timer \
    bogomips pref] sleep preparing enter last version: support disabled. watchdog: host reboot: \
    this mode task physical virtio_pci address: ended case estimate calibrate_delay_direct() \
    routing clocksource: initializing subsystem ranges tcp: block fatal read inconsistent \
    exception settings unused pointer warning: machine object core allocated workqueue: invalid \
    calibration domain enabled) _osi(processor audit: devices tables bind serio: detected mmconfig \
    zone: mask: does null setup max_idle_ns: max_cycles: offset: supports thermal info: enabled: \
    dropping override scheduler opcode:";

/// What a console log is made of, the commonest first.
const COMMON: &[u8] = b" 0iersotacfp:nmdlbu1xg2-48v3_.hk6y5[q]()/,7w9=z";

/// How often each four stands in the common words.
fn common_fours() -> BTreeMap<u32, usize> {
    let mut fours = BTreeMap::new();
    for four in COMMON_WORDS.as_bytes().windows(GRAM) {
        *fours.entry(gram(four)).or_default() += 1;
    }
    fours
}

/// Where the fours of a literal are looked up that a log holds least often.
fn rarest(literal: &[u8], words: &BTreeMap<u32, usize>) -> usize {
    let common = |byte: &u8| {
        let rank = COMMON.iter().position(|common| common == byte);
        rank.map_or(0, |rank| COMMON.len() - rank)
    };
    let in_words = |four: &[u8]| words.get(&gram(four)).copied().unwrap_or(0);
    let width = GRAM + STRIDE - 1;
    let places = literal.windows(width).enumerate();
    let score = |bytes: &[u8]| {
        (
            bytes.windows(GRAM).map(in_words).sum::<usize>(),
            bytes.iter().map(common).sum::<usize>(),
        )
    };
    places
        .min_by_key(|(_, bytes)| score(bytes))
        .map_or(0, |(at, _)| at)
}

#[cfg(test)]
mod tests;
