//! Running one program to its end, within limits.

use super::{Program, ProgramError};
use crate::{forks, sys, wait};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Most bytes of standard error that are kept: what comes after the first line is of no use.
const MOST_ERRORS: usize = 64 * 1024;
/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;
/// Longest line of a program's own that is repeated in an error, in characters.
const MOST_SAID: usize = 300;

/// One run of a program.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Which.
    pub program: Program,
    /// Its arguments, without its name.
    pub arguments: &'a [&'a str],
    /// Its standard input; `/dev/null` without one.
    pub input: Option<&'a [u8]>,
    /// When it is killed.
    pub limits: Limits,
    /// What ends the waiting early.
    pub cancel: Cancel<'a>,
}

/// What a program may take before it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From its start to its end.
    pub time: Duration,
    /// Bytes of standard output.
    pub output: usize,
}

/// What ends the waiting early; the program is killed then.
#[derive(Debug, Clone, Copy)]
pub enum Cancel<'a> {
    /// Nothing.
    Never,
    /// The other end of this socket goes away.
    WhenHungUp(BorrowedFd<'a>),
    /// This descriptor can be read: an eventfd, a pidfd.
    WhenReadable(BorrowedFd<'a>),
}

impl<'a> Cancel<'a> {
    pub(crate) fn descriptor(&self) -> Option<PollFd<'a>> {
        match *self {
            Self::Never => None,
            Self::WhenHungUp(socket) => Some(PollFd::from_borrowed_fd(socket, PollFlags::RDHUP)),
            Self::WhenReadable(event) => Some(PollFd::from_borrowed_fd(event, PollFlags::IN)),
        }
    }
}

/// What a program did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained of, the beginning at least.
    pub stderr: Vec<u8>,
}

impl Output {
    /// The first line that it complained with, bounded and without control characters; how it ended
    /// where there is none.
    pub fn complaint(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
        let line = lines()
            .find(|line| line.contains("Error"))
            .or_else(|| lines().next());
        match line {
            Some(line) => line.escape_debug().take(MOST_SAID).collect(),
            None => self.status.to_string(),
        }
    }
}

/// Why a program did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// It is not there.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The system would not start it or let it be watched.
    #[error("cannot run {name}: {reason}")]
    Start {
        /// Its name.
        name: &'static str,
        /// The system's reason.
        reason: String,
    },
    /// It was killed at its limit of time.
    #[error("{name} was stopped: it took longer than {} s", limit.as_secs_f32())]
    TooSlow {
        /// Its name.
        name: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// It was killed at its limit of output.
    #[error("{name} was stopped: it printed more than {limit} bytes")]
    TooMuch {
        /// Its name.
        name: &'static str,
        /// The limit.
        limit: usize,
    },
    /// It was killed because nobody waits for it any more.
    #[error("{name} was stopped: who asked for it has gone")]
    Cancelled {
        /// Its name.
        name: &'static str,
    },
}

/// A program with nothing of ours but what it needs: no environment, no descriptors, a process group
/// of its own.
pub(crate) fn command(path: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(path);
    command
        .args(arguments)
        .env_clear()
        // Messages are read, and must be the same everywhere.
        .env("LC_ALL", "C")
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    sys::seal_child(&mut command);
    command
}

