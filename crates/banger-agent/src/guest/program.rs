//! Programs of the guest that the agent runs for itself after a resume: in the guest's world, as its
//! root, each with a limit, one after the other.
//!
//! A guest may be saved while they run. Whoever goes on from that interrupts them: what one of them
//! makes now (a key, say) could be made by its copies as well.

use crate::fault::io_reason;
use crate::root::Root;
use crate::session::{DEFAULT_PATH, enter};
use crate::sys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How much a program gives way to what the guest is for (nice(2)).
const NICE: i32 = 5;

/// A program to run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program<'a> {
    /// Its path in the guest.
    pub(super) path: &'a str,
    pub(super) arguments: &'a [&'a str],
    /// In addition to `PATH` and `HOME`.
    pub(super) environment: &'a [(&'a str, &'a str)],
    pub(super) limit: Duration,
}

/// Why there is no success.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The guest has gone on from saved memory once more: what follows is the next turn's.
    Interrupted,
    /// What failed and why, one line.
    Failed(String),
}

/// Which resume something belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn(u64);

#[derive(Debug, Default)]
struct Running {
    turn: u64,
    child: Option<Pid>,
}

/// The place where they run.
#[derive(Debug, Default)]
pub(super) struct Background {
    running: Mutex<Running>,
    /// Held by whoever works.
    work: Mutex<()>,
}

/// The work of one turn.
#[derive(Debug)]
pub(super) struct Work<'a> {
    background: &'a Background,
    turn: Turn,
    _working: MutexGuard<'a, ()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic ends the agent; there is no half-done state to fear.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Background {
    /// Ends what runs, and begins another turn. Nothing of an earlier one runs any more when this
    /// returns.
    pub(super) fn interrupt(&self) -> Turn {
        let mut running = lock(&self.running);
        running.turn += 1;
        let turn = Turn(running.turn);
        if let Some(child) = running.child {
            // It leads a group of its own; it is not reaped before `child` is empty.
            let _ = kill_process_group(child, Signal::KILL);
        }
        drop(running);
        drop(lock(&self.work));
        turn
    }

    /// Begins a turn's work, unless another turn has begun meanwhile.
    pub(super) fn work(&self, turn: Turn) -> Option<Work<'_>> {
        let working = lock(&self.work);
        (lock(&self.running).turn == turn.0).then_some(Work {
            background: self,
            turn,
            _working: working,
        })
    }
}

impl Work<'_> {
    /// Runs a program to its end, or to its limit.
    pub(super) fn run(&self, root: &Root, program: &Program<'_>) -> Result<(), Failure> {
        let cannot = |error: std::io::Error| {
            Failure::Failed(format!(
                "cannot run {}: {}",
                program.path,
                io_reason(&error)
            ))
        };
        let (mut child, pidfd) = self.start(root, program, cannot)?;
        let in_time = has_ended(&pidfd, program.limit);
        let mut running = lock(&self.background.running);
        if let (false, Some(pid)) = (in_time, running.child.take()) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        running.child = None;
        drop(running);
        let status = child.wait().map_err(cannot)?;
        if lock(&self.background.running).turn != self.turn.0 {
            return Err(Failure::Interrupted);
        }
        let failed = |why| Err(Failure::Failed(format!("{} {why}", program.path)));
        match (in_time, status.success()) {
            (true, true) => Ok(()),
            (true, false) => failed(describe(status)),
            (false, _) => failed(format!("took longer than {} s", program.limit.as_secs())),
        }
    }

    /// Starts a program so that an interruption finds it.
    fn start(
        &self,
        root: &Root,
        program: &Program<'_>,
        cannot: impl Fn(std::io::Error) -> Failure,
    ) -> Result<(Child, OwnedFd), Failure> {
        let mut command = command(root, program).map_err(&cannot)?;
        let mut running = lock(&self.background.running);
        if running.turn != self.turn.0 {
            return Err(Failure::Interrupted);
        }
        let child = command.spawn().map_err(&cannot)?;
        let pid = Pid::from_child(&child);
        running.child = Some(pid);
        let pidfd = pidfd_open(pid, PidfdFlags::empty());
        Ok((child, pidfd.map_err(|errno| cannot(errno.into()))?))
    }
}

fn command(root: &Root, program: &Program<'_>) -> std::io::Result<Command> {
    let mut command = Command::new(program.path);
    command
        .args(program.arguments)
        .env_clear()
        .env("PATH", OsStr::from_bytes(DEFAULT_PATH))
        .env("HOME", "/root")
        .envs(program.environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(console())
        .stderr(console());
    let inside = root
        .confines()
        .then(|| root.as_fd().try_clone_to_owned())
        .transpose()?;
    sys::before_exec(&mut command, move || {
        rustix::process::setsid()?;
        rustix::process::nice(NICE)?;
        inside.as_ref().map_or(Ok(()), enter)
    });
    Ok(command)
}

/// What a program says goes to the guest's console.
fn console() -> Stdio {
    let console = File::options().append(true).open("/dev/console");
    console.map_or_else(|_| Stdio::null(), Stdio::from)
}

/// Waits for a process's end; whether it came in time.
fn has_ended(pidfd: &OwnedFd, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut watched = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
        match poll(&mut watched, Some(&timeout)) {
            Ok(1..) => return true,
            Ok(_) | Err(_) if left.is_zero() => return false,
            Ok(_) | Err(_) => {}
        }
    }
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod t1;
