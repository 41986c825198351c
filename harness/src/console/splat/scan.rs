//! Puts reports together from the lines of a log, in one pass.

use std::sync::LazyLock;

use memchr::memmem;
use regex::Regex;

use super::event::{announced, follows, linger};
use super::field::is_registers;
use super::headline::{Heading, Role, can_begin, heading};
use super::report::{Nature, Open, Said};
use super::section::{is_dump, is_witness};
use super::{Kind, Splat};
use crate::console::LineRef;

/// Reports open at a time: the CPUs that print at once, and those whose panic may still come.
const MAX_OPEN: usize = 12;
/// Reports that wait for an earlier one to end.
const MAX_WAITING: usize = 64;
/// A clock that jumps further is of another event, in microseconds.
const JUMP: u64 = 10_000_000;
/// Lines after `cut here` within which its headline comes, however damaged.
const CUT_HERE: u64 = 4;
/// A line may be a whole report from this many bytes on.
const JOINED: usize = 160;

/// Finds reports.
#[derive(Debug, Default)]
pub struct Scanner {
    open: Vec<Open>,
    /// Closed, but begun after one that is open.
    waiting: Vec<Splat>,
    number: u64,
    cut_here: Option<u64>,
    /// Of the last line that had one, of those since which every line is wanted.
    stamp: Option<u64>,
    quiet: Quiet,
}

/// How long nothing can expire, unless a report changes or the clock goes back.
#[derive(Debug, Default)]
struct Quiet {
    /// The last line of that time.
    line: u64,
    /// The last stamp of that time.
    stamp: u64,
}

impl Scanner {
    /// Before the first line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every line is to be handed over: a report is open. Otherwise lines in which none of
    /// [`super::BEGINNINGS`] stands change nothing and may be left out.
    pub fn wants_all(&self) -> bool {
        let cut_here = self
            .cut_here
            .is_some_and(|line| self.number.saturating_sub(line) <= CUT_HERE);
        // The last of them is the likeliest.
        cut_here || self.open.iter().rev().any(|open| open.wants(self.number))
    }

    /// Whether something fatal has been reported that is not over: what its kernel, or a process of
    /// it, did not survive.
    pub fn is_fatal(&self) -> bool {
        self.open.iter().any(|open| open.splat.fatal)
    }

    /// Takes the next line; calls `done` for reports that are whole, in the order of their titles.
    pub fn observe(&mut self, line: LineRef<'_>, done: &mut dyn FnMut(Splat)) {
        let text = line.message();
        let said = |text| Said {
            number: line.number(),
            text,
            stamp: line.stamp(),
            caller: line.caller(),
        };
        self.number = line.number();
        self.expire(said(text));
        if text.len() >= JOINED && is_joined(text) {
            for piece in pieces(text) {
                self.message(said(piece));
            }
        } else {
            self.message(said(text));
        }
        if self.wants_all() {
            self.stamp = line.stamp().or(self.stamp);
        } else {
            // The lines that come may be left out: what their stamps say must not count.
            self.stamp = None;
            self.quiet.stamp = 0;
        }
        self.hand_over(done);
    }

    /// Another kernel begins: nothing that is open goes on.
    pub fn boundary(&mut self, done: &mut dyn FnMut(Splat)) {
        self.close_all(None, done);
    }

    /// The log has ended.
    pub fn finish(mut self, done: &mut dyn FnMut(Splat)) {
        self.close_all(Some(self.number), done);
    }

    fn close_all(&mut self, last: Option<u64>, done: &mut dyn FnMut(Splat)) {
        for open in std::mem::take(&mut self.open) {
            self.waiting.extend(open.close(last));
        }
        self.cut_here = None;
        self.stamp = None;
        self.hand_over(done);
    }

    /// Closes what nothing can follow any more.
    fn expire(&mut self, said: Said<'_>) {
        let on = match (said.stamp, self.stamp) {
            (Some(now), Some(before)) => now >= before && now <= self.quiet.stamp,
            _ => true,
        };
        if on && said.number <= self.quiet.line {
            return;
        }
        // One damaged stamp is no jump: the line before must have jumped too.
        let before = self.stamp;
        let jumped = |open: &Open| match (said.stamp, before) {
            (Some(now), Some(before)) => {
                now.abs_diff(before) <= JUMP && open.since(now) > JUMP && open.since(before) > JUMP
            }
            _ => false,
        };
        let over = |open: &Open| {
            let lines = said.number.saturating_sub(open.splat.last_line);
            lines > lingers(open) || jumped(open)
        };
        let mut index = 0;
        while index < self.open.len() {
            if over(&self.open[index]) {
                self.close(index);
            } else {
                index += 1;
            }
        }
        let lines = self.open.iter();
        let lines = lines.map(|open| open.splat.last_line + lingers(open));
        let stamps = self.open.iter().filter_map(Open::last_stamp);
        // What a report takes from here on is not before this line.
        let quiet = said.stamp.or(self.stamp).and_then(|now| {
            let (first, last) = stamps.fold((now, now), |(first, last), stamp| {
                (first.min(stamp), last.max(stamp))
            });
            (last - now <= JUMP).then(|| first.saturating_add(JUMP))
        });
        self.quiet = Quiet {
            line: lines.min().unwrap_or(0),
            stamp: quiet.unwrap_or(0),
        };
    }

