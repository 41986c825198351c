//! Lines to phases: how far the machine came, and which line says so.

use std::sync::LazyLock;

use regex::Regex;

use super::lines::LineRef;
use crate::verdict::outcome::Phase;

/// Time stamps of the same kernel may be this much out of order (several CPUs write to one log);
/// a clock that goes back further is another kernel's. Microseconds.
const DISORDER: u64 = 1_000_000;

/// A phase and the line that began it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseMark {
    /// The phase.
    pub phase: Phase,
    /// [`LineRef::number`].
    pub number: u64,
    /// [`LineRef::text`].
    pub text: String,
}

/// The console says that nothing more will come of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// A panic is over; what would follow is waiting for `panic=` seconds, or for ever.
    Panicked,
    /// Halted: a machine that does so never ends by itself.
    Halted,
    /// About to power off: the machine ends by itself.
    PoweringOff,
    /// About to reset: the machine ends by itself, or starts over.
    Restarting,
    /// The firmware has come back.
    Reset,
}

/// Follows a console line by line. Phases never go back.
#[derive(Debug, Clone, Default)]
pub struct PhaseTracker {
    marks: Vec<PhaseMark>,
    terminal: Option<Terminal>,
    /// The first kernel's last oops: its crash, if a capture kernel follows without another word.
    /// With panic_on_oops, oops_end() starts the capture kernel before panic() prints anything.
    oops: Option<PhaseMark>,
    crashed_at: Option<u64>,
    panicked: bool,
    firmware_again: bool,
}

/// One pass over a line decides whether it can matter. What the alternatives are is told apart in
/// [`PhaseTracker::observe`].
static INTERESTING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        "Linux version |ommand line: |loaded kdump kernel|Trigger a crash|Kernel panic - not syncing",
        r"|: loading drivers|saving vmcore| \[#|Rebooting in |end Kernel panic|Kernel Offset: ",
        "|ower down|ystem halted|Restarting system|SeaBIOS "
    ))
    .ok()
});

impl PhaseTracker {
    /// Before the first line.
    pub fn new() -> Self {
        Self::default()
    }

    /// The phase reached.
    pub fn phase(&self) -> Phase {
        self.marks.last().map_or(Phase::Firmware, |mark| mark.phase)
    }

    /// Every phase reached so far but [`Phase::Firmware`], which no line begins.
    pub fn marks(&self) -> &[PhaseMark] {
        &self.marks
    }

    /// Whether the machine has come to its end, and to which.
    pub fn terminal(&self) -> Option<Terminal> {
        self.terminal
    }

    /// Takes the next line; gives the phases that it begins.
    pub fn observe(&mut self, line: LineRef<'_>) -> &[PhaseMark] {
        let before = self.marks.len();
        if self.phase() == Phase::Crashed
            && let (Some(crashed), Some(now)) = (self.crashed_at, line.stamp())
            && now + DISORDER < crashed
            && !self.firmware_again
        {
            self.advance(Phase::CaptureKernel, line);
        }
        if INTERESTING
            .as_ref()
            .is_none_or(|regex| regex.is_match(line.text()))
        {
            self.interesting(line);
        }
        &self.marks[before..]
    }

    fn interesting(&mut self, line: LineRef<'_>) {
        let message = line.message();
        let has = |text: &str| message.contains(text);
        if has("Linux version ") {
            self.kernel(line);
        } else if has("ommand line: ") && has(" elfcorehdr=") {
            self.advance(Phase::CaptureKernel, line);
        } else if has("kexec: loaded kdump kernel") {
            self.advance(Phase::Armed, line);
        } else if has("Trigger a crash")
            || (has("Kernel panic - not syncing") && !has("end Kernel panic"))
        {
            self.crash(line);
        } else if has("[#") && is_oops(message) {
            self.oops(line);
        } else if has("crashdrill capture init: loading drivers") {
            self.advance(Phase::CaptureDrivers, line);
        } else if has("kdump") && has(": saving vmcore") {
            if message.trim_end().ends_with(": saving vmcore") {
                self.advance(Phase::Saving, line);
            } else if has(": saving vmcore complete") {
                self.advance(Phase::Saved, line);
            }
        } else if message.starts_with("SeaBIOS ") && self.phase() >= Phase::FirstKernel {
            self.firmware_again = true;
            self.terminal = Some(Terminal::Reset);
        } else {
            self.end(message);
        }
    }

