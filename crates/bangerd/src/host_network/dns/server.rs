//! The sockets: one address or several, UDP and TCP at each.

use super::connections::Connections;
use super::thread::ServingThread;
use super::{Authority, tcp, udp};
use std::collections::HashMap;
use std::io;
use std::net::{self, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long the tasks of an address may take to end; they wait for nothing but the network.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The kernel chooses a port for UDP without looking at TCP: so often another one is tried.
const PORT_TRIES: usize = 16;

/// Why names cannot be served at an address.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The system refused it.
    #[error(
        "cannot serve names at {address}: {source}; free the port, or choose another dns_address in config.toml"
    )]
    Refused {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Every address of the host would be meant, those of its uplink too.
    #[error("cannot serve names at {0}: name one address of the host, such as 127.0.0.1")]
    Wildcard(SocketAddr),
    /// A server runs.
    #[error("names are already served at {0}")]
    Already(SocketAddr),
}

/// Why a server did not end in order. Its sockets are closed all the same.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// A task ended by itself before, by a defect.
    #[error("the name server at {address} had failed: {source}")]
    Failed {
        /// The address that it served.
        address: SocketAddr,
        /// What became of the task.
        source: tokio::task::JoinError,
    },
    /// A task did not end in time, and was aborted.
    #[error("the name server at {0} did not end within 2 s and was aborted")]
    TooSlow(SocketAddr),
}

/// A running server. Dropped, it stops without waiting.
#[derive(Debug)]
pub struct DnsServer {
    authority: Arc<Authority>,
    address: SocketAddr,
    connections: Connections,
    thread: ServingThread,
    listeners: Mutex<HashMap<SocketAddr, Listener>>,
}

/// The tasks that serve one address. Dropped, they are aborted.
#[derive(Debug)]
struct Listener {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl DnsServer {
    /// Serves an empty zone at an address. Port 0 is a free one: [`DnsServer::address`] tells which.
    ///
    /// # Errors
    /// When the address is in use or not the host's, and for an unspecified one.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let thread = ServingThread::start();
        let thread = thread.map_err(|source| BindError::Refused { address, source })?;
        let (udp, tcp, address) = bind_both(address, &thread)?;
        let server = Self {
            authority: Arc::default(),
            address,
            connections: Connections::default(),
            thread,
            listeners: Mutex::default(),
        };
        server.begin(udp, tcp, address);
        Ok(server)
    }

    /// The first address, with its real port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is served.
    #[must_use]
    pub const fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// All addresses that are served, in order.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut all: Vec<SocketAddr> = self.listeners().keys().copied().collect();
        all.sort_unstable();
        all
    }

    /// Serves one more address, such as the bridge's.
    ///
    /// # Errors
    /// As [`DnsServer::bind`].
    pub fn listen(&self, address: SocketAddr) -> Result<SocketAddr, BindError> {
        let (udp, tcp, address) = bind_both(address, &self.thread)?;
        self.begin(udp, tcp, address);
        Ok(address)
    }

    /// Serves an address no longer; whether it was served. Its port is free afterwards.
    ///
    /// # Errors
    /// When its tasks had failed or do not end in time.
    pub async fn unlisten(&self, address: SocketAddr) -> Result<bool, CloseError> {
        let listener = self.listeners().remove(&address);
        match listener {
            Some(listener) => listener.close(address).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Stops serving. All ports are free afterwards; a second call does nothing.
    ///
    /// # Errors
    /// The first, when tasks had failed or do not end in time.
    pub async fn close(&self) -> Result<(), CloseError> {
        let listeners = std::mem::take(&mut *self.listeners());
        let mut outcome = Ok(());
        for (address, listener) in listeners {
            outcome = outcome.and(listener.close(address).await);
        }
        outcome
    }

    fn begin(&self, udp: UdpSocket, tcp: TcpListener, address: SocketAddr) {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let (authority, told) = (Arc::clone(&self.authority), stop.clone());
        let datagrams = async move { udp::serve(udp, address, &authority, &told).await };
        tasks.spawn_on(datagrams, self.thread.runtime());
        let (authority, told) = (Arc::clone(&self.authority), stop.clone());
        let connections = self.connections.clone();
        let streams = async move { tcp::serve(tcp, address, authority, connections, &told).await };
        tasks.spawn_on(streams, self.thread.runtime());
        self.listeners().insert(address, Listener { stop, tasks });
    }

    fn listeners(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, Listener>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the first address close with an error.
    #[cfg(test)]
    pub(super) fn fail(&self) {
        let mut listeners = self.listeners();
        let listener = listeners.get_mut(&self.address).expect("served");
        let runtime = self.thread.runtime();
        listener
            .tasks
            .spawn_on(async { panic!("on purpose") }, runtime);
    }
}

impl Listener {
    async fn close(mut self, address: SocketAddr) -> Result<(), CloseError> {
        self.stop.cancel();
        let mut outcome = Ok(());
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                let failed = |source| CloseError::Failed { address, source };
                outcome = std::mem::replace(&mut outcome, Ok(())).and(ended.map_err(failed));
            }
        };
        if tokio::time::timeout(CLOSE_LIMIT, all).await.is_ok() {
            return outcome;
        }
        self.tasks.shutdown().await;
        Err(CloseError::TooSlow(address))
    }
}

/// Both sockets at the same port, for the thread that serves.
fn bind_both(
    address: SocketAddr,
    thread: &ServingThread,
) -> Result<(UdpSocket, TcpListener, SocketAddr), BindError> {
    if address.ip().is_unspecified() {
        return Err(BindError::Wildcard(address));
    }
    let refused = |source| BindError::Refused { address, source };
    let (udp, tcp) = bind_pair(address).map_err(refused)?;
    let real = udp.local_addr().map_err(refused)?;
    // A socket is registered where the runtime is entered.
    let _entered = thread.runtime().enter();
    let udp = UdpSocket::from_std(udp).map_err(refused)?;
    let tcp = TcpListener::from_std(tcp).map_err(refused)?;
    Ok((udp, tcp, real))
}

fn bind_pair(address: SocketAddr) -> io::Result<(net::UdpSocket, net::TcpListener)> {
    let mut tries = 0..if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries.next();
        let udp = net::UdpSocket::bind(address)?;
        match net::TcpListener::bind(udp.local_addr()?) {
            Ok(tcp) => {
                udp.set_nonblocking(true)?;
                tcp.set_nonblocking(true)?;
                return Ok((udp, tcp));
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && !tries.is_empty() => {}
            Err(error) => return Err(error),
        }
    }
}
