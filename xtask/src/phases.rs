//! The parts of a long task: announced as they begin, timed, listed at the end.

use crate::command::Outcome;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// How one phase went.
#[derive(Debug)]
struct Phase {
    name: String,
    took: Duration,
    failure: Option<String>,
}

/// All phases so far, in order.
#[derive(Debug, Default)]
pub(crate) struct Phases(Vec<Phase>);

impl Phases {
    /// Runs one phase and remembers how long it took and whether it failed.
    pub(crate) fn run<T>(&mut self, name: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        eprintln!("── {name}");
        let begin = Instant::now();
        let outcome = work();
        let failure = outcome.as_ref().err().map(ToString::to_string);
        if let Some(text) = &failure {
            eprintln!("xtask: {text}");
        }
        self.0.push(Phase {
            name: name.to_owned(),
            took: begin.elapsed(),
            failure,
        });
        outcome
    }

    /// The names of the phases that failed.
    pub(crate) fn failed(&self) -> Vec<&str> {
        let failed = self.0.iter().filter(|phase| phase.failure.is_some());
        failed.map(|phase| phase.name.as_str()).collect()
    }

    /// One line for each phase and one for their sum.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        for phase in &self.0 {
            let verdict = if phase.failure.is_some() {
                "  FAILED"
            } else {
                ""
            };
            let line = format!("{:<24} {:>8}{verdict}", phase.name, seconds(phase.took));
            let _ = writeln!(text, "  {line}");
        }
        let total = self.0.iter().map(|phase| phase.took).sum();
        let _ = writeln!(text, "  {:<24} {:>8}", "together", seconds(total));
        text
    }
}

/// A duration as these tasks print it.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Failure;

    #[test]
    fn a_failed_phase_is_named_and_the_others_are_not() {
        let mut phases = Phases::default();
        assert!(phases.run("one", || Ok(1)).is_ok());
        assert!(phases.run::<()>("two", || Err(Failure::new("no"))).is_err());
        assert_eq!(phases.failed(), ["two"]);
        let table = phases.table();
        assert_eq!(table.lines().count(), 3);
        assert!(
            table
                .lines()
                .nth(1)
                .is_some_and(|line| line.ends_with("FAILED"))
        );
    }

    #[test]
    fn durations_are_in_seconds() {
        assert_eq!(seconds(Duration::from_millis(1540)), "1.5 s");
    }
}
