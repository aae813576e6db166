//! Starts a child, and waits for its end.

use super::command::{self, Plan, Program};
use super::window;
use crate::account::{self, Account, Files};
use crate::agent::Environment;
use crate::fault::{code, failed, failed_io, fault, reason, shown};
use crate::root::Root;
use crate::sys;
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{Exec, ExitStatus, GuestFault};
use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, WaitId, WaitIdOptions};
use rustix::pty::OpenptFlags;
use std::ffi::{CString, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use tokio::io::unix::AsyncFd;

/// A started command.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
    pub(super) streams: Streams,
}

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

/// Most that is read of `/etc/passwd` and of `/etc/group`.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;

/// What a command's pipe holds: agent and command change places on a processor less often. Memory
/// is taken only as it fills.
pub(super) const PIPE: usize = 256 * 1024;

/// Starts a command in the guest's world.
pub(super) fn spawn(
    root: &Root,
    exec: &Exec,
    environment: &Environment,
) -> Result<Child, GuestFault> {
    let read = |path: &[u8]| root.read(path, FILE_LIMIT).unwrap_or_default();
    let files = Files {
        passwd: read(b"/etc/passwd"),
        group: read(b"/etc/group"),
    };
    let account = account::find(&files, exec.user.as_deref())?;
    let plan = command::plan(exec, &account, environment)?;
    for program in &plan.programs {
        match attempt(root, exec, &account, &plan, program) {
            Err(Failure::NoProgram) => {}
            Err(Failure::Fault(fault)) => return Err(fault),
            Ok(child) => return Ok(child),
        }
    }
    Err(no_program(root, exec, &plan))
}

enum Failure {
    /// The program is not there: another may be.
    NoProgram,
    Fault(GuestFault),
}

impl From<GuestFault> for Failure {
    fn from(fault: GuestFault) -> Self {
        Self::Fault(fault)
    }
}

fn no_program(root: &Root, exec: &Exec, plan: &Plan) -> GuestFault {
    let names: Vec<_> = plan
        .programs
        .iter()
        .map(|program| shown(&program.file))
        .collect();
    let names = names.join(", ");
    let is_there = |program: &Program| program.file.contains(&b'/') && root.has(&program.file);
    let message = if exec.argv.is_empty() {
        format!("the guest has no shell (looked for {names})")
    } else if plan.programs.iter().any(is_there) {
        format!("cannot run {names}: its interpreter or loader is not in the guest")
    } else {
        format!("the guest has no program {names}")
    };
    fault(FaultCode::NotFound, message)
}

fn attempt(
    root: &Root,
    exec: &Exec,
    account: &Account,
    plan: &Plan,
    program: &Program,
) -> Result<Child, Failure> {
    let mut command = Command::new(OsStr::from_bytes(&program.file));
    let mut arguments = program
        .arguments
        .iter()
        .map(|argument| OsStr::from_bytes(argument));
    if let Some(first) = arguments.next() {
        command.arg0(first);
    }
    command.args(arguments).env_clear();
    let pairs = plan.environment.iter();
    command.envs(pairs.map(|(name, value)| (OsStr::from_bytes(name), OsStr::from_bytes(value))));
    let streams = connect(root, exec, account, &mut command)?;
    let (failure, told) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|errno| failed("make a pipe", errno))?;
    let steps = Steps::new(root, exec, account, plan, told)?;
    sys::before_exec(&mut command, move || steps.run());
    let spawned = command.spawn();
    // Closes this side's copies of the child's streams and of the pipe.
    drop(command);
    let child = match spawned {
        Ok(child) => child,
        Err(error) => return Err(explain(&error, &failure, plan, program)),
    };
    let pid = Pid::from_child(&child);
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())
        .map_err(|errno| failed("watch the command", errno))?;
    Ok(Child {
        pid,
        pidfd,
        streams,
    })
}

/// Gives the command its standard streams; returns the agent's ends.
fn connect(
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

/// What failed between fork and exec, told by one byte through a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    Session = 1,
    Root,
    User,
    Directory,
}

/// The steps between fork and exec, prepared so that they only make system calls.
struct Steps {
    told: OwnedFd,
    terminal: bool,
    root: Option<OwnedFd>,
    groups: Vec<Gid>,
    gid: Gid,
    uid: Uid,
    directory: CString,
    needs_directory: bool,
}

