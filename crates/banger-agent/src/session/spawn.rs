//! Starts a child, and waits for its end.

use super::command::{self, Plan, Program};
use super::steps::{Stage, Steps};
use super::streams::{Streams, connect};
use crate::account::{self, Account, Files};
use crate::agent::Environment;
use crate::fault::{code, failed, fault, reason, shown};
use crate::root::Root;
use crate::sys;
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{Exec, ExitStatus, GuestFault};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, WaitId, WaitIdOptions};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use tokio::io::unix::AsyncFd;

/// A started command.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
    pub(super) streams: Streams,
}

/// Most that is read of `/etc/passwd` and of `/etc/group`.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;

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
