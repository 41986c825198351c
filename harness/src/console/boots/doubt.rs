//! Lines of which it takes further lines to tell which kernel they are from.

use super::clock::Comparison;
use super::follow::{Boots, Replay, Step};
use super::segment::{Start, cut};
use super::signs::{self, Sign};
use super::{DISORDER, Role};
use crate::console::{Line, LineRef};
use crate::verdict::outcome::Phase;

/// Lines after which what is in doubt is decided by what is likely.
const MAX_DOUBT: usize = 2048;
/// Lines kept while in doubt; of each so many bytes.
const MAX_DEFERRED: usize = 64;
const MAX_DEFERRED_TEXT: usize = 8192;

/// Whether another kernel began at a line that does not tell.
#[derive(Debug, Clone)]
pub(super) struct Doubt {
    line: Line,
    /// The clock alone is in doubt, no first line has come.
    clock: bool,
    stamp: Option<u64>,
    /// The first line, without time stamp.
    pub(super) version: Option<String>,
    parameters: Option<String>,
    comparison: Comparison,
    lines: usize,
    deferred: Vec<Line>,
    prose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// The same kernel's log, printed again.
    Same,
    /// A damaged time stamp.
    Damage,
    New(Start),
}

impl Boots {
    pub(super) fn doubt(
        &mut self,
        line: LineRef<'_>,
        stamp: Option<u64>,
        clock: bool,
        prose: bool,
    ) {
        self.doubt = Some(Box::new(Doubt {
            line: Line {
                number: line.number(),
                text: cut(line.text(), MAX_DEFERRED_TEXT).to_owned(),
            },
            clock,
            stamp,
            version: None,
            parameters: None,
            comparison: Comparison::new(self.segment.clock.samples()),
            lines: 0,
            deferred: Vec::new(),
            prose,
        }));
    }

    pub(super) fn defer(&mut self, line: LineRef<'_>, signs: &[Sign]) {
        if let Some(doubt) = &mut self.doubt
            && (!signs.is_empty() || line.stamp().is_some() && doubt.deferred.is_empty())
            && doubt.deferred.len() < MAX_DEFERRED
        {
            doubt.deferred.push(Line {
                number: line.number(),
                text: cut(line.text(), MAX_DEFERRED_TEXT).to_owned(),
            });
        }
    }

    /// A line that comes while it is in doubt what the lines belong to.
    pub(super) fn doubted(&mut self, line: LineRef<'_>, signs: &[Sign], step: &mut Step) {
        let Some(doubt) = &mut self.doubt else { return };
        doubt.lines += 1;
        if signs.contains(&Sign::Firmware) {
            let decision = self.likely();
            self.decide(decision, step);
            self.take(line, true, step);
            return;
        }
        if signs.contains(&Sign::FirstLine) {
            let version = signs::first_line(line).map(|(version, _)| version.to_owned());
            if doubt.version.is_none() && doubt.parameters.is_none() {
                // What came before it is its own.
                doubt.clock = false;
                doubt.version = version;
                self.defer(line, signs);
                return;
            }
            let decision = self.likely();
            self.decide(decision, step);
            self.take(line, true, step);
            return;
        }
        if signs.contains(&Sign::CommandLine)
            && doubt.parameters.is_none()
            && let Some(parameters) = signs::command_line(line)
        {
            doubt.clock = false;
            doubt.parameters = Some(parameters.to_owned());
            self.defer(line, signs);
            if let Some(decision) = self.by_parameters(parameters) {
                self.decide(decision, step);
            }
            return;
        }
        self.defer(line, signs);
        let back = line
            .stamp()
            .is_some_and(|stamp| self.segment.clock.is_back(stamp));
        let Some(doubt) = &mut self.doubt else { return };
        let mut decision = None;
        if doubt.clock {
            if let (Some(stamp), Some(before)) = (line.stamp(), doubt.stamp) {
                if !back {
                    decision = Some(Decision::Damage);
                } else if stamp + DISORDER >= before {
                    decision = Some(self.by_clock());
                } else {
                    doubt.stamp = Some(stamp);
                }
            } else if signs
                .iter()
                .any(|sign| matches!(sign, Sign::Drivers | Sign::Saving | Sign::Saved))
            {
                decision = Some(self.by_clock());
            }
        } else {
            doubt.comparison.take(line);
            let comparison = &doubt.comparison;
            let decided = doubt.parameters.is_some() || doubt.version.is_some();
            if decided && comparison.is_same() {
                decision = Some(Decision::Same);
            } else if decided && comparison.is_other() {
                decision = Some(self.likely());
            }
        }
        let full = self
            .doubt
            .as_ref()
            .is_some_and(|doubt| doubt.lines >= MAX_DOUBT || doubt.deferred.len() >= MAX_DEFERRED);
        if decision.is_none() && full {
            decision = Some(self.likely());
        }
        if let Some(decision) = decision {
            let kept = signs.is_empty();
            self.decide(decision, step);
            if kept {
                self.take(line, false, step);
            }
        }
    }

