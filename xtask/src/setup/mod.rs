//! `setup`: survey → plan → ask → act → record.

mod act;
mod apt_sources;
pub(crate) mod distribution;
mod plan;
mod survey;

pub(crate) use survey::is_root;

use crate::command::{self, Failure, Outcome};
use crate::workspace;
use distribution::Program;
use plan::{Plan, Step};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use survey::Survey;

/// The text of `--help`.
pub(crate) const HELP: &str = "\
Usage: cargo xtask setup [--yes]

Looks which programs banger and its tests need and this machine lacks, says what it would install
and why, asks, and installs it from the distribution's own packages. On Debian 12 QEMU comes from the
backports suite of the mirror that is configured already. On distributions without apt it prints the
packages' names. With everything there it does nothing.

  --yes   do not ask; CI=true means the same
";

/// Whether the user is asked before anything is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// Ask on the terminal; refuse where there is none.
    Ask,
    /// Given on the command line, or by `CI=true`.
    Given,
}

impl Consent {
    /// What the flag and the environment say together.
    pub(crate) fn new(yes: bool) -> Self {
        if yes || workspace::is_ci() {
            Self::Given
        } else {
            Self::Ask
        }
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let mut yes = false;
    for argument in arguments {
        match argument.as_str() {
            "--yes" | "-y" => yes = true,
            other => return Err(command::unknown_argument(other)),
        }
    }
    match prepare(true, Consent::new(yes))? {
        Prepared::Complete => {
            println!("everything that banger and its tests need is installed");
            Ok(())
        }
        Prepared::Install(installation) => installation.act(),
        Prepared::Incomplete(missing) => Err(missing),
    }
}

/// What came of looking and asking.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// Nothing is missing.
    Complete,
    /// Something is, and may be installed now.
    Install(Installation),
    /// Something is, and this process cannot install it: what, and the command for who can.
    Incomplete(Failure),
}

/// Steps that the user agreed to.
#[derive(Debug)]
pub(crate) struct Installation {
    steps: Vec<Step>,
    tests: bool,
}

impl Installation {
    /// Installs, and looks again: packages that do not bring their program are a failure.
    pub(crate) fn act(self) -> Outcome<()> {
        let host = act::Host::this();
        host.act(&self.steps)?;
        let left = survey::survey(self.tests).missing;
        if left.is_empty() {
            println!("installed; what was done is in {}", host.record().display());
            return Ok(());
        }
        Err(Failure::new(format!(
            "still missing after the installation: {}",
            names(&left)
        )))
    }
}

/// Looks, says what is missing, and asks. Changes nothing.
pub(crate) fn prepare(tests: bool, consent: Consent) -> Outcome<Prepared> {
    let survey = survey::survey(tests);
    Ok(match plan::plan(&survey) {
        Plan::Nothing => Prepared::Complete,
        Plan::Act(steps) => {
            print!("{}", announcement(&survey, &steps));
            agree(consent)?;
            Prepared::Install(Installation { steps, tests })
        }
        Plan::AskRoot(steps) => Prepared::Incomplete(ask_root(&survey, &steps)),
        Plan::Tell {
            command,
            unpackaged,
        } => Prepared::Incomplete(tell(&survey, command, &unpackaged)),
    })
}

/// Refuses when a program that the product needs is missing; installs nothing.
pub(crate) fn require_programs() -> Outcome<()> {
    let missing = survey::survey(false).missing;
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("missing here: {}", names(&missing))).remedy("cargo xtask setup"))
}

/// The executables of what is missing, for a sentence.
fn names(programs: &[Program]) -> String {
    let names: Vec<_> = programs
        .iter()
        .map(|program| program.executable())
        .collect();
    names.join(", ")
}

fn reasons(survey: &Survey) -> String {
    let mut text = String::from("missing here:\n");
    for program in &survey.missing {
        let _ = writeln!(text, "  {:<20} {}", program.executable(), program.why());
    }
    text
}

fn announcement(survey: &Survey, steps: &[Step]) -> String {
    let mut text = reasons(survey);
    text.push_str("to be done, as root:\n");
    for step in steps {
        let _ = writeln!(text, "  {}", step.as_shell());
    }
    text
}

fn ask_root(survey: &Survey, steps: &[Step]) -> Failure {
    let commands: Vec<_> = steps.iter().map(Step::as_shell).collect();
    Failure::new(format!("{}and only root can install it", reasons(survey)))
        .remedy(format!("as root:\n    {}", commands.join(" &&\n    ")))
}

fn tell(survey: &Survey, command: Option<String>, unpackaged: &[Program]) -> Failure {
    let mut remedy = match command {
        Some(command) => format!("as root: {command}"),
        None => "install these programs in this distribution's way".to_owned(),
    };
    if unpackaged.contains(&Program::Mmdebstrap) {
        remedy.push_str(
            "\n  without mmdebstrap there is no default image: bring your own with \
             `banger image import FILE.tar`",
        );
    }
    Failure::new(format!(
        "{}and this task installs with apt only",
        reasons(survey)
    ))
    .remedy(remedy)
}

fn agree(consent: Consent) -> Outcome<()> {
    if consent == Consent::Given {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(
            Failure::new("there is no terminal to ask on, so nothing was installed")
                .remedy("give --yes to agree to the above"),
        );
    }
    print!("go on? [y/N] ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && is_yes(&answer) {
        return Ok(());
    }
    Err(Failure::new("nothing was installed"))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey() -> Survey {
        Survey {
            missing: vec![Program::Qemu, Program::Mmdebstrap],
            ..Survey::default()
        }
    }

    #[test]
    fn only_a_clear_yes_is_a_yes() {
        assert!(is_yes("y\n") && is_yes(" YES\n"));
        assert!(!is_yes("\n") && !is_yes("yeah") && !is_yes(""));
    }

    #[test]
    fn the_announcement_names_each_program_its_reason_and_each_command() {
        let text = announcement(&survey(), &[Step::Update]);
        assert!(text.contains("qemu-system-x86_64   runs the machines"));
        assert!(text.contains("mmdebstrap") && text.ends_with("  apt-get update\n"));
    }

    #[test]
    fn a_user_without_root_gets_the_command_for_root() {
        let failure = ask_root(&survey(), &[Step::Update]).to_string();
        assert!(
            failure.contains("as root:\n    apt-get update"),
            "{failure}"
        );
    }

    #[test]
    fn a_distribution_without_mmdebstrap_is_told_how_else_to_get_an_image() {
        let failure = tell(
            &survey(),
            Some("apk add x".to_owned()),
            &[Program::Mmdebstrap],
        )
        .to_string();
        assert!(failure.contains("as root: apk add x") && failure.contains("image import"));
        assert!(
            tell(&survey(), None, &[])
                .to_string()
                .contains("distribution's way")
        );
    }

    #[test]
    fn consent_given_is_not_asked_for_again() {
        assert_eq!(agree(Consent::Given), Ok(()));
        assert_eq!(Consent::new(true), Consent::Given);
    }
}
