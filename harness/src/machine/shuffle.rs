//! A permutation that a seed names: the same on every machine and in every version, since scenarios
//! and snapshots hold seeds.

/// Shuffles: Fisher-Yates from the last item down, each partner drawn by splitmix64 that begins
/// with `seed`. A draw below n is the high half of the 128-bit product of n and 64 random bits.
pub(super) fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    for last in (1..items.len()).rev() {
        let product = u128::from(splitmix64(&mut state)) * (last as u128 + 1);
        items.swap(last, (product >> 64) as usize);
    }
}

/// Sebastiano Vigna's generator, as <https://prng.di.unimi.it/splitmix64.c> has it.
fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn shuffled(count: usize, seed: u64) -> Vec<usize> {
        let mut items: Vec<usize> = (0..count).collect();
        shuffle(&mut items, seed);
        items
    }

    #[test]
    fn the_generator_is_the_published_one() {
        let mut state = 1_234_567;
        let numbers = [(); 3].map(|()| splitmix64(&mut state));
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    /// Seeds stand in scenarios: what one means must never change.
    #[test]
    fn what_a_seed_means() {
        let orders = [1, 2, 3, 4, u64::MAX].map(|seed| shuffled(4, seed));
        let wanted = [
            [0, 1, 3, 2],
            [0, 1, 3, 2],
            [3, 1, 2, 0],
            [0, 3, 2, 1],
            [1, 0, 2, 3],
        ];
        assert_eq!(orders, wanted);
    }

    #[test]
    fn every_order_of_a_few_comes() {
        for (count, orders) in [(0, 1), (1, 1), (2, 2), (3, 6), (4, 24), (5, 120)] {
            let seen: BTreeSet<_> = (1..=2000).map(|seed| shuffled(count, seed)).collect();
            assert_eq!(seen.len(), orders, "of {count}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_chance(count in 0usize..100, seed: u64) {
            let order = shuffled(count, seed);
            prop_assert_eq!(&order, &shuffled(count, seed));
            let mut sorted = order;
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..count).collect::<Vec<_>>());
        }
    }
}