    fn message(&mut self, said: Said<'_>) {
        if is_registers(said.text) {
            return self.body(said);
        }
        match heading(said.text) {
            Some(heading) if is_cut_here(&heading) => self.cut_here(said),
            Some(heading) => self.heading(said, heading),
            None => self.body(said),
        }
    }

    /// What comes now is a report of its own, unless a text has announced it.
    fn cut_here(&mut self, said: Said<'_>) {
        self.cut_here = Some(said.number);
        if let Some(index) = self.own(said) {
            let state = self.open[index].state(said);
            if !announced(state) {
                self.pass(index);
            }
        }
    }

    /// Another report begins where this one was.
    fn pass(&mut self, index: usize) {
        // Only what killed something can still be followed by a panic.
        if self.open[index].splat.fatal {
            self.open[index].past = true;
        } else {
            self.close(index);
        }
    }

    fn heading(&mut self, said: Said<'_>, heading: Heading<'_>) {
        self.quiet = Quiet::default();
        if let Some(index) = self.event(said, &heading) {
            let open = &mut self.open[index];
            open.past = false;
            open.adopt(said.caller);
            open.join(said, heading);
            return;
        }
        if heading.role == Role::Adds {
            return;
        }
        if let Some(index) = self.own(said) {
            self.pass(index);
        }
        self.begin(Open::headed(said, heading));
    }

    /// The open report that a headline goes on with.
    fn event(&self, said: Said<'_>, heading: &Heading<'_>) -> Option<usize> {
        let fits = |open: &Open| {
            if open.nature == Nature::Dump || self.is_far(open, said) {
                return false;
            }
            let state = open.state(said);
            if open.nature == Nature::Orphan {
                return match heading.role {
                    Role::Dies => state.bare && !state.ended,
                    Role::Panics => heading.kind == Kind::Panic && open.splat.at.is_some(),
                    _ => false,
                };
            }
            follows(state, heading)
        };
        if let Some(index) = self.own(said)
            && fits(&self.open[index])
        {
            return Some(index);
        }
        if heading.role != Role::Panics {
            return None;
        }
        // It may have been announced by another CPU, or before another report came between.
        let fitting = self.open.iter().enumerate().filter(|(_, open)| fits(open));
        fitting
            .max_by_key(|(_, open)| open.splat.last_line)
            .map(|(index, _)| index)
    }

    /// Whether the clock says that a line is of another event.
    fn is_far(&self, open: &Open, said: Said<'_>) -> bool {
        let Some(stamp) = said.stamp else {
            return false;
        };
        let lines = said.number.saturating_sub(open.splat.last_line);
        open.since(stamp) > JUMP && lines > 2
    }

    fn body(&mut self, said: Said<'_>) {
        let own = self.own(said);
        if let Some(index) = own
            && self.open[index].wants(said.number)
            && self.open[index].observe(said)
        {
            return;
        }
        let text = said.text.trim_start();
        let idle = own.is_none_or(|index| {
            !self.open[index].wants(said.number) || {
                let state = self.open[index].state(said);
                state.ended
            }
        });
        if is_dump(text) {
            // The CPUs that a stall's report asks for their traces.
            let asks = |open: &Open| {
                open.nature == Nature::Report
                    && matches!(
                        open.splat.kind,
                        Kind::RcuStall | Kind::SoftLockup | Kind::HardLockup | Kind::HungTask
                    )
                    && open.wants(said.number)
            };
            if let Some(open) = self.open.iter_mut().rev().find(|open| asks(open)) {
                open.adopt(said.caller);
                open.observe(said);
                return;
            }
            if let Some(index) = own {
                self.pass(index);
            }
            self.begin(Open::new(said, Nature::Dump));
        } else if idle && is_witness(said.text) && can_begin(said.text) {
            if let Some(index) = own {
                self.pass(index);
            }
            let mut open = Open::new(said, Nature::Orphan);
            open.observe(said);
            self.begin(open);
        }
    }

    /// The open report that whoever printed this line is at.
    fn own(&self, said: Said<'_>) -> Option<usize> {
        let current = |open: &&Open| !open.past;
        let mut own = self.open.iter().enumerate().rev();
        if let Some((index, _)) = own.find(|(_, open)| current(open) && open.is_of(said.caller)) {
            return Some(index);
        }
        // The caller's prefix is damaged.
        let mut all = self.open.iter().enumerate().filter(|(_, open)| !open.past);
        match (said.caller, all.next(), all.next()) {
            (None, Some((index, _)), None) => Some(index),
            _ => None,
        }
    }