    /// A kernel's first line.
    fn kernel(&mut self, line: LineRef<'_>) {
        // A shell may print the same text from /proc/version, but later.
        if line.stamp().is_some_and(|stamp| stamp >= DISORDER) {
            return;
        }
        match self.phase() {
            Phase::Firmware => self.advance(Phase::FirstKernel, line),
            // A kernel after the firmware is a reboot, not a kexec.
            _ if self.firmware_again => {}
            Phase::Crashed => self.advance(Phase::CaptureKernel, line),
            Phase::FirstKernel | Phase::Armed if self.oops.is_some() => {
                self.advance(Phase::CaptureKernel, line);
            }
            // A reboot whose firmware is silent looks the same; the command line will tell.
            _ => {}
        }
    }

    fn crash(&mut self, line: LineRef<'_>) {
        if line.message().contains("Kernel panic - not syncing") {
            self.panicked = true;
        }
        if self.phase() < Phase::Crashed {
            self.crashed_at = line.stamp();
            self.advance(Phase::Crashed, line);
        }
    }

    fn oops(&mut self, line: LineRef<'_>) {
        if self.phase() < Phase::Crashed {
            self.oops = Some(mark(Phase::Crashed, line));
        }
    }

    fn end(&mut self, message: &str) {
        let starts = |texts: &[&str]| texts.iter().any(|text| message.starts_with(text));
        let ended = if starts(&["Rebooting in ", "---[ end Kernel panic"]) {
            self.panicked.then_some(Terminal::Panicked)
        } else if starts(&["Kernel Offset: "]) {
            // panic() prints this after it has tried to start a capture kernel, except with
            // crash_kexec_post_notifiers: then the first kernel says so before it.
            (self.panicked && self.phase() >= Phase::CaptureKernel).then_some(Terminal::Panicked)
        } else if starts(&["reboot: System halted", "System halted"]) {
            Some(Terminal::Halted)
        } else if starts(&["reboot: Power down", "Power down"]) {
            Some(Terminal::PoweringOff)
        } else if starts(&["reboot: Restarting system", "Restarting system"]) {
            Some(Terminal::Restarting)
        } else {
            None
        };
        self.terminal = self.terminal.or(ended);
    }

    fn advance(&mut self, phase: Phase, line: LineRef<'_>) {
        if phase <= self.phase() {
            return;
        }
        if phase >= Phase::CaptureKernel && self.phase() < Phase::CaptureKernel {
            if let Some(oops) = self.oops.take()
                && self.phase() < Phase::Crashed
            {
                self.marks.push(oops);
            }
            // A capture kernel that prints nothing is still one.
            if phase > Phase::CaptureKernel {
                self.marks.push(mark(Phase::CaptureKernel, line));
            }
            // What the first kernel said of its own panic is not the capture kernel's.
            self.panicked = false;
            self.terminal = None;
        }
        self.marks.push(mark(phase, line));
    }
}

/// The header that die() prints for every fatal trap: `Oops: 0002 [#1] SMP`,
/// `invalid opcode: 0000 [#1] SMP`, `general protection fault, … : 0000 [#1] PREEMPT SMP`.
fn is_oops(message: &str) -> bool {
    message
        .split_once(" [#")
        .and_then(|(title, _)| title.rsplit_once(": "))
        .is_some_and(|(_, code)| {
            let code = code.strip_prefix("0x").unwrap_or(code);
            code.len() >= 4 && code.bytes().all(|b| b.is_ascii_hexdigit())
        })
}

