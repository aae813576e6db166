//! `gates`: the checks that take minutes to install or to run, made before a release.

use crate::command::{self, Failure, Outcome};
use crate::phases::Phases;
use crate::{mutate, workspace};

/// The text of `--help`.
pub(crate) const HELP: &str = "\
Usage: cargo xtask gates

Runs, where it is installed, each of: cargo-deny (licences, advisories, sources), cargo-machete
(dependencies nobody uses), typos (spelling), cargo-llvm-cov (coverage of T0 and T1). One that is
not installed is shown as not run, with the command that installs it; it is not a failure. Then
`cargo xtask mutate`, which shows that tests can fail.
";

/// One gate: the program whose presence decides, and what is run.
struct Gate {
    program: &'static str,
    crate_name: &'static str,
    /// Arguments for cargo; none: the program itself, without arguments.
    cargo: Option<&'static [&'static str]>,
}

const GATES: [Gate; 4] = [
    Gate {
        program: "cargo-deny",
        crate_name: "cargo-deny",
        cargo: Some(&["deny", "--workspace", "check"]),
    },
    Gate {
        program: "cargo-machete",
        crate_name: "cargo-machete",
        cargo: Some(&["machete"]),
    },
    Gate {
        program: "typos",
        crate_name: "typos-cli",
        cargo: None,
    },
    Gate {
        program: "cargo-llvm-cov",
        crate_name: "cargo-llvm-cov",
        cargo: Some(&[
            "llvm-cov",
            "--workspace",
            "--lib",
            "--bins",
            "--summary-only",
        ]),
    },
];

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    command::no_arguments(arguments)?;
    let mut phases = Phases::default();
    let mut not_run = Vec::new();
    for gate in &GATES {
        let Some(program) = workspace::find_program(gate.program) else {
            not_run.push(gate);
            continue;
        };
        let mut check = match gate.cargo {
            Some(arguments) => {
                let mut cargo = workspace::cargo();
                cargo.args(arguments);
                cargo
            }
            None => std::process::Command::new(program),
        };
        let _ = phases.run(gate.program, || {
            command::run(check.current_dir(workspace::root()))
        });
    }
    let _ = phases.run("mutate", || mutate::run(&[]));
    println!("\ngates\n{}", phases.table());
    for gate in &not_run {
        println!(
            "  {:<16} not run: `cargo install --locked {}`",
            gate.program, gate.crate_name
        );
    }
    let failed = phases.failed();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("failed: {}", failed.join(", "))))
}
