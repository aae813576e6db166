//! Datagrams.

use super::answer::{Transport, answer};
use super::request::MOST_QUERY;
use super::waking::{Waiting, Wanted};
use super::{Asker, Authority};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Queries that are answered before other tasks get their turn.
const BATCH: usize = 64;

/// How long an answer may wait for room in the socket's buffer before it is dropped, as the network
/// may do with any datagram: the asker asks again.
const SEND_LIMIT: Duration = Duration::from_millis(100);

/// A pause after an error of the socket, so that one that stays does not take a whole processor.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// Answers until it is told to stop.
pub(super) async fn serve(
    socket: UdpSocket,
    local: SocketAddr,
    authority: &Arc<Authority>,
    stop: &CancellationToken,
) {
    let serving = Serving {
        socket: Arc::new(socket),
        local,
        authority: Arc::clone(authority),
    };
    // Those who wait for a machine: they end with this.
    let mut waiting = JoinSet::new();
    let mut buffer = [0; MOST_QUERY];
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(_answered) = waiting.join_next() => continue,
            _ready = serving.socket.readable() => {}
        }
        match serving.answer_some(&mut buffer, &mut waiting).await {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                tracing::debug!("cannot receive a query at {local}: {error}");
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}

/// A socket and what is served at it.
#[derive(Clone)]
struct Serving {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    authority: Arc<Authority>,
}

impl Serving {
    /// Answers what has come, at most [`BATCH`] queries; an error when there is nothing more.
    async fn answer_some(&self, buffer: &mut [u8], waiting: &mut JoinSet<()>) -> io::Result<()> {
        for _ in 0..BATCH {
            let (length, peer) = self.socket.try_recv_from(buffer)?;
            let query = buffer.get(..length).unwrap_or_default();
            let asker = Asker::of(peer, self.local);
            match self.authority.wanted(query, asker) {
                Wanted::Zone => {
                    let zone = self.authority.snapshot();
                    if let Some(answer) = answer(&zone, query, asker, Transport::Udp) {
                        send(&self.socket, &answer, peer).await;
                    }
                }
                Wanted::Sleeper(sleeper) => {
                    let (serving, query) = (self.clone(), query.to_vec());
                    waiting.spawn(async move { serving.answer_later(sleeper, &query, peer).await });
                }
                Wanted::NoRoom => {}
            }
        }
        Ok(())
    }

    async fn answer_later(&self, sleeper: Waiting, query: &[u8], peer: SocketAddr) {
        let asker = Asker::of(peer, self.local);
        let answering = self
            .authority
            .answer_awake(sleeper, query, asker, Transport::Udp);
        if let Some(answer) = answering.await {
            send(&self.socket, &answer, peer).await;
        }
    }
}

async fn send(socket: &UdpSocket, answer: &[u8], peer: SocketAddr) {
    let sent = match socket.try_send_to(answer, peer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let sent = tokio::time::timeout(SEND_LIMIT, socket.send_to(answer, peer)).await;
            sent.unwrap_or_else(|late| Err(late.into()))
        }
        sent => sent,
    };
    if let Err(error) = sent {
        tracing::debug!("cannot answer {peer}: {error}");
    }
}
