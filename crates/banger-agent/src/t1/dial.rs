use super::exec::noise;
use super::host::Host;
use super::{Guest, Talk, eventually};
use banger_proto::fault::FaultCode;
use banger_proto::guest::datagram::{self, Datagrams};
use banger_proto::guest::frame::Kind;
use banger_proto::guest::message::{Answer, Call, STDIN};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::thread::JoinHandle;

const fn tcp(port: u16) -> Call {
    Call::Dial { udp: false, port }
}

const fn udp(port: u16) -> Call {
    Call::Dial { udp: true, port }
}

/// A server for one connection.
fn server<T: Send + 'static>(
    address: &str,
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind((address, 0)).expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let serving = std::thread::spawn(move || serve(listener.accept().expect("accepted").0));
    (port, serving)
}

/// Reads to the end, then sends it all back: it works only when both ends are passed on apart.
fn mirror(mut connection: TcpStream) {
    let mut all = Vec::new();
    connection.read_to_end(&mut all).expect("read");
    connection.write_all(&all).expect("written");
}

fn dialed(host: &mut Host, stream: u32, call: &Call, input: &[u8]) -> Talk {
    let mut talk = Talk::with_input(input);
    host.call(stream, call);
    talk.open(host, stream).expect("sent");
    talk
}

#[test]
fn bytes_go_both_ways_and_each_way_ends_on_its_own() {
    let (port, serving) = server("127.0.0.1", mirror);
    let (guest, bytes) = (Guest::start(), noise(3 << 20));
    let mut host = guest.connect();
    let mut talk = dialed(&mut host, 1, &tcp(port), &bytes);
    talk.finish(&mut host, 1).expect("connected");
    assert!(talk.answered && talk.closed);
    assert!(talk.stdout == bytes, "{} came back", talk.stdout.len());
    serving.join().expect("served");
}

#[test]
fn a_server_that_ends_first_still_gets_everything() {
    let (port, serving) = server("127.0.0.1", |mut connection| {
        connection.write_all(b"bye").expect("written");
        connection.shutdown(Shutdown::Write).expect("half closed");
        let mut all = Vec::new();
        connection.read_to_end(&mut all).expect("read");
        all
    });
    let (guest, bytes) = (Guest::start(), noise(2 << 20));
    let mut host = guest.connect();
    let mut talk = dialed(&mut host, 1, &tcp(port), &bytes);
    talk.finish(&mut host, 1).expect("connected");
    assert!(talk.closed);
    assert_eq!(talk.stdout, b"bye");
    assert!(serving.join().expect("served") == bytes);
}

#[test]
fn a_server_is_found_whatever_address_it_is_bound_to() {
    for address in ["127.0.0.1", "::1", "::", "0.0.0.0", "127.0.0.2"] {
        let (port, serving) = server(address, mirror);
        let guest = Guest::start();
        let mut host = guest.connect();
        let mut talk = dialed(&mut host, 1, &tcp(port), b"hello");
        talk.finish(&mut host, 1).expect("connected");
        assert_eq!(talk.stdout, b"hello", "{address}");
        serving.join().expect("served");
    }
}

#[test]
fn a_port_where_nobody_listens_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let guest = Guest::start();
    let mut host = guest.connect();
    for (stream, call, words) in [(1, tcp(port), "TCP port"), (3, udp(port), "UDP port")] {
        let fault = host.ask(stream, &call).expect_err("nobody");
        assert_eq!(fault.code, FaultCode::Refused);
        assert!(fault.message.contains(words), "{fault}");
        assert!(fault.message.contains(&port.to_string()), "{fault}");
    }
}

#[test]
fn a_server_that_resets_breaks_the_stream_off() {
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let (port, serving) = server("127.0.0.1", move |connection| {
        // Once it is connected for the agent, too.
        may_go.recv().expect("told");
        let at_once = Some(std::time::Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&connection, at_once).expect("set");
    });
    let guest = Guest::start();
    let mut host = guest.connect();
    let mut talk = Talk::default();
    host.call(1, &tcp(port));
    talk.open(&mut host, 1).expect("sent");
    assert_eq!(host.answer(1), Ok(Answer::Done));
    go.send(()).expect("it serves");
    serving.join().expect("served");
    while talk.step(&mut host, 1).expect("connected") {}
    assert!(!talk.closed && talk.ends < 2, "no end in order");
}

