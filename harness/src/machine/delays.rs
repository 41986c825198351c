//! How long the guest's CPUs waited for one of the host's.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Adds up, from sample to sample, the longest wait of any one guest CPU: while one of them runs
/// the machine makes progress, but the one that the guest needs may be the one that waits.
#[derive(Debug, Default)]
pub(super) struct Delays {
    last: BTreeMap<u32, u64>,
    total: u64,
}

impl Delays {
    /// Takes a sample of a process and returns the sum so far. It stays where it is when the
    /// process is gone, or when this kernel keeps no such statistics (CONFIG_SCHED_INFO).
    pub(super) fn sample(&mut self, pid: Option<u32>) -> Duration {
        let now = pid.map(|pid| guest_cpus(&Path::new("/proc").join(pid.to_string()).join("task")));
        self.add(now.unwrap_or_default())
    }

    fn add(&mut self, now: BTreeMap<u32, u64>) -> Duration {
        let grown = now.iter().map(|(thread, waited)| {
            let before = self.last.get(thread).copied().unwrap_or(0);
            waited.saturating_sub(before)
        });
        self.total = self.total.saturating_add(grown.max().unwrap_or(0));
        self.last.extend(now);
        Duration::from_nanos(self.total)
    }
}

/// Thread id to nanoseconds spent runnable but not running, for threads that run guest code.
fn guest_cpus(tasks: &Path) -> BTreeMap<u32, u64> {
    let Ok(entries) = fs::read_dir(tasks) else {
        return BTreeMap::new();
    };
    entries
        .flatten()
        .filter_map(|task| {
            let thread = task.file_name().to_str()?.parse().ok()?;
            // QEMU's debug-threads=on: `CPU 0/TCG`, `CPU 0/KVM`.
            let name = fs::read_to_string(task.path().join("comm")).ok()?;
            let waited = fs::read_to_string(task.path().join("schedstat")).ok()?;
            name.starts_with("CPU ")
                .then_some((thread, run_delay(&waited)?))
        })
        .collect()
}

/// `running waiting timeslices`, the first two in nanoseconds.
fn run_delay(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_of_each_interval_counts() {
        let mut delays = Delays::default();
        let sample = |pairs: &[(u32, u64)]| pairs.iter().copied().collect();
        assert_eq!(delays.add(sample(&[(1, 5), (2, 50)])).as_nanos(), 50);
        assert_eq!(delays.add(sample(&[(1, 45), (2, 51)])).as_nanos(), 90);
        assert_eq!(delays.add(sample(&[])).as_nanos(), 90);
        assert_eq!(delays.add(sample(&[(1, 46)])).as_nanos(), 91);
    }

    #[test]
    fn only_guest_cpus_are_counted() {
        assert_eq!(run_delay("25 13 7\n"), Some(13));
        assert_eq!(run_delay(""), None);
        assert!(guest_cpus(Path::new("/proc/self/task")).is_empty());
        assert!(guest_cpus(Path::new("/nonexistent")).is_empty());
    }
}