    /// A capture kernel runs, and after it none.
    pub(super) fn is_in_capture(&self) -> bool {
        self.segment.is_capture() || self.cycle.phase() >= Phase::CaptureKernel
    }

    /// What the command line in doubt says.
    fn by_parameters(&self, parameters: &str) -> Option<Decision> {
        let segment = &self.segment;
        let clue = signs::parameters_clue(parameters);
        let capture = clue.is_some_and(|clue| clue.role == Role::Capture)
            || parameters
                .split_ascii_whitespace()
                .any(|word| matches!(word, "irqpoll" | "nr_cpus=1" | "maxcpus=1"));
        let known = segment.has_parameters(parameters);
        if capture && !self.is_in_capture() && !known {
            return Some(Decision::New(Start::Kexec));
        }
        if segment.leaving || segment.end.is_some() {
            return Some(Decision::New(Start::Reboot));
        }
        if segment.may_kexec() {
            let first = clue.is_some_and(|clue| clue.role == Role::First);
            let start = if first || known || self.is_in_capture() {
                Start::Reboot
            } else {
                Start::Kexec
            };
            return Some(Decision::New(start));
        }
        if segment.command_line.is_some() && !known {
            return Some(Decision::New(Start::Reboot));
        }
        let comparison = self.doubt.as_ref().map(|doubt| &doubt.comparison);
        let blind = comparison.is_none_or(Comparison::is_blind);
        blind.then_some(Decision::New(Start::Reboot))
    }

    /// The clock went back, and a second line says so.
    fn by_clock(&self) -> Decision {
        let segment = &self.segment;
        let prose = self.doubt.as_ref().is_some_and(|doubt| doubt.prose);
        if segment.may_kexec() && !self.is_in_capture() {
            Decision::New(Start::Kexec)
        } else if !prose && (segment.leaving || segment.end.is_some()) {
            Decision::New(Start::Reboot)
        } else {
            Decision::New(Start::Excerpt)
        }
    }

    /// What is likely when no more lines are to be waited for.
    pub(super) fn likely(&self) -> Decision {
        let Some(doubt) = &self.doubt else {
            return Decision::Same;
        };
        let segment = &self.segment;
        if doubt.clock {
            return self.by_clock();
        }
        let dead = segment.may_kexec() || (segment.oops.is_some() && !segment.leaving);
        if doubt.comparison.is_same() {
            Decision::Same
        } else if segment.leaving || segment.end.is_some() {
            Decision::New(Start::Reboot)
        } else if dead && doubt.parameters.is_none() && !self.is_in_capture() {
            Decision::New(Start::Kexec)
        } else if doubt.parameters.is_none() && doubt.stamp.is_none() && !segment.early {
            // /proc/version.
            Decision::Same
        } else {
            Decision::New(Start::Reboot)
        }
    }

    pub(super) fn decide(&mut self, decision: Decision, step: &mut Step) {
        let Some(doubt) = self.doubt.take() else {
            return;
        };
        match decision {
            Decision::Same => {
                if let Some(stamp) = doubt.stamp {
                    self.segment.clock.set(stamp);
                }
                self.segment.last_line = doubt
                    .deferred
                    .last()
                    .map_or(doubt.line.number, |line| line.number);
                return;
            }
            Decision::Damage => {
                for line in &doubt.deferred {
                    let line = line.as_ref();
                    let signs = signs::signs(line);
                    self.apply(line, &signs, step);
                    self.segment.last_line = line.number();
                }
                return;
            }
            Decision::New(start) => {
                let top = self.segment.clock.top();
                let samples = self.segment.clock.samples();
                self.replace(start, doubt.line.as_ref(), step);
                if start == Start::Excerpt
                    && !doubt.prose
                    && let (Some(now), Some(top)) = (doubt.stamp, top)
                {
                    let later = samples.into_iter().filter(|s| s.stamp >= now).collect();
                    self.replay = Some(Replay {
                        comparison: Comparison::new(later),
                        top,
                        now,
                        lines: 0,
                    });
                }
            }
        }
        for line in &doubt.deferred {
            self.take(line.as_ref(), true, step);
        }
    }
}
