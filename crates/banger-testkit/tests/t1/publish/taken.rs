//! Ports that somebody has, and what is open when.

use super::*;
use banger_testkit::checks::publish::{ended_from_there, mirrored};
use banger_testkit::world::kill;
use banger_testkit::{checks, eventually};
use std::net::{Ipv4Addr, UdpSocket};

fn port_of(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("bound").port()
}

#[test]
fn a_taken_port_refuses_the_start_before_anything_is_made_and_names_who() {
    let world = World::simulated();
    let holder = TcpListener::bind("127.0.0.1:0").expect("bound");
    let asked = format!("{}:80", port_of(&holder));
    let own = format!("(pid {})", std::process::id());
    checks::refusal::refused(&world, &["-p", &asked, "--", "true"], &own);
    let udp = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let asked = format!("{}:53/udp", udp.local_addr().expect("bound").port());
    checks::refusal::refused(&world, &["-p", &asked, "--", "true"], &own);
    checks::refusal::refused(
        &world,
        &["-p", "192.0.2.1:8080:80", "-d"],
        "no address of this host",
    );
    checks::refusal::refused(
        &world,
        &["-p", "8080", "-p", "0.0.0.0:8080:80", "-d"],
        "the same port",
    );
}

#[test]
fn a_stopped_sandbox_whose_port_was_taken_says_so_and_starts_when_it_is_free() {
    let (world, at) = publishing("80");
    let asked = format!("{}:81", free_port());
    let shown = world
        .run(["vm", "publish", "-q", "v", &asked])
        .good()
        .text();
    let fixed: SocketAddr = shown.trim().parse().expect("an address");
    let _ = world.run(["vm", "stop", "v"]).good();
    assert!(is_closed(at) && is_closed(fixed));
    let holder = TcpListener::bind(fixed).expect("free");
    let id = world.show("v")["id"].as_str().expect("an id").to_owned();
    let log = world.state().join("sandboxes").join(id).join("vmm.log");
    let before = std::fs::read(&log).expect("of its first run");
    let ran = world.run(["vm", "start", "v"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("has that port"), "{}", ran.stderr);
    let after = std::fs::read(&log).expect("there");
    assert!(after == before, "a VMM was started");
    assert_eq!(world.show("v")["state"], "stopped");
    assert!(is_closed(at), "all or none");
    drop(holder);
    let _ = world.run(["vm", "start", "v"]).good();
    assert_eq!(endpoint(&world, "v"), at, "the port that was found before");
    assert!(!is_closed(fixed));
}

#[test]
fn a_second_sandbox_with_the_same_port_is_told_the_first() {
    let world = World::simulated();
    let asked = format!("{}:80", free_port());
    let _ = world
        .run(run(&["-d", "--name", "first", "-p", &asked]))
        .good();
    let everywhere = format!("0.0.0.0:{asked}");
    for asked in [&asked, &everywhere] {
        let ran = world.run(run(&["-d", "--name", "second", "-p", asked]));
        assert_eq!(ran.code, Some(125), "{ran:?}");
        assert!(
            ran.stderr.contains("by the sandbox first"),
            "{}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains("banger vm unpublish first"),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(world.names(), ["first"]);
    let _ = world.run(["vm", "stop", "first"]).good();
    let _ = world
        .run(run(&["-d", "--name", "second", "-p", &asked]))
        .good();
}

#[test]
fn what_is_published_on_a_stopped_sandbox_is_open_from_its_next_start() {
    let world = World::simulated();
    let created = ["vm", "create", "--no-start", "--name", "v", "-p", "0:80"];
    let _ = world.run(created).good();
    let _ = world.run(["vm", "publish", "v", "0:81/udp"]).good();
    let is_open = |index: usize| world.show("v")["publish"][index]["open"] == true;
    assert!(!is_open(0) && !is_open(1));
    let _ = world.run(["vm", "start", "v"]).good();
    let at = endpoint(&world, "v");
    assert!(is_open(1));
    assert!(!is_closed(at));
    let again = world
        .run(["vm", "publish", "-q", "v", "0:80"])
        .good()
        .text();
    assert_eq!(again.trim(), at.to_string(), "it was so already");
    let ran = world.run(["vm", "unpublish", "v", "1"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("does not publish 1"), "{}", ran.stderr);
    let _ = world.run(["vm", "kill", "v"]).good();
    assert!(is_closed(at));
    let _ = world.run(["vm", "rm", "v"]).good();
    world.assert_nothing_left();
}

#[test]
fn one_port_of_the_guest_may_be_published_more_than_once() {
    let (server, port) = listener();
    let (world, first) = publishing(&port);
    std::thread::spawn(move || {
        for connection in server.incoming() {
            drop(connection);
        }
    });
    let all = format!("0.0.0.0:0:{port}");
    let six = format!("[::1]:0:{port}");
    let shown = world
        .run(["vm", "publish", "-q", "v", &all, &six])
        .good()
        .text();
    let mut places: Vec<SocketAddr> = shown
        .lines()
        .map(|line| line.parse().expect(line))
        .collect();
    assert!(
        places[0].ip() == Ipv4Addr::UNSPECIFIED && places[1].is_ipv6(),
        "{places:?}"
    );
    places[0].set_ip(Ipv4Addr::LOCALHOST.into());
    places.push(first);
    for at in places {
        assert_eq!(mirrored(at, b"").expect("carried"), b"", "{at}");
    }
}

#[test]
fn a_new_daemon_has_the_same_ports_and_one_that_was_taken_as_soon_as_it_is_free() {
    let (world, chosen) = publishing("80");
    let asked = format!("{}:81", free_port());
    let fixed = world
        .run(["vm", "publish", "-q", "v", &asked])
        .good()
        .text();
    let fixed: SocketAddr = fixed.trim().parse().expect("an address");
    world.kill_daemon();
    world.carriers().into_iter().for_each(kill);
    let holders = [chosen, fixed]
        .map(|at| eventually("the port to be free", LIMIT, || TcpListener::bind(at)));
    let shown = world.show("v");
    for one in [0, 1] {
        let trouble = shown["publish"][one]["trouble"].as_str().expect("trouble");
        assert!(trouble.contains("has that port"), "{trouble}");
    }
    assert_eq!(shown["publish"][0]["port"], chosen.port(), "no other");
    assert_eq!(shown["state"], "running");
    let _ = world.run(["vm", "publish", "v", "0:82"]).good();
    drop(holders);
    eventually("the ports to be open again", LIMIT, || {
        let shown = world.show("v");
        match [0, 1].map(|one| shown["publish"][one]["open"] == true) {
            [true, true] => Ok(()),
            _ => Err(shown["publish"].to_string()),
        }
    });
    for at in [chosen, fixed] {
        ended_from_there(at).expect("carried, so that it stays without a daemon");
    }
    world.stop_daemon();
    assert!(!is_closed(chosen), "it is open without a daemon");
    assert_eq!(endpoint(&world, "v"), chosen);
}