fn mark(phase: Phase, line: LineRef<'_>) -> PhaseMark {
    PhaseMark {
        phase,
        number: line.number(),
        text: line.text().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use Phase::*;

    use super::*;

    fn follow(log: &str) -> PhaseTracker {
        let mut tracker = PhaseTracker::new();
        for (index, text) in log.lines().enumerate() {
            tracker.observe(LineRef::new(index as u64 + 1, text));
        }
        tracker
    }

    fn phases(log: &str) -> Vec<(Phase, u64)> {
        let tracker = follow(log);
        tracker
            .marks
            .iter()
            .map(|mark| (mark.phase, mark.number))
            .collect()
    }

    #[test]
    fn a_whole_drill() {
        let log = "SeaBIOS (version 1.16.2)
Booting from ROM.. [    0.000000] Linux version 6.1.0
[    0.000000] Command line: crashkernel=256M
kdump: kexec: loaded kdump kernel
[    2.926110] sysrq: Trigger a crash
[    2.926682] Kernel panic - not syncing: sysrq triggered crash
[    0.000000] Linux version 6.1.0
[    0.000000] Command line: nr_cpus=1 elfcorehdr=802164K
kdump: crashdrill capture init: loading drivers
kdump: saving vmcore-dmesg.txt complete
kdump: saving vmcore
Copying data : [100.0 %]
kdump: saving vmcore complete
[    9.947399] reboot: Power down";
        assert_eq!(
            phases(log),
            [
                (FirstKernel, 2),
                (Armed, 4),
                (Crashed, 5),
                (CaptureKernel, 7),
                (CaptureDrivers, 9),
                (Saving, 11),
                (Saved, 13)
            ]
        );
        let terminal = follow(log).terminal();
        assert_eq!(terminal, Some(Terminal::PoweringOff));
        assert!(!matches!(
            terminal,
            Some(Terminal::Panicked | Terminal::Halted)
        ));
    }

    #[test]
    fn a_panic_is_over_before_its_timeout() {
        let capture = "[    5.0] x
[    0.000000] Command line: nr_cpus=1 elfcorehdr=802164K
[    2.763117] Kernel panic - not syncing: Fatal exception";
        assert_eq!(follow(capture).terminal(), None);
        for end in [
            "[    2.763117] Kernel Offset: disabled",
            "[    2.763117] Rebooting in 10 seconds..",
            "[    2.763117] ---[ end Kernel panic - not syncing: Fatal exception ]---",
        ] {
            let tracker = follow(&format!("{capture}\n{end}"));
            assert_eq!(tracker.terminal(), Some(Terminal::Panicked), "{end}");
        }
        let first = "[    1.000000] Kernel panic - not syncing: x
[    1.000000] Kernel Offset: 0x1000000 from 0xffffffff81000000";
        assert_eq!(follow(first).terminal(), None);
    }

    #[test]
    fn a_reboot_is_no_capture_kernel() {
        let log = "[    0.000000] Linux version 3.10.0
[    2.569500] SysRq : Trigger a crash
[    2.571146] Rebooting in 3 seconds..
SeaBIOS (version 1.16.2)
[    0.000000] Linux version 3.10.0";
        assert_eq!(phases(log), [(FirstKernel, 1), (Crashed, 2)]);
        assert_eq!(follow(log).terminal(), Some(Terminal::Reset));
        let twice = "[    0.000000] Linux version 3.10.0\n[    0.000000] Linux version 3.10.0";
        assert_eq!(phases(twice), [(FirstKernel, 1)]);
    }

    #[test]
    fn an_oops_is_the_crash_only_if_a_capture_kernel_follows() {
        let log = "[    0.000000] Linux version 3.10.0
[    5.500000] Oops: 0002 [#1] SMP
[    5.600000] RIP: 0010:x";
        assert_eq!(phases(log), [(FirstKernel, 1)]);
        let log = format!("{log}\n[    0.000000] Linux version 3.10.0");
        assert_eq!(
            phases(&log),
            [(FirstKernel, 1), (Crashed, 2), (CaptureKernel, 4)]
        );
    }

    #[test]
    fn a_quiet_capture_kernel_shows_by_its_clock() {
        let log = "[   14.831130] sysrq: Trigger a crash
[   14.831130] Call Trace:
=== guest up
[    8.496246] mpt3sas0: unable to allocate interrupt 21!";
        assert_eq!(phases(log), [(Crashed, 1), (CaptureKernel, 4)]);
    }

    #[test]
    fn oops_headers() {
        for header in [
            "invalid opcode: 0000 [#1] SMP ",
            "Oops: 0002 [#1] PREEMPT SMP NOPTI",
            "general protection fault, probably for non-canonical address 0xdead: 0000 [#2] SMP",
            "Internal error: Oops: 96000044 [#1] SMP",
            "Internal error: Oops: 0000000096000044 [#1] SMP",
            "Oops: general protection fault, maybe for address 0x0: 0000 [#1] SMP",
        ] {
            assert!(is_oops(header), "{header}");
        }
        assert!(!is_oops("usb: port [#1] reset"));
        assert!(!is_oops("a: b [#1]: c"));
    }
}
