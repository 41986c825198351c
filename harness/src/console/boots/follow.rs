//! Lines to boots, one line at a time.

use std::collections::VecDeque;

use super::clock::Comparison;
use super::doubt::{Decision, Doubt};
use super::segment::{Segment, Start, headline};
use super::signs::{self, Sign};
use super::{Began, BootEnd, DISORDER, Found, Role, resolve};
use crate::console::phases::Cycle;
use crate::console::{LineRef, Terminal};
use crate::verdict::outcome::Phase;

/// Segments kept from the begin of a log, and from its end.
pub const KEPT: usize = 64;
/// Lines after a console's registration in which the log's second printing begins.
const CONSOLE_LINES: u64 = 8;
/// Lines after a resume in which the clock may go back.
const SLEEP_LINES: u64 = 64;
/// Lines of an excerpt in which its kernel is looked for.
const MAX_REPLAY: u32 = 512;

/// What a line began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Phases of the current cycle. A phase may be told some lines after the line that began it.
    pub began: Vec<Began>,
    /// Another stretch of the log begins: [`Boots::current`] is another.
    pub boot: bool,
    /// With it, another kernel; not merely another excerpt, whose clock may be the same kernel's.
    pub kernel: bool,
    /// A first kernel runs again: phases start over.
    pub cycle: bool,
}

/// Follows a log line by line. Memory is bounded whatever the log holds.
///
/// A new kernel shows by its first line, by its command line, by the firmware before it, or by a
/// clock that goes back. All of these also come without one: the log is printed again when a
/// console is registered, by `dmesg`, or by whoever puts excerpts into one file. What a line does
/// not decide is in doubt for some lines; what they do not decide either, [`Boots::finish`] does.
#[derive(Debug, Clone)]
pub struct Boots {
    pub(super) segment: Segment,
    head: Vec<Segment>,
    tail: VecDeque<Segment>,
    omitted: u64,
    pub(super) cycle: Cycle,
    /// The first, when it is over.
    first: Option<Cycle>,
    pub(super) doubt: Option<Box<Doubt>>,
    /// While it may turn out that an excerpt is the kernel's before it.
    pub(super) replay: Option<Replay>,
    /// Text that no machine prints has come since the last stamp.
    prose: bool,
    begun: bool,
}

/// Old lines of a kernel that goes on after them: `dmesg | grep` on its console.
#[derive(Debug, Clone)]
pub(super) struct Replay {
    pub(super) comparison: Comparison,
    /// Where the clock stood.
    pub(super) top: u64,
    /// Where it stands in the old lines.
    pub(super) now: u64,
    pub(super) lines: u32,
}

impl Default for Boots {
    fn default() -> Self {
        Self::new()
    }
}

impl Boots {
    /// For a caller's fast filter: a line that holds none of these, in whatever case, tells
    /// nothing of boots but by its clock.
    pub const LITERALS: &[&str] = signs::LITERALS;

    /// Before the first line.
    pub fn new() -> Self {
        Self {
            segment: Segment::new(Start::Log, 0, 0, 1),
            head: Vec::new(),
            tail: VecDeque::new(),
            omitted: 0,
            cycle: Cycle::default(),
            first: None,
            doubt: None,
            replay: None,
            prose: false,
            begun: false,
        }
    }

    /// Takes the next line. `may_matter` is false where the caller knows that none of
    /// [`Boots::LITERALS`] stands in it.
    #[inline]
    pub fn observe(&mut self, line: LineRef<'_>, may_matter: bool) -> Step {
        if !may_matter && self.goes_on(line) {
            return Step::default();
        }
        self.observe_closely(line, may_matter)
    }

    /// Takes a line of which nothing but the clock matters, if that goes on as it should and
    /// nothing is in doubt: nearly every line. False if it did not take it.
    #[inline]
    fn goes_on(&mut self, line: LineRef<'_>) -> bool {
        let Some(stamp) = line.stamp() else {
            return false;
        };
        let segment = &mut self.segment;
        let calm = self.doubt.is_none() && self.replay.is_none() && !self.prose;
        if !calm || segment.spoke.is_none() || !segment.clock.goes_on(line, stamp) {
            return false;
        }
        segment.kernel = true;
        segment.last_line = line.number();
        true
    }

    fn observe_closely(&mut self, line: LineRef<'_>, may_matter: bool) -> Step {
        let mut step = Step::default();
        if !self.begun {
            self.begun = true;
            self.segment.first_line = line.number();
        }
        self.take(line, may_matter, &mut step);
        step
    }

    /// Number of the stretch that the last line belongs to, from 0: what [`Found::place`] wants.
    /// A line in doubt belongs to the stretch before it until that is decided.
    pub fn current(&self) -> usize {
        self.segment.number
    }

