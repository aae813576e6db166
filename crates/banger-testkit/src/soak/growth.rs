//! Whether a daemon that lives long takes up more and more. Pure.

use super::look::Footprint;

/// So much more memory than after its first lifecycles a daemon may have at the end, in KiB: allocators
/// round up, and a table that was needed once stays.
const MOST_KIB: u64 = 8 << 10;
/// Samples that count for the beginning are those behind so many: what is made once is made then.
const WARM: usize = 2;

/// Samples of one daemon while it had no machine, in their order.
#[derive(Debug, Clone, Default)]
pub struct Growth {
    daemons: Vec<Vec<Footprint>>,
}

/// What one daemon took up, from the first sample that counts to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grown {
    /// How many samples lie between.
    pub samples: usize,
    /// First.
    pub first: Footprint,
    /// Last.
    pub last: Footprint,
}

impl Growth {
    /// Notes a sample.
    pub fn sample(&mut self, footprint: Footprint) {
        match self.daemons.last_mut() {
            Some(samples) if samples.iter().all(|s| s.pid == footprint.pid) => {
                samples.push(footprint);
            }
            _ => self.daemons.push(vec![footprint]),
        }
    }

    /// The descriptors that the daemon of a pid had when it was first looked at.
    #[must_use]
    pub fn descriptors_before(&self, pid: u32) -> Option<usize> {
        let samples = self.daemons.last()?;
        let first = samples.iter().find(|sample| sample.pid == pid)?;
        Some(first.descriptors)
    }

    /// Each daemon that was looked at often enough.
    pub fn grown(&self) -> impl Iterator<Item = Grown> {
        self.daemons.iter().filter_map(|samples| {
            let (first, last) = (samples.get(WARM)?, samples.last()?);
            (samples.len() > WARM + 1).then_some(Grown {
                samples: samples.len() - WARM,
                first: *first,
                last: *last,
            })
        })
    }

    /// Daemons that took up more and more.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let memory = |grown: &Grown| {
            let (first, last) = (grown.first.memory_kib, grown.last.memory_kib);
            let more = last.saturating_sub(first) > MOST_KIB;
            more.then(|| format!("a daemon grew from {first} to {last} KiB"))
        };
        self.grown().filter_map(|grown| memory(&grown)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footprint(pid: u32, memory_kib: u64) -> Footprint {
        Footprint {
            pid,
            memory_kib,
            descriptors: 12,
        }
    }

    fn growth(samples: &[(u32, u64)]) -> Growth {
        let mut growth = Growth::default();
        for (pid, memory) in samples {
            growth.sample(footprint(*pid, *memory));
        }
        growth
    }

    #[test]
    fn a_daemon_that_grows_is_told_and_one_that_warms_up_is_not() {
        let warms_up = growth(&[
            (1, 9_000),
            (1, 30_000),
            (1, 31_000),
            (1, 31_200),
            (1, 31_000),
        ]);
        assert!(warms_up.complaints().is_empty());
        let grows = growth(&[
            (1, 9_000),
            (1, 10_000),
            (1, 20_000),
            (1, 30_000),
            (1, 40_000),
        ]);
        assert_eq!(grows.complaints().len(), 1);
        let grown = grows.grown().next().expect("one");
        assert_eq!(
            (grown.first.memory_kib, grown.last.memory_kib),
            (20_000, 40_000)
        );
    }

    #[test]
    fn one_daemon_is_not_compared_with_another() {
        let two = growth(&[(1, 9_000), (1, 9_000), (1, 9_000), (2, 90_000)]);
        assert!(two.complaints().is_empty());
        assert_eq!(two.grown().count(), 0);
        assert_eq!(two.descriptors_before(2), Some(12));
        assert_eq!(two.descriptors_before(1), None);
    }
}
