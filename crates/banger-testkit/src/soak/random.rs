//! Numbers that follow from a seed and from nothing else.

/// SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers of one step of a seed: they do not depend on how many another step has drawn.
    #[must_use]
    pub fn of(seed: u64, step: u64) -> Self {
        let mut random = Self(seed);
        let mixed = random.next() ^ step.wrapping_mul(0xd134_2543_de82_ef95);
        Self(mixed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is at least 1. The bias is below one in a billion for the bounds
    /// that there are here.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    /// Whether something that has so many chances of a hundred comes about.
    pub fn chance(&mut self, of_a_hundred: usize) -> bool {
        self.below(100) < of_a_hundred
    }

    /// One of several, each as often as its weight says.
    pub fn weighted<T: Copy>(&mut self, table: &[(usize, T)]) -> Option<T> {
        let total = table.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(total);
        table.iter().find_map(|(weight, thing)| {
            let here = left < *weight;
            left = left.saturating_sub(*weight);
            here.then_some(*thing)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_step_give_the_same_numbers_and_others_give_others() {
        let numbers = |seed, step| -> Vec<usize> {
            let mut random = Random::of(seed, step);
            (0..20).map(|_| random.below(1000)).collect()
        };
        assert_eq!(numbers(1, 2), numbers(1, 2));
        assert_ne!(numbers(1, 2), numbers(1, 3));
        assert_ne!(numbers(1, 2), numbers(2, 2));
    }

    #[test]
    fn weights_are_kept_and_what_weighs_nothing_never_comes() {
        let mut random = Random::of(7, 0);
        let mut counts = [0; 3];
        for _ in 0..4000 {
            let drawn = random.weighted(&[(1, 0), (0, 1), (3, 2)]);
            counts[drawn.expect("there are weights")] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((850..1150).contains(&counts[0]), "{counts:?}");
        assert_eq!(random.weighted::<u8>(&[]), None);
    }
}
