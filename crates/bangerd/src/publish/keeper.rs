//! The daemon's hold on a carrier: starting it, finding it, asking it, and serving its connections.

use super::Target;
use super::carrier::{BACKLOG, CARRY_VERB};
use super::join::{forget_others, join};
use super::listeners::Listeners;
use crate::vmm::ProcessIdentity;
use banger_model::publish::Publication;
use banger_proto::carrier::{Have, LONGEST_LINE, Reply, Request, SPEAKS, Watched, line};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, bind, listen, sendmsg, socket_with,
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io::{BufRead, BufReader, Error, ErrorKind, IoSlice, Result};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as Blocking;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// How long a carrier may take for an answer: it does one thing after the other, none of which waits. One that
/// does not answer is killed with its connections, so that a host that is very busy is no reason.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How long it may take to end.
const END_LIMIT: Duration = Duration::from_secs(2);

/// A carrier that this daemon talks to. Dropping it lets it go; it goes on.
#[derive(Debug)]
pub(super) struct Carrier {
    control: BufReader<Blocking>,
    process: Option<OwnedFd>,
    vmm: Watched,
    /// Tells it from one before.
    pub(super) serial: u64,
    _keeper: AbortOnDropHandle<()>,
}

impl From<&ProcessIdentity> for Watched {
    fn from(process: &ProcessIdentity) -> Self {
        Self {
            pid: process.pid,
            start_time: process.start_time,
            executable: process.executable.clone(),
            boot_id: process.boot_id.clone(),
        }
    }
}

impl Carrier {
    /// Starts one beside a VMM. To be called in the runtime; blocks.
    ///
    /// # Errors
    /// When it cannot be started or does not answer.
    pub(super) fn start(
        target: &Target,
        vmm: &ProcessIdentity,
        serial: u64,
        of: Weak<Listeners>,
    ) -> Result<Self> {
        let watched = Watched::from(vmm);
        let socket = listen_at(&target.socket)?;
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("bangerd")
            .arg(CARRY_VERB)
            .arg(&target.socket)
            .arg(serde_json::to_string(&watched)?)
            .current_dir("/")
            .env_clear()
            .stdin(socket)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Nobody waits for it but tokio, which does so in passing: it outlives this daemon.
        let mut child = tokio::process::Command::from(command).spawn()?;
        let met = Self::meet(target, serial, of).map(|(carrier, _)| carrier);
        if met.is_err() {
            // It has ended by itself, or nobody would ever find it.
            let _ended_already = child.start_kill();
        }
        met
    }

    /// Meets one that is there. To be called in the runtime; blocks.
    ///
    /// # Errors
    /// When nobody answers there, or one of another banger, which is ended then.
    pub(super) fn meet(target: &Target, serial: u64, of: Weak<Listeners>) -> Result<(Self, Have)> {
        let control = Blocking::connect(&target.socket)?;
        let peer = socket_peercred(&control)?;
        if peer.uid != rustix::process::getuid() {
            return Err(ErrorKind::PermissionDenied.into());
        }
        control.set_read_timeout(Some(ANSWER_LIMIT))?;
        control.set_write_timeout(Some(ANSWER_LIMIT))?;
        let mut control = BufReader::new(control);
        let Reply::Have(have) = ask(&mut control, &Request::Have, None)? else {
            return Err(ErrorKind::InvalidData.into());
        };
        let pid = i32::try_from(have.pid).ok().and_then(Pid::from_raw);
        let keeper = tokio::spawn(keep(target.clone(), serial, of));
        let carrier = Self {
            control,
            process: pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()),
            vmm: have.vmm.clone(),
            serial,
            _keeper: AbortOnDropHandle::new(keeper),
        };
        if have.speaks != SPEAKS {
            carrier.end();
            return Err(Error::other("it is of another banger"));
        }
        Ok((carrier, have))
    }

    /// Ends whoever has the socket and could not be met; what is worth telling of why.
    pub(super) fn clear(path: &Path, error: Error) -> Option<Error> {
        let peer = socket_peercred(&Blocking::connect(path).ok()?).ok()?;
        if peer.uid == rustix::process::getuid()
            && let Ok(process) = pidfd_open(peer.pid, PidfdFlags::empty())
        {
            kill(&process);
        }
        Some(error)
    }

    fn done(&mut self, request: &Request, socket: Option<BorrowedFd<'_>>) -> Result<()> {
        match ask(&mut self.control, request, socket)? {
            Reply::Done => Ok(()),
            Reply::Failed(why) => Err(Error::other(why)),
            _ => Err(ErrorKind::InvalidData.into()),
        }
    }

    /// Has it carry what comes in at a socket.
    pub(super) fn listen(
        &mut self,
        publication: Publication,
        socket: BorrowedFd<'_>,
    ) -> Result<()> {
        self.done(&Request::Listen(publication), Some(socket))
    }

    /// Has it close a socket, and reset its connections.
    pub(super) fn close(&mut self, publication: Publication) -> Result<()> {
        self.done(&Request::Close(publication), None)
    }

    /// Has it stay with another VMM, whose runtime directory is a new one.
    pub(super) fn stay_with(&mut self, target: &Target, vmm: &ProcessIdentity) -> Result<()> {
        let watched = Watched::from(vmm);
        if self.vmm == watched {
            return Ok(());
        }
        let socket = listen_at(&target.socket)?;
        self.done(&Request::Watch(watched.clone()), Some(socket.as_fd()))?;
        self.vmm = watched;
        Ok(())
    }

    /// It is ending or talks no more: waits until nothing of it is left.
    pub(super) fn finish_off(self) {
        if let Some(process) = &self.process {
            kill(process);
        }
    }

    /// Ends it, and waits until its sockets are closed.
    pub(super) fn end(mut self) {
        let _limit = self.control.get_ref().set_read_timeout(Some(END_LIMIT));
        if self.done(&Request::End, None).is_ok() {
            return;
        }
        self.finish_off();
    }
}