impl Steps {
    fn new(
        root: &Root,
        exec: &Exec,
        account: &Account,
        plan: &Plan,
        told: OwnedFd,
    ) -> Result<Self, GuestFault> {
        let directory = CString::new(plan.directory.as_slice());
        let directory = directory
            .map_err(|_| fault(FaultCode::BadRequest, "a directory contains a zero byte"))?;
        let inside = root
            .confines()
            .then(|| root.as_fd().try_clone_to_owned())
            .transpose();
        Ok(Self {
            told,
            terminal: exec.terminal.is_some(),
            root: inside.map_err(|error| failed_io("open the guest's root", &error))?,
            groups: account
                .groups
                .iter()
                .map(|gid| Gid::from_raw(*gid))
                .collect(),
            gid: Gid::from_raw(account.gid),
            uid: Uid::from_raw(account.uid),
            directory,
            needs_directory: plan.needs_directory,
        })
    }

    fn run(&self) -> rustix::io::Result<()> {
        let stage = |stage: Stage| {
            move |errno| {
                let _ = rustix::io::write(&self.told, &[stage as u8]);
                errno
            }
        };
        self.lead().map_err(stage(Stage::Session))?;
        if let Some(root) = &self.root {
            enter(root).map_err(stage(Stage::Root))?;
            self.become_user().map_err(stage(Stage::User))?;
        }
        self.change_directory().map_err(stage(Stage::Directory))
    }

    /// Leads a session, with the terminal as its own.
    fn lead(&self) -> rustix::io::Result<()> {
        rustix::process::setsid()?;
        if self.terminal {
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        }
        Ok(())
    }

    fn become_user(&self) -> rustix::io::Result<()> {
        // The agent's own limit is high; programs that use select(2) need the usual one.
        let mut files = rustix::process::getrlimit(Resource::Nofile);
        files.current = files.maximum.map(|most| most.min(1024));
        rustix::process::setrlimit(Resource::Nofile, files)?;
        rustix::thread::set_thread_groups(&self.groups)?;
        rustix::thread::set_thread_res_gid(self.gid, self.gid, self.gid)?;
        rustix::thread::set_thread_res_uid(self.uid, self.uid, self.uid)
    }

    fn change_directory(&self) -> rustix::io::Result<()> {
        match rustix::process::chdir(self.directory.as_c_str()) {
            Err(_) if !self.needs_directory => rustix::process::chdir(c"/"),
            other => other,
        }
    }
}

fn enter(root: &OwnedFd) -> rustix::io::Result<()> {
    rustix::process::fchdir(root)?;
    rustix::process::chroot(c".")?;
    rustix::process::chdir(c"/")
}

/// Why a spawn failed, from its error and what the child told.
fn explain(error: &std::io::Error, failure: &OwnedFd, plan: &Plan, program: &Program) -> Failure {
    let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
    let mut stage = [0];
    let told = matches!(rustix::io::read(failure, &mut stage), Ok(1));
    let [stage] = stage;
    let name = shown(&program.file);
    if told && stage == Stage::Directory as u8 {
        let directory = shown(&plan.directory);
        let message = format!(
            "cannot work in the directory {directory}: {}",
            reason(errno)
        );
        return Failure::Fault(fault(FaultCode::BadRequest, message));
    }
    if told {
        return Failure::Fault(failed("enter the guest's world for a command", errno));
    }
    if errno == Errno::NOENT || errno == Errno::NOTDIR {
        return Failure::NoProgram;
    }
    let message = format!("cannot run {name}: {}", reason(errno));
    Failure::Fault(fault(code(errno), message))
}

/// Raises the agent's own limit of open files to what the kernel allows: sessions need them.
pub(crate) fn raise_file_limit(most: u64) {
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    // With the usual limit there are only fewer sessions.
    let _ = rustix::process::setrlimit(Resource::Nofile, limit);
}

/// Waits for a child's end, and takes its status.
pub(super) async fn wait(pidfd: &AsyncFd<OwnedFd>) -> ExitStatus {
    use std::os::fd::AsFd;
    loop {
        let id = WaitId::PidFd(pidfd.get_ref().as_fd());
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        match rustix::process::waitid(id, options) {
            Ok(Some(status)) => return read_status(&status),
            Ok(None) | Err(Errno::INTR | Errno::AGAIN) => {}
            // Somebody else reaped it: nothing is known.
            Err(_) => return ExitStatus::Code(255),
        }
        if let Ok(mut ready) = pidfd.readable().await {
            ready.clear_ready();
        }
    }
}

fn read_status(status: &rustix::process::WaitIdStatus) -> ExitStatus {
    let byte = |number: i32| u8::try_from(number & 0xff).unwrap_or(u8::MAX);
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::Code(byte(code)),
        (None, Some(signal)) => ExitStatus::Signal(byte(signal)),
        (None, None) => ExitStatus::Code(255),
    }
}