/// Kills a program with everything that it started.
pub(crate) fn kill(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // Not reaped yet, so its number is still its own.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

/// Waits for a program that is at its end.
pub(crate) fn finish(name: &'static str, child: &mut Child) -> Result<ExitStatus, RunError> {
    child.wait().map_err(|error| start_error(name, &error))
}

fn start_error(name: &'static str, error: &std::io::Error) -> RunError {
    let reason = error.to_string();
    RunError::Start { name, reason }
}

pub(super) fn run(path: &Path, call: &Call<'_>) -> Result<Output, RunError> {
    let name = call.program.name();
    let mut command = command(path, call.arguments);
    if call.input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = forks::spawn(&mut command).map_err(|error| start_error(name, &error))?;
    let talked = Conversation::begin(&mut child, call.input)
        .map_err(|errno| start_error(name, &errno.into()))
        .and_then(|mut conversation| {
            conversation.go_on(name, call)?;
            Ok(conversation)
        });
    match talked {
        Ok(conversation) => Ok(Output {
            status: finish(name, &mut child)?,
            stdout: conversation.stdout.bytes,
            stderr: conversation.stderr.bytes,
        }),
        Err(error) => {
            kill(&mut child);
            Err(error)
        }
    }
}

/// One stream of a program's output.
struct Stream {
    /// None after its end.
    from: Option<OwnedFd>,
    bytes: Vec<u8>,
}

impl Stream {
    /// Reads what is there now.
    fn read(&mut self) -> rustix::io::Result<()> {
        let mut chunk = [0; CHUNK];
        while let Some(from) = &self.from {
            match rustix::io::read(from, &mut chunk) {
                Ok(0) => self.from = None,
                Ok(count) => {
                    self.bytes
                        .extend_from_slice(chunk.get(..count).unwrap_or_default());
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The streams of a program, and what is left to be written to it.
struct Conversation<'a> {
    ended: OwnedFd,
    stdin: Option<OwnedFd>,
    input: &'a [u8],
    stdout: Stream,
    stderr: Stream,
}

impl<'a> Conversation<'a> {
    fn begin(child: &mut Child, input: Option<&'a [u8]>) -> rustix::io::Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let stream = |from: Option<OwnedFd>| -> rustix::io::Result<Stream> {
            from.iter().try_for_each(not_blocking)?;
            Ok(Stream {
                from,
                bytes: Vec::new(),
            })
        };
        let stdin = child.stdin.take().map(OwnedFd::from);
        stdin.iter().try_for_each(not_blocking)?;
        Ok(Self {
            ended: pidfd_open(pid.ok_or(Errno::SRCH)?, PidfdFlags::empty())?,
            stdin,
            input: input.unwrap_or_default(),
            stdout: stream(child.stdout.take().map(OwnedFd::from))?,
            stderr: stream(child.stderr.take().map(OwnedFd::from))?,
        })
    }

    /// Writes and reads until the program has ended, or has to be killed.
    fn go_on(&mut self, name: &'static str, call: &Call<'_>) -> Result<(), RunError> {
        let deadline = wait::deadline(call.limits.time);
        let failed = |errno: Errno| start_error(name, &errno.into());
        loop {
            let ready = self.wait(deadline, &call.cancel).map_err(failed)?;
            if ready.cancelled {
                return Err(RunError::Cancelled { name });
            }
            self.write().map_err(failed)?;
            // Once more after its end, until nothing is left of what it had printed.
            let before = (self.stdout.bytes.len(), self.stderr.bytes.len());
            self.stdout.read().map_err(failed)?;
            self.stderr.read().map_err(failed)?;
            if self.stdout.bytes.len() > call.limits.output {
                let limit = call.limits.output;
                return Err(RunError::TooMuch { name, limit });
            }
            let idle = before == (self.stdout.bytes.len(), self.stderr.bytes.len());
            self.stderr.bytes.truncate(MOST_ERRORS);
            if ready.ended && idle {
                return Ok(());
            }
            if ready.late {
                let limit = call.limits.time;
                return Err(RunError::TooSlow { name, limit });
            }
        }
    }

    fn wait(&self, deadline: std::time::Instant, cancel: &Cancel<'_>) -> rustix::io::Result<Ready> {
        let mut descriptors = vec![PollFd::new(&self.ended, PollFlags::IN)];
        let cancel = cancel.descriptor();
        let cancellable = cancel.is_some();
        descriptors.extend(cancel);
        let streams = [&self.stdout.from, &self.stderr.from];
        let open = streams.into_iter().flatten();
        descriptors.extend(open.map(|stream| PollFd::new(stream, PollFlags::IN)));
        if let Some(stdin) = &self.stdin {
            descriptors.push(PollFd::new(stdin, PollFlags::OUT));
        }
        let in_time = wait::until(deadline, &mut descriptors)?;
        let is_ready = |at: usize| {
            descriptors
                .get(at)
                .is_some_and(|found| !found.revents().is_empty())
        };
        Ok(Ready {
            ended: is_ready(0),
            cancelled: cancellable && is_ready(1),
            late: !in_time || std::time::Instant::now() >= deadline,
        })
    }

    fn write(&mut self) -> rustix::io::Result<()> {
        let Some(stdin) = &self.stdin else {
            return Ok(());
        };
        match rustix::io::write(stdin, self.input) {
            Ok(count) => self.input = self.input.get(count..).unwrap_or_default(),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // It does not want to know more; its status will say why.
            Err(Errno::PIPE) => self.input = &[],
            Err(error) => return Err(error),
        }
        if self.input.is_empty() {
            self.stdin = None;
        }
        Ok(())
    }
}

/// What the waiting came to.
struct Ready {
    ended: bool,
    cancelled: bool,
    late: bool,
}

fn not_blocking(descriptor: &OwnedFd) -> rustix::io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(descriptor.as_fd())?;
    rustix::fs::fcntl_setfl(descriptor, flags | rustix::fs::OFlags::NONBLOCK)
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod t1;