    /// The current first kernel and its capture kernel. Of phases only what a drill's kernels
    /// print is told while the log runs; [`super::Boot::phases`] knows other distributions' words.
    pub fn cycle(&self) -> &Cycle {
        &self.cycle
    }

    /// The first of all cycles: a drill has no other.
    pub fn first_cycle(&self) -> &Cycle {
        self.first.as_ref().unwrap_or(&self.cycle)
    }

    /// The phase that the current cycle has reached.
    pub fn phase(&self) -> Phase {
        self.cycle.phase()
    }

    /// Whether the machine has come to an end in the current cycle.
    pub fn terminal(&self) -> Option<Terminal> {
        self.cycle.terminal()
    }

    /// Boots that [`Boots::finish`] will not list, up to now.
    pub fn omitted(&self) -> u64 {
        self.omitted
    }

    /// No line follows for now: decides what is in doubt by what is known.
    pub fn settle(&mut self) -> Step {
        let mut step = Step::default();
        if self.doubt.is_some() {
            let decision = self.likely();
            self.decide(decision, &mut step);
        }
        step
    }

    /// The log has ended.
    pub fn finish(mut self) -> Found {
        self.settle();
        let Self {
            segment,
            mut head,
            mut tail,
            omitted,
            ..
        } = self;
        let last = tail.len();
        if last == 0 && head.len() < KEPT {
            head.push(segment);
        } else {
            tail.push_back(segment);
        }
        resolve::resolve(head, tail.into(), omitted)
    }

    pub(super) fn take(&mut self, line: LineRef<'_>, may_matter: bool, step: &mut Step) {
        let signs = if may_matter {
            signs::signs(line)
        } else {
            Vec::new()
        };
        if self.doubt.is_some() {
            self.doubted(line, &signs, step);
            return;
        }
        if !signs.is_empty() && self.opens_doubt(line, &signs, step) {
            return;
        }
        let Some(stamp) = line.stamp() else {
            self.unstamped(line);
            self.apply(line, &signs, step);
            self.segment.last_line = line.number();
            return;
        };
        if self.prose {
            self.prose = false;
            let jumped = |top| stamp > top + DISORDER;
            if !self.segment.is_anchored()
                && !self.segment.may_kexec()
                && self.segment.clock.top().is_some_and(jumped)
            {
                self.replace(Start::Excerpt, line, step);
            }
            // A clock that went back is in doubt below, and remembers.
            else if self.segment.clock.is_back(stamp) {
                self.doubt(line, Some(stamp), true, true);
                self.defer(line, &signs);
                return;
            }
        }
        if !self.tick(line, stamp) {
            self.doubt(line, Some(stamp), true, false);
            self.defer(line, &signs);
            return;
        }
        if signs
            .iter()
            .any(|sign| matches!(sign, Sign::Sysrq | Sign::Panic | Sign::Oops))
        {
            self.segment.clock.trust();
        }
        self.segment.speaks(line);
        self.apply(line, &signs, step);
        self.segment.last_line = line.number();
    }

    /// Whether the clock is this kernel's.
    fn tick(&mut self, line: LineRef<'_>, stamp: u64) -> bool {
        if !self.segment.clock.tick(line, stamp) {
            let slept = self.segment.slept_at.unwrap_or(0);
            if slept == 0 || line.number() - slept.min(line.number()) > SLEEP_LINES {
                return false;
            }
            self.segment.clock.set(stamp);
        }
        if let Some(replay) = &mut self.replay {
            replay.comparison.take(line);
            replay.lines += 1;
            let resumes =
                replay.now < replay.top && stamp >= replay.top && stamp > replay.now + DISORDER;
            replay.now = stamp;
            let same = resumes || replay.comparison.is_same();
            if same && let Some(before) = self.tail.back().or(self.head.last()) {
                self.segment.inherit(before);
            }
            if same || replay.lines >= MAX_REPLAY {
                self.replay = None;
            }
        }
        true
    }

    /// Text between excerpts is looked for where excerpts may be: in a log without a boot.
    fn unstamped(&mut self, line: LineRef<'_>) {
        if !self.prose && self.segment.kernel && !self.segment.is_anchored() {
            self.prose = is_prose(line.text());
        }
    }

