//! A connection to the kernel's network configuration (rtnetlink(7)): one request, its answer.
//!
//! Written by hand although `netlink-packet-route` exists. That crate decodes every attribute of every
//! link of the host and fails the whole dump at one that it does not expect, on hosts whose links are
//! not ours to choose; and it is 32,000 lines in a process that runs as root, for nine messages.

pub(crate) mod message;

use crate::sys;
use message::{
    Message, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, Received, Verdict, messages, verdict,
};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with, sockopt,
};
use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

// linux/netlink.h, linux/socket.h
const SOL_NETLINK: i32 = 270;
const NETLINK_CAP_ACK: i32 = 10;
const NETLINK_EXT_ACK: i32 = 11;

/// How long one answer may take. The kernel answers at once, but for the lock that all changes of
/// links share: removing a thousand of somebody else's links has been seen to hold it for seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// The kernel fills at most 32 KiB of one datagram of a dump (`NLMSG_GOODSIZE` in netlink_dump).
const DATAGRAM: usize = 32 * 1024;
/// How often a dump begins again because something changed meanwhile.
const ATTEMPTS: usize = 10;
/// Most objects of one dump that are kept; a router with the whole internet's routes has more.
const MOST_OBJECTS: usize = 20_000;

/// Why the kernel did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no connection to the kernel.
    #[error("cannot talk to the kernel about {asked}: {source}")]
    Connection {
        /// What was asked.
        asked: String,
        /// The system's reason.
        source: Errno,
    },
    /// The kernel refused.
    #[error("cannot {asked}: {source}{}", said.as_ref().map(|said| format!(": {said}")).unwrap_or_default())]
    Refused {
        /// What was asked.
        asked: String,
        /// The kernel's reason.
        source: Errno,
        /// The kernel's own words, where it gave any (extended acknowledgement).
        said: Option<String>,
    },
    /// No answer came in time.
    #[error("cannot {asked}: the kernel did not answer within {} s", PATIENCE.as_secs())]
    Silent {
        /// What was asked.
        asked: String,
    },
    /// The list changed each time while it was read.
    #[error("cannot {asked}: it changed during each of {ATTEMPTS} attempts")]
    Restless {
        /// What was asked.
        asked: String,
    },
    /// The list is longer than anything that this program is made for.
    #[error("cannot {asked}: there are more than {MOST_OBJECTS}")]
    TooMany {
        /// What was asked.
        asked: String,
    },
    /// The answer cannot be understood.
    #[error("cannot {asked}: the kernel's answer cannot be read")]
    Unreadable {
        /// What was asked.
        asked: String,
    },
}

impl Error {
    /// The kernel's reason, where it refused.
    pub fn refused(&self) -> Option<Errno> {
        match self {
            Self::Refused { source, .. } => Some(*source),
            _ => None,
        }
    }
}

/// What one attempt to read a list came to.
enum Dump<T> {
    Complete(Vec<T>),
    /// `NLM_F_DUMP_INTR`: entries may be missing or come twice.
    Interrupted,
}

/// A connection. It asks one thing at a time and belongs to one thread; it keeps the network namespace
/// in which it was opened.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: Cell<u32>,
}

impl Netlink {
    /// Opens one in the calling thread's network namespace.
    pub fn open() -> Result<Self, Error> {
        Self::connect().map_err(|source| Error::Connection {
            asked: "the network".to_owned(),
            source,
        })
    }

    fn connect() -> rustix::io::Result<Self> {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        sys::set_option(socket.as_fd(), SOL_NETLINK, NETLINK_EXT_ACK, 1)?;
        sys::set_option(socket.as_fd(), SOL_NETLINK, NETLINK_CAP_ACK, 1)?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
        Ok(Self {
            socket,
            sequence: Cell::new(0),
        })
    }

    /// Sends a request that is answered by an acknowledgement. `asked` completes "cannot …".
    pub(crate) fn ask(&self, asked: &str, request: Message) -> Result<(), Error> {
        self.one(asked, request, |_, _| None::<()>).map(|_| ())
    }

