//! A kernel's clock, as the stamps of its lines show it.

use super::DISORDER;
use crate::console::LineRef;

/// Stamps remembered from a kernel's begin, and from its end.
const SAMPLES: usize = 16;

/// A line by which a second printing of a log is known: no two boots print a line of the same
/// length in the same microsecond, or seldom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sample {
    pub(super) stamp: u64,
    length: usize,
}

impl Sample {
    /// None for a clock too coarse to tell one boot from another: jiffies.
    #[inline]
    pub(super) fn of(line: LineRef<'_>) -> Option<Self> {
        let stamp = line.stamp().filter(|stamp| !stamp.is_multiple_of(1000))?;
        let message = line.message();
        let ends = message.bytes().last().is_some_and(|b| b.is_ascii_graphic());
        Some(Self {
            stamp,
            length: if ends {
                message.len()
            } else {
                message.trim_end().len()
            },
        })
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Clock {
    /// Where it stands. Lower than `top` while an old part of the log is printed once more.
    now: Option<u64>,
    /// The highest it came to.
    top: u64,
    /// Where it stood before it jumped.
    before: u64,
    /// Only the last line is after a jump.
    lone: bool,
    early: Vec<Sample>,
    late: [Option<Sample>; SAMPLES],
    next_late: usize,
}

impl Clock {
    pub(super) fn top(&self) -> Option<u64> {
        self.now.map(|_| self.top)
    }

    /// Whether a line with this stamp would be another kernel's, or an old one once more.
    pub(super) fn is_back(&self, stamp: u64) -> bool {
        self.now.is_some_and(|now| stamp + DISORDER < now)
    }

    /// Whether an old part of the log is printed once more.
    pub(super) fn is_replaying(&self) -> bool {
        self.now.is_some_and(|now| now + DISORDER < self.top)
    }

    /// As [`Clock::tick`], if the clock stands where it was highest and now goes on. False, and
    /// nothing taken, if not.
    #[inline]
    pub(super) fn goes_on(&mut self, line: LineRef<'_>, stamp: u64) -> bool {
        let on = self.now == Some(self.top) && stamp >= self.top && stamp - self.top <= DISORDER;
        if !on {
            return false;
        }
        self.lone = false;
        self.now = Some(stamp);
        self.top = stamp;
        self.sample(line);
        true
    }

    #[inline]
    fn sample(&mut self, line: LineRef<'_>) {
        let Some(sample) = Sample::of(line) else {
            return;
        };
        if self.early.len() < SAMPLES {
            self.early.push(sample);
        } else {
            self.late[self.next_late % SAMPLES] = Some(sample);
            self.next_late = (self.next_late + 1) % SAMPLES;
        }
    }

    /// Takes the next line's stamp. Gives false, and takes nothing, if the clock went back.
    pub(super) fn tick(&mut self, line: LineRef<'_>, stamp: u64) -> bool {
        let now = self.now.unwrap_or(stamp);
        if stamp + DISORDER < now {
            // One damaged digit makes one line of the far future.
            if !(self.lone && stamp + DISORDER >= self.before) {
                return false;
            }
            self.lone = false;
            self.now = Some(stamp.max(self.before));
            self.top = self.top.min(stamp.max(self.before));
        } else {
            self.lone = stamp > now + DISORDER;
            if self.lone {
                self.before = now;
            }
            self.now = Some(stamp.max(now));
            self.top = self.top.max(stamp);
        }
        if !self.is_replaying() {
            self.sample(line);
        }
        true
    }

    /// The jump that the last line made is no damage.
    pub(super) fn trust(&mut self) {
        self.lone = false;
    }

    /// Another part of the same log came this far.
    pub(super) fn raise(&mut self, other: &Self) {
        if other.now.is_some() {
            self.now.get_or_insert(other.top);
            self.top = self.top.max(other.top);
        }
    }

    /// The same kernel's clock goes on from here.
    pub(super) fn set(&mut self, stamp: u64) {
        self.now = Some(stamp);
        self.lone = false;
    }

    /// What a second printing would show, in its order.
    pub(super) fn samples(&self) -> Vec<Sample> {
        let mut samples = self.early.clone();
        samples.extend(self.late.iter().flatten());
        samples.sort_unstable();
        samples
    }
}

/// Looks for a log's samples in what may be its second printing.
#[derive(Debug, Clone)]
pub(super) struct Comparison {
    samples: Vec<Sample>,
    next: usize,
    pub(super) found: usize,
    pub(super) missed: usize,
}

impl Comparison {
    pub(super) fn new(samples: Vec<Sample>) -> Self {
        Self {
            samples,
            next: 0,
            found: 0,
            missed: 0,
        }
    }

    pub(super) fn take(&mut self, line: LineRef<'_>) {
        let Some(stamp) = line.stamp() else { return };
        let sample = Sample::of(line);
        // Bounded by the samples: each is passed once.
        while let Some(expected) = self.samples.get(self.next)
            && expected.stamp <= stamp
        {
            if Some(*expected) == sample {
                self.found += 1;
            } else if expected.stamp == stamp {
                // Several lines in one microsecond: not this one.
                if self.samples[self.next..]
                    .iter()
                    .take_while(|other| other.stamp == stamp)
                    .any(|other| Some(*other) == sample)
                {
                    self.found += 1;
                    while self
                        .samples
                        .get(self.next)
                        .is_some_and(|other| other.stamp == stamp && Some(*other) != sample)
                    {
                        self.next += 1;
                    }
                }
            } else {
                self.missed += 1;
            }
            self.next += 1;
        }
    }

    /// Enough was found to say that it is the same log; of a short log, all.
    pub(super) fn is_same(&self) -> bool {
        self.found >= 2 || (self.found == 1 && self.samples.len() == 1)
    }

    /// Enough is missing to say that it is another.
    pub(super) fn is_other(&self) -> bool {
        self.missed >= 2 && self.found == 0
    }

    pub(super) fn is_blind(&self) -> bool {
        self.samples.is_empty()
    }
}
