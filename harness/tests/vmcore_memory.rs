//! A damaged dump must not make the reader take memory by the word of a length field.

#[path = "../src/vmcore/fixture.rs"]
#[expect(dead_code, reason = "the unit tests use the rest")]
#[expect(clippy::unwrap_used, reason = "a test")]
mod fixture;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crashdrill::vmcore::{ReadAt, inspect};
use fixture::{Codec, LogKind, Machine, Mapping, flatten};
use proptest::prelude::*;
use proptest::sample::Index;

/// What inspect() may hold at once: its caches, the longest log, the segments of an ELF dump.
const LIMIT: usize = 16 << 20;

/// What a flattened dump's index may hold: 4 million records.
const RECORDS_LIMIT: usize = 256 << 20;

/// Counts what is allocated and not yet freed, and the most of it.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(held, Relaxed);
        // SAFETY: the caller keeps alloc's contract, which is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above; the pointer came from System.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A flattened dump without end: records of one byte, as far apart as it takes to remember each.
struct Endless;

impl ReadAt for Endless {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        const RECORD: u64 = 17;
        for (at, byte) in (offset..).zip(buf) {
            *byte = match at {
                0..4096 => match at {
                    0..12 => b"makedumpfile"[at as usize],
                    23 | 31 => 1,
                    _ => 0,
                },
                _ => {
                    let (record, within) = ((at - 4096) / RECORD, (at - 4096) % RECORD);
                    match within {
                        0..8 => (2 * record).to_be_bytes()[within as usize],
                        15 => 1,
                        _ => 0,
                    }
                }
            };
        }
        Ok(())
    }
}

/// Both tests count the memory of the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn records_without_end_are_refused() {
    let _alone = ONE_AT_A_TIME.lock();
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let error = inspect(&Endless, u64::MAX).unwrap_err().to_string();
    assert!(error.contains("makedumpfile -R"), "{error}");
    let most = MOST.load(Relaxed) - before;
    assert!(most < RECORDS_LIMIT, "{most} bytes");
}

fn memory_of(dump: &[u8]) -> usize {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let found = inspect(&dump, dump.len() as u64);
    let most = MOST.load(Relaxed) - before;
    drop(found);
    most
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damage_takes_no_memory(
        ring in any::<bool>(),
        shape in 0..5u8,
        damage in proptest::collection::vec((any::<Index>(), any::<[u8; 8]>(), 1..9usize), 1..12),
    ) {
        let _alone = ONE_AT_A_TIME.lock();
        let log = if ring { LogKind::Ring } else { LogKind::Log };
        let machine = Machine::new(log, Mapping::Huge, 5);
        let mut dump = match shape {
            0 => machine.elf(),
            1 => machine.kdump(6, Codec::Plain, 0),
            2 => flatten(&machine.elf(), 512),
            3 => flatten(&machine.kdump(6, Codec::Lzo, 1), 4096),
            _ => machine.kdump(5, Codec::Zstd, 1),
        };
        prop_assert!(memory_of(&dump) < LIMIT);
        for (at, bytes, count) in damage {
            let at = at.index(dump.len().min(5 * 4096 + 600));
            for (place, byte) in dump[at..].iter_mut().zip(&bytes[..count]) {
                *place = *byte;
            }
        }
        let most = memory_of(&dump);
        prop_assert!(most < LIMIT, "{} bytes", most);
    }
}
