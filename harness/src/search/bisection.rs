//! Which value to try next, and what is known after each. Pure: values are numbered from 0, the
//! smallest, and somebody else tries them.

use std::collections::BTreeMap;
use std::ops::Range;

/// Finds the smallest value that works.
///
/// Bisection takes for granted that everything above a value that works does too. What it sees to
/// the contrary it tells: see [`Answer::failed_above`].
#[derive(Debug, Clone)]
pub struct Bisection {
    /// How many values there are.
    count: usize,
    /// Where to look for a first value that works, the next one last.
    starts: Vec<usize>,
    tried: BTreeMap<usize, bool>,
    hint: Hint,
}

/// Where the smallest value that works may lie, as one that was tried lets guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hint {
    None,
    /// To be tried next.
    At(usize),
    /// It was tried here; its neighbour, where the edge is if the guess is right, comes next.
    Near(usize),
    /// The neighbour was tried as well; what is a little further away comes next.
    Far(usize),
    Used,
}

/// A guess that is wrong is wrong by no more than this part of the range.
const DOUBT: usize = 16;

/// What is known when nothing is left to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The smallest value that was seen to work, if any was.
    pub smallest: Option<usize>,
    /// The one just below it was seen not to work. Otherwise `smallest` is the smallest of all.
    pub failed_below: Option<usize>,
    /// Values above it that were seen not to work: then more is not always better.
    pub failed_above: Vec<usize>,
}

impl Bisection {
    /// Among `count` values; `starts` are tried in this order until one works.
    pub fn new(count: usize, starts: &[usize]) -> Self {
        let mut starts: Vec<usize> = starts.iter().copied().filter(|at| *at < count).collect();
        starts.reverse();
        Self {
            count,
            starts,
            tried: BTreeMap::new(),
            hint: Hint::None,
        }
    }

    /// A guess at the smallest value that works. Only the first counts: it costs at most three
    /// tries more than none.
    pub fn hint(&mut self, at: usize) {
        if self.hint == Hint::None {
            self.hint = Hint::At(at);
        }
    }

    /// The value to try now.
    pub fn next(&self) -> Option<usize> {
        let Some(open) = self.open() else {
            return self
                .starts
                .iter()
                .rev()
                .copied()
                .find(|at| !self.tried.contains_key(at));
        };
        if open.is_empty() {
            return None;
        }
        let clamped = |at: usize| at.clamp(open.start, open.end - 1);
        Some(match self.hint {
            Hint::At(at) => clamped(at),
            Hint::Near(at) => clamped(self.beyond(at, 1)),
            Hint::Far(at) => clamped(self.beyond(at, self.count / DOUBT)),
            Hint::None | Hint::Used => open.start + open.len() / 2,
        })
    }

    /// Whether the value of [`Bisection::next`] works.
    pub fn take(&mut self, at: usize, works: bool) {
        self.tried.insert(at, works);
        self.hint = match self.hint {
            Hint::At(_) => Hint::Near(at),
            Hint::Near(guess) => Hint::Far(guess),
            Hint::Far(_) | Hint::Used => Hint::Used,
            Hint::None => Hint::None,
        };
    }

    /// As far from a value that was tried, towards the edge.
    fn beyond(&self, at: usize, far: usize) -> usize {
        match self.tried.get(&at) {
            Some(true) => at.saturating_sub(far),
            _ => at.saturating_add(far),
        }
    }

    /// The values of which one may be smaller than the smallest that works; `None` while none
    /// works.
    fn open(&self) -> Option<Range<usize>> {
        let smallest = self.smallest()?;
        let below = self.tried.range(..smallest).next_back();
        Some(below.map_or(0, |(at, _)| at + 1)..smallest)
    }

    fn smallest(&self) -> Option<usize> {
        let mut works = self.tried.iter().filter(|(_, works)| **works);
        works.next().map(|(at, _)| *at)
    }

