//! What is printed at the end: one line for each tier, and the verdict. Pure.

use super::runner::Run;
use super::tier::Tier;
use crate::command::Outcome;
use crate::phases::seconds;
use std::fmt::Write as _;
use std::time::Duration;

/// What became of one tier.
#[derive(Debug)]
pub(crate) struct Line {
    /// Which.
    pub(crate) tier: Tier,
    /// What came of it; none when it was not to run.
    pub(crate) outcome: Option<Outcome<Run>>,
    /// Why it need not run here; none for a tier that must.
    pub(crate) absent: Option<String>,
    /// How long it took.
    pub(crate) took: Duration,
    /// Whether the user chose some of its tests only, so that none at all is fine.
    pub(crate) chosen: bool,
}

impl Line {
    /// Whether this tier lets the whole run pass: it ran, or there was a reason why it need not.
    pub(crate) fn holds(&self) -> bool {
        match &self.outcome {
            None => self.absent.is_some(),
            Some(Err(_)) => false,
            Some(Ok(run)) => run.counts.failed == 0 && !self.is_empty(run),
        }
    }

    /// A tier in which nothing ran is never green.
    fn is_empty(&self, run: &Run) -> bool {
        run.counts.passed + run.counts.failed == 0 && !self.chosen
    }

    fn text(&self) -> String {
        let name = self.tier.name();
        match &self.outcome {
            None => format!(
                "{name}  not run: {}",
                self.absent.as_deref().unwrap_or("not asked for")
            ),
            Some(Err(failure)) => {
                let first = failure.to_string();
                format!(
                    "{name}  NOT RUN: {}",
                    first.lines().next().unwrap_or_default()
                )
            }
            Some(Ok(run)) if self.is_empty(run) => format!("{name}  NOT RUN: it has no tests"),
            Some(Ok(run)) => {
                let mut text = format!(
                    "{name}  {:>5} passed  {:>3} failed  {:>3} not run  {:>8}",
                    run.counts.passed,
                    run.counts.failed,
                    run.counts.not_run,
                    seconds(self.took)
                );
                for summary in &run.summary {
                    let _ = write!(text, "\n      {summary}");
                }
                text
            }
        }
    }
}

/// The lines of all tiers.
pub(crate) fn table(lines: &[Line]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "  {}", line.text());
        text
    })
}

#[cfg(test)]
mod tests {
    use super::super::counts::Counts;
    use super::*;
    use crate::command::Failure;

    fn line(tier: Tier, outcome: Option<Outcome<Run>>) -> Line {
        Line {
            tier,
            outcome,
            absent: tier.absent().map(str::to_owned),
            took: Duration::from_secs(1),
            chosen: false,
        }
    }

    fn ran(passed: u64, failed: u64) -> Option<Outcome<Run>> {
        Some(Ok(Run {
            counts: Counts {
                passed,
                failed,
                not_run: 0,
            },
            summary: vec!["Summary […]".to_owned()],
        }))
    }

    #[test]
    fn passed_tests_hold_and_a_failed_one_does_not() {
        assert!(line(Tier::T0, ran(3, 0)).holds());
        assert!(!line(Tier::T0, ran(3, 1)).holds());
        let text = table(&[line(Tier::T0, ran(3, 1))]);
        assert!(text.contains("3 passed    1 failed    0 not run"), "{text}");
        assert!(text.contains("Summary […]"));
    }

    #[test]
    fn a_tier_that_should_run_and_has_no_tests_is_not_green() {
        let mut empty = line(Tier::T3, ran(0, 0));
        assert!(!empty.holds());
        assert!(table(&[line(Tier::T3, ran(0, 0))]).contains("NOT RUN: it has no tests"));
        empty.chosen = true;
        assert!(empty.holds());
    }

    #[test]
    fn a_tier_that_could_not_run_says_why_and_is_not_green() {
        let failed = line(
            Tier::T3,
            Some(Err(Failure::new("no qemu").remedy("get it"))),
        );
        assert!(!failed.holds());
        assert_eq!(table(&[failed]), "  T3  NOT RUN: no qemu\n");
    }

    #[test]
    fn a_tier_that_cannot_run_on_this_machine_is_shown_with_its_reason() {
        let mut absent = line(Tier::T2, None);
        assert!(!absent.holds(), "no reason, no excuse");
        absent.absent = Some("it needs root".to_owned());
        assert!(absent.holds());
        assert_eq!(table(&[absent]), "  T2  not run: it needs root\n");
    }

    #[test]
    fn a_tier_that_does_not_exist_yet_is_shown_with_its_reason_and_holds() {
        let absent = line(Tier::T4, None);
        assert!(absent.holds());
        assert_eq!(
            table(&[absent]),
            "  T4  not run: the lab does not exist yet\n"
        );
    }
}
