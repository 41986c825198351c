//! A console log, read as a stream: its kernels, what they report, and the lines that rules look
//! for. Memory is bounded whatever stands in the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::book::{RuleBook, Seen};
use super::evidence::{Dump, End, Evidence, Spotted};
use super::hits::{Draft, Hits};
use super::outcome::Phase;
use crate::console::boots::{Began, Boot, BootEnd, Boots, KEPT, Role};
use crate::console::splat::{Kind, Scanner, Source, Splat};
use crate::console::{LineAssembler, LineRef, Terminal};

/// Reports kept of one kernel, and as many fatal ones. A kernel that goes on after so many says
/// nothing new.
const MAX_REPORTS: usize = 64;

/// Reports listed of a log: the first and the last of more.
const MAX_LISTED: usize = 512;

/// Reads a log.
#[derive(Debug)]
pub struct LogReader {
    assembler: LineAssembler,
    watch: Watch,
    bytes: u64,
}

impl LogReader {
    /// Before the first byte.
    pub fn new(book: Arc<RuleBook>) -> Self {
        Self {
            assembler: LineAssembler::new(),
            watch: Watch {
                book,
                boots: Boots::new(),
                scanner: Scanner::new(),
                stretches: BTreeMap::new(),
                seen: Seen::default(),
                part: (0, 0),
                lines: 0,
                omitted: 0,
                fatal: false,
            },
            bytes: 0,
        }
    }

    /// Takes the next bytes; calls `also` for each line; gives the phases that they begin.
    pub fn push(&mut self, bytes: &[u8], mut also: impl FnMut(LineRef<'_>)) -> Vec<Began> {
        self.bytes += bytes.len() as u64;
        let watch = &mut self.watch;
        let mut began = Vec::new();
        self.assembler.push(bytes, |line| {
            watch.line(line, &mut began);
            also(line);
        });
        began
    }

    /// The phase reached by the current kernel or the one that crashed before it, if no line
    /// follows.
    pub fn phase(&self) -> Phase {
        let mut boots = self.watch.boots.clone();
        boots.settle();
        boots.phase()
    }

    /// The console says that nothing more will come.
    pub fn terminal(&self) -> Option<Terminal> {
        self.watch.boots.terminal()
    }

    /// A capture kernel has printed its first fatal line: the headline of a BUG, an oops or a panic.
    pub fn is_fatal(&self) -> bool {
        self.watch.fatal
    }

    /// The log has ended.
    pub fn finish(self) -> Log {
        let Self {
            assembler,
            mut watch,
            bytes,
        } = self;
        assembler.finish(|line| watch.line(line, &mut Vec::new()));
        watch.finish(bytes)
    }
}

#[derive(Debug)]
struct Watch {
    book: Arc<RuleBook>,
    boots: Boots,
    scanner: Scanner,
    /// By the number that [`Boots::current`] gives.
    stretches: BTreeMap<usize, Stretch>,
    seen: Seen,
    /// Number of the last line that mattered, and how many of its messages have been seen.
    part: (u64, u64),
    lines: u64,
    /// Reports of stretches that are not kept.
    omitted: u64,
    /// See [`LogReader::is_fatal`].
    fatal: bool,
}

/// What was seen between two signs of another kernel.
#[derive(Debug, Default)]
struct Stretch {
    hits: Draft,
    reports: Vec<(Splat, u64)>,
    omitted: u64,
}

impl Stretch {
    fn keep(&mut self, splat: Splat) {
        let same = |kept: &&mut (Splat, u64)| identity(&kept.0) == identity(&splat);
        if let Some((_, count)) = self.reports.iter_mut().find(same) {
            *count += 1;
            return;
        }
        let alike = self
            .reports
            .iter()
            .filter(|kept| kept.0.fatal == splat.fatal);
        if alike.count() < MAX_REPORTS {
            self.reports.push((splat, 1));
        } else {
            self.omitted += 1;
        }
    }
}

impl Watch {
    fn line(&mut self, line: LineRef<'_>, began: &mut Vec<Began>) {
        self.lines = line.number();
        let matters = self.book.matters(line, &mut self.seen);
        let before = self.boots.current();
        let step = self.boots.observe(line, matters.boots);
        began.extend(step.began);
        if step.kernel {
            let stretch = self.stretches.entry(before).or_default();
            self.scanner.boundary(&mut |splat| stretch.keep(splat));
        }
        if step.boot {
            self.drop_old(before);
        }
        let reports = matters.reports || self.scanner.wants_all();
        // Whoever sends a log writes of its lines, too.
        let rules = matters.rules && !is_foreign(line);
        if !rules && !reports {
            return;
        }
        let stretch = self.stretches.entry(self.boots.current()).or_default();
        if rules {
            self.part = if self.part.0 == line.number() {
                (line.number(), self.part.1 + 1)
            } else {
                (line.number(), 0)
            };
            let phase = self.boots.phase();
            self.book.matches(line.text(), &mut self.seen, |pattern| {
                stretch.hits.add(pattern, phase, line, self.part.1);
            });
        }
        if reports {
            self.scanner.observe(line, &mut |splat| stretch.keep(splat));
            let captures = self.boots.phase() >= Phase::CaptureKernel;
            self.fatal |= captures && self.scanner.is_fatal();
        }
    }

