//! The lowest amount of memory that was left.

use std::fs;

/// Running minimum of MemAvailable.
pub(crate) struct Memory {
    lowest: u64,
}

impl Memory {
    pub(crate) fn new() -> Self {
        let mut memory = Self { lowest: u64::MAX };
        memory.sample();
        memory
    }

    pub(crate) fn sample(&mut self) {
        if let Some(left) = meminfo(left) {
            self.lowest = self.lowest.min(left);
        }
    }

    /// Bytes; 0 when /proc/meminfo could never be read.
    pub(crate) fn lowest(&self) -> u64 {
        match self.lowest {
            u64::MAX => 0,
            lowest => lowest,
        }
    }
}

/// MemTotal in bytes, 0 if unknown.
pub(crate) fn total() -> u64 {
    meminfo(|text| field(text, "MemTotal:")).unwrap_or(0)
}

fn meminfo(read: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    read(&fs::read_to_string("/proc/meminfo").ok()?)
}

/// Kernels before 3.14 have no MemAvailable.
fn left(meminfo: &str) -> Option<u64> {
    field(meminfo, "MemAvailable:").or_else(|| field(meminfo, "MemFree:"))
}

fn field(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_on_new_and_on_old_kernels() {
        let new = "MemTotal:         239428 kB\nMemFree:          180232 kB\nMemAvailable:     181000 kB\n";
        assert_eq!(left(new), Some(181_000 * 1024));
        assert_eq!(field(new, "MemTotal:"), Some(239_428 * 1024));
        let old = "MemTotal:         239428 kB\nMemFree:          180232 kB\nBuffers: 0 kB\n";
        assert_eq!(left(old), Some(180_232 * 1024));
        assert_eq!(left("MemFree: many kB"), None);
    }
}
