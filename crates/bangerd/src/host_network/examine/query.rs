//! Asking a name server who it is: one real query.

use super::super::dns::ZONE;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;

/// How long an answer may take: it comes from this host.
const LIMIT: Duration = Duration::from_secs(2);
/// What everybody can give in a datagram (RFC 1035 section 4.2.1); the answer is shorter.
const PAYLOAD: usize = 512;

/// Who answers at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A server with authority for `vm`: banger, this one or another.
    Authority,
    /// A server that knows nothing of `vm`.
    Other,
    /// Nobody.
    Silent,
}

/// Asks for the zone's SOA record.
pub(super) async fn ask(server: SocketAddr) -> Asked {
    let answer = tokio::time::timeout(LIMIT, exchange(server));
    match answer.await {
        Ok(Ok(answer)) => judge(&answer),
        Ok(Err(_)) | Err(_) => Asked::Silent,
    }
}

fn judge(answer: &[u8]) -> Asked {
    match Message::from_vec(answer) {
        Ok(answer)
            if answer.metadata.authoritative
                && answer.metadata.response_code == ResponseCode::NoError
                && !answer.answers.is_empty() =>
        {
            Asked::Authority
        }
        _ => Asked::Other,
    }
}

async fn exchange(server: SocketAddr) -> std::io::Result<Vec<u8>> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    // Connected, so that only this server's datagrams come, and its port's absence shows at once.
    socket.connect(server).await?;
    socket.send(&query()?).await?;
    let mut answer = vec![0; PAYLOAD];
    let length = socket.recv(&mut answer).await?;
    answer.truncate(length);
    Ok(answer)
}

fn query() -> std::io::Result<Vec<u8>> {
    let zone = Name::from_ascii(format!("{ZONE}.")).map_err(std::io::Error::other)?;
    let mut message = Message::new(
        u16::from_le_bytes(crate::host::random().unwrap_or_default()),
        MessageType::Query,
        OpCode::Query,
    );
    message.add_query(Query::query(zone, RecordType::SOA));
    message.to_vec().map_err(std::io::Error::other)
}

#[cfg(test)]
mod t1 {
    use super::*;
    use crate::host_network::dns::DnsServer;

    #[tokio::test]
    async fn a_server_of_the_zone_another_one_and_nobody_are_told_apart() {
        let ours = DnsServer::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        assert_eq!(ask(ours.address()).await, Asked::Authority);
        // One that gives every question back, as a refusal without authority.
        let other = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let address = other.local_addr().expect("bound");
        let refusing = tokio::spawn(async move {
            let mut query = [0; PAYLOAD];
            let (length, asker) = other.recv_from(&mut query).await.expect("a query");
            query[2] = 0x80;
            query[3] = 5;
            other
                .send_to(&query[..length], asker)
                .await
                .expect("answered");
            other
        });
        assert_eq!(ask(address).await, Asked::Other);
        drop(refusing.await.expect("fine"));
        assert_eq!(ask(address).await, Asked::Silent);
    }
}
