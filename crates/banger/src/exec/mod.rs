//! Running a command in a guest.

pub mod input;
pub mod link;
pub mod output;
mod pump;
pub mod session;
pub mod signals;
pub mod terminal;

use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::show::Show;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::ByteText;
use banger_proto::owner::exec::Start;
use input::{Choice, Wish};
use signals::Signals;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

/// A command as the user gave it.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// The program and its arguments; empty: a login shell.
    pub argv: Vec<OsString>,
    /// `NAME=VALUE`, or `NAME` to pass our own value on.
    pub environment: Vec<OsString>,
    /// Working directory in the guest.
    pub directory: Option<OsString>,
    /// User, or `user:group`.
    pub user: Option<String>,
    /// Without a checkpoint before.
    pub no_checkpoint: bool,
    /// What was said about input and terminal.
    pub wish: Wish,
}

/// Bytes of the host for the guest: nothing is re-coded.
#[must_use]
pub fn bytes(text: &OsStr) -> ByteText {
    ByteText(text.as_bytes().to_vec())
}

impl Command {
    /// The request, before its session has an id.
    ///
    /// # Errors
    /// A usage failure for an `-e` without a name.
    pub fn start(
        &self,
        choice: Choice,
        own: impl Fn(&OsStr) -> Option<OsString>,
    ) -> Result<Start, Failure> {
        let mut environment = Vec::new();
        if choice.terminal
            && let Some(term) = own(OsStr::new("TERM"))
        {
            environment.push(("TERM".into(), bytes(&term)));
        }
        for given in &self.environment {
            environment.extend(variable(given, &own)?);
        }
        Ok(Start {
            session: String::new(),
            argv: self.argv.iter().map(|argument| bytes(argument)).collect(),
            environment,
            directory: self.directory.as_deref().map(bytes),
            user: self.user.clone(),
            terminal: choice.terminal.then(terminal::size),
            stdin: choice.stdin,
            no_checkpoint: self.no_checkpoint,
        })
    }
}

/// `NAME=VALUE` as it is; `NAME` with our own value, or nothing where we have none (as docker).
fn variable(
    given: &OsStr,
    own: impl Fn(&OsStr) -> Option<OsString>,
) -> Result<Option<(ByteText, ByteText)>, Failure> {
    let all = given.as_bytes();
    let end = all.iter().position(|b| *b == b'=').unwrap_or(all.len());
    let (name, value) = all.split_at(end);
    if name.is_empty() {
        return Err(Failure::usage(
            format!("{given:?} has no name before the '='"),
            "write -e NAME=VALUE",
        ));
    }
    Ok(match value.split_first() {
        Some((_equals, value)) => Some((name.into(), value.into())),
        None => own(OsStr::from_bytes(name)).map(|value| (name.into(), bytes(&value))),
    })
}

/// Runs a command in a running sandbox and waits for its end.
///
/// # Errors
/// A failure with exit status 125, 126 or 127 when the command's own end is not known.
pub async fn run(
    client: &Client,
    reference: &str,
    show: Show,
    command: &Command,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let choice = input::choose(command.wish, input::survey(), show.stdout_terminal);
    let mut start = command
        .start(choice, |name| std::env::var_os(name))
        .map_err(Failure::around)?;
    start.session = session::random_id()
        .map_err(|error| Fault::from_error(FaultCode::Failed, &error))
        .map_err(|fault| Failure::from(fault).around())?;
    let output = output::Output::start();
    pump::Pump::new(client, reference, show, start, output, signals)
        .run()
        .await
}

/// Runs a command in a running sandbox with no input and no terminal, its output and its errors to these; says
/// nothing itself.
///
/// # Errors
/// As [`run`].
pub async fn run_to(
    client: &Client,
    reference: &str,
    command: &Command,
    (out, err): (impl Write + Send + 'static, impl Write + Send + 'static),
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let none = Choice {
        stdin: false,
        terminal: false,
    };
    let mut start = command
        .start(none, |name| std::env::var_os(name))
        .map_err(Failure::around)?;
    start.session = session::random_id()
        .map_err(|error| Fault::from_error(FaultCode::Failed, &error))
        .map_err(|fault| Failure::from(fault).around())?;
    let silent = Show::silent();
    let output = output::Output::to(out, err);
    pump::Pump::new(client, reference, silent, start, output, signals)
        .run()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    const NO_TERMINAL: Choice = Choice {
        stdin: true,
        terminal: false,
    };

    fn nothing(_: &OsStr) -> Option<OsString> {
        None
    }

    #[test]
    fn arguments_go_as_the_bytes_they_are() {
        let odd = OsString::from_vec(b"a b\n'\"\xff".to_vec());
        let command = Command {
            argv: vec![odd.clone()],
            directory: Some(odd),
            ..Command::default()
        };
        let start = command.start(NO_TERMINAL, nothing).expect("fine");
        assert_eq!(start.argv, [ByteText(b"a b\n'\"\xff".to_vec())]);
        assert_eq!(start.directory.as_ref(), start.argv.first());
        assert!(start.stdin && start.terminal.is_none());
    }

    #[test]
    fn the_environment_is_given_passed_on_or_refused() {
        let with = |given: &[&str], terminal| {
            let command = Command {
                environment: given.iter().map(Into::into).collect(),
                ..Command::default()
            };
            let choice = Choice {
                stdin: true,
                terminal,
            };
            command.start(choice, |name| {
                let mut value = name.to_owned();
                value.push("!");
                Some(value)
            })
        };
        let pair = |name: &str, value: &str| (ByteText::from(name), ByteText::from(value));
        let start = with(&["A=1=2", "B=", "HOME"], false).expect("fine");
        assert_eq!(
            start.environment,
            [pair("A", "1=2"), pair("B", ""), pair("HOME", "HOME!")]
        );
        let start = with(&["TERM=dumb"], true).expect("fine");
        assert_eq!(
            start.environment,
            [pair("TERM", "TERM!"), pair("TERM", "dumb")]
        );
        assert!(with(&["=x"], false).is_err());
        let absent = variable(OsStr::new("NOT_SET"), nothing).expect("fine");
        assert_eq!(absent, None);
    }
}
