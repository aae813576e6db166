//! `soak`: many machines through random verbs while processes are killed.

use crate::build::Profile;
use crate::command::{self, Failure, Outcome};
use crate::test::guests;
use crate::{setup, workspace};
use std::process::Command;

/// The text of `--help`.
pub(crate) const HELP: &str = "\
Usage: cargo xtask soak [--lifecycles N | --steps N] [--machines N] [--clients N] [--seed S]
                        [--power-cuts] [--bridged] [--real]

Takes machines through random verbs by several clients at once, while daemon, root helper and VMMs are
killed; after every step all that must hold is checked: no machine is lost or invented, records, processes
and files agree, nothing of a deleted one is left, synced data is there, the daemon does not grow.
Prints the command line that repeats the run. docs/testing.md says what is checked.

  --lifecycles N  until so many machines have come and gone [default: 200]
  --steps N       so many steps instead; in one, all clients begin at once
  --machines N    places for machines [default: 6]
  --clients N     the most clients at the same time [default: 8]
  --seed S        a number that determines every step [default: 1]
  --power-cuts    everything is killed in every step, half of the time as by a reboot
  --bridged       guests on a bridge, with a simulated root helper
  --real          real QEMU, kernel and image instead of simulated guests: minutes for a few steps
";

/// Options with a number behind them, and those without.
const NUMBERS: [&str; 5] = [
    "--lifecycles",
    "--steps",
    "--machines",
    "--clients",
    "--seed",
];
const FLAGS: [&str; 3] = ["--power-cuts", "--bridged", "--real"];

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    check(arguments)?;
    setup::require_programs()?;
    let profile = if is_real(arguments) {
        Profile::Release
    } else {
        Profile::Dev
    };
    let variables = match profile {
        Profile::Release => guests::prepare(&guests::binaries()?)?,
        Profile::Dev => vec![],
    };
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--workspace", "--bins"]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    command::run(&mut cargo)?;
    let program = profile.directory().join("banger-soak");
    command::run(Command::new(program).args(arguments).envs(variables))
}

fn is_real(arguments: &[String]) -> bool {
    arguments.iter().any(|argument| argument == "--real")
}

/// Refuses what the program would refuse, before anything is built.
fn check(arguments: &[String]) -> Outcome<()> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            flag if FLAGS.contains(&flag) => {}
            name if NUMBERS.contains(&name) => {
                let number = rest.next().and_then(|number| number.parse::<u32>().ok());
                if number.is_none_or(|number| number == 0) {
                    return Err(Failure::new(format!("{name} takes a number from 1")));
                }
            }
            other => return Err(command::unknown_argument(other)),
        }
    }
    Ok(())
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
        for line in [
            "",
            "--seed 7 --steps 3 --power-cuts",
            "--bridged --machines 2",
            "--real",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn what_it_does_not_know_is_refused_before_a_build() {
        for line in [
            "all",
            "--seed",
            "--seed 0",
            "--steps x",
            "--real=yes",
            "-n 3",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn every_option_is_explained() {
        for option in NUMBERS.iter().chain(&FLAGS) {
            assert!(HELP.contains(&format!("\n  {option} ")), "{option}");
        }
    }
}
