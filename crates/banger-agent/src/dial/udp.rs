//! A UDP flow in the guest, joined to a stream's channels. It ends when the host closes the stream.

use super::Broken;
use super::places::bound;
use crate::channels::{Channels, Output};
use crate::fault::{failed_io, fault};
use banger_proto::fault::FaultCode;
use banger_proto::guest::datagram::{self, Datagrams, MAX_DATAGRAM};
use banger_proto::guest::message::GuestFault;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::UdpSocket;

/// A socket that is connected to whoever is bound to the port.
pub(super) async fn connect(port: u16) -> Result<UdpSocket, GuestFault> {
    let Some(place) = bound(true, port).await.first().copied() else {
        let message = format!("nothing listens on UDP port {port} of the guest");
        return Err(fault(FaultCode::Refused, message));
    };
    let own: IpAddr = match place {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let connecting = async {
        let socket = UdpSocket::bind((own, 0)).await?;
        socket.connect(place).await?;
        Ok(socket)
    };
    connecting.await.map_err(|error: std::io::Error| {
        failed_io(
            format_args!("connect to UDP port {port} of the guest"),
            &error,
        )
    })
}

/// Passes datagrams on, both ways. What does not fit is dropped.
pub(super) async fn pass(socket: &UdpSocket, channels: &Channels) -> Result<(), Broken> {
    tokio::try_join!(from_server(socket, channels), to_server(socket, channels)).map(|_| ())
}

async fn from_server(socket: &UdpSocket, channels: &Channels) -> Result<(), Broken> {
    loop {
        socket.readable().await.map_err(|_| Broken)?;
        let mut bytes = vec![0; MAX_DATAGRAM];
        match socket.try_recv(&mut bytes) {
            Ok(count) => send(channels, bytes.get(..count).unwrap_or_default()),
            // An earlier datagram met nobody (udp(7)): the server may come back.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Err(Broken),
        }
        tokio::task::yield_now().await;
    }
}

fn send(channels: &Channels, payload: &[u8]) {
    let fits = channels.room(Output::Stdout) >= datagram::PREFIX + payload.len();
    if let (true, Some(prefix)) = (fits, datagram::prefix(payload)) {
        channels.produce(Output::Stdout, &prefix);
        channels.produce(Output::Stdout, payload);
    }
}

async fn to_server(socket: &UdpSocket, channels: &Channels) -> Result<(), Broken> {
    let mut datagrams = Datagrams::default();
    loop {
        while !channels.has_input() {
            channels.input.notified().await;
        }
        let take = |bytes: &[u8]| {
            datagrams.push(bytes);
            Ok::<_, Infallible>(bytes.len())
        };
        let _ = channels.take_input(take);
        while let Some(datagram) = datagrams.next().map_err(|_| Broken)? {
            // Nobody there, or no room: lost, as on a network.
            let _ = socket.try_send(datagram);
        }
        tokio::task::yield_now().await;
    }
}
