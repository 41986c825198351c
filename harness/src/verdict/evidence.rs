//! Everything that was seen of one crash: of a drill, or of a log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crashdrill_guest::report::{Report, Role};

use super::RuleBook;
use super::hits::Hits;
use super::log::LogReader;
use super::outcome::{Phase, Vmcore};
use crate::census::{Census, Moment};
use crate::console::boots::Began;
use crate::console::splat::Splat;
use crate::console::{Line, Terminal};
use crate::units::Millis;
use crate::vectors::Prediction;

/// Bytes of console log kept for showing how it ended.
const TAIL: usize = 256 << 10;
/// Reports kept; /init sends some dozens.
const MAX_REPORTS: usize = 65_536;

/// What the verdict rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The phases that were reached. None of a kernel of which nobody knows which it is.
    pub phases: Vec<Began>,
    /// Nobody knows which kernel it is: its lines count as of any phase.
    pub any_phase: bool,
    /// Lines that rules look for.
    pub(super) hits: Hits,
    /// What the kernels reported of themselves.
    pub splats: Vec<Spotted>,
    /// What both /init told, in the order in which they told it.
    pub reports: Vec<Report>,
    /// The vectors that the capture kernel's devices held, in the order of time.
    pub counted: Vec<Counted>,
    /// How the machine ended.
    pub end: End,
    /// What the host read back from the target.
    pub dump: Dump,
    /// What the drill was set up to do; none for somebody's log.
    pub expectations: Option<Expectations>,
}

/// Vectors, counted from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// When.
    pub moment: Moment,
    /// What there was.
    pub census: Census,
}

/// A kernel's report, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Spotted {
    /// Number of the kernel that printed it.
    pub boot: usize,
    /// Phase in which it came.
    pub phase: Phase,
    /// How often it came.
    pub count: u64,
    /// The first of them.
    pub splat: Splat,
}

/// How the machine ended. That QEMU died or was killed is no end, but an error of the harness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The guest powered off.
    PoweredOff,
    /// The guest reset the machine.
    Reset,
    /// Stopped by the harness: not a byte on the console for this long.
    Silent(Millis),
    /// Stopped by the harness: not over after this long.
    TotalLimit(Millis),
    /// Stopped by the harness after a panic was over.
    Panicked,
    /// Stopped by the harness after the guest had halted.
    Halted,
    /// There is only a log, and it ends here or goes on with something else.
    LogEnds,
}

/// What the host found on the dump target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dump {
    /// Nobody looked: there is only a console log.
    NotLookedFor,
    /// No dump.
    None,
    /// A dump, and what it says.
    Found(Vmcore),
    /// Something that cannot be read as a dump, and why.
    Unreadable(String),
}

/// What the drill was set up to do, as far as the verdict depends on it or shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectations {
    /// The dump target as kdump.conf names it: `/dev/nvme0n1`.
    pub target: String,
    /// Drivers without which the target cannot appear, as the catalogue names them: `nvme`.
    pub target_drivers: Vec<String>,
    /// Drivers that the capture kernel was ordered to load, those kept out included.
    pub capture_drivers: Vec<String>,
    /// kdump.conf has a kdump_pre.
    pub pre_script: bool,
    /// PCI address without domain to catalogue name: `00:05.0` to `nvme`.
    pub devices: BTreeMap<String, String>,
    /// Who was to get which vectors; none where nobody can say.
    pub forecast: Option<Prediction>,
    /// For [`super::outcome::Outcome::machine`].
    pub machine: String,
    /// For [`super::outcome::Outcome::fidelity`].
    pub fidelity: Vec<String>,
}

impl Evidence {
    /// The last phase reached.
    pub fn phase(&self) -> Phase {
        self.phases
            .last()
            .map_or(Phase::Firmware, |began| began.phase)
    }

    /// The census that tells most: with all drivers loaded, or else of a dead machine, or else of a
    /// dying one, which may have gone on after that. A kernel that has ended by itself has taken its
    /// devices' vectors away before.
    pub fn census(&self) -> Option<&Census> {
        let rank = |counted: &&Counted| match counted.moment {
            Moment::DriversLoaded => Some(0),
            Moment::Dead | Moment::Hung => Some(1),
            Moment::FirstFatalLine => Some(2),
            Moment::Ended => None,
        };
        let telling = self.counted.iter().filter(|it| rank(it).is_some());
        telling.min_by_key(rank).map(|counted| &counted.census)
    }

    /// Reports of the first kernel's /init.
    pub fn first_reports(&self) -> &[Report] {
        &self.reports[..self.capture_begins()]
    }

    /// Reports of the capture kernel's /init.
    pub fn capture_reports(&self) -> &[Report] {
        &self.reports[self.capture_begins()..]
    }

    fn capture_begins(&self) -> usize {
        let is_capture = |report: &Report| {
            matches!(
                report,
                Report::Started {
                    role: Role::Capture,
                    ..
                }
            )
        };
        let reports = &self.reports;
        reports.iter().position(is_capture).unwrap_or(reports.len())
    }
}

/// Collects evidence while the machine runs. Memory is bounded whatever the machine prints.
#[derive(Debug)]
pub struct Recorder {
    log: LogReader,
    tail: Tail,
    reports: Vec<Report>,
}

impl Recorder {
    /// Before the first byte.
    pub fn new(book: Arc<RuleBook>) -> Self {
        Self {
            log: LogReader::new(book),
            tail: Tail::default(),
            reports: Vec::new(),
        }
    }

    /// Takes the next bytes of the console; gives the phases that they begin.
    pub fn console(&mut self, bytes: &[u8]) -> Vec<Began> {
        let tail = &mut self.tail;
        self.log.push(bytes, |line| tail.keep(line.to_line()))
    }

