//! One stretch of a log that one kernel printed.

use super::clock::Clock;
use super::signs::{Clue, Strength};
use super::{BootEnd, Role};
use crate::console::LineRef;
use crate::console::splat::{Headline, MAX_TEXT};

/// Bytes kept of a command line: x86's COMMAND_LINE_SIZE, twice.
const MAX_COMMAND_LINE: usize = 4096;

/// What a segment begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// The log begins.
    Log,
    /// The machine was reset, or the kernel replaced.
    Reboot,
    /// A capture kernel after a crash.
    Kexec,
    /// The clock went back, and nothing else tells of a boot; or text that no machine prints
    /// stands between two excerpts of logs.
    Excerpt,
}

#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) start: Start,
    /// Counts segments.
    pub(super) number: usize,
    pub(super) cycle: u32,
    pub(super) first_line: u64,
    pub(super) last_line: u64,
    /// A kernel has said something.
    pub(super) kernel: bool,
    /// Only what comes before `Linux version`.
    pub(super) early: bool,
    /// The segment is the previous one's kernel, printing an old part of its log.
    pub(super) same: bool,
    /// The first line, without time stamp.
    pub(super) first_text: Option<String>,
    pub(super) release: Option<String>,
    pub(super) command_line: Option<String>,
    pub(super) first: Option<(Clue, Headline)>,
    pub(super) capture: Option<(Clue, Headline)>,
    pub(super) begun: Option<Headline>,
    /// The first line that a kernel printed.
    pub(super) spoke: Option<Headline>,
    pub(super) armed: Option<Headline>,
    pub(super) crashed: Option<Headline>,
    pub(super) oops: Option<Headline>,
    pub(super) drivers: Option<Headline>,
    pub(super) user_space: Option<Headline>,
    pub(super) saving: Option<Headline>,
    pub(super) saved: Option<Headline>,
    pub(super) panicked: bool,
    /// It said that it is about to go: no capture kernel follows.
    pub(super) leaving: bool,
    /// It said that it starts the capture kernel.
    pub(super) kexec: bool,
    pub(super) end: Option<BootEnd>,
    /// Line at which a console was registered.
    pub(super) console_at: Option<u64>,
    /// Line at which it suspended or resumed.
    pub(super) slept_at: Option<u64>,
    pub(super) clock: Clock,
}

impl Segment {
    pub(super) fn new(start: Start, number: usize, cycle: u32, line: u64) -> Self {
        Self {
            start,
            number,
            cycle,
            first_line: line,
            last_line: line,
            kernel: false,
            early: false,
            same: false,
            first_text: None,
            release: None,
            command_line: None,
            first: None,
            capture: None,
            begun: None,
            spoke: None,
            armed: None,
            crashed: None,
            oops: None,
            drivers: None,
            user_space: None,
            saving: None,
            saved: None,
            panicked: false,
            leaving: false,
            kexec: false,
            end: None,
            console_at: None,
            slept_at: None,
            clock: Clock::default(),
        }
    }

    /// The segment turned out to be this one's kernel: what is known of that one.
    pub(super) fn inherit(&mut self, before: &Self) {
        self.same = true;
        self.kernel = true;
        self.clock.raise(&before.clock);
        self.panicked |= before.panicked;
        for (slot, known) in [
            (&mut self.first_text, &before.first_text),
            (&mut self.release, &before.release),
            (&mut self.command_line, &before.command_line),
        ] {
            if slot.is_none() {
                slot.clone_from(known);
            }
        }
        for (slot, known) in [
            (&mut self.begun, &before.begun),
            (&mut self.armed, &before.armed),
            (&mut self.crashed, &before.crashed),
            (&mut self.oops, &before.oops),
        ] {
            if slot.is_none() {
                slot.clone_from(known);
            }
        }
        for (slot, known) in [
            (&mut self.first, &before.first),
            (&mut self.capture, &before.capture),
        ] {
            if slot.is_none() {
                slot.clone_from(known);
            }
        }
    }

    /// A kernel's first line is still to come, if the log has it.
    pub(super) fn awaits_first_line(&self) -> bool {
        // 3.10 prints `Initializing cgroup subsys cpuset` before it.
        let young = self.clock.top().is_none_or(|top| top < super::DISORDER);
        let unknown = self.first_text.is_none() && self.command_line.is_none();
        let said = self.early || self.clock.top().is_some();
        !self.kernel || (said && young && unknown && self.crashed.is_none())
    }

    /// It died, and did not say that it resets the machine.
    pub(super) fn may_kexec(&self) -> bool {
        self.kexec || (self.crashed.is_some() && !self.leaving && self.end.is_none())
    }

    /// As far as is known by now.
    pub(super) fn is_capture(&self) -> bool {
        let strength = |clue: &Option<(Clue, Headline)>| clue.as_ref().map(|(c, _)| c.strength);
        let capture = strength(&self.capture).filter(|found| *found >= Strength::Certain);
        let first = strength(&self.first).filter(|found| *found >= Strength::Certain);
        match self.start {
            Start::Kexec => first <= capture || first.is_none(),
            _ => capture > first,
        }
    }

    /// Its beginning, or its command line, is in the log.
    pub(super) fn is_anchored(&self) -> bool {
        self.begun.is_some() || self.command_line.is_some()
    }

    /// Where the kernel's lines begin.
    pub(super) fn begins(&self) -> Option<Headline> {
        let lines = [&self.begun, &self.spoke].into_iter().flatten();
        lines.min_by_key(|line| line.line).cloned()
    }

    /// The kernel has printed this line.
    pub(super) fn speaks(&mut self, line: LineRef<'_>) {
        self.kernel = true;
        self.spoke.get_or_insert_with(|| headline(line));
    }

    pub(super) fn name(&mut self, version: &str, line: LineRef<'_>) {
        self.kernel = true;
        self.early = false;
        self.begun.get_or_insert_with(|| headline(line));
        if self.first_text.is_none() {
            self.first_text = Some(cut(version.trim_end(), MAX_TEXT).to_owned());
            let release = version.split_ascii_whitespace().nth(2);
            self.release = release.map(|text| cut(text, 128).to_owned());
        }
    }

    pub(super) fn parameters(&mut self, parameters: &str) {
        self.kernel = true;
        self.early = false;
        if self.command_line.is_none() {
            self.command_line = Some(cut(parameters, MAX_COMMAND_LINE).to_owned());
        }
    }

    pub(super) fn clue(&mut self, clue: Clue, line: LineRef<'_>) {
        let slot = match clue.role {
            Role::First => &mut self.first,
            _ => &mut self.capture,
        };
        if slot
            .as_ref()
            .is_none_or(|(known, _)| known.strength < clue.strength)
        {
            *slot = Some((clue, headline(line)));
        }
    }

    pub(super) fn has_parameters(&self, parameters: &str) -> bool {
        self.command_line.as_deref() == Some(cut(parameters, MAX_COMMAND_LINE))
    }

    pub(super) fn has_first_text(&self, version: &str) -> bool {
        self.first_text.as_deref() == Some(cut(version.trim_end(), MAX_TEXT))
    }
}

/// A line as it is quoted.
pub(super) fn headline(line: LineRef<'_>) -> Headline {
    Headline {
        line: line.number(),
        text: cut(line.message().trim(), MAX_TEXT).to_owned(),
    }
}

/// At most so many bytes, in whole characters.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
