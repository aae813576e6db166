//! Streams: messages with their length before them (RFC 1035 section 4.2.2, RFC 7766).

use super::answer::{Transport, answer};
use super::connections::Connections;
use super::request::MOST_QUERY;
use super::waking::Wanted;
use super::{Asker, Authority};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long the next query may take to come, to its last byte, and how long an answer to be taken.
/// RFC 7766 section 6.2.3 wants "the order of a few seconds".
const IDLE_LIMIT: Duration = Duration::from_secs(5);

/// Out of descriptors, for one: give others time to close theirs.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until it is told to stop; open connections end with it.
pub(super) async fn serve(
    listener: TcpListener,
    local: SocketAddr,
    authority: Arc<Authority>,
    connections: Connections,
    stop: &CancellationToken,
) {
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_ended) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!("cannot accept a connection at {local}: {error}");
                tokio::time::sleep(ERROR_PAUSE).await;
                continue;
            }
        };
        // One too many is closed at once: the asker is told sooner than by waiting.
        let Some(permit) = connections.admit(peer.ip()) else {
            continue;
        };
        let authority = Arc::clone(&authority);
        open.spawn(async move {
            let ended = converse(stream, Asker::of(peer, local), &authority).await;
            if let Err(error) = ended {
                tracing::debug!("the connection of {peer} ended: {error}");
            }
            drop(permit);
        });
    }
    open.shutdown().await;
}

/// Answers one query after the other, until the peer closes, is too slow, or says what is no query.
async fn converse(mut stream: TcpStream, asker: Asker, authority: &Authority) -> io::Result<()> {
    let mut buffer = [0; MOST_QUERY];
    loop {
        let received = receive(&mut stream, &mut buffer);
        let Some(query) = tokio::time::timeout(IDLE_LIMIT, received).await?? else {
            return Ok(());
        };
        let answer = match authority.wanted(query, asker) {
            Wanted::Zone => answer(&authority.snapshot(), query, asker, Transport::Tcp),
            Wanted::Sleeper(sleeper) => {
                let answering = authority.answer_awake(sleeper, query, asker, Transport::Tcp);
                answering.await
            }
            Wanted::NoRoom => None,
        };
        let Some(answer) = answer else {
            return Ok(());
        };
        let Ok(length) = u16::try_from(answer.len()) else {
            return Ok(());
        };
        let message = [&length.to_be_bytes()[..], &answer].concat();
        tokio::time::timeout(IDLE_LIMIT, stream.write_all(&message)).await??;
    }
}

/// One message; `None` at the end of the stream, and for one that is longer than any query.
async fn receive<'a>(stream: &mut TcpStream, buffer: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
    let length = match stream.read_u16().await {
        Ok(length) => usize::from(length),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(query) = buffer.get_mut(..length) else {
        return Ok(None);
    };
    stream.read_exact(query).await?;
    Ok(Some(query))
}
