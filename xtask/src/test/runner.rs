//! Running one tier's tests, with nextest or, where that is not installed, with cargo's own runner.

use super::counts::{self, Counts};
use super::tier::Tier;
use super::watch::{self, Source};
use crate::command::{self, Failure, Outcome};
use crate::workspace;
use std::io::IsTerminal;
use std::process::Command;

/// Which program runs the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    /// cargo-nextest: a process and a time limit for each test.
    Nextest,
    /// `cargo test`: always there. It knows no limit for one test, so each tier has one.
    Standard,
}

/// What came of running a tier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// How many passed and failed.
    pub(crate) counts: Counts,
    /// The runner's own closing lines.
    pub(crate) summary: Vec<String>,
}

/// nextest's exit status when tests failed; any other but success is a failure to run them at all.
const NEXTEST_TESTS_FAILED: i32 = 100;
/// cargo's exit status for the same.
const STANDARD_TESTS_FAILED: i32 = 101;
/// The limit of a tier under the standard runner, in seconds; see `timeout(1)`.
const STANDARD_LIMIT: &str = "1800";

impl Runner {
    /// nextest where it is installed.
    pub(crate) fn find() -> Self {
        let mut version = workspace::cargo();
        match command::capture(version.args(["nextest", "--version"])) {
            Ok(_) => Self::Nextest,
            Err(_) => Self::Standard,
        }
    }

    /// What the user gets less with this runner, and how to get it.
    pub(crate) const fn hint(self) -> Option<&'static str> {
        match self {
            Self::Nextest => None,
            Self::Standard => Some(
                "cargo-nextest is not installed: cargo's own runner is used, which does not name the \
                 test that hangs (`cargo install --locked cargo-nextest`)",
            ),
        }
    }

    /// Builds all tests without running any.
    pub(crate) fn build(self) -> Outcome<()> {
        let mut build = workspace::cargo();
        match self {
            Self::Nextest => build.args(["nextest", "run", "--workspace", "--no-run"]),
            Self::Standard => build.args(["test", "--workspace", "--no-run"]),
        };
        command::run(&mut build)
    }

    /// Runs the tests of a tier. `extra` goes to the runner, `variables` to the tests.
    pub(crate) fn run(
        self,
        tier: Tier,
        extra: &[String],
        variables: &[(String, String)],
    ) -> Outcome<Run> {
        let mut whole = Run::default();
        for mut invocation in self.invocations(tier, extra)? {
            invocation.envs(variables.iter().map(|(name, value)| (name, value)));
            let part = self.run_one(&mut invocation)?;
            whole.counts += part.counts;
            whole.summary.extend(part.summary);
        }
        if self == Self::Nextest {
            whole.counts.not_run += ignored(tier)?;
        }
        Ok(whole)
    }

    fn invocations(self, tier: Tier, extra: &[String]) -> Outcome<Vec<Command>> {
        if self == Self::Nextest {
            let mut command = workspace::cargo();
            command.args([
                "nextest",
                "run",
                "--workspace",
                "--no-fail-fast",
                "--no-tests",
                "pass",
            ]);
            command.args(["-E", &tier.filterset()]).args(extra);
            if std::io::stderr().is_terminal() {
                command.args(["--color", "always"]);
            }
            return Ok(vec![command]);
        }
        let binaries = test_binaries()?;
        let wanted = standard_arguments(tier, &binaries);
        Ok(wanted
            .into_iter()
            .map(|arguments| {
                let cargo = workspace::cargo();
                let mut command = Command::new("timeout");
                command.current_dir(workspace::root());
                command
                    .args(["--kill-after", "10", STANDARD_LIMIT])
                    .arg(cargo.get_program());
                command.args(arguments).args(extra);
                command
            })
            .collect())
    }

    fn run_one(self, command: &mut Command) -> Outcome<Run> {
        let read = match self {
            Self::Nextest => counts::of_nextest,
            Self::Standard => counts::of_standard,
        };
        let source = match self {
            Self::Nextest => Source::Err,
            Self::Standard => Source::Out,
        };
        let (status, closing) = watch::watch(command, source)?;
        let mut run = Run::default();
        for line in closing {
            if let Some(found) = read(&line) {
                run.counts += found;
                // The standard runner has one such line for each binary, with tests in it or not.
                if self == Self::Nextest || found != Counts::default() {
                    run.summary.push(line.trim().to_owned());
                }
            }
        }
        let failed = match self {
            Self::Nextest => NEXTEST_TESTS_FAILED,
            Self::Standard => STANDARD_TESTS_FAILED,
        };
        let explained =
            status.success() || (status.code() == Some(failed) && run.counts.failed > 0);
        if !explained {
            return Err(Failure::new(format!(
                "the tests could not be run to their end: {status}"
            )));
        }
        Ok(run)
    }
}

