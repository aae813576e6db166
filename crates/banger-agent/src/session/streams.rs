//! A command's standard streams: pipes, or a terminal of the guest.

use super::window;
use crate::account::Account;
use crate::fault::{failed, failed_io};
use crate::root::Root;
use banger_proto::guest::message::{Exec, GuestFault};
use rustix::fs::{Mode, OFlags, Uid};
use rustix::pty::OpenptFlags;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

/// What a command's pipe holds: agent and command change places on a processor less often. Memory
/// is taken only as it fills; it is what a pipe may hold without privileges (pipe(7)).
const PIPE: usize = 1024 * 1024;

/// The agent's ends; all are non-blocking.
#[derive(Debug)]
pub(super) enum Streams {
    Terminal(OwnedFd),
    Pipes {
        stdin: Option<OwnedFd>,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
}

/// Gives the command its standard streams; returns the agent's ends.
pub(super) fn connect(
    root: &Root,
    exec: &Exec,
    account: &Account,
    command: &mut Command,
) -> Result<Streams, GuestFault> {
    let no_pipe = |errno| failed("make the command's pipes", errno);
    let Some(size) = exec.terminal else {
        let (stdout, out) = pipe().map_err(no_pipe)?;
        let (stderr, err) = pipe().map_err(no_pipe)?;
        command.stdout(Stdio::from(out)).stderr(Stdio::from(err));
        rustix::io::ioctl_fionbio(&stdout, true).map_err(no_pipe)?;
        rustix::io::ioctl_fionbio(&stderr, true).map_err(no_pipe)?;
        let stdin = if exec.stdin {
            let (input, stdin) = pipe().map_err(no_pipe)?;
            command.stdin(Stdio::from(input));
            rustix::io::ioctl_fionbio(&stdin, true).map_err(no_pipe)?;
            Some(stdin)
        } else {
            command.stdin(Stdio::null());
            None
        };
        return Ok(Streams::Pipes {
            stdin,
            stdout,
            stderr,
        });
    };
    let (master, slave) = terminal(root, account).map_err(|e| failed("open a terminal", e))?;
    let no_terminal = |errno| failed("set the terminal up", errno);
    rustix::termios::tcsetwinsize(&slave, window(size)).map_err(no_terminal)?;
    let no_copy = |error: std::io::Error| failed_io("set the terminal up", &error);
    command.stdin(Stdio::from(slave.try_clone().map_err(no_copy)?));
    command.stdout(Stdio::from(slave.try_clone().map_err(no_copy)?));
    command.stderr(Stdio::from(slave));
    Ok(Streams::Terminal(master))
}

fn pipe() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // With the usual 64 KiB it only works more often.
    let _ = rustix::pipe::fcntl_setpipe_size(&write, PIPE);
    Ok((read, write))
}

/// A terminal of the guest's own `/dev`, so that its name leads to it there (ttyname(3)).
fn terminal(root: &Root, account: &Account) -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = if root.confines() {
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        root.open(b"/dev/ptmx", flags, Mode::empty())?
    } else {
        rustix::pty::openpt(flags)?
    };
    rustix::pty::unlockpt(&master)?;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
    if root.confines() {
        rustix::fs::fchown(&slave, Some(Uid::from_raw(account.uid)), None)?;
    }
    rustix::io::ioctl_fionbio(&master, true)?;
    Ok((master, slave))
}
