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
fn a_connection_during_a_broken_link_waits_for_the_next_and_older_ones_go_on() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let mut old = connect(at);
    let (mut first, _) = server.accept().expect("accepted");
    let taken = take_the_port(&world);
    first.write_all(b"y").expect("written");
    old.read_exact(&mut [0]).expect("read");
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
