//! Bridged networking of the whole daemon: its helper, the real judge and what it does, on a host in
//! memory that outlives both.

use banger_linux::seqpacket::Connection;
use banger_proto::root::{Answer, Outcome, PACKET_MAX, Reply, Request, Survey, Verb};
use banger_root::simulated::program::{ADD_LINK, BE_OF_VERSION, CHANGES_LEFT, SOCKET};
use banger_testkit::checks::{run, start};
use banger_testkit::world::{LIMIT, SIMULATED_BRIDGE, kill};
use banger_testkit::{World, eventually};
use std::collections::BTreeSet;
use std::time::Instant;

/// Sends a packet to the host in memory.
pub(crate) fn tell(world: &World, packet: &[u8]) -> Vec<u8> {
    let until = Instant::now() + LIMIT;
    let host = Connection::connect(&world.path(SOCKET)).expect("a host");
    host.send(packet, until).expect("sent");
    host.receive(PACKET_MAX, until).expect("an answer")
}

fn add_link(world: &World, name: &str) {
    tell(world, format!("{ADD_LINK}{name}").as_bytes());
}

/// What there is on the host, as the helper itself sees it.
pub(crate) fn survey(world: &World) -> Survey {
    let request = Request {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        op: "op-abc123".parse().expect("an id"),
        verb: Verb::Survey {},
    };
    let answer = tell(world, &request.encode().expect("a packet"));
    match Reply::decode(&answer).expect("an answer").outcome {
        Outcome::Done(Answer::Survey(survey)) => *survey,
        other => panic!("{other:?}"),
    }
}

/// Slots of our TAPs.
pub(crate) fn taps(world: &World) -> BTreeSet<u16> {
    let taps = survey(world).taps.into_iter();
    let ours = taps.filter(|tap| tap.whose.is_ours());
    ours.map(|tap| tap.slot.get()).collect()
}

pub(crate) fn addresses(world: &World, name: &str) -> Vec<String> {
    let shown = world.show(name);
    let all = shown["addresses"].as_array().cloned().unwrap_or_default();
    let text = |address: &serde_json::Value| address.as_str().map(str::to_owned);
    all.iter().filter_map(text).collect()
}

pub(crate) fn nothing_is_left_on_the_host(world: &World) {
    eventually("the host to be clean", LIMIT, || {
        let found = survey(world);
        match (&found.bridge, found.taps.as_slice(), &found.policy) {
            (None, [], None) => Ok(()),
            _ => Err(format!("{found:?}")),
        }
    });
}

#[test]
fn a_guest_on_the_bridge_keeps_its_address_over_stop_and_start_and_leaves_nothing() {
    let world = World::simulated_bridged();
    start(&world, "a");
    start(&world, "b");
    let (a, b) = (addresses(&world, "a"), addresses(&world, "b"));
    assert_eq!(a[0], "172.16.0.2");
    assert_eq!(b[0], "172.16.0.3");
    assert!(a[1].starts_with("fd") && a[1].ends_with("::2"), "{a:?}");
    let found = survey(&world);
    assert!(found.bridge.is_some_and(|bridge| bridge.whose.is_ours()));
    let rules = found.policy.expect("rules");
    assert!(
        rules.whose.is_ours() && rules.changed.is_none(),
        "{rules:?}"
    );

    let _ = world.run(["vm", "stop", "a"]).good();
    assert!(
        addresses(&world, "a").is_empty(),
        "none while it is stopped"
    );
    start(&world, "c");
    let c = addresses(&world, "c");
    assert_eq!(c[0], "172.16.0.4", "a stopped guest keeps its address");
    let _ = world.run(["vm", "start", "a"]).good();
    assert_eq!(addresses(&world, "a"), a);
    let _ = world.run(["vm", "rm", "a", "b", "c"]).good();
    world.assert_nothing_left();
    start(&world, "d");
    assert_eq!(addresses(&world, "d"), a, "the lowest that is free");
    let _ = world.run(["vm", "rm", "d"]).good();
    world.stop_daemon();
    nothing_is_left_on_the_host(&world);
    eventually(
        "the helper to leave with the daemon",
        LIMIT,
        || match world.helpers().as_slice() {
            [] => Ok(()),
            left => Err(left.to_vec()),
        },
    );
}

