//! What outlives the daemon, and what ends with whom.

use super::*;
use banger_testkit::world::{kill, signal};
use banger_testkit::{api, eventually};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::{Shutdown, UdpSocket};

fn reset(connection: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&connection, Some(Duration::ZERO)).expect("set");
    drop(connection);
}

/// Starts a daemon if there is none.
fn next_daemon(world: &World) {
    let _ = world.run(["vm", "list"]).good();
}

/// Waits until the port is open again, where it was.
fn open_again(world: &World, at: SocketAddr) {
    eventually("the port to be open again", LIMIT, || {
        match &world.show("v")["publish"][0] {
            one if one["open"] == true => Ok(()),
            one => Err(one.to_string()),
        }
    });
    assert_eq!(endpoint(world, "v"), at);
}

fn no_carrier(world: &World) {
    eventually("the carrier's end", LIMIT, || {
        match world.carriers().as_slice() {
            [] => Ok(()),
            some => Err(some.to_vec()),
        }
    });
}

#[test]
fn a_killed_daemon_breaks_no_connection_off_and_leaves_the_port_open() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let mut client = connect(at);
    let (mut connection, _) = server.accept().expect("accepted");
    connection.write_all(b"half").expect("written");
    client.read_exact(&mut [0; 4]).expect("read");
    world.kill_daemon();
    connection.write_all(b"whole").expect("written");
    client.write_all(b"asked").expect("written");
    // One that is made while nobody serves waits for the next daemon.
    let mut late = connect(at);
    late.write_all(b"late").expect("written");
    next_daemon(&world);
    let mut answer = [0; 5];
    client.read_exact(&mut answer).expect("read");
    assert_eq!(&answer, b"whole");
    connection.read_exact(&mut answer).expect("read");
    assert_eq!(&answer, b"asked");
    let (mut second, _) = server.accept().expect("accepted");
    second.read_exact(&mut [0; 4]).expect("read");
    drop(second);
    late.shutdown(Shutdown::Write).expect("half closed");
    assert_eq!(late.read_to_end(&mut Vec::new()).expect("in order"), 0);
    assert_eq!(endpoint(&world, "v"), at);
}

#[test]
fn ends_of_each_way_that_come_while_no_daemon_runs_are_passed_on() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let mut client = connect(at);
    let (mut connection, _) = server.accept().expect("accepted");
    world.kill_daemon();
    client.write_all(b"question").expect("written");
    client.shutdown(Shutdown::Write).expect("half closed");
    next_daemon(&world);
    let mut all = Vec::new();
    connection.read_to_end(&mut all).expect("read");
    assert_eq!(all, b"question");
    world.kill_daemon();
    connection.write_all(b"answer").expect("written");
    drop(connection);
    next_daemon(&world);
    let mut all = Vec::new();
    client.read_to_end(&mut all).expect("ended in order");
    assert_eq!(all, b"answer");
}

#[test]
fn resets_that_come_while_no_daemon_runs_are_resets() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let client = connect(at);
    let (mut connection, _) = server.accept().expect("accepted");
    connection.set_read_timeout(Some(LIMIT)).expect("set");
    let mut second_client = connect(at);
    let (second, _) = server.accept().expect("accepted");
    // Both are connected for everybody once bytes have gone through.
    for (mut from, mut to) in [(&client, &connection), (&second_client, &second)] {
        from.write_all(b"x").expect("written");
        to.read_exact(&mut [0]).expect("read");
    }
    world.kill_daemon();
    reset(client);
    reset(second);
    next_daemon(&world);
    let ended = connection.read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
    let ended = second_client.read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
}

