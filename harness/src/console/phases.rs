//! Lines to phases: how far the machine came, and which line says so.

use super::boots::Began;
use super::lines::LineRef;
use super::splat::Headline;
use crate::verdict::outcome::Phase;

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

/// A first kernel and its capture kernel: how far they came. Phases never go back.
#[derive(Debug, Clone, Default)]
pub struct Cycle {
    marks: Vec<Began>,
    terminal: Option<Terminal>,
    /// The first kernel's last oops: its crash, if a capture kernel follows without another word.
    /// With panic_on_oops, oops_end() starts the capture kernel before panic() prints anything.
    oops: Option<Began>,
    panicked: bool,
}

impl Cycle {
    /// The phase reached.
    pub fn phase(&self) -> Phase {
        self.marks.last().map_or(Phase::Firmware, |mark| mark.phase)
    }

    /// Every phase reached so far but [`Phase::Firmware`], which no line begins.
    pub fn marks(&self) -> &[Began] {
        &self.marks
    }

    /// Whether the machine has come to its end, and to which.
    pub fn terminal(&self) -> Option<Terminal> {
        self.terminal
    }

    pub(super) fn crash(&mut self, panic: bool, line: LineRef<'_>) {
        self.panicked |= panic;
        self.advance(Phase::Crashed, line);
    }

    pub(super) fn oops(&mut self, line: LineRef<'_>) {
        if self.phase() < Phase::Crashed {
            self.oops = Some(mark(Phase::Crashed, line));
        }
    }

    /// A panic is over.
    pub(super) fn panic_over(&mut self) {
        if self.panicked {
            self.end(Terminal::Panicked);
        }
    }

    /// panic() prints this after it has tried to start a capture kernel, except with
    /// crash_kexec_post_notifiers: then the first kernel says so before it.
    pub(super) fn kernel_offset(&mut self) {
        if self.phase() >= Phase::CaptureKernel {
            self.panic_over();
        }
    }

    pub(super) fn end(&mut self, end: Terminal) {
        self.terminal.get_or_insert(end);
    }

    /// The firmware has come back, whatever was said before.
    pub(super) fn reset(&mut self) {
        self.terminal = Some(Terminal::Reset);
    }

    pub(super) fn advance(&mut self, phase: Phase, line: LineRef<'_>) {
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

fn mark(phase: Phase, line: LineRef<'_>) -> Began {
    Began {
        phase,
        line: Headline {
            line: line.number(),
            text: line.text().to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use Phase::*;

    use super::*;
    use crate::console::boots::Boots;

    fn follow(log: &str) -> Cycle {
        let mut boots = Boots::new();
        for (index, text) in log.lines().enumerate() {
            boots.observe(LineRef::new(index as u64 + 1, text), true);
        }
        boots.settle();
        boots.first_cycle().clone()
    }

    fn phases(log: &str) -> Vec<(Phase, u64)> {
        let tracker = follow(log);
        tracker
            .marks()
            .iter()
            .map(|mark| (mark.phase, mark.line.line))
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
}