    /// Takes the next report.
    pub fn report(&mut self, report: Report) {
        if self.reports.len() < MAX_REPORTS {
            self.reports.push(report);
        }
    }

    /// The phase reached.
    pub fn phase(&self) -> Phase {
        self.log.phase()
    }

    /// The console says that nothing more will come: see [`Terminal`].
    pub fn terminal(&self) -> Option<Terminal> {
        self.log.terminal()
    }

    /// The capture kernel has printed its first fatal line: see [`LogReader::is_fatal`].
    pub fn is_fatal(&self) -> bool {
        self.log.is_fatal()
    }

    /// The last lines, oldest first, for showing why something stands still.
    pub fn last_lines(&self, count: usize) -> Vec<&Line> {
        let lines = &self.tail.lines;
        lines
            .iter()
            .skip(lines.len().saturating_sub(count))
            .collect()
    }

    /// The machine has ended and the target has been looked at.
    pub fn finish(
        self,
        end: End,
        dump: Dump,
        counted: Vec<Counted>,
        expectations: Expectations,
    ) -> Evidence {
        let Self { log, reports, .. } = self;
        // What comes after the first crash and its capture kernel is no drill any more.
        let log = log.finish();
        let mut evidence = log.evidence(0);
        evidence.any_phase = false;
        evidence.phases = log.first_cycle;
        evidence.reports = reports;
        evidence.counted = counted;
        evidence.end = end;
        evidence.dump = dump;
        evidence.expectations = Some(expectations);
        evidence
    }
}

/// The end of a log.
#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<Line>,
    size: usize,
}

impl Tail {
    fn keep(&mut self, line: Line) {
        let size = |line: &Line| line.text.len() + size_of::<Line>();
        self.size += size(&line);
        self.lines.push_back(line);
        while self.size > TAIL
            && self.lines.len() > 1
            && let Some(oldest) = self.lines.pop_front()
        {
            self.size -= size(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::model::Chipset;

    #[test]
    fn an_endless_log_keeps_its_phases_and_its_end() {
        let mut recorder = Recorder::new(RuleBook::builtin());
        let line = format!("{}\n", "x".repeat(999));
        recorder.console(b"[    0.000000] Linux version 6.1\n");
        for _ in 0..30_000 {
            recorder.console(line.as_bytes());
        }
        recorder.console(b"last\nand unfinished");
        assert!(recorder.tail.size <= TAIL);
        let last = recorder.last_lines(1);
        assert_eq!((last[0].number, last[0].text.as_str()), (30_002, "last"));
        let evidence = recorder.finish(
            End::PoweredOff,
            Dump::None,
            Vec::new(),
            Expectations::default(),
        );
        assert_eq!(evidence.phase(), Phase::FirstKernel);
    }

    const DYING: &str = "\
[    9.000000] sysrq: Trigger a crash
[    9.000001] Kernel panic - not syncing: sysrq triggered crash
[    9.000002] CPU: 0 PID: 1 Comm: init Not tainted 6.1.0 #1
[    0.000000] Linux version 6.1.0
[    0.000000] Command line: nr_cpus=1 elfcorehdr=802164K
[    1.000000] WARNING: CPU: 0 PID: 1 at kernel/irq/manage.c:1 x+0x1/0x2
[    1.500000] Out of memory: Killed process 1 (init)
[    2.000000] kernel BUG at arch/x86/kernel/apic/io_apic.c:1358!
[    2.000001] invalid opcode: 0000 [#1] SMP
";

    #[test]
    fn the_first_fatal_line_is_the_capture_kernels() {
        let mut recorder = Recorder::new(RuleBook::builtin());
        recorder.console(b"[    0.000000] Linux version 6.1.0\n");
        let fatal = DYING.lines().position(|line| {
            recorder.console(format!("{line}\n").as_bytes());
            recorder.is_fatal()
        });
        assert_eq!(fatal, Some(7));
        for line in [
            "BUG: kernel NULL pointer dereference, address: 0000000000000008",
            "Oops: 0002 [#1] PREEMPT SMP NOPTI",
            "general protection fault: 0000 [#1] SMP",
            "Kernel panic - not syncing: VFS: Unable to mount root fs",
        ] {
            let mut recorder = Recorder::new(RuleBook::builtin());
            let capture = DYING.lines().skip(3).take(4);
            capture.for_each(|line| drop(recorder.console(format!("{line}\n").as_bytes())));
            assert!(!recorder.is_fatal());
            recorder.console(format!("[    2.000000] {line}\n").as_bytes());
            assert!(recorder.is_fatal(), "{line}");
        }
    }

    #[test]
    fn the_census_that_tells_most() {
        use Moment::*;
        let told = |moments: &[Moment]| {
            let counted = moments.iter().enumerate().map(|(line, moment)| Counted {
                moment: *moment,
                census: Census {
                    chipset: Chipset::Q35,
                    functions: BTreeMap::new(),
                    lines: [(line as u8, crate::census::Entry::default())].into(),
                },
            });
            let recorder = Recorder::new(RuleBook::builtin());
            let (end, dump) = (End::PoweredOff, Dump::None);
            let evidence = recorder.finish(end, dump, counted.collect(), Expectations::default());
            let line = evidence.census()?.lines.keys().next().copied()?;
            Some(moments[usize::from(line)])
        };
        for (moments, expected) in [
            (
                &[FirstFatalLine, DriversLoaded, Dead][..],
                Some(DriversLoaded),
            ),
            (&[FirstFatalLine, Hung], Some(Hung)),
            (&[FirstFatalLine, Ended], Some(FirstFatalLine)),
            (&[Ended], None),
        ] {
            assert_eq!(told(moments), expected, "{moments:?}");
        }
    }
}
