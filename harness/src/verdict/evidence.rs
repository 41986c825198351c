//! Everything that was seen of one drill.

use std::collections::{BTreeMap, VecDeque};

use crashdrill_guest::report::{Report, Role};

use super::outcome::{Phase, Vmcore};
use crate::console::{Line, LineAssembler, PhaseMark, PhaseTracker, Terminal};
use crate::units::Millis;

/// Bytes of console log kept from its beginning, where the first fatal line is.
const HEAD: usize = 12 << 20;
/// Bytes kept from its end, once the beginning is full.
const TAIL: usize = 4 << 20;
/// Reports kept; /init sends some dozens.
const MAX_REPORTS: usize = 65_536;

/// What the verdict rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The console, line by line. Of a log longer than 16 MiB the middle is missing.
    pub lines: Vec<Entry>,
    /// The phases that were reached.
    pub phases: Vec<PhaseMark>,
    /// What both /init told, in the order in which they told it.
    pub reports: Vec<Report>,
    /// How the machine ended.
    pub end: End,
    /// What the host read back from the target.
    pub dump: Dump,
    /// What the drill was set up to do.
    pub expectations: Expectations,
}

/// A line and the phase in which it came. A line that begins a phase belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The phase.
    pub phase: Phase,
    /// The line.
    pub line: Line,
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
            .map_or(Phase::Firmware, |mark| mark.phase)
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
#[derive(Debug, Default)]
pub struct Recorder {
    assembler: LineAssembler,
    tracker: PhaseTracker,
    log: Log,
    reports: Vec<Report>,
}

impl Recorder {
    /// Before the first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the console; gives the phases that they begin.
    pub fn console(&mut self, bytes: &[u8]) -> Vec<PhaseMark> {
        let Self {
            assembler,
            tracker,
            log,
            ..
        } = self;
        let before = tracker.marks().len();
        assembler.push(bytes, |line| {
            tracker.observe(line);
            log.keep(Entry {
                phase: tracker.phase(),
                line: line.to_line(),
            });
        });
        self.tracker.marks()[before..].to_vec()
    }

    /// Takes the next report.
    pub fn report(&mut self, report: Report) {
        if self.reports.len() < MAX_REPORTS {
            self.reports.push(report);
        }
    }

    /// The phase reached.
    pub fn phase(&self) -> Phase {
        self.tracker.phase()
    }

    /// The console says that nothing more will come: see [`Terminal`].
    pub fn terminal(&self) -> Option<Terminal> {
        self.tracker.terminal()
    }

    /// The last lines kept, oldest first, for showing why something stands still.
    pub fn last_lines(&self, count: usize) -> Vec<&Line> {
        let log = &self.log;
        let mut lines: Vec<&Line> = log
            .tail
            .iter()
            .rev()
            .chain(log.head.iter().rev())
            .take(count)
            .map(|entry| &entry.line)
            .collect();
        lines.reverse();
        lines
    }

    /// The machine has ended and the target has been looked at.
    pub fn finish(self, end: End, dump: Dump, expectations: Expectations) -> Evidence {
        let Self {
            assembler,
            mut tracker,
            mut log,
            reports,
        } = self;
        assembler.finish(|line| {
            tracker.observe(line);
            log.keep(Entry {
                phase: tracker.phase(),
                line: line.to_line(),
            });
        });
        let mut lines = log.head;
        lines.extend(log.tail);
        Evidence {
            lines,
            phases: tracker.marks().to_vec(),
            reports,
            end,
            dump,
            expectations,
        }
    }
}

/// The beginning and the end of a log.
#[derive(Debug, Default)]
struct Log {
    head: Vec<Entry>,
    head_size: usize,
    tail: VecDeque<Entry>,
    tail_size: usize,
}

impl Log {
    fn keep(&mut self, entry: Entry) {
        let size = |entry: &Entry| entry.line.text.len() + size_of::<Entry>();
        let new = size(&entry);
        if self.tail.is_empty() && self.head_size + new <= HEAD {
            self.head_size += new;
            self.head.push(entry);
            return;
        }
        self.tail_size += new;
        self.tail.push_back(entry);
        while self.tail_size > TAIL
            && let Some(oldest) = self.tail.pop_front()
        {
            self.tail_size -= size(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_log_keeps_its_beginning_and_its_end() {
        let mut recorder = Recorder::new();
        let line = format!("{}\n", "x".repeat(999));
        recorder.console(b"[    0.000000] Linux version 6.1\n");
        for _ in 0..30_000 {
            recorder.console(line.as_bytes());
        }
        recorder.console(b"last\nand unfinished");
        assert!(recorder.log.head_size + recorder.log.tail_size <= HEAD + TAIL);
        assert_eq!(recorder.last_lines(2)[1].text, "last");
        let evidence = recorder.finish(End::PoweredOff, Dump::None, Expectations::default());
        assert_eq!(evidence.lines[0].phase, Phase::FirstKernel);
        assert_eq!(evidence.lines[1].line.number, 2);
        let last = &evidence.lines[evidence.lines.len() - 1].line;
        assert_eq!(
            (last.number, last.text.as_str()),
            (30_003, "and unfinished")
        );
    }
}
