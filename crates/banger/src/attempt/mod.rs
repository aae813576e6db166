//! Several forks of a machine that each try something: made, held while they are judged, ranked.
//!
//! ```text
//!  fork ─ hold ─ command ─ score ┐
//!  fork ─ hold ─ command ─ score ┼─ rank ─ the winner: shown, kept, promoted ─ all others are deleted
//!  fork ─ hold ─ command ─ score ┘
//! ```
//!
//! A fork is ephemeral: whatever becomes of this program, the daemon deletes those that nobody holds.

pub mod columns;
pub mod fork;
pub mod output;
pub mod rank;
pub mod vary;

use crate::client::Client;
use crate::exec::{self, Command, signals::Signals};
use crate::exit::{Exit, Failure};
use crate::show::Show;
use columns::Column;
use fork::Fork;
use output::{Kept, Lines, To};
use rank::Result as Ranked;
use std::ffi::OsString;
use std::io::Write;
use std::time::Instant;
use vary::Values;

/// The attempt's number, from 1.
pub const INDEX: &str = "BANGER_TRY_INDEX";
/// How many attempts there are.
pub const COUNT: &str = "BANGER_TRY_COUNT";
/// The command's exit status, for the score command; empty where its end is not known.
pub const STATUS: &str = "BANGER_TRY_STATUS";

/// When what an attempt prints is printed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Printing {
    /// Line by line as it comes.
    AtOnce,
    /// All of it when the attempt has ended.
    Grouped,
    /// When all attempts have ended, by whoever has them run.
    Beside,
}

/// What each attempt does.
#[derive(Debug)]
pub struct Task {
    /// The command.
    pub command: Command,
    /// A shell command whose last line is the score.
    pub score: Option<String>,
    /// How many attempts there are.
    pub count: usize,
    /// When output is printed.
    pub printing: Printing,
    /// Whether standard output is for something else.
    pub aside: bool,
}

/// One attempt.
#[derive(Debug)]
pub struct Attempt {
    /// Its number, from 1.
    pub index: usize,
    /// What is varied.
    pub values: Values,
}

impl Attempt {
    fn heading(&self) -> String {
        let values = self.values.0.iter();
        let values = values.map(|(name, value)| format!(" {name}={value}"));
        format!("[{}]{}", self.index, values.collect::<String>())
    }
}

impl Task {
    /// Runs the command and the score command in a fork. What goes wrong is told in the result. With it is what was
    /// printed and is not printed here yet.
    pub async fn run(
        &self,
        client: &Client,
        show: Show,
        fork: &Fork,
        attempt: &Attempt,
    ) -> (Ranked, Kept) {
        let kept = Kept::default();
        let mut result = Ranked {
            index: attempt.index,
            name: fork.name.clone(),
            environment: attempt.values.0.iter().cloned().collect(),
            ..Ranked::default()
        };
        let begun = Instant::now();
        let ended = self.command(client, show, fork, attempt, &kept).await;
        result.seconds = begun.elapsed().as_secs_f64();
        match ended {
            Ok(exit) => result.exit = Some(exit.number()),
            Err(failure) => result.trouble = Some(failure.fault.to_string()),
        }
        if let Some(score) = &self.score {
            match self.score(client, fork, attempt, score, result.exit).await {
                Ok(score) => result.score = Some(score),
                Err(why) => result.trouble = result.trouble.or(Some(why)),
            }
        }
        (result, kept)
    }

    async fn command(
        &self,
        client: &Client,
        show: Show,
        fork: &Fork,
        attempt: &Attempt,
        kept: &Kept,
    ) -> Result<Exit, Failure> {
        let to = |now: To| match self.printing {
            Printing::AtOnce => now,
            Printing::Grouped | Printing::Beside => To::Kept(kept.clone()),
        };
        let prefix = match self.printing {
            // Its column says whose it is.
            Printing::Beside => String::new(),
            Printing::AtOnce | Printing::Grouped => prefix(attempt.index, show.stdout_terminal),
        };
        let out = Lines::new(&prefix, to(if self.aside { To::Err } else { To::Out }));
        let err = Lines::new(&prefix, to(To::Err));
        let command = self.told(&self.command, attempt, &[]);
        let both = (out.clone(), err.clone());
        let ended = run_to(client, fork, &command, both.0, both.1).await;
        let written = out.end().and_then(|()| err.end());
        written.map_err(|error| Failure::output(&error))?;
        if self.printing == Printing::Grouped {
            let (bytes, left_out) = kept.take();
            self.print(&bytes, left_out)?;
        }
        ended
    }

