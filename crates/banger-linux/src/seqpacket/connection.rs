//! One connection: who is at its other end, packets in both directions.

use super::{SocketError, new_socket, refusal};
use crate::{sys, wait};
use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, IoSliceMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendFlags, SocketAddrUnix, SocketFlags, recvmsg,
    send, sockopt,
};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

/// Bytes that a socket may hold for its other end. The kernel doubles it and refuses a packet that is
/// larger than the result; its own default (212,992) is too small for a packet of 256 KiB. What is asked
/// beyond `net.core.wmem_max` it lowers silently, to 416 KiB where nobody changed that.
const SEND_BUFFER: usize = 1024 * 1024;

/// Why a packet did not come or go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// The other end is gone.
    #[error("the other end closed the connection")]
    Closed,
    /// Nothing came, or nothing was taken, in time.
    #[error("the other end did not {0} in time")]
    Late(&'static str),
    /// The packet is longer than the limit; it was thrown away.
    #[error("the packet has more than {0} bytes")]
    TooLong(usize),
    /// Descriptors came with the packet; both were thrown away.
    #[error("descriptors came with the packet")]
    Descriptors,
    /// The system refused.
    #[error("cannot use the connection: {0}")]
    System(Errno),
}

/// Who connected, as the kernel noted it then (`SO_PEERCRED`).
#[derive(Debug)]
pub struct Peer {
    /// The effective user.
    pub uid: u32,
    /// The effective group.
    pub gid: u32,
    /// The process; its number may be another's by now.
    pub pid: u32,
    /// The process itself, where the kernel gives one (Linux 6.5, and the process still exists).
    pub process: Option<OwnedFd>,
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
}

impl AsFd for Connection {
    /// For [`crate::programs::Cancel::WhenHungUp`].
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Connection {
    pub(super) fn new(socket: OwnedFd) -> Self {
        // Best effort: with a smaller one, long answers are refused when they are sent.
        let _ = sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER);
        Self { socket }
    }

    /// Connects to a socket.
    ///
    /// # Errors
    /// Nobody listens there (`CONNREFUSED`), too many are waiting (`AGAIN`), or it is not for this user.
    pub fn connect(path: &Path) -> Result<Self, SocketError> {
        let refused = |source| refusal("connect to", path, source);
        let socket = new_socket(SocketFlags::NONBLOCK).map_err(refused)?;
        let address = SocketAddrUnix::new(path).map_err(refused)?;
        rustix::net::connect(&socket, &address).map_err(refused)?;
        Ok(Self::new(socket))
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Result<Peer, PacketError> {
        let credentials = sockopt::socket_peercred(&self.socket).map_err(PacketError::System)?;
        Ok(Peer {
            uid: credentials.uid.as_raw(),
            gid: credentials.gid.as_raw(),
            pid: credentials.pid.as_raw_nonzero().get().unsigned_abs(),
            process: sys::peer_pidfd(self.socket.as_fd()).ok(),
        })
    }

    /// Receives one packet of at most that many bytes. What else came with it is closed.
    pub fn receive(&self, most: usize, deadline: Instant) -> Result<Vec<u8>, PacketError> {
        loop {
            self.wait(PollFlags::IN, deadline, "send anything")?;
            match self.receive_now(most) {
                Err(PacketError::System(Errno::AGAIN | Errno::INTR)) => {}
                received => return received,
            }
        }
    }

    fn receive_now(&self, most: usize) -> Result<Vec<u8>, PacketError> {
        let mut packet = vec![0; most];
        // Room for the kernel's limit of descriptors in one packet (SCM_MAX_FD): what does not fit
        // would be closed by the kernel, but then nobody would know that they came.
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut room);
        let received = recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut packet)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        )
        .map_err(|source| match source {
            Errno::CONNRESET => PacketError::Closed,
            source => PacketError::System(source),
        })?;
        // Draining owns the descriptors, so that they are closed here.
        let came_with_it = ancillary.drain().count() > 0;
        if came_with_it || received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(PacketError::Descriptors);
        }
        if received.flags.contains(ReturnFlags::TRUNC) {
            return Err(PacketError::TooLong(most));
        }
        if received.bytes == 0 {
            return Err(PacketError::Closed);
        }
        packet.truncate(received.bytes);
        Ok(packet)
    }

    /// Sends one packet.
    ///
    /// # Errors
    /// [`PacketError::TooLong`] where the kernel would not take it whole.
    pub fn send(&self, packet: &[u8], deadline: Instant) -> Result<(), PacketError> {
        loop {
            self.wait(PollFlags::OUT, deadline, "take the packet")?;
            match send(&self.socket, packet, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(PacketError::Closed),
                Err(Errno::MSGSIZE) => return Err(PacketError::TooLong(self.send_buffer())),
                Err(source) => return Err(PacketError::System(source)),
            }
        }
    }

    fn send_buffer(&self) -> usize {
        sockopt::socket_send_buffer_size(&self.socket).unwrap_or(SEND_BUFFER)
    }

    /// Whether the other end is gone, or sends nothing any more. Does not wait.
    pub fn is_gone(&self) -> bool {
        let mut socket = [PollFd::new(&self.socket, PollFlags::RDHUP)];
        let ready = wait::until(Instant::now(), &mut socket);
        ready.unwrap_or(true)
    }

    fn wait(
        &self,
        what: PollFlags,
        deadline: Instant,
        asked: &'static str,
    ) -> Result<(), PacketError> {
        let mut socket = [PollFd::new(&self.socket, what)];
        match wait::until(deadline, &mut socket) {
            Ok(true) => Ok(()),
            Ok(false) => Err(PacketError::Late(asked)),
            Err(source) => Err(PacketError::System(source)),
        }
    }
}
