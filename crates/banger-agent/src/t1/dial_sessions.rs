//! Connections to ports of the guest that outlive the host's daemon.

use super::exec::{noise, refused};
use super::host::Host;
use super::resume::resumption;
use super::{Guest, Talk, eventually};
use banger_proto::fault::FaultCode;
use banger_proto::guest::frame::Kind;
use banger_proto::guest::message::{Answer, Call, SessionId};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

const SESSION: SessionId = [1; 16];

const fn dial(port: u16) -> Call {
    Call::DialSession {
        session: SESSION,
        udp: false,
        port,
    }
}

const fn attach(from: u64) -> Call {
    Call::AttachDial {
        session: SESSION,
        from,
    }
}

fn server<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let serving = std::thread::spawn(move || serve(listener.accept().expect("accepted").0));
    (port, serving)
}

/// How a connection that is read to its end ends.
fn ending(mut connection: TcpStream) -> Result<usize, ErrorKind> {
    let read = connection.read_to_end(&mut Vec::new());
    read.map_err(|error| error.kind())
}

/// Takes a connection up again where it was.
fn go_on(host: &mut Host, mut talk: Talk) -> Talk {
    let answer = host.ask(1, &attach(talk.stdout.len() as u64));
    let Ok(Answer::Attached(attached)) = answer else {
        panic!("{answer:?}");
    };
    talk.input.resume(attached.stdin).expect("possible");
    talk.open(host, 1).expect("sent");
    talk
}

#[test]
fn a_connection_outlives_the_link_and_nothing_is_lost_or_doubled() {
    let (port, serving) = server(|mut connection| {
        let mut back = connection.try_clone().expect("cloned");
        std::io::copy(&mut connection, &mut back).expect("sent back");
    });
    let (guest, input) = (Guest::start(), noise(6 << 20));
    let mut host = guest.connect();
    let mut talk = Talk::with_input(&input);
    host.call(1, &dial(port));
    talk.open(&mut host, 1).expect("sent");
    for round in 1..=12_u64 {
        // Lets some frames pass, then drops the link in the middle of whatever it does.
        let mut over = false;
        for _ in 0..20 + round * 3 {
            over = over || !talk.step(&mut host, 1).expect("connected");
        }
        if over {
            break;
        }
        drop(host);
        host = guest.connect_as(round + 1, b"");
        talk = go_on(&mut host, talk);
    }
    if !talk.closed {
        talk.finish(&mut host, 1).expect("connected");
    }
    assert!(talk.closed, "it ended in order");
    assert!(talk.stdout == input, "{} came back", talk.stdout.len());
    serving.join().expect("served");
}

#[test]
fn an_end_waits_for_whoever_comes_back_until_it_is_forgotten() {
    let (port, serving) = server(|mut connection| {
        connection.write_all(b"kept").expect("written");
        ending(connection)
    });
    let guest = Guest::start();
    let mut host = guest.connect();
    for connection in 1..4 {
        // Nothing was acknowledged: the same call again attaches from the beginning.
        let mut talk = Talk::with_input(b"");
        host.call(1, &dial(port));
        talk.open(&mut host, 1).expect("sent");
        talk.finish(&mut host, 1).expect("connected");
        assert!(talk.closed);
        assert_eq!(talk.stdout, b"kept");
        host = guest.connect_as(connection + 1, b"");
    }
    assert_eq!(serving.join().expect("served"), Ok(0));
    assert_eq!(host.ask(2, &Call::Forget(SESSION)), Ok(Answer::Done));
    assert_eq!(refused(host.ask(3, &attach(0))).0, FaultCode::NotFound);
}

#[test]
fn a_stream_that_is_closed_leaves_the_connection_and_forgetting_resets_it() {
    let (port, serving) = server(ending);
    let guest = Guest::start();
    let mut host = guest.connect();
    assert!(host.ask(1, &dial(port)).is_ok());
    host.send(1, Kind::Close, &[]).expect("sent");
    assert!(host.ask(2, &attach(0)).is_ok(), "it is there");
    assert!(!serving.is_finished());
    assert_eq!(host.ask(3, &Call::Forget(SESSION)), Ok(Answer::Done));
    assert_eq!(
        serving.join().expect("served"),
        Err(ErrorKind::ConnectionReset)
    );
}

#[test]
fn all_but_those_that_are_named_are_forgotten() {
    let (port, serving) = server(ending);
    let guest = Guest::start();
    let mut host = guest.connect();
    assert!(host.ask(1, &dial(port)).is_ok());
    assert_eq!(
        host.ask(2, &Call::KeepDials(vec![SESSION, [2; 16]])),
        Ok(Answer::Done)
    );
    assert!(host.ask(3, &attach(0)).is_ok(), "it was kept");
    assert_eq!(host.ask(4, &Call::KeepDials(vec![])), Ok(Answer::Done));
    assert_eq!(
        serving.join().expect("served"),
        Err(ErrorKind::ConnectionReset)
    );
}

#[test]
fn a_guest_that_goes_on_from_saved_memory_forgets_whoever_was_connected_then() {
    for keeps_sessions in [true, false] {
        let (port, serving) = server(ending);
        let guest = Guest::start();
        let mut host = guest.connect();
        assert!(host.ask(1, &dial(port)).is_ok());
        drop(host);
        let mut host = guest.connect_as(2, b"");
        let resumed = host.ask(1, &Call::Resumed(resumption(keeps_sessions)));
        assert!(matches!(resumed, Ok(Answer::Configured(_))), "{resumed:?}");
        assert_eq!(refused(host.ask(2, &attach(0))).0, FaultCode::NotFound);
        let ended = serving.join().expect("served");
        assert_eq!(ended, Err(ErrorKind::ConnectionReset));
    }
}

#[test]
fn a_reset_while_nobody_was_attached_is_told_to_whoever_comes_back() {
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let (port, serving) = server(move |connection| {
        may_go.recv().expect("told");
        let at_once = Some(std::time::Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&connection, at_once).expect("set");
    });
    let guest = Guest::start();
    let mut host = guest.connect();
    assert!(host.ask(1, &dial(port)).is_ok());
    drop(host);
    go.send(()).expect("it serves");
    serving.join().expect("served");
    let mut connection = 1;
    eventually("the reset to be told", || {
        connection += 1;
        let mut host = guest.connect_as(connection, b"");
        match host.ask(1, &attach(0)) {
            // The agent has not seen it yet.
            Ok(_) => false,
            Err(fault) => fault.code == FaultCode::Failed,
        }
    });
}

#[test]
fn an_offset_that_cannot_be_is_refused_and_a_refused_connection_is_forgotten() {
    let (port, _serving) = server(ending);
    let guest = Guest::start();
    let mut host = guest.connect();
    assert!(host.ask(1, &dial(port)).is_ok());
    assert_eq!(refused(host.ask(2, &attach(9))).0, FaultCode::Refused);
    let free = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let session = [7; 16];
    let nobody = Call::DialSession {
        session,
        udp: false,
        port,
    };
    assert_eq!(refused(host.ask(3, &nobody)).0, FaultCode::Refused);
    let again = Call::AttachDial { session, from: 0 };
    assert_eq!(refused(host.ask(4, &again)).0, FaultCode::NotFound);
}