    /// What is known by now.
    pub fn answer(&self) -> Answer {
        let smallest = self.smallest();
        let failed = |range: Range<usize>| -> Vec<usize> {
            let tried = self.tried.range(range);
            tried
                .filter(|(_, works)| !**works)
                .map(|(at, _)| *at)
                .collect()
        };
        Answer {
            smallest,
            failed_below: smallest.and_then(|at| failed(0..at).pop()),
            failed_above: smallest.map_or(Vec::new(), |at| failed(at..self.count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tries until there is an answer; in which order what was tried.
    fn run(
        mut search: Bisection,
        guess: Option<usize>,
        works: impl Fn(usize) -> bool,
    ) -> (Answer, Vec<usize>) {
        let mut tried = Vec::new();
        while let Some(at) = search.next() {
            assert!(!tried.contains(&at), "{at} twice: {tried:?}");
            tried.push(at);
            search.take(at, works(at));
            if let (true, Some(guess)) = (works(at), guess) {
                search.hint(guess);
            }
        }
        (search.answer(), tried)
    }

    fn from_top(count: usize) -> Bisection {
        Bisection::new(count, &[count - 1])
    }

    #[test]
    fn four_cpus_of_which_two_are_enough() {
        let (answer, tried) = run(from_top(4), None, |at| at >= 1);
        assert_eq!(tried, [3, 1, 0]);
        assert_eq!(answer.smallest, Some(1));
        assert_eq!(answer.failed_below, Some(0));
    }

    #[test]
    fn a_good_guess_saves_most_of_the_tries() {
        let (answer, tried) = run(from_top(64), Some(22), |at| at >= 22);
        assert_eq!(answer.smallest, Some(22));
        assert_eq!(answer.failed_below, Some(21));
        assert_eq!(tried, [63, 22, 21]);
        let (_, blind) = run(from_top(64), None, |at| at >= 22);
        assert!(blind.len() > tried.len(), "{blind:?}");
    }

    #[test]
    fn what_fails_above_what_works_is_told() {
        // Four CPUs run out of memory, one runs out of vectors; the scenario has two.
        let (answer, tried) = run(Bisection::new(4, &[3, 1]), None, |at| at == 1 || at == 2);
        assert_eq!(tried, [3, 1, 0]);
        assert_eq!(answer.smallest, Some(1));
        assert_eq!(answer.failed_above, [3]);
    }

    #[test]
    fn nothing_works() {
        let (answer, tried) = run(Bisection::new(4, &[3, 1]), Some(2), |_| false);
        assert_eq!(tried, [3, 1]);
        assert_eq!(answer.smallest, None);
        assert_eq!(answer.failed_below, None);
    }

    #[test]
    fn the_smallest_of_all_works() {
        let (answer, tried) = run(from_top(1), None, |_| true);
        assert_eq!((answer.smallest, answer.failed_below), (Some(0), None));
        assert_eq!(tried, [0]);
        assert_eq!(Bisection::new(0, &[0]).next(), None);
    }

    fn log2_up(count: usize) -> usize {
        count.next_power_of_two().trailing_zeros() as usize
    }

    proptest! {
        #[test]
        fn finds_the_threshold_with_as_few_tries_as_bisection(
            (count, threshold) in (1usize..3000).prop_flat_map(|count| (Just(count), 0..count)),
            guess in prop::option::of(0usize..3500),
        ) {
            let (answer, tried) = run(from_top(count), guess, |at| at >= threshold);
            prop_assert_eq!(answer.smallest, Some(threshold));
            prop_assert_eq!(answer.failed_below, threshold.checked_sub(1));
            prop_assert!(answer.failed_above.is_empty());
            let most = log2_up(count) + if guess.is_some() { 4 } else { 1 };
            prop_assert!(tried.len() <= most, "{} of {most}: {tried:?}", tried.len());
        }

        #[test]
        fn whatever_works_the_edge_was_seen(
            works in prop::collection::vec(any::<bool>(), 1..200),
            second in 0usize..200,
            guess in prop::option::of(0usize..220),
        ) {
            let count = works.len();
            let search = Bisection::new(count, &[count - 1, second]);
            let (answer, tried) = run(search, guess, |at| works[at]);
            match answer.smallest {
                Some(at) => {
                    prop_assert!(works[at]);
                    prop_assert_eq!(answer.failed_below, at.checked_sub(1));
                    prop_assert!(answer.failed_below.is_none_or(|at| !works[at]));
                    let failed = tried.iter().filter(|tried| **tried > at && !works[**tried]);
                    prop_assert_eq!(failed.count(), answer.failed_above.len());
                }
                None => prop_assert!(tried.iter().all(|at| !works[*at])),
            }
        }
    }
}
