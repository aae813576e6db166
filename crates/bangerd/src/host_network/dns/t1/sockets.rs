//! The sockets: addresses at run time, streams, and who asks.

use super::super::fixtures::{addresses, name, prefix, question};
use super::super::{Authority, BindError, DnsServer};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// At least four times what an answer takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn exchange(from: IpAddr, server: SocketAddr, query: &[u8]) -> Message {
    let socket = UdpSocket::bind((from, 0)).await.expect("bound");
    socket.send_to(query, server).await.expect("sent");
    let mut buffer = [0; 4096];
    let received = tokio::time::timeout(LIMIT, socket.recv_from(&mut buffer)).await;
    let (length, peer) = received.expect("in time").expect("an answer");
    assert_eq!(peer, server);
    Message::from_vec(&buffer[..length]).expect("a message")
}

fn data(message: &Message) -> Vec<String> {
    let data = message.answers.iter().map(|record| record.data.to_string());
    data.collect()
}

/// The addresses of a name.
pub(super) async fn ask(server: SocketAddr, name: &str) -> Vec<String> {
    data(&exchange(server.ip(), server, &question(name, RecordType::ANY)).await)
}

/// The name of an address.
pub(super) async fn ask_for_pointer(server: SocketAddr, address: IpAddr) -> Vec<String> {
    let query = question(&Name::from(address).to_ascii(), RecordType::PTR);
    data(&exchange(server.ip(), server, &query).await)
}

pub(super) fn fill(authority: &Authority) {
    authority.set_subnets(vec![prefix("172.16.0.0/24")]);
    authority.set(name("web"), addresses("172.16.0.2 fd00::2"));
}

async fn server() -> DnsServer {
    let server = DnsServer::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    fill(server.authority());
    server
}

async fn connect(server: &DnsServer) -> TcpStream {
    TcpStream::connect(server.address())
        .await
        .expect("connected")
}

fn framed(query: &[u8]) -> Vec<u8> {
    let length = u16::try_from(query.len()).expect("short");
    [&length.to_be_bytes()[..], query].concat()
}

async fn read_framed(stream: &mut TcpStream) -> Message {
    let length = stream.read_u16().await.expect("a length");
    let mut body = vec![0; length.into()];
    stream.read_exact(&mut body).await.expect("a body");
    Message::from_vec(&body).expect("a message")
}

/// Whether the server closes a connection.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(LIMIT, stream.read_u8()).await;
    read.is_ok_and(|read| read.is_err())
}

#[tokio::test]
async fn addresses_come_and_go_while_it_runs() {
    let server = server().await;
    let second = server.listen(([127, 0, 0, 2], 0).into()).expect("loopback");
    assert_eq!(server.addresses(), [server.address(), second]);
    assert_eq!(ask(second, "web.vm.").await.len(), 2);
    let again = server.listen(second);
    assert!(matches!(again, Err(BindError::Refused { .. })), "{again:?}");
    assert!(server.unlisten(second).await.expect("in order"));
    assert!(!server.unlisten(second).await.expect("nothing to do"));
    assert_eq!(server.addresses(), [server.address()]);
    assert_eq!(ask(server.address(), "web.vm.").await.len(), 2);
    assert_eq!(server.listen(second).expect("free again"), second);
    server.close().await.expect("in order");
    assert!(server.addresses().is_empty());
}

#[tokio::test]
async fn ipv6_is_served_too() {
    let server = DnsServer::bind("[::1]:0".parse().expect("one")).expect("IPv6 loopback");
    fill(server.authority());
    assert_eq!(ask(server.address(), "web.vm.").await.len(), 2);
}

#[tokio::test]
async fn a_stream_takes_one_query_after_the_other_in_pieces_and_at_once() {
    let server = server().await;
    let mut stream = connect(&server).await;
    let query = framed(&question("web.vm.", RecordType::A));
    for piece in query.chunks(3) {
        stream.write_all(piece).await.expect("sent");
        stream.flush().await.expect("sent");
    }
    assert_eq!(data(&read_framed(&mut stream).await), ["172.16.0.2"]);
    stream.write_all(&query.repeat(20)).await.expect("sent");
    for _ in 0..20 {
        assert_eq!(data(&read_framed(&mut stream).await), ["172.16.0.2"]);
    }
}

#[tokio::test]
async fn a_stream_with_what_is_no_query_is_closed() {
    let server = server().await;
    for bytes in [&[0xFF, 0xFF, 1][..], &[0, 0], &[0, 3, 1, 2, 3]] {
        let mut stream = connect(&server).await;
        stream.write_all(bytes).await.expect("sent");
        assert!(is_closed(&mut stream).await, "{bytes:?}");
    }
    assert_eq!(ask(server.address(), "web.vm.").await.len(), 2);
}

#[tokio::test]
async fn a_stream_that_says_nothing_or_half_a_query_is_closed_in_time() {
    let server = server().await;
    let mut silent = connect(&server).await;
    let mut half = connect(&server).await;
    half.write_all(&[0, 30, 1]).await.expect("sent");
    assert!(is_closed(&mut silent).await && is_closed(&mut half).await);
}

#[tokio::test]
async fn one_peer_has_so_many_streams_and_no_more() {
    let server = server().await;
    let query = framed(&question("web.vm.", RecordType::A));
    let mut open = Vec::new();
    for _ in 0..16 {
        let mut stream = connect(&server).await;
        stream.write_all(&query).await.expect("sent");
        read_framed(&mut stream).await;
        open.push(stream);
    }
    assert!(is_closed(&mut connect(&server).await).await);
    assert_eq!(ask(server.address(), "web.vm.").await.len(), 2);
    drop(open);
    // There is room again once the server has noticed.
    let answered = async {
        loop {
            let mut stream = connect(&server).await;
            let sent = stream.write_all(&query).await;
            if sent.is_ok() && stream.read_u16().await.is_ok() {
                break;
            }
        }
    };
    let answered = tokio::time::timeout(LIMIT, answered).await;
    answered.expect("a stream takes the place of those that ended");
}

#[tokio::test]
async fn closing_ends_open_streams() {
    let server = server().await;
    let mut stream = connect(&server).await;
    stream
        .write_all(&framed(&question("web.vm.", RecordType::A)))
        .await
        .expect("sent");
    read_framed(&mut stream).await;
    server.close().await.expect("in order");
    assert!(is_closed(&mut stream).await);
}

#[tokio::test]
async fn garbage_does_not_stop_the_server() {
    let server = server().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    for length in [0, 1, 11, 12, 13, 512, 4096, 4097, 60_000] {
        let sent = socket.send_to(&vec![0x41; length], server.address()).await;
        sent.expect("sent");
    }
    assert_eq!(ask(server.address(), "web.vm.").await.len(), 2);
}

#[tokio::test]
async fn queries_that_come_at_once_are_all_answered() {
    let server = server().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    socket.connect(server.address()).await.expect("connected");
    let mut query = question("web.vm.", RecordType::A);
    let mut open: Vec<u16> = (0..150).collect();
    for id in &open {
        query[..2].copy_from_slice(&id.to_be_bytes());
        socket.send(&query).await.expect("sent");
    }
    let mut buffer = [0; 512];
    while !open.is_empty() {
        let received = tokio::time::timeout(LIMIT, socket.recv(&mut buffer)).await;
        let length = received.expect("in time").expect("an answer");
        let answer = Message::from_vec(&buffer[..length]).expect("a message");
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
        open.retain(|id| *id != answer.metadata.id);
    }
}