/// Kills a process and waits until it is gone.
fn kill(process: &OwnedFd) {
    let _gone_already = pidfd_send_signal(process, Signal::KILL);
    let limit = rustix::time::Timespec::try_from(END_LIMIT).ok();
    let mut ended = [PollFd::new(process, PollFlags::IN)];
    let _killed = poll(&mut ended, limit.as_ref());
}

/// A socket for a carrier, at a path where nobody listens any more.
fn listen_at(path: &Path) -> Result<OwnedFd> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    listen(&socket, BACKLOG)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

/// Asks, with a socket where one belongs to it, and waits for the reply.
fn ask(
    control: &mut BufReader<Blocking>,
    request: &Request,
    socket: Option<BorrowedFd<'_>>,
) -> Result<Reply> {
    let said = line(request);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    let sockets: Vec<_> = socket.into_iter().collect();
    if !sockets.is_empty() {
        with.push(SendAncillaryMessage::ScmRights(&sockets));
    }
    // A request is far shorter than what a socket takes at once.
    let sent = sendmsg(
        control.get_ref(),
        &[IoSlice::new(&said)],
        &mut with,
        SendFlags::NOSIGNAL,
    )?;
    if sent != said.len() {
        return Err(ErrorKind::WriteZero.into());
    }
    let mut reply = String::new();
    match control.read_line(&mut reply)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(serde_json::from_str(&reply)?),
    }
}

/// Whether a carrier that was asked is gone or stands still, by what came of it; it has said no itself otherwise, or
/// this daemon lacks something.
pub(super) fn talks_no_more(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::WouldBlock
            | ErrorKind::WriteZero
            | ErrorKind::InvalidData
    )
}

/// Asks on a connection of its own, which may go on as the request says; with what came behind the reply.
pub(super) async fn speak(
    socket: &Path,
    request: &Request,
) -> Result<(UnixStream, Reply, Vec<u8>)> {
    let asking = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(&line(request)).await?;
        let mut come = Vec::new();
        let reply = read_line(&mut stream, &mut come).await?;
        Ok((stream, reply, come))
    };
    let late = |_| Err(ErrorKind::TimedOut.into());
    tokio::time::timeout(ANSWER_LIMIT, asking)
        .await
        .unwrap_or_else(late)
}

async fn read_line(stream: &mut UnixStream, come: &mut Vec<u8>) -> Result<Reply> {
    loop {
        if let Some(end) = come.iter().position(|byte| *byte == b'\n') {
            let rest = come.split_off(end + 1);
            let said = std::mem::replace(come, rest);
            return Ok(serde_json::from_slice(&said)?);
        }
        if come.len() > LONGEST_LINE {
            return Err(ErrorKind::InvalidData.into());
        }
        if stream.read_buf(come).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Serves the connections of a carrier for as long as that is there.
async fn keep(target: Target, serial: u64, of: Weak<Listeners>) {
    let why = follow(&target).await.err();
    let why = why.map_or_else(String::new, |why| why.to_string());
    if let Some(listeners) = of.upgrade() {
        // Apart: this task is the lost one's.
        tokio::task::spawn_blocking(move || listeners.lost(serial, &why));
    }
}

async fn follow(target: &Target) -> Result<()> {
    let (mut stream, reply, mut come) = speak(&target.socket, &Request::Follow).await?;
    let Reply::Have(have) = reply else {
        return Err(ErrorKind::InvalidData.into());
    };
    let mut joined = JoinSet::new();
    // Before any of them is served: what is made from now on is not among those that are known.
    let link = Arc::clone(&target.link);
    tokio::select! {
        () = forget_others(&link, &have.sessions) => {}
        gone = stream.ready(tokio::io::Interest::ERROR) => drop(gone?),
    }
    loop {
        while joined.try_join_next().is_some() {}
        if let Reply::Waits(number) = read_line(&mut stream, &mut come).await? {
            joined.spawn(join(target.clone(), number));
        }
    }
}