#[test]
fn a_flow_of_datagrams_keeps_its_place_in_the_guest() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("bound");
    server.set_read_timeout(Some(LIMIT)).expect("set");
    let port = server.local_addr().expect("bound").port();
    let (world, at) = publishing(&format!("{port}/udp"));
    let client = UdpSocket::bind("127.0.0.1:0").expect("bound");
    client.set_read_timeout(Some(LIMIT)).expect("set");
    client.connect(at).expect("connected");
    client.send(b"before").expect("sent");
    let (_, before) = server.recv_from(&mut [0; 10]).expect("received");
    world.kill_daemon();
    client.send(b"meanwhile").expect("sent");
    next_daemon(&world);
    let mut bytes = [0; 10];
    let (count, after) = server.recv_from(&mut bytes).expect("received");
    assert_eq!((&bytes[..count], after), (&b"meanwhile"[..], before));
    server.send_to(b"back", after).expect("sent");
    let count = client.recv(&mut bytes).expect("received");
    assert_eq!(&bytes[..count], b"back");
}

#[test]
fn a_machine_without_published_ports_has_no_carrier() {
    let (server, port) = listener();
    let world = World::simulated();
    banger_testkit::checks::start(&world, "v");
    assert!(world.carriers().is_empty());
    let asked = format!("0:{port}");
    let published = world
        .run(["vm", "publish", "-q", "v", &asked])
        .good()
        .text();
    let at: SocketAddr = published.trim().parse().expect("an address");
    assert_eq!(world.carriers().len(), 1);
    let mut client = connect(at);
    let (mut connection, _) = server.accept().expect("accepted");
    connection.set_read_timeout(Some(LIMIT)).expect("set");
    let _ = world
        .run(["vm", "unpublish", "v", &at.port().to_string()])
        .good();
    assert!(is_closed(at));
    let ended = client.read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
    let ended = connection.read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
    no_carrier(&world);
}

#[test]
fn one_port_that_is_unpublished_is_closed_and_the_others_go_on() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let asked = format!("127.0.0.2:0:{port}");
    let published = world
        .run(["vm", "publish", "-q", "v", &asked])
        .good()
        .text();
    let other: SocketAddr = published.trim().parse().expect("an address");
    let mut client = connect(at);
    let (mut connection, _) = server.accept().expect("accepted");
    let mut gone = connect(other);
    let (_second, _) = server.accept().expect("accepted");
    world.kill_daemon();
    let _ = world
        .run(["vm", "unpublish", "v", &other.port().to_string()])
        .good();
    assert!(is_closed(other));
    let ended = gone.read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
    connection.write_all(b"x").expect("written");
    client.read_exact(&mut [0]).expect("read");
    assert_eq!(world.carriers().len(), 1);
}

#[test]
fn a_stop_or_deletion_by_the_next_daemon_leaves_no_carrier() {
    for verb in ["stop", "delete"] {
        let (server, port) = listener();
        let (world, at) = publishing(&port);
        let mut client = connect(at);
        let (_connection, _) = server.accept().expect("accepted");
        world.kill_daemon();
        let _ = world.run(["vm", verb, "v"]).good();
        let ended = client.read(&mut [0; 10]);
        assert!(is_reset(&ended), "{ended:?}");
        assert!(is_closed(at), "{verb}");
        no_carrier(&world);
    }
}

#[test]
fn a_vmm_that_ends_without_a_daemon_takes_its_carrier_along() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let mut client = connect(at);
    let (_connection, _) = server.accept().expect("accepted");
    let vmm = world.vmms()[0];
    world.kill_daemon();
    kill(vmm);
    let ended = client.read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
    no_carrier(&world);
    assert!(is_closed(at));
}

#[test]
fn a_carrier_that_is_killed_resets_its_connections_and_another_has_the_port() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let (mut client, mut connection) = connected(&server, at);
    let first = world.carriers();
    kill(first[0]);
    let ended = client.read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
    let ended = connection.read(&mut [0; 10]);
    assert!(is_reset(&ended), "the guest forgets it: {ended:?}");
    open_again(&world, at);
    assert!(world.carriers() != first);
}

#[test]
fn carrier_and_daemon_that_are_killed_together_leave_nothing_in_the_guest() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let (mut client, mut connection) = connected(&server, at);
    world.kill_daemon();
    kill(world.carriers()[0]);
    let ended = client.read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
    next_daemon(&world);
    let ended = connection.read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
    open_again(&world, at);
}

