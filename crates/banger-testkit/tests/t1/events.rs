//! `banger vm events`: what happened to machines, also over the daemon's death.

use banger_testkit::world::{LIMIT as COMMAND_LIMIT, kill, signal};
use banger_testkit::{World, checks, eventually, run};
use rustix::process::Signal;
use serde_json::Value;
use std::process::Child;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn events(world: &World, arguments: &[&str]) -> Vec<Value> {
    let ran = world
        .run([&["vm", "events", "--json"], arguments].concat())
        .good();
    let text = ran.text();
    let line = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {text}"));
    text.lines().map(line).collect()
}

fn words(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["event"].as_str().expect("a word"))
        .collect()
}

fn numbers(events: &[Value]) -> Vec<u64> {
    events
        .iter()
        .map(|event| event["seq"].as_u64().expect("a number"))
        .collect()
}

/// Waits for an event.
fn until(world: &World, what: &str, is_it: impl Fn(&Value) -> bool) -> Vec<Value> {
    eventually(what, LIMIT, || {
        let all = events(world, &[]);
        if all.iter().any(&is_it) {
            Ok(all)
        } else {
            Err(all)
        }
    })
}

#[test]
fn a_machines_life_is_told_in_order_with_its_operations() {
    let world = World::simulated();
    checks::start(&world, "v");
    let _ = world.run(["vm", "set", "--nat", "v"]).good();
    let _ = world.run(["vm", "publish", "v", "0:80"]).good();
    let _ = world.run(["vm", "unpublish", "v", "80"]);
    let _ = world.run(["vm", "stop", "v"]).good();
    let _ = world.run(["vm", "rm", "v"]).good();
    let all = events(&world, &[]);
    let told = words(&all);
    assert_eq!(
        told[..5],
        ["created", "starting", "started", "set", "published"],
        "{all:?}"
    );
    assert_eq!(told[told.len() - 2..], ["stopped", "deleted"], "{all:?}");
    assert_eq!(numbers(&all), (1..=all.len() as u64).collect::<Vec<_>>());
    assert!(
        all.iter()
            .all(|event| event["name"] == "v" && event["time"].is_string())
    );
    // One request made, booted and started it.
    assert!(
        all[0]["op"].is_string() && all[0]["op"] == all[2]["op"],
        "{all:?}"
    );
    assert_ne!(all[0]["op"], all[3]["op"]);
    assert_eq!(all[3]["fields"][0], "nat");
    // By name and by id, though it is deleted.
    let id = all[0]["sandbox"].as_str().expect("an id");
    for reference in ["v", id, &id[..8]] {
        assert_eq!(events(&world, &[reference]), all, "{reference}");
    }
    assert!(events(&world, &["other"]).is_empty());
    let since = all[3]["seq"].to_string();
    assert_eq!(events(&world, &["--since", &since]), all[4..]);
    assert_eq!(events(&world, &["--since", "1h"]), all);
    assert!(events(&world, &["--since", "2100-01-01"]).is_empty());
}

#[test]
fn what_nobody_asked_for_is_told_with_its_reason() {
    let world = World::simulated();
    checks::start(&world, "v");
    kill(world.vmms()[0]);
    let all = until(&world, "the end of the VMM", |event| {
        event["event"] == "stopped"
    });
    let stopped = all
        .iter()
        .find(|event| event["event"] == "stopped")
        .expect("there");
    assert!(
        stopped["reason"]
            .as_str()
            .is_some_and(|why| why.contains("VMM")),
        "{stopped}"
    );
    assert!(stopped["op"].is_null(), "{stopped}");
    // A daemon that was not there when it happened tells it, too.
    let _ = world.run(["vm", "start", "v"]).good();
    world.kill_daemon();
    kill(world.vmms()[0]);
    let seen = all.last().expect("one")["seq"].as_u64();
    until(&world, "the end without a daemon", |event| {
        event["seq"].as_u64() > seen && event["event"] == "stopped"
    });
}

