//! Unix sockets of whole packets (`SOCK_SEQPACKET`, unix(7)): one request, one answer, and who asks.

mod connection;

use crate::wait;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Instant;

pub use connection::{Connection, PacketError, Peer};

/// Connections that may wait to be accepted; the kernel lowers it to `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// Why there is no socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    /// The system refused.
    #[error("cannot {asked} {path}: {source}", path = path.display())]
    Refused {
        /// What was asked.
        asked: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: Errno,
    },
    /// Its directory is not one in which a privileged process may make a socket.
    #[error("no socket is made in {path}: {reason}", path = path.display())]
    Directory {
        /// Which directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something else is at its path.
    #[error("there is something else at {path}; remove it", path = path.display())]
    Occupied {
        /// Where.
        path: PathBuf,
    },
    /// Another process listens there.
    #[error("another process listens at {path}", path = path.display())]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// A descriptor that was handed over is no listening socket of this kind.
    #[error("the descriptor that was handed over is no listening seqpacket socket")]
    NotListening,
    /// A connection could not be taken.
    #[error("cannot accept a connection: {0}")]
    Accept(Errno),
}

/// A socket to which clients connect.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    /// Where it is, for removing it; none where it was handed over.
    path: Option<PathBuf>,
}

impl AsFd for Listener {
    /// For waiting until somebody connects.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Listener {
    /// Makes a socket that only root and its owner can connect to. What a dead process left at the path
    /// is removed.
    ///
    /// The file is born with mode 0600: the kernel gives it the mode that the socket itself has, so that
    /// needs neither a umask, which all threads share, nor a change that comes too late.
    ///
    /// # Errors
    /// The directory can be written by others than root, so that they could put another socket
    /// there; somebody listens there already; or something else is at the path.
    pub fn bind(path: &Path, owner: u32) -> Result<Self, SocketError> {
        let (directory, name) = split(path)?;
        let place = open_directory(directory)?;
        let refused = |asked| move |source| refusal(asked, path, source);
        remove_stale(&place, name, path)?;
        let socket = new_socket(SocketFlags::NONBLOCK).map_err(refused("make"))?;
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR).map_err(refused("make"))?;
        let address = SocketAddrUnix::new(path).map_err(refused("make"))?;
        rustix::net::bind(&socket, &address).map_err(|source| match source {
            Errno::ADDRINUSE => SocketError::Occupied {
                path: path.to_owned(),
            },
            source => refusal("make", path, source),
        })?;
        let listener = Self {
            socket,
            path: Some(path.to_owned()),
        };
        // Nobody can connect before `listen`, so nobody can before it has its owner.
        rustix::fs::chownat(
            &place,
            name,
            Some(Uid::from_raw(owner)),
            None::<Gid>,
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(refused("give its owner the socket"))?;
        rustix::net::listen(&listener.socket, BACKLOG).map_err(refused("listen at"))?;
        Ok(listener)
    }

    /// Takes over a socket that another process, e.g. systemd, listens with already.
    ///
    /// # Errors
    /// It is no listening seqpacket socket.
    pub fn inherit(socket: OwnedFd) -> Result<Self, SocketError> {
        use rustix::net::sockopt::{socket_acceptconn, socket_domain, socket_type};
        let listens = socket_acceptconn(&socket) == Ok(true)
            && socket_type(&socket) == Ok(SocketType::SEQPACKET)
            && socket_domain(&socket) == Ok(AddressFamily::UNIX);
        if !listens {
            return Err(SocketError::NotListening);
        }
        let flags = rustix::fs::fcntl_getfl(&socket).map_err(SocketError::Accept)?;
        rustix::fs::fcntl_setfl(&socket, flags | OFlags::NONBLOCK).map_err(SocketError::Accept)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)
            .map_err(SocketError::Accept)?;
        Ok(Self { socket, path: None })
    }

    /// The next connection; none where none came in time, or where it was gone before it was taken.
    ///
    /// # Errors
    /// The system refused; [`Errno::MFILE`] and its like pass when connections end.
    pub fn accept(&self, deadline: Instant) -> Result<Option<Connection>, SocketError> {
        let mut waiting = [PollFd::new(&self.socket, PollFlags::IN)];
        if !wait::until(deadline, &mut waiting).map_err(SocketError::Accept)? {
            return Ok(None);
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match rustix::net::accept_with(&self.socket, flags) {
            Ok(socket) => Ok(Some(Connection::new(socket))),
            Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => Ok(None),
            Err(source) => Err(SocketError::Accept(source)),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Best effort: a confined process may not; the next one removes what is left.
            let _ = rustix::fs::unlink(path.as_path());
        }
    }
}

pub(crate) fn new_socket(more: SocketFlags) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | more;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

pub(crate) fn refusal(asked: &'static str, path: &Path, source: Errno) -> SocketError {
    SocketError::Refused {
        asked,
        path: path.to_owned(),
        source,
    }
}

fn split(path: &Path) -> Result<(&Path, &OsStr), SocketError> {
    match (path.parent(), path.file_name()) {
        (Some(directory), Some(name)) if path.is_absolute() => Ok((directory, name)),
        _ => Err(refusal("make", path, Errno::INVAL)),
    }
}

/// Only whoever this process runs as may write there, so that a name in it stays what it was.
fn open_directory(path: &Path) -> Result<OwnedFd, SocketError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let refused = |source| refusal("open", path, source);
    let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(refused)?;
    let found = rustix::fs::fstat(&directory).map_err(refused)?;
    let mode = Mode::from_raw_mode(found.st_mode);
    let reason = if found.st_uid != rustix::process::geteuid().as_raw() {
        "it belongs to another user"
    } else if mode.intersects(Mode::WGRP.union(Mode::WOTH)) {
        "others can write to it"
    } else {
        return Ok(directory);
    };
    Err(SocketError::Directory {
        path: path.to_owned(),
        reason,
    })
}

/// Removes a socket that nobody listens at; anything else stays.
fn remove_stale(directory: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), SocketError> {
    let found = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        found => found.map_err(|source| refusal("look at", path, source))?,
    };
    let path = path.to_owned();
    if FileType::from_raw_mode(found.st_mode) != FileType::Socket {
        return Err(SocketError::Occupied { path });
    }
    match Connection::connect(&path) {
        Err(SocketError::Refused {
            source: Errno::CONNREFUSED,
            ..
        }) => rustix::fs::unlinkat(directory, name, AtFlags::empty())
            .map_err(|source| refusal("remove what is left at", &path, source)),
        Ok(_)
        | Err(SocketError::Refused {
            source: Errno::AGAIN,
            ..
        }) => Err(SocketError::InUse { path }),
        // A socket of another type (EPROTOTYPE) is somebody else's.
        Err(_) => Err(SocketError::Occupied { path }),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod t1;
