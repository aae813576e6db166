//! Programs of the host that the daemon runs to completion: where they are found, with which
//! environment they run, and how much of their output is kept.

use super::child::RunningChild;
use crate::progress::{Progress, Unwanted};
use banger_proto::fault::{Fault, FaultCode, chain};
use std::{
    ffi::{OsStr, OsString},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

/// Bytes kept of each output stream of a program; the rest is read and dropped.
const KEPT_OUTPUT: u64 = 64 << 10;

/// Why a program of the host could not do its part.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It is not installed.
    #[error("the program {program} is not installed")]
    Missing {
        /// Its name.
        program: String,
    },
    /// It could not be started.
    #[error("cannot start {}", .program.display())]
    Start {
        /// Its path.
        program: PathBuf,
        /// The host's answer.
        #[source]
        source: io::Error,
    },
    /// It ended with a failure.
    #[error("{program} failed ({status}): {words}")]
    Failed {
        /// Its name.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        words: String,
    },
}

impl ProgramError {
    /// The same error as it crosses a socket.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Missing { program } => {
                Fault::new(FaultCode::Unavailable, self).with_remedy(format!(
                    "run `cargo xtask setup`, or install the package {}",
                    package_of(program)
                ))
            }
            Self::Start { .. } => Fault::new(FaultCode::Unavailable, chain(self)),
            Self::Failed { .. } => Fault::new(FaultCode::Failed, self),
        }
    }
}

/// The package that brings a program (the same name on Debian, Fedora, Arch, openSUSE, Alpine).
fn package_of(program: &str) -> &str {
    match program {
        "mke2fs" | "e2fsck" | "debugfs" => "e2fsprogs",
        "apt-get" | "apt-cache" => "apt",
        other => other,
    }
}

/// Directories that hold system programs though a user's `PATH` often lacks them.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

fn directories() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_DIRECTORIES.map(PathBuf::from))
        .filter(|directory| directory.is_absolute())
        .collect()
}

fn find_in(directories: &[PathBuf], program: &str) -> Result<PathBuf, ProgramError> {
    let runnable = |path: &Path| {
        path.metadata()
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    directories
        .iter()
        .map(|directory| directory.join(program))
        .find(|path| runnable(path))
        .ok_or_else(|| ProgramError::Missing {
            program: program.to_owned(),
        })
}

/// The path of a program: on `PATH`, or in the directories of system programs.
///
/// # Errors
/// [`ProgramError::Missing`] when no such directory has it as a file that can be run.
pub fn find(program: &str) -> Result<PathBuf, ProgramError> {
    find_in(&directories(), program)
}

/// A command with an environment of ours: plain English messages, and a `PATH` that has the system
/// directories. Standard input is closed.
pub(crate) fn command(program: &'static str) -> Result<Command, ProgramError> {
    let directories = directories();
    let mut command = Command::new(find_in(&directories, program)?);
    let path = std::env::join_paths(&directories).unwrap_or_else(|_| OsString::from("/usr/bin"));
    command
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", path)
        .stdin(Stdio::null());
    Ok(command)
}

/// Lets a program see how this host reaches the network: the usual proxy variables.
pub(crate) fn with_proxies(command: &mut Command) {
    for name in [
        "http_proxy",
        "https_proxy",
        "ftp_proxy",
        "all_proxy",
        "no_proxy",
    ] {
        for name in [name.to_owned(), name.to_ascii_uppercase()] {
            if let Some(value) = std::env::var_os(&name) {
                command.env(name, value);
            }
        }
    }
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// The error that this outcome is, with the last lines that the program wrote.
    pub(crate) fn failure(&self, program: &'static str) -> ProgramError {
        let words = if self.stderr.trim().is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        ProgramError::Failed {
            program,
            status: self.status,
            words: last_lines(words, 3),
        }
    }
}

/// The last lines that say something, on one line.
fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let from = lines.len().saturating_sub(count);
    lines.get(from..).unwrap_or_default().join("; ")
}

/// The first part of a stream as text; the rest is read, so that its writer does not block.
fn drain(mut stream: impl Read) -> String {
    let mut kept = Vec::new();
    let read = stream.by_ref().take(KEPT_OUTPUT).read_to_end(&mut kept);
    if read.is_ok() {
        let _ = io::copy(&mut stream, &mut io::sink());
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// Runs a prepared command to its end and keeps its output.
pub(crate) fn output_of(mut command: Command) -> Result<Output, ProgramError> {
    let program = PathBuf::from(command.get_program());
    let start = |source| ProgramError::Start {
        program: program.clone(),
        source,
    };
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    let stderr = child.stderr.take();
    let reader = std::thread::spawn(move || stderr.map(drain).unwrap_or_default());
    let stdout = child.stdout.take().map(drain).unwrap_or_default();
    let stderr = reader.join().unwrap_or_default();
    let status = child.wait().map_err(start)?;
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

/// As [`output_of`], ended with all that it has started when nobody wants its work any more.
pub(crate) fn output_while_wanted<E>(command: Command, progress: &Progress) -> Result<Output, E>
where
    E: From<ProgramError> + From<Unwanted>,
{
    let (mut child, stdout) = RunningChild::start(command, progress.cancelled(), |_| {})?;
    let stdout = drain(stdout);
    let ended = child.wait();
    // It was ended then: what it says of that is of no interest.
    progress.check()?;
    let (status, stderr) = ended?;
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

/// Runs a program that must succeed.
pub(crate) fn run<A: AsRef<OsStr>>(
    program: &'static str,
    arguments: impl IntoIterator<Item = A>,
) -> Result<Output, ProgramError> {
    let mut command = command(program)?;
    command.args(arguments);
    let output = output_of(command)?;
    if output.status.success() {
        Ok(output)
    } else {
        Err(output.failure(program))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let error = find_in(&[PathBuf::from("/nonexistent")], "mke2fs").expect_err("is not there");
        let fault = error.fault();
        assert_eq!(fault.code, FaultCode::Unavailable);
        assert!(fault.message.contains("mke2fs"));
        assert!(fault.remedy.expect("has one").contains("e2fsprogs"));
    }

    #[test]
    fn only_the_last_lines_are_shown() {
        assert_eq!(last_lines("a\nb\n\n c \nd\n", 3), "b; c; d");
        assert_eq!(last_lines("", 3), "");
    }

    #[test]
    fn long_output_is_read_but_not_kept() {
        let long = io::repeat(b'x').take(KEPT_OUTPUT * 2);
        assert_eq!(drain(long).len() as u64, KEPT_OUTPUT);
    }

    mod t1 {
        use super::*;

        #[test]
        fn a_file_that_cannot_be_run_is_not_a_program() {
            let place = tempfile::tempdir().expect("a directory");
            std::fs::write(place.path().join("mke2fs"), "").expect("writes");
            assert!(find_in(&[place.path().to_owned()], "mke2fs").is_err());
        }

        #[test]
        fn a_failing_program_is_quoted() {
            let error = run("sh", ["-c", "echo one; echo two >&2; exit 3"]).expect_err("fails");
            assert!(
                error.to_string().contains("exit status: 3): two"),
                "{error}"
            );
        }

        #[test]
        fn the_environment_is_ours() {
            let output = run("env", [""; 0]).expect("runs");
            assert!(output.stdout.contains("LC_ALL=C"));
            assert!(!output.stdout.contains("HOME="), "{}", output.stdout);
        }
    }
}
