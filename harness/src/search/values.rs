//! The values that a search may try.

use std::fmt;

use super::SearchError;
use crate::units::Bytes;

/// Into how many parts a range of other sizes is cut.
const PARTS: u64 = 64;

/// What values count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Whatever the setting counts.
    Number,
}

/// A value and its unit; shown as one writes it in a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    /// The number.
    pub number: u64,
    /// What it counts.
    pub unit: Unit,
}

/// The values that may be tried: evenly spaced, numbered from 0, the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values {
    to: u64,
    step: u64,
    count: usize,
    unit: Unit,
    /// What the scenario has, if that is one of several values.
    own: Option<u64>,
}

/// `--from`, `--to` and `--step`, as they were written.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// The smallest value to try.
    pub from: Option<String>,
    /// The largest.
    pub to: Option<String>,
    /// Between two values.
    pub step: Option<String>,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Bytes => f.pad(&Bytes(self.number).to_string()),
            Unit::Number => f.pad(&self.number.to_string()),
        }
    }
}

impl Values {
    /// `own` is what the scenario has; `most` the default of `--to`.
    pub(super) fn new(
        unit: Unit,
        own: Option<u64>,
        most: Option<u64>,
        step: Option<u64>,
        bounds: &Bounds,
    ) -> Result<Self, SearchError> {
        let parse = |option: &'static str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => number(unit, text)
                .and_then(|number| match number {
                    0 => Err("it must be more than zero".to_owned()),
                    number => Ok(Some(number)),
                })
                .map_err(|why| SearchError::Bounds {
                    option,
                    given: text.clone(),
                    why,
                }),
        };
        let to = parse("to", &bounds.to)?.or(most).unwrap_or(0);
        let step = match (parse("step", &bounds.step)?.or(step), unit) {
            (Some(step), _) => step,
            (None, Unit::Number) => 1,
            (None, Unit::Bytes) => (to / PARTS).next_multiple_of(Bytes::MIB).max(Bytes::MIB),
        };
        let least = match unit {
            Unit::Number => 1,
            Unit::Bytes => step.min(to),
        };
        let from = parse("from", &bounds.from)?.unwrap_or(least);
        if to < from || to == 0 {
            let value = |number| Value { number, unit };
            return Err(SearchError::Bounds {
                option: "from",
                given: value(from).to_string(),
                why: format!("it is more than the largest value, {}", value(to)),
            });
        }
        let count = usize::try_from((to - from) / step).unwrap_or(usize::MAX - 1) + 1;
        Ok(Self {
            to,
            step,
            count,
            unit,
            own,
        })
    }

    /// How many there are; at least one.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The distance of two neighbours.
    pub fn step(&self) -> Value {
        Value {
            number: self.step,
            unit: self.unit,
        }
    }

    /// The value with this number.
    pub fn get(&self, at: usize) -> Value {
        let below = (self.count - 1).saturating_sub(at) as u64;
        Value {
            number: self.to - below.saturating_mul(self.step).min(self.to),
            unit: self.unit,
        }
    }

    /// The number of the smallest value that is not less than `number`, as far as there is one.
    pub(super) fn at_least(&self, number: u64) -> usize {
        let below = self.to.saturating_sub(number) / self.step;
        (self.count - 1).saturating_sub(usize::try_from(below).unwrap_or(usize::MAX))
    }

    /// Where to look for a first value that works: the largest, then what the scenario has.
    pub fn starts(&self) -> Vec<usize> {
        let mut starts = vec![self.count - 1];
        starts.extend(
            self.own
                .filter(|own| *own < self.to && *own >= self.get(0).number)
                .map(|own| self.at_least(own)),
        );
        starts.dedup();
        starts
    }
}

fn number(unit: Unit, text: &str) -> Result<u64, String> {
    match unit {
        Unit::Bytes => text
            .parse::<Bytes>()
            .map(|size| size.0)
            .map_err(|error| error.to_string()),
        Unit::Number => text
            .parse()
            .map_err(|_| format!("`{text}` is not a whole number")),
    }
}
