//! `build`: the binaries, side by side.

use crate::command::{self, Failure, Outcome};
use crate::{elf, workspace};
use std::path::{Path, PathBuf};

/// The text of `--help`.
pub(crate) const HELP: &str = "\
Usage: cargo xtask build [--release | --dev]

Builds banger, bangerd and the root helper, and beside them the guest's static agent (small, profile `agent`).
The daemon finds the agent next to itself.

  --release   optimised binaries in target/release (the default)
  --dev       quickly built ones in target/debug
";

/// How the host's binaries are built; the agent always has its own profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// `target/release`.
    Release,
    /// `target/debug`.
    Dev,
}

impl Profile {
    pub(crate) fn directory(self) -> PathBuf {
        workspace::target().join(match self {
            Self::Release => "release",
            Self::Dev => "debug",
        })
    }
}

/// The binaries that make up a banger, in one directory.
pub(crate) const BINARIES: [&str; 4] = ["banger", "bangerd", "banger-root", "banger-agent"];

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let mut profile = Profile::Release;
    for argument in arguments {
        match argument.as_str() {
            "--release" => profile = Profile::Release,
            "--dev" => profile = Profile::Dev,
            other => return Err(command::unknown_argument(other)),
        }
    }
    let directory = build(profile)?;
    report(&directory)
}

/// Builds all of them and gives the directory that holds them.
pub(crate) fn build(profile: Profile) -> Outcome<PathBuf> {
    let mut host = workspace::cargo();
    host.arg("build");
    for package in ["banger", "bangerd", "banger-root"] {
        host.args(["--package", package]);
    }
    if profile == Profile::Release {
        host.arg("--release");
    }
    command::run(&mut host)?;
    let daemon = profile.directory().join("bangerd");
    let bytes = std::fs::read(&daemon).map_err(|error| Failure::file("read", &daemon, &error))?;
    require_no_fault_points(&bytes)
        .map_err(|why| Failure::new(format!("{} is of no use: {why}", daemon.display())))?;
    // The flag reaches only the agent's own crate and its link step: no --target is needed, and
    // build scripts and proc-macros stay dynamic.
    let mut agent = workspace::cargo();
    agent.args([
        "rustc",
        "--package",
        "banger-agent",
        "--bin",
        "banger-agent",
    ]);
    agent.args([
        "--profile",
        "agent",
        "--",
        "-C",
        "target-feature=+crt-static",
    ]);
    command::run(&mut agent)?;
    let directory = profile.directory();
    let made = workspace::target().join("agent").join("banger-agent");
    publish_agent(&made, &directory.join("banger-agent"))?;
    Ok(directory)
}

/// What only a daemon with fault points has in it (`bangerd::fault_points`).
const FAULT_POINTS: &str = "BANGER_TEST_FAULTS";

/// Refuses a daemon of which a test can ask faults: another package of the build has switched them on.
fn require_no_fault_points(program: &[u8]) -> Result<(), &'static str> {
    let mark = FAULT_POINTS.as_bytes();
    match program.windows(mark.len()).any(|window| window == mark) {
        true => Err("it is built with the feature `fault-points`"),
        false => Ok(()),
    }
}

/// Copies the agent to its place when it changed: by rename, so that a daemon that reads it at this
/// moment gets the old one or the new one. Says whether it was copied.
fn publish_agent(made: &Path, place: &Path) -> Outcome<bool> {
    let image = std::fs::read(made).map_err(|error| Failure::file("read", made, &error))?;
    elf::require_static(&image)
        .map_err(|why| Failure::new(format!("{} is of no use: {why}", made.display())))?;
    if std::fs::read(place).is_ok_and(|present| present == image) {
        return Ok(false);
    }
    let staged = place.with_extension("new");
    std::fs::copy(made, &staged).map_err(|error| Failure::file("write", &staged, &error))?;
    std::fs::rename(&staged, place).map_err(|error| Failure::file("rename", &staged, &error))?;
    Ok(true)
}

/// One line for each binary with its size.
fn report(directory: &Path) -> Outcome<()> {
    for name in BINARIES {
        let path = directory.join(name);
        let found = path.metadata();
        let length = found
            .map_err(|error| Failure::file("find", &path, &error))?
            .len();
        println!("{:>9} KiB  {}", length.div_ceil(1024), path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest header that counts as a static ELF: no program headers at all.
    fn static_image(mark: u8) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[63] = mark;
        bytes
    }

    #[test]
    fn the_agent_is_copied_only_when_it_changed() {
        let directory = tempfile::tempdir().unwrap();
        let (made, place) = (
            directory.path().join("made"),
            directory.path().join("banger-agent"),
        );
        std::fs::write(&made, static_image(1)).unwrap();
        assert_eq!(publish_agent(&made, &place), Ok(true));
        assert_eq!(publish_agent(&made, &place), Ok(false));
        std::fs::write(&made, static_image(2)).unwrap();
        assert_eq!(publish_agent(&made, &place), Ok(true));
        assert_eq!(std::fs::read(&place).unwrap(), static_image(2));
        assert!(!place.with_extension("new").exists());
    }

    #[test]
    fn a_daemon_with_fault_points_is_refused_and_they_are_found_by_what_they_are_called() {
        let with = format!("..{FAULT_POINTS}..");
        assert!(require_no_fault_points(with.as_bytes()).is_err());
        assert_eq!(require_no_fault_points(b"BANGER_QEMU"), Ok(()));
        let source = workspace::root().join("crates/bangerd/src/fault_points.rs");
        let source = std::fs::read_to_string(source).unwrap();
        assert!(source.contains(&format!("\"{FAULT_POINTS}\"")));
    }

    /// Only the tests' own package switches them on, and nothing does by default.
    #[test]
    fn fault_points_are_switched_on_by_the_testkit_alone() {
        let manifests = |package: &str| {
            let path = workspace::root().join(package).join("Cargo.toml");
            std::fs::read_to_string(path).unwrap()
        };
        let crates = std::fs::read_dir(workspace::root().join("crates")).unwrap();
        let names = crates.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut with: Vec<_> = names
            .filter(|name| manifests(&format!("crates/{name}")).contains("fault-points"))
            .collect();
        with.sort();
        assert_eq!(with, ["banger-testkit", "bangerd"]);
        assert!(!manifests("crates/bangerd").contains("default ="));
        assert!(!manifests("").contains("fault-points"));
    }

    #[test]
    fn an_agent_that_is_not_static_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (made, place) = (
            directory.path().join("made"),
            directory.path().join("banger-agent"),
        );
        std::fs::write(&made, b"#!/bin/sh").unwrap();
        assert!(publish_agent(&made, &place).is_err());
        assert!(!place.exists());
    }
}
