//! Carrying a plan out: a loop without decisions. On failure what was added is taken away again.

use super::plan::{SOURCES_FILE, Step};
use crate::command::{self, Failure, Outcome};
use crate::workspace;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What acting touches on this machine; tests give their own.
#[derive(Debug)]
pub(crate) struct Host {
    /// The program that installs.
    apt_get: PathBuf,
    /// Where an added source is written.
    sources_file: PathBuf,
    /// Where it is remembered what was done, one command in a line.
    record: PathBuf,
}

impl Host {
    /// This machine.
    pub(crate) fn this() -> Self {
        Self {
            apt_get: "apt-get".into(),
            sources_file: SOURCES_FILE.into(),
            record: workspace::target().join("xtask-setup.log"),
        }
    }

    /// Where to read what was done.
    pub(crate) fn record(&self) -> &Path {
        &self.record
    }

    /// Runs the steps in order. A source that was added is removed when a later step fails.
    pub(crate) fn act(&self, steps: &[Step]) -> Outcome<()> {
        let mut added = false;
        for step in steps {
            let outcome = self.act_one(step);
            added |= matches!(step, Step::AddSource(_));
            if let Err(failure) = outcome {
                return Err(self.undo(added, failure));
            }
            record(&self.record, &step.as_shell())?;
        }
        Ok(())
    }

    /// The cause and what could not be undone travel together.
    fn undo(&self, added: bool, failure: Failure) -> Failure {
        if !added {
            return failure;
        }
        let left = match std::fs::remove_file(&self.sources_file) {
            Ok(()) => return failure,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return failure,
            Err(error) => error,
        };
        Failure::new(format!(
            "{failure}; and {} is left: {left}",
            self.sources_file.display()
        ))
    }

    fn act_one(&self, step: &Step) -> Outcome<()> {
        eprintln!("setup │ {}", step.as_shell());
        match step {
            Step::AddSource(source) => {
                let path = &self.sources_file;
                std::fs::write(path, source.stanza())
                    .map_err(|error| Failure::file("write", path, &error))
            }
            Step::Update => run_quoted(Command::new(&self.apt_get).args(["-q", "update"])),
            Step::Install { packages, release } => {
                let mut install = Command::new(&self.apt_get);
                install.args(["-q", "-y", "install", "--no-install-recommends"]);
                if let Some(release) = release {
                    install.args(["-t", release]);
                }
                run_quoted(install.args(packages))
            }
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

    use crate::setup::apt_sources::Source;

    /// A host whose installer is a script that fails for the word `no-such-package`.
    fn host(directory: &Path) -> Host {
        use std::os::unix::fs::PermissionsExt;
        let apt_get = directory.join("apt-get");
        let script = "#!/bin/sh\necho working; case \"$*\" in *no-such-package*) exit 100;; esac\n";
        std::fs::write(&apt_get, script).unwrap();
        std::fs::set_permissions(&apt_get, PermissionsExt::from_mode(0o755)).unwrap();
        Host {
            apt_get,
            sources_file: directory.join("added.sources"),
            record: directory.join("deep").join("setup.log"),
        }
    }

    fn install(package: &'static str) -> Step {
        let release = Some("newer".to_owned());
        Step::Install {
            packages: vec![package],
            release,
        }
    }

    #[test]
    fn what_was_done_is_remembered_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let host = host(directory.path());
        let steps = [
            Step::AddSource(Source::default()),
            Step::Update,
            install("one"),
        ];
        host.act(&steps).unwrap();
        let record = std::fs::read_to_string(host.record()).unwrap();
        assert_eq!(record.lines().count(), 3);
        assert!(record.ends_with("-t newer one\n"));
        assert!(host.sources_file.exists());
    }

    #[test]
    fn a_source_is_removed_again_when_what_needs_it_fails() {
        let directory = tempfile::tempdir().unwrap();
        let host = host(directory.path());
        let steps = [
            Step::AddSource(Source::default()),
            install("no-such-package"),
        ];
        let failure = host.act(&steps).unwrap_err();
        assert!(failure.to_string().contains("100"), "{failure}");
        assert!(!host.sources_file.exists());
    }

    #[test]
    fn a_source_that_was_there_before_is_kept_when_an_installation_fails() {
        let directory = tempfile::tempdir().unwrap();
        let host = host(directory.path());
        std::fs::write(&host.sources_file, "present").unwrap();
        assert!(host.act(&[install("no-such-package")]).is_err());
        assert!(host.sources_file.exists());
    }

    #[test]
    fn what_cannot_be_removed_is_told_together_with_the_cause() {
        let directory = tempfile::tempdir().unwrap();
        let mut host = host(directory.path());
        host.sources_file = directory.path().join("a-directory");
        std::fs::create_dir(&host.sources_file).unwrap();
        let failure = host
            .act(&[Step::AddSource(Source::default())])
            .unwrap_err()
            .to_string();
        assert!(
            failure.contains("cannot write") && failure.contains("is left"),
            "{failure}"
        );
    }

    #[test]
    fn an_installer_that_cannot_start_is_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        let mut host = host(directory.path());
        host.apt_get = directory.path().join("absent");
        assert!(host.act(&[Step::Update]).is_err());
    }
}
