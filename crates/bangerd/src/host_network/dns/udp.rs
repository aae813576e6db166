//! Datagrams.

use super::answer::{Transport, answer};
use super::request::MOST_QUERY;
use super::{Asker, Authority};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
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
    authority: &Authority,
    stop: &CancellationToken,
) {
    let mut buffer = [0; MOST_QUERY];
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ready = socket.readable() => {}
        }
        match answer_waiting(&socket, local, authority, &mut buffer).await {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                tracing::debug!("cannot receive a query at {local}: {error}");
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}

/// Answers what has come, at most [`BATCH`] queries; an error when there is nothing more.
async fn answer_waiting(
    socket: &UdpSocket,
    local: SocketAddr,
    authority: &Authority,
    buffer: &mut [u8],
) -> io::Result<()> {
    for _ in 0..BATCH {
        let (length, peer) = socket.try_recv_from(buffer)?;
        let query = buffer.get(..length).unwrap_or_default();
        let zone = authority.snapshot();
        if let Some(answer) = answer(&zone, query, Asker::of(peer, local), Transport::Udp) {
            send(socket, &answer, peer).await;
        }
    }
    Ok(())
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
