//! A QEMU of our own with the command line that banger has used, without anything of banger's on the
//! host.

use super::command_line::{self, CommandLine};
use super::error::Error;
use super::port::Port;
use super::process::{self, Process};
use crate::World;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The disks that belong to one machine alone.
const OWN_DISKS: [&str; 2] = ["system.ext4", "work.ext4"];
/// Between two looks for the agent's socket: QEMU makes it some 20 ms after its start.
const LOOK: Duration = Duration::from_millis(1);

/// What a bare machine is made from.
#[derive(Debug)]
pub struct Template {
    line: CommandLine,
    /// The sandbox's directory in that command line.
    state: PathBuf,
    /// A directory with disks that no guest has seen.
    fresh: PathBuf,
}

impl Template {
    /// Takes the command line of a sandbox that runs, and fresh disks of one made for that.
    ///
    /// # Errors
    /// When it does not run or the disks are not there.
    pub fn of_running(world: &World, name: &str) -> Result<Self, Error> {
        let shown = world.show(name);
        let pid = shown["run"]["pid"].as_u64();
        let pid = pid.ok_or_else(|| Error::wrong(format!("{name} has no process")))?;
        let content = fs::read(format!("/proc/{pid}/cmdline"));
        let content = content.map_err(Error::io("read a VMM's command line"))?;
        Ok(Self {
            line: CommandLine::read(&content)?,
            state: directory(&shown)?,
            fresh: fresh_disks(world)?,
        })
    }

    /// The same with a second port that no agent listens at.
    #[must_use]
    pub fn with_raw_port(mut self) -> Self {
        // In the directory that every boot replaces with its own.
        self.line = self.line.with_raw_port(&self.state);
        self
    }

    /// Starts a machine and waits until its agent has answered and it is configured.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn boot(&self, world: &World) -> Result<Bare, Error> {
        let directory = tempfile::Builder::new()
            .prefix("b")
            .tempdir_in(world.path(""));
        let directory = directory.map_err(Error::io("make a directory"))?;
        let own = directory.path();
        copy_disks(&self.fresh, own)?;
        let log = fs::File::create(own.join("vmm.log")).map_err(Error::io("make a log"))?;
        let line = self.line.moved(&self.state, own);
        let mut command = Command::new(&line.program);
        command.args(&line.arguments).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(log);
        let begun = Instant::now();
        let process = Process::spawn(&mut command)?;
        let mut port = Port::meet(connect(&process, own)?)?;
        let answered = begun.elapsed();
        port.configure()?;
        Ok(Bare {
            process,
            port,
            answered,
            configured: begun.elapsed(),
            directory,
        })
    }
}

/// A machine that runs; dropped, it is gone.
#[derive(Debug)]
pub struct Bare {
    #[expect(dead_code, reason = "ends the process when it is dropped")]
    process: Process,
    /// Its agent's port.
    pub port: Port,
    /// From the start of the process to the agent's answer.
    pub answered: Duration,
    /// From the start of the process to the answer that the guest is configured.
    pub configured: Duration,
    /// Dropped after the process.
    directory: tempfile::TempDir,
}

impl Bare {
    /// The socket of the second port.
    #[must_use]
    pub fn raw_socket(&self) -> PathBuf {
        command_line::raw_socket(self.directory.path())
    }
}

/// Connects to the agent's port as soon as it is there; the guest need not have started.
fn connect(process: &Process, own: &Path) -> Result<UnixStream, Error> {
    connect_at(process, own, &command_line::agent_socket(own))
}

/// Connects to a socket of a VMM whose files are in `own` as soon as it is there.
pub(super) fn connect_at(process: &Process, own: &Path, path: &Path) -> Result<UnixStream, Error> {
    loop {
        if let Ok(socket) = UnixStream::connect(path) {
            return Ok(socket);
        }
        if process.ends_within(LOOK)? {
            let said = fs::read_to_string(own.join("vmm.log")).unwrap_or_default();
            return Err(Error::wrong(format!("the bare VMM ended: {said}")));
        }
    }
}

/// The disks of a sandbox that was created and never started, in a directory of the world.
fn fresh_disks(world: &World) -> Result<PathBuf, Error> {
    let fresh = world.path("fresh");
    if fresh.exists() {
        return Ok(fresh);
    }
    fs::create_dir(&fresh).map_err(Error::io("make a directory"))?;
    let created = [
        "vm",
        "create",
        "--no-start",
        "--init",
        "none",
        "--name",
        "fresh",
    ];
    let _ = world.run(created).good();
    copy_disks(&directory(&world.show("fresh"))?, &fresh)?;
    let _ = world.run(["vm", "rm", "fresh"]).good();
    Ok(fresh)
}

fn directory(shown: &serde_json::Value) -> Result<PathBuf, Error> {
    let directory = shown["directory"].as_str().map(PathBuf::from);
    directory.ok_or_else(|| Error::wrong("a sandbox without a directory"))
}

/// Copies a machine's own disks: gigabytes of holes and little else.
pub(super) fn copy_disks(from: &Path, to: &Path) -> Result<(), Error> {
    let mut copy = Command::new("cp");
    copy.arg("--sparse=always")
        .args(OWN_DISKS.map(|disk| from.join(disk)));
    process::run_for_output(copy.arg(OsStr::new(to))).map(drop)
}
