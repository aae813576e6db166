//! Datagrams to a published UDP port: one flow for each peer, with a stream of its own, so that what the
//! guest answers goes to whom it is for.
//!
//! Nothing here waits for a guest: what cannot be passed on at once is dropped, as on a network.

mod flow;
mod table;

use super::crowd::Crowd;
use super::ends::Ends;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use table::Table;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;

/// How long a flow stays without a datagram either way: what RFC 4787 (REQ-5) asks of whoever maps
/// addresses.
const IDLE: Duration = Duration::from_secs(120);
/// How many flows one publication may have; the one that was idle for the longest makes room.
const MOST_FLOWS: usize = 128;
/// How many flows all publications of a sandbox may have: as many as its agent takes. A peer for whom there is no
/// room waits for one that is idle.
pub(super) const MOST_FLOWS_OF_ALL: usize = 512;
/// After datagrams could not be received.
const RECEIVE_PAUSE: Duration = Duration::from_millis(50);

/// Receives datagrams and passes them on, for ever. Dropping it ends all flows.
pub(super) async fn serve(socket: UdpSocket, port: u16, crowd: Rc<Crowd>, places: Arc<Semaphore>) {
    let socket = Rc::new(socket);
    let mut flows = Table::new(MOST_FLOWS);
    let mut bytes = vec![0; usize::from(u16::MAX)];
    loop {
        match socket.recv_from(&mut bytes).await {
            Ok((count, peer)) => {
                let payload = bytes.get(..count).unwrap_or_default();
                let begin = || {
                    let place = Arc::clone(&places).try_acquire_owned().ok()?;
                    let ends = Ends::new(crowd.enter(true, port));
                    Some(flow::begin(Rc::clone(&socket), peer, ends, IDLE, place))
                };
                if let Some(flow) = flows.of(peer, begin) {
                    flow.offer(payload);
                }
            }
            // An answer met nobody (udp(7)): that peer's business.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Err(_) => tokio::time::sleep(RECEIVE_PAUSE).await,
        }
    }
}
