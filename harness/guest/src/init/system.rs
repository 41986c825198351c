//! What a kernel expects PID 1 to set up, and what it says about itself.

use std::fs::{self, OpenOptions};

use crashdrill_guest::report::{Report, Role};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};

use crate::error::{Context, Failure};
use crate::memory;

pub(crate) const CRASH_SIZE: &str = "/sys/kernel/kexec_crash_size";

/// Mounts the kernel's file systems and takes the console. Linux 3.10 has all of them; its root is a
/// ramfs, not a tmpfs, so nothing here asks how much space is left there.
pub(crate) fn mount_all() -> Result<(), Failure> {
    for (kind, at) in [
        ("devtmpfs", "/dev"),
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("tmpfs", "/run"),
        ("tmpfs", "/tmp"),
    ] {
        match mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>) {
            Ok(()) | Err(Errno::EBUSY) => {}
            Err(errno) => return Err(errno).context(|| format!("mount {at}")),
        }
        if kind == "devtmpfs" {
            take_console()?;
        }
    }
    Ok(())
}

/// The kernel opened the console of the initramfs; this is the one that devtmpfs has.
fn take_console() -> Result<(), Failure> {
    let step = || "open /dev/console".to_owned();
    let console = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/console")
        .context(step)?;
    dup2_stdin(&console).context(step)?;
    dup2_stdout(&console).context(step)?;
    dup2_stderr(&console).context(step)
}

/// The first report. What cannot be read is 0 or empty: no drill fails for that.
pub(crate) fn started(role: Role) -> Report {
    Report::Started {
        role,
        release: line("/proc/sys/kernel/osrelease"),
        cpus: cpus(),
        uptime_ms: uptime_ms(&line("/proc/uptime")),
        memory: match role {
            Role::First => line(CRASH_SIZE).parse().unwrap_or(0),
            Role::Capture | Role::Server => memory::total(),
        },
    }
}

/// CPUs online.
pub(crate) fn cpus() -> u32 {
    cpu_count(&line("/sys/devices/system/cpu/online"))
}

/// What dmesg(1) shows, of up to `limit` bytes of the log.
pub(crate) fn kernel_log(limit: usize) -> Vec<u8> {
    /// syslog(2): the last messages of the ring, without clearing it.
    const SYSLOG_ACTION_READ_ALL: libc::c_int = 3;
    let mut text = vec![0_u8; limit];
    let room = libc::c_int::try_from(text.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the kernel writes at most `room` bytes into the buffer, which is that long.
    let length = unsafe { libc::klogctl(SYSLOG_ACTION_READ_ALL, text.as_mut_ptr().cast(), room) };
    text.truncate(usize::try_from(length).unwrap_or(0));
    without_levels(&text)
}

/// `<6>[    1.0] text` without the number.
fn without_levels(log: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(log.len());
    for line in log.split_inclusive(|&byte| byte == b'\n') {
        let end = line.iter().position(|&byte| byte == b'>');
        let level = end.filter(|&end| {
            let digits = line.get(1..end).unwrap_or_default();
            line.starts_with(b"<") && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
        });
        let begin = level.map_or(0, |end| end + 1);
        text.extend_from_slice(line.get(begin..).unwrap_or_default());
    }
    text
}

/// The first line of a small file of the kernel's, or nothing.
pub(crate) fn line(path: &str) -> String {
    let mut text = fs::read_to_string(path).unwrap_or_default();
    text.truncate(text.find('\n').unwrap_or(text.len()));
    text
}

/// CPUs in a list such as `0-3,8`.
fn cpu_count(list: &str) -> u32 {
    list.split(',')
        .filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
            last.checked_sub(first)?.checked_add(1)
        })
        .fold(0, u32::saturating_add)
}

/// `12.34 …` is seconds.
fn uptime_ms(text: &str) -> u64 {
    let uptime = text.split(' ').next().unwrap_or_default();
    let (seconds, hundredths) = uptime.split_once('.').unwrap_or((uptime, "0"));
    let seconds: u64 = seconds.parse().unwrap_or(0);
    let hundredths: u64 = hundredths.parse().unwrap_or(0);
    seconds
        .saturating_mul(1000)
        .saturating_add(hundredths.saturating_mul(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists() {
        assert_eq!(cpu_count("0"), 1);
        assert_eq!(cpu_count("0-3,8"), 5);
        assert_eq!(cpu_count(""), 0);
        assert_eq!(cpu_count("3-1,x,0-4294967295"), 0);
    }

    #[test]
    fn levels() {
        let log = b"<6>[    1.0] a\n<12>[    2.0] b <c>\n<x>d\ne\n<>f\n>g";
        let wanted = b"[    1.0] a\n[    2.0] b <c>\n<x>d\ne\n<>f\n>g";
        assert_eq!(without_levels(log), wanted);
        assert_eq!(without_levels(b""), b"");
    }

    #[test]
    fn uptimes() {
        assert_eq!(uptime_ms("12.34 0.00"), 12_340);
        assert_eq!(uptime_ms("2.05 1.00"), 2_050);
        assert_eq!(uptime_ms("never"), 0);
    }
}
