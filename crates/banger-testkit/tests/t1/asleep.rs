//! A machine on the bridge that is suspended, woken by who asks for its name.

use crate::resolver::until_it_asks;
use banger_testkit::World;
use banger_testkit::checks::start;
use banger_testkit::world::LIMIT;
use serde_json::json;
use std::net::UdpSocket;
use std::time::Instant;

/// A query for the IPv4 addresses of `NAME.vm` (RFC 1035 section 4.1).
fn query(name: &str) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [name, "vm"] {
        bytes.push(u8::try_from(label.len()).expect("short"));
        bytes.extend(label.bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

/// The response code, and the last four bytes of an answer: its only address.
fn resolve(port: u16, name: &str) -> (u8, Option<[u8; 4]>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    socket.set_read_timeout(Some(LIMIT)).expect("set");
    socket
        .send_to(&query(name), ("127.0.0.1", port))
        .expect("sent");
    let mut bytes = [0; 512];
    let length = socket.recv(&mut bytes).expect("an answer");
    let address = bytes[..length].last_chunk().copied();
    (bytes[3] & 0xF, address.filter(|_| bytes[7] == 1))
}

fn address(world: &World, name: &str) -> [u8; 4] {
    let shown = world.show(name)["addresses"][0].clone();
    let address: std::net::Ipv4Addr = shown.as_str().expect("one").parse().expect("IPv4");
    address.octets()
}

const NO_SUCH_NAME: u8 = 3;

#[test]
fn who_asks_for_its_name_is_answered_once_it_runs() {
    let world = World::simulated_bridged();
    for name in ["a", "b"] {
        start(&world, name);
    }
    let port = until_it_asks(&world);
    let own = address(&world, "a");
    assert_eq!(resolve(port, "a"), (0, Some(own)));
    let _ = world.run(["vm", "suspend", "a"]).good();
    assert_eq!(
        world.show("a")["addresses"],
        json!(null),
        "its place is free"
    );
    assert_eq!(resolve(port, "a"), (0, Some(own)), "the address is its own");
    assert_eq!(world.show("a")["state"], "running");
    // One that is stopped is not started by its name.
    let _ = world.run(["vm", "stop", "a"]).good();
    assert_eq!(resolve(port, "a").0, NO_SUCH_NAME);
    assert_eq!(world.show("a")["state"], "stopped");
    assert_eq!(resolve(port, "nobody").0, NO_SUCH_NAME);
}

/// Nobody runs: the bridge and the names are there all the same, for whoever asks.
#[test]
fn the_next_daemon_wakes_it_too_and_it_is_forgotten_with_its_deletion() {
    let world = World::simulated_bridged();
    start(&world, "a");
    until_it_asks(&world);
    let own = address(&world, "a");
    let _ = world.run(["vm", "suspend", "a"]).good();
    world.kill_daemon();
    let _ = world.run(["ps"]).good();
    let port = until_it_asks(&world);
    assert_eq!(resolve(port, "a"), (0, Some(own)));
    let _ = world.run(["vm", "suspend", "a"]).good();
    let _ = world.run(["vm", "rm", "a"]).good();
    assert_eq!(resolve(port, "a").0, NO_SUCH_NAME);
    world.stop_daemon();
    world.assert_nothing_left();
}

/// What cannot go on is not said to be no name: whoever asks may ask again.
#[test]
fn one_that_cannot_be_woken_is_said_to_fail() {
    let world = World::simulated_bridged();
    start(&world, "a");
    let port = until_it_asks(&world);
    let _ = world.run(["vm", "suspend", "a"]).good();
    world.scenario("silent");
    let begun = Instant::now();
    assert_eq!(resolve(port, "a"), (2, None));
    assert!(begun.elapsed() < LIMIT);
}
