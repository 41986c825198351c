//! Many drills side by side, as many as CPUs and memory allow.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{DrillResult, Event, HarnessError, Job, drill, runtime};
use crate::units::Bytes;

/// What the host can carry at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// The user's `-j`, if given: then it alone counts.
    pub jobs: Option<NonZeroUsize>,
    /// CPUs of the host. A TCG guest with N CPUs is N busy threads.
    pub cpus: usize,
    /// Memory that guests may take together.
    pub memory: Bytes,
}

impl Capacity {
    /// Reads the host: its CPUs, and four fifths of `MemAvailable` (proc_meminfo(5)).
    pub fn of_host(jobs: Option<NonZeroUsize>) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let available = std::fs::read_to_string("/proc/meminfo")
            .ok()
            .and_then(|text| meminfo(&text, "MemAvailable:"))
            .unwrap_or(2 * Bytes::GIB);
        Self {
            jobs,
            cpus,
            memory: Bytes(available / 5 * 4),
        }
    }

    /// Whether a guest of this size may start beside those that run. One always may: a guest
    /// larger than the host is slow, not wrong.
    pub fn admits(&self, running: &[Load], next: Load) -> bool {
        if running.is_empty() {
            return true;
        }
        if let Some(jobs) = self.jobs {
            return running.len() < jobs.get();
        }
        let cpus: usize = running.iter().map(|load| load.cpus).sum();
        let memory: u64 = running.iter().map(|load| load.memory.0).sum();
        cpus + next.cpus <= self.cpus && memory.saturating_add(next.memory.0) <= self.memory.0
    }
}

fn meminfo(text: &str, key: &str) -> Option<u64> {
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix(key))?
        .trim()
        .strip_suffix(" kB")?;
    kib.trim().parse::<u64>().ok()?.checked_mul(Bytes::KIB)
}

/// What one guest costs the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Its CPUs.
    pub cpus: usize,
    /// Its memory.
    pub memory: Bytes,
}

/// Runs the jobs, in their order as far as the capacity goes, and tells `events` about each.
/// Dropping the future ends every machine that runs.
pub async fn all(jobs: Vec<Arc<Job>>, capacity: Capacity, events: mpsc::UnboundedSender<Event>) {
    let mut waiting: VecDeque<(usize, Arc<Job>)> = jobs.into_iter().enumerate().collect();
    let mut running: Vec<Arc<Job>> = Vec::new();
    let mut tasks = JoinSet::new();
    loop {
        while let Some((_, next)) = waiting.front() {
            let loads: Vec<Load> = running.iter().map(|job| job.load()).collect();
            if !capacity.admits(&loads, next.load()) {
                break;
            }
            let Some((index, job)) = waiting.pop_front() else {
                break;
            };
            running.push(job.clone());
            let events = events.clone();
            tasks.spawn(async move {
                let result = drill::run(&job, index, &events).await.map(Box::new);
                // The receiver is gone only when the whole run is being dropped.
                let _ = events.send(Event::Finished { job: index, result });
                job
            });
        }
        match tasks.join_next().await {
            None => return,
            Some(Ok(done)) => running.retain(|job| !Arc::ptr_eq(job, &done)),
            Some(Err(error)) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return,
            },
        }
    }
}

/// Runs one drill on this thread, with nobody watching.
///
/// # Errors
/// The harness failed.
pub fn one(job: &Job) -> Result<DrillResult, HarnessError> {
    let (events, _) = mpsc::unbounded_channel();
    runtime()?.block_on(drill::run(job, 0, &events))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(cpus: usize, gib: u64) -> Load {
        Load {
            cpus,
            memory: Bytes(gib * Bytes::GIB),
        }
    }

    fn host(jobs: Option<usize>) -> Capacity {
        Capacity {
            jobs: jobs.and_then(NonZeroUsize::new),
            cpus: 4,
            memory: Bytes(8 * Bytes::GIB),
        }
    }

    #[test]
    fn a_guest_with_many_cpus_is_many_threads() {
        assert!(host(None).admits(&[load(1, 1), load(1, 1)], load(2, 1)));
        assert!(!host(None).admits(&[load(1, 1), load(2, 1)], load(2, 1)));
    }

    #[test]
    fn memory_counts() {
        assert!(!host(None).admits(&[load(1, 6)], load(1, 3)));
    }

    #[test]
    fn a_guest_too_large_for_the_host_runs_alone() {
        assert!(host(None).admits(&[], load(64, 64)));
        assert!(!host(None).admits(&[load(1, 1)], load(64, 1)));
    }

    #[test]
    fn the_users_number_alone_counts() {
        assert!(host(Some(3)).admits(&[load(8, 8), load(8, 8)], load(8, 8)));
        assert!(!host(Some(2)).admits(&[load(1, 1), load(1, 1)], load(1, 1)));
    }

    #[test]
    fn meminfo_is_read() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:     20000 kB\n";
        assert_eq!(meminfo(text, "MemAvailable:"), Some(20_000 * 1024));
        assert_eq!(meminfo(text, "Nothing:"), None);
    }
}
