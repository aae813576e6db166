//! `try`: from a fresh checkout to the answer of a first machine.

use crate::build::{self, Profile};
use crate::command::{self, Outcome};
use crate::phases::seconds;
use crate::setup::{self, Consent, Prepared};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The text of `--help`.
pub(crate) const HELP: &str = "\
Usage: cargo xtask try [--yes]

Installs what is missing (see `setup --help`) while it builds, makes the default kernel and image if
there are none, runs `uname -a` in a machine of its own and takes the machine away again. Kernel and
image stay in your usual state directory, so that the next machine starts at once.

  --yes   do not ask before installing; CI=true means the same
";

/// What the first machine runs.
const FIRST_RUN: [&str; 7] = ["vm", "run", "--rm", "--timings", "--", "uname", "-a"];

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let mut yes = false;
    for argument in arguments {
        match argument.as_str() {
            "--yes" | "-y" => yes = true,
            other => return Err(command::unknown_argument(other)),
        }
    }
    let begin = Instant::now();
    let directory = prepare_and_build(Consent::new(yes))?;
    let banger = directory.join("banger");
    let mut first = Command::new(&banger);
    first.args(FIRST_RUN);
    println!("$ {}", command::shown(&first));
    command::run(&mut first)?;
    print!("{}", what_next(&banger, begin.elapsed()));
    Ok(())
}

/// Installing waits for a mirror and building for the processors: they are done at the same time.
/// What cannot be installed is said before the build and is the reason given after it, when what is
/// there does not do.
fn prepare_and_build(consent: Consent) -> Outcome<PathBuf> {
    match setup::prepare(false, consent)? {
        Prepared::Complete => build::build(Profile::Release),
        Prepared::Install(installation) => {
            let (installed, built) = std::thread::scope(|scope| {
                let installing = scope.spawn(|| installation.act());
                let built = build::build(Profile::Release);
                (installing.join(), built)
            });
            match installed {
                Ok(outcome) => outcome?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
            built
        }
        Prepared::Incomplete(missing) => {
            eprintln!("xtask: {missing}\nxtask: going on with what is installed");
            build::build(Profile::Release)
        }
    }
}

fn what_next(banger: &Path, took: std::time::Duration) -> String {
    let shown = banger
        .strip_prefix(crate::workspace::root())
        .unwrap_or(banger)
        .display();
    format!(
        "\nThat was a machine of your own, and it is gone; {} in all. Next:\n  \
         {shown} vm run                  a shell in a new machine\n  \
         {shown} vm run -- make test     a command in one\n  \
         {shown} --help                  everything else\n",
        seconds(took)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_next_steps_are_commands_that_can_be_pasted() {
        let banger = crate::workspace::root().join("target/release/banger");
        let text = what_next(&banger, Duration::from_secs(12));
        assert!(text.contains("\n  target/release/banger vm run "), "{text}");
        assert!(text.contains("12.0 s"));
    }
}