#[test]
fn a_carrier_that_stands_still_is_replaced_by_the_next_daemon() {
    let (world, at) = publishing("80");
    let stuck = world.carriers()[0];
    world.kill_daemon();
    signal(stuck, Signal::STOP);
    next_daemon(&world);
    open_again(&world, at);
    assert!(!world.carriers().contains(&stuck));
}

#[test]
fn what_the_next_daemon_shows_first_is_what_it_has_found() {
    let (world, at) = publishing("80");
    let slow = world.carriers()[0];
    world.kill_daemon();
    signal(slow, Signal::STOP);
    std::thread::scope(|scope| {
        let shown = scope.spawn(|| endpoint(&world, "v"));
        eventually("the next daemon", LIMIT, || api::get(&world, "/v1/version"));
        signal(slow, Signal::CONT);
        assert_eq!(shown.join().expect("open"), at);
    });
    assert_eq!(world.carriers(), [slow]);
}

#[test]
fn a_carrier_that_stands_still_is_replaced_when_another_port_is_published() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let stuck = world.carriers()[0];
    signal(stuck, Signal::STOP);
    let asked = format!("127.0.0.2:0:{port}");
    let published = world.run(["vm", "publish", "-q", "v", &asked]).good();
    let other: SocketAddr = published.text().trim().parse().expect("an address");
    for at in [at, other] {
        let _ = connected(&server, at);
    }
    let carriers = world.carriers();
    assert!(carriers.len() == 1 && carriers != [stuck], "{carriers:?}");
}

#[test]
fn a_port_without_a_carrier_says_why_and_is_open_again_where_it_was_once_there_can_be_one() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let id = world.show("v")["id"].as_str().expect("an id").to_owned();
    let sockets = world.path("run").join("banger/vm").join(&id[..8]);
    let socket = sockets.join("carry.sock");
    std::fs::remove_file(&socket).expect("there");
    std::fs::create_dir(&socket).expect("made");
    kill(world.carriers()[0]);
    eventually("the port to be in trouble", LIMIT, || {
        let trouble = world.show("v")["publish"][0]["trouble"].to_string();
        match trouble.contains("cannot be carried") {
            true => Ok(()),
            false => Err(trouble),
        }
    });
    let taken = TcpListener::bind(at).expect_err("nobody else gets it meanwhile");
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    let waited = connect(at).read(&mut [0]);
    assert!(is_reset(&waited), "it is turned away: {waited:?}");
    std::fs::remove_dir(&socket).expect("empty");
    open_again(&world, at);
    let _ = connected(&server, at);
}

#[test]
fn a_restart_of_the_guest_keeps_the_port_and_its_carrier() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let carriers = world.carriers();
    let _ = world.run(["vm", "restart", "v"]).good();
    assert_eq!(world.carriers(), carriers);
    // It stays with the guest that there is now, and the next daemon finds it.
    world.kill_daemon();
    next_daemon(&world);
    assert_eq!(world.carriers(), carriers);
    let mut client = connect(at);
    let (mut connection, _) = server.accept().expect("accepted");
    connection.write_all(b"x").expect("written");
    client.read_exact(&mut [0]).expect("read");
}

#[test]
fn a_carrier_takes_little_memory_and_one_that_is_full_no_more_than_its_credit() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let carrier = world.carriers()[0];
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{carrier}/status")).expect("there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.expect("a line").trim().trim_end_matches(" kB");
        number.parse::<u64>().expect("a number")
    };
    let idle = memory();
    let clients: Vec<_> = (0..20).map(|_| connect(at)).collect();
    let served: Vec<_> = (0..20)
        .map(|_| server.accept().expect("accepted").0)
        .collect();
    world.kill_daemon();
    for mut client in &clients {
        client.set_nonblocking(true).expect("set");
        while client.write(&[7; 65_536]).is_ok() {}
    }
    next_daemon(&world);
    drop(served);
    let full = memory();
    println!("a carrier takes {idle} KiB, {full} KiB when 20 connections were full");
    assert!(idle < 30 * 1024, "{idle} KiB");
    assert!(full < idle + 20 * 1024, "{full} KiB after {idle}");
}
