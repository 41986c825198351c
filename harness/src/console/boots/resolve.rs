//! Stretches of a log to boots: what only the whole log tells.

use super::segment::{Segment, Start};
use super::signs::{Clue, Strength};
use super::{Began, Boot, BootEnd, Found, Place, Role};
use crate::console::splat::Headline;
use crate::verdict::outcome::Phase;

/// Segments of one kernel, put together.
struct Kernel {
    segment: Segment,
    role: Role,
    why: Option<Headline>,
    because: Option<&'static str>,
    end: BootEnd,
}

pub(super) fn resolve(head: Vec<Segment>, tail: Vec<Segment>, omitted: u64) -> Found {
    let gap = head.len();
    let segments: Vec<Segment> = head.into_iter().chain(tail).collect();
    let next = |at: usize| match omitted > 0 && at + 1 == gap {
        true => None,
        false => segments.get(at + 1),
    };

    // One kernel for each segment, but for those that are known to go on with the one before.
    let mut kernels: Vec<Kernel> = Vec::new();
    let mut of: Vec<Option<usize>> = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        let end = end(segment, next(at));
        if segment.same
            && at > 0
            && let Some(Some(kernel)) = of.last().copied()
        {
            kernels[kernel].absorb(segment, end);
            of.push(Some(kernel));
        } else if segment.start == Start::Reboot && !segment.kernel {
            // Firmware, and the log ends.
            of.push(None);
        } else {
            of.push(Some(kernels.len()));
            kernels.push(Kernel {
                segment: segment.clone(),
                role: Role::Unknown,
                why: None,
                because: None,
                end,
            });
        }
    }

    let mut crash: Option<Headline> = None;
    for at in 0..kernels.len() {
        let kexec_next = kernels
            .get(at + 1)
            .is_some_and(|next| next.segment.start == Start::Kexec);
        let own = kernels[at].segment.clone();
        kernels[at].decide(kexec_next, crash.take());
        crash = own.crashed.or(own.oops);
    }
    // What looked like a capture kernel was none.
    for at in 1..kernels.len() {
        let next = &kernels[at];
        if next.segment.start == Start::Kexec && next.role == Role::First {
            let before = &mut kernels[at - 1];
            if before.end == BootEnd::Kexec {
                before.end = match before.segment.panicked {
                    true => BootEnd::Panicked,
                    false => BootEnd::Reset,
                };
            }
        }
    }
    merge(&mut kernels, &mut of);

    let mut boots: Vec<Boot> = Vec::new();
    let mut because = Vec::new();
    let mut shift = 0i64;
    for (at, kernel) in kernels.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| kernels.get(before));
        let start = kernel.segment.start;
        if start == Start::Kexec && kernel.role == Role::First {
            shift += 1;
        }
        // By way of the firmware: fadump.
        if start == Start::Reboot
            && kernel.role == Role::Capture
            && before.is_some_and(|before| {
                before.role != Role::Capture && before.segment.crashed.is_some()
            })
        {
            shift -= 1;
        }
        let cycle = u32::try_from(i64::from(kernel.segment.cycle) + shift).unwrap_or(0);
        boots.push(kernel.boot(cycle));
        because.push(kernel.because);
    }
    let places = segments
        .iter()
        .zip(&of)
        .map(|(segment, boot)| Place {
            number: segment.number,
            first_line: segment.first_line,
            boot: *boot,
        })
        .collect();
    Found {
        boots,
        omitted,
        because,
        places,
    }
}

fn end(segment: &Segment, next: Option<&Segment>) -> BootEnd {
    let next = next.map(|next| next.start);
    match segment.end {
        _ if next == Some(Start::Kexec) => BootEnd::Kexec,
        Some(end) => end,
        // Nothing but panic() says that it reboots in so many seconds.
        None if segment.panicked || segment.leaving => BootEnd::Panicked,
        None if next == Some(Start::Reboot) => BootEnd::Reset,
        None => BootEnd::Open,
    }
}

