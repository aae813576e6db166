//! `test`: everything that a change has to pass.

mod counts;
pub(crate) mod guests;
mod namespaces;
mod report;
mod runner;
mod services;
mod tier;
mod watch;

use crate::command::{self, Failure, Outcome};
use crate::phases::Phases;
use crate::setup::{self, Consent, Prepared};
use crate::{tidy, workspace};
use report::Line;
use runner::Runner;
use std::time::Instant;
use tier::Tier;

/// The text of `--help`.
pub(crate) const HELP: &str = "\
Usage: cargo xtask test [--yes] [TIER...] [-- RUNNER ARGUMENTS]

Without a tier: set-up (as `setup` does it), rustfmt, clippy, tidy, the build, and every tier. With
tiers: only those, with what they need. Exits with 1 when a test failed or a tier that should run
could not.

  T0   pure code; assumes nothing
  T1   daemon and CLI against a simulated VMM and guest
  T2   root in network namespaces of its own
  T3   real guests under QEMU
  T4   in the lab (comes with it)
  T5   hostile input

  --yes   do not ask before installing; CI=true means the same
  --      what follows goes to nextest, e.g. `test T0 -- layout`
";

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    yes: bool,
    /// Empty: everything.
    tiers: Vec<Tier>,
    extra: Vec<String>,
}

impl Request {
    fn parse(arguments: &[String]) -> Outcome<Self> {
        let mut request = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--yes" | "-y" => request.yes = true,
                "--" => request.extra = rest.by_ref().cloned().collect(),
                name => match Tier::parse(name) {
                    Some(tier) => request.tiers.push(tier),
                    None => return Err(command::unknown_argument(name)),
                },
            }
        }
        request.tiers.sort();
        request.tiers.dedup();
        Ok(request)
    }

    fn everything(&self) -> bool {
        self.tiers.is_empty()
    }

    fn wants(&self, tier: Tier) -> bool {
        self.everything() || self.tiers.contains(&tier)
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let request = Request::parse(arguments)?;
    let mut phases = Phases::default();
    let runner = Runner::find();
    if request.everything() {
        check(&mut phases, Consent::new(request.yes));
    }
    let built = phases.run("build of the tests", || {
        runner.build()?;
        // T1 runs the programs themselves, and a test runner builds only those of its own package.
        command::run(workspace::cargo().args(["build", "--workspace", "--bins"]))
    });
    let lines: Vec<Line> = Tier::ALL
        .into_iter()
        .filter(|tier| request.wants(*tier))
        .map(|tier| run_tier(tier, runner, &request, built.as_ref().err(), &mut phases))
        .collect();
    println!(
        "\nphases\n{}\ntiers\n{}",
        phases.table(),
        report::table(&lines)
    );
    if let Some(hint) = runner.hint() {
        println!("note: {hint}");
    }
    verdict(&phases, &lines)
}

/// The checks that run no test. Each failure is remembered and the others still run: one run shows
/// everything that is wrong.
fn check(phases: &mut Phases, consent: Consent) {
    let _ = phases.run("set-up", || set_up(consent));
    let _ = phases.run("rustfmt", || {
        command::run(workspace::cargo().args(["fmt", "--all", "--check"]))
    });
    let _ = phases.run("clippy", || {
        let mut clippy = workspace::cargo();
        clippy.args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]);
        command::run(&mut clippy)
    });
    let _ = phases.run("tidy", || tidy::run(&[]));
}

fn set_up(consent: Consent) -> Outcome<()> {
    match setup::prepare(true, consent)? {
        Prepared::Complete => Ok(()),
        Prepared::Install(installation) => installation.act(),
        Prepared::Incomplete(missing) => Err(missing),
    }
}

/// Runs one tier. The release build comes after the quick tiers, so that their failures are seen early.
fn run_tier(
    tier: Tier,
    runner: Runner,
    request: &Request,
    broken: Option<&Failure>,
    phases: &mut Phases,
) -> Line {
    let begin = Instant::now();
    let mut line = Line {
        tier,
        outcome: None,
        absent: absent(tier, request),
        took: begin.elapsed(),
        chosen: !request.extra.is_empty(),
    };
    if line.absent.is_some() {
        return line;
    }
    let able = match broken {
        Some(failure) => Err(failure.clone()),
        None => able(tier),
    };
    line.outcome = Some(match able {
        Err(failure) => Err(failure),
        Ok(()) => variables(tier, phases).and_then(|variables| {
            phases.run(tier.name(), || runner.run(tier, &request.extra, &variables))
        }),
    });
    line.took = begin.elapsed();
    line
}

/// Why a tier need not run here. Who asks for a tier by name, or for everything where nobody looks,
/// gets a failure instead.
fn absent(tier: Tier, request: &Request) -> Option<String> {
    if let Some(reason) = tier.absent() {
        return Some(reason.to_owned());
    }
    let optional = request.everything() && !workspace::is_ci();
    let unable = able(tier).err().filter(|_| optional)?;
    Some(unable.to_string())
}

/// Whether this machine and user can run a tier at all.
fn able(tier: Tier) -> Outcome<()> {
    match tier {
        Tier::T2 => namespaces::available(),
        _ => Ok(()),
    }
}

/// Makes what a tier needs and gives the variables that tell its tests where it is.
fn variables(tier: Tier, phases: &mut Phases) -> Outcome<Vec<(String, String)>> {
    if tier != Tier::T3 {
        return Ok(Vec::new());
    }
    setup::require_programs()?;
    let binaries = phases.run("release build", guests::binaries)?;
    phases.run("kernel and images", || {
        guests::prepare_with_services(&binaries)
    })
}

fn verdict(phases: &Phases, lines: &[Line]) -> Outcome<()> {
    let mut failed: Vec<String> = phases.failed().into_iter().map(str::to_owned).collect();
    for line in lines.iter().filter(|line| !line.holds()) {
        let name = line.tier.name().to_owned();
        if !failed.contains(&name) {
            failed.push(name);
        }
    }
    if failed.is_empty() {
        println!("all that could be run has passed");
        return Ok(());
    }
    Err(Failure::new(format!("failed: {}", failed.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Outcome<Request> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Request::parse(&words)
    }

    #[test]
    fn nothing_named_means_everything() {
        let request = parse("--yes").unwrap();
        assert!(request.yes && request.everything() && request.wants(Tier::T4));
    }

    #[test]
    fn named_tiers_run_alone_in_their_order_and_once() {
        let request = parse("t3 T0 T3").unwrap();
        assert_eq!(request.tiers, [Tier::T0, Tier::T3]);
        assert!(!request.wants(Tier::T1));
    }

    #[test]
    fn what_follows_the_dashes_is_the_runner_s() {
        let request = parse("T0 -- --retries 1 layout").unwrap();
        assert_eq!(request.extra, ["--retries", "1", "layout"]);
        assert!(parse("T9").is_err());
    }

    #[test]
    fn the_verdict_names_each_failed_phase_and_tier_once() {
        let mut phases = Phases::default();
        let _ = phases.run::<()>("clippy", || Err(Failure::new("warnings")));
        let outcome = phases.run::<runner::Run>("T0", || Err(Failure::new("died")));
        let line = Line {
            tier: Tier::T0,
            outcome: Some(outcome),
            absent: None,
            took: std::time::Duration::ZERO,
            chosen: false,
        };
        let failure = verdict(&phases, &[line]).unwrap_err();
        assert_eq!(failure.to_string(), "failed: clippy, T0");
        assert!(verdict(&Phases::default(), &[]).is_ok());
    }
}
