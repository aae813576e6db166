//! All printing. Results go to standard output, everything else to standard error.

pub mod artifact;
pub mod attempt;
pub mod capacity;
pub mod daemon;
pub mod diff;
pub mod doctor;
pub mod event;
pub mod health;
pub mod history;
pub mod operation;
pub mod progress;
pub mod sandbox;
pub mod snapshot;
pub mod stats;
pub mod table;
pub mod words;

use crate::exit::Failure;
use progress::Progress;
use serde::Serialize;
use std::io::{IsTerminal, Write};
use table::{Table, Tone};
use words::harmless;

/// How this command prints.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the user's"
)]
pub struct Show {
    /// Results and faults as JSON.
    pub json: bool,
    /// Names or ids only, no progress.
    pub quiet: bool,
    /// More than usual.
    pub verbose: bool,
    /// Standard output is a terminal.
    pub stdout_terminal: bool,
    /// Standard error is a terminal.
    pub stderr_terminal: bool,
    /// Colours are not wanted: `NO_COLOR`, or a terminal that has none.
    pub no_color: bool,
}

impl Show {
    /// For this process.
    #[must_use]
    pub fn of_process(json: bool, quiet: bool, verbose: bool) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            json,
            quiet,
            verbose,
            stdout_terminal: std::io::stdout().is_terminal(),
            stderr_terminal: std::io::stderr().is_terminal(),
            no_color: set("NO_COLOR") || dumb,
        }
    }

    /// One that shows nothing: for what goes on beside others, or behind something that is shown.
    #[must_use]
    pub fn silent() -> Self {
        Self {
            quiet: true,
            ..Self::default()
        }
    }

    /// Writes text to standard output as it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn raw(&self, text: impl AsRef<[u8]>) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_ref())
            .and_then(|()| out.flush())
            .map_err(|error| Failure::output(&error))
    }

    /// Writes a line to standard output.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        self.raw(format!("{}\n", harmless(text)))
    }

    /// Writes lines to standard output.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn lines<T: AsRef<str>>(&self, lines: impl IntoIterator<Item = T>) -> Result<(), Failure> {
        let text: String = lines
            .into_iter()
            .flat_map(|line| [harmless(line.as_ref()).into_owned(), "\n".into()])
            .collect();
        self.raw(text)
    }

    /// Writes JSON to standard output.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn json(&self, content: &(impl Serialize + ?Sized)) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(content).unwrap_or_default();
        self.raw(text + "\n")
    }

    /// Writes JSON to standard output, on one line: for what comes one by one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn json_line(&self, content: &(impl Serialize + ?Sized)) -> Result<(), Failure> {
        let text = serde_json::to_string(content).unwrap_or_default();
        self.raw(text + "\n")
    }

    /// Writes a table to standard output.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn table(&self, table: &Table) -> Result<(), Failure> {
        self.raw(table.render(self.stdout_terminal && !self.no_color))
    }

    /// Says something beside the result, unless quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            eprintln!("{}", harmless(text));
        }
    }

    /// Says something that only who asked for more wants to know.
    pub fn verbose_note(&self, text: &str) {
        if self.verbose {
            self.note(text);
        }
    }

    /// Says something that only a person at a terminal wants to know.
    pub fn aside(&self, text: &str) {
        if self.stderr_terminal {
            self.note(text);
        }
    }

    /// Says why something failed; never nothing, except when our reader has left.
    pub fn failure(&self, failure: &Failure) {
        if failure.is_closed_output() {
            return;
        }
        let mut error = std::io::stderr().lock();
        // Where standard error is closed, the exit status has to do.
        let _unheard = error.write_all(self.failure_text(failure).as_bytes());
    }

    fn failure_text(&self, failure: &Failure) -> String {
        let fault = &failure.fault;
        if self.json {
            return serde_json::to_string(fault).unwrap_or_default() + "\n";
        }
        let color = self.stderr_terminal && !self.no_color;
        let mut text = format!(
            "{} {}",
            Tone::Bad.paint("banger:", color),
            harmless(&fault.message)
        );
        if let Some(op) = &fault.op {
            let op = format!("({})", harmless(op));
            text += &format!(" {}", Tone::Faint.paint(&op, color));
        }
        text.push('\n');
        if let Some(remedy) = &fault.remedy {
            text += &format!(
                "{} {}\n",
                Tone::Strong.paint("remedy:", color),
                harmless(remedy)
            );
        }
        text
    }

    /// Where the events of an operation go.
    #[must_use]
    pub fn progress(&self) -> Progress {
        if self.quiet || self.json {
            Progress::lines(false)
        } else if self.stderr_terminal {
            Progress::bar()
        } else {
            Progress::lines(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_proto::fault::{Fault, FaultCode};

    fn failure() -> Failure {
        Fault::new(FaultCode::NotFound, "there is no sandbox \"x\"")
            .with_remedy("see `banger vm list`")
            .with_op("op-abc123")
            .into()
    }

    #[test]
    fn a_failure_has_cause_operation_and_remedy() {
        insta::assert_snapshot!(Show::default().failure_text(&failure()), @r#"
        banger: there is no sandbox "x" (op-abc123)
        remedy: see `banger vm list`
        "#);
    }

    #[test]
    fn colours_appear_on_a_terminal_unless_unwanted() {
        let terminal = Show {
            stderr_terminal: true,
            ..Show::default()
        };
        assert!(terminal.failure_text(&failure()).contains('\u{1b}'));
        let plain = Show {
            no_color: true,
            ..terminal
        };
        assert!(!plain.failure_text(&failure()).contains('\u{1b}'));
    }

    #[test]
    fn a_failure_as_json_is_the_fault_itself() {
        let show = Show {
            json: true,
            ..Show::default()
        };
        let text = show.failure_text(&failure());
        let read: Fault = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read, failure().fault);
    }
}
