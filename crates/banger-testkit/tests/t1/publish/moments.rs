//! Snapshots, suspending, restoring and forking of a machine whose port somebody is connected to.

use super::*;
use std::io::Read;

/// As [`super::publishing`], with little to save.
fn publishing(guest: &str) -> (World, SocketAddr) {
    let world = World::simulated();
    world.configure_small("");
    let asked = format!("0:{guest}");
    good(&world, &run(&["-d", "--name", "v", "-p", &asked]));
    let at = endpoint(&world, "v");
    (world, at)
}

fn both_are_reset((mut client, mut connection): (TcpStream, TcpStream)) {
    let ended = client.read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
    // The simulated guest is the host: what its VMM had ends with that.
    let ended = connection.read(&mut [0; 10]);
    assert!(!matches!(ended, Ok(1..)), "{ended:?}");
}

fn good(world: &World, arguments: &[&str]) {
    let _ = world.run(arguments).good();
}

/// Connections of a machine outlive its daemon, as those of one that was never saved; then it is deleted.
fn outlive_a_daemon(world: &World, server: &TcpListener, at: SocketAddr) {
    let (client, connection) = connected(server, at);
    world.kill_daemon();
    good(world, &["vm", "list"]);
    passes(&client, &connection);
    drop((client, connection));
    good(world, &["vm", "delete", "v"]);
    world.assert_nothing_left();
}

#[test]
fn a_suspended_machine_has_no_carrier_and_one_that_goes_on_has_the_same_ports() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let pair = connected(&server, at);
    good(&world, &["vm", "suspend", "v"]);
    both_are_reset(pair);
    assert!(world.carriers().is_empty());
    assert_eq!(endpoint(&world, "v"), at, "who comes wakes it");
    good(&world, &["vm", "resume", "v"]);
    assert_eq!(endpoint(&world, "v"), at);
    outlive_a_daemon(&world, &server, at);
}

#[test]
fn connections_go_on_over_a_snapshot_and_end_when_the_machine_is_taken_back_to_it() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let (client, connection) = connected(&server, at);
    good(&world, &["vm", "snapshot", "v", "good"]);
    passes(&client, &connection);
    good(&world, &["vm", "restore", "v", "good"]);
    both_are_reset((client, connection));
    assert_eq!(endpoint(&world, "v"), at);
    assert_eq!(world.carriers().len(), 1);
    outlive_a_daemon(&world, &server, at);
}

#[test]
fn connections_of_a_machine_go_on_while_it_is_forked_and_are_not_the_forks() {
    let (server, port) = listener();
    let (world, at) = publishing(&port);
    let (client, connection) = connected(&server, at);
    good(&world, &["vm", "fork", "v", "--name", "without"]);
    passes(&client, &connection);
    assert_eq!(world.carriers().len(), 1, "the fork publishes nothing");
    let asked = format!("0:{port}");
    let fork = ["vm", "fork", "v", "--name", "with", "-p", &asked];
    good(&world, &fork);
    assert_eq!(world.carriers().len(), 2);
    let of_fork = connected(&server, endpoint(&world, "with"));
    good(&world, &["vm", "delete", "v"]);
    both_are_reset((client, connection));
    passes(&of_fork.0, &of_fork.1);
    drop(of_fork);
    good(&world, &["vm", "delete", "with", "without"]);
    world.assert_nothing_left();
}
