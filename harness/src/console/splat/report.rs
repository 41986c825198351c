//! A report that is being put together.

use std::borrow::Cow;

use super::event::{State, has_end, rank};
use super::field::{Field, field, is_registers, modules};
use super::frame::frames;
use super::headline::{Heading, Role, clip};
use super::section::{Begins, is_detail, section};
use super::{
    Frame, Headline, Kind, MAX_FRAMES, MAX_MODULES, MAX_TRACES, Splat, Symbol, Trace,
    culprit::culprit,
    symbol::{plain_name, symbol},
};
use crate::console::Caller;

/// Further headlines kept of one report.
pub(super) const MAX_ALSO: usize = 16;
/// Callers that one report may have: the CPUs that answer a stall's NMI.
const MAX_CALLERS: usize = 8;
/// Frames of most traces.
const USUAL_FRAMES: usize = 32;
/// A list of modules goes on in the next line only if it fills its own: terminals have 80 columns.
const FOLDED: usize = 60;
/// Lines after the end marker that may still be of the report: die() prints the registers again.
pub(super) const TAIL: u64 = 30;
/// Lines that do not belong, after which nothing more is expected.
pub(super) const REACH: u64 = 64;

/// A message, or a part of one that holds several.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    pub number: u64,
    pub text: &'a str,
    pub stamp: Option<u64>,
    pub caller: Option<Caller>,
}

/// What an open report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// It has a headline.
    Report,
    /// Its headline is lost, or there is none: what it is shows at its end.
    Orphan,
    /// Somebody asked for a trace. It is no report.
    Dump,
}

/// Where frames go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Main,
    /// Index of the further trace.
    Further(usize),
    Nowhere,
}

/// What was seen of a report without a headline.
#[derive(Debug, Clone, Copy, Default)]
struct Witness {
    instruction: bool,
    code: bool,
    end: bool,
    warns: bool,
    ud2: bool,
}

/// An open report.
#[derive(Debug)]
pub(super) struct Open {
    pub splat: Splat,
    pub nature: Nature,
    callers: Vec<Option<Caller>>,
    section: Section,
    died: bool,
    panicked: bool,
    /// Line of the end marker.
    ended: Option<u64>,
    last_stamp: Option<u64>,
    witness: Witness,
    /// arm64's link register.
    link: Option<Symbol>,
    /// The last line was a list of modules, which may go on.
    listing: bool,
    /// Says where the next trace comes from.
    above: Option<String>,
    /// The next trace is not of what stood still.
    aside: bool,
    /// Nothing but a panic can follow: another report has begun.
    pub past: bool,
}

impl Open {
    pub(super) fn new(said: Said<'_>, nature: Nature) -> Self {
        Self {
            splat: Splat {
                kind: Kind::Oops,
                fatal: false,
                title: clip(said.text.trim()).to_owned(),
                also: Vec::new(),
                line: said.number,
                last_line: said.number,
                stamp: said.stamp,
                function: None,
                source: None,
                at: None,
                process: None,
                cpu: None,
                taint: None,
                release: None,
                hardware: None,
                modules: Vec::new(),
                trace: Vec::new(),
                more_traces: Vec::new(),
                cut: nature != Nature::Report,
            },
            nature,
            callers: vec![said.caller],
            section: Section::Main,
            died: false,
            panicked: false,
            ended: None,
            last_stamp: said.stamp,
            witness: Witness::default(),
            link: None,
            listing: false,
            above: None,
            aside: false,
            past: false,
        }
    }

    /// A report that begins with its headline.
    pub(super) fn headed(said: Said<'_>, heading: Heading<'_>) -> Self {
        let mut open = Self::new(said, Nature::Report);
        open.splat.kind = heading.kind;
        open.splat.title = heading.text.to_owned();
        open.take(heading);
        open
    }

    /// Goes on with a further headline.
    pub(super) fn join(&mut self, said: Said<'_>, heading: Heading<'_>) {
        if self.nature == Nature::Orphan {
            self.nature = Nature::Report;
            self.splat.kind = heading.kind;
            if heading.kind == Kind::Panic {
                self.splat.kind = self.orphan_kind();
            }
        }
        if self.splat.also.len() < MAX_ALSO {
            self.splat.also.push(Headline {
                line: said.number,
                text: heading.text.to_owned(),
            });
        }
        if matches!(heading.role, Role::Panics) || heading.kind == Kind::HungTask {
            self.above = Some(heading.text.to_owned());
        }
        let names = heading.role != Role::Adds;
        if names && rank(heading.kind) > rank(self.splat.kind) {
            self.splat.kind = heading.kind;
        }
        self.reach(said);
        self.take(heading);
    }

