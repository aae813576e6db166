//! Percentiles of what was measured.

use std::time::Duration;

/// Measured values, sorted; at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Sorts them. `None` for an empty list, and where a value is no number: both mean that nothing
    /// was measured.
    #[must_use]
    pub fn new(mut values: Vec<f64>) -> Option<Self> {
        if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        values.sort_by(f64::total_cmp);
        Some(Self(values))
    }

    /// Durations in milliseconds.
    #[must_use]
    pub fn milliseconds(durations: &[Duration]) -> Option<Self> {
        let ms = |duration: &Duration| duration.as_secs_f64() * 1000.0;
        Self::new(durations.iter().map(ms).collect())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The smallest value that at least `percent` of all values do not exceed (nearest rank): always
    /// one that was measured. With fewer than 100 values the 99th percentile is the largest.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent.min(100)).div_ceil(100).max(1);
        self.0[rank - 1]
    }

    /// The 50th percentile.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.percentile(50)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        Samples::new(values.to_vec()).expect("some")
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured_whatever_their_order() {
        let twenty: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        let twenty = samples(&twenty);
        assert_eq!(twenty.count(), 20);
        assert_eq!((twenty.median(), twenty.percentile(99)), (10.0, 20.0));
        let hundred: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(samples(&hundred).percentile(99), 198.0);
        assert_eq!(samples(&[3.0]).percentile(99), 3.0);
        assert_eq!(samples(&[1.0, 2.0]).median(), 1.0);
    }

    #[test]
    fn the_ends_are_the_least_and_the_greatest() {
        let three = samples(&[5.0, 1.0, 9.0]);
        assert_eq!((three.percentile(0), three.percentile(100)), (1.0, 9.0));
        assert_eq!(three.percentile(1000), 9.0);
    }

    #[test]
    fn nothing_measured_has_no_percentiles() {
        assert_eq!(Samples::new(vec![]), None);
        assert_eq!(Samples::new(vec![1.0, f64::NAN]), None);
        assert_eq!(Samples::milliseconds(&[]), None);
    }

    #[test]
    fn durations_become_milliseconds() {
        let two = [Duration::from_micros(2500), Duration::from_secs(1)];
        let two = Samples::milliseconds(&two).expect("some");
        assert_eq!((two.median(), two.percentile(99)), (2.5, 1000.0));
    }
}