    /// Of very many kernels the first and the last are listed, as many of each.
    fn drop_old(&mut self, before: usize) {
        if let Some(dropped) = before.checked_sub(KEPT + 1)
            && dropped >= KEPT
            && let Some(stretch) = self.stretches.remove(&dropped)
        {
            self.omitted += stretch.omitted + stretch.reports.len() as u64;
        }
    }

    fn finish(mut self, bytes: u64) -> Log {
        let stretch = self.stretches.entry(self.boots.current()).or_default();
        self.scanner.finish(&mut |splat| stretch.keep(splat));
        self.boots.settle();
        let first_cycle = self.boots.first_cycle().marks().to_vec();
        let found = self.boots.finish();
        let mut hits = vec![Hits::default(); found.boots.len()];
        let mut reports = Vec::new();
        let mut omitted = self.omitted;
        for (number, stretch) in self.stretches {
            omitted += stretch.omitted;
            for (pattern, hit) in stretch.hits.hits() {
                if let Some((boot, phase)) = found.place(number, hit.place.0) {
                    hits[boot].add(pattern, phase, hit);
                }
            }
            for (splat, count) in stretch.reports {
                match found.place(number, splat.line) {
                    Some((boot, phase)) => reports.push(Spotted {
                        boot,
                        phase,
                        count,
                        splat,
                    }),
                    None => omitted += 1,
                }
            }
        }
        reports.sort_by_key(|spotted| spotted.splat.line);
        if reports.len() > MAX_LISTED {
            let dropped = MAX_LISTED / 2..reports.len() - MAX_LISTED / 2;
            omitted += dropped.len() as u64;
            reports.drain(dropped);
        }
        Log {
            book: self.book,
            bytes,
            lines: self.lines,
            first_cycle,
            hits,
            reports,
            omitted_boots: found.omitted,
            omitted_reports: omitted,
            boots: found.boots,
        }
    }
}

/// Prose in a language that is not written in ASCII. Kernels print nothing else, nor do the
/// programs of kdump.
fn is_foreign(line: LineRef<'_>) -> bool {
    let foreign = |text: &str| {
        text.chars()
            .filter(|c| *c > '\u{7f}' && c.is_alphabetic())
            .count()
    };
    line.stamp().is_none() && !line.text().is_ascii() && foreign(line.text()) >= 4
}

/// What makes two reports the same.
fn identity(splat: &Splat) -> (Kind, Option<&str>, Option<&Source>) {
    (splat.kind, splat.function.as_deref(), splat.source.as_ref())
}

/// A log that has been read.
#[derive(Debug)]
pub struct Log {
    /// The rules that it was read with.
    pub book: Arc<RuleBook>,
    /// Bytes read.
    pub bytes: u64,
    /// Lines read.
    pub lines: u64,
    /// The kernels, in the order of the log.
    pub boots: Vec<Boot>,
    /// What they reported, in the order of the log.
    pub reports: Vec<Spotted>,
    /// Phases of the first cycle as a drill's own kernels tell them.
    pub first_cycle: Vec<Began>,
    /// By boot.
    hits: Vec<Hits>,
    /// Kernels that are not among `boots`, because there are too many.
    pub omitted_boots: u64,
    /// Reports that were not kept.
    pub omitted_reports: u64,
}

impl Log {
    /// Numbers of the cycles: a first kernel and its capture kernel are one.
    pub fn cycles(&self) -> Vec<u32> {
        let mut cycles: Vec<u32> = self.boots.iter().map(|boot| boot.cycle).collect();
        cycles.dedup();
        cycles
    }

    /// What was seen of one cycle. Nobody has looked for its dump.
    pub fn evidence(&self, cycle: u32) -> Evidence {
        let mut evidence = Evidence {
            phases: Vec::new(),
            any_phase: true,
            hits: Hits::default(),
            splats: Vec::new(),
            reports: Vec::new(),
            counted: Vec::new(),
            end: End::LogEnds,
            dump: Dump::NotLookedFor,
            expectations: None,
        };
        let boots = self.boots.iter().zip(&self.hits).enumerate();
        for (number, (boot, hits)) in boots.filter(|(_, (boot, _))| boot.cycle == cycle) {
            evidence.any_phase &= boot.role == Role::Unknown;
            evidence.phases.extend_from_slice(&boot.phases);
            evidence.hits.merge(hits);
            let own = |spotted: &&Spotted| spotted.boot == number;
            let own = self.reports.iter().filter(own);
            evidence.splats.extend(own.cloned());
            evidence.end = match boot.end {
                BootEnd::Open | BootEnd::Kexec => End::LogEnds,
                BootEnd::Panicked => End::Panicked,
                BootEnd::Halted => End::Halted,
                BootEnd::PoweredOff => End::PoweredOff,
                BootEnd::Restarted | BootEnd::Reset => End::Reset,
            };
        }
        evidence
    }
}
