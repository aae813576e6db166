//! Connecting: the runtime directory and the peer are verified first.

use crate::place::{Place, SOCKET_VARIABLE};
use crate::runtime_directory;
use banger_proto::fault::{Fault, FaultCode};
use std::io;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Unconnected {
    /// Nobody listens there.
    #[error("no daemon listens on {}", .0.display())]
    Nobody(PathBuf),
    /// The directory of the socket is not to be trusted.
    #[error(transparent)]
    Untrusted(#[from] runtime_directory::Untrusted),
    /// Somebody else listens there.
    #[error("the daemon on {} runs as user {peer}, not as you ({uid})", socket.display())]
    Stranger {
        /// The socket.
        socket: PathBuf,
        /// Whose it is.
        peer: u32,
        /// Who we are.
        uid: u32,
    },
    /// Anything else.
    #[error("cannot connect to the daemon on {}: {source}", socket.display())]
    Io {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<Unconnected> for Fault {
    fn from(error: Unconnected) -> Self {
        let fault = |code| Self::new(code, &error);
        match error {
            Unconnected::Untrusted(untrusted) => untrusted.into(),
            Unconnected::Nobody(_) => fault(FaultCode::Unavailable).with_remedy(format!(
                "unset {SOCKET_VARIABLE} to have the daemon started for you, or start one there"
            )),
            Unconnected::Stranger { .. } => fault(FaultCode::Refused)
                .with_remedy("run the command as that user, or use a socket of your own"),
            Unconnected::Io { .. } => fault(FaultCode::Unavailable),
        }
    }
}

/// Connects to the daemon as it is; starts nothing.
///
/// # Errors
/// [`Unconnected`].
pub async fn connect(place: &Place, uid: u32) -> Result<UnixStream, Unconnected> {
    if let Place::Standalone(directory) = place {
        runtime_directory::ensure(directory, uid)?;
    }
    let socket = place.socket();
    let stream = UnixStream::connect(&socket)
        .await
        .map_err(|error| classify(&socket, error))?;
    let peer = stream
        .peer_cred()
        .map_err(|source| Unconnected::Io {
            socket: socket.clone(),
            source,
        })?
        .uid();
    if peer == uid {
        Ok(stream)
    } else {
        Err(Unconnected::Stranger { socket, peer, uid })
    }
}

fn classify(socket: &Path, source: io::Error) -> Unconnected {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            Unconnected::Nobody(socket.into())
        }
        _ => Unconnected::Io {
            socket: socket.into(),
            source,
        },
    }
}
