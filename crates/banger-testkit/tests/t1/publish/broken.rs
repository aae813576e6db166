//! What comes while the link to the agent is broken.

use super::*;
use banger_testkit::world::signal;
use rustix::process::Signal;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// Takes the agent's port from the daemon, as far as a simulated guest lets whoever connects.
fn take_the_port(world: &World) -> UnixStream {
    let id = world.show("v")["id"].as_str().expect("an id").to_owned();
    let socket = world
        .path("run/banger/vm")
        .join(&id[..8])
        .join("agent.sock");
    UnixStream::connect(socket).expect("connected")
}

#[test]
fn a_connection_during_a_broken_link_waits_for_the_next_and_older_ones_are_reset() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let mut old = connect(at);
    let (_first, _) = server.accept().expect("accepted");
    let taken = take_the_port(&world);
    let ended = old.read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
    let mut new = connect(at);
    let (mut connection, _) = server.accept().expect("accepted");
    connection.write_all(b"x").expect("written");
    new.read_exact(&mut [0]).expect("read");
    drop(taken);
}

#[test]
fn a_guest_that_stands_still_holds_its_own_connections_only() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let guest = world.vmms()[0];
    signal(guest, Signal::STOP);
    let mut client = connect(at);
    assert_eq!(world.show("v")["state"], "running");
    signal(guest, Signal::CONT);
    let (mut connection, _) = server.accept().expect("accepted");
    connection.write_all(b"x").expect("written");
    client.read_exact(&mut [0]).expect("read");
}

#[test]
fn a_killed_guest_resets_its_connections_and_closes_its_ports() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let mut client = connect(at);
    let (_connection, _) = server.accept().expect("accepted");
    signal(world.vmms()[0], Signal::KILL);
    let ended = client.read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
    banger_testkit::eventually("the port to be closed", LIMIT, || {
        if is_closed(at) {
            Ok(())
        } else {
            Err("it is open")
        }
    });
}

#[test]
fn a_killed_daemon_breaks_connections_off_instead_of_ending_them() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let mut client = connect(at);
    let (mut connection, _) = server.accept().expect("accepted");
    connection.write_all(b"half").expect("written");
    client.read_exact(&mut [0; 4]).expect("read");
    world.kill_daemon();
    let ended = client.read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
    // The next daemon opens the port again, and a whole answer ends in order.
    let _ = world.run(["vm", "list"]).good();
    let mut client = connect(at);
    let (mut connection, _) = server.accept().expect("accepted");
    connection.write_all(b"whole").expect("written");
    drop(connection);
    client.shutdown(std::net::Shutdown::Write).expect("ended");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("ended in order");
    assert_eq!(answer, b"whole");
}
