//! The client of the root helper: a connection, a packet, an answer.

use super::host::{Host, HostError};
use banger_proto::root::{Answer, OpId, Outcome, PACKET_MAX, Reply, Request, SEND_BUFFER, Verb};
use futures_util::future::{BoxFuture, FutureExt};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with, sockopt,
};
use std::io;
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// How long the helper may take: the slowest verb, a probe of the host's rules, has 10 s of its own.
const LIMIT: Duration = Duration::from_secs(30);
/// Between two tries to connect to a helper that has many connections waiting.
const AGAIN: Duration = Duration::from_millis(5);

/// Asks the helper at a socket.
#[derive(Debug)]
pub struct RootClient {
    socket: PathBuf,
}

impl RootClient {
    /// A client; nothing is connected yet.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    async fn exchange(&self, op: OpId, verb: Verb) -> Result<Answer, HostError> {
        let name = verb.name();
        tracing::debug!(%op, "asking the root helper: {name}");
        let request = Request {
            version: env!("CARGO_PKG_VERSION").into(),
            op,
            verb,
        };
        let packet = request
            .encode()
            .map_err(|error| HostError::Nonsense(error.to_string()))?;
        let connection = self.connect().await.map_err(HostError::Unreachable)?;
        let answer = talk(&connection, &packet).await;
        let answer = answer.map_err(HostError::Unreachable)?;
        read(&answer)
    }

    async fn connect(&self) -> io::Result<UnixStream> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER)?;
        let address = SocketAddrUnix::new(&self.socket)?;
        loop {
            match connect(&socket, &address) {
                // To the runtime it is a socket like any other: it is only waited for.
                Ok(()) => return UnixStream::from_std(net::UnixStream::from(socket)),
                // Its queue of connections is full (unix(7)).
                Err(Errno::AGAIN) => tokio::time::sleep(AGAIN).await,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Host for RootClient {
    fn ask(&self, op: OpId, verb: Verb) -> BoxFuture<'_, Result<Answer, HostError>> {
        async move {
            match tokio::time::timeout(LIMIT, self.exchange(op, verb)).await {
                Ok(answer) => answer,
                Err(_) => Err(HostError::TimedOut(LIMIT)),
            }
        }
        .boxed()
    }
}

/// Sends the packet and receives the other.
async fn talk(connection: &UnixStream, packet: &[u8]) -> io::Result<Vec<u8>> {
    loop {
        connection.writable().await?;
        let sent = connection.try_io(Interest::WRITABLE, || {
            Ok(send(connection, packet, SendFlags::NOSIGNAL)?)
        });
        match sent {
            Ok(_) => break,
            Err(error) if may_go_on(&error) => {}
            Err(error) => return Err(error),
        }
    }
    // One byte more than there may be, so that a packet that is too long shows.
    let mut answer = vec![0; PACKET_MAX + 1];
    loop {
        connection.readable().await?;
        let received = connection.try_io(Interest::READABLE, || {
            Ok(recv(connection, &mut answer[..], RecvFlags::empty())?.0)
        });
        match received {
            Ok(0) => {
                let why = "it closed the connection without an answer";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
            }
            Ok(count) => {
                answer.truncate(count);
                return Ok(answer);
            }
            Err(error) if may_go_on(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether it only has to be tried again.
fn may_go_on(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn read(packet: &[u8]) -> Result<Answer, HostError> {
    let reply = Reply::decode(packet).map_err(|error| HostError::Nonsense(error.to_string()))?;
    match reply.outcome {
        Outcome::Done(answer) => Ok(answer),
        Outcome::Refused(refusal) => Err(HostError::Refused(refusal)),
        Outcome::Failed(fault) => Err(HostError::Failed(fault)),
    }
}

#[cfg(test)]
mod t1;