    fn take(&mut self, heading: Heading<'_>) {
        self.splat.fatal |= heading.fatal();
        match heading.role {
            Role::Dies => self.died = true,
            Role::Panics => {
                self.panicked = true;
                // It has an end marker of its own, and a trace.
                self.ended = None;
                if !self.splat.trace.is_empty() {
                    self.section = Section::Nowhere;
                }
            }
            Role::Begins | Role::Kills | Role::Adds => {}
        }
        let splat = &mut self.splat;
        if splat.source.is_none() {
            splat.source = heading.source;
        }
        // Of the functions that a symbolizer found inlined into each other, the last has the offset.
        let inlined = |at: &Symbol| at.offset.is_none() && heading.kind == splat.kind;
        if splat.at.as_ref().is_none_or(inlined) {
            splat.at = heading.at.or(splat.at.take());
        }
        if splat.cpu.is_none() {
            splat.cpu = heading.cpu;
        }
        if splat.process.is_none() {
            splat.process = heading.process;
        }
    }

    /// What the next line is to be compared with.
    pub(super) fn state(&self, said: Said<'_>) -> State<'_> {
        let micros = match (self.last_stamp, said.stamp) {
            (Some(before), Some(now)) => Some(now.abs_diff(before)),
            _ => None,
        };
        let last = self.splat.also.last().map(|headline| &headline.text);
        State {
            kind: self.splat.kind,
            title: &self.splat.title,
            fatal: self.splat.fatal,
            died: self.died,
            panicked: self.panicked,
            ended: self.ended.is_some(),
            bare: self.is_bare(),
            traced: !self.splat.trace.is_empty(),
            inlined: last.unwrap_or(&self.splat.title).ends_with(" [inline]"),
            lines: said.number.saturating_sub(self.splat.last_line),
            micros,
        }
    }

    fn is_bare(&self) -> bool {
        self.splat.trace.is_empty()
            && self.splat.more_traces.is_empty()
            && self.splat.taint.is_none()
            && self.splat.release.is_none()
    }

    pub(super) fn is_of(&self, caller: Option<Caller>) -> bool {
        self.callers.contains(&caller)
    }

    /// Another CPU speaks for this report.
    pub(super) fn adopt(&mut self, caller: Option<Caller>) {
        if !self.is_of(caller) && self.callers.len() < MAX_CALLERS {
            self.callers.push(caller);
        }
    }

    /// Whether its lines may still come.
    pub(super) fn wants(&self, number: u64) -> bool {
        let since = number.saturating_sub(self.ended.unwrap_or(self.splat.last_line));
        !self.past && since <= if self.ended.is_some() { TAIL } else { REACH }
    }

    /// Microseconds to a line's stamp.
    pub(super) fn since(&self, stamp: u64) -> u64 {
        self.last_stamp.map_or(0, |last| stamp.abs_diff(last))
    }

    pub(super) fn last_stamp(&self) -> Option<u64> {
        self.last_stamp
    }

    fn reach(&mut self, said: Said<'_>) {
        self.splat.last_line = said.number;
        if said.stamp.is_some() {
            self.last_stamp = said.stamp;
        }
    }

    /// Takes a line that is no headline. Whether it belongs.
    pub(super) fn observe(&mut self, said: Said<'_>) -> bool {
        let listing = std::mem::take(&mut self.listing);
        let belongs = self.body(said, listing);
        if belongs {
            self.reach(said);
        }
        belongs
    }

    fn body(&mut self, said: Said<'_>, listing: bool) -> bool {
        let text = said.text;
        if is_registers(text) {
            return true;
        }
        if self.ended.is_some() {
            return self.after_end(text);
        }
        let mut list = match self.section {
            Section::Main => Some(&mut self.splat.trace),
            Section::Further(index) => {
                let trace = self.splat.more_traces.get_mut(index);
                trace.map(|trace| &mut trace.frames)
            }
            Section::Nowhere => None,
        };
        let warns = &mut self.witness.warns;
        let any = frames(text, &mut |frame: Frame| {
            *warns |=
                frame.symbol.name.starts_with("warn_slowpath") || frame.symbol.name == "__warn";
            if let Some(list) = &mut list
                && list.len() < MAX_FRAMES
            {
                if list.is_empty() {
                    list.reserve(USUAL_FRAMES);
                }
                list.push(frame);
            }
        });
        if any {
            return true;
        }
        match field(text) {
            Some(field) => self.field(field, text),
            None if listing => self.more_modules(text),
            None if self.section_begins(text) || self.detail(text) => true,
            None => self.nature == Nature::Report && is_detail(text),
        }
    }

    /// A line above a trace that says whose it is.
    fn section_begins(&mut self, text: &str) -> bool {
        let Some(section) = section(text) else {
            return false;
        };
        self.above = Some(clip(text.trim()).to_owned());
        match section {
            Begins::Frames => self.further(),
            Begins::Trace => self.aside = false,
            Begins::Aside => self.aside = true,
        }
        true
    }

    fn field(&mut self, field: Field<'_>, text: &str) -> bool {
        let splat = &mut self.splat;
        match field {
            Field::Process {
                cpu,
                process,
                taint,
                release,
            } => {
                // The first is whom it happened to; those below are other CPUs, or the panic's.
                if splat.taint.is_none() && splat.release.is_none() {
                    let pid = |process: &Option<super::Process>| process.as_ref()?.pid;
                    let (known, speaks) = (pid(&splat.process), pid(&process));
                    // khungtaskd panics for the task that hangs.
                    if known.is_none() || speaks.is_none() || known == speaks {
                        splat.cpu = splat.cpu.or(cpu);
                    }
                    if splat
                        .process
                        .as_ref()
                        .is_none_or(|known| known.pid.is_none())
                    {
                        splat.process = process.or(splat.process.take());
                    }
                    splat.taint = taint;
                    splat.release = release;
                }
            }
            Field::Hardware(name) => {
                if splat.hardware.is_none() {
                    splat.hardware = Some(clip(name).to_owned());
                }
            }
            Field::Instruction(symbol, source) => {
                // Within a trace it is where an interrupt came, which dump_stack() prints, too;
                // only oops_end() of old kernels prints `RIP  [<address>]` behind one.
                let oops_end = text.starts_with("RIP  [") || text.starts_with("RIP [");
                self.witness.instruction |= splat.trace.is_empty() || oops_end;
                // Below a trace it is what an interrupt interrupted: the culprit of a stall only.
                let trapped = splat.fatal && splat.kind != Kind::Panic;
                let below = !splat.trace.is_empty() && !trapped && !is_stall(splat.kind);
                let first = splat.at.is_none() && !below;
                self.mend(&symbol);
                if first && self.section != Section::Nowhere {
                    self.instruction(symbol, source, text);
                }
            }
            Field::Modules(list) => {
                self.listing = text.len() >= FOLDED;
                if splat.modules.is_empty() {
                    splat.modules = list;
                    splat.modules.truncate(MAX_MODULES);
                }
            }
            Field::TraceBegin => self.trace_begins(text),
            Field::NoTrace => self.section = Section::Nowhere,
            Field::EndTrace => {
                self.witness.end = true;
                self.ended = Some(self.splat.last_line);
                return true;
            }
            Field::Marker(_) => {}
            Field::Machinery => {
                if let Some(link) = text.trim_start().strip_prefix("lr : ")
                    && self.link.is_none()
                {
                    self.link = symbol(link).map(|(symbol, _)| symbol);
                }
                if let Some(code) = text.trim_start().strip_prefix("Code: ") {
                    self.witness.code = true;
                    self.witness.ud2 |= code.contains("<0f> 0b");
                }
            }
        }
        true
    }

    /// A place that is printed twice may have lost a character once.
    fn mend(&mut self, again: &Symbol) {
        if let Some(at) = &mut self.splat.at
            && at.size.is_some()
            && (at.offset, at.size) == (again.offset, again.size)
            && at.name.len() < again.name.len()
        {
            at.name.clone_from(&again.name);
        }
    }

    fn instruction(&mut self, symbol: Symbol, source: Option<super::Source>, text: &str) {
        if self.nature == Nature::Orphan {
            self.splat.title = clip(text.trim()).to_owned();
        }
        self.splat.at = Some(symbol);
        if self.splat.source.is_none() {
            self.splat.source = source;
        }
    }

    fn trace_begins(&mut self, text: &str) {
        let aside = std::mem::take(&mut self.aside);
        if self.splat.trace.is_empty() && !aside {
            self.section = Section::Main;
        } else {
            self.above
                .get_or_insert_with(|| clip(text.trim()).to_owned());
            self.further();
        }
    }

    /// Frames from here on are of a further trace.
    fn further(&mut self) {
        self.section = Section::Nowhere;
        let title = self.above.take().unwrap_or_default();
        if self.nature != Nature::Report {
            return;
        }
        // The title may have been printed in vain: no frames followed.
        if self
            .splat
            .more_traces
            .last()
            .is_some_and(|trace| trace.frames.is_empty())
        {
            self.splat.more_traces.pop();
        }
        if self.splat.more_traces.len() < MAX_TRACES {
            let frames = Vec::new();
            self.splat.more_traces.push(Trace { title, frames });
            self.section = Section::Further(self.splat.more_traces.len() - 1);
        }
    }

    fn more_modules(&mut self, text: &str) -> bool {
        let list = modules(text);
        let words = text.split_ascii_whitespace().take(MAX_MODULES).count();
        if list.len() < 2 || list.len() != words || text.contains(':') {
            return false;
        }
        self.listing = true;
        let room = MAX_MODULES - self.splat.modules.len().min(MAX_MODULES);
        self.splat.modules.extend(list.into_iter().take(room));
        true
    }

    /// Lines of one kind of report that say more than that they belong.
    fn detail(&mut self, text: &str) -> bool {
        let text = text.trim_start();
        // lib/smp_processor_id.c
        if self.splat.kind == Kind::Bug
            && let Some(symbol) = text.strip_prefix("caller is ")
            && let Some((symbol, _)) = super::symbol::symbol(symbol)
        {
            self.splat.at = Some(symbol);
            return true;
        }
        // kernel/workqueue.c, process_one_work()
        if self.splat.kind == Kind::Bug
            && let Some(function) = text
                .strip_prefix("last function: ")
                .or_else(|| Some(text.split_once(" workfn=")?.1))
            && let Some(length) = super::symbol::name(function)
        {
            self.splat.at = Some(super::symbol::named(&function[..length]));
            return true;
        }
        // s390 has one text for all: arch/s390/mm/fault.c
        if self.splat.kind == Kind::PagingRequest
            && let Some(rest) = text.strip_prefix("Failing address: ")
        {
            let digits = rest.split(' ').next().unwrap_or_default();
            if u64::from_str_radix(digits, 16).is_ok_and(|address| address < 4096) {
                self.splat.kind = Kind::NullDereference;
            }
            return true;
        }
        // kernel/locking/lockdep.c, lockdep_rcu_suspicious()
        if self.splat.kind == Kind::Lockdep
            && self.splat.source.is_none()
            && self.splat.title.contains("suspicious")
            && let Some((Some(source), rest)) = super::frame::source(text)
            && rest.starts_with(' ')
        {
            self.splat.source = Some(source);
            return true;
        }
        // kernel/locking/lockdep.c, lockdep_sys_exit(): there is no trace, but who took the lock.
        if self.splat.kind == Kind::Lockdep
            && self.splat.at.is_none()
            && self.splat.title.contains("returning to user space")
            && let Some((_, rest)) = text.split_once(", at: ")
        {
            let rest = super::frame::pointer(rest).unwrap_or(rest).trim_start();
            self.splat.at = super::symbol::symbol(rest).map(|(symbol, _)| symbol);
            return true;
        }
        // kernel/sched/core.c, ___might_sleep()
        if self.splat.kind == Kind::SleepInAtomic
            && let Some((_, rest)) = text.split_once(", pid: ")
            && let Some((pid, name)) = rest.split_once(", name: ")
        {
            if self.splat.process.is_none() {
                self.splat.process = Some(super::Process {
                    comm: clip(name.trim()).to_owned(),
                    pid: pid.parse().ok(),
                });
            }
            return true;
        }
        false
    }

    /// What may follow `---[ end trace`: the registers again, and where the kernel lies.
    fn after_end(&mut self, text: &str) -> bool {
        match field(text) {
            Some(Field::Instruction(symbol, _)) => {
                self.mend(&symbol);
                true
            }
            Some(Field::Machinery | Field::EndTrace) => true,
            _ => text.trim_start().starts_with("Kernel Offset: "),
        }
    }

    /// The report, if it is one.
    /// `last` is the number of the log's last line, if that is why it closes.
    pub(super) fn close(mut self, last: Option<u64>) -> Option<Splat> {
        match self.nature {
            Nature::Report => {
                let cut = last.is_some_and(|last| last <= self.splat.last_line);
                self.splat.cut |= cut && !self.witness.end && has_end(self.splat.kind);
            }
            Nature::Orphan if self.is_report() => {
                self.splat.kind = self.orphan_kind();
                self.splat.fatal = self.splat.kind != Kind::Warning;
            }
            Nature::Orphan | Nature::Dump => return None,
        }
        if self.is_prose() {
            return None;
        }
        let splat = &mut self.splat;
        splat.more_traces.retain(|trace| !trace.frames.is_empty());
        // A headline in one trace only: what was stalled did not speak itself.
        if splat.trace.is_empty() && !splat.more_traces.is_empty() && main_is_first(splat.kind) {
            splat.trace = splat.more_traces.remove(0).frames;
        }
        // What was executed is data, and its name says nothing.
        let at = splat.at.as_ref().filter(|_| !executes_data(&splat.title));
        splat.function = culprit(splat.kind, at, &with_link(splat, self.link.as_ref()));
        if splat.source.is_none() {
            let blamed =
                |frame: &&Frame| Some(plain_name(&frame.symbol.name)) == splat.function.as_deref();
            splat.source = splat
                .trace
                .iter()
                .find(blamed)
                .and_then(|frame| frame.source.clone());
        }
        Some(self.splat)
    }

    /// Whether it is only a line that begins with `BUG: `, as programs print them too. The kernel's
    /// own have a time stamp, or more lines, or are known.
    fn is_prose(&self) -> bool {
        const KNOWN: [&str; 4] = ["non-zero ", "Dentry ", "using ", "workqueue leaked "];
        let splat = &self.splat;
        let text = splat.title.strip_prefix("BUG: ");
        splat.kind == Kind::Bug
            && self.is_bare()
            && splat.also.is_empty()
            && splat.stamp.is_none()
            && text.is_some_and(|text| !KNOWN.iter().any(|known| text.starts_with(known)))
    }

    /// Whether a trace without a headline can only be of a report.
    fn is_report(&self) -> bool {
        let Witness {
            instruction,
            code,
            end,
            ..
        } = self.witness;
        let traced = !self.splat.trace.is_empty();
        (instruction && (traced || code || end)) || (end && traced)
    }

    fn orphan_kind(&self) -> Kind {
        let witness = self.witness;
        let warning = witness.warns || (witness.end && !witness.instruction && !witness.code);
        match warning {
            true => Kind::Warning,
            false if witness.ud2 && self.died => Kind::InvalidOpcode,
            false => Kind::Oops,
        }
    }
}

/// The trace, with the caller of a function that calls nothing: arm64 has it in the link register
/// alone (arch/arm64/kernel/stacktrace.c unwinds from the frame pointer, which such a function does
/// not set).
fn with_link<'s>(splat: &'s Splat, link: Option<&Symbol>) -> Cow<'s, [Frame]> {
    let Some(link) = link.filter(|_| !is_stall(splat.kind)) else {
        return Cow::Borrowed(&splat.trace);
    };
    let known = splat
        .at
        .iter()
        .chain(splat.trace.iter().map(|frame| &frame.symbol));
    if known.into_iter().any(|symbol| symbol.name == link.name) {
        return Cow::Borrowed(&splat.trace);
    }
    let mut trace = splat.trace.clone();
    let frame = Frame {
        symbol: link.clone(),
        reliable: true,
        source: None,
    };
    let own = |first: &Frame| {
        splat
            .at
            .as_ref()
            .is_some_and(|at| at.name == first.symbol.name)
    };
    let behind = trace.first().is_some_and(own) && !executes_data(&splat.title);
    trace.insert(usize::from(behind), frame);
    Cow::Owned(trace)
}

/// Kinds that an interrupt reports of what it interrupted.
fn is_stall(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::RcuStall | Kind::SoftLockup | Kind::HardLockup | Kind::Nmi | Kind::MachineCheck
    )
}

/// arch/x86/mm/fault.c, arch/arm64/mm/fault.c
fn executes_data(title: &str) -> bool {
    const EXECUTES: [&str; 4] = [
        "kernel tried to execute NX-protected page",
        "unable to execute userspace code",
        "Unable to handle kernel execute from non-executable memory",
        "Unable to handle kernel execution of user memory",
    ];
    EXECUTES.iter().any(|begin| title.starts_with(begin))
}

/// Kinds that name the trace that matters above it.
fn main_is_first(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Kcsan | Kind::RcuStall | Kind::SoftLockup | Kind::HardLockup | Kind::WorkqueueLockup
    )
}