    /// Handles what begins a boot. True if the line is dealt with.
    fn opens_doubt(&mut self, line: LineRef<'_>, signs: &[Sign], step: &mut Step) -> bool {
        if signs.contains(&Sign::Firmware) {
            if self.segment.kernel {
                self.cycle.reset();
                self.replace(Start::Reboot, line, step);
            }
            // Its last words and the kernel's first may stand in one line.
            if !signs.contains(&Sign::FirstLine) {
                return false;
            }
        }
        if signs.contains(&Sign::FirstLine) {
            let Some((version, stamp)) = signs::first_line(line) else {
                return false;
            };
            if self.segment.awaits_first_line() {
                self.segment.name(version, line);
                self.cycle.advance_told(Phase::FirstKernel, line, step);
                return false;
            }
            self.doubt(line, stamp, false, false);
            if self.is_replay_of_console(line, version) {
                self.decide(Decision::Same, step);
            } else if let Some(doubt) = &mut self.doubt {
                doubt.version = Some(version.to_owned());
                self.defer(line, signs);
            }
            return true;
        }
        if signs.contains(&Sign::EarlyLine) {
            let young = self.segment.clock.top().is_none_or(|top| top < DISORDER);
            let at_begin = line.stamp().is_none_or(|stamp| stamp < DISORDER);
            if !self.segment.kernel {
                self.segment.speaks(line);
                self.segment.early = true;
            } else if !self.segment.early && at_begin && !(young && line.stamp().is_some()) {
                self.doubt(line, line.stamp(), false, false);
                self.defer(line, signs);
                return true;
            }
            return false;
        }
        if signs.contains(&Sign::CommandLine)
            && let Some(parameters) = signs::command_line(line)
        {
            let back = line
                .stamp()
                .is_some_and(|stamp| stamp < DISORDER && self.segment.clock.is_back(stamp));
            let differs = signs::parameters_clue(parameters)
                .is_some_and(|clue| clue.role == Role::Capture)
                && self.segment.command_line.is_some()
                && !self.segment.has_parameters(parameters)
                && !self.segment.is_capture();
            if back || differs {
                self.doubt(line, line.stamp(), false, false);
                self.doubted(line, signs, step);
                return true;
            }
        }
        false
    }

    fn is_replay_of_console(&self, line: LineRef<'_>, version: &str) -> bool {
        let registered = self
            .segment
            .console_at
            .is_some_and(|at| line.number() >= at && line.number() - at <= CONSOLE_LINES);
        registered && self.segment.crashed.is_none() && self.segment.has_first_text(version)
    }

    /// A new segment begins with this line.
    pub(super) fn replace(&mut self, start: Start, line: LineRef<'_>, step: &mut Step) {
        let cycle = match start {
            Start::Reboot => self.segment.cycle.saturating_add(1),
            _ => self.segment.cycle,
        };
        let new = Segment::new(start, self.segment.number + 1, cycle, line.number());
        let old = std::mem::replace(&mut self.segment, new);
        if self.head.len() < KEPT {
            self.head.push(old);
        } else {
            self.tail.push_back(old);
            // One more is still growing.
            if self.tail.len() >= KEPT {
                self.tail.pop_front();
                self.omitted += 1;
            }
        }
        self.replay = None;
        self.prose = false;
        step.boot = true;
        step.kernel = start != Start::Excerpt;
        match start {
            Start::Reboot => {
                let over = std::mem::take(&mut self.cycle);
                self.first.get_or_insert(over);
                step.cycle = true;
                step.began.clear();
            }
            Start::Kexec => {
                self.segment.speaks(line);
                self.segment.early = true;
                self.cycle.advance_told(Phase::CaptureKernel, line, step);
            }
            Start::Excerpt | Start::Log => {}
        }
    }

    /// What a line of the current kernel says.
    pub(super) fn apply(&mut self, line: LineRef<'_>, signs: &[Sign], step: &mut Step) {
        for sign in signs {
            self.apply_one(line, *sign, step);
        }
    }

