//! The project's own tasks: `cargo xtask <command>`.
//!
//! Depends on one small crate, so that the first command of a fresh checkout starts after seconds.
//! Each command is one module with a `HELP` text and a `run`; a new one is one line in [`COMMANDS`].

mod bench;
mod build;
mod command;
mod dist;
mod elf;
mod gates;
mod mutate;
mod phases;
mod setup;
mod soak;
mod test;
mod tidy;
mod try_out;
mod workspace;

use command::{Failure, Outcome};
use std::process::ExitCode;

/// One command: its name, one line for the list, its `--help` text, and what it does.
struct Task {
    name: &'static str,
    summary: &'static str,
    help: &'static str,
    run: fn(&[String]) -> Outcome<()>,
}

const COMMANDS: &[Task] = &[
    Task {
        name: "try",
        summary: "set up, build, and run a command in a first machine",
        help: try_out::HELP,
        run: try_out::run,
    },
    Task {
        name: "test",
        summary: "set up and run every tier of tests, or the named ones",
        help: test::HELP,
        run: test::run,
    },
    Task {
        name: "setup",
        summary: "install the programs that banger and its tests need",
        help: setup::HELP,
        run: setup::run,
    },
    Task {
        name: "build",
        summary: "build the CLI, the daemon and the static agent",
        help: build::HELP,
        run: build::run,
    },
    Task {
        name: "bench",
        summary: "measure banger beside the bare mechanism beneath it",
        help: bench::HELP,
        run: bench::run,
    },
    Task {
        name: "soak",
        summary: "random verbs on many machines while processes are killed",
        help: soak::HELP,
        run: soak::run,
    },
    Task {
        name: "tidy",
        summary: "check the rules of the repository",
        help: tidy::HELP,
        run: tidy::run,
    },
    Task {
        name: "gates",
        summary: "run the slow checks made before a release",
        help: gates::HELP,
        run: gates::run,
    },
    Task {
        name: "mutate",
        summary: "put faults into a copy of the sources and see their tests fail",
        help: mutate::HELP,
        run: mutate::run,
    },
    Task {
        name: "dist",
        summary: "pack the release into an archive with a checksum",
        help: dist::HELP,
        run: dist::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Outcome<()> {
    let Some((name, rest)) = arguments.split_first() else {
        print!("{}", overview());
        return Err(Failure::new("no command given"));
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", overview());
        return Ok(());
    }
    let Some(task) = COMMANDS.iter().find(|task| task.name == name) else {
        return Err(
            Failure::new(format!("there is no command '{name}'")).remedy("cargo xtask --help")
        );
    };
    let before_dashes = rest.iter().take_while(|argument| *argument != "--");
    if before_dashes
        .into_iter()
        .any(|argument| matches!(argument.as_str(), "--help" | "-h"))
    {
        print!("{}", task.help);
        return Ok(());
    }
    (task.run)(rest)
}

fn overview() -> String {
    let mut text = String::from("Usage: cargo xtask <COMMAND> [ARGUMENTS]\n\nCommands:\n");
    for task in COMMANDS {
        text.push_str(&format!("  {:<7} {}\n", task.name, task.summary));
    }
    text.push_str("\n'cargo xtask <COMMAND> --help' says more about one of them.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn every_command_has_a_help_text_that_begins_with_its_usage() {
        for task in COMMANDS {
            let usage = format!("Usage: cargo xtask {}", task.name);
            assert!(task.help.starts_with(&usage), "{}", task.name);
            assert!(task.help.ends_with('\n'), "{}", task.name);
        }
    }

    #[test]
    fn help_is_an_answer_and_an_unknown_command_an_error() {
        assert!(dispatch(&words("--help")).is_ok());
        assert!(dispatch(&words("build --help")).is_ok());
        assert!(dispatch(&words("sing")).is_err());
        assert!(dispatch(&[]).is_err());
    }

    #[test]
    fn an_unknown_argument_is_refused_by_every_command() {
        for task in COMMANDS {
            assert!((task.run)(&words("--no-such")).is_err(), "{}", task.name);
        }
    }
}