    /// Sends a request that is answered by at most one object and then an acknowledgement.
    pub(crate) fn one<T>(
        &self,
        asked: &str,
        request: Message,
        decode: impl Fn(u16, &[u8]) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let sequence = self.send(asked, request)?;
        let mut buffer = vec![0; DATAGRAM];
        let mut found = None;
        loop {
            let datagram = self.receive(asked, &mut buffer)?;
            for message in messages(datagram).filter(|message| message.sequence == sequence) {
                if message.kind == NLMSG_ERROR {
                    return finished(asked, verdict(message)).map(|()| found);
                }
                found = decode(message.kind, message.body).or(found);
            }
        }
    }

    /// Asks for a list and reads it to its end; once more, a few times at most, if it changed
    /// meanwhile. `decode` gives none for what does not belong to it.
    pub(crate) fn list<T>(
        &self,
        asked: &str,
        request: &Message,
        decode: impl Fn(u16, &[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        for _ in 0..ATTEMPTS {
            let sequence = self.send(asked, request.clone())?;
            if let Dump::Complete(found) = self.dump(asked, sequence, &decode)? {
                return Ok(found);
            }
        }
        let asked = asked.to_owned();
        Err(Error::Restless { asked })
    }

    fn dump<T>(
        &self,
        asked: &str,
        sequence: u32,
        decode: &impl Fn(u16, &[u8]) -> Option<T>,
    ) -> Result<Dump<T>, Error> {
        let mut buffer = vec![0; DATAGRAM];
        let (mut found, mut interrupted) = (Vec::new(), false);
        loop {
            let datagram = self.receive(asked, &mut buffer)?;
            for message in messages(datagram).filter(|message| message.sequence == sequence) {
                interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                match message.kind {
                    NLMSG_DONE if interrupted => return Ok(Dump::Interrupted),
                    NLMSG_DONE => {
                        finished(asked, end_of_dump(message))?;
                        return Ok(Dump::Complete(found));
                    }
                    NLMSG_ERROR => finished(asked, verdict(message))?,
                    kind => found.extend(decode(kind, message.body)),
                }
            }
            if found.len() > MOST_OBJECTS {
                let asked = asked.to_owned();
                return Err(Error::TooMany { asked });
            }
        }
    }

    fn send(&self, asked: &str, request: Message) -> Result<u32, Error> {
        let sequence = self.sequence.get().wrapping_add(1);
        self.sequence.set(sequence);
        let bytes = request.finish(sequence);
        match send(&self.socket, &bytes, SendFlags::empty()) {
            Ok(_) => Ok(sequence),
            Err(source) => Err(Error::Connection {
                asked: asked.to_owned(),
                source,
            }),
        }
    }

    fn receive<'a>(&self, asked: &str, buffer: &'a mut [u8]) -> Result<&'a [u8], Error> {
        let asked = || asked.to_owned();
        // With TRUNC the length is the datagram's own, also where the buffer was too small for it.
        let received =
            rustix::io::retry_on_intr(|| recv(&self.socket, &mut *buffer, RecvFlags::TRUNC));
        match received {
            Ok((_, length)) => buffer
                .get(..length)
                .filter(|datagram| !datagram.is_empty())
                .ok_or_else(|| Error::Unreadable { asked: asked() }),
            Err(Errno::AGAIN) => Err(Error::Silent { asked: asked() }),
            Err(source) => Err(Error::Connection {
                asked: asked(),
                source,
            }),
        }
    }
}

/// A dump that failed half-way says so in its last message: an `int`, then attributes.
fn end_of_dump(message: Received<'_>) -> Option<Verdict> {
    // The same layout as `nlmsgerr`, but without the request's header.
    let code = message.body.get(..4)?;
    let mut body = code.to_vec();
    body.extend_from_slice(&[0; message::HEADER]);
    verdict(Received {
        body: &body,
        flags: message::NLM_F_CAPPED,
        ..message
    })
}

fn finished(asked: &str, verdict: Option<Verdict>) -> Result<(), Error> {
    let asked = asked.to_owned();
    match verdict {
        None => Err(Error::Unreadable { asked }),
        Some(Verdict { result: Ok(()), .. }) => Ok(()),
        Some(Verdict {
            result: Err(source),
            said,
        }) => Err(Error::Refused {
            asked,
            source,
            said,
        }),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod t1;
