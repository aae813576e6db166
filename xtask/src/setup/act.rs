//! Carrying a plan out: a loop without decisions. On failure what was added is taken away again.

use super::plan::{SOURCES_FILE, Step};
use crate::command::{self, Failure, Outcome};
use crate::workspace;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where it is remembered what was installed, one command in a line.
pub(crate) fn record_file() -> PathBuf {
    workspace::target().join("xtask-setup.log")
}

/// Runs the steps in order. A source that was added is removed when a later step fails.
pub(crate) fn act(steps: &[Step]) -> Outcome<()> {
    let mut added = false;
    for step in steps {
        let outcome = act_one(step);
        added |= matches!(step, Step::AddSource(_));
        if let Err(failure) = outcome {
            return Err(undo(added, failure));
        }
        record(&record_file(), &step.as_shell())?;
    }
    Ok(())
}

fn undo(added: bool, failure: Failure) -> Failure {
    if !added {
        return failure;
    }
    match std::fs::remove_file(SOURCES_FILE) {
        Ok(()) => failure,
        Err(error) => Failure::new(format!("{failure}; and {SOURCES_FILE} is left: {error}")),
    }
}

fn act_one(step: &Step) -> Outcome<()> {
    eprintln!("setup │ {}", step.as_shell());
    match step {
        Step::AddSource(source) => {
            let path = Path::new(SOURCES_FILE);
            std::fs::write(path, source.stanza())
                .map_err(|error| Failure::file("write", path, &error))
        }
        Step::Update => run_quoted(Command::new("apt-get").args(["-q", "update"])),
        Step::Install { packages, release } => {
            let mut install = Command::new("apt-get");
            install.args(["-q", "-y", "install", "--no-install-recommends"]);
            if let Some(release) = release {
                install.args(["-t", release]);
            }
            run_quoted(install.args(packages))
        }
    }
}

/// Runs a command with a mark before each line it prints, so that it stays readable beside a build.
fn run_quoted(command: &mut Command) -> Outcome<()> {
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| command::not_started(command, &error))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        scope.spawn(|| out.map(quote_lines));
        scope.spawn(|| err.map(quote_lines));
    });
    let status = child
        .wait()
        .map_err(|error| command::not_started(command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "`{}` failed: {status}",
        command::shown(command)
    )))
}

fn quote_lines(stream: impl Read) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .is_ok_and(|length| length > 0)
    {
        eprintln!("setup │ {}", String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

fn record(path: &Path, line: &str) -> Outcome<()> {
    let failed = |error: std::io::Error| Failure::file("write", path, &error);
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(failed)?;
    writeln!(file, "{line}").map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_remembered_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep").join("setup.log");
        record(&path, "one").unwrap();
        record(&path, "two").unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_failing_installer_is_a_failure() {
        assert!(run_quoted(Command::new("sh").args(["-c", "echo fine; exit 0"])).is_ok());
        let failure = run_quoted(Command::new("sh").args(["-c", "exit 100"])).unwrap_err();
        assert!(failure.to_string().contains("100"));
    }
}
