//! What a try came to.

use super::stats::dash;
use super::table::{Table, Tone};
use crate::attempt::rank::Result as Ranked;
use serde::Serialize;
use std::borrow::Cow;

/// All of it; the first attempt is the best.
#[derive(Debug, Serialize)]
pub struct Outcome<'a> {
    /// The best first.
    pub attempts: &'a [Ranked],
    /// The name of the best one, where it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<&'a str>,
    /// Whether the original is what the best one was.
    pub promoted: bool,
    /// What it has changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<Cow<'a, str>>,
}

/// A row for each attempt.
#[must_use]
pub fn table(results: &[Ranked]) -> Table {
    let mut table = Table::new(&["RANK", "ATTEMPT", "STATUS", "SCORE", "TIME", "WITH"]);
    for (rank, one) in (1..).zip(results) {
        let tone = match one.exit {
            Some(0) => Tone::Good,
            _ => Tone::Warning,
        };
        let varied = one.environment.iter();
        let varied: Vec<_> = varied
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        table.row([
            (rank.to_string(), Tone::Plain),
            (one.index.to_string(), Tone::Plain),
            (one.exit.map_or_else(dash, |exit| exit.to_string()), tone),
            (
                one.score.map_or_else(dash, |score| score.to_string()),
                Tone::Plain,
            ),
            (format!("{:.1}s", one.seconds), Tone::Plain),
            (varied.join(" "), Tone::Plain),
        ]);
    }
    table
}

/// What else there is to say.
#[must_use]
pub fn notes(outcome: &Outcome<'_>, original: &str) -> Vec<String> {
    let troubles = outcome.attempts.iter().filter_map(|one| {
        let trouble = one.trouble.as_ref()?;
        Some(format!("attempt {}: {trouble}", one.index))
    });
    let best = outcome.attempts.first();
    let index = best.map_or(0, |best| best.index);
    let end = match (
        outcome.kept,
        outcome.promoted,
        best.and_then(|best| best.exit),
    ) {
        (Some(name), ..) => format!("attempt {index} is kept as {name}"),
        (None, true, _) => format!("{original} goes on as attempt {index}"),
        (None, false, Some(0)) => format!("attempt {index} is the best; no fork is left"),
        (None, false, _) => "no attempt succeeded; no fork is left".to_owned(),
    };
    troubles.chain([end]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Vec<Ranked> {
        vec![
            Ranked {
                index: 2,
                exit: Some(0),
                score: Some(4.5),
                seconds: 1.26,
                environment: [("CC".to_owned(), "clang".to_owned())].into(),
                ..Ranked::default()
            },
            Ranked {
                index: 1,
                seconds: 0.1,
                trouble: Some("its guest is gone".into()),
                ..Ranked::default()
            },
        ]
    }

    #[test]
    fn attempts_are_told_by_rank() {
        insta::assert_snapshot!(table(&results()).render(false), @r"
        RANK  ATTEMPT  STATUS  SCORE  TIME  WITH
        1     2        0       4.5    1.3s  CC=clang
        2     1        -       -      0.1s
        ");
    }

    #[test]
    fn what_became_of_the_best_and_what_went_wrong_is_said() {
        let (results, failed) = (results(), [Ranked::default()]);
        let outcome = |attempts, kept, promoted| Outcome {
            attempts,
            kept,
            promoted,
            diff: None,
        };
        let said = notes(&outcome(&results, Some("best"), false), "dev");
        assert_eq!(
            said,
            ["attempt 1: its guest is gone", "attempt 2 is kept as best"]
        );
        let said = notes(&outcome(&results, None, true), "dev");
        assert_eq!(
            said.last().map(String::as_str),
            Some("dev goes on as attempt 2")
        );
        let said = notes(&outcome(&failed, None, false), "dev");
        assert_eq!(said, ["no attempt succeeded; no fork is left"]);
    }
}