    fn begin(&mut self, open: Open) {
        self.quiet = Quiet::default();
        if self.open.len() == MAX_OPEN {
            let oldest = self.open.iter().enumerate();
            let oldest = oldest.min_by_key(|(_, open)| open.splat.last_line);
            if let Some((index, _)) = oldest {
                self.close(index);
            }
        }
        self.open.push(open);
    }

    fn close(&mut self, index: usize) {
        let splat = self.open.remove(index).close(None);
        self.waiting.extend(splat);
    }

    fn hand_over(&mut self, done: &mut dyn FnMut(Splat)) {
        if self.waiting.is_empty() {
            return;
        }
        while self.waiting.len() > MAX_WAITING && !self.open.is_empty() {
            self.close(0);
        }
        self.waiting.sort_by_key(|splat| splat.line);
        let earliest = self.open.iter().filter(|open| open.nature != Nature::Dump);
        let earliest = earliest.map(|open| open.splat.line).min();
        let ready = match earliest {
            Some(line) => self.waiting.partition_point(|splat| splat.line < line),
            None => self.waiting.len(),
        };
        self.waiting.drain(..ready).for_each(done);
    }
}

/// Lines after its last at which a report is over.
fn lingers(open: &Open) -> u64 {
    match open.nature {
        Nature::Report => linger(open.splat.kind, open.splat.fatal),
        Nature::Orphan | Nature::Dump => super::report::REACH,
    }
}

fn is_cut_here(heading: &Heading<'_>) -> bool {
    heading.role == Role::Adds && heading.kind == Kind::Warning
}

/// One of these stands in a line that holds what should be several.
static JOINED_WITNESSES: LazyLock<[memmem::Finder<'static>; 8]> = LazyLock::new(|| {
    [
        "Kernel panic - not syncing",
        "Call Trace:",
        "Call trace:",
        "dump_stack",
        "RIP: 0010:",
        " [#",
        "---[ end trace",
        " PID: ",
    ]
    .map(memmem::Finder::new)
});

/// Whether a line holds what should be several: a headline or register, and a trace.
fn is_joined(text: &str) -> bool {
    let holds = |what: &memmem::Finder<'_>| what.find(text.as_bytes()).is_some_and(|at| at > 0);
    JOINED_WITNESSES.iter().any(holds) && breaks(text).take(2).count() == 2
}

/// Where the lines of a joined report began.
static BREAKS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(BREAK).ok());
const BREAK: &str = r"(?x) -{12}\[\ cut\ here\ \]-{12} | kernel\ BUG\ at\  | (?:\[\ )?BUG:\  | (?:\[\ )?(?:WARNING|INFO):\ (?:CPU|at|possible|suspicious|inconsistent|bad|held|lock|[\w./-]+:[0-9]+\ at)
    | UBSAN:\  | refcount_t:\  | list_(?:add|del)\ corruption | BUG\ [\w-]+\ \( | ODEBUG:\ 
    | Kernel\ panic\ -\ not\ syncing | Oops:\  | invalid\ opcode:\  | general\ protection\ fault
    | divide\ error:\  | Internal\ error:\  | Unable\ to\ handle\ kernel | INFO:\ (?:task|rcu)
    | Modules\ linked\ in: | CPU:\ [0-9]+\ PID: | Pid:\ [0-9] | Hardware\ name: | Call\ [Tt]race:
    | RIP(?::\ 0010:|:?\ +\[<) | RSP:\  | RAX:\  | Code:\  | Stack:\  | ---\[\ end\  | PGD\ [0-9a-f]
    | task:\ [0-9a-f]{8} | (?:PC|LR)\ is\ at\  | lr\ :\  | (?:[ie]pc|ra)\ +:\  | Backtrace:
    | \[<[0-9a-f]{8}>\]\ \(\w+\)\ from\  | NIP\ \[ | LR\ \[ | Krnl\ PSW\ :\  | stack\ backtrace:
    | (?:Allocated|Freed)\ by\ task | IP:\ \[< | EIP:\  | pc\ :\  | Workqueue:\ ";

fn breaks(text: &str) -> impl Iterator<Item = usize> {
    let found = BREAKS.iter().flat_map(move |breaks| breaks.find_iter(text));
    let starts = found.map(|found| found.start());
    // arm's die() says `Internal error: Oops - BUG: 0 [#1]`.
    starts.filter(move |at| {
        !text
            .get(..*at)
            .is_some_and(|before| before.ends_with("Oops - "))
    })
}

/// The parts of a joined line.
fn pieces(text: &str) -> Vec<&str> {
    let mut begins = vec![0];
    begins.extend(breaks(text));
    let ends = begins.iter().skip(1).copied().chain([text.len()]);
    let parts = begins.iter().zip(ends);
    parts
        .filter_map(|(from, to)| text.get(*from..to))
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
        .collect()
}

#[cfg(test)]
mod tests;
