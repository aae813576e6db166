//! `bench`: banger beside the bare mechanism.

mod virtme;

use crate::build::Profile;
use crate::command::{self, Failure, Outcome};
use crate::test::guests;
use crate::{setup, workspace};
use std::path::PathBuf;
use std::process::Command;

/// The text of `--help`.
pub(crate) const HELP: &str = "\
Usage: cargo xtask bench [NAME...] [--json] [-n COUNT]

Measures banger and the bare mechanism beneath it alternately in one run. Each figure has its p50 and
p99, the ratio to the bare mechanism, the goal and whether it holds. Exits with 1 when a result is
wrong or missing; a slow one is only shown. docs/bench.md says what each figure means.

  start    cold starts and their first command
  exec     commands in a running guest: the smallest, and bytes in and out
  ps       the list of 50 recorded machines
  daemon   the daemon's memory, idle and with 10 guests
  network  places on the bridge beside ip and nft, TCP, the root helper's memory, the name server
           beside dnsmasq; without root only the last
  places   of the network, what needs no guest: places on the bridge and the helper's memory
  tcp      of the network, TCP between host and guest
  fork     guests that go on from saved memory: runs from a template and the pool, undoing, waking, forks,
           their pause and memory
  runs     of the forks, `vm run` from a template and from the pool; beside virtme-ng too, which is
           fetched from PyPI into target/virtme, with a kernel of the distribution's that it can boot
  undo     of the forks, checkpoints and undoing
  wake     of the forks, suspended machines that are woken
  memory   of the forks, what each of a hundred guests has for itself
  state    a thousand recorded machines, a hundred creations at once, what recording adds to a start

Without a name: everything.

  --json     a list of {name, n, p50, p99, worst, unit, ratio, goal, ok, not_run} on standard output
  -n COUNT   samples of each figure, 1 to 10000; 20 unless given
";

/// What `banger-bench` knows.
const NAMES: [&str; 13] = [
    "start", "exec", "ps", "daemon", "network", "state", "fork", "places", "tcp", "runs", "undo",
    "wake", "memory",
];
/// The most samples that it takes.
const MOST: u32 = 10_000;

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    check(arguments)?;
    setup::require_programs()?;
    let binaries = guests::binaries()?;
    let program = build()?;
    let mut variables = guests::prepare(&binaries)?;
    if virtme::is_wanted(arguments) {
        variables.push(virtme::prepare(&binaries));
    }
    command::run(Command::new(program).args(arguments).envs(variables))
}

/// Refuses what the program would refuse, before anything is built.
fn check(arguments: &[String]) -> Outcome<()> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--json" => {}
            "-n" => {
                let count = rest.next().and_then(|count| count.parse::<u32>().ok());
                if !count.is_some_and(|count| (1..=MOST).contains(&count)) {
                    return Err(Failure::new(format!("-n takes a number from 1 to {MOST}")));
                }
            }
            name if NAMES.contains(&name) => {}
            other => return Err(command::unknown_argument(other)),
        }
    }
    Ok(())
}

/// Builds the measuring program, as optimised as what it measures.
fn build() -> Outcome<PathBuf> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--release", "--package", "banger-testkit"]);
    // Where guests are simulated, they are so at the speed of what is measured.
    for program in ["banger-bench", "simulated-qemu", "world-reaper"] {
        cargo.args(["--bin", program]);
    }
    command::run(&mut cargo)?;
    Ok(Profile::Release.directory().join("banger-bench"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Outcome<()> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        check(&words)
    }

    #[test]
    fn what_the_program_knows_is_passed_on() {
        for line in ["", "start", "exec start --json", "ps -n 100 daemon"] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn what_it_does_not_know_is_refused_before_a_build() {
        for line in ["boot", "-n", "-n 0", "-n x start", "-n 10001", "--n"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn every_name_is_explained() {
        for name in NAMES {
            assert!(HELP.contains(&format!("\n  {name} ")), "{name}");
        }
    }
}