    /// Prints what attempts have printed, where it belongs, and how much of it was left out.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn print(&self, bytes: &[u8], left_out: usize) -> Result<(), Failure> {
        let written = match self.aside {
            true => std::io::stderr().lock().write_all(bytes),
            false => std::io::stdout().lock().write_all(bytes),
        };
        if left_out > 0 {
            eprintln!("banger: {left_out} bytes of output were left out");
        }
        written.map_err(|error| Failure::output(&error))
    }

    /// Prints in columns what these attempts have printed and nobody has shown yet.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn print_beside<'a>(
        &self,
        printed: impl Iterator<Item = (&'a Attempt, &'a Kept)>,
        width: usize,
    ) -> Result<(), Failure> {
        let (mut columns, mut all_left_out) = (Vec::new(), 0);
        for (attempt, kept) in printed {
            let (bytes, left_out) = kept.take();
            all_left_out += left_out;
            columns.push(Column {
                heading: attempt.heading(),
                printed: bytes,
            });
        }
        self.print(columns::lay(&columns, width).as_bytes(), all_left_out)
    }

    async fn score(
        &self,
        client: &Client,
        fork: &Fork,
        attempt: &Attempt,
        score: &str,
        exit: Option<u8>,
    ) -> Result<f64, String> {
        let status = exit.map_or_else(String::new, |exit| exit.to_string());
        let command = Command {
            argv: shell(score),
            ..self.command.clone()
        };
        let command = self.told(&command, attempt, &[(STATUS, status)]);
        let kept = Kept::default();
        let ended = run_to(client, fork, &command, kept.clone(), std::io::sink()).await;
        let ended = ended.map_err(|failure| format!("the score command: {}", failure.fault))?;
        if ended.number() != 0 {
            return Err(format!(
                "the score command has ended with status {}",
                ended.number()
            ));
        }
        let found = rank::score(&kept.take().0);
        found.ok_or_else(|| "the last line of the score command is no number".to_owned())
    }

    /// A command that knows which attempt it is.
    fn told(&self, command: &Command, attempt: &Attempt, more: &[(&str, String)]) -> Command {
        let own = [
            (INDEX, attempt.index.to_string()),
            (COUNT, self.count.to_string()),
        ];
        let varied = attempt.values.0.iter();
        let varied = varied.map(|(name, value)| format!("{name}={value}"));
        let told = own.iter().chain(more);
        let told = told.map(|(name, value)| format!("{name}={value}"));
        let all = varied.chain(told).map(OsString::from);
        let mut command = command.clone();
        command.environment.extend(all);
        command
    }
}

/// A command for the guest's shell.
#[must_use]
pub fn shell(text: &str) -> Vec<OsString> {
    ["sh", "-c", text].map(OsString::from).to_vec()
}

/// Runs a command in a fork, with no input.
///
/// # Errors
/// As [`exec::run`].
pub async fn run_to(
    client: &Client,
    fork: &Fork,
    command: &Command,
    out: impl Write + Send + 'static,
    err: impl Write + Send + 'static,
) -> Result<Exit, Failure> {
    // Who interrupts ends all attempts, see `banger vm try`; these get what a terminal sends meanwhile.
    let mut signals = Signals::listen().map_err(|error| {
        banger_proto::fault::Fault::from_error(banger_proto::fault::FaultCode::Failed, &error)
    })?;
    exec::run_to(client, &fork.id, command, (out, err), &mut signals).await
}

/// The colours of prefixes, in turn (ECMA-48).
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];

fn prefix(index: usize, coloured: bool) -> String {
    let colour = COLOURS.get(index.saturating_sub(1) % COLOURS.len());
    match colour.filter(|_| coloured) {
        Some(colour) => format!("\u{1b}[{colour}m[{index}]\u{1b}[0m "),
        None => format!("[{index}] "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_have_a_colour_on_a_terminal_alone() {
        assert_eq!(prefix(12, false), "[12] ");
        assert_eq!(prefix(1, true), "\u{1b}[36m[1]\u{1b}[0m ");
        assert_eq!(prefix(7, true), "\u{1b}[36m[7]\u{1b}[0m ");
    }

    #[test]
    fn an_attempt_is_told_its_number_and_its_values() {
        let task = Task {
            command: Command {
                environment: vec!["A=0".into()],
                ..Command::default()
            },
            score: None,
            count: 3,
            printing: Printing::AtOnce,
            aside: false,
        };
        let attempt = Attempt {
            index: 2,
            values: Values(vec![("A".into(), "1".into())]),
        };
        let told = task.told(&task.command, &attempt, &[(STATUS, "0".into())]);
        let expected = [
            "A=0",
            "A=1",
            "BANGER_TRY_INDEX=2",
            "BANGER_TRY_COUNT=3",
            "BANGER_TRY_STATUS=0",
        ];
        assert_eq!(told.environment, expected);
    }
}
