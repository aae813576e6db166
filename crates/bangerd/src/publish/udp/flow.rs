//! One peer's datagrams, to the guest and back.

use super::table::Entry;
use crate::guest::{Incoming, Stream};
use crate::publish::carry::{GuestPort, Sent, Taken};
use banger_proto::guest::datagram::{self, Datagrams};
use banger_proto::guest::message::{STDIN, STDOUT};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// Datagrams that wait for the guest, at most, and their bytes: one of the longest, and some room.
const MOST_WAITING: usize = 64;
const MOST_WAITING_BYTES: usize = 128 * 1024;
/// How long a flow that could not be made stays, so that not each datagram asks the guest again.
const FAILED_PAUSE: Duration = Duration::from_secs(1);

/// A datagram with its prefix, and its part of what may wait.
type Waiting = (Vec<u8>, OwnedSemaphorePermit);

/// A flow; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Flow {
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    _task: AbortOnDropHandle<()>,
}

impl Entry for Flow {
    fn is_over(&self) -> bool {
        self.queue.is_closed()
    }
}

impl Flow {
    /// Gives it a datagram; dropped when too many wait.
    pub(super) fn offer(&self, payload: &[u8]) {
        let Some(prefix) = datagram::prefix(payload) else {
            return;
        };
        let whole = [&prefix[..], payload].concat();
        let bytes = u32::try_from(whole.len()).unwrap_or(u32::MAX);
        if let Ok(part) = Arc::clone(&self.room).try_acquire_many_owned(bytes) {
            let _full_or_over = self.queue.try_send((whole, part));
        }
    }
}

/// Begins a flow.
pub(super) fn begin(
    socket: Arc<UdpSocket>,
    peer: SocketAddr,
    to: GuestPort,
    idle: Duration,
) -> Flow {
    let (queue, inbox) = mpsc::channel(MOST_WAITING);
    let task = tokio::spawn(async move {
        match to.dial().await {
            Ok(stream) => carry(&stream, &socket, peer, inbox, idle).await,
            Err(fault) => {
                tracing::debug!(%to, %peer, "datagrams are dropped: {fault}");
                tokio::time::sleep(FAILED_PAUSE).await;
            }
        }
    });
    Flow {
        queue,
        room: Arc::new(Semaphore::new(MOST_WAITING_BYTES)),
        _task: AbortOnDropHandle::new(task),
    }
}

/// Passes on until the flow is idle, or the guest breaks it off.
async fn carry(
    stream: &Stream,
    socket: &UdpSocket,
    peer: SocketAddr,
    mut inbox: mpsc::Receiver<Waiting>,
    idle: Duration,
) {
    let (mut sent, mut back) = (Sent::default(), Back::default());
    let mut last = Instant::now();
    loop {
        tokio::select! {
            incoming = stream.next() => match incoming {
                Incoming::Credit(credit) if credit.channel == STDIN => sent.credit(credit),
                Incoming::Credit(_) | Incoming::End(_) => {}
                Incoming::Data(STDOUT, bytes) => {
                    last = Instant::now();
                    if back.pass(&bytes, stream, socket, peer).await.is_none() {
                        return;
                    }
                }
                _ => return,
            },
            waiting = inbox.recv() => {
                let Some((datagram, _part)) = waiting else { return };
                last = Instant::now();
                if sent.room() >= datagram.len() {
                    sent.add(datagram.len());
                    if stream.data(STDIN, &datagram).await.is_err() {
                        return;
                    }
                }
            }
            () = tokio::time::sleep_until(last + idle) => return,
        }
    }
}

/// The way from the guest.
#[derive(Default)]
struct Back {
    datagrams: Datagrams,
    taken: Taken,
}

impl Back {
    /// Sends what is whole to the peer; `None` when the guest broke a rule or is lost.
    async fn pass(
        &mut self,
        bytes: &[u8],
        stream: &Stream,
        socket: &UdpSocket,
        peer: SocketAddr,
    ) -> Option<()> {
        self.datagrams.push(bytes);
        loop {
            match self.datagrams.next() {
                // No room in the socket, or nobody there any more: dropped.
                Ok(Some(datagram)) => drop(socket.try_send_to(datagram, peer)),
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%peer, "the guest broke the protocol: it announced {error}");
                    return None;
                }
            }
        }
        match self.taken.add(bytes.len()) {
            Some(credit) => stream.credit(credit).await.ok(),
            None => Some(()),
        }
    }
}

#[cfg(test)]
mod t1;
