//! Process 1: starts the agent, reaps whatever has lost its parent, and becomes the image's init
//! when the agent says so. It never reads from the host.

use super::{AGENT_NAME, console, mounts, power};
use crate::fault::io_reason;
use rustix::process::{WaitOptions, wait};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

/// What the agent asks for, in one byte. The answer is one line: empty, or what failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Request {
    /// Move the new root to `/`, and stay.
    Stay = b's',
    /// The same, and then execute the image's init. No answer: the socket closes.
    Init = b'i',
}

/// Runs as process 1; comes back only when there is nothing to run.
pub(super) fn run() -> ExitCode {
    match supervise() {
        Ok(()) => console::error("the agent's socket is closed"),
        Err(error) => console::error(format_args!("cannot start the agent: {error}")),
    }
    // The reaper notices the agent's end; until then process 1 must not end.
    loop {
        thread::park();
    }
}

fn supervise() -> io::Result<()> {
    let (mut requests, theirs) = UnixStream::pair()?;
    let agent = Command::new("/init")
        .arg0(AGENT_NAME)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .inspect_err(|error| {
            console::error(format_args!("cannot start the agent: {error}"));
            power::end();
        })?;
    let agent = rustix::process::Pid::from_child(&agent);
    thread::spawn(move || reap(agent));
    let mut request = [0];
    let mut is_moved = false;
    while requests.read(&mut request)? == 1 {
        let [byte] = request;
        let moved = if is_moved {
            Ok(())
        } else {
            mounts::switch_root()
        };
        is_moved |= moved.is_ok();
        let done = match moved {
            Ok(()) if byte == Request::Init as u8 => Err(start_init()),
            other => other,
        };
        let answer = done
            .err()
            .map(|error| io_reason(&error))
            .unwrap_or_default();
        writeln!(requests, "{answer}")?;
    }
    Ok(())
}

/// Becomes the image's init, or says why not.
fn start_init() -> io::Error {
    let (program, name) = super::init::program();
    Command::new(program)
        .arg0(name)
        .env_clear()
        .env("TERM", "linux")
        .exec()
}

/// Reaps for ever. Without its agent a guest cannot be reached: it ends.
fn reap(agent: rustix::process::Pid) {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == agent => {
                console::error(format_args!(
                    "the agent ended ({status:?}), so the guest does"
                ));
                power::end();
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            // Not before the agent has ended.
            Err(_) => thread::park(),
        }
    }
}

/// The agent's end of the socket.
pub(super) fn ask(socket: &mut UnixStream, request: Request) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot reach process 1: {}", io_reason(&error));
    socket.write_all(&[request as u8]).map_err(failed)?;
    let mut answer = Vec::new();
    let mut byte = [0];
    // Nothing and no line: process 1 has become something else.
    while socket.read(&mut byte).map_err(failed)? == 1 && byte != *b"\n" {
        answer.extend_from_slice(&byte);
    }
    match answer.is_empty() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&answer).into_owned()),
    }
}

#[cfg(test)]
mod t1 {
    use super::*;

    fn asked(answer: &[u8]) -> Result<(), String> {
        let (mut agent, mut supervisor) = UnixStream::pair().expect("a pair");
        supervisor.write_all(answer).expect("written");
        supervisor
            .shutdown(std::net::Shutdown::Write)
            .expect("closed");
        let asked = ask(&mut agent, Request::Init);
        let mut request = [0];
        supervisor.read_exact(&mut request).expect("a request");
        assert_eq!(request, *b"i");
        asked
    }

    #[test]
    fn an_empty_line_or_the_end_is_success_and_a_text_is_the_reason() {
        assert_eq!(asked(b"\n"), Ok(()));
        assert_eq!(asked(b""), Ok(()), "process 1 has become the image's init");
        assert_eq!(
            asked(b"exec format error\n"),
            Err("exec format error".to_owned())
        );
    }

    #[test]
    fn a_supervisor_that_is_gone_is_an_error() {
        let (mut agent, supervisor) = UnixStream::pair().expect("a pair");
        drop(supervisor);
        let error = ask(&mut agent, Request::Stay).expect_err("nobody there");
        assert_eq!(error, "cannot reach process 1: broken pipe");
    }
}