/// Excerpts of logs, between which no kernel begins, are the same kernel's: those with a clue to
/// the first are the first's; the others the capture kernel's, if there is a clue to one.
fn merge(kernels: &mut Vec<Kernel>, of: &mut [Option<usize>]) {
    let count = kernels.len();
    let mut target: Vec<usize> = (0..count).collect();
    // Bounded: as many as are kept of head and tail.
    for at in 0..count {
        let kernel = &kernels[at];
        if !kernel.is_excerpt() {
            continue;
        }
        let cycle = kernel.segment.cycle;
        let with = |role: Role| {
            kernels
                .iter()
                .position(|other| other.segment.cycle == cycle && other.role == role)
        };
        let dies_later = kernels.iter().skip(at + 1).position(|other| {
            other.segment.cycle == cycle && other.role == Role::First && other.end == BootEnd::Kexec
        });
        let found = match kernel.role {
            Role::Unknown => dies_later
                .map(|later| later + at + 1)
                .or(with(Role::Capture))
                .or(with(Role::Unknown)),
            role => with(role),
        };
        target[at] = found.unwrap_or(at);
    }
    // Several hops end in a kernel that stays.
    for at in 0..count {
        let mut to = target[at];
        for _ in 0..count {
            if target[to] == to {
                break;
            }
            to = target[to];
        }
        target[at] = to;
    }
    let mut old: Vec<Option<Kernel>> = kernels.drain(..).map(Some).collect();
    let mut groups: Vec<(usize, Kernel)> = Vec::new();
    for at in 0..count {
        let to = target[at];
        if groups.iter().any(|(group, _)| *group == to) {
            continue;
        }
        // The one that stays gives role and reason; the lines come in their order.
        let Some(stays) = old[to].take() else {
            continue;
        };
        let mut kernel: Option<Kernel> = None;
        for part in 0..count {
            if target[part] != to {
                continue;
            }
            let segment = match part == to {
                true => Some((stays.segment.clone(), stays.end)),
                false => old[part].take().map(|part| (part.segment, part.end)),
            };
            let Some((segment, end)) = segment else {
                continue;
            };
            match &mut kernel {
                Some(kernel) => kernel.absorb(&segment, end),
                None => {
                    kernel = Some(Kernel {
                        segment,
                        role: stays.role,
                        why: stays.why.clone(),
                        because: stays.because,
                        end,
                    });
                }
            }
        }
        groups.extend(kernel.map(|kernel| (to, kernel)));
    }
    let index: Vec<usize> = groups.iter().map(|(to, _)| *to).collect();
    for boot in of.iter_mut() {
        *boot = boot.and_then(|old| {
            let to = target.get(old)?;
            index.iter().position(|group| group == to)
        });
    }
    kernels.extend(groups.into_iter().map(|(_, kernel)| kernel));
}

impl Kernel {
    fn is_excerpt(&self) -> bool {
        matches!(self.segment.start, Start::Excerpt | Start::Log)
            && !self.segment.is_anchored()
            && self.end != BootEnd::Kexec
    }

