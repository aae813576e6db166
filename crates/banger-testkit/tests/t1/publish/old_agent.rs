//! Agents that do not know published ports, or lie about their bytes.

use super::*;
use banger_testkit::checks::start;
use std::io::Read;
use std::net::UdpSocket;

#[test]
fn an_agent_of_an_older_banger_is_told_with_its_remedy() {
    let world = World::simulated();
    world.scenario("old-agent");
    start(&world, "v");
    let ran = world.run(["vm", "publish", "v", "0:80"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("older banger"), "{}", ran.stderr);
    assert!(ran.stderr.contains("banger vm restart v"), "{}", ran.stderr);
    assert_eq!(world.show("v")["publish"].as_array().map(Vec::len), Some(0));
    world.scenario("");
    let _ = world.run(["vm", "restart", "v"]).good();
    let _ = world.run(["vm", "publish", "v", "0:80"]).good();
}

#[test]
fn a_port_that_was_published_before_an_old_agent_came_resets_its_clients() {
    let world = World::simulated();
    world.scenario("old-agent");
    let _ = world.run(run(&["-d", "--name", "v", "-p", "0:80"])).good();
    let ended = connect(endpoint(&world, "v")).read(&mut [0; 10]);
    assert!(is_reset(&ended), "{ended:?}");
}

#[test]
fn datagrams_of_absurd_lengths_end_their_flow_and_nothing_else() {
    let world = World::simulated();
    world.scenario("lying-dial");
    let _ = world
        .run(run(&["-d", "--name", "v", "-p", "0:53/udp"]))
        .good();
    let at = endpoint(&world, "v");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let pid = world.daemon();
    let log = world.state().join("bangerd.log");
    banger_testkit::eventually("the lie to be told in the log", LIMIT, || {
        socket.send_to(b"hello", at).expect("sent");
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        if text.contains("a datagram of 65535 bytes") {
            Ok(())
        } else {
            Err(text.len())
        }
    });
    assert_eq!(world.daemon(), pid);
    let ran = world.run(["vm", "health", "v"]);
    assert_eq!(ran.code, Some(0), "the link goes on: {ran:?}");
    assert!(daemon_memory(&world) < 60 * 1024);
}
