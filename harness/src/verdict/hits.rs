//! Which patterns matched, where first, in which phase.

use std::collections::BTreeMap;

use super::outcome::Phase;
use crate::console::LineRef;
use crate::console::splat::cut;

/// A line that a pattern matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Place in the log: lines count from 1, and several messages of one line from 0.
    pub(super) place: (u64, u64),
    /// See [`LineRef::text`], but not more of it than anybody would read.
    pub(super) text: String,
}

/// First hits by phase. Memory is bounded by the number of patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hits {
    first: BTreeMap<(usize, Phase), Hit>,
}

impl Hits {
    /// The first line that the pattern matches in one of these phases; in any, if there are none.
    pub(super) fn first(&self, pattern: usize, phases: &[Phase]) -> Option<&Hit> {
        let all = self
            .first
            .range((pattern, Phase::FIRST)..=(pattern, Phase::LAST));
        all.filter(|((_, phase), _)| phases.is_empty() || phases.contains(phase))
            .map(|(_, hit)| hit)
            .min_by_key(|hit| hit.place)
    }

    pub(super) fn add(&mut self, pattern: usize, phase: Phase, hit: &Hit) {
        let mine = self.first.entry((pattern, phase));
        mine.and_modify(|mine| {
            if hit.place < mine.place {
                mine.clone_from(hit);
            }
        })
        .or_insert_with(|| hit.clone());
    }

    pub(super) fn merge(&mut self, other: &Hits) {
        for ((pattern, phase), hit) in &other.first {
            self.add(*pattern, *phase, hit);
        }
    }
}

/// Hits of a stretch of a log whose kernel and phases are not settled yet.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// The first and the last, by pattern and by the phase as it looks now: where a stretch turns
    /// out to be two kernels', the one is the first's and the other the second's.
    by_pattern: BTreeMap<(usize, Phase), (Hit, Option<Hit>)>,
}

impl Draft {
    /// A pattern matched. `part` counts the messages of one line.
    pub(super) fn add(&mut self, pattern: usize, phase: Phase, line: LineRef<'_>, part: u64) {
        let hit = || Hit {
            place: (line.number(), part),
            text: cut(line.text()).to_owned(),
        };
        let kept = self.by_pattern.entry((pattern, phase));
        kept.and_modify(|(_, last)| match last {
            Some(last) => {
                last.place = (line.number(), part);
                last.text.clear();
                last.text.push_str(cut(line.text()));
            }
            None => *last = Some(hit()),
        })
        .or_insert_with(|| (hit(), None));
    }

    /// Every hit, with its pattern.
    pub(super) fn hits(&self) -> impl Iterator<Item = (usize, &Hit)> {
        self.by_pattern
            .iter()
            .flat_map(|((pattern, _), (first, last))| {
                std::iter::once(first)
                    .chain(last)
                    .map(|hit| (*pattern, hit))
            })
    }
}