    fn decide(&mut self, kexec_next: bool, crash_before: Option<Headline>) {
        let segment = &self.segment;
        let at_least = |clue: &Option<(Clue, Headline)>, strength| {
            clue.clone().filter(|(clue, _)| clue.strength >= strength)
        };
        let first = at_least(&segment.first, Strength::Certain);
        let capture = at_least(&segment.capture, Strength::Certain);
        let proof = |clue: &Option<(Clue, Headline)>| {
            clue.as_ref()
                .is_some_and(|(clue, _)| clue.strength == Strength::Proof)
        };
        let kexec = segment.start == Start::Kexec;
        let likely = segment
            .capture
            .clone()
            .filter(|_| segment.command_line.is_none() && !kexec_next);
        let clue = if proof(&capture) {
            capture
        } else if proof(&first) {
            first
        } else {
            match (first, capture) {
                (Some(_), Some(capture)) if kexec => Some(capture),
                (Some(first), Some(capture)) if first.1.line <= capture.1.line => Some(first),
                (first, capture) => capture.or(first).or(likely.filter(|_| !kexec)),
            }
        };
        (self.role, self.why, self.because) = match clue {
            Some((clue, line)) => (clue.role, Some(line), Some(clue.means)),
            None if kexec => match segment.capture.clone() {
                Some((clue, line)) => (Role::Capture, Some(line), Some(clue.means)),
                None => (
                    Role::Capture,
                    crash_before,
                    Some("it starts after a crash, and nothing resets the machine between"),
                ),
            },
            None if segment.is_anchored() => (Role::First, None, None),
            None if kexec_next => (
                Role::First,
                segment.crashed.clone().or(segment.oops.clone()),
                Some("it crashed, and a capture kernel followed"),
            ),
            None => (Role::Unknown, None, None),
        };
    }

    /// Takes what a later segment of the same kernel adds.
    fn absorb(&mut self, other: &Segment, end: BootEnd) {
        let own = &mut self.segment;
        own.last_line = own.last_line.max(other.last_line);
        own.clock.raise(&other.clock);
        own.kernel |= other.kernel;
        own.panicked |= other.panicked;
        own.leaving |= other.leaving;
        let fill = |slot: &mut Option<Headline>, other: &Option<Headline>| {
            if slot.is_none() {
                slot.clone_from(other);
            }
        };
        fill(&mut own.begun, &other.begun);
        fill(&mut own.armed, &other.armed);
        fill(&mut own.crashed, &other.crashed);
        fill(&mut own.oops, &other.oops);
        fill(&mut own.drivers, &other.drivers);
        fill(&mut own.user_space, &other.user_space);
        fill(&mut own.saving, &other.saving);
        fill(&mut own.saved, &other.saved);
        for (slot, clue) in [
            (&mut own.first, &other.first),
            (&mut own.capture, &other.capture),
        ] {
            if slot.is_none() {
                slot.clone_from(clue);
            }
        }
        if end != BootEnd::Open {
            self.end = end;
        }
    }

    fn boot(&self, cycle: u32) -> Boot {
        let segment = &self.segment;
        Boot {
            role: self.role,
            why: self.why.clone(),
            cycle,
            release: segment.release.clone(),
            command_line: segment.command_line.clone(),
            first_line: segment.first_line,
            last_line: segment.last_line,
            last_stamp: segment.clock.top(),
            phases: self.phases(),
            end: self.end,
        }
    }

    /// By the lines; a line that comes before an earlier phase's begins nothing.
    fn phases(&self) -> Vec<Began> {
        let segment = &self.segment;
        let crashed = match self.end {
            BootEnd::Kexec => segment.crashed.clone().or(segment.oops.clone()),
            _ => segment.crashed.clone(),
        };
        let phases = match self.role {
            Role::Capture => vec![
                (Phase::CaptureKernel, segment.begins()),
                (
                    Phase::CaptureDrivers,
                    segment.drivers.clone().or(segment.user_space.clone()),
                ),
                (Phase::Saving, segment.saving.clone()),
                (Phase::Saved, segment.saved.clone()),
            ],
            Role::First => vec![
                (Phase::FirstKernel, segment.begins()),
                (Phase::Armed, segment.armed.clone()),
                (Phase::Crashed, crashed),
            ],
            Role::Unknown => vec![
                (Phase::Armed, segment.armed.clone()),
                (Phase::Crashed, crashed),
            ],
        };
        let mut began: Vec<Began> = Vec::new();
        for (phase, line) in phases {
            if let Some(line) = line
                && began.last().is_none_or(|last| last.line.line <= line.line)
            {
                began.push(Began { phase, line });
            }
        }
        began
    }
}
