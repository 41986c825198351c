//! Any damage to any of the disks: no panic, and an end.

use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const BLOCK: usize = 4096;

/// A disk, and its blocks that are in use.
struct Damaged {
    disk: File,
    used: Vec<u64>,
    /// Whether damage to a block is to come with a checksum that is right again.
    checksums: bool,
}

impl Damaged {
    fn new(disk: File, checksums: bool) -> Mutex<Self> {
        let mut block = [0; BLOCK];
        let blocks = disk.metadata().unwrap().len() / BLOCK as u64;
        let used = (0..blocks).filter(|number| {
            FileExt::read_exact_at(&disk, &mut block, number * BLOCK as u64).unwrap();
            block.iter().any(|&byte| byte != 0)
        });
        let used = used.collect();
        Mutex::new(Self {
            disk,
            used,
            checksums,
        })
    }

    /// Does the damage, reads all that can be read, and undoes the damage.
    fn read(&self, damage: &[(Index, Index, Vec<u8>)]) {
        let mut before = Vec::new();
        for (block, within, bytes) in damage {
            let at = self.used[block.index(self.used.len())] * BLOCK as u64;
            let mut old = [0; BLOCK];
            FileExt::read_exact_at(&self.disk, &mut old, at).unwrap();
            let mut new = old;
            let within = within.index(BLOCK - bytes.len());
            new[within..within + bytes.len()].copy_from_slice(bytes);
            if self.checksums {
                let checksum = checksum::crc32c(&new[32..]);
                new[..4].copy_from_slice(&checksum.to_le_bytes());
            }
            self.disk.write_all_at(&new, at).unwrap();
            before.push((at, old));
        }
        let start = Instant::now();
        if let Ok(target) = open(&self.disk) {
            let found = target.find_dumps("/").unwrap_or_default();
            let others = ["/fragmented", "/zlib-300001", "/lzo-300001", "/zstd-300001"];
            let paths = found.dumps.iter().take(8).map(|file| file.path.as_str());
            for path in paths.chain(others) {
                if let Ok(reader) = target.open_dump(path) {
                    let mut bytes = vec![0; reader.len().min(8 << 20) as usize];
                    let _ = reader.read_exact_at(0, &mut bytes);
                }
            }
        }
        assert!(start.elapsed() < Duration::from_secs(20));
        for (at, old) in before.into_iter().rev() {
            self.disk.write_all_at(&old, at).unwrap();
        }
    }
}

/// Without the checksums of its log, which would keep damage away from what is behind them.
static DIRTY: LazyLock<Mutex<Damaged>> = LazyLock::new(|| {
    let disk = fixture(xfs::DIRTY);
    for at in xfs::log(&disk).step_by(512) {
        let mut magic = [0; 4];
        FileExt::read_exact_at(&disk, &mut magic, at).unwrap();
        if magic == [0xfe, 0xed, 0xba, 0xbe] {
            disk.write_all_at(&[0; 4], at + 32).unwrap();
        }
    }
    check_filled(&disk);
    Damaged::new(disk, false)
});
static VERSION_4: LazyLock<Mutex<Damaged>> =
    LazyLock::new(|| Damaged::new(fixture(xfs::VERSION_4), false));
static BTRFS: LazyLock<Mutex<Damaged>> =
    LazyLock::new(|| Damaged::new(fixture(btrfs::BTRFS), true));

fn damage() -> impl Strategy<Value = Vec<(Index, Index, Vec<u8>)>> {
    let bytes = proptest::collection::vec(any::<u8>(), 1..9);
    proptest::collection::vec((any::<Index>(), any::<Index>(), bytes), 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn damage_to_a_dirty_xfs_never_panics(damage in damage()) {
        DIRTY.lock().unwrap().read(&damage);
    }

    #[test]
    fn damage_to_an_xfs_of_version_4_never_panics(damage in damage()) {
        VERSION_4.lock().unwrap().read(&damage);
    }

    #[test]
    fn damage_to_a_btrfs_never_panics(damage in damage()) {
        BTRFS.lock().unwrap().read(&damage);
    }
}