#[test]
fn a_stream_that_is_closed_resets_its_connection() {
    let (port, serving) = server("127.0.0.1", |mut connection| {
        connection
            .read_to_end(&mut Vec::new())
            .map_err(|error| error.kind())
    });
    let guest = Guest::start();
    let mut host = guest.connect();
    assert_eq!(host.ask(1, &tcp(port)), Ok(Answer::Done));
    host.send(1, Kind::Close, &[]).expect("sent");
    assert_eq!(
        serving.join().expect("served"),
        Err(ErrorKind::ConnectionReset)
    );
}

#[test]
fn a_host_that_goes_away_takes_its_connections_with_it() {
    let (port, serving) = server("127.0.0.1", |mut connection| {
        connection
            .read_to_end(&mut Vec::new())
            .map_err(|error| error.kind())
    });
    let guest = Guest::start();
    let mut host = guest.connect();
    assert_eq!(host.ask(1, &tcp(port)), Ok(Answer::Done));
    drop(host);
    assert_eq!(
        serving.join().expect("served"),
        Err(ErrorKind::ConnectionReset)
    );
}

fn next_datagram(host: &mut Host, stream: u32) -> Vec<u8> {
    let mut datagrams = Datagrams::default();
    loop {
        match host.next().expect("connected") {
            (id, Kind::Data, bytes) if id == stream => datagrams.push(&bytes[1..]),
            (_, Kind::Credit | Kind::End, _) => {}
            other => panic!("{other:?}"),
        }
        if let Some(datagram) = datagrams.next().expect("possible") {
            return datagram.to_vec();
        }
    }
}

#[test]
fn datagrams_go_both_ways_one_by_one() {
    let echo = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let port = echo.local_addr().expect("bound").port();
    let serving = std::thread::spawn(move || {
        let mut bytes = vec![0; 65_536];
        for _ in 0..3 {
            let (count, peer) = echo.recv_from(&mut bytes).expect("received");
            echo.send_to(&bytes[..count], peer).expect("sent");
        }
    });
    let guest = Guest::start();
    let mut host = guest.connect();
    host.call(1, &udp(port));
    Talk::default().open(&mut host, 1).expect("sent");
    assert_eq!(host.answer(1), Ok(Answer::Done));
    for payload in [noise(20), vec![], noise(60_000)] {
        let prefix = datagram::prefix(&payload).expect("short");
        let data: &[&[u8]] = &[&[STDIN], &prefix, &payload];
        host.send(1, Kind::Data, data).expect("sent");
        assert_eq!(next_datagram(&mut host, 1), payload);
    }
    serving.join().expect("served");
}

#[test]
fn there_is_a_limit_on_how_many_and_each_end_gives_its_place_back() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let port = server.local_addr().expect("bound").port();
    let guest = Guest::start();
    let mut host = guest.connect();
    for stream in 1..=512 {
        assert_eq!(host.ask(stream, &udp(port)), Ok(Answer::Done), "{stream}");
    }
    let fault = host.ask(600, &udp(port)).expect_err("one too many");
    assert!(fault.message.contains("more than 512"), "{fault}");
    host.send(7, Kind::Close, &[]).expect("sent");
    let mut stream = 600;
    eventually("the place to be given back", || {
        stream += 1;
        host.ask(stream, &udp(port)).is_ok()
    });
}

mod t5 {
    use super::*;

    #[test]
    fn a_datagram_of_an_absurd_length_breaks_the_stream_off_and_nothing_else() {
        let server = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let port = server.local_addr().expect("bound").port();
        let guest = Guest::start();
        let mut host = guest.connect();
        assert_eq!(host.ask(1, &udp(port)), Ok(Answer::Done));
        assert_eq!(host.ask(3, &udp(port)), Ok(Answer::Done));
        let absurd = 0xffff_u16.to_le_bytes();
        host.send(1, Kind::Data, &[&[STDIN], &absurd])
            .expect("sent");
        loop {
            match host.next().expect("connected") {
                (1, Kind::Close, _) => break,
                (_, Kind::Credit | Kind::End, _) => {}
                other => panic!("{other:?}"),
            }
        }
        let whole: &[&[u8]] = &[&[STDIN], &2_u16.to_le_bytes(), b"ok"];
        host.send(3, Kind::Data, whole).expect("sent");
        let mut bytes = [0; 10];
        server
            .set_read_timeout(Some(std::time::Duration::from_secs(20)))
            .expect("set");
        assert_eq!(server.recv(&mut bytes).expect("received"), 2);
    }
}
