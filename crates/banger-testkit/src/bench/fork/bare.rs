//! A QEMU of our own that goes on from a template's files, with the command line that banger has used.

use super::super::bare::{connect_at, copy_disks};
use super::super::command_line::{CommandLine, agent_socket};
use super::super::error::Error;
use super::super::port::Port;
use super::super::process::Process;
use super::monitor::Monitor;
use super::{begin, end};
use crate::World;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The name of the sandbox whose command line the bare machines get.
const MODEL: &str = "model";

/// What a bare machine goes on from.
#[derive(Debug)]
pub(super) struct Saved {
    line: CommandLine,
    /// The sandbox's directory in that command line.
    state: PathBuf,
    /// The template's directory.
    files: PathBuf,
}

impl Saved {
    /// Takes the command line of a sandbox that goes on from the only template.
    pub(super) fn of_template(world: &World) -> Result<Self, Error> {
        begin(world, MODEL)?;
        let shown = world.show(MODEL);
        let pid = shown["run"]["pid"].as_u64();
        let pid = pid.ok_or_else(|| Error::wrong("the model has no process"))?;
        let content = fs::read(format!("/proc/{pid}/cmdline"));
        let content = content.map_err(Error::io("read a VMM's command line"))?;
        let directory = shown["directory"].as_str().map(PathBuf::from);
        let saved = Self {
            line: CommandLine::read(&content)?,
            state: directory.ok_or_else(|| Error::wrong("a sandbox without a directory"))?,
            files: template(world)?,
        };
        end(world, &[MODEL.to_owned()])?;
        Ok(saved)
    }

    /// The files that are read when a guest goes on.
    pub(super) fn files(&self) -> [PathBuf; 4] {
        ["memory", "devices", "system.ext4", "work.ext4"].map(|name| self.files.join(name))
    }

    /// Starts a machine and waits until its agent has answered.
    pub(super) fn resume(&self, world: &World) -> Result<Resumed, Error> {
        let directory = tempfile::Builder::new()
            .prefix("b")
            .tempdir_in(world.path(""));
        let directory = directory.map_err(Error::io("make a directory"))?;
        let own = directory.path();
        copy_disks(&self.files, own)?;
        let memory = own.join("origin");
        fs::create_dir(&memory).map_err(Error::io("make a directory"))?;
        let shared = fs::hard_link(self.files.join("memory"), memory.join("memory"));
        shared.map_err(Error::io("share a template's memory"))?;
        let log = fs::File::create(own.join("vmm.log")).map_err(Error::io("make a log"))?;
        let line = self.line.moved(&self.state, own).in_own_session();
        let mut command = Command::new(&line.program);
        command.args(&line.arguments).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(log);
        let begun = Instant::now();
        let process = Process::spawn(&mut command)?;
        let control = connect_at(&process, own, &own.join("qmp.sock"))?;
        Monitor::meet(control)?.go_on(&self.files.join("devices"))?;
        let port = Port::meet(connect_at(&process, own, &agent_socket(own))?)?;
        Ok(Resumed {
            answered: begun.elapsed(),
            _port: port,
            _process: process,
            _directory: directory,
        })
    }
}

/// A machine that runs; dropped, it is gone.
#[derive(Debug)]
pub(super) struct Resumed {
    /// From the start of the process to the agent's answer.
    pub(super) answered: Duration,
    _port: Port,
    _process: Process,
    /// Dropped after the process.
    _directory: tempfile::TempDir,
}

/// The directory of the only template.
fn template(world: &World) -> Result<PathBuf, Error> {
    only(&world.path("cache").join("banger").join("templates"))
}

fn only(directory: &Path) -> Result<PathBuf, Error> {
    let entries = fs::read_dir(directory).map_err(Error::io("list the templates"))?;
    let hidden = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.as_encoded_bytes().starts_with(b".")
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let found: Vec<_> = paths.filter(|path| !hidden(path)).collect();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        other => Err(Error::wrong(format!("one template is needed: {other:?}"))),
    }
}

#[cfg(test)]
mod t1 {
    use super::*;

    #[test]
    fn one_template_is_found_beside_an_unfinished_one() {
        let temp = tempfile::tempdir().expect("temp");
        assert!(only(&temp.path().join("none")).is_err());
        assert!(only(temp.path()).is_err());
        for name in [".new", "abc"] {
            fs::create_dir(temp.path().join(name)).expect("made");
        }
        assert_eq!(only(temp.path()).expect("one"), temp.path().join("abc"));
        fs::create_dir(temp.path().join("def")).expect("made");
        assert!(only(temp.path()).is_err());
    }
}
