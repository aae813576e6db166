//! One peer's datagrams, to the guest and back.

use super::table::Flowing;
use crate::publish::carrier::ends::{BrokenOff, Ends};
use banger_proto::guest::datagram::{self, Datagrams};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::spawn_local;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// Datagrams that wait for the guest, at most, and their bytes: one of the longest, and some room.
const MOST_WAITING: usize = 64;
const MOST_WAITING_BYTES: usize = 128 * 1024;
/// How long a flow that was broken off stays, so that not each datagram asks the guest again.
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

impl Flowing for Flow {
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

/// Begins a flow, which has its place among all until it has ended.
pub(super) fn begin(
    socket: Rc<UdpSocket>,
    peer: SocketAddr,
    mut ends: Ends,
    idle: Duration,
    place: OwnedSemaphorePermit,
) -> Flow {
    let (queue, mut inbox) = mpsc::channel(MOST_WAITING);
    let task = spawn_local(async move {
        let mut back = Back::default();
        let ended = carry(&mut ends, &socket, peer, &mut inbox, &mut back, idle).await;
        ends.finish(back.lie).await;
        if ended.is_err() {
            tokio::time::sleep(FAILED_PAUSE).await;
        }
        drop(place);
    });
    Flow {
        queue,
        room: Arc::new(Semaphore::new(MOST_WAITING_BYTES)),
        _task: AbortOnDropHandle::new(task),
    }
}

/// Passes on until the flow is idle, or the guest breaks it off.
async fn carry(
    ends: &mut Ends,
    socket: &UdpSocket,
    peer: SocketAddr,
    inbox: &mut mpsc::Receiver<Waiting>,
    back: &mut Back,
    idle: Duration,
) -> Result<(), BrokenOff> {
    let mut last = Instant::now();
    while !ends.closed && back.lie.is_none() {
        ends.fill();
        tokio::select! {
            ready = ends.ready() => {
                let (mut came, before) = (0, last);
                ends.go_on(ready, |bytes| {
                    came += bytes.len();
                    back.pass(bytes, socket, peer);
                })?;
                ends.consume(came);
                last = if came > 0 { Instant::now() } else { before };
            }
            waiting = inbox.recv() => {
                let Some((datagram, _part)) = waiting else { return Ok(()) };
                last = Instant::now();
                // A daemon that is to come gets as much as one that is slow.
                let waits = usize::try_from(ends.unsent()).unwrap_or(usize::MAX);
                if ends.room() >= datagram.len() && waits + datagram.len() <= MOST_WAITING_BYTES {
                    ends.put(&datagram);
                }
            }
            () = tokio::time::sleep_until(last + idle) => return Ok(()),
        }
    }
    Ok(())
}

/// The way from the guest.
#[derive(Default)]
struct Back {
    datagrams: Datagrams,
    /// The rule that the guest broke.
    lie: Option<String>,
}

impl Back {
    /// Sends what is whole to the peer.
    fn pass(&mut self, bytes: &[u8], socket: &UdpSocket, peer: SocketAddr) {
        self.datagrams.push(bytes);
        loop {
            match self.datagrams.next() {
                // No room in the socket, or nobody there any more: dropped.
                Ok(Some(datagram)) => drop(socket.try_send_to(datagram, peer)),
                Ok(None) => return,
                Err(error) => {
                    self.lie = Some(format!("it announced {error}"));
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod t1;
