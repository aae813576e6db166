//! What T3 needs before its first test: release binaries, and a kernel and images that all tests
//! share, made once and kept between runs.

use super::services;
use crate::build::{self, Profile};
use crate::command::{self, Failure, Outcome};
use crate::workspace;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory of the binaries under test.
pub(crate) const BINARIES_VARIABLE: &str = "BANGER_TEST_BIN";
/// The directory whose `state` and `cache` are XDG directories with a kernel and images in them.
pub(crate) const STATE_VARIABLE: &str = "BANGER_TEST_STATE";

/// Builds the release binaries and gives their directory.
pub(crate) fn binaries() -> Outcome<PathBuf> {
    build::build(Profile::Release)
}

/// Makes the default kernel and image by running a first guest, in XDG directories of the tests' own;
/// a later run finds them and costs one boot. Gives the variables for the tests.
pub(crate) fn prepare(binaries: &Path) -> Outcome<Vec<(String, String)>> {
    let owner = owner(binaries)?;
    owner.run(&[&FIRST_GUEST[..], &["true"]].concat())?;
    Ok(variables(&owner))
}

/// As [`prepare`], and the image of [services] from where the default one has its packages.
pub(super) fn prepare_with_services(binaries: &Path) -> Outcome<Vec<(String, String)>> {
    let owner = owner(binaries)?;
    // In the form of sources.list(5).
    let command = [&FIRST_GUEST[..], &["cat", "/etc/apt/sources.list"]].concat();
    let sources = owner.ask(&command)?;
    let mut show = owner.banger(&["image", "show", services::NAME]);
    if owner.ended(command::capture(&mut show)).is_err() {
        services::make(&owner.state, &sources, |archive| {
            owner.run(&["image", "import", archive, services::NAME])
        })?;
    }
    Ok(variables(&owner))
}

/// Runs a command in a guest of the default image, which it makes.
const FIRST_GUEST: [&str; 6] = ["vm", "run", "--rm", "--init", "none", "--"];

fn owner(binaries: &Path) -> Outcome<Owner> {
    Owner::new(binaries, workspace::target().join("guests"))
}

fn variables(owner: &Owner) -> Vec<(String, String)> {
    let variable = |name: &str, path: &Path| (name.to_owned(), path.display().to_string());
    vec![
        variable(BINARIES_VARIABLE, &owner.binaries),
        variable(STATE_VARIABLE, &owner.state),
    ]
}

/// `banger` with XDG directories of the tests' own.
pub(crate) struct Owner {
    binaries: PathBuf,
    state: PathBuf,
    runtime: Runtime,
}

impl Owner {
    /// One whose XDG directories are in `state`.
    pub(crate) fn new(binaries: &Path, state: PathBuf) -> Outcome<Self> {
        Ok(Self {
            binaries: binaries.to_owned(),
            state,
            runtime: Runtime::new()?,
        })
    }

    /// Runs a command of banger's, and ends the daemon that it started.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome<()> {
        // Standard output belongs to the task's own result.
        let mut command = self.banger(arguments);
        self.ended(command::run(command.stdout(std::io::stderr())))
    }

    /// As [`Owner::run`]; what the command printed.
    fn ask(&self, arguments: &[&str]) -> Outcome<String> {
        self.ended(command::answer(&mut self.banger(arguments)))
    }

    fn ended<T>(&self, ran: Outcome<T>) -> Outcome<T> {
        // The daemon would leave by itself after a while; its runtime directory goes before.
        let mut stop = self.banger(&["daemon", "stop"]);
        let stopped = command::run(stop.stdout(std::io::stderr()));
        let ran = ran?;
        stopped.map(|()| ran)
    }

    fn banger(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binaries.join("banger"));
        command.args(arguments);
        command.env("XDG_RUNTIME_DIR", &self.runtime.0);
        for (variable, directory) in xdg_directories(&self.state) {
            command.env(variable, directory);
        }
        command
    }
}

fn xdg_directories(state: &Path) -> [(&'static str, PathBuf); 3] {
    [
        ("XDG_STATE_HOME", state.join("state")),
        ("XDG_CACHE_HOME", state.join("cache")),
        ("XDG_CONFIG_HOME", state.join("config")),
    ]
}

/// A runtime directory of our own, so that the user's daemon is neither used nor disturbed. It has a
/// short path: a socket's may have 107 bytes, and the checkout's path may be long.
struct Runtime(PathBuf);

impl Runtime {
    fn new() -> Outcome<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let path = std::env::temp_dir().join(format!("banger-guests-{}", std::process::id()));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| Failure::file("make", &path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for Runtime {
    #[expect(
        clippy::disallowed_methods,
        reason = "made by `new`, which fails when it exists"
    )]
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("xtask: {} is left: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_directory_is_private_short_and_gone_afterwards() {
        use std::os::unix::fs::PermissionsExt;
        let runtime = Runtime::new().unwrap();
        let path = runtime.0.clone();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(Runtime::new().is_err(), "an existing one is not taken over");
        drop(runtime);
        assert!(!path.exists());
    }

    #[test]
    fn a_first_guest_that_fails_is_an_error_and_leaves_no_directory() {
        let empty = tempfile::tempdir().unwrap();
        assert!(prepare(empty.path()).is_err());
    }
}
