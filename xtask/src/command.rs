//! Running other programs, and the one error type of these tasks.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

/// What failed and why, and what to do about it where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    what: String,
    remedy: Option<String>,
}

/// The result of a task or of a part of one.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// A failure with its reason, in one line.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: None,
        }
    }
    /// The same failure with what to do about it.
    #[must_use]
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
    /// A failed file operation.
    pub(crate) fn file(verb: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(format!("cannot {verb} {}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n  to do: {remedy}"),
            None => Ok(()),
        }
    }
}

/// The command as a person would type it, for messages.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A word as a shell reads it back.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+,./:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Runs the command with the caller's terminal; anything but success is a failure.
pub(crate) fn run(command: &mut Command) -> Outcome<()> {
    let status = command
        .status()
        .map_err(|error| not_started(command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "`{}` failed: {status}",
        shown(command)
    )))
}

/// Runs the command and gives its standard output; what it said on standard error is in the failure.
pub(crate) fn capture(command: &mut Command) -> Outcome<String> {
    printed(command, Stdio::piped())
}

/// As [`capture`], with standard error for the caller's terminal: of a command that tells how far it is.
pub(crate) fn answer(command: &mut Command) -> Outcome<String> {
    printed(command, Stdio::inherit())
}

fn printed(command: &mut Command, errors: Stdio) -> Outcome<String> {
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .output()
        .map_err(|error| not_started(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let why = match said.trim() {
        "" => output.status.to_string(),
        said => format!("{}: {said}", output.status),
    };
    Err(Failure::new(format!("`{}` failed: {why}", shown(command))))
}

/// The failure of a command that could not even start.
pub(crate) fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot start `{}`: {error}", shown(command)))
}

/// Refuses what a command without arguments was given.
pub(crate) fn no_arguments(arguments: &[String]) -> Outcome<()> {
    match arguments.first() {
        None => Ok(()),
        Some(first) => Err(unknown_argument(first)),
    }
}

/// The failure for an argument that a command does not know.
pub(crate) fn unknown_argument(argument: &str) -> Failure {
    Failure::new(format!("unknown argument '{argument}'"))
        .remedy("give the command --help for what it knows")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo it's", ""]);
        assert_eq!(shown(&command), r"sh -c 'echo it'\''s' ''");
    }

    #[test]
    fn a_failing_program_is_a_failure_with_what_it_said() {
        let failure = capture(Command::new("sh").args(["-c", "echo why >&2; exit 3"]));
        let text = failure.map_err(|f| f.to_string()).unwrap_err();
        assert!(
            text.contains("exit status: 3") && text.contains("why"),
            "{text}"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let failure = run(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(failure.to_string().contains("no-such-program-here"));
    }

    #[test]
    fn a_remedy_stands_on_its_own_line() {
        let failure = Failure::new("it broke").remedy("mend it");
        assert_eq!(failure.to_string(), "it broke\n  to do: mend it");
    }
}
