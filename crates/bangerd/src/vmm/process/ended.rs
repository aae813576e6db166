//! How a process ended, in words.

use rustix::process::WaitIdStatus;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::{fmt, fs};

/// How a child of the daemon's ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status (0 to 255).
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

impl Ended {
    pub(super) fn of(status: &WaitIdStatus) -> Option<Self> {
        let exited = status.exit_status().map(Self::Exited);
        exited.or_else(|| status.terminating_signal().map(Self::Killed))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Killed(signal) => match signal_name(signal) {
                Some(name) => write!(f, "was killed by {name}"),
                None => write!(f, "was killed by signal {signal}"),
            },
        }
    }
}

/// The signals that end a VMM in practice; numbers as on x86-64 and arm64 (signal(7)).
const fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

/// What is known of a process that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitReport {
    /// How it ended; not known of a process that was adopted after a restart.
    pub status: Option<Ended>,
    /// The end of what it printed, trimmed; empty if nothing.
    pub log_tail: String,
}

impl fmt::Display for ExitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.status {
            Some(status) => write!(f, "{status}")?,
            None => f.write_str("ended")?,
        }
        // Programs put their name before an error, as in `qemu: no room`; a hint may follow it.
        let mut lines = self.log_tail.lines().rev();
        let error = lines.clone().find(|line| line.contains(": "));
        match error.or_else(|| lines.next()) {
            Some(line) => write!(f, ": {line}"),
            None => Ok(()),
        }
    }
}

/// How much of a log goes into a report, in bytes: some twenty lines.
const LONGEST_TAIL: u64 = 2048;

/// The line that parts one start of a process from the one before it, in the log of both.
pub(in crate::vmm) const START_MARK: &str = "--- started ---";

/// The last whole lines that the process printed since its start ([`START_MARK`]), with control
/// characters replaced. A log that is missing is empty.
///
/// # Errors
/// When it cannot be read.
pub fn log_tail(path: &Path) -> io::Result<String> {
    let mut file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        opened => opened?,
    };
    let start = file.metadata()?.len().saturating_sub(LONGEST_TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(LONGEST_TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = match text.rsplit_once(START_MARK) {
        Some((_, this_run)) => this_run,
        None if start > 0 => text.split_once('\n').map_or(&*text, |(_, rest)| rest),
        None => &*text,
    };
    Ok(whole
        .trim()
        .chars()
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_how_and_ends_with_the_last_error_of_the_log() {
        let report = |status, tail: &str| {
            ExitReport {
                status,
                log_tail: tail.to_owned(),
            }
            .to_string()
        };
        let log = "qemu: warning: x\nqemu: no room";
        assert_eq!(
            report(Some(Ended::Exited(1)), log),
            "exited with status 1: qemu: no room"
        );
        let hint = format!("{log}\nIs it full?");
        let with_hint = report(Some(Ended::Exited(1)), &hint);
        assert_eq!(with_hint, "exited with status 1: qemu: no room");
        assert_eq!(report(Some(Ended::Killed(9)), ""), "was killed by SIGKILL");
        assert_eq!(
            report(Some(Ended::Killed(40)), ""),
            "was killed by signal 40"
        );
        assert_eq!(report(None, "gone"), "ended: gone");
    }

    mod t1 {
        use super::*;

        fn tail_of(content: &[u8]) -> String {
            let directory = tempfile::tempdir().expect("temporary directory");
            let path = directory.path().join("log");
            fs::write(&path, content).expect("written");
            log_tail(&path).expect("readable")
        }

        #[test]
        fn a_tail_is_bounded_and_begins_with_a_whole_line() {
            let long = "0123456789 abcdefghij\n".repeat(1000);
            let tail = tail_of(long.as_bytes());
            assert!(tail.len() <= 2048 && tail.len() > 2000);
            assert!(tail.starts_with("0123456789"));
        }

        #[test]
        fn what_stood_in_the_log_before_this_run_is_left_out() {
            let log = format!("old error\n{START_MARK}\nnew error\n");
            assert_eq!(tail_of(log.as_bytes()), "new error");
            let silent = format!("old error\n{START_MARK}\n");
            assert_eq!(tail_of(silent.as_bytes()), "");
        }

        #[test]
        fn control_characters_cannot_reach_a_terminal() {
            assert_eq!(tail_of(b"a\x1b[31mb\xff\r\nc\n"), "a [31mb\u{fffd} \nc");
        }

        #[test]
        fn a_missing_log_is_empty_and_an_unreadable_one_is_an_error() {
            let directory = tempfile::tempdir().expect("temporary directory");
            let missing = log_tail(&directory.path().join("none"));
            assert_eq!(missing.expect("no error"), "");
            assert!(log_tail(directory.path()).is_err());
        }
    }
}
