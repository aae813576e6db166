//! Which attempt is the best. Pure.

use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What an attempt came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Result {
    /// Its number, from 1: `BANGER_TRY_INDEX`.
    pub index: usize,
    /// The fork's name.
    pub name: String,
    /// What was varied.
    pub environment: BTreeMap<String, String>,
    /// The command's exit status; absent where its end is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<u8>,
    /// The last line that the score command has printed, where it is a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// How long the command took.
    pub seconds: f64,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Which of two scores is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The bigger one.
    Bigger,
    /// The smaller one.
    Smaller,
}

/// The best first: by exit status, 0 before all others; then by score, any before none; then the fastest; then in
/// their order.
pub fn sort(results: &mut [Result], better: Better) {
    let exit = |one: &Result| one.exit.map_or(u16::MAX, u16::from);
    results.sort_by(|one, two| {
        let by_exit = exit(one).cmp(&exit(two));
        let by_time = one.seconds.total_cmp(&two.seconds);
        by_exit
            .then_with(|| by_score(one.score, two.score, better))
            .then(by_time)
            .then(one.index.cmp(&two.index))
    });
}

fn by_score(one: Option<f64>, two: Option<f64>, better: Better) -> Ordering {
    match (one, two, better) {
        (Some(one), Some(two), Better::Bigger) => two.total_cmp(&one),
        (Some(one), Some(two), Better::Smaller) => one.total_cmp(&two),
        (one, two, _) => two.is_some().cmp(&one.is_some()),
    }
}

/// The number in the last line that has anything in it. A guest may print whatever it wants.
#[must_use]
pub fn score(output: &[u8]) -> Option<f64> {
    let text = String::from_utf8_lossy(output);
    let last = text.lines().rev().find(|line| !line.trim().is_empty())?;
    last.trim()
        .parse()
        .ok()
        .filter(|score: &f64| score.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn result(index: usize, exit: Option<u8>, score: Option<f64>, seconds: f64) -> Result {
        Result {
            index,
            exit,
            score,
            seconds,
            ..Result::default()
        }
    }

    fn order(better: Better) -> Vec<usize> {
        let mut all = [
            result(1, None, Some(99.0), 0.1),
            result(2, Some(1), Some(50.0), 0.1),
            result(3, Some(0), None, 0.1),
            result(4, Some(0), Some(1.0), 9.0),
            result(5, Some(0), Some(2.0), 9.0),
            result(6, Some(0), Some(2.0), 3.0),
        ];
        sort(&mut all, better);
        all.iter().map(|one| one.index).collect()
    }

    #[test]
    fn status_comes_before_score_and_score_before_time() {
        assert_eq!(order(Better::Bigger), [6, 5, 4, 3, 2, 1]);
        assert_eq!(order(Better::Smaller), [4, 6, 5, 3, 2, 1]);
    }

    #[test]
    fn a_score_is_the_last_line_and_anything_else_is_none() {
        assert_eq!(score(b"tests\n 42.5 \n\n"), Some(42.5));
        assert_eq!(score(b"-3"), Some(-3.0));
        for text in [&b""[..], b"1\nno", b"NaN", b"inf", b"\xff"] {
            assert_eq!(score(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_results_have_one_order(all: Vec<(Option<u8>, Option<f64>, f64)>) {
            let mut results: Vec<_> = all.into_iter().enumerate()
                .map(|(index, (exit, score, seconds))| result(index, exit, score, seconds))
                .collect();
            let mut reversed: Vec<_> = results.iter().rev().cloned().collect();
            for better in [Better::Bigger, Better::Smaller] {
                sort(&mut results, better);
                sort(&mut reversed, better);
                let order = |all: &[Result]| all.iter().map(|one| one.index).collect::<Vec<_>>();
                prop_assert_eq!(order(&results), order(&reversed));
            }
        }
    }
}