/// How many tests of a tier are switched off by `#[ignore]`: nextest's summary counts them together
/// with the tests of other tiers.
fn ignored(tier: Tier) -> Outcome<u64> {
    let mut list = workspace::cargo();
    list.args(["nextest", "list", "--workspace", "--message-format", "json"]);
    list.args(["--run-ignored", "only", "-E", &tier.filterset()]);
    let text = command::capture(&mut list)?;
    counts::listed(&text).ok_or_else(|| Failure::new("cannot read nextest's list of tests"))
}

/// The names of the workspace's integration test binaries.
fn test_binaries() -> Outcome<Vec<String>> {
    let metadata = crate::tidy::metadata::workspace()?;
    let targets = metadata
        .into_iter()
        .flat_map(|package| package.test_targets);
    Ok(targets.collect())
}

/// The arguments of `cargo test` for a tier, one list for each invocation. Unit tests are told apart by
/// the module in their path, which the standard runner matches as a part of the name.
fn standard_arguments(tier: Tier, binaries: &[String]) -> Vec<Vec<String>> {
    let list = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let unit = [
        "test",
        "--workspace",
        "--no-fail-fast",
        "--lib",
        "--bins",
        "--",
    ];
    let Some(name) = tier.binary() else {
        let mut arguments = list(&unit);
        for module in Tier::MODULES {
            arguments.extend(["--skip".to_owned(), format!("{module}::")]);
        }
        return vec![arguments];
    };
    let mut invocations = Vec::new();
    if Tier::MODULES.contains(&name) {
        let mut arguments = list(&unit);
        arguments.push(format!("{name}::"));
        invocations.push(arguments);
    }
    if binaries.iter().any(|binary| binary == name) {
        invocations.push(list(&[
            "test",
            "--workspace",
            "--no-fail-fast",
            "--test",
            name,
            "--",
        ]));
    }
    invocations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_runner_leaves_other_tiers_out_of_t0() {
        let all = standard_arguments(Tier::T0, &[]);
        assert_eq!(all.len(), 1);
        assert!(
            all[0]
                .join(" ")
                .ends_with("-- --skip t1:: --skip t2:: --skip t5::")
        );
    }

    #[test]
    fn the_standard_runner_is_asked_only_for_binaries_that_exist() {
        assert!(standard_arguments(Tier::T3, &["t1".to_owned()]).is_empty());
        assert_eq!(standard_arguments(Tier::T3, &["t3".to_owned()]).len(), 1);
        assert_eq!(standard_arguments(Tier::T1, &["t1".to_owned()]).len(), 2);
    }

    #[test]
    fn failed_tests_are_counted_and_not_an_error() {
        let line = "     Summary [ 0.1s] 2 tests run: 1 passed, 1 failed, 0 skipped";
        let script = format!("echo '{line}' >&2; exit 100");
        let run = Runner::Nextest
            .run_one(Command::new("sh").args(["-c", &script]))
            .unwrap();
        assert_eq!((run.counts.passed, run.counts.failed), (1, 1));
        assert_eq!(run.summary, [line.trim()]);
    }

    #[test]
    fn a_runner_that_dies_is_an_error_whatever_it_counted() {
        let line = "Summary [ 0.1s] 1 test run: 1 passed, 0 skipped";
        let script = format!("echo '{line}' >&2; exit 101");
        assert!(
            Runner::Nextest
                .run_one(Command::new("sh").args(["-c", &script]))
                .is_err()
        );
        let killed = Runner::Standard.run_one(Command::new("sh").args(["-c", "exit 124"]));
        assert!(killed.is_err());
    }
}