#[test]
fn a_killed_daemon_s_guests_keep_their_places_and_what_nobody_owns_is_swept() {
    let world = World::simulated_bridged();
    start(&world, "a");
    start(&world, "b");
    let before = addresses(&world, "a");
    world.kill_daemon();
    eventually("the helper to leave", LIMIT, || {
        let left = world.helpers();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    let vmm_of_b = world.show("b")["run"]["pid"].as_u64();
    // Between two daemons a guest dies: its TAP is nobody's.
    world.kill_daemon();
    kill(vmm_of_b.and_then(|pid| pid.try_into().ok()).expect("a pid"));
    assert_eq!(addresses(&world, "a"), before);
    eventually("b's end", LIMIT, || {
        match world.show("b")["state"].as_str() {
            Some("stopped") => Ok(()),
            other => Err(other.map(str::to_owned)),
        }
    });
    let found = survey(&world);
    assert!(found.policy.is_some_and(|rules| rules.changed.is_none()));
    let _ = world.run(["vm", "start", "b"]).good();
    start(&world, "c");
    assert_eq!(addresses(&world, "c")[0], "172.16.0.4");
    let _ = world.run(["vm", "rm", "a", "b", "c"]).good();
    world.stop_daemon();
    nothing_is_left_on_the_host(&world);
}

#[test]
fn a_daemon_killed_with_no_guest_leaves_what_the_next_one_removes() {
    let world = World::simulated_bridged();
    start(&world, "a");
    let _ = world.run(["vm", "stop", "a"]).good();
    world.kill_daemon();
    assert!(!taps(&world).is_empty(), "the pool");
    let _ = world.run(["vm", "list"]).good();
    nothing_is_left_on_the_host(&world);
}

#[test]
fn a_killed_helper_is_started_again_by_the_next_request() {
    let world = World::simulated_bridged();
    start(&world, "a");
    let before = world.helpers();
    assert_eq!(before.len(), 1, "{before:?}");
    before.iter().copied().for_each(kill);
    start(&world, "b");
    assert_eq!(addresses(&world, "b")[0], "172.16.0.3");
    let after = world.helpers();
    assert_eq!(after.len(), 1, "{after:?}");
    assert_ne!(after, before);
    after.into_iter().for_each(kill);
    let _ = world.run(["vm", "rm", "a", "b"]).good();
    world.stop_daemon();
    nothing_is_left_on_the_host(&world);
}

#[test]
fn what_the_helper_cannot_do_fails_the_start_with_its_reason_and_is_undone() {
    let world = World::simulated_bridged();
    start(&world, "a");
    tell(&world, format!("{CHANGES_LEFT}0").as_bytes());
    let ran = world.run(run(&["-d", "--name", "b"]));
    assert_eq!(ran.code, Some(125), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("the simulated host fails here"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("root helper"), "{}", ran.stderr);
    tell(&world, CHANGES_LEFT.as_bytes());
    assert_eq!(world.names(), ["a"]);
    start(&world, "b");
    let _ = world.run(["vm", "rm", "a", "b"]).good();
    world.stop_daemon();
    nothing_is_left_on_the_host(&world);
}

#[test]
fn a_bridge_of_another_s_is_refused_by_its_name_and_stays() {
    let world = World::simulated_bridged();
    start(&world, "a");
    let _ = world.run(["vm", "rm", "a"]).good();
    world.stop_daemon();
    nothing_is_left_on_the_host(&world);
    add_link(&world, SIMULATED_BRIDGE);
    let ran = world.run(run(&["-d", "--name", "b"]));
    assert_eq!(ran.code, Some(125), "{}", ran.stderr);
    let whose = format!("{SIMULATED_BRIDGE} belongs to another program");
    for said in [&whose, "remedy", "bridge_name"] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    assert!(world.names().is_empty());
    let found = survey(&world);
    assert!(found.bridge.is_some_and(|bridge| !bridge.whose.is_ours()));
}

#[test]
fn a_tap_of_another_s_is_left_alone_and_its_slot_is_passed_over() {
    let world = World::simulated_bridged();
    start(&world, "a");
    let _ = world.run(["vm", "rm", "a"]).good();
    world.stop_daemon();
    for slot in 1..=2 {
        add_link(&world, &format!("tap-fc-{slot}"));
    }
    for name in ["b", "c", "d"] {
        start(&world, name);
    }
    assert!(
        taps(&world).is_superset(&[3, 4, 5].into()),
        "{:?}",
        survey(&world).taps
    );
    let foreign = |world: &World| {
        let taps = survey(world).taps.into_iter();
        taps.filter(|tap| !tap.whose.is_ours()).count()
    };
    assert_eq!(foreign(&world), 2);
    let _ = world.run(["vm", "rm", "b", "c", "d"]).good();
    world.stop_daemon();
    assert_eq!(foreign(&world), 2);
}

#[test]
fn a_tap_of_another_s_that_appears_meanwhile_is_passed_over_and_told() {
    let world = World::simulated_bridged();
    start(&world, "a");
    eventually("the pool", LIMIT, || {
        let ready = taps(&world);
        if ready.len() == 5 { Ok(()) } else { Err(ready) }
    });
    let first = taps(&world).last().copied().expect("some") + 1;
    add_link(&world, &format!("tap-fc-{first}"));
    let names = ["b", "c", "d", "e", "f", "g"];
    for name in names {
        start(&world, name);
    }
    eventually("the pool to be filled again", LIMIT, || {
        let ready = taps(&world);
        if ready.len() == 11 {
            Ok(())
        } else {
            Err(ready)
        }
    });
    assert!(!taps(&world).contains(&first));
    let told = world.run(["doctor"]).text().to_owned();
    let line = format!("that belong to others: tap-fc-{first}");
    assert!(told.contains(&line), "{told}");
    let _ = world.run(["vm", "rm", "a"]).good();
    let _ = world.run([&["vm", "rm"][..], &names].concat()).good();
    world.stop_daemon();
    eventually("ours to be gone", LIMIT, || {
        let left = taps(&world);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    let foreign = survey(&world).taps;
    assert_eq!(foreign.len(), 1, "{foreign:?}");
}

#[test]
fn what_the_helper_refuses_is_told_with_its_reason_and_nothing_is_made() {
    let world = World::simulated_bridged();
    start(&world, "a");
    let before = taps(&world);
    tell(&world, format!("{BE_OF_VERSION}9.9.9").as_bytes());
    let ran = world.run(run(&["-d", "--name", "b"]));
    assert_eq!(ran.code, Some(125), "{}", ran.stderr);
    for said in [
        "the root helper refuses: the helper is version 9.9.9",
        "restart the older of the two",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    assert_eq!(world.names(), ["a"]);
    tell(
        &world,
        format!("{BE_OF_VERSION}{}", env!("CARGO_PKG_VERSION")).as_bytes(),
    );
    assert!(taps(&world).is_subset(&before), "{before:?}");
    start(&world, "b");
    let _ = world.run(["vm", "rm", "a", "b"]).good();
    world.stop_daemon();
    nothing_is_left_on_the_host(&world);
}

#[test]
fn a_version_that_is_not_the_daemon_s_is_refused_by_the_judge() {
    let world = World::simulated_bridged();
    start(&world, "a");
    let request = Request {
        version: "0.0.0-other".to_owned(),
        op: "op-abc123".parse().expect("an id"),
        verb: Verb::Ping {},
    };
    let answer = tell(&world, &request.encode().expect("a packet"));
    let outcome = Reply::decode(&answer).expect("an answer").outcome;
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
}

/// A world whose daemon has no helper.
fn without_a_helper(network: &str) -> World {
    let world = World::simulated();
    let missing = world.path("no-helper");
    let helper = format!("root_helper = \"{}\"\n", missing.display());
    world.configure_exactly(&format!("accelerator = \"tcg\"\n{helper}{network}"));
    world
}

#[test]
fn without_a_helper_the_bridge_is_refused_and_the_default_is_user_mode_said_once() {
    let world = without_a_helper("");
    let ran = world.run(run(&["-d", "--name", "x", "--network", "bridge"]));
    assert_eq!(ran.code, Some(125), "{}", ran.stderr);
    for said in ["no root helper", "remedy"] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    assert!(world.names().is_empty());
    let first = world.run(run(&["-d", "--name", "a"])).good();
    assert!(first.stderr.contains("user mode"), "{}", first.stderr);
    let second = world.run(run(&["-d", "--name", "b"])).good();
    assert!(!second.stderr.contains("user mode"), "{}", second.stderr);
    let shown = world.show("a");
    assert_eq!(shown["network"]["value"], "user", "{shown}");
}

#[test]
fn shared_networks_and_links_need_the_bridge() {
    let world = World::simulated_bridged();
    start(&world, "a");
    for option in [["--join", "shop"], ["--link", "a"]] {
        let arguments = [&["-d", "--network", "user"], &option[..]].concat();
        let ran = world.run(run(&arguments));
        assert_eq!(ran.code, Some(125), "{}", ran.stderr);
        for said in [option[0], "needs the bridge", "remedy"] {
            assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
        }
    }
    assert_eq!(world.names(), ["a"]);
    let _ = world.run(run(&["-d", "--name", "b", "--link", "a"])).good();
    let shown = world.show("b");
    assert_eq!(shown["links"].as_array().map(Vec::len), Some(1), "{shown}");
}
