//! Exec sessions: a command, its channels, and how it ended. They belong to the agent and outlive
//! every connection.
//!
//! ```text
//!   exec ──▶ running ──▶ exited (kept for whoever attaches) ──▶ forgotten
//!              │ hangup: SIGHUP, input ends, output is thrown away from then on
//! ```

mod command;
mod pump;
mod spawn;
mod steps;
mod streams;
mod table;

use crate::agent::Shared;
use crate::channels::{Channels, Output};
use crate::fault::fault;
use crate::link::{Reply, ReplyTo};
use crate::sys;
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{
    self, Answer, Attach, Attached, Exec, ExitStatus, GuestFault, Notice, SessionId, Steer,
    TerminalSize,
};
pub(crate) use command::DEFAULT_PATH;
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::termios::{Winsize, tcgetpgrp, tcsetwinsize};
pub(crate) use spawn::raise_file_limit;
use std::cell::{Cell, OnceCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
pub(crate) use steps::enter;
pub(crate) use table::Sessions;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::spawn_local;

/// A command that was started, or is about to be.
#[derive(Debug)]
pub(crate) struct Session {
    id: SessionId,
    channels: Rc<Channels>,
    /// Set when the command was started.
    pid: OnceCell<Pid>,
    /// The terminal's own side, if the command has one.
    terminal: OnceCell<Rc<AsyncFd<OwnedFd>>>,
    status: Cell<Option<ExitStatus>>,
    /// The command has ended: what is in its pipes is all there will be. One waiter per output.
    exited: [Notify; 2],
}

/// Starts a command and attaches to it; with a session that exists, attaches from the beginning,
/// which it refuses when some of the output was acknowledged and forgotten already.
pub(crate) fn exec(
    agent: &Rc<Shared>,
    exec: Exec,
    reply: &ReplyTo,
) -> Result<Rc<Session>, GuestFault> {
    let id = exec.session;
    if agent.sessions.find(&id).is_some() {
        return attach(
            agent,
            &Attach {
                session: id,
                stdout: 0,
                stderr: 0,
            },
            reply,
        );
    }
    let session = Rc::new(Session {
        id,
        channels: Rc::new(Channels::new(Rc::clone(&agent.wake), exec.stdin)),
        pid: OnceCell::new(),
        terminal: OnceCell::new(),
        status: Cell::new(None),
        exited: [Notify::new(), Notify::new()],
    });
    agent.sessions.add(&session)?;
    spawn_local(start(
        Rc::clone(agent),
        Rc::clone(&session),
        exec,
        reply.clone(),
    ));
    Ok(session)
}

/// Attaches to a session that has been started.
pub(crate) fn attach(
    agent: &Shared,
    attach: &Attach,
    reply: &ReplyTo,
) -> Result<Rc<Session>, GuestFault> {
    let Some(session) = agent.sessions.find(&attach.session) else {
        return Err(fault(FaultCode::NotFound, "the guest has no such session"));
    };
    let Some(pid) = session.pid.get() else {
        return Err(fault(
            FaultCode::Refused,
            "the session's command is still being started",
        ));
    };
    let stdin = session
        .channels
        .attach(attach.stdout, attach.stderr)
        .map_err(|error| {
            fault(
                FaultCode::Refused,
                format_args!("cannot continue the session's output: {error}"),
            )
        })?;
    let attached = Attached {
        pid: pid.as_raw_nonzero().get().unsigned_abs(),
        stdin,
    };
    reply.send(Reply::Answer(Ok(Answer::Attached(attached))));
    Ok(session)
}

async fn start(agent: Rc<Shared>, session: Rc<Session>, exec: Exec, reply: ReplyTo) {
    let started = match agent.world.root().await {
        Ok(root) => {
            let environment = agent.environment.borrow().clone();
            spawn::spawn(&root, &exec, &environment)
        }
        Err(fault) => Err(fault),
    };
    match started.and_then(|child| session.run(&agent, child, exec.stdin)) {
        Err(fault) => {
            agent.sessions.remove(&session);
            reply.send(Reply::Answer(Err(fault)));
        }
        Ok(pid) => {
            let attached = Attached {
                pid: pid.as_raw_nonzero().get().unsigned_abs(),
                stdin: 0,
            };
            reply.send(Reply::Answer(Ok(Answer::Attached(attached))));
        }
    }
}

impl Session {
    /// Its channels.
    pub(crate) const fn channels(&self) -> &Rc<Channels> {
        &self.channels
    }

    /// Whether its command has not ended.
    fn is_running(&self) -> bool {
        self.status.get().is_none()
    }

    /// Takes a started child over: its pipes are pumped, its end is awaited.
    fn run(
        self: &Rc<Self>,
        agent: &Rc<Shared>,
        child: spawn::Child,
        takes_input: bool,
    ) -> Result<Pid, GuestFault> {
        let spawn::Child {
            pid,
            pidfd,
            streams,
        } = child;
        let cannot = |error: std::io::Error| crate::fault::failed_io("watch the command", &error);
        let ended = sys::watch(pidfd, Interest::READABLE).map_err(cannot)?;
        let watch = |file, interest| sys::watch(file, interest).map(Rc::new).map_err(cannot);
        match streams {
            streams::Streams::Terminal(master) => {
                let master = watch(master, Interest::READABLE | Interest::WRITABLE)?;
                self.channels.finish(Output::Stderr);
                spawn_local(pump::output(
                    Rc::clone(self),
                    Output::Stdout,
                    Rc::clone(&master),
                ));
                if takes_input {
                    spawn_local(pump::input(
                        Rc::clone(&self.channels),
                        Rc::clone(&master),
                        true,
                    ));
                }
                let _ = self.terminal.set(master);
            }
            streams::Streams::Pipes {
                stdin,
                stdout,
                stderr,
            } => {
                let stdout = watch(stdout, Interest::READABLE)?;
                let stderr = watch(stderr, Interest::READABLE)?;
                if let Some(stdin) = stdin {
                    let stdin = watch(stdin, Interest::WRITABLE)?;
                    spawn_local(pump::input(Rc::clone(&self.channels), stdin, false));
                }
                spawn_local(pump::output(Rc::clone(self), Output::Stdout, stdout));
                spawn_local(pump::output(Rc::clone(self), Output::Stderr, stderr));
            }
        }
        let _ = self.pid.set(pid);
        spawn_local(Rc::clone(self).wait(Rc::clone(agent), ended));
        Ok(pid)
    }

    /// Waits for the command's end.
    async fn wait(self: Rc<Self>, agent: Rc<Shared>, ended: AsyncFd<OwnedFd>) {
        let status = spawn::wait(&ended).await;
        self.status.set(Some(status));
        self.channels.discard_input();
        self.exited.iter().for_each(Notify::notify_one);
        if let Ok(notice) = message::encode(&Notice::Exited(status)) {
            self.channels.conclude(notice);
        }
        agent.sessions.finished(&self);
    }

    /// Acts on what the client wants of a running command.
    pub(crate) fn steer(&self, steer: &Steer) {
        match steer {
            Steer::Resize(size) => {
                if let Some(terminal) = self.terminal.get() {
                    let _ = tcsetwinsize(terminal, window(*size));
                }
            }
            Steer::Signal(number) => {
                if let Some(signal) = sys::signal(*number) {
                    self.signal(signal);
                }
            }
            Steer::Hangup => {
                self.signal(Signal::HUP);
                // A stopped process group sees the hangup only when it goes on.
                self.signal(Signal::CONT);
                self.give_up();
            }
        }
    }

    /// Its client never comes: input ends, output is thrown away from now on. The command goes on.
    fn give_up(&self) {
        self.channels.discard_output();
        self.channels.end_input();
    }

    /// Sends a signal to the command's process group; on a terminal to that in the foreground.
    fn signal(&self, signal: Signal) {
        let Some(leader) = self.pid.get().filter(|_| self.is_running()) else {
            return;
        };
        let foreground = self
            .terminal
            .get()
            .and_then(|terminal| tcgetpgrp(terminal).ok());
        let group = foreground.unwrap_or(*leader);
        // A group that has just ended needs no signal.
        let _ = kill_process_group(group, signal);
        if group != *leader && signal == Signal::HUP {
            let _ = kill_process_group(*leader, signal);
        }
    }
}

pub(crate) const fn window(size: TerminalSize) -> Winsize {
    Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