    fn apply_one(&mut self, line: LineRef<'_>, sign: Sign, step: &mut Step) {
        let replaying = line.stamp().is_some() && self.segment.clock.is_replaying();
        match sign {
            Sign::FirstLine | Sign::EarlyLine | Sign::Firmware => {}
            Sign::CommandLine => self.parameters(line, step),
            Sign::Console => self.segment.console_at = Some(line.number()),
            Sign::Sleep => self.segment.slept_at = Some(line.number()),
            Sign::Armed => {
                let segment = &mut self.segment;
                if segment.crashed.is_none() {
                    segment.armed.get_or_insert_with(|| headline(line));
                }
                self.cycle.advance_told(Phase::Armed, line, step);
            }
            Sign::Drivers => {
                self.in_capture(line, step);
                let segment = &mut self.segment;
                segment.drivers.get_or_insert_with(|| headline(line));
                self.cycle.advance_told(Phase::CaptureDrivers, line, step);
            }
            Sign::UserSpace => {
                let segment = &mut self.segment;
                segment.user_space.get_or_insert_with(|| headline(line));
                // The first words of initramfs-tools' init, which starts udev next.
                let init = line.message().starts_with("Loading, please wait...");
                if init && self.cycle.phase() == Phase::CaptureKernel {
                    self.cycle.advance_told(Phase::CaptureDrivers, line, step);
                }
            }
            Sign::Saving | Sign::ForeignSaving => {
                self.in_capture(line, step);
                let segment = &mut self.segment;
                segment.saving.get_or_insert_with(|| headline(line));
                if sign == Sign::Saving {
                    self.cycle.advance_told(Phase::Saving, line, step);
                }
            }
            Sign::Saved | Sign::ForeignSaved => {
                self.in_capture(line, step);
                let segment = &mut self.segment;
                segment.saved.get_or_insert_with(|| headline(line));
                if sign == Sign::Saved {
                    self.cycle.advance_told(Phase::Saved, line, step);
                }
            }
            Sign::Clue(clue) => self.segment.clue(clue, line),
            // A log that is printed again tells of nothing new.
            _ if replaying => {}
            Sign::Sysrq => self.crash(line, false, step),
            Sign::Panic => self.crash(line, true, step),
            Sign::Oops => {
                self.segment.speaks(line);
                self.segment.oops = Some(headline(line));
                self.cycle.oops(line);
            }
            Sign::PanicOver => {
                self.segment.leaving = true;
                self.cycle.panic_over();
            }
            Sign::KernelOffset => self.cycle.kernel_offset(),
            Sign::Leaving => {
                if line.message().contains("new kernel") {
                    self.segment.end = Some(BootEnd::Restarted);
                }
                self.segment.leaving = true;
            }
            Sign::Kexec => self.segment.kexec = true,
            Sign::Halted => self.end(BootEnd::Halted, Terminal::Halted),
            Sign::PoweringOff => self.end(BootEnd::PoweredOff, Terminal::PoweringOff),
            Sign::Restarting => self.end(BootEnd::Restarted, Terminal::Restarting),
        }
    }

    fn end(&mut self, end: BootEnd, terminal: Terminal) {
        self.segment.end = Some(end);
        self.cycle.end(terminal);
    }

    fn crash(&mut self, line: LineRef<'_>, panic: bool, step: &mut Step) {
        let segment = &mut self.segment;
        segment.panicked |= panic;
        segment.speaks(line);
        segment.crashed.get_or_insert_with(|| headline(line));
        let before = self.cycle.marks().len();
        self.cycle.crash(panic, line);
        step.tell(&self.cycle, before);
    }

    fn parameters(&mut self, line: LineRef<'_>, step: &mut Step) {
        let Some(parameters) = signs::command_line(line) else {
            return;
        };
        let fresh = self.segment.begun.is_some()
            || self.segment.clock.top().is_none_or(|top| top < DISORDER);
        if self.segment.command_line.is_some() || !(fresh || line.stamp().is_some()) {
            return;
        }
        self.segment.parameters(parameters);
        let clue = signs::parameters_clue(parameters);
        if let Some(clue) = clue {
            self.segment.clue(clue, line);
        }
        let capture = clue.is_some_and(|clue| clue.role == Role::Capture);
        let phase = if capture && self.segment.start != Start::Excerpt {
            Phase::CaptureKernel
        } else {
            Phase::FirstKernel
        };
        self.cycle.advance_told(phase, line, step);
    }

    /// Only a capture kernel prints this line. If the current one is the first, another came
    /// without a word.
    fn in_capture(&mut self, line: LineRef<'_>, step: &mut Step) {
        let segment = &self.segment;
        if self.is_in_capture() {
            return;
        }
        if segment.crashed.is_some() || segment.oops.is_some() || segment.command_line.is_some() {
            self.replace(Start::Kexec, line, step);
        }
    }
}

impl Cycle {
    fn advance_told(&mut self, phase: Phase, line: LineRef<'_>, step: &mut Step) {
        let before = self.marks().len();
        self.advance(phase, line);
        step.tell(self, before);
    }
}

impl Step {
    fn tell(&mut self, cycle: &Cycle, before: usize) {
        let new = cycle.marks().get(before..).unwrap_or_default();
        self.began.extend_from_slice(new);
    }
}

/// Whether a person wrote this line, not a machine: letters beyond ASCII, or a sentence.
fn is_prose(text: &str) -> bool {
    if !text.is_ascii() {
        // A damaged byte is no letter; dracut and systemd print bullets and dots.
        return text
            .chars()
            .filter(|letter| !letter.is_ascii() && letter.is_alphabetic())
            .nth(3)
            .is_some();
    }
    let mut words = 0;
    let mut plain = 0;
    let mut small = 0;
    for word in text.split_ascii_whitespace().take(64) {
        words += 1;
        let word = word.trim_end_matches([',', '.', ':', ';', '?', '!']);
        plain += usize::from(!word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic()));
        small += usize::from(matches!(
            word,
            "the"
                | "is"
                | "are"
                | "and"
                | "that"
                | "this"
                | "we"
                | "it"
                | "of"
                | "in"
                | "I"
                | "was"
        ));
    }
    words >= 6 && plain * 5 >= words * 4 && small >= 2
}
