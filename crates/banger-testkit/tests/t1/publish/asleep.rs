//! Published ports of a machine that is suspended: who connects wakes it, and nobody is lost.

use super::{connect, listener, publish_in, publishing};
use banger_testkit::checks::publish::endpoint;
use banger_testkit::checks::run;
use banger_testkit::world::{LIMIT, kill};
use banger_testkit::{World, eventually};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

/// Serves one connection: tells it who it is, and gives back what it says.
fn echo(server: &TcpListener) {
    let (mut connection, _) = server.accept().expect("accepted");
    let mut said = [0; 5];
    connection.read_exact(&mut said).expect("read");
    connection.write_all(&said).expect("written");
}

fn suspend(world: &World) {
    let _ = world.run(["vm", "suspend", "v"]).good();
    assert_eq!(world.show("v")["state"], "suspended");
}

fn talk(at: SocketAddr, server: &TcpListener) {
    let mut client = connect(at);
    client.write_all(b"hello").expect("written");
    echo(server);
    let mut back = [0; 5];
    client.read_exact(&mut back).expect("read");
    assert_eq!(&back, b"hello");
}

#[test]
fn who_connects_to_a_suspended_machine_wakes_it_again_and_again() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    talk(at, &server);
    for _ in 0..3 {
        suspend(&world);
        assert_eq!(endpoint(&world, "v"), at, "it is shown as before");
        talk(at, &server);
        assert_eq!(world.show("v")["state"], "running");
    }
    let events = world.run(["vm", "events", "v"]).good().text();
    let told = |word: &str| events.lines().filter(|line| line.contains(word)).count();
    assert_eq!(told("suspended"), 3, "{events}");
    let _ = world.run(["vm", "rm", "v"]).good();
    let refused = TcpStream::connect(at).expect_err("closed");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    world.assert_nothing_left();
}

#[test]
fn many_who_come_at_once_wake_it_once_and_are_all_served() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    suspend(&world);
    let clients: Vec<_> = (0..20u8)
        .map(|index| {
            let mut client = connect(at);
            client.write_all(&[index; 5]).expect("written");
            client
        })
        .collect();
    for _ in &clients {
        echo(&server);
    }
    for (index, mut client) in (0u8..).zip(clients) {
        let mut back = [0; 5];
        client.read_exact(&mut back).expect("read");
        assert_eq!(back, [index; 5], "its own");
    }
    let events = world.run(["vm", "events", "v"]).good().text();
    let resumed = events.lines().filter(|line| line.contains("running"));
    assert!(resumed.count() <= 2, "{events}");
}

#[test]
fn a_datagram_wakes_it_and_arrives() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("bound");
    server.set_read_timeout(Some(LIMIT)).expect("set");
    let port = server.local_addr().expect("bound").port();
    let world = World::simulated();
    let asked = format!("0:{port}/udp");
    let _ = world.run(run(&["-d", "--name", "v", "-p", &asked])).good();
    let at = endpoint(&world, "v");
    suspend(&world);
    let client = UdpSocket::bind("127.0.0.1:0").expect("bound");
    client.set_read_timeout(Some(LIMIT)).expect("set");
    client.send_to(b"ping", at).expect("sent");
    let mut buffer = [0; 16];
    let (length, from) = server.recv_from(&mut buffer).expect("arrived");
    assert_eq!(&buffer[..length], b"ping");
    server.send_to(b"pong", from).expect("sent");
    let length = client.recv(&mut buffer).expect("came back");
    assert_eq!(&buffer[..length], b"pong");
    assert_eq!(world.show("v")["state"], "running");
}

#[test]
fn the_next_daemon_wakes_it_as_well() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    suspend(&world);
    world.kill_daemon();
    let refused = TcpStream::connect(at).expect_err("nobody is there");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(world.show("v")["state"], "suspended");
    eventually("its port to be open", LIMIT, || {
        TcpStream::connect(at).map(drop)
    });
    let served = std::thread::spawn(move || echo_until_said(&server));
    let mut client = connect(at);
    client.write_all(b"hello").expect("written");
    let mut back = [0; 5];
    client.read_exact(&mut back).expect("read");
    assert_eq!(&back, b"hello");
    served.join().expect("served");
}

/// As [`echo`]; who said nothing is forgotten.
fn echo_until_said(server: &TcpListener) {
    loop {
        let (mut connection, _) = server.accept().expect("accepted");
        let mut said = [0; 5];
        if connection.read_exact(&mut said).is_ok() {
            connection.write_all(&said).expect("written");
            return;
        }
    }
}

#[test]
fn who_wants_one_that_cannot_be_woken_is_reset_and_the_next_may_try_again() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    suspend(&world);
    let directory = world.show("v")["directory"].clone();
    let disk = std::path::Path::new(directory.as_str().expect("a path")).join("work.ext4");
    let away = disk.with_extension("away");
    std::fs::rename(&disk, &away).expect("moved");
    let mut client = connect(at);
    let reset = client.read(&mut [0; 1]).expect_err("turned away");
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    std::fs::rename(&away, &disk).expect("moved");
    match world.show("v")["state"].as_str() {
        Some("suspended") => talk(at, &server),
        other => panic!("it is {other:?}"),
    }
}

/// Its VMM has ended and its runtime directory is about to go: no other carrier can be had.
#[test]
fn a_carrier_that_is_lost_while_it_falls_asleep_loses_no_port() {
    let (server, port) = listener();
    let world = World::simulated().with_faults();
    let at = publish_in(&world, &port);
    let place = "remove-runtime-directory.before";
    world.watch_places("v");
    world.ask_fault("v", place, "hold");
    std::thread::scope(|scope| {
        scope.spawn(|| suspend(&world));
        eventually("it to be held", LIMIT, || {
            world.is_held("v", place).then_some(()).ok_or("not yet")
        });
        world.carriers().into_iter().for_each(kill);
        eventually(
            "the daemon to have given up on another carrier",
            LIMIT,
            || {
                let published = world.show("v")["publish"][0].to_string();
                let taken = TcpListener::bind(at).expect_err("nobody else gets it meanwhile");
                assert_eq!(taken.kind(), ErrorKind::AddrInUse);
                published
                    .contains("cannot be carried")
                    .then_some(())
                    .ok_or(published)
            },
        );
        world.lift_faults("v");
    });
    assert_eq!(endpoint(&world, "v"), at);
    talk(at, &server);
    assert_eq!(world.show("v")["state"], "running");
}

#[test]
fn a_daemon_stays_for_machines_that_it_may_have_to_wake() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    suspend(&world);
    let ran = world.run(["daemon", "stop", "--if-idle"]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("wait to be woken"), "{}", ran.stderr);
    talk(at, &server);
}
