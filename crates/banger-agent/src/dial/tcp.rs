//! A TCP connection in the guest, joined to a stream's channels.

use super::Broken;
use super::places::{LOOPBACK, bound};
use crate::channels::{Channels, Output};
use crate::fault::{code, fault, io_reason};
use banger_proto::fault::FaultCode;
use banger_proto::guest::flow::WINDOW;
use banger_proto::guest::message::GuestFault;
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown, sockopt};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long a server may take to accept: inside of a guest only a full queue takes any time.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How much of a server's bytes is kept for the host: a quarter of a channel's window, since there
/// may be hundreds of connections.
const KEPT: usize = WINDOW / 4;
/// How much is read at once.
const CHUNK: usize = 32 * 1024;

/// A connection; reset when it is dropped before it has ended in order.
pub(super) struct Connection {
    socket: TcpStream,
    in_order: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.in_order {
            // Closing with a linger time of zero sends a reset (socket(7), tcp(7)).
            let _ = sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO));
        }
    }
}

/// Connects to whoever listens on the port.
pub(super) async fn connect(port: u16) -> Result<Connection, GuestFault> {
    let mut first = None;
    for address in LOOPBACK {
        match try_connect(SocketAddr::new(address, port)).await {
            Ok(connection) => return Ok(connection),
            Err(error) => drop(first.get_or_insert(error)),
        }
    }
    for place in bound(false, port).await {
        if LOOPBACK.contains(&place.ip()) {
            continue;
        }
        if let Ok(connection) = try_connect(place).await {
            return Ok(connection);
        }
    }
    Err(first.map_or_else(|| nobody(port), |error| why(port, &error)))
}

async fn try_connect(place: SocketAddr) -> std::io::Result<Connection> {
    let connecting = tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(place));
    let socket = connecting
        .await
        .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))?;
    // Where nobody listens, the kernel may give the port itself to this end, and the socket is then
    // connected to itself.
    if socket.local_addr()? == socket.peer_addr()? {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    // What is passed on was a segment already: no reason to wait for more.
    socket.set_nodelay(true)?;
    Ok(Connection {
        socket,
        in_order: false,
    })
}

fn nobody(port: u16) -> GuestFault {
    let message = format!("nothing listens on TCP port {port} of the guest");
    fault(FaultCode::Refused, message)
}

fn why(port: u16, error: &std::io::Error) -> GuestFault {
    match error.kind() {
        ErrorKind::ConnectionRefused => nobody(port),
        ErrorKind::TimedOut => fault(
            FaultCode::TimedOut,
            format_args!("the server on TCP port {port} of the guest does not accept connections"),
        ),
        _ => fault(
            Errno::from_io_error(error).map_or(FaultCode::Failed, code),
            format_args!(
                "cannot connect to TCP port {port} of the guest: {}",
                io_reason(error)
            ),
        ),
    }
}

impl Connection {
    /// Passes bytes on, both ways apart, until both have ended.
    pub(super) async fn pass(mut self, channels: &Channels) -> Result<(), Broken> {
        tokio::try_join!(
            from_server(&self.socket, channels),
            to_server(&self.socket, channels)
        )?;
        self.in_order = true;
        Ok(())
    }
}

async fn from_server(socket: &TcpStream, channels: &Channels) -> Result<(), Broken> {
    loop {
        let room = channels.room(Output::Stdout).saturating_sub(WINDOW - KEPT);
        if room == 0 {
            channels.wait_for_room(Output::Stdout).await;
            continue;
        }
        socket.readable().await.map_err(|_| Broken)?;
        let mut bytes = vec![0; room.min(CHUNK)];
        match socket.try_read(&mut bytes) {
            Ok(0) => {
                channels.finish(Output::Stdout);
                return Ok(());
            }
            Ok(count) => {
                channels.produce(Output::Stdout, bytes.get(..count).unwrap_or_default());
                // Lets the link send what there is.
                tokio::task::yield_now().await;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Err(Broken),
        }
    }
}

/// Ends well even when the server takes no more: what it has still to say decides how it ends.
async fn to_server(socket: &TcpStream, channels: &Channels) -> Result<(), Broken> {
    loop {
        while !channels.has_input() {
            if channels.is_input_over() {
                // The server may be gone already.
                let _ = shutdown(socket, Shutdown::Write);
                return Ok(());
            }
            channels.input.notified().await;
        }
        match channels.take_input(|bytes| socket.try_write(bytes)) {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                socket.writable().await.map_err(|_| Broken)?;
            }
            Err(_) => {
                channels.discard_input();
                return Ok(());
            }
        }
    }
}
