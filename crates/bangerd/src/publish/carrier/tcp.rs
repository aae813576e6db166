//! Connections to a published TCP port.

mod pump;

use super::crowd::Crowd;
use super::ends::Ends;
use rustix::net::sockopt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How many connections one sandbox may have; more wait, in the kernel.
pub(super) const MOST_CONNECTIONS: usize = 256;
/// After a connection could not be accepted: out of descriptors, for one.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A client's connection, reset when it is closed before it has ended in order: also by the kernel, for a
/// carrier that is killed. A part of an answer would pass for the whole otherwise.
struct Client(TcpStream);

impl Client {
    /// Closing with a linger time of zero sends a reset (socket(7), tcp(7)).
    fn of(socket: TcpStream) -> rustix::io::Result<Self> {
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
        Ok(Self(socket))
    }

    /// Both ways have ended: what is written still is delivered.
    fn end_in_order(self) {
        // One that is gone has no use for it.
        let _gone = sockopt::set_socket_linger(&self.0, None);
    }
}

/// Accepts connections and carries each in a task of its own, for ever. Dropping it resets them.
pub(super) async fn serve(
    listener: TcpListener,
    port: u16,
    crowd: Rc<Crowd>,
    places: Arc<Semaphore>,
) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(client) = Client::of(socket) else {
            continue;
        };
        // It is never closed; without a place the client waits here, and the next in the kernel.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let ends = Ends::new(crowd.enter(false, port));
        connections.spawn_local(async move {
            carry(client, ends).await;
            drop(place);
        });
    }
}

async fn carry(client: Client, mut ends: Ends) {
    // What was one segment stays one; a client that is gone without a word is noticed.
    let options = client.0.set_nodelay(true);
    let options = options.and_then(|()| Ok(sockopt::set_socket_keepalive(&client.0, true)?));
    if options.is_ok() && pump::run(&mut ends, &client.0).await.is_ok() {
        client.end_in_order();
    }
    ends.finish(None).await;
}