#[test]
fn a_guest_that_does_not_come_up_is_told() {
    let world = World::simulated();
    world.scenario("refuses");
    assert_ne!(world.run(["vm", "create", "--name", "v"]).code, Some(0));
    let all = events(&world, &[]);
    let failed = all
        .iter()
        .find(|event| event["event"] == "start_failed")
        .expect("told");
    assert!(
        failed["reason"].as_str().is_some_and(|why| !why.is_empty()),
        "{failed}"
    );
}

/// A follower, and what it has printed in a file.
fn follow(world: &World, file: &str, machines: &[&str]) -> Child {
    let out = std::fs::File::create(world.path(file)).expect("made");
    let mut command = world.banger(["vm", "events", "-f", "--json"]);
    command.args(machines).stdout(out).spawn().expect("started")
}

fn followed(world: &World, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(world.path(file)).expect("read");
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn a_follower_neither_loses_nor_doubles_an_event_when_daemons_are_killed() {
    let world = World::simulated();
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "v"])
        .good();
    let mut follower = follow(&world, "followed", &[]);
    // It follows once it tells of something that came after it.
    eventually("the follower", LIMIT, || {
        let _ = world.run(["vm", "set", "--nat", "v"]).good();
        let _ = world.run(["vm", "set", "--no-nat", "v"]).good();
        if followed(&world, "followed").is_empty() {
            Err("nothing yet")
        } else {
            Ok(())
        }
    });
    let first = numbers(&followed(&world, "followed"))[0];
    for round in 0..4 {
        let _ = world.run(["vm", "start", "v"]).good();
        if round == 2 {
            // One that leaves in order, between two that are killed.
            world.stop_daemon();
        } else {
            world.kill_daemon();
        }
        let _ = world.run(["vm", "stop", "v"]).good();
    }
    let _ = world.run(["vm", "rm", "v"]).good();
    let seen = eventually("the deletion to be told", LIMIT, || {
        let seen = followed(&world, "followed");
        match words(&seen).last() {
            Some(&"deleted") => Ok(seen),
            _ => Err(seen),
        }
    });
    let last = *numbers(&seen).last().expect("one");
    assert_eq!(numbers(&seen), (first..=last).collect::<Vec<_>>());
    let kept = events(&world, &["--since", &(first - 1).to_string()]);
    assert_eq!(seen, kept);
    signal(follower.id(), Signal::INT);
    let ended = follower.wait().expect("ended");
    assert!(!ended.success());
}

#[test]
fn a_machine_that_is_followed_by_its_name_is_followed_under_another_by_the_next_daemon_too() {
    let world = World::simulated();
    for name in ["v", "other"] {
        let _ = world
            .run(["vm", "create", "--no-start", "--name", name])
            .good();
    }
    let mut follower = follow(&world, "followed", &["v"]);
    eventually("the follower", LIMIT, || {
        let _ = world.run(["vm", "set", "--nat", "v"]).good();
        let _ = world.run(["vm", "set", "--no-nat", "v"]).good();
        if followed(&world, "followed").is_empty() {
            Err("nothing yet")
        } else {
            Ok(())
        }
    });
    let _ = world.run(["vm", "rename", "v", "w"]).good();
    world.kill_daemon();
    let _ = world.run(["vm", "set", "--nat", "other"]).good();
    let _ = world.run(["vm", "rm", "w"]).good();
    let seen = eventually("the deletion to be told", LIMIT, || {
        let seen = followed(&world, "followed");
        match words(&seen).last() {
            Some(&"deleted") => Ok(seen),
            _ => Err(seen),
        }
    });
    assert!(
        seen.iter().all(|event| event["name"] != "other"),
        "{seen:?}"
    );
    signal(follower.id(), Signal::INT);
    let _ended = follower.wait().expect("ended");
}

#[test]
fn events_are_lines_for_people_and_quiet_ones_are_numbers() {
    let world = World::simulated();
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "v"])
        .good();
    let line = world.run(["vm", "events"]).good().text();
    assert!(
        line.contains("  v  ") && line.contains("created") && line.contains("(op-"),
        "{line}"
    );
    assert_eq!(world.run(["-q", "vm", "events"]).good().text(), "1\n");
    let child = run::start(&mut world.banger(["vm", "events", "--since", "yesterday"]));
    assert_eq!(run::finish(child, Vec::new(), COMMAND_LIMIT).code, Some(2));
}
